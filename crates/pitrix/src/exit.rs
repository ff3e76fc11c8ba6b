//! How the program ends: exit codes, and what a command can come to besides success.

use provider_core::{Error, ErrorKind};
use std::process::ExitCode;

/// An exit code. They are part of the interface: scripts branch on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Error = 1,
    Usage = 2,
    Invalid = 3,
    NotFound = 4,
    Conflict = 5,
    Quota = 6,
    Unauthorized = 7,
    TimedOut = 8,
    Partial = 9,
    Detached = 130,
}

/// What each code says: in a word or two, and in a sentence. Help, manual and documentation come from here.
const MEANINGS: [(u8, &str, &str); 11] = [
    (0, "done", "It was done, or there was nothing to do."),
    (
        Exit::Error as u8,
        "error",
        "Anything without a code of its own; also when a command that was run failed.",
    ),
    (Exit::Usage as u8, "usage", "The command line is wrong or not complete."),
    (Exit::Invalid as u8, "invalid input", "The input is wrong, or asks for what can't be done at all."),
    (Exit::NotFound as u8, "not found", "The named thing does not exist."),
    (
        Exit::Conflict as u8,
        "conflict",
        "The thing is in a state that does not allow this, or somebody else is at work on it.",
    ),
    (Exit::Quota as u8, "quota", "A quota or capacity does not suffice."),
    (
        Exit::Unauthorized as u8,
        "not authorized",
        "The credential is missing, wrong or not allowed to do this.",
    ),
    (Exit::TimedOut as u8, "timed out", "It took longer than it may."),
    (Exit::Partial as u8, "done in part", "It was done, but not all of it; what is missing was named."),
    (Exit::Detached as u8, "detached", "The user left with Ctrl-C; the job goes on."),
];

/// The codes, as help and manual show them.
pub(crate) fn help() -> String {
    let lines = MEANINGS.iter().map(|(code, word, _)| format!("  {code:>3}  {word}\n"));
    format!(
        "Exit codes:\n{}\nData goes to standard output, talk to standard error.",
        lines.collect::<String>()
    )
}

impl Exit {
    /// The code for an error of this kind.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid | ErrorKind::Unsupported => Self::Invalid,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::Quota => Self::Quota,
            ErrorKind::Unauthorized => Self::Unauthorized,
            ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Error,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// To be shown; the code follows from its kind.
    Error(Error),
    /// To be shown, as a mistake in the command line.
    Usage(Error),
    /// Everything was said already.
    Said(Exit),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// What a command comes to.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_every_code() {
        let rows =
            MEANINGS.iter().map(|(code, word, sentence)| format!("| {code} | {word} | {sentence} |\n"));
        let table = format!("| Code | In short | When |\n|---|---|---|\n{}", rows.collect::<String>());
        let page = include_str!("../../../docs/exit-codes.md");
        assert!(page.contains(&table), "put this into docs/exit-codes.md:\n{table}");
    }

    #[test]
    fn each_kind_of_error_has_its_exit_code() {
        fn check(kind: ErrorKind, code: u8) {
            assert_eq!(Exit::of(kind) as u8, code, "{kind:?}");
        }
        check(ErrorKind::Invalid, 3);
        check(ErrorKind::Unsupported, 3);
        check(ErrorKind::NotFound, 4);
        check(ErrorKind::Conflict, 5);
        check(ErrorKind::Quota, 6);
        check(ErrorKind::Unauthorized, 7);
        check(ErrorKind::TimedOut, 8);
        check(ErrorKind::RateLimited, 1);
        check(ErrorKind::Unavailable, 1);
        check(ErrorKind::InDoubt, 1);
        check(ErrorKind::Lost, 1);
        check(ErrorKind::Failed, 1);
        check(ErrorKind::Cancelled, 1);
        check(ErrorKind::Fenced, 1);
        check(ErrorKind::Store, 1);
        check(ErrorKind::Bug, 1);
    }
}

//! How the program ends: exit codes, and what a command can come to besides success.

use provider_core::{Error, ErrorKind};
use std::process::ExitCode;

/// An exit code. They are part of the interface: scripts branch on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Anything without a code of its own.
    Error = 1,
    /// The command line is wrong or not complete.
    Usage = 2,
    /// The input is wrong, or asks for what can't be done at all.
    Invalid = 3,
    /// The named thing does not exist.
    NotFound = 4,
    /// The thing is in a state that does not allow this, or somebody else is at work on it.
    Conflict = 5,
    /// A quota or capacity does not suffice.
    Quota = 6,
    /// The credential is missing, wrong or not allowed to do this.
    Unauthorized = 7,
    /// It took longer than it may.
    TimedOut = 8,
    /// It was done, but not all of it.
    Partial = 9,
    /// The user left with Ctrl-C; the job goes on.
    Detached = 130,
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

//! What the operating system's errors mean for a task.

use provider_core::{Error, ErrorKind, Result, Retry};
use std::{fmt::Display, io};

/// The error of `attempt`, which the operating system refused with `cause`.
pub(crate) fn classify(attempt: impl Display, cause: &io::Error) -> Error {
    use io::ErrorKind as Io;
    let error = |kind| Error::new(kind, attempt.to_string()).caused_by(cause);
    match cause.kind() {
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => error(ErrorKind::Quota)
            .with_retry(Retry::AskUser)
            .hint("free some disk space, then run `pitrix job retry`"),
        Io::PermissionDenied | Io::ReadOnlyFilesystem => error(ErrorKind::Unauthorized)
            .hint("the data directory and everything in it must belong to the user who runs Pitrix"),
        Io::NotFound | Io::NotADirectory => error(ErrorKind::NotFound),
        Io::AlreadyExists | Io::DirectoryNotEmpty => error(ErrorKind::Conflict),
        Io::InvalidInput | Io::InvalidFilename => error(ErrorKind::Invalid),
        Io::Unsupported => error(ErrorKind::Unsupported).hint("the local provider needs Linux"),
        // Too many open files or processes, no memory, interrupted, a failing disk: it may pass.
        _ => error(ErrorKind::Unavailable),
    }
}

/// Says what was attempted when the operating system refuses it.
pub(crate) trait During<T> {
    /// [`classify`], with the text made only when it is needed.
    fn during<D: Display>(self, attempt: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during<D: Display>(self, attempt: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|cause| classify(attempt(), &cause.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn each_cause_has_its_kind_and_what_follows() {
        fn check(cause: Errno, kind: ErrorKind, retry: Retry) {
            let error = classify("making `x`", &cause.into());
            assert_eq!((error.kind(), error.retry()), (kind, retry), "{cause:?}");
            assert_eq!(error.to_string(), "making `x`");
            assert_eq!(error.causes().len(), 1);
        }
        check(Errno::NOSPC, ErrorKind::Quota, Retry::AskUser);
        check(Errno::DQUOT, ErrorKind::Quota, Retry::AskUser);
        check(Errno::ACCESS, ErrorKind::Unauthorized, Retry::AskUser);
        check(Errno::PERM, ErrorKind::Unauthorized, Retry::AskUser);
        check(Errno::ROFS, ErrorKind::Unauthorized, Retry::AskUser);
        check(Errno::NOENT, ErrorKind::NotFound, Retry::Never);
        check(Errno::NOTDIR, ErrorKind::NotFound, Retry::Never);
        check(Errno::EXIST, ErrorKind::Conflict, Retry::Never);
        check(Errno::NOTEMPTY, ErrorKind::Conflict, Retry::Never);
        check(Errno::NAMETOOLONG, ErrorKind::Invalid, Retry::Never);
        check(Errno::NOSYS, ErrorKind::Unsupported, Retry::Never);
        check(Errno::MFILE, ErrorKind::Unavailable, Retry::Backoff);
        check(Errno::AGAIN, ErrorKind::Unavailable, Retry::Backoff);
        check(Errno::NOMEM, ErrorKind::Unavailable, Retry::Backoff);
        check(Errno::IO, ErrorKind::Unavailable, Retry::Backoff);
    }
}

//! What the cloud's error codes mean.

use crate::Fail;
use provider_core::{Error, ErrorKind};

/// What an answer to a request that changes something means. An unknown code is no reason to try again.
pub(super) fn classify(fail: Fail) -> Error {
    let kind = match fail.code {
        "NoReply" => ErrorKind::InDoubt,
        "AuthFailure" => ErrorKind::Unauthorized,
        "NotFound" => ErrorKind::NotFound,
        "IncorrectState" => ErrorKind::Conflict,
        "QuotaExceeded" | "InsufficientCapacity" => ErrorKind::Quota,
        "Throttling" => ErrorKind::RateLimited,
        "Busy" | "ServiceUnavailable" => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    };
    Error::new(kind, fail.message).code(fail.code).request_id(fail.request)
}

/// A look that was not answered has changed nothing.
pub(super) fn look_failed(fail: Fail) -> Error {
    let error = classify(fail);
    if error.kind() == ErrorKind::InDoubt { error.into_kind(ErrorKind::Unavailable) } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use provider_core::Retry;

    #[test]
    fn a_code_decides_what_follows() {
        let check = |code, kind, retry, refuses| {
            let error = classify(Fail { code, message: "m".into(), request: "req-1".into() });
            let facts = (error.kind(), error.retry(), error.kind().refuses());
            assert_eq!(facts, (kind, retry, refuses), "{code}");
            assert_eq!(error.to_string(), format!("m ({code}, request req-1)"));
        };
        check("NoReply", ErrorKind::InDoubt, Retry::Backoff, false);
        check("AuthFailure", ErrorKind::Unauthorized, Retry::AskUser, true);
        check("NotFound", ErrorKind::NotFound, Retry::Never, true);
        check("IncorrectState", ErrorKind::Conflict, Retry::Never, true);
        check("QuotaExceeded", ErrorKind::Quota, Retry::WaitQuota, true);
        check("InsufficientCapacity", ErrorKind::Quota, Retry::WaitQuota, true);
        check("Throttling", ErrorKind::RateLimited, Retry::Backoff, true);
        check("Busy", ErrorKind::Unavailable, Retry::Backoff, true);
        check("IdempotentParameterMismatch", ErrorKind::Invalid, Retry::Never, true);
        check("WhoKnows", ErrorKind::Invalid, Retry::Never, true);
    }

    #[test]
    fn a_look_that_was_not_answered_left_nothing_in_doubt() {
        let silence = Fail { code: "NoReply", message: "m".into(), request: String::new() };
        assert_eq!(look_failed(silence).kind(), ErrorKind::Unavailable);
    }
}

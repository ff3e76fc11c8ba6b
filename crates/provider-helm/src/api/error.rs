//! What the API's answers mean for a task.

use kube::{client::AuthError, core::Status};
use provider_core::{Error, ErrorKind};
use std::fmt::Display;

/// The error of `attempt`, which the API answered with `cause`.
pub(crate) fn classify(attempt: impl Display, cause: &kube::Error) -> Error {
    match cause {
        kube::Error::Api(status) => refused(&attempt.to_string(), status),
        // Nothing was sent: the address does not resolve, nobody listens, the certificate is not trusted, or the
        // credential could not be had.
        kube::Error::Auth(cause) => logging_in(&attempt.to_string(), cause),
        kube::Error::Service(inner) if is_before_sending(inner.as_ref()) => {
            Error::unavailable(attempt.to_string()).caused_by(inner.as_ref())
        }
        kube::Error::BuildRequest(_) | kube::Error::HttpError(_) | kube::Error::InferConfig(_) => {
            Error::bug(attempt.to_string()).caused_by(cause)
        }
        _ => Error::in_doubt(attempt.to_string()).caused_by(cause),
    }
}

/// The kubeconfig's own way to a credential failed. What a program printed on its standard output may be the credential,
/// and its arguments may hold another: neither is told.
fn logging_in(attempt: &str, cause: &AuthError) -> Error {
    let error = Error::unauthorized(format!("{attempt}: the kubeconfig's own way to a credential failed"))
        .hint("try `kubectl get namespaces` with the same kubeconfig, on this machine and as this user");
    match cause {
        AuthError::AuthExecRun { cmd, out } => {
            // Variables come first, each as NAME="value".
            let program = cmd.split_whitespace().find(|word| word.starts_with('"')).unwrap_or_default();
            let error = error.because(format!("`{}` ended with {}", program.trim_matches('"'), out.status));
            match String::from_utf8_lossy(&out.stderr).trim() {
                "" => error,
                said => error.because(said.to_owned()),
            }
        }
        AuthError::AuthExecStart(_) => error
            .caused_by(cause)
            .hint("the program that the kubeconfig names must be installed, and in PATH"),
        AuthError::AuthExecParse(_) | AuthError::ParseTokenKey(_) => {
            error.because("what its program printed is no credential")
        }
        other => error.caused_by(other),
    }
}

/// The same error where nothing was to be changed.
pub(crate) fn reading(error: Error) -> Error {
    if error.kind() == ErrorKind::InDoubt { error.into_kind(ErrorKind::Unavailable) } else { error }
}

fn refused(attempt: &str, status: &Status) -> Error {
    let message = &status.message;
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    let has_cause = |reason: &str| causes.iter().any(|cause| cause.reason == reason);
    let kind = match (status.code, status.reason.as_str()) {
        (401, _) => ErrorKind::Unauthorized,
        (403, _) if message.contains("exceeded quota") => ErrorKind::Quota,
        (403, _) if has_cause("NamespaceTerminating") => ErrorKind::Conflict,
        (403, _) if message.contains("maximum") || message.contains("minimum") => ErrorKind::Invalid,
        (403, _) => ErrorKind::Unauthorized,
        (404, _) => ErrorKind::NotFound,
        (409, _) => ErrorKind::Conflict,
        (400 | 405 | 406 | 413 | 415 | 422, _) => ErrorKind::Invalid,
        (429, _) => ErrorKind::RateLimited,
        (504, _) | (_, "Timeout") => ErrorKind::InDoubt,
        // What was sent fits no schema: the server says so with the code of a fault of its own.
        (500, _) if message.contains("failed to create typed patch object") => ErrorKind::Invalid,
        // A webhook that is not up yet, and the like: nothing was stored.
        (500 | 502 | 503, _) => ErrorKind::Unavailable,
        _ => ErrorKind::InDoubt,
    };
    let mut error = Error::new(kind, format!("{attempt}: {message}"));
    if !status.reason.is_empty() {
        error = error.code(status.reason.clone());
    }
    // Each conflict names the field and its owner; the message only counts them.
    for cause in causes.iter().filter(|cause| !message.contains(&cause.message)) {
        error = error.because(match cause.field.as_str() {
            "" => cause.message.clone(),
            field => format!("{field}: {}", cause.message),
        });
    }
    if has_cause("FieldManagerConflict") {
        error = error.hint(
            "something else manages these fields: leave them out of the values, or have the other manager let go of them",
        );
    }
    error
}

/// Whether a connection could not even be made.
fn is_before_sending(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if text.contains("client error (Connect)")
            || text.contains("tcp connect error")
            || text.contains("dns error")
            || text.contains("invalid peer certificate")
        {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::response::{StatusCause, StatusDetails};
    use provider_core::Retry;

    #[test]
    fn each_answer_has_its_kind_and_what_follows() {
        fn check(code: u16, reason: &str, message: &str, kind: ErrorKind, retry: Retry) {
            let status = Status::failure(message, reason).with_code(code).boxed();
            let error = classify("applying Secret/x", &kube::Error::Api(status));
            assert_eq!((error.kind(), error.retry()), (kind, retry), "{code} {reason}");
            assert!(error.to_string().starts_with("applying Secret/x: "), "{error}");
        }
        use ErrorKind as K;
        check(401, "Unauthorized", "Unauthorized", K::Unauthorized, Retry::AskUser);
        check(403, "Forbidden", "secrets is forbidden: User x", K::Unauthorized, Retry::AskUser);
        check(403, "Forbidden", "pods \"x\" is forbidden: exceeded quota: q", K::Quota, Retry::WaitQuota);
        check(404, "NotFound", "namespaces \"x\" not found", K::NotFound, Retry::Never);
        check(409, "AlreadyExists", "x already exists", K::Conflict, Retry::Never);
        check(409, "Conflict", "the object has been modified", K::Conflict, Retry::Never);
        check(413, "RequestEntityTooLarge", "too large", K::Invalid, Retry::Never);
        check(422, "Invalid", "spec.x: Required value", K::Invalid, Retry::Never);
        check(429, "TooManyRequests", "slow down", K::RateLimited, Retry::Backoff);
        check(500, "InternalError", "failed calling webhook", K::Unavailable, Retry::Backoff);
        check(503, "ServiceUnavailable", "no", K::Unavailable, Retry::Backoff);
        check(504, "Timeout", "request timed out", K::InDoubt, Retry::Backoff);
    }

    #[test]
    fn a_program_that_gives_no_credential_is_named_and_what_it_printed_is_not_told() {
        let status = std::os::unix::process::ExitStatusExt::from_raw(256);
        let out =
            std::process::Output { status, stdout: b"secret".to_vec(), stderr: b"log in first\n".to_vec() };
        let cmd = r#"TOKEN="secret one" "/usr/bin/login" "--password" "secret""#.to_owned();
        let cause = AuthError::AuthExecRun { cmd, out: Box::new(out) };
        let error = classify("connecting", &kube::Error::Auth(cause));
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert_eq!(error.causes(), ["`/usr/bin/login` ended with exit status: 1", "log in first"]);
        assert!(!format!("{error}").contains("secret"));
    }

    #[test]
    fn a_conflict_names_each_field_and_its_owner() {
        let cause = StatusCause {
            reason: "FieldManagerConflict".into(),
            message: "conflict with \"kubectl\" using v1".into(),
            field: ".data.a".into(),
        };
        let details = StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: vec![cause],
            retry_after_seconds: 0,
        };
        let status =
            Status::failure("Apply failed with 1 conflict", "Conflict").with_code(409).with_details(details);
        let error = classify("applying ConfigMap/x", &kube::Error::Api(status.boxed()));
        assert_eq!(error.causes(), [".data.a: conflict with \"kubectl\" using v1"]);
    }
}

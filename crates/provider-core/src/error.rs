//! One error type for the whole contract: a kind that decides what happens next, and what a person needs to know.

use serde::{Deserialize, Serialize};
use std::{error::Error as StdError, fmt};

/// A result of this contract.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as the engine behaves differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is wrong; nothing was done.
    Invalid,
    /// The named thing does not exist.
    NotFound,
    /// The thing is in a state that does not allow this, or somebody else is at work on it.
    Conflict,
    /// The provider can't do this at all.
    Unsupported,
    /// The credential is missing, wrong or not allowed to do this.
    Unauthorized,
    /// A quota or the capacity of the cloud does not suffice now.
    Quota,
    /// The cloud asks to slow down; nothing was done.
    RateLimited,
    /// The other side can't be reached or is broken for now; nothing was done.
    Unavailable,
    /// The request was sent and no reply came: it may have been done. The ledger resolves it.
    InDoubt,
    /// The resource that was being waited for is gone or failed for good; doing it again may help.
    Lost,
    /// A command ran on a node and failed.
    Failed,
    /// It took longer than it may.
    TimedOut,
    /// Stopped on request.
    Cancelled,
    /// Another executor has taken over; this one must stop.
    Fenced,
    /// The state directory can't be read or written.
    Store,
    /// A defect in Pitrix or in a provider plugin.
    Bug,
}

/// What the engine does after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// Nothing: the task has failed.
    Never,
    /// Tries again with growing pauses until the task's deadline.
    Backoff,
    /// Tries again with long pauses that don't count against the deadline.
    WaitQuota,
    /// Nothing until a person has changed something; `job retry` then goes on.
    AskUser,
}

impl ErrorKind {
    /// Whether an error of this kind, as the answer to a call, says that nothing was done.
    pub fn refuses(self) -> bool {
        !matches!(
            self,
            Self::InDoubt | Self::TimedOut | Self::Cancelled | Self::Fenced | Self::Store | Self::Bug
        )
    }

    /// What follows from this kind unless the provider says otherwise.
    pub fn retry(self) -> Retry {
        match self {
            Self::RateLimited | Self::Unavailable | Self::InDoubt | Self::Lost => Retry::Backoff,
            Self::Quota => Retry::WaitQuota,
            Self::Unauthorized => Retry::AskUser,
            _ => Retry::Never,
        }
    }
}

/// An error of this contract, one pointer wide. It can be stored as it is: causes are kept as text, and
/// secret types can't be formatted into it.
///
/// Messages are lower case without a final period; they say what was attempted, on what and what is wrong.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Error(Box<Report>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Report {
    kind: ErrorKind,
    message: String,
    retry: Retry,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
}

macro_rules! constructors {
    ($($name:ident $kind:ident;)*) => {$(
        #[doc = concat!("An error of kind `", stringify!($kind), "`.")]
        pub fn $name(message: impl Into<String>) -> Self {
            Self::new(ErrorKind::$kind, message)
        }
    )*};
}

impl Error {
    /// An error of `kind`, with the retry that follows from it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Report {
            kind,
            message: message.into(),
            retry: kind.retry(),
            code: None,
            request_id: None,
            hint: None,
            causes: Vec::new(),
        }))
    }

    constructors! {
        invalid Invalid;
        not_found NotFound;
        conflict Conflict;
        unsupported Unsupported;
        unauthorized Unauthorized;
        quota Quota;
        unavailable Unavailable;
        in_doubt InDoubt;
        lost Lost;
        failed Failed;
        timed_out TimedOut;
        cancelled Cancelled;
        fenced Fenced;
        store Store;
        bug Bug;
    }

    /// What the person who meets this can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The provider's own error code.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// The id that the provider gave the request, for its support.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = Some(id.into());
        self
    }

    /// The same error as one of another kind, with the retry that follows from that.
    #[must_use]
    pub fn into_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self.0.retry = kind.retry();
        self
    }

    /// Overrides the retry that follows from the kind.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Puts what was being attempted before the message.
    #[must_use]
    pub fn during(mut self, attempt: impl fmt::Display) -> Self {
        self.0.message = format!("{attempt}: {}", self.0.message);
        self
    }

    /// Records `cause` and its own causes. They are shown below the message, so it must not repeat them.
    #[must_use]
    pub fn caused_by(mut self, cause: &(dyn StdError + 'static)) -> Self {
        let mut next = Some(cause);
        while let Some(cause) = next {
            self.0.causes.push(cause.to_string());
            next = cause.source();
        }
        self
    }

    /// Adds what a command printed, or another text that explains the error, below the message.
    #[must_use]
    pub fn because(mut self, text: impl Into<String>) -> Self {
        self.0.causes.push(text.into());
        self
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What the engine does after it.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// What a person can do, if the place that raised it knew.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The provider's code, if it gave one.
    pub fn provider_code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The provider's request id, if it gave one.
    pub fn provider_request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The causes, nearest first.
    pub fn causes(&self) -> &[String] {
        &self.0.causes
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match (&self.0.code, &self.0.request_id) {
            (Some(code), Some(id)) => write!(f, " ({code}, request {id})"),
            (Some(one), None) | (None, Some(one)) => write!(f, " ({one})"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_storage_with_code_request_and_causes() {
        let io = std::io::Error::other("connection reset");
        let error = Error::in_doubt("starting instance `i-1`")
            .code("InternalError")
            .request_id("req-9")
            .hint("nothing to do: it is resolved on the next try")
            .caused_by(&io);
        let bytes = serde_json::to_vec(&error).unwrap();
        assert_eq!(serde_json::from_slice::<Error>(&bytes).unwrap(), error);
        assert_eq!(error.to_string(), "starting instance `i-1` (InternalError, request req-9)");
        assert_eq!(error.causes(), ["connection reset"]);
        assert_eq!(error.retry(), Retry::Backoff);
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }
}

//! Mutating calls as data, and the ledger that remembers them.

use crate::{Error, JobId, Result, TaskId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;

/// One mutating request to a cloud or an agent, as data. What is stored before it is sent is exactly the
/// serialised struct; it must hold references to secrets, never their values.
///
/// Calls of one job and layer with an equal [`group`](Self::group) become one request.
#[async_trait]
pub trait CloudCall: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The client that it is sent through.
    type Api: ?Sized + Send + Sync + 'static;
    /// What comes back for one call.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
    /// The request's name, unique in its provider, for example `RunInstances`. It is stored.
    const NAME: &'static str;
    /// How many calls one request can carry. The gateway never merges more.
    const MAX: usize = 1;

    /// Calls merge only within a group: whatever must be equal for them to share a request.
    fn group(&self) -> String {
        String::new()
    }

    /// Sends one request for all `items` and gives one result for each, in their order.
    ///
    /// # Errors
    /// An error for the whole request; [`ErrorKind::InDoubt`](crate::ErrorKind::InDoubt) when it may have been
    /// carried out, any [refusing](crate::ErrorKind::refuses) kind when it certainly was not.
    async fn send(api: &Self::Api, token: &Token, items: &[Self]) -> Result<Vec<Result<Self::Reply>>>;

    /// Finds out what a request with this token did. `None` means that it did nothing and never will, so that
    /// it can be sent again under the same token; so it is with a request that says what shall be, and may be sent any
    /// number of times.
    ///
    /// # Errors
    /// Whenever that can't be told yet.
    async fn find(
        api: &Self::Api,
        token: &Token,
        items: &[Self],
    ) -> Result<Option<Vec<Result<Self::Reply>>>> {
        let _ = (api, token, items);
        Ok(None)
    }
}

/// Identifies a call for good: the same task calling the same number is the same call, whatever the attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallKey {
    /// The job.
    pub job: JobId,
    /// The task of its plan.
    pub task: TaskId,
    /// The call's number in its handler, a constant.
    pub n: u32,
}

impl fmt::Display for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.job, self.task, self.n)
    }
}

/// What a cloud recognises a repeated request by: 32 hexadecimal digits, unique to a batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// A token read from the ledger.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One call about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Which call.
    pub key: CallKey,
    /// 0 at first; one more each time that the cloud refused it or its effect was lost.
    pub generation: u32,
    /// The serialised call.
    pub body: Vec<u8>,
}

/// Calls that share one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its identity, and what the cloud sees.
    pub token: Token,
    /// [`CloudCall::NAME`].
    pub name: String,
    /// The calls, in the order in which they are sent.
    pub items: Vec<Intent>,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out; the serialised reply. Final.
    Applied(Vec<u8>),
    /// The cloud says that it did nothing. The key is open again, one generation on.
    Refused(Error),
    /// Nobody knows yet; stays as it is until it is resolved.
    InDoubt,
}

/// What the ledger knows of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Nothing has been done under it; the next intent has this generation.
    Fresh(u32),
    /// It was carried out; the serialised reply.
    Applied(Vec<u8>),
    /// It may have been carried out, together with the rest of its batch.
    InDoubt(Token),
}

/// The durable record of every call. Each function returns when its effect is durable, and fails with
/// `Fenced` when another executor has taken over.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// What is known of `key`.
    async fn look(&self, key: &CallKey) -> Result<Entry>;

    /// The batch that was begun under `token`.
    async fn batch(&self, token: &Token) -> Result<Batch>;

    /// Writes a batch down before it is sent, in one transaction.
    async fn begin(&self, batch: &Batch) -> Result<()>;

    /// Writes down what became of a batch, one outcome for each item in its order, in one transaction. Items
    /// that have an outcome already keep it.
    async fn finish(&self, batch: &Batch, outcomes: Vec<Outcome>) -> Result<()>;

    /// Opens the applied calls of a task again, one generation on: their effect is lost.
    async fn reopen(&self, job: &JobId, task: TaskId) -> Result<()>;
}

/// Places where a crash can part a cause from its effect. Production passes [`NoCrash`]; a crash test stops
/// the world at each of them in turn.
#[async_trait]
pub trait CrashPoint: Send + Sync + 'static {
    /// Comes by `place`. Never returns when the crash is here.
    async fn reach(&self, place: &str);
}

/// Nothing happens anywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCrash;

#[async_trait]
impl CrashPoint for NoCrash {
    async fn reach(&self, _place: &str) {}
}

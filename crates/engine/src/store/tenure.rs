//! What an executor writes.

use super::{job::TaskState, *};
use provider_core::{
    Batch, CallKey, Entry, Fact, Fold, Handle, Ledger, Outcome, Task, TaskId, Timestamp, Token,
};
use std::sync::RwLock;

/// The right to write for jobs. It ends when another executor takes over: from then on everything here fails
/// with `Fenced`, and the holder must stop. Cheap to clone.
#[derive(Clone)]
pub struct Tenure {
    store: Store,
    epoch: i64,
}

/// To what a task has come, for the record.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskReport {
    /// Of which job.
    pub job: JobId,
    /// Which task.
    pub task: TaskId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// To what it has come.
    pub state: TaskState,
    /// When it counts as failed; none keeps what was reported before.
    pub deadline: Option<Timestamp>,
    /// What to wait on, if anything.
    pub handle: Option<Handle>,
}

/// A fact that goes on record together with a report.
#[derive(Clone, Copy)]
pub struct Recording<'a> {
    /// The cluster, as the executor knows it.
    pub cluster: &'a RwLock<Cluster>,
    /// The task that reported.
    pub task: &'a Task,
    /// What it reported.
    pub fact: &'a Fact,
}

impl Tenure {
    /// The store that it is of.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Which tenure it is: 1 for the first executor, and one more for each that followed.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Writes down to what a task has come, with the fact that it reported and an event, in one transaction.
    /// The fact is applied to the executor's own cluster as well, before this waits for the commit, so that
    /// records of one node are written in the order in which they were made.
    ///
    /// # Errors
    /// `Fenced`, `Store`.
    pub async fn report(&self, _report: TaskReport, _record: Option<Recording<'_>>) -> Result<()> {
        Err(soon())
    }

    /// Appends events of a job.
    ///
    /// # Errors
    /// `Fenced`, `Store`.
    pub async fn note(&self, _job: &JobId, _events: Vec<EventKind>) -> Result<()> {
        Err(soon())
    }

    /// Ends a job, in one transaction: its state, what it came to, its cluster's status and last error, an
    /// event. Secrets go with a cluster that was deleted; records of nodes that are no longer wanted go once
    /// no resource of a provider is on record for them.
    ///
    /// # Errors
    /// `Fenced`, `Store`; `Conflict` when it has ended.
    pub async fn end(&self, _job: &JobId, _fold: &Fold, _error: Option<Error>) -> Result<()> {
        Err(soon())
    }
}

#[async_trait]
impl Ledger for Tenure {
    async fn look(&self, _key: &CallKey) -> Result<Entry> {
        Err(soon())
    }

    async fn batch(&self, _token: &Token) -> Result<Batch> {
        Err(soon())
    }

    async fn begin(&self, _batch: &Batch) -> Result<()> {
        Err(soon())
    }

    async fn finish(&self, _batch: &Batch, _outcomes: Vec<Outcome>) -> Result<()> {
        Err(soon())
    }

    async fn reopen(&self, _job: &JobId, _task: TaskId) -> Result<()> {
        Err(soon())
    }
}

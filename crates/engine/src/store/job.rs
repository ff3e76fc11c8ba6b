//! Jobs, their tasks and their calls, to look at.

use super::*;
use provider_core::{
    ActionKind, CallKey, Change, Fold, Handle, JobState, Plan, Policy, TaskId, Timestamp, Token,
};
use serde::{Deserialize, Serialize};

/// A planned change that somebody wants carried out.
pub struct Submission {
    /// What is to change. `before` is the cluster that the plan was made for: its revision must still be the
    /// recorded one, or 0 when the cluster is to be created.
    pub change: Change,
    /// How.
    pub plan: Plan,
    /// When a failure ends it.
    pub policy: Policy,
    /// What the wanted cluster refers to and the store does not have yet.
    pub secrets: Vec<(SecretRef, Secret)>,
}

/// What became of a [`Submission`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Accepted {
    /// It is a job now, and its cluster is in transition.
    Job(JobId),
    /// Nothing was done: the cluster has changed since it was planned. Plan again and submit that.
    Stale,
}

/// A job on record, without its plan.
#[derive(Clone, Debug, PartialEq)]
pub struct JobInfo {
    /// Its id.
    pub id: JobId,
    /// The cluster that it works on.
    pub cluster: ClusterId,
    /// That cluster's name.
    pub cluster_name: String,
    /// What it does.
    pub action: ActionKind,
    /// How far it is.
    pub state: JobState,
    /// How often it was started: 1, and one more for each retry.
    pub run: u32,
    /// When it was accepted.
    pub created: Timestamp,
    /// When its last run ended.
    pub ended: Option<Timestamp>,
    /// What its last run came to.
    pub fold: Option<Fold>,
    /// Why its last run did not succeed.
    pub error: Option<Error>,
}

/// A job with all that is needed to carry it out.
#[derive(Clone, Debug, PartialEq)]
pub struct JobWork {
    /// What it is.
    pub info: JobInfo,
    /// What is to change.
    pub change: Change,
    /// How.
    pub plan: Plan,
    /// When a failure ends it.
    pub policy: Policy,
}

/// To what a task has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum TaskState {
    /// Its handler runs or its work is under way.
    Running,
    /// An attempt failed; another follows.
    Paused {
        /// Why it failed.
        error: Error,
    },
    /// It did what it should.
    Done,
    /// It failed for good.
    Failed {
        /// Why.
        error: Error,
    },
    /// It was stopped on request.
    Cancelled,
}

/// A task that has begun. One that has not has no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRow {
    /// Its id.
    pub id: TaskId,
    /// To what it has come.
    pub state: TaskState,
    /// The attempt that it is in or was in last, from 1.
    pub attempt: u32,
    /// When its first attempt began, in this run.
    pub started: Timestamp,
    /// When it counts as failed, once that was reported.
    pub deadline: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What to wait on.
    pub handle: Option<Handle>,
}

/// What the ledger says about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallState {
    /// Written down, and perhaps sent.
    Intent,
    /// Carried out.
    Applied,
    /// The cloud said that it did nothing.
    Refused,
    /// It was carried out and its effect was lost.
    Reopened,
}

/// How many calls of one name have come to one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallCount {
    /// The calls' name.
    pub name: String,
    /// To what they have come.
    pub state: CallState,
    /// How many.
    pub count: u64,
}

/// A call that was written down and has no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InDoubtCall {
    /// Which call.
    pub key: CallKey,
    /// Its name.
    pub name: String,
    /// What the cloud would know it by.
    pub token: Token,
    /// When it was written down.
    pub at: Timestamp,
}

impl Store {
    /// Accepts a job, in one transaction: creates the cluster or raises its revision, sets its transition and
    /// its wanted state, keeps the secrets. What stands in the way is looked for in the same transaction.
    ///
    /// # Errors
    /// `Conflict` when another job of the cluster runs, its status does not allow the action, its name is
    /// taken, or it may not be deleted because others link to it; `NotFound` when the runtime, the cluster or
    /// a linked one is not there.
    pub async fn accept(&self, _submission: Submission) -> Result<Accepted> {
        Err(soon())
    }

    /// Runs a job again that failed or was cancelled: the same plan, without what is done already. Failed
    /// tasks get new deadlines; the ledger still knows what was applied.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` unless it has ended without success, is its cluster's newest job and the cluster
    /// has not changed since.
    pub async fn retry(&self, _job: &JobId) -> Result<()> {
        Err(soon())
    }

    /// Asks a job to stop. Asking again changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it has ended.
    pub async fn cancel(&self, _job: &JobId) -> Result<()> {
        Err(soon())
    }

    /// The jobs that have not ended, oldest first.
    ///
    /// # Errors
    /// `Store`.
    pub async fn running_jobs(&self) -> Result<Vec<JobInfo>> {
        Err(soon())
    }

    /// The jobs of one cluster or of all, newest first.
    ///
    /// # Errors
    /// `Store`.
    pub async fn jobs(&self, _cluster: Option<&ClusterId>) -> Result<Vec<JobInfo>> {
        Err(soon())
    }

    /// One job, without its plan.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn job(&self, _job: &JobId) -> Result<JobInfo> {
        Err(soon())
    }

    /// One job, with all that is needed to carry it out.
    ///
    /// # Errors
    /// `NotFound`; `Store` when a newer Pitrix wrote it.
    pub async fn job_work(&self, _job: &JobId) -> Result<JobWork> {
        Err(soon())
    }

    /// The tasks of a job that have begun, in the order of its plan.
    ///
    /// # Errors
    /// `Store`.
    pub async fn tasks(&self, _job: &JobId) -> Result<Vec<TaskRow>> {
        Err(soon())
    }

    /// The calls of a job, counted by name and state.
    ///
    /// # Errors
    /// `Store`.
    pub async fn calls(&self, _job: &JobId) -> Result<Vec<CallCount>> {
        Err(soon())
    }

    /// The calls that have no outcome, of one job or of all.
    ///
    /// # Errors
    /// `Store`.
    pub async fn in_doubt(&self, _job: Option<&JobId>) -> Result<Vec<InDoubtCall>> {
        Err(soon())
    }
}

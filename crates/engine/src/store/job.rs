//! Jobs, their tasks and their calls, to look at.

use super::{cluster::word, error::failed, *};
use provider_core::{
    ActionKind, CallKey, Change, Fold, Handle, JobState, Plan, Policy, TaskId, Token, stored,
};
use serde::{Deserialize, Serialize};
use sqlx::{Sqlite, query::QueryAs, sqlite::SqliteArguments};

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
    pub plan: Arc<Plan>,
    /// On what terms.
    pub terms: Terms,
}

/// On what terms a job is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// When a failure ends it.
    pub policy: Policy,
    /// Whether an upgrade that fails is rolled back, by a job that follows it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undo: bool,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
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

/// A job's change and terms, beside its plan.
#[derive(Serialize, Deserialize)]
pub(super) struct JobDoc {
    pub(super) change: Change,
    #[serde(flatten)]
    pub(super) terms: Terms,
}

impl stored::Stored for JobDoc {
    const KIND: &'static str = "job";
    const VERSION: u32 = 1;
}

/// n, cluster, its name, action, state, run, created, ended, fold, error
type Row = (i64, String, String, String, String, u32, i64, Option<i64>, Option<String>, Option<String>);

macro_rules! jobs {
    ($which:literal) => {
        concat!(
            "SELECT job.n, job.cluster, cluster.name, job.action, job.state, job.run, job.created, job.ended, ",
            "job.fold, job.error FROM job JOIN cluster ON cluster.id = job.cluster ",
            $which
        )
    };
}

impl Store {
    /// The jobs that have not ended, oldest first.
    ///
    /// # Errors
    /// `Store`.
    pub async fn running_jobs(&self) -> Result<Vec<JobInfo>> {
        self.read_jobs(sqlx::query_as(jobs!("WHERE job.state IN ('running', 'cancelling') ORDER BY job.n")))
            .await
    }

    /// The jobs of one cluster or of all, newest first.
    ///
    /// # Errors
    /// `Store`.
    pub async fn jobs(&self, cluster: Option<&ClusterId>) -> Result<Vec<JobInfo>> {
        self.read_jobs(match cluster {
            Some(cluster) => sqlx::query_as(jobs!("WHERE job.cluster = ? ORDER BY job.n DESC"))
                .bind(cluster.as_str().to_owned()),
            None => sqlx::query_as(jobs!("ORDER BY job.n DESC")),
        })
        .await
    }

    /// One job, without its plan.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn job(&self, job: &JobId) -> Result<JobInfo> {
        let query = sqlx::query_as(jobs!("WHERE job.n = ?")).bind(number(job)?);
        self.read_jobs(query).await?.pop().ok_or_else(|| unknown(job))
    }

    /// One job, with all that is needed to carry it out.
    ///
    /// # Errors
    /// `NotFound`; `Store` when a newer Pitrix wrote it.
    pub async fn job_work(&self, job: &JobId) -> Result<JobWork> {
        let info = self.job(job).await?;
        // They never change, so that it does not matter that this is another read.
        let (doc, plan): (String, String) = sqlx::query_as("SELECT doc, plan FROM plan WHERE job = ?")
            .bind(number(job)?)
            .fetch_one(&mut *self.reader().await?)
            .await
            .map_err(failed(format!("reading the plan of `{job}`")))?;
        let JobDoc { change, terms } = stored::read(&doc)?;
        Ok(JobWork { info, change, plan: Arc::new(stored::read(&plan)?), terms })
    }

    async fn read_jobs(&self, query: QueryAs<'_, Sqlite, Row, SqliteArguments>) -> Result<Vec<JobInfo>> {
        let mut db = self.reader().await?;
        let rows = query.fetch_all(&mut *db).await.map_err(failed("reading jobs"))?;
        rows.into_iter().map(job_info).collect()
    }

    /// The tasks of a job that have begun, in the order of its plan.
    ///
    /// # Errors
    /// `Store`.
    pub async fn tasks(&self, job: &JobId) -> Result<Vec<TaskRow>> {
        type Row = (u32, u32, String, u32, i64, Option<i64>, Option<i64>, Option<String>, Option<String>);
        let rows: Vec<Row> = sqlx::query_as(concat!(
            "SELECT layer, idx, state, attempt, started, deadline, ended, handle, error ",
            "FROM task WHERE job = ? ORDER BY layer, idx"
        ))
        .bind(number(job)?)
        .fetch_all(&mut *self.reader().await?)
        .await
        .map_err(failed(format!("reading the tasks of `{job}`")))?;
        rows.into_iter()
            .map(|(layer, index, state, attempt, started, deadline, ended, handle, error)| {
                Ok(TaskRow {
                    id: TaskId { layer, index },
                    state: TaskState::from_columns(&state, error)?,
                    attempt,
                    started: Timestamp(started),
                    deadline: deadline.map(Timestamp),
                    ended: ended.map(Timestamp),
                    handle: handle.map(|handle| stored::read(&handle)).transpose()?,
                })
            })
            .collect()
    }

    /// The calls of a job, counted by name and state.
    ///
    /// # Errors
    /// `Store`.
    pub async fn calls(&self, job: &JobId) -> Result<Vec<CallCount>> {
        let rows: Vec<(String, String, u64)> = sqlx::query_as(
            "SELECT name, state, count(*) FROM call WHERE job = ? GROUP BY name, state ORDER BY name, state",
        )
        .bind(number(job)?)
        .fetch_all(&mut *self.reader().await?)
        .await
        .map_err(failed(format!("counting the calls of `{job}`")))?;
        rows.into_iter()
            .map(|(name, state, count)| Ok(CallCount { name, state: word(&state)?, count }))
            .collect()
    }

    /// The calls that have no outcome, of one job or of all.
    ///
    /// # Errors
    /// `Store`.
    pub async fn in_doubt(&self, job: Option<&JobId>) -> Result<Vec<InDoubtCall>> {
        type Row = (i64, u32, u32, u32, String, String, i64);
        let rows: Vec<Row> = sqlx::query_as(concat!(
            "SELECT job, layer, idx, n, name, token, at FROM call INDEXED BY call_in_doubt ",
            "WHERE state = 'intent' AND (?1 IS NULL OR job = ?1) ORDER BY job, layer, idx, n"
        ))
        .bind(job.map(number).transpose()?)
        .fetch_all(&mut *self.reader().await?)
        .await
        .map_err(failed("reading the calls in doubt"))?;
        let call = |(job, layer, index, n, name, token, at): Row| InDoubtCall {
            key: CallKey { job: job_id(job), task: TaskId { layer, index }, n },
            name,
            token: Token::new(token),
            at: Timestamp(at),
        };
        Ok(rows.into_iter().map(call).collect())
    }
}

fn job_info(
    (n, cluster, cluster_name, action, state, run, created, ended, fold, error): Row,
) -> Result<JobInfo> {
    Ok(JobInfo {
        id: job_id(n),
        cluster: ClusterId::new(cluster),
        cluster_name,
        action: word(&action)?,
        state: word(&state)?,
        run,
        created: Timestamp(created),
        ended: ended.map(Timestamp),
        fold: fold.map(|fold| stored::read(&fold)).transpose()?,
        error: error.map(|error| stored::read(&error)).transpose()?,
    })
}

impl TaskState {
    /// Whether nothing more will happen unless the job is retried.
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Done | Self::Failed { .. } | Self::Cancelled)
    }

    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused { .. } => "paused",
            Self::Done => "done",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Why an attempt failed.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Paused { error } | Self::Failed { error } => Some(error),
            Self::Running | Self::Done | Self::Cancelled => None,
        }
    }

    fn from_columns(state: &str, error: Option<String>) -> Result<Self> {
        let error = error.map(|error| stored::read(&error)).transpose()?;
        match (state, error) {
            ("running", None) => Ok(Self::Running),
            ("paused", Some(error)) => Ok(Self::Paused { error }),
            ("done", None) => Ok(Self::Done),
            ("failed", Some(error)) => Ok(Self::Failed { error }),
            ("cancelled", None) => Ok(Self::Cancelled),
            _ => Err(Error::store(format!("reading the store: a task is `{state}`, which makes no sense"))),
        }
    }
}

impl CallState {
    /// As shown to people and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::Reopened => "reopened",
        }
    }
}

/// The number of a job's row.
pub(super) fn number(job: &JobId) -> Result<i64> {
    let digits = job.as_str().strip_prefix("j-");
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| unknown(job))
}

pub(super) fn job_id(n: i64) -> JobId {
    JobId::new(format!("j-{n}"))
}

pub(super) fn unknown(job: &JobId) -> Error {
    Error::not_found(format!("there is no job `{job}`")).hint("`pitrix job list` shows those that there are")
}

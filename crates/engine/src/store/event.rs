//! What happened, in order, for those who follow.

use super::{
    error::failed,
    job::{job_id, number},
    *,
};
use provider_core::{ActionKind, JobState, TaskId, stored};
use serde::{Deserialize, Serialize};

/// Something that happened to a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its place in the order of all events; grows, with gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// To which job.
    pub job: JobId,
    /// What.
    pub kind: EventKind,
}

/// What can happen to a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum EventKind {
    /// It was accepted.
    Accepted {
        /// What it does.
        action: ActionKind,
        /// How many layers its plan has.
        layers: u32,
        /// How many tasks its plan has.
        tasks: u32,
    },
    /// Somebody asked for another run.
    Retried {
        /// Which run this is, from 2.
        run: u32,
    },
    /// Somebody asked to stop.
    Cancelling,
    /// An executor works on it; after a restart once more.
    Started,
    /// The tasks of a layer begin.
    LayerStarted {
        /// Which layer, from 0.
        layer: u32,
    },
    /// A task has come to this; see [`TaskReport`].
    Task {
        /// Which task.
        task: TaskId,
        /// Which attempt, from 1.
        attempt: u32,
        /// To what it has come.
        #[serde(flatten)]
        state: TaskState,
        /// What its command printed, when an operator or the package asked for that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
    },
    /// A task waits.
    Waiting {
        /// Which task.
        task: TaskId,
        /// For what.
        why: String,
    },
    /// It has ended.
    Ended {
        /// How.
        state: JobState,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Error>,
    },
    /// What was to follow it is a job now.
    Followed {
        /// Why.
        why: FollowUp,
        /// Which job.
        by: JobId,
        /// The name of the cluster on which that one works.
        cluster: String,
    },
    /// What was to follow it could not be accepted.
    NotFollowed {
        /// Why it was to follow.
        why: FollowUp,
        /// The name of the cluster that it was about.
        cluster: String,
        /// What stood in the way.
        error: Error,
    },
}

/// Whose events to read; by default everybody's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only of this job.
    pub job: Option<JobId>,
    /// Only of the jobs of this cluster.
    pub cluster: Option<ClusterId>,
}

impl stored::Stored for EventKind {
    const KIND: &'static str = "event";
    const VERSION: u32 = 1;
}

/// Appends an event in a transaction.
pub(super) async fn append(
    db: &mut SqliteConnection,
    now: Timestamp,
    job: i64,
    kind: &EventKind,
) -> Result<()> {
    sqlx::query("INSERT INTO event (at, job, body) VALUES (?, ?, ?)")
        .bind(now.0)
        .bind(job)
        .bind(stored::store(kind)?)
        .execute(db)
        .await
        .map_err(failed("appending an event"))?;
    Ok(())
}

impl Store {
    /// The events after `seq` in their order, at most `limit`. Start with 0 and go on with the last one's.
    ///
    /// # Errors
    /// `Store`.
    pub async fn events(&self, after: u64, filter: &EventFilter, limit: u32) -> Result<Vec<Event>> {
        let sql = match filter {
            EventFilter { job: Some(_), .. } => {
                "SELECT seq, at, job, body FROM event WHERE seq > ?1 AND job = ?3 ORDER BY seq LIMIT ?2"
            }
            EventFilter { cluster: Some(_), .. } => concat!(
                "SELECT seq, at, job, body FROM event ",
                "WHERE seq > ?1 AND job IN (SELECT n FROM job WHERE cluster = ?4) ORDER BY seq LIMIT ?2"
            ),
            _ => "SELECT seq, at, job, body FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        };
        let rows: Vec<(u64, i64, i64, String)> = sqlx::query_as(sql)
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(limit)
            .bind(filter.job.as_ref().map(number).transpose()?)
            .bind(filter.cluster.as_ref().map(ClusterId::as_str))
            .fetch_all(&mut *self.reader().await?)
            .await
            .map_err(failed("reading events"))?;
        rows.into_iter()
            .map(|(seq, at, job, body)| {
                Ok(Event { seq, at: Timestamp(at), job: job_id(job), kind: stored::read(&body)? })
            })
            .collect()
    }
}

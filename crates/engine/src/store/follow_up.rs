//! What is to follow a job that has ended: written down in the transaction that ends it, and taken out in the one
//! that accepts the job that it becomes. In between an executor plans it, which no transaction waits for.

use super::{
    cluster::word,
    error::failed,
    event::append,
    job::{job_id, number},
    *,
};
use serde::{Deserialize, Serialize};

/// Why a job follows another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FollowUp {
    /// An upgrade failed that was to be rolled back then.
    Undo,
    /// The addresses of a cluster changed that this one links to.
    Tell,
}

impl FollowUp {
    /// As it stands in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undo => "undo",
            Self::Tell => "tell",
        }
    }
}

/// Something that is to follow a job that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueFollowUp {
    pub(super) n: i64,
    /// The job that has ended.
    pub job: JobId,
    /// What is to be done.
    pub why: FollowUp,
    /// The name of the cluster that it is to be done to.
    pub cluster: String,
    /// Whether a job is at work on that cluster, which this one waits for.
    pub waits: bool,
}

impl DueFollowUp {
    /// Its number; no other one ever has the same.
    pub fn number(&self) -> i64 {
        self.n
    }
}

impl Store {
    /// What is to follow jobs that have ended, one job or all, and is no job yet.
    ///
    /// # Errors
    /// `Store`.
    pub async fn follow_ups(&self, job: Option<&JobId>) -> Result<Vec<DueFollowUp>> {
        let rows: Vec<(i64, i64, String, String, bool)> = sqlx::query_as(concat!(
            "SELECT follow_up.n, follow_up.job, follow_up.what, cluster.name, EXISTS (SELECT 1 FROM job ",
            "WHERE job.cluster = follow_up.cluster AND job.state IN ('running', 'cancelling')) ",
            "FROM follow_up JOIN cluster ON cluster.id = follow_up.cluster ",
            "WHERE ?1 IS NULL OR follow_up.job = ?1 ORDER BY follow_up.n"
        ))
        .bind(job.map(number).transpose()?)
        .fetch_all(&mut *self.reader().await?)
        .await
        .map_err(failed("reading what is to follow"))?;
        rows.into_iter()
            .map(|(n, job, what, cluster, waits)| {
                Ok(DueFollowUp { n, job: job_id(job), why: word(&what)?, cluster, waits })
            })
            .collect()
    }

    /// Whether there is work for an executor: a job that has not ended, or something that is to follow one.
    ///
    /// # Errors
    /// `Store`.
    pub async fn has_work(&self) -> Result<bool> {
        Ok(!self.running_jobs().await?.is_empty() || !self.follow_ups(None).await?.is_empty())
    }
}

impl Tenure {
    /// Accepts the job that `due` has become by planning.
    ///
    /// # Errors
    /// `Fenced`; else as [`Store::accept`].
    pub async fn accept_follow_up(&self, due: &DueFollowUp, submission: Submission) -> Result<Accepted> {
        self.store().accept_under(Some(self.epoch()), Some(due.clone()), submission).await
    }

    /// Gives up what was to follow. An error says why; without one there was nothing to do.
    ///
    /// # Errors
    /// `Fenced`, `Store`.
    pub async fn drop_follow_up(&self, due: &DueFollowUp, error: Option<Error>) -> Result<()> {
        let (due, now) = (due.clone(), self.store().now());
        self.store()
            .write(Some(self.epoch()), move |db| {
                Box::pin(async move {
                    if !take(db, &due).await? {
                        return Ok(());
                    }
                    let Some(error) = error else { return Ok(()) };
                    let DueFollowUp { job, why, cluster, .. } = due;
                    append(db, now, number(&job)?, &EventKind::NotFollowed { why, cluster, error }).await
                })
            })
            .await
    }
}

/// Writes down what is to follow job `n`.
pub(super) async fn put(
    db: &mut SqliteConnection,
    n: i64,
    why: FollowUp,
    clusters: &[ClusterId],
) -> Result<()> {
    for cluster in clusters {
        sqlx::query("INSERT INTO follow_up (job, cluster, what) VALUES (?, ?, ?)")
            .bind(n)
            .bind(cluster.as_str())
            .bind(why.as_str())
            .execute(&mut *db)
            .await
            .map_err(failed(format!("writing down what is to follow `{}`", job_id(n))))?;
    }
    Ok(())
}

/// Takes one out. False when somebody did before.
pub(super) async fn take(db: &mut SqliteConnection, due: &DueFollowUp) -> Result<bool> {
    let taken = sqlx::query("DELETE FROM follow_up WHERE n = ?").bind(due.n).execute(db).await;
    let taken = taken.map_err(failed(format!("taking out what is to follow `{}`", due.job)))?;
    Ok(taken.rows_affected() == 1)
}

/// Checks that nothing is about to undo the last job of a cluster.
pub(super) async fn check_none_undoes(
    db: &mut SqliteConnection,
    cluster: &ClusterId,
    attempt: &str,
) -> Result<()> {
    let undone: Option<i64> =
        sqlx::query_scalar("SELECT job FROM follow_up WHERE cluster = ? AND what = 'undo'")
            .bind(cluster.as_str())
            .fetch_optional(db)
            .await
            .map_err(failed(attempt))?;
    let Some(undone) = undone.map(job_id) else { return Ok(()) };
    Err(Error::conflict(format!("{attempt}: job `{undone}` is about to be undone"))
        .hint(format!("`pitrix job watch {undone}` follows that")))
}

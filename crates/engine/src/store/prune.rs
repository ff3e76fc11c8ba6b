//! Forgetting what jobs did that ended long ago: their plans, tasks, calls and events.

use super::{error::failed, *};
use std::time::Duration;

/// How many jobs to forget in one transaction: others wait for it.
const AT_A_TIME: u32 = 100;

/// A day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Store {
    /// Forgets the jobs that ended at least `days` days ago, with all that they did, and gives how many those are.
    /// It keeps the newest job of each cluster that is not deleted, which can be retried; a job with a call whose
    /// outcome is unknown; and one that something is to follow. Done in parts: what was forgotten stays so when the
    /// rest fails.
    ///
    /// # Errors
    /// `Store`.
    pub async fn forget_jobs(&self, days: u32) -> Result<usize> {
        let now = self.now().0;
        let age = i64::try_from((DAY * days).as_millis()).unwrap_or(i64::MAX);
        let mut forgotten = 0;
        loop {
            let some = self.write(None, move |db| {
                Box::pin(async move {
                    // The newest job and the newest event keep their numbers from being given again.
                    let jobs: Vec<i64> = sqlx::query_scalar(concat!(
                        "SELECT n FROM job WHERE ended <= ? AND n <> (SELECT max(n) FROM job) ",
                        "AND n <> (SELECT job FROM event ORDER BY seq DESC LIMIT 1) ",
                        "AND (n <> (SELECT max(n) FROM job AS other WHERE other.cluster = job.cluster) OR EXISTS ",
                        "(SELECT 1 FROM cluster WHERE id = job.cluster AND status IN ('deleted', 'ceased'))) ",
                        "AND NOT EXISTS (SELECT 1 FROM call WHERE job = job.n AND state = 'intent') ",
                        "AND NOT EXISTS (SELECT 1 FROM follow_up WHERE job = job.n) ORDER BY n LIMIT ?"
                    ))
                    .bind(now.saturating_sub(age))
                    .bind(AT_A_TIME)
                    .fetch_all(&mut *db)
                    .await
                    .map_err(failed("looking for old jobs"))?;
                    forget(db, &jobs).await?;
                    Ok(jobs.len())
                })
            });
            let some = some.await?;
            forgotten += some;
            if some < AT_A_TIME as usize {
                return Ok(forgotten);
            }
        }
    }

    /// For how many days the executor keeps what jobs did; none is for ever.
    ///
    /// # Errors
    /// `Store`.
    pub async fn kept_days(&self) -> Result<Option<u32>> {
        sqlx::query_scalar("SELECT keep_days FROM meta")
            .fetch_one(&mut *self.reader().await?)
            .await
            .map_err(failed("reading how long jobs are kept"))
    }

    /// Sets for how many days the executor keeps what jobs did; none is for ever.
    ///
    /// # Errors
    /// `Store`.
    pub async fn keep_days(&self, days: Option<u32>) -> Result<()> {
        self.write(None, move |db| {
            Box::pin(async move {
                let set = sqlx::query("UPDATE meta SET keep_days = ?").bind(days).execute(db).await;
                set.map(drop).map_err(failed("setting how long jobs are kept"))
            })
        })
        .await
    }
}

/// Removes jobs and all that is on record of them.
pub(super) async fn forget(db: &mut SqliteConnection, jobs: &[i64]) -> Result<()> {
    let jobs =
        serde_json::to_string(jobs).map_err(|e| Error::bug("numbers have a JSON form").caused_by(&e))?;
    for sql in [
        "DELETE FROM event WHERE job IN (SELECT value FROM json_each(?))",
        "DELETE FROM call WHERE job IN (SELECT value FROM json_each(?))",
        "DELETE FROM task WHERE job IN (SELECT value FROM json_each(?))",
        "DELETE FROM plan WHERE job IN (SELECT value FROM json_each(?))",
        "DELETE FROM job WHERE n IN (SELECT value FROM json_each(?))",
    ] {
        sqlx::query(sql).bind(&jobs).execute(&mut *db).await.map_err(failed("forgetting old jobs"))?;
    }
    Ok(())
}

//! The one writer of a process: what is queued while a commit is under way goes into the next one together.

use super::{
    bulk::{Rows, write_rows},
    error::{failed, is_refusal},
};
use provider_core::{Clock, CrashPoint, Error, Result};
use sqlx::{Connection, SqliteConnection};
use std::{future::Future, pin::Pin, sync::Arc};
use tokio::sync::{mpsc, watch};

/// How many operations one commit takes at most.
const MOST: usize = 512;

pub(super) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One operation. It is carried out whole or not at all, and its failure touches no other.
pub(super) struct Op {
    /// Of an executor: the epoch that must still be the store's.
    pub(super) epoch: Option<i64>,
    pub(super) work: Work,
    /// Is told what became of it, once that is durable.
    pub(super) tell: Tell,
}

pub(super) type Tell = Box<dyn FnOnce(Result<()>) + Send>;

pub(super) enum Work {
    /// Rows that are written together with those of other operations.
    Rows(Rows),
    /// Anything else. None once it was run.
    Own(Option<Run>),
}

pub(super) type Run = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> Boxed<'c, Result<()>> + Send>;

pub(super) struct Writer {
    pub(super) db: SqliteConnection,
    pub(super) queue: mpsc::Receiver<Op>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) crash: Arc<dyn CrashPoint>,
    /// Is sent to after each commit.
    pub(super) news: watch::Sender<()>,
}

impl Writer {
    /// Writes until nobody can queue anything any more.
    pub(super) async fn run(mut self) {
        let mut ops = Vec::with_capacity(MOST);
        while self.queue.recv_many(&mut ops, MOST).await > 0 {
            let mut verdicts = vec![Ok(()); ops.len()];
            let result = self.transact(&mut ops, &mut verdicts).await;
            for (op, verdict) in ops.drain(..).zip(verdicts) {
                (op.tell)(verdict.and_then(|()| result.clone()));
            }
        }
        // Everything that was told is durable already, whether or not closing succeeds.
        let _ = self.db.close().await;
    }

    /// Carries out `ops` in one transaction. What went wrong with one of them is in its verdict; an error is
    /// the fate of all the others.
    async fn transact(&mut self, ops: &mut [Op], verdicts: &mut [Result<()>]) -> Result<()> {
        let mut result = self.carry_out(ops, verdicts).await;
        if result.is_ok() && verdicts.iter().any(Result::is_ok) {
            result = commit(&mut self.db, &*self.crash).await;
            if result.is_ok() {
                self.news.send_replace(());
                return Ok(());
            }
        }
        // SQLite may have rolled back by itself, which makes this fail and is as good.
        let _ = sqlx::query("ROLLBACK").execute(&mut self.db).await;
        result
    }

    async fn carry_out(&mut self, ops: &mut [Op], verdicts: &mut [Result<()>]) -> Result<()> {
        // Every statement costs two hops between threads, so one says all that each transaction begins with.
        let epoch = epoch(&mut self.db, "BEGIN IMMEDIATE; SAVEPOINT op; SELECT epoch FROM meta").await?;
        let (mut rows, mut own) = (Vec::with_capacity(ops.len()), Vec::new());
        for (op, verdict) in ops.iter_mut().zip(verdicts) {
            match &mut op.work {
                Work::Rows(_) if op.epoch.is_some_and(|its| its != epoch) => *verdict = Err(fenced()),
                Work::Rows(these) => rows.push((&*these, verdict)),
                Work::Own(run) => own.push((op.epoch, run.take(), verdict)),
            }
        }
        let all: Vec<_> = rows.iter().map(|(these, _)| *these).collect();
        if self.write(&all).await?.is_err() {
            // One of them is to blame: each by itself.
            execute(&mut self.db, "ROLLBACK TO op").await?;
            for (these, verdict) in rows {
                execute(&mut self.db, "SAVEPOINT op").await?;
                let result = self.write(&[these]).await?;
                *verdict = self.leave(result).await?;
            }
        }
        for (its, run, verdict) in own {
            // One before it may have taken over.
            *verdict = match its {
                Some(its) if its != self::epoch(&mut self.db, "SELECT epoch FROM meta").await? => {
                    Err(fenced())
                }
                _ => self.run_own(run).await?,
            };
        }
        Ok(())
    }

    /// Writes these sets of rows. The inner error says that the store refuses some of them.
    async fn write(&mut self, sets: &[&Rows]) -> Result<Result<()>> {
        let written = write_rows(&mut self.db, sets, self.clock.now()).await;
        let refused = written.as_ref().is_err_and(is_refusal);
        let result = written.map_err(failed("writing for a job"));
        if refused { Ok(result) } else { result.map(Ok) }
    }

    async fn run_own(&mut self, run: Option<Run>) -> Result<Result<()>> {
        let Some(run) = run else {
            return Ok(Err(Error::bug("an operation was queued twice")));
        };
        execute(&mut self.db, "SAVEPOINT op").await?;
        let result = run(&mut self.db).await;
        self.leave(result).await
    }

    /// Keeps or takes back what was done since the last savepoint.
    async fn leave(&mut self, result: Result<()>) -> Result<Result<()>> {
        if let Err(error) = &result {
            // It fails when SQLite has given up the whole transaction, for this very reason.
            let rolled_back = execute(&mut self.db, "ROLLBACK TO op").await;
            rolled_back.map_err(|_| error.clone())?;
        }
        execute(&mut self.db, "RELEASE op").await?;
        Ok(result)
    }
}

/// The only place that commits.
pub(super) async fn commit(db: &mut SqliteConnection, crash: &dyn CrashPoint) -> Result<()> {
    crash.reach("before commit").await;
    execute(db, "COMMIT").await?;
    crash.reach("after commit").await;
    Ok(())
}

pub(super) async fn execute(db: &mut SqliteConnection, sql: &'static str) -> Result<()> {
    let done = sqlx::query(sql).execute(db).await;
    done.map(|_| ()).map_err(failed("writing to the store"))
}

/// What `sql` ends with asking.
async fn epoch(db: &mut SqliteConnection, sql: &'static str) -> Result<i64> {
    let epoch = sqlx::query_scalar(sql).fetch_one(db).await;
    epoch.map_err(failed("writing to the store"))
}

fn fenced() -> Error {
    Error::fenced("writing for a job: another executor has taken over")
}

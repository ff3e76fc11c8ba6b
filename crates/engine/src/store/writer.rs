//! The one writer of a process: what is queued while a commit is under way goes into the next one together.

use super::{
    bulk::{Rows, write_rows},
    error::{failed, is_refusal},
};
use provider_core::{Clock, CrashPoint, Error, Result};
use sqlx::{Connection, SqliteConnection};
use std::{future::Future, pin::Pin, sync::Arc};
use tokio::sync::mpsc;

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
        begin(&mut self.db).await?;
        let mut result = self.carry_out(ops, verdicts).await;
        if result.is_ok() && verdicts.iter().any(Result::is_ok) {
            result = commit(&mut self.db, &*self.crash).await;
            if result.is_ok() {
                return Ok(());
            }
        }
        // SQLite may have rolled back by itself, which makes this fail and is as good.
        let _ = sqlx::query("ROLLBACK").execute(&mut self.db).await;
        result
    }

    async fn carry_out(&mut self, ops: &mut [Op], verdicts: &mut [Result<()>]) -> Result<()> {
        let epoch = epoch(&mut self.db).await?;
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
            for (these, verdict) in rows {
                *verdict = self.write(&[these]).await?;
            }
        }
        for (its, run, verdict) in own {
            *verdict = match its {
                Some(its) if its != self::epoch(&mut self.db).await? => Err(fenced()),
                _ => self.run_own(run).await?,
            };
        }
        Ok(())
    }

    /// Writes these sets of rows. The inner error says that the store refuses them and that none was written.
    async fn write(&mut self, sets: &[&Rows]) -> Result<Result<()>> {
        if sets.is_empty() {
            return Ok(Ok(()));
        }
        self.enter().await?;
        match write_rows(&mut self.db, sets, self.clock.now()).await {
            Ok(()) => self.leave(Ok(())).await,
            Err(error) if is_refusal(&error) => self.leave(Err(failed("writing for a job")(error))).await,
            Err(error) => Err(failed("writing for a job")(error)),
        }
    }

    async fn run_own(&mut self, run: Option<Run>) -> Result<Result<()>> {
        let Some(run) = run else {
            return Ok(Err(Error::bug("an operation was queued twice")));
        };
        self.enter().await?;
        let result = run(&mut self.db).await;
        self.leave(result).await
    }

    async fn enter(&mut self) -> Result<()> {
        execute(&mut self.db, "SAVEPOINT op").await
    }

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

pub(super) async fn begin(db: &mut SqliteConnection) -> Result<()> {
    execute(db, "BEGIN IMMEDIATE").await
}

/// The only place that commits.
pub(super) async fn commit(db: &mut SqliteConnection, crash: &dyn CrashPoint) -> Result<()> {
    crash.reach("before commit").await;
    execute(db, "COMMIT").await?;
    crash.reach("after commit").await;
    Ok(())
}

async fn execute(db: &mut SqliteConnection, sql: &'static str) -> Result<()> {
    let done = sqlx::query(sql).execute(db).await;
    done.map(|_| ()).map_err(failed("writing to the store"))
}

async fn epoch(db: &mut SqliteConnection) -> Result<i64> {
    sqlx::query_scalar("SELECT epoch FROM meta").fetch_one(db).await.map_err(failed("reading who may write"))
}

fn fenced() -> Error {
    Error::fenced("writing for a job: another executor has taken over")
}

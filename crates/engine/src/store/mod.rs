//! Everything that outlives a process, in one SQLite file.
//!
//! Several processes have the file open at once: command lines, and at most one executor. Each has one
//! [`writer`], which puts everything that is queued into one commit, and a few connections that read; each read
//! is one statement, and so sees one moment. What an executor writes goes through its [`Tenure`], whose epoch
//! is checked in the same transaction.

mod accept;
mod app;
mod bulk;
mod cluster;
mod error;
mod event;
mod follow_up;
mod job;
mod ledger;
mod open;
mod prune;
mod reader;
mod run;
mod runtime;
mod secret;
mod tenure;
mod writer;

pub use accept::{Accepted, Submission};
pub use app::{AppVersion, Origin};
pub use cluster::{ClusterFilter, new_cluster_id};
pub use event::{Event, EventFilter, EventKind};
pub use follow_up::{DueFollowUp, FollowUp};
pub use job::{CallCount, CallState, InDoubtCall, JobInfo, JobWork, TaskRow, TaskState, Terms};
pub use tenure::{Recording, TaskReport, Tenure};

use async_trait::async_trait;
use provider_core::{
    AppVersionId, Archive, Clock, Cluster, ClusterId, CrashPoint, Credential, DeploymentId, Error, JobId,
    NoCrash, Records, Result, Runtime, RuntimeId, Secret, SecretRef, Secrets, Timestamp,
};
use reader::Readers;
use secret::Keyring;
pub(crate) use secret::random_secret;
use sqlx::SqliteConnection;
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use writer::{Boxed, Op, Work, Writer};

/// How many operations wait for the writer at most; further callers wait for a place.
const QUEUE: usize = 1024;

/// How to open a [`Store`].
#[derive(Clone)]
pub struct Options {
    /// The state directory. It is made, open to its owner alone, if it is missing.
    pub dir: PathBuf,
    /// The time, for whatever is dated.
    pub clock: Arc<dyn Clock>,
    /// Comes by `before commit` and `after commit` around every commit.
    pub crash: Arc<dyn CrashPoint>,
    /// Bounds the database, in pages of 4 KiB; none leaves it to the disk.
    pub max_pages: Option<u32>,
    commits: Arc<AtomicU64>,
}

impl Options {
    /// Opens the store in `dir`.
    pub fn new(dir: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self { dir: dir.into(), clock, crash: Arc::new(NoCrash), max_pages: None, commits: Arc::default() }
    }

    /// How many commits SQLite has made for the stores that were opened with these options or a clone of them.
    /// SQLite itself counts, so a commit that came by no crash point shows up as a difference.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }
}

/// The state of one installation. Cheap to clone.
///
/// Every function that changes something returns when the change is durable. Dropping its future does not take
/// the change back: it may or may not be made. Dropping the last clone abandons what is still queued.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    deployment: DeploymentId,
    keyring: Keyring,
    clock: Arc<dyn Clock>,
    packages: app::Packages,
    readers: Readers,
    queue: mpsc::Sender<Op>,
    news: watch::Receiver<()>,
    /// The writer; it ends with the store.
    writer: JoinSet<()>,
}

impl Store {
    /// Opens the state directory, and sets it up the first time. Runs in a tokio runtime, and belongs to it.
    ///
    /// # Errors
    /// `Store` when it can't be read or written, or was written by a newer Pitrix.
    pub async fn open(options: Options) -> Result<Self> {
        let opened = open::open(&options).await?;
        let (queue, queued) = mpsc::channel(QUEUE);
        let (told, news) = watch::channel(());
        let mut writer = JoinSet::new();
        writer.spawn(
            Writer {
                db: opened.writer,
                queue: queued,
                clock: options.clock.clone(),
                crash: options.crash,
                news: told,
            }
            .run(),
        );
        Ok(Self(Arc::new(Inner {
            deployment: opened.deployment,
            keyring: opened.keyring,
            clock: options.clock,
            packages: app::Packages::default(),
            readers: Readers::new(opened.connect),
            queue,
            news,
            writer,
        })))
    }

    /// This installation.
    pub fn deployment(&self) -> &DeploymentId {
        &self.0.deployment
    }

    /// Changes whenever this process has made something durable; what others write, it does not tell.
    pub fn news(&self) -> watch::Receiver<()> {
        self.0.news.clone()
    }

    /// Makes the caller the only executor: whoever had the right to write for jobs has lost it.
    ///
    /// # Errors
    /// `Store`.
    pub async fn take_over(&self) -> Result<Tenure> {
        let epoch = self
            .write(None, |db| {
                Box::pin(async move {
                    sqlx::query_scalar("UPDATE meta SET epoch = epoch + 1 RETURNING epoch")
                        .fetch_one(db)
                        .await
                        .map_err(error::failed("taking over the store"))
                })
            })
            .await?;
        Ok(Tenure::new(self.clone(), epoch))
    }

    /// Waits until what is queued is written and the files are closed, if this is the last clone.
    pub async fn close(self) {
        let Some(inner) = Arc::into_inner(self.0) else {
            return;
        };
        drop(inner.queue);
        inner.writer.join_all().await;
        inner.readers.close().await;
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Runs `work` in a transaction of the writer, under `epoch` if one is given.
    async fn write<T: Send + 'static>(
        &self,
        epoch: Option<i64>,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> Boxed<'c, Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (put, value) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let op = Op {
            epoch,
            work: Work::Own(Some(Box::new(|db| {
                Box::pin(async move {
                    // Whoever does not wait for the value any more does not need it.
                    let _ = put.send(work(db).await?);
                    Ok(())
                })
            }))),
            tell: Box::new(|result| {
                let _ = tell.send(result);
            }),
        };
        self.0.queue.send(op).await.map_err(|_| closed())?;
        told.await.map_err(|_| closed())??;
        value.await.map_err(|_| closed())
    }
}

fn closed() -> Error {
    Error::store("writing to the store: it is closed")
}

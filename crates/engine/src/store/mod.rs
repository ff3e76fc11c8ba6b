//! Everything that outlives a process, in one SQLite file.
//!
//! Several processes have the file open at once: command lines, and at most one executor. Each has one writer
//! task, which puts everything that is queued into one commit, and a few connections that read. What an
//! executor writes goes through its [`Tenure`], whose epoch is checked in the same transaction.

mod app;
mod cluster;
mod event;
mod job;
mod runtime;
mod tenure;

pub use app::AppVersion;
pub use cluster::{ClusterFilter, new_cluster_id};
pub use event::{Event, EventFilter, EventKind};
pub use job::{
    Accepted, CallCount, CallState, InDoubtCall, JobInfo, JobWork, Submission, TaskRow, TaskState,
};
pub use tenure::{Recording, TaskReport, Tenure};

use async_trait::async_trait;
use provider_core::{
    AppVersionId, Archive, Clock, Cluster, ClusterId, CrashPoint, Credential, DeploymentId, Error, JobId,
    NoCrash, Records, Result, Runtime, RuntimeId, Secret, SecretRef, Secrets,
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

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
}

impl Store {
    /// Opens the state directory, and sets it up the first time.
    ///
    /// # Errors
    /// `Store` when it can't be read or written, or was written by a newer Pitrix.
    pub async fn open(_options: Options) -> Result<Self> {
        Err(soon())
    }

    /// This installation.
    pub fn deployment(&self) -> &DeploymentId {
        &self.0.deployment
    }

    /// Makes the caller the only executor: whoever had the right to write for jobs has lost it.
    ///
    /// # Errors
    /// `Store`.
    pub async fn take_over(&self) -> Result<Tenure> {
        Err(soon())
    }

    /// Waits until the files are closed, provided that this is the last clone.
    pub async fn close(self) {}
}

fn soon() -> Error {
    Error::bug("the store is being written")
}

#[async_trait]
impl Records for Store {
    async fn cluster(&self, _id: &ClusterId) -> Result<Option<Cluster>> {
        Err(soon())
    }

    async fn cluster_named(&self, _name: &str) -> Result<Option<Cluster>> {
        Err(soon())
    }

    async fn package(&self, _app: &AppVersionId) -> Result<Arc<Archive>> {
        Err(soon())
    }
}

#[async_trait]
impl Secrets for Store {
    async fn resolve(&self, _reference: &SecretRef) -> Result<Secret> {
        Err(soon())
    }
}

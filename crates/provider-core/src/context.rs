//! What a provider gets to work with: a look at the world, and, for handlers, the right to call.

use crate::{
    AppVersionId, Archive, Clock, CloudCall, Cluster, ClusterId, Credential, Facts, Gateway, Result, Runtime,
    Seat, Secrets, Timestamp,
};
use async_trait::async_trait;
use std::{
    ops::Deref,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};
use tokio::sync::watch;

/// Reads what is on record.
#[async_trait]
pub trait Records: Send + Sync + 'static {
    /// The cluster called `id`; none when there is no such cluster.
    async fn cluster(&self, id: &ClusterId) -> Result<Option<Cluster>>;

    /// The newest cluster of this name that is not deleted.
    async fn cluster_named(&self, name: &str) -> Result<Option<Cluster>>;

    /// The files of an app version.
    ///
    /// # Errors
    /// `NotFound` when it was never pushed.
    async fn package(&self, app: &AppVersionId) -> Result<Arc<Archive>>;
}

/// Says when a job shall stop.
#[derive(Clone, Debug)]
pub struct Cancel(watch::Receiver<bool>);

impl Cancel {
    /// A signal, and the means to give it.
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Whether the signal was given.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when the signal is given; never, if nobody can give it any more.
    pub async fn cancelled(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|cancelled| *cancelled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A view that changes nothing. Cheap to clone.
#[derive(Clone)]
pub struct Look {
    /// The runtime that is being worked with.
    pub runtime: Arc<Runtime>,
    /// Its credential.
    pub credential: Arc<Credential>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whether to stop.
    pub cancel: Cancel,
    /// Everything else on record.
    pub records: Arc<dyn Records>,
    /// The secrets on record; while a change is planned, also those that it would bring.
    pub secrets: Arc<dyn Secrets>,
    /// When the task at hand counts as failed; none outside of a task.
    pub deadline: Option<Timestamp>,
    cluster: Option<Arc<RwLock<Cluster>>>,
    facts: Option<Arc<Facts>>,
}

impl Look {
    /// A view of a runtime.
    pub fn new(
        runtime: Arc<Runtime>,
        credential: Arc<Credential>,
        clock: Arc<dyn Clock>,
        cancel: Cancel,
        records: Arc<dyn Records>,
        secrets: Arc<dyn Secrets>,
    ) -> Self {
        Self {
            runtime,
            credential,
            clock,
            cancel,
            records,
            secrets,
            deadline: None,
            cluster: None,
            facts: None,
        }
    }

    /// The same view, of a job that works on `cluster` by a plan that rests on `facts`.
    #[must_use]
    pub fn of_job(mut self, cluster: Arc<RwLock<Cluster>>, facts: Arc<Facts>) -> Self {
        self.cluster = Some(cluster);
        self.facts = Some(facts);
        self
    }

    /// The cluster of this job as it is on record now. Don't hold it across an await.
    ///
    /// # Panics
    /// Outside a job.
    pub fn cluster(&self) -> RwLockReadGuard<'_, Cluster> {
        let cluster = self.cluster.as_ref().expect("tasks run in a job");
        cluster.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the job's plan rests on.
    ///
    /// # Panics
    /// Outside a job.
    pub fn facts(&self) -> &Facts {
        self.facts.as_ref().expect("tasks run in a job")
    }
}

/// What a task's handler gets: a [`Look`], and calls.
pub struct TaskContext {
    look: Look,
    gateway: Gateway,
    seat: Arc<Seat>,
}

impl TaskContext {
    /// The context of the task that has `seat`.
    pub fn new(look: Look, gateway: Gateway, seat: Arc<Seat>) -> Self {
        Self { look, gateway, seat }
    }

    /// Makes call number `n` of this task. Numbers are constants of the handler: the same number is the same
    /// call for good, and once it was applied its reply comes from the ledger. Dropping the future does not
    /// take the call back.
    ///
    /// # Errors
    /// What the cloud answered; `InDoubt` when it did not.
    pub async fn call<C: CloudCall>(&self, n: u32, api: &Arc<C::Api>, call: C) -> Result<C::Reply> {
        self.gateway.call(&self.seat, n, api, call).await
    }

    /// Forgets that this task's calls were applied, because a wait found their effect lost or an agent's
    /// command failed. The next calls are new ones.
    ///
    /// # Errors
    /// `Store` or `Fenced`.
    pub async fn reopen(&self) -> Result<()> {
        self.gateway.reopen(&self.seat).await
    }

    /// The task's seat.
    pub fn seat(&self) -> &Seat {
        &self.seat
    }
}

impl Deref for TaskContext {
    type Target = Look;

    fn deref(&self) -> &Look {
        &self.look
    }
}

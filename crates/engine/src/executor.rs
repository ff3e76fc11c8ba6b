//! The embedded executor: carries out every job that has not ended, and resumes what a crash left.

use crate::{Control, DueFollowUp, JobInfo, Tenure, follow_up, job};
use provider_core::{Cancel, CrashPoint, ErrorKind, Gateway, JobId, JobState, NoCrash, Result};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinSet,
};

/// How long to leave a job alone after the store failed under it; doubles up to a minute.
const STORE_PAUSE: Duration = Duration::from_secs(2);

/// How an executor works.
#[derive(Clone)]
pub struct Settings {
    /// How many requests may be in flight at a time, over all jobs.
    pub in_flight: usize,
    /// Comes by `before send` and `after reply` around every request.
    pub crash: Arc<dyn CrashPoint>,
    /// Gets a line whenever something happens that an operator of the executor should know.
    pub log: Arc<dyn Fn(String) + Send + Sync>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { in_flight: 64, crash: Arc::new(NoCrash), log: Arc::new(|_| {}) }
    }
}

/// Runs jobs. At most one works on a store: starting one ends the right of any other to write.
pub struct Executor {
    control: Control,
    tenure: Tenure,
    gateway: Gateway,
    log: Arc<dyn Fn(String) + Send + Sync>,
    /// Closes when the gateway and all that it sends are gone.
    sending: mpsc::Receiver<()>,
}

impl Executor {
    /// Takes over the store.
    ///
    /// # Errors
    /// `Store`.
    pub async fn start(control: Control, settings: Settings) -> Result<Self> {
        let tenure = control.store.take_over().await?;
        let (sends, sending) = mpsc::channel(1);
        let gateway = Gateway::new(
            control.store.deployment().clone(),
            Arc::new(tenure.clone()),
            Arc::new(move |batch| {
                let sends = sends.clone();
                tokio::spawn(async move {
                    batch.await;
                    drop(sends);
                });
            }),
            settings.crash,
            settings.in_flight,
        );
        Ok(Self { control, tenure, gateway, log: settings.log, sending })
    }

    /// Which tenure this is; see [`Tenure::epoch`].
    pub fn epoch(&self) -> i64 {
        self.tenure.epoch()
    }

    /// Carries out all jobs that there are and those that come, until there was none for the time `idle`.
    /// `wake` says that one was accepted or asked to stop. Dropping the future is a crash: what was being done
    /// is resumed by the next executor.
    ///
    /// # Errors
    /// `Fenced` when another executor took over, `Store` when the jobs can't be read.
    pub async fn run(&self, wake: &Notify, idle: Duration) -> Result<()> {
        let mut drivers = JoinSet::new();
        let mut cancels: HashMap<JobId, watch::Sender<bool>> = HashMap::new();
        let mut followers = JoinSet::new();
        let mut planning = HashSet::new();
        loop {
            for due in self.control.store.follow_ups(None).await? {
                if !due.waits && planning.insert(due.number()) {
                    followers.spawn(self.keep_following(due));
                }
            }
            for info in self.control.store.running_jobs().await? {
                let JobInfo { id, state, .. } = info;
                let cancel = cancels.entry(id.clone()).or_insert_with(|| {
                    let (sender, cancel) = Cancel::new();
                    drivers.spawn(self.keep_driving(id, cancel));
                    sender
                });
                if state == JobState::Cancelling {
                    cancel.send_replace(true);
                }
            }
            let quiet = drivers.is_empty() && followers.is_empty();
            tokio::select! {
                Some(ended) = drivers.join_next() => match ended {
                    Ok((id, result)) => {
                        cancels.remove(&id);
                        result?;
                    }
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                },
                Some(ended) = followers.join_next() => match ended {
                    Ok((number, result)) => {
                        planning.remove(&number);
                        result?;
                    }
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                },
                () = wake.notified() => {}
                () = self.control.clock.sleep(idle), if quiet => {
                    if !self.control.store.has_work().await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Waits until the requests in flight have their outcomes on record. Drop the future of [`run`](Self::run)
    /// first; dropping this one is a crash like any other.
    pub async fn settle(self) {
        let Self { gateway, mut sending, .. } = self;
        drop(gateway);
        // Nothing is ever sent: it ends when the last sender goes.
        let _ = sending.recv().await;
    }

    /// Drives a job to its end, over failures of the store: a full disk pauses jobs and loses none.
    fn keep_driving(
        &self,
        id: JobId,
        cancel: Cancel,
    ) -> impl Future<Output = (JobId, Result<()>)> + Send + 'static {
        let (control, tenure, gateway) = (self.control.clone(), self.tenure.clone(), self.gateway.clone());
        let mut patience = self.patience(format!("job {id}"));
        async move {
            loop {
                let result = job::drive(&control, &tenure, &gateway, &id, &cancel).await;
                if let Some(result) = patience.is_over(result).await {
                    return (id, result);
                }
            }
        }
    }

    /// Makes a job of what is to follow another, over failures of the store.
    fn keep_following(&self, due: DueFollowUp) -> impl Future<Output = (i64, Result<()>)> + Send + 'static {
        let (control, tenure) = (self.control.clone(), self.tenure.clone());
        let mut patience = self.patience(format!("what follows job {}", due.job));
        async move {
            loop {
                let result = follow_up::accept(&control, &tenure, &due).await;
                if let Some(result) = patience.is_over(result).await {
                    return (due.number(), result);
                }
            }
        }
    }

    fn patience(&self, what: String) -> Patience {
        Patience { control: self.control.clone(), log: self.log.clone(), what, pause: STORE_PAUSE }
    }
}

/// Waits for a store that fails.
struct Patience {
    control: Control,
    log: Arc<dyn Fn(String) + Send + Sync>,
    what: String,
    pause: Duration,
}

impl Patience {
    /// The result, if it is final. Else it is worth trying again after this.
    async fn is_over(&mut self, result: Result<()>) -> Option<Result<()>> {
        match result {
            Err(error) if error.kind() != ErrorKind::Fenced => {
                (self.log)(format!("{} pauses for {} s: {error}", self.what, self.pause.as_secs()));
                self.control.clock.sleep(self.pause).await;
                self.pause = (self.pause * 2).min(Duration::from_secs(60));
                None
            }
            ended => Some(ended),
        }
    }
}

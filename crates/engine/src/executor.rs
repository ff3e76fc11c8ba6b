//! The embedded executor: carries out every job that has not ended, and resumes what a crash left.

use crate::{Control, JobInfo, Tenure, job};
use provider_core::{Cancel, CrashPoint, ErrorKind, Gateway, JobId, JobState, NoCrash, Result};
use std::{collections::HashMap, sync::Arc, time::Duration};
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
        loop {
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
            let quiet = drivers.is_empty();
            tokio::select! {
                Some(ended) = drivers.join_next() => match ended {
                    Ok((id, result)) => {
                        cancels.remove(&id);
                        result?;
                    }
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                },
                () = wake.notified() => {}
                () = self.control.clock.sleep(idle), if quiet => {
                    if self.control.store.running_jobs().await?.is_empty() {
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
        let (control, tenure, gateway, log) =
            (self.control.clone(), self.tenure.clone(), self.gateway.clone(), self.log.clone());
        async move {
            let mut pause = STORE_PAUSE;
            loop {
                match job::drive(&control, &tenure, &gateway, &id, &cancel).await {
                    Ok(()) => return (id, Ok(())),
                    Err(error) if error.kind() == ErrorKind::Fenced => return (id, Err(error)),
                    Err(error) => {
                        log(format!("job {id} pauses for {} s: {error}", pause.as_secs()));
                        control.clock.sleep(pause).await;
                        pause = (pause * 2).min(Duration::from_secs(60));
                    }
                }
            }
        }
    }
}

//! What an executor writes.

use super::{
    bulk::{EventRow, NodeRow, Report, Rows},
    job::number,
    ledger::Calls,
    *,
};
use provider_core::{Fact, Handle, Task, TaskId, stored};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
};
use tokio::sync::OnceCell;

/// The right to write for jobs. It ends when another executor takes over: from then on everything here fails
/// with `Fenced`, and the holder must stop. Cheap to clone.
#[derive(Clone)]
pub struct Tenure(Arc<Held>);

struct Held {
    store: Store,
    epoch: i64,
    jobs: Mutex<HashMap<i64, Arc<OnceCell<Calls>>>>,
}

type Place<'a> = mpsc::Permit<'a, Op>;
type Told = oneshot::Receiver<Result<()>>;

/// To what a task has come, for the record.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskReport {
    /// Of which job.
    pub job: JobId,
    /// Which task.
    pub task: TaskId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// To what it has come.
    pub state: TaskState,
    /// When it counts as failed; none keeps what was reported before.
    pub deadline: Option<Timestamp>,
    /// What to wait on, if anything.
    pub handle: Option<Handle>,
    /// What its command printed, for those who follow.
    pub output: Option<String>,
}

/// A fact that goes on record together with a report.
#[derive(Clone, Copy)]
pub struct Recording<'a> {
    /// The cluster, as the executor knows it.
    pub cluster: &'a RwLock<Cluster>,
    /// The task that reported.
    pub task: &'a Task,
    /// What it reported.
    pub fact: &'a Fact,
}

impl Tenure {
    pub(super) fn new(store: Store, epoch: i64) -> Self {
        Self(Arc::new(Held { store, epoch, jobs: Mutex::default() }))
    }

    /// The store that it is of.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Which tenure it is: 1 for the first executor, and one more for each that followed.
    pub fn epoch(&self) -> i64 {
        self.0.epoch
    }

    /// Writes down to what a task has come, with the fact that it reported and an event, in one transaction.
    /// The fact is applied to the executor's own cluster as well, before this waits for the commit, so that
    /// records of one node are written in the order in which they were made.
    ///
    /// # Errors
    /// `Fenced`, `Store`.
    pub async fn report(&self, report: TaskReport, record: Option<Recording<'_>>) -> Result<()> {
        let mut rows = Rows::default();
        let job = number(&report.job)?;
        rows.reports.push(Report {
            job,
            layer: report.task.layer,
            idx: report.task.index,
            state: report.state.as_str(),
            ended: report.state.is_ended(),
            attempt: report.attempt,
            deadline: report.deadline,
            handle: report.handle.as_ref().map(stored::store).transpose()?,
            error: report.state.error().map(stored::store).transpose()?,
        });
        let TaskReport { task, attempt, state, output, .. } = report;
        let event = EventKind::Task { task, attempt, state, output };
        rows.events.push(EventRow { job, body: stored::store(&event)? });
        let place = self.store().0.queue.reserve().await.map_err(|_| closed())?;
        let told = match record {
            Some(record) => self.queue_record(place, rows, record)?,
            None => self.queue(place, rows, || ()),
        };
        told.await.map_err(|_| closed())?
    }

    /// Queues while it holds the cluster, so that a later record of the node can't overtake this one.
    fn queue_record(&self, place: Place<'_>, mut rows: Rows, record: Recording<'_>) -> Result<Told> {
        let mut cluster = record.cluster.write().unwrap_or_else(PoisonError::into_inner);
        let changed = provider_core::record(&mut cluster, record.task, record.fact);
        let node = record.task.node.as_ref().filter(|_| changed);
        if let Some((id, node)) = node.and_then(|id| cluster.nodes.get_key_value(id)) {
            rows.nodes.push(NodeRow {
                cluster: cluster.id.to_string(),
                node: id.to_string(),
                doc: stored::store(node)?,
            });
        }
        Ok(self.queue(place, rows, || ()))
    }

    /// Appends events of a job.
    ///
    /// # Errors
    /// `Fenced`, `Store`.
    pub async fn note(&self, job: &JobId, events: Vec<EventKind>) -> Result<()> {
        let job = number(job)?;
        let mut rows = Rows::default();
        for event in &events {
            let body = stored::store(event)?;
            rows.events.push(EventRow { job, body });
        }
        self.write_rows(rows, || ()).await
    }

    /// Writes rows; `then` happens once they are durable, whether or not anybody waits for it still.
    pub(super) async fn write_rows(&self, rows: Rows, then: impl FnOnce() + Send + 'static) -> Result<()> {
        let place = self.store().0.queue.reserve().await.map_err(|_| closed())?;
        self.queue(place, rows, then).await.map_err(|_| closed())?
    }

    fn queue(&self, place: Place<'_>, rows: Rows, then: impl FnOnce() + Send + 'static) -> Told {
        let (tell, told) = oneshot::channel();
        place.send(Op {
            epoch: Some(self.epoch()),
            work: Work::Rows(rows),
            tell: Box::new(|result| {
                if result.is_ok() {
                    then();
                }
                // Whoever has gone away does not want to know.
                let _ = tell.send(result);
            }),
        });
        told
    }

    /// What is known of a job's calls; read at the first time.
    pub(super) async fn calls(&self, job: i64) -> Result<Calls> {
        let calls = self.jobs().entry(job).or_default().clone();
        calls.get_or_try_init(|| Calls::load(self.store(), job)).await.cloned()
    }

    /// Forgets what is known of the calls of a job that has ended.
    pub(super) fn forget_calls(&self, job: i64) {
        self.jobs().remove(&job);
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<i64, Arc<OnceCell<Calls>>>> {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Drives the plan machine of one job.

use crate::{
    Control, EventKind, JobWork, TaskState, Tenure,
    task::{JobContext, Standing},
};
use provider_core::{
    AgentApi, Cancel, Cluster, Error, Fold, FoldResult, Gateway, Input, JobId, Machine, Output, Plan,
    Records, Result, Retry, TaskId, TaskOutcome,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, RwLock},
};
use tokio::task::JoinSet;

/// Carries a job out from where it stands to its end. Dropped, it leaves everything to be resumed.
///
/// # Errors
/// `Fenced` or `Store`; the job is as it was.
pub(crate) async fn drive(
    control: &Control,
    tenure: &Tenure,
    gateway: &Gateway,
    id: &JobId,
    cancel: &Cancel,
) -> Result<()> {
    let store = &control.store;
    let work = store.job_work(id).await?;
    let plan = work.plan.clone();
    let cluster = store.cluster(&work.info.cluster).await?.ok_or_else(|| {
        Error::store(format!("job {id} works on cluster `{}`, which is not on record", work.info.cluster))
    })?;
    let prepared = prepare(control, tenure, gateway, cancel, &work, cluster).await;
    tenure.note(id, vec![EventKind::Started]).await?;
    let context = match prepared {
        Ok(context) => context,
        // Without its provider, its runtime or its credential a job can't go on. It says so and ends.
        Err(error) if !error.kind().refuses() => return Err(error),
        Err(error) => {
            let skipped = u32::try_from(plan.len()).unwrap_or(u32::MAX);
            let fold = Fold { result: FoldResult::Failed, skipped, ..Fold::default() };
            return tenure.end(id, &fold, Some(error)).await;
        }
    };
    let mut machine = Machine::new(plan.clone(), work.terms.policy);
    let mut standing: BTreeMap<TaskId, Standing> =
        store.tasks(id).await?.into_iter().map(|row| (row.id, Standing::of_row(row, &plan))).collect();
    let mut tasks: JoinSet<Result<(Input, Option<Standing>)>> = JoinSet::new();
    let mut inputs = VecDeque::from([Input::Begin]);
    let mut layer = None;
    let mut cancelled = false;
    loop {
        // Everything that happened is taken in before anything starts, and all that starts takes its seat
        // before anything runs, so that calls merge.
        let mut starting = Vec::new();
        while let Some(input) = inputs.pop_front() {
            for output in machine.step(input) {
                match output {
                    Output::Start(task) => match standing.get(&task).and_then(Standing::outcome) {
                        Some(outcome) => inputs.push_back(Input::Finished(task, outcome)),
                        None => starting.push((task, gateway.seat(id, task))),
                    },
                    Output::StartTimer(task, pause) => {
                        let clock = control.clock.clone();
                        tasks.spawn(async move {
                            clock.sleep(pause).await;
                            Ok((Input::TimerFired(task), None))
                        });
                    }
                    // The tasks hear the same signal.
                    Output::CancelRunning => {}
                    Output::Finish(fold) => {
                        let error = verdict(&fold, &standing, &plan);
                        return tenure.end(id, &fold, error).await;
                    }
                    Output::Continue(_) => return Err(Error::bug("a run rolled over that nobody asked to")),
                }
            }
        }
        if let Some((first, _)) = starting.first()
            && layer.is_none_or(|layer| layer < first.layer)
        {
            layer = Some(first.layer);
            tenure.note(id, vec![EventKind::LayerStarted { layer: first.layer }]).await?;
        }
        for (task, seat) in starting {
            let from = standing.remove(&task);
            tasks.spawn(context.clone().run(task, seat, from));
        }
        tokio::select! {
            Some(ended) = tasks.join_next() => {
                let mut ended = Some(ended);
                while let Some(result) = ended.take() {
                    let (input, now) = result.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?;
                    if let (Input::Finished(task, _), Some(now)) = (input, now) {
                        standing.insert(task, now);
                    }
                    inputs.push_back(input);
                    ended = tasks.try_join_next();
                }
            }
            () = cancel.cancelled(), if !cancelled => {
                cancelled = true;
                inputs.push_back(Input::Cancel);
            }
        }
    }
}

async fn prepare(
    control: &Control,
    tenure: &Tenure,
    gateway: &Gateway,
    cancel: &Cancel,
    work: &JobWork,
    cluster: Cluster,
) -> Result<Arc<JobContext>> {
    let (runtime, provider) = control.place(&cluster.runtime).await?;
    let cluster = Arc::new(RwLock::new(cluster));
    let look = control.look_until(runtime, cancel.clone()).await?;
    let look = look.of_job(cluster.clone(), Arc::new(work.plan.facts.clone()));
    let records = Arc::new(control.store.clone());
    let agents = AgentApi {
        pilot: control.pilot.clone(),
        cluster: cluster.clone(),
        records: records.clone(),
        secrets: records,
    };
    Ok(Arc::new(JobContext {
        job: work.info.id.clone(),
        plan: work.plan.clone(),
        cluster,
        provider: provider.interface,
        agents: Arc::new(agents),
        gateway: gateway.clone(),
        look,
        tenure: tenure.clone(),
        action: work.change.action.clone(),
    }))
}

/// Why a job did not succeed: its first failure in the order of the plan.
fn verdict(fold: &Fold, standing: &BTreeMap<TaskId, Standing>, plan: &Plan) -> Option<Error> {
    match fold.result {
        FoldResult::Succeeded => None,
        FoldResult::Cancelled => Some(Error::cancelled(format!(
            "cancelled on request after {} tasks, {} were not run",
            fold.done, fold.skipped
        ))),
        FoldResult::Failed => fold.failed.iter().find_map(|id| {
            let TaskState::Failed { error } = &standing.get(id)?.state else { return None };
            let task = plan.task(*id)?;
            let node = task.node.as_ref().map(|node| format!("{node}: ")).unwrap_or_default();
            Some(error.clone().during(format!("{node}{}", task.work)))
        }),
    }
}

impl Standing {
    /// How the task ended, if it has.
    fn outcome(&self) -> Option<TaskOutcome> {
        match &self.state {
            TaskState::Done => Some(TaskOutcome::Done),
            TaskState::Failed { error } => Some(TaskOutcome::Failed(error.kind(), Retry::Never)),
            TaskState::Cancelled => Some(TaskOutcome::Cancelled),
            TaskState::Running | TaskState::Paused { .. } => None,
        }
    }
}

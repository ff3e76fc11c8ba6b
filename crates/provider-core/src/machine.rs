//! The interpreter of plans: a pure state machine. Every backend drives this one.
//!
//! It knows no clock, no randomness, no store and no runtime, and its outputs don't depend on the order in
//! which tasks of a layer complete. A driver feeds it [`Input`]s and carries out its [`Output`]s; to resume a
//! job it starts a new machine and answers each [`Output::Start`] of a task that ended before with the
//! outcome on record.

use crate::{ErrorKind, NodeId, Plan, Retry, TaskId, Work};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The job begins, or begins again.
    Begin,
    /// A started task came to an end, or to a pause that a retry follows.
    Finished(TaskId, TaskOutcome),
    /// The time of a [`Output::StartTimer`] has passed.
    TimerFired(TaskId),
    /// Somebody asked to stop.
    Cancel,
    /// This run has grown long: hand over at the next layer. For backends whose histories are bounded.
    Roll,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskOutcome {
    /// As it should.
    Done,
    /// By an error with this kind and retry. The driver says [`Retry::Never`] once the deadline has passed.
    Failed(ErrorKind, Retry),
    /// Stopped because the job was cancelled.
    Cancelled,
}

/// What the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Start this task.
    Start(TaskId),
    /// Say [`Input::TimerFired`] after this time.
    StartTimer(TaskId, Duration),
    /// Let handlers finish and drop waits; each running task still reports.
    CancelRunning,
    /// The job has ended. Nothing follows.
    Finish(Fold),
    /// Go on from here in a new run. Nothing follows.
    Continue(Cursor),
}

/// When the failure of a task ends the job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The first hard failure lets its layer finish and ends the job.
    #[default]
    All,
    /// A hard failure ends its node's part; the job goes on while at least so many nodes are left.
    AtLeast(u32),
    /// A hard failure ends its node's part; the job goes on with the rest.
    KeepGoing,
}

/// What a job came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    /// The verdict.
    pub result: FoldResult,
    /// How many tasks did what they should.
    pub done: u32,
    /// Tasks that failed, in the order of the plan.
    pub failed: BTreeSet<TaskId>,
    /// Tasks that failed and were allowed to.
    pub tolerated: BTreeSet<TaskId>,
    /// How many tasks were not run.
    pub skipped: u32,
    /// Nodes whose part a failure ended.
    pub lost: BTreeSet<NodeId>,
}

/// A job's verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "they say it all")]
pub enum FoldResult {
    #[default]
    Succeeded,
    Failed,
    Cancelled,
}

/// Where a run stands between two layers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The layer to go on with.
    pub layer: u32,
    /// What has come together so far.
    pub fold: Fold,
}

/// Interprets one plan under one policy.
#[derive(Debug)]
pub struct Machine {
    plan: Arc<Plan>,
    policy: Policy,
    cursor: Cursor,
    running: BTreeMap<TaskId, Running>,
    cancelled: bool,
    /// Whether the cancel kept a task from its end.
    dropped: bool,
    roll: bool,
    ended: bool,
}

#[derive(Debug, Default)]
struct Running {
    failures: u32,
    paused: bool,
    in_doubt: bool,
}

impl Machine {
    /// A machine at the start of `plan`.
    pub fn new(plan: Arc<Plan>, policy: Policy) -> Self {
        Self::resume(plan, policy, Cursor::default())
    }

    /// A machine that goes on where another rolled over.
    pub fn resume(plan: Arc<Plan>, policy: Policy, cursor: Cursor) -> Self {
        let running = BTreeMap::new();
        Self { plan, policy, cursor, running, cancelled: false, dropped: false, roll: false, ended: false }
    }

    /// Takes in what happened and gives what is to be done, in order. What it does not expect (a second
    /// report, a timer of a task that is gone) changes nothing.
    pub fn step(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        if self.ended {
            return out;
        }
        match input {
            Input::Begin => self.advance(&mut out),
            Input::Finished(id, outcome) => self.finished(id, outcome, &mut out),
            Input::TimerFired(id) => {
                if let Some(task) = self.running.get_mut(&id).filter(|task| task.paused) {
                    task.paused = false;
                    out.push(Output::Start(id));
                }
            }
            Input::Cancel => self.cancel(&mut out),
            Input::Roll => self.roll = true,
        }
        out
    }

    fn finished(&mut self, id: TaskId, outcome: TaskOutcome, out: &mut Vec<Output>) {
        let Some(task) = self.running.get_mut(&id) else {
            return;
        };
        // A command makes no resource that could be left unknown: with its agent it may be given up, and a retry finds
        // out what it did.
        let makes_resources = self.plan.task(id).is_some_and(|task| !matches!(task.work, Work::Agent(_)));
        task.in_doubt = makes_resources && matches!(outcome, TaskOutcome::Failed(ErrorKind::InDoubt, _));
        match outcome {
            // Nobody knows what a call in doubt has made: neither a deadline nor a cancel ends its task.
            TaskOutcome::Failed(_, retry)
                if task.in_doubt || !self.cancelled && matches!(retry, Retry::Backoff | Retry::WaitQuota) =>
            {
                task.paused = true;
                task.failures += 1;
                out.push(Output::StartTimer(id, pause(retry, task.failures)));
                return;
            }
            TaskOutcome::Done => self.cursor.fold.done += 1,
            TaskOutcome::Failed(_, Retry::Never | Retry::AskUser) => self.failed(id),
            // What would have been tried again, had nobody asked to stop, has not failed.
            TaskOutcome::Cancelled | TaskOutcome::Failed(..) => self.drop_tasks(1),
        }
        self.running.remove(&id);
        if self.running.is_empty() {
            self.cursor.layer += 1;
            self.advance(out);
        }
    }

    fn failed(&mut self, id: TaskId) {
        let fold = &mut self.cursor.fold;
        let Some(task) = self.plan.task(id) else { return };
        if task.failure_allowed {
            fold.tolerated.insert(id);
            return;
        }
        fold.failed.insert(id);
        match (&task.node, self.policy) {
            (Some(node), Policy::AtLeast(_) | Policy::KeepGoing) => {
                fold.lost.insert(node.clone());
            }
            _ => fold.result = FoldResult::Failed,
        }
    }

    fn cancel(&mut self, out: &mut Vec<Output>) {
        if std::mem::replace(&mut self.cancelled, true) {
            return;
        }
        let before = self.running.len();
        self.running.retain(|_, task| !task.paused || task.in_doubt);
        self.drop_tasks(count(before - self.running.len()));
        if self.running.is_empty() {
            self.cursor.layer += 1;
            self.advance(out);
        } else {
            out.push(Output::CancelRunning);
        }
    }

    fn drop_tasks(&mut self, tasks: u32) {
        self.cursor.fold.skipped += tasks;
        self.dropped |= tasks > 0;
    }

    /// Starts the next layer that has something to run, or ends.
    fn advance(&mut self, out: &mut Vec<Output>) {
        loop {
            let plan = self.plan.clone();
            let Some(layer) = plan.layers.get(self.cursor.layer as usize) else {
                return self.end(out);
            };
            // After a restart the tasks that were dropped report before the cancel comes.
            if self.cancelled || self.dropped {
                self.cursor.fold.result = FoldResult::Cancelled;
            } else if self.too_few_left() {
                self.cursor.fold.result = FoldResult::Failed;
            }
            if self.cursor.fold.result != FoldResult::Succeeded {
                return self.end(out);
            }
            if self.roll {
                self.ended = true;
                return out.push(Output::Continue(self.cursor.clone()));
            }
            for (index, task) in layer.tasks.iter().enumerate() {
                if task.node.as_ref().is_some_and(|node| self.cursor.fold.lost.contains(node)) {
                    self.cursor.fold.skipped += 1;
                } else {
                    let id = TaskId { layer: self.cursor.layer, index: count(index) };
                    self.running.insert(id, Running::default());
                    out.push(Output::Start(id));
                }
            }
            if !self.running.is_empty() {
                return;
            }
            self.cursor.layer += 1;
        }
    }

    fn too_few_left(&self) -> bool {
        let lost = &self.cursor.fold.lost;
        if lost.is_empty() {
            return false;
        }
        let lanes: BTreeSet<_> =
            self.plan.layers.iter().flat_map(|l| &l.tasks).filter_map(|t| t.node.as_ref()).collect();
        let wanted = if let Policy::AtLeast(wanted) = self.policy { wanted } else { 1 };
        lanes.len() - lost.len() < wanted as usize
    }

    fn end(&mut self, out: &mut Vec<Output>) {
        self.ended = true;
        // In the last layer a cancel may come too late to keep any task from its end.
        if self.dropped {
            self.cursor.fold.result = FoldResult::Cancelled;
        }
        let rest = self.plan.layers.get(self.cursor.layer as usize..).unwrap_or_default();
        self.cursor.fold.skipped += count(rest.iter().map(|layer| layer.tasks.len()).sum());
        if self.too_few_left() && self.cursor.fold.result == FoldResult::Succeeded {
            self.cursor.fold.result = FoldResult::Failed;
        }
        out.push(Output::Finish(self.cursor.fold.clone()));
    }
}

/// How long a task pauses for quota. It doesn't count against its deadline.
pub const QUOTA_PAUSE: Duration = Duration::from_secs(30);

/// How long to pause before trying again for the `failures`-th time: 1 s, doubling up to a minute; for quota
/// always the same.
fn pause(retry: Retry, failures: u32) -> Duration {
    match retry {
        Retry::WaitQuota => QUOTA_PAUSE,
        _ => Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(Duration::from_secs(60)),
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;

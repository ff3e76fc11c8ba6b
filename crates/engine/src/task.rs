//! Runs one task: its handler, the record of what it reports, its wait.

use crate::{EventKind, Recording, TaskReport, TaskRow, TaskState, Tenure};
use provider_core::{
    AgentApi, AgentCall, AgentVerb, Cluster, CommandState, Error, ErrorKind, Fact, Gateway, Handle, Input,
    JobId, Look, Plan, Progress, ProviderInterface, QUOTA_PAUSE, ResourceId, Result, Retry, Seat, Started,
    Task, TaskContext, TaskId, TaskOutcome, Timestamp, Token, Work,
};
use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, RwLock},
    time::Duration,
};

/// How long one look at an agent may wait for its command to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the tasks of a job share.
pub(crate) struct JobContext {
    pub(crate) job: JobId,
    pub(crate) plan: Arc<Plan>,
    pub(crate) cluster: Arc<RwLock<Cluster>>,
    pub(crate) provider: Arc<dyn ProviderInterface>,
    pub(crate) agents: Arc<AgentApi>,
    pub(crate) gateway: Gateway,
    pub(crate) look: Look,
    pub(crate) tenure: Tenure,
    /// Whether the job ends whatever happens.
    pub(crate) forced: bool,
    /// Whether what its commands print is what the operator asked for.
    pub(crate) keeps_output: bool,
}

/// Where a task that has begun stands.
pub(crate) struct Standing {
    pub(crate) state: TaskState,
    attempt: u32,
    deadline: Timestamp,
    handle: Option<Handle>,
}

impl Standing {
    /// Where the row of a task says that it stands.
    pub(crate) fn of_row(row: TaskRow, plan: &Plan) -> Self {
        let timeout = plan.task(row.id).map(Task::timeout).unwrap_or_default();
        Self {
            state: row.state,
            attempt: row.attempt,
            deadline: row.deadline.unwrap_or_else(|| row.started.after(timeout)),
            handle: row.handle,
        }
    }
}

/// How an attempt ended that did not fail.
enum Ended {
    Done(Fact),
    Cancelled,
}

impl JobContext {
    /// Makes one attempt at a task. What it came to is durable when this returns.
    ///
    /// # Errors
    /// `Fenced` or `Store`: nothing more can be written down, and the job must be left as it is.
    pub(crate) async fn run(
        self: Arc<Self>,
        id: TaskId,
        seat: Arc<Seat>,
        from: Option<Standing>,
    ) -> Result<(Input, Option<Standing>)> {
        let task = self.plan.task(id).ok_or_else(|| Error::bug(format!("the plan has no task {id}")))?;
        let mut at = from.unwrap_or_else(|| Standing {
            state: TaskState::Running,
            attempt: 0,
            deadline: self.look.clock.now().after(task.timeout()),
            handle: None,
        });
        at.attempt += 1;
        let mut look = self.look.clone();
        look.deadline = Some(at.deadline);
        let cx = TaskContext::new(look, self.gateway.clone(), seat);
        let attempt = caught(self.attempt(&cx, id, task, &mut at)).await;
        let result = attempt.unwrap_or_else(|| {
            Err(Error::bug("the provider plugin panicked")
                .hint("please report it; the executor's log has the place"))
        });
        let (outcome, fact) = match result {
            Ok(Ended::Done(fact)) => {
                at.state = TaskState::Done;
                (TaskOutcome::Done, Some(fact))
            }
            Ok(Ended::Cancelled) => {
                at.state = TaskState::Cancelled;
                (TaskOutcome::Cancelled, None)
            }
            Err(error) if matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Store) => return Err(error),
            Err(error) => (self.failed(task, &mut at, error), None),
        };
        self.report(id, task, &at, fact.as_ref()).await?;
        Ok((Input::Finished(id, outcome), Some(at)))
    }

    /// Decides what follows from an error.
    fn failed(&self, task: &Task, at: &mut Standing, mut error: Error) -> TaskOutcome {
        let late = self.look.clock.now() >= at.deadline;
        let may_be_given_up = late && (self.forced || matches!(task.work, Work::Agent(_)));
        if error.kind() == ErrorKind::InDoubt && !may_be_given_up {
            // What it may have made must be found out, however long that takes. A command makes no resource.
        } else if error.retry() == Retry::WaitQuota {
            at.deadline = at.deadline.after(QUOTA_PAUSE);
        } else if error.retry() == Retry::Backoff && late {
            error = error.into_kind(ErrorKind::TimedOut).during("its time is over, the last error was");
        }
        let outcome = TaskOutcome::Failed(error.kind(), error.retry());
        at.state = match error.retry() {
            Retry::Backoff | Retry::WaitQuota => TaskState::Paused { error },
            Retry::Never | Retry::AskUser => TaskState::Failed { error },
        };
        outcome
    }

    async fn report(&self, id: TaskId, task: &Task, at: &Standing, fact: Option<&Fact>) -> Result<()> {
        let output = match fact {
            // A provider reports only what is to be shown.
            Some(Fact::Agent(report)) if self.keeps_output || matches!(task.work, Work::Cloud(_)) => {
                Some(report.output.clone())
            }
            _ => None,
        };
        let report = TaskReport {
            job: self.job.clone(),
            task: id,
            attempt: at.attempt,
            state: at.state.clone(),
            deadline: Some(at.deadline),
            handle: at.handle.clone(),
            output,
        };
        let record = fact.map(|fact| Recording { cluster: &self.cluster, task, fact });
        self.tenure.report(report, record).await
    }

    async fn attempt(&self, cx: &TaskContext, id: TaskId, task: &Task, at: &mut Standing) -> Result<Ended> {
        let started = match &task.work {
            Work::Agent(verb) => self.command(cx, task, verb).await?,
            _ => self.provider.handle_subtask(cx, task).await?,
        };
        let handle = match started {
            Started::Done(fact) => return Ok(Ended::Done(fact)),
            Started::Pending(handle) => handle,
        };
        if at.handle.as_ref() != Some(&handle) {
            at.handle = Some(handle.clone());
            at.state = TaskState::Running;
            // An agent's command makes no resource, and the ledger knows its id.
            if !matches!(task.work, Work::Agent(_)) {
                self.report(id, task, at, Some(&Fact::Started(handle.clone()))).await?;
            }
        }
        cx.seat().wait();
        self.wait(cx, id, task, &handle, at.deadline).await
    }

    /// Looks until there is something to see. No task times out without a look after its deadline.
    async fn wait(
        &self,
        cx: &TaskContext,
        id: TaskId,
        task: &Task,
        handle: &Handle,
        deadline: Timestamp,
    ) -> Result<Ended> {
        let mut reason = String::new();
        loop {
            let late = cx.clock.now() >= deadline;
            let progress = tokio::select! {
                progress = self.look_at(cx, task, handle) => progress?,
                () = cx.cancel.cancelled() => return Ok(Ended::Cancelled),
            };
            match progress {
                Progress::Done(fact) => return Ok(Ended::Done(fact)),
                Progress::Lost { why } => {
                    cx.reopen().await?;
                    return Err(Error::lost(why));
                }
                Progress::Pending { why, .. } if late => {
                    return Err(Error::timed_out(format!("not done after {} s: {why}", task.timeout_s))
                        .hint("`pitrix job retry` goes on waiting from where it is"));
                }
                Progress::Pending { why, again } => {
                    if why != reason {
                        self.tenure
                            .note(&self.job, vec![EventKind::Waiting { task: id, why: why.clone() }])
                            .await?;
                        reason = why;
                    }
                    let pause = again.min(deadline.since(cx.clock.now()));
                    tokio::select! {
                        () = cx.clock.sleep(pause) => {}
                        () = cx.cancel.cancelled() => return Ok(Ended::Cancelled),
                    }
                }
            }
        }
    }

    async fn look_at(&self, cx: &TaskContext, task: &Task, handle: &Handle) -> Result<Progress<Fact>> {
        let Work::Agent(_) = &task.work else {
            return self.provider.wait_subtask(cx, task, handle).await;
        };
        let agent = self.agent_of(task)?;
        let id = Token::new(handle.resource.as_str());
        match self.agents.pilot.look(&agent, &id, PATIENCE).await? {
            CommandState::Running => {
                Ok(Progress::Pending { why: format!("{} runs", task.work), again: Duration::ZERO })
            }
            CommandState::Unknown => {
                Ok(Progress::Lost { why: format!("the agent at {agent} does not know its command any more") })
            }
            CommandState::Ended(report) => match report.error.clone() {
                None => Ok(Progress::Done(Fact::Agent(report))),
                Some(error) => {
                    // A command that failed may be run again, under a new id.
                    cx.reopen().await?;
                    Err(if report.output.is_empty() { error } else { error.because(report.output) })
                }
            },
        }
    }

    async fn command(&self, cx: &TaskContext, task: &Task, verb: &AgentVerb) -> Result<Started<Fact>> {
        let agent = self.agent_of(task)?;
        let node = task.node.clone().ok_or_else(|| Error::bug(format!("`{}` names no node", task.work)))?;
        let cluster = cx.cluster().id.clone();
        let call = AgentCall { cluster, node, agent, verb: verb.clone() };
        let id = cx.call(0, &self.agents, call).await?;
        Ok(Started::Pending(Handle { resource: ResourceId::new(id.as_str()), cloud_job: None }))
    }

    fn agent_of(&self, task: &Task) -> Result<String> {
        let cluster = self.look.cluster();
        let node = task.node.as_ref().and_then(|id| cluster.nodes.get(id));
        node.and_then(|node| node.instance.as_ref())
            .and_then(|instance| instance.agent.clone())
            .ok_or_else(|| Error::unavailable(format!("`{}`: the node's agent is not known yet", task.work)))
    }
}

/// Runs a future and keeps its panics from spreading.
async fn caught<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Some),
        Err(_) => std::task::Poll::Ready(None),
    })
    .await
}

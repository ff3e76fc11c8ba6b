//! Where rules try a provider's verbs.

use super::{Miss, Subject, change, look};
use crate::MemoryLedger;
use provider_core::{
    Action, Cluster, Directive, DiskId, Fact, Facts, Gateway, Handle, InstanceState, InstanceVerb, JobId,
    Look, NoCrash, NodeId, Progress, Result, Started, Task, TaskContext, TaskId, VolumeVerb, Work, record,
};
use std::sync::{
    Arc, RwLock,
    atomic::{AtomicU32, Ordering},
};

/// A cluster of the subject's package, and somebody who carries tasks out on it as the engine does.
pub(super) struct Bench<'a> {
    subject: &'a Subject,
    pub(super) cluster: Arc<RwLock<Cluster>>,
    facts: Arc<Facts>,
    pub(super) ledger: Arc<MemoryLedger>,
    pub(super) gateway: Gateway,
    tasks: AtomicU32,
}

impl<'a> Bench<'a> {
    pub(super) async fn new(subject: &'a Subject) -> Result<Self, Miss> {
        let change = change(subject, Action::CreateCluster)?;
        let facts = subject.provider.interface.check_resource(&look(subject), &change).await?;
        if !facts.shortfalls.is_empty() {
            return Err(Miss::Skipped(format!("there is no room: {:?}", facts.shortfalls)));
        }
        let mut cluster = change.before;
        cluster.zone = facts.zone.clone();
        let ledger = Arc::<MemoryLedger>::default();
        Ok(Self {
            subject,
            cluster: Arc::new(RwLock::new(cluster)),
            facts: Arc::new(facts),
            gateway: gateway(&ledger),
            ledger,
            tasks: AtomicU32::new(0),
        })
    }

    fn look(&self) -> Look {
        look(self.subject).of_job(self.cluster.clone(), self.facts.clone())
    }

    pub(super) fn cluster(&self) -> Cluster {
        self.cluster.read().expect("nobody panics with it").clone()
    }

    pub(super) fn node(&self) -> Result<NodeId, Miss> {
        let cluster = self.cluster();
        let with_disk =
            |node: &&NodeId| cluster.spec.role_of(node).is_some_and(|role| !role.disks.is_empty());
        let node = cluster.spec.nodes.keys().find(with_disk);
        node.cloned().ok_or_else(|| Miss::Failed("the package has no node with a disk".into()))
    }

    pub(super) fn task(&self, directive: Directive) -> Result<(TaskId, Task), Miss> {
        let id = TaskId { layer: self.tasks.fetch_add(1, Ordering::SeqCst), index: 0 };
        let node = Some(self.node()?);
        Ok((id, Task { work: Work::Cloud(directive), node, failure_allowed: false, timeout_s: 300 }))
    }

    /// Begins a task, as any attempt does.
    pub(super) async fn begin(&self, id: TaskId, task: &Task, gateway: &Gateway) -> Result<Started<Fact>> {
        let seat = gateway.seat(&JobId::new("j-1"), id);
        let cx = TaskContext::new(self.look(), gateway.clone(), seat);
        let started = self.subject.provider.interface.handle_subtask(&cx, task).await?;
        let fact = match &started {
            Started::Done(fact) => fact.clone(),
            Started::Pending(handle) => Fact::Started(handle.clone()),
        };
        self.record(task, &fact);
        Ok(started)
    }

    /// Looks until there is a fact.
    pub(super) async fn wait(&self, task: &Task, handle: &Handle) -> Result<Fact, Miss> {
        let look = self.look();
        let deadline = look.clock.now().after(task.timeout());
        loop {
            match self.subject.provider.interface.wait_subtask(&look, task, handle).await? {
                Progress::Done(fact) => {
                    self.record(task, &fact);
                    return Ok(fact);
                }
                Progress::Lost { why } => return Err(Miss::Failed(format!("{} was lost: {why}", task.work))),
                Progress::Pending { why, .. } if look.clock.now() >= deadline => {
                    return Err(Miss::Failed(format!("{} is not done: {why}", task.work)));
                }
                Progress::Pending { again, .. } => look.clock.sleep(again).await,
            }
        }
    }

    fn record(&self, task: &Task, fact: &Fact) {
        record(&mut self.cluster.write().expect("nobody panics with it"), task, fact);
    }

    async fn carry_out(&self, directive: Directive) -> Result<Fact, Miss> {
        let (id, task) = self.task(directive)?;
        match self.begin(id, &task, &self.gateway).await? {
            Started::Done(fact) => Ok(fact),
            Started::Pending(handle) => self.wait(&task, &handle).await,
        }
    }

    pub(super) async fn instance(&self, verb: InstanceVerb) -> Result<Fact, Miss> {
        self.carry_out(Directive::Instance(verb)).await
    }

    pub(super) async fn volume(&self, verb: VolumeVerb) -> Result<Fact, Miss> {
        self.carry_out(Directive::Volume { verb, disk: DiskId { node: self.node()?, index: 0 } }).await
    }

    /// What the sweeper finds of this cluster: kind, id and name.
    pub(super) async fn found(&self) -> Result<Vec<(String, String, String)>, Miss> {
        let id = self.cluster().id;
        let tagged = self.subject.provider.sweeper.tagged(&look(self.subject)).await?;
        let ours = tagged.into_iter().filter(|resource| resource.cluster == id.as_str());
        Ok(ours.map(|resource| (resource.kind, resource.id.to_string(), resource.name)).collect())
    }

    pub(super) async fn state(&self) -> Result<InstanceState, Miss> {
        let (cluster, node) = (self.cluster(), self.node()?);
        let seen = self.subject.provider.interface.update_cluster_status(&self.look(), &cluster).await?;
        let seen = seen.into_iter().find(|seen| seen.node == node);
        seen.map(|seen| seen.instance).ok_or_else(|| Miss::Failed(format!("nothing was told about `{node}`")))
    }
}

/// The gateway of an executor that has just started.
pub(super) fn gateway(ledger: &Arc<MemoryLedger>) -> Gateway {
    let spawn = Arc::new(|batch| drop(tokio::spawn(batch)));
    Gateway::new("d-1".into(), ledger.clone(), spawn, Arc::new(NoCrash), 16)
}

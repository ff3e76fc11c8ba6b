//! What a plan does to a cluster on record, and what it may rely on while it does.

use crate::fixture::change;
use provider_core::{
    Action, AgentVerb, AttachedVolume, Change, Cluster, ClusterStatus, Directive, Fact, Facts, Handle,
    InstanceReady, InstanceState, InstanceVerb, Layer, NodeStatus, Plan, Report, ResourceId, Result, Task,
    VolumeReady, VolumeVerb, Work, record, record_half_moved,
};
use vmbased::frame::plan;

/// How far a task came.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    NotStarted,
    /// The provider has named the resource, and no more is known.
    Started,
    Done,
}

/// A planned change under way, and what was found when it was planned.
pub(crate) struct Job {
    change: Change,
    pub(crate) plan: Plan,
}

/// Plans `change` and has it accepted: from here on the cluster is what it shall become.
pub(crate) fn accept(cluster: &mut Cluster, change: Change, facts: Facts) -> Result<Job> {
    let plan = plan(&change, facts)?;
    let Change { action, before, after } = &change;
    for id in after.nodes.keys() {
        cluster.nodes.entry(id.clone()).or_default();
        if *action == Action::AddClusterNodes && !before.spec.nodes.contains_key(id) {
            cluster.joining.insert(id.clone());
        }
    }
    cluster.joining.retain(|id| after.nodes.contains_key(id));
    match action {
        Action::UpgradeCluster { .. } if after.app != before.spec.app => {
            cluster.previous = Some(Box::new(before.spec.clone()));
        }
        Action::RollbackCluster { .. } => cluster.previous = None,
        _ => {}
    }
    cluster.spec = after.clone();
    Ok(Job { change, plan })
}

/// The end of a job that came through its first `layers` layers and failed in the next one.
pub(crate) fn fail(cluster: &mut Cluster, job: &Job, layers: usize) {
    if matches!(job.change.action, Action::UpgradeCluster { .. } | Action::RollbackCluster { .. }) {
        record_half_moved(&mut cluster.unsettled, &job.plan, |task| {
            let layer = task.layer as usize;
            (layer <= layers).then_some(layer < layers)
        });
    }
    forget_nodes(cluster);
}

/// What the end of a job, good or bad, leaves of nodes that are wanted no more.
pub(crate) fn forget_nodes(cluster: &mut Cluster) {
    let wanted = &cluster.spec.nodes;
    cluster
        .nodes
        .retain(|id, node| wanted.contains_key(id) || node.instance.is_some() || !node.disks.is_empty());
}

/// Plans `action` and runs all of it, after which `cluster` has the status that success leads to.
pub(crate) fn carry_out(cluster: &mut Cluster, action: &Action, facts: Facts) -> Plan {
    let job = accept(cluster, change(cluster, action), facts).unwrap();
    for layer in &job.plan.layers {
        run_layer(cluster, &job, layer, |_| Step::Done);
    }
    if let Some(status) = action.kind().leads_to() {
        cluster.status = status;
    }
    cluster.joining.clear();
    cluster.unsettled.clear();
    forget_nodes(cluster);
    job.plan
}

/// Runs one layer as far as `step` says for each task. Tasks run side by side, so each may rely on what was
/// there before the layer, and on nothing else.
pub(crate) fn run_layer(cluster: &mut Cluster, job: &Job, layer: &Layer, step: impl Fn(usize) -> Step) {
    for task in &layer.tasks {
        check_needs(cluster, job, task);
    }
    for (index, task) in layer.tasks.iter().enumerate() {
        report(cluster, task, step(index));
    }
}

fn check_needs(cluster: &Cluster, job: &Job, task: &Task) {
    let Some(id) = &task.node else {
        assert_eq!(task.work, Work::AwaitFrontgate);
        return;
    };
    let node = &cluster.nodes[id];
    let is_lost = || job.plan.facts.nodes.get(id).is_some_and(|it| it.instance == InstanceState::Missing);
    let is_there = match &task.work {
        Work::Cloud(Directive::Instance(InstanceVerb::Run)) => node.instance.is_none() || is_lost(),
        Work::Cloud(Directive::Instance(InstanceVerb::Delete)) => {
            node.instance.is_some() && node.disks.values().all(|disk| disk.device.is_none())
        }
        Work::Cloud(Directive::Instance(InstanceVerb::Resize)) => {
            node.instance.is_some() && node.status == NodeStatus::Stopped
        }
        Work::Cloud(Directive::Instance(_)) => node.instance.is_some(),
        Work::Cloud(Directive::Volume { verb, disk }) => match (verb, cluster.disk(disk)) {
            (VolumeVerb::Create, on_record) => on_record.is_none(),
            (VolumeVerb::Attach, Some(disk)) => node.status == NodeStatus::Active && disk.device.is_none(),
            (VolumeVerb::Detach, Some(_)) => true,
            (VolumeVerb::Delete | VolumeVerb::Resize, Some(disk)) => disk.device.is_none(),
            _ => false,
        },
        Work::Agent(verb) => {
            let role = cluster.spec.role_of(id).or_else(|| job.change.before.spec.role_of(id)).unwrap();
            let is_ready = match verb {
                AgentVerb::Configure => true,
                AgentVerb::Mount { disk } => cluster.disk(disk).is_some_and(|disk| disk.device.is_some()),
                AgentVerb::Unmount { disk, mount_point } => {
                    *mount_point == role.disks[disk.index as usize].mount_point
                        && cluster.disk(disk).is_some_and(|disk| disk.device.is_some())
                }
                _ => node.app.is_some(),
            };
            role.agent_installed && node.status == NodeStatus::Active && is_ready
        }
        Work::Cloud(Directive::Own { .. }) | Work::AwaitFrontgate => false,
    };
    assert!(is_there, "{} of {id} finds {node:?}", task.work);
}

fn report(cluster: &mut Cluster, task: &Task, step: Step) {
    // Instances that are run anew are others.
    let node = task.node.as_ref().map(|id| &cluster.nodes[id]);
    let instance = node.and_then(|node| node.instance.as_ref()).map(|instance| instance.id.as_str());
    let resource = ResourceId::new(match (&task.work, instance) {
        (Work::Cloud(Directive::Instance(InstanceVerb::Run)), Some("r-1")) => "r-2",
        (Work::Cloud(Directive::Instance(InstanceVerb::Start)), Some(id)) => id,
        _ => "r-1",
    });
    let started = Fact::Started(Handle { resource: resource.clone(), cloud_job: None });
    let done = match &task.work {
        Work::Cloud(Directive::Instance(InstanceVerb::Run | InstanceVerb::Start)) => {
            let private_ip = "10.0.0.1".into();
            Fact::Instance(InstanceReady { id: resource, private_ip, public_ip: None, agent: None })
        }
        Work::Cloud(Directive::Volume { verb: VolumeVerb::Create, .. }) => {
            Fact::Volume(VolumeReady { id: resource })
        }
        Work::Cloud(Directive::Volume { verb: VolumeVerb::Attach, .. }) => {
            Fact::Attached(AttachedVolume { device: "/dev/vdb".into() })
        }
        Work::Agent(AgentVerb::Configure) => Fact::Agent(Report::default()),
        _ => Fact::Done,
    };
    match step {
        Step::NotStarted => {}
        Step::Started => {
            record(cluster, task, &started);
        }
        Step::Done => {
            record(cluster, task, &done);
        }
    }
}

/// Whether every wanted node runs with all its disks.
pub(crate) fn is_whole(cluster: &Cluster) -> bool {
    cluster.status == ClusterStatus::Active
        && cluster.spec.nodes.keys().all(|id| {
            let (node, role) = (&cluster.nodes[id], cluster.spec.role_of(id).unwrap());
            node.status == NodeStatus::Active
                && node.disks.len() == role.disks.len()
                && node.disks.values().all(|disk| disk.device.is_some())
        })
}

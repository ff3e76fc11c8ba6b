//! What a plan does to a cluster on record, and what it may rely on while it does.

use crate::fixture::change;
use provider_core::{
    Action, AgentVerb, AttachedVolume, Cluster, ClusterStatus, Directive, Fact, Facts, Handle, InstanceReady,
    InstanceVerb, Layer, NodeStatus, Plan, ResourceId, Task, VolumeReady, VolumeVerb, Work, record,
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

/// Plans `action` and runs all of it, after which `cluster` has the status that success leads to.
pub(crate) fn carry_out(cluster: &mut Cluster, action: &Action, facts: Facts) -> Plan {
    let plan = plan(&change(cluster, action), facts).unwrap();
    for layer in &plan.layers {
        run_layer(cluster, layer, |_| Step::Done);
    }
    if let Some(status) = action.kind().leads_to() {
        cluster.status = status;
    }
    plan
}

/// Runs one layer as far as `step` says for each task. Tasks run side by side, so each may rely on what was
/// there before the layer, and on nothing else.
pub(crate) fn run_layer(cluster: &mut Cluster, layer: &Layer, step: impl Fn(usize) -> Step) {
    for task in &layer.tasks {
        check_needs(cluster, task);
    }
    for (index, task) in layer.tasks.iter().enumerate() {
        report(cluster, task, step(index));
    }
}

fn check_needs(cluster: &Cluster, task: &Task) {
    let Some(id) = &task.node else {
        assert_eq!(task.work, Work::AwaitFrontgate);
        return;
    };
    let node = &cluster.nodes[id];
    let is_there = match &task.work {
        Work::Cloud(Directive::Instance(InstanceVerb::Run)) => node.instance.is_none(),
        Work::Cloud(Directive::Instance(InstanceVerb::Delete)) => {
            node.instance.is_some() && node.disks.values().all(|disk| disk.device.is_none())
        }
        Work::Cloud(Directive::Instance(_)) => node.instance.is_some(),
        Work::Cloud(Directive::Volume { verb, disk }) => match (verb, cluster.disk(disk)) {
            (VolumeVerb::Create, on_record) => on_record.is_none(),
            (VolumeVerb::Attach, Some(disk)) => node.status == NodeStatus::Active && disk.device.is_none(),
            (VolumeVerb::Detach, Some(_)) => true,
            (VolumeVerb::Delete, Some(disk)) => disk.device.is_none(),
            _ => false,
        },
        Work::Agent(verb) => {
            let role = cluster.spec.role_of(id).unwrap();
            let disk_is_there = match verb {
                AgentVerb::Mount { disk } | AgentVerb::Unmount { disk, .. } => {
                    cluster.disk(disk).is_some_and(|disk| disk.device.is_some())
                }
                _ => true,
            };
            role.agent_installed && node.status == NodeStatus::Active && disk_is_there
        }
        Work::Cloud(Directive::Own { .. }) | Work::AwaitFrontgate => false,
    };
    assert!(is_there, "{} of {id} finds {node:?}", task.work);
}

fn report(cluster: &mut Cluster, task: &Task, step: Step) {
    let resource = ResourceId::new("r-1");
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

//! What a plan does to a cluster on record, and what it may rely on while it does.

use crate::fixture::change;
use provider_core::{
    Action, AgentVerb, Cluster, ClusterStatus, Directive, Disk, Facts, Instance, InstanceVerb, Layer,
    NodeStatus, Plan, Task, VolumeVerb, Work,
};
use vmbased::frame::plan;

/// How far a task came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Progress {
    /// It never started.
    Nowhere,
    /// The provider gave the new resource a name, and no more is known.
    Named,
    /// To its end.
    Done,
}

/// Plans `action` and runs all of it, after which `cluster` has the status that success leads to.
pub(crate) fn carry_out(cluster: &mut Cluster, action: &Action, facts: Facts) -> Plan {
    let plan = plan(&change(cluster, action), facts).unwrap();
    for layer in &plan.layers {
        run_layer(cluster, layer, |_| Progress::Done);
    }
    if let Some(status) = action.kind().leads_to() {
        cluster.status = status;
    }
    plan
}

/// Runs one layer as far as `progress` says for each task. Tasks run side by side, so each may rely on what was
/// there before the layer, and on nothing else.
pub(crate) fn run_layer(cluster: &mut Cluster, layer: &Layer, progress: impl Fn(usize) -> Progress) {
    for task in &layer.tasks {
        check_needs(cluster, task);
    }
    for (index, task) in layer.tasks.iter().enumerate() {
        record(cluster, task, progress(index));
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
                AgentVerb::Mount { disk } | AgentVerb::Unmount { disk } => {
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

fn record(cluster: &mut Cluster, task: &Task, progress: Progress) {
    let Some(node) = task.node.as_ref().and_then(|id| cluster.nodes.get_mut(id)) else {
        return;
    };
    match (&task.work, progress) {
        (_, Progress::Nowhere) => {}
        (Work::Cloud(Directive::Instance(InstanceVerb::Run)), _) => {
            node.instance = Some(Instance {
                id: "i".into(),
                private_ip: None,
                public_ip: None,
                agent: None,
            });
            if progress == Progress::Done {
                node.status = NodeStatus::Active;
            }
        }
        (
            Work::Cloud(Directive::Volume {
                verb: VolumeVerb::Create,
                disk,
            }),
            _,
        ) => {
            node.disks.insert(
                disk.index,
                Disk {
                    volume: "v".into(),
                    device: None,
                },
            );
        }
        (_, Progress::Named) => {}
        (Work::Cloud(Directive::Instance(verb)), Progress::Done) => match verb {
            InstanceVerb::Start => node.status = NodeStatus::Active,
            InstanceVerb::Stop => node.status = NodeStatus::Stopped,
            InstanceVerb::Delete => {
                node.status = NodeStatus::Deleted;
                node.instance = None;
            }
            InstanceVerb::Run | InstanceVerb::Resize => unreachable!("no plan of these resizes"),
        },
        (
            Work::Cloud(Directive::Volume {
                verb: VolumeVerb::Delete,
                disk,
            }),
            Progress::Done,
        ) => {
            node.disks.remove(&disk.index);
        }
        (Work::Cloud(Directive::Volume { verb, disk }), Progress::Done) => {
            let device = (*verb == VolumeVerb::Attach).then(|| "/dev/vdb".to_owned());
            node.disks.get_mut(&disk.index).unwrap().device = device;
        }
        (Work::Cloud(Directive::Own { .. }) | Work::Agent(_) | Work::AwaitFrontgate, Progress::Done) => {}
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

//! The only writer of cluster records.

use crate::{
    AgentVerb, Cluster, Directive, Disk, Fact, Handle, Instance, InstanceVerb, Node, NodeId, NodeStatus,
    Plan, ResourceId, ServiceName, Task, TaskId, VolumeVerb, Work,
};
use std::collections::{BTreeMap, BTreeSet};

/// Writes what a task reported into its cluster's record. Pure; writing the same fact again changes nothing.
/// Gives whether anything changed. Only the task's own node is ever touched, so storing that node is enough.
///
/// The engine applies it in the transaction that stores the fact: when work has started, so that no resource
/// is ever unknown, and when it is done.
pub fn record(cluster: &mut Cluster, task: &Task, fact: &Fact) -> bool {
    let app = cluster.spec.app.clone();
    let Some(node) = task.node.as_ref().and_then(|id| cluster.nodes.get_mut(id)) else {
        return false;
    };
    let before = node.clone();
    match (&task.work, fact) {
        (Work::Cloud(Directive::Instance(InstanceVerb::Run)), Fact::Started(Handle { resource: id, .. })) => {
            forget_other_instance(node, id);
            let new = || Instance { id: id.clone(), private_ip: None, public_ip: None, agent: None };
            node.instance.get_or_insert_with(new);
        }
        (
            Work::Cloud(Directive::Instance(InstanceVerb::Run | InstanceVerb::Start) | Directive::Own { .. }),
            Fact::Instance(ready),
        ) => {
            forget_other_instance(node, &ready.id);
            node.instance = Some(Instance {
                id: ready.id.clone(),
                private_ip: Some(ready.private_ip.clone()),
                public_ip: ready.public_ip.clone(),
                agent: ready.agent.clone(),
            });
            node.status = NodeStatus::Active;
        }
        (Work::Cloud(Directive::Instance(InstanceVerb::Stop)), Fact::Done) => {
            node.status = NodeStatus::Stopped;
        }
        (Work::Cloud(Directive::Instance(InstanceVerb::Delete)), Fact::Done) => {
            node.instance = None;
            node.status = NodeStatus::Deleted;
            for disk in node.disks.values_mut() {
                disk.device = None;
            }
        }
        (Work::Cloud(Directive::Own { .. }), Fact::Node(status)) => {
            node.status = *status;
            if *status == NodeStatus::Deleted {
                node.instance = None;
            }
        }
        (Work::Cloud(Directive::Volume { verb, disk }), fact) => match (verb, fact) {
            (VolumeVerb::Create, Fact::Started(Handle { resource: id, .. })) => {
                let new = || Disk { volume: id.clone(), device: None };
                let disk = node.disks.entry(disk.index).or_insert_with(new);
                if disk.volume != *id {
                    *disk = new();
                }
            }
            (VolumeVerb::Create, Fact::Volume(ready)) => {
                node.disks.insert(disk.index, Disk { volume: ready.id.clone(), device: None });
            }
            (VolumeVerb::Attach, Fact::Attached(attached)) => {
                if let Some(disk) = node.disks.get_mut(&disk.index) {
                    disk.device = Some(attached.device.clone());
                }
            }
            (VolumeVerb::Detach, Fact::Done) => {
                if let Some(disk) = node.disks.get_mut(&disk.index) {
                    disk.device = None;
                }
            }
            (VolumeVerb::Delete, Fact::Done) => {
                node.disks.remove(&disk.index);
            }
            _ => {}
        },
        (Work::Agent(AgentVerb::Configure), Fact::Agent(report)) => {
            node.public_key.clone_from(&report.public_key);
            node.token.clone_from(&report.token);
            node.app = Some(app);
        }
        _ => {}
    }
    *node != before
}

/// Writes into `unsettled`, as the cluster has it, which nodes a move to another version that did not succeed has left
/// between the two.
/// `is_done` says of a task of its plan whether it did what it should; none if it has not begun. Pure.
///
/// What goes before or comes after the move itself (the backup, the news for the peers) leaves no node between.
pub fn record_half_moved(
    unsettled: &mut BTreeSet<NodeId>,
    plan: &Plan,
    is_done: impl Fn(TaskId) -> Option<bool>,
) {
    // Of each node: whether something has begun, and whether all is done.
    let mut nodes: BTreeMap<&NodeId, (bool, bool)> = BTreeMap::new();
    for (layer, number) in plan.layers.iter().zip(0..) {
        for (task, index) in layer.tasks.iter().zip(0..) {
            let Some(node) = task.node.as_ref().filter(|_| moves(&task.work)) else { continue };
            let (begun, done) = nodes.entry(node).or_insert((false, true));
            let is_done = is_done(TaskId { layer: number, index });
            *begun |= is_done.is_some();
            *done &= is_done.is_some_and(|is_done| is_done || task.failure_allowed);
        }
    }
    for (node, (begun, done)) in nodes {
        if done {
            unsettled.remove(node);
        } else if begun {
            unsettled.insert(node.clone());
        }
    }
}

fn moves(work: &Work) -> bool {
    match work {
        Work::Agent(AgentVerb::Service { service, .. }) => *service != ServiceName::Backup,
        Work::Agent(AgentVerb::Metadata { .. }) => false,
        _ => true,
    }
}

/// An instance with another id than `id` was replaced because it is gone. Nothing is attached to the new one yet.
fn forget_other_instance(node: &mut Node, id: &ResourceId) {
    if node.instance.take_if(|instance| instance.id != *id).is_some() {
        node.disks.values_mut().for_each(|disk| disk.device = None);
    }
}

//! The single layers. Each builder decides from the record which of the nodes given to it get a task, and may
//! return a layer without tasks; a plan leaves that out. Tasks come in the order of the nodes, then of the disks.

use super::nodes::{NodeView, those};
use super::services::GRACE_S;
use provider_core::{
    AgentVerb, Directive, DiskId, InstanceVerb, Layer, NodeId, NodeStatus, Task, VolumeVerb, Work,
    metadata::HEALTHY_S,
};
use std::collections::{BTreeMap, HashMap};

/// Seconds for an instance to be launched and to run.
const RUN_S: u32 = 1800;
/// Seconds for any other verb of a provider.
const VERB_S: u32 = 600;
/// Seconds to check, format and mount a disk, however large. It may be the first contact with the agent.
const MOUNT_S: u32 = 3600;
/// Seconds to configure a node. It may be the first contact with the agent.
const CONFIGURE_S: u32 = 1800;
/// Seconds for a node to take new metadata, or keys.
const METADATA_S: u32 = 600;
/// Seconds to end what uses a disk and to unmount it.
const UNMOUNT_S: u32 = 600;
/// Seconds until the frontgate, which may be under way itself, can be used.
const FRONTGATE_S: u32 = 1800;
/// Seconds that a forced step may take at most.
const FORCED_S: u32 = 60;

pub(super) fn await_frontgate() -> Layer {
    let task =
        Task { work: Work::AwaitFrontgate, node: None, failure_allowed: false, timeout_s: FRONTGATE_S };
    Layer { name: "await frontgate".into(), tasks: vec![task] }
}

pub(super) fn run_instances(nodes: &[NodeView<'_>]) -> Layer {
    instances("run instances", nodes, InstanceVerb::Run, RUN_S, |node| !node.has_instance())
}

/// Also for instances that run on record: a machine may have gone down since, and starting a running one is done
/// at once.
pub(super) fn start_instances(nodes: &[NodeView<'_>]) -> Layer {
    instances("start instances", nodes, InstanceVerb::Start, VERB_S, NodeView::has_instance)
}

pub(super) fn stop_instances(nodes: &[NodeView<'_>]) -> Layer {
    instances("stop instances", nodes, InstanceVerb::Stop, VERB_S, |node| {
        node.has_instance() && !node.is(NodeStatus::Stopped)
    })
}

pub(super) fn delete_instances(nodes: &[NodeView<'_>]) -> Layer {
    instances("delete instances", nodes, InstanceVerb::Delete, VERB_S, NodeView::has_instance)
}

/// Of nodes whose role has another size. They are stopped by then.
pub(super) fn resize_instances(nodes: &[NodeView<'_>]) -> Layer {
    instances("resize instances", nodes, InstanceVerb::Resize, VERB_S, NodeView::has_instance)
}

pub(super) fn create_volumes(nodes: &[NodeView<'_>]) -> Layer {
    disks("create volumes", nodes, volume(VolumeVerb::Create), VERB_S, |node| {
        node.wanted_disks().filter(|index| !node.has_disk(*index)).collect()
    })
}

pub(super) fn attach_volumes(nodes: &[NodeView<'_>]) -> Layer {
    disks("attach volumes", nodes, volume(VolumeVerb::Attach), VERB_S, |node| {
        node.wanted_disks().filter(|index| !node.is_attached(*index)).collect()
    })
}

/// Every disk that may be attached: one whose attaching was given up while it was under way has no device on
/// record, and detaching a detached one is done at once.
pub(super) fn detach_volumes(nodes: &[NodeView<'_>]) -> Layer {
    disks("detach volumes", nodes, volume(VolumeVerb::Detach), VERB_S, |node| {
        node.disks().filter(|index| node.has_instance() || node.is_attached(*index)).collect()
    })
}

pub(super) fn delete_volumes(nodes: &[NodeView<'_>]) -> Layer {
    disks("delete volumes", nodes, volume(VolumeVerb::Delete), VERB_S, |node| node.disks().collect())
}

/// The disks `grown`, of those on record. They are detached by then.
pub(super) fn resize_volumes(nodes: &[NodeView<'_>], grown: &[u32]) -> Layer {
    disks("resize volumes", nodes, volume(VolumeVerb::Resize), VERB_S, |node| {
        node.disks().filter(|index| grown.contains(index)).collect()
    })
}

/// Also for disks that have been mounted before, which is nowhere on record; mounting again changes nothing.
pub(super) fn mount(nodes: &[NodeView<'_>]) -> Layer {
    disks(
        "mount volumes",
        nodes,
        |_, disk| Work::Agent(AgentVerb::Mount { disk }),
        MOUNT_S,
        |node| node.wanted_disks().filter(|_| node.agent_role().is_some()).collect(),
    )
}

pub(super) fn unmount(nodes: &[NodeView<'_>]) -> Layer {
    let work = |node: &NodeView<'_>, disk: DiskId| {
        let mount_point = node.mount_point(disk.index).to_owned();
        Work::Agent(AgentVerb::Unmount { disk, mount_point })
    };
    disks("unmount volumes", nodes, work, UNMOUNT_S, |node| {
        node.disks().filter(|index| node.agent_role().is_some() && node.is_attached(*index)).collect()
    })
}

pub(super) fn configure(nodes: &[NodeView<'_>]) -> Layer {
    agents("configure", nodes, &AgentVerb::Configure, CONFIGURE_S)
}

pub(super) fn push_metadata(nodes: &[NodeView<'_>]) -> Layer {
    agents("push metadata", nodes, &AgentVerb::Metadata { settled: false }, METADATA_S)
}

/// The scaling is over: who came and who went is no longer told.
pub(super) fn settle_metadata(nodes: &[NodeView<'_>]) -> Layer {
    agents("settle metadata", nodes, &AgentVerb::Metadata { settled: true }, METADATA_S)
}

/// Where something tells whether the application works.
pub(super) fn await_healthy(nodes: &[NodeView<'_>]) -> Layer {
    let is_checked = |node: &NodeView<'_>| {
        let check = node.agent_role().and_then(|role| role.health_check.as_ref());
        check.is_some_and(|check| check.enable)
    };
    agents("await health", &those(nodes, is_checked), &AgentVerb::AwaitHealthy, HEALTHY_S + GRACE_S)
}

pub(super) fn attach_keys(nodes: &[NodeView<'_>], keys: &[String]) -> Layer {
    agents("attach keys", nodes, &AgentVerb::AttachKeys { keys: keys.to_vec() }, METADATA_S)
}

pub(super) fn detach_keys(nodes: &[NodeView<'_>], keys: &[String]) -> Layer {
    agents("detach keys", nodes, &AgentVerb::DetachKeys { keys: keys.to_vec() }, METADATA_S)
}

/// The layers once for each of `nodes`, one node after another. What falls to other nodes is left out.
pub(super) fn one_at_a_time(nodes: &[NodeView<'_>], layers: Vec<Layer>) -> Vec<Layer> {
    let mut lanes: HashMap<NodeId, BTreeMap<usize, Layer>> = HashMap::new();
    for (step, Layer { name, tasks }) in layers.into_iter().enumerate() {
        for task in tasks {
            let Some(node) = &task.node else { continue };
            let lane = lanes.entry(node.clone()).or_default();
            lane.entry(step)
                .or_insert_with(|| Layer { name: name.clone(), tasks: Vec::new() })
                .tasks
                .push(task);
        }
    }
    nodes.iter().filter_map(|node| lanes.remove(node.id)).flat_map(BTreeMap::into_values).collect()
}

/// One layer of both, which don't need each other.
pub(super) fn beside(mut one: Layer, other: Layer) -> Layer {
    if one.tasks.is_empty() || other.tasks.is_empty() {
        return if one.tasks.is_empty() { other } else { one };
    }
    one.name = format!("{}, {}", one.name, other.name);
    one.tasks.extend(other.tasks);
    one
}

/// The layer as it runs when the action must end: what can't be done soon is given up.
pub(super) fn forced(layer: Layer) -> Layer {
    let mut layer = may_fail(layer);
    for task in &mut layer.tasks {
        task.timeout_s = task.timeout_s.min(FORCED_S);
    }
    layer
}

/// The job goes on when its tasks fail.
pub(super) fn may_fail(mut layer: Layer) -> Layer {
    for task in &mut layer.tasks {
        task.failure_allowed = true;
    }
    layer
}

/// A task of `node` that must not fail.
pub(super) fn node_task(node: &NodeView<'_>, work: Work, timeout_s: u32) -> Task {
    Task { work, node: Some(node.id.clone()), failure_allowed: false, timeout_s }
}

fn instances<'a>(
    name: &str,
    nodes: &[NodeView<'a>],
    verb: InstanceVerb,
    timeout_s: u32,
    is_due: impl Fn(&NodeView<'a>) -> bool,
) -> Layer {
    let work = Work::Cloud(Directive::Instance(verb));
    let task = |node: &NodeView<'a>| {
        let mut task = node_task(node, work.clone(), timeout_s);
        // Whether one that is gone has been stopped is for the provider to say, and no reason to give up.
        task.failure_allowed = verb == InstanceVerb::Stop && node.is_gone();
        task
    };
    Layer { name: name.into(), tasks: nodes.iter().filter(|node| is_due(node)).map(task).collect() }
}

fn volume(verb: VolumeVerb) -> impl Fn(&NodeView<'_>, DiskId) -> Work {
    move |_, disk| Work::Cloud(Directive::Volume { verb, disk })
}

fn disks<'a>(
    name: &str,
    nodes: &[NodeView<'a>],
    work: impl Fn(&NodeView<'a>, DiskId) -> Work,
    timeout_s: u32,
    due: impl Fn(&NodeView<'a>) -> Vec<u32>,
) -> Layer {
    let mut tasks = Vec::new();
    for node in nodes {
        for index in due(node) {
            let disk = DiskId { node: node.id.clone(), index };
            tasks.push(node_task(node, work(node, disk), timeout_s));
        }
    }
    Layer { name: name.into(), tasks }
}

fn agents(name: &str, nodes: &[NodeView<'_>], verb: &AgentVerb, timeout_s: u32) -> Layer {
    let reachable = nodes.iter().filter(|node| node.agent_role().is_some());
    let task = |node| node_task(node, Work::Agent(verb.clone()), timeout_s);
    Layer { name: name.into(), tasks: reachable.map(task).collect() }
}

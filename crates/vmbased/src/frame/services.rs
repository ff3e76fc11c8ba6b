//! The layers that run commands of the package.

use super::layers::node_task;
use super::nodes::NodeView;
use provider_core::{AgentVerb, Layer, Service, ServiceName, Task, Work};
use std::collections::BTreeMap;

/// Seconds that a command's task may take longer than the command, which the agent kills in time: enough to
/// bring the command to the agent and its output back.
const GRACE_S: u32 = 60;

/// The layers that run the service called `service` on those of `nodes` whose role has it and `is_meant`. One
/// layer for each order, ascending: equal orders run side by side, across roles.
///
/// A limit (`nodes_to_execute_on`) counts the base nodes and the replicas of a role apart, among `nodes` only.
/// The first ones by server id run the command. Replicas run it only if the limit covers all of them.
pub(super) fn services<'a>(
    name: &str,
    nodes: &[NodeView<'a>],
    service: &ServiceName,
    is_meant: impl Fn(&Service) -> bool,
) -> Vec<Layer> {
    let due = |node: &NodeView<'a>| {
        let declared = node.agent_role()?.services.get(service)?;
        is_meant(declared).then_some((*node, node.group()?, declared))
    };
    let due: Vec<_> = nodes.iter().filter_map(due).collect();
    let mut sizes = BTreeMap::new();
    for (_, group, _) in &due {
        *sizes.entry(*group).or_insert(0) += 1;
    }
    let mut taken = BTreeMap::new();
    let mut by_order = BTreeMap::<i32, Vec<Task>>::new();
    for (node, group, declared) in due {
        let (_, is_replica) = group;
        let limit = declared.nodes_to_execute_on.unwrap_or(u32::MAX);
        let taken = taken.entry(group).or_insert(0);
        if *taken == limit || (is_replica && limit < sizes[&group]) {
            continue;
        }
        *taken += 1;
        by_order.entry(declared.order).or_default().push(task(&node, service, declared));
    }
    name_layers(name, by_order)
}

fn task(node: &NodeView<'_>, service: &ServiceName, declared: &Service) -> Task {
    let verb = AgentVerb::Service {
        service: service.clone(),
        cmd: declared.cmd.clone(),
        timeout_s: declared.timeout_s,
        params: BTreeMap::new(),
    };
    let mut task = node_task(node, Work::Agent(verb), declared.timeout_s.saturating_add(GRACE_S));
    task.failure_allowed = *service == ServiceName::Destroy && declared.allow_force;
    task
}

/// The order is part of the name where there is more than one.
fn name_layers(name: &str, by_order: BTreeMap<i32, Vec<Task>>) -> Vec<Layer> {
    let is_single = by_order.len() == 1;
    let layer = |(order, tasks)| {
        let name = if is_single { name.to_owned() } else { format!("{name} (order {order})") };
        Layer { name, tasks }
    };
    by_order.into_iter().map(layer).collect()
}

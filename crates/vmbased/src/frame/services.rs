//! The layers that run commands of the package.

use super::layers::{may_fail, node_task};
use super::nodes::NodeView;
use provider_core::{AgentVerb, Layer, Service, ServiceName, Task, Work};
use std::collections::{BTreeMap, HashSet};

/// Seconds that a command's task may take longer than the command, which the agent kills in time: enough to
/// bring the command to the agent and its output back.
pub(super) const GRACE_S: u32 = 60;

/// Commands by their order.
type Orders = BTreeMap<i32, Vec<Task>>;

/// The layers that run the service called `service` on those of `nodes` whose role has it and `is_meant`. One
/// layer for each order, ascending: equal orders run side by side, across roles.
///
/// A limit (`nodes_to_execute_on`) counts the base nodes and the replicas of a role apart, among `nodes` only.
/// The first ones by server id run the command. Replicas run it only if the limit covers all of them.
pub(super) fn services(
    name: &str,
    nodes: &[NodeView<'_>],
    service: &ServiceName,
    is_meant: impl Fn(&Service) -> bool,
) -> Vec<Layer> {
    name_layers(name, by_order(nodes, service, |declared| is_meant(declared).then_some(&declared.cmd)))
}

/// As [`services`], with the command whose failure forbids what the service is for.
pub(super) fn pre_checks(name: &str, nodes: &[NodeView<'_>], service: &ServiceName) -> Vec<Layer> {
    name_layers(name, by_order(nodes, service, |declared| declared.pre_check.as_ref()))
}

/// As [`services`], because an operator asked for it with `params`.
pub(super) fn run_service(
    nodes: &[NodeView<'_>],
    service: &ServiceName,
    params: &BTreeMap<String, String>,
) -> Vec<Layer> {
    let mut layers = services(service.as_str(), nodes, service, |_| true);
    for task in layers.iter_mut().flat_map(|layer| &mut layer.tasks) {
        if let Work::Agent(AgentVerb::Service { params: given, .. }) = &mut task.work {
            given.clone_from(params);
        }
        task.failure_allowed = false;
    }
    layers
}

/// Brings the application down and up on the nodes `again`, and up on the nodes `up`, both of `nodes`: roles that
/// have a `restart` command run it, others `stop` and `start`. Each order comes up as a whole.
pub(super) fn restarts(nodes: &[NodeView<'_>], again: &[NodeView<'_>], up: &[NodeView<'_>]) -> Vec<Layer> {
    let (restarted, stopped): (Vec<_>, Vec<_>) =
        again.iter().copied().partition(|node| node.has_service(&ServiceName::Restart));
    let mut orders = orders_of(nodes, &ServiceName::Start, &[&stopped, up].concat());
    for (order, tasks) in orders_of(nodes, &ServiceName::Restart, &restarted) {
        orders.entry(order).or_default().extend(tasks);
    }
    let mut layers = stops(nodes, &stopped);
    layers.extend(name_layers(if again.is_empty() { "start" } else { "restart" }, orders));
    layers
}

/// Brings the application down on the nodes `on`, of `nodes`. Stopping a service that does not run is no reason
/// to give up.
pub(super) fn stops(nodes: &[NodeView<'_>], on: &[NodeView<'_>]) -> Vec<Layer> {
    let layers = name_layers("stop", orders_of(nodes, &ServiceName::Stop, on));
    layers.into_iter().map(may_fail).collect()
}

/// Brings the application up on the nodes `on`, of `nodes`.
pub(super) fn starts(nodes: &[NodeView<'_>], on: &[NodeView<'_>]) -> Vec<Layer> {
    name_layers("start", orders_of(nodes, &ServiceName::Start, on))
}

/// What of `service` on all `nodes` falls to the nodes `on`.
fn orders_of(nodes: &[NodeView<'_>], service: &ServiceName, on: &[NodeView<'_>]) -> Orders {
    let on: HashSet<_> = on.iter().map(|node| node.id).collect();
    let mut orders = by_order(nodes, service, |declared| Some(&declared.cmd));
    orders.retain(|_, tasks| {
        tasks.retain(|task| task.node.as_ref().is_some_and(|id| on.contains(id)));
        !tasks.is_empty()
    });
    orders
}

fn by_order<'a>(
    nodes: &[NodeView<'a>],
    service: &ServiceName,
    command: impl Fn(&'a Service) -> Option<&'a String>,
) -> Orders {
    let due = |node: &NodeView<'a>| {
        let declared = node.agent_role()?.services.get(service)?;
        let command = command(declared).filter(|command| !command.is_empty())?;
        Some((*node, node.group()?, declared, command))
    };
    let due: Vec<_> = nodes.iter().filter_map(due).collect();
    let mut sizes = BTreeMap::new();
    for (_, group, ..) in &due {
        *sizes.entry(*group).or_insert(0) += 1;
    }
    let mut taken = BTreeMap::new();
    let mut orders = Orders::new();
    for (node, group, declared, command) in due {
        let (_, is_replica) = group;
        let limit = declared.nodes_to_execute_on.unwrap_or(u32::MAX);
        let taken = taken.entry(group).or_insert(0);
        if *taken == limit || (is_replica && limit < sizes[&group]) {
            continue;
        }
        *taken += 1;
        orders.entry(declared.order).or_default().push(task(&node, service, declared, command));
    }
    orders
}

fn task(node: &NodeView<'_>, service: &ServiceName, declared: &Service, cmd: &str) -> Task {
    let verb = AgentVerb::Service {
        service: service.clone(),
        cmd: cmd.to_owned(),
        timeout_s: declared.timeout_s,
        params: BTreeMap::new(),
    };
    let mut task = node_task(node, Work::Agent(verb), declared.timeout_s.saturating_add(GRACE_S));
    task.failure_allowed = *service == ServiceName::Destroy && declared.allow_force;
    task
}

/// The order is part of the name where there is more than one.
fn name_layers(name: &str, orders: Orders) -> Vec<Layer> {
    let is_single = orders.len() == 1;
    let layer = |(order, tasks)| {
        let name = if is_single { name.to_owned() } else { format!("{name} (order {order})") };
        Layer { name, tasks }
    };
    orders.into_iter().map(layer).collect()
}

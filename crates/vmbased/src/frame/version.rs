//! Other versions: one node at a time, the next only when the last one works.

use super::layers::{await_healthy, configure, one_at_a_time, push_metadata};
use super::life::around;
use super::nodes::{NodeView, as_configured, those};
use super::services::{services, starts, stops};
use super::{all_in_service, attempt};
use provider_core::{Change, ClusterSpec, Error, Facts, Layer, Result, ServiceName};
use std::cmp::Reverse;

pub(super) fn upgrade(change: &Change, facts: &Facts, with_backup: bool) -> Result<Vec<Layer>> {
    let nodes = all_in_service(change, facts)?;
    let is_there = |node: &NodeView<'_>| node.app() == Some(&change.after.app);
    let is_begun = !change.before.unsettled.is_empty() || nodes.iter().any(is_there);
    let mut layers = Vec::new();
    if with_backup && !is_begun {
        layers = services("backup", &as_configured(change, facts), &ServiceName::Backup, |_| true);
    }
    layers.extend(roll(change, facts, &nodes, &change.after, &nodes)?);
    Ok(layers)
}

/// Runs no `upgrade`: a package whose data the version before could not read would not allow this.
pub(super) fn roll_back(change: &Change, facts: &Facts) -> Result<Vec<Layer>> {
    roll(change, facts, &all_in_service(change, facts)?, &change.before.spec, &[])
}

/// Moves `nodes` to the wanted version; `newer` is the one of both that decides the order. The nodes `upgraded` run
/// the package's `upgrade`.
fn roll(
    change: &Change,
    facts: &Facts,
    nodes: &[NodeView<'_>],
    newer: &ClusterSpec,
    upgraded: &[NodeView<'_>],
) -> Result<Vec<Layer>> {
    refuse_other_nodes(change)?;
    let due = due(change, nodes, newer);
    let before = as_configured(change, facts);
    let mut steps = stops(&before, &before);
    // An application that does not stop would go on as it was, and pass for the wanted version. Where a job was cut
    // short it may be down already.
    for task in steps.iter_mut().flat_map(|layer| &mut layer.tasks) {
        task.failure_allowed = task.node.as_ref().is_some_and(|node| change.before.unsettled.contains(node));
    }
    steps.push(configure(nodes));
    steps.extend(around(starts(nodes, nodes), &[], upgraded));
    steps.push(await_healthy(nodes));
    let mut layers = one_at_a_time(&due, steps);
    if !due.is_empty() {
        layers.push(push_metadata(nodes));
    }
    Ok(layers)
}

/// The nodes to work on, in order: those first that others don't start after, in a role the replicas first.
///
/// A node is left alone when it has the wanted version and no job that was cut short has left it half done.
fn due<'a>(change: &Change, nodes: &[NodeView<'a>], newer: &ClusterSpec) -> Vec<NodeView<'a>> {
    let mut nodes = those(nodes, |node| node.agent_role().is_some());
    nodes.sort_by_key(|node| {
        let start = |role| newer.roles.get(role)?.services.get(&ServiceName::Start);
        let order = node.role().and_then(|(role, _)| start(role)).map_or(0, |start| start.order);
        (Reverse(order), node.role().map(|(role, _)| role), !node.is_replica())
    });
    let Change { before, after, .. } = change;
    nodes.retain(|node| node.app() != Some(&after.app) || before.unsettled.contains(node.id));
    nodes
}

fn refuse_other_nodes(change: &Change) -> Result<()> {
    let (before, after) = (&change.before.spec.nodes, &change.after.nodes);
    let other = |(id, _): &(&_, &_)| before.contains_key(*id) != after.contains_key(*id);
    let other: Vec<_> = before.iter().chain(after).filter(other).map(|(id, _)| format!("`{id}`")).collect();
    if other.is_empty() {
        return Ok(());
    }
    let message =
        format!("{}: {} would change its nodes: {}", attempt(change), change.after.app, other.join(", "));
    Err(Error::invalid(message)
        .hint("a version may bring new roles without nodes, and must keep those that have some"))
}

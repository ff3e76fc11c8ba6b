//! Other versions: one node at a time, the next only when the last one works.

use super::layers::{await_healthy, configure, one_at_a_time, push_metadata};
use super::life::around;
use super::nodes::{NodeView, as_configured, those};
use super::services::{services, starts, stops};
use super::{all_in_service, attempt};
use provider_core::{Change, ClusterSpec, Error, Layer, Result, ServiceName};
use std::{cmp::Reverse, iter::once};

pub(super) fn upgrade(change: &Change, with_backup: bool) -> Result<Vec<Layer>> {
    let nodes = all_in_service(change)?;
    let is_begun = nodes.iter().any(|node| node.app() == Some(&change.after.app));
    let mut layers = Vec::new();
    if with_backup && !is_begun {
        layers = services("backup", &as_configured(change), &ServiceName::Backup, |_| true);
    }
    layers.extend(roll(change, &nodes, &change.after, &nodes)?);
    Ok(layers)
}

/// Runs no `upgrade`: a package whose data the version before could not read would not allow this.
pub(super) fn roll_back(change: &Change) -> Result<Vec<Layer>> {
    roll(change, &all_in_service(change)?, &change.before.spec, &[])
}

/// Moves `nodes` to the wanted version; `newer` is the one of both that decides the order. The nodes `upgraded` run
/// the package's `upgrade`.
fn roll(
    change: &Change,
    nodes: &[NodeView<'_>],
    newer: &ClusterSpec,
    upgraded: &[NodeView<'_>],
) -> Result<Vec<Layer>> {
    refuse_other_nodes(change)?;
    let due = due(change, nodes, newer);
    let before = as_configured(change);
    let mut steps = stops(&before, &before);
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
/// A job that was cut short went the same way through the nodes, from the version before it to its own. Up to where
/// it came all have one version, from there the other, and the nodes on both sides of that border may be half done.
/// So a node is left alone when it and its neighbours have the wanted version; beyond the first and the last
/// stand the version that is on record for the cluster and the one before.
fn due<'a>(change: &Change, nodes: &[NodeView<'a>], newer: &ClusterSpec) -> Vec<NodeView<'a>> {
    let mut nodes = those(nodes, |node| node.agent_role().is_some());
    nodes.sort_by_key(|node| {
        let start = |role| newer.roles.get(role)?.services.get(&ServiceName::Start);
        let order = node.role().and_then(|(role, _)| start(role)).map_or(0, |start| start.order);
        (Reverse(order), node.role().map(|(role, _)| role), !node.is_replica())
    });
    let Change { before, after, .. } = change;
    let is_there: Vec<_> = once(before.spec.app == after.app)
        .chain(nodes.iter().map(|node| node.app() == Some(&after.app)))
        .chain(once(before.previous.as_ref().is_none_or(|previous| previous.app == after.app)))
        .collect();
    let is_settled = |at: usize| is_there[at..at + 3].iter().all(|is_there| *is_there);
    nodes.into_iter().enumerate().filter(|(at, _)| !is_settled(*at)).map(|(_, node)| node).collect()
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

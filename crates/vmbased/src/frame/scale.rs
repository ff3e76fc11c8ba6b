//! More nodes, fewer nodes, larger and smaller ones.

use super::layers::{
    attach_volumes, await_healthy, beside, delete_volumes, detach_volumes, may_fail, mount, one_at_a_time,
    push_metadata, resize_instances, resize_volumes, settle_metadata, start_instances, stop_instances,
    unmount,
};
use super::life::{around, machines, take_down};
use super::nodes::{NodeView, in_service, on_record, restored, those, wanted};
use super::services::{pre_checks, services, starts, stops};
use super::{all_in_service, is_served, refuse_unless};
use provider_core::{Change, Facts, Layer, NodeId, NodeStatus, Result, RoleSpec, ScalingPolicy, ServiceName};
use std::collections::BTreeSet;

/// Nothing is made before the nodes that there are agree.
pub(super) fn add_nodes(change: &Change, facts: &Facts) -> Result<Vec<Layer>> {
    let nodes = restored(change, facts)?;
    let (new, rest): (Vec<_>, Vec<_>) = nodes.iter().copied().partition(NodeView::is_new);
    refuse_unless(change, &rest, is_served)?;
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let scale_out = ServiceName::ScaleOut;
    let mut layers = pre_checks("check scale out", &rest, &scale_out);
    layers.extend(machines(&new, facts.needs_frontgate));
    layers.push(push_metadata(&nodes));
    layers.extend(around(starts(&nodes, &new), &new, &[]));
    layers.push(await_healthy(&new));
    layers.extend(services("scale out", &rest, &scale_out, |_| true));
    layers.push(settle_metadata(&nodes));
    Ok(layers)
}

/// Those that go are not told: they are no longer wanted, so the record has no role to tell them of, and what they
/// know already is what their last commands need.
pub(super) fn delete_nodes(change: &Change, facts: &Facts, doomed: &BTreeSet<NodeId>) -> Result<Vec<Layer>> {
    let rest = all_in_service(change, facts)?;
    let nodes = on_record(&change.before, facts);
    let doomed = those(&nodes, |node| doomed.contains(node.id));
    let scale_in = ServiceName::ScaleIn;
    let mut layers = vec![push_metadata(&rest)];
    layers.extend(pre_checks("check scale in", &rest, &scale_in));
    layers.extend(take_down(&nodes, &doomed, services("scale in", &rest, &scale_in, |_| true)));
    layers.extend([delete_volumes(&doomed), settle_metadata(&rest)]);
    Ok(layers)
}

/// Role by role, and node by node where a role asks for it: replicas first.
pub(super) fn resize(change: &Change, facts: &Facts) -> Result<Vec<Layer>> {
    let nodes = wanted(change, facts)?;
    refuse_unless(change, &nodes, |node| {
        !node.is_new() && !node.is_gone() && node.wanted_disks().all(|index| node.has_disk(index))
    })?;
    let mut layers = Vec::new();
    for (name, role) in &change.after.roles {
        let Some(before) = change.before.spec.roles.get(name) else { continue };
        let mut of_role = those(&nodes, |node| node.role().is_some_and(|(of, _)| of == name));
        let steps = resize_nodes(&nodes, &of_role, before, role);
        layers.extend(match role.vertical_scaling_policy {
            ScalingPolicy::Parallel => steps,
            ScalingPolicy::Sequential => {
                of_role.sort_by_key(|node| !node.is_replica());
                one_at_a_time(&of_role, steps)
            }
        });
    }
    if !layers.is_empty() {
        layers.push(push_metadata(&those(&nodes, NodeView::is_in_service)));
    }
    Ok(layers)
}

/// All nodes of one role at once. Instances are stopped only when their size changes, disks detached only when they
/// grow.
fn resize_nodes(
    all: &[NodeView<'_>],
    nodes: &[NodeView<'_>],
    before: &RoleSpec,
    after: &RoleSpec,
) -> Vec<Layer> {
    let is_resized = size(before) != size(after);
    let grown = grown_disks(before, after);
    if !is_resized && grown.is_empty() {
        return Vec::new();
    }
    // Without an agent nobody can unmount a disk under a running machine.
    let is_halted = is_resized || !after.agent_installed;
    let serving = in_service(nodes);
    let mut layers = stops(all, &serving);
    let mut nodes = nodes.to_vec();
    if !grown.is_empty() {
        let unmount = unmount(&serving);
        layers.push(if is_halted { may_fail(unmount) } else { unmount });
    }
    if is_halted {
        layers.push(stop_instances(&nodes));
    }
    let mut resizing = resize_volumes(&nodes, &grown);
    if is_resized {
        resizing = beside(resize_instances(&nodes), resizing);
    }
    if !grown.is_empty() {
        layers.push(detach_volumes(&nodes));
        nodes = nodes.into_iter().map(NodeView::loose).collect();
    }
    layers.extend([
        resizing,
        start_instances(&those(&nodes, |node| is_halted || !node.is(NodeStatus::Active))),
        attach_volumes(&nodes),
        mount(&those(&nodes, |node| !node.is_complete())),
        push_metadata(&nodes),
    ]);
    layers.extend(starts(all, &nodes));
    layers.push(await_healthy(&nodes));
    layers
}

/// What a machine has to be stopped for.
fn size(role: &RoleSpec) -> impl PartialEq {
    (role.cpu, role.memory_mib, role.gpu, role.instance_size_gib, role.instance_type.clone())
}

/// The indexes of the disks whose size changes.
fn grown_disks(before: &RoleSpec, after: &RoleSpec) -> Vec<u32> {
    let pairs = (0..).zip(before.disks.iter().zip(&after.disks));
    pairs.filter(|(_, (before, after))| before.size_gib != after.size_gib).map(|(index, _)| index).collect()
}

//! Bringing a cluster up and taking it down.

use super::layers::{
    attach_volumes, await_frontgate, beside, configure, create_volumes, delete_instances, delete_volumes,
    detach_volumes, may_fail, mount, push_metadata, run_instances, start_instances, stop_instances, unmount,
};
use super::nodes::{NodeView, in_service, on_record, those};
use super::services::{services, starts, stops};
use provider_core::{Cluster, Facts, Layer, ServiceName};

pub(super) fn bring_up(nodes: &[NodeView<'_>], needs_frontgate: bool) -> Vec<Layer> {
    let mut layers = machines(nodes, needs_frontgate);
    // Keys and tokens are made on the nodes, so their peers can learn them only now. Addresses may have changed
    // while instances were down.
    let has_news = nodes.iter().any(NodeView::tells_its_peers);
    layers.push(push_metadata(&those(nodes, |node| has_news || !node.is_fresh())));
    let (new, behind) = (those(nodes, NodeView::is_new), those(nodes, NodeView::is_left_behind));
    layers.extend(around(starts(nodes, nodes), &new, &behind));
    layers
}

/// Machines and disks for `nodes`, as far as they lack them; those that lack some are configured. All disks are
/// mounted: a job that was cut short may have unmounted what it did not come to detach.
pub(super) fn machines(nodes: &[NodeView<'_>], needs_frontgate: bool) -> Vec<Layer> {
    let fresh = those(nodes, NodeView::is_fresh);
    let volumes = create_volumes(nodes);
    let instances = beside(run_instances(nodes), start_instances(nodes));
    // User data names the frontgate, so instances wait for it; volumes need not.
    let mut layers = if needs_frontgate {
        vec![beside(volumes, await_frontgate()), instances]
    } else {
        vec![beside(volumes, instances)]
    };
    layers.extend([attach_volumes(nodes), mount(nodes), configure(&fresh)]);
    layers
}

/// `start`, and around it what runs once: `init` on the nodes `new`, `upgrade` on the nodes `upgraded`.
pub(super) fn around(start: Vec<Layer>, new: &[NodeView<'_>], upgraded: &[NodeView<'_>]) -> Vec<Layer> {
    let (init, upgrade) = (ServiceName::Init, ServiceName::Upgrade);
    let mut layers = services("init", new, &init, |s| !s.post_start_service);
    layers.extend(services("upgrade", upgraded, &upgrade, |s| !s.post_start_service));
    layers.extend(start);
    layers.extend(services("init after start", new, &init, |s| s.post_start_service));
    layers.extend(services("upgrade after start", upgraded, &upgrade, |s| s.post_start_service));
    layers
}

pub(super) fn stop(cluster: &Cluster, facts: &Facts) -> Vec<Layer> {
    let nodes = on_record(cluster, facts);
    let mut layers = stops(&nodes, &in_service(&nodes));
    layers.push(stop_instances(&nodes));
    layers
}

pub(super) fn delete(cluster: &Cluster, facts: &Facts, keep_volumes: bool) -> Vec<Layer> {
    let nodes = on_record(cluster, facts);
    let mut layers = take_down(&nodes, &nodes, Vec::new());
    if !keep_volumes {
        layers.push(delete_volumes(&nodes));
    }
    layers
}

/// Takes the nodes `doomed`, of `nodes`, down to their volumes. `last_service` is done for them while they still
/// run.
pub(super) fn take_down(
    nodes: &[NodeView<'_>],
    doomed: &[NodeView<'_>],
    last_service: Vec<Layer>,
) -> Vec<Layer> {
    let serving = in_service(doomed);
    let destroy = ServiceName::Destroy;
    let mut layers = services("destroy", &serving, &destroy, |s| !s.post_stop_service);
    layers.extend(last_service);
    layers.extend(stops(nodes, &serving));
    layers.extend(services("destroy after stop", &serving, &destroy, |s| s.post_stop_service));
    layers.extend([
        may_fail(unmount(&serving)),
        // An instance without disks need not come to rest before it goes.
        may_fail(stop_instances(&those(doomed, NodeView::has_disks))),
        detach_volumes(doomed),
        delete_instances(doomed),
    ]);
    layers
}

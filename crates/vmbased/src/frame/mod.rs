//! Frames: which layers an action on a cluster of virtual machines consists of.
//!
//! What it is: [`plan`], a pure function from what is on record and what is wanted to a plan, for every provider
//! with instances and volumes. What it is not: it checks no quota, mints no id and knows no cloud.
//! Each action is one short composition below; `layers` builds the single layers, `services` those that run
//! commands of the package, `nodes` puts record and wish side by side.
//!
//! Tasks are made only for what the record lacks or still has. So a plan for a half-made cluster is an ordinary
//! one: creating completes it, deleting removes what there is.

mod layers;
mod nodes;
mod services;

use layers::{
    attach_volumes, await_frontgate, beside, configure, create_volumes, delete_instances, delete_volumes,
    detach_volumes, forced, may_fail, mount, push_metadata, run_instances, start_instances, stop_instances,
    unmount,
};
use nodes::{NodeView, in_service, on_record, wanted};
use provider_core::{
    Action, ActionKind, Change, Cluster, ClusterStatus, Error, Facts, Layer, Plan, Result, ServiceName,
};
use services::services;

/// The actions that there are frames for.
pub const ACTIONS: &[ActionKind] = &[
    ActionKind::CreateCluster,
    ActionKind::StartClusters,
    ActionKind::StopClusters,
    ActionKind::DeleteClusters,
];

/// The plan of `change`, resting on `facts`. Pure and deterministic: equal inputs give equal bytes. The plan is
/// empty when there is nothing to do.
///
/// Starting a cluster that was never completed, or that has lost instances or disks, plans what creating it
/// still lacks.
///
/// # Errors
/// `Unsupported` for an action outside [`ACTIONS`]. When `facts` lists shortfalls, all of them in one error:
/// `Quota` if each is about a quota, otherwise `Invalid`. `Invalid` as well for a wanted node without a role.
pub fn plan(change: &Change, facts: Facts) -> Result<Plan> {
    let layers = match change.action {
        Action::CreateCluster => create(change, &wanted(change)?, facts.needs_frontgate),
        Action::StartClusters => {
            let nodes = wanted(change)?;
            if change.before.status == ClusterStatus::Pending || !nodes.iter().all(NodeView::is_complete) {
                create(change, &nodes, facts.needs_frontgate)
            } else {
                start(&nodes, facts.needs_frontgate)
            }
        }
        Action::StopClusters => stop(&change.before),
        Action::DeleteClusters { keep_volumes, force } => {
            let layers = delete(&change.before, keep_volumes);
            if force { layers.into_iter().map(forced).collect() } else { layers }
        }
        _ => return Err(unsupported(change)),
    };
    refuse_shortfalls(change, &facts)?;
    Ok(Plan::new(facts, layers))
}

fn create(change: &Change, nodes: &[NodeView<'_>], needs_frontgate: bool) -> Vec<Layer> {
    let volumes = create_volumes(nodes);
    let instances = beside(run_instances(nodes), start_instances(nodes));
    // User data names the frontgate, so instances wait for it; volumes need not.
    let mut layers = if needs_frontgate {
        vec![beside(volumes, await_frontgate()), instances]
    } else {
        vec![beside(volumes, instances)]
    };
    layers.extend([attach_volumes(nodes), mount(nodes), configure(nodes)]);
    // Keys and tokens are made on the nodes, so their peers can learn them only now.
    if nodes.iter().any(NodeView::tells_its_peers) {
        layers.push(push_metadata(nodes));
    }
    // Nobody recorded how far `init` came in a cluster that was never completed, so it runs everywhere there;
    // nodes of a completed one carry data and must not be initialised twice.
    let mut new = nodes.to_vec();
    new.retain(|node| change.before.status == ClusterStatus::Pending || !node.has_instance());
    let init = ServiceName::Init;
    let late_init = services("init after start", &new, &init, |s| s.post_start_service);
    layers.extend(services("init", &new, &init, |s| !s.post_start_service));
    layers.extend(services("start", nodes, &ServiceName::Start, |_| true));
    layers.extend(late_init);
    layers
}

fn start(nodes: &[NodeView<'_>], needs_frontgate: bool) -> Vec<Layer> {
    let mut layers = Vec::new();
    if needs_frontgate {
        layers.push(await_frontgate());
    }
    // Addresses may have changed while the instances were down.
    layers.extend([start_instances(nodes), push_metadata(nodes)]);
    layers.extend(services("start", nodes, &ServiceName::Start, |_| true));
    layers
}

fn stop(cluster: &Cluster) -> Vec<Layer> {
    let nodes = on_record(cluster);
    let mut layers = stop_services(&in_service(cluster, &nodes));
    layers.push(stop_instances(&nodes));
    layers
}

fn delete(cluster: &Cluster, keep_volumes: bool) -> Vec<Layer> {
    let nodes = on_record(cluster);
    let serving = in_service(cluster, &nodes);
    let destroy = ServiceName::Destroy;
    let late_destroy = services("destroy after stop", &serving, &destroy, |s| s.post_stop_service);
    let mut layers = services("destroy", &serving, &destroy, |s| !s.post_stop_service);
    layers.extend(stop_services(&serving));
    layers.extend(late_destroy);
    // An instance without disks need not come to rest before it goes.
    let mut with_disks = nodes.clone();
    with_disks.retain(NodeView::has_disks);
    layers.extend([
        may_fail(unmount(&serving)),
        may_fail(stop_instances(&with_disks)),
        detach_volumes(&nodes),
        delete_instances(&nodes),
    ]);
    if !keep_volumes {
        layers.push(delete_volumes(&nodes));
    }
    layers
}

/// Stopping a service that does not run is no reason to keep the machine.
fn stop_services(serving: &[NodeView<'_>]) -> Vec<Layer> {
    let layers = services("stop", serving, &ServiceName::Stop, |_| true);
    layers.into_iter().map(may_fail).collect()
}

fn refuse_shortfalls(change: &Change, facts: &Facts) -> Result<()> {
    let shortfalls = &facts.shortfalls;
    if shortfalls.is_empty() {
        return Ok(());
    }
    let reasons: Vec<_> = shortfalls.iter().map(|s| format!("{}: {}", s.what, s.why)).collect();
    let message = format!("{}: {}", attempt(change), reasons.join("; "));
    let error = if shortfalls.iter().all(|s| facts.headroom.contains_key(&s.what)) {
        Error::quota(message)
    } else {
        Error::invalid(message)
    };
    let hints: Vec<_> = shortfalls.iter().filter_map(|s| s.hint.as_deref()).collect();
    Err(if hints.is_empty() { error } else { error.hint(hints.join("; ")) })
}

fn unsupported(change: &Change) -> Error {
    let verbs: Vec<_> = ACTIONS.iter().map(|action| action.verb()).collect();
    let message = format!("{}: clusters of virtual machines can't do this yet", attempt(change));
    Error::unsupported(message).hint(format!("they can {}", verbs.join(", ")))
}

fn attempt(change: &Change) -> String {
    format!("planning `{}` of cluster `{}`", change.action.kind().verb(), change.before.spec.name)
}

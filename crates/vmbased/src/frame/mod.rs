//! Frames: which layers an action on a cluster of virtual machines consists of.
//!
//! What it is: [`plan`], a pure function from what is on record and what is wanted to a plan, for every provider
//! with instances and volumes. What it is not: it checks no quota, mints no id and knows no cloud.
//! Each action is one short composition: `life` has those that bring a cluster up and take it down, `scale`,
//! `version` and `recover` the others; `layers` builds the single layers, `services` those that run commands of the
//! package, `nodes` puts record and wish side by side.
//!
//! Tasks are made only for what the record lacks or still has. So a plan for a half-made cluster is an ordinary
//! one: creating completes it, deleting removes what there is.

mod layers;
mod life;
mod nodes;
mod recover;
mod scale;
mod services;
mod version;

use layers::{attach_keys, await_healthy, detach_keys, forced, push_metadata};
use nodes::{NodeView, restored, those, wanted};
use provider_core::{
    Action, ActionKind, Change, ClusterStatus, Error, Facts, Layer, Plan, Result, ServiceName,
};
use services::{restarts, run_service, services};

/// The actions that there are frames for: all.
pub const ACTIONS: &[ActionKind] = &ActionKind::ALL;

/// The plan of `change`, resting on `facts`. Pure and deterministic: equal inputs give equal bytes. The plan is
/// empty when there is nothing to do.
///
/// Starting a cluster that was never completed, or that has lost instances or disks, plans what creating it
/// still lacks. An instance that is on record and was found to be gone is replaced by it. Whatever else is planned
/// asks nothing of agents whose instances were found to be down or gone.
///
/// # Errors
/// When `facts` lists shortfalls, all of them in one error: `Quota` if each is about a quota, otherwise
/// `Invalid`. `Invalid` as well for a wanted node without a role, and for a version with other nodes. `Conflict`
/// when the action needs nodes that are not in service, naming them.
pub fn plan(change: &Change, facts: Facts) -> Result<Plan> {
    let before = &change.before;
    let layers = match &change.action {
        Action::CreateCluster | Action::StartClusters => {
            life::bring_up(&restored(change, &facts)?, facts.needs_frontgate)
        }
        Action::StopClusters => life::stop(before, &facts),
        Action::RestartClusters => restart(change, &facts)?,
        Action::DeleteClusters { keep_volumes, force, .. } => {
            let layers = life::delete(before, &facts, *keep_volumes);
            if *force { layers.into_iter().map(forced).collect() } else { layers }
        }
        Action::CeaseClusters => life::delete(before, &facts, false),
        Action::AddClusterNodes => scale::add_nodes(change, &facts)?,
        Action::DeleteClusterNodes { nodes } => scale::delete_nodes(change, &facts, nodes)?,
        Action::ResizeCluster { .. } => scale::resize(change, &facts)?,
        Action::UpdateClusterEnv => update_env(change, &facts)?,
        Action::UpgradeCluster { backup, .. } => version::upgrade(change, &facts, *backup)?,
        Action::RollbackCluster { .. } => version::roll_back(change, &facts)?,
        Action::RecoverClusters => recover::recover(change, &facts)?,
        Action::AttachKeyPairs { keys } => vec![attach_keys(&all_in_service(change, &facts)?, keys)],
        Action::DetachKeyPairs { keys } => vec![detach_keys(&all_in_service(change, &facts)?, keys)],
        Action::RunService { service, params } => {
            run_service(&all_in_service(change, &facts)?, service, params)
        }
    };
    refuse_shortfalls(change, &facts)?;
    Ok(Plan::new(facts, layers))
}

fn restart(change: &Change, facts: &Facts) -> Result<Vec<Layer>> {
    let nodes = all_in_service(change, facts)?;
    let mut layers = restarts(&nodes, &nodes, &[]);
    layers.push(await_healthy(&nodes));
    Ok(layers)
}

/// Nodes of other roles learn nothing new, unless something is for all to see. When nothing has changed, an
/// earlier attempt may have stopped short, and all are told again.
fn update_env(change: &Change, facts: &Facts) -> Result<Vec<Layer>> {
    let nodes = all_in_service(change, facts)?;
    let (before, after) = (&change.before.spec, &change.after);
    let concerns_all = before.endpoints != after.endpoints || before.links != after.links;
    let is_told = |node: &NodeView<'_>| {
        let env = |role| before.roles.get(role).map(|role| &role.env);
        concerns_all || node.role().is_some_and(|(name, role)| env(name) != Some(&role.env))
    };
    let mut told = those(&nodes, is_told);
    if told.is_empty() {
        told = nodes;
    }
    let mut layers = vec![push_metadata(&told)];
    layers.extend(services("restart", &told, &ServiceName::Restart, |_| true));
    layers.push(await_healthy(&told));
    Ok(layers)
}

/// The wanted nodes, all of which must be in service.
fn all_in_service<'a>(change: &'a Change, facts: &Facts) -> Result<Vec<NodeView<'a>>> {
    let nodes = wanted(change, facts)?;
    refuse_unless(change, &nodes, is_served)?;
    Ok(nodes)
}

/// Whether all that an agent can do for it can be done.
fn is_served(node: &NodeView<'_>) -> bool {
    node.agent_role().is_none() || node.is_in_service()
}

/// Refuses what can't be done while nodes are not fit for it.
fn refuse_unless(
    change: &Change,
    nodes: &[NodeView<'_>],
    is_fit: impl Fn(&NodeView<'_>) -> bool,
) -> Result<()> {
    let unfit = those(nodes, |node| !is_fit(node));
    if unfit.is_empty() {
        return Ok(());
    }
    let unfit: Vec<_> = unfit.iter().map(|node| format!("`{}`", node.id)).collect();
    let message = format!("{}: not in service: {}", attempt(change), unfit.join(", "));
    // What is stopped, or was never completed, is not recovered.
    let verb = if change.before.status == ClusterStatus::Active { "recover" } else { "start" };
    let name = &change.before.spec.name;
    Err(Error::conflict(message).hint(format!("bring them back first with `pitrix cluster {verb} {name}`")))
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

fn attempt(change: &Change) -> String {
    format!("planning `{}` of cluster `{}`", change.action.kind().verb(), change.before.spec.name)
}

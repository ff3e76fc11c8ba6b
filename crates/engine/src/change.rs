//! What a cluster shall become by an action, and which action other answers ask for. Pure.

use crate::Aim;
use provider_core::{
    Action, Change, Cluster, ClusterSpec, Disk, Error, NodeId, Result, RoleName, Rollback, Size,
};
use std::collections::{BTreeMap, BTreeSet};

/// What `before` shall become by `action`, for all actions but those that need a package.
///
/// # Errors
/// `Invalid` or `NotFound` when the action does not fit the cluster; `Conflict` when there is nothing to go back to.
pub(crate) fn after(before: &Cluster, action: &Action) -> Result<ClusterSpec> {
    let spec = before.spec.clone();
    match action {
        Action::DeleteClusterNodes { nodes } => without(before, spec, nodes),
        Action::ResizeCluster { roles } => resized(spec, roles),
        Action::RollbackCluster { revision: None } => previous(before),
        Action::RollbackCluster { revision: Some(revision) } => {
            let name = &before.spec.name;
            Err(Error::unsupported(format!(
                "rolling `{name}` back to revision {revision}: its provider keeps none"
            ))
            .hint(format!("`pitrix cluster rollback {name}` goes to the version before")))
        }
        Action::RunService { service, .. } => {
            let name = service.as_str();
            let mut all = spec.roles.values().flat_map(|role| role.services.keys());
            if all.clone().any(|known| known == service) {
                return Ok(spec);
            }
            let known: BTreeSet<_> = all.by_ref().map(|service| service.as_str()).collect();
            Err(Error::not_found(format!("`{}` has no service `{name}`", before.spec.app))
                .hint(format!("it has: {}", known.into_iter().collect::<Vec<_>>().join(", "))))
        }
        _ => Ok(spec),
    }
}

fn without(before: &Cluster, mut spec: ClusterSpec, nodes: &BTreeSet<NodeId>) -> Result<ClusterSpec> {
    // A node that an earlier attempt left half removed may be named again.
    let unknown: Vec<_> =
        nodes.iter().filter(|id| !before.nodes.contains_key(*id)).map(|id| format!("`{id}`")).collect();
    if !unknown.is_empty() {
        let known: Vec<_> = before.nodes.keys().map(NodeId::as_str).collect();
        return Err(Error::not_found(format!("cluster `{}` has no node {}", spec.name, unknown.join(", ")))
            .hint(format!("it has: {}", known.join(", "))));
    }
    spec.nodes.retain(|id, _| !nodes.contains(id));
    if spec.nodes.is_empty() {
        return Err(Error::invalid(format!("cluster `{}` would have no node left", spec.name))
            .hint("delete the cluster instead"));
    }
    Ok(spec)
}

fn resized(mut spec: ClusterSpec, roles: &BTreeMap<RoleName, Size>) -> Result<ClusterSpec> {
    let before = spec.roles.clone();
    for (name, size) in roles {
        let known: Vec<_> = before.keys().map(RoleName::as_str).collect();
        let role = spec.roles.get_mut(name).ok_or_else(|| {
            Error::not_found(format!("there is no role `{name}`"))
                .hint(format!("there are: {}", known.join(", ")))
        })?;
        role.cpu = size.cpu.unwrap_or(role.cpu);
        role.memory_mib = size.memory_mib.unwrap_or(role.memory_mib);
        if let Some(gib) = size.disk_gib {
            if role.disks.is_empty() {
                return Err(Error::invalid(format!("role `{name}` has no data disk")));
            }
            if let Some(disk) = role.disks.iter().find(|disk| disk.size_gib > gib) {
                return Err(Error::invalid(format!(
                    "a disk of role `{name}` has {} GiB and can't shrink to {gib} GiB",
                    disk.size_gib
                ))
                .hint("disks only grow"));
            }
            role.disks.iter_mut().for_each(|disk| disk.size_gib = gib);
        }
    }
    if spec.roles == before {
        return Err(Error::conflict(format!("cluster `{}` has this size already", spec.name)).hint(
            "what did not come to its end goes on with `pitrix job retry`, or with `pitrix cluster recover`",
        ));
    }
    Ok(spec)
}

fn previous(before: &Cluster) -> Result<ClusterSpec> {
    let attempt = format!("rolling `{}` back from {}", before.spec.name, before.spec.app);
    if before.previous.is_none() && !before.unsettled.is_empty() {
        // A rollback has begun and not come to its end.
        return Ok(before.spec.clone());
    }
    match before.spec.rollback {
        Rollback::Safe => {}
        Rollback::NeedsRestore => {
            return Err(Error::unsupported(format!("{attempt}: the package says that this needs a restore"))
                .hint("create a cluster of the version before and restore a backup there"));
        }
        Rollback::Impossible => {
            return Err(Error::unsupported(format!("{attempt}: the package says that this is impossible")));
        }
    }
    let Some(previous) = &before.previous else {
        return Err(Error::conflict(format!("{attempt}: no upgrade is on record")));
    };
    // What has happened to its size since stays; what the version brought goes.
    let mut spec = (**previous).clone();
    spec.nodes.clone_from(&before.spec.nodes);
    keep_sizes(&mut spec, before, previous);
    if let Some(node) = spec.nodes.values().find(|node| !spec.roles.contains_key(&node.role)) {
        return Err(Error::conflict(format!(
            "{attempt}: role `{}` has nodes and is not in {}",
            node.role, spec.app
        ))
        .hint("delete these nodes first"));
    }
    Ok(spec)
}

/// Keeps the sizes that the roles of `before` have been given since its answers were: those that `spec`, made of new
/// answers, has in common with `recorded`, made of the old ones.
pub(crate) fn keep_sizes(spec: &mut ClusterSpec, before: &Cluster, recorded: &ClusterSpec) {
    for (name, role) in &mut spec.roles {
        let (Some(is), Some(was)) = (before.spec.roles.get(name), recorded.roles.get(name)) else { continue };
        if role.cpu == was.cpu {
            role.cpu = is.cpu;
        }
        if role.memory_mib == was.memory_mib {
            role.memory_mib = is.memory_mib;
        }
        for ((disk, is), was) in role.disks.iter_mut().zip(&is.disks).zip(&was.disks) {
            if disk.size_gib == was.size_gib {
                disk.size_gib = is.size_gib;
            }
        }
    }
}

/// Gives the nodes of a new cluster the volumes that the nodes of the same name left.
///
/// # Errors
/// `Invalid` when a volume would fit no node: nothing of it may be left behind unsaid.
pub(crate) fn take_volumes(new: &mut Cluster, from: &Cluster) -> Result<()> {
    for (id, old) in &from.nodes {
        for (index, disk) in &old.disks {
            let wanted = new.spec.role_of(id).and_then(|role| role.disks.get(*index as usize)).is_some();
            let node = new.nodes.get_mut(id).filter(|_| wanted).ok_or_else(|| {
                Error::invalid(format!(
                    "volume `{}` of node `{id}` of the deleted `{}` has no place in `{}`",
                    disk.volume, from.spec.name, new.spec.name
                ))
                .hint("create it with the same roles, as many nodes and as many disks")
            })?;
            node.disks.insert(*index, Disk { volume: disk.volume.clone(), device: None });
        }
    }
    Ok(())
}

/// Checks that `after` is a version that `before` can be upgraded to.
///
/// # Errors
/// `Invalid` when it is not.
pub(crate) fn check_upgrade(before: &Cluster, after: &ClusterSpec) -> Result<()> {
    let (from, to) = (&before.spec.app, &after.app);
    let attempt = format!("upgrading `{}` from {from} to {to}", before.spec.name);
    if from.name() != to.name() {
        return Err(Error::invalid(format!("{attempt}: that is another application")));
    }
    let all_there = || before.spec.nodes.keys().all(|id| before.nodes[id].app.as_ref() == Some(&after.app));
    if from == to && before.unsettled.is_empty() && all_there() {
        return Err(Error::conflict(format!("{attempt}: it has this version already")));
    }
    if from != to
        && !after.upgrade_policy.is_empty()
        && !after.upgrade_policy.iter().any(|v| v == from.version())
    {
        return Err(Error::invalid(format!("{attempt}: the package does not allow it"))
            .hint(format!("{to} can be reached from: {}", after.upgrade_policy.join(", "))));
    }
    Ok(())
}

/// Checks that an upgrade that fails can be rolled back.
///
/// # Errors
/// `Invalid` for another action, `Unsupported` when the package says that there is no simple way back.
pub(crate) fn check_undo(change: &Change) -> Result<()> {
    let attempt = || format!("upgrading `{}` with a rollback on failure", change.before.spec.name);
    match (&change.action, change.after.rollback) {
        (Action::UpgradeCluster { .. }, Rollback::Safe) => Ok(()),
        (Action::UpgradeCluster { .. }, Rollback::NeedsRestore) => {
            Err(Error::unsupported(format!("{}: the package says that it needs a restore", attempt())))
        }
        (Action::UpgradeCluster { .. }, Rollback::Impossible) => {
            Err(Error::unsupported(format!("{}: the package says that it is impossible", attempt())))
        }
        _ => Err(Error::invalid("only an upgrade can be undone by itself when it fails")),
    }
}

/// Which action turns `before` into `after`, for answers that were given for `aim`. A provider that has no nodes of its
/// own (`in_one`) takes any change of answers in one action.
///
/// # Errors
/// `Invalid` when nothing would change, or something that was not aimed at.
pub(crate) fn of_answers(before: &Cluster, after: &ClusterSpec, aim: Aim, in_one: bool) -> Result<Action> {
    if in_one {
        return Ok(Action::UpdateClusterEnv);
    }
    let name = &before.spec.name;
    let gone: BTreeSet<_> =
        before.spec.nodes.keys().filter(|id| !after.nodes.contains_key(*id)).cloned().collect();
    let comes = after.nodes.keys().any(|id| !before.spec.nodes.contains_key(id));
    match aim {
        Aim::Scale => {
            let mut same_nodes = after.clone();
            same_nodes.nodes.clone_from(&before.spec.nodes);
            same_nodes.conf.clone_from(&before.spec.conf);
            if same_nodes != before.spec {
                return Err(Error::invalid(format!("scaling `{name}` would change more than its nodes"))
                    .hint("change parameters with `pitrix cluster update-env`, sizes with `pitrix cluster resize`"));
            }
            match (comes, gone.is_empty()) {
                (true, true) => Ok(Action::AddClusterNodes),
                (false, false) => Ok(Action::DeleteClusterNodes { nodes: gone }),
                (true, false) => {
                    Err(Error::invalid(format!("scaling `{name}`: some nodes would come and others go"))
                        .hint("do one after the other"))
                }
                (false, true) => {
                    Err(Error::conflict(format!("scaling `{name}`: it has these nodes already")))
                }
            }
        }
        Aim::Env => {
            if comes || !gone.is_empty() {
                return Err(Error::invalid(format!(
                    "changing parameters of `{name}` would change its nodes"
                ))
                .hint("use `pitrix cluster scale`"));
            }
            let mut same_env = after.clone();
            same_env.conf.clone_from(&before.spec.conf);
            for (name, role) in &mut same_env.roles {
                if let Some(before) = before.spec.roles.get(name) {
                    role.env.clone_from(&before.env);
                }
            }
            same_env.endpoints.clone_from(&before.spec.endpoints);
            same_env.links.clone_from(&before.spec.links);
            if same_env != before.spec {
                return Err(Error::invalid(format!(
                    "changing parameters of `{name}` would change more than that"
                ))
                .hint("change sizes with `pitrix cluster resize`"));
            }
            Ok(Action::UpdateClusterEnv)
        }
    }
}

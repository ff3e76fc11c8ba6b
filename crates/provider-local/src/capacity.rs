//! What this machine has, what of it is in use, and whether a change finds room in the rest.

use crate::{client::DataDir, error::During, instances::is_running};
use provider_core::{
    Action, Change, ClusterId, ContainerKind, Facts, Headroom, NodeId, ResourceId, Result, RoleFacts,
    RoleName, RoleSpec, Shortfall, Timestamp, Zone,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The one zone.
pub(crate) const ZONE: &str = "local";

/// This machine and what this provider has on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Capacity {
    pub(crate) cores: u32,
    pub(crate) memory_mib: u64,
    pub(crate) disk_gib: u64,
    /// What others and our own volumes have left of the disk.
    pub(crate) disk_free_gib: u64,
    /// The memory that each running instance may use, in MiB.
    pub(crate) running: BTreeMap<(ClusterId, NodeId), u64>,
    /// The size of each volume in GiB.
    pub(crate) volumes: BTreeMap<ResourceId, u32>,
    /// Why no agent could be started; none if one can.
    pub(crate) no_agent: Option<String>,
}

impl Capacity {
    /// Finds it out.
    pub(crate) fn measure(data: &DataDir) -> Result<Self> {
        let (disk_gib, disk_free_gib) = disk_gib(&data.host.data)?;
        let mut running = BTreeMap::new();
        for (id, instance) in data.instances.all()? {
            if is_running(data, &id)? {
                running.insert((instance.cluster, instance.node), instance.memory_mib);
            }
        }
        let volumes = data.volumes.all()?.into_iter().map(|(id, volume)| (id, volume.size_gib)).collect();
        let cores = std::thread::available_parallelism().during(|| "counting the processors")?;
        Ok(Self {
            cores: u32::try_from(cores.get()).unwrap_or(u32::MAX),
            memory_mib: memory_mib()?,
            disk_gib,
            disk_free_gib,
            running,
            volumes,
            no_agent: missing_program(&data.host.agent),
        })
    }

    /// What `change` needs and whether it can be had.
    ///
    /// Processors are shared: no node may want more than there are, and that is all. Memory is summed over all
    /// running instances. Disk is what the change adds; system disks are not counted, because an instance has
    /// none of its own.
    pub(crate) fn facts(&self, change: &Change, taken_at: Timestamp) -> Facts {
        let mut facts = Facts::none(Zone::new(ZONE), taken_at);
        let mut need = Need::default();
        if adds_something(&change.action) {
            for (name, role) in &change.after.roles {
                facts
                    .roles
                    .insert(name.clone(), RoleFacts { instance_type: String::new(), image: String::new() });
                facts.shortfalls.extend(unsuited(name, role));
            }
            if let Some(subnet) = &change.after.subnet {
                facts.shortfalls.push(shortfall(
                    "subnet",
                    format!("there is no subnet `{subnet}`: this machine has none"),
                    "leave the subnet out",
                ));
            }
            if let Some(why) = &self.no_agent {
                facts.shortfalls.push(shortfall("agent", why.clone(), "repair the installation of Pitrix"));
            }
            need = self.need(change);
        }
        let used = self.running.values().sum();
        let quotas = [
            ("cpu", "cores", need.cores, u64::from(self.cores), u64::from(self.cores)),
            ("memory", "MiB", need.memory_mib, self.memory_mib.saturating_sub(used), self.memory_mib),
            ("disk", "GiB", need.disk_gib, self.disk_free_gib, self.disk_gib),
        ];
        for (name, unit, needed, left, total) in quotas {
            facts.headroom.insert(name.to_owned(), Headroom { needed, left, total });
            if needed > left {
                facts.shortfalls.push(too_little(name, unit, needed, left, total));
            }
        }
        facts
    }

    fn need(&self, change: &Change) -> Need {
        let mut need = Need::default();
        for (id, node) in &change.after.nodes {
            let Some(role) = change.after.roles.get(&node.role) else { continue };
            let at = (change.before.id.clone(), id.clone());
            let has = self.running.get(&at).copied().unwrap_or(0);
            need.cores = need.cores.max(u64::from(role.cpu));
            need.memory_mib += role.memory_mib.saturating_sub(has);
            for (index, disk) in (0..).zip(&role.disks) {
                let on_record = change.before.nodes.get(id).and_then(|node| node.disks.get(&index));
                let has = on_record.and_then(|disk| self.volumes.get(&disk.volume)).copied().unwrap_or(0);
                need.disk_gib += u64::from(disk.size_gib.saturating_sub(has));
            }
        }
        need
    }
}

/// What a change needs: the largest node's cores, and the sums of the rest.
#[derive(Default)]
struct Need {
    cores: u64,
    memory_mib: u64,
    disk_gib: u64,
}

/// Whether an action may need anything; what only takes away is never refused.
fn adds_something(action: &Action) -> bool {
    !matches!(
        action,
        Action::StopClusters
            | Action::DeleteClusters { .. }
            | Action::DeleteClusterNodes { .. }
            | Action::CeaseClusters
            | Action::DetachKeyPairs { .. }
    )
}

/// What this provider can't give a role at all.
fn unsuited(name: &RoleName, role: &RoleSpec) -> Vec<Shortfall> {
    let what = if name.as_str().is_empty() { "the role".to_owned() } else { format!("role {name}") };
    let mut unsuited = Vec::new();
    if role.container.kind != ContainerKind::Process {
        let kind = format!("{:?}", role.container.kind).to_lowercase();
        unsuited.push(shortfall(
            &what,
            format!("it wants a container of type `{kind}`; this machine runs `process` only"),
            "use a package made for `process`, or a runtime of another provider",
        ));
    }
    if role.gpu > 0 {
        unsuited.push(shortfall(
            &what,
            format!("it wants {} GPUs; the local provider hands out none", role.gpu),
            "set `gpu` to 0",
        ));
    }
    if let Some(instance_type) = &role.instance_type {
        unsuited.push(shortfall(
            &what,
            format!("it wants instance type `{instance_type}`; sizes are free here and have no names"),
            "give `cpu` and `memory` instead",
        ));
    }
    if !role.load_balancers.is_empty() {
        unsuited.push(shortfall(
            &what,
            "it joins load balancers; this machine has none".to_owned(),
            "leave the load balancers out",
        ));
    }
    unsuited
}

fn too_little(name: &str, unit: &str, needed: u64, left: u64, total: u64) -> Shortfall {
    match name {
        "cpu" => shortfall(
            name,
            format!("a node wants {needed} {unit}, the machine has {total}"),
            "give the nodes fewer cores",
        ),
        _ => shortfall(
            name,
            format!("{needed} {unit} are needed, {left} of {total} are left"),
            "take fewer or smaller nodes, or stop or delete other clusters",
        ),
    }
}

fn shortfall(what: &str, why: String, hint: &str) -> Shortfall {
    Shortfall { what: what.to_owned(), why, hint: Some(hint.to_owned()) }
}

/// The memory that processes can have: the machine's, or the control group's that Pitrix is in.
fn memory_mib() -> Result<u64> {
    let path = "/proc/meminfo";
    let text = fs::read_to_string(path).during(|| format!("reading `{path}`"))?;
    let total = text.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|text| text.trim().parse::<u64>().ok()).map(|bytes| bytes >> 20);
    Ok((total.unwrap_or(0) >> 10).min(limit.unwrap_or(u64::MAX)))
}

/// The size of the file system that `path` is or will be on, and what of it is free to us, in GiB.
fn disk_gib(path: &Path) -> Result<(u64, u64)> {
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(path);
    let stat = rustix::fs::statvfs(there)
        .during(|| format!("asking for the free space at `{}`", there.display()))?;
    Ok(((stat.f_blocks * stat.f_frsize) >> 30, (stat.f_bavail * stat.f_frsize) >> 30))
}

/// Why the program of `command` can't be run; none if it can.
fn missing_program(command: &[String]) -> Option<String> {
    let Some(program) = command.first() else { return Some("no program for agents is known".to_owned()) };
    let can_run =
        |path: PathBuf| path.is_file() && rustix::fs::access(&path, rustix::fs::Access::EXEC_OK).is_ok();
    let found = match program.contains('/') {
        true => can_run(program.into()),
        false => std::env::var_os("PATH")
            .is_some_and(|paths| std::env::split_paths(&paths).any(|dir| can_run(dir.join(program)))),
    };
    (!found).then(|| format!("the program for agents, `{program}`, can't be run"))
}

#[cfg(test)]
mod tests;

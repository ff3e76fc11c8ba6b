//! What else is asked of a cloud: what there is room for, and what there is.

use crate::{
    Local,
    capacity::{Capacity, ZONE},
    client::DataDir,
    error::During,
    model::{Kept, Tags},
    process,
    shelf::{Shelf, make_dir},
};
use async_trait::async_trait;
use provider_core::{
    Change, Cluster, ClusterDetails, ClusterId, DeploymentId, Error, Facts, InstanceState, Look, NodeId,
    Observation, ResourceId, Result, Runtime, RuntimeFacts, Subnet, SubnetQuery, Sweeper, TaggedResource,
    VmCloud, Vpc, VpcId, Zone,
};
use rustix::fs::Access;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::Path,
};

#[async_trait]
impl VmCloud for Local {
    async fn describe_subnets(&self, _: &Look, _: &SubnetQuery) -> Result<Vec<Subnet>> {
        Ok(Vec::new())
    }

    async fn describe_vpc(&self, _: &Look, _: &VpcId) -> Result<Option<Vpc>> {
        Ok(None)
    }

    async fn check_resource(&self, cx: &Look, change: &Change) -> Result<Facts> {
        check_linux()?;
        let capacity = self.data.aside(Capacity::measure).await?;
        Ok(capacity.facts(change, cx.clock.now()))
    }

    async fn validate_credential(&self, cx: &Look) -> Result<RuntimeFacts> {
        check_linux()?;
        check_runtime(&cx.runtime)?;
        self.data.aside(|data| check_writable(&data.host.data)).await?;
        Ok(RuntimeFacts { zones: zones(), api_versions: BTreeSet::new(), taken_at: cx.clock.now() })
    }

    async fn describe_runtime_provider_zones(&self, _: &Look) -> Result<BTreeSet<Zone>> {
        Ok(zones())
    }

    async fn update_cluster_status(&self, _: &Look, cluster: &Cluster) -> Result<Vec<Observation>> {
        let nodes: Vec<_> = instances_of(cluster).collect();
        self.data
            .aside(move |data| nodes.into_iter().map(|(node, id)| observe(data, node, id)).collect())
            .await
    }

    async fn describe_cluster_details(&self, _: &Look, cluster: &Cluster) -> Result<ClusterDetails> {
        let (id, nodes) = (cluster.id.clone(), instances_of(cluster).collect());
        self.data.aside(move |data| describe(data, &id, nodes)).await
    }
}

#[async_trait]
impl Sweeper for Local {
    async fn tagged(&self, _: &Look) -> Result<Vec<TaggedResource>> {
        self.data
            .aside(|data| {
                let mut all = tagged(&data.instances, &data.host.deployment)?;
                all.extend(tagged(&data.volumes, &data.host.deployment)?);
                Ok(all)
            })
            .await
    }
}

fn zones() -> BTreeSet<Zone> {
    BTreeSet::from([Zone::new(ZONE)])
}

fn check_linux() -> Result<()> {
    if cfg!(target_os = "linux") {
        return Ok(());
    }
    Err(Error::unsupported("the local provider runs on Linux only")
        .hint("create a runtime of another provider, or run Pitrix on Linux"))
}

fn check_runtime(runtime: &Runtime) -> Result<()> {
    let zone = runtime.zone.as_str();
    if !zone.is_empty() && zone != ZONE {
        return Err(Error::invalid(format!("the local provider has no zone `{zone}`"))
            .hint(format!("use `{ZONE}`, or leave the zone out")));
    }
    if !runtime.endpoint.is_empty() {
        return Err(Error::invalid("the local provider has no endpoint").hint("leave the endpoint out"));
    }
    Ok(())
}

fn check_writable(data: &Path) -> Result<()> {
    make_dir(data)?;
    rustix::fs::access(data, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)
        .during(|| format!("checking that data directory `{}` can be written", data.display()))
}

/// The nodes on record with the ids of their instances.
fn instances_of(cluster: &Cluster) -> impl Iterator<Item = (NodeId, Option<ResourceId>)> {
    cluster
        .nodes
        .iter()
        .map(|(id, node)| (id.clone(), node.instance.as_ref().map(|instance| instance.id.clone())))
}

fn observe(data: &DataDir, node: NodeId, id: Option<ResourceId>) -> Result<Observation> {
    let Some(id) = id else {
        let why = Some("no instance is on record".to_owned());
        return Ok(Observation { node, instance: InstanceState::Missing, why, health: None });
    };
    let (instance, why) = match data.instances.find(&id)? {
        None => (InstanceState::Missing, Some(format!("directory of `{id}` is gone"))),
        Some(instance) => {
            let identity = data.identity(&id, &instance)?;
            match (identity.is_running()?, identity.accepts()) {
                (true, true) => (InstanceState::Running, None),
                (true, false) => (InstanceState::Running, Some("its agent does not answer".to_owned())),
                (false, _) => (InstanceState::Stopped, None),
            }
        }
    };
    Ok(Observation { node, instance, why, health: None })
}

fn describe(
    data: &DataDir,
    cluster: &ClusterId,
    nodes: Vec<(NodeId, Option<ResourceId>)>,
) -> Result<ClusterDetails> {
    let mut found = Vec::new();
    for (node, id) in nodes.into_iter().filter_map(|(node, id)| Some((node, id?))) {
        if let Some(instance) = data.instances.find(&id)? {
            let identity = data.identity(&id, &instance)?;
            found.push((node, id, instance, identity));
        }
    }
    let identities: Vec<_> = found.iter().map(|(.., identity)| identity.clone()).collect();
    let processes = process::count(&identities)?;
    let mut details = ClusterDetails::default();
    for (node, id, instance, identity) in found {
        let state = if identity.is_running()? { "running" } else { "stopped" };
        details.nodes.insert(
            node,
            lines([
                ("instance", id.to_string()),
                ("address", instance.address.to_string()),
                ("state", state.to_owned()),
                ("processes", processes[&instance.token].to_string()),
                ("disk use", mib(disk_use(&identity.dir)?)),
                ("directory", identity.dir.display().to_string()),
            ]),
        );
    }
    let mut volumes = Vec::new();
    for (id, volume) in data.volumes.all()? {
        if volume.cluster == *cluster && volume.deployment == data.host.deployment {
            volumes.push(lines([
                ("volume", id.to_string()),
                ("disk", volume.disk.to_string()),
                ("size", format!("{} GiB", volume.size_gib)),
                ("disk use", mib(disk_use(&data.volumes.dir(&id)?)?)),
                ("instance", volume.instance.map(|id| id.to_string()).unwrap_or_default()),
            ]));
        }
    }
    details.objects.insert("volume".to_owned(), volumes);
    Ok(details)
}

fn lines<const N: usize>(lines: [(&str, String); N]) -> BTreeMap<String, String> {
    lines.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// The bytes that a directory takes on disk. What vanishes meanwhile or can't be read is not counted; links are
/// not followed.
fn disk_use(path: &Path) -> Result<u64> {
    let counted = |result: io::Result<u64>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        other => other.during(|| format!("measuring directory `{}`", path.display())),
    };
    let meta = path.symlink_metadata();
    let is_dir = meta.as_ref().is_ok_and(fs::Metadata::is_dir);
    let mut bytes = counted(meta.map(|meta| meta.blocks() * 512))?;
    if is_dir {
        let entries = fs::read_dir(path).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
        for entry in entries.unwrap_or_default() {
            bytes += disk_use(&entry.path())?;
        }
    }
    Ok(bytes)
}

/// What of this deployment is on `shelf`, and whatever a crash left there half made or half removed.
fn tagged<T: Kept>(shelf: &Shelf<T>, deployment: &DeploymentId) -> Result<Vec<TaggedResource>> {
    let whole = shelf.all()?.into_iter().map(|(id, kept)| (id, Some(kept)));
    let all = whole.chain(shelf.leftovers()?).map(|(id, kept)| (id, kept.as_ref().map(Kept::tags)));
    let ours = all.filter(|(_, tags)| tags.as_ref().is_none_or(|tags| tags.deployment == *deployment));
    let resource = |(id, tags): (ResourceId, Option<Tags>)| {
        let created = tags.as_ref().map(|tags| tags.created);
        let (cluster, name) = tags.map(|tags| (tags.cluster.to_string(), tags.name)).unwrap_or_default();
        TaggedResource { kind: T::KIND.to_owned(), id, cluster, name, created }
    };
    Ok(ours.map(resource).collect())
}

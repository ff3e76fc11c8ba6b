//! The provider of the scripted cloud: the whole of a plugin for a cloud of virtual machines, and a template
//! for others.
//!
//! It keeps to four rules. Whatever changes something is a [`CloudCall`](provider_core::CloudCall). A handler
//! makes one call with a constant number and asks nothing else, so that it comes to the same result again from
//! the ledger; the reply tells whether there was anything to do. A wait is one look through a [`Loader`]. One
//! function alone knows the cloud's error codes.

pub mod calls;
mod error;

use crate::{
    Client, Cloud, CloudInstance, CloudVolume, InstanceStatus, Launch, Tags, VolumeStatus, cloud::Resource,
};
use async_trait::async_trait;
use calls::{
    AttachVolume, CreateVolume, DeleteInstance, DeleteVolume, DetachVolume, ResizeInstance, ResizeVolume,
    RunInstance, StartInstance, StopInstance,
};
use error::look_failed;
use provider_core::{
    ActionKind, AttachedVolume, Attachment, Change, Cluster, ClusterDetails, ClusterId, ContainerKind,
    DeploymentId, Descriptor, Error, Facts, Handle, Headroom, InstanceReady, InstanceRef, InstanceResize,
    InstanceSpec, InstanceState, Look, Node, NodeId, Observation, Progress, Provider,
    ProviderHandlerInterface, ResourceId, Result, RoleFacts, RoleSpec, RuntimeFacts, Shortfall, Started,
    Subnet, SubnetId, SubnetQuery, Support, Sweeper, TaggedResource, TaskContext, VmCloud, VolumeReady,
    VolumeRef, VolumeResize, VolumeSpec, Vpc, VpcId, Zone,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use vmbased::{Describe, FrameHandler, Loader};

/// How long to leave the cloud alone between two looks.
const AGAIN: Duration = Duration::from_secs(2);
/// Everything is in one zone.
const ZONE: &str = "zone-1";

/// What the provider is and can do.
pub static DESCRIPTOR: Descriptor = Descriptor {
    id: "scripted",
    title: "a cloud in memory that does what a test says",
    format: &vmbased::package::VmPackages,
    actions: vmbased::frame::ACTIONS,
    containers: &[ContainerKind::Kvm, ContainerKind::Docker],
    credential: &["key"],
    abilities: &[("public addresses", Support::Refused("its instances have private addresses only"))],
};

/// A plugin for the scripted cloud. Cheap to clone.
#[derive(Clone)]
pub struct ScriptedProvider {
    cloud: Arc<Cloud>,
    deployment: DeploymentId,
    instances: Arc<Loader<Instances>>,
    volumes: Arc<Loader<Volumes>>,
}

impl ScriptedProvider {
    /// A plugin whose resources are tagged as this installation's.
    pub fn new(cloud: Arc<Cloud>, deployment: DeploymentId) -> Self {
        // Looks of one moment merge; an older one could show a state from before a call.
        Self {
            instances: Arc::new(Loader::new(Instances(cloud.clone()), Duration::ZERO)),
            volumes: Arc::new(Loader::new(Volumes(cloud.clone()), Duration::ZERO)),
            cloud,
            deployment,
        }
    }

    /// The same as the engine wants it.
    pub fn provider(self) -> Provider {
        let sweeper = Arc::new(self.clone());
        Provider {
            descriptor: &DESCRIPTOR,
            interface: Arc::new(FrameHandler::new(&DESCRIPTOR, self)),
            sweeper,
            live: None,
        }
    }

    fn client(&self, cx: &Look) -> Arc<Client> {
        self.cloud.client(cx.credential.clone())
    }

    fn tags(&self, cluster: &ClusterId, name: &dyn ToString) -> Tags {
        Tags { deployment: self.deployment.clone(), cluster: cluster.clone(), name: name.to_string() }
    }

    async fn watch_instance(
        &self,
        cx: &Look,
        id: &ResourceId,
        want: InstanceStatus,
    ) -> Result<Progress<CloudInstance>> {
        Ok(watched(id, self.instances.load(cx, id).await?, want))
    }

    async fn watch_volume(
        &self,
        cx: &Look,
        id: &ResourceId,
        want: VolumeStatus,
    ) -> Result<Progress<CloudVolume>> {
        Ok(watched(id, self.volumes.load(cx, id).await?, want))
    }
}

#[async_trait]
impl ProviderHandlerInterface for ScriptedProvider {
    async fn run_instances(&self, cx: &TaskContext, want: &InstanceSpec) -> Result<Started<InstanceReady>> {
        let launch = Launch { size: want.instance_type.clone(), image: want.image.clone() };
        let call = RunInstance { launch, tags: self.tags(&want.cluster, &want.node) };
        Ok(pending(cx.call(0, &self.client(cx), call).await?))
    }

    async fn wait_run_instances(
        &self,
        cx: &Look,
        _: &InstanceSpec,
        at: &Handle,
    ) -> Result<Progress<InstanceReady>> {
        Ok(self.watch_instance(cx, &at.resource, InstanceStatus::Running).await?.map(ready))
    }

    async fn stop_instances(&self, cx: &TaskContext, instance: &InstanceRef) -> Result<Started<()>> {
        let call = StopInstance { id: instance.id.clone() };
        let now = cx.call(0, &self.client(cx), call).await?;
        Ok(started(now, InstanceStatus::Stopped).map(drop))
    }

    async fn wait_stop_instances(
        &self,
        cx: &Look,
        instance: &InstanceRef,
        _: &Handle,
    ) -> Result<Progress<()>> {
        Ok(self.watch_instance(cx, &instance.id, InstanceStatus::Stopped).await?.map(drop))
    }

    async fn start_instances(
        &self,
        cx: &TaskContext,
        instance: &InstanceRef,
    ) -> Result<Started<InstanceReady>> {
        let call = StartInstance { id: instance.id.clone() };
        let now = cx.call(0, &self.client(cx), call).await?;
        Ok(started(now, InstanceStatus::Running).map(ready))
    }

    async fn wait_start_instances(
        &self,
        cx: &Look,
        instance: &InstanceRef,
        _: &Handle,
    ) -> Result<Progress<InstanceReady>> {
        Ok(self.watch_instance(cx, &instance.id, InstanceStatus::Running).await?.map(ready))
    }

    async fn delete_instances(&self, cx: &TaskContext, instance: &InstanceRef) -> Result<Started<()>> {
        let call = DeleteInstance { id: instance.id.clone() };
        let now = cx.call(0, &self.client(cx), call).await?;
        Ok(now.map_or(Started::Done(()), |now| started(now, InstanceStatus::Gone).map(drop)))
    }

    async fn wait_delete_instances(
        &self,
        cx: &Look,
        instance: &InstanceRef,
        _: &Handle,
    ) -> Result<Progress<()>> {
        Ok(self.watch_instance(cx, &instance.id, InstanceStatus::Gone).await?.map(drop))
    }

    async fn resize_instances(&self, cx: &TaskContext, resize: &InstanceResize) -> Result<Started<()>> {
        let call = ResizeInstance { id: resize.instance.id.clone(), size: resize.instance_type.clone() };
        cx.call(0, &self.client(cx), call).await?;
        Ok(Started::Done(()))
    }

    async fn wait_resize_instances(&self, _: &Look, _: &InstanceResize, _: &Handle) -> Result<Progress<()>> {
        Ok(Progress::Done(()))
    }

    async fn create_volumes(&self, cx: &TaskContext, want: &VolumeSpec) -> Result<Started<VolumeReady>> {
        let call = CreateVolume { size_gib: want.size_gib, tags: self.tags(&want.cluster, &want.disk) };
        Ok(pending(cx.call(0, &self.client(cx), call).await?))
    }

    async fn wait_create_volumes(
        &self,
        cx: &Look,
        _: &VolumeSpec,
        at: &Handle,
    ) -> Result<Progress<VolumeReady>> {
        let watched = self.watch_volume(cx, &at.resource, VolumeStatus::Available).await?;
        Ok(watched.map(|volume| VolumeReady { id: volume.id }))
    }

    async fn detach_volumes(&self, cx: &TaskContext, volume: &Attachment) -> Result<Started<()>> {
        let call = DetachVolume { id: volume.volume.id.clone() };
        let now = cx.call(0, &self.client(cx), call).await?;
        Ok(now.map_or(Started::Done(()), |now| started(now, VolumeStatus::Available).map(drop)))
    }

    async fn wait_detach_volumes(&self, cx: &Look, volume: &Attachment, _: &Handle) -> Result<Progress<()>> {
        Ok(self.watch_volume(cx, &volume.volume.id, VolumeStatus::Available).await?.map(drop))
    }

    async fn attach_volumes(&self, cx: &TaskContext, volume: &Attachment) -> Result<Started<AttachedVolume>> {
        let id = volume.volume.id.clone();
        let Some(to) = volume.instance.clone() else {
            return Err(Error::conflict(format!("attaching volume `{id}`: its node has no instance")));
        };
        let now = cx.call(0, &self.client(cx), AttachVolume { id, to }).await?;
        Ok(started(now, VolumeStatus::InUse).map(attached))
    }

    async fn wait_attach_volumes(
        &self,
        cx: &Look,
        volume: &Attachment,
        _: &Handle,
    ) -> Result<Progress<AttachedVolume>> {
        Ok(self.watch_volume(cx, &volume.volume.id, VolumeStatus::InUse).await?.map(attached))
    }

    async fn delete_volumes(&self, cx: &TaskContext, volume: &VolumeRef) -> Result<Started<()>> {
        let call = DeleteVolume { id: volume.id.clone() };
        let now = cx.call(0, &self.client(cx), call).await?;
        Ok(now.map_or(Started::Done(()), |now| started(now, VolumeStatus::Gone).map(drop)))
    }

    async fn wait_delete_volumes(&self, cx: &Look, volume: &VolumeRef, _: &Handle) -> Result<Progress<()>> {
        Ok(self.watch_volume(cx, &volume.id, VolumeStatus::Gone).await?.map(drop))
    }

    async fn resize_volumes(&self, cx: &TaskContext, resize: &VolumeResize) -> Result<Started<()>> {
        let call = ResizeVolume { id: resize.volume.id.clone(), size_gib: resize.size_gib };
        cx.call(0, &self.client(cx), call).await?;
        Ok(Started::Done(()))
    }

    async fn wait_resize_volumes(&self, _: &Look, _: &VolumeResize, _: &Handle) -> Result<Progress<()>> {
        Ok(Progress::Done(()))
    }
}

#[async_trait]
impl VmCloud for ScriptedProvider {
    async fn describe_subnets(&self, _: &Look, query: &SubnetQuery) -> Result<Vec<Subnet>> {
        let subnet = Subnet {
            id: SubnetId::new("subnet-1"),
            name: "all".into(),
            zone: Zone::new(ZONE),
            vpc: Some(VpcId::new("vpc-1")),
            cidr: "10.0.0.0/16".into(),
            free_addresses: None,
        };
        let fits = (query.ids.is_empty() || query.ids.contains(&subnet.id))
            && query.zone.as_ref().is_none_or(|zone| *zone == subnet.zone);
        Ok(Vec::from_iter(fits.then_some(subnet)))
    }

    async fn describe_vpc(&self, _: &Look, id: &VpcId) -> Result<Option<Vpc>> {
        Ok((id.as_str() == "vpc-1").then(|| Vpc {
            id: id.clone(),
            name: "all".into(),
            available: true,
            subnets: BTreeSet::from([SubnetId::new("subnet-1")]),
            public_ip: None,
        }))
    }

    async fn check_resource(&self, cx: &Look, change: &Change) -> Result<Facts> {
        let (used, limits) = self.client(cx).quotas().await.map_err(look_failed)?;
        let adds = matches!(
            change.action.kind(),
            ActionKind::CreateCluster | ActionKind::StartClusters | ActionKind::AddClusterNodes
        );
        let lacking = |of: fn(&Change, &NodeId) -> usize| {
            if adds { change.after.nodes.keys().map(|node| of(change, node)).sum() } else { 0 }
        };
        let room = |needed: usize, used: usize, total: usize| {
            let (needed, left, total) = (needed as u64, total.saturating_sub(used) as u64, total as u64);
            Headroom { needed, left, total }
        };
        let headroom = BTreeMap::from([
            ("instances".to_owned(), room(lacking(lacking_instances), used.instances, limits.instances)),
            ("volumes".to_owned(), room(lacking(lacking_volumes), used.volumes, limits.volumes)),
        ]);
        let short = headroom.iter().filter(|(_, room)| room.needed > room.left);
        let shortfalls = short.map(|(what, room)| Shortfall {
            what: what.clone(),
            why: format!("{} more are needed and {} of {} are left", room.needed, room.left, room.total),
            hint: Some(format!("ask for a larger quota of {what}")),
        });
        let launched_as = |role: &RoleSpec| RoleFacts {
            instance_type: format!("s.{}x{}", role.cpu, role.memory_mib),
            image: role.container.image.clone(),
        };
        Ok(Facts {
            vpc: Some(VpcId::new("vpc-1")),
            roles: change.after.roles.iter().map(|(name, role)| (name.clone(), launched_as(role))).collect(),
            shortfalls: shortfalls.collect(),
            headroom,
            ..Facts::none(Zone::new(ZONE), cx.clock.now())
        })
    }

    async fn validate_credential(&self, cx: &Look) -> Result<RuntimeFacts> {
        self.client(cx).quotas().await.map_err(look_failed)?;
        let zones = BTreeSet::from([Zone::new(ZONE)]);
        Ok(RuntimeFacts { zones, taken_at: cx.clock.now(), ..RuntimeFacts::default() })
    }

    async fn describe_runtime_provider_zones(&self, _: &Look) -> Result<BTreeSet<Zone>> {
        Ok(BTreeSet::from([Zone::new(ZONE)]))
    }

    async fn update_cluster_status(&self, cx: &Look, cluster: &Cluster) -> Result<Vec<Observation>> {
        let found = self.instances_of(cx, cluster).await?;
        let observe = |(node, record): (&NodeId, &Node)| {
            let status = record.instance.as_ref().and_then(|i| found.get(&i.id)).map(|found| found.status);
            let instance = match status {
                Some(InstanceStatus::Pending) => InstanceState::Pending,
                Some(InstanceStatus::Running) => InstanceState::Running,
                Some(InstanceStatus::Stopping | InstanceStatus::Stopped) => InstanceState::Stopped,
                Some(InstanceStatus::Terminating | InstanceStatus::Gone) | None => InstanceState::Missing,
            };
            Observation { node: node.clone(), instance, why: None, health: None }
        };
        Ok(cluster.nodes.iter().map(observe).collect())
    }

    async fn describe_cluster_details(&self, cx: &Look, cluster: &Cluster) -> Result<ClusterDetails> {
        let found = self.instances_of(cx, cluster).await?;
        let nodes = cluster.nodes.iter().filter_map(|(node, record)| {
            let instance = found.get(&record.instance.as_ref()?.id)?;
            let lines = [
                ("instance", instance.id.to_string()),
                ("status", format!("{:?}", instance.status).to_lowercase()),
                ("size", instance.size.clone()),
            ];
            Some((node.clone(), lines.map(|(key, value)| (key.to_owned(), value)).into()))
        });
        Ok(ClusterDetails { nodes: nodes.collect(), objects: BTreeMap::new() })
    }
}

impl ScriptedProvider {
    async fn instances_of(
        &self,
        cx: &Look,
        cluster: &Cluster,
    ) -> Result<BTreeMap<ResourceId, CloudInstance>> {
        let ids: Vec<_> =
            cluster.nodes.values().filter_map(|node| Some(node.instance.as_ref()?.id.clone())).collect();
        let mut found = BTreeMap::new();
        for page in ids.chunks(Client::PAGE) {
            found.extend(Instances(self.cloud.clone()).describe(cx, page).await?);
        }
        Ok(found)
    }
}

fn lacking_instances(change: &Change, node: &NodeId) -> usize {
    let record = change.before.nodes.get(node);
    usize::from(record.is_none_or(|record| record.instance.is_none()))
}

fn lacking_volumes(change: &Change, node: &NodeId) -> usize {
    let wanted = change.after.role_of(node).map_or(0, |role| role.disks.len());
    wanted - change.before.nodes.get(node).map_or(0, |record| record.disks.len()).min(wanted)
}

#[async_trait]
impl Sweeper for ScriptedProvider {
    async fn tagged(&self, cx: &Look) -> Result<Vec<TaggedResource>> {
        let client = self.client(cx);
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let page = client.find_tagged(&self.deployment, &after).await.map_err(look_failed)?;
            let Some((last, _)) = page.last() else { return Ok(all) };
            after = last.to_string();
            all.extend(page.into_iter().map(|(id, tags)| TaggedResource {
                kind: if id.as_str().starts_with("i-") { "instance" } else { "volume" }.into(),
                id,
                cluster: tags.cluster.to_string(),
                name: tags.name,
                created: None,
            }));
        }
    }
}

struct Instances(Arc<Cloud>);

#[async_trait]
impl Describe for Instances {
    type Item = CloudInstance;
    const MAX: usize = Client::PAGE;

    async fn describe(&self, cx: &Look, ids: &[ResourceId]) -> Result<BTreeMap<ResourceId, CloudInstance>> {
        let client = self.0.client(cx.credential.clone());
        let found = client.describe_instances(ids).await.map_err(look_failed)?;
        Ok(found.into_iter().map(|instance| (instance.id.clone(), instance)).collect())
    }
}

struct Volumes(Arc<Cloud>);

#[async_trait]
impl Describe for Volumes {
    type Item = CloudVolume;
    const MAX: usize = Client::PAGE;

    async fn describe(&self, cx: &Look, ids: &[ResourceId]) -> Result<BTreeMap<ResourceId, CloudVolume>> {
        let client = self.0.client(cx.credential.clone());
        let found = client.describe_volumes(ids).await.map_err(look_failed)?;
        Ok(found.into_iter().map(|volume| (volume.id.clone(), volume)).collect())
    }
}

fn pending<T>(resource: ResourceId) -> Started<T> {
    Started::Pending(Handle { resource, cloud_job: None })
}

fn started<R: Resource>(now: R, want: R::Status) -> Started<R> {
    if now.status() == want { Started::Done(now) } else { pending(now.id().clone()) }
}

/// One look at a resource. What was never seen will be; what is gone stays so.
fn watched<R: Resource>(id: &ResourceId, found: Option<R>, want: R::Status) -> Progress<R> {
    let Some(now) = found else {
        return Progress::Pending { why: format!("`{id}` can't be seen yet"), again: AGAIN };
    };
    let status = now.status();
    if status == want {
        Progress::Done(now)
    } else if status == R::GONE {
        Progress::Lost { why: format!("`{id}` is gone") }
    } else {
        let why = format!("`{id}` is {}", format!("{status:?}").to_lowercase());
        Progress::Pending { why, again: AGAIN }
    }
}

fn ready(instance: CloudInstance) -> InstanceReady {
    let agent = Some(format!("scripted:{}", instance.id));
    InstanceReady { id: instance.id, private_ip: instance.address, public_ip: None, agent }
}

fn attached(volume: CloudVolume) -> AttachedVolume {
    AttachedVolume { device: volume.held.map(|(_, device)| device).unwrap_or_default() }
}

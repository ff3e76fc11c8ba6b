//! The interface that plugins for clouds of virtual machines implement. The frame handler of `vmbased` turns
//! an implementer into a [`ProviderInterface`](crate::ProviderInterface).

use crate::{
    AttachedVolume, Change, Cluster, ClusterDetails, ClusterId, ClusterStatus, ContainerKind, DiskId, Error,
    Facts, Handle, InstanceReady, Look, NodeId, Observation, Progress, ResourceId, Result, RoleName,
    RuntimeFacts, Started, Subnet, SubnetId, SubnetQuery, TaskContext, VolumeReady, Vpc, VpcId, Zone,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};

/// What can be done with the instances and volumes of a cloud: ten verbs, each with its wait, and the wait
/// for a frontgate, which is provided.
///
/// A verb asks the cloud once, for one resource; requests for many are merged by the gateway. It short-cuts to
/// [`Started::Done`] when the resource is in the wanted state already. Deleting what is not there is done. A
/// wait is one look; loops, deadlines and cancellation are the frame's.
#[async_trait]
#[allow(missing_docs, reason = "each verb is what its name says, and each wait_ is the look at it")]
pub trait ProviderHandlerInterface: Send + Sync + 'static {
    #[doc(alias = "RunInstances")]
    async fn run_instances(&self, cx: &TaskContext, want: &InstanceSpec) -> Result<Started<InstanceReady>>;
    #[doc(alias = "WaitRunInstances")]
    async fn wait_run_instances(
        &self,
        cx: &Look,
        want: &InstanceSpec,
        at: &Handle,
    ) -> Result<Progress<InstanceReady>>;

    #[doc(alias = "StopInstances")]
    async fn stop_instances(&self, cx: &TaskContext, instance: &InstanceRef) -> Result<Started<()>>;
    #[doc(alias = "WaitStopInstances")]
    async fn wait_stop_instances(
        &self,
        cx: &Look,
        instance: &InstanceRef,
        at: &Handle,
    ) -> Result<Progress<()>>;

    /// Addresses may change, so it reports them anew.
    #[doc(alias = "StartInstances")]
    async fn start_instances(
        &self,
        cx: &TaskContext,
        instance: &InstanceRef,
    ) -> Result<Started<InstanceReady>>;
    #[doc(alias = "WaitStartInstances")]
    async fn wait_start_instances(
        &self,
        cx: &Look,
        instance: &InstanceRef,
        at: &Handle,
    ) -> Result<Progress<InstanceReady>>;

    #[doc(alias = "DeleteInstances")]
    async fn delete_instances(&self, cx: &TaskContext, instance: &InstanceRef) -> Result<Started<()>>;
    #[doc(alias = "WaitDeleteInstances")]
    async fn wait_delete_instances(
        &self,
        cx: &Look,
        instance: &InstanceRef,
        at: &Handle,
    ) -> Result<Progress<()>>;

    /// The instance is stopped.
    #[doc(alias = "ResizeInstances")]
    async fn resize_instances(&self, cx: &TaskContext, resize: &InstanceResize) -> Result<Started<()>>;
    #[doc(alias = "WaitResizeInstances")]
    async fn wait_resize_instances(
        &self,
        cx: &Look,
        resize: &InstanceResize,
        at: &Handle,
    ) -> Result<Progress<()>>;

    #[doc(alias = "CreateVolumes")]
    async fn create_volumes(&self, cx: &TaskContext, want: &VolumeSpec) -> Result<Started<VolumeReady>>;
    #[doc(alias = "WaitCreateVolumes")]
    async fn wait_create_volumes(
        &self,
        cx: &Look,
        want: &VolumeSpec,
        at: &Handle,
    ) -> Result<Progress<VolumeReady>>;

    #[doc(alias = "DetachVolumes")]
    async fn detach_volumes(&self, cx: &TaskContext, volume: &Attachment) -> Result<Started<()>>;
    #[doc(alias = "WaitDetachVolumes")]
    async fn wait_detach_volumes(&self, cx: &Look, volume: &Attachment, at: &Handle) -> Result<Progress<()>>;

    #[doc(alias = "AttachVolumes")]
    async fn attach_volumes(&self, cx: &TaskContext, volume: &Attachment) -> Result<Started<AttachedVolume>>;
    #[doc(alias = "WaitAttachVolumes")]
    async fn wait_attach_volumes(
        &self,
        cx: &Look,
        volume: &Attachment,
        at: &Handle,
    ) -> Result<Progress<AttachedVolume>>;

    #[doc(alias = "DeleteVolumes")]
    async fn delete_volumes(&self, cx: &TaskContext, volume: &VolumeRef) -> Result<Started<()>>;
    #[doc(alias = "WaitDeleteVolumes")]
    async fn wait_delete_volumes(&self, cx: &Look, volume: &VolumeRef, at: &Handle) -> Result<Progress<()>>;

    /// The volume is detached. It only ever grows.
    #[doc(alias = "ResizeVolumes")]
    async fn resize_volumes(&self, cx: &TaskContext, resize: &VolumeResize) -> Result<Started<()>>;
    #[doc(alias = "WaitResizeVolumes")]
    async fn wait_resize_volumes(
        &self,
        cx: &Look,
        resize: &VolumeResize,
        at: &Handle,
    ) -> Result<Progress<()>>;

    /// Looks whether the frontgate can be used. Pending while it is being made or started, by whichever job.
    #[doc(alias = "WaitFrontgateAvailable")]
    async fn wait_frontgate_available(&self, cx: &Look, frontgate: &ClusterId) -> Result<Progress<()>> {
        let Some(cluster) = cx.records.cluster(frontgate).await? else {
            return Err(Error::not_found(format!("frontgate `{frontgate}` is not on record")));
        };
        match (cluster.status, cluster.transition) {
            (ClusterStatus::Active, None) => Ok(Progress::Done(())),
            (ClusterStatus::Deleted | ClusterStatus::Ceased, _) => {
                Err(Error::not_found(format!("frontgate `{frontgate}` was deleted")))
            }
            (status, None) if cluster.last_error.is_some() => Err(Error::failed(format!(
                "frontgate `{frontgate}` is {} and can't be used",
                status.as_str()
            ))
            .hint("retry the frontgate's own job first, see `pitrix job list`")),
            (status, _) => Ok(Progress::Pending {
                why: format!("frontgate `{frontgate}` is {}", status.as_str()),
                again: Duration::from_secs(2),
            }),
        }
    }
}

/// What else a cloud of virtual machines answers: the functions of
/// [`ProviderInterface`](crate::ProviderInterface) that the frame can't know.
#[async_trait]
#[allow(missing_docs, reason = "each is the function of the same name of ProviderInterface")]
pub trait VmCloud: Send + Sync + 'static {
    async fn describe_subnets(&self, cx: &Look, query: &SubnetQuery) -> Result<Vec<Subnet>>;
    async fn describe_vpc(&self, cx: &Look, id: &VpcId) -> Result<Option<Vpc>>;
    async fn check_resource(&self, cx: &Look, change: &Change) -> Result<Facts>;
    async fn validate_credential(&self, cx: &Look) -> Result<RuntimeFacts>;
    async fn describe_runtime_provider_zones(&self, cx: &Look) -> Result<BTreeSet<Zone>>;
    async fn update_cluster_status(&self, cx: &Look, cluster: &Cluster) -> Result<Vec<Observation>>;
    async fn describe_cluster_details(&self, cx: &Look, cluster: &Cluster) -> Result<ClusterDetails>;
}

/// An instance to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSpec {
    /// The cluster, for the tag.
    pub cluster: ClusterId,
    /// The node, for the tag. Unique in its cluster.
    pub node: NodeId,
    /// The role.
    pub role: RoleName,
    /// For people; `cluster-node`.
    pub name: String,
    /// Cores.
    pub cpu: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// GPUs.
    pub gpu: u32,
    /// System disk in GiB.
    pub instance_size_gib: u32,
    /// The provider's name for the size, as `check_resource` found it; empty where sizes are free.
    pub instance_type: String,
    /// The image, as `check_resource` found it; empty where there are none.
    pub image: String,
    /// What the application runs in.
    pub container: ContainerKind,
    /// Where.
    pub zone: Zone,
    /// In which subnet.
    pub subnet: Option<SubnetId>,
}

/// An instance on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRef {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// What the provider calls it.
    pub id: ResourceId,
    /// Where it is.
    pub zone: Zone,
}

/// A new size for an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceResize {
    /// Which instance.
    pub instance: InstanceRef,
    /// Cores.
    pub cpu: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The provider's name for the size; empty where sizes are free.
    pub instance_type: String,
}

/// A volume to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// The cluster, for the tag.
    pub cluster: ClusterId,
    /// The disk, for the tag. Unique in its cluster.
    pub disk: DiskId,
    /// For people; `cluster-disk`.
    pub name: String,
    /// GiB.
    pub size_gib: u32,
    /// Where.
    pub zone: Zone,
}

/// A volume on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRef {
    /// The cluster.
    pub cluster: ClusterId,
    /// The disk.
    pub disk: DiskId,
    /// What the provider calls it.
    pub id: ResourceId,
    /// Where it is.
    pub zone: Zone,
}

/// A volume and the instance that it is or shall be attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Which volume.
    pub volume: VolumeRef,
    /// Which instance; none when it is gone from the record, which for a detach means that nothing holds it.
    pub instance: Option<ResourceId>,
    /// Where the node mounts it.
    pub mount_point: String,
}

/// A new size for a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeResize {
    /// Which volume.
    pub volume: VolumeRef,
    /// GiB; more than before.
    pub size_gib: u32,
}

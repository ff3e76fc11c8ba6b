//! The frame handler: makes a full provider of whatever can handle instances and volumes.

use crate::{frame, package};
use async_trait::async_trait;
use provider_core::{
    Attachment, Change, Cluster, ClusterDetails, Descriptor, Directive, DiskId, Error, Fact, Facts, Handle,
    InstanceRef, InstanceResize, InstanceSpec, InstanceVerb, Look, NodeId, Observation, ParseRequest,
    ParsedCluster, Plan, Progress, ProviderHandlerInterface, ProviderInterface, ResourceId, Result, RoleSpec,
    RuntimeFacts, Started, Subnet, SubnetQuery, Task, TaskContext, VmCloud, VolumeRef, VolumeResize,
    VolumeSpec, VolumeVerb, Vpc, VpcId, Work, Zone,
};
use std::collections::BTreeSet;

/// Drives a [`ProviderHandlerInterface`] through the whole life of an application.
///
/// Directives name nodes and disks; this joins in sizes from the wanted cluster, images and types from the
/// plan's facts, and remote ids and addresses from the record, just before the call.
#[derive(Debug)]
pub struct FrameHandler<C> {
    descriptor: &'static Descriptor,
    cloud: C,
}

impl<C> FrameHandler<C> {
    /// A provider that drives `cloud`, as far as its descriptor says that it goes.
    pub fn new(descriptor: &'static Descriptor, cloud: C) -> Self {
        Self { descriptor, cloud }
    }
}

#[async_trait]
impl<C: ProviderHandlerInterface + VmCloud> ProviderInterface for FrameHandler<C> {
    fn parse_cluster_conf(&self, request: &ParseRequest<'_>) -> Result<ParsedCluster> {
        package::parse(request)
    }

    fn split_job_into_tasks(&self, change: &Change, facts: Facts) -> Result<Plan> {
        self.descriptor.check_action(change.action.kind())?;
        frame::plan(change, facts)
    }

    async fn handle_subtask(&self, cx: &TaskContext, task: &Task) -> Result<Started<Fact>> {
        let cloud = &self.cloud;
        match &task.work {
            Work::AwaitFrontgate => {
                let frontgate = frontgate(cx)?;
                Ok(Started::Pending(Handle {
                    resource: ResourceId::new(frontgate.as_str()),
                    cloud_job: None,
                }))
            }
            Work::Cloud(Directive::Instance(verb)) => {
                let node = node_of(task)?;
                Ok(match verb {
                    InstanceVerb::Run => {
                        let want = instance_spec(cx, node)?;
                        cloud.run_instances(cx, &want).await?.map(Fact::Instance)
                    }
                    InstanceVerb::Stop => cloud.stop_instances(cx, &instance(cx, node)?).await?.map(done),
                    InstanceVerb::Start => {
                        cloud.start_instances(cx, &instance(cx, node)?).await?.map(Fact::Instance)
                    }
                    InstanceVerb::Delete => cloud.delete_instances(cx, &instance(cx, node)?).await?.map(done),
                    InstanceVerb::Resize => {
                        cloud.resize_instances(cx, &instance_resize(cx, node)?).await?.map(done)
                    }
                })
            }
            Work::Cloud(Directive::Volume { verb, disk }) => Ok(match verb {
                VolumeVerb::Create => {
                    let want = volume_spec(cx, disk)?;
                    cloud.create_volumes(cx, &want).await?.map(Fact::Volume)
                }
                VolumeVerb::Detach => cloud.detach_volumes(cx, &attachment(cx, disk)?).await?.map(done),
                VolumeVerb::Attach => {
                    cloud.attach_volumes(cx, &attachment(cx, disk)?).await?.map(Fact::Attached)
                }
                VolumeVerb::Delete => cloud.delete_volumes(cx, &volume(cx, disk)?).await?.map(done),
                VolumeVerb::Resize => cloud.resize_volumes(cx, &volume_resize(cx, disk)?).await?.map(done),
            }),
            other => Err(Error::bug(format!("`{other}` is not a task for a cloud of virtual machines"))),
        }
    }

    async fn wait_subtask(&self, cx: &Look, task: &Task, at: &Handle) -> Result<Progress<Fact>> {
        let cloud = &self.cloud;
        match &task.work {
            Work::AwaitFrontgate => {
                let frontgate = frontgate(cx)?;
                Ok(cloud.wait_frontgate_available(cx, &frontgate).await?.map(done))
            }
            Work::Cloud(Directive::Instance(verb)) => {
                let node = node_of(task)?;
                Ok(match verb {
                    InstanceVerb::Run => {
                        let want = instance_spec(cx, node)?;
                        cloud.wait_run_instances(cx, &want, at).await?.map(Fact::Instance)
                    }
                    InstanceVerb::Stop => {
                        cloud.wait_stop_instances(cx, &instance(cx, node)?, at).await?.map(done)
                    }
                    InstanceVerb::Start => {
                        cloud.wait_start_instances(cx, &instance(cx, node)?, at).await?.map(Fact::Instance)
                    }
                    InstanceVerb::Delete => {
                        cloud.wait_delete_instances(cx, &instance(cx, node)?, at).await?.map(done)
                    }
                    InstanceVerb::Resize => {
                        cloud.wait_resize_instances(cx, &instance_resize(cx, node)?, at).await?.map(done)
                    }
                })
            }
            Work::Cloud(Directive::Volume { verb, disk }) => Ok(match verb {
                VolumeVerb::Create => {
                    let want = volume_spec(cx, disk)?;
                    cloud.wait_create_volumes(cx, &want, at).await?.map(Fact::Volume)
                }
                VolumeVerb::Detach => {
                    cloud.wait_detach_volumes(cx, &attachment(cx, disk)?, at).await?.map(done)
                }
                VolumeVerb::Attach => {
                    cloud.wait_attach_volumes(cx, &attachment(cx, disk)?, at).await?.map(Fact::Attached)
                }
                VolumeVerb::Delete => cloud.wait_delete_volumes(cx, &volume(cx, disk)?, at).await?.map(done),
                VolumeVerb::Resize => {
                    cloud.wait_resize_volumes(cx, &volume_resize(cx, disk)?, at).await?.map(done)
                }
            }),
            other => Err(Error::bug(format!("`{other}` is not a task for a cloud of virtual machines"))),
        }
    }

    async fn describe_subnets(&self, cx: &Look, query: &SubnetQuery) -> Result<Vec<Subnet>> {
        self.cloud.describe_subnets(cx, query).await
    }

    async fn describe_vpc(&self, cx: &Look, id: &VpcId) -> Result<Option<Vpc>> {
        self.cloud.describe_vpc(cx, id).await
    }

    async fn check_resource(&self, cx: &Look, change: &Change) -> Result<Facts> {
        self.cloud.check_resource(cx, change).await
    }

    async fn validate_credential(&self, cx: &Look) -> Result<RuntimeFacts> {
        self.cloud.validate_credential(cx).await
    }

    async fn describe_runtime_provider_zones(&self, cx: &Look) -> Result<BTreeSet<Zone>> {
        self.cloud.describe_runtime_provider_zones(cx).await
    }

    async fn update_cluster_status(&self, cx: &Look, cluster: &Cluster) -> Result<Vec<Observation>> {
        self.cloud.update_cluster_status(cx, cluster).await
    }

    async fn describe_cluster_details(&self, cx: &Look, cluster: &Cluster) -> Result<ClusterDetails> {
        self.cloud.describe_cluster_details(cx, cluster).await
    }
}

fn done((): ()) -> Fact {
    Fact::Done
}

fn node_of(task: &Task) -> Result<&NodeId> {
    task.node.as_ref().ok_or_else(|| Error::bug(format!("`{}` names no node", task.work)))
}

fn frontgate(cx: &Look) -> Result<provider_core::ClusterId> {
    let cluster = cx.cluster();
    cluster.frontgate.clone().ok_or_else(|| Error::bug(format!("cluster `{}` has no frontgate", cluster.id)))
}

fn role<'a>(cluster: &'a Cluster, node: &NodeId) -> Result<&'a RoleSpec> {
    cluster.spec.role_of(node).ok_or_else(|| unknown(cluster, "node", node))
}

fn unknown(cluster: &Cluster, what: &str, id: &dyn std::fmt::Display) -> Error {
    Error::bug(format!("{what} `{id}` of cluster `{}` is not on record", cluster.id))
}

fn instance_spec(cx: &Look, node: &NodeId) -> Result<InstanceSpec> {
    let cluster = cx.cluster();
    let role = role(&cluster, node)?;
    let name = cluster.spec.nodes[node].role.clone();
    let facts = cx.facts().roles.get(&name);
    Ok(InstanceSpec {
        cluster: cluster.id.clone(),
        node: node.clone(),
        name: format!("{}-{node}", cluster.spec.name),
        cpu: role.cpu,
        memory_mib: role.memory_mib,
        gpu: role.gpu,
        instance_size_gib: role.instance_size_gib,
        instance_type: facts.map(|facts| facts.instance_type.clone()).unwrap_or_default(),
        image: facts.map(|facts| facts.image.clone()).unwrap_or_default(),
        container: role.container.kind,
        zone: cluster.zone.clone(),
        subnet: cluster.spec.subnet.clone(),
        role: name,
    })
}

fn instance(cx: &Look, node: &NodeId) -> Result<InstanceRef> {
    let cluster = cx.cluster();
    let record = cluster.nodes.get(node).and_then(|node| node.instance.as_ref());
    let id = record.ok_or_else(|| unknown(&cluster, "the instance of node", node))?.id.clone();
    Ok(InstanceRef { cluster: cluster.id.clone(), node: node.clone(), id, zone: cluster.zone.clone() })
}

fn instance_resize(cx: &Look, node: &NodeId) -> Result<InstanceResize> {
    let instance = instance(cx, node)?;
    let spec = instance_spec(cx, node)?;
    Ok(InstanceResize {
        instance,
        cpu: spec.cpu,
        memory_mib: spec.memory_mib,
        instance_type: spec.instance_type,
    })
}

fn volume_spec(cx: &Look, disk: &DiskId) -> Result<VolumeSpec> {
    let cluster = cx.cluster();
    let wanted = role(&cluster, &disk.node)?.disks.get(disk.index as usize);
    Ok(VolumeSpec {
        cluster: cluster.id.clone(),
        disk: disk.clone(),
        name: format!("{}-{disk}", cluster.spec.name),
        size_gib: wanted.ok_or_else(|| unknown(&cluster, "disk", disk))?.size_gib,
        zone: cluster.zone.clone(),
    })
}

fn volume(cx: &Look, disk: &DiskId) -> Result<VolumeRef> {
    let cluster = cx.cluster();
    let id = cluster.disk(disk).ok_or_else(|| unknown(&cluster, "the volume of disk", disk))?.volume.clone();
    Ok(VolumeRef { cluster: cluster.id.clone(), disk: disk.clone(), id, zone: cluster.zone.clone() })
}

fn attachment(cx: &Look, disk: &DiskId) -> Result<Attachment> {
    let volume = volume(cx, disk)?;
    let cluster = cx.cluster();
    // A node that is wanted no more still has its disks detached; nothing mounts them any more.
    let wanted = cluster.spec.role_of(&disk.node).and_then(|role| role.disks.get(disk.index as usize));
    let node = cluster.nodes.get(&disk.node);
    Ok(Attachment {
        volume,
        instance: node.and_then(|node| node.instance.as_ref()).map(|instance| instance.id.clone()),
        mount_point: wanted.map(|disk| disk.mount_point.clone()).unwrap_or_default(),
    })
}

fn volume_resize(cx: &Look, disk: &DiskId) -> Result<VolumeResize> {
    let volume = volume(cx, disk)?;
    Ok(VolumeResize { volume, size_gib: volume_spec(cx, disk)?.size_gib })
}

//! The verbs: which calls each makes, and what its wait looks at.

use crate::{
    Local,
    client::{Act, Call, DataDir},
    instances::{
        CreateInstance, DeleteInstance, ResizeInstance, Size, StartInstance, StopInstance, is_running,
        look_at_start,
    },
    volumes::{AttachVolume, CreateVolume, DeleteVolume, DetachVolume, ResizeVolume, attached, is_detached},
};
use async_trait::async_trait;
use provider_core::{
    AttachedVolume, Attachment, Error, Handle, InstanceReady, InstanceRef, InstanceResize, InstanceSpec,
    Look, Progress, ProviderHandlerInterface, ResourceId, Result, Started, TaskContext, VolumeReady,
    VolumeRef, VolumeResize, VolumeSpec,
};

/// Only agents take time to come up; all else is done when its call is. What a wait then finds undone was undone
/// by somebody else: it is lost, and done again.
#[async_trait]
impl ProviderHandlerInterface for Local {
    async fn run_instances(&self, cx: &TaskContext, want: &InstanceSpec) -> Result<Started<InstanceReady>> {
        let create = CreateInstance {
            cluster: want.cluster.clone(),
            node: want.node.clone(),
            cpu: want.cpu,
            memory_mib: want.memory_mib,
        };
        let id = self.call(cx, 0, create).await?;
        self.call(cx, 1, StartInstance { id: id.clone() }).await?;
        Ok(pending(id))
    }

    async fn wait_run_instances(
        &self,
        _: &Look,
        _: &InstanceSpec,
        at: &Handle,
    ) -> Result<Progress<InstanceReady>> {
        let id = at.resource.clone();
        self.data.aside(move |data| look_at_start(data, &id)).await
    }

    async fn stop_instances(&self, cx: &TaskContext, instance: &InstanceRef) -> Result<Started<()>> {
        self.call(cx, 0, StopInstance { id: instance.id.clone() }).await.map(Started::Done)
    }

    async fn wait_stop_instances(
        &self,
        _: &Look,
        instance: &InstanceRef,
        _: &Handle,
    ) -> Result<Progress<()>> {
        let id = instance.id.clone();
        self.holds(format!("instance `{id}` runs again"), move |data| Ok(!is_running(data, &id)?)).await
    }

    async fn start_instances(
        &self,
        cx: &TaskContext,
        instance: &InstanceRef,
    ) -> Result<Started<InstanceReady>> {
        self.call(cx, 0, StartInstance { id: instance.id.clone() }).await?;
        Ok(pending(instance.id.clone()))
    }

    async fn wait_start_instances(
        &self,
        _: &Look,
        instance: &InstanceRef,
        _: &Handle,
    ) -> Result<Progress<InstanceReady>> {
        let id = instance.id.clone();
        self.data.aside(move |data| look_at_start(data, &id)).await
    }

    async fn delete_instances(&self, cx: &TaskContext, instance: &InstanceRef) -> Result<Started<()>> {
        self.call(cx, 0, DeleteInstance { id: instance.id.clone() }).await.map(Started::Done)
    }

    async fn wait_delete_instances(
        &self,
        _: &Look,
        instance: &InstanceRef,
        _: &Handle,
    ) -> Result<Progress<()>> {
        let id = instance.id.clone();
        self.holds(format!("instance `{id}` is there still"), move |data| {
            Ok(!data.instances.has_any_of(&id)?)
        })
        .await
    }

    async fn resize_instances(&self, cx: &TaskContext, resize: &InstanceResize) -> Result<Started<()>> {
        let size = Size { cpu: resize.cpu, memory_mib: resize.memory_mib };
        let id = resize.instance.id.clone();
        self.call(cx, 0, ResizeInstance { id, size }).await.map(Started::Done)
    }

    async fn wait_resize_instances(
        &self,
        _: &Look,
        resize: &InstanceResize,
        _: &Handle,
    ) -> Result<Progress<()>> {
        let size = Size { cpu: resize.cpu, memory_mib: resize.memory_mib };
        let id = resize.instance.id.clone();
        self.holds(format!("instance `{id}` has another size"), move |data| {
            Ok(data.instances.find(&id)?.is_some_and(|instance| size.is_of(&instance)))
        })
        .await
    }

    async fn create_volumes(&self, cx: &TaskContext, want: &VolumeSpec) -> Result<Started<VolumeReady>> {
        let VolumeSpec { cluster, disk, size_gib, .. } = want.clone();
        let id = self.call(cx, 0, CreateVolume { cluster, disk, size_gib }).await?;
        Ok(Started::Done(VolumeReady { id }))
    }

    async fn wait_create_volumes(
        &self,
        _: &Look,
        _: &VolumeSpec,
        at: &Handle,
    ) -> Result<Progress<VolumeReady>> {
        let id = at.resource.clone();
        let found = self.holds(format!("volume `{id}` is gone"), {
            let id = id.clone();
            move |data| Ok(data.volumes.find(&id)?.is_some())
        });
        Ok(found.await?.map(|()| VolumeReady { id }))
    }

    async fn detach_volumes(&self, cx: &TaskContext, volume: &Attachment) -> Result<Started<()>> {
        let detach = DetachVolume { id: volume.volume.id.clone(), instance: volume.instance.clone() };
        self.call(cx, 0, detach).await.map(Started::Done)
    }

    async fn wait_detach_volumes(&self, _: &Look, volume: &Attachment, _: &Handle) -> Result<Progress<()>> {
        let Attachment { volume, instance, .. } = volume.clone();
        self.holds(format!("volume `{}` is attached again", volume.id), move |data| {
            is_detached(data, &volume.id, instance.as_ref())
        })
        .await
    }

    async fn attach_volumes(&self, cx: &TaskContext, volume: &Attachment) -> Result<Started<AttachedVolume>> {
        let attach = AttachVolume { id: volume.volume.id.clone(), instance: holder_of(volume)?.clone() };
        let device = self.call(cx, 0, attach).await?;
        Ok(Started::Done(AttachedVolume { device }))
    }

    async fn wait_attach_volumes(
        &self,
        _: &Look,
        volume: &Attachment,
        _: &Handle,
    ) -> Result<Progress<AttachedVolume>> {
        let (id, instance) = (volume.volume.id.clone(), holder_of(volume)?.clone());
        let lost = format!("volume `{id}` is not attached to instance `{instance}`");
        let device = self.data.aside(move |data| attached(data, &id, &instance)).await?;
        Ok(match device {
            Some(device) => Progress::Done(AttachedVolume { device }),
            None => Progress::Lost { why: lost },
        })
    }

    async fn delete_volumes(&self, cx: &TaskContext, volume: &VolumeRef) -> Result<Started<()>> {
        self.call(cx, 0, DeleteVolume { id: volume.id.clone() }).await.map(Started::Done)
    }

    async fn wait_delete_volumes(&self, _: &Look, volume: &VolumeRef, _: &Handle) -> Result<Progress<()>> {
        let id = volume.id.clone();
        self.holds(format!("volume `{id}` is there still"), move |data| Ok(!data.volumes.has_any_of(&id)?))
            .await
    }

    async fn resize_volumes(&self, cx: &TaskContext, resize: &VolumeResize) -> Result<Started<()>> {
        let (id, size_gib) = (resize.volume.id.clone(), resize.size_gib);
        self.call(cx, 0, ResizeVolume { id, size_gib }).await.map(Started::Done)
    }

    async fn wait_resize_volumes(&self, _: &Look, resize: &VolumeResize, _: &Handle) -> Result<Progress<()>> {
        let (id, size_gib) = (resize.volume.id.clone(), resize.size_gib);
        self.holds(format!("volume `{id}` has another size"), move |data| {
            Ok(data.volumes.find(&id)?.is_some_and(|volume| volume.size_gib == size_gib))
        })
        .await
    }
}

impl Local {
    async fn call<A: Act>(&self, cx: &TaskContext, n: u32, act: A) -> Result<A::Reply> {
        cx.call(n, &self.data, Call(act)).await
    }

    /// Done if `is_so`; else lost, with the reason.
    async fn holds(
        &self,
        otherwise: String,
        is_so: impl FnOnce(&DataDir) -> Result<bool> + Send + 'static,
    ) -> Result<Progress<()>> {
        Ok(match self.data.aside(is_so).await? {
            true => Progress::Done(()),
            false => Progress::Lost { why: otherwise },
        })
    }
}

fn pending<T>(resource: ResourceId) -> Started<T> {
    Started::Pending(Handle { resource, cloud_job: None })
}

fn holder_of(volume: &Attachment) -> Result<&ResourceId> {
    volume.instance.as_ref().ok_or_else(|| {
        Error::not_found(format!("volume `{}` can't be attached: its node has no instance", volume.volume.id))
    })
}

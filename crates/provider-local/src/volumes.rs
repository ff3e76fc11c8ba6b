//! What is done to volumes.

use crate::{
    client::{Act, DataDir, Origin},
    model::{Kept, VolumeFile},
};
use provider_core::{ClusterId, DiskId, Error, ResourceId, Result};
use serde::{Deserialize, Serialize};

/// Makes a volume's directory.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CreateVolume {
    pub(crate) cluster: ClusterId,
    pub(crate) disk: DiskId,
    pub(crate) size_gib: u32,
}

impl Act for CreateVolume {
    type Reply = ResourceId;
    const NAME: &'static str = "CreateVolume";

    fn act(&self, data: &DataDir, origin: &Origin) -> Result<ResourceId> {
        let _turn = data.turn();
        let id = origin.id::<VolumeFile>();
        let volume = VolumeFile {
            version: VolumeFile::VERSION,
            deployment: data.host.deployment.clone(),
            cluster: self.cluster.clone(),
            disk: self.disk.clone(),
            size_gib: self.size_gib,
            instance: None,
            created: data.host.clock.now(),
        };
        data.volumes.make(&id, &volume)?;
        Ok(id)
    }

    fn find(&self, data: &DataDir, origin: &Origin) -> Result<Option<ResourceId>> {
        let id = origin.id::<VolumeFile>();
        Ok(data.volumes.find(&id)?.map(|_| id))
    }
}

/// Attaches a volume; the reply is the directory that stands for its device.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AttachVolume {
    pub(crate) id: ResourceId,
    pub(crate) instance: ResourceId,
}

impl Act for AttachVolume {
    type Reply = String;
    const NAME: &'static str = "AttachVolume";

    fn act(&self, data: &DataDir, _: &Origin) -> Result<String> {
        let _turn = data.turn();
        let mut volume = data.volumes.get(&self.id)?;
        data.instances.get(&self.instance)?;
        match holder(data, &volume)? {
            Some(holder) if holder != self.instance => {
                return Err(Error::conflict(format!(
                    "volume `{}` is attached to instance `{holder}`",
                    self.id
                ))
                .hint("detach it first"));
            }
            Some(_) => {}
            None => {
                volume.instance = Some(self.instance.clone());
                data.volumes.write(&self.id, &volume)?;
            }
        }
        device(data, &self.id)
    }

    fn find(&self, data: &DataDir, _: &Origin) -> Result<Option<String>> {
        attached(data, &self.id, &self.instance)
    }
}

/// Detaches a volume from an instance, or from whichever it is attached to. Done when it is not attached there,
/// or not there at all.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DetachVolume {
    pub(crate) id: ResourceId,
    pub(crate) instance: Option<ResourceId>,
}

impl Act for DetachVolume {
    type Reply = ();
    const NAME: &'static str = "DetachVolume";

    fn act(&self, data: &DataDir, _: &Origin) -> Result<()> {
        let _turn = data.turn();
        if is_detached(data, &self.id, self.instance.as_ref())? {
            return Ok(());
        }
        let volume = data.volumes.get(&self.id)?;
        data.volumes.write(&self.id, &VolumeFile { instance: None, ..volume })
    }

    fn find(&self, data: &DataDir, _: &Origin) -> Result<Option<()>> {
        Ok(is_detached(data, &self.id, self.instance.as_ref())?.then_some(()))
    }
}

/// Removes a volume and its data.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DeleteVolume {
    pub(crate) id: ResourceId,
}

impl Act for DeleteVolume {
    type Reply = ();
    const NAME: &'static str = "DeleteVolume";

    fn act(&self, data: &DataDir, _: &Origin) -> Result<()> {
        let _turn = data.turn();
        if let Some(volume) = data.volumes.find(&self.id)? {
            refuse_attached(data, &self.id, &volume, "deleted")?;
        }
        data.volumes.remove(&self.id)
    }

    fn find(&self, data: &DataDir, _: &Origin) -> Result<Option<()>> {
        Ok((!data.volumes.has_any_of(&self.id)?).then_some(()))
    }
}

/// Notes a larger size. Nothing enforces it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ResizeVolume {
    pub(crate) id: ResourceId,
    pub(crate) size_gib: u32,
}

impl Act for ResizeVolume {
    type Reply = ();
    const NAME: &'static str = "ResizeVolume";

    fn act(&self, data: &DataDir, _: &Origin) -> Result<()> {
        let _turn = data.turn();
        let volume = data.volumes.get(&self.id)?;
        let (id, have, want) = (&self.id, volume.size_gib, self.size_gib);
        if want == have {
            return Ok(());
        }
        if want < have {
            return Err(Error::invalid(format!("volume `{id}` has {have} GiB and can't shrink to {want}")));
        }
        refuse_attached(data, id, &volume, "resized")?;
        data.volumes.write(id, &VolumeFile { size_gib: want, ..volume })
    }

    fn find(&self, data: &DataDir, _: &Origin) -> Result<Option<()>> {
        let volume = data.volumes.find(&self.id)?;
        Ok(volume.filter(|volume| volume.size_gib == self.size_gib).map(drop))
    }
}

/// The device of a volume if it is attached to `instance`.
pub(crate) fn attached(data: &DataDir, id: &ResourceId, instance: &ResourceId) -> Result<Option<String>> {
    match data.volumes.find(id)? {
        Some(volume) if holder(data, &volume)?.as_ref() == Some(instance) => device(data, id).map(Some),
        _ => Ok(None),
    }
}

/// Whether a volume is not attached to `instance`, or to any if none is given.
pub(crate) fn is_detached(data: &DataDir, id: &ResourceId, instance: Option<&ResourceId>) -> Result<bool> {
    let holder = data.volumes.find(id)?.and_then(|volume| volume.instance);
    Ok(match instance {
        Some(_) => holder.as_ref() != instance,
        None => holder.is_none(),
    })
}

/// The instance that a volume is attached to; one that is gone holds nothing.
fn holder(data: &DataDir, volume: &VolumeFile) -> Result<Option<ResourceId>> {
    let Some(id) = &volume.instance else { return Ok(None) };
    Ok(data.instances.find(id)?.map(|_| id.clone()))
}

fn refuse_attached(data: &DataDir, id: &ResourceId, volume: &VolumeFile, what: &str) -> Result<()> {
    match holder(data, volume)? {
        None => Ok(()),
        Some(holder) => {
            let text = format!("volume `{id}` is attached to instance `{holder}` and can't be {what}");
            Err(Error::conflict(text).hint("detach it first"))
        }
    }
}

fn device(data: &DataDir, id: &ResourceId) -> Result<String> {
    Ok(data.volumes.dir(id)?.join("data").display().to_string())
}

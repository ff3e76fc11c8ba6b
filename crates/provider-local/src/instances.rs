//! What is done to instances, and the looks at how far it is.

use crate::{
    address,
    client::{Act, DataDir, Origin},
    model::{InstanceFile, Kept, VolumeFile},
    process::Identity,
};
use provider_core::{ClusterId, Error, InstanceReady, NodeId, Progress, ResourceId, Result};
use serde::{Deserialize, Serialize};
use std::{fs, time::Duration};

/// When to look again whether an agent is ready.
const AGAIN: Duration = Duration::from_millis(50);

/// Makes an instance's directory, with its address and token. A node has one instance: if there is one already,
/// because an earlier attempt was given up, it is the one.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CreateInstance {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) cpu: u32,
    pub(crate) memory_mib: u64,
}

impl Act for CreateInstance {
    type Reply = ResourceId;
    const NAME: &'static str = "CreateInstance";

    fn act(&self, data: &DataDir, origin: &Origin) -> Result<ResourceId> {
        let _turn = data.turn();
        let all = data.instances.all()?;
        if let Some((id, instance)) = all.iter().find(|(_, instance)| self.is_for(data, instance)) {
            self.size().set(data, id, instance.clone())?;
            return Ok(id.clone());
        }
        let taken = all.values().map(|instance| instance.address).collect();
        let address = address::choose(&data.host.deployment, &self.cluster, &self.node, &taken)
            .ok_or_else(|| Error::unavailable(format!("finding an address for node `{}`", self.node)))?;
        let id = origin.id::<InstanceFile>();
        let instance = InstanceFile {
            version: InstanceFile::VERSION,
            deployment: data.host.deployment.clone(),
            cluster: self.cluster.clone(),
            node: self.node.clone(),
            address,
            token: random_token()?,
            cpu: self.cpu,
            memory_mib: self.memory_mib,
            created: data.host.clock.now(),
        };
        data.instances.make(&id, &instance)?;
        Ok(id)
    }

    fn find(&self, data: &DataDir, origin: &Origin) -> Result<Option<ResourceId>> {
        let id = origin.id::<InstanceFile>();
        Ok(data.instances.find(&id)?.map(|_| id))
    }
}

impl CreateInstance {
    fn is_for(&self, data: &DataDir, instance: &InstanceFile) -> bool {
        instance.deployment == data.host.deployment
            && instance.cluster == self.cluster
            && instance.node == self.node
    }

    fn size(&self) -> Size {
        Size { cpu: self.cpu, memory_mib: self.memory_mib }
    }
}

fn random_token() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::unavailable("drawing a token for an instance").caused_by(&e))?;
    Ok(hex::encode(bytes))
}

/// Starts an instance's agent.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StartInstance {
    pub(crate) id: ResourceId,
}

impl Act for StartInstance {
    type Reply = ();
    const NAME: &'static str = "StartInstance";

    fn act(&self, data: &DataDir, _: &Origin) -> Result<()> {
        let instance = data.identity(&self.id, &data.instances.get(&self.id)?)?;
        if instance.has_keeper()? && instance.accepts() {
            return Ok(());
        }
        data.start_agent(&instance)
    }

    fn find(&self, data: &DataDir, _: &Origin) -> Result<Option<()>> {
        Ok(is_running(data, &self.id)?.then_some(()))
    }
}

/// Ends an instance's agent and everything under it. One that is gone runs no more.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StopInstance {
    pub(crate) id: ResourceId,
}

impl Act for StopInstance {
    type Reply = ();
    const NAME: &'static str = "StopInstance";

    fn act(&self, data: &DataDir, _: &Origin) -> Result<()> {
        match data.instances.find(&self.id)? {
            Some(instance) => data.identity(&self.id, &instance)?.end(data.grace),
            None => Ok(()),
        }
    }

    fn find(&self, data: &DataDir, _: &Origin) -> Result<Option<()>> {
        Ok((!is_running(data, &self.id)?).then_some(()))
    }
}

/// Ends what runs, frees the volumes and removes the directory.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DeleteInstance {
    pub(crate) id: ResourceId,
}

impl Act for DeleteInstance {
    type Reply = ();
    const NAME: &'static str = "DeleteInstance";

    fn act(&self, data: &DataDir, _: &Origin) -> Result<()> {
        if let Some(instance) = data.instances.find(&self.id)? {
            data.identity(&self.id, &instance)?.end(data.grace)?;
        }
        self.free_volumes(data)?;
        // The last step: as long as anything of it is there, the act is not done.
        data.instances.remove(&self.id)
    }

    fn find(&self, data: &DataDir, _: &Origin) -> Result<Option<()>> {
        Ok((!data.instances.has_any_of(&self.id)?).then_some(()))
    }
}

impl DeleteInstance {
    fn free_volumes(&self, data: &DataDir) -> Result<()> {
        let _turn = data.turn();
        for (id, volume) in data.volumes.all()? {
            if volume.instance.as_ref() == Some(&self.id) {
                data.volumes.write(&id, &VolumeFile { instance: None, ..volume })?;
            }
        }
        Ok(())
    }
}

/// Notes a new size. Nothing enforces it, but it counts when others are planned.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ResizeInstance {
    pub(crate) id: ResourceId,
    #[serde(flatten)]
    pub(crate) size: Size,
}

/// What an instance may use.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Size {
    pub(crate) cpu: u32,
    pub(crate) memory_mib: u64,
}

impl Size {
    pub(crate) fn is_of(self, instance: &InstanceFile) -> bool {
        (instance.cpu, instance.memory_mib) == (self.cpu, self.memory_mib)
    }

    fn set(self, data: &DataDir, id: &ResourceId, instance: InstanceFile) -> Result<()> {
        if self.is_of(&instance) {
            return Ok(());
        }
        let Self { cpu, memory_mib } = self;
        data.instances.write(id, &InstanceFile { cpu, memory_mib, ..instance })
    }
}

impl Act for ResizeInstance {
    type Reply = ();
    const NAME: &'static str = "ResizeInstance";

    fn act(&self, data: &DataDir, _: &Origin) -> Result<()> {
        let _turn = data.turn();
        let instance = data.instances.get(&self.id)?;
        if !self.size.is_of(&instance) && is_running(data, &self.id)? {
            return Err(Error::conflict(format!("instance `{}` is running and can't be resized", self.id))
                .hint("stop it first"));
        }
        self.size.set(data, &self.id, instance)
    }

    fn find(&self, data: &DataDir, _: &Origin) -> Result<Option<()>> {
        let instance = data.instances.find(&self.id)?;
        Ok(instance.filter(|instance| self.size.is_of(instance)).map(drop))
    }
}

/// Whether an instance is there and anything of it runs.
pub(crate) fn is_running(data: &DataDir, id: &ResourceId) -> Result<bool> {
    match data.instances.find(id)? {
        Some(instance) => data.identity(id, &instance)?.is_running(),
        None => Ok(false),
    }
}

/// How far an instance is on its way to running. When its agent has ended it is lost, so that it is started
/// again.
pub(crate) fn look_at_start(data: &DataDir, id: &ResourceId) -> Result<Progress<InstanceReady>> {
    let Some(instance) = data.instances.find(id)? else {
        return Ok(Progress::Lost { why: format!("instance `{id}` is gone") });
    };
    let identity = data.identity(id, &instance)?;
    Ok(if !identity.has_keeper()? {
        Progress::Lost { why: format!("the agent of instance `{id}` has ended{}", last_words(&identity)) }
    } else if identity.accepts() {
        Progress::Done(InstanceReady {
            id: id.clone(),
            private_ip: instance.address.to_string(),
            public_ip: None,
            agent: Some(format!("unix:{}", identity.dir.join("drone.sock").display())),
        })
    } else {
        Progress::Pending { why: format!("the agent of instance `{id}` is starting"), again: AGAIN }
    })
}

/// The end of what the agent wrote about itself.
fn last_words(instance: &Identity) -> String {
    let log = fs::read(instance.dir.join("log/drone.log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log[log.len().saturating_sub(1024)..]);
    let line = log.lines().rev().find(|line| !line.trim().is_empty());
    line.map(|line| format!("; the last that it wrote: {}", line.trim())).unwrap_or_default()
}

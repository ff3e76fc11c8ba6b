//! What is kept about instances and volumes, as JSON in their directories. The agent reads an instance's too.

use provider_core::{ClusterId, DeploymentId, DiskId, NodeId, ResourceId, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::net::Ipv4Addr;

/// Something that is kept in a directory of its own, together with the data that belongs to it.
pub(crate) trait Kept: Serialize + DeserializeOwned {
    /// What it is; its ids begin with the first letter, its file is `KIND.json`.
    const KIND: &'static str;
    /// The version of its file that is written, and the newest that can be read.
    const VERSION: u32;
    /// The directories that it comes with.
    const DIRS: &'static [&'static str];

    /// Whose it is.
    fn tags(&self) -> Tags;
}

/// Whose something is.
pub(crate) struct Tags {
    pub(crate) deployment: DeploymentId,
    pub(crate) cluster: ClusterId,
    /// The node or disk.
    pub(crate) name: String,
    pub(crate) created: Timestamp,
}

/// An instance: `instance.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InstanceFile {
    pub(crate) version: u32,
    pub(crate) deployment: DeploymentId,
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    /// What its application listens on; no other instance of this data directory has it.
    pub(crate) address: Ipv4Addr,
    /// What its processes carry in their environment, so that they can be told from any others.
    pub(crate) token: String,
    pub(crate) cpu: u32,
    pub(crate) memory_mib: u64,
    pub(crate) created: Timestamp,
}

impl Kept for InstanceFile {
    const KIND: &'static str = "instance";
    const VERSION: u32 = 1;
    const DIRS: &'static [&'static str] = &["root", "log"];

    fn tags(&self) -> Tags {
        Tags {
            deployment: self.deployment.clone(),
            cluster: self.cluster.clone(),
            name: self.node.to_string(),
            created: self.created,
        }
    }
}

/// A volume: `volume.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumeFile {
    pub(crate) version: u32,
    pub(crate) deployment: DeploymentId,
    pub(crate) cluster: ClusterId,
    pub(crate) disk: DiskId,
    pub(crate) size_gib: u32,
    /// The instance that it is attached to, running or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<ResourceId>,
    pub(crate) created: Timestamp,
}

impl Kept for VolumeFile {
    const KIND: &'static str = "volume";
    const VERSION: u32 = 1;
    const DIRS: &'static [&'static str] = &["data"];

    fn tags(&self) -> Tags {
        Tags {
            deployment: self.deployment.clone(),
            cluster: self.cluster.clone(),
            name: self.disk.to_string(),
            created: self.created,
        }
    }
}

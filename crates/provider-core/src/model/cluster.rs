//! The cluster as it is on record: what was wanted, and what providers and agents have reported.

use crate::{
    AppVersionId, ClusterId, ClusterSpec, DiskId, Error, NodeId, ResourceId, RuntimeId, VpcId, Zone,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A cluster on record. Only [`record`](crate::record()) changes its nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its id.
    pub id: ClusterId,
    /// Where it runs.
    pub runtime: RuntimeId,
    /// What was last applied, or is being applied.
    pub spec: ClusterSpec,
    /// What we did with it.
    pub status: ClusterStatus,
    /// What a job is doing with it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transition: Option<Transition>,
    /// Grows with every accepted job; a plan made for another revision is made again.
    pub revision: u64,
    /// Its nodes.
    pub nodes: BTreeMap<NodeId, Node>,
    /// The zone that it was placed in.
    pub zone: Zone,
    /// The network that its nodes are in, where the provider has networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc: Option<VpcId>,
    /// The frontgate that its agents are reached through, where one is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frontgate: Option<ClusterId>,
    /// Why the newest job failed; gone when one succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<Error>,
    /// The nodes that were added and have not come to work yet.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub joining: BTreeSet<NodeId>,
    /// What it was before its newest upgrade was accepted: where a rollback leads. Gone once one has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Box<ClusterSpec>>,
    /// The nodes that a move to another version has begun with and not finished. Empty once one succeeds.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unsettled: BTreeSet<NodeId>,
}

impl Cluster {
    /// The cluster that `spec` will become: pending, with no resources.
    pub fn new(id: ClusterId, runtime: RuntimeId, zone: Zone, spec: ClusterSpec) -> Self {
        let nodes = spec.nodes.keys().map(|id| (id.clone(), Node::default())).collect();
        Self {
            id,
            runtime,
            spec,
            status: ClusterStatus::Pending,
            transition: None,
            revision: 0,
            nodes,
            zone,
            vpc: None,
            frontgate: None,
            last_error: None,
            joining: BTreeSet::new(),
            previous: None,
            unsettled: BTreeSet::new(),
        }
    }

    /// What is on record about `disk`.
    pub fn disk(&self, disk: &DiskId) -> Option<&Disk> {
        self.nodes.get(&disk.node)?.disks.get(&disk.index)
    }

    /// Whether any resource of a provider is on record for it.
    pub fn has_resources(&self) -> bool {
        self.nodes.values().any(|node| node.instance.is_some() || !node.disks.is_empty())
    }
}

/// What we did with a cluster. Whether its application works is its health, another matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterStatus {
    /// Accepted, and not yet created to the end.
    Pending,
    /// Created and started.
    Active,
    /// Stopped; its data is kept.
    Stopped,
    /// Deleted.
    Deleted,
    /// Deleted, with nothing left on record but its name.
    Ceased,
}

impl ClusterStatus {
    /// As shown to people and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Stopped => "stopped",
            Self::Deleted => "deleted",
            Self::Ceased => "ceased",
        }
    }
}

/// What a job is doing with a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "each is the action of the same name, under way")]
pub enum Transition {
    Creating,
    Starting,
    Stopping,
    Restarting,
    Scaling,
    Resizing,
    Updating,
    Upgrading,
    #[serde(rename = "rollbacking")]
    RollingBack,
    Recovering,
    Deleting,
    Ceasing,
    Serving,
}

/// A node on record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// What we did with it.
    pub status: NodeStatus,
    /// Its instance, from the moment that the provider named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Instance>,
    /// Its data disks by index, from the moment that the provider named them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub disks: BTreeMap<u32, Disk>,
    /// The public key with which it logs in to its peers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// What its custom metadata command printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The app version that it was last configured with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppVersionId>,
}

/// What we did with a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeStatus {
    /// Wanted, and not yet there.
    #[default]
    Pending,
    /// Its instance runs.
    Active,
    /// Its instance is stopped.
    Stopped,
    /// Its instance is gone.
    Deleted,
}

/// An instance on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// What the provider calls it.
    pub id: ResourceId,
    /// Its address inside its network, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_ip: Option<String>,
    /// Its public address, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_ip: Option<String>,
    /// How its agent is reached, once it has enrolled; for example `unix:/path/to/socket`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// A data disk on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// What the provider calls the volume.
    pub volume: ResourceId,
    /// The device or directory under which its node sees it, while it is attached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

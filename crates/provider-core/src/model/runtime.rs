//! Runtimes, and what providers tell about them.

use crate::{NodeId, ProviderId, ResourceId, RoleName, RuntimeId, SubnetId, Timestamp, VpcId, Zone};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Where clusters run: a provider, its endpoint and a zone. The credential is kept apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// What the operator calls it.
    pub id: RuntimeId,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// The plugin that serves it.
    pub provider: ProviderId,
    /// The API's address; empty where the provider has a default or none.
    #[serde(default)]
    pub endpoint: String,
    /// The zone; empty means the provider's default.
    #[serde(default = "no_zone")]
    pub zone: Zone,
    /// Labels for finding it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

fn no_zone() -> Zone {
    Zone::new("")
}

/// What validating a credential established.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeFacts {
    /// The zones that it may use.
    pub zones: BTreeSet<Zone>,
    /// The API versions that are served, where that matters.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub api_versions: BTreeSet<String>,
    /// When this was found out.
    pub taken_at: Timestamp,
}

/// What `check_resource` found out for a planned change. Planning reads nothing else about the outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// When this was found out.
    pub taken_at: Timestamp,
    /// The zone that the cluster is or will be in.
    pub zone: Zone,
    /// The network, where the provider has networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc: Option<VpcId>,
    /// Whether the agents of this network are reached through a frontgate.
    #[serde(default)]
    pub needs_frontgate: bool,
    /// What each role's nodes are launched as.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<RoleName, RoleFacts>,
    /// What the change needs of each quota, and what is left.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headroom: BTreeMap<String, Headroom>,
    /// What was found of each node, for a recovery.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<NodeId, NodeFacts>,
    /// Everything that stands in the way, all at once. Not empty means that the change is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortfalls: Vec<Shortfall>,
    /// A provider's own findings.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub extra: Value,
}

impl Facts {
    /// What is known when nothing was found out.
    pub fn none(zone: Zone, taken_at: Timestamp) -> Self {
        Self {
            taken_at,
            zone,
            vpc: None,
            needs_frontgate: false,
            roles: BTreeMap::new(),
            headroom: BTreeMap::new(),
            nodes: BTreeMap::new(),
            shortfalls: Vec::new(),
            extra: Value::Null,
        }
    }
}

/// What a role's nodes are launched as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleFacts {
    /// The provider's name for the size; empty where sizes are free.
    #[serde(default)]
    pub instance_type: String,
    /// The provider's image id; empty where there are no images.
    #[serde(default)]
    pub image: String,
}

/// What was found of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFacts {
    /// Its instance, as the provider has it.
    pub instance: InstanceState,
    /// What its agent, or its provider where that knows, says of the application; none when nobody could be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

/// Whether the application on a node works, as its agent or its provider sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whether its services are meant to run: the last start was not followed by a stop.
    pub started: bool,
    /// Whether the last checks say that it works. A node without a check works while its services are started.
    pub healthy: bool,
    /// Since when that is so. Not known, and not shown, while it is not started.
    pub since: Timestamp,
    /// What is wrong, in a line, for example `health check failed 3 times`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// One quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headroom {
    /// What the change needs, in the quota's unit.
    pub needed: u64,
    /// What is left now.
    pub left: u64,
    /// What the quota is.
    pub total: u64,
}

/// One thing that stands in the way of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    /// What it is about, for example `memory`, `role shard` or `address 127.0.0.1`.
    pub what: String,
    /// What is wrong, in a sentence without a period.
    pub why: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A subnet that nodes can be put in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its id.
    pub id: SubnetId,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its zone.
    pub zone: Zone,
    /// Its network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc: Option<VpcId>,
    /// The addresses in it, in CIDR notation.
    #[serde(default)]
    pub cidr: String,
    /// How many addresses are left, where the provider tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_addresses: Option<u64>,
}

/// Which subnets to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetQuery {
    /// Only these; empty means all.
    #[serde(default)]
    pub ids: BTreeSet<SubnetId>,
    /// Only of this zone.
    #[serde(default)]
    pub zone: Option<Zone>,
}

/// A virtual private network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vpc {
    /// Its id.
    pub id: VpcId,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Whether it can be used now.
    pub available: bool,
    /// Its subnets.
    pub subnets: BTreeSet<SubnetId>,
    /// Its public address, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_ip: Option<String>,
}

/// What a look at one node found: the result of `update_cluster_status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The node.
    pub node: NodeId,
    /// Its instance, as the provider has it now.
    pub instance: InstanceState,
    /// Why, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether its application works, where the provider itself knows and no agent is to be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

/// An instance, as a provider has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceState {
    /// On its way.
    Pending,
    /// Running.
    Running,
    /// Stopped.
    Stopped,
    /// Not there.
    Missing,
}

/// Live details for people: the result of `describe_cluster_details`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterDetails {
    /// Lines about each node.
    pub nodes: BTreeMap<NodeId, BTreeMap<String, String>>,
    /// Other objects of the cluster by kind, for example `service` or `volume`.
    pub objects: BTreeMap<String, Vec<BTreeMap<String, String>>>,
}

/// A resource of ours that a provider still has, found by its tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaggedResource {
    /// `instance` or `volume`.
    pub kind: String,
    /// What the provider calls it.
    pub id: ResourceId,
    /// The cluster in its tag.
    pub cluster: String,
    /// The node or disk in its tag.
    #[serde(default)]
    pub name: String,
    /// When it was made, where the provider tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

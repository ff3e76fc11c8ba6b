//! The cluster that somebody wants: what a package and a configuration come to.

use crate::{AppVersionId, NodeId, RoleName, SecretRef, SubnetId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A wanted cluster: the result of `parse_cluster_conf`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// What the operator calls it; unique among the clusters that are not deleted.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// The app version that it is made of.
    pub app: AppVersionId,
    /// The subnet of its nodes; none where the provider has no networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<SubnetId>,
    /// Its roles. Replica nodes belong to their base role.
    pub roles: BTreeMap<RoleName, RoleSpec>,
    /// Its nodes.
    pub nodes: BTreeMap<NodeId, NodeSpec>,
    /// Other clusters whose endpoints this one uses: link name to cluster name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, String>,
    /// How users reach the application.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<String, Endpoint>,
    /// Whether the application may read the whole metadata, not just its node's view.
    #[serde(default)]
    pub metadata_root_access: bool,
    /// A name that stays with the application through export and import.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub global_uuid: String,
    /// What may be done beyond the basic actions, as the package declares it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub advanced_actions: BTreeSet<AdvancedAction>,
    /// Versions that this one can be upgraded from; empty means that the package does not restrict it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upgrade_policy: Vec<String>,
    /// What going back from this version to the one before takes.
    #[serde(default, skip_serializing_if = "Rollback::is_safe")]
    pub rollback: Rollback,
    /// How backups are taken, as the package declares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_policy: Option<String>,
    /// Whether backups may build on earlier ones.
    #[serde(default)]
    pub incremental_backup_supported: bool,
    /// Extra views for a console, kept as they are.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub display_tabs: Value,
    /// The answers that it was made from, defaults merged in; null stands for a password. Later answers are
    /// merged over them.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub conf: Value,
}

impl ClusterSpec {
    /// The role of `node`.
    pub fn role_of(&self, node: &NodeId) -> Option<&RoleSpec> {
        self.roles.get(&self.nodes.get(node)?.role)
    }

    /// The nodes of `role`, replicas included, in the order of their server ids.
    pub fn nodes_of<'a>(&'a self, role: &'a RoleName) -> impl Iterator<Item = (&'a NodeId, &'a NodeSpec)> {
        let mut nodes: Vec<_> = self.nodes.iter().filter(|(_, node)| node.role == *role).collect();
        nodes.sort_by_key(|(_, node)| node.server_id);
        nodes.into_iter()
    }
}

/// What going back from a version to the one before takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rollback {
    /// Nothing: the version before reads the data of this one.
    #[default]
    Safe,
    /// A backup that was taken before the upgrade must be restored.
    NeedsRestore,
    /// It can't be done.
    Impossible,
}

impl Rollback {
    /// Whether it needs nothing.
    pub fn is_safe(&self) -> bool {
        *self == Self::Safe
    }
}

/// One wanted node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// Its base role.
    pub role: RoleName,
    /// Whether it is a replica of its group's base node.
    #[serde(default)]
    pub replica: bool,
    /// Unique in its role, from 1.
    pub server_id: u32,
    /// A base node and its replicas share it; from 1.
    pub group_id: u32,
}

/// What all nodes of a role have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleSpec {
    /// What the application runs in.
    pub container: Container,
    /// Cores.
    pub cpu: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// GPUs.
    #[serde(default)]
    pub gpu: u32,
    /// System disk in GiB.
    pub instance_size_gib: u32,
    /// A provider's own name for a size, where the package asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// Data disks, one for each mount point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<DiskSpec>,
    /// Parameters of the application.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, EnvValue>,
    /// What to run when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<ServiceName, Service>,
    /// Whether nodes are resized and upgraded one by one or all at once.
    #[serde(default)]
    pub vertical_scaling_policy: ScalingPolicy,
    /// The largest server id; freed ids are used again once it is reached. None means no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_id_upper_bound: Option<u32>,
    /// What may be done with this role beyond the basic actions.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub advanced_actions: BTreeSet<AdvancedAction>,
    /// The kind of key with which its nodes log in to each other, made on each node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphraseless: Option<String>,
    /// Whether users may log in to its nodes.
    #[serde(default)]
    pub user_access: bool,
    /// Whether its nodes run an agent. Without one no service, mount or metadata reaches them.
    pub agent_installed: bool,
    /// A command whose output becomes each node's `token` in the metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_metadata: Option<Service>,
    /// How to tell that a node works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// What to measure, as the package declares it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub monitor: Value,
    /// Load balancers that its nodes join.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub load_balancers: Vec<LoadBalancer>,
}

/// What the application runs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// `docker`, `kvm`, `lxc`, `bm` or `process`.
    #[serde(rename = "type")]
    pub kind: ContainerKind,
    /// An image reference, in the provider's or a registry's terms; empty for `process`.
    #[serde(default)]
    pub image: String,
    /// The zone that the image lives in, where that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// The kinds of container that a package may ask for. Providers say which they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerKind {
    /// A Docker container on a virtual machine.
    Docker,
    /// A virtual machine image.
    Kvm,
    /// An LXC container.
    Lxc,
    /// A physical machine.
    Bm,
    /// Plain processes, as the local provider runs them.
    Process,
}

/// A data disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpec {
    /// GiB.
    pub size_gib: u32,
    /// An absolute path on the node.
    pub mount_point: String,
    /// `ext4`, `xfs` or `ntfs`.
    pub filesystem: String,
    /// Comma-separated, as `mount -o` takes them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mount_options: String,
}

/// A parameter's value, or where it is kept when it is secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvValue {
    /// An ordinary value. Numbers keep their exact digits.
    Plain(Value),
    /// A value of a config item of type password.
    Secret(SecretRef),
}

/// When a service runs. Written as its name in the package.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum ServiceName {
    /// On new nodes.
    Init,
    /// To bring the application up.
    Start,
    /// To bring it down.
    Stop,
    /// On the remaining nodes when nodes are added.
    ScaleOut,
    /// On the remaining nodes when nodes go.
    ScaleIn,
    /// When parameters have changed.
    Restart,
    /// Before a cluster or a node is deleted.
    Destroy,
    /// When the version changes.
    Upgrade,
    /// To save data.
    Backup,
    /// To bring saved data back.
    Restore,
    /// To drop a saved copy.
    DeleteSnapshot,
    /// Whatever the package defines; runs when an operator asks for it.
    Custom(String),
}

impl ServiceName {
    const KNOWN: [Self; 11] = [
        Self::Init,
        Self::Start,
        Self::Stop,
        Self::ScaleOut,
        Self::ScaleIn,
        Self::Restart,
        Self::Destroy,
        Self::Upgrade,
        Self::Backup,
        Self::Restore,
        Self::DeleteSnapshot,
    ];

    /// The name in the package.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Init => "init",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::ScaleOut => "scale_out",
            Self::ScaleIn => "scale_in",
            Self::Restart => "restart",
            Self::Destroy => "destroy",
            Self::Upgrade => "upgrade",
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::DeleteSnapshot => "delete_snapshot",
            Self::Custom(name) => name,
        }
    }
}

impl From<String> for ServiceName {
    fn from(name: String) -> Self {
        let known = Self::KNOWN.into_iter().find(|known| known.as_str() == name);
        known.unwrap_or(Self::Custom(name))
    }
}

impl From<ServiceName> for String {
    fn from(name: ServiceName) -> Self {
        name.as_str().to_owned()
    }
}

/// A command that a package declares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// The shell command line.
    pub cmd: String,
    /// Equal orders run side by side, smaller ones first, across roles.
    #[serde(default)]
    pub order: i32,
    /// On how many nodes of the role; none means all. Replicas run it only when it reaches all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes_to_execute_on: Option<u32>,
    /// Seconds until it is killed.
    pub timeout_s: u32,
    /// For `init` and `upgrade`: run it after the start services instead of before.
    #[serde(default)]
    pub post_start_service: bool,
    /// For `destroy`: run it after the stop services instead of before.
    #[serde(default)]
    pub post_stop_service: bool,
    /// For `destroy`: whether deletion goes on when it fails.
    #[serde(default)]
    pub allow_force: bool,
    /// For `scale_out` and `scale_in`: a command whose failure forbids the scaling before anything changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_check: Option<String>,
    /// Parameters that the operator may give, as the package declares them.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub service_params: Value,
}

/// One node at a time, or all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScalingPolicy {
    /// All nodes of the role at once.
    #[default]
    Parallel,
    /// One after another.
    Sequential,
}

/// What a package may allow beyond the basic actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdvancedAction {
    /// Move to another subnet.
    ChangeSubnet,
    /// Add and remove nodes.
    ScaleHorizontal,
    /// Add nodes.
    AddNodes,
    /// Give nodes public addresses.
    AssociateEip,
}

/// Where users reach the application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The port; references to parameters are resolved already.
    pub port: u16,
    /// For example `tcp`, `http`, `redis`.
    pub protocol: String,
    /// The role whose nodes answer; none means the cluster's first role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleName>,
    /// How to connect, with `{host}` and `{port}` to fill in, for example `redis-cli -h {host} -p {port}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<String>,
}

/// How to tell that a node works, and what to do when it does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Off means that the node counts as healthy.
    pub enable: bool,
    /// Seconds between checks.
    pub interval_s: u32,
    /// Seconds until a check counts as failed.
    pub timeout_s: u32,
    /// Seconds until the action is killed.
    pub action_timeout_s: u32,
    /// Successes in a row that make a node healthy.
    pub healthy_threshold: u32,
    /// Failures in a row that make a node unhealthy.
    pub unhealthy_threshold: u32,
    /// Exit code 0 means that the node works.
    pub check_cmd: String,
    /// Runs when a node becomes unhealthy; may be empty.
    #[serde(default)]
    pub action_cmd: String,
}

/// A load balancer listener that nodes join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancer {
    /// The listener's id at the provider.
    pub listener: String,
    /// The port on the nodes.
    pub port: u16,
    /// The forwarding policy's id at the provider.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policy: String,
}

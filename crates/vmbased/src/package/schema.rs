//! The shape of a cluster document. These types are the schema: what they don't name is refused.

use provider_core::{AdvancedAction, ContainerKind, Rollback, ScalingPolicy};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct ClusterBlock {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) subnet: String,
    pub(super) nodes: Vec<NodeBlock>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) advanced_actions: BTreeSet<AdvancedAction>,
    #[serde(default)]
    pub(super) incremental_backup_supported: bool,
    #[serde(default)]
    pub(super) global_uuid: String,
    #[serde(default)]
    pub(super) links: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) backup_policy: Option<String>,
    #[serde(default)]
    pub(super) upgrade_policy: Vec<String>,
    #[serde(default)]
    pub(super) rollback: Rollback,
    #[serde(default)]
    pub(super) endpoints: BTreeMap<String, EndpointBlock>,
    #[serde(default)]
    pub(super) metadata_root_access: bool,
    #[serde(default)]
    pub(super) health_check: Option<HealthBlock>,
    #[serde(default)]
    pub(super) monitor: Option<MonitorBlock>,
    #[serde(default)]
    pub(super) display_tabs: BTreeMap<String, TabBlock>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct NodeBlock {
    #[serde(default)]
    pub(super) role: String,
    pub(super) container: ContainerBlock,
    pub(super) count: u32,
    #[serde(default)]
    pub(super) replica: u32,
    #[serde(default)]
    pub(super) cpu: u32,
    #[serde(default)]
    pub(super) memory: u64,
    #[serde(default)]
    pub(super) gpu: u32,
    #[serde(default)]
    pub(super) instance_type: Option<String>,
    #[serde(default)]
    pub(super) volume: Option<VolumeBlock>,
    #[serde(default)]
    pub(super) services: BTreeMap<String, ServiceBlock>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) vertical_scaling_policy: ScalingPolicy,
    #[serde(default)]
    pub(super) server_id_upper_bound: Option<u32>,
    #[serde(default)]
    pub(super) loadbalancer: Vec<LoadBalancerBlock>,
    #[serde(default)]
    pub(super) advanced_actions: BTreeSet<AdvancedAction>,
    #[serde(default)]
    pub(super) passphraseless: String,
    #[serde(default)]
    pub(super) user_access: bool,
    #[serde(default = "yes")]
    pub(super) agent_installed: bool,
    #[serde(default)]
    pub(super) custom_metadata: Option<CommandBlock>,
    #[serde(default)]
    pub(super) health_check: Option<HealthBlock>,
    #[serde(default)]
    pub(super) monitor: Option<MonitorBlock>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct ContainerBlock {
    #[serde(rename = "type")]
    pub(super) kind: ContainerKind,
    #[serde(default)]
    pub(super) image: String,
    #[serde(default)]
    pub(super) zone: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct VolumeBlock {
    /// GiB of all mount points together.
    #[serde(default)]
    pub(super) size: u32,
    #[serde(default)]
    pub(super) mount_point: Option<MountPoints>,
    #[serde(default)]
    pub(super) filesystem: Option<Filesystem>,
    #[serde(default)]
    pub(super) mount_options: Option<String>,
    #[serde(default = "system_disk_gib")]
    pub(super) instance_size: u32,
}

impl VolumeBlock {
    /// What a node without a `volume` has.
    pub(super) const DEFAULT: Self = Self {
        size: 0,
        mount_point: None,
        filesystem: None,
        mount_options: None,
        instance_size: SYSTEM_DISK_GIB,
    };
}

/// GiB.
const SYSTEM_DISK_GIB: u32 = 20;

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a path or a list of paths")]
pub(super) enum MountPoints {
    One(String),
    Many(Vec<String>),
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Filesystem {
    Ext4,
    Xfs,
    Ntfs,
}

/// Every key that some service may have; which one may have which is checked later.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct ServiceBlock {
    #[serde(rename = "type")]
    pub(super) kind: Option<ServiceKind>,
    #[serde(default)]
    pub(super) cmd: String,
    #[serde(default)]
    pub(super) order: i32,
    pub(super) nodes_to_execute_on: Option<u32>,
    #[serde(default = "timeout_s")]
    pub(super) timeout: u32,
    pub(super) post_start_service: Option<bool>,
    pub(super) post_stop_service: Option<bool>,
    pub(super) allow_force: Option<bool>,
    pub(super) pre_check: Option<String>,
    pub(super) service_params: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ServiceKind {
    Custom,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct CommandBlock {
    pub(super) cmd: String,
    #[serde(default = "timeout_s")]
    pub(super) timeout: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct EndpointBlock {
    pub(super) port: Port,
    pub(super) protocol: String,
    pub(super) role: Option<String>,
    pub(super) connect: Option<String>,
}

/// A port, or where it is: `env.PARAM` or `ROLE.env.PARAM`.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a port from 1 to 65535, `env.PARAM` or `ROLE.env.PARAM`")]
pub(super) enum Port {
    Number(u16),
    Reference(String),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct HealthBlock {
    #[serde(default = "yes")]
    pub(super) enable: bool,
    #[serde(default = "health::interval_s")]
    pub(super) interval_sec: u32,
    #[serde(default = "health::timeout_s")]
    pub(super) timeout_sec: u32,
    #[serde(default = "health::action_timeout_s")]
    pub(super) action_timeout_sec: u32,
    #[serde(default = "health::threshold")]
    pub(super) healthy_threshold: u32,
    #[serde(default = "health::threshold")]
    pub(super) unhealthy_threshold: u32,
    pub(super) check_cmd: String,
    #[serde(default)]
    pub(super) action_cmd: String,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct MonitorBlock {
    #[serde(default = "yes")]
    enable: bool,
    cmd: String,
    #[serde(default)]
    items: BTreeMap<String, MonitorItem>,
    #[serde(default)]
    groups: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    display: Vec<String>,
    #[serde(default)]
    alarm: Vec<String>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct MonitorItem {
    #[serde(default)]
    unit: String,
    #[serde(default)]
    value_type: String,
    #[serde(default)]
    statistics_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scale_factor_when_display: Option<Number>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    enums: Vec<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct TabBlock {
    pub(super) cmd: String,
    #[serde(default)]
    pub(super) roles_to_execute_on: Vec<String>,
    #[serde(default)]
    description: String,
    #[serde(default = "timeout_s")]
    pub(super) timeout: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct LoadBalancerBlock {
    pub(super) listener: String,
    pub(super) port: u16,
    #[serde(default)]
    pub(super) policy: String,
}

fn yes() -> bool {
    true
}

fn system_disk_gib() -> u32 {
    SYSTEM_DISK_GIB
}

fn timeout_s() -> u32 {
    600
}

mod health {
    pub(super) fn interval_s() -> u32 {
        60
    }

    pub(super) fn timeout_s() -> u32 {
        10
    }

    pub(super) fn action_timeout_s() -> u32 {
        30
    }

    pub(super) fn threshold() -> u32 {
        2
    }
}

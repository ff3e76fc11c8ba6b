//! Clusters on this machine, without root and without an account: an instance is a directory and the processes
//! under its agent, a volume is a directory. For trying things out, for development and for small installations.
//!
//! What it is: the provider plugin `local`. What it is not: it isolates nothing and enforces no size, which
//! [`DESCRIPTOR`] says of each ability. It touches nothing outside its data directory. Linux only.
//!
//! Start reading at `client`, where a change of the data directory becomes a call, then `process`, which tells
//! when an instance runs.

mod address;
mod capacity;
mod client;
mod cloud;
mod error;
mod handler;
mod instances;
mod model;
mod process;
mod shelf;
mod volumes;

#[cfg(test)]
mod tests;

use client::DataDir;
use provider_core::{ActionKind, Built, ContainerKind, Descriptor, Host, Support, register_provider};
use std::sync::Arc;
use vmbased::FrameHandler;

/// All that there are frames for, but what is about logging in.
const ACTIONS: &[ActionKind] = &[
    ActionKind::CreateCluster,
    ActionKind::StartClusters,
    ActionKind::StopClusters,
    ActionKind::RestartClusters,
    ActionKind::DeleteClusters,
    ActionKind::AddClusterNodes,
    ActionKind::DeleteClusterNodes,
    ActionKind::ResizeCluster,
    ActionKind::UpdateClusterEnv,
    ActionKind::UpgradeCluster,
    ActionKind::RollbackCluster,
    ActionKind::RecoverClusters,
    ActionKind::CeaseClusters,
    ActionKind::RunService,
];

/// What this provider is and can do.
pub static DESCRIPTOR: Descriptor = Descriptor {
    id: "local",
    title: "processes on this machine",
    format: &vmbased::package::VmPackages,
    actions: ACTIONS,
    containers: &[ContainerKind::Process],
    credential: &[],
    abilities: &[
        ("run_instances", Support::Full),
        ("stop_instances", Support::Full),
        ("start_instances", Support::Full),
        ("delete_instances", Support::Full),
        (
            "resize_instances",
            Support::Unenforced("the new size is noted and counted; nothing limits processes"),
        ),
        ("create_volumes", Support::Full),
        ("attach_volumes", Support::Full),
        ("detach_volumes", Support::Full),
        ("delete_volumes", Support::Full),
        ("resize_volumes", Support::Unenforced("the new size is noted; nothing limits what is written")),
        ("validate_credential", Support::Full),
        ("describe_runtime_provider_zones", Support::Full),
        ("check_resource", Support::Full),
        ("update_cluster_status", Support::Full),
        ("describe_cluster_details", Support::Full),
        ("describe_subnets", Support::Refused("a machine has no subnets; every node has a loopback address")),
        ("describe_vpc", Support::Refused("a machine has no networks of its own")),
        ("wait_frontgate_available", Support::Refused("agents are reached directly, no frontgate is made")),
        ("cpu limit", Support::Unenforced("limiting processes needs control groups, and they need root")),
        ("memory limit", Support::Unenforced("limiting processes needs control groups, and they need root")),
        ("volume size", Support::Unenforced("directories have no size of their own")),
        ("file system and mount options", Support::Unenforced("a volume is a directory of this machine")),
        ("gpu", Support::Refused("GPUs are not handed out")),
        ("key pairs", Support::Refused("there is no login: every node runs as the user who runs Pitrix")),
        ("load balancers", Support::Refused("a machine has none")),
    ],
};

register_provider!(&DESCRIPTOR, |host| {
    let local = Local::new(host.clone());
    Built {
        interface: Arc::new(FrameHandler::new(&DESCRIPTOR, local.clone())),
        sweeper: Arc::new(local),
        live: None,
    }
});

/// The local cloud. It needs a Tokio runtime with I/O enabled.
#[derive(Clone)]
pub(crate) struct Local {
    data: Arc<DataDir>,
}

impl Local {
    pub(crate) fn new(host: Host) -> Self {
        Self { data: Arc::new(DataDir::new(host)) }
    }
}

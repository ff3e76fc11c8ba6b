//! Jobs: one action on one cluster.

use crate::{AppVersionId, Cluster, ClusterSpec, ClusterStatus, NodeId, RoleName, ServiceName, Transition};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What can be done with a cluster, with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    /// Make everything and bring the application up.
    CreateCluster,
    /// Bring the application up again.
    StartClusters,
    /// Bring it down; data is kept.
    StopClusters,
    /// Bring it down and up without touching instances.
    RestartClusters,
    /// Remove everything.
    DeleteClusters {
        /// Leaves the data disks.
        keep_volumes: bool,
        /// Ends even when machines or credentials are gone: what can't be removed soon stays on the record of
        /// the deleted cluster.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
        /// Leaves what the provider has written down of earlier revisions, where it does so.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        keep_history: bool,
    },
    /// Add the nodes that the wanted cluster has and the recorded one lacks.
    AddClusterNodes,
    /// Remove these nodes.
    DeleteClusterNodes {
        /// Which.
        nodes: BTreeSet<NodeId>,
    },
    /// Change the size of roles.
    ResizeCluster {
        /// The new sizes.
        roles: BTreeMap<RoleName, Size>,
    },
    /// Change parameters.
    UpdateClusterEnv,
    /// Move to a newer version.
    UpgradeCluster {
        /// The version to reach.
        to: AppVersionId,
        /// Runs the package's `backup` service first, if it has one.
        backup: bool,
    },
    /// Go back to the version before.
    RollbackCluster {
        /// To this revision instead, where the provider numbers them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<u32>,
    },
    /// Bring reality back to the record.
    RecoverClusters,
    /// Delete, and forget everything but the name.
    CeaseClusters,
    /// Let a key log in.
    AttachKeyPairs {
        /// Public keys in OpenSSH's format.
        keys: Vec<String>,
    },
    /// No longer let a key log in.
    DetachKeyPairs {
        /// Public keys in OpenSSH's format.
        keys: Vec<String>,
    },
    /// Run a service of the package, for example `backup`.
    RunService {
        /// Which.
        service: ServiceName,
        /// Its parameters.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        params: BTreeMap<String, String>,
    },
}

/// New sizes of a role; none keeps what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// GiB of each data disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_gib: Option<u32>,
}

/// An action without its parameters: what capabilities and tables speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is the action of the same name")]
pub enum ActionKind {
    CreateCluster,
    StartClusters,
    StopClusters,
    RestartClusters,
    DeleteClusters,
    AddClusterNodes,
    DeleteClusterNodes,
    ResizeCluster,
    UpdateClusterEnv,
    UpgradeCluster,
    RollbackCluster,
    RecoverClusters,
    CeaseClusters,
    AttachKeyPairs,
    DetachKeyPairs,
    RunService,
}

impl Action {
    /// Whether it ends whatever happens.
    pub fn is_forced(&self) -> bool {
        matches!(self, Self::DeleteClusters { force: true, .. })
    }

    /// Which action it is.
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::CreateCluster => ActionKind::CreateCluster,
            Self::StartClusters => ActionKind::StartClusters,
            Self::StopClusters => ActionKind::StopClusters,
            Self::RestartClusters => ActionKind::RestartClusters,
            Self::DeleteClusters { .. } => ActionKind::DeleteClusters,
            Self::AddClusterNodes => ActionKind::AddClusterNodes,
            Self::DeleteClusterNodes { .. } => ActionKind::DeleteClusterNodes,
            Self::ResizeCluster { .. } => ActionKind::ResizeCluster,
            Self::UpdateClusterEnv => ActionKind::UpdateClusterEnv,
            Self::UpgradeCluster { .. } => ActionKind::UpgradeCluster,
            Self::RollbackCluster { .. } => ActionKind::RollbackCluster,
            Self::RecoverClusters => ActionKind::RecoverClusters,
            Self::CeaseClusters => ActionKind::CeaseClusters,
            Self::AttachKeyPairs { .. } => ActionKind::AttachKeyPairs,
            Self::DetachKeyPairs { .. } => ActionKind::DetachKeyPairs,
            Self::RunService { .. } => ActionKind::RunService,
        }
    }
}

impl ActionKind {
    /// Every action.
    pub const ALL: [Self; 16] = [
        Self::CreateCluster,
        Self::StartClusters,
        Self::StopClusters,
        Self::RestartClusters,
        Self::DeleteClusters,
        Self::AddClusterNodes,
        Self::DeleteClusterNodes,
        Self::ResizeCluster,
        Self::UpdateClusterEnv,
        Self::UpgradeCluster,
        Self::RollbackCluster,
        Self::RecoverClusters,
        Self::CeaseClusters,
        Self::AttachKeyPairs,
        Self::DetachKeyPairs,
        Self::RunService,
    ];

    /// The verb that users type.
    pub fn verb(self) -> &'static str {
        match self {
            Self::CreateCluster => "create",
            Self::StartClusters => "start",
            Self::StopClusters => "stop",
            Self::RestartClusters => "restart",
            Self::DeleteClusters => "delete",
            Self::AddClusterNodes => "add-nodes",
            Self::DeleteClusterNodes => "delete-nodes",
            Self::ResizeCluster => "resize",
            Self::UpdateClusterEnv => "update-env",
            Self::UpgradeCluster => "upgrade",
            Self::RollbackCluster => "rollback",
            Self::RecoverClusters => "recover",
            Self::CeaseClusters => "cease",
            Self::AttachKeyPairs => "attach-key",
            Self::DetachKeyPairs => "detach-key",
            Self::RunService => "run",
        }
    }

    /// What a cluster is in while it runs.
    pub fn transition(self) -> Transition {
        match self {
            Self::CreateCluster => Transition::Creating,
            Self::StartClusters => Transition::Starting,
            Self::StopClusters => Transition::Stopping,
            Self::RestartClusters => Transition::Restarting,
            Self::DeleteClusters => Transition::Deleting,
            Self::AddClusterNodes | Self::DeleteClusterNodes => Transition::Scaling,
            Self::ResizeCluster => Transition::Resizing,
            Self::UpdateClusterEnv | Self::AttachKeyPairs | Self::DetachKeyPairs => Transition::Updating,
            Self::RunService => Transition::Serving,
            Self::UpgradeCluster => Transition::Upgrading,
            Self::RollbackCluster => Transition::RollingBack,
            Self::RecoverClusters => Transition::Recovering,
            Self::CeaseClusters => Transition::Ceasing,
        }
    }

    /// From which statuses it may be asked for. A job that did not end well leaves the status as it was, so
    /// each action that could repair it is allowed from there.
    pub fn allowed_from(self) -> &'static [ClusterStatus] {
        use ClusterStatus::{Active, Deleted, Pending, Stopped};
        match self {
            Self::CreateCluster => &[Pending],
            Self::StartClusters => &[Stopped, Active, Pending],
            Self::DeleteClusters => &[Pending, Active, Stopped],
            Self::CeaseClusters => &[Pending, Active, Stopped, Deleted],
            Self::AttachKeyPairs | Self::DetachKeyPairs => &[Active, Pending],
            _ => &[Active],
        }
    }

    /// The status that success leads to; none keeps it.
    pub fn leads_to(self) -> Option<ClusterStatus> {
        match self {
            Self::StopClusters => Some(ClusterStatus::Stopped),
            Self::DeleteClusters => Some(ClusterStatus::Deleted),
            Self::CeaseClusters => Some(ClusterStatus::Ceased),
            Self::AttachKeyPairs | Self::DetachKeyPairs | Self::RunService => None,
            _ => Some(ClusterStatus::Active),
        }
    }
}

/// What is to change: the input of `check_resource` and `split_job_into_tasks`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What to do.
    #[serde(flatten)]
    pub action: Action,
    /// The cluster on record. For a create it is pending and has no resources.
    pub before: Cluster,
    /// What it shall become.
    pub after: ClusterSpec,
}

impl Change {
    /// The version that it moves from. An upgrade that goes on where another one was cut short finds the wanted version
    /// on record already, and moves from the one before.
    pub fn moves_from(&self) -> &AppVersionId {
        let Cluster { spec, previous, .. } = &self.before;
        match (&self.action, previous) {
            (Action::UpgradeCluster { .. }, Some(previous)) if spec.app == self.after.app => &previous.app,
            _ => &spec.app,
        }
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Accepted; the executor works on it or will.
    Running,
    /// Asked to stop; tasks that have begun come to a safe point.
    Cancelling,
    /// Ended as it should.
    Succeeded,
    /// Ended by a failure.
    Failed,
    /// Ended because somebody asked.
    Cancelled,
}

impl JobState {
    /// Whether nothing more will happen unless it is retried.
    pub fn is_ended(self) -> bool {
        !matches!(self, Self::Running | Self::Cancelling)
    }

    /// As shown to people and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

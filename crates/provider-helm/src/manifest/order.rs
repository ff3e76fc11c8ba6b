//! The order in which kinds are installed and uninstalled: Helm's.

use crate::render::INSTALL_ORDER;

const LAST_KNOWN: &str = "ValidatingWebhookConfiguration";

/// Where a kind comes in an installation; unknown kinds come last, by name.
pub fn install_rank(kind: &str) -> (usize, &str) {
    match INSTALL_ORDER.iter().position(|known| *known == kind) {
        Some(rank) => (rank, ""),
        None => (INSTALL_ORDER.len(), kind),
    }
}

/// Where a kind comes in a removal. Webhooks go first, or they would refuse the removal of what they guard; objects
/// of unknown kinds go before the controllers that clean up after them.
pub fn uninstall_rank(kind: &str) -> (usize, &str) {
    match kind {
        LAST_KNOWN => (0, ""),
        "MutatingWebhookConfiguration" => (1, ""),
        "APIService" => (2, ""),
        _ => match INSTALL_ORDER.iter().rposition(|known| *known == kind) {
            Some(rank) => (4 + INSTALL_ORDER.len() - rank, ""),
            None => (3, kind),
        },
    }
}

/// Kinds that can be applied side by side, because none of them needs another of them to be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the title says it")]
pub enum Phase {
    Scheduling,
    Limits,
    Configuration,
    Definitions,
    Roles,
    Bindings,
    Services,
    Workloads,
    Routes,
    Webhooks,
    Others,
}

impl Phase {
    /// What is applied in it, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Scheduling => "namespaces and priorities",
            Self::Limits => "policies and quotas",
            Self::Configuration => "configuration and storage",
            Self::Definitions => "definitions of custom resources",
            Self::Roles => "roles",
            Self::Bindings => "role bindings",
            Self::Services => "services",
            Self::Workloads => "workloads",
            Self::Routes => "ingresses and API services",
            Self::Webhooks => "webhooks",
            Self::Others => "custom resources",
        }
    }
}

/// The phase of an installation that a kind belongs to. Phases keep Helm's order; within one there is none.
pub fn install_phase(kind: &str) -> Phase {
    match kind {
        "PriorityClass" | "Namespace" => Phase::Scheduling,
        "NetworkPolicy" | "ResourceQuota" | "LimitRange" | "PodSecurityPolicy" | "PodDisruptionBudget" => {
            Phase::Limits
        }
        "ServiceAccount"
        | "Secret"
        | "ConfigMap"
        | "StorageClass"
        | "PersistentVolume"
        | "PersistentVolumeClaim" => Phase::Configuration,
        "CustomResourceDefinition" => Phase::Definitions,
        "ClusterRole" | "Role" => Phase::Roles,
        "ClusterRoleBinding" | "RoleBinding" => Phase::Bindings,
        "Service" => Phase::Services,
        "DaemonSet"
        | "Pod"
        | "ReplicationController"
        | "ReplicaSet"
        | "Deployment"
        | "HorizontalPodAutoscaler"
        | "StatefulSet"
        | "Job"
        | "CronJob" => Phase::Workloads,
        "IngressClass" | "Ingress" | "APIService" => Phase::Routes,
        "MutatingWebhookConfiguration" | LAST_KNOWN => Phase::Webhooks,
        _ => Phase::Others,
    }
}

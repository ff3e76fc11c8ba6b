//! A release as Helm stores it. What Pitrix does not read is kept as it is.

use crate::render::HookEvent;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// One revision of a release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// What happened to it.
    #[serde(default)]
    pub info: Info,
    /// The chart, without its dependencies.
    #[serde(default)]
    pub chart: Value,
    /// The values that the user gave.
    #[serde(default)]
    pub config: Value,
    /// Every rendered document that is no hook.
    #[serde(default)]
    pub manifest: String,
    /// The hooks, in the order in which they run.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub hooks: Vec<Hook>,
    /// Its revision, from 1.
    #[serde(default)]
    pub version: u32,
    /// Its namespace.
    #[serde(default)]
    pub namespace: String,
    /// `ssa` when it was applied on the server's side; empty or `csa` when it was not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub apply_method: String,
    /// Whatever else a newer Helm has put there.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Release {
    /// The chart's name and version, as far as they are there.
    pub fn chart_id(&self) -> (&str, &str) {
        let field = |name| self.chart.pointer("/metadata").and_then(|m| m.get(name)).and_then(Value::as_str);
        (field("name").unwrap_or_default(), field("version").unwrap_or_default())
    }

    /// Whether its chart has other charts inside; Helm does not store those.
    pub fn has_dependencies(&self) -> bool {
        let list = self.chart.pointer("/metadata/dependencies").and_then(Value::as_array);
        list.is_some_and(|list| !list.is_empty())
    }
}

/// What happened to a release. Times are in RFC 3339.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Info {
    /// When its first revision was deployed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub first_deployed: String,
    /// When this revision was.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_deployed: String,
    /// When it was deleted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub deleted: String,
    /// One line about the last thing that happened.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where it stands.
    #[serde(default)]
    pub status: ReleaseStatus,
    /// The rendered notes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// Whatever else is there.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Where a revision stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is Helm's status of the same name")]
pub enum ReleaseStatus {
    Deployed,
    Uninstalled,
    Superseded,
    Failed,
    Uninstalling,
    PendingInstall,
    PendingUpgrade,
    PendingRollback,
    #[default]
    #[serde(other)]
    Unknown,
}

impl ReleaseStatus {
    /// As in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Deployed => "deployed",
            Self::Uninstalled => "uninstalled",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Uninstalling => "uninstalling",
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::PendingRollback => "pending-rollback",
        }
    }

    /// The status that a label names.
    pub fn named(name: &str) -> Self {
        serde_json::from_value(Value::String(name.to_owned())).unwrap_or_default()
    }

    /// Whether somebody is at work on it, or died while being so.
    pub fn is_pending(self) -> bool {
        matches!(
            self,
            Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback | Self::Uninstalling
        )
    }
}

impl fmt::Display for ReleaseStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A hook as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    /// The name of its object.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// The template that it comes from.
    #[serde(default)]
    pub path: String,
    /// Its document.
    pub manifest: String,
    /// When it runs.
    #[serde(default, deserialize_with = "or_default")]
    pub events: Vec<HookEvent>,
    /// When it last ran.
    #[serde(default)]
    pub last_run: LastRun,
    /// Smaller ones run first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub weight: i32,
    /// When its object is deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub delete_policies: Vec<DeletePolicy>,
    /// Whatever else is there.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// When a hook's object is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeletePolicy {
    /// Before it is created again. So it is when a hook says nothing.
    BeforeHookCreation,
    /// Once all hooks of its event have succeeded.
    HookSucceeded,
    /// When it fails.
    HookFailed,
    /// Something that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Hook {
    /// Whether its object is deleted at this point.
    pub fn deletes(&self, policy: DeletePolicy) -> bool {
        // Definitions would take all objects of their kind with them.
        self.kind != "CustomResourceDefinition"
            && match self.delete_policies.as_slice() {
                [] => policy == DeletePolicy::BeforeHookCreation,
                policies => policies.contains(&policy),
            }
    }

    /// Whether what it printed is to be shown then: `hook-succeeded` or `hook-failed`.
    pub fn shows_output(&self, policy: &str) -> bool {
        let policies = self.other.get("output_log_policies").and_then(Value::as_array);
        policies.is_some_and(|policies| policies.iter().any(|one| one == policy))
    }
}

/// When a hook last ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LastRun {
    /// In RFC 3339.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub started_at: String,
    /// In RFC 3339.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub completed_at: String,
    /// `Unknown`, `Running`, `Succeeded` or `Failed`; empty when it never ran.
    #[serde(default)]
    pub phase: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(weight: &i32) -> bool {
    *weight == 0
}

/// Go writes an absent list as null.
fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

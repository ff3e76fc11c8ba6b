//! Hooks: objects that run at a moment of a release's life instead of belonging to it.

use super::annotation;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A moment in a release's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is the hook of the same name")]
pub enum Event {
    PreInstall,
    PostInstall,
    PreDelete,
    PostDelete,
    PreUpgrade,
    PostUpgrade,
    PreRollback,
    PostRollback,
    #[serde(alias = "test-success")]
    Test,
}

impl Event {
    /// As in an annotation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreInstall => "pre-install",
            Self::PostInstall => "post-install",
            Self::PreDelete => "pre-delete",
            Self::PostDelete => "post-delete",
            Self::PreUpgrade => "pre-upgrade",
            Self::PostUpgrade => "post-upgrade",
            Self::PreRollback => "pre-rollback",
            Self::PostRollback => "post-rollback",
            Self::Test => "test",
        }
    }

    /// The event of this name.
    pub fn named(name: &str) -> Option<Self> {
        const ALL: [Event; 9] = [
            Event::PreInstall,
            Event::PostInstall,
            Event::PreDelete,
            Event::PostDelete,
            Event::PreUpgrade,
            Event::PostUpgrade,
            Event::PreRollback,
            Event::PostRollback,
            Event::Test,
        ];
        if name == "test-success" {
            return Some(Self::Test);
        }
        ALL.into_iter().find(|event| event.as_str() == name)
    }
}

/// When a hook's object is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeletePolicy {
    /// Before it is created again.
    BeforeHookCreation,
    /// Once all hooks of its event have succeeded.
    HookSucceeded,
    /// When it fails.
    HookFailed,
}

/// What the annotations of a hook say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookPlan {
    /// When it runs.
    pub events: Vec<Event>,
    /// Smaller ones first.
    pub weight: i32,
    /// When its object is deleted; Helm's default when the chart says nothing.
    pub delete_policies: Vec<DeletePolicy>,
}

impl HookPlan {
    /// What `object` says; none when it is no hook.
    pub fn of(object: &Value) -> Option<Self> {
        let list = |name| annotation(object, name).unwrap_or_default().split(',').map(str::trim);
        let events: Vec<_> = list("helm.sh/hook").filter_map(|name| Event::named(&name.to_lowercase())).collect();
        if events.is_empty() {
            return None;
        }
        let weight = annotation(object, "helm.sh/hook-weight").and_then(|weight| weight.trim().parse().ok());
        let mut delete_policies: Vec<_> = list("helm.sh/hook-delete-policy")
            .filter_map(|policy| match policy.to_lowercase().as_str() {
                "before-hook-creation" => Some(DeletePolicy::BeforeHookCreation),
                "hook-succeeded" => Some(DeletePolicy::HookSucceeded),
                "hook-failed" => Some(DeletePolicy::HookFailed),
                _ => None,
            })
            .collect();
        if delete_policies.is_empty() {
            delete_policies.push(DeletePolicy::BeforeHookCreation);
        }
        Some(Self { events, weight: weight.unwrap_or(0), delete_policies })
    }
}

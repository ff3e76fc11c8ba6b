//! The steps of plans: what a task of ours does, as data.

use crate::{
    api::ObjectRef,
    calls::{Basis, Change},
    release::ReleaseStatus,
    render::HookEvent,
};
use provider_core::{Directive, Effect, Error, NodeId, Result, Task, Work};
use serde::{Deserialize, Serialize};

/// The version of the bodies below.
const VERSION: u32 = 1;

/// What a task does. Each names the revision that has the documents, so that no step reads the facts but the claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum Step {
    /// Creates the record of a new revision.
    Claim {
        /// The release.
        release: String,
        /// The revision.
        revision: u32,
        /// What it is made of.
        basis: Basis,
        /// What it must come to.
        digest: String,
        /// A revision of ours that was left unfinished.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unfinished: Option<u32>,
    },
    /// Creates a definition of custom resources from `crds/`.
    Define {
        /// The definition.
        object: ObjectRef,
    },
    /// Runs a hook to its end.
    Hook {
        /// The release.
        release: String,
        /// The revision.
        revision: u32,
        /// The hook's place in it.
        index: usize,
        /// What it runs for.
        event: HookEvent,
        /// Its object.
        object: ObjectRef,
        /// Whether its object goes when it fails.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        delete_failed: bool,
        /// Whether what it printed is shown once it has succeeded.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        shows_success: bool,
        /// Whether what it printed is shown when it fails.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        shows_failure: bool,
    },
    /// Deletes a hook's object.
    ClearHook {
        /// The release.
        release: String,
        /// Its object.
        object: ObjectRef,
    },
    /// Makes the fields that an old Helm set those of an apply.
    TakeFields {
        /// The object.
        object: ObjectRef,
    },
    /// Applies an object.
    Apply {
        /// The release.
        release: String,
        /// The revision.
        revision: u32,
        /// The object.
        object: ObjectRef,
        /// Whether it was not there when this was planned.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        create: bool,
        /// Whether fields that others have set since are taken back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// Waits until an object is what it should be.
    Await {
        /// The release, and the revision that fails if it never is; none when there is no such revision.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<(String, u32)>,
        /// The object.
        object: ObjectRef,
    },
    /// Deletes an object, and waits until it is gone.
    Remove {
        /// The release.
        release: String,
        /// The object.
        object: ObjectRef,
    },
    /// Stops, starts or restarts a workload.
    Running {
        /// The workload.
        object: ObjectRef,
        /// What to do with it.
        change: Change,
        /// How many replicas its manifest wants.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replicas: Option<u64>,
    },
    /// Writes down where the release stands.
    Record {
        /// The release.
        release: String,
        /// The revision.
        revision: u32,
        /// Where it stands now.
        status: ReleaseStatus,
        /// One line about it.
        description: String,
        /// The events whose hooks have run.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ran: Vec<HookEvent>,
        /// Revisions that are no longer the deployed one.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        superseded: Vec<u32>,
        /// Revisions that are one too many.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        forgotten: Vec<u32>,
    },
    /// Deletes the record of the release.
    Forget {
        /// The release.
        release: String,
        /// Its revisions.
        revisions: Vec<u32>,
    },
}

impl Step {
    /// What it does, for people who know that the release is in the namespace `home`.
    fn title(&self, home: &str) -> String {
        let at = |object: &ObjectRef| object.seen_from(home);
        match self {
            Self::Claim { revision, .. } => format!("record revision {revision}"),
            Self::Define { object } => format!("define {}", object.name),
            Self::Hook { object, event, .. } => format!("run {event} hook {}", at(object)),
            Self::ClearHook { object, .. } => format!("clear hook {}", at(object)),
            Self::TakeFields { object } => format!("take the fields of {}", at(object)),
            Self::Apply { object, create: true, .. } => format!("create {}", at(object)),
            Self::Apply { object, .. } => format!("apply {}", at(object)),
            Self::Await { object, .. } => format!("await {}", at(object)),
            Self::Remove { object, .. } => format!("remove {}", at(object)),
            Self::Running { object, change: Change::Stop, .. } => format!("stop {}", at(object)),
            Self::Running { object, change: Change::Start, .. } => format!("start {}", at(object)),
            Self::Running { object, change: Change::Restart, .. } => format!("restart {}", at(object)),
            Self::Record { revision, status, .. } => format!("record revision {revision} as {status}"),
            Self::Forget { .. } => "forget the release".to_owned(),
        }
    }

    /// How it counts in what a plan does.
    fn effect(&self) -> Option<Effect> {
        Some(match self {
            Self::Define { .. } => Effect::new("+", "definition"),
            Self::Hook { .. } => Effect::new("run", "hook"),
            Self::Apply { create: true, .. } => Effect::new("+", "object"),
            // What is already as it should be stays as it is.
            Self::Apply { .. } => Effect::new("~ up to", "object"),
            Self::Remove { .. } => Effect::new("-", "object"),
            Self::Running { change: Change::Stop, .. } => Effect::new("stop", "workload"),
            Self::Running { change: Change::Start, .. } => Effect::new("start", "workload"),
            Self::Running { change: Change::Restart, .. } => Effect::new("restart", "workload"),
            Self::Claim { .. }
            | Self::ClearHook { .. }
            | Self::TakeFields { .. }
            | Self::Await { .. }
            | Self::Record { .. }
            | Self::Forget { .. } => return None,
        })
    }

    /// A task that does it, for a release in the namespace `home`.
    ///
    /// # Errors
    /// `Bug` when it can't be serialised.
    pub fn task(&self, home: &str, node: Option<NodeId>, timeout_s: u32) -> Result<Task> {
        let body =
            serde_json::to_value(self).map_err(|e| Error::bug("a step can't be serialised").caused_by(&e))?;
        let (kind, effect) = (self.title(home), self.effect());
        let work = Work::Cloud(Directive::Own { kind, version: VERSION, body, effect });
        Ok(Task { work, node, failure_allowed: false, timeout_s })
    }

    /// What a task does.
    ///
    /// # Errors
    /// `Bug` for a task that is none of ours; `Store` for one of a newer Pitrix.
    pub fn of(task: &Task) -> Result<Self> {
        match &task.work {
            Work::Cloud(Directive::Own { version, .. }) if *version > VERSION => {
                Err(Error::store(format!("`{}` was planned by a newer Pitrix", task.work))
                    .hint("use the newer Pitrix that planned it; nothing was changed"))
            }
            Work::Cloud(Directive::Own { body, .. }) => serde_json::from_value(body.clone())
                .map_err(|e| Error::bug(format!("`{}` can't be read", task.work)).caused_by(&e)),
            other => Err(Error::bug(format!("`{other}` is not a task for Kubernetes"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_title_names_the_namespace_of_what_is_elsewhere() {
        let remove = |object: serde_json::Value| {
            let object = serde_json::from_value(object).unwrap();
            Step::Remove { release: "web".into(), object }.title("home")
        };
        let role = |namespace| {
            json!({
                "api_version": "rbac.authorization.k8s.io/v1", "kind": "Role", "plural": "roles", "namespaced": true,
                "namespace": namespace, "name": "web",
            })
        };
        assert_eq!(remove(role("home")), "remove Role/web");
        assert_eq!(remove(role("kube-system")), "remove Role/web in kube-system");
    }
}

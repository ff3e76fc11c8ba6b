//! What a run came to, as far as it must not depend on crashes, and how that differs from a run without one.

use super::wire::Made;
use crate::kubernetes::World;
use engine::{ClusterFilter, Control, JobInfo};
use provider_core::Result;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The kinds that are looked at.
const KINDS: &str =
    "deploy,replicaset,statefulset,daemonset,configmap,secret,service,job,persistentvolumeclaim";

/// The hooks of the chart, by what their names end with.
const HOOKS: [&str; 4] = ["-prepare", "-second", "-announce", "-farewell"];

/// What a run came to.
#[derive(Debug)]
pub(super) struct Audit {
    /// The jobs that it took, the oldest first.
    jobs: Vec<String>,
    /// The cluster on record, and what is still to follow.
    record: Vec<String>,
    /// What this installation has marked in the cluster.
    tagged: usize,
    /// Everything in the namespace that no controller made, without what the server gives to each object.
    objects: BTreeMap<String, Value>,
    /// How many sets of pods each Deployment had: one more for each restart.
    rollouts: BTreeMap<String, usize>,
    /// The stored revisions.
    releases: Vec<String>,
    /// How often each object was created.
    created: BTreeMap<String, usize>,
}

/// How a run with a crash differs from one without.
#[derive(Debug, Default)]
pub(super) struct Differences {
    /// Objects that should not be there.
    pub(super) orphans: Vec<String>,
    /// What was made more often than it should be.
    pub(super) duplicates: Vec<String>,
    /// The most that a hook ran more often than it should.
    pub(super) again: usize,
    /// All else, in sentences.
    pub(super) complaints: Vec<String>,
}

impl Audit {
    /// Looks at everything.
    pub(super) async fn of(
        world: &World,
        control: &Control,
        jobs: &[JobInfo],
        made: &[Made],
    ) -> Result<Self> {
        let clusters = control.store.clusters(&ClusterFilter { runtime: None, deleted: true }).await?;
        let mut record: Vec<_> = clusters
            .iter()
            .map(|cluster| {
                let nodes: Vec<_> =
                    cluster.nodes.iter().map(|(id, node)| format!("{id}: {:?}", node.status)).collect();
                let (status, transition) = (&cluster.status, &cluster.transition);
                format!("{status:?} {transition:?} {} {}", cluster.spec.app, nodes.join(", "))
            })
            .collect();
        record.extend(control.store.follow_ups(None).await?.iter().map(|due| format!("{due:?} is due")));
        let provider = (control.providers)(&"kubernetes".into())?;
        let look = control.look(control.store.runtime(&"k8s".into()).await?).await?;
        let tagged = provider.sweeper.tagged(&look).await?.len();
        let all = world.witness.list(KINDS);
        let mut created = BTreeMap::new();
        for made in made.iter().filter(|made| made.status == 201) {
            // Revisions are in the body; they have their own list.
            if made.method == "PATCH" {
                *created.entry(made.path.replace(world.namespace(), "NAMESPACE")).or_default() += 1;
            }
        }
        Ok(Self {
            jobs: jobs.iter().rev().map(|job| format!("{} {:?}", job.action.verb(), job.state)).collect(),
            record,
            tagged,
            objects: all.iter().filter(|object| is_looked_at(object)).map(essence).collect(),
            rollouts: rollouts(&all),
            releases: releases(&all),
            created,
        })
    }

    /// Whether the last job did what it was to do.
    pub(super) fn has_succeeded(&self) -> bool {
        self.jobs.last().is_some_and(|job| job.ends_with("Succeeded"))
    }

    /// How this run differs from one without a crash.
    pub(super) fn differences(&self, smooth: &Self) -> Differences {
        let mut found = Differences::default();
        let new = |mine: &BTreeMap<String, Value>, other: &BTreeMap<String, Value>| {
            mine.keys().filter(|key| !other.contains_key(*key)).cloned().collect::<Vec<_>>()
        };
        found.orphans = new(&self.objects, &smooth.objects);
        let missing = new(&smooth.objects, &self.objects);
        found.complaints.extend(missing.into_iter().map(|object| format!("{object} is missing")));
        for (object, content) in &self.objects {
            let wanted = smooth.objects.get(object).unwrap_or(content);
            if content != wanted {
                found.complaints.push(format!("{object} is {content} instead of {wanted}"));
            }
        }
        for (deployment, count) in &self.rollouts {
            if smooth.rollouts.get(deployment).is_some_and(|wanted| count > wanted) {
                found.duplicates.push(format!("{count} rollouts of {deployment}"));
            }
        }
        let (mine, wanted) = (self.releases.len(), smooth.releases.len());
        found.duplicates.extend((wanted..mine).map(|_| format!("{mine} revisions instead of {wanted}")));
        for (path, count) in &self.created {
            let wanted = smooth.created.get(path).copied().unwrap_or_default();
            if HOOKS.iter().any(|hook| path.ends_with(hook)) {
                found.again = found.again.max(count.saturating_sub(wanted));
            } else if *count > wanted {
                found.duplicates.push(format!("{path} was made {count} times instead of {wanted}"));
            }
        }
        if found.again > 0 {
            found.complaints.push(format!("hooks ran too often: {:?}", self.created));
        }
        let pending = self.releases.iter().filter(|release| release.contains("pending"));
        found.complaints.extend(pending.map(|release| format!("a revision is stuck: {release}")));
        let mut same = |what: &str, mine: &dyn std::fmt::Debug, wanted: &dyn std::fmt::Debug| {
            let (mine, wanted) = (format!("{mine:?}"), format!("{wanted:?}"));
            if mine != wanted {
                found.complaints.push(format!("{what}: {mine} instead of {wanted}"));
            }
        };
        same("jobs", &self.jobs, &smooth.jobs);
        same("on record", &self.record, &smooth.record);
        same("marked", &self.tagged, &smooth.tagged);
        same("revisions", &self.releases, &smooth.releases);
        same("rollouts", &self.rollouts, &smooth.rollouts);
        found
    }
}

fn at<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// What controllers make is left out, as is what is in every namespace. Revisions have their own list.
fn is_looked_at(object: &Value) -> bool {
    object["metadata"]["ownerReferences"].is_null()
        && at(object, "/metadata/name") != "kube-root-ca.crt"
        && at(object, "/type") != "helm.sh/release.v1"
}

/// An object without what differs between two of the same.
fn essence(object: &Value) -> (String, Value) {
    let kind = at(object, "/kind");
    let mut spec = object["spec"].clone();
    if let Some(spec) = spec.as_object_mut() {
        spec.retain(|key, _| !key.starts_with("clusterIP"));
    }
    // The controller writes numbers of its own into it.
    if kind == "Job" {
        spec = Value::Null;
    }
    if spec["template"]["metadata"]["annotations"]["pitrix.io/restart"].is_string() {
        spec["template"]["metadata"]["annotations"]["pitrix.io/restart"] = json!("by a token");
    }
    let keys = |object: &Value| object.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>());
    // The password is made up, and another one in each world.
    let data = if kind == "Secret" { json!(keys(&object["data"])) } else { object["data"].clone() };
    let managers: BTreeSet<_> = object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| format!("{} {}", at(entry, "/manager"), at(entry, "/operation")))
        .filter(|entry| entry.starts_with("helm ") || entry.starts_with("pitrix "))
        .collect();
    let mut annotations = object["metadata"]["annotations"].clone();
    for (name, value) in annotations.as_object_mut().into_iter().flatten() {
        if name == "pitrix.io/token" || name == "meta.helm.sh/release-namespace" {
            *value = json!("of this world");
        }
    }
    let content = json!({ "annotations": annotations, "spec": spec, "data": data, "managers": managers });
    (format!("{kind}/{}", at(object, "/metadata/name")), content)
}

fn rollouts(all: &[Value]) -> BTreeMap<String, usize> {
    let deployments = all.iter().filter(|object| at(object, "/kind") == "Deployment");
    deployments
        .map(|deployment| {
            let uid = at(deployment, "/metadata/uid");
            let owned = all.iter().filter(|object| at(object, "/metadata/ownerReferences/0/uid") == uid);
            (at(deployment, "/metadata/name").to_owned(), owned.count())
        })
        .collect()
}

/// Number, status and description of each revision, and how each of its hooks ended.
fn releases(all: &[Value]) -> Vec<String> {
    let secrets = all.iter().filter(|object| at(object, "/type") == "helm.sh/release.v1");
    let mut releases: Vec<_> = secrets
        .map(|secret| {
            let label = at(secret, "/metadata/labels/status");
            let release = provider_helm::session::release_in(secret).expect("it is a release");
            let hooks: Vec<_> = release.hooks.iter().map(|hook| hook.last_run.phase.as_str()).collect();
            let (number, status, said) = (release.version, &release.info.status, &release.info.description);
            format!("{number}: {status} ({label}), {said}, hooks {hooks:?}")
        })
        .collect();
    releases.sort();
    releases
}

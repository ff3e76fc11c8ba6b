//! What was found out about a change, as data: a plan is made of nothing else.

use crate::{
    api::ObjectRef,
    calls::Basis,
    lookup::{Answers, Lookups},
    release::DeletePolicy,
    render::{Capabilities, HookEvent, KubeVersion},
    source::Wanted,
    values::Values,
};
use provider_core::{
    AppVersionId, ClusterId, ClusterSpec, Error, Facts, Look, NodeId, Result, Secret, SecretRef, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc};

/// The annotation that says which cluster on record a revision was made for.
pub const CLUSTER: &str = "pitrix.io/cluster";

/// The annotation that says which installation made a revision.
pub const DEPLOYMENT: &str = "pitrix.io/deployment";

/// Where the values that were given for a cluster are kept.
pub(super) fn values_ref(cluster: &ClusterId) -> SecretRef {
    SecretRef::new(format!("cluster/{cluster}/values"))
}

/// Where the seed of what its chart makes up is kept.
pub(super) fn seed_ref(cluster: &ClusterId) -> SecretRef {
    SecretRef::new(format!("cluster/{cluster}/seed"))
}

/// Where that is kept which its templates have looked up for the plan at hand.
pub(super) fn lookups_ref(cluster: &ClusterId) -> SecretRef {
    SecretRef::new(format!("cluster/{cluster}/lookups"))
}

/// Whether the templates of a cluster may look up what is there.
pub(super) fn looks_up(spec: &ClusterSpec) -> bool {
    spec.conf.get("lookup").and_then(Value::as_bool).unwrap_or(false)
}

/// The values behind a secret.
///
/// # Errors
/// `Store` when it holds no object.
pub(super) fn values_in(secret: &Secret) -> Result<Values> {
    serde_json::from_str(secret.expose()).map_err(|_| Error::store("the values on record can't be read"))
}

/// What was found out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Findings {
    /// The release, which is called like the cluster.
    pub release: String,
    /// Its namespace.
    pub namespace: String,
    /// Whether the namespace is to be made, because it is not there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub new_namespace: bool,
    /// The cluster on record.
    pub cluster: Option<ClusterId>,
    /// The chart.
    pub app: Option<AppVersionId>,
    /// What the chart takes for now.
    pub at: Timestamp,
    /// The version of Kubernetes.
    pub kube_version: String,
    /// What is served; only kept where something is to be rendered.
    pub api_versions: BTreeSet<String>,
    /// What the new revision is made of; none when there will be no new one.
    pub basis: Option<Basis>,
    /// The revision that has the documents: the new one, or the one that is there. 0 when there is none.
    pub revision: u32,
    /// What the new revision must come to; see [`digest`](crate::source::digest).
    pub digest: String,
    /// A revision of ours that was left unfinished.
    pub unfinished: Option<u32>,
    /// Revisions that are deployed now.
    pub deployed: Vec<u32>,
    /// Revisions that will be one too many.
    pub stale: Vec<u32>,
    /// All revisions.
    pub revisions: Vec<u32>,
    /// Definitions in `crds/` that are not there yet.
    pub definitions: Vec<ObjectRef>,
    /// The objects of the revision, in Helm's order.
    pub objects: Vec<Found>,
    /// Objects that go because the revision no longer has them.
    pub gone: Vec<Found>,
    /// The hooks that take part, in the order in which they run.
    pub hooks: Vec<FoundHook>,
    /// What templates looked up, without what they were told, which is a secret; none when they may not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked_up: Option<Vec<String>>,
    /// Whether the revision was applied by the client, as Helm 3 did.
    pub client_side: bool,
    /// Seconds until an object counts as not coming to be.
    pub wait_s: u32,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// It.
    pub object: ObjectRef,
    /// Whether it was not there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub create: bool,
    /// Whether it stays when its release goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
    /// Whether it can be anything but ready once it is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaited: bool,
    /// The node that stands for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// How many replicas its manifest wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u64>,
}

/// One hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundHook {
    /// Its place in the release.
    pub index: usize,
    /// Its object.
    pub object: ObjectRef,
    /// When it runs.
    pub events: Vec<HookEvent>,
    /// Once its object is deleted.
    pub deletes: Vec<DeletePolicy>,
    /// Whether what it printed is shown once it has succeeded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shows_success: bool,
    /// Whether what it printed is shown when it fails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shows_failure: bool,
}

impl Findings {
    /// What a plan's facts say.
    ///
    /// # Errors
    /// `Bug` when they say nothing of the kind.
    pub fn of(facts: &Facts) -> Result<Self> {
        serde_json::from_value(facts.extra.clone())
            .map_err(|e| Error::bug("the facts of a plan for Kubernetes can't be read").caused_by(&e))
    }

    /// As facts.
    pub(super) fn into_value(self) -> Result<Value> {
        serde_json::to_value(self).map_err(|e| Error::bug("findings can't be serialised").caused_by(&e))
    }

    /// What is to be rendered.
    ///
    /// # Errors
    /// `Bug` when nothing is, or what the records answer.
    pub async fn wanted(&self, cx: &Look) -> Result<Wanted> {
        let (Some(cluster), Some(app)) = (&self.cluster, &self.app) else {
            return Err(Error::bug("there is nothing to render"));
        };
        let lookups = match &self.looked_up {
            None => Lookups::Off,
            Some(_) => {
                let kept = cx.secrets.resolve(&lookups_ref(cluster)).await?;
                Lookups::Recorded(Arc::new(Answers::from_secret(&kept)?))
            }
        };
        Ok(Wanted {
            package: cx.records.package(app).await?,
            release: crate::render::Release {
                name: self.release.clone(),
                namespace: self.namespace.clone(),
                revision: self.revision,
                is_upgrade: self.basis == Some(Basis::Upgrade),
            },
            capabilities: Capabilities {
                kube_version: KubeVersion::parse(&self.kube_version)?,
                api_versions: self.api_versions.iter().cloned().collect(),
            },
            values: values_in(&cx.secrets.resolve(&values_ref(cluster)).await?)?,
            seed: cx.secrets.resolve(&seed_ref(cluster)).await?,
            at: self.at,
            lookups,
            draft: false,
        })
    }

    /// Whether an object may be there already.
    pub(super) fn may_be_there(&self, object: &ObjectRef) -> bool {
        !self.new_namespace || object.namespace.as_ref() != Some(&self.namespace)
    }

    /// The hooks of an event, in the order in which they run.
    pub fn hooks_of(&self, event: HookEvent) -> impl Iterator<Item = &FoundHook> {
        self.hooks.iter().filter(move |hook| hook.events.contains(&event))
    }
}

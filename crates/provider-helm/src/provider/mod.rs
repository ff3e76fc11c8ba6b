//! The provider `kubernetes`: charts as clusters, on the cluster that a kubeconfig leads to.

mod access;
mod check;
mod details;
mod diff;
mod existing;
mod explain;
mod findings;
mod health;
mod live;
mod logs;
mod parse;
mod plan;
mod step;
mod work;

pub use findings::{CLUSTER, DEPLOYMENT, Findings, Found, FoundHook};
pub use step::Step;

use crate::{
    Charts,
    api::Discovery,
    manifest::text,
    release::Revision,
    session::{Connections, Session},
};
use async_trait::async_trait;
use provider_core::{
    Action, ActionKind, Built, Change, Cluster, ClusterDetails, ContainerKind, Descriptor, Error, ErrorKind,
    Fact, Facts, Handle, Look, Observation, ParseRequest, ParsedCluster, Plan, Progress, ProviderInterface,
    ResourceId, Result, RuntimeFacts, Started, Subnet, SubnetQuery, Support, Sweeper, TaggedResource, Task,
    TaskContext, Vpc, VpcId, Zone, register_provider,
};
use std::{collections::BTreeSet, sync::Arc};

const ACTIONS: &[ActionKind] = &[
    ActionKind::CreateCluster,
    ActionKind::StartClusters,
    ActionKind::StopClusters,
    ActionKind::RestartClusters,
    ActionKind::DeleteClusters,
    ActionKind::UpdateClusterEnv,
    ActionKind::UpgradeCluster,
    ActionKind::RollbackCluster,
    ActionKind::RecoverClusters,
    ActionKind::CeaseClusters,
    ActionKind::RunService,
];

const NO_MACHINES: Support = Support::Refused("pods are made and placed by the cluster itself");

/// What this provider is and can do.
pub static DESCRIPTOR: Descriptor = Descriptor {
    id: "kubernetes",
    title: "Helm charts on a Kubernetes cluster",
    format: &Charts,
    actions: ACTIONS,
    containers: &[ContainerKind::Docker],
    credential: &["kubeconfig"],
    abilities: &[
        ("run_instances", NO_MACHINES),
        ("stop_instances", NO_MACHINES),
        ("start_instances", NO_MACHINES),
        ("delete_instances", NO_MACHINES),
        ("resize_instances", Support::Refused("sizes are values of the chart")),
        ("create_volumes", Support::Refused("claims are made by the chart")),
        ("attach_volumes", Support::Refused("claims are mounted by the cluster itself")),
        ("detach_volumes", Support::Refused("claims are mounted by the cluster itself")),
        ("delete_volumes", Support::Refused("claims go with the chart")),
        ("resize_volumes", Support::Refused("sizes are values of the chart")),
        ("validate_credential", Support::Full),
        ("describe_runtime_provider_zones", Support::Full),
        ("check_resource", Support::Full),
        ("update_cluster_status", Support::Full),
        ("describe_cluster_details", Support::Full),
        ("describe_subnets", Support::Refused("the cluster has its own network")),
        ("describe_vpc", Support::Refused("the cluster has its own network")),
        ("wait_frontgate_available", Support::Refused("pods have no agents, no frontgate is made")),
        ("lookup", Support::Unenforced("templates find nothing in the cluster, as with `helm template`")),
        ("stop", Support::Unenforced("workloads are scaled to zero; refused where one can't be")),
    ],
};

register_provider!(&DESCRIPTOR, |host| {
    let provider = Arc::new(Kubernetes { connections: Connections::new(host.deployment.as_str()) });
    Built { interface: provider.clone(), sweeper: provider.clone(), live: Some(provider) }
});

/// The provider. It needs a Tokio runtime with I/O and time enabled.
pub struct Kubernetes {
    connections: Connections,
}

impl Kubernetes {
    async fn session(&self, cx: &Look) -> Result<Arc<Session>> {
        self.connections.session(cx).await
    }
}

/// Which revision a rollback asks for.
fn rollback_target(action: &Action) -> Option<u32> {
    match action {
        Action::RollbackCluster { revision } => *revision,
        _ => None,
    }
}

/// Whether a removal leaves the record of the release.
fn keeps_history(action: &Action) -> bool {
    matches!(action, Action::DeleteClusters { keep_history: true, .. })
}

#[async_trait]
impl ProviderInterface for Kubernetes {
    fn parse_cluster_conf(&self, request: &ParseRequest<'_>) -> Result<ParsedCluster> {
        parse::parse(request)
    }

    fn split_job_into_tasks(&self, change: &Change, facts: Facts) -> Result<Plan> {
        DESCRIPTOR.check_action(change.action.kind())?;
        plan::plan(change, facts)
    }

    async fn handle_subtask(&self, cx: &TaskContext, task: &Task) -> Result<Started<Fact>> {
        work::start(&self.session(cx).await?, cx, task).await
    }

    async fn wait_subtask(&self, cx: &Look, task: &Task, _at: &Handle) -> Result<Progress<Fact>> {
        work::look(&self.session(cx).await?, cx, task).await
    }

    async fn describe_subnets(&self, _cx: &Look, _query: &SubnetQuery) -> Result<Vec<Subnet>> {
        Ok(Vec::new())
    }

    async fn describe_vpc(&self, _cx: &Look, _id: &VpcId) -> Result<Option<Vpc>> {
        Ok(None)
    }

    async fn check_resource(&self, cx: &Look, change: &Change) -> Result<Facts> {
        check::check(&*self.session(cx).await?, change).await
    }

    async fn validate_credential(&self, cx: &Look) -> Result<RuntimeFacts> {
        let session = self.session(cx).await?;
        let version = session.api().version().await?;
        let discovery = Discovery::run(session.api()).await?;
        let mut api_versions = discovery.group_versions().clone();
        api_versions.insert(format!("kubernetes {version}"));
        // A server may answer these questions without knowing who asks.
        let review = serde_json::json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "namespace": session.namespace(), "verb": "list", "resource": "secrets",
            } },
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer =
            session.api().ask(path, &review).await.map_err(|e| e.during("checking the credential"))?;
        if answer.pointer("/status/allowed").and_then(serde_json::Value::as_bool) != Some(true) {
            let message =
                format!("the credential may not list Secrets in the namespace `{}`", session.namespace());
            return Err(Error::unauthorized(message)
                .hint("releases are kept in Secrets: ask for a role that allows it"));
        }
        let zones = self.zones(&session).await?;
        Ok(RuntimeFacts { zones, api_versions, taken_at: cx.clock.now() })
    }

    async fn describe_runtime_provider_zones(&self, cx: &Look) -> Result<BTreeSet<Zone>> {
        self.zones(&*self.session(cx).await?).await
    }

    async fn update_cluster_status(&self, cx: &Look, cluster: &Cluster) -> Result<Vec<Observation>> {
        health::observe(&*self.session(cx).await?, cluster).await
    }

    async fn describe_cluster_details(&self, cx: &Look, cluster: &Cluster) -> Result<ClusterDetails> {
        details::describe(&*self.session(cx).await?, cluster).await
    }
}

impl Kubernetes {
    /// The namespaces; who may not list them has the one of the runtime.
    async fn zones(&self, session: &Session) -> Result<BTreeSet<Zone>> {
        let listed = session.api().list("/api/v1/namespaces", "", true).await;
        let namespaces = match listed {
            Err(error)
                if error.kind() == ErrorKind::Unauthorized && error.provider_code() == Some("Forbidden") =>
            {
                return Ok(BTreeSet::from([Zone::new(session.namespace())]));
            }
            namespaces => namespaces?,
        };
        Ok(namespaces
            .iter()
            .filter_map(|namespace| text(namespace, "/metadata/name"))
            .map(Zone::new)
            .collect())
    }
}

#[async_trait]
impl Sweeper for Kubernetes {
    async fn tagged(&self, cx: &Look) -> Result<Vec<TaggedResource>> {
        let session = self.session(cx).await?;
        let secrets = session.api().list(&session.secrets_path(), "labelSelector=owner%3Dhelm", true).await?;
        let ours = secrets.iter().filter_map(|secret| {
            let revision = Revision::of(secret)?;
            let deployment = crate::manifest::annotation(secret, DEPLOYMENT);
            (deployment == Some(self.connections.deployment())).then_some(())?;
            Some(TaggedResource {
                kind: "release".into(),
                id: ResourceId::new(text(secret, "/metadata/name")?),
                cluster: revision.cluster?,
                name: text(secret, "/metadata/labels/name")?.to_owned(),
                created: None,
            })
        });
        Ok(ours.collect())
    }
}

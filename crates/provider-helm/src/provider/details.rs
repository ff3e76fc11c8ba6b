//! How a cluster is, for people.

use super::{
    explain,
    health::{reference, state},
};
use crate::{
    manifest::{self, Workload, annotation, text},
    session::{Session, side_by_side},
    status::pod_problem,
};
use futures_util::{FutureExt, future::try_join4};
use provider_core::{Cluster, ClusterDetails, EnvValue, NodeId, Result, RoleSpec};
use serde_json::Value;
use std::collections::BTreeMap;

type Lines = BTreeMap<String, String>;

/// What belongs to a cluster and how it is: its workloads by node, its pods, services, ingresses and claims, the
/// warnings about them, and the chart's notes.
///
/// # Errors
/// When the cluster can't be asked.
pub(super) async fn describe(session: &Session, cluster: &Cluster) -> Result<ClusterDetails> {
    let mut details = ClusterDetails::default();
    let release = &cluster.spec.name;
    let Some(newest) = session.revisions(release).await?.last().map(|r| (r.revision, r.status)) else {
        return Ok(details);
    };
    let loaded = session.load(release, newest.0).await?;
    details.objects.insert(
        "release".into(),
        vec![Lines::from([
            ("name".into(), release.clone()),
            ("namespace".into(), session.namespace().to_owned()),
            ("revision".into(), newest.0.to_string()),
            ("status".into(), newest.1.to_string()),
            ("chart".into(), format!("{}@{}", loaded.release.chart_id().0, loaded.release.chart_id().1)),
        ])],
    );
    let notes = loaded.release.info.notes.trim();
    if !notes.is_empty() {
        details.objects.insert("notes".into(), vec![Lines::from([("text".into(), notes.to_owned())])]);
    }
    let namespace = session.namespace();
    let list = |path: String| async move { session.api().list(&path, "", false).await };
    let core = |plural: &str| format!("/api/v1/namespaces/{namespace}/{plural}");
    let (pods, services, claims, ingresses) = try_join4(
        list(core("pods")),
        list(core("services")),
        list(core("persistentvolumeclaims")),
        list(format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses")),
    )
    .await?;
    let mine = Mine::of(release, loaded.objects());
    let workloads: Vec<_> = loaded.objects().iter().filter_map(Workload::of).collect();
    let pods: Vec<_> = pods.into_iter().filter(|pod| mine.has_pod(pod)).collect();
    insert(&mut details, "pods", pods.iter().map(pod_lines));
    insert(&mut details, "services", services.iter().filter(|o| mine.has("Service", o)).map(service_lines));
    insert(&mut details, "ingresses", ingresses.iter().filter(|o| mine.has("Ingress", o)).map(ingress_lines));
    insert(&mut details, "claims", claims.iter().filter(|o| mine.has_claim(o)).map(claim_lines));
    let names: Vec<&str> = workloads.iter().map(|workload| workload.name.as_str()).collect();
    let fits = |name: &str| names.iter().any(|own| name.starts_with(own)) || mine.names(name);
    let events = explain::events(session, namespace, fits).await.unwrap_or_default();
    insert(&mut details, "events", events.into_iter().map(|line| Lines::from([("text".into(), line)])));
    for (id, lines) in node_lines(session, cluster).await? {
        details.nodes.insert(id, lines);
    }
    Ok(details)
}

fn insert(details: &mut ClusterDetails, kind: &str, lines: impl Iterator<Item = Lines>) {
    let lines: Vec<_> = lines.collect();
    if !lines.is_empty() {
        details.objects.insert(kind.to_owned(), lines);
    }
}

async fn node_lines(session: &Session, cluster: &Cluster) -> Result<Vec<(NodeId, Lines)>> {
    let looks = cluster.nodes.iter().map(|(id, node)| {
        async move {
            let mut lines = Lines::new();
            if let Some(role) = cluster.spec.role_of(id) {
                add_role(&mut lines, role);
            }
            let live = match &node.instance {
                Some(instance) => session.api().get(instance.id.as_str()).await?,
                None => None,
            };
            let (state, why) = state(live.as_ref());
            let word = format!("{state:?}").to_lowercase();
            lines.insert(
                "state".into(),
                why.clone().map_or_else(|| word.clone(), |why| format!("{word}: {why}")),
            );
            if let (Some(live), Some(_)) = (&live, why) {
                for (n, reason) in
                    explain::reasons(session, &reference(live), Some(live)).await.into_iter().enumerate()
                {
                    lines.insert(format!("reason {}", n + 1), reason);
                }
            }
            Ok((id.clone(), lines))
        }
        .boxed()
    });
    let lines = side_by_side(looks.collect()).await;
    lines.into_iter().collect()
}

fn add_role(lines: &mut Lines, role: &RoleSpec) {
    for key in ["kind", "replicas"] {
        if let Some(EnvValue::Plain(value)) = role.env.get(key) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            lines.insert(key.to_owned(), text);
        }
    }
    let Some(EnvValue::Plain(containers)) = role.env.get("containers") else { return };
    let containers: Vec<manifest::Container> = serde_json::from_value(containers.clone()).unwrap_or_default();
    for container in containers {
        let sizes = |list: &BTreeMap<String, String>| {
            list.iter().map(|(name, amount)| format!("{name} {amount}")).collect::<Vec<_>>().join(", ")
        };
        let mut text = container.image.clone();
        for (word, list) in [("requests", &container.requests), ("limits", &container.limits)] {
            if !list.is_empty() {
                text.push_str(&format!("; {word} {}", sizes(list)));
            }
        }
        let kind = if container.init { "init container" } else { "container" };
        lines.insert(format!("{kind} {}", container.name), text);
    }
}

/// What belongs to a release in its namespace.
struct Mine<'a> {
    release: &'a str,
    objects: &'a [Value],
    selectors: Vec<&'a serde_json::Map<String, Value>>,
}

impl<'a> Mine<'a> {
    fn of(release: &'a str, objects: &'a [Value]) -> Self {
        let selectors = objects
            .iter()
            .filter(|object| Workload::of(object).is_some())
            .filter_map(|object| object.pointer("/spec/selector/matchLabels")?.as_object())
            .collect();
        Self { release, objects, selectors }
    }

    fn names(&self, name: &str) -> bool {
        self.objects.iter().any(|object| text(object, "/metadata/name") == Some(name))
    }

    fn has(&self, kind: &str, live: &Value) -> bool {
        annotation(live, "meta.helm.sh/release-name") == Some(self.release)
            || self.objects.iter().any(|object| {
                text(object, "/kind") == Some(kind)
                    && text(object, "/metadata/name") == text(live, "/metadata/name")
            })
    }

    fn has_pod(&self, pod: &Value) -> bool {
        let labels = pod.pointer("/metadata/labels");
        let fits = |selector: &&serde_json::Map<String, Value>| {
            selector.iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
        };
        self.selectors.iter().any(fits)
            || self.has("Pod", pod)
            || labels.and_then(|l| l.get("app.kubernetes.io/instance")?.as_str()) == Some(self.release)
    }

    /// Claims of StatefulSets carry the name of the set, and no mark of the release.
    fn has_claim(&self, claim: &Value) -> bool {
        let name = text(claim, "/metadata/name").unwrap_or_default();
        self.has("PersistentVolumeClaim", claim)
            || self.objects.iter().any(|object| {
                let set = text(object, "/metadata/name").unwrap_or_default();
                text(object, "/kind") == Some("StatefulSet") && name.contains(&format!("-{set}-"))
            })
    }
}

fn name_of(object: &Value) -> (String, String) {
    ("name".into(), text(object, "/metadata/name").unwrap_or_default().to_owned())
}

fn pod_lines(pod: &Value) -> Lines {
    let at = |pointer| text(pod, pointer).unwrap_or_default().to_owned();
    let mut lines = Lines::from([
        name_of(pod),
        ("phase".into(), at("/status/phase")),
        ("node".into(), at("/spec/nodeName")),
        ("address".into(), at("/status/podIP")),
    ]);
    if let Some(problem) = pod_problem(pod) {
        lines.insert("problem".into(), problem);
    }
    lines.retain(|_, value| !value.is_empty());
    lines
}

fn service_lines(service: &Value) -> Lines {
    let at = |pointer| text(service, pointer).unwrap_or_default().to_owned();
    let list =
        |pointer: &str| service.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let ports: Vec<_> = list("/spec/ports")
        .iter()
        .map(|port| format!("{}/{}", port["port"], port["protocol"].as_str().unwrap_or("TCP")))
        .collect();
    let addresses: Vec<_> = list("/status/loadBalancer/ingress")
        .iter()
        .filter_map(|one| one["ip"].as_str().or(one["hostname"].as_str()).map(str::to_owned))
        .collect();
    let mut lines = Lines::from([
        name_of(service),
        ("type".into(), at("/spec/type")),
        ("address".into(), at("/spec/clusterIP")),
        ("external".into(), addresses.join(", ")),
        ("ports".into(), ports.join(", ")),
    ]);
    lines.retain(|_, value| !value.is_empty());
    lines
}

fn ingress_lines(ingress: &Value) -> Lines {
    let rules = ingress.pointer("/spec/rules").and_then(Value::as_array).cloned().unwrap_or_default();
    let hosts: Vec<_> = rules.iter().filter_map(|rule| rule["host"].as_str()).collect();
    let class = text(ingress, "/spec/ingressClassName").unwrap_or_default();
    Lines::from([name_of(ingress), ("hosts".into(), hosts.join(", ")), ("class".into(), class.to_owned())])
}

fn claim_lines(claim: &Value) -> Lines {
    let at = |pointer| text(claim, pointer).unwrap_or_default().to_owned();
    let mut lines = Lines::from([
        name_of(claim),
        ("phase".into(), at("/status/phase")),
        ("size".into(), at("/status/capacity/storage")),
        ("class".into(), at("/spec/storageClassName")),
        ("volume".into(), at("/spec/volumeName")),
    ]);
    lines.retain(|_, value| !value.is_empty());
    lines
}

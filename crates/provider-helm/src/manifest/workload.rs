//! Workloads: objects that make pods, of whatever kind, and what they ask for.

use super::text;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// An object that makes pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// For example `StatefulSet`, or the kind of a custom resource.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// How many pods it wants; none where that depends on the cluster or on an autoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u64>,
    /// What its pods run, the containers that only initialise included.
    pub containers: Vec<Container>,
}

/// A container of a workload's pods. Quantities are exactly those of the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image.
    #[serde(default)]
    pub image: String,
    /// Whether it only prepares the pod.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub init: bool,
    /// What it is guaranteed, by resource.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, String>,
    /// What it can't exceed, by resource.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, String>,
}

impl Workload {
    /// The workload that `object` is; none when it makes no pods. A custom resource is one when it holds a pod's
    /// template or says how many replicas it wants.
    pub fn of(object: &Value) -> Option<Self> {
        let kind = text(object, "/kind")?;
        let spec = object.get("spec")?;
        let pod = match kind {
            "Pod" => Some(spec),
            "CronJob" => spec.pointer("/jobTemplate/spec/template/spec"),
            _ => spec
                .pointer("/template/spec")
                .filter(|pod| pod.get("containers").is_some_and(Value::is_array)),
        };
        let replicas = spec.get("replicas").and_then(whole);
        let built_in = is_built_in(text(object, "/apiVersion").unwrap_or_default());
        let replicas = match kind {
            "Pod" => Some(1),
            "Job" => Some(spec.get("parallelism").and_then(whole).unwrap_or(1)),
            "DaemonSet" | "CronJob" => None,
            _ => replicas,
        };
        if pod.is_none() && (built_in || replicas.is_none()) {
            return None;
        }
        let containers = pod.map(containers).unwrap_or_default();
        let name = text(object, "/metadata/name").unwrap_or_default().to_owned();
        Some(Self { kind: kind.to_owned(), name, replicas, containers })
    }
}

/// Whether Kubernetes itself serves this version.
fn is_built_in(api_version: &str) -> bool {
    match api_version.split_once('/') {
        None => true,
        Some((group, _)) => !group.contains('.') || group.ends_with(".k8s.io"),
    }
}

/// Whole numbers come as integers or as floats without a fraction.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        value.as_f64().filter(|n| n.fract() == 0.0 && (0.0..1e15).contains(n)).map(|n| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just before")]
            let n = n as u64;
            n
        })
    })
}

fn containers(pod: &Value) -> Vec<Container> {
    let of = |key: &str, init| {
        let list = pod.get(key).and_then(Value::as_array).into_iter().flatten();
        list.map(move |container| Container {
            name: text(container, "/name").unwrap_or_default().to_owned(),
            image: text(container, "/image").unwrap_or_default().to_owned(),
            init,
            requests: quantities(container.pointer("/resources/requests")),
            limits: quantities(container.pointer("/resources/limits")),
        })
    };
    of("initContainers", true).chain(of("containers", false)).collect()
}

fn quantities(map: Option<&Value>) -> BTreeMap<String, String> {
    let entries = map.and_then(Value::as_object).into_iter().flatten();
    entries
        .filter(|(_, amount)| !amount.is_null())
        .map(|(name, amount)| {
            let amount = match amount {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            (name.clone(), amount)
        })
        .collect()
}

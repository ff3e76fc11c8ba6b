//! Why something is not ready: what its pods and the events say.

use crate::{api::ObjectRef, manifest::text, session::Session, status::pod_problem};
use provider_core::Result;
use serde_json::Value;
use std::collections::BTreeSet;

/// How many reasons one message holds.
const REASONS: usize = 3;

/// What is wrong with the pods of an object, each named; else what the events say. Empty when nothing is known.
pub(super) async fn reasons(session: &Session, object: &ObjectRef, live: Option<&Value>) -> Vec<String> {
    let pods = match live {
        Some(live) => pods(session, object.namespace.as_deref(), live).await.unwrap_or_default(),
        None => Vec::new(),
    };
    reasons_of(session, object, &pods).await
}

/// The pods that an object selects.
///
/// # Errors
/// As [`Api::list`](crate::api::Api::list).
pub(super) async fn pods(session: &Session, namespace: Option<&str>, live: &Value) -> Result<Vec<Value>> {
    let (Some(namespace), Some(selector)) = (namespace, selector(live)) else { return Ok(Vec::new()) };
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    session.api().list(&path, &format!("labelSelector={selector}"), false).await
}

/// As [`reasons`], of an object with these pods.
pub(super) async fn reasons_of(session: &Session, object: &ObjectRef, pods: &[Value]) -> Vec<String> {
    let Some(namespace) = object.namespace.as_deref() else { return Vec::new() };
    let mut reasons = Vec::new();
    for pod in pods {
        let name = text(pod, "/metadata/name").unwrap_or_default();
        if let Some(problem) = pod_problem(pod) {
            reasons.push(format!("pod {name}: {problem}"));
        }
    }
    if reasons.is_empty() {
        reasons = events(session, namespace, |name| {
            name == object.name || name.strip_prefix(&object.name).is_some_and(|rest| rest.starts_with('-'))
        })
        .await
        .unwrap_or_default();
    }
    let all: BTreeSet<_> = reasons.into_iter().collect();
    let (count, mut shown): (usize, Vec<_>) = (all.len(), all.into_iter().take(REASONS).collect());
    if count > REASONS {
        shown.push(format!("and {} more", count - REASONS));
    }
    shown
}

/// Warnings about objects whose name fits, the newest of each reason.
///
/// # Errors
/// As [`Api::list`](crate::api::Api::list).
pub(super) async fn events(
    session: &Session,
    namespace: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<Vec<String>> {
    let path = format!("/api/v1/namespaces/{namespace}/events");
    let events = session.api().list(&path, "fieldSelector=type%3DWarning", false).await?;
    let mut found = Vec::new();
    for event in &events {
        let of = |pointer| text(event, pointer).unwrap_or_default();
        if fits(of("/involvedObject/name")) {
            let line = format!(
                "{} {}: {}: {}",
                of("/involvedObject/kind"),
                of("/involvedObject/name"),
                of("/reason"),
                of("/message").trim()
            );
            if !found.contains(&line) {
                found.push(line);
            }
        }
    }
    Ok(found)
}

/// The label selector of an object's pods, as a query has it.
fn selector(live: &Value) -> Option<String> {
    if text(live, "/kind") == Some("Pod") {
        return None;
    }
    let labels = live.pointer("/spec/selector/matchLabels").or_else(|| {
        let selector = live.pointer("/spec/selector")?;
        selector.as_object()?.values().all(Value::is_string).then_some(selector)
    })?;
    let pairs: Vec<_> = labels
        .as_object()?
        .iter()
        .map(|(key, value)| format!("{}%3D{}", key.replace('/', "%2F"), value.as_str().unwrap_or_default()))
        .collect();
    (!pairs.is_empty()).then(|| pairs.join(","))
}

//! Whether what a cluster is made of works: each workload by the rules of [`status`](crate::status), with what its pods
//! say.

use super::explain;
use crate::{
    api::{ObjectRef, Resource},
    manifest::text,
    session::{Session, side_by_side},
    status::{Readiness, readiness},
};
use futures_util::FutureExt;
use provider_core::{
    Cluster, EnvValue, Health, InstanceState, NodeId, Observation, Result, RoleSpec, Timestamp,
};
use serde_json::Value;

/// Whether the workload of each node is there and ready.
///
/// # Errors
/// When the cluster can't be asked.
pub(super) async fn observe(session: &Session, cluster: &Cluster) -> Result<Vec<Observation>> {
    let looks = cluster.nodes.keys().map(|id| observe_node(session, cluster, id).boxed());
    let observations = side_by_side(looks.collect()).await;
    observations.into_iter().collect()
}

async fn observe_node(session: &Session, cluster: &Cluster, id: &NodeId) -> Result<Observation> {
    let role = cluster.spec.role_of(id);
    let instance = cluster.nodes.get(id).and_then(|node| node.instance.as_ref());
    let live = match instance {
        Some(instance) => session.api().get(instance.id.as_str()).await?,
        None => None,
    };
    let (instance, why) = state(live.as_ref());
    let health = match &live {
        Some(live) => health(session, role, live, instance, why.clone()).await?,
        None => idle(format!("{} is not there", role.map_or_else(|| id.to_string(), name_of_role))),
    };
    Ok(Observation { node: id.clone(), instance, why, health: Some(health) })
}

/// What stands for a node's instance, and what keeps it from being ready.
pub(super) fn state(live: Option<&Value>) -> (InstanceState, Option<String>) {
    let Some(live) = live else { return (InstanceState::Missing, None) };
    if live.pointer("/spec/replicas").and_then(Value::as_u64) == Some(0)
        || live.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true)
    {
        return (InstanceState::Stopped, None);
    }
    match readiness(live, false) {
        Readiness::Ready => (InstanceState::Running, None),
        Readiness::Waiting(why) | Readiness::Failed(why) => (InstanceState::Pending, Some(why)),
    }
}

async fn health(
    session: &Session,
    role: Option<&RoleSpec>,
    live: &Value,
    instance: InstanceState,
    why: Option<String>,
) -> Result<Health> {
    let at = reference(live);
    let wanted = role.and_then(|role| match role.env.get("replicas") {
        Some(EnvValue::Plain(replicas)) => replicas.as_u64(),
        _ => None,
    });
    if let (InstanceState::Stopped, Some(wanted @ 1..)) = (instance, wanted) {
        return Ok(idle(format!("{at} is scaled to zero, its chart wants {wanted}")));
    }
    if let Some(since) = since_of_conditions(live, why.is_none()).filter(|_| why.is_none()) {
        return Ok(Health { started: true, healthy: true, since, cause: None });
    }
    let pods = explain::pods(session, at.namespace.as_deref(), live).await?;
    let since = since_of_conditions(live, why.is_none())
        .or_else(|| since_of_pods(&pods, why.is_none()))
        .or_else(|| time(live, "/metadata/creationTimestamp"))
        .unwrap_or_default();
    let Some(why) = why else { return Ok(Health { started: true, healthy: true, since, cause: None }) };
    let mut cause = format!("{at}: {why}");
    for reason in explain::reasons_of(session, &at, &pods).await {
        let reason = brief(&reason);
        if !cause.contains(reason) {
            cause += &format!("; {reason}");
        }
    }
    Ok(Health { started: true, healthy: false, since, cause: Some(cause) })
}

/// Of a container only the reason: what it says besides repeats names, and is told of the pod itself.
fn brief(reason: &str) -> &str {
    let (pod, rest) = reason.split_once(": ").unwrap_or(("", reason));
    let mut ends = rest.match_indices(": ").map(|(at, _)| at);
    match ends.nth(1) {
        Some(end) if rest.starts_with("container ") => &reason[..pod.len() + ": ".len() + end],
        _ => reason,
    }
}

/// Of what does not run, and nothing tells since when.
fn idle(cause: String) -> Health {
    Health { started: false, healthy: false, since: Timestamp::default(), cause: Some(cause) }
}

fn name_of_role(role: &RoleSpec) -> String {
    let text = |key: &str| match role.env.get(key) {
        Some(EnvValue::Plain(Value::String(text))) => text.clone(),
        _ => String::new(),
    };
    format!("{}/{}", text("kind"), text("name"))
}

/// The conditions that say whether something works.
const CONDITIONS: [&str; 4] = ["Available", "Ready", "Complete", "Failed"];

/// Since when an object's own conditions say that it works, or that it does not.
fn since_of_conditions(live: &Value, is_well: bool) -> Option<Timestamp> {
    let conditions = live.pointer("/status/conditions")?.as_array()?;
    let fitting = conditions.iter().filter(|condition| {
        let (name, is) = (text(condition, "/type").unwrap_or_default(), text(condition, "/status"));
        let says_well = if name == "Failed" { is == Some("False") } else { is == Some("True") };
        CONDITIONS.contains(&name) && says_well == is_well
    });
    fitting.filter_map(|condition| time(condition, "/lastTransitionTime")).max()
}

/// Since when all pods are ready, or one of them is not.
fn since_of_pods(pods: &[Value], is_well: bool) -> Option<Timestamp> {
    if is_well {
        return pods.iter().filter_map(|pod| since_of_conditions(pod, true)).max();
    }
    // One that no node has taken yet has no condition that says so.
    let ill = pods.iter().filter(|pod| since_of_conditions(pod, true).is_none());
    let since = |pod| since_of_conditions(pod, false).or_else(|| time(pod, "/metadata/creationTimestamp"));
    ill.filter_map(since).min()
}

fn time(object: &Value, pointer: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text(object, pointer)?.parse().ok()?;
    Some(Timestamp(time.as_millisecond()))
}

/// Enough of a name to ask for what belongs to it.
pub(super) fn reference(live: &Value) -> ObjectRef {
    let at = |pointer| text(live, pointer).unwrap_or_default().to_owned();
    let resource = Resource {
        api_version: at("/apiVersion"),
        kind: at("/kind"),
        plural: String::new(),
        namespaced: true,
    };
    ObjectRef {
        resource,
        namespace: text(live, "/metadata/namespace").map(str::to_owned),
        name: at("/metadata/name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn since_when_something_works_is_when_its_conditions_turned() {
        #[allow(clippy::needless_pass_by_value, reason = "rows of a table read better")]
        fn check(conditions: Value, is_well: bool, want: Option<&str>) {
            let live = json!({ "status": { "conditions": conditions } });
            let want = want.map(|want| time(&json!({ "t": want }), "/t").unwrap());
            assert_eq!(since_of_conditions(&live, is_well), want, "{live}");
        }
        let condition =
            |name: &str, is: &str, at: &str| json!({ "type": name, "status": is, "lastTransitionTime": at });
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let available = condition("Available", "True", early);
        check(json!([available, condition("Progressing", "True", late)]), true, Some(early));
        check(json!([available, condition("Ready", "True", late)]), true, Some(late));
        check(json!([available, condition("Ready", "False", late)]), false, Some(late));
        check(json!([condition("Failed", "True", late)]), false, Some(late));
        check(json!([available]), false, None);
        check(Value::Null, true, None);
    }

    #[test]
    fn of_a_container_the_reason_is_enough() {
        let check = |reason: &str, want: &str| assert_eq!(brief(reason), want);
        check(
            "pod a: container m waiting: CrashLoopBackOff: back-off 40s: x",
            "pod a: container m waiting: CrashLoopBackOff",
        );
        check("pod a: container m waiting: ErrImagePull", "pod a: container m waiting: ErrImagePull");
        check(
            "pod a: Unschedulable: 0/1 nodes: 1 Insufficient memory",
            "pod a: Unschedulable: 0/1 nodes: 1 Insufficient memory",
        );
        check("Pod a: Failed: quota: exceeded", "Pod a: Failed: quota: exceeded");
        check("x", "x");
    }

    #[test]
    fn pods_work_since_the_last_of_them_does_and_fail_since_the_first_does() {
        let pod = |is: &str, at: &str| json!({ "status": { "conditions": [{ "type": "Ready", "status": is, "lastTransitionTime": at }] } });
        let times = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"];
        let well: Vec<_> = times.iter().map(|at| pod("True", at)).collect();
        assert_eq!(since_of_pods(&well, true), time(&json!({ "t": times[2] }), "/t"));
        let ill = [well[0].clone(), pod("False", times[1]), pod("False", times[2])];
        assert_eq!(since_of_pods(&ill, false), time(&json!({ "t": times[1] }), "/t"));
        let new = json!({ "metadata": { "creationTimestamp": times[0] } });
        assert_eq!(since_of_pods(&[well[2].clone(), new], false), time(&json!({ "t": times[0] }), "/t"));
        assert_eq!(since_of_pods(&[], true), None);
    }
}

#![allow(clippy::needless_pass_by_value, reason = "rows of a table read better")]

use super::*;
use serde_json::json;

fn object(api_version: &str, kind: &str, spec: Value, status: Value) -> Value {
    json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": "x", "generation": 2 }, "spec": spec, "status": status })
}

#[test]
fn each_kind_has_its_own_rule() {
    fn check(api_version: &str, kind: &str, spec: Value, status: Value, want: &str) {
        let found = match readiness(&object(api_version, kind, spec.clone(), status.clone()), false) {
            Ready => "ready".to_owned(),
            Waiting(why) => format!("waiting: {why}"),
            Failed(why) => format!("failed: {why}"),
        };
        assert_eq!(found, want, "{kind} {spec} {status}");
    }
    let seen = |mut status: Value| {
        status["observedGeneration"] = json!(2);
        status
    };
    let apps = "apps/v1";
    check(
        apps,
        "Deployment",
        json!({}),
        json!({ "observedGeneration": 1 }),
        "waiting: its controller has not seen its latest version",
    );
    check(
        apps,
        "Deployment",
        json!({ "replicas": 2 }),
        seen(json!({ "updatedReplicas": 1, "replicas": 2 })),
        "waiting: 1 of 2 replicas are up to date",
    );
    check(
        apps,
        "Deployment",
        json!({ "replicas": 1 }),
        seen(json!({ "updatedReplicas": 1, "replicas": 2 })),
        "waiting: 1 old replicas are still there",
    );
    check(
        apps,
        "Deployment",
        json!({ "replicas": 1 }),
        seen(json!({ "updatedReplicas": 1, "replicas": 1 })),
        "waiting: 0 of 1 replicas are available",
    );
    check(
        apps,
        "Deployment",
        json!({}),
        seen(json!({ "updatedReplicas": 1, "replicas": 1, "availableReplicas": 1, "readyReplicas": 1 })),
        "ready",
    );
    check(apps, "Deployment", json!({ "replicas": 0 }), seen(json!({})), "ready");
    check(
        apps,
        "Deployment",
        json!({}),
        seen(
            json!({ "conditions": [{ "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out" }] }),
        ),
        "failed: ProgressDeadlineExceeded: timed out",
    );
    check(apps, "Deployment", json!({ "paused": true }), seen(json!({})), "ready");
    check(apps, "StatefulSet", json!({}), json!({}), "waiting: its controller has not seen it");
    check(
        apps,
        "StatefulSet",
        json!({ "replicas": 3 }),
        seen(json!({ "replicas": 1 })),
        "waiting: 1 of 3 replicas are there",
    );
    check(
        apps,
        "StatefulSet",
        json!({ "replicas": 1 }),
        seen(json!({ "replicas": 1, "readyReplicas": 1, "currentRevision": "a", "updateRevision": "b" })),
        "waiting: 0 of 1 replicas are up to date",
    );
    check(
        apps,
        "StatefulSet",
        json!({ "replicas": 3, "updateStrategy": { "rollingUpdate": { "partition": 2 } } }),
        seen(
            json!({ "replicas": 3, "readyReplicas": 3, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b" }),
        ),
        "ready",
    );
    check(apps, "StatefulSet", json!({ "updateStrategy": { "type": "OnDelete" } }), json!({}), "ready");
    check(
        apps,
        "DaemonSet",
        json!({}),
        seen(
            json!({ "desiredNumberScheduled": 2, "currentNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1 }),
        ),
        "waiting: 1 of 2 pods are available",
    );
    check(apps, "DaemonSet", json!({}), seen(json!({ "desiredNumberScheduled": 0 })), "ready");
    check(
        apps,
        "ReplicaSet",
        json!({ "replicas": 1 }),
        seen(json!({ "replicas": 1 })),
        "waiting: 0 of 1 replicas are ready",
    );
    check("v1", "Pod", json!({}), json!({ "phase": "Pending" }), "waiting: it is pending");
    check(
        "v1",
        "Pod",
        json!({}),
        json!({ "phase": "Pending", "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes" }] }),
        "waiting: Unschedulable: 0/1 nodes",
    );
    check(
        "v1",
        "Pod",
        json!({}),
        json!({ "phase": "Running", "containerStatuses": [{ "name": "main", "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off" } } }] }),
        "failed: container main waiting: CrashLoopBackOff: back-off",
    );
    check(
        "v1",
        "Pod",
        json!({}),
        json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] }),
        "ready",
    );
    check(
        "v1",
        "PersistentVolumeClaim",
        json!({}),
        json!({ "phase": "Pending" }),
        "waiting: it is not bound to a volume",
    );
    check("v1", "PersistentVolumeClaim", json!({}), json!({ "phase": "Bound" }), "ready");
    check("v1", "Service", json!({ "type": "ClusterIP" }), json!({}), "ready");
    check(
        "v1",
        "Service",
        json!({ "type": "LoadBalancer" }),
        json!({}),
        "waiting: its load balancer has no address",
    );
    check(
        "v1",
        "Service",
        json!({ "type": "LoadBalancer" }),
        json!({ "loadBalancer": { "ingress": [{ "ip": "1.2.3.4" }] } }),
        "ready",
    );
    check("batch/v1", "Job", json!({}), json!({}), "waiting: it has not started");
    check("batch/v1", "Job", json!({}), json!({ "startTime": "t", "active": 1 }), "ready");
    check(
        "batch/v1",
        "Job",
        json!({}),
        json!({ "conditions": [{ "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded" }] }),
        "failed: BackoffLimitExceeded",
    );
    check(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        json!({}),
        json!({}),
        "waiting: it is not established",
    );
    check(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        json!({}),
        json!({ "conditions": [{ "type": "Established", "status": "True" }] }),
        "ready",
    );
    // Its controller may need the release's own pods, and time: helm does not wait for it either.
    check("apiregistration.k8s.io/v1", "APIService", json!({}), json!({}), "ready");
    check("x.io/v1", "Widget", json!({}), json!({}), "ready");
    check(
        "x.io/v1",
        "Widget",
        json!({}),
        json!({ "conditions": [{ "type": "Ready", "status": "False", "reason": "NoDisk" }] }),
        "waiting: NoDisk",
    );
    check(
        "x.io/v1",
        "Widget",
        json!({}),
        json!({ "conditions": [{ "type": "Stalled", "status": "True", "message": "m" }] }),
        "failed: m",
    );
    check(
        "x.io/v1",
        "Widget",
        json!({}),
        json!({ "conditions": [{ "type": "Reconciling", "status": "True", "reason": "r" }] }),
        "waiting: r",
    );
    check("policy/v1", "PodDisruptionBudget", json!({}), json!({}), "ready");
}

#[test]
fn a_hook_waits_until_its_job_has_succeeded() {
    let running = object("batch/v1", "Job", json!({}), json!({ "startTime": "t", "active": 1 }));
    assert_eq!(readiness(&running, true), Waiting("it runs: 1 active, 0 succeeded, 0 failed".into()));
    let done = object(
        "batch/v1",
        "Job",
        json!({}),
        json!({ "conditions": [{ "type": "Complete", "status": "True" }] }),
    );
    assert_eq!(readiness(&done, true), Ready);
    let pod = object(
        "v1",
        "Pod",
        json!({}),
        json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] }),
    );
    assert_eq!(readiness(&pod, true), Waiting("it runs".into()));
}

#[test]
fn what_is_going_away_is_not_ready() {
    let mut object = object("v1", "Service", json!({}), json!({}));
    object["metadata"]["deletionTimestamp"] = json!("t");
    assert_eq!(readiness(&object, false), Waiting("it is being deleted".into()));
}

#[test]
fn a_hook_that_has_ended_and_is_going_away_has_ended() {
    fn check(version: &str, kind: &str, status: Value, want: Readiness) {
        let mut object = object(version, kind, json!({}), status);
        object["metadata"]["deletionTimestamp"] = json!("t");
        assert_eq!(readiness(&object, true), want, "{kind}");
        assert_eq!(readiness(&object, false), Waiting("it is being deleted".into()), "{kind}, no hook");
    }
    let ended = |how: &str| json!({ "conditions": [{ "type": how, "status": "True", "reason": "r" }] });
    check("batch/v1", "Job", ended("Complete"), Ready);
    check("batch/v1", "Job", ended("Failed"), Failed("r".into()));
    check("v1", "Pod", json!({ "phase": "Succeeded" }), Ready);
    for (version, kind) in [("batch/v1", "Job"), ("v1", "Pod"), ("v1", "ConfigMap")] {
        check(version, kind, json!({}), Waiting("it is being deleted".into()));
    }
}

#[test]
fn only_kinds_with_a_state_of_their_own_are_waited_for() {
    for (group, kind, want) in [
        ("apps", "Deployment", true),
        ("batch", "CronJob", false),
        ("", "ConfigMap", false),
        ("", "Service", true),
        ("rbac.authorization.k8s.io", "Role", false),
        ("networking.k8s.io", "Ingress", false),
        ("cert-manager.io", "Certificate", true),
        ("policy", "PodDisruptionBudget", false),
        ("autoscaling", "HorizontalPodAutoscaler", false),
    ] {
        assert_eq!(is_awaited(group, kind), want, "{group}/{kind}");
    }
}

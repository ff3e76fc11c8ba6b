#![allow(clippy::needless_pass_by_value, reason = "rows of a table read better")]

use super::*;
use serde_json::json;

#[test]
fn lists_are_taken_apart_and_empty_documents_are_left_out() {
    let manifest = "---\n# nothing\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: a}}\n- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: c}\n";
    let names: Vec<_> = objects(manifest).unwrap().iter().map(|o| o["metadata"]["name"].clone()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn what_is_no_object_is_refused_with_everything_that_it_lacks() {
    let error = objects("kind: Pod\nspec: {}\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "reading a manifest: the Pod without a name has no apiVersion and no metadata.name"
    );
}

#[test]
fn kinds_are_ordered_as_helm_orders_them() {
    let mut kinds = [
        "Widget",
        "Deployment",
        "APIService",
        "Secret",
        "Namespace",
        "Anvil",
        "ValidatingWebhookConfiguration",
        "Service",
    ];
    kinds.sort_by(|a, b| install_rank(a).cmp(&install_rank(b)));
    assert_eq!(
        kinds,
        [
            "Namespace",
            "Secret",
            "Service",
            "Deployment",
            "APIService",
            "ValidatingWebhookConfiguration",
            "Anvil",
            "Widget"
        ]
    );
    kinds.sort_by(|a, b| uninstall_rank(a).cmp(&uninstall_rank(b)));
    assert_eq!(
        kinds,
        [
            "ValidatingWebhookConfiguration",
            "APIService",
            "Anvil",
            "Widget",
            "Deployment",
            "Service",
            "Secret",
            "Namespace"
        ]
    );
}

#[test]
fn phases_follow_the_order_of_kinds() {
    let mut last = Phase::Scheduling;
    for kind in [
        "Namespace",
        "LimitRange",
        "Secret",
        "CustomResourceDefinition",
        "ClusterRole",
        "RoleBinding",
        "Service",
        "Pod",
        "Ingress",
        "MutatingWebhookConfiguration",
        "Anvil",
    ] {
        assert!(install_phase(kind) >= last, "{kind}");
        last = install_phase(kind);
    }
}

#[test]
fn workloads_of_every_kind_are_found_with_exact_quantities() {
    let pod = json!({
        "initContainers": [{ "name": "prepare", "image": "busybox" }],
        "containers": [{ "name": "main", "image": "web:1", "resources": { "requests": { "cpu": "0.25", "memory": 128 } } }],
    });
    fn check(object: Value, want: Option<(&str, Option<u64>, usize)>) {
        let workload = Workload::of(&object);
        let found = workload.as_ref().map(|w| (w.kind.as_str(), w.replicas, w.containers.len()));
        assert_eq!(found, want, "{object}");
    }
    let template = json!({ "spec": pod });
    check(
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "spec": { "replicas": 3.0, "template": template } }),
        Some(("Deployment", Some(3), 2)),
    );
    check(
        json!({ "apiVersion": "apps/v1", "kind": "DaemonSet", "spec": { "template": template } }),
        Some(("DaemonSet", None, 2)),
    );
    check(
        json!({ "apiVersion": "batch/v1", "kind": "CronJob", "spec": { "jobTemplate": { "spec": { "template": template } } } }),
        Some(("CronJob", None, 2)),
    );
    check(json!({ "apiVersion": "v1", "kind": "Pod", "spec": pod }), Some(("Pod", Some(1), 2)));
    check(
        json!({ "apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "spec": { "replicas": 2 } }),
        Some(("Prometheus", Some(2), 0)),
    );
    check(
        json!({ "apiVersion": "argoproj.io/v1", "kind": "Rollout", "spec": { "template": template } }),
        Some(("Rollout", None, 2)),
    );
    check(json!({ "apiVersion": "v1", "kind": "Service", "spec": {} }), None);
    check(
        json!({ "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": { "replicas": 2 } }),
        None,
    );
    let deployment = Workload::of(
        &json!({ "apiVersion": "apps/v1", "kind": "Deployment", "spec": { "template": template } }),
    )
    .unwrap();
    assert_eq!(deployment.containers[1].requests["cpu"], "0.25");
    assert_eq!(deployment.containers[1].requests["memory"], "128");
    assert!(deployment.containers[0].init);
}

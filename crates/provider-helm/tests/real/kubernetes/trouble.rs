//! What goes wrong is named before anything changes, and what does not come to be is explained.

use super::{
    Piece, World, chart,
    world::{act, create},
};
use provider_core::{Action, JobState};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn all_kinds_that_are_not_served_are_named_at_once_and_nothing_changes() {
    let Some(world) = World::new("missing") else { return };
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[Piece::Missing])).await;
    let error = control.submit(&create("shop", "1.0.0", json!({}))).await.err().unwrap();
    let all = error.causes().join("\n");
    assert!(all.contains("policy/v1beta1 PodSecurityPolicy"), "{error}\n{all}");
    assert!(all.contains("nobody.example/v1 Gadget"), "{all}");
    assert!(
        all.contains("policy/v1beta1 PodDisruptionBudget") && all.contains("it is served as: policy/v1"),
        "{all}"
    );
    assert!(
        world.witness.kubectl(&["get", "namespace", world.namespace()]).is_err(),
        "not even the namespace"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_somebody_else_is_named_and_left_alone() {
    let Some(world) = World::new("stranger") else { return };
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[])).await;
    world.witness.kubectl(&["create", "namespace", world.namespace()]).unwrap();
    world.witness.kubectl(&["create", "configmap", "shop-1-0-0", "--from-literal=color=black"]).unwrap();
    let error = control.submit(&create("shop", "1.0.0", json!({}))).await.err().unwrap();
    assert!(
        error.to_string().contains("ConfigMap/shop-1-0-0: it is there already, and no release owns it"),
        "{error}"
    );
    assert_eq!(world.witness.get("configmap", "shop-1-0-0").unwrap()["data"]["color"], "black");
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_never_becomes_ready_is_named_with_its_reason() {
    let Some(world) = World::new("unready") else { return };
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[])).await;
    // A quota that leaves no room for the pod: the check would say so, had it been there before.
    world.run(&control, &create("shop", "1.0.0", json!({}))).await.unwrap();
    let details = {
        let cluster = world.cluster(&control, "shop").await;
        let provider = (control.providers)(&"kubernetes".into()).unwrap();
        let look = control.look(control.store.runtime(&"k8s".into()).await.unwrap()).await.unwrap();
        provider.interface.describe_cluster_details(&look, &cluster).await.unwrap()
    };
    assert_eq!(details.objects["notes"][0]["text"], "shop is red.");
    assert_eq!(details.objects["services"][0]["name"], "shop");
    assert_eq!(details.objects["pods"].len(), 1);
    let job = world.run(&control, &act("shop", Action::CeaseClusters)).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_fails_ends_the_job_and_the_release() {
    let Some(world) = World::new("badhook") else { return };
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[Piece::BadHook])).await;
    let job = world.run(&control, &create("shop", "1.0.0", json!({}))).await.unwrap();
    let error = job.error.expect("it fails").to_string();
    assert!(error.contains("Job/shop-bad failed: DeadlineExceeded"), "{error}");
    assert!(world.witness.get("deploy", "shop").is_none(), "nothing after the hook was done");
    if let Some(history) = world.witness.history("shop") {
        assert_eq!(history, [(1, "failed".to_owned())]);
    }
    let job = world.run(&control, &act("shop", Action::CeaseClusters)).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    world.clean();
}

//! What goes wrong is named before anything changes, and what does not come to be is explained.

use super::{
    Piece, World, chart,
    world::{act, create, update},
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
    assert!(all.contains("apiextensions.k8s.io/v1beta1 CustomResourceDefinition"), "{all}");
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
    let Some(mut world) = World::new("unready") else { return };
    world.patience_s = 8;
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[])).await;
    let values = json!({ "podLabels": { "pitrix.test/no-image": "true" } });
    let job = world.run(&control, &create("shop", "1.0.0", values)).await.unwrap();
    let error = job.error.expect("it fails").to_string();
    assert!(
        error.contains("Deployment/shop is not ready in time: 0 of 1 replicas are available; pod shop-"),
        "{error}"
    );
    assert!(error.contains("ImagePullBackOff"), "{error}");
    assert_eq!(world.witness.releases("shop"), [("1".to_owned(), "failed".to_owned())]);

    // What was left behind is no obstacle.
    let job = world.run(&control, &act("shop", Action::StartClusters)).await.unwrap();
    assert_eq!(job.state, JobState::Failed);
    assert_eq!(world.witness.releases("shop").len(), 2);
    let job = world.run(&control, &act("shop", Action::CeaseClusters)).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    assert_eq!(world.witness.owned("shop"), [] as [&str; 0]);
    assert_eq!(world.witness.releases("shop"), []);
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn details_tell_notes_pods_and_services() {
    let Some(world) = World::new("details") else { return };
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[])).await;
    world.run(&control, &create("shop", "1.0.0", json!({}))).await.unwrap();
    let cluster = world.cluster(&control, "shop").await;
    let provider = (control.providers)(&"kubernetes".into()).unwrap();
    let look = control.look(control.store.runtime(&"k8s".into()).await.unwrap()).await.unwrap();
    let details = provider.interface.describe_cluster_details(&look, &cluster).await.unwrap();
    assert_eq!(details.objects["notes"][0]["text"], "shop is red.");
    assert_eq!(details.objects["services"][0]["name"], "shop");
    assert_eq!(details.objects["pods"].len(), 1);
    let node = &details.nodes[&"shop-1".into()];
    assert_eq!(node["container main"], "registry.example/web:1.0.0; requests cpu 10m, memory 16Mi");
    assert_eq!(node["state"], "running");
    let tagged = provider.sweeper.tagged(&look).await.unwrap();
    assert_eq!((tagged.len(), tagged[0].cluster.as_str()), (1, cluster.id.as_str()));
    let facts = provider.interface.validate_credential(&look).await.unwrap();
    assert!(facts.api_versions.contains("apps/v1") && facts.zones.contains(&look.runtime.zone));
    world.run(&control, &act("shop", Action::CeaseClusters)).await.unwrap();
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_does_not_suffice_is_named_before_anything_changes() {
    let Some(world) = World::new("quota") else { return };
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[])).await;
    world.witness.kubectl(&["create", "namespace", world.namespace()]).unwrap();
    world.witness.kubectl(&["create", "quota", "small", "--hard=pods=1,requests.memory=20Mi"]).unwrap();
    world
        .witness
        .kubectl(&["wait", "--for=jsonpath={.status.hard.pods}=1", "quota/small", "--timeout=20s"])
        .unwrap();
    let error = control.submit(&create("shop", "1.0.0", json!({ "replicas": 2 }))).await.err().unwrap();
    let all = error.causes().join("\n");
    assert!(all.contains("quota small: pods: 2 is needed, 0 of 1 is used"), "{error} {all}");
    assert!(all.contains("quota small: requests.memory: 32Mi is needed, 0 of 20Mi is used"), "{all}");
    assert_eq!(world.witness.owned("shop"), [] as [&str; 0]);
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_rights_are_named_all_at_once() {
    let Some(mut world) = World::new("rights") else { return };
    world.witness.kubectl(&["create", "namespace", world.namespace()]).unwrap();
    world.witness.kubectl(&["create", "serviceaccount", "clerk"]).unwrap();
    let role =
        ["create", "role", "clerk", "--verb=get,list,watch,create,patch", "--resource=secrets,configmaps"];
    world.witness.kubectl(&role).unwrap();
    let subject = format!("--serviceaccount={}:clerk", world.namespace());
    world.witness.kubectl(&["create", "rolebinding", "clerk", "--role=clerk", &subject]).unwrap();
    let token = world.witness.kubectl(&["create", "token", "clerk"]).unwrap();
    world.use_token(token.trim());
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[])).await;
    let error = control.submit(&create("shop", "1.0.0", json!({}))).await.err().unwrap();
    let all = error.causes().join("\n");
    assert!(
        all.contains("the credential may not create or patch deployments.apps in the namespace"),
        "{error} {all}"
    );
    assert!(all.contains("the credential may not create or patch services in the namespace"), "{all}");
    assert!(!all.contains("secrets"), "{all}");
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_make_the_namespace_is_told_so_before_anything_changes() {
    let (Some(office), Some(mut world)) = (World::new("office"), World::new("no-place")) else { return };
    office.witness.kubectl(&["create", "namespace", office.namespace()]).unwrap();
    office.witness.kubectl(&["create", "serviceaccount", "clerk"]).unwrap();
    let subject = format!("--serviceaccount={}:clerk", office.namespace());
    let binding = ["create", "clusterrolebinding", office.namespace(), "--clusterrole=edit", &subject];
    office.witness.kubectl(&binding).unwrap();
    world.use_token(office.witness.kubectl(&["create", "token", "clerk"]).unwrap().trim());
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[])).await;
    let error = control.submit(&create("shop", "1.0.0", json!({}))).await.err().unwrap();
    let why = "rights: the credential may not create namespaces in the whole cluster";
    assert!(error.to_string().contains(why), "{error} {:?}", error.causes());
    office.witness.kubectl(&["delete", "clusterrolebinding", office.namespace()]).unwrap();
    office.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_of_another_manager_is_named_and_ends_the_release() {
    let Some(world) = World::new("conflict") else { return };
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[])).await;
    world.run(&control, &create("shop", "1.0.0", json!({}))).await.unwrap();
    let patch = r#"{"data":{"color":"black"}}"#;
    let arguments =
        ["patch", "configmap", "shop-1-0-0", "--type=merge", "--field-manager=painter", "-p", patch];
    world.witness.kubectl(&arguments).unwrap();
    let job = world.run(&control, &update("shop", json!({ "color": "blue" }))).await.unwrap();
    let error = job.error.expect("it fails");
    let all = format!("{error} {}", error.causes().join("\n"));
    assert!(all.contains("painter") && all.contains(".data.color"), "{all}");
    assert_eq!(world.witness.releases("shop")[1], ("2".to_owned(), "failed".to_owned()));
    world.run(&control, &act("shop", Action::CeaseClusters)).await.unwrap();
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_too_large_is_refused_with_its_largest_parts() {
    let Some(world) = World::new("large") else { return };
    let control = world.control().await;
    let noise: String =
        (0..110_000u64).map(|n| format!("{:016x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
    let mut files: Vec<_> =
        chart("1.0.0", &[]).files().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect();
    files.push(("dashboards/all.json".into(), noise.into_bytes()));
    world.push(&control, "1.0.0", &provider_core::Archive::from_files(files).unwrap()).await;
    let error = control.submit(&create("shop", "1.0.0", json!({}))).await.err().unwrap();
    assert!(
        error.to_string().contains("KiB, and a Secret takes 1024 KiB; most of it is dashboards/all.json ("),
        "{error}"
    );
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_set_can_not_be_stopped_and_is_named() {
    let Some(world) = World::new("daemon") else { return };
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[Piece::Daemon])).await;
    world.run(&control, &create("shop", "1.0.0", json!({}))).await.unwrap();
    let error = control.submit(&act("shop", Action::StopClusters)).await.err().unwrap();
    assert!(error.to_string().contains("these can't be scaled to zero: DaemonSet/shop-agent"), "{error}");
    world.run(&control, &act("shop", Action::CeaseClusters)).await.unwrap();
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_and_nothing_made_up_is_on_record_in_the_clear() {
    let Some(world) = World::new("secret") else { return };
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[])).await;
    let canary = "canary-4e1f0c77";
    world.run(&control, &create("shop", "1.0.0", json!({ "color": canary }))).await.unwrap();
    let cluster = world.cluster(&control, "shop").await;
    // The password is made up by the chart; the API has it in base64.
    let password =
        world.witness.get("secret", "shop").unwrap()["data"]["password"].as_str().unwrap().to_owned();
    for needle in [canary, password.as_str()] {
        assert!(!world.state_holds(needle), "`{needle}` is in the state directory");
        assert!(!serde_json::to_string(&cluster).unwrap().contains(needle));
    }
    world.run(&control, &act("shop", Action::CeaseClusters)).await.unwrap();
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_is_gone_when_it_has_succeeded_has_succeeded() {
    let Some(world) = World::new("fleeting") else { return };
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[Piece::Fleeting])).await;
    let job = world.run(&control, &create("shop", "1.0.0", json!({}))).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
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

//! Whether what a release is made of works, and the tests that a chart brings.

use super::{
    Piece, World, chart,
    world::{act, create, update},
};
use engine::{Control, EventFilter, EventKind};
use provider_core::{Action, ErrorKind, Health, JobState, NodeId, Result, RuntimeId, ServiceName};
use serde_json::json;
use std::collections::BTreeMap;

async fn health(world: &World, control: &Control) -> BTreeMap<NodeId, Result<Health>> {
    control.health(&world.cluster(control, "shop").await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_what_workloads_and_pods_say_and_since_when() {
    let Some(mut world) = World::new("health") else { return };
    world.patience_s = 8;
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[Piece::Set])).await;
    world.run(&control, &create("shop", "1.0.0", json!({}))).await.unwrap();
    let began = control.clock.now();
    for (node, said) in health(&world, &control).await {
        let said = said.unwrap();
        assert!(said.healthy && said.cause.is_none(), "{node}: {said:?}");
        assert!(said.since.0 > 0 && said.since <= began, "{node}: {said:?}");
    }

    // An upgrade to what can't be pulled.
    let values = json!({ "podLabels": { "pitrix.test/no-image": "true" } });
    world.run(&control, &update("shop", values)).await.unwrap();
    let said = health(&world, &control).await;
    let (ill, well) = (said[&"shop-1".into()].clone().unwrap(), said[&"shop-set-1".into()].clone().unwrap());
    let cause = ill.cause.clone().unwrap();
    assert!(cause.starts_with("Deployment/shop: ") && cause.contains("; pod shop-"), "{cause}");
    assert!(cause.contains("ImagePullBackOff"), "{cause}");
    assert!(!ill.healthy && ill.since >= well.since && ill.since <= control.clock.now(), "{ill:?}");
    assert!(well.healthy, "{well:?}");

    world.witness.kubectl(&["scale", "statefulset", "shop-set", "--replicas=0"]).unwrap();
    world.witness.kubectl(&["delete", "deployment", "shop"]).unwrap();
    let said = health(&world, &control).await;
    let cause = |node: &str| said[&node.into()].clone().unwrap().cause.unwrap();
    assert_eq!(cause("shop-1"), "Deployment/shop is not there");
    assert_eq!(cause("shop-set-1"), "StatefulSet/shop-set is scaled to zero, its chart wants 2");
    world.run(&control, &act("shop", Action::CeaseClusters)).await.unwrap();
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_can_not_be_asked_is_unreachable_not_ill() {
    let Some(mut world) = World::new("unreachable") else { return };
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[])).await;
    world.run(&control, &create("shop", "1.0.0", json!({}))).await.unwrap();
    let cluster = world.cluster(&control, "shop").await;
    world.use_token("of nobody");
    let blind = world.control_of(&RuntimeId::new("blind")).await;
    let mut elsewhere = cluster.clone();
    elsewhere.runtime = RuntimeId::new("blind");
    for (node, said) in blind.health(&elsewhere).await {
        assert_eq!(said.unwrap_err().kind(), ErrorKind::Unauthorized, "{node}");
    }
    world.run(&control, &act("shop", Action::CeaseClusters)).await.unwrap();
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_the_kubeconfig_names_logs_in() {
    let Some(mut world) = World::new("exec") else { return };
    let token = world.token();
    let asked = async |runtime: &str, world: &World| {
        let control = world.control_of(&RuntimeId::new(runtime)).await;
        let look =
            control.look(control.store.runtime(&RuntimeId::new(runtime)).await.unwrap()).await.unwrap();
        (control.providers)(&"kubernetes".into()).unwrap().interface.validate_credential(&look).await
    };
    world.use_program("echo login first >&2; exit 1");
    let error = asked("failing", &world).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(error.causes(), ["`sh` ended with exit status: 1", "login first"]);
    world.use_program(&format!(
        r#"echo '{{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {{"token": "{token}"}}}}'"#
    ));
    assert!(!asked("working", &world).await.unwrap().api_versions.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tests_of_a_chart_run_as_a_service_and_change_nothing_about_the_release() {
    let Some(mut world) = World::new("tests") else { return };
    world.patience_s = 30;
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[Piece::Tests])).await;
    world.run(&control, &create("shop", "1.0.0", json!({}))).await.unwrap();
    let run = |service: &str| {
        let (service, params) = (ServiceName::from(service.to_owned()), BTreeMap::new());
        act("shop", Action::RunService { service, params })
    };
    let error = control.submit(&run("backup")).await.err().unwrap();
    assert_eq!(error.to_string(), "`web@1.0.0` has no service `backup`");

    let job = world.run(&control, &run("test")).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    let filter = EventFilter { job: Some(job.id), cluster: None };
    let events = control.store.events(0, &filter, 100).await.unwrap();
    let printed = events.iter().find_map(|event| match &event.kind {
        EventKind::Task { output, .. } => output.clone(),
        _ => None,
    });
    assert!(printed.is_some(), "what they print is wanted");
    assert_eq!(world.witness.releases("shop"), [("1".to_owned(), "deployed".to_owned())]);
    if let Some(status) = world.witness.helm(&["status", "shop"]).map(|status| status.unwrap()) {
        assert!(status.contains("shop-test") && status.contains("Succeeded"), "{status}");
    }

    world.run(&control, &update("shop", json!({ "broken": true }))).await.unwrap();
    let job = world.run(&control, &run("test")).await.unwrap();
    let error = job.error.expect("it fails").to_string();
    assert!(error.contains("Job/shop-test failed: "), "{error}");
    assert_eq!(world.witness.releases("shop").last().unwrap().1, "deployed", "it is what it was");
    world.run(&control, &act("shop", Action::CeaseClusters)).await.unwrap();
    world.clean();
}

//! The whole life of a release, with Helm reading every state in between.

use super::{
    Piece, World, chart,
    world::{act, create, delete, update, upgrade},
};
use provider_core::{Action, ClusterStatus, JobState, NodeStatus};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_is_installed_upgraded_rolled_back_and_deleted_as_helm_would() {
    let Some(world) = World::new("life") else { return };
    let control = world.control().await;
    let pieces = [Piece::Hooks, Piece::Custom, Piece::Kept];
    world.push(&control, "1.0.0", &chart("1.0.0", &pieces)).await;
    world.push(&control, "2.0.0", &chart("2.0.0", &pieces)).await;

    let job = world.run(&control, &create("shop", "1.0.0", json!({ "color": "blue" }))).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    assert_eq!(
        world.witness.owned("shop"),
        ["ConfigMap/shop-1-0-0", "ConfigMap/shop-kept", "Deployment/shop", "Secret/shop", "Service/shop"]
    );
    assert!(world.witness.get("configmap", "shop-announce").is_none(), "its hook's policy says that it goes");
    assert!(
        world.witness.get("job", "shop-prepare").is_some(),
        "a hook stays unless its policy says otherwise"
    );
    let cluster = world.cluster(&control, "shop").await;
    assert_eq!(cluster.status, ClusterStatus::Active);
    assert_eq!(cluster.nodes[&"shop-1".into()].status, NodeStatus::Active);
    if let Some(history) = world.witness.history("shop") {
        assert_eq!(history, [(1, "deployed".to_owned())]);
        let status = world.witness.helm(&["status", "shop"]).unwrap().unwrap();
        assert!(status.contains("shop is blue."), "{status}");
        let manifest = world.witness.helm(&["get", "manifest", "shop"]).unwrap().unwrap();
        assert!(manifest.contains("# Source: web/templates/web.yaml"), "{manifest}");
        let values = world.witness.helm(&["get", "values", "shop", "-o", "json"]).unwrap().unwrap();
        assert_eq!(values.trim(), r#"{"color":"blue"}"#);
    }
    let password = world.witness.get("secret", "shop").unwrap()["data"]["password"].clone();

    let job = world.run(&control, &upgrade("shop", "2.0.0", json!({ "replicas": 2 }))).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    let deployment = world.witness.get("deploy", "shop").unwrap();
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert_eq!(
        deployment["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"], "blue",
        "values are kept"
    );
    assert_eq!(
        world.witness.get("secret", "shop").unwrap()["data"]["password"],
        password,
        "it was not made up anew"
    );
    assert!(world.witness.get("configmap", "shop-1-0-0").is_none(), "what is no longer wanted goes");
    assert!(world.witness.get("configmap", "shop-2-0-0").is_some());

    let job = world.run(&control, &update("shop", json!({ "color": "green" }))).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    if let Some(history) = world.witness.history("shop") {
        let want = [(1, "superseded"), (2, "superseded"), (3, "deployed")];
        assert_eq!(history, want.map(|(n, status)| (n, status.to_owned())));
    }

    let job = world.run(&control, &act("shop", Action::RollbackCluster { revision: Some(1) })).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    let deployment = world.witness.get("deploy", "shop").unwrap();
    assert_eq!(deployment["spec"]["replicas"], 1);
    assert!(world.witness.get("configmap", "shop-1-0-0").is_some());
    assert!(world.witness.get("configmap", "shop-2-0-0").is_none());
    if let Some(history) = world.witness.history("shop") {
        assert_eq!(history[3], (4, "deployed".to_owned()));
        // And Helm goes on from there.
        world.witness.helm(&["rollback", "shop", "2"]).unwrap().unwrap();
        assert_eq!(world.witness.get("deploy", "shop").unwrap()["spec"]["replicas"], 2);
        world.witness.helm(&["rollback", "shop", "4"]).unwrap().unwrap();
    }

    let job = world.run(&control, &delete("shop", false)).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    assert_eq!(world.witness.owned("shop"), ["ConfigMap/shop-kept"]);
    assert!(world.witness.helm(&["status", "shop"]).is_none_or(|status| status.is_err()));
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_objects_of_one_name_go_from_both_their_namespaces() {
    let Some(world) = World::new("twins") else { return };
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[Piece::Twins])).await;
    let name = format!("{}-twin", world.namespace());
    let elsewhere = format!("/api/v1/namespaces/default/configmaps/{name}");
    let there = || {
        (
            world.witness.get("configmap", &name).is_some(),
            world.witness.kubectl(&["get", "--raw", &elsewhere]).is_ok(),
        )
    };
    world.run(&control, &create("shop", "1.0.0", json!({}))).await.unwrap();
    assert_eq!(there(), (true, true));
    let job = world.run(&control, &delete("shop", false)).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    assert_eq!(there(), (false, false));
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn workloads_are_scaled_to_zero_and_back() {
    let Some(world) = World::new("stop") else { return };
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[Piece::Set])).await;
    world.run(&control, &create("shop", "1.0.0", json!({ "replicas": 3 }))).await.unwrap();
    let replicas =
        |kind: &str, name: &str| world.witness.get(kind, name).unwrap()["spec"]["replicas"].as_u64();

    let job = world.run(&control, &act("shop", Action::StopClusters)).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    assert_eq!((replicas("deploy", "shop"), replicas("statefulset", "shop-set")), (Some(0), Some(0)));
    let cluster = world.cluster(&control, "shop").await;
    assert_eq!(
        (cluster.status, cluster.nodes[&"shop-1".into()].status),
        (ClusterStatus::Stopped, NodeStatus::Stopped)
    );

    let job = world.run(&control, &act("shop", Action::StartClusters)).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    assert_eq!((replicas("deploy", "shop"), replicas("statefulset", "shop-set")), (Some(3), Some(2)));

    // What a stop has set is no conflict for an upgrade.
    let job = world.run(&control, &update("shop", json!({ "replicas": 1 }))).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    assert_eq!(replicas("deploy", "shop"), Some(1));
    let job = world.run(&control, &act("shop", Action::CeaseClusters)).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_brings_back_what_was_taken_away_or_changed() {
    let Some(world) = World::new("recover") else { return };
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[])).await;
    world.run(&control, &create("shop", "1.0.0", json!({}))).await.unwrap();
    world.witness.kubectl(&["delete", "deploy", "shop"]).unwrap();
    world.witness.kubectl(&["scale", "deploy", "shop", "--replicas=0"]).unwrap_err();
    // Others have changed what is still there.
    let patch = r#"{"data":{"color":"black"}}"#;
    let paint = ["patch", "configmap", "shop-1-0-0", "--type=merge", "--field-manager=painter", "-p", patch];
    world.witness.kubectl(&paint).unwrap();

    let job = world.run(&control, &act("shop", Action::RecoverClusters)).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    assert!(world.witness.get("deploy", "shop").is_some());
    assert_eq!(world.witness.get("configmap", "shop-1-0-0").unwrap()["data"]["color"], "red");

    let job = world.run(&control, &delete("shop", true)).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    if let Some(history) = world.witness.history("shop") {
        assert_eq!(history, [(1, "uninstalled".to_owned())]);
    }
    world.clean();
}

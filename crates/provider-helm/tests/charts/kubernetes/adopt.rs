//! Releases that Helm made are taken over, and a change is tried before it is made.

use super::{
    Piece, World, chart,
    world::{act, create, update},
};
use engine::Control;
use provider_core::{Action, Archive, ChangeKind, JobState, KeyChange, ObjectChange};
use serde_json::json;
use std::fs;

/// Installs a chart with Helm; false without Helm.
fn helm_install(world: &World, chart: &Archive, options: &[&str]) -> bool {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let packed = dir.path().join("web.tgz");
    fs::write(&packed, chart.to_bytes("web").unwrap()).unwrap();
    let mut arguments = vec!["install", "shop", packed.to_str().unwrap(), "--create-namespace"];
    arguments.extend(options);
    world.witness.helm(&arguments).map(|result| result.unwrap()).is_some()
}

/// Looks at a release and takes it over; gives what that would change, and what it said.
async fn adopt(world: &World, control: &Control) -> (Vec<ObjectChange>, Vec<String>) {
    let adoption = control.plan_adoption("shop", &"k8s".into()).await.unwrap();
    let (changes, warnings) = (adoption.changes.clone(), adoption.planned.warnings.clone());
    assert_eq!(adoption.planned.change.after.app.as_str(), "web@1.0.0");
    let job = control.adopt(adoption).await.unwrap().job;
    world.execute(control).await.unwrap();
    let job = control.store.job(&job).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    (changes, warnings)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_of_helm_is_taken_over_and_goes_on() {
    let Some(world) = World::new("adopt") else { return };
    let control = world.control().await;
    let package = chart("1.0.0", &[Piece::Hooks]);
    if !helm_install(&world, &package, &["--set", "color=blue"]) {
        return;
    }
    world.push(&control, "1.0.0", &package).await;
    let (changes, warnings) = adopt(&world, &control).await;
    assert!(changes.iter().all(|change| change.kind == ChangeKind::Same), "{changes:?}");
    assert_eq!(warnings, [] as [&str; 0]);
    assert_eq!(world.witness.releases("shop"), [("1".to_owned(), "deployed".to_owned())]);

    let job = world.run(&control, &update("shop", json!({ "replicas": 2 }))).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    let deployment = world.witness.get("deploy", "shop").unwrap();
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert_eq!(deployment["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"], "blue");
    world.run(&control, &act("shop", Action::CeaseClusters)).await.unwrap();
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_helm_applied_by_itself_gives_its_fields_over() {
    let Some(world) = World::new("csa") else { return };
    let control = world.control().await;
    let package = chart("1.0.0", &[]);
    if !helm_install(&world, &package, &["--server-side=false", "--set", "podLabels.tier=front"]) {
        return;
    }
    world.push(&control, "1.0.0", &package).await;
    adopt(&world, &control).await;
    let job = world.run(&control, &update("shop", json!({ "podLabels": { "tier": null } }))).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    let deployment = world.witness.get("deploy", "shop").unwrap();
    assert_eq!(
        deployment["spec"]["template"]["metadata"]["labels"],
        json!({ "app": "shop" }),
        "what goes, goes"
    );
    world.run(&control, &act("shop", Action::CeaseClusters)).await.unwrap();
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_stuck_in_pending_is_finished() {
    let Some(world) = World::new("pending") else { return };
    let control = world.control().await;
    let package = chart("1.0.0", &[]);
    if !helm_install(&world, &package, &[]) {
        return;
    }
    world.push(&control, "1.0.0", &package).await;
    world.make_pending("shop", 1);
    world.witness.kubectl(&["delete", "service", "shop"]).unwrap();
    // Helm itself gives up here.
    let refused = world.witness.helm(&["upgrade", "shop", "/nonexistent"]).unwrap().unwrap_err();
    assert!(!refused.is_empty());
    let error = control.submit(&create("shop", "1.0.0", json!({}))).await.err().unwrap();
    assert!(error.to_string().contains("there is one already, revision 1 is pending-install"), "{error}");

    let (changes, warnings) = adopt(&world, &control).await;
    assert!(warnings[0].contains("revision 1 is pending-install"), "{warnings:?}");
    let created: Vec<_> =
        changes.iter().filter(|c| c.kind == ChangeKind::Create).map(|c| c.object.as_str()).collect();
    assert_eq!(created, ["Service/shop"]);
    assert!(world.witness.get("service", "shop").is_some());
    assert_eq!(world.witness.history("shop").unwrap(), [(1, "deployed".to_owned())]);
    world.run(&control, &act("shop", Action::CeaseClusters)).await.unwrap();
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_tried_before_it_is_made() {
    let Some(world) = World::new("preview") else { return };
    let control = world.control().await;
    world.push(&control, "1.0.0", &chart("1.0.0", &[])).await;
    world.push(&control, "2.0.0", &chart("2.0.0", &[])).await;
    world.run(&control, &create("shop", "1.0.0", json!({}))).await.unwrap();
    let planned = control
        .plan(&super::world::upgrade("shop", "2.0.0", json!({ "replicas": 3, "edition": "mine" })))
        .await
        .unwrap();
    let defaults = control.changed_defaults(&planned).await.unwrap().expect("the provider tells");
    let edition = KeyChange {
        key: "edition".to_owned(),
        before: Some("1.0.0".to_owned()),
        after: Some("2.0.0".to_owned()),
        is_overridden: true,
    };
    assert_eq!(defaults, [edition]);
    let changes = control.preview(&planned).await.unwrap();
    let lines: Vec<String> = changes
        .iter()
        .flat_map(|change| {
            let fields = change.fields.iter().map(|f| {
                format!(
                    "{} {} {}",
                    f.path,
                    f.before.as_deref().unwrap_or("-"),
                    f.after.as_deref().unwrap_or("-")
                )
            });
            std::iter::once(format!("{} {:?}", change.object, change.kind)).chain(fields).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        lines,
        [
            "Secret/shop Same",
            "ConfigMap/shop-2-0-0 Create",
            "Service/shop Same",
            "Deployment/shop Update",
            ".spec.replicas 1 3",
            ".spec.template.spec.containers[0].image registry.example/web:1.0.0 registry.example/web:2.0.0",
            "ConfigMap/shop-1-0-0 Delete",
        ]
    );
    assert_eq!(world.witness.get("deploy", "shop").unwrap()["spec"]["replicas"], 1, "nothing has changed");
    world.run(&control, &act("shop", Action::CeaseClusters)).await.unwrap();
    world.clean();
}

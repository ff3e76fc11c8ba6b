//! Templates that look up what is in the cluster, on request only.

use super::{
    World,
    adopt::{adopt, helm_install},
    chart,
    world::{act, create, update, upgrade},
};
use engine::Control;
use provider_core::{Action, Archive, JobState};
use serde_json::{Value, json};

/// What `--lookup` answers.
const LOOKUP: &str = "pitrix.io/lookup";

/// A chart that makes a password up once, keeps the one that there is, and copies what another object says. A `strict`
/// one upgrades nothing without a password that there is.
fn looking(version: &str) -> Archive {
    let password = "password: {{ randAlphaNum 16 | b64enc }}";
    let kept = r#"password: {{ with lookup "v1" "Secret" .Release.Namespace .Release.Name -}}
      {{ .data.password }}{{ if $.Values.tell }}{{ fail (b64dec .data.password) }}{{ end }}
    {{- else }}
      {{- if and .Values.strict .Release.IsUpgrade }}{{ fail "the current password is wanted" }}{{ end }}
      {{- randAlphaNum 16 | b64enc }}
    {{- end }}"#;
    let copy = r#"
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-copy
data:
  color: {{ dig "data" "color" "none" (lookup "v1" "ConfigMap" .Release.Namespace "source") }}
  names: {{ range (lookup "v1" "ConfigMap" .Release.Namespace "").items }}{{ .kind }}/{{ .metadata.name }} {{ end }}
  password: {{ dig "data" "password" "none" (lookup "v1" "Secret" .Release.Namespace "other") }}
  {{- if .Values.gadget }}
  gadget: {{ lookup "nobody.example/v1" "Gadget" "" .Values.gadget }}
  {{- end }}
"#;
    let mut files: Vec<_> = chart(version, &[])
        .files()
        .map(|(name, bytes)| {
            let text = String::from_utf8_lossy(bytes).replace(password, kept);
            (name.to_owned(), text.into_bytes())
        })
        .collect();
    files.push(("templates/copy.yaml".to_owned(), copy.into()));
    Archive::from_files(files).expect("it is small")
}

fn password(world: &World) -> String {
    let secret = world.witness.get("secret", "shop").expect("it is there");
    secret["data"]["password"].as_str().expect("it has a password").to_owned()
}

async fn runs(world: &World, control: &Control, request: &engine::Request) {
    let job = world.run(control, request).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
}

fn copy(world: &World) -> Value {
    world.witness.get("configmap", "shop-copy").expect("it is there")["data"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_helm_made_up_is_looked_up_and_kept() {
    let Some(world) = World::new("lookup") else { return };
    let control = world.control().await;
    if !helm_install(&world, &looking("1.0.0"), &[]) {
        return;
    }
    for version in ["1.0.0", "2.0.0"] {
        world.push(&control, version, &looking(version)).await;
    }
    adopt(&world, &control).await;
    let first = password(&world);
    runs(&world, &control, &upgrade("shop", "2.0.0", json!({ LOOKUP: true, "strict": true }))).await;
    assert_eq!(password(&world), first);
    // From then on, also without being asked for again.
    runs(&world, &control, &update("shop", json!({ "replicas": 2 }))).await;
    assert_eq!(password(&world), first);
    runs(&world, &control, &act("shop", Action::RollbackCluster { revision: None })).await;
    runs(&world, &control, &update("shop", json!({ "replicas": 3 }))).await;
    assert_eq!(password(&world), first);
    // Helm goes on from there, and knows of no such value.
    if let Some(values) = world.witness.helm(&["get", "values", "shop", "-o", "json"]) {
        assert_eq!(values.unwrap().trim(), r#"{"replicas":3,"strict":true}"#);
    }
    // What is not looked up is made up: from our seed, which Helm did not have.
    runs(&world, &control, &update("shop", json!({ LOOKUP: false, "strict": false }))).await;
    assert_ne!(password(&world), first);
    assert_eq!(copy(&world)["color"], "none");
    runs(&world, &control, &act("shop", Action::CeaseClusters)).await;
    world.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_planned_is_what_is_applied_and_no_secret_is_in_the_clear() {
    let Some(world) = World::new("lookedup") else { return };
    let control = world.control().await;
    world.push(&control, "1.0.0", &looking("1.0.0")).await;
    let (canary, encoded) = ("canary-6a0f93e1", "Y2FuYXJ5LTZhMGY5M2Ux");
    world.witness.kubectl(&["create", "namespace", world.namespace()]).unwrap();
    world.witness.kubectl(&["create", "configmap", "source", "--from-literal=color=green"]).unwrap();
    let literal = format!("--from-literal=password={canary}");
    world.witness.kubectl(&["create", "secret", "generic", "other", &literal]).unwrap();

    // Nobody asked for it.
    runs(&world, &control, &create("shop", "1.0.0", json!({}))).await;
    assert_eq!(copy(&world), json!({ "color": "none", "names": "", "password": "none" }));

    let planned = control.plan(&update("shop", json!({ LOOKUP: true }))).await.unwrap();
    let plan = serde_json::to_string(&planned.plan).unwrap();
    let changes = serde_json::to_string(&control.preview(&planned).await.unwrap()).unwrap();
    let namespace = world.namespace();
    for told in [
        format!("v1 ConfigMap source in {namespace}: found"),
        format!("v1 Secret other in {namespace}: found"),
    ] {
        assert!(plan.contains(&told), "{plan}");
    }
    assert!(changes.contains("green") && changes.contains("(secret)"), "{changes}");
    for text in [&plan, &changes] {
        assert!(!text.contains(canary) && !text.contains(encoded), "{text}");
    }

    // What changes between the plan and its execution, by another process, changes nothing.
    control.submit(&update("shop", json!({ LOOKUP: true }))).await.unwrap();
    control.store.close().await;
    let patch = r#"{"data":{"color":"black"}}"#;
    world.witness.kubectl(&["patch", "configmap", "source", "--type=merge", "-p", patch]).unwrap();
    let control = world.control().await;
    world.execute(&control).await.unwrap();
    let jobs = control.store.jobs(None).await.unwrap();
    assert_eq!(jobs[0].state, JobState::Succeeded, "{:?}", jobs[0].error);
    let names = "ConfigMap/kube-root-ca.crt ConfigMap/shop-1-0-0 ConfigMap/shop-copy ConfigMap/source";
    assert_eq!(copy(&world), json!({ "color": "green", "names": names, "password": encoded }));

    for (values, why) in [
        (json!({ "tell": true }), "the reason has a secret in it that it looked up"),
        (json!({ "gadget": "x" }), "this cluster does not serve nobody.example/v1 Gadget"),
    ] {
        let error = control.submit(&update("shop", values)).await.err().unwrap();
        assert!(error.to_string().contains(why), "{error}");
        assert!(!format!("{error} {:?}", error.causes()).contains(&password(&world)), "{error}");
    }
    for needle in [canary, encoded] {
        assert!(!world.state_holds(needle), "`{needle}` is in the state directory");
    }
    runs(&world, &control, &act("shop", Action::CeaseClusters)).await;
    world.clean();
}

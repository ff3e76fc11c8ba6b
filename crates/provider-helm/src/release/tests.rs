use super::*;
use crate::render::HookEvent;
use provider_core::Timestamp;
use serde_json::{Value, json};

fn release() -> Release {
    Release {
        name: "web".into(),
        info: Info {
            first_deployed: "2026-11-26T00:00:00Z".into(),
            last_deployed: "2026-11-26T00:00:01.5Z".into(),
            description: "Install complete".into(),
            status: ReleaseStatus::Deployed,
            ..Info::default()
        },
        chart: json!({
            "metadata": { "name": "web", "version": "1.2.3", "apiVersion": "v2" },
            "templates": [{ "name": "templates/a.yaml", "data": "YTogYg==" }],
            "values": {},
        }),
        config: json!({ "replicas": 2 }),
        manifest: "---\n# Source: web/templates/a.yaml\na: b\n".into(),
        hooks: vec![Hook {
            name: "job".into(),
            kind: "Job".into(),
            path: "web/templates/job.yaml".into(),
            manifest: "kind: Job".into(),
            events: vec![HookEvent::PreInstall, HookEvent::Test],
            last_run: LastRun::default(),
            weight: -5,
            delete_policies: vec![DeletePolicy::HookSucceeded],
            other: serde_json::Map::new(),
        }],
        version: 3,
        namespace: "shop".into(),
        apply_method: "ssa".into(),
        other: serde_json::Map::new(),
    }
}

#[test]
fn a_release_is_read_as_it_was_written() {
    let text = encode(&release()).unwrap();
    assert!(text.starts_with("H4sI"), "it is packed: {text}");
    assert_eq!(decode(&text).unwrap(), release());
}

#[test]
fn what_this_version_does_not_know_is_kept() {
    let json = json!({ "name": "x", "labels2": { "a": 1 }, "hooks": null, "info": { "status": "deployed", "resources": {} } });
    let packed = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, json.to_string());
    let release = decode(&packed).unwrap();
    let again: Value = serde_json::to_value(&release).unwrap();
    assert_eq!(again["labels2"], json!({ "a": 1 }));
    assert_eq!(again["info"]["resources"], json!({}));
    assert_eq!(release.info.status, ReleaseStatus::Deployed);
}

#[test]
fn what_is_no_release_is_refused() {
    for (text, why) in [
        ("?", "Invalid symbol"),
        ("e30", "Invalid padding"),
        ("W10=", "invalid type: sequence"),
        ("H4sIAAAA", "failed to fill"),
    ] {
        let error = decode(text).unwrap_err();
        assert!(error.to_string().contains("a stored release can't be read"), "{error}");
        assert!(error.to_string().contains(why) || why == "failed to fill", "{error}");
    }
}

#[test]
fn the_secret_has_exactly_the_labels_of_helm() {
    let secret = secret(&release(), Timestamp(1_790_000_000_123), "t").unwrap();
    assert_eq!(secret["metadata"]["name"], "sh.helm.release.v1.web.v3");
    assert_eq!(secret["type"], "helm.sh/release.v1");
    assert_eq!(
        secret["metadata"]["labels"],
        json!({ "name": "web", "owner": "helm", "status": "deployed", "version": "3", "createdAt": "1790000000" })
    );
    let revision = Revision::of(&secret).unwrap();
    assert_eq!((revision.revision, revision.status), (3, ReleaseStatus::Deployed));
    assert_eq!(revision.token.as_deref(), Some("t"));
}

#[test]
fn old_revisions_go_and_the_deployed_one_stays() {
    fn check(revisions: &[(u32, ReleaseStatus)], keep: usize, gone: &[u32]) {
        let revisions: Vec<_> = revisions
            .iter()
            .map(|(revision, status)| Revision {
                revision: *revision,
                status: *status,
                token: None,
                cluster: None,
            })
            .collect();
        assert_eq!(stale(&revisions, keep), gone);
    }
    use ReleaseStatus::{Deployed, Failed, Superseded};
    check(&[(1, Superseded), (2, Deployed)], 10, &[]);
    check(&[(3, Deployed), (1, Superseded), (2, Superseded)], 2, &[1]);
    check(&[(1, Deployed), (2, Failed), (3, Failed), (4, Failed)], 2, &[2, 3]);
    check(&[(1, Superseded), (2, Superseded), (3, Deployed)], 1, &[1, 2]);
}

#[test]
fn the_largest_part_of_a_release_is_named_first() {
    let mut release = release();
    let noise: String =
        (0..40_000u64).map(|n| format!("{:x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
    let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &noise);
    release.chart["files"] = json!([{ "name": "files/dashboard.json", "data": data }]);
    let parts = contributors(&release);
    assert_eq!(parts[0].0, "files/dashboard.json");
    assert!(parts[0].1 > 100_000, "{parts:?}");
}

//! With the registry of the test cluster, and the helm binary to push to it.

use super::{chart, digest, fetch};
use provider_helm::fetch::{ChartSource, Logins};
use std::io::Write;
use std::process::Command;

#[test]
fn a_chart_that_helm_pushed_is_fetched_from_a_real_registry() {
    let (Some(registry), Some(helm)) =
        (std::env::var_os("PITRIX_TEST_REGISTRY"), std::env::var_os("PITRIX_HELM"))
    else {
        skipped("fetching from a real registry", "PITRIX_TEST_REGISTRY or PITRIX_HELM is not set");
        return;
    };
    let registry = registry.into_string().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let repository = format!("pitrix-fetch-{}", std::process::id());
    for version in ["0.1.0", "0.2.0+build.7", "0.3.0-rc1"] {
        let archive = scratch.path().join("web.tgz");
        std::fs::write(&archive, chart("web", version, "")).unwrap();
        let output = Command::new(&helm)
            .arg("push")
            .arg(&archive)
            .args([&format!("oci://{registry}/{repository}"), "--plain-http"])
            .env("HOME", scratch.path())
            .env("HELM_NO_PLUGINS", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let check = |rest: &str, version: &str| {
        let source =
            ChartSource::parse_registry(&format!("oci://{registry}/{repository}/web{rest}")).unwrap();
        let fetched = fetch(Logins::default(), &source).unwrap();
        assert_eq!(fetched.packed, chart("web", version, ""), "{rest}");
        assert_eq!(fetched.digest, digest(&fetched.packed));
    };
    check("", "0.2.0+build.7");
    check(":0.1.0", "0.1.0");
    check(":0.2.0+build.7", "0.2.0+build.7");
    check(":0.3.0-rc1", "0.3.0-rc1");
}

fn skipped(what: &str, why: &str) {
    let line = format!("SKIPPED {what}: {why}\n");
    let _ = match std::env::var_os("PITRIX_TEST_SKIPS") {
        Some(path) => std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes())),
        None => std::io::stderr().write_all(line.as_bytes()),
    };
}

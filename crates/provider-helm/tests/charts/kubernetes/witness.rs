//! The real Helm, and the API without any code of ours.

use serde_json::Value;
use std::{
    env,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// What asks the cluster without us.
pub(crate) struct Witness {
    helm: Option<PathBuf>,
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    namespace: String,
}

impl Witness {
    /// A witness in `namespace`.
    pub(crate) fn new(kubeconfig: PathBuf, namespace: &str) -> Self {
        let kubectl = env::var_os("PITRIX_KUBECTL").map_or_else(|| PathBuf::from("kubectl"), PathBuf::from);
        let helm = env::var_os("PITRIX_HELM").map(PathBuf::from);
        Self { helm, kubectl, kubeconfig, namespace: namespace.to_owned() }
    }

    /// Runs Helm; none without it.
    pub(crate) fn helm(&self, arguments: &[&str]) -> Option<Result<String, String>> {
        let helm = self.helm.as_ref()?;
        let home = tempfile::tempdir().expect("a directory can be made");
        let output = Command::new(helm)
            .args(arguments)
            .args(["--namespace", &self.namespace])
            .env_clear()
            .env("HOME", home.path())
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HELM_NO_PLUGINS", "1")
            .output()
            .expect("helm can be started");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Some(if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) })
    }

    /// What Helm says of all revisions: number, status and description of each.
    pub(crate) fn history(&self, release: &str) -> Option<Vec<(u64, String)>> {
        let json = self.helm(&["history", release, "-o", "json"])?.expect("there is a history");
        let list: Value = serde_json::from_str(&json).expect("it is JSON");
        let revisions = list.as_array().expect("it is a list").iter();
        Some(
            revisions
                .map(|r| (r["revision"].as_u64().unwrap_or(0), r["status"].as_str().unwrap_or("").to_owned()))
                .collect(),
        )
    }

    /// Runs kubectl and gives what it prints.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(&self.kubectl)
            .args(arguments)
            .args(["--namespace", &self.namespace])
            .env_clear()
            .env("HOME", "/nonexistent")
            .env("KUBECONFIG", &self.kubeconfig)
            .output()
            .expect("kubectl can be started");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// Starts a kubectl that serves the API over plain HTTP, on a port that it says on its standard output.
    pub(crate) fn proxy(&self) -> Child {
        let kubectl = Command::new(&self.kubectl)
            .args(["proxy", "--port=0"])
            .env_clear()
            .env("HOME", "/nonexistent")
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        kubectl.expect("kubectl can be started")
    }

    /// All objects of these kinds.
    pub(crate) fn list(&self, kinds: &str) -> Vec<Value> {
        let json = self.kubectl(&["get", kinds, "-o", "json", "--show-managed-fields"]);
        let mut list: Value = serde_json::from_str(&json.expect("kubectl can list")).expect("it is JSON");
        list["items"].as_array_mut().map(std::mem::take).expect("it is a list")
    }

    /// An object; none when it is not there.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let json = self.kubectl(&["get", kind, name, "-o", "json"]).ok()?;
        serde_json::from_str(&json).ok()
    }

    /// Version and status of the stored revisions of a release.
    pub(crate) fn releases(&self, release: &str) -> Vec<(String, String)> {
        let selector = format!("owner=helm,name={release}");
        let json = self.kubectl(&["get", "secret", "-l", &selector, "-o", "json"]).expect("kubectl can list");
        let list: Value = serde_json::from_str(&json).expect("it is JSON");
        let label = |o: &Value, name: &str| o["metadata"]["labels"][name].as_str().unwrap_or("").to_owned();
        let items = list["items"].as_array().expect("it is a list").iter();
        let mut releases: Vec<_> = items.map(|o| (label(o, "version"), label(o, "status"))).collect();
        releases.sort();
        releases
    }

    /// The names of the objects of these kinds that carry the mark of a release.
    pub(crate) fn owned(&self, release: &str) -> Vec<String> {
        let kinds = "deploy,statefulset,daemonset,configmap,secret,service,job,persistentvolumeclaim";
        let list = self.list(kinds);
        let mut names: Vec<_> = list
            .iter()
            .filter(|o| o["metadata"]["annotations"]["meta.helm.sh/release-name"] == release)
            .map(|o| {
                format!(
                    "{}/{}",
                    o["kind"].as_str().unwrap_or(""),
                    o["metadata"]["name"].as_str().unwrap_or("")
                )
            })
            .collect();
        names.sort();
        names
    }
}

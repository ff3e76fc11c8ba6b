//! Each action on a real API server is struck: the command line and its executor are killed once so many lines of
//! progress were seen. Then a person types what a person would, and what was asked for is there, and nothing else.
//!
//! Lives follow one another, each struck later in its actions; `PITRIX_STRIKES=12` asks for so many.

use crate::installation::{Installation, said, send};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Stdio},
};

/// What is there after a step: objects, without the revisions and what controllers make, and the status of each revision.
type There = (&'static [&'static str], &'static [&'static str]);

struct Step {
    /// What happens outside before.
    before: fn(&Cluster),
    action: &'static [&'static str],
    there: There,
}

const FIRST: &[&str] = &["ConfigMap/shop-1-0-0", "Deployment/shop", "Service/shop"];
const SECOND: &[&str] = &["ConfigMap/shop-2-0-0", "Deployment/shop", "Service/shop"];

/// A life in which every action occurs.
#[rustfmt::skip]
const LIFE: &[Step] = &[
    step(&["create", "shop", "--app", "web@1.0.0", "--runtime", "k8s"], (FIRST, &["deployed"])),
    step(&["upgrade", "shop", "--to", "2.0.0"], (SECOND, &["superseded", "deployed"])),
    step(&["rollback", "shop"], (FIRST, &["superseded", "superseded", "deployed"])),
    step(&["update-env", "shop", "--set", "color=blue"], (FIRST, &["superseded", "superseded", "superseded", "deployed"])),
    step(&["rollback", "shop", "--revision", "2"], (SECOND, &["superseded", "superseded", "superseded", "superseded", "deployed"])),
    step(&["stop", "shop"], (SECOND, &["superseded", "superseded", "superseded", "superseded", "deployed"])),
    step(&["start", "shop"], (SECOND, &["superseded", "superseded", "superseded", "superseded", "deployed"])),
    step(&["restart", "shop"], (SECOND, &["superseded", "superseded", "superseded", "superseded", "deployed"])),
    after(remove_service, &["recover", "shop"], (SECOND, &["superseded", "superseded", "superseded", "superseded", "deployed"])),
    step(&["upgrade", "shop", "--to", "3.0.0", "--rollback-on-failure"], (SECOND, &["superseded", "superseded", "superseded", "superseded", "superseded", "failed", "deployed"])),
    step(&["delete", "shop", "--yes", "--keep-history"], (&[], &["superseded", "superseded", "superseded", "superseded", "superseded", "failed", "uninstalled"])),
    step(&["delete", "shop", "--yes", "--purge"], (&[], &[])),
    after(install_by_helm, &["adopt", "shop", "--runtime", "k8s"], (FIRST, &["deployed"])),
    step(&["delete", "shop", "--yes"], (&[], &[])),
];

const fn step(action: &'static [&'static str], there: There) -> Step {
    after(|_| {}, action, there)
}

const fn after(before: fn(&Cluster), action: &'static [&'static str], there: There) -> Step {
    Step { before, action, there }
}

fn remove_service(cluster: &Cluster) {
    cluster.kubectl(&["delete", "service", "shop"]);
}

fn install_by_helm(cluster: &Cluster) {
    let chart = cluster.here.path("web-1.0.0");
    let home = cluster.here.path("home");
    let output = Command::new(&cluster.helm)
        .args(["install", "shop", chart.to_str().unwrap(), "--namespace", &cluster.namespace])
        .env_clear()
        .env("HOME", home)
        .env("HELM_NO_PLUGINS", "1")
        .env("KUBECONFIG", &cluster.kubeconfig)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

/// An installation with a runtime on the test cluster, in a namespace of its own.
struct Cluster {
    here: Installation,
    kubectl: PathBuf,
    helm: PathBuf,
    kubeconfig: PathBuf,
    namespace: String,
}

impl Cluster {
    /// One with the versions of the app `web`; none, with a word about it, without a test cluster.
    fn new() -> Option<Self> {
        let variable = |name| env::var_os(name).map(PathBuf::from);
        let tools = (variable("PITRIX_TEST_KUBECONFIG"), variable("PITRIX_KUBECTL"), variable("PITRIX_HELM"));
        let (Some(kubeconfig), Some(kubectl), Some(helm)) = tools else {
            skipped("strikes on Kubernetes: no cluster, kubectl and helm are named");
            return None;
        };
        let namespace = format!("t-strikes-{}", std::process::id());
        let cluster = Self { here: Installation::new(), kubectl, helm, kubeconfig, namespace };
        for version in ["1.0.0", "2.0.0", "3.0.0"] {
            let dir = cluster.here.path(&format!("web-{version}"));
            fs::create_dir_all(dir.join("templates")).unwrap();
            fs::write(dir.join("Chart.yaml"), format!("apiVersion: v2\nname: web\nversion: {version}\n"))
                .unwrap();
            fs::write(dir.join("values.yaml"), "color: red\n").unwrap();
            fs::write(dir.join("templates/web.yaml"), WEB).unwrap();
            if version == "3.0.0" {
                fs::write(dir.join("templates/refused.yaml"), REFUSED).unwrap();
            }
            cluster.here.data(&["app", "push", dir.to_str().unwrap()]);
        }
        let kubeconfig = format!("kubeconfig={}", cluster.kubeconfig.display());
        let zone = ["--zone", &cluster.namespace];
        let runtime =
            ["runtime", "create", "k8s", "--provider", "kubernetes", "--credential-text", &kubeconfig];
        cluster.here.data(&[&runtime[..], &zone].concat());
        Some(cluster)
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.kubectl)
            .args(arguments)
            .args(["--namespace", &self.namespace])
            .env_clear()
            .env("HOME", "/nonexistent")
            .env("KUBECONFIG", &self.kubeconfig)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What is there, but for what controllers make, and the status of each revision.
    fn there(&self) -> (Vec<String>, Vec<String>) {
        let kinds = "deploy,statefulset,configmap,secret,service,job";
        let list: Value = serde_json::from_str(&self.kubectl(&["get", kinds, "-o", "json"])).unwrap();
        let text = |object: &Value, pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (mut objects, mut revisions) = (Vec::new(), Vec::new());
        for object in list["items"].as_array().unwrap() {
            let name = text(object, "/metadata/name");
            if text(object, "/type") == "helm.sh/release.v1" {
                let number = text(object, "/metadata/labels/version").parse::<u32>().unwrap();
                revisions.push((number, text(object, "/metadata/labels/status")));
            } else if name != "kube-root-ca.crt" {
                objects.push(format!("{}/{name}", text(object, "/kind")));
            }
        }
        objects.sort();
        revisions.sort();
        (objects, revisions.into_iter().map(|(_, status)| status).collect())
    }

    /// The newest job: its id and its state.
    fn newest(&self) -> Option<(String, String)> {
        let list = self.here.json(&["job", "list"]);
        let job = list.as_array()?.first()?.clone();
        Some((job["id"].as_str()?.to_owned(), job["state"].as_str()?.to_owned()))
    }

    /// Starts an action, kills it and the executor when `lines` lines of progress were seen, and gives the last one;
    /// none when it came to its end before.
    fn strike(&self, action: &[&str], lines: usize) -> Option<String> {
        let mut child = self.here.command(action);
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut progress = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let seen = progress.nth(lines - 1);
        if seen.is_some() {
            self.here.executors().into_iter().for_each(|pid| send(pid, Signal::KILL));
            child.kill().unwrap();
        }
        drop(progress);
        child.wait().unwrap();
        seen
    }

    /// What a person does about it: follows the job that there is, or asks once more. Gives what was typed.
    fn resume(&self, action: &[&str], earlier: Option<&(String, String)>) -> String {
        let is_earlier = |job: &(String, String)| earlier.is_some_and(|(id, _)| *id == job.0);
        let Some((job, _)) = self.newest().filter(|job| !is_earlier(job)) else {
            drop(self.here.run(action));
            return action[1..].join(" ");
        };
        // It fails with its job, and says what follows that.
        drop(self.here.run(&["job", "watch", &job]));
        format!("job watch {job}")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = Command::new(&self.kubectl)
            .args(["delete", "namespace", &self.namespace, "--wait=false", "--ignore-not-found"])
            .env("KUBECONFIG", &self.kubeconfig)
            .output();
    }
}

#[test]
fn whatever_is_under_way_can_be_brought_to_its_end_when_all_processes_are_killed() {
    let Some(cluster) = Cluster::new() else { return };
    let strikes = env::var("PITRIX_STRIKES").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut table =
        "action         killed after                                     resumed by      objects orphans\n"
            .to_owned();
    for life in 0..strikes {
        for (index, step) in LIFE.iter().enumerate() {
            (step.before)(&cluster);
            let earlier = cluster.newest();
            let action = [&["cluster"], step.action].concat();
            // One life alone strikes each action at another place.
            let lines = 1 + life + if strikes == 1 { index * 2 % 5 } else { 0 };
            let seen = cluster.strike(&action, lines);
            let resumed = match &seen {
                Some(_) => cluster.resume(&action, earlier.as_ref()),
                None => "-".to_owned(),
            };
            let point = seen.map_or_else(|| "its end".to_owned(), |line| format!("{lines}: {line}"));
            let (objects, revisions) = cluster.there();
            let when = format!("{action:?} killed after {point}, then `{resumed}`");
            let ended = cluster.newest();
            assert!(ended != earlier, "{when}: there is no job");
            assert_eq!(ended.unwrap().1, "succeeded", "{when}");
            assert_eq!(objects, step.there.0, "{when}");
            assert_eq!(revisions, step.there.1, "{when}");
            // What was kept on request has no cluster any more, and is told as such.
            let kept = if step.action.contains(&"--keep-history") { revisions.len() } else { 0 };
            let orphans = cluster.here.data(&["orphans", "-o", "name"]).lines().count() - kept;
            assert_eq!(orphans, 0, "{when}");
            let point: String =
                point.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(48).collect();
            let resumed = if resumed.starts_with("job") { resumed } else { "the same again".to_owned() };
            table += &format!(
                "{:<14} {point:<48} {resumed:<15} {:>7} {orphans:>7}\n",
                step.action[0],
                objects.len()
            );
        }
    }
    let _ = std::io::stderr().write_all(table.as_bytes());
}

fn skipped(what: &str) {
    let line = format!("SKIPPED {what}\n");
    match env::var_os("PITRIX_TEST_SKIPS") {
        Some(path) => {
            let file = fs::OpenOptions::new().append(true).create(true).open(path);
            file.and_then(|mut file| file.write_all(line.as_bytes())).unwrap();
        }
        None => drop(std::io::stderr().write_all(line.as_bytes())),
    }
}

const WEB: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-{{ .Chart.Version | replace "." "-" }}
data:
  color: {{ .Values.color }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}
spec:
  selector: {app: {{ .Release.Name }}}
  ports:
  - port: 80
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  selector:
    matchLabels: {app: {{ .Release.Name }}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
    spec:
      containers:
      - name: main
        image: "registry.example/web:{{ .Chart.Version }}"
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-prepare
  annotations:
    helm.sh/hook: pre-install,pre-upgrade,pre-rollback,pre-delete
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: main
        image: registry.example/prepare
"#;

const REFUSED: &str = "
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}-refused
spec:
  ports:
  - port: 0
";

//! An installation with a runtime on the test cluster.

use super::Witness;
use async_trait::async_trait;
use conformance::{Cloud, ScriptedPilot, VirtualClock};
use engine::{Aim, Control, Executor, JobInfo, Options, Request, Settings, Store};
use provider_core::{
    Action, Archive, Clock, Cluster, CrashPoint, Credential, DeploymentId, Error, Host, NoCrash, Provider,
    ProviderId, Registry, Result, Runtime, RuntimeId, Secret, Timestamp, Zone,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, env, fs, io::Write, path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::sync::Notify;

/// An installation with a runtime on the test cluster, in a namespace of its own.
pub(crate) struct World {
    /// What asks the cluster without us.
    pub(crate) witness: Witness,
    /// Where executors crash.
    pub(crate) crash: Arc<dyn CrashPoint>,
    /// Seconds until an object counts as not coming to be.
    pub(crate) patience_s: u32,
    dir: TempDir,
    kubeconfig: String,
    namespace: String,
}

impl World {
    /// A world called `name`; none, with a word about it, without a test cluster.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let Some(path) = env::var_os("PITRIX_TEST_KUBECONFIG").map(PathBuf::from) else {
            skipped(name);
            return None;
        };
        let kubeconfig = fs::read_to_string(&path).expect("the kubeconfig can be read");
        let namespace = format!("t-{name}-{}", std::process::id());
        let dir = tempfile::tempdir().expect("a directory can be made");
        Some(Self {
            witness: Witness::new(path, &namespace),
            crash: Arc::new(NoCrash),
            patience_s: 120,
            dir,
            kubeconfig,
            namespace,
        })
    }

    /// The namespace.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The store, and what plans with it.
    pub(crate) async fn control(&self) -> Control {
        let clock = Arc::new(MachineClock);
        let mut options = Options::new(self.dir.path(), clock.clone());
        options.crash = self.crash.clone();
        let store = Store::open(options).await.expect("the store opens");
        let provider = provider(store.deployment().clone(), self.dir.path().join("data"));
        let virtual_clock = Arc::new(VirtualClock::default());
        let pilot = ScriptedPilot::new(Cloud::new(virtual_clock.clone()), virtual_clock);
        let control = Control {
            store,
            providers: Arc::new(move |id| {
                if id.as_str() == "kubernetes" {
                    Ok(provider.clone())
                } else {
                    Err(Error::not_found("no such provider"))
                }
            }),
            pilot,
            clock,
        };
        self.add_runtime(&control, "k8s".into()).await;
        control
    }

    /// As [`control`](Self::control), with one more runtime of this name that has the kubeconfig of now.
    pub(crate) async fn control_of(&self, runtime: &RuntimeId) -> Control {
        let control = self.control().await;
        self.add_runtime(&control, runtime.clone()).await;
        control
    }

    async fn add_runtime(&self, control: &Control, id: RuntimeId) {
        if control.store.runtime(&id).await.is_err() {
            let runtime = Runtime {
                id,
                description: String::new(),
                provider: "kubernetes".into(),
                endpoint: String::new(),
                zone: Zone::new(&*self.namespace),
                labels: BTreeMap::from([("wait-timeout-s".to_owned(), self.patience_s.to_string())]),
            };
            let credential = Credential::new([("kubeconfig".to_owned(), Secret::new(&*self.kubeconfig))]);
            control.store.create_runtime(&runtime, credential).await.expect("a runtime can be made");
        }
    }

    /// Pushes a chart as `web@VERSION`.
    pub(crate) async fn push(&self, control: &Control, version: &str, chart: &Archive) {
        let app = format!("web@{version}");
        let bytes = chart.to_bytes("web").expect("it can be packed");
        control.store.push_app(&app.as_str().into(), &bytes).await.expect("it can be pushed");
    }

    /// Submits a request and carries it out.
    pub(crate) async fn run(&self, control: &Control, request: &Request) -> Result<JobInfo> {
        let job = control.submit(request).await?.job;
        self.execute(control).await?;
        control.store.job(&job).await
    }

    /// Carries out whatever there is.
    pub(crate) async fn execute(&self, control: &Control) -> Result<()> {
        let settings = Settings { crash: self.crash.clone(), ..Settings::default() };
        let executor = Executor::start(control.clone(), settings).await?;
        executor.run(&Notify::new(), Duration::from_millis(1)).await
    }

    /// The cluster on record.
    pub(crate) async fn cluster(&self, control: &Control, name: &str) -> Cluster {
        control.cluster(name).await.expect("it is on record")
    }

    /// Works with this token instead of the administrator's.
    pub(crate) fn use_token(&mut self, token: &str) {
        self.log_in_with(&json!({ "token": token }));
    }

    /// Works with what this shell script prints.
    pub(crate) fn use_program(&mut self, script: &str) {
        self.log_in_with(&json!({ "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "sh",
            "args": ["-c", script],
            "interactiveMode": "Never",
        } }));
    }

    /// The token that it works with.
    pub(crate) fn token(&self) -> String {
        let config = gotemplate::yaml::parse(&self.kubeconfig).expect("it is a kubeconfig");
        config["users"][0]["user"]["token"].as_str().expect("the user has a token").to_owned()
    }

    fn log_in_with(&mut self, way: &Value) {
        let mut config = gotemplate::yaml::parse(&self.kubeconfig).expect("it is a kubeconfig");
        for user in config["users"].as_array_mut().expect("it has users") {
            user["user"].clone_from(way);
        }
        self.kubeconfig = config.to_string();
    }

    /// Reaches the API at this address instead, where nobody has to say who it is.
    pub(crate) fn use_server(&mut self, url: &str) {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": { "server": url } }],
            "users": [{ "name": "test", "user": {} }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
            "current-context": "test",
        });
        self.kubeconfig = config.to_string();
    }

    /// Makes a revision look as if Helm had died while it was at work on it.
    pub(crate) fn make_pending(&self, release: &str, revision: u32) {
        let name = provider_helm::release::secret_name(release, revision);
        let secret = self.witness.get("secret", &name).expect("it is there");
        let mut stored = provider_helm::session::release_in(&secret).expect("it is a release");
        stored.info.status = provider_helm::release::ReleaseStatus::PendingInstall;
        let patch =
            provider_helm::release::status_patch(&stored, Timestamp::default()).expect("it can be written");
        let patched =
            self.witness.kubectl(&["patch", "secret", &name, "--type=merge", "-p", &patch.to_string()]);
        patched.expect("it can be patched");
    }

    /// Whether any file of the state directory holds this text.
    pub(crate) fn state_holds(&self, needle: &str) -> bool {
        let mut files =
            fs::read_dir(self.dir.path()).expect("it can be listed").filter_map(Result::<_, _>::ok);
        files.any(|file| {
            let bytes = fs::read(file.path()).unwrap_or_default();
            bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
        })
    }

    /// Removes the namespace.
    pub(crate) fn clean(&self) {
        let _ = self.witness.kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}

/// A request to create a cluster of `web@VERSION`.
pub(crate) fn create(name: &str, version: &str, values: Value) -> Request {
    let app = format!("web@{version}");
    Request::Create {
        name: Some(name.into()),
        app: app.as_str().into(),
        runtime: "k8s".into(),
        conf: values,
        volumes_of: None,
    }
}

/// A request to do something with a cluster.
pub(crate) fn act(name: &str, action: Action) -> Request {
    Request::Act { cluster: name.into(), action, conf: Value::Object(serde_json::Map::new()) }
}

/// A request to upgrade to `web@VERSION`, with these values over those that it has.
pub(crate) fn upgrade(name: &str, version: &str, values: Value) -> Request {
    let to = format!("web@{version}").as_str().into();
    Request::Act { cluster: name.into(), action: Action::UpgradeCluster { to, backup: false }, conf: values }
}

/// A request for other values.
pub(crate) fn update(name: &str, values: Value) -> Request {
    Request::Reconfigure { cluster: name.into(), conf: values, aim: Aim::Env }
}

/// A request to delete a cluster.
pub(crate) fn delete(name: &str, keep_history: bool) -> Request {
    act(name, Action::DeleteClusters { keep_volumes: false, force: false, keep_history })
}

/// The provider, as it registered itself.
pub(crate) fn provider(deployment: DeploymentId, data: PathBuf) -> Provider {
    // Links the plugin.
    let id = provider_helm::provider::DESCRIPTOR.id;
    let registry = Registry::discover(&["kubernetes"], &["kubernetes"]).expect("it has registered itself");
    let host = Host { deployment, data, agent: Vec::new(), clock: Arc::new(MachineClock) };
    registry.build(&ProviderId::new(id), &host).expect("it can be built")
}

fn skipped(what: &str) {
    let line = format!("SKIPPED {what}: PITRIX_TEST_KUBECONFIG names no cluster\n");
    match env::var_os("PITRIX_TEST_SKIPS") {
        Some(path) => {
            let file = fs::OpenOptions::new().append(true).create(true).open(path);
            file.and_then(|mut file| file.write_all(line.as_bytes()))
                .expect("the list of skipped tests can be written");
        }
        None => {
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

/// The machine's own time: the cluster lives in it.
pub(crate) struct MachineClock;

#[async_trait]
impl Clock for MachineClock {
    #[allow(clippy::disallowed_methods, reason = "this is where time is injected")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(since.as_millis().try_into().unwrap_or(i64::MAX))
    }

    #[allow(clippy::disallowed_methods, reason = "this is where time is injected")]
    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

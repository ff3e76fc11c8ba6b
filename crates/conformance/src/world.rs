//! Everything that outlives an executor: a state directory, a cloud with its agents, a clock.

use crate::{Cloud, Crash, ScriptedPilot, ScriptedProvider, VirtualClock, lock};
use engine::{Aim, Control, Executor, JobInfo, Options, Request, Settings, Store};
use provider_core::{Action, Archive, Credential, Error, ResourceId, Result, Runtime, Secret, Zone};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::sync::Notify;

/// The app version of the sample package.
pub const APP: &str = "sample@1.0.0";
/// The version after it.
pub const NEXT: &str = "sample@1.1.0";
/// The runtime that is the scripted cloud.
pub const RUNTIME: &str = "cloud";
/// The key in its credential.
pub const KEY: &str = "canary-key-61c1b7c0";
/// The password in every cluster's parameters.
pub const PASSWORD: &str = "canary-password-9f02e5d4";

/// A world with one installation in it. Executors come and go in [`live`](Self::live).
pub struct World {
    /// The time.
    pub clock: Arc<VirtualClock>,
    /// The outside.
    pub cloud: Arc<Cloud>,
    /// Its agents.
    pub pilot: Arc<ScriptedPilot>,
    /// Where executors crash.
    pub crash: Arc<Crash>,
    log: Arc<Mutex<Vec<String>>>,
    options: Options,
    dir: TempDir,
}

impl World {
    /// A world with the sample package and a runtime, and nothing else.
    ///
    /// # Errors
    /// Whatever the store says.
    pub fn new() -> Result<Self> {
        let clock = Arc::new(VirtualClock::default());
        let cloud = Cloud::new(clock.clone());
        cloud.require_key(KEY);
        let pilot = ScriptedPilot::new(cloud.clone(), clock.clone());
        let world = Self::around(clock, cloud, pilot)?;
        world.live(set_up).expect("no crash is planned")?;
        Ok(world)
    }

    /// A copy that goes its own way from here. No executor may be alive.
    ///
    /// # Errors
    /// `Store` when the state directory can't be copied.
    pub fn copy(&self) -> Result<Self> {
        let clock = Arc::new(self.clock.copy());
        let cloud = self.cloud.copy(clock.clone());
        let pilot = self.pilot.copy(cloud.clone(), clock.clone());
        let copy = Self::around(clock, cloud, pilot)?;
        let copied = fs::read_dir(self.dir()).and_then(|entries| {
            for entry in entries {
                let entry = entry?;
                fs::copy(entry.path(), copy.dir().join(entry.file_name()))?;
            }
            Ok(())
        });
        copied.map_err(|e| Error::store("copying a state directory").caused_by(&e))?;
        Ok(copy)
    }

    fn around(clock: Arc<VirtualClock>, cloud: Arc<Cloud>, pilot: Arc<ScriptedPilot>) -> Result<Self> {
        let dir = TempDir::new_in(scratch()).map_err(|e| Error::store("making a directory").caused_by(&e))?;
        let crash = Arc::new(Crash::new(clock.clone()));
        let mut options = Options::new(dir.path(), clock.clone());
        options.crash = crash.clone();
        Ok(Self { clock, cloud, pilot, crash, log: Arc::default(), options, dir })
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// How many commits SQLite has made in it, by its own count.
    pub fn commits(&self) -> u64 {
        self.options.commits()
    }

    /// How many requests that change something the cloud and the agents have got.
    pub fn requests(&self) -> usize {
        let is_look = |name: &str| name.starts_with("Describe") || name.starts_with("Find") || name == "look";
        let (cloud, agents) = (self.cloud.requests(), self.pilot.requests());
        cloud.into_iter().chain(agents).filter(|(name, _)| !is_look(name)).map(|(_, count)| count).sum()
    }

    /// Switches the machine of a node off, with all that runs on it, behind everybody's back.
    pub fn switch_off(&self, node: &str) {
        self.pilot.kill(node);
        self.each_instance(node, |id| self.cloud.switch_off(id));
    }

    /// Takes the machine of a node away behind everybody's back. Its volumes are free.
    pub fn lose(&self, node: &str) {
        self.each_instance(node, |id| self.cloud.vanish(id));
    }

    fn each_instance(&self, node: &str, act: impl Fn(&ResourceId)) {
        let all = self.cloud.instances();
        all.iter().filter(|instance| instance.tags.name == node).for_each(|instance| act(&instance.id));
    }

    /// What executors had to tell.
    pub fn log(&self) -> Vec<String> {
        lock(&self.log).clone()
    }

    /// One life of the process that has the store: opens it, does `work` and ends. None when it crashed, after
    /// which nothing of it runs any more.
    pub fn live<T>(&self, work: impl AsyncFnOnce(&Control) -> Result<T>) -> Option<Result<T>> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread is enough");
        let crash = self.crash.clone();
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = crash.crashed() => None,
                result = self.work(work) => Some(result),
            }
        })
    }

    async fn work<T>(&self, work: impl AsyncFnOnce(&Control) -> Result<T>) -> Result<T> {
        let store = Store::open(self.options.clone()).await?;
        let provider = ScriptedProvider::new(self.cloud.clone(), store.deployment().clone()).provider();
        let control = Control {
            store,
            providers: Arc::new(move |id| {
                if id.as_str() == provider.descriptor.id {
                    return Ok(provider.clone());
                }
                Err(Error::not_found(format!("there is no provider `{id}`")))
            }),
            pilot: self.pilot.clone(),
            clock: self.clock.clone(),
        };
        let result = work(&control).await;
        control.store.close().await;
        result
    }

    /// Has a request accepted and carried out, in a life of its own that no crash ends.
    ///
    /// # Errors
    /// As [`Control::submit`] and [`Executor::run`].
    pub fn run(&self, request: &Request) -> Result<JobInfo> {
        let run = self.live(async |control| {
            let job = control.submit(request).await?.job;
            self.execute(control, &Notify::new()).await?;
            control.store.job(&job).await
        });
        run.expect("no crash is planned")
    }

    /// Carries out all jobs that there are; `wake` says that one was accepted or asked to stop.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub async fn execute(&self, control: &Control, wake: &Notify) -> Result<()> {
        let log = self.log.clone();
        let settings = Settings {
            crash: self.crash.clone(),
            log: Arc::new(move |line| lock(&log).push(line)),
            ..Settings::default()
        };
        let executor = Executor::start(control.clone(), settings).await?;
        executor.run(wake, Duration::from_secs(1)).await
    }
}

/// A request to create the sample cluster with these nodes.
pub fn create(name: &str, db: u32, replicas: u32, web: u32) -> Request {
    let conf: Value = json!({
        "cluster": {"name": name, "db": {"count": db, "replica": replicas}, "web": {"count": web}},
        "env": {"password": PASSWORD},
    });
    Request::Create { name: None, app: APP.into(), runtime: RUNTIME.into(), conf, volumes_of: None }
}

/// A request to do something with a cluster.
pub fn act(name: &str, action: Action) -> Request {
    Request::Act { cluster: name.into(), action, conf: json!({}) }
}

/// A request for another number of nodes, or other parameters.
pub fn reconfigure(name: &str, aim: Aim, conf: Value) -> Request {
    Request::Reconfigure { cluster: name.into(), conf, aim }
}

async fn set_up(control: &Control) -> Result<()> {
    let runtime = Runtime {
        id: RUNTIME.into(),
        description: String::new(),
        provider: "scripted".into(),
        endpoint: String::new(),
        zone: Zone::new(""),
        labels: std::collections::BTreeMap::new(),
    };
    let credential = Credential::new([("key".to_owned(), Secret::new(KEY))]);
    control.store.create_runtime(&runtime, credential).await?;
    for app in [APP, NEXT] {
        push(control, app, |_, text| text).await?;
    }
    Ok(())
}

/// Pushes the sample package as this app version, each of its files after `change`.
///
/// # Errors
/// `Conflict` when there is such an app version.
pub async fn push(control: &Control, app: &str, change: impl Fn(&str, String) -> String) -> Result<()> {
    let version = app.rsplit('@').next().unwrap_or_default();
    let files = FILES.map(|(path, text)| {
        let text = if path == "package.json" { text.replace("1.0.0", version) } else { text.to_owned() };
        (path.to_owned(), change(path, text).into_bytes())
    });
    let package = Archive::from_files(files)?;
    control.store.push_app(&app.into(), &package.to_bytes("sample")?).await?;
    Ok(())
}

const FILES: [(&str, &str); 5] = [
    ("package.json", include_str!("../package/package.json")),
    ("config.json", include_str!("../package/config.json")),
    ("cluster.json.tmpl", include_str!("../package/cluster.json.tmpl")),
    ("templates.json", include_str!("../package/templates.json")),
    ("templates/db.conf.tera", include_str!("../package/templates/db.conf.tera")),
];

/// The sample package: a database with two disks on each node and replicas, and a web front that starts after
/// it and stops before it.
///
/// # Errors
/// None that can happen.
pub fn package() -> Result<Archive> {
    Archive::from_files(FILES.map(|(path, text)| (path.to_owned(), text.into())))
}

/// Memory, where there is such a directory: a crash here takes the process and not the power, so nothing has
/// to reach a disk.
fn scratch() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

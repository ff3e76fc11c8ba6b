//! A local provider in a temporary directory, with a gateway, an in-memory ledger and a stand-in for the agent.

use crate::{Local, client::DataDir, model::InstanceFile, process::Identity};
use async_trait::async_trait;
use conformance::{MemoryLedger, NoRecords};
use provider_core::{
    Attachment, Cancel, Clock, ClusterId, ContainerKind, Credential, DeploymentId, DiskId, Gateway, Handle,
    Host, InstanceReady, InstanceRef, InstanceSpec, JobId, Look, NoCrash, NodeId, Progress,
    ProviderHandlerInterface, ResourceId, RoleName, Runtime, RuntimeId, Started, TaskContext, TaskId,
    Timestamp, VolumeRef, VolumeSpec, Zone,
};
use rustix::io::{FdFlags, fcntl_setfd};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::net::UnixListener,
    path::Path,
    process::{Command, exit},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

/// What the stand-in does besides taking the locks, starting a child and listening.
#[derive(Clone, Copy, Debug)]
pub(super) enum Agent {
    /// Ends its child and itself when it is asked to.
    Obedient,
    /// Ignores that it is asked to.
    Stubborn,
    /// Ends itself only; its child has the token, not the lock.
    LeavesMarked,
    /// Ends itself only; its child has the lock, not the token.
    LeavesLocked,
    /// Ends as soon as it is started.
    Dies,
}

/// Not a test of its own: this test program is the agent's program too, and here it begins.
#[test]
fn stand_in() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [.., mode, dir] = &arguments[..]
        && Path::new(dir).join("instance.json").exists()
    {
        serve(mode, Path::new(dir));
    }
}

fn serve(mode: &str, dir: &Path) {
    if mode == "Dies" {
        eprintln!("no luck today");
        exit(3);
    }
    let only_one = File::create(dir.join("drone.lock")).unwrap();
    if only_one.try_lock().is_err() {
        exit(0);
    }
    let lock = File::create(dir.join("lock")).unwrap();
    lock.lock().unwrap();
    if mode != "LeavesMarked" {
        fcntl_setfd(&lock, FdFlags::empty()).unwrap();
    }
    let instance: InstanceFile =
        serde_json::from_slice(&fs::read(dir.join("instance.json")).unwrap()).unwrap();
    let mut child = Command::new("sleep");
    child.arg("1000");
    if mode != "LeavesLocked" {
        child.env("PITRIX_INSTANCE", &instance.token);
    }
    let mut child = child.spawn().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut asked = signal(SignalKind::terminate()).unwrap();
        let _ = fs::remove_file("drone.sock");
        let _listener = UnixListener::bind("drone.sock").unwrap();
        while asked.recv().await.is_some() && mode == "Stubborn" {}
    });
    if mode == "Obedient" {
        child.kill().unwrap();
        child.wait().unwrap();
        fs::write(dir.join("root/ended"), "").unwrap();
    }
    exit(0);
}

/// The provider and what it works with. Whatever runs is ended when it is dropped.
pub(super) struct Site {
    pub(super) local: Local,
    pub(super) gateway: Gateway,
    pub(super) ledger: Arc<MemoryLedger>,
    next_task: AtomicU32,
    _dir: TempDir,
}

impl Site {
    pub(super) fn new(agent: Agent) -> Self {
        Self::at(agent, "data")
    }

    pub(super) fn at(agent: Agent, path: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = std::env::current_exe().unwrap().display().to_string();
        let arguments = ["--exact", "--nocapture", "tests::site::stand_in"].map(str::to_owned);
        let host = Host {
            deployment: DeploymentId::new("d-1"),
            data: dir.path().join(path),
            agent: [program].into_iter().chain(arguments).chain([format!("{agent:?}")]).collect(),
            clock: Arc::new(RealSleep),
        };
        let ledger = Arc::new(MemoryLedger::default());
        let gateway = Gateway::new(
            host.deployment.clone(),
            ledger.clone(),
            Arc::new(|future| drop(tokio::spawn(future))),
            Arc::new(NoCrash),
            8,
        );
        Self { local: Local::new(host), gateway, ledger, next_task: AtomicU32::new(0), _dir: dir }
    }

    /// The same with another time for agents to end in.
    pub(super) fn with_grace(mut self, grace: Duration) -> Self {
        let mut data = self.data().clone();
        data.grace = grace;
        self.local.data = Arc::new(data);
        self
    }

    pub(super) fn data(&self) -> &DataDir {
        &self.local.data
    }

    pub(super) fn look(&self) -> Look {
        self.look_at(runtime())
    }

    pub(super) fn look_at(&self, runtime: Runtime) -> Look {
        Look::new(
            Arc::new(runtime),
            Arc::new(Credential::default()),
            Arc::new(RealSleep),
            Cancel::new().1,
            Arc::new(NoRecords),
            Arc::new(NoRecords),
        )
    }

    /// The context of a task that is alone in its layer.
    pub(super) fn task(&self) -> TaskContext {
        let layer = self.next_task.fetch_add(1, Ordering::Relaxed);
        self.task_at(TaskId { layer, index: 0 })
    }

    pub(super) fn task_at(&self, task: TaskId) -> TaskContext {
        let seat = self.gateway.seat(&JobId::new("j-1"), task);
        TaskContext::new(self.look(), self.gateway.clone(), seat)
    }

    /// Runs an instance until it is ready.
    pub(super) async fn run(&self, node: &str) -> InstanceReady {
        let want = instance_spec(node);
        let Started::Pending(at) = self.local.run_instances(&self.task(), &want).await.unwrap() else {
            panic!("an agent takes time to come up")
        };
        self.ready(&want, &at).await
    }

    /// Waits until the instance of a task that has been started is ready.
    pub(super) async fn ready(&self, want: &InstanceSpec, at: &Handle) -> InstanceReady {
        for _ in 0..2000 {
            match self.local.wait_run_instances(&self.look(), want, at).await.unwrap() {
                Progress::Done(ready) => return ready,
                Progress::Pending { again, .. } => RealSleep.sleep(again).await,
                Progress::Lost { why } => panic!("{why}"),
            }
        }
        panic!("instance `{}` never gets ready", at.resource)
    }

    pub(super) async fn stop(&self, instance: &InstanceRef) {
        assert_eq!(self.local.stop_instances(&self.task(), instance).await.unwrap(), Started::Done(()));
    }

    /// A new volume of this node.
    pub(super) async fn volume(&self, node: &str) -> VolumeRef {
        let disk = DiskId { node: NodeId::new(node), index: 0 };
        let want = VolumeSpec {
            cluster: ClusterId::new("cl-1"),
            name: format!("app-{disk}"),
            disk,
            size_gib: 5,
            zone: Zone::new("local"),
        };
        let Started::Done(made) = self.local.create_volumes(&self.task(), &want).await.unwrap() else {
            panic!("making a directory takes no waiting")
        };
        let looked = self.local.wait_create_volumes(&self.look(), &want, &at(&made.id)).await.unwrap();
        assert_eq!(looked, Progress::Done(made.clone()));
        VolumeRef { cluster: want.cluster, disk: want.disk, id: made.id, zone: want.zone }
    }

    pub(super) fn identity(&self, id: &ResourceId) -> Identity {
        self.data().identity(id, &self.data().instances.get(id).unwrap()).unwrap()
    }

    /// Everything in the data directory, two levels deep.
    pub(super) fn directories(&self) -> Vec<String> {
        let data = &self.data().host.data;
        let mut all = Vec::new();
        for shelf in ["instances", "volumes"] {
            for entry in fs::read_dir(data.join(shelf)).into_iter().flatten() {
                all.push(entry.unwrap().file_name().into_string().unwrap());
            }
        }
        all.sort();
        all
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for (id, instance) in self.data().instances.all().unwrap_or_default() {
            if let Ok(identity) = self.data().identity(&id, &instance) {
                let _ = identity.end(Duration::ZERO);
            }
        }
    }
}

pub(super) fn runtime() -> Runtime {
    Runtime {
        id: RuntimeId::new("local"),
        description: String::new(),
        provider: "local".into(),
        endpoint: String::new(),
        zone: Zone::new(""),
        labels: BTreeMap::new(),
    }
}

pub(super) fn instance_spec(node: &str) -> InstanceSpec {
    InstanceSpec {
        cluster: ClusterId::new("cl-1"),
        node: NodeId::new(node),
        role: RoleName::new("main"),
        name: format!("app-{node}"),
        cpu: 1,
        memory_mib: 64,
        gpu: 0,
        instance_size_gib: 10,
        instance_type: String::new(),
        image: String::new(),
        container: ContainerKind::Process,
        zone: Zone::new("local"),
        subnet: None,
    }
}

pub(super) fn at(id: &ResourceId) -> Handle {
    Handle { resource: id.clone(), cloud_job: None }
}

pub(super) fn instance_ref(node: &str, id: &ResourceId) -> InstanceRef {
    InstanceRef {
        cluster: ClusterId::new("cl-1"),
        node: NodeId::new(node),
        id: id.clone(),
        zone: Zone::new("local"),
    }
}

pub(super) fn attachment(volume: &VolumeRef, instance: Option<&ResourceId>) -> Attachment {
    Attachment { volume: volume.clone(), instance: instance.cloned(), mount_point: "/data".into() }
}

struct RealSleep;

#[async_trait]
impl Clock for RealSleep {
    fn now(&self) -> Timestamp {
        Timestamp(1_000)
    }

    #[allow(clippy::disallowed_methods, reason = "what is waited for are real processes")]
    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

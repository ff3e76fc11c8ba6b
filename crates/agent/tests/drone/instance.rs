//! An instance with a drone, and what is asked of them.

use agent::UnixPilot;
use provider_core::{Command, CommandState, Health, Pilot, Report, Token};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{CWD, Mode, mkfifoat},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal},
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// Longer than anything here takes; what takes longer fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An instance with its drone.
pub(crate) struct Instance {
    pub(crate) place: TempDir,
    pub(crate) keeper: Child,
    pub(crate) agent: String,
}

impl Instance {
    pub(crate) async fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        // Longer than the address of a socket may be.
        let directory = place.path().join("d".repeat(120));
        fs::create_dir(&directory).unwrap();
        let token = token(&place);
        let identity = serde_json::json!({
            "version": 1, "deployment": "dep", "cluster": "cl-1", "node": "db-1", "address": "127.1.2.3",
            "token": token, "cpu": 1, "memory_mib": 512, "a_later_field": true,
        });
        fs::write(directory.join("instance.json"), identity.to_string()).unwrap();
        let agent = format!("unix:{}/drone.sock", directory.display());
        let mut instance = Self { keeper: start_keeper(&directory), place, agent };
        instance.answers().await;
        instance
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.place.path().join("d".repeat(120))
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.directory().join(below)
    }

    /// Waits until the drone answers. If it does not, its log says why.
    pub(crate) async fn answers(&mut self) {
        let keeper = &mut self.keeper;
        let answer = async {
            loop {
                match UnixPilot.status(&self.agent).await {
                    Ok(_) => return Ok(()),
                    Err(error) => match keeper.try_wait().unwrap() {
                        Some(end) => return Err(format!("the keeper has ended: {end}; {error:?}")),
                        None => tokio::task::yield_now().await,
                    },
                }
            }
        };
        let answered = match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answered) => answered,
            Err(_) => Err(format!("not in time; {:?}", UnixPilot.status(&self.agent).await.err())),
        };
        if let Err(why) = answered {
            let log = fs::read_to_string(self.path("log/drone.log")).unwrap_or_else(|e| e.to_string());
            panic!("the drone does not answer: {why}\n{log}");
        }
    }

    pub(crate) async fn submit(&self, id: &str, command: &Command) {
        UnixPilot.submit(&self.agent, &Token::new(id), command).await.unwrap();
    }

    pub(crate) async fn state(&self, id: &str, patience: Duration) -> CommandState {
        UnixPilot.look(&self.agent, &Token::new(id), patience).await.unwrap()
    }

    pub(crate) async fn end(&self, id: &str) -> Report {
        match self.state(id, PATIENCE).await {
            CommandState::Ended(report) => report,
            other => panic!("command {id} is {other:?}"),
        }
    }

    pub(crate) async fn run(&self, id: &str, command: &Command) -> Report {
        self.submit(id, command).await;
        self.end(id).await
    }

    /// Runs a command line that succeeds, for its output.
    pub(crate) async fn sh(&self, id: &str, cmd: &str) -> String {
        let report = self.run(id, &service(cmd)).await;
        assert_eq!(report.error, None, "{}", report.output);
        report.output
    }

    pub(crate) async fn processes(&self) -> u32 {
        UnixPilot.status(&self.agent).await.unwrap().processes
    }

    /// Waits until the application's health is like this.
    pub(crate) async fn health(&self, is: impl Fn(&Health) -> bool) -> Health {
        let answer = async {
            loop {
                let status = UnixPilot.status(&self.agent).await;
                match status.ok().and_then(|status| status.health) {
                    Some(health) if is(&health) => return health,
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, answer).await.expect("the health that is waited for")
    }

    pub(crate) fn worker(&self) -> Pid {
        let keeper = self.keeper.id();
        let children = fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap();
        let is_worker = |pid: &&str| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains("PITRIX_DRONE_KEEPER=")
        };
        let worker = children.split_whitespace().find(is_worker).expect("the keeper has a worker");
        Pid::from_raw(worker.parse().unwrap()).unwrap()
    }

    /// Makes a pipe in the root, at whose two ends a command and the test meet.
    pub(crate) fn pipe(&self, name: &str) -> PathBuf {
        let path = self.path("root").join(name);
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        path
    }

    /// The token of the instance.
    pub(crate) fn token(&self) -> String {
        token(&self.place)
    }

    /// Has the keeper end everything.
    pub(crate) fn stop(&mut self) {
        kill_process(Pid::from_child(&self.keeper), Signal::TERM).unwrap();
        assert!(self.keeper.wait().unwrap().success());
    }

    /// Starts another keeper.
    pub(crate) async fn start_again(&mut self) {
        self.keeper = start_keeper(&self.directory());
        self.answers().await;
    }

    /// Kills the worker and waits until it has ended.
    pub(crate) fn kill_worker(&self) {
        let worker = Pinned(pidfd_open(self.worker(), PidfdFlags::empty()).unwrap());
        kill_process(self.worker(), Signal::KILL).unwrap();
        worker.ends();
    }

    /// Whether something of the instance runs.
    pub(crate) fn is_running(&self) -> bool {
        File::open(self.path("lock")).unwrap().try_lock().is_err()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Ok(None) = self.keeper.try_wait() {
            kill_process(Pid::from_child(&self.keeper), Signal::TERM).ok();
            self.keeper.wait().ok();
        }
    }
}

/// Tests run side by side, and each has its own instance.
fn token(place: &TempDir) -> String {
    format!("token-of{}", place.path().display())
}

pub(crate) fn start_keeper(directory: &Path) -> Child {
    let mut drone = std::process::Command::new(env!("CARGO_BIN_EXE_drone"));
    drone.arg(directory).stdin(Stdio::null()).spawn().unwrap()
}

pub(crate) fn service(cmd: &str) -> Command {
    named("start", cmd)
}

/// A service of that name.
pub(crate) fn named(name: &str, cmd: &str) -> Command {
    Command::Service { name: name.into(), cmd: cmd.into(), timeout_s: 60, params: BTreeMap::new() }
}

/// A process that no other can be taken for.
pub(crate) struct Pinned(pub(crate) OwnedFd);

impl Pinned {
    /// The process that has written its id to a file.
    pub(crate) fn new(file: &Path) -> Self {
        let pid = fs::read_to_string(file).unwrap().trim().parse().unwrap();
        Self(pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap())
    }

    pub(crate) fn lives(&self) -> bool {
        self.poll(Duration::ZERO) == 0
    }

    pub(crate) fn kill(&self) {
        pidfd_send_signal(&self.0, Signal::KILL).unwrap();
        self.ends();
    }

    /// Waits for its end.
    pub(crate) fn ends(&self) {
        assert_eq!(self.poll(PATIENCE), 1, "it has ended");
    }

    fn poll(&self, patience: Duration) -> usize {
        let patience = Timespec::try_from(patience).unwrap();
        poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&patience)).unwrap()
    }
}

/// Waits until a command writes to the pipe.
pub(crate) async fn hear(pipe: PathBuf) {
    tokio::task::spawn_blocking(|| fs::read(pipe)).await.unwrap().unwrap();
}

/// Waits until a command reads from the pipe.
pub(crate) async fn tell(pipe: PathBuf) {
    tokio::task::spawn_blocking(|| fs::write(pipe, "\n")).await.unwrap().unwrap();
}

/// A daemon that leaves its parent, its session and its output behind, and writes its id to a file.
pub(crate) fn daemon(file: &str) -> String {
    format!(
        "mkfifo {file}.ready; setsid sh -c 'echo $$ >{file}; echo >{file}.ready; exec sleep 1000' >/dev/null 2>&1 & read x <{file}.ready"
    )
}

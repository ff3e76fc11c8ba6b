//! The drone as its users meet it: a real program in a real directory, driven through the pilot. Everything is
//! awaited by an answer or a lock; nothing by time.

use agent::UnixPilot;
use provider_core::{
    Command, CommandState, Configuration, ErrorKind, PackageFile, Pilot, Report, Secret, Template, Token,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::{
    fs::{self, File},
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// Longer than anything here takes; what takes longer fails.
const PATIENCE: Duration = Duration::from_secs(60);
const TOKEN: &str = "5e1f0c7a";

/// An instance with its drone.
struct Instance {
    place: TempDir,
    keeper: Child,
    agent: String,
}

impl Instance {
    async fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        // Longer than the address of a socket may be.
        let directory = place.path().join("d".repeat(120));
        fs::create_dir(&directory).unwrap();
        // The token is the instance's own: tests run side by side.
        let token = format!("{TOKEN}{}", place.path().display());
        let identity = serde_json::json!({
            "version": 1, "deployment": "dep", "cluster": "cl-1", "node": "db-1", "address": "127.1.2.3",
            "token": token, "cpu": 1, "memory_mib": 512, "a_later_field": true,
        });
        fs::write(directory.join("instance.json"), identity.to_string()).unwrap();
        let agent = format!("unix:{}/drone.sock", directory.display());
        let instance = Self { keeper: start_keeper(&directory), place, agent };
        instance.answers().await;
        instance
    }

    fn directory(&self) -> PathBuf {
        self.place.path().join("d".repeat(120))
    }

    fn path(&self, below: &str) -> PathBuf {
        self.directory().join(below)
    }

    /// Waits until the drone answers.
    async fn answers(&self) {
        let answer = async {
            while UnixPilot.status(&self.agent).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, answer).await.expect("the drone answers");
    }

    async fn submit(&self, id: &str, command: &Command) {
        UnixPilot.submit(&self.agent, &Token::new(id), command).await.unwrap();
    }

    async fn state(&self, id: &str, patience: Duration) -> CommandState {
        UnixPilot.look(&self.agent, &Token::new(id), patience).await.unwrap()
    }

    async fn end(&self, id: &str) -> Report {
        match self.state(id, PATIENCE).await {
            CommandState::Ended(report) => report,
            other => panic!("command {id} is {other:?}"),
        }
    }

    async fn run(&self, id: &str, command: &Command) -> Report {
        self.submit(id, command).await;
        self.end(id).await
    }

    /// Runs a command line that succeeds, for its output.
    async fn sh(&self, id: &str, cmd: &str) -> String {
        let report = self.run(id, &service(cmd)).await;
        assert_eq!(report.error, None, "{}", report.output);
        report.output
    }

    async fn processes(&self) -> u32 {
        UnixPilot.status(&self.agent).await.unwrap().processes
    }

    fn worker(&self) -> Pid {
        let keeper = self.keeper.id();
        let children = fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap();
        let is_worker = |pid: &&str| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains("PITRIX_DRONE_KEEPER=")
        };
        let worker = children.split_whitespace().find(is_worker).expect("the keeper has a worker");
        Pid::from_raw(worker.parse().unwrap()).unwrap()
    }

    /// Kills the worker and waits until it has ended.
    fn kill_worker(&self) {
        let worker = Pinned(pidfd_open(self.worker(), PidfdFlags::empty()).unwrap());
        kill_process(self.worker(), Signal::KILL).unwrap();
        worker.ends();
    }

    /// Whether something of the instance runs.
    fn is_running(&self) -> bool {
        File::open(self.path("lock")).unwrap().try_lock().is_err()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        kill_process(Pid::from_child(&self.keeper), Signal::TERM).ok();
        self.keeper.wait().ok();
    }
}

fn start_keeper(directory: &Path) -> Child {
    let mut drone = std::process::Command::new(env!("CARGO_BIN_EXE_drone"));
    drone.arg(directory).stdin(Stdio::null()).spawn().unwrap()
}

fn service(cmd: &str) -> Command {
    Command::Service { name: "start".into(), cmd: cmd.into(), timeout_s: 60 }
}

/// A process that no other can be taken for.
struct Pinned(OwnedFd);

impl Pinned {
    /// The process that has written its id to a file.
    fn new(file: &Path) -> Self {
        let pid = fs::read_to_string(file).unwrap().trim().parse().unwrap();
        Self(pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap())
    }

    fn lives(&self) -> bool {
        self.poll(Duration::ZERO) == 0
    }

    /// Waits for its end.
    fn ends(&self) {
        assert_eq!(self.poll(PATIENCE), 1, "it has ended");
    }

    fn poll(&self, patience: Duration) -> usize {
        let patience = Timespec::try_from(patience).unwrap();
        poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&patience)).unwrap()
    }
}

/// A daemon that leaves its parent, its session and its output behind, and writes its id to a file.
fn daemon(file: &str) -> String {
    format!(
        "mkfifo {file}.ready; setsid sh -c 'echo $$ >{file}; echo >{file}.ready; exec sleep 1000' >/dev/null 2>&1 & read x <{file}.ready"
    )
}

#[tokio::test]
async fn a_failing_command_is_reported_with_code_and_tail() {
    let instance = Instance::start().await;
    let report = instance.run("c1", &service("echo of no use; echo >&2 out of luck; exit 7")).await;
    let error = report.error.unwrap();
    assert_eq!((error.kind(), report.exit_code), (ErrorKind::Failed, Some(7)));
    assert_eq!(error.to_string(), "service `start` ended with exit code 7");
    assert_eq!(report.output, "of no use\nout of luck\n");
    let logs = UnixPilot.logs(&instance.agent, 1).await.unwrap();
    assert_eq!(logs, "==> 1-start <==\nout of luck\n");
    assert_eq!(instance.state("never", Duration::ZERO).await, CommandState::Unknown);
}

#[tokio::test]
async fn a_command_finds_its_node_in_the_environment_and_nothing_else_of_ours() {
    let instance = Instance::start().await;
    let text = instance.sh("c-1", "pwd; env | grep PITRIX_ | sort").await;
    let root = instance.path("root").canonicalize().unwrap();
    let token = format!("{TOKEN}{}", instance.place.path().display());
    let root = root.display();
    assert_eq!(
        text,
        format!(
            "{root}\nPITRIX_ADDRESS=127.1.2.3\nPITRIX_COMMAND=c-1\nPITRIX_INSTANCE={token}\nPITRIX_NODE=db-1\nPITRIX_ROOT={root}\n"
        )
    );
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_at_its_timeout_with_its_children_and_daemons() {
    let instance = Instance::start().await;
    instance.sh("before", &daemon("app")).await;
    // One daemon keeps its environment, one throws it away, and the shell hangs.
    let cmd =
        format!("{}; {}; sleep 1000", daemon("kept"), daemon("bare").replace("setsid", "env -i setsid"));
    let hang = Command::Service { name: "hang".into(), cmd, timeout_s: 1 };
    let report = instance.run("hang", &hang).await;
    let error = report.error.unwrap();
    assert_eq!((error.kind(), report.exit_code), (ErrorKind::TimedOut, None));
    assert_eq!(error.to_string(), "service `hang` did not end within 1s and was killed");
    assert_eq!(instance.processes().await, 1, "only the daemon of the command before");
    assert!(Pinned::new(&instance.path("root/app")).lives());
}

#[tokio::test]
async fn the_same_id_is_the_same_command() {
    let instance = Instance::start().await;
    let command = service("echo once >>ran");
    instance.submit("c1", &command).await;
    instance.submit("c1", &command).await;
    instance.end("c1").await;
    instance.submit("c1", &command).await;
    instance.kill_worker();
    instance.answers().await;
    instance.submit("c1", &command).await;
    instance.sh("c2", "true").await;
    assert_eq!(fs::read_to_string(instance.path("root/ran")).unwrap(), "once\n");
    assert_eq!(instance.end("c1").await.exit_code, Some(0));
    for id in ["", "a/b", "a=b", &"x".repeat(200)] {
        let refused = UnixPilot.submit(&instance.agent, &Token::new(id), &command).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
}

#[tokio::test]
async fn a_look_does_not_wait_behind_a_command_and_commands_run_in_order() {
    let instance = Instance::start().await;
    instance.submit("first", &service("mkfifo gate; read x <gate; echo first >>order")).await;
    instance.submit("second", &service("echo second >>order")).await;
    assert_eq!(instance.state("second", Duration::ZERO).await, CommandState::Running);
    let patient = tokio::spawn({
        let agent = instance.agent.clone();
        async move { UnixPilot.look(&agent, &Token::new("second"), PATIENCE).await }
    });
    assert_eq!(instance.state("first", Duration::ZERO).await, CommandState::Running);
    let gate = instance.path("root/gate");
    // Opens when the command reads.
    tokio::task::spawn_blocking(move || {
        while !gate.exists() {
            std::thread::yield_now();
        }
        fs::write(gate, "\n").unwrap();
    })
    .await
    .unwrap();
    assert!(matches!(patient.await.unwrap().unwrap(), CommandState::Ended(_)));
    assert_eq!(fs::read_to_string(instance.path("root/order")).unwrap(), "first\nsecond\n");
}

#[tokio::test]
async fn a_killed_worker_comes_back_and_what_it_ran_is_lost() {
    let instance = Instance::start().await;
    instance.sh("app", &daemon("app")).await;
    let app = Pinned::new(&instance.path("root/app"));
    instance.submit("cut", &service(&format!("{}; mkfifo cut; echo >cut; sleep 1000", daemon("half")))).await;
    instance.submit("next", &service("echo next")).await;
    let (cut, half) = (instance.path("root/cut"), instance.path("root/half"));
    let half = tokio::task::spawn_blocking(move || {
        while !cut.exists() {
            std::thread::yield_now();
        }
        fs::read(cut).unwrap();
        Pinned::new(&half)
    })
    .await
    .unwrap();

    instance.kill_worker();
    instance.answers().await;
    let lost = instance.end("cut").await.error.unwrap();
    assert_eq!(lost.kind(), ErrorKind::Lost);
    assert_eq!(instance.end("next").await.output, "next\n");
    assert!(app.lives() && !half.lives());
    assert_eq!(fs::read_dir(instance.path("drone/queue")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_killed_keeper_leaves_the_lock_to_the_daemons_and_the_next_one_ends_them() {
    let mut instance = Instance::start().await;
    instance.sh("app", &daemon("app")).await;
    let bare = daemon("bare").replace("setsid", "env -i setsid");
    instance.sh("bare", &bare).await;
    let daemons = ["app", "bare"].map(|name| Pinned::new(&instance.path("root").join(name)));
    let worker = Pinned(pidfd_open(instance.worker(), PidfdFlags::empty()).unwrap());
    instance.keeper.kill().unwrap();
    instance.keeper.wait().unwrap();
    // The worker goes with its keeper.
    worker.ends();
    assert!(instance.is_running() && daemons.iter().all(Pinned::lives));

    instance.keeper = start_keeper(&instance.directory());
    instance.answers().await;
    assert!(!daemons.iter().any(Pinned::lives));
    assert_eq!(instance.processes().await, 0);
    assert_eq!(instance.end("app").await.exit_code, Some(0), "what ended is known still");
}

#[tokio::test]
async fn a_second_keeper_leaves_the_first_alone() {
    let instance = Instance::start().await;
    instance.sh("app", &daemon("app")).await;
    assert!(start_keeper(&instance.directory()).wait().unwrap().success());
    assert_eq!(instance.processes().await, 1);
    let log = fs::read_to_string(instance.path("log/drone.log")).unwrap();
    assert!(log.contains("another drone keeps this instance"), "{log}");
}

#[tokio::test]
async fn sigterm_ends_everything_and_frees_the_locks() {
    let mut instance = Instance::start().await;
    instance.sh("app", &daemon("app")).await;
    instance.submit("busy", &service("sleep 1000")).await;
    let app = Pinned::new(&instance.path("root/app"));
    assert!(instance.is_running());
    kill_process(Pid::from_child(&instance.keeper), Signal::TERM).unwrap();
    assert!(instance.keeper.wait().unwrap().success());
    assert!(!app.lives() && !instance.is_running());
    File::open(instance.path("drone.lock")).unwrap().try_lock().unwrap();
    assert!(!instance.path("drone.sock").exists());
    let away = UnixPilot.status(&instance.agent).await.unwrap_err();
    assert_eq!(away.kind(), ErrorKind::Unavailable);

    instance.keeper = start_keeper(&instance.directory());
    instance.answers().await;
    assert_eq!(instance.end("busy").await.error.unwrap().kind(), ErrorKind::Lost);
}

fn configuration(secret: &str) -> Configuration {
    let template = |dest: &str, source: &str, reload: Option<&str>| Template {
        source: source.into(),
        dest: dest.into(),
        mode: 0o640,
        reload: reload.map(str::to_owned),
    };
    Configuration {
        cluster: "cl-1".into(),
        node: "db-1".into(),
        files: [("/bin/hello".into(), PackageFile { content: b"#!/bin/sh\necho hello".into(), mode: 0o755 })]
            .into(),
        templates: vec![
            template("/etc/app.conf", "password {{ env.password }}\n", Some("echo app >>reloads")),
            template(
                "/etc/hosts.conf",
                "{% for id, h in hosts.db %}{{ id }} {{ h.ip }}\n{% endfor %}",
                Some("echo hosts >>reloads"),
            ),
            template("/etc/same.conf", "{{ env.password }}", Some("echo app >>reloads")),
        ],
        metadata: metadata(secret, "10.0.0.1"),
        passphraseless: None,
        custom_metadata: None,
    }
}

fn metadata(secret: &str, ip: &str) -> Secret {
    let metadata =
        serde_json::json!({ "env": { "password": secret }, "hosts": { "db": { "db-1": { "ip": ip } } } });
    Secret::new(metadata.to_string())
}

#[tokio::test]
async fn configuration_is_rendered_and_only_what_changed_is_reloaded() {
    let instance = Instance::start().await;
    let early = instance.run("early", &Command::Metadata(metadata("s3cret", "10.0.0.1"))).await;
    assert_eq!(early.error.unwrap().kind(), ErrorKind::Conflict);
    let report = instance.run("configure", &Command::Configure(Box::new(configuration("s3cret")))).await;
    assert_eq!(report, Report::default());
    let read = |path: &str| fs::read_to_string(instance.path("root").join(path)).unwrap();
    assert_eq!(read("etc/app.conf"), "password s3cret\n");
    assert_eq!(read("etc/hosts.conf"), "db-1 10.0.0.1\n");
    let mode = fs::metadata(instance.path("root/etc/app.conf")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(instance.sh("hello", "bin/hello").await, "hello\n");
    assert_eq!(UnixPilot.status(&instance.agent).await.unwrap().node.unwrap().as_str(), "db-1");
    assert!(!instance.path("root/reloads").exists(), "nothing runs yet that could reload");

    let push = async |id: &str, secret: &str, ip: &str| {
        let report = instance.run(id, &Command::Metadata(metadata(secret, ip))).await;
        assert_eq!(report, Report::default());
        fs::read_to_string(instance.path("root/reloads")).unwrap_or_default()
    };
    assert_eq!(push("m1", "s3cret", "10.0.0.1").await, "");
    assert_eq!(push("m2", "s3cret", "10.0.0.2").await, "hosts\n");
    assert_eq!(push("m3", "other", "10.0.0.2").await, "hosts\napp\n", "one command for two files runs once");
    assert_eq!(read("etc/hosts.conf"), "db-1 10.0.0.2\n");

    // A package without some of the files: they go.
    let mut next = configuration("other");
    next.files.clear();
    next.templates.remove(2);
    next.metadata = metadata("other", "10.0.0.2");
    instance.run("next", &Command::Configure(Box::new(next))).await;
    assert!(!instance.path("root/bin/hello").exists() && !instance.path("root/etc/same.conf").exists());
    let reloads = fs::read_to_string(instance.path("root/reloads")).unwrap();
    assert_eq!(reloads, "hosts\napp\n");
}

#[tokio::test]
async fn a_failed_reload_is_reported_and_runs_again_with_the_next_metadata() {
    let instance = Instance::start().await;
    let mut node = configuration("a");
    node.templates.truncate(1);
    node.templates[0].reload = Some("test -e ready || { echo not ready; exit 3; }; echo >reloaded".into());
    instance.run("configure", &Command::Configure(Box::new(node))).await;
    let report = instance.run("m1", &Command::Metadata(metadata("b", ""))).await;
    assert_eq!((report.error.unwrap().kind(), report.output.as_str()), (ErrorKind::Failed, "not ready\n"));
    fs::write(instance.path("root/ready"), "").unwrap();
    let report = instance.run("m2", &Command::Metadata(metadata("b", ""))).await;
    assert_eq!(report.error, None);
    assert!(instance.path("root/reloaded").exists());
}

#[tokio::test]
async fn a_configuration_that_can_not_be_is_refused_whole() {
    let instance = Instance::start().await;
    let check = async |id: &str, change: &dyn Fn(&mut Configuration), error: &str| {
        let mut node = configuration("s3cret");
        change(&mut node);
        let report = instance.run(id, &Command::Configure(Box::new(node))).await;
        assert_eq!(report.error.unwrap().to_string(), error);
    };
    let source = |text: &'static str| move |node: &mut Configuration| node.templates[0].source = text.into();
    check(
        "undefined",
        &source("a\n{{ env.pasword }}"),
        "rendering `/etc/app.conf`, line 2: Field `pasword` is not defined. Available fields: password",
    )
    .await;
    check("node", &|node| node.node = "db-2".into(), "a configuration of node `db-2` came to node `db-1`")
        .await;
    check(
        "path",
        &|node| {
            let file = node.files.pop_first().unwrap().1;
            node.files.insert("/../../escaped".into(), file);
        },
        "path `/../../escaped` on the node has a `..`",
    )
    .await;
    std::os::unix::fs::symlink(instance.place.path(), instance.path("root/etc")).unwrap();
    check("link", &|_| {}, "`/etc/app.conf` leads through `/etc`, a link that is no mount point").await;
    let names: Vec<_> = fs::read_dir(instance.place.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing was written outside of the instance");
}

#[tokio::test]
async fn keys_and_tokens_are_made_once_and_reported() {
    let instance = Instance::start().await;
    let mut node = configuration("s3cret");
    node.passphraseless = Some("ssh-ed25519".into());
    node.custom_metadata = Some(("echo t0ken-$$; echo more".into(), 60));
    let configure = Command::Configure(Box::new(node.clone()));
    let first = instance.run("c1", &configure).await;
    assert_eq!(first.error, None);
    assert!(first.public_key.as_ref().unwrap().starts_with("ssh-ed25519 "));
    let token = first.token.as_ref().unwrap();
    assert!(token.starts_with("t0ken-") && !token.contains("more"));
    let key = fs::metadata(instance.path("root/root/.ssh/id_ed25519")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    assert_eq!(instance.run("c2", &configure).await, first);

    node.custom_metadata = Some(("echo no luck; exit 4".into(), 60));
    let report = instance.run("c3", &Command::Configure(Box::new(node.clone()))).await;
    assert_eq!((report.exit_code, report.output.as_str()), (Some(4), "no luck\n"));
    node.passphraseless = Some("ssh-dsa".into());
    let report = instance.run("c4", &Command::Configure(Box::new(node))).await;
    assert_eq!(report.error.unwrap().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn secrets_are_nowhere_but_in_the_files_of_the_application() {
    let instance = Instance::start().await;
    let secret = "Xq9-secret-value";
    instance.run("c", &Command::Configure(Box::new(configuration(secret)))).await;
    instance.run("m", &Command::Metadata(metadata(&format!("{secret}2"), "10.0.0.9"))).await;
    let mut broken = configuration(secret);
    broken.templates[0].source = "{{ env.password | int }}".into();
    let refused = instance.run("r", &Command::Configure(Box::new(broken))).await;
    assert!(!serde_json::to_string(&refused).unwrap().contains(secret));
    let mut seen = 0;
    let mut todo = vec![instance.path("log"), instance.path("drone")];
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            seen += 1;
            let text = fs::read(&path).unwrap();
            assert!(!String::from_utf8_lossy(&text).contains(secret), "{}", path.display());
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
        }
    }
    assert!(seen >= 4, "drone.log, a reload log, journal and state were looked at");
}

#[tokio::test]
async fn a_directory_is_mounted_and_what_uses_it_is_ended_before_it_goes() {
    let instance = Instance::start().await;
    let volume = instance.place.path().join("volume");
    fs::create_dir(&volume).unwrap();
    let mount = |device: &Path, mount_point: &str| Command::Mount {
        device: device.to_str().unwrap().into(),
        mount_point: mount_point.into(),
        filesystem: "ext4".into(),
        mount_options: String::new(),
    };
    let unmount = || Command::Unmount { mount_point: "/var/data/".into() };
    for id in ["m1", "m2"] {
        assert_eq!(instance.run(id, &mount(&volume, "/var/data")).await.error, None);
    }
    let check = async |id: &str, command: Command, kind| {
        assert_eq!(instance.run(id, &command).await.error.map(|error| error.kind()), Some(kind), "{id}");
    };
    check("other", mount(instance.place.path(), "/var/data"), ErrorKind::Conflict).await;
    check("missing", mount(&volume.join("x"), "/x"), ErrorKind::NotFound).await;
    check("file", mount(&instance.path("instance.json"), "/x"), ErrorKind::Invalid).await;
    check("root", mount(&volume, "/"), ErrorKind::Invalid).await;

    let mut node = configuration("s");
    node.templates[0].dest = "/var/data/conf/app.conf".into();
    instance.run("configure", &Command::Configure(Box::new(node))).await;
    assert_eq!(fs::read_to_string(volume.join("conf/app.conf")).unwrap(), "password s\n");

    instance.sh("outside", &daemon("outside")).await;
    instance.sh("inside", &format!("cd var/data; {}", daemon("inside"))).await;
    let [inside, outside] =
        [volume.join("inside"), instance.path("root/outside")].map(|file| Pinned::new(&file));
    for id in ["u1", "u2"] {
        assert_eq!(instance.run(id, &unmount()).await.error, None);
    }
    assert!(!inside.lives() && outside.lives());
    assert!(!instance.path("root/var/data").exists() && volume.join("conf/app.conf").exists());
}

#[tokio::test]
async fn output_is_bounded_in_reports_and_on_disk() {
    use std::os::unix::fs::MetadataExt;
    let instance = Instance::start().await;
    let report =
        instance.run("big", &service("head -c 20000000 /dev/zero | tr '\\0' 'é'; echo; echo end")).await;
    assert!(report.output.len() <= 4096 && report.output.ends_with("\nend\n"), "{}", report.output.len());
    let log = fs::metadata(instance.path("log/1-start.log")).unwrap();
    assert!(log.len() > 20_000_000 && log.blocks() * 512 <= 8 << 20, "{} blocks", log.blocks());
    for n in 0..100 {
        instance.sh(&format!("c{n}"), "echo many").await;
    }
    let logs = UnixPilot.logs(&instance.agent, 3).await.unwrap();
    assert_eq!(logs, "==> 99-start <==\nmany\n==> 100-start <==\nmany\n==> 101-start <==\nmany\n");
    // A name that is no name for a file.
    let named = Command::Service { name: "../../x y".into(), cmd: "echo z".into(), timeout_s: 9 };
    instance.run("named", &named).await;
    assert!(instance.path("log/102-.._.._x_y.log").exists());
}

#[tokio::test]
async fn whoever_says_nothing_or_nonsense_disturbs_nobody() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    let instance = Instance::start().await;
    // The path is too long to connect to; its directory is not.
    let link = instance.place.path().join("short");
    std::os::unix::fs::symlink(instance.directory(), &link).unwrap();
    let connect = || UnixStream::connect(link.join("drone.sock")).unwrap();
    let silent = connect();
    let mut nonsense = connect();
    nonsense.write_all(b"\xff\xff\xff\xffGET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(nonsense.read(&mut [0; 64]).unwrap_or(0), 0);
    let mut newer = connect();
    newer.write_all(b"\0\0\0\x19{\"pitrix_agent\":[98, 99]}").unwrap();
    let mut answer = String::new();
    newer.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with(r#"{"pitrix_agent":[1,1]}"#), "{answer}");
    instance.sh("c", "true").await;
    drop(silent);
}

#[tokio::test]
async fn a_journal_with_a_torn_end_is_mended() {
    let mut instance = Instance::start().await;
    instance.sh("c1", "echo one").await;
    let stop = |instance: &mut Instance| {
        kill_process(Pid::from_child(&instance.keeper), Signal::TERM).unwrap();
        instance.keeper.wait().unwrap();
    };
    stop(&mut instance);
    let journal = instance.path("drone/journal");
    let whole = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, format!("{whole}{{\"kind\":\"agent jou")).unwrap();
    instance.keeper = start_keeper(&instance.directory());
    instance.answers().await;
    assert_eq!(instance.end("c1").await.output, "one\n");
    instance.sh("c2", "true").await;
    assert!(fs::read_to_string(&journal).unwrap().starts_with(&whole));
}

//! A state directory, a package whose services do what a test asks, and the binary.

use rustix::{
    fs::FlockOperation,
    process::{Pid, Signal, kill_process},
};
use serde_json::Value;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An installation of its own, gone at the end with all that runs in it.
pub(crate) struct Installation {
    dir: TempDir,
    /// The binary that is run.
    pub(crate) program: PathBuf,
}

impl Installation {
    /// One with the app `tiny@1.0.0`.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let installation = Self { dir, program: env!("CARGO_BIN_EXE_pitrix").into() };
        installation.push("1.0.0", "");
        installation
    }

    /// Pushes a version of the app `tiny`. `more` are further items for its config's `env`.
    pub(crate) fn push(&self, version: &str, more: &str) {
        self.write_package(version, more);
        assert_success(&self.run(&["app", "push", &self.at("tiny")]));
    }

    /// A place in the test's own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn at(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The state directory. Longer than the address of a socket may be.
    pub(crate) fn state(&self) -> PathBuf {
        self.path(&"long-".repeat(30)).join("state")
    }

    /// One role with a disk. Its service is a process that sleeps; on the way it does what the files in the
    /// test's directory say: `hold` lets it say `held` and wait, `fail` makes it exit with 7, `fail-NODE` does so on
    /// one node, and `fail-NODE-VERSION` there in that version.
    fn write_package(&self, version: &str, more: &str) {
        let tiny = self.path("tiny");
        fs::create_dir_all(tiny.join("templates")).unwrap();
        let write = |name: &str, text: &str| fs::write(tiny.join(name), text).unwrap();
        let package = r#"{"api_version": "v1", "name": "tiny", "version": "VERSION"}"#;
        write("package.json", &package.replace("VERSION", version));
        let config = r#"{"type": "array", "properties": [
                {"key": "cluster", "type": "array", "properties": [
                    {"key": "name", "type": "string", "default": "tiny", "required": true},
                    {"key": "web", "type": "array", "properties": [
                        {"key": "count", "description": "How many", "type": "integer", "default": 1, "min": 1, "max": 3}]},
                    {"key": "timeout", "type": "integer", "default": 30}]},
                {"key": "env", "type": "array", "properties": [
                    {"key": "word", "type": "string", "default": "hello"},
                    {"key": "password", "type": "password", "default": ""}MORE]}]}"#;
        write("config.json", &config.replace("MORE", more));
        write(
            "cluster.json.tmpl",
            r#"{
                "name": "{{.cluster.name}}",
                "env": {"word": "{{.env.word}}", "password": "{{.env.password}}"},
                "endpoints": {"tiny": {"port": 7, "protocol": "tcp", "connect": "nc {host} {port}"}},
                "nodes": [{
                    "role": "web", "container": {"type": "process"}, "count": "{{.cluster.web.count}}",
                    "cpu": 1, "memory": 16, "volume": {"size": 1, "mount_point": "/data", "filesystem": "ext4"},
                    "health_check": {
                        "enable": true, "interval_sec": 1, "timeout_sec": 5, "action_timeout_sec": 5,
                        "healthy_threshold": 1, "unhealthy_threshold": 1,
                        "check_cmd": "\"$PITRIX_ROOT/tiny.sh\" check", "action_cmd": ""
                    },
                    "services": {
                        "backup": {"cmd": "\"$PITRIX_ROOT/tiny.sh\" backup", "timeout": 30},
                        "start": {"cmd": "\"$PITRIX_ROOT/tiny.sh\" start", "timeout": "{{.cluster.timeout}}"},
                        "stop": {"cmd": "\"$PITRIX_ROOT/tiny.sh\" stop", "timeout": 30}
                    }
                }]
            }"#,
        );
        write(
            "templates.json",
            r#"[
                {"src": "templates/tiny.sh.tera", "dest": "/tiny.sh", "mode": "0755"},
                {"src": "templates/word.tera", "dest": "/word", "reload": "\"$PITRIX_ROOT/tiny.sh\" reload"}
            ]"#,
        );
        write("templates/word.tera", "{{ env.word }}\n");
        let script = r#"#!/bin/sh
cd TEST_DIR
data="$PITRIX_ROOT/data"
alive() { [ -e "$data/pid" ] && grep -q sleep "/proc/$(cat "$data/pid")/cmdline" 2>/dev/null; }
[ "$1" != check ] || { alive; exit; }
[ "$1" = backup ] || echo "$1 {{ self.node_id }}"
if [ -e hold ]; then
    touch held
    while [ -e hold ]; do sleep 0.02; done
fi
[ ! -e fail ] && [ ! -e "fail-{{ self.node_id }}" ] && [ ! -e "fail-{{ self.node_id }}-VERSION" ] || { echo 'no luck today' >&2; exit 7; }
case "$1" in
start)
    alive || { sleep 1000000 </dev/null >/dev/null 2>&1 & echo $! > "$data/pid"; }
    echo x >> "$data/starts"
    ;;
stop)
    [ ! -e "$data/pid" ] || kill "$(cat "$data/pid")"
    rm -f "$data/pid"
    ;;
backup) echo "$PITRIX_PARAM_NAME: $(wc -l < "$data/starts") starts, {{ env.word }}" ;;
esac
"#;
        write(
            "templates/tiny.sh.tera",
            &script.replace("TEST_DIR", &self.at("")).replace("VERSION", version),
        );
    }

    /// The next services say that they are under way and wait.
    pub(crate) fn hold(&self) {
        let _ = fs::remove_file(self.path("held"));
        fs::write(self.path("hold"), "").unwrap();
    }

    /// Waits until a service is held.
    pub(crate) fn until_held(&self) {
        until("a service is held", || self.path("held").exists());
    }

    /// Lets services go on.
    pub(crate) fn release(&self) {
        fs::remove_file(self.path("hold")).unwrap();
    }

    /// The command with these arguments, without a terminal.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).env("PITRIX_STATE", self.state()).stdin(Stdio::null());
        command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs it to its end, which must be a good one, and gives its data.
    pub(crate) fn data(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_success(&output);
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, as JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.data(&[args, &["-o", "json"]].concat())).unwrap()
    }

    /// Starts it and goes on.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The executor's process.
    pub(crate) fn executor(&self) -> Option<u32> {
        self.json(&["doctor"])["executor"]["pid"].as_u64().map(|pid| u32::try_from(pid).unwrap())
    }

    /// Whether some process has the executor's lock.
    pub(crate) fn executor_is_locked(&self) -> bool {
        let Ok(file) = File::open(self.state().join("executor.lock")) else { return false };
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
    }

    /// What the executors wrote.
    pub(crate) fn executor_log(&self) -> String {
        fs::read_to_string(self.state().join("executor.log")).unwrap_or_default()
    }

    /// The agents proper, below their keepers.
    pub(crate) fn drones(&self) -> Vec<u32> {
        self.processes(|_, environment| environment.contains("PITRIX_DRONE_KEEPER="), "__drone")
    }

    /// The services that run, one process each. One that has ended has no command line, whether or not somebody has
    /// taken notice.
    pub(crate) fn services(&self) -> Vec<u32> {
        let mut files = Vec::new();
        find_all(&self.state().join("local"), "pid", &mut files);
        let pids = files.iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
        let runs = |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
        pids.filter(runs).collect()
    }

    /// Every agent process.
    pub(crate) fn agents(&self) -> Vec<u32> {
        self.processes(|_, _| true, "__drone")
    }

    /// Every executor, also one that has just started.
    pub(crate) fn executors(&self) -> Vec<u32> {
        self.processes(|_, _| true, "__executor")
    }

    /// Takes all machines away, with all that runs on them. Volumes stay.
    pub(crate) fn lose_machines(&self) {
        let mark = format!("PITRIX_ROOT={}/", self.state().display());
        let all = || {
            let mut all = self.agents();
            all.extend(processes().filter(|(_, _, environment)| environment.contains(&mark)).map(|it| it.0));
            all
        };
        until("nothing runs on the machines", || {
            all().into_iter().for_each(|pid| send(pid, Signal::KILL));
            all().is_empty()
        });
        fs::remove_dir_all(self.state().join("local/instances")).unwrap();
    }

    fn processes(&self, which: impl Fn(u32, &str) -> bool, verb: &str) -> Vec<u32> {
        let state = self.state();
        let is_ours = |line: &str| line.contains(verb) && line.contains(state.to_str().unwrap());
        let found = processes().filter(|(pid, line, environment)| is_ours(line) && which(*pid, environment));
        found.map(|(pid, ..)| pid).collect()
    }
}

/// All processes that can be looked at, with command line and environment. What has ended has neither.
fn processes() -> impl Iterator<Item = (u32, String, String)> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
        let text = |file| String::from_utf8_lossy(&read(file)).replace('\0', " ");
        Some((pid, text("cmdline"), text("environ")))
    })
}

impl Drop for Installation {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.path("hold"));
        let _ = fs::remove_file(self.path("fail"));
        // Whatever is still running ends with its executor and its keepers.
        self.executors().into_iter().for_each(|pid| send(pid, Signal::TERM));
        self.agents().into_iter().for_each(|pid| send(pid, Signal::TERM));
        let started = Instant::now();
        while started.elapsed() < PATIENCE && (!self.agents().is_empty() || self.executor_is_locked()) {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn find_all(dir: &Path, name: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => find_all(&entry.path(), name, found),
            Ok(kind) if kind.is_file() && entry.file_name() == name => found.push(entry.path()),
            _ => {}
        }
    }
}

/// Sends a signal to a process that may be gone.
pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = kill_process(pid, signal);
}

/// Waits for another process; there is nothing to be told by.
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Fails with what the program said unless it succeeded.
#[track_caller]
pub(crate) fn assert_success(output: &Output) {
    assert!(output.status.success(), "{}: {}", output.status, said(output));
}

/// What it said on standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The entries of a directory; none when it is not there.
pub(crate) fn entries(dir: &Path) -> usize {
    fs::read_dir(dir).map_or(0, Iterator::count)
}

//! One cluster: its directory, its files and its processes.
//!
//! Processes are found by what the kernel says of them, never by a number that was written down: a number may belong to
//! somebody else by now.

use super::{
    components::{ALL, API_SERVER, Component, KWOK, Ports, REGISTRY},
    made_dir, ports,
    programs::Programs,
    pypi,
};
use crate::{Result, command::Cmd, processes};
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a cluster may take to come up, on a machine that does something else as well.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(50);

/// Who the API server knows, all of them administrators. Each has a name, so that the audit log tells who asked.
const USERS: [&str; 3] = ["admin", "helm", "pitrix"];

/// How long the processes live.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Life {
    /// Until `down`.
    Detached,
    /// No longer than this process, however it ends.
    Ours,
}

/// A cluster with a directory of its own, whether it runs or not.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) dir: PathBuf,
    components: &'static [Component],
}

/// A process of a run.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) component: &'static str,
    pub(super) pid: u32,
}

impl Run {
    /// All of a cluster.
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, components: &ALL }
    }

    /// Only the registry: the cluster is somebody else's.
    pub(super) fn only_registry(dir: PathBuf) -> Self {
        Self { dir, components: std::slice::from_ref(&REGISTRY) }
    }

    /// The kubeconfig of the administrator.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_of(USERS[0])
    }

    /// The kubeconfig of one of [`USERS`].
    pub(super) fn kubeconfig_of(&self, user: &str) -> PathBuf {
        self.dir.join(if user == USERS[0] { "kubeconfig".to_owned() } else { format!("kubeconfig-{user}") })
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.dir.join("audit.log")
    }

    /// `HOST:PORT` of the registry, which speaks plain HTTP.
    pub(super) fn registry(&self) -> Result<String> {
        let path = self.dir.join("registry.address");
        fs::read_to_string(&path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
    }

    /// What runs of it.
    pub(super) fn running(&self) -> Vec<Process> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        // One that ended meanwhile can't be read: it does not run.
        pids.filter_map(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let component = component_of(&String::from_utf8_lossy(&line), &self.dir)?;
            Some(Process { component, pid })
        })
        .collect()
    }

    /// Starts what does not run yet, and returns when the API serves and the node is ready. A cluster of which only a
    /// part runs starts anew, as does one that does not run: nothing of an earlier life is left.
    pub(super) fn up(&self, programs: &Programs, life: Life) -> Result<Guard> {
        if self.running().len() == self.components.len() {
            println!("the cluster in `{}` runs already", self.dir.display());
            return Ok(Guard::default());
        }
        self.down()?;
        let started = Instant::now();
        pypi::empty(&self.dir)?;
        let ports = self.prepare(programs)?;
        let mut guard = Guard::new(life)?;
        for component in self.components.iter().filter(|component| component.starts_first()) {
            self.start(component, programs, &ports, &mut guard)?;
        }
        if self.components.iter().all(Component::starts_first) {
            return Ok(guard);
        }
        self.wait_for("the API", programs, &["get", "--raw", "/readyz"], &mut guard)?;
        for component in self.components.iter().filter(|component| !component.starts_first()) {
            self.start(component, programs, &ports, &mut guard)?;
        }
        for manifest in [programs.sources.join("node.yaml"), programs.storage_class()] {
            self.kubectl(programs, &["apply", "--filename", &manifest.to_string_lossy()]).answer()?;
        }
        let ready = ["wait", "--for=condition=Ready", "node/node-1", "--timeout=1s"];
        if let Err(error) = self.wait_for("the node", programs, &ready, &mut guard) {
            // Now and then it panics while it starts, as a kubelet may that systemd then starts again.
            let kwok =
                self.components.iter().find(|component| component.name == KWOK && guard.has_ended(KWOK));
            self.start(kwok.ok_or(error)?, programs, &ports, &mut guard)?;
            self.wait_for("the node", programs, &ready, &mut guard)?;
        }
        println!("the cluster is up after {:.1} s", started.elapsed().as_secs_f64());
        Ok(guard)
    }

    /// Ends every process of it. The logs stay.
    pub(super) fn down(&self) -> Result<()> {
        let started = Instant::now();
        // Killed, not asked: the API server would keep its port for many seconds.
        for process in self.running() {
            processes::kill(process.pid)?;
        }
        while let Some(process) = self.running().first() {
            if started.elapsed() > PATIENCE {
                return Err(format!("{} (process {}) does not end", process.component, process.pid));
            }
            std::thread::sleep(PAUSE);
        }
        pypi::empty(&self.dir.join("etcd"))?;
        pypi::empty(&self.dir.join("registry"))
    }

    /// Writes what the processes read.
    fn prepare(&self, programs: &Programs) -> Result<Ports> {
        made_dir(self.dir.join("log"))?;
        made_dir(self.dir.join("registry"))?;
        let [etcd, etcd_peer, api, registry] = ports::free()?;
        let ports = Ports { etcd, etcd_peer, api };
        let tokens = USERS.map(|user| (user, token()));
        let lines: String =
            tokens.iter().map(|(user, token)| format!("{token},{user},{user},system:masters\n")).collect();
        self.write("tokens.csv", &lines)?;
        for (user, token) in &tokens {
            let kubeconfig = kubeconfig(&self.dir, api, user, token);
            write(&self.kubeconfig_of(user), &kubeconfig)?;
        }
        self.write("registry.yaml", &registry_config(&self.dir, registry))?;
        self.write("registry.address", &format!("127.0.0.1:{registry}"))?;
        self.write("service-account.key", &programs.key(&self.dir)?)?;
        let policy = programs.sources.join("audit-policy.yaml");
        fs::copy(&policy, self.dir.join("audit-policy.yaml"))
            .map_err(|error| format!("cannot copy `{}`: {error}", policy.display()))?;
        self.write("stages.yaml", &programs.stages()?)?;
        Ok(ports)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        write(&self.dir.join(name), text)
    }

    fn log(&self, component: &str) -> PathBuf {
        self.dir.join("log").join(format!("{component}.log"))
    }

    fn start(
        &self,
        component: &Component,
        programs: &Programs,
        ports: &Ports,
        guard: &mut Guard,
    ) -> Result<()> {
        let failed = |error| format!("cannot start {}: {error}", component.name);
        let log = File::create(self.log(component.name)).map_err(failed)?;
        let child = Command::new(programs.bin.join(component.program))
            .args(component.arguments(&self.dir, ports))
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            // Ctrl-C in a terminal is for us; we end them.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        guard.watch(component.name, child)
    }

    fn kubectl(&self, programs: &Programs, arguments: &[&str]) -> Cmd {
        programs.kubectl(&self.kubeconfig(), arguments).quiet_env("KUBECACHEDIR", self.dir.join("cache"))
    }

    /// Until `question` is answered well. A process that ended meanwhile is the reason why it never will be.
    fn wait_for(&self, what: &str, programs: &Programs, question: &[&str], guard: &mut Guard) -> Result<()> {
        let started = Instant::now();
        loop {
            let Err(error) = self.kubectl(programs, question).answer() else { return Ok(()) };
            if let Some(name) = guard.ended() {
                return Err(format!("{name} has ended:\n{}", tail(&self.log(name))));
            }
            if started.elapsed() > PATIENCE {
                let log = tail(&self.log(API_SERVER));
                return Err(format!("{what} is not ready after {PATIENCE:?}: {error}\n{log}"));
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// The processes that we started. When this process ends, in whatever way, those that live no longer than it end too.
#[derive(Debug, Default)]
pub(super) struct Guard {
    started: Vec<(&'static str, Child)>,
    /// Reads the numbers of our processes; at the end of its input it ends them.
    watchman: Option<Child>,
}

const WATCHMAN: &str =
    r#"while read -r pid; do [ "$pid" = off ] && exit; pids="$pids $pid"; done; kill -KILL $pids"#;

impl Guard {
    fn new(life: Life) -> Result<Self> {
        let watchman = (life == Life::Ours).then(|| {
            Command::new("sh")
                .args(["-c", WATCHMAN])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .process_group(0)
                .spawn()
                .map_err(|error| format!("cannot start `sh`: {error}"))
        });
        Ok(Self { started: Vec::new(), watchman: watchman.transpose()? })
    }

    fn watch(&mut self, name: &'static str, child: Child) -> Result<()> {
        let pid = child.id();
        self.started.push((name, child));
        self.tell(&pid.to_string()).map_err(|error| format!("cannot watch over {name}: {error}"))
    }

    /// One that has ended.
    fn ended(&mut self) -> Option<&'static str> {
        let mut started = self.started.iter_mut();
        started.find_map(|(name, child)| matches!(child.try_wait(), Ok(Some(_))).then_some(*name))
    }

    /// Whether `name` has ended, which is then no longer watched.
    fn has_ended(&mut self, name: &str) -> bool {
        let before = self.started.len();
        self.started.retain_mut(|(known, child)| *known != name || !matches!(child.try_wait(), Ok(Some(_))));
        self.started.len() < before
    }

    fn tell(&mut self, line: &str) -> std::io::Result<()> {
        let stdin = self.watchman.as_mut().and_then(|watchman| watchman.stdin.as_mut());
        stdin.map_or(Ok(()), |stdin| writeln!(stdin, "{line}"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.watchman.is_none() {
            return;
        }
        for (_, child) in &mut self.started {
            // Only one that has ended can't be killed, and there is nobody to tell.
            drop(child.kill());
            drop(child.wait());
        }
        drop(self.tell("off"));
        if let Some(watchman) = &mut self.watchman {
            drop(watchman.wait());
        }
    }
}

/// Which component a command line of `/proc` is, if it is one of the run in `dir`.
fn component_of(line: &str, dir: &Path) -> Option<&'static str> {
    let mut arguments = line.split('\0');
    let program = Path::new(arguments.next()?).file_name()?;
    let component = ALL.iter().find(|component| program == component.program)?;
    let inside = format!("{}/", dir.display());
    arguments.any(|argument| argument.contains(&inside)).then_some(component.name)
}

/// 128 bits that nobody on this machine guesses.
fn token() -> String {
    let half = |salt: u8| RandomState::new().hash_one(salt);
    format!("{:016x}{:016x}", half(0), half(1))
}

fn kubeconfig(dir: &Path, port: u16, user: &str, token: &str) -> String {
    // The certificate that the server makes for itself is its own authority.
    let authority = dir.join("certificates/apiserver.crt");
    format!(
        "apiVersion: v1
kind: Config
clusters:
  - name: test
    cluster: {{ server: \"https://127.0.0.1:{port}\", certificate-authority: \"{}\" }}
users:
  - name: {user}
    user: {{ token: \"{token}\" }}
contexts:
  - name: test
    context: {{ cluster: test, user: {user}, namespace: default }}
current-context: test
",
        authority.display()
    )
}

fn registry_config(dir: &Path, port: u16) -> String {
    format!(
        "version: 0.1
log: {{ level: warn }}
storage: {{ filesystem: {{ rootdirectory: \"{}\" }}, delete: {{ enabled: true }} }}
http: {{ addr: \"127.0.0.1:{port}\" }}
",
        dir.join("registry").display()
    )
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_belongs_to_the_run_that_its_arguments_name() {
        let check =
            |line: &str, expected| assert_eq!(component_of(line, Path::new("/t/run")), expected, "{line}");
        check("/t/bin/etcd\0--data-dir=/t/run/etcd\0", Some("etcd"));
        check("/t/bin/etcd\0--data-dir=/t/run2/etcd\0", None);
        check("/usr/bin/vi\0/t/run/kubeconfig\0", None);
        check("/t/bin/registry\0serve\0/t/run/registry.yaml\0", Some("registry"));
        check("", None);
    }

    #[test]
    fn tokens_differ() {
        assert_ne!(token(), token());
        assert_eq!(token().len(), 32);
    }

    fn sleep() -> Child {
        Command::new("sleep").arg("600").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn what_is_ours_ends_with_us() {
        let ended = |life| {
            let mut guard = Guard::new(life).unwrap();
            let child = sleep();
            let pid = child.id();
            guard.watch("sleep", child).unwrap();
            drop(guard);
            let lives = Path::new("/proc").join(pid.to_string()).exists();
            processes::kill(pid).unwrap();
            !lives
        };
        assert!(ended(Life::Ours));
        assert!(!ended(Life::Detached));
    }

    #[test]
    fn the_watchman_ends_what_an_aborted_run_left() {
        let mut guard = Guard::new(Life::Ours).unwrap();
        let mut child = sleep();
        guard.tell(&child.id().to_string()).unwrap();
        // As the kernel does for a process that was killed.
        let mut watchman = guard.watchman.take().unwrap();
        drop(watchman.stdin.take());
        watchman.wait().unwrap();
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn one_that_ends_is_noticed() {
        let mut guard = Guard::new(Life::Detached).unwrap();
        let mut child = sleep();
        child.kill().unwrap();
        child.wait().unwrap();
        guard.watch("sleep", child).unwrap();
        assert_eq!(guard.ended(), Some("sleep"));
    }
}

//! `cargo xtask kube up|down|status|sweep`: the real control plane of Kubernetes, for tests.
//!
//! Built from `tools/kube`, with no container engine: etcd, API server, controller manager and scheduler are the real
//! ones; kwok plays the kubelet, so that no process runs in a pod. A registry for `oci://` charts comes along. A run
//! has a directory, ports and processes of its own, so that several go side by side.

mod audit;
mod components;
#[cfg(test)]
mod fate;
mod ports;
mod programs;
mod pypi;
mod run;
mod sweep;

use crate::{Options, Result, command::Cmd, workspace::Workspace};
pub(crate) use programs::Programs;
use run::{Guard, Life, Run};
use std::path::{Path, PathBuf};
pub(crate) use sweep::dozen;

/// There is no Kubernetes on this machine, and why.
pub(crate) struct NotHere(pub(crate) String);

pub(crate) fn run(mut options: Options) -> Result<()> {
    let action = options.take_name().unwrap_or_default();
    if action == "sweep" {
        return sweep::run(options);
    }
    let dir = options.take_value("--dir")?;
    options.finish()?;
    // Before the workspace is entered: the path is relative to where the command is given.
    let dir =
        dir.map(std::path::absolute).transpose().map_err(|error| format!("cannot use `--dir`: {error}"))?;
    let workspace = Workspace::enter()?;
    let run = Run::new(dir.unwrap_or_else(|| workspace.target.join("kube/run")));
    match action.as_str() {
        "up" => {
            if let Some(path) = std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty()) {
                println!("hint: tests and `kube sweep` use the cluster of `KUBECONFIG`: {}", path.display());
            }
            let programs = prepare(&workspace).map_err(|NotHere(why)| why)?;
            let _lock = programs::lock(&workspace)?;
            run.up(&programs, Life::Detached)?;
            println!("registry   {}", run.registry()?);
            println!("programs   {}", programs.bin.display());
            println!("KUBECONFIG={}", run.kubeconfig().display());
            Ok(())
        }
        "down" => {
            let _lock = programs::lock(&workspace)?;
            run.down()
        }
        "status" => status(&workspace, &run),
        other => Err(format!(
            "`kube` can't `{other}`\nhint: cargo xtask kube up|down|status [--dir DIR], or sweep CHARTS"
        )),
    }
}

/// Builds and unpacks whatever a cluster consists of, unless it is there.
pub(crate) fn prepare(workspace: &Workspace) -> Result<Programs, NotHere> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(NotHere(NO_CLIENTS.to_owned()));
    }
    let _lock = programs::lock(workspace).map_err(NotHere)?;
    Programs::ensure(workspace).map_err(NotHere)
}

/// The path of a variable that tests and benches read, and of the program that it names.
pub(crate) type Program = (&'static str, PathBuf);

/// helm and kubectl, unpacked unless they are there; those that the variables name already stay.
pub(crate) fn clients(workspace: &Workspace) -> Result<Vec<Program>, NotHere> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(NotHere(NO_CLIENTS.to_owned()));
    }
    let _lock = programs::lock(workspace).map_err(NotHere)?;
    let programs = Programs::clients(workspace).map_err(NotHere)?;
    let program = |(name, program)| {
        let given = std::env::var_os(name).map(PathBuf::from);
        (name, given.unwrap_or_else(|| programs.bin.join(program)))
    };
    Ok(CLIENTS.map(program).to_vec())
}

/// The variables that name the clients.
const CLIENTS: [(&str, &str); 2] = [("PITRIX_HELM", "helm"), ("PITRIX_KUBECTL", "kubectl")];

const NO_CLIENTS: &str = "helm and kubectl come as programs for Linux on x86_64";

/// A cluster to test on: one of our own, which ends with this, or one that we were given.
pub(crate) struct Cluster {
    own: Run,
    /// Somebody else's cluster; of ours only the registry runs then.
    given: Option<String>,
    /// Ends the processes, in whatever way we end.
    guard: Option<Guard>,
    variables: Vec<(&'static str, String)>,
}

/// What tests read.
const TEST_KUBECONFIG: &str = "PITRIX_TEST_KUBECONFIG";
const TEST_REGISTRY: &str = "PITRIX_TEST_REGISTRY";

/// The cluster that `PITRIX_TEST_KUBECONFIG` or `KUBECONFIG` names, else a fresh one.
pub(crate) fn cluster(workspace: &Workspace, programs: &Programs) -> Result<Cluster> {
    one_more_cluster(workspace, programs, "")
}

/// As [`cluster`] with a name, for who needs more than one.
fn one_more_cluster(workspace: &Workspace, programs: &Programs, name: &str) -> Result<Cluster> {
    let given = [TEST_KUBECONFIG, "KUBECONFIG"].into_iter().find_map(|name| {
        let path = std::env::var(name).ok().filter(|path| !path.is_empty())?;
        println!("the cluster is the one that `{name}` names: {path}");
        Some(path)
    });
    let home = workspace.target.join("kube");
    remove_leftovers(&home)?;
    let dir = home.join(format!("{TEMPORARY}{}{name}", std::process::id()));
    let own = if given.is_some() { Run::only_registry(dir) } else { Run::new(dir) };
    let mut cluster = Cluster { own, given, guard: None, variables: Vec::new() };
    cluster.guard = Some(cluster.own.up(programs, Life::Ours)?);
    let program = |(name, program)| (name, programs.bin.join(program).to_string_lossy().into_owned());
    let kubeconfig = cluster.kubeconfig("admin");
    cluster.variables = CLIENTS.map(program).to_vec();
    cluster.variables.push((TEST_REGISTRY, cluster.own.registry()?));
    cluster.variables.retain(|(name, _)| std::env::var_os(name).is_none());
    cluster.variables.push((TEST_KUBECONFIG, kubeconfig));
    Ok(cluster)
}

impl Cluster {
    /// `command`, told of the cluster.
    pub(crate) fn tell(&self, command: Cmd) -> Cmd {
        self.variables.iter().fold(command, |command, (name, value)| command.env(name, value))
    }

    /// The kubeconfig of a user that only a cluster of our own tells from others.
    fn kubeconfig(&self, user: &str) -> String {
        self.given.clone().unwrap_or_else(|| self.own.kubeconfig_of(user).to_string_lossy().into_owned())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // First the processes that we may wait for, then whatever else there is.
        drop(self.guard.take());
        if let Err(error) = self.own.down().and_then(|()| pypi::empty(&self.own.dir)) {
            eprintln!("error: the cluster of the tests is still there: {error}");
        }
    }
}

/// The directories of clusters that live no longer than the process with the number behind it.
const TEMPORARY: &str = "process-";

/// Removes what a process left that could not clean up.
fn remove_leftovers(home: &Path) -> Result<()> {
    for entry in std::fs::read_dir(home).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(TEMPORARY));
        let owner = owner.map(|rest| rest.split('.').next().unwrap_or(rest));
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            Run::new(entry.path()).down()?;
            pypi::empty(&entry.path())?;
        }
    }
    Ok(())
}

/// Says what runs, of which version, and who asked for what. A component that does not run is an error.
fn status(workspace: &Workspace, run: &Run) -> Result<()> {
    println!("directory  {}", run.dir.display());
    let programs = Programs::of(workspace);
    let running = run.running();
    if running.is_empty() {
        return Err(format!("no cluster runs in `{}`\nhint: `cargo xtask kube up`", run.dir.display()));
    }
    let mut missing = Vec::new();
    for component in components::ALL {
        let version = programs.version(component.module)?;
        match running.iter().find(|process| process.component == component.name) {
            Some(process) => println!("{:<24} {version:<9} process {}", component.name, process.pid),
            None => {
                println!("{:<24} {version:<9} does not run", component.name);
                missing.push(component.name);
            }
        }
    }
    println!("registry   {}", run.registry()?);
    println!("KUBECONFIG={}", run.kubeconfig().display());
    println!("requests, as the audit log has them:");
    print!("{}", audit::count(&run.audit_log())?);
    match missing.as_slice() {
        [] => Ok(()),
        missing => {
            Err(format!("not running: {}\nhint: `cargo xtask kube up` starts them", missing.join(", ")))
        }
    }
}

/// `path`, made if it is not there.
fn made_dir(path: PathBuf) -> Result<PathBuf> {
    std::fs::create_dir_all(&path).map_err(|error| format!("cannot create `{}`: {error}", path.display()))?;
    Ok(path)
}

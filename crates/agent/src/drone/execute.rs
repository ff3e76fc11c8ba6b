//! Carrying out commands, one after another.

use crate::drone::{
    checks::Checks,
    configure::{configure, take_metadata},
    device::{self, Device},
    instance::Instance,
    journal::Accepted,
    keeper::GRACE,
    logins,
    output::Output,
    processes,
    program::{Program, shell},
    root::{Root, spelled},
    state::State,
};
use provider_core::{Command, Error, Report, Result, Token};
use rustix::process::Pid;
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::FileTypeExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process,
    time::Duration,
};

/// What a command works with.
pub(super) struct Bench<'a> {
    pub(super) instance: &'a Instance,
    pub(super) keeper: Pid,
    pub(super) checks: &'a Checks,
    /// The command's number and id.
    pub(super) number: u64,
    pub(super) id: &'a Token,
}

/// Carries out a command. Every failure is in the report.
pub(super) fn execute(instance: &Instance, keeper: Pid, checks: &Checks, accepted: Accepted) -> Report {
    let Accepted { number, id, command } = accepted;
    let bench = Bench { instance, keeper, checks, number, id: &id };
    let ended = catch_unwind(AssertUnwindSafe(|| bench.execute(command)));
    let ended = ended.unwrap_or_else(|_| Err(Error::bug("the agent panicked over this command")));
    ended.unwrap_or_else(|error| Report { error: Some(error), ..Report::default() })
}

impl Bench<'_> {
    fn execute(&self, command: Command) -> Result<Report> {
        match command {
            Command::Configure(configuration) => configure(self, *configuration),
            Command::Metadata(metadata) => take_metadata(self, &metadata),
            Command::Mount { device, mount_point, filesystem, mount_options } => {
                let path = Path::new(&device);
                self.mount(&Device { path, filesystem: &filesystem, options: &mount_options }, &mount_point)
            }
            Command::Unmount { mount_point } => self.unmount(&mount_point),
            Command::AwaitHealthy { timeout_s } => {
                self.checks.await_healthy(Duration::from_secs(timeout_s.into()))
            }
            Command::Keys { attach, detach } => {
                let state = State::load(self.instance)?;
                logins::change(&self.root(&state), &attach, &detach)?;
                Ok(Report::default())
            }
            Command::Service { name, cmd, timeout_s, params } => {
                let what = format!("service `{name}`");
                let mut command = shell(&cmd);
                command.envs(variables(&what, params)?);
                let timeout = Duration::from_secs(timeout_s.into());
                self.checks.around(&name, || self.run_program(&what, command, timeout, &self.log(&name)?))
            }
        }
    }

    pub(super) fn log(&self, name: &str) -> Result<Output> {
        Output::log(self.instance, self.number, name)
    }

    pub(super) fn run(&self, what: &str, cmd: &str, timeout: Duration, output: &Output) -> Result<Report> {
        self.run_program(what, shell(cmd), timeout, output)
    }

    pub(super) fn run_program(
        &self,
        what: &str,
        command: process::Command,
        timeout: Duration,
        output: &Output,
    ) -> Result<Report> {
        Program { instance: self.instance, id: self.id, what, timeout, stop: None, output }.run(command)
    }

    pub(super) fn root<'a>(&self, state: &'a State) -> Root<'a> {
        Root { path: self.instance.root(), mounts: &state.mounts }
    }

    /// Of a device that is a directory there is no file system to make and no option to take.
    fn mount(&self, device: &Device<'_>, mount_point: &str) -> Result<Report> {
        let point = spelled(mount_point)?;
        let path = device.path;
        let named = path.display();
        let kind = fs::metadata(path).map_err(|e| {
            let missing = e.kind() == io::ErrorKind::NotFound;
            let make = if missing { Error::not_found } else { Error::unavailable };
            make(format!("mounting `{named}` at `{point}`")).caused_by(&e)
        })?;
        let is_block_device = kind.file_type().is_block_device();
        if !path.is_absolute() || !(kind.is_dir() || is_block_device) {
            return Err(Error::invalid(format!(
                "`{named}` is no absolute path of a block device or a directory"
            )));
        }
        if is_block_device {
            device.check()?;
        }
        let mut state = State::load(self.instance)?;
        match state.mounts.get(&point) {
            Some(now) if now != path => {
                let now = now.display();
                return Err(Error::conflict(format!("`{now}` is mounted at `{point}`, not `{named}`"))
                    .hint("unmount it first"));
            }
            Some(_) => {}
            None => {
                // Known before it is made: an unmount then finds what a crash left.
                state.mounts.insert(point.clone(), path.to_owned());
                state.save(self.instance)?;
            }
        }
        let root = self.root(&state);
        if is_block_device {
            device.mount(self, &self.target(&point), || root.directory(&point, 0o755))?;
        } else {
            root.link(&point, path)?;
        }
        Ok(Report::default())
    }

    /// Where a path of the node is on this machine.
    fn target(&self, point: &str) -> PathBuf {
        self.instance.root().join(point.trim_start_matches('/'))
    }

    fn unmount(&self, mount_point: &str) -> Result<Report> {
        let point = spelled(mount_point)?;
        let mut state = State::load(self.instance)?;
        let Some(device) = state.mounts.get(&point).cloned() else { return Ok(Report::default()) };
        let target = self.target(&point);
        let is_mounted = device::mounted(&target)
            .map_err(|e| Error::unavailable(format!("unmounting `{point}`")).caused_by(&e))?
            .is_some();
        if let Ok(used) = if is_mounted { &target } else { &device }.canonicalize() {
            let members = self.instance.mark(self.keeper);
            let users = || {
                let mut users = members.find();
                users.retain(|process| process.pid != self.keeper && process.uses(&used));
                users
            };
            processes::end(users, GRACE)
                .map_err(|e| Error::failed(format!("ending what uses `{point}`")).caused_by(&e))?;
        }
        if is_mounted {
            device::unmount(self, &target)?;
        }
        self.root(&state).unlink(&point, &device)?;
        state.mounts.remove(&point);
        state.save(self.instance)?;
        Ok(Report::default())
    }
}

/// The environment in which a service finds its parameters.
fn variables(what: &str, params: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    for (name, value) in params {
        let bad = |why| Error::invalid(format!("parameter `{}` of {what} {why}", name.escape_debug()));
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !(1..=64).contains(&name.len()) || !name.bytes().all(is_plain) {
            return Err(bad("has a bad name").hint("names are 1 to 64 letters, digits and `_`"));
        }
        if value.contains('\0') {
            return Err(bad("has a zero byte in its value"));
        }
        if variables.insert(format!("PITRIX_PARAM_{}", name.to_ascii_uppercase()), value).is_some() {
            return Err(bad("is given twice, in capitals and not"));
        }
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_names_that_an_environment_can_have() {
        let check = |params: &[(&str, &str)], expected: &str| {
            let params = params.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            let told = match variables("service `backup`", params) {
                Ok(variables) => format!("{variables:?}"),
                Err(error) => error.to_string(),
            };
            assert_eq!(told, expected);
        };
        check(&[("target_1", "a b\n$(c)")], r#"{"PITRIX_PARAM_TARGET_1": "a b\n$(c)"}"#);
        check(&[("a-b", "s3cret")], "parameter `a-b` of service `backup` has a bad name");
        check(&[("", "")], "parameter `` of service `backup` has a bad name");
        check(&[("a=b\n", "")], r"parameter `a=b\n` of service `backup` has a bad name");
        check(&[("a", "s3\0cret")], "parameter `a` of service `backup` has a zero byte in its value");
        check(
            &[("A", ""), ("a", "")],
            "parameter `a` of service `backup` is given twice, in capitals and not",
        );
    }
}

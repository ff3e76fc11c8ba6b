//! Carrying out commands, one after another.

use crate::drone::{
    configure::{configure, take_metadata},
    instance::Instance,
    journal::Accepted,
    keeper::GRACE,
    output::Output,
    processes,
    root::{Root, spelled},
    shell,
    state::State,
};
use provider_core::{Command, Error, Report, Result, Token};
use rustix::process::Pid;
use std::{
    fs, io,
    os::unix::fs::FileTypeExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Duration,
};

/// What a command works with.
pub(super) struct Bench<'a> {
    pub(super) instance: &'a Instance,
    pub(super) keeper: Pid,
    /// The command's number and id.
    pub(super) number: u64,
    pub(super) id: &'a Token,
}

/// Carries out a command. Every failure is in the report.
pub(super) fn execute(instance: &Instance, keeper: Pid, accepted: Accepted) -> Report {
    let Accepted { number, id, command } = accepted;
    let bench = Bench { instance, keeper, number, id: &id };
    let ended = catch_unwind(AssertUnwindSafe(|| bench.execute(command)));
    let ended = ended.unwrap_or_else(|_| Err(Error::bug("the agent panicked over this command")));
    ended.unwrap_or_else(|error| Report { error: Some(error), ..Report::default() })
}

impl Bench<'_> {
    fn execute(&self, command: Command) -> Result<Report> {
        match command {
            Command::Configure(configuration) => configure(self, *configuration),
            Command::Metadata(metadata) => take_metadata(self, &metadata),
            Command::Mount { device, mount_point, .. } => self.mount(&device, &mount_point),
            Command::Unmount { mount_point } => self.unmount(&mount_point),
            Command::AwaitHealthy { .. } | Command::Keys { .. } => {
                Err(Error::unsupported("this agent does not know this command yet"))
            }
            Command::Service { name, cmd, timeout_s, .. } => {
                let what = format!("service `{name}`");
                self.run(&what, &cmd, Duration::from_secs(timeout_s.into()), &self.log(&name)?)
            }
        }
    }

    pub(super) fn log(&self, name: &str) -> Result<Output> {
        Output::log(self.instance, self.number, name)
    }

    pub(super) fn run(&self, what: &str, cmd: &str, timeout: Duration, output: &Output) -> Result<Report> {
        shell::run(self.instance, self.id, what, cmd, timeout, output)
    }

    pub(super) fn root<'a>(&self, state: &'a State) -> Root<'a> {
        Root { path: self.instance.root(), mounts: &state.mounts }
    }

    /// A directory stands for the device, so there is no file system to make and no option to take.
    fn mount(&self, device: &str, mount_point: &str) -> Result<Report> {
        let point = spelled(mount_point)?;
        let device = Path::new(device);
        let named = device.display();
        let kind = fs::metadata(device).map_err(|e| {
            let missing = e.kind() == io::ErrorKind::NotFound;
            let make = if missing { Error::not_found } else { Error::unavailable };
            make(format!("mounting `{named}` at `{point}`")).caused_by(&e)
        })?;
        if kind.file_type().is_block_device() {
            return Err(Error::unsupported(format!(
                "`{named}` is a block device; this agent mounts directories"
            ))
            .hint("block devices need the agent of a virtual machine, which runs as root"));
        }
        if !device.is_absolute() || !kind.is_dir() {
            return Err(Error::invalid(format!("`{named}` is no absolute path of a directory")));
        }
        let mut state = State::load(self.instance)?;
        match state.mounts.get(&point) {
            Some(now) if now != device => {
                let now = now.display();
                return Err(Error::conflict(format!("`{now}` is mounted at `{point}`, not `{named}`"))
                    .hint("unmount it first"));
            }
            Some(_) => {}
            None => {
                // Known before it is made: an unmount then finds what a crash left.
                state.mounts.insert(point.clone(), device.to_owned());
                state.save(self.instance)?;
            }
        }
        self.root(&state).link(&point, device)?;
        Ok(Report::default())
    }

    fn unmount(&self, mount_point: &str) -> Result<Report> {
        let point = spelled(mount_point)?;
        let mut state = State::load(self.instance)?;
        let Some(device) = state.mounts.get(&point).cloned() else { return Ok(Report::default()) };
        if let Ok(device) = device.canonicalize() {
            let members = self.instance.mark(self.keeper);
            let users = || {
                let mut users = members.find();
                users.retain(|process| process.pid != self.keeper && process.uses(&device));
                users
            };
            processes::end(users, GRACE)
                .map_err(|e| Error::failed(format!("ending what uses `{point}`")).caused_by(&e))?;
        }
        self.root(&state).unlink(&point, &device)?;
        state.mounts.remove(&point);
        state.save(self.instance)?;
        Ok(Report::default())
    }
}

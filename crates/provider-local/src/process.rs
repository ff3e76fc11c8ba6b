//! The processes of instances: how they are recognised, and how they are ended.
//!
//! A pid is never trusted. An instance runs while its lock is held, because every process of it inherits the
//! lock's descriptor. Its processes are recognised by that descriptor or by its token in their environment:
//! some programs close what they inherit, others write their title over their environment. Its keeper, the agent
//! that they descend from, has the instance's directory as its last argument and no token. What is signalled is a
//! pidfd, taken before the process was recognised for good.

use crate::error::During;
use provider_core::{Error, Result};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{FlockOperation, flock},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
    process::{Pid, Signal},
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// The variable that marks an instance's processes.
const MARK: &[u8] = b"PITRIX_INSTANCE=";
/// How long the kernel gets to end what was killed.
const KILL_TIME: Duration = Duration::from_secs(5);
/// How often the processes of an instance are sought and killed: they may have made new ones meanwhile.
const ROUNDS: usize = 8;
/// How often a process's arguments are read until it has some: it has none for a moment while it starts another
/// program, which includes the moment after it was started itself.
const EXEC_TRIES: usize = 500;

/// What tells the processes of one instance from all others.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The instance's directory.
    pub(crate) dir: PathBuf,
    /// Its token.
    pub(crate) token: String,
    /// The command that starts its keeper, without the directory.
    pub(crate) agent: Vec<String>,
}

impl Identity {
    /// Whether anything of the instance runs.
    ///
    /// It looks by taking the lock shared for a moment. Who wants to keep the lock waits for longer than that.
    pub(crate) fn is_running(&self) -> Result<bool> {
        let path = self.dir.join("lock");
        let what = || format!("looking at lock `{}`", path.display());
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file.during(what)?,
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(Errno::WOULDBLOCK) => Ok(true),
            free => free.map(|()| false).during(what),
        }
    }

    /// Whether the keeper takes connections.
    pub(crate) fn accepts(&self) -> bool {
        // The way through the directory's descriptor is short, however long the directory's path is.
        let Ok(dir) = File::open(&self.dir) else { return false };
        let path = format!("/proc/self/fd/{}/drone.sock", dir.as_raw_fd());
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let connected = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .and_then(|socket| connect(&socket, &SocketAddrUnix::new(path)?));
        // A full queue is one that somebody listens to.
        matches!(connected, Ok(()) | Err(Errno::AGAIN))
    }

    /// Whether the keeper is there, ready or not.
    pub(crate) fn has_keeper(&self) -> Result<bool> {
        Ok(!find(|process| self.is_kept_by(process))?.is_empty())
    }

    /// Ends every process of the instance: asks its keeper to, and after `grace` kills what is left. Done when
    /// there is none. Blocks until they have ended.
    ///
    /// # Errors
    /// `Unavailable` when something survives.
    pub(crate) fn end(&self, grace: Duration) -> Result<()> {
        let keepers = find(|process| self.is_kept_by(process))?;
        signal(&keepers, Signal::TERM)?;
        await_end(&keepers, grace)?;
        for _ in 0..ROUNDS {
            let left = find(|process| self.is_kept_by(process) || self.has(process))?;
            if left.is_empty() {
                break;
            }
            signal(&left, Signal::KILL)?;
            await_end(&left, KILL_TIME)?;
        }
        if self.is_running()? {
            return Err(Error::unavailable(format!(
                "ending the processes of `{}`: some can't be killed",
                self.dir.display()
            ))
            .hint(format!("`fuser {}/lock` names them", self.dir.display())));
        }
        Ok(())
    }

    /// Whether `process` is of the instance.
    fn has(&self, process: &Path) -> bool {
        mark(process).is_some_and(|token| token == self.token)
            || file_id(&self.dir.join("lock")).is_some_and(|lock| locked_files(process).contains(&lock))
    }

    /// Whether `process` is the keeper. One that has just been started does not hold its lock yet, so the
    /// command that it was started with counts as well; one of an earlier Pitrix may have had another command.
    /// What the keeper starts may have its command too, but is marked.
    fn is_kept_by(&self, process: &Path) -> bool {
        let bytes = command_line(process);
        let args: Vec<&[u8]> = bytes.strip_suffix(&[0]).unwrap_or(&bytes).split(|byte| *byte == 0).collect();
        let dir = self.dir.as_os_str().as_bytes();
        let own: Vec<&[u8]> = self.agent.iter().map(String::as_bytes).chain([dir]).collect();
        let holds_lock = || {
            file_id(&self.dir.join("drone.lock")).is_some_and(|lock| locked_files(process).contains(&lock))
        };
        args.last() == Some(&dir) && mark(process).is_none() && (args.ends_with(&own) || holds_lock())
    }
}

/// How many processes each of these instances has, its agent's included, by token.
pub(crate) fn count(instances: &[Identity]) -> Result<BTreeMap<String, usize>> {
    let mut counts: BTreeMap<_, _> = instances.iter().map(|instance| (instance.token.clone(), 0)).collect();
    let lock = |instance: &Identity| Some((file_id(&instance.dir.join("lock"))?, instance.token.clone()));
    let locks: BTreeMap<FileId, String> = instances.iter().filter_map(lock).collect();
    for process in all()? {
        let by_lock = || locked_files(&process).iter().find_map(|file| locks.get(file).cloned());
        if let Some(count) = mark(&process).or_else(by_lock).and_then(|token| counts.get_mut(&token)) {
            *count += 1;
        }
    }
    Ok(counts)
}

/// A process that can't be mistaken for a later one of the same pid.
struct Process(OwnedFd);

/// The directories of all processes in `/proc`.
fn all() -> Result<Vec<PathBuf>> {
    let what = || "reading `/proc`";
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").during(what)? {
        let name = entry.during(what)?.file_name();
        if name.as_bytes().iter().all(u8::is_ascii_digit) {
            all.push(Path::new("/proc").join(name));
        }
    }
    Ok(all)
}

/// All processes that `is_it` recognises by their directory in `/proc`.
fn find(is_it: impl Fn(&Path) -> bool) -> Result<Vec<Process>> {
    let mut found = Vec::new();
    for process in all()?.into_iter().filter(|process| is_it(process)) {
        let pid = process.file_name().and_then(|name| name.to_str()?.parse().ok()).and_then(Pid::from_raw);
        match pid.map(pidfd) {
            // Only now is it certain that the descriptor is of the process that was meant.
            Some(Ok(fd)) if is_it(&process) => found.push(Process(fd)),
            Some(Err(error)) if error.raw_os_error() != Some(Errno::SRCH.raw_os_error()) => {
                Err(error).during(|| format!("opening process `{}`", process.display()))?;
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The arguments of `process`, each ended by a zero byte; empty for one that has ended.
fn command_line(process: &Path) -> Vec<u8> {
    for _ in 0..EXEC_TRIES {
        match fs::read(process.join("cmdline")) {
            // Between two programs, and that is soon over.
            Ok(bytes) if bytes.is_empty() && process.join("exe").read_link().is_ok() => thread::yield_now(),
            bytes => return bytes.unwrap_or_default(),
        }
    }
    Vec::new()
}

/// The token in a process's environment. None as well when the process is another user's.
fn mark(process: &Path) -> Option<String> {
    let environ = fs::read(process.join("environ")).ok()?;
    let token = environ.split(|byte| *byte == 0).find_map(|variable| variable.strip_prefix(MARK))?;
    String::from_utf8(token.to_vec()).ok()
}

/// What a file is, however it is reached: its device and number.
type FileId = (u64, u64);

fn file_id(path: &Path) -> Option<FileId> {
    path.metadata().ok().map(|file| (file.dev(), file.ino()))
}

/// The files that descriptors of `process` hold a write lock on. Who only looks at a lock has it open as well,
/// or holds it shared. None when the process is another user's.
fn locked_files(process: &Path) -> Vec<FileId> {
    let holds = |fd: &fs::DirEntry| {
        let info = fs::read_to_string(process.join("fdinfo").join(fd.file_name())).unwrap_or_default();
        info.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK") && line.contains("WRITE"))
    };
    let fds = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    fds.filter(holds).filter_map(|fd| file_id(&fd.path())).collect()
}

fn signal(processes: &[Process], signal: Signal) -> Result<()> {
    for process in processes {
        match pidfd_signal(&process.0, signal) {
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => {}
            sent => sent.during(|| "signalling a process of an instance")?,
        }
    }
    Ok(())
}

/// Blocks until all have ended or `patience` is over.
fn await_end(processes: &[Process], patience: Duration) -> Result<()> {
    let start = Instant::now();
    for Process(fd) in processes {
        loop {
            let left = patience.saturating_sub(start.elapsed());
            let left = left.try_into().expect("patience is a few seconds");
            match poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&left)) {
                Err(Errno::INTR) => {}
                ended => break ended.map(drop).during(|| "waiting for a process of an instance")?,
            }
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn pidfd(pid: Pid) -> io::Result<OwnedFd> {
    Ok(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?)
}

#[cfg(target_os = "linux")]
fn pidfd_signal(process: &OwnedFd, signal: Signal) -> io::Result<()> {
    Ok(rustix::process::pidfd_send_signal(process, signal)?)
}

#[cfg(not(target_os = "linux"))]
fn pidfd(_pid: Pid) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn pidfd_signal(_process: &OwnedFd, _signal: Signal) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

//! Finding and ending processes that belong together. A process id is never trusted: it is pinned by a
//! descriptor first, then asked again whether it belongs.

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{MemfdFlags, memfd_create},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal},
};
use sha2::{Digest, Sha256};
use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long the kernel may take to bring killed processes down.
const KILL_PATIENCE: Duration = Duration::from_secs(30);

/// What processes that belong together are recognised by. One sign is enough, because programs lose some:
/// many (redis-server, postgres, nginx) write their title over their environment, some close descriptors that
/// they don't know, daemons leave their parents. Only a process that has lost all three is missed.
pub(super) struct Mark {
    /// Each `NAME=value` is in the environment.
    variables: Vec<String>,
    /// What an inherited descriptor points to.
    handle: String,
    /// A process that they descend from.
    ancestor: Option<Pid>,
}

/// A process, pinned: its id can't become another's while this lives.
pub(super) struct Process {
    pub(super) pid: Pid,
    pin: OwnedFd,
}

impl Mark {
    /// The mark of processes with all these variables, which together are unique, and of the descendants of
    /// `ancestor`, itself included.
    pub(super) fn new(variables: &[(&str, &str)], ancestor: Option<Pid>) -> Self {
        let variables: Vec<_> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        // The kernel takes at most 249 bytes for a name, and tokens may be of any length.
        let handle = format!("pitrix-{}", hex::encode(Sha256::digest(variables.join("\0"))));
        Self { handle, variables, ancestor }
    }

    /// A descriptor that children inherit as long as it is open here: an empty file without a path, which
    /// nobody else can open.
    pub(super) fn handle(&self) -> io::Result<OwnedFd> {
        match memfd_create(&self.handle, MemfdFlags::NOEXEC_SEAL) {
            // Linux before 6.3 does not know the flag, which some later ones insist on.
            Err(Errno::INVAL) => Ok(memfd_create(&self.handle, MemfdFlags::empty())?),
            other => Ok(other?),
        }
    }

    /// The living processes that bear the mark, except this one. Those of other users are not seen.
    pub(super) fn find(&self) -> Vec<Process> {
        let mut found = Vec::new();
        for pid in all() {
            if pid == getpid() || !self.is_on(pid) {
                continue;
            }
            if let Ok(pin) = pidfd_open(pid, PidfdFlags::empty())
                && self.is_on(pid)
            {
                found.push(Process { pid, pin });
            }
        }
        found
    }

    /// Whether a process that has not ended bears the mark.
    pub(super) fn is_on(&self, pid: Pid) -> bool {
        let Some(parent) = parent(pid) else { return false };
        has_variables(pid, &self.variables)
            || links(pid, "fd").any(|link| self.is_handle(&link))
            || self.ancestor.is_some_and(|ancestor| ancestor == pid || descends(parent, ancestor))
    }

    fn is_handle(&self, link: &Path) -> bool {
        link.to_str()
            .and_then(|link| link.strip_prefix("/memfd:")?.strip_suffix(" (deleted)"))
            .is_some_and(|name| name == self.handle)
    }
}

impl Process {
    /// Whether it has its working directory, its program or an open or mapped file in `directory`.
    pub(super) fn uses(&self, directory: &Path) -> bool {
        let single = ["cwd", "exe"].map(|name| fs::read_link(proc(self.pid).join(name)));
        let mut open = single.into_iter().flatten().chain(links(self.pid, "fd"));
        let maps = || fs::read(proc(self.pid).join("maps")).unwrap_or_default();
        open.any(|path| path.starts_with(directory))
            || String::from_utf8_lossy(&maps())
                .lines()
                .filter_map(|line| line.find('/').map(|at| &line[at..]))
                .any(|path| Path::new(path).starts_with(directory))
    }
}

/// Ends the processes that `find` finds, and those that they start meanwhile: asks them, waits for `grace`,
/// then kills. With no grace they are killed at once. Returns when none is left.
///
/// # Errors
/// `TimedOut` when the kernel does not end a killed process, which then waits for a device.
pub(super) fn end(find: impl Fn() -> Vec<Process>, grace: Duration) -> io::Result<()> {
    if !grace.is_zero() {
        signal_and_wait(find(), Signal::TERM, Instant::now() + grace)?;
    }
    let deadline = Instant::now() + KILL_PATIENCE;
    loop {
        let left = find();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("process {} does not end", left[0].pid.as_raw_nonzero()),
            ));
        }
        signal_and_wait(left, Signal::KILL, deadline)?;
    }
}

fn signal_and_wait(processes: Vec<Process>, signal: Signal, deadline: Instant) -> io::Result<()> {
    for process in &processes {
        match pidfd_send_signal(&process.pin, signal) {
            Ok(()) | Err(Errno::SRCH | Errno::PERM) => {}
            Err(e) => return Err(e.into()),
        }
    }
    for process in processes {
        wait(&process.pin, deadline)?;
    }
    Ok(())
}

/// Waits until a pinned process has ended, whether or not it was reaped; false when it lives at `deadline`.
fn wait(pin: impl AsFd, deadline: Instant) -> io::Result<bool> {
    wait_any(&mut [PollFd::new(&pin, PollFlags::IN)], deadline)
}

/// Waits until something has happened to one of them; false when nothing has at `deadline`.
pub(super) fn wait_any(signs: &mut [PollFd<'_>], deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(signs, Some(&left)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

fn proc(pid: Pid) -> PathBuf {
    Path::new("/proc").join(pid.as_raw_nonzero().to_string())
}

/// The ids of all processes.
fn all() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

/// The parent of a living process; none when it has ended.
fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read(proc(pid).join("stat")).ok()?;
    let [state, parent, _group, _session] = after_name(&stat)?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    Some(Pid::from_raw(parent.parse().ok()?).unwrap_or(Pid::INIT))
}

/// Whether this process leads its session. `getsid` can't be asked: the leader may be outside of our PID
/// namespace, where it has no id.
pub(super) fn leads_session() -> io::Result<bool> {
    let stat = fs::read("/proc/self/stat")?;
    let pid = stat.split(|byte| *byte == b' ').next();
    Ok(after_name(&stat).is_some_and(|[_state, _parent, _group, session]| pid == Some(session.as_bytes())))
}

/// The first fields of a `stat` file after the program's name, which is in parentheses and may hold anything.
fn after_name<const N: usize>(stat: &[u8]) -> Option<[&str; N]> {
    let rest = stat.rsplit(|byte| *byte == b')').next()?;
    let fields = std::str::from_utf8(rest).ok()?.split_ascii_whitespace();
    fields.take(N).collect::<Vec<_>>().try_into().ok()
}

fn descends(mut from: Pid, ancestor: Pid) -> bool {
    while from != ancestor {
        match parent(from) {
            Some(next) if !from.is_init() => from = next,
            _ => return false,
        }
    }
    true
}

fn has_variables(pid: Pid, variables: &[String]) -> bool {
    let environment = fs::read(proc(pid).join("environ")).unwrap_or_default();
    let has =
        |variable: &String| environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes());
    variables.iter().all(has)
}

/// Where the links of a directory of the process lead.
fn links(pid: Pid, directory: &str) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(proc(pid).join(directory)).into_iter().flatten().flatten();
    entries.filter_map(|entry| fs::read_link(entry.path()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        collections::HashSet,
        os::unix::process::ExitStatusExt,
        process::{Child, Command, Stdio},
        sync::Mutex,
    };

    /// Starts a shell that is ready when this returns and then waits for its input.
    fn start(script: &str, variable: Option<&Mark>, handle: Option<&Mark>) -> Child {
        // A handle must not reach what other tests start.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap();
        let _handle = handle.map(|mark| mark.handle().unwrap());
        let mut sh = Command::new("sh");
        sh.envs(variable.iter().flat_map(|mark| &mark.variables).filter_map(|entry| entry.split_once('=')));
        let script = format!("{script} echo ready; read x");
        let mut child =
            sh.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
        child
    }

    #[test]
    fn every_sign_is_enough_and_nothing_else_is_found() {
        // Longer than the name of a handle may be.
        let long = "sign".repeat(100);
        let mark = Mark::new(&[("ONE", "every"), ("TWO", &long)], None);
        let mut by_variable = start("", Some(&mark), None);
        let mut by_handle = start("", None, Some(&mark));
        let mut other = start("", Some(&Mark::new(&[("ONE", "every"), ("TWO", "other")], None)), None);
        let check = |mark: &Mark, expected: &[&Child]| {
            let found: HashSet<_> = mark.find().iter().map(|process| process.pid).collect();
            let expected = expected.iter().map(|child| Pid::from_child(child)).collect();
            assert_eq!(found, expected);
        };
        check(&mark, &[&by_variable, &by_handle]);
        check(&Mark::new(&[("ONE", "family")], Some(Pid::from_child(&other))), &[&other]);

        end(|| mark.find(), Duration::ZERO).unwrap();
        check(&mark, &[]);
        assert_eq!(by_variable.wait().unwrap().signal(), Some(9));
        assert_eq!(by_handle.wait().unwrap().signal(), Some(9));
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn who_does_not_listen_is_killed_after_the_grace() {
        let mark = Mark::new(&[("ONE", "deaf")], None);
        let mut deaf = start("trap '' TERM;", Some(&mark), None);
        end(|| mark.find(), Duration::from_millis(10)).unwrap();
        assert_eq!(deaf.wait().unwrap().signal(), Some(9));
    }
}

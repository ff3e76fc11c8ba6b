//! The process that everything else on an instance descends from.

use crate::drone::{
    WORKER,
    health::Standing,
    instance::{Instance, private_directory},
    log,
    processes::{self, Mark, leads_session},
};
use provider_core::{Error, Result, Timestamp};
use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, setsid, wait},
};
use std::{
    env,
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io,
    os::unix::{
        fs::OpenOptionsExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};
use tokio::{
    select,
    signal::unix::{Signal as Signals, SignalKind, signal},
    time::timeout,
};

/// How long processes may take to end when they are asked to.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// Pauses before a worker that died is started again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A worker that lived this long died of something new.
const STEADY: Duration = Duration::from_secs(60);

/// What of the environment of whoever started the drone reaches its instance. The rest may hold that person's
/// secrets.
const KEPT: [&str; 11] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "RUST_BACKTRACE",
];

/// Keeps the instance until SIGTERM. Another keeper at work is success.
pub(super) fn keep(directory: &Path) -> Result<()> {
    let instance = Instance::open(directory)?;
    for directory in [instance.root(), instance.log(), instance.drone()] {
        private_directory(&directory)?;
    }
    redirect(&instance).map_err(|e| Error::store("opening the drone's log").caused_by(&e))?;
    detach().map_err(|e| Error::unavailable("starting a session for the drone").caused_by(&e))?;

    let Some(_only_keeper) = instance.lock("drone.lock", false)? else {
        log(format_args!("another drone keeps this instance"));
        return Ok(());
    };
    let mark = instance.mark(getpid());
    end(&mark).map_err(|e| e.during("ending what an earlier drone left"))?;
    let Some(_running) = instance.lock("lock", true)? else {
        return Err(Error::conflict("something of the instance runs still and can't be found"));
    };
    begin(&instance)?;
    let _handle =
        mark.handle().map_err(|e| Error::unavailable("making the instance's handle").caused_by(&e))?;
    log(format_args!("keeping node `{}` as process {}", instance.node(), getpid().as_raw_nonzero()));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::unavailable("starting the drone").caused_by(&e))?;
    runtime
        .block_on(keep_working(&instance))
        .map_err(|e| Error::unavailable("watching over the worker").caused_by(&e))?;

    end(&mark).map_err(|e| e.during("ending the instance"))?;
    match fs::remove_file(instance.directory.join("drone.sock")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(Error::store("removing the drone's socket").caused_by(&e))
        }
        _ => {
            log(format_args!("everything has ended"));
            Ok(())
        }
    }
}

fn redirect(instance: &Instance) -> io::Result<()> {
    let path = instance.log().join("drone.log");
    let output = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    rustix::stdio::dup2_stdout(&output)?;
    rustix::stdio::dup2_stderr(&output)?;
    Ok(())
}

fn detach() -> io::Result<()> {
    match setsid() {
        // Whoever started it gave it a session of its own.
        Err(Errno::PERM) if leads_session()? => {}
        made => drop(made?),
    }
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// What was known of the application's health ended with its processes.
fn begin(instance: &Instance) -> Result<()> {
    let mut standing = Standing::load(instance)?;
    let before = standing.clone();
    standing.begin(Timestamp(jiff::Timestamp::now().as_millisecond()));
    if standing == before { Ok(()) } else { standing.save(instance) }
}

fn end(mark: &Mark) -> Result<()> {
    processes::end(|| mark.find(), GRACE).map_err(|e| Error::unavailable("ending processes").caused_by(&e))
}

/// Has a worker running until SIGTERM; then it has ended and everything else is as it was.
async fn keep_working(instance: &Instance) -> io::Result<()> {
    let mut stop = signal(SignalKind::terminate())?;
    let mut children = signal(SignalKind::child())?;
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        let end = match start_worker(instance) {
            Err(e) => format!("the worker can't be started: {e}"),
            Ok(worker) => select! {
                _ = stop.recv() => {
                    // Nobody else reaps it, so that the id is still the worker's.
                    kill_process(worker, Signal::KILL)?;
                    reap(&mut children, Some(worker)).await?;
                    return Ok(());
                }
                status = reap(&mut children, Some(worker)) => format!("the worker has ended: {}", status?),
            },
        };
        pause = if started.elapsed() > STEADY { FIRST_PAUSE } else { (2 * pause).min(LONGEST_PAUSE) };
        log(format_args!("{end}; the next one starts in {pause:?}"));
        select! {
            _ = stop.recv() => return Ok(()),
            // Orphans are reaped in the pause, too.
            early = timeout(pause, reap(&mut children, None)) => if let Ok(failed) = early {
                failed?;
            },
        }
    }
}

/// Reaps children, our own and orphans that became ours, until `awaited` has ended.
async fn reap(children: &mut Signals, awaited: Option<Pid>) -> io::Result<ExitStatus> {
    loop {
        while let Some((pid, status)) = match wait(WaitOptions::NOHANG) {
            Err(rustix::io::Errno::CHILD) => None,
            other => other?,
        } {
            if Some(pid) == awaited {
                return Ok(ExitStatus::from_raw(status.as_raw()));
            }
        }
        children.recv().await;
    }
}

/// Starts this very program again, also when its file has been replaced since.
fn start_worker(instance: &Instance) -> io::Result<Pid> {
    let mut arguments = env::args_os();
    let mut worker = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        worker.arg0(name);
    }
    let kept =
        |name: &OsStr| KEPT.iter().any(|kept| name == *kept) || name.as_encoded_bytes().starts_with(b"LC_");
    let child = worker
        .args(arguments)
        .env_clear()
        .envs(env::vars_os().filter(|(name, _)| kept(name)))
        .envs(instance.environment())
        .env(WORKER, getpid().as_raw_nonzero().to_string())
        .spawn()?;
    Ok(Pid::from_child(&child))
}

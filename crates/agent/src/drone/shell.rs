//! Running shell command lines of packages.

use crate::drone::{instance::Instance, log, output::Output, processes};
use provider_core::{Error, Report, Result, Token};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::{
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// How often the output of a running command is looked at, so that it does not fill the disk.
const TRIM_EVERY: Duration = Duration::from_millis(500);

/// Runs `cmd` in the root of the instance and waits until its shell ends; daemons that it started go on. After
/// `timeout` it is killed with everything that it started. The report tells how it ended; `what` names it.
///
/// # Errors
/// When it can't be started or waited for; it does not run then.
pub(super) fn run(
    instance: &Instance,
    id: &Token,
    what: &str,
    cmd: &str,
    timeout: Duration,
    output: &Output,
) -> Result<Report> {
    let start = || -> io::Result<Child> {
        // Open while the shell starts, and then only there.
        let _handle = instance.command_mark(id, None).handle()?;
        Command::new("sh")
            .args(["-c", cmd])
            .current_dir(instance.root())
            .env_remove(crate::drone::WORKER)
            .env("PITRIX_COMMAND", id.as_str())
            .stdin(Stdio::null())
            .stdout(output.writer()?)
            .stderr(output.writer()?)
            .process_group(0)
            .spawn()
    };
    let mut shell = start().map_err(|e| Error::failed(format!("{what} can't be started")).caused_by(&e))?;
    let mark = instance.command_mark(id, Some(Pid::from_child(&shell)));
    let ended = wait(&mut shell, timeout, output);
    if !matches!(ended, Ok(Some(_))) {
        processes::end(|| mark.find(), Duration::ZERO)
            .and_then(|()| shell.wait())
            .map_err(|e| Error::failed(format!("{what} can't be ended")).caused_by(&e))?;
    }
    let ended = ended.map_err(|e| Error::failed(format!("{what} can't be waited for")).caused_by(&e))?;
    if let Err(e) = output.trim() {
        log(format_args!("the output of a command can't be bounded: {e}"));
    }
    Ok(Report {
        error: error(what, ended, timeout),
        exit_code: ended.and_then(|status| status.code()),
        output: output.tail().unwrap_or_else(|e| format!("(the output can't be read: {e})")),
        ..Report::default()
    })
}

/// None when the shell lives still after `timeout`.
fn wait(shell: &mut Child, timeout: Duration, output: &Output) -> io::Result<Option<ExitStatus>> {
    let pin = pidfd_open(Pid::from_child(shell), PidfdFlags::empty())?;
    let deadline = Instant::now() + timeout;
    loop {
        let look = deadline.min(Instant::now() + TRIM_EVERY);
        if processes::wait(&pin, look)? {
            return shell.wait().map(Some);
        }
        if look == deadline {
            return Ok(None);
        }
        output.trim()?;
    }
}

fn error(what: &str, ended: Option<ExitStatus>, timeout: Duration) -> Option<Error> {
    let Some(status) = ended else {
        return Some(
            Error::timed_out(format!("{what} did not end within {timeout:?} and was killed"))
                .hint("the end of its output may say what it waits for; else raise its timeout"),
        );
    };
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(Error::failed(format!("{what} ended with exit code {code}"))),
        (None, signal) => {
            Some(Error::failed(format!("{what} was ended by signal {}", signal.unwrap_or_default())))
        }
    }
}

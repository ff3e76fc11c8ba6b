//! Running the programs of an instance: shell command lines of packages, and what the agent itself needs.

use crate::drone::{instance::Instance, log, output::Output, processes};
use provider_core::{Error, Report, Result, Token};
use rustix::{
    event::{PollFd, PollFlags},
    process::{Pid, PidfdFlags, pidfd_open},
};
use std::{
    io,
    os::{
        fd::BorrowedFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// How often the output of a running command is looked at, so that it does not fill the disk.
const TRIM_EVERY: Duration = Duration::from_millis(500);

/// How to run a program.
pub(super) struct Program<'a> {
    pub(super) instance: &'a Instance,
    /// What its processes are recognised by.
    pub(super) id: &'a Token,
    /// Names it in errors.
    pub(super) what: &'a str,
    pub(super) timeout: Duration,
    /// Once there is something to read, it is stopped.
    pub(super) stop: Option<BorrowedFd<'a>>,
    pub(super) output: &'a Output,
}

enum Ended {
    Itself(ExitStatus),
    AtTimeout,
    Stopped,
}

/// A shell command line.
pub(super) fn shell(cmd: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", cmd]);
    shell
}

impl Program<'_> {
    /// Runs it in the root of the instance and waits until it ends; daemons that it started go on. At the
    /// timeout, and when it is stopped, it is killed with everything that it started. The report tells how it
    /// ended.
    ///
    /// # Errors
    /// When it can't be started or waited for; it does not run then.
    pub(super) fn run(&self, mut command: Command) -> Result<Report> {
        let Self { instance, id, what, output, .. } = self;
        let mut start = || -> io::Result<Child> {
            // Open while the program starts, and then only there.
            let _handle = instance.command_mark(id, None).handle()?;
            command
                .current_dir(instance.root())
                .env_remove(crate::drone::WORKER)
                .env("PITRIX_COMMAND", id.as_str())
                .stdin(Stdio::null())
                .stdout(output.writer()?)
                .stderr(output.writer()?)
                .process_group(0)
                .spawn()
        };
        let mut child = start().map_err(|e| match e.kind() {
            io::ErrorKind::NotFound if instance.root().is_dir() => {
                let program = command.get_program().display();
                Error::unsupported(format!("{what}: there is no `{program}` here"))
                    .hint("install it, or have PATH lead to it")
            }
            _ => Error::failed(format!("{what} can't be started")).caused_by(&e),
        })?;
        let mark = instance.command_mark(id, Some(Pid::from_child(&child)));
        let ended = self.wait(&mut child);
        if !matches!(ended, Ok(Ended::Itself(_))) {
            processes::end(|| mark.find(), Duration::ZERO)
                .and_then(|()| child.wait())
                .map_err(|e| Error::failed(format!("{what} can't be ended")).caused_by(&e))?;
        }
        let ended = ended.map_err(|e| Error::failed(format!("{what} can't be waited for")).caused_by(&e))?;
        if let Err(e) = output.trim() {
            log(format_args!("the output of a command can't be bounded: {e}"));
        }
        let exit_code = if let Ended::Itself(status) = ended { status.code() } else { None };
        Ok(Report {
            error: self.error(&ended),
            exit_code,
            output: output.tail().unwrap_or_else(|e| format!("(the output can't be read: {e})")),
            ..Report::default()
        })
    }

    fn wait(&self, child: &mut Child) -> io::Result<Ended> {
        let pin = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
        let deadline = Instant::now() + self.timeout;
        loop {
            let look = deadline.min(Instant::now() + TRIM_EVERY);
            let mut signs = vec![PollFd::new(&pin, PollFlags::IN)];
            signs.extend(self.stop.iter().map(|stop| PollFd::new(stop, PollFlags::IN)));
            if processes::wait_any(&mut signs, look)? {
                let has_ended = !signs[0].revents().is_empty();
                return if has_ended { child.wait().map(Ended::Itself) } else { Ok(Ended::Stopped) };
            }
            if look == deadline {
                return Ok(Ended::AtTimeout);
            }
            self.output.trim()?;
        }
    }

    fn error(&self, ended: &Ended) -> Option<Error> {
        let Self { what, timeout, .. } = self;
        let status = match ended {
            Ended::Itself(status) => status,
            Ended::AtTimeout => {
                return Some(
                    Error::timed_out(format!("{what} did not end within {timeout:?} and was killed"))
                        .hint("the end of its output may say what it waits for; else raise its timeout"),
                );
            }
            Ended::Stopped => return Some(Error::cancelled(format!("{what} was stopped"))),
        };
        match (status.code(), status.signal()) {
            (Some(0), _) => None,
            (Some(code), _) => Some(Error::failed(format!("{what} ended with exit code {code}"))),
            (None, signal) => {
                Some(Error::failed(format!("{what} was ended by signal {}", signal.unwrap_or_default())))
            }
        }
    }
}

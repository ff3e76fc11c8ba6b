//! Running the health check while services are started, and waiting for it.
//!
//! One thread runs checks and their actions, beside commands. A command that starts or stops the application
//! ends what that thread runs and holds it up: a check would lie meanwhile.

use crate::drone::{
    health::{Standing, Tally, Verdict, interval},
    instance::Instance,
    log,
    output::Output,
    processes,
    program::{Program, shell},
};
use provider_core::{Error, ErrorKind, Health, HealthCheck, Report, Result, ServiceName, Timestamp, Token};
use rustix::{
    event::{EventfdFlags, eventfd},
    process::Pid,
};
use std::{
    convert::Infallible,
    os::fd::{AsFd, OwnedFd},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The time between checks while somebody waits. Until the first verdict after a start it grows from this to the
/// package's interval.
const SOON: Duration = Duration::from_millis(250);
/// What is quoted of a check's output.
const LONGEST_LINE: usize = 200;
/// The id of all checks. None of them outlives the next.
const CHECK: &str = "health-check";

/// See the module.
pub(super) struct Checks {
    instance: Instance,
    keeper: Pid,
    /// Ends the check or action that runs.
    stop: OwnedFd,
    book: Mutex<Book>,
    changed: Condvar,
}

struct Book {
    standing: Standing,
    tally: Tally,
    due: Instant,
    /// The time to the next check while there is no verdict.
    pace: Duration,
    is_running: bool,
    is_paused: bool,
    /// Successes in a row since somebody waits for them.
    awaited: Option<u32>,
    /// Nothing is left that could become healthy, and nobody is about to bring it back.
    is_dead: bool,
    /// What the last check said, unless it passed.
    failure: Option<Failure>,
}

struct Failure {
    line: String,
    output: String,
}

/// No check runs while this lives.
struct Pause<'a>(&'a Checks);

impl Checks {
    /// The checks of an instance, after what an earlier worker was at when it died was ended.
    pub(super) fn open(instance: &Instance, keeper: Pid) -> Result<Self> {
        let end = |id: &Token| {
            let mark = instance.command_mark(id, None);
            processes::end(|| mark.find(), Duration::ZERO)
                .map_err(|e| Error::unavailable(format!("ending `{}`", id.as_str())).caused_by(&e))
        };
        let mut standing = Standing::load(instance)?;
        end(&Token::new(CHECK))?;
        if let Some(number) = standing.action() {
            end(&action(number))?;
            standing.acted("its action was cut short by the agent's end");
            standing.save(instance)?;
        }
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|e| Error::unavailable("preparing health checks").caused_by(&std::io::Error::from(e)))?;
        let now = Instant::now();
        let book = Book {
            standing,
            tally: Tally::from(now),
            due: now,
            pace: SOON,
            is_running: false,
            is_paused: false,
            awaited: None,
            is_dead: false,
            failure: None,
        };
        Ok(Self { instance: instance.clone(), keeper, stop, book: Mutex::new(book), changed: Condvar::new() })
    }

    /// Whether the application works.
    pub(super) fn health(&self) -> Health {
        let book = self.book();
        let mut health = book.standing.health();
        if book.standing.verdict() == Verdict::Open
            && let (Some(cause), Some(failure)) = (&mut health.cause, &book.failure)
        {
            *cause += ": ";
            *cause += &failure.line;
        }
        health
    }

    /// How many processes of the application run, whoever started them. Those of a check are not counted.
    pub(super) fn processes(&self) -> usize {
        let check = self.instance.command_mark(&Token::new(CHECK), None);
        let is_application = |pid| pid != self.keeper && !check.is_on(pid);
        let members = self.instance.mark(self.keeper).find();
        members.iter().filter(|process| is_application(process.pid)).count()
    }

    /// Takes what tells from now on that the application works.
    pub(super) fn configure(&self, check: Option<HealthCheck>) -> Result<()> {
        self.change(|standing| standing.configure(check, now()))?;
        self.changed.notify_all();
        Ok(())
    }

    /// Runs a service command of the package, and takes notice when it starts or stops the application.
    pub(super) fn around(&self, service: &str, run: impl FnOnce() -> Result<Report>) -> Result<Report> {
        let starts = match ServiceName::from(service.to_owned()) {
            ServiceName::Start | ServiceName::Restart => true,
            ServiceName::Stop | ServiceName::Destroy => false,
            _ => return run(),
        };
        let _pause = self.pause();
        if !starts {
            // Known before it happens: should the agent die, nothing is brought back that was to be stopped.
            self.change(|standing| standing.stop(now()))?;
        }
        let report = run()?;
        if starts && report.error.is_none() {
            self.change(|standing| standing.start(now()))?;
        }
        Ok(report)
    }

    /// Waits until enough checks in a row have passed from now on. A node without a check does not wait. Nobody waits
    /// for the dead: once checks have failed so often that the node is unhealthy, no process of the application is
    /// left and no action is to bring it back, it will not come back by itself.
    pub(super) fn await_healthy(&self, timeout: Duration) -> Result<Report> {
        let deadline = Instant::now() + timeout;
        let mut book = self.book();
        book.awaited = Some(0);
        (book.is_dead, book.failure) = (false, None);
        book.due = Instant::now();
        self.changed.notify_all();
        let mut is_late = false;
        while let Some(check) = book.standing.check()
            && book.awaited < Some(check.healthy_threshold)
            && !book.is_dead
            && !is_late
        {
            let left = deadline.saturating_duration_since(Instant::now());
            let waited = self.changed.wait_timeout(book, left);
            book = waited.unwrap_or_else(PoisonError::into_inner).0;
            is_late = left.is_zero();
        }
        book.awaited = None;
        if !book.is_dead && !is_late {
            return Ok(Report::default());
        }
        let (why, output) = match book.failure.take() {
            Some(Failure { line, output }) => (format!("the last health check failed: {line}"), output),
            None => ("no health check has failed, but too few have passed".to_owned(), String::new()),
        };
        let error = if book.is_dead {
            Error::failed("the node will not become healthy: no process of the application is left")
        } else {
            Error::timed_out(format!("the node did not become healthy within {timeout:?}"))
        };
        Ok(Report {
            error: Some(error.because(why).hint("see the node's logs")),
            output,
            ..Report::default()
        })
    }

    /// Runs checks whenever they are due.
    pub(super) fn run(&self) -> Infallible {
        loop {
            let check = self.next();
            let outcome = self.probe(&check);
            if let Some(number) = self.take(&check, outcome) {
                self.act(&check, number);
            }
            self.book().is_running = false;
            self.changed.notify_all();
        }
    }

    /// Waits until a check is due, which then runs.
    fn next(&self) -> HealthCheck {
        let mut book = self.book();
        loop {
            let wanted = !book.is_paused && (book.standing.is_started() || book.awaited.is_some());
            let check = book.standing.check().filter(|_| wanted).cloned();
            let left = book.due.saturating_duration_since(Instant::now());
            match check {
                Some(check) if left.is_zero() => {
                    // What stopped the last one does not stop this one.
                    rustix::io::read(&self.stop, &mut [0; 8]).ok();
                    book.is_running = true;
                    return check;
                }
                Some(_) => {
                    let waited = self.changed.wait_timeout(book, left);
                    book = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                None => book = self.changed.wait(book).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// None when the check was stopped and says nothing.
    fn probe(&self, check: &HealthCheck) -> Option<std::result::Result<(), Failure>> {
        let timeout = Duration::from_secs(check.timeout_s.max(1).into());
        let output = Output::check(&self.instance);
        let ended = output.and_then(|output| {
            let id = Token::new(CHECK);
            let program = Program {
                instance: &self.instance,
                id: &id,
                what: "it",
                timeout,
                stop: Some(self.stop.as_fd()),
                output: &output,
            };
            program.run(shell(&check.check_cmd))
        });
        let report = ended.unwrap_or_else(|error| Report { error: Some(error), ..Report::default() });
        match report.error {
            None => Some(Ok(())),
            Some(error) if error.kind() == ErrorKind::Cancelled => None,
            Some(error) => Some(Err(Failure { line: line(&error, &report.output), output: report.output })),
        }
    }

    /// Notes the outcome of a check; the number of the action to run, if there is one.
    fn take(&self, check: &HealthCheck, outcome: Option<std::result::Result<(), Failure>>) -> Option<u64> {
        let outcome = outcome?;
        let passed = outcome.is_ok();
        let is_empty = !passed && self.book().awaited.is_some() && self.processes() == 0;
        let mut book = self.book();
        if book.is_paused || book.standing.check() != Some(check) {
            return None;
        }
        book.awaited = book.awaited.map(|in_row| if passed { in_row.saturating_add(1) } else { 0 });
        book.failure = outcome.err();
        let verdict = book.tally.take(passed, check, Instant::now());
        let mut act = None;
        if let Some(verdict) = verdict.filter(|verdict| *verdict != book.standing.verdict()) {
            let times = check.unhealthy_threshold.max(1);
            let cause = book.failure.as_ref().map(|failure| match times {
                1 => format!("health check failed: {}", failure.line),
                _ => format!("health check failed {times} times: {}", failure.line),
            });
            if book.standing.decide(verdict, cause.as_deref(), now()) {
                act = book.standing.action();
            }
            self.save(&book.standing);
            log(format_args!("the node is {}", if passed { "healthy" } else { "unhealthy" }));
        }
        book.is_dead = verdict == Some(Verdict::Unhealthy) && is_empty && book.standing.action().is_none();
        let pause = match book.standing.verdict() {
            _ if book.awaited.is_some() => SOON,
            Verdict::Open => book.pace,
            Verdict::Healthy | Verdict::Unhealthy => interval(check),
        };
        book.pace = (2 * book.pace).min(interval(check));
        book.due = Instant::now() + pause;
        act
    }

    /// Runs the action of a node that has become unhealthy.
    fn act(&self, check: &HealthCheck, number: u64) {
        let id = action(number);
        // Together with the logs of commands: what it starts writes there.
        let ended = Output::log(&self.instance, 0, "health-action").and_then(|output| {
            let program = Program {
                instance: &self.instance,
                id: &id,
                what: "its action",
                timeout: Duration::from_secs(check.action_timeout_s.max(1).into()),
                stop: Some(self.stop.as_fd()),
                output: &output,
            };
            program.run(shell(&check.action_cmd))
        });
        let how = match ended.map(|report| report.error) {
            Ok(None) => "its action ran".to_owned(),
            Ok(Some(error)) | Err(error) => error.to_string(),
        };
        log(format_args!("the health check failed; {how}"));
        let mut book = self.book();
        book.standing.acted(&how);
        self.save(&book.standing);
    }

    fn pause(&self) -> Pause<'_> {
        let mut book = self.book();
        book.is_paused = true;
        while book.is_running {
            rustix::io::write(&self.stop, &1_u64.to_ne_bytes()).ok();
            book = self.changed.wait(book).unwrap_or_else(PoisonError::into_inner);
        }
        Pause(self)
    }

    /// Changes what is known, on disk first.
    fn change(&self, change: impl FnOnce(&mut Standing)) -> Result<()> {
        let mut book = self.book();
        let mut standing = book.standing.clone();
        change(&mut standing);
        if standing != book.standing {
            standing.save(&self.instance)?;
            book.standing = standing;
            book.begin();
        }
        Ok(())
    }

    /// Nobody waits for what the checks found: it is known even when it can't be stored.
    fn save(&self, standing: &Standing) {
        if let Err(error) = standing.save(&self.instance) {
            log(format_args!("{error}"));
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Forgets earlier outcomes; the next is soon, and a failure counts when an interval has passed.
    fn begin(&mut self) {
        let now = Instant::now();
        let grace = self.standing.check().map(interval).unwrap_or_default();
        self.tally = Tally::from(now + grace);
        self.failure = None;
        self.due = now;
        self.pace = SOON;
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        let mut book = self.0.book();
        book.is_paused = false;
        book.begin();
        self.0.changed.notify_all();
    }
}

fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

fn action(number: u64) -> Token {
    Token::new(format!("health-action-{number}"))
}

/// What was wrong, in a line: the last one that the check wrote, or how it ended.
fn line(error: &Error, output: &str) -> String {
    let last = output.lines().map(str::trim).rfind(|line| !line.is_empty());
    match last.filter(|_| error.kind() == ErrorKind::Failed) {
        Some(last) => last.chars().filter(|c| !c.is_control()).take(LONGEST_LINE).collect(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_in_one_line() {
        let failed = Error::failed("it ended with exit code 1");
        let late = Error::timed_out("it did not end within 1s and was killed");
        let check = |error: &Error, output: &str, expected: &str| assert_eq!(line(error, output), expected);
        check(&failed, "one\nCould not connect \n\n", "Could not connect");
        check(&failed, " \n", "it ended with exit code 1");
        check(&failed, "\x1b[31mred\x1b[0m", "[31mred[0m");
        check(&late, "waiting", "it did not end within 1s and was killed");
        assert_eq!(line(&failed, &"é".repeat(500)).chars().count(), LONGEST_LINE);
    }
}

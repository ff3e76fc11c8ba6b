//! Whether the application works, as far as is known: what the drone remembers of it, and when it changes its
//! mind.

use crate::drone::{durable::replace, instance::Instance};
use provider_core::{
    Error, Health, HealthCheck, Result, Timestamp,
    stored::{self, Stored},
};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    time::{Duration, Instant},
};

/// `drone/health`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    check: Option<HealthCheck>,
    started: bool,
    verdict: Verdict,
    since: Timestamp,
    cause: Option<String>,
    /// How many actions were begun, each by a node that became unhealthy.
    actions: u64,
    /// The last one has not ended, unless the worker died meanwhile.
    is_acting: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// No check has decided yet.
    #[default]
    Open,
    Healthy,
    Unhealthy,
}

impl Stored for Standing {
    const KIND: &'static str = "agent health";
    const VERSION: u32 = 1;
}

impl Standing {
    pub(super) fn load(instance: &Instance) -> Result<Self> {
        match fs::read_to_string(instance.drone().join("health")) {
            Ok(text) => stored::read(&text),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(Error::store("reading the node's health").caused_by(&e)),
        }
    }

    pub(super) fn save(&self, instance: &Instance) -> Result<()> {
        replace(&instance.drone().join("health"), stored::store(self)?.as_bytes())
            .map_err(|e| Error::store("writing the node's health").caused_by(&e))
    }

    pub(super) fn check(&self) -> Option<&HealthCheck> {
        self.check.as_ref()
    }

    pub(super) fn is_started(&self) -> bool {
        self.started
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The action that has not ended.
    pub(super) fn action(&self) -> Option<u64> {
        self.is_acting.then_some(self.actions)
    }

    /// Takes what tells from now on that the application works.
    pub(super) fn configure(&mut self, check: Option<HealthCheck>, now: Timestamp) {
        let check = check.filter(|check| check.enable);
        if self.check != check {
            self.check = check;
            if self.started {
                self.start(now);
            }
        }
    }

    /// Its services have been started.
    pub(super) fn start(&mut self, now: Timestamp) {
        self.started = true;
        match self.check {
            None => self.turn(Verdict::Healthy, None, now),
            Some(_) => self.turn(Verdict::Open, Some("no health check has passed since the start"), now),
        }
    }

    /// Its services are being stopped.
    pub(super) fn stop(&mut self, now: Timestamp) {
        self.started = false;
        self.turn(Verdict::Open, None, now);
    }

    /// The instance begins anew: nothing of the application runs, whatever ran before.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.is_acting = false;
        if self.started {
            let cause = "the instance was started anew and its services were not";
            self.turn(Verdict::Open, Some(cause), now);
        }
    }

    /// Checks have decided. True when the check's action is to run.
    pub(super) fn decide(&mut self, verdict: Verdict, cause: Option<&str>, now: Timestamp) -> bool {
        if !self.started || self.verdict == verdict {
            return false;
        }
        self.turn(verdict, cause, now);
        let has_action = self.check.as_ref().is_some_and(|check| !check.action_cmd.is_empty());
        if verdict == Verdict::Unhealthy && has_action {
            self.actions += 1;
            self.is_acting = true;
        }
        self.is_acting
    }

    /// The action has ended like this.
    pub(super) fn acted(&mut self, how: &str) {
        self.is_acting = false;
        if let Some(cause) = &mut self.cause {
            *cause += "; ";
            *cause += how;
        }
    }

    pub(super) fn health(&self) -> Health {
        Health {
            started: self.started,
            healthy: self.started && self.verdict == Verdict::Healthy,
            since: self.since,
            cause: self.cause.clone(),
        }
    }

    fn turn(&mut self, verdict: Verdict, cause: Option<&str>, now: Timestamp) {
        self.verdict = verdict;
        self.since = now;
        self.cause = cause.map(str::to_owned);
    }
}

/// The outcomes in a row. Checks may come faster than the package's interval; failures then count once in each.
#[derive(Debug)]
pub(super) struct Tally {
    successes: u32,
    failures: u32,
    counts_from: Instant,
}

impl Tally {
    /// Failures count from then on.
    pub(super) fn from(counts_from: Instant) -> Self {
        Self { successes: 0, failures: 0, counts_from }
    }

    /// Takes an outcome and tells what follows from it, if anything does.
    pub(super) fn take(&mut self, passed: bool, check: &HealthCheck, now: Instant) -> Option<Verdict> {
        if passed {
            self.failures = 0;
            self.successes = self.successes.saturating_add(1);
            return (self.successes >= check.healthy_threshold).then_some(Verdict::Healthy);
        }
        self.successes = 0;
        if now >= self.counts_from {
            self.counts_from = now + interval(check);
            self.failures = self.failures.saturating_add(1);
        }
        (self.failures >= check.unhealthy_threshold.max(1)).then_some(Verdict::Unhealthy)
    }
}

/// The time between checks, never none.
pub(super) fn interval(check: &HealthCheck) -> Duration {
    Duration::from_secs(check.interval_s.max(1).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(action_cmd: &str) -> HealthCheck {
        HealthCheck {
            enable: true,
            interval_s: 10,
            timeout_s: 5,
            action_timeout_s: 5,
            healthy_threshold: 2,
            unhealthy_threshold: 3,
            check_cmd: "true".into(),
            action_cmd: action_cmd.into(),
        }
    }

    /// What follows from outcomes at these seconds: `+` passed, `-` failed.
    fn verdicts(outcomes: &[(u64, char)]) -> String {
        let start = Instant::now();
        let mut tally = Tally::from(start);
        let mut letter = |(at, outcome): &(u64, char)| match tally.take(
            *outcome == '+',
            &check(""),
            start + Duration::from_secs(*at),
        ) {
            None | Some(Verdict::Open) => '.',
            Some(Verdict::Healthy) => 'h',
            Some(Verdict::Unhealthy) => 'u',
        };
        outcomes.iter().map(&mut letter).collect()
    }

    #[test]
    fn only_enough_outcomes_in_a_row_decide_and_failures_count_once_an_interval() {
        fn check(outcomes: &[(u64, char)], expected: &str) {
            assert_eq!(verdicts(outcomes), expected, "{outcomes:?}");
        }
        check(&[(0, '+'), (10, '+'), (20, '+')], ".hh");
        check(&[(0, '-'), (10, '-'), (20, '-'), (30, '-')], "..uu");
        check(&[(0, '-'), (10, '-'), (20, '+'), (30, '-'), (40, '-'), (50, '-')], ".....u");
        check(&[(0, '+'), (10, '-'), (20, '+'), (30, '+')], "...h");
        // Somebody is in a hurry: successes count, more failures don't.
        check(&[(0, '-'), (1, '-'), (2, '-'), (3, '-'), (11, '-'), (12, '-'), (21, '-')], "......u");
        check(&[(0, '-'), (1, '+'), (2, '+')], "..h");
    }

    #[test]
    fn a_node_is_healthy_only_while_it_is_started() {
        let now = Timestamp;
        let told = |standing: &Standing| {
            let Health { started, healthy, since, cause } = standing.health();
            (started, healthy, since.0, cause.unwrap_or_default())
        };
        let mut unchecked = Standing::default();
        unchecked.configure(Some(HealthCheck { enable: false, ..check("") }), now(1));
        assert_eq!(told(&unchecked), (false, false, 0, String::new()));
        unchecked.start(now(2));
        assert_eq!(told(&unchecked), (true, true, 2, String::new()));
        unchecked.begin(now(3));
        let cause = "the instance was started anew and its services were not".to_owned();
        assert_eq!(told(&unchecked), (true, false, 3, cause));
        unchecked.stop(now(4));
        assert_eq!(told(&unchecked), (false, false, 4, String::new()));

        let mut checked = Standing::default();
        checked.configure(Some(check("")), now(1));
        assert!(!checked.decide(Verdict::Healthy, None, now(2)), "it is not started");
        checked.start(now(3));
        let cause = "no health check has passed since the start".to_owned();
        assert_eq!(told(&checked), (true, false, 3, cause));
        checked.decide(Verdict::Healthy, None, now(4));
        checked.configure(Some(check("")), now(5));
        assert_eq!(told(&checked), (true, true, 4, String::new()), "it is the same check");
        checked.configure(None, now(6));
        assert_eq!(told(&checked), (true, true, 6, String::new()));
    }

    #[test]
    fn the_action_runs_once_for_each_time_that_a_node_becomes_unhealthy() {
        let now = Timestamp(1);
        let mut standing = Standing::default();
        standing.configure(Some(check("restart")), now);
        standing.start(now);
        assert!(standing.decide(Verdict::Unhealthy, Some("it failed"), now));
        assert_eq!(standing.action(), Some(1));
        standing.acted("its action ran");
        assert_eq!(standing.health().cause.unwrap(), "it failed; its action ran");
        assert!(!standing.decide(Verdict::Unhealthy, Some("it failed"), now));
        assert!(!standing.decide(Verdict::Healthy, None, now));
        assert!(standing.decide(Verdict::Unhealthy, Some("it failed"), now));
        assert_eq!(standing.action(), Some(2));
    }
}

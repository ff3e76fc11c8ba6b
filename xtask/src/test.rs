//! `cargo xtask test`: everything that has to be green, in the order that fails soonest.
//!
//! Steps run one after another up to the first failure. What a machine can't run is skipped, and said; with `CI=true`
//! a skip is a failure. A run without a single passed test is one too.

use crate::{Options, Result, command::Cmd, demo, deny, tidy, workspace::Workspace};
use std::time::Instant;

struct Step {
    name: &'static str,
    run: fn(&mut Run) -> Result<()>,
}

const STEPS: &[Step] = &[
    Step { name: "format", run: |_| Cmd::cargo(&["fmt", "--all", "--check"]).run() },
    Step { name: "tidy", run: |run| tidy::check(&run.workspace) },
    Step {
        name: "lints",
        run: |_| Cmd::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run(),
    },
    Step { name: "tests", run: |run| run.tests(&["--workspace"]) },
    Step { name: "features", run: Run::features },
    Step {
        name: "documentation",
        run: |_| Cmd::cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings").run(),
    },
    Step { name: "deny", run: Run::deny },
    Step { name: "demo", run: Run::demo },
];

pub(crate) fn run(options: Options) -> Result<()> {
    options.finish()?;
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    let mut run = Run { workspace: Workspace::enter()?, tally: Tally::default(), skips: 0 };
    let outcome =
        STEPS.iter().try_for_each(|step| run.step(step)).and_then(|()| verdict(&run.tally, run.skips, is_ci));
    // A failure outside of the tests counts as well, or the last line would look green.
    run.tally.failed += usize::from(outcome.is_err() && run.tally.failed == 0);
    println!("{} passed, {} failed", run.tally.passed, run.tally.failed);
    outcome
}

struct Run {
    workspace: Workspace,
    tally: Tally,
    skips: usize,
}

impl Run {
    fn step(&mut self, step: &Step) -> Result<()> {
        println!("== {}", step.name);
        let started = Instant::now();
        let outcome = (step.run)(self);
        let word = if outcome.is_ok() { "done" } else { "FAILED" };
        println!("== {}: {word} in {:.1} s", step.name, started.elapsed().as_secs_f64());
        outcome.map_err(|error| format!("{}: {error}", step.name))
    }

    fn skip(&mut self, what: &str, why: &str) {
        println!("SKIPPED {what}: {why}");
        self.skips += 1;
    }

    /// Runs `cargo test` on `what` and counts.
    fn tests(&mut self, what: &[&str]) -> Result<()> {
        let mut tally = Tally::default();
        let args = [&["test", "--no-fail-fast"], what].concat();
        let is_green = Cmd::cargo(&args).watch(|line| tally.count(line))?;
        self.tally.passed += tally.passed;
        self.tally.failed += tally.failed;
        if tally.ignored > 0 {
            self.skip(&format!("{} tests", tally.ignored), "they are marked `ignore`");
        }
        if is_green { Ok(()) } else { Err("not green".to_owned()) }
    }

    /// The facade with no plugin, and with each plugin alone.
    fn features(&mut self) -> Result<()> {
        let mut features = self.workspace.package("providers")?.features.clone();
        features.remove("default");
        let alone = ["--package", "providers", "--no-default-features"];
        self.tests(&alone)?;
        features.iter().try_for_each(|feature| self.tests(&[&alone[..], &["--features", feature]].concat()))
    }

    fn deny(&mut self) -> Result<()> {
        match deny::program(&self.workspace) {
            Ok(program) => deny::check(&program, &deny::OFFLINE_CHECKS),
            Err(error) => {
                self.skip("deny", &error);
                Ok(())
            }
        }
    }

    fn demo(&mut self) -> Result<()> {
        match demo::prepare(&self.workspace) {
            Ok(stage) => demo::play(&stage),
            Err(demo::NotHere(why)) => {
                self.skip("demo", &why);
                Ok(())
            }
        }
    }
}

/// What cargo's test runs say at their ends.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    passed: usize,
    failed: usize,
    ignored: usize,
}

impl Tally {
    /// Adds what `line` says, if it is the last line of a test binary.
    fn count(&mut self, line: &str) {
        let Some(counts) = line.trim_start().strip_prefix("test result: ") else {
            return;
        };
        for part in counts.split([';', '.']) {
            let Some((number, what)) = part.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<usize>() else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// What is wrong with a run whose steps all ended well.
fn verdict(tally: &Tally, skips: usize, is_ci: bool) -> Result<()> {
    if tally.passed == 0 {
        Err("no test ran".to_owned())
    } else if is_ci && skips > 0 {
        Err(format!("{skips} skipped, and with `CI=true` nothing may be"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines_of_test_binaries_are_counted() {
        let check = |line, passed, failed, ignored| {
            let mut tally = Tally::default();
            tally.count(line);
            assert_eq!(tally, Tally { passed, failed, ignored }, "{line}");
        };
        check(
            "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 7 filtered out; finished in 0.01s",
            12,
            0,
            3,
        );
        check("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out", 1, 2, 0);
        check("running 5 tests", 0, 0, 0);
        check("test a::b ... ok", 0, 0, 0);
    }

    #[test]
    fn a_run_of_nothing_is_not_green() {
        let check = |passed, skips, is_ci, expected: Result<(), &str>| {
            let verdict = verdict(&Tally { passed, ..Tally::default() }, skips, is_ci);
            assert_eq!(verdict.as_ref().copied().map_err(String::as_str), expected);
        };
        check(1, 0, true, Ok(()));
        check(1, 1, false, Ok(()));
        check(0, 0, false, Err("no test ran"));
        check(1, 1, true, Err("1 skipped, and with `CI=true` nothing may be"));
    }
}

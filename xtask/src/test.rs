//! `cargo xtask test [STEP]`: everything that has to be green, in the order that fails soonest; or one step of it.
//!
//! Steps run one after another up to the first failure. What a machine can't run is skipped, and said; with `CI=true`
//! a skip is a failure. A run without a single passed test is one too.
//!
//! A test that can't run appends a line to the file that [`SKIPS`] names, because the test harness swallows what a test
//! that passes prints: `SKIPPED what: why`, or `NOTE what: why` where the machine does not allow it, which fails nothing.
//! A test in a module called `kubernetes` needs a cluster. It has a step of its own, where the binary has the provider
//! for it; all else takes the same packages and features in every step of tests, so that nothing is built twice.

use crate::{
    Options, Result,
    command::{Cmd, is_debian_root, is_on_path},
    demo, deny, kube, tidy,
    workspace::Workspace,
};
use std::collections::BTreeSet;
use std::time::Instant;

/// The variable with the path of the file to which tests append what they skip.
const SKIPS: &str = "PITRIX_TEST_SKIPS";

/// The variable with the directory of public charts, which are no part of the project.
pub(crate) const CHARTS: &str = "PITRIX_TEST_CHARTS";

/// Part of the names of all tests that need a cluster.
const ON_KUBERNETES: &str = "kubernetes::";

/// What they take.
const KUBERNETES: [&str; 4] = ["--workspace", "--tests", "--features", "pitrix/kubernetes"];

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
    Step { name: "tests", run: Run::ordinary_tests },
    Step { name: "features", run: Run::features },
    Step {
        name: "documentation",
        run: |_| Cmd::cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings").run(),
    },
    Step { name: "deny", run: Run::deny },
    Step { name: "kubernetes", run: Run::kubernetes },
    Step { name: "charts", run: Run::charts },
    Step { name: "demo", run: Run::demo },
];

pub(crate) fn run(mut options: Options) -> Result<()> {
    let steps = chosen(options.take_name().as_deref())?;
    options.finish()?;
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    let mut run = Run { workspace: Workspace::enter()?, tally: Tally::default(), skips: 0 };
    let is_whole = steps.len() == STEPS.len();
    let outcome = steps
        .iter()
        .try_for_each(|step| run.step(step))
        .and_then(|()| verdict(&run.tally, run.skips, is_whole, is_ci));
    // A failure outside of the tests counts as well, or the last line would look green.
    run.tally.failed += usize::from(outcome.is_err() && run.tally.failed == 0);
    println!("{} passed, {} failed", run.tally.passed, run.tally.failed);
    outcome
}

/// The step called `name`, or all.
fn chosen(name: Option<&str>) -> Result<&'static [Step]> {
    let Some(name) = name else { return Ok(STEPS) };
    STEPS.iter().find(|step| step.name == name).map(std::slice::from_ref).ok_or_else(|| {
        let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        format!("there is no step `{name}`\nhint: known are: {}", names.join(", "))
    })
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

    /// All tests but those that need a cluster.
    fn ordinary_tests(&mut self) -> Result<()> {
        install_missing();
        self.tests(&["--workspace", "--", "--skip", ON_KUBERNETES])
    }

    /// The tests that need a cluster, on one that lives as long as the step.
    fn kubernetes(&mut self) -> Result<()> {
        let programs = match kube::prepare(&self.workspace) {
            Ok(programs) => programs,
            Err(kube::NotHere(why)) => {
                let list = [&["test"][..], &KUBERNETES, &["--", "--list", ON_KUBERNETES]].concat();
                let list = Cmd::cargo(&list).output()?;
                names(&list).for_each(|test| self.skip(test, &why));
                return Ok(());
            }
        };
        // No cluster waits for a compiler.
        Cmd::cargo(&[&["test", "--no-run"][..], &KUBERNETES].concat()).run()?;
        let cluster = kube::cluster(&self.workspace, &programs)?;
        let passed = self.tally.passed;
        let what = [&KUBERNETES[..], &["--", ON_KUBERNETES]].concat();
        self.tests_with(&what, |command| cluster.tell(command))?;
        if self.tally.passed == passed {
            return Err("no test ran".to_owned());
        }
        Ok(())
    }

    /// Public charts: all of them rendered beside what helm made of them, a dozen installed beside helm.
    fn charts(&mut self) -> Result<()> {
        let Some(dir) = std::env::var_os(CHARTS) else {
            println!("NOTE no public charts are tried: `{CHARTS}` names no directory of them");
            return Ok(());
        };
        let programs = match kube::prepare(&self.workspace) {
            Ok(programs) => programs,
            Err(kube::NotHere(why)) => {
                self.skip("charts", &why);
                return Ok(());
            }
        };
        let [workspace, _, feature @ ..] = KUBERNETES;
        Cmd::cargo(&[&["build", workspace, "--bins"][..], &feature].concat()).run()?;
        let built = self.workspace.target.join("debug");
        Cmd::new(built.join("charts"), &[&*dir.to_string_lossy()]).run()?;
        kube::dozen(&self.workspace, &programs, dir.as_ref(), built.join("pitrix"))
    }

    fn tests(&mut self, what: &[&str]) -> Result<()> {
        self.tests_with(what, |command| command)
    }

    /// Runs `cargo test` on `what`, changed by `with`, and counts.
    fn tests_with(&mut self, what: &[&str], with: impl FnOnce(Cmd) -> Cmd) -> Result<()> {
        let skips = self.workspace.target.join("test-skips");
        let failed = |error| format!("cannot write `{}`: {error}", skips.display());
        std::fs::write(&skips, "").map_err(failed)?;
        let args = [&["test", "--no-fail-fast"], what].concat();
        let mut tally = Tally::default();
        let is_green = with(Cmd::cargo(&args).quiet_env(SKIPS, &skips)).watch(|line| tally.count(line))?;
        self.tally.passed += tally.passed;
        self.tally.failed += tally.failed;
        if tally.ignored > 0 {
            self.skip(&format!("{} tests", tally.ignored), "they are marked `ignore`");
        }
        let said = std::fs::read_to_string(&skips)
            .map_err(|error| format!("cannot read `{}`: {error}", skips.display()))?;
        for line in said.lines().collect::<BTreeSet<_>>() {
            println!("{line}");
            self.skips += usize::from(!line.starts_with("NOTE "));
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

/// Programs that tests want, and the packages that have them: volumes are tried with xfs, completions in zsh.
const WANTED: [(&str, &str); 2] = [("mkfs.xfs", "xfsprogs"), ("zsh", "zsh")];

/// Installs what is missing of that, where we may. What can't be had is skipped by the tests that want it.
fn install_missing() {
    let missing = WANTED.iter().filter(|(program, _)| !is_on_path(program));
    let packages: Vec<_> = missing.map(|(_, package)| *package).collect();
    if packages.is_empty() || !is_debian_root() {
        return;
    }
    let installed = Cmd::new("apt-get", &["update"]).run().and_then(|()| {
        let install = [&["install", "--yes", "--no-install-recommends"], &packages[..]].concat();
        Cmd::new("apt-get", &install).quiet_env("DEBIAN_FRONTEND", "noninteractive").run()
    });
    if let Err(error) = installed {
        println!("NOTE {} can't be installed: {error}", packages.join(" and "));
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

/// The tests that a test harness lists.
fn names(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter_map(|line| line.strip_suffix(": test"))
}

/// What is wrong with a run whose steps all ended well.
fn verdict(tally: &Tally, skips: usize, is_whole: bool, is_ci: bool) -> Result<()> {
    if is_whole && tally.passed == 0 {
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
    fn tests_that_do_not_run_are_named() {
        let list = "a::kubernetes::one: test\nb::kubernetes::two: test\n\n2 tests, 0 benchmarks\n";
        assert_eq!(names(list).collect::<Vec<_>>(), ["a::kubernetes::one", "b::kubernetes::two"]);
    }

    #[test]
    fn a_step_is_chosen_by_its_name() {
        let count = |name| chosen(name).map(<[Step]>::len);
        assert_eq!(count(None), Ok(STEPS.len()));
        assert_eq!(count(Some("kubernetes")), Ok(1));
        assert!(
            count(Some("kube"))
                .unwrap_err()
                .starts_with("there is no step `kube`\nhint: known are: format, ")
        );
    }

    #[test]
    fn a_run_of_nothing_is_not_green() {
        let check = |passed, skips, is_ci, expected: Result<(), &str>| {
            let verdict = verdict(&Tally { passed, ..Tally::default() }, skips, true, is_ci);
            assert_eq!(verdict.as_ref().copied().map_err(String::as_str), expected);
        };
        check(1, 0, true, Ok(()));
        check(1, 1, false, Ok(()));
        check(0, 0, false, Err("no test ran"));
        check(1, 1, true, Err("1 skipped, and with `CI=true` nothing may be"));
    }
}

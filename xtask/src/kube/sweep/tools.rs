//! The two programs that a sweep compares, by their command lines.

use super::cases::{Case, Charts};
use crate::{Result, command::Cmd, kube::Programs, kube::pypi, processes};
use std::path::{Path, PathBuf};

/// How many seconds each of them waits: helm for an action, Pitrix for an object. What gets ready does so in one or two.
const WAIT_S: u32 = 30;
/// How long any action may take before it is broken off.
const TIMEOUT: &str = "90s";

/// What is done with a chart, in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    Install,
    Upgrade,
    Rollback,
    /// Scaled to zero, which only Pitrix does.
    Stop,
    Start,
    Delete,
}

impl Step {
    pub(super) const ALL: [Self; 6] =
        [Self::Install, Self::Upgrade, Self::Rollback, Self::Stop, Self::Start, Self::Delete];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Rollback => "rollback",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Delete => "delete",
        }
    }

    /// The revision that is deployed after it.
    fn revision(self) -> Option<&'static str> {
        match self {
            Self::Install => Some("1"),
            Self::Upgrade => Some("2"),
            Self::Rollback | Self::Stop | Self::Start => Some("3"),
            Self::Delete => None,
        }
    }
}

/// One of the two, and what it needs.
#[derive(Clone, Debug)]
pub(super) enum Tool {
    Helm,
    /// The binary.
    Pitrix(PathBuf),
}

/// A chart that a program is at work on.
pub(super) struct Work<'a> {
    pub(super) case: &'a Case,
    pub(super) charts: &'a Charts,
    pub(super) programs: &'a Programs,
    pub(super) kubeconfig: &'a str,
    /// For the program's own files.
    pub(super) home: PathBuf,
    /// How Pitrix calls the two versions of the chart.
    pub(super) apps: Vec<String>,
}

impl Tool {
    /// What a user did long before: it is not measured.
    pub(super) fn prepare(&self, work: &mut Work<'_>) -> Result<()> {
        let Self::Pitrix(program) = self else { return Ok(()) };
        pypi::empty(&work.home)?;
        let home = crate::kube::made_dir(work.home.clone())?;
        // Several files may be named, and they may name others: what Pitrix keeps has all in it.
        let view = ["config", "view", "--raw", "--flatten", "--minify"];
        let kubeconfig = work.programs.kubectl(work.kubeconfig.as_ref(), &view).answer()?;
        let credential = home.join("credential.json");
        let fields = serde_json::json!({ "kubeconfig": kubeconfig });
        std::fs::write(&credential, fields.to_string())
            .map_err(|error| format!("cannot write `{}`: {error}", credential.display()))?;
        let arguments = ["runtime", "create", "sweep", "--provider", "kubernetes"];
        let place = ["--zone", &work.case.release, "--credential-file", &credential.to_string_lossy()];
        let patience = ["--label", &format!("wait-timeout-s={WAIT_S}")];
        pitrix(program, &home, &[&arguments[..], &place, &patience].concat()).attempt()??;
        for chart in [&work.charts.first, &work.charts.second] {
            let push = ["app", "push", &chart.to_string_lossy(), "--output", "name"];
            let name = pitrix(program, &home, &push).attempt()??;
            work.apps.push(name.trim().to_owned());
        }
        Ok(())
    }

    /// The command that does `step`, where the program can do that.
    pub(super) fn command(&self, step: Step, work: &Work<'_>) -> Option<Cmd> {
        let release = work.case.release.as_str();
        let values = work.case.values.as_ref().map(|file| file.to_string_lossy().into_owned());
        let values = values.as_ref().map_or(Vec::new(), |file| vec!["-f", file.as_str()]);
        let patience = format!("{WAIT_S}s");
        let command = match self {
            Self::Helm => {
                let (first, second) =
                    (work.charts.first.to_string_lossy(), work.charts.second.to_string_lossy());
                let mut arguments = match step {
                    Step::Install => vec!["install", release, &first],
                    Step::Upgrade => vec!["upgrade", release, &second],
                    Step::Rollback => vec!["rollback", release, "1"],
                    Step::Stop | Step::Start => return None,
                    Step::Delete => vec!["uninstall", release],
                };
                arguments.extend(["--namespace", release, "--wait", "--timeout", &patience]);
                if step == Step::Install {
                    arguments.push("--create-namespace");
                    arguments.extend(values);
                }
                work.programs.helm(&work.home, &arguments).quiet_env("KUBECONFIG", work.kubeconfig)
            }
            Self::Pitrix(program) => {
                let app = |index: usize| work.apps.get(index).map_or("", String::as_str);
                let version = app(1).split_once('@').map_or("", |(_, version)| version);
                let mut arguments = match step {
                    Step::Install => {
                        vec!["cluster", "create", release, "--app", app(0), "--runtime", "sweep", "--lookup"]
                    }
                    Step::Upgrade => vec!["cluster", "upgrade", release, "--to", version, "--no-backup"],
                    Step::Rollback => vec!["cluster", "rollback", release],
                    Step::Stop => vec!["cluster", "stop", release],
                    Step::Start => vec!["cluster", "start", release],
                    Step::Delete => vec!["cluster", "delete", release, "--yes"],
                };
                if step == Step::Install {
                    arguments.extend(values);
                }
                pitrix(program, &work.home, &arguments)
            }
        };
        Some(command.within(TIMEOUT))
    }

    /// What the real helm misses in the release as it is after `step`, unless it was helm that took it.
    pub(super) fn read_by_helm(&self, step: Step, work: &Work<'_>) -> Result<Option<String>> {
        if matches!(self, Self::Helm) {
            return Ok(None);
        }
        let release = work.case.release.as_str();
        let helm = |arguments: &[&str]| {
            let arguments = [arguments, &["--namespace", release]].concat();
            work.programs.helm(&work.home, &arguments).quiet_env("KUBECONFIG", work.kubeconfig).attempt()
        };
        let list = match helm(&["list", "--output", "json"])? {
            Ok(list) => list,
            Err(said) => return Ok(Some(format!("`helm list` fails: {}", cause(&said)))),
        };
        let list: Vec<serde_json::Value> =
            serde_json::from_str(&list).map_err(|error| format!("`helm list` printed no JSON: {error}"))?;
        let listed: Vec<_> = list
            .iter()
            .map(|one| (one["name"].as_str(), one["revision"].as_str(), one["status"].as_str()))
            .collect();
        let expected: Vec<_> = step
            .revision()
            .map(|revision| (Some(release), Some(revision), Some("deployed")))
            .into_iter()
            .collect();
        if listed != expected {
            return Ok(Some(format!("`helm list` shows {listed:?}")));
        }
        if step.revision().is_some() {
            for words in [&["status"][..], &["history"], &["get", "manifest"]] {
                if let Err(said) = helm(&[words, &[release]].concat())? {
                    return Ok(Some(format!("`helm {}` fails: {}", words.join(" "), cause(&said))));
                }
            }
        }
        Ok(None)
    }

    /// Ends what the program has left running for `work`.
    pub(super) fn end(&self, work: &Work<'_>) -> Result<()> {
        match self {
            Self::Helm => Ok(()),
            Self::Pitrix(_) => processes::belonging_to(&work.home).into_iter().try_for_each(processes::kill),
        }
    }
}

fn pitrix(program: &Path, home: &Path, arguments: &[&str]) -> Cmd {
    Cmd::new(program, arguments).quiet_env("PITRIX_STATE", home.join("state")).without_env("KUBECONFIG")
}

/// The line of an error that says most: that which is called so and what follows, else the last.
pub(super) fn cause(said: &str) -> String {
    const LONGEST: usize = 240;
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_error = |line: &&str| line.to_ascii_lowercase().starts_with("error");
    let from = lines.iter().position(is_error).unwrap_or(lines.len().saturating_sub(1));
    let text = lines[from.min(lines.len())..].join(" ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_found_in_what_a_program_says() {
        let check = |said: &str, expected: &str| assert_eq!(cause(said), expected);
        check(
            "level=WARN msg=x\nError: INSTALLATION FAILED: no\n  matches",
            "Error: INSTALLATION FAILED: no matches",
        );
        check("waiting\nerror: job failed\nhint: look", "error: job failed hint: look");
        check("something\nelse\n", "else");
        check("", "");
        assert!(cause(&"x".repeat(300)).ends_with('…'));
    }
}

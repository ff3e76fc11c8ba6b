//! Completion: the names that there are, for the shell to offer.

use crate::{
    args::{Cli, Shell},
    exit::Outcome,
    screen::Screen,
    site::{MachineClock, state_dir},
};
use clap::CommandFactory;
use clap_complete::{
    CompleteEnv, CompletionCandidate,
    env::{Bash, EnvCompleter, Zsh},
};
use engine::{ClusterFilter, Options, Store};
use provider_core::{Error, Result};
use std::{env, ffi::OsString, path::PathBuf, sync::Arc};
use tokio::runtime::Builder;

/// What asks the program to complete instead of doing anything.
const VARIABLE: &str = "COMPLETE";

/// Answers the shell and ends the program, if it was the shell that asked.
pub(crate) fn answer_shell() {
    CompleteEnv::with_factory(Cli::command).var(VARIABLE).complete();
}

/// Prints what registers the completion with a shell.
pub(crate) fn register(shell: Shell, screen: &Screen) -> Outcome {
    let completer: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
    };
    let mut script = Vec::new();
    completer
        .write_registration(VARIABLE, "pitrix", "pitrix", "pitrix", &mut script)
        .map_err(|e| Error::bug("writing the completion script").caused_by(&e))?;
    if matches!(shell, Shell::Bash) {
        // Or bash takes what stands before the `@` of an app version for a word of its own.
        script.extend_from_slice(b"COMP_WORDBREAKS=${COMP_WORDBREAKS//@/}\n");
    }
    screen.data(&String::from_utf8_lossy(&script))
}

pub(crate) fn clusters() -> Vec<CompletionCandidate> {
    names(async |store| {
        let clusters = store.clusters(&ClusterFilter::default()).await?;
        Ok(clusters.into_iter().map(|cluster| (cluster.spec.name, cluster.spec.app.to_string())).collect())
    })
}

pub(crate) fn apps() -> Vec<CompletionCandidate> {
    names(async |store| {
        Ok(store.apps().await?.into_iter().map(|app| (app.id.to_string(), String::new())).collect())
    })
}

/// The versions of all apps: which of them fits depends on the cluster, and that is said when it is asked for.
pub(crate) fn versions() -> Vec<CompletionCandidate> {
    names(async |store| {
        let version = |app: engine::AppVersion| (app.id.version().to_owned(), app.id.name().to_owned());
        Ok(store.apps().await?.into_iter().map(version).collect())
    })
}

pub(crate) fn runtimes() -> Vec<CompletionCandidate> {
    names(async |store| {
        let runtimes = store.runtimes().await?;
        Ok(runtimes
            .into_iter()
            .map(|runtime| (runtime.id.to_string(), runtime.provider.to_string()))
            .collect())
    })
}

pub(crate) fn jobs() -> Vec<CompletionCandidate> {
    names(async |store| {
        let jobs = store.jobs(None).await?;
        let about = |job: &engine::JobInfo| {
            format!("{} {}, {}", job.action.verb(), job.cluster_name, job.state.as_str())
        };
        Ok(jobs.iter().map(|job| (job.id.to_string(), about(job))).collect())
    })
}

/// What `read` finds in the installation that the command line means, each with a word about it. Nothing when
/// there is none or it can't be read: a shell has no place for errors.
fn names(read: impl AsyncFnOnce(&Store) -> Result<Vec<(String, String)>>) -> Vec<CompletionCandidate> {
    let Ok(dir) = state_dir(state_argument(env::args_os()).as_deref()) else { return Vec::new() };
    // To complete a name must not set anything up.
    if !dir.join("pitrix.db").exists() {
        return Vec::new();
    }
    let Ok(threads) = Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let found = threads.block_on(async {
        let store = Store::open(Options::new(dir, Arc::new(MachineClock))).await?;
        read(&store).await
    });
    let candidate = |(name, about): (String, String)| {
        CompletionCandidate::new(name).help((!about.is_empty()).then(|| about.into()))
    };
    found.unwrap_or_default().into_iter().map(candidate).collect()
}

/// The `--state` of a command line that is not complete yet.
fn state_argument(mut words: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    while let Some(word) = words.next() {
        if word == "--state" {
            return words.next().map(PathBuf::from);
        }
        if let Some(dir) = word.to_str().and_then(|word| word.strip_prefix("--state=")) {
            return Some(PathBuf::from(dir));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory_is_found_in_a_command_line_that_is_not_complete() {
        fn check(line: &str, expected: Option<&str>) {
            let found = state_argument(line.split(' ').map(OsString::from));
            assert_eq!(found, expected.map(PathBuf::from), "{line}");
        }
        check("pitrix -- pitrix cluster describe ", None);
        check("pitrix -- pitrix --state here cluster describe ", Some("here"));
        check("pitrix -- pitrix cluster describe --state=there ", Some("there"));
    }
}

//! The command line: nouns, verbs and their arguments.

mod app;
mod cluster;
mod job;
mod parse;
mod runtime;

pub(crate) use app::AppVerb;
pub(crate) use cluster::{
    Answers, Ask, Carry, ClusterVerb, Create, Deed, Delete, DeleteNodes, Keys, Nothing, Resize, RunService,
    Scale, Upgrade,
};
pub(crate) use job::{Events, JobVerb, Prune};
pub(crate) use runtime::{CredentialSources, Orphans, ProviderVerb, RuntimeSettings, RuntimeVerb};

use crate::exit;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Deploys applications and runs their whole life.
#[derive(Debug, Parser)]
#[command(name = "pitrix", version, propagate_version = false, after_help = exit::help())]
#[command(arg_required_else_help = true, subcommand_required = true, infer_subcommands = false)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

/// Options that every verb takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every verb")]
pub(crate) struct Global {
    /// The directory that holds everything [default: $PITRIX_STATE, else `pitrix` in the user's state directory]
    // Not read from the environment here: to clap that would count as an argument, and no help would be shown.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// How to print data
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// When to use colour; `auto` heeds NO_COLOR and CLICOLOR_FORCE
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: When,
    /// Say nothing but errors and warnings
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people
    #[default]
    Table,
    /// More columns
    Wide,
    /// JSON
    Json,
    /// YAML, of the same shape
    Yaml,
    /// Names only, one a line
    Name,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Noun {
    /// Deployed applications
    #[command(subcommand)]
    Cluster(ClusterVerb),
    /// What a verb on a cluster would do, without doing it
    #[command(subcommand)]
    Plan(Deed<Nothing, Nothing>),
    /// Actions on clusters: running ones and those of the past
    #[command(subcommand)]
    Job(JobVerb),
    /// Packages to deploy
    #[command(subcommand)]
    App(AppVerb),
    /// Where clusters run: a provider, its endpoint, a credential and a zone
    #[command(subcommand)]
    Runtime(RuntimeVerb),
    /// The plugins of this binary
    #[command(subcommand)]
    Provider(ProviderVerb),
    /// List resources at the providers that no cluster owns
    Orphans(Orphans),
    /// What happened to jobs, in order
    Events(Events),
    /// Look at this installation: state directory, executor, key, agents
    Doctor,
    /// Print what makes a shell complete this program's arguments, with the names that there are
    #[command(after_help = "For bash, in ~/.bashrc:  source <(pitrix completion bash)\n\
                            For zsh, in ~/.zshrc:    source <(pitrix completion zsh)")]
    Completion {
        /// Which shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Write the manual pages into a directory
    Man {
        /// For example ~/.local/share/man/man1; is made unless it is there
        dir: PathBuf,
    },
    /// The process that runs jobs; started by itself when a job is accepted
    #[command(name = "__executor", hide = true)]
    Executor,
    /// The agent of an instance on this machine; started by the provider `local`
    #[command(name = "__drone", hide = true)]
    Drone {
        /// The instance's directory
        dir: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Wait {
    /// Print the job's id and return at once
    #[arg(short, long)]
    pub(crate) detach: bool,
}

/// The shells that completion is written and tested for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
}

#[cfg(test)]
mod tests;

//! `job` and `events`: what was done and what happens.

use super::{Wait, parse::job_id};
use crate::complete;
use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use provider_core::JobId;

#[derive(Debug, Subcommand)]
pub(crate) enum JobVerb {
    /// List jobs, newest first
    List {
        /// Only those of this cluster
        #[arg(long, add = ArgValueCandidates::new(complete::clusters))]
        cluster: Option<String>,
    },
    /// Show one job: its tasks, its calls and what went wrong
    Describe(JobName),
    /// Follow a job to its end
    Watch(JobName),
    /// Ask a job to stop at a safe point
    Cancel {
        #[command(flatten)]
        job: JobName,
        #[command(flatten)]
        wait: Wait,
    },
    /// Run a job again that failed or was cancelled, from where it stands
    Retry {
        #[command(flatten)]
        job: JobName,
        #[command(flatten)]
        wait: Wait,
    },
    /// Forget what jobs did that ended long ago: plans, tasks, calls and events
    #[command(
        after_help = "The newest job of each cluster stays. Room in the database is used again; its file does not \
                            shrink."
    )]
    Prune(Prune),
}

#[derive(Clone, Copy, Debug, Args)]
#[group(skip)]
pub(crate) struct Prune {
    /// Those that ended at least so many days ago
    #[arg(long, value_name = "DAYS", required_unless_present = "keep_all")]
    pub(crate) older_than: Option<u32>,
    /// Not only now: the executor does so whenever it has nothing else to do
    #[arg(long)]
    pub(crate) from_now_on: bool,
    /// Forget nothing, and have the executor forget nothing either
    #[arg(long, conflicts_with_all = ["older_than", "from_now_on"])]
    pub(crate) keep_all: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct JobName {
    /// The job's id
    #[arg(value_name = "JOB", value_parser = job_id, add = ArgValueCandidates::new(complete::jobs))]
    pub(crate) id: JobId,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Only of the jobs of this cluster
    #[arg(long, add = ArgValueCandidates::new(complete::clusters))]
    pub(crate) cluster: Option<String>,
    /// Only of this job
    #[arg(long, value_parser = job_id, conflicts_with = "cluster", add = ArgValueCandidates::new(complete::jobs))]
    pub(crate) job: Option<JobId>,
    /// Go on with what happens from now on, until Ctrl-C
    #[arg(long)]
    pub(crate) follow: bool,
}

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

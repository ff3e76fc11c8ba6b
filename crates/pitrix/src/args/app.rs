//! `app`: packages to deploy.

use super::parse::app_version;
use crate::complete;
use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use provider_core::AppVersionId;

#[derive(Debug, Subcommand)]
pub(crate) enum AppVerb {
    /// Keep a package: a directory, a .tgz of one, or a chart from elsewhere
    Push {
        /// The directory or archive; `oci://HOST/PATH:VERSION`; or with --repo the name of a chart
        package: String,
        /// The chart repository that has it: its address, or `@NAME` of one that helm knows
        #[arg(long, value_name = "URL")]
        repo: Option<String>,
        /// Which version of a chart from elsewhere; the newest if not given
        #[arg(long)]
        version: Option<String>,
    },
    /// List app versions
    List,
    /// Show one app version
    Describe(AppName),
    /// Print its questions with their defaults, to edit and give to `cluster create --file`
    Config(AppName),
    /// Forget an app version
    Delete(AppName),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct AppName {
    /// As `app list` shows it: NAME@VERSION
    #[arg(value_name = "APP", value_parser = app_version, add = ArgValueCandidates::new(complete::apps))]
    pub(crate) id: AppVersionId,
}

//! `app`: packages to deploy.

use super::parse::app_version;
use crate::complete;
use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use provider_core::AppVersionId;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum AppVerb {
    /// Keep a package: a directory, or a .tgz of one
    Push {
        /// The directory or archive
        path: PathBuf,
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

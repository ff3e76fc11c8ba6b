//! `runtime`, `provider` and `orphans`: where clusters run.

use super::parse::{pair, provider_id, runtime_id, zone};
use crate::complete;
use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use provider_core::{ProviderId, RuntimeId, Zone};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum RuntimeVerb {
    /// Add a runtime, once its credential is found to work
    Create {
        /// What to call it
        #[arg(value_parser = runtime_id)]
        name: RuntimeId,
        /// Its plugin, as `provider list` shows it
        #[arg(long, value_parser = provider_id)]
        provider: ProviderId,
        #[command(flatten)]
        settings: RuntimeSettings,
        #[command(flatten)]
        credential: CredentialSources,
    },
    /// List runtimes
    List,
    /// Show one runtime
    Describe(RuntimeName),
    /// Check that the credential works and see what it can reach
    Validate(RuntimeName),
    /// List the zones that a runtime can be in
    Zones(RuntimeName),
    /// List the subnets that nodes can be put in
    Subnets(RuntimeName),
    /// Change a runtime's settings or its credential
    Update {
        #[command(flatten)]
        runtime: RuntimeName,
        #[command(flatten)]
        settings: RuntimeSettings,
        /// Ask for a new credential on the terminal
        #[arg(long)]
        ask_credential: bool,
        #[command(flatten)]
        credential: CredentialSources,
    },
    /// Remove a runtime and its credential
    Delete(RuntimeName),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RuntimeName {
    /// The runtime's name
    #[arg(value_name = "RUNTIME", value_parser = runtime_id, add = ArgValueCandidates::new(complete::runtimes))]
    pub(crate) id: RuntimeId,
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RuntimeSettings {
    /// The address of the provider's API, where it has no default
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// The zone; the provider's default if not given
    #[arg(long, value_parser = zone)]
    pub(crate) zone: Option<Zone>,
    /// Free text
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// A label for finding it
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) label: Vec<(String, String)>,
}

/// Where the fields of a credential come from. There is no way to give one as an argument: arguments are in
/// everybody's process list and in the shell's history.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Credential (fields that are not given are asked for, without echo)")]
pub(crate) struct CredentialSources {
    /// A JSON object with the fields; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) credential_file: Option<PathBuf>,
    /// Take a field from a text file, for example `kubeconfig=FILE`
    #[arg(long, value_name = "FIELD=FILE", value_parser = pair)]
    pub(crate) credential_text: Vec<(String, String)>,
    /// Take a field from an environment variable
    #[arg(long, value_name = "FIELD=VARIABLE", value_parser = pair)]
    pub(crate) credential_env: Vec<(String, String)>,
    /// Take a field from what a shell command prints
    #[arg(long, value_name = "FIELD=COMMAND", value_parser = pair)]
    pub(crate) credential_command: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProviderVerb {
    /// List the plugins of this binary, with what they can do
    List,
}

#[derive(Debug, Args)]
pub(crate) struct Orphans {
    /// Only at this runtime
    #[arg(long, value_parser = runtime_id, add = ArgValueCandidates::new(complete::runtimes))]
    pub(crate) runtime: Option<RuntimeId>,
}

//! The command line: nouns, verbs and their arguments.

use clap::{Args, Parser, Subcommand, ValueEnum};
use provider_core::{AppVersionId, JobId, ProviderId, RuntimeId, Zone};
use std::path::PathBuf;

/// Deploys applications and runs their whole life.
#[derive(Debug, Parser)]
#[command(name = "pitrix", version, propagate_version = false, after_help = EXIT_CODES)]
#[command(arg_required_else_help = true, subcommand_required = true, infer_subcommands = false)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 error, 2 usage, 3 invalid input, 4 not found, 5 conflict,
6 quota, 7 not authorized, 8 timed out, 9 done in part, 130 left with Ctrl-C
while the job goes on. Data goes to standard output, talk to standard error.";

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
    Plan(PlanVerb),
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
    /// Look at this installation: state directory, executor, key
    Doctor,
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

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterVerb {
    /// Make a cluster of an app version and bring it up
    Create {
        #[command(flatten)]
        create: Create,
        #[command(flatten)]
        wait: Wait,
    },
    /// List clusters
    List {
        /// Only those on this runtime
        #[arg(long, value_parser = runtime_id)]
        runtime: Option<RuntimeId>,
        /// Deleted ones as well
        #[arg(long)]
        deleted: bool,
    },
    /// Show one cluster: its nodes, volumes and how to connect
    Describe(ClusterName),
    /// Bring a stopped cluster up again
    Start {
        #[command(flatten)]
        cluster: ClusterName,
        #[command(flatten)]
        wait: Wait,
    },
    /// Bring a cluster down; its data is kept
    Stop {
        #[command(flatten)]
        cluster: ClusterName,
        #[command(flatten)]
        wait: Wait,
    },
    /// Delete a cluster: shows what goes and asks for its name
    Delete {
        #[command(flatten)]
        delete: Delete,
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Show what the application and its services wrote
    Logs {
        #[command(flatten)]
        cluster: ClusterName,
        /// Only of this node
        #[arg(long)]
        node: Option<String>,
        /// How many lines of each node
        #[arg(short = 'n', long, default_value_t = 100, value_name = "N")]
        lines: u32,
    },
}

/// The same verbs and arguments as `cluster` has.
#[derive(Debug, Subcommand)]
pub(crate) enum PlanVerb {
    /// Plan `cluster create`
    Create(Create),
    /// Plan `cluster start`
    Start(ClusterName),
    /// Plan `cluster stop`
    Stop(ClusterName),
    /// Plan `cluster delete`
    Delete(Delete),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ClusterName {
    /// The cluster's name
    #[arg(value_name = "CLUSTER")]
    pub(crate) name: String,
}

#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(crate) struct Create {
    /// The cluster's name
    pub(crate) name: String,
    /// What it is made of, as `app list` shows it: NAME@VERSION
    #[arg(long, value_name = "APP", value_parser = app_version)]
    pub(crate) app: AppVersionId,
    /// Where it runs
    #[arg(long, value_parser = runtime_id, default_value = "local")]
    pub(crate) runtime: RuntimeId,
    /// An answer to the package's questions, for example `cluster.replica.count=2`; wins over --file
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// A file of answers, as `app config` prints it; `-` reads standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Take over the volumes that a deleted cluster of this name left (`cluster delete --keep-volumes`)
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) volumes_of: Option<String>,
}

#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) cluster: ClusterName,
    /// Leave the data volumes
    #[arg(long)]
    pub(crate) keep_volumes: bool,
    /// End it even if machines or credentials are gone; names what could not be proved deleted
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Wait {
    /// Print the job's id and return at once
    #[arg(short, long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobVerb {
    /// List jobs, newest first
    List {
        /// Only those of this cluster
        #[arg(long)]
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
    #[arg(value_name = "JOB", value_parser = job_id)]
    pub(crate) id: JobId,
}

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
    #[arg(value_name = "APP", value_parser = app_version)]
    pub(crate) id: AppVersionId,
}

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
    #[arg(value_name = "RUNTIME", value_parser = runtime_id)]
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
    #[arg(long, value_parser = runtime_id)]
    pub(crate) runtime: Option<RuntimeId>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected a key, `=` and a value".to_owned()),
    }
}

fn app_version(text: &str) -> Result<AppVersionId, String> {
    match text.split_once('@') {
        Some((name, version)) if !name.is_empty() && !version.is_empty() => Ok(AppVersionId::new(text)),
        _ => Err("expected NAME@VERSION, for example redis@1.0.0; see `pitrix app list`".to_owned()),
    }
}

/// Runtimes are named by operators, and their names go into paths, tags and tables.
fn runtime_id(text: &str) -> Result<RuntimeId, String> {
    name(text).map(RuntimeId::new)
}

fn provider_id(text: &str) -> Result<ProviderId, String> {
    name(text).map(ProviderId::new)
}

fn job_id(text: &str) -> Result<JobId, String> {
    name(text).map(JobId::new)
}

fn zone(text: &str) -> Result<Zone, String> {
    Ok(Zone::new(text))
}

fn name(text: &str) -> Result<&str, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if (1..=63).contains(&text.len()) && text.chars().all(fits) && !text.starts_with(['-', '.']) {
        Ok(text)
    } else {
        Err("expected 1 to 63 lower-case letters, digits, `-`, `_` and `.`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_parses() {
        for line in [
            "pitrix provider list",
            "pitrix runtime create qc --provider qingcloud --zone pek3 --label team=web --credential-file -",
            "pitrix runtime create qc --provider q --credential-env id=QC_ID --credential-command key=pass",
            "pitrix runtime list",
            "pitrix runtime describe local -o yaml",
            "pitrix runtime validate local",
            "pitrix runtime zones local",
            "pitrix runtime subnets local",
            "pitrix runtime update qc --description x --ask-credential",
            "pitrix runtime delete qc",
            "pitrix app push examples/redis",
            "pitrix app list -o wide",
            "pitrix app describe redis@1.0.0",
            "pitrix app config redis@1.0.0",
            "pitrix app delete redis@1.0.0",
            "pitrix cluster create c --app redis@1 --runtime r --set a.b=1 --set c= -f conf.json --detach",
            "pitrix cluster list --runtime local --deleted",
            "pitrix cluster describe c",
            "pitrix cluster start c -d",
            "pitrix cluster stop c --detach -o name",
            "pitrix cluster delete c --yes --keep-volumes --force",
            "pitrix cluster logs c --node a-1 -n 5",
            "pitrix job list --cluster c",
            "pitrix job describe j-1",
            "pitrix job watch j-1 --color never -q",
            "pitrix job cancel j-1",
            "pitrix job retry j-1 --detach",
            "pitrix plan create c --app redis@1.0.0",
            "pitrix plan start c",
            "pitrix plan stop c",
            "pitrix plan delete c --keep-volumes",
            "pitrix orphans --runtime local",
            "pitrix --state x doctor",
            "pitrix __executor --state x",
            "pitrix __drone x",
        ] {
            if let Err(error) = parse(line) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn mistakes_are_told() {
        fn check(line: &str, says: &str) {
            let error = parse(line).unwrap_err();
            assert!(error.to_string().contains(says), "{line}: {error}");
            assert_eq!(error.exit_code(), 2, "{line}");
        }
        check("pitrix clutser list", "a similar subcommand exists: 'cluster'");
        check("pitrix cluster create c", "--app <APP>");
        check("pitrix cluster create c --app redis", "expected NAME@VERSION");
        check("pitrix cluster create c --app a@1 --set novalue", "expected a key, `=` and a value");
        check("pitrix runtime create A --provider x", "lower-case letters");
        check("pitrix job watch ../x", "lower-case letters");
        check("pitrix cluster list -o xml", "[possible values: table, wide, json, yaml, name]");
    }

    #[test]
    fn no_argument_takes_a_secret() {
        fn walk(command: &clap::Command) {
            for argument in command.get_arguments() {
                let name = argument.get_id().as_str();
                let is_source = ["credential_file", "credential_env", "credential_command", "ask_credential"];
                let sounds_secret =
                    ["credential", "secret", "password", "key", "token"].iter().any(|w| name.contains(w));
                assert!(!sounds_secret || is_source.contains(&name), "{} {name}", command.get_name());
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&Cli::command());
    }
}

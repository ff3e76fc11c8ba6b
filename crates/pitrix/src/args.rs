//! The command line: nouns, verbs and their arguments.

use crate::{complete, exit};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::ArgValueCandidates;
use provider_core::{AppVersionId, JobId, NodeId, ProviderId, RoleName, RuntimeId, Zone};
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

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterVerb {
    #[command(flatten)]
    Act(Deed<Wait, Ask>),
    /// List clusters, with how their applications are
    List {
        /// Only those on this runtime
        #[arg(long, value_parser = runtime_id, add = ArgValueCandidates::new(complete::runtimes))]
        runtime: Option<RuntimeId>,
        /// Deleted ones as well
        #[arg(long)]
        deleted: bool,
    },
    /// Show one cluster: its nodes, volumes, health and how to connect
    Describe(ClusterName),
    /// Ask the provider and the agents what is true of each node; changes nothing
    Refresh(ClusterName),
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

/// What can be done with a cluster. `plan` has the same verbs as `cluster`, without `W` (waiting) and `Y` (asking).
#[derive(Debug, Subcommand)]
pub(crate) enum Deed<W: Args, Y: Args> {
    /// Make a cluster of an app version and bring it up
    Create {
        #[command(flatten)]
        create: Create,
        #[command(flatten)]
        wait: W,
    },
    /// Bring a stopped cluster up again
    Start {
        #[command(flatten)]
        cluster: ClusterName,
        #[command(flatten)]
        wait: W,
    },
    /// Bring a cluster down; its data is kept
    Stop {
        #[command(flatten)]
        cluster: ClusterName,
        #[command(flatten)]
        wait: W,
    },
    /// Bring the application down and up again; instances go on
    Restart {
        #[command(flatten)]
        cluster: ClusterName,
        #[command(flatten)]
        wait: W,
    },
    /// Have more or fewer nodes of a role
    Scale {
        #[command(flatten)]
        scale: Scale,
        #[command(flatten)]
        wait: W,
    },
    /// Delete these nodes: shows what goes and asks for the cluster's name
    DeleteNodes {
        #[command(flatten)]
        nodes: DeleteNodes,
        #[command(flatten)]
        ask: Y,
        #[command(flatten)]
        wait: W,
    },
    /// Give the nodes of a role more or less cpu and memory, and larger disks
    Resize {
        #[command(flatten)]
        resize: Resize,
        #[command(flatten)]
        wait: W,
    },
    /// Change parameters; without any, tell the nodes once more what they should know
    UpdateEnv {
        #[command(flatten)]
        cluster: ClusterName,
        #[command(flatten)]
        answers: Answers,
        #[command(flatten)]
        wait: W,
    },
    /// Move to another version, node by node
    Upgrade {
        #[command(flatten)]
        upgrade: Upgrade,
        #[command(flatten)]
        wait: W,
    },
    /// Go back to the version before the last upgrade
    Rollback {
        #[command(flatten)]
        cluster: ClusterName,
        #[command(flatten)]
        wait: W,
    },
    /// Find what is broken and repair it; does nothing when all is well
    Recover {
        #[command(flatten)]
        cluster: ClusterName,
        #[command(flatten)]
        wait: W,
    },
    /// Run a service of the package, for example `backup`, and print what it printed
    Run {
        #[command(flatten)]
        run: RunService,
        #[command(flatten)]
        wait: W,
    },
    /// Let public keys log in to the nodes
    AttachKey {
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        wait: W,
    },
    /// No longer let public keys log in
    DetachKey {
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        wait: W,
    },
    /// Delete a cluster: shows what goes and asks for its name
    Delete {
        #[command(flatten)]
        delete: Delete,
        #[command(flatten)]
        ask: Y,
        #[command(flatten)]
        wait: W,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ClusterName {
    /// The cluster's name
    #[arg(value_name = "CLUSTER", add = ArgValueCandidates::new(complete::clusters))]
    pub(crate) name: String,
}

#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(crate) struct Create {
    /// The cluster's name
    pub(crate) name: String,
    /// What it is made of, as `app list` shows it: NAME@VERSION
    #[arg(long, value_name = "APP", value_parser = app_version, add = ArgValueCandidates::new(complete::apps))]
    pub(crate) app: AppVersionId,
    /// Where it runs
    #[arg(long, value_parser = runtime_id, default_value = "local", add = ArgValueCandidates::new(complete::runtimes))]
    pub(crate) runtime: RuntimeId,
    #[command(flatten)]
    pub(crate) answers: Answers,
    /// Take over the volumes that a deleted cluster of this name left (`cluster delete --keep-volumes`)
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) volumes_of: Option<String>,
}

/// Answers to a package's questions; for a chart, values as Helm takes them.
#[derive(Clone, Debug, Default, Args)]
#[group(skip)]
pub(crate) struct Answers {
    /// An answer to the package's questions, for example `cluster.replica.count=2`; wins over --file
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) set: Vec<String>,
    /// As --set, for a value that is text whatever it looks like
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) set_string: Vec<String>,
    /// As --set, for a value in JSON
    #[arg(long, value_name = "KEY=JSON", value_parser = setting)]
    pub(crate) set_json: Vec<String>,
    /// As --set, for a value that is in a file
    #[arg(long, value_name = "KEY=FILE", value_parser = setting)]
    pub(crate) set_file: Vec<String>,
    /// A file of answers, as `app config` prints it; `-` reads standard input; of several, later ones win
    #[arg(short, long, visible_alias = "values", value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
}

#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(crate) struct Scale {
    #[command(flatten)]
    pub(crate) cluster: ClusterName,
    /// How many nodes the role is to have: stands for `--set cluster.ROLE.count=N`
    #[arg(value_name = "ROLE=N", value_parser = pair, required_unless_present_any = ["set", "set_string", "set_json", "set_file", "file"])]
    pub(crate) roles: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) answers: Answers,
}

#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(crate) struct DeleteNodes {
    #[command(flatten)]
    pub(crate) cluster: ClusterName,
    /// The nodes that go, as `cluster describe` shows them
    #[arg(value_name = "NODE", required = true, value_parser = node_id)]
    pub(crate) nodes: Vec<NodeId>,
}

#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(crate) struct Resize {
    #[command(flatten)]
    pub(crate) cluster: ClusterName,
    /// The role whose nodes change
    #[arg(value_parser = role_name)]
    pub(crate) role: RoleName,
    #[command(flatten)]
    pub(crate) size: NewSize,
}

#[derive(Clone, Copy, Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct NewSize {
    /// Cores of each node
    #[arg(long, value_name = "CORES", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) cpu: Option<u32>,
    /// Memory of each node, in MiB
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) memory: Option<u64>,
    /// Size of each data disk, in GiB; disks only grow
    #[arg(long, value_name = "GIB", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) disk: Option<u32>,
}

#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(crate) struct Upgrade {
    #[command(flatten)]
    pub(crate) cluster: ClusterName,
    /// The version to reach, of the same application
    #[arg(long, value_name = "VERSION", value_parser = version, add = ArgValueCandidates::new(complete::versions))]
    pub(crate) to: String,
    /// Don't run the package's `backup` service first
    #[arg(long)]
    pub(crate) no_backup: bool,
}

#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(crate) struct RunService {
    #[command(flatten)]
    pub(crate) cluster: ClusterName,
    /// The service, as the package calls it
    pub(crate) service: String,
    /// A parameter; the command finds it as PITRIX_PARAM_ and its name in capitals
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) param: Vec<(String, String)>,
}

#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(crate) struct Keys {
    #[command(flatten)]
    pub(crate) cluster: ClusterName,
    /// A file of public keys in OpenSSH's format, for example `~/.ssh/id_ed25519.pub`; `-` reads standard input
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) key_file: Vec<PathBuf>,
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
    /// Forget everything but its name as well
    #[arg(long, conflicts_with_all = ["keep_volumes", "force"])]
    pub(crate) purge: bool,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Wait {
    /// Print the job's id and return at once
    #[arg(short, long)]
    pub(crate) detach: bool,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Ask {
    /// Don't ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// No arguments.
#[derive(Clone, Copy, Debug, Args)]
#[group(skip)]
pub(crate) struct Nothing {}

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

/// The shells that completion is written and tested for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected a key, `=` and a value".to_owned()),
    }
}

fn setting(text: &str) -> Result<String, String> {
    pair(text).map(|_| text.to_owned())
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

fn version(text: &str) -> Result<String, String> {
    if text.contains('@') {
        app_version(text).map(|id| id.to_string())
    } else {
        name(text).map(str::to_owned)
    }
}

fn node_id(text: &str) -> Result<NodeId, String> {
    name(text).map(NodeId::new)
}

/// A package may have one role without a name.
fn role_name(text: &str) -> Result<RoleName, String> {
    if text.is_empty() { Ok(RoleName::new("")) } else { name(text).map(RoleName::new) }
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
            "pitrix cluster create c --app redis@1 --volumes-of b",
            "pitrix cluster create c --app redis@1 --runtime r --set a.b=1 --set c= -f conf.json --detach",
            "pitrix cluster list --runtime local --deleted",
            "pitrix cluster describe c",
            "pitrix cluster start c -d",
            "pitrix cluster stop c --detach -o name",
            "pitrix cluster delete c --yes --keep-volumes --force",
            "pitrix cluster delete c --purge",
            "pitrix cluster restart c",
            "pitrix cluster scale c replica=3 primary=1",
            "pitrix cluster scale c --set cluster.count=3 -d",
            "pitrix cluster delete-nodes c replica-1 replica-2 -y",
            "pitrix cluster resize c replica --cpu 2 --memory 512 --disk 2",
            "pitrix cluster update-env c --set env.a=1 -f -",
            "pitrix cluster update-env c",
            "pitrix cluster upgrade c --to 1.1.0 --no-backup",
            "pitrix cluster upgrade c --to redis@1.1.0",
            "pitrix cluster rollback c",
            "pitrix cluster recover c",
            "pitrix cluster refresh c -o wide",
            "pitrix cluster run c backup --param name=x --param y=",
            "pitrix cluster attach-key c --key-file a.pub --key-file -",
            "pitrix cluster detach-key c --key-file a.pub",
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
            "pitrix plan scale c replica=3",
            "pitrix plan delete-nodes c replica-1",
            "pitrix plan resize c replica --disk 2",
            "pitrix plan update-env c --set env.a=1",
            "pitrix plan upgrade c --to 1.1.0",
            "pitrix plan rollback c",
            "pitrix plan recover c",
            "pitrix plan run c backup",
            "pitrix plan attach-key c --key-file a.pub",
            "pitrix events --cluster c --follow",
            "pitrix events --job j-1 -o json",
            "pitrix completion zsh",
            "pitrix man here",
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
        check("pitrix cluster scale c", "<ROLE=N>");
        check("pitrix cluster scale c replica", "expected a key, `=` and a value");
        check("pitrix cluster resize c replica", "<--cpu <CORES>|--memory <MIB>|--disk <GIB>>");
        check("pitrix cluster resize c replica --cpu 0", "0 is not in 1..");
        check("pitrix cluster delete-nodes c", "<NODE>...");
        check("pitrix cluster delete c --purge --force", "cannot be used with");
        check("pitrix cluster upgrade c", "--to <VERSION>");
        check("pitrix plan delete c --yes", "unexpected argument");
        check("pitrix plan start c --detach", "unexpected argument");
        check("pitrix events --job j-1 --cluster c", "cannot be used with");
        check("pitrix cluster list -o xml", "[possible values: table, wide, json, yaml, name]");
    }

    #[test]
    fn no_argument_takes_a_secret() {
        fn walk(command: &clap::Command) {
            for argument in command.get_arguments() {
                let name = argument.get_id().as_str();
                let is_source = ["credential_file", "credential_env", "credential_command", "ask_credential"];
                // Public keys, in files.
                let is_source = [&is_source[..], &["key_file"]].concat();
                let sounds_secret =
                    ["credential", "secret", "password", "key", "token"].iter().any(|w| name.contains(w));
                assert!(!sounds_secret || is_source.contains(&name), "{} {name}", command.get_name());
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&Cli::command());
    }
}

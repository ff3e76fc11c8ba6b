//! `cluster` and `plan`: what can be done with a deployed application.

use super::{
    Wait,
    parse::{app_version, node_id, pair, policy, role_name, runtime_id, setting, version},
};
use crate::complete;
use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use provider_core::{AppVersionId, NodeId, Policy, RoleName, RuntimeId};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterVerb {
    #[command(flatten)]
    Act(Deed<Carry, Ask>),
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
    /// Take over an application that something else has made, for example `helm install`: shows what that changes
    Adopt {
        /// Its name there, and the cluster's name from then on
        name: String,
        /// Where it runs
        #[arg(long, value_parser = runtime_id, add = ArgValueCandidates::new(complete::runtimes))]
        runtime: RuntimeId,
        /// Only show what it would change
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// List the revisions that the provider keeps of a cluster
    History(ClusterName),
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

/// What can be done with a cluster. `plan` has the same verbs as `cluster`, without `W` (carrying
/// out) and `Y` (asking).
#[derive(Debug, Subcommand)]
pub(crate) enum Deed<W: Args, Y: Args> {
    /// Make a cluster of an app version and bring it up
    Create {
        #[command(flatten)]
        create: Create,
        #[command(flatten)]
        carry: W,
    },
    /// Bring a stopped cluster up again
    Start {
        #[command(flatten)]
        cluster: ClusterName,
        #[command(flatten)]
        carry: W,
    },
    /// Bring a cluster down; its data is kept
    Stop {
        #[command(flatten)]
        cluster: ClusterName,
        #[command(flatten)]
        carry: W,
    },
    /// Bring the application down and up again; instances go on
    Restart {
        #[command(flatten)]
        cluster: ClusterName,
        #[command(flatten)]
        carry: W,
    },
    /// Have more or fewer nodes of a role
    Scale {
        #[command(flatten)]
        scale: Scale,
        #[command(flatten)]
        carry: W,
    },
    /// Delete these nodes: shows what goes and asks for the cluster's name
    DeleteNodes {
        #[command(flatten)]
        nodes: DeleteNodes,
        #[command(flatten)]
        ask: Y,
        #[command(flatten)]
        carry: W,
    },
    /// Give the nodes of a role more or less cpu and memory, and larger disks
    Resize {
        #[command(flatten)]
        resize: Resize,
        #[command(flatten)]
        carry: W,
    },
    /// Change parameters; without any, tell the nodes once more what they should know
    UpdateEnv {
        #[command(flatten)]
        cluster: ClusterName,
        #[command(flatten)]
        answers: Answers,
        #[command(flatten)]
        carry: W,
    },
    /// Move to another version, node by node
    Upgrade {
        #[command(flatten)]
        upgrade: Upgrade,
        #[command(flatten)]
        carry: W,
    },
    /// Go back to the version before the last upgrade
    Rollback {
        #[command(flatten)]
        cluster: ClusterName,
        /// To this revision instead, where the provider numbers them
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        revision: Option<u32>,
        #[command(flatten)]
        carry: W,
    },
    /// Find what is broken and repair it; does nothing when all is well
    Recover {
        #[command(flatten)]
        cluster: ClusterName,
        #[command(flatten)]
        carry: W,
    },
    /// Run a service of the package, for example `backup`, or the tests of a chart (`test`), and print what it printed
    Run {
        #[command(flatten)]
        run: RunService,
        #[command(flatten)]
        carry: W,
    },
    /// Let public keys log in to the nodes
    AttachKey {
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        carry: W,
    },
    /// No longer let public keys log in
    DetachKey {
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        carry: W,
    },
    /// Delete a cluster: shows what goes and asks for its name
    Delete {
        #[command(flatten)]
        delete: Delete,
        #[command(flatten)]
        ask: Y,
        #[command(flatten)]
        carry: W,
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
    /// Go back by itself if it fails, even if nobody follows it any more
    #[arg(long)]
    pub(crate) rollback_on_failure: bool,
    #[command(flatten)]
    pub(crate) answers: Answers,
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
    /// Leave what the provider has written down of earlier revisions
    #[arg(long)]
    pub(crate) keep_history: bool,
    /// End it even if machines or credentials are gone; names what could not be proved deleted
    #[arg(long)]
    pub(crate) force: bool,
    /// Forget everything but its name and this last job as well; also for one that was deleted before
    #[arg(long, conflicts_with_all = ["keep_volumes", "keep_history", "force"])]
    pub(crate) purge: bool,
}

/// How it is carried out.
#[derive(Clone, Copy, Debug, Args)]
#[group(skip)]
pub(crate) struct Carry {
    #[command(flatten)]
    pub(crate) wait: Wait,
    /// When something fails on a node for good: `stop`; `go-on` without that node; or `at-least=N`, go on while N
    /// nodes are left
    #[arg(long, value_name = "POLICY", value_parser = policy, default_value = "stop")]
    pub(crate) on_failure: Policy,
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

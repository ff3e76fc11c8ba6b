//! Plans: what a job will do, as data. Layers run one after another; the tasks of a layer side by side.

use crate::{DiskId, Facts, NodeId, ServiceName, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, fmt, time::Duration};

/// What a job will do. Made by `split_job_into_tasks`, a pure function; equal inputs give equal bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What the plan rests on, and when that was found out.
    pub facts: Facts,
    /// The layers; none is empty.
    pub layers: Vec<Layer>,
}

impl Plan {
    /// A plan of these layers, without the empty ones.
    pub fn new(facts: Facts, layers: impl IntoIterator<Item = Layer>) -> Self {
        Self { facts, layers: layers.into_iter().filter(|layer| !layer.tasks.is_empty()).collect() }
    }

    /// The task called `id`.
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.layers.get(id.layer as usize)?.tasks.get(id.index as usize)
    }

    /// How many tasks it has.
    pub fn len(&self) -> usize {
        self.layers.iter().map(|layer| layer.tasks.len()).sum()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }
}

/// Tasks that run side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// What it is for, in words for people, for example `start instances`.
    pub name: String,
    /// Its tasks, in a fixed order.
    pub tasks: Vec<Task>,
}

/// One step for one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// What to do.
    #[serde(flatten)]
    pub work: Work,
    /// The node that it is about; none for what is about the cluster. Under the policies that tolerate
    /// failures this is the lane that a failure ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// Whether the job goes on when it fails. The failure is recorded all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failure_allowed: bool,
    /// Seconds from its first start until it counts as failed. Waiting for quota doesn't count.
    pub timeout_s: u32,
}

impl Task {
    /// How long it may take from its first start.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout_s))
    }
}

/// What a task does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Something at the provider.
    Cloud(Directive),
    /// Something that the node's agent does.
    Agent(AgentVerb),
    /// Waits until the cluster's frontgate can be used.
    AwaitFrontgate,
}

/// What a provider is to do. It names our own identities only; remote ids and addresses are joined in from
/// the cluster record just before the call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Directive {
    /// A verb on the task's node.
    Instance(InstanceVerb),
    /// A verb on one of its data disks.
    Volume {
        /// What to do.
        verb: VolumeVerb,
        /// With which disk.
        disk: DiskId,
    },
    /// A provider's own step.
    Own {
        /// What it is, in the provider's terms.
        kind: String,
        /// The version of `body`.
        version: u32,
        /// Its parameters.
        body: Value,
        /// How it counts when the plan is told in a line; none for what is done for the others' sake.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        effect: Option<Effect>,
    },
}

/// What a provider's own step does, in words that are counted: `+` and `object` in `+ 7 objects`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Effect {
    /// `+`, `~`, `-` or a verb.
    pub sign: String,
    /// What it is done to, in the singular.
    pub what: String,
}

impl Effect {
    /// `sign` is done to one `what`.
    pub fn new(sign: &str, what: &str) -> Self {
        Self { sign: sign.to_owned(), what: what.to_owned() }
    }
}

/// What can be done with instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is the handler function of the same name")]
pub enum InstanceVerb {
    Run,
    Stop,
    Start,
    Delete,
    Resize,
}

/// What can be done with volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is the handler function of the same name")]
pub enum VolumeVerb {
    Create,
    Detach,
    Attach,
    Delete,
    Resize,
}

/// What an agent is to do. The command itself is made from the cluster record when the task runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentVerb {
    /// Take the node's identity, the package's templates and files, and the metadata; render everything.
    Configure,
    /// Make a file system on the disk unless it has one, and mount it.
    Mount {
        /// Which disk.
        disk: DiskId,
    },
    /// End what uses the disk and unmount it.
    Unmount {
        /// Which disk.
        disk: DiskId,
        /// Where it is mounted. The disk may no longer be wanted, so that nothing else says so.
        mount_point: String,
    },
    /// Take new metadata; render what changed and run its reload commands. While its cluster scales the metadata
    /// names the nodes that come and go.
    Metadata {
        /// Leave those names out: the scaling is over.
        settled: bool,
    },
    /// Wait until the node's health check says that it works; a node without one does.
    AwaitHealthy,
    /// Let these keys log in, in OpenSSH's format. Keys that may already stay.
    AttachKeys {
        /// Which.
        keys: Vec<String>,
    },
    /// No longer let these keys log in.
    DetachKeys {
        /// Which.
        keys: Vec<String>,
    },
    /// Run a service command of the package.
    Service {
        /// Which service.
        service: ServiceName,
        /// What to run; for a check it differs from the service's own command.
        cmd: String,
        /// Seconds until it is killed.
        timeout_s: u32,
        /// Parameters that an operator gave; the command finds each as `PITRIX_PARAM_` and its name in capitals.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        params: BTreeMap<String, String>,
    },
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cloud(Directive::Instance(verb)) => write!(f, "{verb:?} instance"),
            Self::Cloud(Directive::Volume { verb, disk }) => write!(f, "{verb:?} volume {disk}"),
            Self::Cloud(Directive::Own { kind, .. }) => f.write_str(kind),
            Self::Agent(AgentVerb::Configure) => f.write_str("configure"),
            Self::Agent(AgentVerb::Mount { disk }) => write!(f, "mount {disk}"),
            Self::Agent(AgentVerb::Unmount { disk, .. }) => write!(f, "unmount {disk}"),
            Self::Agent(AgentVerb::Metadata { .. }) => f.write_str("push metadata"),
            Self::Agent(AgentVerb::AwaitHealthy) => f.write_str("await health"),
            Self::Agent(AgentVerb::AttachKeys { keys }) => write!(f, "attach {} keys", keys.len()),
            Self::Agent(AgentVerb::DetachKeys { keys }) => write!(f, "detach {} keys", keys.len()),
            Self::Agent(AgentVerb::Service { cmd, .. }) => write!(f, "run `{cmd}`"),
            Self::AwaitFrontgate => f.write_str("await frontgate"),
        }
    }
}

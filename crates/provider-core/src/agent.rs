//! What agents do, and the control side's way to them.

use crate::{
    AgentVerb, CloudCall, Cluster, ClusterId, Error, Health, HealthCheck, NodeId, Records, Result, Secret,
    Secrets, Token, metadata,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
    time::Duration,
};

/// What a node's agent is told to do. It is made inside `send` and holds secret values: it goes over the
/// agent's connection and nowhere else.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Become this node: take identity, files and templates, render everything. Replaces what was there.
    Configure(Box<Configuration>),
    /// Take new metadata, render what changed and run the reload commands of what did.
    Metadata(#[serde(with = "on_the_wire")] Secret),
    /// Make a file system on a blank device, grow one that is smaller than its device, and mount it.
    Mount {
        /// The device, or the directory that stands for it.
        device: String,
        /// An absolute path on the node.
        mount_point: String,
        /// For a blank device.
        filesystem: String,
        /// As `mount -o` takes them.
        mount_options: String,
    },
    /// End what uses a mount point and unmount it. Not mounted is success.
    Unmount {
        /// An absolute path on the node.
        mount_point: String,
    },
    /// Wait until the health check says that the node works; a node without one does. Fails after `timeout_s`.
    AwaitHealthy {
        /// Seconds to wait.
        timeout_s: u32,
    },
    /// Change which keys may log in as the node's administrator.
    Keys {
        /// Let these, in OpenSSH's format.
        attach: Vec<String>,
        /// No longer let these.
        detach: Vec<String>,
    },
    /// Run a shell command line.
    Service {
        /// The service's name, for the log.
        name: String,
        /// What to run.
        cmd: String,
        /// Seconds until it and its children are killed.
        timeout_s: u32,
        /// Parameters that an operator gave; the command finds each as `PITRIX_PARAM_` and its name in capitals.
        #[serde(default)]
        params: BTreeMap<String, String>,
    },
}

/// Everything a node needs to know to be itself.
#[derive(Clone, Serialize, Deserialize)]
pub struct Configuration {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// Files from the package, path under the node's root to content.
    pub files: BTreeMap<String, PackageFile>,
    /// Templates to render from the metadata.
    pub templates: Vec<Template>,
    /// The node's view of the metadata: a JSON object.
    #[serde(with = "on_the_wire")]
    pub metadata: Secret,
    /// The kind of key pair to make unless there is one; the report carries its public half.
    pub passphraseless: Option<String>,
    /// How to tell that the application works; the agent checks while services are started.
    pub health_check: Option<HealthCheck>,
    /// A command whose first output line becomes the node's token; the report carries it.
    pub custom_metadata: Option<(String, u32)>,
}

/// A file that a package brings.
#[derive(Clone, Serialize, Deserialize)]
pub struct PackageFile {
    /// Its content.
    #[serde(with = "hex")]
    pub content: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
}

/// A configuration file of the application, rendered on the node with Tera.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The template's text.
    pub source: String,
    /// An absolute path on the node.
    pub dest: String,
    /// Permission bits.
    pub mode: u32,
    /// Runs after the file has changed, except when the node is configured for the first time.
    pub reload: Option<String>,
}

/// How a command ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What went wrong; none for success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
    /// The exit code of a service command that was not killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The end of its output, at most 4 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// The node's public key, after a configure that asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// The node's token, after a configure that asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// How far a command is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandState {
    /// The agent never accepted it.
    Unknown,
    /// It was accepted and has not ended.
    Running,
    /// It ended.
    Ended(Report),
}

/// What an agent says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// Its version.
    pub version: String,
    /// The node that it is, once configured.
    pub node: Option<NodeId>,
    /// How many processes of the application run under it.
    pub processes: u32,
    /// Whether the application works; none until the node is configured.
    pub health: Option<Health>,
}

/// The control side of the agents. `agent` is the address on record, for example `unix:/path`.
#[async_trait]
pub trait Pilot: Send + Sync + 'static {
    /// Hands a command over; returns when the agent has stored it. The same id again is the same command: it
    /// does not run twice, whether it runs still or has ended.
    ///
    /// # Errors
    /// `Unavailable` when the agent can't be reached, so that the command was not accepted; `InDoubt` when it
    /// may have been.
    async fn submit(&self, agent: &str, id: &Token, command: &Command) -> Result<()>;

    /// How far the command is. Waits up to `patience` for its end; may be dropped at any point.
    ///
    /// # Errors
    /// `Unavailable` when the agent can't be reached.
    async fn look(&self, agent: &str, id: &Token, patience: Duration) -> Result<CommandState>;

    /// What the agent says about itself.
    ///
    /// # Errors
    /// `Unavailable` when the agent can't be reached.
    async fn status(&self, agent: &str) -> Result<AgentStatus>;

    /// The last `lines` lines that the application and its commands wrote.
    ///
    /// # Errors
    /// `Unavailable` when the agent can't be reached.
    async fn logs(&self, agent: &str, lines: u32) -> Result<String>;
}

/// The client that agent calls are sent through.
pub struct AgentApi {
    /// The way to the agents.
    pub pilot: Arc<dyn Pilot>,
    /// The job's cluster, as it is on record at any moment.
    pub cluster: Arc<RwLock<Cluster>>,
    /// Other clusters, and packages.
    pub records: Arc<dyn Records>,
    /// The secrets in the metadata.
    pub secrets: Arc<dyn Secrets>,
}

/// A command to an agent, as the ledger keeps it: what it is and for whom, without secrets. The command
/// itself is made from the record inside `send`; its id is the call's token, and the reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentCall {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// Its agent's address.
    pub agent: String,
    /// What to do.
    pub verb: AgentVerb,
}

#[async_trait]
impl CloudCall for AgentCall {
    type Api = AgentApi;
    type Reply = Token;
    const NAME: &'static str = "AgentCommand";

    fn group(&self) -> String {
        self.agent.clone()
    }

    async fn send(api: &AgentApi, token: &Token, items: &[Self]) -> Result<Vec<Result<Token>>> {
        let mut replies = Vec::new();
        for item in items {
            let command = metadata::command(api, item).await?;
            api.pilot.submit(&item.agent, token, &command).await?;
            replies.push(Ok(token.clone()));
        }
        Ok(replies)
    }

    async fn find(api: &AgentApi, token: &Token, items: &[Self]) -> Result<Option<Vec<Result<Token>>>> {
        let mut replies = Vec::new();
        for item in items {
            if api.pilot.look(&item.agent, token, Duration::ZERO).await? == CommandState::Unknown {
                return Ok(None);
            }
            replies.push(Ok(token.clone()));
        }
        Ok(Some(replies))
    }
}

/// A secret in a command, which only ever goes to the agent that must have it.
mod on_the_wire {
    use crate::Secret;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        String::deserialize(from).map(Secret::new)
    }
}

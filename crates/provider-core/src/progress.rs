//! How handlers and waits answer, and the facts that they report.

use crate::{NodeStatus, Report, ResourceId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a handler answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started<T> {
    /// It is done already, or was so before.
    Done(T),
    /// It is under way.
    Pending(Handle),
}

/// How a wait answers after one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<T> {
    /// It is done.
    Done(T),
    /// Not yet.
    Pending {
        /// What is still missing, for people.
        why: String,
        /// When to look again.
        again: Duration,
    },
    /// It will never be done: the resource is gone. The task's calls open again and its handler runs anew.
    Lost {
        /// What was found, for people.
        why: String,
    },
}

impl<T> Progress<T> {
    /// The same progress towards another result.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Progress<U> {
        match self {
            Self::Done(done) => Progress::Done(f(done)),
            Self::Pending { why, again } => Progress::Pending { why, again },
            Self::Lost { why } => Progress::Lost { why },
        }
    }
}

impl<T> Started<T> {
    /// The same start of another result.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Started<U> {
        match self {
            Self::Done(done) => Started::Done(f(done)),
            Self::Pending(handle) => Started::Pending(handle),
        }
    }
}

/// What is enough to go on waiting from another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// The resource that the work is on.
    pub resource: ResourceId,
    /// The cloud's own id of the work, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_job: Option<String>,
}

/// What providers and agents report. [`record`](crate::record()) alone writes it into a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// Work on this resource has begun.
    Started(Handle),
    /// The instance runs.
    Instance(InstanceReady),
    /// The volume is there.
    Volume(VolumeReady),
    /// The volume is attached.
    Attached(AttachedVolume),
    /// It is done, and there is nothing to tell but that.
    Done,
    /// An agent's command has ended well.
    Agent(Report),
    /// What stands for the node is stopped or gone, at a provider with steps of its own.
    Node(NodeStatus),
}

/// A running instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceReady {
    /// What the provider calls it.
    pub id: ResourceId,
    /// Its address inside its network.
    pub private_ip: String,
    /// Its public address, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_ip: Option<String>,
    /// How its agent is reached, if the provider knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// A volume that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeReady {
    /// What the provider calls it.
    pub id: ResourceId,
}

/// A volume that is attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedVolume {
    /// The device, or the directory that stands for it, as its node sees it.
    pub device: String,
}

//! Names of things, as types. Every id is a string on the wire and in the store; the types keep them apart.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps `text` as it is; whoever reads ids from users checks them first.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    )*};
}

id! {
    /// A provider plugin, for example `local`. Equal to the name of its feature.
    ProviderId;
    /// A runtime: provider, endpoint, credential and zone. Chosen by the operator, unique in a deployment.
    RuntimeId;
    /// An immutable app version, `name@version`.
    AppVersionId;
    /// A deployed application, `cl-…`. Minted when its first job is accepted.
    ClusterId;
    /// One action on one cluster, `j-…`. Minted when the job is accepted.
    JobId;
    /// A group of equal nodes. May be empty: a package with one kind of node need not name it.
    RoleName;
    /// A node, `role-serverid`; see [`NodeId::of`].
    NodeId;
    /// A zone of a provider (an availability zone, a region, a namespace).
    Zone;
    /// A subnet of a cloud.
    SubnetId;
    /// A virtual private network of a cloud.
    VpcId;
    /// What a provider calls one of its resources: an instance, a volume.
    ResourceId;
    /// This installation of Pitrix. Minted once for a state directory; part of every token and tag.
    DeploymentId;
}

impl NodeId {
    /// The id that a node of `role` with `server_id` has. Planning mints nothing: the same cluster always
    /// gives the same ids. A node of the unnamed role is called `node-N`.
    pub fn of(role: &RoleName, server_id: u32) -> Self {
        let role = if role.as_str().is_empty() { "node" } else { role.as_str() };
        Self(format!("{role}-{server_id}"))
    }
}

impl AppVersionId {
    /// The id of `version` of the application `name`.
    pub fn of(name: &str, version: &str) -> Self {
        Self(format!("{name}@{version}"))
    }

    /// The application.
    pub fn name(&self) -> &str {
        self.0.split_once('@').map_or(&self.0, |(name, _)| name)
    }

    /// Its version.
    pub fn version(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, version)| version)
    }
}

/// A task of a plan, `layer.index`, both from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskId {
    /// Which layer, from 0.
    pub layer: u32,
    /// Which task of the layer, from 0.
    pub index: u32,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.layer, self.index)
    }
}

/// One data disk of a node; `index` counts its role's disks from 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DiskId {
    /// The node that the disk belongs to.
    pub node: NodeId,
    /// Which of the role's disks, from 0.
    pub index: u32,
}

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-d{}", self.node, self.index)
    }
}

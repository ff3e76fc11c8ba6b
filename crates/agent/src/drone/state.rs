//! What a drone knows of its node between commands. No secret is in it.

use crate::drone::{durable::replace, instance::Instance};
use provider_core::{
    Error, NodeId, Result, Template,
    stored::{self, Stored},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::PathBuf,
};

/// `drone/state`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// The node, once it is configured.
    pub(super) node: Option<NodeId>,
    /// The package's files that were written.
    pub(super) files: BTreeSet<String>,
    /// What is rendered when metadata comes.
    pub(super) templates: Vec<Template>,
    /// The digest of what each template's file said when the application last heard of it.
    pub(super) applied: BTreeMap<String, String>,
    /// Mount points and what they lead to.
    pub(super) mounts: BTreeMap<String, PathBuf>,
    /// The command that gave the node its token, and the token.
    pub(super) token: Option<(String, String)>,
}

impl Stored for State {
    const KIND: &'static str = "agent state";
    const VERSION: u32 = 1;
}

impl State {
    /// The state of an instance; of a new one when nothing is stored.
    pub(super) fn load(instance: &Instance) -> Result<Self> {
        match fs::read_to_string(instance.drone().join("state")) {
            Ok(text) => stored::read(&text),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(Error::store("reading the agent's state").caused_by(&e)),
        }
    }

    pub(super) fn save(&self, instance: &Instance) -> Result<()> {
        replace(&instance.drone().join("state"), stored::store(self)?.as_bytes())
            .map_err(|e| Error::store("writing the agent's state").caused_by(&e))
    }
}

//! What some providers can tell about applications as they are: what a plan would change, what was there before, and
//! applications that something else has made.

use crate::{AppVersionId, Archive, Change, Cluster, ClusterId, Facts, Look, ParsedCluster, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// Providers whose clouds keep what was applied. Nothing here changes anything.
#[async_trait]
pub trait Live: Send + Sync + 'static {
    /// What a change would do to each object, as the cloud itself answers when it is asked to only try.
    async fn preview(&self, cx: &Look, change: &Change, facts: &Facts) -> Result<Vec<ObjectChange>>;

    /// The defaults that come, go or change with a move to another version, by key; nothing where the version before
    /// is not on record.
    async fn changed_defaults(&self, cx: &Look, change: &Change) -> Result<Vec<KeyChange>>;

    /// An application that something else has made, as a cluster that could be on record.
    ///
    /// # Errors
    /// `NotFound` when there is none of this name.
    async fn adopt(&self, cx: &Look, cluster: &ClusterId, name: &str) -> Result<Adopted>;

    /// What a cluster was at an earlier revision, with the answers that it had then; none is the last that worked.
    ///
    /// # Errors
    /// `NotFound` when there is no such revision, naming those that there are.
    async fn revision(&self, cx: &Look, cluster: &Cluster, revision: Option<u32>) -> Result<ParsedCluster>;

    /// What the application tells its users, as it is now; none when it tells nothing.
    async fn notes(&self, cx: &Look, cluster: &Cluster) -> Result<Option<String>>;

    /// The revisions that are kept, the oldest first.
    async fn history(&self, cx: &Look, cluster: &Cluster) -> Result<Vec<RevisionInfo>>;
}

/// What would happen to one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectChange {
    /// Which, for people, for example `Deployment/web`.
    pub object: String,
    /// What would happen.
    pub kind: ChangeKind,
    /// One line for each field: its path, what it is and what it would be. Never a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
}

/// What would happen to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It would be made.
    Create,
    /// Some of its fields would change.
    Update,
    /// It would be deleted.
    Delete,
    /// Nothing.
    Same,
}

/// What would happen to a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Where it is, for example `.spec.replicas`.
    pub path: String,
    /// Its value; none when it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Its value afterwards; none when it would go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What happens to a key of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    /// The key, for example `image.tag`.
    pub key: String,
    /// Its value; none when there is no such key. Never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Its value afterwards; none when the key goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether it is a default that has no effect, because the operator has given a value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_overridden: bool,
}

/// An application that something else has made.
#[derive(Clone)]
pub struct Adopted {
    /// What it is made of.
    pub app: AppVersionId,
    /// As much of its package as the cloud keeps.
    pub package: Archive,
    /// What it would be as a cluster.
    pub parsed: ParsedCluster,
    /// What taking it over would change.
    pub changes: Vec<ObjectChange>,
}

/// One revision of an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionInfo {
    /// Its number.
    pub revision: u32,
    /// Where it stands, in the provider's words.
    pub status: String,
    /// What it is made of, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppVersionId>,
    /// When it was made, in RFC 3339.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub at: String,
    /// One line about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

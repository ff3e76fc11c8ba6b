//! The interface that every provider plugin implements.

use crate::{AppVersionId, Archive, Cluster, ClusterId, ClusterSpec, Secret, SecretRef};
use serde_json::Value;

/// What `parse_cluster_conf` gets.
#[derive(Clone, Debug)]
pub struct ParseRequest<'a> {
    /// The cluster that the result is for; its secrets are named after it.
    pub cluster: &'a ClusterId,
    /// The app version.
    pub app: &'a AppVersionId,
    /// Its package.
    pub package: &'a Archive,
    /// The operator's answers, an object.
    pub conf: &'a Value,
    /// The cluster on record when an existing one changes; none for a new one.
    pub existing: Option<&'a Cluster>,
}

/// What `parse_cluster_conf` gives.
#[derive(Clone)]
pub struct ParsedCluster {
    /// The wanted cluster, without any secret value.
    pub spec: ClusterSpec,
    /// The values of its password items, to be stored encrypted under these references.
    pub secrets: Vec<(SecretRef, Secret)>,
    /// What was understood and has no effect yet, in sentences for the operator.
    pub warnings: Vec<String>,
}

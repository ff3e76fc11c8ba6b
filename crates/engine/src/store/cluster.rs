//! Clusters and their nodes.

use super::*;

/// Which clusters to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterFilter {
    /// Only those on this runtime.
    pub runtime: Option<RuntimeId>,
    /// Deleted ones as well.
    pub deleted: bool,
}

/// A fresh id for a cluster that is about to be created. It counts once its first job is accepted.
pub fn new_cluster_id() -> ClusterId {
    ClusterId::new("cl-")
}

impl Store {
    /// Clusters with their nodes, by name.
    ///
    /// # Errors
    /// `Store`.
    pub async fn clusters(&self, _filter: &ClusterFilter) -> Result<Vec<Cluster>> {
        Err(soon())
    }
}

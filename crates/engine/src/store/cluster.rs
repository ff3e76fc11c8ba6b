//! Clusters and their nodes.

use super::{error::failed, secret::random_name, *};
use provider_core::{ClusterSpec, ClusterStatus, Node, NodeId, Transition, VpcId, Zone, stored};
use serde::{Deserialize, Serialize, de::IntoDeserializer};
use std::collections::{BTreeMap, BTreeSet};

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
    ClusterId::new(random_name("cl-", 8))
}

/// What a cluster's row says beyond its columns.
#[derive(Serialize, Deserialize)]
pub(super) struct ClusterDoc {
    pub(super) spec: ClusterSpec,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) transition: Option<Transition>,
    pub(super) zone: Zone,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) vpc: Option<VpcId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) frontgate: Option<ClusterId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_error: Option<Error>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) joining: BTreeSet<NodeId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<Box<ClusterSpec>>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) unsettled: BTreeSet<NodeId>,
}

impl stored::Stored for ClusterDoc {
    const KIND: &'static str = "cluster";
    const VERSION: u32 = 1;
}

/// id, runtime, status, revision, doc, documents of its nodes
type Row = (String, String, String, u64, String, String);

macro_rules! clusters {
    ($which:literal) => {
        concat!(
            "SELECT id, runtime, status, revision, doc, ",
            "(SELECT json_group_object(node, doc) FROM node WHERE cluster = cluster.id) FROM cluster ",
            $which
        )
    };
}

impl Store {
    /// Clusters with their nodes, by name.
    ///
    /// # Errors
    /// `Store`.
    pub async fn clusters(&self, filter: &ClusterFilter) -> Result<Vec<Cluster>> {
        let rows: Vec<Row> = sqlx::query_as(clusters!(
            "WHERE (?1 IS NULL OR runtime = ?1) AND (?2 OR status NOT IN ('deleted', 'ceased')) ORDER BY name, rowid"
        ))
        .bind(filter.runtime.as_ref().map(RuntimeId::as_str))
        .bind(filter.deleted)
        .fetch_all(&mut *self.reader().await?)
        .await
        .map_err(failed("listing clusters"))?;
        rows.into_iter().map(cluster).collect()
    }
}

#[async_trait]
impl Records for Store {
    async fn cluster(&self, id: &ClusterId) -> Result<Option<Cluster>> {
        let row: Option<Row> = sqlx::query_as(clusters!("WHERE id = ?"))
            .bind(id.as_str())
            .fetch_optional(&mut *self.reader().await?)
            .await
            .map_err(failed(format!("reading the cluster `{id}`")))?;
        row.map(cluster).transpose()
    }

    async fn cluster_named(&self, name: &str) -> Result<Option<Cluster>> {
        let row: Option<Row> =
            sqlx::query_as(clusters!("WHERE name = ? AND status NOT IN ('deleted', 'ceased')"))
                .bind(name)
                .fetch_optional(&mut *self.reader().await?)
                .await
                .map_err(failed(format!("reading the cluster `{name}`")))?;
        row.map(cluster).transpose()
    }

    async fn package(&self, app: &AppVersionId) -> Result<Arc<Archive>> {
        self.load_package(app).await
    }
}

fn cluster((id, runtime, status, revision, doc, nodes): Row) -> Result<Cluster> {
    let doc: ClusterDoc = stored::read(&doc)?;
    let nodes: BTreeMap<NodeId, String> = serde_json::from_str(&nodes)
        .map_err(|e| Error::store(format!("the nodes of `{id}` can't be read")).caused_by(&e))?;
    Ok(Cluster {
        id: ClusterId::new(id),
        runtime: RuntimeId::new(runtime),
        spec: doc.spec,
        status: word::<ClusterStatus>(&status)?,
        transition: doc.transition,
        revision,
        nodes: nodes
            .into_iter()
            .map(|(id, doc)| Ok((id, stored::read::<Node>(&doc)?)))
            .collect::<Result<_>>()?,
        zone: doc.zone,
        vpc: doc.vpc,
        frontgate: doc.frontgate,
        last_error: doc.last_error,
        joining: doc.joining,
        previous: doc.previous,
        unsettled: doc.unsettled,
    })
}

/// The value that a column's word stands for.
pub(super) fn word<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T> {
    T::deserialize(text.into_deserializer()).map_err(|e: serde::de::value::Error| {
        Error::store(format!("reading the store: it says `{text}`, which this Pitrix does not know"))
            .hint("use the newer Pitrix that wrote it; nothing was changed")
            .caused_by(&e)
    })
}

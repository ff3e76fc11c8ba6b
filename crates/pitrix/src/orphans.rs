//! `orphans`: what providers have of ours and no cluster owns.

use crate::{
    args::Orphans,
    exit::{Exit, Failure, Outcome},
    print::{Column, Item, column},
    screen::Screen,
    shapes::moment,
    site::Site,
};
use engine::ClusterFilter;
use provider_core::{Cluster, ClusterStatus, RuntimeId, TaggedResource};
use serde::Serialize;
use std::collections::BTreeMap;

/// Lists what providers have of ours and no cluster owns.
pub(crate) async fn run(which: Orphans, site: &Site, screen: &Screen) -> Outcome {
    let store = site.store();
    let runtimes = match which.runtime {
        Some(id) => vec![store.runtime(&id).await?],
        None => store.runtimes().await?,
    };
    let mut found = Vec::new();
    let mut unseen = 0;
    for runtime in &runtimes {
        let tagged = match site.visit(&runtime.id).await {
            Ok((_, provider, look)) => provider.sweeper.tagged(&look).await,
            Err(error) => Err(error),
        };
        match tagged {
            Ok(tagged) => found.extend(tagged.into_iter().map(|resource| (runtime.id.clone(), resource))),
            Err(error) => {
                unseen += 1;
                screen.warn(&format!("runtime `{}` could not be looked at: {error}", runtime.id));
            }
        }
    }
    // Read after the resources, so that none of them was made since.
    let clusters = store.clusters(&ClusterFilter { runtime: None, deleted: true }).await?;
    let owners = Owners::of(&clusters);
    let orphans = found.into_iter().filter_map(|(runtime, resource)| {
        let why = owners.why_orphan(&resource)?;
        Some(OrphanView::new(&runtime, resource, why))
    });
    screen.list(&orphans.collect::<Vec<_>>(), "no resources without a cluster")?;
    match unseen {
        0 => Ok(()),
        n if n == runtimes.len() => Err(Failure::Said(Exit::Error)),
        _ => Err(Failure::Said(Exit::Partial)),
    }
}

/// Which cluster has what on record.
struct Owners<'a> {
    clusters: BTreeMap<&'a str, &'a Cluster>,
    on_record: BTreeMap<&'a str, &'a Cluster>,
}

impl<'a> Owners<'a> {
    fn of(clusters: &'a [Cluster]) -> Self {
        let resources = clusters.iter().flat_map(|cluster| {
            let ids = cluster.nodes.values().flat_map(|node| {
                let instance = node.instance.iter().map(|instance| instance.id.as_str());
                instance.chain(node.disks.values().map(|disk| disk.volume.as_str()))
            });
            ids.map(move |id| (id, cluster))
        });
        Self {
            clusters: clusters.iter().map(|cluster| (cluster.id.as_str(), cluster)).collect(),
            on_record: resources.collect(),
        }
    }

    /// None when a cluster owns it, or may do so soon.
    fn why_orphan(&self, resource: &TaggedResource) -> Option<String> {
        let is_gone =
            |cluster: &Cluster| matches!(cluster.status, ClusterStatus::Deleted | ClusterStatus::Ceased);
        match self.on_record.get(resource.id.as_str()) {
            Some(cluster) if !is_gone(cluster) => return None,
            Some(cluster) => return Some(format!("cluster {} was deleted without it", cluster.spec.name)),
            None => {}
        }
        match self.clusters.get(resource.cluster.as_str()) {
            // Its job may have made what the record does not have yet.
            Some(cluster) if cluster.transition.is_some() => None,
            Some(cluster) if !resource.is_recorded() && is_gone(cluster) => {
                Some(format!("cluster {} was deleted without it", cluster.spec.name))
            }
            Some(_) if !resource.is_recorded() => None,
            Some(cluster) => Some(format!("cluster {} does not know it", cluster.spec.name)),
            None => Some("its cluster is not on record".to_owned()),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrphanView {
    id: String,
    resource: String,
    runtime: String,
    cluster: String,
    name: String,
    created: Option<String>,
    why: String,
}

impl OrphanView {
    fn new(runtime: &RuntimeId, resource: TaggedResource, why: String) -> Self {
        Self {
            id: resource.id.to_string(),
            resource: resource.kind,
            runtime: runtime.to_string(),
            cluster: resource.cluster,
            name: resource.name,
            created: resource.created.map(moment),
            why,
        }
    }
}

impl Item for OrphanView {
    const KIND: &'static str = "Orphan";
    const COLUMNS: &'static [Column] = &[
        column("ID"),
        column("RESOURCE"),
        column("RUNTIME"),
        column("CLUSTER"),
        column("NAME"),
        column("CREATED"),
        column("WHY"),
    ];

    fn name(&self) -> String {
        self.id.clone()
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.resource.clone(),
            self.runtime.clone(),
            self.cluster.clone(),
            self.name.clone(),
            self.created.clone().unwrap_or_default(),
            self.why.clone(),
        ]
    }
}

#[cfg(test)]
mod tests;

//! Applications that something else has made, and what only a live cloud can tell.

use crate::{Control, Planned, Submitted, Terms, new_cluster_id};
use provider_core::{
    Action, Archive, Change, Cluster, Error, KeyChange, Live, ObjectChange, Provider, Records, Result,
    RevisionInfo, RuntimeId,
};
use std::sync::Arc;

/// An application that could be taken over. Nothing has happened yet.
pub struct Adoption {
    /// How it becomes a cluster on record.
    pub planned: Planned,
    /// What that would change.
    pub changes: Vec<ObjectChange>,
    /// Its package, if its version is not on record.
    package: Option<Archive>,
}

impl Control {
    /// Looks at the application `name` of a runtime and plans how to take it over.
    ///
    /// # Errors
    /// `Unsupported` for a provider that knows no other makers; `NotFound`; `Conflict` when a cluster has the name.
    pub async fn plan_adoption(&self, name: &str, runtime: &RuntimeId) -> Result<Adoption> {
        if Records::cluster_named(&self.store, name).await?.is_some() {
            return Err(Error::conflict(format!("adopting `{name}`: there is a cluster of this name")));
        }
        let (runtime, provider) = self.place(runtime).await?;
        let look = self.look(runtime.clone()).await?;
        let id = new_cluster_id();
        let found = live(&provider)?.adopt(&look, &id, name).await?;
        let is_known = self.store.apps().await?.iter().any(|app| app.id == found.app);
        let before = Cluster::new(id, runtime.id.clone(), runtime.zone.clone(), found.parsed.spec.clone());
        let planned = self.split(&provider, runtime, Action::CreateCluster, before, found.parsed).await?;
        Ok(Adoption { planned, changes: found.changes, package: (!is_known).then_some(found.package) })
    }

    /// Has an adoption accepted as a job.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub async fn adopt(&self, adoption: Adoption) -> Result<Submitted> {
        let Adoption { mut planned, package, .. } = adoption;
        if let Some(package) = package {
            let app = &planned.change.after.app;
            self.store.push_app(app, &package.to_bytes(app.name())?).await?;
        }
        self.accept(&mut planned, Terms::default()).await?.map(|job| Submitted { job, planned }).ok_or_else(
            || Error::conflict("something else was accepted meanwhile").hint("look at it and try again"),
        )
    }

    /// What a planned change would do to each object, where the cloud can tell; empty where it can't.
    ///
    /// # Errors
    /// What the cloud answered.
    pub async fn preview(&self, planned: &Planned) -> Result<Vec<ObjectChange>> {
        let Change { before, .. } = &planned.change;
        let (runtime, provider) = self.place(&before.runtime).await?;
        let Some(live) = &provider.live else { return Ok(Vec::new()) };
        let look = self.look_with(runtime, planned.secrets()).await?;
        live.preview(&look, &planned.change, &planned.plan.facts).await
    }

    /// The defaults that a move to another version changes, where the provider knows them and not the answers on record;
    /// none where those tell.
    ///
    /// # Errors
    /// When a package can't be read.
    pub async fn changed_defaults(&self, planned: &Planned) -> Result<Option<Vec<KeyChange>>> {
        let (runtime, provider) = self.place(&planned.change.before.runtime).await?;
        let Some(live) = &provider.live else { return Ok(None) };
        let look = self.look_with(runtime, planned.secrets()).await?;
        live.changed_defaults(&look, &planned.change).await.map(Some)
    }

    /// The revisions that the provider keeps of a cluster, the oldest first.
    ///
    /// # Errors
    /// `Unsupported` for a provider that keeps none.
    pub async fn history(&self, cluster: &Cluster) -> Result<Vec<RevisionInfo>> {
        let (runtime, provider) = self.place(&cluster.runtime).await?;
        live(&provider)?.history(&self.look(runtime).await?, cluster).await
    }
}

pub(crate) fn live(provider: &Provider) -> Result<&Arc<dyn Live>> {
    provider.live.as_ref().ok_or_else(|| {
        Error::unsupported(format!(
            "provider `{}` keeps no record of its own of applications",
            provider.descriptor.id
        ))
    })
}

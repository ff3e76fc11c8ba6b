//! Calls about the record of a release in the cluster.

use crate::{
    provider::Findings,
    release::{self, Release, ReleaseStatus},
    render::HookEvent,
    session::{Loaded, Session},
    source,
};
use async_trait::async_trait;
use provider_core::{CloudCall, Error, ErrorKind, Result, Timestamp, Token};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

/// What a new revision is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The chart, rendered for the first time.
    Install,
    /// The chart, rendered over a revision that there is.
    Upgrade,
    /// An earlier revision, as it is stored.
    Rollback(u32),
}

/// Creates the record of a new revision, which is also the lock on the release: whoever creates the next number has
/// it. A namespace that is not there is made with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClaimRelease {
    /// The release.
    pub release: String,
    /// The new revision.
    pub revision: u32,
    /// What it is made of.
    pub basis: Basis,
    /// What it must come to, as it was planned; see [`source::digest`].
    pub digest: String,
    /// A revision of ours that was left unfinished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<u32>,
}

#[async_trait]
impl CloudCall for ClaimRelease {
    type Api = Session;
    type Reply = ();
    const NAME: &'static str = "ClaimRelease";

    async fn send(session: &Session, token: &Token, items: &[Self]) -> Result<Vec<Result<()>>> {
        let mut results = Vec::new();
        for item in items {
            results.push(item.claim(session, token).await);
        }
        Ok(results)
    }

    async fn find(session: &Session, token: &Token, items: &[Self]) -> Result<Option<Vec<Result<()>>>> {
        let mut results = Vec::new();
        for item in items {
            match session.api().get(&item.path(session)).await? {
                None => return Ok(None),
                Some(secret) if crate::ownership::is_made_by(&secret, token.as_str()) => results.push(Ok(())),
                Some(_) => results.push(Err(item.taken())),
            }
        }
        Ok(Some(results))
    }
}

impl ClaimRelease {
    async fn claim(&self, session: &Session, token: &Token) -> Result<()> {
        // First, because the server takes a moment to know it: it holds up what comes too early.
        if self.basis == Basis::Install && Findings::of(session.cx.facts())?.new_namespace {
            make_namespace(session).await?;
        }
        let mut release = self.make(session).await?;
        let now = session.cx.clock.now();
        release.info.last_deployed = rfc3339(now);
        release.info.deleted.clear();
        let (status, description) = match self.basis {
            Basis::Install => (ReleaseStatus::PendingInstall, "Initial install underway".to_owned()),
            Basis::Upgrade => (ReleaseStatus::PendingUpgrade, "Preparing upgrade".to_owned()),
            Basis::Rollback(to) => (ReleaseStatus::PendingRollback, format!("Rollback to {to}")),
        };
        release.info.status = status;
        release.info.description = description;
        if release.info.first_deployed.is_empty() {
            release.info.first_deployed.clone_from(&release.info.last_deployed);
        }
        if let Some(unfinished) = self.unfinished {
            settle(session, &self.release, unfinished, ReleaseStatus::Failed, "Left unfinished").await?;
        }
        let mut secret = release::secret(&release, now, token.as_str())?;
        secret["metadata"]["annotations"][crate::provider::CLUSTER] = session.cx.cluster().id.as_str().into();
        secret["metadata"]["annotations"][crate::provider::DEPLOYMENT] = session.deployment.as_str().into();
        let mut created = session.api().create(&session.secrets_path(), &secret).await;
        // It was there when this was planned.
        if matches!(&created, Err(error) if error.kind() == ErrorKind::NotFound) {
            make_namespace(session).await?;
            created = session.api().create(&session.secrets_path(), &secret).await;
        }
        match created {
            Err(error) if error.provider_code() == Some("AlreadyExists") => {
                // Our own, if the client asked twice because a server between us and the API did not know.
                let live = session.api().get(&self.path(session)).await?;
                if !live.is_some_and(|live| crate::ownership::is_made_by(&live, token.as_str())) {
                    return Err(self.taken());
                }
            }
            other => other.map(|_| ())?,
        }
        session.keep(Arc::new(Loaded::new(release)?));
        Ok(())
    }

    async fn make(&self, session: &Session) -> Result<Release> {
        let before = self.revision.checked_sub(1).filter(|n| *n > 0);
        let mut release = if let Basis::Rollback(to) = self.basis {
            let target = session.load(&self.release, to).await?;
            let mut release = target.release.clone();
            release.version = self.revision;
            release.apply_method = "ssa".into();
            release.info.other.insert("rollback_revision".into(), to.into());
            for hook in &mut release.hooks {
                hook.last_run = release::LastRun::default();
            }
            release
        } else {
            let findings = Findings::of(session.cx.facts())?;
            let wanted = findings.wanted(&session.cx).await?;
            let seed = wanted.seed.clone();
            let made = wanted.make_aside().await?;
            if source::digest(&made.release, &seed) != self.digest {
                return Err(Error::conflict(format!(
                    "rendering `{}` came to something else than what was planned",
                    self.release
                ))
                .hint("plan the action again"));
            }
            made.release
        };
        // The first deployment is the same for all revisions.
        if let Some(before) = before
            && let Ok(before) = session.load(&self.release, before).await
        {
            release.info.first_deployed.clone_from(&before.release.info.first_deployed);
        }
        Ok(release)
    }

    fn path(&self, session: &Session) -> String {
        format!("{}/{}", session.secrets_path(), release::secret_name(&self.release, self.revision))
    }

    fn taken(&self) -> Error {
        Error::conflict(format!(
            "making revision {} of `{}`: something else has made it since this was planned",
            self.revision, self.release
        ))
        .hint("`helm history` shows what; plan the action again")
    }
}

async fn make_namespace(session: &Session) -> Result<()> {
    let name = session.namespace();
    let body = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": name, "labels": { "name": name } },
    });
    match session.api().create("/api/v1/namespaces", &body).await {
        Err(error) if error.provider_code() == Some("AlreadyExists") => Ok(()),
        Err(error) => Err(error.during(format!("the namespace `{name}` is not there"))),
        Ok(_) => Ok(()),
    }
}

/// Writes down where a revision stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpdateRelease {
    /// The release.
    pub release: String,
    /// The revision.
    pub revision: u32,
    /// Where it stands now.
    pub status: ReleaseStatus,
    /// One line about it.
    pub description: String,
    /// The events whose hooks have run well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ran: Vec<HookEvent>,
    /// Revisions that are no longer the deployed one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub superseded: Vec<u32>,
    /// Revisions that are one too many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forgotten: Vec<u32>,
}

#[async_trait]
impl CloudCall for UpdateRelease {
    type Api = Session;
    type Reply = ();
    const NAME: &'static str = "UpdateRelease";

    async fn send(session: &Session, _token: &Token, items: &[Self]) -> Result<Vec<Result<()>>> {
        let mut results = Vec::new();
        for item in items {
            results.push(item.update(session).await);
        }
        Ok(results)
    }
}

impl UpdateRelease {
    async fn update(&self, session: &Session) -> Result<()> {
        let now = session.cx.clock.now();
        let mut release = match session.load(&self.release, self.revision).await {
            // What is gone needs no status.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            loaded => loaded?.release.clone(),
        };
        release.info.status = self.status;
        // Tests change nothing about it.
        if !self.description.is_empty() {
            release.info.description.clone_from(&self.description);
        }
        if self.status == ReleaseStatus::Uninstalled {
            release.info.deleted = rfc3339(now);
        }
        for hook in &mut release.hooks {
            if hook.events.iter().any(|event| self.ran.contains(event)) {
                hook.last_run.started_at = match self.ran.as_slice() {
                    [HookEvent::Test] => rfc3339(now),
                    _ => release.info.last_deployed.clone(),
                };
                hook.last_run.completed_at = rfc3339(now);
                hook.last_run.phase = "Succeeded".into();
            }
        }
        write(session, release, now).await?;
        for revision in &self.superseded {
            settle(session, &self.release, *revision, ReleaseStatus::Superseded, "").await?;
        }
        for revision in &self.forgotten {
            let path =
                format!("{}/{}", session.secrets_path(), release::secret_name(&self.release, *revision));
            session.api().delete(&path, None).await?;
        }
        Ok(())
    }
}

/// Gives a revision another status; an empty description stays. One that is gone needs none.
async fn settle(
    session: &Session,
    name: &str,
    revision: u32,
    status: ReleaseStatus,
    description: &str,
) -> Result<()> {
    let mut release = match session.load(name, revision).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        loaded => loaded?.release.clone(),
    };
    release.info.status = status;
    if !description.is_empty() {
        release.info.description = description.to_owned();
    }
    write(session, release, session.cx.clock.now()).await
}

async fn write(session: &Session, release: Release, now: Timestamp) -> Result<()> {
    let path = format!("{}/{}", session.secrets_path(), release::secret_name(&release.name, release.version));
    let patch = release::status_patch(&release, now)?;
    match session.api().merge(&path, crate::api::MANAGER, &patch).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        other => {
            other?;
        }
    }
    session.keep(Arc::new(Loaded::new(release)?));
    Ok(())
}

/// Deletes the record of a release.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PurgeRelease {
    /// The release.
    pub release: String,
    /// Its revisions.
    pub revisions: Vec<u32>,
}

#[async_trait]
impl CloudCall for PurgeRelease {
    type Api = Session;
    type Reply = ();
    const NAME: &'static str = "PurgeRelease";

    async fn send(session: &Session, _token: &Token, items: &[Self]) -> Result<Vec<Result<()>>> {
        let mut results = Vec::new();
        for item in items {
            session.forget(&item.release);
            let mut result = Ok(());
            for revision in &item.revisions {
                let path =
                    format!("{}/{}", session.secrets_path(), release::secret_name(&item.release, *revision));
                result = result.and(session.api().delete(&path, None).await.map(|_| ()));
            }
            results.push(result);
        }
        Ok(results)
    }
}

/// A moment as Go writes it.
fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| String::new(), |at| at.to_string())
}

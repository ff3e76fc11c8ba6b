//! What calls and waits work with: a connection, its watches, and the releases that were read.

use crate::{
    api::{Api, ObjectRef, Watches},
    manifest, ownership,
    release::{self, Release, Revision},
};
use futures_util::{StreamExt, future::BoxFuture, stream};
use provider_core::{Error, ErrorKind, Look, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many connections and releases are kept open at most; all of them are found again when they are not.
const KEPT: usize = 64;

/// The connections of a provider, one for each runtime and credential.
pub struct Connections {
    deployment: String,
    open: Mutex<HashMap<String, Connection>>,
}

/// By name and revision.
type Releases = HashMap<(String, u32), Arc<Loaded>>;

#[derive(Clone)]
struct Connection {
    api: Api,
    watches: Arc<Watches>,
    releases: Arc<Mutex<Releases>>,
    /// What each release that this process last planned tells its users.
    notes: Arc<Mutex<HashMap<String, String>>>,
    /// The resource version that each object had when this process last changed it.
    applied: Arc<Mutex<HashMap<String, u64>>>,
}

impl Connections {
    /// None yet, for this installation.
    pub fn new(deployment: impl Into<String>) -> Self {
        Self { deployment: deployment.into(), open: Mutex::default() }
    }

    /// This installation, which marks what it makes.
    pub fn deployment(&self) -> &str {
        &self.deployment
    }

    /// A session for what `cx` looks at.
    ///
    /// # Errors
    /// As [`Api::connect`].
    pub async fn session(&self, cx: &Look) -> Result<Arc<Session>> {
        let mut hash = Sha256::new();
        for part in [
            cx.runtime.endpoint.as_str(),
            cx.runtime.zone.as_str(),
            cx.credential.field("kubeconfig")?.expose(),
        ] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        let key = hex::encode(hash.finalize());
        let known = lock(&self.open).get(&key).cloned();
        let connection = match known {
            Some(connection) => connection,
            None => {
                let api = Api::connect(cx).await?;
                let new = Connection {
                    api,
                    watches: Arc::default(),
                    releases: Arc::default(),
                    notes: Arc::default(),
                    applied: Arc::default(),
                };
                let mut open = lock(&self.open);
                if open.len() >= KEPT {
                    open.clear();
                }
                open.entry(key).or_insert(new).clone()
            }
        };
        Ok(Arc::new(Session { connection, deployment: self.deployment.clone(), cx: cx.clone() }))
    }
}

/// What one call or wait works with.
pub struct Session {
    connection: Connection,
    /// This installation.
    pub deployment: String,
    /// Everything that is on record.
    pub cx: Look,
}

/// A release with its documents read.
pub struct Loaded {
    /// It.
    pub release: Release,
    objects: Vec<Value>,
}

impl Loaded {
    /// Reads the documents of a release.
    ///
    /// # Errors
    /// `Invalid` when its manifest can't be read.
    pub fn new(release: Release) -> Result<Self> {
        let mut objects = manifest::objects(&release.manifest)?;
        for object in &mut objects {
            ownership::own(object, &release.name, &release.namespace);
        }
        Ok(Self { release, objects })
    }

    /// Its objects, marked as its own, in the order of its manifest.
    pub fn objects(&self) -> &[Value] {
        &self.objects
    }

    /// The document of `at`.
    ///
    /// # Errors
    /// `NotFound` when it has none.
    pub fn object(&self, at: &ObjectRef) -> Result<&Value> {
        let is = |object: &&Value| {
            let of = ObjectRef::of(at.resource.clone(), object, &self.release.namespace);
            manifest::text(object, "/kind") == Some(at.kind())
                && of.name == at.name
                && of.namespace == at.namespace
        };
        self.objects.iter().find(is).ok_or_else(|| {
            Error::not_found(format!(
                "revision {} of `{}` has no {at}",
                self.release.version, self.release.name
            ))
        })
    }
}

impl Session {
    /// The API.
    pub fn api(&self) -> &Api {
        &self.connection.api
    }

    /// The shared watches.
    pub fn watches(&self) -> &Watches {
        &self.connection.watches
    }

    /// The namespace of the runtime.
    pub fn namespace(&self) -> &str {
        self.connection.api.namespace()
    }

    /// The path of the Secrets of releases.
    pub fn secrets_path(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", self.namespace())
    }

    /// Whether the namespace is there; whoever may not look is told so by what comes next.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn has_namespace(&self) -> Result<bool> {
        match self.api().get(&format!("/api/v1/namespaces/{}", self.namespace())).await {
            Err(error) if error.kind() == ErrorKind::Unauthorized => Ok(true),
            found => Ok(found?.is_some()),
        }
    }

    /// The revisions of a release, the oldest first; their documents are not read.
    ///
    /// # Errors
    /// As [`Api::list`].
    pub async fn revisions(&self, name: &str) -> Result<Vec<Revision>> {
        let query = format!("labelSelector=owner%3Dhelm,name%3D{name}");
        let secrets = self.api().list(&self.secrets_path(), &query, true).await?;
        let mut revisions: Vec<_> = secrets.iter().filter_map(Revision::of).collect();
        revisions.sort_by_key(|revision| revision.revision);
        Ok(revisions)
    }

    /// A revision of a release, from the cluster unless it was read before.
    ///
    /// # Errors
    /// `NotFound` when it is not there.
    pub async fn load(&self, name: &str, revision: u32) -> Result<Arc<Loaded>> {
        let key = (name.to_owned(), revision);
        if let Some(known) = lock(&self.connection.releases).get(&key) {
            return Ok(known.clone());
        }
        let path = format!("{}/{}", self.secrets_path(), release::secret_name(name, revision));
        let secret = self.api().get(&path).await?.ok_or_else(|| {
            Error::not_found(format!(
                "revision {revision} of the release `{name}` is not in the namespace `{}`",
                self.namespace()
            ))
        })?;
        let loaded = Arc::new(Loaded::new(release_in(&secret)?)?);
        self.keep(loaded.clone());
        Ok(loaded)
    }

    /// Remembers a release that was just stored.
    pub fn keep(&self, loaded: Arc<Loaded>) {
        let mut releases = lock(&self.connection.releases);
        if releases.len() >= KEPT {
            releases.clear();
        }
        releases.insert((loaded.release.name.clone(), loaded.release.version), loaded);
    }

    /// Remembers what a release tells its users that was just planned.
    pub fn note_planned(&self, release: &Release) {
        lock(&self.connection.notes).insert(release.name.clone(), release.info.notes.clone());
    }

    /// What the release tells its users that this process has planned last: what is deployed once that has succeeded,
    /// because nothing is that comes to something else.
    pub fn planned_notes(&self, name: &str) -> Option<String> {
        lock(&self.connection.notes).get(name).cloned()
    }

    /// Remembers how new an object is that this process has just changed.
    pub fn note_applied(&self, path: &str, live: &Value) {
        if let Some(version) = version_of(live) {
            lock(&self.connection.applied).insert(path.to_owned(), version);
        }
    }

    /// Whether an object that a watch knows is older than this process's last change of it.
    pub fn is_older(&self, path: &str, live: &Value) -> bool {
        let applied = lock(&self.connection.applied).get(path).copied();
        matches!((applied, version_of(live)), (Some(applied), Some(seen)) if seen < applied)
    }

    /// Forgets a release, because it has changed.
    pub fn forget(&self, name: &str) {
        lock(&self.connection.releases).retain(|(known, _), _| known != name);
    }
}

fn version_of(live: &Value) -> Option<u64> {
    manifest::text(live, "/metadata/resourceVersion")?.parse().ok()
}

/// How many requests of one batch are under way at a time.
const SIDE_BY_SIDE: usize = 8;

/// Does these, some at a time; the results are in their order.
pub async fn side_by_side<T>(work: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    stream::iter(work).buffered(SIDE_BY_SIDE).collect().await
}

/// The release that a Secret holds.
///
/// # Errors
/// `Invalid` when it holds none.
pub fn release_in(secret: &Value) -> Result<Release> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let bad = || Error::invalid("a stored release can't be read: its Secret has no data called `release`");
    let data = manifest::text(secret, "/data/release").ok_or_else(bad)?;
    let bytes = STANDARD.decode(data).map_err(|_| bad())?;
    release::decode(std::str::from_utf8(&bytes).map_err(|_| bad())?)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

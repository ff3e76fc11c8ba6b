//! The Secrets that hold releases, one for each revision.

use super::{Release, ReleaseStatus, encode};
use crate::manifest::text;
use provider_core::{Result, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How many revisions of a release are kept.
pub const HISTORY: usize = 10;

/// The name of the Secret of one revision.
pub fn secret_name(name: &str, revision: u32) -> String {
    format!("sh.helm.release.v1.{name}.v{revision}")
}

/// The Secret of a new revision. `token` tells who made it: whoever made it finds it again.
///
/// # Errors
/// `Bug` when the release can't be serialised.
pub fn secret(release: &Release, at: Timestamp, token: &str) -> Result<Value> {
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {
            "name": secret_name(&release.name, release.version),
            "namespace": release.namespace,
            "labels": {
                "name": release.name,
                "owner": "helm",
                "status": release.info.status.as_str(),
                "version": release.version.to_string(),
                "createdAt": (at.0 / 1000).to_string(),
            },
            "annotations": { crate::ownership::TOKEN: token },
        },
        "stringData": { "release": encode(release)? },
    }))
}

/// A merge patch that writes a changed release over the stored one.
///
/// # Errors
/// `Bug` when the release can't be serialised.
pub fn status_patch(release: &Release, at: Timestamp) -> Result<Value> {
    Ok(json!({
        "metadata": { "labels": {
            "status": release.info.status.as_str(),
            "modifiedAt": (at.0 / 1000).to_string(),
        } },
        "stringData": { "release": encode(release)? },
    }))
}

/// A revision, as the labels of its Secret tell of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Its number.
    pub revision: u32,
    /// Where it stands.
    pub status: ReleaseStatus,
    /// The call of ours that made it; none when something else did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The cluster on record that it was made for; none when something else made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

impl Revision {
    /// What the metadata of a Secret says; none when it holds no release.
    pub fn of(secret: &Value) -> Option<Self> {
        let label = |name| secret.pointer("/metadata/labels")?.get(name)?.as_str();
        (label("owner")? == "helm").then_some(())?;
        Some(Self {
            revision: label("version")?.parse().ok()?,
            status: label("status").map(ReleaseStatus::named).unwrap_or_default(),
            token: text(secret, "/metadata/annotations/pitrix.io~1token").map(str::to_owned),
            cluster: text(secret, "/metadata/annotations/pitrix.io~1cluster").map(str::to_owned),
        })
    }
}

/// The revisions that are one too many once another is added: the oldest, but never the deployed one.
pub fn stale(revisions: &[Revision], keep: usize) -> Vec<u32> {
    let mut all: Vec<_> = revisions.iter().collect();
    all.sort_by_key(|revision| revision.revision);
    let surplus = all.len().saturating_sub(keep);
    let deployed = all.iter().rev().find(|r| r.status == ReleaseStatus::Deployed).map(|r| r.revision);
    let goes = |r: &&&Revision| Some(r.revision) != deployed;
    all.iter().filter(goes).take(surplus).map(|r| r.revision).collect()
}

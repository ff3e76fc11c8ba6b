//! Calls about the objects of a release.

use super::{BATCH, each};
use crate::{
    api::{ApplyOptions, MANAGER, OUR_MANAGER, ObjectRef},
    chart::Chart,
    manifest, ownership,
    session::Session,
};
use async_trait::async_trait;
use futures_util::FutureExt;
use provider_core::{CloudCall, Error, ErrorKind, Result, Token};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Makes the namespace of a release, unless it is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnsureNamespace {
    /// Its name.
    pub name: String,
}

#[async_trait]
impl CloudCall for EnsureNamespace {
    type Api = Session;
    type Reply = ();
    const NAME: &'static str = "EnsureNamespace";

    async fn send(session: &Session, _token: &Token, items: &[Self]) -> Result<Vec<Result<()>>> {
        Ok(each(items, |item| {
            async move {
                let body = json!({
                    "apiVersion": "v1",
                    "kind": "Namespace",
                    "metadata": { "name": item.name, "labels": { "name": item.name } },
                });
                match session.api().create("/api/v1/namespaces", &body).await {
                    Err(error) if error.provider_code() == Some("AlreadyExists") => Ok(()),
                    other => other.map(|_| ()),
                }
            }
            .boxed()
        })
        .await)
    }
}

/// Applies an object of a release, on the server's side.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApplyObject {
    /// The release.
    pub release: String,
    /// Its revision, which has the document.
    pub revision: u32,
    /// The object.
    pub object: ObjectRef,
    /// Whether it was not there when this was planned: then it is only created, and one that somebody else has made
    /// since is left alone.
    #[serde(default)]
    pub create: bool,
}

#[async_trait]
impl CloudCall for ApplyObject {
    type Api = Session;
    type Reply = ();
    const NAME: &'static str = "ApplyObject";
    const MAX: usize = BATCH;

    async fn send(session: &Session, _token: &Token, items: &[Self]) -> Result<Vec<Result<()>>> {
        Ok(each(items, |item| {
            async move {
                let loaded = session.load(&item.release, item.revision).await?;
                let body = loaded.object(&item.object)?;
                apply(session, item, body).await
            }
            .boxed()
        })
        .await)
    }
}

async fn apply(session: &Session, call: &ApplyObject, body: &Value) -> Result<()> {
    let api = session.api();
    if call.create {
        let how = ApplyOptions { create_only: true, ..ApplyOptions::default() };
        match api.apply(&call.object, body, how).await {
            Err(error) if error.kind() == ErrorKind::Conflict => {
                // It is there: our own from before a crash, or somebody else's.
                if let Some(live) = api.get(&call.object.path()).await?
                    && let Some(why) = ownership::stranger(&live, &call.release, session.namespace())
                {
                    return Err(ownership::refuse(&call.object, &why));
                }
            }
            other => return other.map(|live| session.note_applied(&call.object.path(), &live)),
        }
    }
    let live = apply_over(session, &call.object, body, false).await?;
    session.note_applied(&call.object.path(), &live);
    Ok(())
}

/// Applies a document over what is there. Fields that only we or an older Helm have set are taken over.
///
/// # Errors
/// As [`Api::apply`](crate::api::Api::apply); `Conflict` names each field that something else manages.
pub async fn apply_over(session: &Session, object: &ObjectRef, body: &Value, dry_run: bool) -> Result<Value> {
    let how = ApplyOptions { dry_run, ..ApplyOptions::default() };
    match session.api().apply(object, body, how).await {
        Err(error) if is_our_own_conflict(&error) => {
            session.api().apply(object, body, ApplyOptions { force: true, ..how }).await
        }
        other => other,
    }
}

/// Whether every field in conflict is one that a stop or a restart of ours, or Helm before it applied on the server's
/// side, has set.
fn is_our_own_conflict(error: &Error) -> bool {
    let ours = [format!("conflict with \"{OUR_MANAGER}\""), format!("conflict with \"{MANAGER}\"")];
    let is_ours = |cause: &String| ours.iter().any(|own| cause.contains(own));
    error.kind() == ErrorKind::Conflict
        && if error.causes().is_empty() {
            ours.iter().any(|own| error.to_string().contains(own))
        } else {
            error.causes().iter().all(is_ours)
        }
}

/// Creates a definition of custom resources that a chart brings in `crds/`; one that is there stays as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApplyDefinition {
    /// The definition.
    pub object: ObjectRef,
}

#[async_trait]
impl CloudCall for ApplyDefinition {
    type Api = Session;
    type Reply = ();
    const NAME: &'static str = "ApplyDefinition";
    const MAX: usize = BATCH;

    async fn send(session: &Session, _token: &Token, items: &[Self]) -> Result<Vec<Result<()>>> {
        let app = session.cx.cluster().spec.app.clone();
        let chart = Chart::from_archive(&*session.cx.records.package(&app).await?)?;
        let mut definitions = Vec::new();
        for file in chart.crds() {
            definitions.extend(manifest::objects(&String::from_utf8_lossy(&file.data))?);
        }
        let definitions = &definitions;
        Ok(each(items, |item| {
            async move {
                let named =
                    |d: &&Value| manifest::text(d, "/metadata/name") == Some(item.object.name.as_str());
                let body = definitions.iter().find(named).ok_or_else(|| {
                    Error::not_found(format!("the chart has no definition `{}`", item.object.name))
                })?;
                let how = ApplyOptions { create_only: true, ..ApplyOptions::default() };
                match session.api().apply(&item.object, body, how).await {
                    Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
                    other => other.map(|_| ()),
                }
            }
            .boxed()
        })
        .await)
    }
}

/// Deletes an object that no longer belongs to a release. One that something else owns by now, and one that says that
/// it is to be kept, stay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeleteObject {
    /// The release.
    pub release: String,
    /// The object.
    pub object: ObjectRef,
    /// Whether it is a hook's, which carries no mark of its release.
    #[serde(default)]
    pub hook: bool,
}

/// What became of an object that was to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// Whether nothing is left of it.
    pub gone: bool,
    /// Why it stays, unless it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
}

#[async_trait]
impl CloudCall for DeleteObject {
    type Api = Session;
    type Reply = Deleted;
    const NAME: &'static str = "DeleteObject";
    const MAX: usize = BATCH;

    async fn send(session: &Session, _token: &Token, items: &[Self]) -> Result<Vec<Result<Deleted>>> {
        Ok(each(items, |item| {
            async move {
                let (api, path) = (session.api(), item.object.path());
                let Some(live) = api.get(&path).await? else {
                    return Ok(Deleted { gone: true, stays: None });
                };
                let stays = if item.hook {
                    None
                } else if manifest::is_kept(&live) {
                    Some("it says that it is to be kept".to_owned())
                } else {
                    ownership::stranger(&live, &item.release, session.namespace())
                };
                let mut gone = false;
                if stays.is_none() && manifest::text(&live, "/metadata/deletionTimestamp").is_none() {
                    gone = api.delete(&path, manifest::text(&live, "/metadata/uid")).await?;
                }
                Ok(Deleted { gone, stays })
            }
            .boxed()
        })
        .await)
    }
}

/// Makes the fields that Helm set before it applied on the server's side the fields of an apply, so that one that is
/// no longer wanted goes with the next.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TakeFields {
    /// The object.
    pub object: ObjectRef,
}

#[async_trait]
impl CloudCall for TakeFields {
    type Api = Session;
    type Reply = ();
    const NAME: &'static str = "TakeFields";
    const MAX: usize = BATCH;

    async fn send(session: &Session, _token: &Token, items: &[Self]) -> Result<Vec<Result<()>>> {
        Ok(each(items, |item| async move {
            let (api, path) = (session.api(), item.object.path());
            let Some(live) = api.get(&path).await? else { return Ok(()) };
            let Some(fields) = taken(&live) else { return Ok(()) };
            let patch = json!([
                { "op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"] },
                { "op": "replace", "path": "/metadata/managedFields", "value": fields },
            ]);
            match api.json_patch(&path, &patch).await {
                // It has changed in between.
                Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Invalid) => {
                    Err(error.into_kind(ErrorKind::Unavailable))
                }
                other => other.map(|_| ()),
            }
        }.boxed()).await)
    }
}

/// The managed fields of an object with those of Helm's updates as an apply; none when there is nothing to change.
fn taken(live: &Value) -> Option<Vec<Value>> {
    let fields = live.pointer("/metadata/managedFields")?.as_array()?;
    let is_ours = |entry: &Value, operation: &str| {
        entry["manager"] == MANAGER && entry["operation"] == operation && entry.get("subresource").is_none()
    };
    if fields.iter().any(|entry| is_ours(entry, "Apply")) {
        return None;
    }
    let mut taken = false;
    let changed = fields
        .iter()
        .map(|entry| {
            let mut entry = entry.clone();
            if !taken && is_ours(&entry, "Update") {
                taken = true;
                entry["operation"] = json!("Apply");
            }
            entry
        })
        .collect();
    taken.then_some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_conflicts_with_ourselves_are_forced() {
        let of = |causes: &[&str]| {
            causes.iter().fold(Error::conflict("Apply failed"), |error, cause| error.because(*cause))
        };
        for (causes, ours) in [
            (&[".spec.replicas: conflict with \"pitrix\" using apps/v1"][..], true),
            (&[".spec.replicas: conflict with \"helm\" using apps/v1"], true),
            (&[".a: conflict with \"pitrix\"", ".b: conflict with \"kubectl\""], false),
            (&[], false),
        ] {
            assert_eq!(is_our_own_conflict(&of(causes)), ours, "{causes:?}");
        }
        assert!(!is_our_own_conflict(&Error::invalid("conflict with \"pitrix\"")));
    }

    #[test]
    fn fields_of_old_updates_become_those_of_an_apply() {
        let entry = |manager: &str, operation: &str| json!({ "manager": manager, "operation": operation });
        let live = |fields: Value| json!({ "metadata": { "managedFields": fields } });
        assert_eq!(
            taken(&live(json!([entry("helm", "Update"), entry("kcm", "Update")]))),
            Some(vec![entry("helm", "Apply"), entry("kcm", "Update")])
        );
        assert_eq!(taken(&live(json!([entry("helm", "Apply"), entry("helm", "Update")]))), None);
        assert_eq!(taken(&live(json!([entry("kubectl", "Update")]))), None);
    }
}

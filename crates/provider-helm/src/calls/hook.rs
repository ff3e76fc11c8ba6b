//! The call that runs a hook.

use crate::{
    api::{ApplyOptions, ObjectRef},
    manifest::{self, text},
    ownership,
    release::DeletePolicy,
    session::Session,
};
use async_trait::async_trait;
use provider_core::{CloudCall, Error, ErrorKind, Result, Token};
use serde::{Deserialize, Serialize};

/// Creates a hook's object, after deleting the one of the last run where the hook says so.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunHook {
    /// The release.
    pub release: String,
    /// Its revision, which has the document.
    pub revision: u32,
    /// The hook's place in the release.
    pub index: usize,
    /// Its object.
    pub object: ObjectRef,
}

#[async_trait]
impl CloudCall for RunHook {
    type Api = Session;
    type Reply = ();
    const NAME: &'static str = "RunHook";

    async fn send(session: &Session, token: &Token, items: &[Self]) -> Result<Vec<Result<()>>> {
        let mut results = Vec::new();
        for item in items {
            results.push(item.run(session, token).await);
        }
        Ok(results)
    }

    async fn find(session: &Session, token: &Token, items: &[Self]) -> Result<Option<Vec<Result<()>>>> {
        for item in items {
            match session.api().get(&item.object.path()).await? {
                Some(live) if ownership::is_made_by(&live, token.as_str()) => {
                    session.note_applied(&item.object.path(), &live);
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(items.iter().map(|_| Ok(())).collect()))
    }
}

impl RunHook {
    async fn run(&self, session: &Session, token: &Token) -> Result<()> {
        let loaded = session.load(&self.release, self.revision).await?;
        let hook = loaded.release.hooks.get(self.index).filter(|hook| hook.name == self.object.name);
        let hook = hook.ok_or_else(|| {
            Error::not_found(format!(
                "revision {} of `{}` has no hook {}",
                self.revision, self.release, self.object
            ))
        })?;
        let api = session.api();
        if hook.deletes(DeletePolicy::BeforeHookCreation) {
            api.delete(&self.object.path(), None).await?;
        }
        let mut body = manifest::objects(&hook.manifest)?
            .into_iter()
            .next()
            .ok_or_else(|| Error::invalid(format!("the hook {} is empty", self.object)))?;
        ownership::put(&mut body, "annotations", ownership::TOKEN, token.as_str());
        let how = ApplyOptions { create_only: true, ..ApplyOptions::default() };
        match api.apply(&self.object, &body, how).await {
            Err(error) if error.kind() == ErrorKind::Conflict => {
                let live = api.get(&self.object.path()).await?.unwrap_or_default();
                // Our own, if the client asked twice because a server between us and the API did not know.
                if ownership::is_made_by(&live, token.as_str()) {
                    session.note_applied(&self.object.path(), &live);
                    return Ok(());
                }
                if text(&live, "/metadata/deletionTimestamp").is_some() || live.is_null() {
                    let message =
                        format!("running the hook {}: the one before is still being deleted", self.object);
                    return Err(Error::unavailable(message));
                }
                if hook.kind == "CustomResourceDefinition" {
                    return Ok(());
                }
                Err(Error::conflict(format!(
                    "running the hook {}: there is such an object already",
                    self.object
                ))
                .hint("delete it, or give the hook the delete policy `before-hook-creation`"))
            }
            other => other.map(|live| session.note_applied(&self.object.path(), &live)),
        }
    }
}

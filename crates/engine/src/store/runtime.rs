//! Runtimes and their credentials.

use super::{error::failed, secret::forget, *};
use provider_core::{ProviderId, Zone, stored};

impl Store {
    /// Adds a runtime, with its credential.
    ///
    /// # Errors
    /// `Conflict` when its name is taken.
    pub async fn create_runtime(&self, runtime: &Runtime, credential: Credential) -> Result<()> {
        let (id, doc, inner) = (runtime.id.clone(), stored::store(runtime)?, self.0.clone());
        self.write(None, move |db| {
            Box::pin(async move {
                let attempt = format!("creating the runtime `{id}`");
                let made = sqlx::query("INSERT INTO runtime (id, doc) VALUES (?, ?) ON CONFLICT DO NOTHING")
                    .bind(id.as_str())
                    .bind(doc)
                    .execute(&mut *db);
                if made.await.map_err(failed(&attempt))?.rows_affected() == 0 {
                    return Err(Error::conflict(format!("{attempt}: there is one of this name"))
                        .hint("choose another name, or change it with `pitrix runtime update`"));
                }
                keep(db, &inner.keyring, &id, credential).await
            })
        })
        .await
    }

    /// Replaces a runtime, and its credential if one is given.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when its provider would change while clusters run on it.
    pub async fn update_runtime(&self, runtime: &Runtime, credential: Option<Credential>) -> Result<()> {
        let (runtime, inner) = (runtime.clone(), self.0.clone());
        self.write(None, move |db| {
            Box::pin(async move {
                let attempt = format!("changing the runtime `{}`", runtime.id);
                let doc: Option<String> = sqlx::query_scalar("SELECT doc FROM runtime WHERE id = ?")
                    .bind(runtime.id.as_str())
                    .fetch_optional(&mut *db)
                    .await
                    .map_err(failed(&attempt))?;
                let old: Runtime = stored::read(&doc.ok_or_else(|| unknown(&runtime.id))?)?;
                if old.provider != runtime.provider {
                    check_unused(db, &runtime.id, &format!("{attempt}: its provider can't change")).await?;
                }
                sqlx::query("UPDATE runtime SET doc = ? WHERE id = ?")
                    .bind(stored::store(&runtime)?)
                    .bind(runtime.id.as_str())
                    .execute(&mut *db)
                    .await
                    .map_err(failed(&attempt))?;
                let Some(credential) = credential else {
                    return Ok(());
                };
                forget(db, &owner(&runtime.id)).await?;
                keep(db, &inner.keyring, &runtime.id, credential).await
            })
        })
        .await
    }

    /// Removes a runtime and its credential.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while clusters that are not deleted run on it.
    pub async fn delete_runtime(&self, id: &RuntimeId) -> Result<()> {
        let id = id.clone();
        self.write(None, move |db| {
            Box::pin(async move {
                let attempt = format!("deleting the runtime `{id}`");
                check_unused(db, &id, &attempt).await?;
                let gone =
                    sqlx::query("DELETE FROM runtime WHERE id = ?").bind(id.as_str()).execute(&mut *db);
                if gone.await.map_err(failed(&attempt))?.rows_affected() == 0 {
                    return Err(unknown(&id));
                }
                forget(db, &owner(&id)).await
            })
        })
        .await
    }

    /// Makes the runtime `local`, on this machine, unless it is there.
    ///
    /// # Errors
    /// `Store`.
    pub async fn ensure_local_runtime(&self) -> Result<()> {
        let local = Runtime {
            id: RuntimeId::new("local"),
            description: "this machine".into(),
            provider: ProviderId::new("local"),
            endpoint: String::new(),
            zone: Zone::new(""),
            labels: Default::default(),
        };
        let there = self.runtimes().await?.iter().any(|runtime| runtime.id == local.id);
        if there {
            return Ok(());
        }
        match self.create_runtime(&local, Credential::default()).await {
            // Another process was faster.
            Err(error) if error.kind() == provider_core::ErrorKind::Conflict => Ok(()),
            other => other,
        }
    }

    /// The runtime called `id`.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn runtime(&self, id: &RuntimeId) -> Result<Runtime> {
        let doc: Option<String> = sqlx::query_scalar("SELECT doc FROM runtime WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&mut *self.reader().await?)
            .await
            .map_err(failed(format!("reading the runtime `{id}`")))?;
        stored::read(&doc.ok_or_else(|| unknown(id))?)
    }

    /// All runtimes, by id.
    ///
    /// # Errors
    /// `Store`.
    pub async fn runtimes(&self) -> Result<Vec<Runtime>> {
        let docs: Vec<String> = sqlx::query_scalar("SELECT doc FROM runtime ORDER BY id")
            .fetch_all(&mut *self.reader().await?)
            .await
            .map_err(failed("listing runtimes"))?;
        docs.iter().map(|doc| stored::read(doc)).collect()
    }

    /// The credential of a runtime; empty when it has none.
    ///
    /// # Errors
    /// `Store` when it can't be opened with this key file.
    pub async fn credential(&self, id: &RuntimeId) -> Result<Credential> {
        Ok(Credential::new(self.secrets_of(&owner(id)).await?))
    }
}

/// Whose secrets the fields of its credential are.
fn owner(id: &RuntimeId) -> String {
    format!("runtime/{id}")
}

async fn keep(
    db: &mut SqliteConnection,
    keyring: &Keyring,
    id: &RuntimeId,
    credential: Credential,
) -> Result<()> {
    for (field, secret) in credential.into_fields() {
        let reference = SecretRef::new(format!("{}/{field}", owner(id)));
        keyring.put(db, &reference, &secret).await?;
    }
    Ok(())
}

async fn check_unused(db: &mut SqliteConnection, id: &RuntimeId, attempt: &str) -> Result<()> {
    let users: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM cluster WHERE runtime = ? AND status NOT IN ('deleted', 'ceased') ORDER BY name",
    )
    .bind(id.as_str())
    .fetch_all(db)
    .await
    .map_err(failed(attempt))?;
    if users.is_empty() {
        return Ok(());
    }
    Err(Error::conflict(format!("{attempt}: clusters run on it"))
        .hint(format!("delete them first: {}", users.join(", "))))
}

pub(super) fn unknown(id: &RuntimeId) -> Error {
    Error::not_found(format!("there is no runtime `{id}`"))
        .hint("`pitrix runtime list` shows those that there are")
}

//! App versions: immutable packages.

use super::{error::failed, *};
use sha2::{Digest, Sha256};
use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

/// An app version on record, without its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppVersion {
    /// `name@version`.
    pub id: AppVersionId,
    /// SHA-256 of the archive, in hexadecimal.
    pub digest: String,
    /// Bytes of the archive, packed.
    pub size: u64,
    /// When it was pushed.
    pub pushed: Timestamp,
    /// Where it was fetched; none for one from this machine.
    pub origin: Option<Origin>,
}

/// Where a package was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The address in the end.
    pub address: String,
    /// Algorithm and digest of what came from there, before it was packed anew.
    pub digest: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.address, self.digest)
    }
}

/// The packages that were read last, by digest.
#[derive(Default)]
pub(super) struct Packages(Mutex<Vec<(String, Arc<Archive>)>>);

impl Packages {
    const MOST: usize = 4;

    fn get(&self, digest: &str) -> Option<Arc<Archive>> {
        let packages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, package) = packages.iter().find(|(its, _)| its == digest)?;
        Some(package.clone())
    }

    fn put(&self, digest: String, package: Arc<Archive>) {
        let mut packages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        packages.insert(0, (digest, package));
        packages.truncate(Self::MOST);
    }
}

impl Store {
    /// Keeps the archive of an app version. Pushing the same bytes again changes nothing; gives whether they
    /// are new.
    ///
    /// # Errors
    /// `Invalid` when it can't be read; `Conflict` when the version is there with other content: versions
    /// never change.
    pub async fn push_app(&self, app: &AppVersionId, archive: &[u8]) -> Result<bool> {
        self.push_app_from(app, archive, None).await
    }

    /// As [`push_app`](Self::push_app), of a package that was fetched.
    ///
    /// # Errors
    /// The same.
    pub async fn push_app_from(
        &self,
        app: &AppVersionId,
        archive: &[u8],
        origin: Option<Origin>,
    ) -> Result<bool> {
        Archive::read(archive)?;
        let (app, archive, now) = (app.clone(), archive.to_vec(), self.now());
        let digest = hex::encode(Sha256::digest(&archive));
        self.write(None, move |db| {
            Box::pin(async move {
                let attempt = format!("pushing `{app}`");
                let there: Option<(String, Option<String>, Option<String>)> =
                    sqlx::query_as("SELECT digest, origin, origin_digest FROM app WHERE id = ?")
                        .bind(app.as_str())
                        .fetch_optional(&mut *db)
                        .await
                        .map_err(failed(&attempt))?;
                match there {
                    Some((there, ..)) if there == digest => return Ok(false),
                    Some((_, address, its)) => {
                        let from = origin_of(address, its).map(|its| format!(", from {its}"));
                        let from = from.unwrap_or_default();
                        return Err(Error::conflict(format!(
                            "{attempt}: it is there with other content{from}"
                        ))
                        .hint("versions never change: raise the package's version and push that"));
                    }
                    None => {}
                }
                let (address, its) = origin.map(|origin| (origin.address, origin.digest)).unzip();
                let row = "INSERT INTO app (id, digest, pushed, size, archive, origin, origin_digest) \
                           VALUES (?, ?, ?, ?, ?, ?, ?)";
                sqlx::query(row)
                    .bind(app.as_str())
                    .bind(digest)
                    .bind(now.0)
                    .bind(i64::try_from(archive.len()).unwrap_or(i64::MAX))
                    .bind(archive)
                    .bind(address)
                    .bind(its)
                    .execute(db)
                    .await
                    .map_err(failed(&attempt))?;
                Ok(true)
            })
        })
        .await
    }

    /// All app versions, by id.
    ///
    /// # Errors
    /// `Store`.
    pub async fn apps(&self) -> Result<Vec<AppVersion>> {
        type Row = (String, String, u64, i64, Option<String>, Option<String>);
        let rows: Vec<Row> =
            sqlx::query_as("SELECT id, digest, size, pushed, origin, origin_digest FROM app ORDER BY id")
                .fetch_all(&mut *self.reader().await?)
                .await
                .map_err(failed("listing apps"))?;
        let app = |(id, digest, size, pushed, address, its): Row| AppVersion {
            id: AppVersionId::new(id),
            digest,
            size,
            pushed: Timestamp(pushed),
            origin: origin_of(address, its),
        };
        Ok(rows.into_iter().map(app).collect())
    }

    /// Forgets an app version.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while a cluster that is not deleted is made of it.
    pub async fn delete_app(&self, app: &AppVersionId) -> Result<()> {
        let app = app.clone();
        self.write(None, move |db| {
            Box::pin(async move {
                let attempt = format!("deleting the app version `{app}`");
                let users: Vec<String> = sqlx::query_scalar(
                    "SELECT name FROM cluster WHERE app = ? AND status NOT IN ('deleted', 'ceased')",
                )
                .bind(app.as_str())
                .fetch_all(&mut *db)
                .await
                .map_err(failed(&attempt))?;
                if !users.is_empty() {
                    return Err(Error::conflict(format!("{attempt}: clusters are made of it"))
                        .hint(format!("delete them first: {}", users.join(", "))));
                }
                let gone = sqlx::query("DELETE FROM app WHERE id = ?").bind(app.as_str()).execute(db);
                match gone.await.map_err(failed(&attempt))?.rows_affected() {
                    0 => Err(never_pushed(&app)),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    pub(super) async fn load_package(&self, app: &AppVersionId) -> Result<Arc<Archive>> {
        let attempt = format!("reading the app version `{app}`");
        let mut db = self.reader().await?;
        let digest: Option<String> = sqlx::query_scalar("SELECT digest FROM app WHERE id = ?")
            .bind(app.as_str())
            .fetch_optional(&mut *db)
            .await
            .map_err(failed(&attempt))?;
        if let Some(package) = digest.and_then(|digest| self.0.packages.get(&digest)) {
            return Ok(package);
        }
        let row: Option<(String, Vec<u8>)> = sqlx::query_as("SELECT digest, archive FROM app WHERE id = ?")
            .bind(app.as_str())
            .fetch_optional(&mut *db)
            .await
            .map_err(failed(&attempt))?;
        let (digest, bytes) = row.ok_or_else(|| never_pushed(app))?;
        let package = Arc::new(Archive::read(&bytes)?);
        self.0.packages.put(digest, package.clone());
        Ok(package)
    }
}

fn origin_of(address: Option<String>, digest: Option<String>) -> Option<Origin> {
    Some(Origin { address: address?, digest: digest? })
}

fn never_pushed(app: &AppVersionId) -> Error {
    Error::not_found(format!("the app version `{app}` was never pushed"))
        .hint("`pitrix app list` shows those that were; `pitrix app push` adds one")
}

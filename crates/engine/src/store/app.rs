//! App versions: immutable packages.

use super::*;
use provider_core::Timestamp;

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
}

impl Store {
    /// Keeps the archive of an app version. Pushing the same bytes again changes nothing; gives whether they
    /// are new.
    ///
    /// # Errors
    /// `Conflict` when the version is there with other content: versions never change.
    pub async fn push_app(&self, _app: &AppVersionId, _archive: &[u8]) -> Result<bool> {
        Err(soon())
    }

    /// All app versions, by id.
    ///
    /// # Errors
    /// `Store`.
    pub async fn apps(&self) -> Result<Vec<AppVersion>> {
        Err(soon())
    }

    /// Forgets an app version.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while a cluster that is not deleted is made of it.
    pub async fn delete_app(&self, _app: &AppVersionId) -> Result<()> {
        Err(soon())
    }
}

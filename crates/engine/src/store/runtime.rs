//! Runtimes and their credentials.

use super::*;

impl Store {
    /// Adds a runtime, with its credential.
    ///
    /// # Errors
    /// `Conflict` when its name is taken.
    pub async fn create_runtime(&self, _runtime: &Runtime, _credential: Credential) -> Result<()> {
        Err(soon())
    }

    /// Replaces a runtime, and its credential if one is given.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when its provider would change while clusters run on it.
    pub async fn update_runtime(&self, _runtime: &Runtime, _credential: Option<Credential>) -> Result<()> {
        Err(soon())
    }

    /// Removes a runtime and its credential.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while clusters that are not deleted run on it.
    pub async fn delete_runtime(&self, _id: &RuntimeId) -> Result<()> {
        Err(soon())
    }

    /// Makes the runtime `local`, on this machine, unless it is there.
    ///
    /// # Errors
    /// `Store`.
    pub async fn ensure_local_runtime(&self) -> Result<()> {
        Err(soon())
    }

    /// The runtime called `id`.
    ///
    /// # Errors
    /// `NotFound`, naming those that there are.
    pub async fn runtime(&self, _id: &RuntimeId) -> Result<Runtime> {
        Err(soon())
    }

    /// All runtimes, by id.
    ///
    /// # Errors
    /// `Store`.
    pub async fn runtimes(&self) -> Result<Vec<Runtime>> {
        Err(soon())
    }

    /// The credential of a runtime; empty when it has none.
    ///
    /// # Errors
    /// `Store` when it can't be opened with this key file.
    pub async fn credential(&self, _id: &RuntimeId) -> Result<Credential> {
        Err(soon())
    }
}

//! Secret values, and the references that stand for them everywhere else.

use crate::{Error, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A secret value. It implements neither `Debug`, `Display` nor `Serialize`, so it can't reach a log, an
/// error, an event, a directive or a plan by accident; its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes over a secret value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value itself. Call it inside a call's `send`, where it leaves the process, and nowhere earlier.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Stands for a stored secret in specs, directives, calls and metadata. Not secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretRef(String);

impl SecretRef {
    /// A reference made of the owning row and the place inside it, for example `cluster/cl-1/env/admin_password`.
    pub fn new(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    /// The reference as text; it is also what the stored value is bound to.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where secrets are looked up, inside `send`.
#[async_trait]
pub trait Secrets: Send + Sync + 'static {
    /// The value behind `reference`.
    ///
    /// # Errors
    /// `NotFound` when nothing is stored under it, `Store` when it can't be opened with this key file.
    async fn resolve(&self, reference: &SecretRef) -> Result<Secret>;

    /// Adds a secret that was found out to those that the change at hand would bring. It is stored when the change is
    /// accepted, and only then.
    ///
    /// # Errors
    /// `Bug` where no change is being planned.
    fn bring(&self, reference: SecretRef, secret: Secret) -> Result<()> {
        let _ = secret;
        Err(Error::bug(format!("`{}` can't be kept: no change is being planned", reference.as_str())))
    }
}

/// A credential: named secret fields, for example `access_key_id` and `secret_access_key`.
#[derive(Clone, Default)]
pub struct Credential(std::collections::BTreeMap<String, Secret>);

impl Credential {
    /// A credential with these fields.
    pub fn new(fields: impl IntoIterator<Item = (String, Secret)>) -> Self {
        Self(fields.into_iter().collect())
    }

    /// The named field.
    ///
    /// # Errors
    /// `Unauthorized` when the credential lacks it, naming the fields that it has.
    pub fn field(&self, name: &str) -> Result<&Secret> {
        self.0.get(name).ok_or_else(|| {
            let have: Vec<_> = self.0.keys().map(String::as_str).collect();
            Error::unauthorized(format!("the credential has no field `{name}`")).hint(format!(
                "its fields are: {}",
                if have.is_empty() { "none".into() } else { have.join(", ") }
            ))
        })
    }

    /// The names of its fields, which are not secret.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All fields, to be stored encrypted.
    pub fn into_fields(self) -> impl Iterator<Item = (String, Secret)> {
        self.0.into_iter()
    }
}

//! Secrets, sealed under a key file that lies beside the database.

use super::{accept::secrets_of, error::failed, open::create_private, *};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use sha2::{Digest, Sha256};
use sqlx::SqliteConnection;
use std::{fs, path::Path};
use zeroize::Zeroizing;

/// Seals and opens secrets. A missing or wrong key file is an error of whoever needs a secret, of nobody else.
pub(super) struct Keyring(Result<XChaCha20Poly1305>);

impl Keyring {
    /// Makes a key file unless there is one; gives what identifies its key.
    pub(super) fn create(path: &Path) -> Result<String> {
        if !path.exists() {
            let mut key = Zeroizing::new([0; 32]);
            fill_random(&mut *key);
            create_private(path, Zeroizing::new(hex::encode(key.as_slice())).as_bytes())?;
        }
        let key = read(path)?;
        Ok(id(&key))
    }

    /// The key in `path`, which must be the one called `key_id`.
    pub(super) fn load(path: &Path, key_id: &str) -> Self {
        Self(read(path).and_then(|key| {
            if id(&key) == key_id {
                return Ok(XChaCha20Poly1305::new((&*key).into()));
            }
            let message =
                format!("the key file `{}` is not the one that the secrets were sealed with", path.display());
            Err(Error::store(message).hint("put the right key file back; the sealed secrets are untouched"))
        }))
    }

    /// Keeps `secret` under `reference`, instead of what was there.
    pub(super) async fn put(
        &self,
        db: &mut SqliteConnection,
        reference: &SecretRef,
        secret: &Secret,
    ) -> Result<()> {
        let mut nonce = [0; 24];
        fill_random(&mut nonce);
        let payload = Payload { msg: secret.expose().as_bytes(), aad: reference.as_str().as_bytes() };
        let sealed = self.cipher()?.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| Error::bug(format!("sealing `{}` failed", reference.as_str())))?;
        sqlx::query("INSERT OR REPLACE INTO secret (ref, nonce, sealed) VALUES (?, ?, ?)")
            .bind(reference.as_str())
            .bind(&nonce[..])
            .bind(sealed)
            .execute(db)
            .await
            .map_err(failed("keeping a secret"))?;
        Ok(())
    }

    /// What is sealed in a row.
    pub(super) fn open(&self, reference: &str, nonce: &[u8], sealed: &[u8]) -> Result<Secret> {
        let damaged = || Error::store(format!("opening the secret `{reference}`: its bytes were changed"));
        let nonce = XNonce::try_from(nonce).map_err(|_| damaged())?;
        let payload = Payload { msg: sealed, aad: reference.as_bytes() };
        let opened = Zeroizing::new(self.cipher()?.decrypt(&nonce, payload).map_err(|_| damaged())?);
        Ok(Secret::new(std::str::from_utf8(&opened).map_err(|_| damaged())?))
    }

    fn cipher(&self) -> Result<&XChaCha20Poly1305> {
        self.0.as_ref().map_err(Clone::clone)
    }
}

/// Removes the secrets below `owner`, for example `cluster/cl-1`.
pub(super) async fn forget(db: &mut SqliteConnection, owner: &str) -> Result<()> {
    let (from, to) = below(owner);
    sqlx::query("DELETE FROM secret WHERE ref > ? AND ref < ?")
        .bind(from)
        .bind(to)
        .execute(db)
        .await
        .map_err(failed("removing secrets"))?;
    Ok(())
}

/// Between these lie the references below `owner`: `0` comes right after `/`.
fn below(owner: &str) -> (String, String) {
    (format!("{owner}/"), format!("{owner}0"))
}

#[async_trait]
impl Secrets for Store {
    async fn resolve(&self, reference: &SecretRef) -> Result<Secret> {
        let row: Option<(Vec<u8>, Vec<u8>)> =
            sqlx::query_as("SELECT nonce, sealed FROM secret WHERE ref = ?")
                .bind(reference.as_str())
                .fetch_optional(&mut *self.reader().await?)
                .await
                .map_err(failed("reading a secret"))?;
        let (nonce, sealed) =
            row.ok_or_else(|| Error::not_found(format!("there is no secret `{}`", reference.as_str())))?;
        self.0.keyring.open(reference.as_str(), &nonce, &sealed)
    }
}

impl Store {
    /// The secrets of a cluster.
    ///
    /// # Errors
    /// `Store` when they can't be opened with this key file.
    pub async fn cluster_secrets(&self, cluster: &ClusterId) -> Result<Vec<(SecretRef, Secret)>> {
        let owner = secrets_of(cluster);
        let secrets = self.secrets_of(&owner).await?.into_iter();
        Ok(secrets.map(|(name, secret)| (SecretRef::new(format!("{owner}/{name}")), secret)).collect())
    }

    /// The secrets right below `owner`, by the last part of their references.
    pub(super) async fn secrets_of(&self, owner: &str) -> Result<Vec<(String, Secret)>> {
        let (from, to) = below(owner);
        let rows: Vec<(String, Vec<u8>, Vec<u8>)> =
            sqlx::query_as("SELECT ref, nonce, sealed FROM secret WHERE ref > ? AND ref < ?")
                .bind(&from)
                .bind(to)
                .fetch_all(&mut *self.reader().await?)
                .await
                .map_err(failed("reading secrets"))?;
        rows.into_iter()
            .map(|(reference, nonce, sealed)| {
                let secret = self.0.keyring.open(&reference, &nonce, &sealed)?;
                Ok((reference[from.len()..].to_owned(), secret))
            })
            .collect()
    }
}

fn read(path: &Path) -> Result<Zeroizing<[u8; 32]>> {
    let bad = |why: &str| {
        Error::store(format!("the key file `{}` {why}", path.display()))
            .hint("put the right key file back; the sealed secrets are untouched")
    };
    let text = Zeroizing::new(fs::read(path).map_err(|e| bad("can't be read").caused_by(&e))?);
    let mut key = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim_ascii(), &mut *key).map_err(|_| bad("holds no key"))?;
    Ok(key)
}

/// Identifies a key and tells nothing about it.
fn id(key: &[u8; 32]) -> String {
    hex::encode(&Sha256::digest([b"pitrix key".as_slice(), key].concat())[..8])
}

/// 64 random hexadecimal digits.
pub(crate) fn random_secret() -> Secret {
    let mut bytes = Zeroizing::new([0; 32]);
    fill_random(&mut *bytes);
    Secret::new(hex::encode(*bytes))
}

fn fill_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("every system that Pitrix runs on has a source of randomness");
}

/// `prefix` and `len` random letters and digits that are hard to mix up, 5 bits each.
pub(super) fn random_name(prefix: &str, len: usize) -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut bytes = vec![0; len];
    fill_random(&mut bytes);
    let letters = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    prefix.chars().chain(letters).collect()
}

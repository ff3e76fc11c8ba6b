use crate::fixture::*;
use engine::Store;
use provider_core::{Credential, ErrorKind, RuntimeId, Secret, SecretRef, Secrets};
use std::fs;

fn credential(key: &str) -> Credential {
    Credential::new([("access_key".to_owned(), Secret::new(key)), ("region".to_owned(), Secret::new("r1"))])
}

async fn access_key(store: &Store, runtime: &str) -> provider_core::Result<String> {
    let credential = store.credential(&RuntimeId::new(runtime)).await?;
    Ok(credential.field("access_key")?.expose().to_owned())
}

#[tokio::test]
async fn a_runtime_has_a_credential_that_lives_and_dies_with_it() {
    let dir = temp();
    let store = store(&dir).await;
    store.create_runtime(&runtime("cloud"), credential("one")).await.unwrap();
    store.create_runtime(&runtime("cloud2"), credential("two")).await.unwrap();
    assert_eq!(access_key(&store, "cloud").await.unwrap(), "one");
    let taken = store.create_runtime(&runtime("cloud"), credential("x")).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    store.update_runtime(&runtime("cloud"), None).await.unwrap();
    assert_eq!(access_key(&store, "cloud").await.unwrap(), "one");
    store.update_runtime(&runtime("cloud"), Some(credential("three"))).await.unwrap();
    assert_eq!(access_key(&store, "cloud").await.unwrap(), "three");
    store.delete_runtime(&"cloud".into()).await.unwrap();
    assert_eq!(store.credential(&"cloud".into()).await.unwrap().names().count(), 0);
    assert_eq!(access_key(&store, "cloud2").await.unwrap(), "two");
    assert_eq!(store.runtime(&"cloud".into()).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.delete_runtime(&"cloud".into()).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.update_runtime(&runtime("cloud"), None).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_runtime_with_clusters_keeps_its_provider() {
    let dir = temp();
    let store = store(&dir).await;
    accept(&store, create("db")).await;
    assert_eq!(store.delete_runtime(&"here".into()).await.unwrap_err().kind(), ErrorKind::Conflict);
    let mut changed = runtime("here");
    changed.description = "mine".into();
    store.update_runtime(&changed, None).await.unwrap();
    assert_eq!(store.runtime(&"here".into()).await.unwrap(), changed);
    changed.provider = "aws".into();
    assert_eq!(store.update_runtime(&changed, None).await.unwrap_err().kind(), ErrorKind::Conflict);
    for _ in 0..2 {
        store.ensure_local_runtime().await.unwrap();
    }
    let ids: Vec<_> = store.runtimes().await.unwrap().into_iter().map(|runtime| runtime.id).collect();
    assert_eq!(ids, ["here".into(), "local".into()]);
}

#[tokio::test]
async fn no_file_holds_a_secret_in_clear() {
    let dir = temp();
    let store = store(&dir).await;
    let needle = "a-needle-that-nobody-shall-find";
    store.create_runtime(&runtime("cloud"), credential(needle)).await.unwrap();
    let files: Vec<_> =
        fs::read_dir(dir.path().join("state")).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 3);
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let found = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
        assert!(!found, "{}", file.display());
    }
    assert_eq!(access_key(&store, "cloud").await.unwrap(), needle);
}

#[tokio::test]
async fn without_the_right_key_secrets_stay_sealed_and_the_rest_works() {
    let dir = temp();
    let first = store(&dir).await;
    first.create_runtime(&runtime("cloud"), credential("one")).await.unwrap();
    first.close().await;
    let key = dir.path().join("state/key");
    let right = fs::read(&key).unwrap();

    let refused = async |wrong: Option<&[u8]>| {
        match wrong {
            Some(wrong) => fs::write(&key, wrong).unwrap(),
            None => fs::remove_file(&key).unwrap(),
        }
        let store = Store::open(options(&dir)).await.unwrap();
        let new = store.create_runtime(&runtime("new"), credential("x")).await.unwrap_err();
        assert!(store.runtime(&"new".into()).await.is_err());
        let error = access_key(&store, "cloud").await.unwrap_err();
        assert_eq!((error.kind(), new.to_string()), (ErrorKind::Store, error.to_string()));
        assert!(error.hint_text().is_some());
        error.to_string().replace(dir.path().to_str().unwrap(), "DIR")
    };
    insta::assert_snapshot!(refused(Some(&[b'0'; 64])).await, @"the key file `DIR/state/key` is not the one that the secrets were sealed with");
    insta::assert_snapshot!(refused(Some(b"rubbish")).await, @"the key file `DIR/state/key` holds no key");
    insta::assert_snapshot!(refused(None).await, @"the key file `DIR/state/key` can't be read");

    fs::write(&key, right).unwrap();
    let store = Store::open(options(&dir)).await.unwrap();
    assert_eq!(access_key(&store, "cloud").await.unwrap(), "one");
}

#[tokio::test]
async fn a_sealed_value_opens_only_in_its_own_row() {
    let dir = temp();
    let store = store(&dir).await;
    store.create_runtime(&runtime("mine"), credential("one")).await.unwrap();
    store.create_runtime(&runtime("other"), credential("two")).await.unwrap();
    let swap = "UPDATE secret SET (nonce, sealed) = (SELECT nonce, sealed FROM secret WHERE ref = 'runtime/other/access_key')
        WHERE ref = 'runtime/mine/access_key'";
    sqlx::raw_sql(swap).execute(&mut connect(&dir).await).await.unwrap();
    let error = store.resolve(&SecretRef::new("runtime/mine/access_key")).await.err().unwrap();
    assert_eq!(error.to_string(), "opening the secret `runtime/mine/access_key`: its bytes were changed");
}

use crate::fixture::*;
use engine::{Origin, Store};
use provider_core::{Archive, Credential, Entry, Error, ErrorKind, Ledger, Records};
use sha2::{Digest, Sha256};
use std::{fs, os::unix::fs::PermissionsExt};

#[tokio::test]
async fn only_the_owner_can_read_what_is_stored() {
    let dir = temp();
    let store = store(&dir).await;
    let mode = |path: &str| fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("state"), 0o700);
    for file in ["state/pitrix.db", "state/pitrix.db-wal", "state/pitrix.db-shm", "state/key"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    let deployment = store.deployment().clone();
    store.close().await;
    // An orderly end leaves one database file, and the same deployment.
    assert!(!dir.path().join("state/pitrix.db-wal").exists());
    assert_eq!(*Store::open(options(&dir)).await.unwrap().deployment(), deployment);
}

#[tokio::test]
async fn a_state_directory_that_can_not_be_used_is_refused_with_a_hint() {
    let refuses = async |dir: &tempfile::TempDir| {
        let error = Store::open(options(dir)).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Store);
        let message = error.to_string().replace(dir.path().to_str().unwrap(), "DIR");
        format!("{message}; {}", error.hint_text().unwrap())
    };
    let file = temp();
    fs::write(file.path().join("state"), "").unwrap();
    insta::assert_snapshot!(refuses(&file).await, @"using `DIR/state` for the state of Pitrix; choose a state directory that this user can write, on a disk with space left");

    let foreign = temp();
    fs::create_dir(foreign.path().join("state")).unwrap();
    fs::write(foreign.path().join("state/pitrix.db"), "something else, long enough for a header".repeat(9))
        .unwrap();
    insta::assert_snapshot!(refuses(&foreign).await, @"opening `DIR/state/pitrix.db`: it is not a store of Pitrix; choose another state directory");

    let newer = temp();
    store(&newer).await.close().await;
    sqlx::raw_sql("PRAGMA user_version = 7").execute(&mut connect(&newer).await).await.unwrap();
    insta::assert_snapshot!(refuses(&newer).await, @"the store has version 7, this Pitrix knows up to 3; use the newer Pitrix that wrote it; nothing was changed");
}

#[tokio::test]
async fn a_store_of_the_version_before_is_brought_up_to_date_with_all_that_is_in_it() {
    let dir = temp();
    let before = store(&dir).await;
    let job = accept(&before, create("db")).await;
    before.close().await;
    let back = "DROP TABLE follow_up; ALTER TABLE meta DROP COLUMN keep_days; \
                ALTER TABLE app DROP COLUMN origin; ALTER TABLE app DROP COLUMN origin_digest; PRAGMA user_version = 1";
    sqlx::raw_sql(back).execute(&mut connect(&dir).await).await.unwrap();
    let now = Store::open(options(&dir)).await.unwrap();
    assert_eq!(now.running_jobs().await.unwrap()[0].id, job);
    assert_eq!(now.follow_ups(None).await.unwrap(), []);
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_loses_nothing() {
    let dir = temp();
    let mut options = options(&dir);
    options.max_pages = Some(100);
    let store = Store::open(options).await.unwrap();
    store.create_runtime(&runtime("here"), Credential::default()).await.unwrap();
    let tenure = store.take_over().await.unwrap();
    let job = accept(&store, create("db")).await;
    call(&tenure, &job, 0).await;

    let full = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Store);
        assert!(error.to_string().ends_with("the disk is full"), "{error}");
        assert!(error.hint_text().is_some());
    };
    full(store.push_app(&"noise@1".into(), &noise(1 << 20)).await.unwrap_err());
    let mut large = batch(&job, [1], 0);
    large.items[0].body = format!("\"{}\"", "x".repeat(1 << 20)).into_bytes();
    full(tenure.begin(&large).await.unwrap_err());

    // What was there is there, what failed is not, and what fits is still taken.
    assert!(matches!(tenure.look(&key(&job, 0)).await.unwrap(), Entry::Applied(_)));
    assert_eq!(tenure.look(&key(&job, 1)).await.unwrap(), Entry::Fresh(0));
    assert_eq!(store.apps().await.unwrap(), []);
    call(&tenure, &job, 1).await;
}

#[tokio::test]
async fn an_app_version_never_changes() {
    let dir = temp();
    let store = store(&dir).await;
    let (app, one, other) = ("app@1".into(), noise(10), noise(20));
    assert!(store.push_app(&app, &one).await.unwrap());
    assert!(!store.push_app(&app, &one).await.unwrap());
    let error = store.push_app(&app, &other).await.unwrap_err();
    assert_eq!(error.to_string(), "pushing `app@1`: it is there with other content");
    assert_eq!(store.push_app(&"bad@1".into(), b"bad").await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(*store.package(&app).await.unwrap(), Archive::read(&one).unwrap());
    let origin = Origin { address: "oci://r.example/web:1".into(), digest: "sha256:ab".into() };
    assert!(store.push_app_from(&"web@1".into(), &one, Some(origin.clone())).await.unwrap());
    assert!(!store.push_app(&"web@1".into(), &one).await.unwrap(), "the same files from elsewhere");
    let error = store.push_app(&"web@1".into(), &other).await.unwrap_err();
    assert!(
        error.to_string().ends_with("with other content, from oci://r.example/web:1 (sha256:ab)"),
        "{error}"
    );
    assert_eq!(
        store.apps().await.unwrap().iter().map(|app| &app.origin).collect::<Vec<_>>(),
        [&None, &Some(origin)]
    );
    store.delete_app(&"web@1".into()).await.unwrap();
    let listed: Vec<_> = store.apps().await.unwrap().into_iter().map(|app| (app.id, app.size)).collect();
    assert_eq!(listed, [(app.clone(), one.len() as u64)]);

    accept(&store, create("db")).await;
    assert_eq!(store.delete_app(&app).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.package(&"app@2".into()).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(store.push_app(&"app@2".into(), &other).await.unwrap());
    store.delete_app(&"app@2".into()).await.unwrap();
    assert_eq!(store.delete_app(&"app@2".into()).await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// An archive with `len` bytes that can't be compressed.
fn noise(len: usize) -> Vec<u8> {
    let blocks = (0..len / 32 + 1).flat_map(|n| Sha256::digest(n.to_le_bytes()));
    let files = [("noise".to_owned(), blocks.take(len).collect())];
    Archive::from_files(files).unwrap().to_bytes("top").unwrap()
}

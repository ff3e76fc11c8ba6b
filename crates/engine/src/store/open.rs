//! Opening a state directory: its files, its schema, the connections.

use super::{
    error::failed,
    secret::{Keyring, random_name},
    writer::{commit, execute},
    *,
};
use sqlx::{
    ConnectOptions, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    time::Duration,
};

/// Each leads from the version before it, from 0, to its own.
const SCHEMAS: [&str; 3] =
    [include_str!("../schema/1.sql"), include_str!("../schema/2.sql"), include_str!("../schema/3.sql")];

/// What is learnt when a state directory is opened.
pub(super) struct Opened {
    pub(super) deployment: DeploymentId,
    pub(super) keyring: Keyring,
    pub(super) writer: SqliteConnection,
    /// How to connect again.
    pub(super) connect: SqliteConnectOptions,
}

pub(super) async fn open(options: &Options) -> Result<Opened> {
    let dir = &options.dir;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(unusable(dir))?;
    // One process at a time sets a directory up. The lock goes with the file, whatever happens.
    let lock = File::open(dir).map_err(unusable(dir))?;
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock))
        .await
        .map_err(|e| Error::bug("locking the state directory").caused_by(&e))?
        .map_err(unusable(dir))?;

    let path = dir.join("pitrix.db");
    if !path.exists() {
        // SQLite gives its other files the mode of this one.
        create_private(&path, b"")?;
    }
    let connect = connect_options(&path, options.max_pages);
    let mut writer = connect.connect().await.map_err(failed(format!("opening `{}`", path.display())))?;
    let commits = options.commits.clone();
    let mut handle = writer.lock_handle().await.map_err(failed("opening the store"))?;
    handle.set_commit_hook(move || {
        commits.fetch_add(1, Ordering::SeqCst);
        true
    });
    drop(handle);
    set_up(&mut writer, options).await?;
    drop(lock);

    let (deployment, key_id): (String, String) = sqlx::query_as("SELECT deployment, key_id FROM meta")
        .fetch_one(&mut writer)
        .await
        .map_err(failed("reading the deployment's id"))?;
    Ok(Opened {
        deployment: DeploymentId::new(deployment),
        keyring: Keyring::load(&key_file(dir), &key_id),
        writer,
        connect,
    })
}

/// Makes what is missing of the tables, and at first the deployment's id and the key.
async fn set_up(db: &mut SqliteConnection, options: &Options) -> Result<()> {
    let version: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *db)
        .await
        .map_err(failed("reading the store's version"))?;
    let Some(missing) = usize::try_from(version).ok().and_then(|version| SCHEMAS.get(version..)) else {
        let known = SCHEMAS.len();
        let message = format!("the store has version {version}, this Pitrix knows up to {known}");
        return Err(Error::store(message).hint("use the newer Pitrix that wrote it; nothing was changed"));
    };
    if missing.is_empty() {
        return Ok(());
    }
    execute(db, "BEGIN IMMEDIATE").await?;
    for schema in missing {
        sqlx::raw_sql(*schema).execute(&mut *db).await.map_err(failed("making the store's tables"))?;
    }
    if version == 0 {
        sqlx::query("INSERT INTO meta (id, deployment, epoch, key_id) VALUES (1, ?, 0, ?)")
            .bind(random_name("d-", 12))
            .bind(Keyring::create(&key_file(&options.dir))?)
            .execute(&mut *db)
            .await
            .map_err(failed("setting up the store"))?;
    }
    commit(db, &*options.crash).await
}

fn connect_options(path: &Path, max_pages: Option<u32>) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .page_size(4096)
        .busy_timeout(Duration::from_secs(30))
        .disable_statement_logging();
    match max_pages {
        Some(pages) => options.pragma("max_page_count", pages.to_string()),
        None => options,
    }
}

fn key_file(dir: &Path) -> PathBuf {
    dir.join("key")
}

/// Makes a file that its owner alone can read. It has its whole content or is not there.
pub(super) fn create_private(path: &Path, content: &[u8]) -> Result<()> {
    let new = path.with_added_extension("new");
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        // The name is durable once its directory is.
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    };
    written().map_err(unusable(path))
}

fn unusable(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |cause| {
        Error::store(format!("using `{}` for the state of Pitrix", path.display()))
            .hint("choose a state directory that this user can write, on a disk with space left")
            .caused_by(&cause)
    }
}

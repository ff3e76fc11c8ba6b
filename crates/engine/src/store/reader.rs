//! Connections that read.

use super::{error::failed, *};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many reads run side by side.
const READERS: usize = 4;

/// A few connections, opened when they are first needed. Unlike sqlx's own pool it needs no timer, so that a
/// test's clock decides over time alone.
pub(super) struct Readers {
    connect: SqliteConnectOptions,
    idle: Mutex<Vec<SqliteConnection>>,
    permits: Semaphore,
}

/// A connection for one statement; it goes back when it is dropped.
pub(super) struct Reader<'a> {
    db: Option<SqliteConnection>,
    readers: &'a Readers,
    _permit: SemaphorePermit<'a>,
}

impl Readers {
    pub(super) fn new(connect: SqliteConnectOptions) -> Self {
        Self {
            connect: connect.pragma("query_only", "1"),
            idle: Mutex::default(),
            permits: Semaphore::new(READERS),
        }
    }

    pub(super) async fn close(self) {
        for db in self.idle.into_inner().unwrap_or_else(PoisonError::into_inner) {
            // Nothing was written through it.
            let _ = db.close().await;
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    pub(super) async fn reader(&self) -> Result<Reader<'_>> {
        let readers = &self.0.readers;
        let permit = readers.permits.acquire().await.map_err(|_| closed())?;
        let idle = readers.idle().pop();
        let db = match idle {
            Some(db) => db,
            None => readers.connect.connect().await.map_err(failed("opening the store to read"))?,
        };
        Ok(Reader { db: Some(db), readers, _permit: permit })
    }
}

impl Deref for Reader<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.db.as_ref().expect("it is there until it is dropped")
    }
}

impl DerefMut for Reader<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.db.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.readers.idle().extend(self.db.take());
    }
}

//! The process that runs the jobs of a state directory: one at a time, started when a job is accepted, gone
//! when there is nothing to do.
//!
//! Who holds the lock is the executor. It listens on a socket; to connect is to wake it, and its greeting says
//! that it has seen whatever was accepted before. After that it says a byte whenever it has written something down.
//! The pid file is for people.

mod serve;
mod summon;

pub(crate) use serve::serve;
pub(crate) use summon::{Line, greet, summon};

use provider_core::{Error, Result};
use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

/// The places of an executor in a state directory.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    dir: PathBuf,
}

/// What an executor says to whoever connects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Its process.
    pub(crate) pid: u32,
    /// Its tenure; see [`engine::Tenure::epoch`].
    pub(crate) epoch: i64,
    /// Its program's version.
    pub(crate) version: String,
}

impl Post {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Where it writes what its operator should know.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("executor.log")
    }

    fn lock(&self) -> PathBuf {
        self.dir.join("executor.lock")
    }

    fn pid(&self) -> PathBuf {
        self.dir.join("executor.pid")
    }

    /// Takes the lock, for as long as the file is open. None when somebody has it. No child inherits it.
    ///
    /// # Errors
    /// `Store`.
    fn try_lock(&self) -> Result<Option<File>> {
        let path = self.lock();
        let failed = |e: io::Error| Error::store(format!("locking `{}`", path.display())).caused_by(&e);
        let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(failed(e.into())),
        }
    }

    /// A path to the socket that is short enough for its address, for as long as the directory is held.
    fn socket(&self) -> io::Result<(OwnedFd, PathBuf)> {
        let dir =
            rustix::fs::open(&self.dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/executor.sock", dir.as_raw_fd()));
        Ok((dir, path))
    }
}

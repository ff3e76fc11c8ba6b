//! The instance that a drone keeps: its directory, who it is and its locks.

use crate::drone::processes::Mark;
use provider_core::{Error, Result, Token};
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    process::Pid,
};
use serde::Deserialize;
use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long a lock may be held by somebody who only looks whether it is free.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// An instance on this machine.
#[derive(Clone)]
pub(super) struct Instance {
    /// Its directory, without links.
    pub(super) directory: PathBuf,
    identity: Identity,
}

/// `instance.json`, written by whoever made the instance.
#[derive(Clone, Deserialize)]
struct Identity {
    version: u32,
    node: String,
    address: String,
    token: String,
}

impl Instance {
    /// The instance in this directory.
    pub(super) fn open(directory: &Path) -> Result<Self> {
        let bad = |e: &(dyn std::error::Error + 'static)| {
            Error::store(format!("reading instance `{}`", directory.display())).caused_by(e)
        };
        let directory = directory.canonicalize().map_err(|e| bad(&e))?;
        let text = fs::read(directory.join("instance.json")).map_err(|e| bad(&e))?;
        let identity: Identity = serde_json::from_slice(&text).map_err(|e| bad(&e))?;
        if identity.version != 1 {
            let version = identity.version;
            return Err(Error::store(format!("instance.json has version {version}, this drone knows 1"))
                .hint("use the newer Pitrix that made the instance"));
        }
        Ok(Self { directory, identity })
    }

    /// The node that it is.
    pub(super) fn node(&self) -> &str {
        &self.identity.node
    }

    /// What stands for the node's file system.
    pub(super) fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    /// Where the output of commands goes.
    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Where the drone keeps what it must not forget.
    pub(super) fn drone(&self) -> PathBuf {
        self.directory.join("drone")
    }

    /// The environment that every process of the instance gets.
    pub(super) fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("PITRIX_INSTANCE", self.identity.token.clone()),
            ("PITRIX_ROOT", self.root().display().to_string()),
            ("PITRIX_NODE", self.identity.node.clone()),
            ("PITRIX_ADDRESS", self.identity.address.clone()),
        ]
    }

    /// What the processes of the instance are recognised by while `keeper` is their ancestor.
    pub(super) fn mark(&self, keeper: Pid) -> Mark {
        Mark::new(&[("PITRIX_INSTANCE", &self.identity.token)], Some(keeper))
    }

    /// What the processes of a command are recognised by, also while `shell` is their ancestor.
    pub(super) fn command_mark(&self, id: &Token, shell: Option<Pid>) -> Mark {
        let variables = [("PITRIX_INSTANCE", &*self.identity.token), ("PITRIX_COMMAND", id.as_str())];
        Mark::new(&variables, shell)
    }

    /// Takes the named lock and keeps it for the life of every descriptor of it; none when it is held.
    pub(super) fn lock(&self, name: &str, inherited: bool) -> Result<Option<File>> {
        let failed = |e: io::Error| Error::store(format!("locking `{name}`")).caused_by(&e);
        let close = if inherited { OFlags::empty() } else { OFlags::CLOEXEC };
        let flags = OFlags::CREATE | OFlags::RDWR | close;
        let file = openat(CWD, self.directory.join(name), flags, Mode::from_raw_mode(0o600))
            .map_err(|e| failed(e.into()))?;
        let file = File::from(file);
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(e)) => return Err(failed(e)),
            }
        }
    }
}

/// Makes a directory for the owner alone, unless there is one.
pub(super) fn private_directory(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| Error::store(format!("making directory `{}`", path.display())).caused_by(&e))
}

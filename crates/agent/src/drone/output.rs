//! What commands and the daemons that they start write: files in `log/`, bounded on disk.
//!
//! Processes write to the files themselves, so that they outlive the drone. A file that gets too big loses its
//! beginning (a hole is punched into it, which writers don't notice), and old files go.

use crate::drone::{
    instance::Instance,
    processes::{Mark, Process},
};
use provider_core::{Error, Result};
use rustix::{
    fs::{FallocateFlags, fallocate, ftruncate},
    io::Errno,
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// A file that takes more on disk is cut down to the last `CUT_TO` bytes.
const MAX_BYTES: u64 = 8 << 20;
const CUT_TO: u64 = 4 << 20;
/// When there are more files, the oldest that nobody has open go, until `FEWEST` are left.
const MOST_FILES: usize = 96;
const FEWEST_FILES: usize = 64;
/// What a report carries.
const TAIL: u64 = 4096;
/// What is bounded besides the logs of commands.
const CHECK: &str = "check.log";
const DRONE: &str = "drone.log";
/// How much of a file is searched for its last lines.
const LINES_WITHIN: u64 = 1 << 20;

/// Where a command's output goes.
pub(super) struct Output {
    file: File,
}

impl Output {
    /// The log of a command, to be appended to.
    pub(super) fn log(instance: &Instance, number: u64, name: &str) -> Result<Self> {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let name: String = name.chars().take(64).map(plain).collect();
        Self::at(&instance.log().join(format!("{number}-{name}.log")))
    }

    /// The output of a health check, without that of the one before.
    pub(super) fn check(instance: &Instance) -> Result<Self> {
        let output = Self::at(&instance.log().join(CHECK))?;
        let emptied = output.file.set_len(0);
        emptied.map_err(|e| Error::store("emptying the health check's log").caused_by(&e))?;
        Ok(output)
    }

    /// A file for the owner alone.
    pub(super) fn at(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path);
        let file = file.map_err(|e| Error::store(format!("opening `{}`", path.display())).caused_by(&e))?;
        Ok(Self { file })
    }

    /// For a process to write to.
    pub(super) fn writer(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Bounds what it takes on disk.
    pub(super) fn trim(&self) -> io::Result<()> {
        let metadata = self.file.metadata()?;
        // Blocks are always counted as 512 bytes.
        if metadata.blocks() * 512 <= MAX_BYTES {
            return Ok(());
        }
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&self.file, hole, 0, metadata.len().saturating_sub(CUT_TO)) {
            Err(Errno::OPNOTSUPP) => Ok(ftruncate(&self.file, 0)?),
            other => Ok(other?),
        }
    }

    /// Its end, at most 4 KiB.
    pub(super) fn tail(&self) -> io::Result<String> {
        let mut text = end_of(&self.file, TAIL)?;
        // What is not UTF-8 has become longer.
        let excess = text.len().saturating_sub(TAIL as usize);
        text.drain(..text.ceil_char_boundary(excess));
        Ok(text)
    }
}

/// Bounds every file and their number. `members` are the processes of the instance, which may have them open.
pub(super) fn trim_all(instance: &Instance, members: &Mark) -> io::Result<()> {
    let mut logs = logs(instance)?;
    for path in logs.iter().chain(&[CHECK, DRONE].map(|name| instance.log().join(name))) {
        match Output::at(path).map(|output| output.trim()) {
            Ok(trimmed) => trimmed?,
            Err(e) => return Err(io::Error::other(e)),
        }
    }
    if logs.len() <= MOST_FILES {
        return Ok(());
    }
    logs.sort_by_key(|path| number(path));
    let members = members.find();
    let in_use = |path: &Path| members.iter().any(|process: &Process| process.uses(path));
    let excess = logs.len() - FEWEST_FILES;
    for path in logs.iter().take(excess).filter(|path| !in_use(path)) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// The last `lines` lines of all files together, the file that was written last at the end; above each file's
/// lines its name.
pub(super) fn last_lines(instance: &Instance, lines: u32) -> io::Result<String> {
    let mut logs: Vec<_> = logs(instance)?
        .into_iter()
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, number(&path), path)))
        .collect();
    logs.sort();
    let mut wanted = lines as usize;
    let mut parts = Vec::new();
    for (_, _, path) in logs.iter().rev() {
        if wanted == 0 {
            break;
        }
        let text = end_of(&File::open(path)?, LINES_WITHIN)?;
        let all: Vec<_> = text.lines().collect();
        let last = &all[all.len().saturating_sub(wanted)..];
        if !last.is_empty() {
            wanted -= last.len();
            let name = path.file_stem().unwrap_or_default().display();
            parts.push(format!("==> {name} <==\n{}\n", last.join("\n")));
        }
    }
    parts.reverse();
    Ok(parts.concat())
}

/// The files of commands.
fn logs(instance: &Instance) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(instance.log())?.map(|entry| entry.map(|entry| entry.path()));
    paths.filter(|path| path.as_ref().is_ok_and(|path| number(path).is_some()) || path.is_err()).collect()
}

/// The number of the command that a file belongs to.
fn number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.split_once('-')?.0.parse().ok()
}

fn end_of(mut file: &File, bytes: u64) -> io::Result<String> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut end = Vec::new();
    file.take(bytes).read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

//! Files that are there whole or not at all, whatever happens to the machine.

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{AtFlags, CWD, Mode, OFlags, fchmod, fsync, openat, renameat, unlinkat},
};
use std::{fs::File, io, io::Write, path::Path};

/// The name of a file while it is being written. One at a time is, in each directory.
const UNFINISHED: &str = ".pitrix.new";

/// Puts a file with this content, for the owner alone, in the place of what is there.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    replace_at(parent(path)?, Path::new(name), content, 0o600)
}

/// Puts a file with this content and these permission bits in the place of what `directory` has as `name`. A
/// link of that name is replaced, not followed.
pub(super) fn replace_at(directory: impl AsFd, name: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let written = (|| {
        let mut file = File::from(openat(&directory, UNFINISHED, flags, Mode::from_raw_mode(0o600))?);
        file.write_all(content)?;
        fchmod(&file, Mode::from_raw_mode(mode & 0o777))?;
        file.sync_all()?;
        renameat(&directory, UNFINISHED, &directory, name)?;
        Ok(())
    })();
    if written.is_err() {
        unlinkat(&directory, UNFINISHED, AtFlags::empty()).ok();
        return written;
    }
    Ok(fsync(&directory)?)
}

/// Makes the directory entry of a file as durable as the file.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    Ok(fsync(parent(path)?)?)
}

fn parent(path: &Path) -> io::Result<OwnedFd> {
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(openat(CWD, parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

//! The file system that an instance shows its application: paths of the node, below the instance's root.
//!
//! A path never leads out of the root: `..` is refused, and so is every link on the way except the mount
//! points, which are links to directories elsewhere. The check and the use are one: each step is taken from
//! the directory that was reached before.

use crate::drone::durable::replace_at;
use provider_core::{Error, Result};
use rustix::{
    fd::OwnedFd,
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, RawMode, fchmod, fstat, mkdirat, openat, readlinkat, symlinkat,
        unlinkat,
    },
    io::Errno,
};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The root of an instance and the mount points in it.
pub(super) struct Root<'a> {
    pub(super) path: PathBuf,
    pub(super) mounts: &'a BTreeMap<String, PathBuf>,
}

/// A place in the root: a name in a directory that was reached.
struct Place {
    directory: OwnedFd,
    name: PathBuf,
    path: String,
}

impl Root<'_> {
    /// Makes the file have this content and these permission bits, and makes its directories. False when it
    /// had them.
    pub(super) fn write(&self, path: &str, content: &[u8], mode: u32) -> Result<bool> {
        if self.mounts.contains_key(&spelled(path)?) {
            return Err(Error::invalid(format!("`{path}` is a mount point and can't be a file")));
        }
        let place = self.reach(path, true)?.expect("missing directories were made");
        if place.content()?.is_some_and(|(now, bits)| now == content && bits == mode & 0o777) {
            return Ok(false);
        }
        replace_at(&place.directory, &place.name, content, mode).map_err(|e| place.failed("writing", &e))?;
        Ok(true)
    }

    /// Makes a directory have these permission bits, and makes it and its parents unless they are there.
    pub(super) fn directory(&self, path: &str, mode: u32) -> Result<()> {
        let place = self.reach(path, true)?.expect("missing directories were made");
        let mode = Mode::from_raw_mode(mode);
        match mkdirat(&place.directory, &place.name, mode) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(place.failed("making", &e.into())),
        }
        openat(&place.directory, &place.name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
            .and_then(|directory| fchmod(&directory, mode))
            .map_err(|e| place.failed("making", &e.into()))
    }

    /// What a file says; none when it is not there.
    pub(super) fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match self.reach(path, false)? {
            Some(place) => Ok(place.content()?.map(|(content, _)| content)),
            None => Ok(None),
        }
    }

    /// Removes a file. Not there is success.
    pub(super) fn remove(&self, path: &str) -> Result<()> {
        match self.reach(path, false)? {
            Some(place) => place.unlink(),
            None => Ok(()),
        }
    }

    /// Makes a mount point lead to a directory. It does already is success; anything else there is an error,
    /// except an empty directory, which is what a mount point is before its mount.
    pub(super) fn link(&self, path: &str, to: &Path) -> Result<()> {
        let place = self.reach(path, true)?.expect("missing directories were made");
        match symlinkat(to, &place.directory, &place.name) {
            Err(Errno::EXIST) => match place.link()? {
                Some(now) if now == to => return Ok(()),
                Some(now) => {
                    let now = now.display();
                    return Err(Error::conflict(format!("mount point `{path}` leads to `{now}` already")));
                }
                None => unlinkat(&place.directory, &place.name, AtFlags::REMOVEDIR)
                    .and_then(|()| symlinkat(to, &place.directory, &place.name))
                    .map_err(|e| {
                        Error::conflict(format!("mount point `{path}` is not an empty directory"))
                            .caused_by(&io::Error::from(e))
                            .hint("mount before anything is written there")
                    })?,
            },
            other => other.map_err(|e| place.failed("linking", &e.into()))?,
        }
        rustix::fs::fsync(&place.directory).map_err(|e| place.failed("linking", &e.into()))
    }

    /// Removes what [`link`](Self::link) made. Not there, or something else there, is success.
    pub(super) fn unlink(&self, path: &str, to: &Path) -> Result<()> {
        match self.reach(path, false)? {
            Some(place) if place.link()?.is_some_and(|now| now == to) => place.unlink(),
            _ => Ok(()),
        }
    }

    /// Goes to the directory of a path; none when it is not there and is not to be made.
    fn reach(&self, path: &str, make: bool) -> Result<Option<Place>> {
        let names = names(path)?;
        let failed = |at: &str, e: Errno| {
            Error::store(format!("reaching `{at}` on the node")).caused_by(&io::Error::from(e))
        };
        let mut directory = openat(CWD, &self.path, DIRECTORY, Mode::empty()).map_err(|e| failed("/", e))?;
        let mut at = String::new();
        let (name, parents) = names.split_last().expect("a path has at least one name");
        for name in parents {
            at = format!("{at}/{name}");
            let mut next = openat(&directory, *name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
            if make && matches!(next, Err(Errno::NOENT)) {
                match mkdirat(&directory, *name, Mode::from_raw_mode(0o755)) {
                    // The application may have made it meanwhile.
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(e) => return Err(failed(&at, e)),
                }
                next = openat(&directory, *name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
            }
            directory = match next {
                Ok(next) => next,
                Err(Errno::NOENT) => return Ok(None),
                Err(e @ (Errno::LOOP | Errno::NOTDIR)) => {
                    let link = readlinkat(&directory, *name, Vec::new())
                        .map(|link| PathBuf::from(OsStr::from_bytes(link.as_bytes())));
                    match (link, self.mounts.get(&at)) {
                        (Ok(link), Some(to)) if link == *to => {
                            openat(CWD, to, DIRECTORY, Mode::empty()).map_err(|e| failed(&at, e))?
                        }
                        (Ok(_), _) => {
                            return Err(Error::invalid(format!(
                                "`{path}` leads through `{at}`, a link that is no mount point"
                            )));
                        }
                        (Err(_), _) => return Err(failed(&at, e)),
                    }
                }
                Err(e) => return Err(failed(&at, e)),
            };
        }
        Ok(Some(Place { directory, name: PathBuf::from(*name), path: format!("{at}/{name}") }))
    }
}

impl Place {
    fn failed(&self, attempt: &str, e: &io::Error) -> Error {
        Error::store(format!("{attempt} `{}` on the node", self.path)).caused_by(e)
    }

    /// Content and permission bits of the file; none when there is no regular file.
    fn content(&self) -> Result<Option<(Vec<u8>, RawMode)>> {
        let failed = |e: io::Error| self.failed("reading", &e);
        // Without waiting for a writer, should it be a pipe.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let mut file = match openat(&self.directory, &self.name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(None),
            Err(e) => return Err(failed(e.into())),
        };
        let mode = fstat(&file).map_err(|e| failed(e.into()))?.st_mode;
        if FileType::from_raw_mode(mode) != FileType::RegularFile {
            return Ok(None);
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(failed)?;
        Ok(Some((content, mode & 0o777)))
    }

    /// Where the link leads; none when this is no link.
    fn link(&self) -> Result<Option<PathBuf>> {
        match readlinkat(&self.directory, &self.name, Vec::new()) {
            Ok(to) => Ok(Some(PathBuf::from(OsStr::from_bytes(to.as_bytes())))),
            Err(Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(e) => Err(self.failed("reading", &e.into())),
        }
    }

    fn unlink(&self) -> Result<()> {
        match unlinkat(&self.directory, &self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(self.failed("removing", &e.into())),
        }
    }
}

/// A path of a node in the one spelling that it is known by.
///
/// # Errors
/// `Invalid` unless it is absolute, names something and has no `..`.
pub(super) fn spelled(path: &str) -> Result<String> {
    Ok(names(path)?.iter().flat_map(|name| ["/", name]).collect())
}

fn names(path: &str) -> Result<Vec<&str>> {
    let bad = |why| Err(Error::invalid(format!("path `{}` on the node {why}", path.escape_debug())));
    let names: Vec<_> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    if !path.starts_with('/') {
        bad("is not absolute")
    } else if names.is_empty() {
        bad("is the root itself")
    } else if names.contains(&"..") {
        bad("has a `..`")
    } else if path.contains('\0') {
        bad("has a zero byte")
    } else {
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use provider_core::ErrorKind;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn a_path_never_leads_out_except_through_a_mount_point() {
        let place = tempfile::tempdir().unwrap();
        let [root, device, outside] = ["root", "device", "outside"].map(|name| place.path().join(name));
        for directory in [&root, &device, &outside] {
            fs::create_dir(directory).unwrap();
        }
        symlink(&outside, root.join("way-out")).unwrap();
        symlink(&outside, root.join("changed")).unwrap();
        let mounts = ["/data", "/changed"].map(|point| (point.to_owned(), device.clone())).into();
        let root = Root { path: root, mounts: &mounts };
        root.link("/data", &device).unwrap();

        let check = |path: &str, why: Option<&str>| match (root.write(path, b"x", 0o640), why) {
            (written, None) => assert!(written.unwrap(), "{path}"),
            (written, Some(why)) => {
                let error = written.unwrap_err();
                assert_eq!(
                    (error.kind(), error.to_string().contains(why)),
                    (ErrorKind::Invalid, true),
                    "{error}"
                );
            }
        };
        check("/etc//redis/./redis.conf", None);
        check("/data/redis/dump", None);
        check("/way-out", None);
        check("/../outside/x", Some("has a `..`"));
        check("/etc/../../outside/x", Some("has a `..`"));
        check("etc/x", Some("is not absolute"));
        check("/./", Some("is the root itself"));
        check("/a\0b", Some("has a zero byte"));
        symlink(&outside, root.path.join("way")).unwrap();
        check("/way/x", Some("a link that is no mount point"));
        check("/changed/x", Some("a link that is no mount point"));
        assert_eq!(fs::read(device.join("redis/dump")).unwrap(), b"x");
        assert_eq!(fs::read_dir(outside).unwrap().count(), 0);
        // Written again, it is as it should be.
        assert!(!root.write("/etc/redis/redis.conf", b"x", 0o640).unwrap());
        assert!(root.write("/etc/redis/redis.conf", b"x", 0o600).unwrap());
    }

    #[test]
    fn a_mount_point_is_made_once_and_holds_what_it_leads_to() {
        let place = tempfile::tempdir().unwrap();
        let mounts = BTreeMap::new();
        let root = Root { path: place.path().to_owned(), mounts: &mounts };
        let [one, other] = ["/one", "/other"].map(Path::new);
        root.link("/var/data", one).unwrap();
        root.link("/var/data", one).unwrap();
        assert_eq!(root.link("/var/data", other).unwrap_err().kind(), ErrorKind::Conflict);
        root.unlink("/var/data", other).unwrap();
        assert_eq!(root.link("/var/data", other).unwrap_err().kind(), ErrorKind::Conflict);
        root.unlink("/var/data", one).unwrap();
        root.unlink("/var/data", one).unwrap();
        root.link("/var/data", other).unwrap();

        fs::create_dir_all(place.path().join("empty")).unwrap();
        root.link("/empty", one).unwrap();
        root.write("/full/file", b"", 0o600).unwrap();
        assert_eq!(root.link("/full", one).unwrap_err().kind(), ErrorKind::Conflict);
    }
}

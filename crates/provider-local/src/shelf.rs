//! A directory of directories: where instances and volumes are kept so that each is there wholly or not at all.

use crate::{error::During, model::Kept};
use provider_core::{Error, ErrorKind, ResourceId, Result};
use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    marker::PhantomData,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Directories in the making and on their way out carry these before their ids.
const NEW: &str = ".new-";
const OLD: &str = ".old-";

/// All things of one kind, each in a directory that is named after its id. Every change is durable when its
/// function returns. Whoever changes things sees to it that nobody else does.
pub(crate) struct Shelf<T> {
    path: PathBuf,
    kept: PhantomData<fn() -> T>,
}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Self { path: self.path.clone(), kept: PhantomData }
    }
}

impl<T: Kept> Shelf<T> {
    /// The shelf of this kind in the data directory `data`.
    pub(crate) fn new(data: &Path) -> Self {
        Self { path: data.join(format!("{}s", T::KIND)), kept: PhantomData }
    }

    /// An id made of the first 12 of these hexadecimal digits.
    pub(crate) fn id(digits: &str) -> ResourceId {
        ResourceId::new(format!("{}-{}", &T::KIND[..1], &digits[..12]))
    }

    /// The directory of `id`, whether it is there or not.
    ///
    /// # Errors
    /// `Invalid` for what is no id of this shelf, so that no path leads out of it.
    pub(crate) fn dir(&self, id: &ResourceId) -> Result<PathBuf> {
        self.hidden("", id)
    }

    /// What is kept under `id`; none when it is not there.
    pub(crate) fn find(&self, id: &ResourceId) -> Result<Option<T>> {
        self.read_in(&self.dir(id)?)
    }

    /// What is kept under `id`.
    ///
    /// # Errors
    /// `NotFound` when it is not there.
    pub(crate) fn get(&self, id: &ResourceId) -> Result<T> {
        self.find(id)?.ok_or_else(|| Error::not_found(format!("{} `{id}` does not exist", T::KIND)))
    }

    /// Everything on the shelf.
    pub(crate) fn all(&self) -> Result<BTreeMap<ResourceId, T>> {
        let mut all = BTreeMap::new();
        for id in self.names()?.iter().filter_map(|name| as_id::<T>(name)) {
            if let Some(kept) = self.find(&id)? {
                all.insert(id, kept);
            }
        }
        Ok(all)
    }

    /// What a crash left half made or half removed, with what is still known of it. [`remove`](Self::remove)
    /// takes it away.
    pub(crate) fn leftovers(&self) -> Result<BTreeMap<ResourceId, Option<T>>> {
        let mut leftovers = BTreeMap::new();
        for name in self.names()? {
            let id = name.strip_prefix(NEW).or_else(|| name.strip_prefix(OLD)).and_then(as_id::<T>);
            if let Some(id) = id {
                leftovers.insert(id, self.read_in(&self.path.join(name))?);
            }
        }
        Ok(leftovers)
    }

    /// Puts `kept` on the shelf; done when it is there already. After an error it is not there, unless the
    /// error is `InDoubt`.
    pub(crate) fn make(&self, id: &ResourceId, kept: &T) -> Result<()> {
        if self.find(id)?.is_some() {
            return Ok(());
        }
        self.try_make(id, kept).map_err(|error| match self.remove(id) {
            Ok(()) => error,
            Err(_) => error.into_kind(ErrorKind::InDoubt),
        })
    }

    /// Replaces what is kept under `id`.
    pub(crate) fn write(&self, id: &ResourceId, kept: &T) -> Result<()> {
        self.write_in(&self.dir(id)?, kept)
    }

    /// Takes `id` off the shelf with all its data; done when it is not there.
    pub(crate) fn remove(&self, id: &ResourceId) -> Result<()> {
        let (dir, old) = (self.dir(id)?, self.hidden(OLD, id)?);
        remove_tree(&self.hidden(NEW, id)?)?;
        remove_tree(&old)?;
        match fs::rename(&dir, &old) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed.during(|| format!("removing `{}`", dir.display()))?,
        }
        sync(&self.path)?;
        remove_tree(&old)
    }

    /// Whether anything of `id` is there, half removed or not.
    pub(crate) fn has_any_of(&self, id: &ResourceId) -> Result<bool> {
        let paths = [self.dir(id)?, self.hidden(NEW, id)?, self.hidden(OLD, id)?];
        Ok(paths.iter().any(|path| path.symlink_metadata().is_ok()))
    }

    fn try_make(&self, id: &ResourceId, kept: &T) -> Result<()> {
        let (new, dir) = (self.hidden(NEW, id)?, self.dir(id)?);
        remove_tree(&new)?;
        make_dir(&self.path)?;
        make_dir(&new)?;
        for name in T::DIRS {
            make_dir(&new.join(name))?;
        }
        self.write_in(&new, kept)?;
        fs::rename(&new, &dir).during(|| format!("making `{}`", dir.display()))?;
        sync(&self.path)
    }

    fn hidden(&self, prefix: &str, id: &ResourceId) -> Result<PathBuf> {
        match as_id::<T>(id.as_str()) {
            Some(_) => Ok(self.path.join(format!("{prefix}{id}"))),
            None => Err(Error::invalid(format!("`{id}` is not the id of a local {}", T::KIND))),
        }
    }

    fn names(&self) -> Result<Vec<String>> {
        let what = || format!("reading directory `{}`", self.path.display());
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.during(what)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry.during(what)?.file_name().into_string());
        }
        Ok(names)
    }

    fn read_in(&self, dir: &Path) -> Result<Option<T>> {
        let path = dir.join(format!("{}.json", T::KIND));
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.during(|| format!("reading `{}`", path.display()))?,
        };
        let unreadable = || Error::conflict(format!("reading `{}`", path.display()));
        let value: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|e| unreadable().caused_by(&e))?;
        match value["version"].as_u64() {
            Some(version) if version > u64::from(T::VERSION) => {
                Err(Error::conflict(format!("`{}` has version {version}, which is too new", path.display()))
                    .hint("use the newer Pitrix that wrote it; nothing was changed"))
            }
            _ => serde_json::from_value(value).map(Some).map_err(|e| unreadable().caused_by(&e)),
        }
    }

    fn write_in(&self, dir: &Path, kept: &T) -> Result<()> {
        let (path, new) = (dir.join(format!("{}.json", T::KIND)), dir.join(format!("{NEW}{}", T::KIND)));
        let bytes = serde_json::to_vec(kept)
            .map_err(|e| Error::bug(format!("serialising a local {}", T::KIND)).caused_by(&e))?;
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().during(|| format!("writing `{}`", path.display()))?;
        sync(dir)
    }
}

/// `name` as an id, if it has the form of one.
fn as_id<T: Kept>(name: &str) -> Option<ResourceId> {
    let digits = name.strip_prefix(&T::KIND[..1])?.strip_prefix('-')?;
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (digits.len() == 12 && digits.bytes().all(is_hex)).then(|| ResourceId::new(name))
}

/// Makes a directory that is its owner's alone, and those above it; done when it is there.
pub(crate) fn make_dir(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .during(|| format!("making directory `{}`", path.display()))
}

fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.during(|| format!("removing `{}`", path.display())),
    }
}

/// Makes the entries of a directory durable.
fn sync(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).during(|| format!("syncing directory `{}`", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::VolumeFile;
    use provider_core::{ClusterId, DeploymentId, DiskId, NodeId, Timestamp};
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn volume() -> VolumeFile {
        VolumeFile {
            version: 1,
            deployment: DeploymentId::new("d"),
            cluster: ClusterId::new("cl-1"),
            disk: DiskId { node: NodeId::new("main-1"), index: 0 },
            size_gib: 5,
            instance: None,
            created: Timestamp(7),
        }
    }

    fn shelf() -> (tempfile::TempDir, Shelf<VolumeFile>, ResourceId) {
        let data = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(data.path());
        (data, shelf, Shelf::<VolumeFile>::id("0123456789abcdef"))
    }

    #[test]
    fn what_was_made_is_there_until_it_is_removed() {
        let (_data, shelf, id) = shelf();
        assert!(shelf.all().unwrap().is_empty());
        shelf.make(&id, &volume()).unwrap();
        let dir = shelf.dir(&id).unwrap();
        insta::assert_snapshot!(fs::read_to_string(dir.join("volume.json")).unwrap(), @r#"{"version":1,"deployment":"d","cluster":"cl-1","disk":{"node":"main-1","index":0},"size_gib":5,"created":7}"#);
        assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(dir.join("data/kept"), "1").unwrap();
        shelf.make(&id, &volume()).unwrap();
        assert!(dir.join("data/kept").exists(), "making it again changes nothing");
        shelf.write(&id, &VolumeFile { size_gib: 6, ..volume() }).unwrap();
        assert_eq!(shelf.all().unwrap()[&id].size_gib, 6);
        shelf.remove(&id).unwrap();
        assert_eq!(shelf.find(&id).unwrap(), None);
        assert!(shelf.names().unwrap().is_empty());
        shelf.remove(&id).unwrap();
    }

    #[test]
    fn removing_follows_no_link() {
        let (data, shelf, id) = shelf();
        let outside = data.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "1").unwrap();
        shelf.make(&id, &volume()).unwrap();
        symlink(&outside, shelf.dir(&id).unwrap().join("data/link")).unwrap();
        shelf.remove(&id).unwrap();
        assert!(outside.join("kept").exists());
    }

    #[test]
    fn a_half_made_or_half_removed_directory_is_nothing_but_a_leftover() {
        fn check(prefix: &str) {
            let (_data, shelf, id) = shelf();
            shelf.make(&id, &volume()).unwrap();
            let hidden = shelf.hidden(prefix, &id).unwrap();
            fs::rename(shelf.dir(&id).unwrap(), &hidden).unwrap();
            assert_eq!(shelf.find(&id).unwrap(), None);
            assert!(shelf.all().unwrap().is_empty());
            assert_eq!(shelf.leftovers().unwrap(), BTreeMap::from([(id.clone(), Some(volume()))]));
            assert!(shelf.has_any_of(&id).unwrap());
            shelf.remove(&id).unwrap();
            assert!(!shelf.has_any_of(&id).unwrap());
            fs::create_dir(&hidden).unwrap();
            if prefix == NEW {
                shelf.make(&id, &volume()).unwrap();
                assert!(shelf.leftovers().unwrap().is_empty(), "making it anew uses the name");
            }
        }
        check(NEW);
        check(OLD);
    }

    #[test]
    fn what_is_no_id_leads_nowhere() {
        let (_data, shelf, _) = shelf();
        for text in ["", "v-", "../v-0123456789ab", "i-0123456789ab", "v-0123456789AB", "v-0123456789ab/.."] {
            let error = shelf.find(&ResourceId::new(text)).unwrap_err();
            assert_eq!(error.to_string(), format!("`{text}` is not the id of a local volume"));
        }
    }

    #[test]
    fn a_file_of_a_newer_pitrix_or_a_damaged_one_is_left_alone() {
        fn check(text: &str, message: &str) {
            let (_data, shelf, id) = shelf();
            shelf.make(&id, &volume()).unwrap();
            let path = shelf.dir(&id).unwrap().join("volume.json");
            fs::write(&path, text).unwrap();
            let error = shelf.get(&id).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict);
            assert_eq!(error.to_string(), message.replace("PATH", &path.display().to_string()));
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        check(r#"{"version":2}"#, "`PATH` has version 2, which is too new");
        check(r#"{"version":1}"#, "reading `PATH`");
        check("{", "reading `PATH`");
    }
}

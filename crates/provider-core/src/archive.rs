//! Packages and charts as they arrive: a gzipped tar, read in memory.

use crate::{Error, Result};
use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};
use std::{
    cell::Cell,
    collections::BTreeMap,
    io::{self, Read},
};
use tar::EntryType;

/// The files of an archive, without the top directory that they share. Nothing is ever unpacked to disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archive {
    files: BTreeMap<String, Vec<u8>>,
}

/// What has been taken out of archives so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Entries of any type.
    pub entries: usize,
    /// Bytes of the tar streams.
    pub bytes: u64,
}

/// What an archive may at most hold. Reading stops at the first cap that is passed.
impl Archive {
    /// Bytes as packed: 20 MiB.
    pub const MAX_PACKED: usize = 20 << 20;
    /// Bytes of the whole tar stream, headers and padding included: 100 MiB.
    pub const MAX_UNPACKED: u64 = 100 << 20;
    /// Entries of any type: 10,000.
    pub const MAX_ENTRIES: usize = 10_000;
    /// Bytes of one file: 5 MiB.
    pub const MAX_FILE: u64 = 5 << 20;
    /// Bytes of one path: 1,024.
    pub const MAX_PATH: usize = 1024;
}

impl Archive {
    /// Reads a gzipped tar whose entries share one top directory, which is left out of the paths. Backslashes
    /// count as `/`. Directories and the header that git writes are passed over.
    ///
    /// # Errors
    /// `Invalid`, as soon as it is met: a cap is passed, the bytes are damaged, an entry leads out of the
    /// archive, is absolute, is a link or a device, appears twice with different content, or lies outside the top directory.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        Intake::default().read(bytes)
    }

    /// As [`read`](Self::read), for an archive inside another: the caps hold for everything that was counted in
    /// `unpacked`, which also counts this one.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_within(bytes: &[u8], unpacked: &mut Unpacked) -> Result<Self> {
        let mut intake =
            Intake { entries: unpacked.entries, bytes: Cell::new(unpacked.bytes), ..Intake::default() };
        let archive = intake.read(bytes);
        *unpacked = Unpacked { entries: intake.entries, bytes: intake.bytes.get() };
        archive
    }

    /// An archive of `files`, path to content. The paths have no top directory.
    ///
    /// # Errors
    /// `Invalid` for what [`read`](Self::read) refuses.
    pub fn from_files(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self> {
        let mut intake = Intake::default();
        for (path, content) in files {
            intake.count_entry()?;
            intake.check_size(&path, content.len() as u64)?;
            intake.bytes.set(intake.bytes.get() + content.len() as u64);
            intake.check_total()?;
            intake.insert(parts(&path)?.join("/"), content)?;
        }
        intake.finish()
    }

    /// Packs the files under the top directory `top`, so that [`read`](Self::read) gives them back. The same
    /// files give the same bytes, whenever and wherever they are packed.
    ///
    /// # Errors
    /// `Invalid` when `top` is not the name of a directory, or the archive is larger than the cap.
    pub fn to_bytes(&self, top: &str) -> Result<Vec<u8>> {
        if parts(top)?.len() != 1 {
            return Err(Error::invalid(format!("`{top}` can't be the top directory of an archive")));
        }
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        for (path, content) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, format!("{top}/{path}"), content.as_slice())
                .map_err(|e| Error::invalid(format!("`{path}` can't be packed")).caused_by(&e))?;
        }
        let bytes = tar
            .into_inner()
            .and_then(GzEncoder::finish)
            .map_err(|e| Error::invalid("the archive can't be packed").caused_by(&e))?;
        check_packed(bytes.len())?;
        Ok(bytes)
    }

    /// The file at `path`, relative to the top directory, with `/` between its parts.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// All files, ordered by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }
}

/// An archive on its way in, with what was taken so far.
#[derive(Default)]
struct Intake {
    files: BTreeMap<String, Vec<u8>>,
    top: Option<String>,
    entries: usize,
    bytes: Cell<u64>,
}

impl Intake {
    fn read(&mut self, packed: &[u8]) -> Result<Archive> {
        check_packed(packed.len())?;
        let bytes = Cell::new(self.bytes.get());
        let mut tar = tar::Archive::new(Counted { inner: GzDecoder::new(packed), bytes: &bytes });
        let taken = self.take_all(&mut tar, &bytes);
        self.bytes.set(bytes.get());
        // A cap in the middle of an entry shows as damage; the cap is the better reason.
        self.check_total()?;
        taken?;
        self.finish()
    }

    fn take_all(&mut self, tar: &mut tar::Archive<impl Read>, bytes: &Cell<u64>) -> Result<()> {
        let damaged = |e: io::Error| Error::invalid("the archive is not a whole gzipped tar").caused_by(&e);
        for entry in tar.entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            self.count_entry()?;
            let name = String::from_utf8(entry.path_bytes().into_owned())
                .map_err(|_| Error::invalid("the archive has an entry whose name is not UTF-8"))?;
            let kind = entry.header().entry_type();
            if kind == EntryType::XGlobalHeader {
                continue;
            }
            let mut path = parts(&name)?;
            match kind {
                EntryType::Directory if path.is_empty() => continue,
                EntryType::Directory => self.enter_top(&name, path.remove(0))?,
                EntryType::Regular if path.len() < 2 => return Err(outside(&name)),
                EntryType::Regular => {
                    self.enter_top(&name, path.remove(0))?;
                    self.check_size(&name, entry.size())?;
                    if bytes.get() + entry.size() > Archive::MAX_UNPACKED {
                        return Err(too_large_unpacked());
                    }
                    let mut content = Vec::new();
                    entry.read_to_end(&mut content).map_err(damaged)?;
                    self.insert(path.join("/"), content)?;
                }
                _ => {
                    return Err(Error::invalid(format!(
                        "the archive entry `{}` is neither a file nor a directory",
                        name.escape_default()
                    ))
                    .hint("pack the files themselves instead of links to them"));
                }
            }
        }
        Ok(())
    }

    fn count_entry(&mut self) -> Result<()> {
        if self.entries == Archive::MAX_ENTRIES {
            return Err(Error::invalid(format!(
                "the archive has more than {} entries",
                Archive::MAX_ENTRIES
            )));
        }
        self.entries += 1;
        Ok(())
    }

    fn check_size(&self, name: &str, size: u64) -> Result<()> {
        if size > Archive::MAX_FILE {
            let max = Archive::MAX_FILE >> 20;
            return Err(Error::invalid(format!(
                "the archive's file `{name}` has {size} bytes, at most {max} MiB are allowed"
            )));
        }
        Ok(())
    }

    fn check_total(&self) -> Result<()> {
        if self.bytes.get() > Archive::MAX_UNPACKED { Err(too_large_unpacked()) } else { Ok(()) }
    }

    fn enter_top(&mut self, name: &str, top: &str) -> Result<()> {
        match &self.top {
            None => self.top = Some(top.to_owned()),
            Some(known) if known == top => {}
            Some(_) => return Err(outside(name)),
        }
        Ok(())
    }

    fn insert(&mut self, path: String, content: Vec<u8>) -> Result<()> {
        if path.is_empty() {
            return Err(Error::invalid("the archive has a file without a name"));
        }
        match self.files.get(&path) {
            None => {
                self.files.insert(path, content);
                Ok(())
            }
            // `helm package` writes a chart twice that a chart has as a directory and as an archive.
            Some(known) if *known == content => Ok(()),
            Some(_) => Err(Error::invalid(format!(
                "the archive has the file `{path}` twice, with different content"
            ))),
        }
    }

    fn finish(&mut self) -> Result<Archive> {
        for path in self.files.keys() {
            let directory = path.match_indices('/').map(|(at, _)| &path[..at]);
            if let Some(both) = directory.into_iter().find(|directory| self.files.contains_key(*directory)) {
                return Err(Error::invalid(format!("the archive has `{both}` as a file and as a directory")));
            }
        }
        Ok(Archive { files: std::mem::take(&mut self.files) })
    }
}

fn check_packed(len: usize) -> Result<()> {
    if len > Archive::MAX_PACKED {
        let max = Archive::MAX_PACKED >> 20;
        return Err(Error::invalid(format!("the archive has {len} bytes, at most {max} MiB are allowed")));
    }
    Ok(())
}

fn too_large_unpacked() -> Error {
    Error::invalid(format!("the archive holds more than {} MiB unpacked", Archive::MAX_UNPACKED >> 20))
}

fn outside(name: &str) -> Error {
    Error::invalid(format!("the archive entry `{name}` is outside of the one top directory"))
        .hint("pack the directory itself, for example `tar czf app-1.0.0.tgz app/`")
}

/// The parts of a path inside the archive.
fn parts(name: &str) -> Result<Vec<&str>> {
    let refuse = |why: &str| {
        let shown: String = name.chars().take(80).flat_map(char::escape_default).collect();
        Err(Error::invalid(format!("the archive entry `{shown}` {why}")))
    };
    let bytes = name.as_bytes();
    if name.len() > Archive::MAX_PATH {
        return refuse("has a name that is too long");
    }
    if name.chars().any(char::is_control) {
        return refuse("has control characters in its name");
    }
    if name.starts_with(['/', '\\']) {
        return refuse("has an absolute name");
    }
    if bytes.len() > 1 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' {
        return refuse("names a drive");
    }
    let parts: Vec<_> = name.split(['/', '\\']).filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return refuse("leads out of the archive");
    }
    Ok(parts)
}

/// Counts what is read, and ends one byte past the cap: no bomb gets further, whatever its headers say.
struct Counted<'a, R> {
    inner: R,
    bytes: &'a Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = (Archive::MAX_UNPACKED + 1).saturating_sub(self.bytes.get());
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let n = self.inner.read(&mut buffer[..most])?;
        self.bytes.set(self.bytes.get() + n as u64);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn gzip(tar: &[u8]) -> Vec<u8> {
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        gz.write_all(tar).unwrap();
        gz.finish().unwrap()
    }

    /// A header with the name as it is, which the builder would clean.
    fn header(name: &str, kind: EntryType, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        header
    }

    fn packed(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, kind, content) in entries {
            tar.append(&header(name, *kind, content.len() as u64), *content).unwrap();
        }
        gzip(&tar.into_inner().unwrap())
    }

    fn refusal(bytes: &[u8]) -> (String, Intake) {
        let mut intake = Intake::default();
        let error = intake.read(bytes).expect_err("must be refused");
        (error.to_string(), intake)
    }

    #[test]
    fn the_top_directory_is_left_out() {
        let bytes = packed(&[
            ("pax_global_header", EntryType::XGlobalHeader, b""),
            ("./app/", EntryType::Directory, b""),
            ("./app/package.json", EntryType::Regular, b"{}"),
            ("app\\locale\\en.json", EntryType::Regular, b"[]"),
        ]);
        let archive = Archive::read(&bytes).unwrap();
        let files: Vec<_> = archive.files().collect();
        assert_eq!(files, [("locale/en.json", b"[]".as_slice()), ("package.json", b"{}")]);
    }

    #[test]
    fn a_file_that_is_there_twice_is_one_if_both_are_the_same() {
        let file = ("app/a", EntryType::Regular, b"1".as_slice());
        let archive = Archive::read(&packed(&[file, file])).unwrap();
        assert_eq!(archive.files().collect::<Vec<_>>(), [("a", b"1".as_slice())]);
    }

    #[test]
    fn what_is_no_plain_file_below_the_top_is_refused() {
        use EntryType as T;
        let check = |name: &str, kind: T, want: &str| {
            let bytes = packed(&[("app/a", T::Regular, b"1"), (name, kind, b"")]);
            let (error, _) = refusal(&bytes);
            assert!(error.contains(want), "{name}: {error}");
        };
        check("app/../../etc/passwd", T::Regular, "leads out of the archive");
        check("app\\..\\x", T::Regular, "leads out of the archive");
        check("/etc/passwd", T::Regular, "absolute name");
        check("\\\\host\\share", T::Regular, "absolute name");
        check("C:\\x", T::Regular, "names a drive");
        check("app/\u{1b}[2J", T::Regular, "control characters");
        check("app/a", T::Regular, "`a` twice");
        check("app/./a", T::Regular, "`a` twice");
        check("app/a/b", T::Regular, "`a` as a file and as a directory");
        check("other/a", T::Regular, "outside of the one top directory");
        check("package.json", T::Regular, "outside of the one top directory");
        check("app/l", T::Symlink, "neither a file nor a directory");
        check("app/l", T::Link, "neither a file nor a directory");
        check("app/l", T::Char, "neither a file nor a directory");
        check("app/l", T::Block, "neither a file nor a directory");
        check("app/l", T::Fifo, "neither a file nor a directory");
    }

    #[test]
    fn an_archive_that_claims_a_huge_file_is_refused_at_its_header() {
        let (error, intake) = refusal(&gzip(header("app/zeros", EntryType::Regular, 10 << 30).as_bytes()));
        insta::assert_snapshot!(error, @"the archive's file `app/zeros` has 10737418240 bytes, at most 5 MiB are allowed");
        assert_eq!((intake.entries, intake.bytes.get()), (1, 512));
    }

    #[test]
    fn a_bomb_of_many_zeros_is_refused_at_the_cap() {
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        let megabyte = vec![0; 1 << 20];
        for n in 0..200 {
            gz.write_all(header(&format!("app/{n}"), EntryType::Regular, 1 << 20).as_bytes()).unwrap();
            gz.write_all(&megabyte).unwrap();
        }
        let (error, intake) = refusal(&gz.finish().unwrap());
        insta::assert_snapshot!(error, @"the archive holds more than 100 MiB unpacked");
        assert_eq!(intake.entries, 100, "the file that does not fit is not read");
        assert!(intake.bytes.get() <= Archive::MAX_UNPACKED);
    }

    #[test]
    fn a_bomb_in_a_long_name_is_refused_at_the_cap() {
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        gz.write_all(header("././@LongLink", EntryType::GNULongName, 300 << 20).as_bytes()).unwrap();
        let megabyte = vec![b'a'; 1 << 20];
        for _ in 0..300 {
            gz.write_all(&megabyte).unwrap();
        }
        let (error, intake) = refusal(&gz.finish().unwrap());
        insta::assert_snapshot!(error, @"the archive holds more than 100 MiB unpacked");
        assert_eq!(intake.bytes.get(), Archive::MAX_UNPACKED + 1);
    }

    #[test]
    fn archives_inside_archives_share_the_caps() {
        let bytes = packed(&[("app/a", EntryType::Regular, &[7; 4000])]);
        let mut unpacked = Unpacked::default();
        Archive::read_within(&bytes, &mut unpacked).unwrap();
        let once = unpacked;
        Archive::read_within(&bytes, &mut unpacked).unwrap();
        assert_eq!((unpacked.entries, unpacked.bytes), (once.entries * 2, once.bytes * 2));
        let mut check = |entries, bytes_so_far, want: &str| {
            unpacked = Unpacked { entries, bytes: bytes_so_far };
            assert_eq!(Archive::read_within(&bytes, &mut unpacked).unwrap_err().to_string(), want);
        };
        check(Archive::MAX_ENTRIES, 0, "the archive has more than 10000 entries");
        check(0, Archive::MAX_UNPACKED - 100, "the archive holds more than 100 MiB unpacked");
    }

    #[test]
    fn too_many_files_are_refused_at_the_cap() {
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        for n in 0..100_000 {
            gz.write_all(header(&format!("app/{n}"), EntryType::Regular, 0).as_bytes()).unwrap();
        }
        let (error, intake) = refusal(&gz.finish().unwrap());
        insta::assert_snapshot!(error, @"the archive has more than 10000 entries");
        assert_eq!((intake.entries, intake.files.len()), (10_000, 10_000));
        assert_eq!(intake.bytes.get(), 512 * 10_001);
    }

    #[test]
    fn too_many_packed_bytes_are_not_even_unpacked() {
        let (error, intake) = refusal(&vec![0; Archive::MAX_PACKED + 1]);
        insta::assert_snapshot!(error, @"the archive has 20971521 bytes, at most 20 MiB are allowed");
        assert_eq!((intake.entries, intake.bytes.get()), (0, 0));
    }

    #[test]
    fn damage_is_refused() {
        let whole = packed(&[("app/a", EntryType::Regular, &[7; 4000])]);
        for bytes in [b"PK\x03\x04".as_slice(), &whole[..whole.len() / 2], &gzip(b"no tar")] {
            let (error, _) = refusal(bytes);
            assert_eq!(error, "the archive is not a whole gzipped tar");
        }
    }

    #[test]
    fn files_are_packed_under_the_same_checks() {
        let check = |path: &str, len: usize, want: &str| {
            let files = [("a".to_owned(), vec![]), (path.to_owned(), vec![0; len])];
            let error = Archive::from_files(files).expect_err(want).to_string();
            assert!(error.contains(want), "{path}: {error}");
        };
        check("../x", 0, "leads out");
        check("/x", 0, "absolute");
        check("a", 1, "twice");
        check("a/b", 0, "as a file and as a directory");
        check("x", 6 << 20, "at most 5 MiB");
        check(".", 0, "without a name");
        assert!(Archive::default().to_bytes("a/b").is_err());
    }

    proptest! {
        #[test]
        fn what_is_packed_is_read_back(
            files in proptest::collection::btree_map("[a-z]{1,3}(/[a-z0-9]{1,60}){1,4}\\.x", proptest::collection::vec(any::<u8>(), 0..600), 0..8)
        ) {
            let archive = Archive::from_files(files).unwrap();
            let bytes = archive.to_bytes("app").unwrap();
            let read = Archive::read(&bytes).unwrap();
            prop_assert_eq!(&read, &archive);
            prop_assert_eq!(archive.to_bytes("app").unwrap(), bytes);
        }
    }
}

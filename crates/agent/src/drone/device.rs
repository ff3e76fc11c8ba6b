//! Volumes that are block devices: their file systems are made, mounted and grown with the system's programs.

use crate::drone::execute::Bench;
use provider_core::{Error, Result};
use rustix::process::geteuid;
use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::Path,
    process::Command,
    time::Duration,
};

/// How long a program may take over a device.
const PATIENCE: Duration = Duration::from_secs(600);
/// How much of both ends of a device must be readable before it may count as blank.
const ENDS: u64 = 1 << 20;

/// A block device that is to be mounted.
pub(super) struct Device<'a> {
    pub(super) path: &'a Path,
    pub(super) filesystem: &'a str,
    pub(super) options: &'a str,
}

impl Device<'_> {
    /// Checks what can be known without touching it.
    pub(super) fn check(&self) -> Result<()> {
        let device = self.path.display();
        if !geteuid().is_root() {
            return Err(Error::unsupported(format!("mounting block device `{device}` without being root"))
                .hint("only agents that run as root, as on virtual machines, mount block devices"));
        }
        if !matches!(self.filesystem, "ext4" | "xfs") {
            return Err(Error::invalid(format!(
                "mounting `{device}`: a file system of kind `{}` is not made",
                self.filesystem
            ))
            .hint("kinds are: ext4, xfs"));
        }
        Ok(())
    }

    /// Has it mounted at `target`, a path of the node whose directory `make` makes, with a file system as large as
    /// the device. It is already is success. Only a blank device gets a new file system.
    pub(super) fn mount(
        &self,
        bench: &Bench<'_>,
        target: &Path,
        make: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let (device, point) = (self.path.as_os_str(), target.as_os_str());
        let [named, at] = [self.path, target].map(Path::display);
        let failed = |e: io::Error| Error::unavailable(format!("mounting `{named}` at `{at}`")).caused_by(&e);
        match (mounted(target).map_err(failed)?, content(self.path)?) {
            (Some(now), Some(kind)) if now == fs::metadata(self.path).map_err(failed)?.rdev() => {
                self.grow(bench, &kind, Some(target))
            }
            (Some(_), _) => Err(Error::conflict(format!("mounting `{named}`: another device is at `{at}`"))
                .hint("unmount it first")),
            (None, found) => {
                make()?;
                if fs::read_dir(target).map_err(failed)?.next().is_some() {
                    return Err(Error::conflict(format!("mount point `{at}` is not an empty directory"))
                        .hint("mount before anything is written there"));
                }
                let kind = match found {
                    Some(kind) => kind,
                    None => {
                        let what = format!("making a file system on `{named}`");
                        run(bench, &what, &format!("mkfs.{}", self.filesystem), &["-q".as_ref(), device])?;
                        self.filesystem.to_owned()
                    }
                };
                self.grow(bench, &kind, None)?;
                let mut arguments: Vec<&OsStr> = vec!["-t".as_ref(), kind.as_ref()];
                if !self.options.is_empty() {
                    arguments.extend::<[&OsStr; 2]>(["-o".as_ref(), self.options.as_ref()]);
                }
                arguments.extend([device, point]);
                run(bench, &format!("mounting `{named}` at `{at}`"), "mount", &arguments)?;
                // This kind grows only while it is mounted.
                if kind == "xfs" { self.grow(bench, &kind, Some(target)) } else { Ok(()) }
            }
        }
    }

    /// Gives a file system its full size. It has it already is success.
    fn grow(&self, bench: &Bench<'_>, kind: &str, mounted_at: Option<&Path>) -> Result<()> {
        let (named, device) = (self.path.display(), self.path.as_os_str());
        let failed = |e: io::Error| Error::unavailable(format!("reading device `{named}`")).caused_by(&e);
        let what = format!("growing the file system on `{named}`");
        if self.options.split(',').any(|option| option == "ro") {
            return Ok(());
        }
        match (kind, mounted_at) {
            ("xfs", Some(target)) => run(bench, &what, "xfs_growfs", &["-d".as_ref(), target.as_os_str()]),
            ("xfs", None) => Ok(()),
            _ if !is_smaller(self.path).map_err(failed)? => Ok(()),
            (_, Some(_)) => run(bench, &what, "resize2fs", &[device]),
            (_, None) => {
                // It grows only what was checked, unless it is mounted.
                run(bench, &what, "e2fsck", &["-f".as_ref(), "-p".as_ref(), device])?;
                run(bench, &what, "resize2fs", &[device])
            }
        }
    }
}

/// The device whose file system is mounted at a directory, if one is.
pub(super) fn mounted(target: &Path) -> io::Result<Option<u64>> {
    match fs::symlink_metadata(target) {
        Ok(found) if found.is_dir() => {
            let outside = fs::metadata(target.join(".."))?.dev();
            Ok(Some(found.dev()).filter(|device| *device != outside))
        }
        Ok(_) => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Unmounts what is mounted at `target`.
pub(super) fn unmount(bench: &Bench<'_>, target: &Path) -> Result<()> {
    run(bench, &format!("unmounting `{}`", target.display()), "umount", &[target.as_os_str()])
}

fn run(bench: &Bench<'_>, what: &str, program: &str, arguments: &[&OsStr]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments);
    let report =
        bench.run_program(&format!("{what} with {program}"), command, PATIENCE, &bench.log("mount")?)?;
    match report.error {
        None => Ok(()),
        // It has found and corrected errors.
        Some(_) if program == "e2fsck" && report.exit_code == Some(1) => Ok(()),
        Some(error) => Err(error.because(report.output.trim())),
    }
}

/// The kind of file system that a device holds; none when it is blank.
///
/// # Errors
/// When it can't be told, or when the device holds anything else, which must not be lost.
fn content(device: &Path) -> Result<Option<String>> {
    let named = device.display();
    let failed = |e: io::Error| Error::unavailable(format!("reading device `{named}`")).caused_by(&e);
    // For blkid a device that can't be read is like one that is blank.
    readable(device).map_err(failed)?;
    let told = Command::new("blkid").args(["-p", "-o", "export"]).arg(device).output();
    let told = told.map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => {
            Error::unsupported(format!("looking at device `{named}` needs `blkid`, which is not here"))
                .hint("install util-linux")
        }
        _ => failed(e),
    })?;
    meaning(told.status.code(), &String::from_utf8_lossy(&told.stdout)).map_err(|why| {
        Error::conflict(format!("device `{named}` can't be mounted: {why}"))
            .because(String::from_utf8_lossy(&told.stderr).trim())
            .hint("nothing was changed; attach a blank device, or one with a file system of ext4 or xfs")
    })
}

/// Whether the device has become larger than its file system of the ext family.
///
/// The layout is at <https://docs.kernel.org/filesystems/ext4/super.html>, read in 2026.
fn is_smaller(device: &Path) -> io::Result<bool> {
    let mut file = File::open(device)?;
    let length = file.seek(SeekFrom::End(0))?;
    let mut block = [0; 1024];
    file.seek(SeekFrom::Start(1024))?;
    file.read_exact(&mut block)?;
    let number =
        |at: usize| u64::from(u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]));
    let block_size = 1024_u64.checked_shl(number(0x18) as u32).unwrap_or(1024);
    let has_64_bits = number(0x60) & 0x80 != 0;
    let blocks = number(0x4) | if has_64_bits { number(0x150) << 32 } else { 0 };
    Ok(blocks.saturating_add(1).saturating_mul(block_size) <= length)
}

fn readable(device: &Path) -> io::Result<()> {
    let mut file = File::open(device)?;
    let length = file.seek(SeekFrom::End(0))?;
    for start in [0, length.saturating_sub(ENDS)] {
        file.seek(SeekFrom::Start(start))?;
        io::copy(&mut file.by_ref().take(ENDS), &mut io::sink())?;
    }
    Ok(())
}

/// What blkid says with this exit code and output, see its manual.
fn meaning(code: Option<i32>, output: &str) -> std::result::Result<Option<String>, String> {
    let found = || output.lines().filter_map(|line| line.split_once('='));
    let value = |name| found().find(|(key, _)| *key == name).map(|(_, value)| value);
    // Of a partition it also says which one it is.
    let is_blank = || found().all(|(key, _)| key == "DEVNAME" || key.starts_with("PART_ENTRY_"));
    match (code, value("TYPE"), value("PTTYPE")) {
        (Some(0), Some(kind @ ("ext2" | "ext3" | "ext4" | "xfs")), _) => Ok(Some(kind.to_owned())),
        (Some(0), Some(kind), _) => Err(format!("it holds `{kind}`")),
        (Some(0), None, Some(kind)) => Err(format!("it has a partition table of kind `{kind}`")),
        (Some(0), None, None) if is_blank() => Ok(None),
        (Some(2), None, None) if is_blank() => Ok(None),
        (Some(8), ..) => Err("it holds the signs of more than one file system".to_owned()),
        _ => Err("blkid does not say what it holds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_blank_is_blank() {
        let check = |code, output: &str, expected: std::result::Result<Option<&str>, &str>| {
            let expected = expected.map(|kind| kind.map(str::to_owned)).map_err(str::to_owned);
            assert_eq!(meaning(code, output), expected, "{code:?}: {output}");
        };
        check(Some(2), "", Ok(None));
        check(Some(0), "DEVNAME=/dev/vdb1\nPART_ENTRY_SCHEME=gpt\nPART_ENTRY_NUMBER=1\n", Ok(None));
        check(Some(0), "DEVNAME=/dev/vdb\nUUID=x\nTYPE=ext4\nUSAGE=filesystem\n", Ok(Some("ext4")));
        check(Some(0), "TYPE=xfs\n", Ok(Some("xfs")));
        check(Some(0), "TYPE=crypto_LUKS\n", Err("it holds `crypto_LUKS`"));
        check(Some(0), "DEVNAME=/dev/vdb\nPTTYPE=gpt\n", Err("it has a partition table of kind `gpt`"));
        check(Some(8), "", Err("it holds the signs of more than one file system"));
        let unknown = Err("blkid does not say what it holds");
        check(Some(0), "DEVNAME=/dev/vdb\nUUID=x\n", unknown);
        check(Some(2), "UUID=x\n", unknown);
        check(Some(4), "", unknown);
        check(None, "", unknown);
    }
}

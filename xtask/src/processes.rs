//! The processes of a demo, found from outside: by what the kernel says about them, not by what we recorded.

use crate::{Result, command::Cmd};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A process that belongs to a state directory.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Its arguments, separated by spaces.
    pub(crate) line: String,
}

/// Every process that belongs to `state`: a `PITRIX_` variable of its environment points into it, or it is the
/// program at `pitrix` and an argument names it. So a shell or an editor that looks at the directory is none of them.
pub(crate) fn belonging_to(state: &Path, pitrix: &Path) -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        // A process that ended meanwhile, or somebody else's, can't be read: neither is ours.
        let dir = Path::new("/proc").join(pid.to_string());
        let environment = fs::read(dir.join("environ")).ok()?;
        let arguments = fs::read(dir.join("cmdline")).ok()?;
        let is_pitrix = fs::read_link(dir.join("exe")).is_ok_and(|exe| exe == pitrix);
        let belongs = points_into(&environment, state) || (is_pitrix && names(&arguments, state));
        belongs.then(|| Process {
            pid,
            line: String::from_utf8_lossy(&arguments).replace('\0', " "),
        })
    })
    .collect()
}

fn points_into(environment: &[u8], state: &Path) -> bool {
    environment.split(|byte| *byte == 0).any(|variable| {
        let mut parts = variable.splitn(2, |byte| *byte == b'=');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        name.starts_with(b"PITRIX_") && Path::new(std::ffi::OsStr::from_bytes(value)).starts_with(state)
    })
}

fn names(arguments: &[u8], state: &Path) -> bool {
    let state = state.as_os_str().as_bytes();
    arguments.windows(state.len()).any(|window| window == state)
}

/// Sends a signal, by its name without `SIG`.
pub(crate) fn signal(pid: u32, name: &str) -> Result<()> {
    Cmd::new("sh", &["-c", &format!("kill -{name} {pid}")]).run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_points_into_the_state_directory_belongs_to_it() {
        let check = |environment: &[u8], expected| {
            assert_eq!(points_into(environment, Path::new("/s/state")), expected);
        };
        check(b"A=1\0PITRIX_ROOT=/s/state/local/i-1\0", true);
        check(b"PITRIX_STATE=/s/state", true);
        check(b"PITRIX_STATE=/s/state2", false);
        check(b"PWD=/s/state", false);
        check(b"", false);
    }
}

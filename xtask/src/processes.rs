//! The processes of a demo, found from outside: by what the kernel says about them, not by what we recorded.

use crate::{Result, command::Cmd};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Every process that belongs to the state directory `state`: a `PITRIX_` variable of its environment points into it,
/// or it holds a file open there and has no terminal. The second finds programs that overwrite their environment
/// to show a title, as Redis does; without a terminal it is nobody's editor or pager.
pub(crate) fn belonging_to(state: &Path) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        // A process that ended meanwhile, or somebody else's, can't be read: neither is ours.
        let dir = Path::new("/proc").join(pid.to_string());
        let has_variable =
            fs::read(dir.join("environ")).is_ok_and(|environment| points_into(&environment, state));
        let has_terminal = fs::read_to_string(dir.join("stat")).is_ok_and(|stat| has_terminal(&stat));
        has_variable || (!has_terminal && holds_open(&dir.join("fd"), state))
    })
    .collect()
}

fn points_into(environment: &[u8], state: &Path) -> bool {
    environment.split(|byte| *byte == 0).any(|variable| {
        let mut parts = variable.splitn(2, |byte| *byte == b'=');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        name.starts_with(b"PITRIX_") && Path::new(OsStr::from_bytes(value)).starts_with(state)
    })
}

/// The fifth field after the name is the terminal; the name is in brackets and may have any character.
fn has_terminal(stat: &str) -> bool {
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().nth(4).is_some_and(|terminal| terminal != "0")
}

fn holds_open(descriptors: &Path, state: &Path) -> bool {
    let descriptors = fs::read_dir(descriptors).into_iter().flatten().flatten();
    descriptors.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|file| file.starts_with(state))
}

/// Sends a signal, by its name without `SIG`.
pub(crate) fn signal(pid: u32, name: &str) -> Result<()> {
    Cmd::new("sh", &["-c", &format!("kill -{name} {pid}")]).run()
}

/// Ends a process at once, without showing a command. One that is gone already is what was wanted.
pub(crate) fn kill(pid: u32) -> Result<()> {
    let dir = format!("/proc/{pid}");
    match Cmd::new("sh", &["-c", &format!("kill -KILL {pid}")]).answer() {
        Err(error) if Path::new(&dir).exists() => Err(error),
        _ => Ok(()),
    }
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

    #[test]
    fn a_terminal_is_read_behind_any_name() {
        assert!(!has_terminal("7 (redis-server) S 1 7 7 0 -1 4194560"));
        assert!(has_terminal("7 (a) b) S 1 7 7 34816 7 4194560"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_open_file_is_seen() {
        let file = fs::File::open(env!("CARGO_MANIFEST_DIR")).unwrap();
        assert!(holds_open(Path::new("/proc/self/fd"), Path::new(env!("CARGO_MANIFEST_DIR"))));
        drop(file);
    }
}

//! How much there is to build, against what we allow ourselves. Raising a number is a decision, with a reason.

use crate::{Result, command::Cmd, workspace::Workspace};
use std::collections::BTreeSet;
use std::time::Instant;

/// Foreign crates that the default members are built from, on this kind of machine.
const CRATES: usize = 200;

/// A development build of the default members from nothing, on two cores.
const COLD_BUILD_SECONDS: u64 = 150;

/// Prints the number of foreign crates; a finding if there are too many.
pub(super) fn check_crates() -> Result<Option<String>> {
    let tree =
        Cmd::cargo(&["tree", "--quiet", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])
            .quiet_output()?;
    let count = foreign_crates(&tree);
    println!("{count} foreign crates; the budget is {CRATES}");
    Ok((count > CRATES).then(|| format!("{count} foreign crates are more than the {CRATES} of the budget")))
}

/// Builds everything from nothing and prints how long it took. A report: machines differ.
pub(super) fn time_cold_build(workspace: &Workspace) -> Result<()> {
    let dir = workspace.target.join("cold");
    let remove = || match std::fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove `{}`: {error}", dir.display()))
        }
        _ => Ok(()),
    };
    remove()?;
    let started = Instant::now();
    Cmd::cargo(&["build", "--quiet", "--target-dir", &dir.to_string_lossy()]).run()?;
    println!(
        "cold build: {} s; the budget is {COLD_BUILD_SECONDS} s on two cores",
        started.elapsed().as_secs()
    );
    remove()
}

/// Counts the crates of `cargo tree`, one a line as `name v1.0.0`; ours carry a path in brackets.
fn foreign_crates(tree: &str) -> usize {
    let lines = tree.lines().map(|line| line.trim_end_matches(" (*)"));
    lines.filter(|line| !line.is_empty() && !line.contains("(/")).collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_crate_counts_once_for_each_version() {
        let tree = "vmbased v0.1.0 (/src/crates/vmbased)\nserde v1.0.1\nserde_derive v1.0.1 (proc-macro)\n\
            serde v1.0.1 (*)\n\nsyn v1.0.0\nsyn v2.0.0\n";
        assert_eq!(foreign_crates(tree), 4);
    }
}

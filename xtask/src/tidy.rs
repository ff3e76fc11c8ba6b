//! `cargo xtask tidy [--timings]`: what a compiler does not check.
//!
//! A rule is a pure function from what it looks at to its findings; each finding fails the run. Reports fail nothing.

mod arrows;
mod budget;
mod links;
mod sources;

use crate::{Options, Result, command::Cmd, workspace::Workspace};

pub(crate) fn run(mut options: Options) -> Result<()> {
    let timings = options.take_flag("--timings");
    options.finish()?;
    let workspace = Workspace::enter()?;
    check(&workspace)?;
    if timings {
        budget::time_cold_build(&workspace)?;
    }
    Ok(())
}

/// Every rule and report on the workspace, whose root is the current directory.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let files = files()?;
    for report in sources::long_files(&files) {
        println!("report: {report}");
    }
    let mut findings = arrows::check(&workspace.packages);
    findings.extend(sources::check(&files));
    findings.extend(links::check(&files, |path| path.exists()));
    findings.extend(budget::check_crates()?);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        n => Err(format!("tidy has {n} findings")),
    }
}

/// A text file of the project; the path is relative to the root.
struct File {
    path: String,
    text: String,
}

/// Every text file that git tracks or would track.
fn files() -> Result<Vec<File>> {
    let list =
        Cmd::new("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).quiet_output()?;
    let paths = list.split('\0').filter(|path| !path.is_empty());
    // What is no UTF-8 is no text; what can't be read was deleted and not yet committed.
    Ok(paths
        .filter_map(|path| Some(File { path: path.to_owned(), text: std::fs::read_to_string(path).ok()? }))
        .collect())
}

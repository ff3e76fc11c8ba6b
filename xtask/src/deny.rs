//! `cargo xtask deny [--advisories]`: what `deny.toml` says about licences, sources and banned crates.
//!
//! Known vulnerabilities are a question of today, not of a commit, and their list comes from a repository that not
//! every machine reaches. So they are asked for separately, and `cargo xtask test` leaves them out.

use crate::{
    Options, Result,
    command::{Cmd, is_on_path},
    workspace::Workspace,
};
use std::path::PathBuf;

/// Builds in about two minutes on two cores, once for each target directory.
const VERSION: &str = "0.20.2";

pub(crate) fn run(mut options: Options) -> Result<()> {
    let advisories = options.take_flag("--advisories");
    options.finish()?;
    let workspace = Workspace::enter()?;
    let program = program(&workspace)?;
    check(&program, if advisories { &["advisories"] } else { &OFFLINE_CHECKS })
}

/// The checks that need no list from elsewhere.
pub(crate) const OFFLINE_CHECKS: [&str; 3] = ["bans", "licenses", "sources"];

/// Runs `checks` with the `cargo-deny` at `program`.
pub(crate) fn check(program: &PathBuf, checks: &[&str]) -> Result<()> {
    Cmd::new(program, &[&["--log-level", "warn", "check"], checks].concat()).run()
}

/// Where `cargo-deny` is; builds one under the target directory if the path has none.
pub(crate) fn program(workspace: &Workspace) -> Result<PathBuf> {
    if is_on_path("cargo-deny") {
        return Ok("cargo-deny".into());
    }
    let tools = workspace.target.join("tools");
    let program = tools.join("bin/cargo-deny");
    if !program.is_file() {
        let root = tools.to_string_lossy();
        Cmd::cargo(&["install", "cargo-deny", "--version", VERSION, "--locked", "--debug", "--root", &root])
            .without_env("CARGO_TARGET_DIR")
            .run()
            .map_err(|error| format!("{error}\nhint: install `cargo-deny` {VERSION} yourself"))?;
    }
    Ok(program)
}

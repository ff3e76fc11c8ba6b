//! `man`: the manual, one page for each verb.

use crate::{
    args::Cli,
    exit::Outcome,
    screen::{Screen, Tone, count},
};
use clap::CommandFactory;
use provider_core::Error;
use std::{fs, path::Path};

/// Writes the pages into `dir`.
pub(crate) fn write(dir: &Path, screen: &Screen) -> Outcome {
    let written = fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
        .and_then(|()| Ok(fs::read_dir(dir)?.count()));
    let pages = written
        .map_err(|e| Error::invalid(format!("writing the manual into `{}`", dir.display())).caused_by(&e))?;
    screen.say(
        Tone::Good,
        "written",
        &format!("{} to `{}`; begin with `man pitrix`", count(pages, "page"), dir.display()),
    );
    Ok(())
}

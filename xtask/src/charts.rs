//! `cargo xtask charts DIR [--case NAME]`: charts rendered by us, beside what the helm binary made of them.

use crate::{Options, Result, command::Cmd, workspace::Workspace};

pub(crate) fn run(mut options: Options) -> Result<()> {
    let case = options.take_value("--case")?;
    let directory = options.take_name().ok_or("which directory of charts? cargo xtask charts DIR")?;
    options.finish()?;
    // Relative to where the developer is, not to the workspace.
    let directory = std::path::absolute(&directory).map_err(|e| format!("can't find `{directory}`: {e}"))?;
    let directory = directory.to_string_lossy();
    Workspace::enter()?;
    let mut args = vec!["run", "--quiet", "--package", "provider-helm", "--bin", "charts", "--", &*directory];
    if let Some(case) = &case {
        args.extend(["--case", case]);
    }
    Cmd::cargo(&args).run()
}

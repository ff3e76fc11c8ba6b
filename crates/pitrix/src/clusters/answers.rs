//! An operator's answers to a package's questions, from a file and from `--set`.

use crate::{args::Answers, exit::Outcome, inputs::read_input, site::Site};
use provider_core::{AppVersionId, Error, Records};
use serde_json::{Value, json};
use vmbased::package::{Document, Package};

/// What answers are given to.
#[derive(Clone, Copy)]
pub(crate) struct Standing<'a> {
    /// The app version that asks.
    pub(crate) app: &'a AppVersionId,
    /// The answers that the cluster has; none for a new one.
    pub(crate) conf: Option<&'a Value>,
}

/// The answers that are given, checked against their package as far as lines and keys go.
///
/// # Errors
/// `NotFound` for an unknown app; `Invalid` with file, line and key path, and for a password in an argument.
pub(crate) async fn read_answers(site: &Site, standing: Standing<'_>, answers: &Answers) -> Outcome<Value> {
    if answers.file.is_none() && answers.set.is_empty() {
        return Ok(json!({}));
    }
    let package = Package::load(&*site.store().package(standing.app).await?)?;
    let file = match &answers.file {
        Some(path) => Document::read(&path.display().to_string(), &read_input(path)?)?,
        None => Document::from_value("the answers", json!({})),
    };
    Ok(merge(&package, standing.conf, &file, &answers.set)?)
}

fn merge(
    package: &Package,
    recorded: Option<&Value>,
    file: &Document,
    set: &[(String, String)],
) -> Result<Value, Error> {
    let config = package.config();
    if set.is_empty() {
        config.complete(file, recorded)?;
        return Ok(file.value().clone());
    }
    let mut answers = file.value().clone();
    for (path, text) in set {
        config.set(&mut answers, path, text).map_err(|e| {
            let config = format!("`pitrix app config {}` lists the keys", package.version_id());
            e.during("--set").hint(config)
        })?;
    }
    let complete = config.complete(&Document::from_value("the answers", answers.clone()), recorded)?;
    let given = |path: &String| set.iter().any(|(given, _)| given == path);
    match complete.passwords.iter().find(|(path, password)| password.is_some() && given(path)) {
        Some((path, _)) => {
            Err(Error::invalid(format!("`{path}` is a password, and arguments are for everybody to see"))
                .hint("put it into a file that only you can read and give that with `--file`"))
        }
        None => Ok(answers),
    }
}

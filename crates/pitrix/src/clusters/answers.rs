//! An operator's answers to a package's questions, from a file and from `--set`.

use crate::{args::Create, exit::Outcome, inputs::read_input, site::Site};
use provider_core::{Error, Records};
use serde_json::{Value, json};
use vmbased::package::{Document, Package};

/// The answers that `create` gives, checked against its package as far as lines and keys go.
///
/// # Errors
/// `NotFound` for an unknown app; `Invalid` with file, line and key path, and for a password in an argument.
pub(crate) async fn read_answers(site: &Site, create: &Create) -> Outcome<Value> {
    if create.file.is_none() && create.set.is_empty() {
        return Ok(json!({}));
    }
    let package = Package::load(&*site.store().package(&create.app).await?)?;
    let file = match &create.file {
        Some(path) => Document::read(&path.display().to_string(), &read_input(path)?)?,
        None => Document::from_value("the answers", json!({})),
    };
    Ok(merge(&package, &file, &create.set)?)
}

fn merge(package: &Package, file: &Document, set: &[(String, String)]) -> Result<Value, Error> {
    let config = package.config();
    if set.is_empty() {
        config.complete(file, None)?;
        return Ok(file.value().clone());
    }
    let mut answers = file.value().clone();
    for (path, text) in set {
        config.set(&mut answers, path, text).map_err(|e| {
            let config = format!("`pitrix app config {}` lists the keys", package.version_id());
            e.during("--set").hint(config)
        })?;
    }
    let complete = config.complete(&Document::from_value("the answers", answers.clone()), None)?;
    match set.iter().find(|(path, _)| complete.passwords.contains_key(path)) {
        Some((path, _)) => {
            Err(Error::invalid(format!("`{path}` is a password, and arguments are for everybody to see"))
                .hint("put it into a file that only you can read and give that with `--file`"))
        }
        None => Ok(answers),
    }
}

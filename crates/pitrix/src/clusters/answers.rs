//! An operator's answers to a package's questions, from files and from settings.

use crate::{args::Answers, exit::Outcome, inputs::read_input, site::Site};
use provider_core::{AppVersionId, Given, Records, Setting, SettingKind};
use serde_json::{Value, json};
use std::path::Path;

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
    let mut files = Vec::new();
    for path in &answers.file {
        files.push((path.display().to_string(), read_input(path)?));
    }
    let lookup = answers.lookup;
    let given =
        Given { files, settings: settings(answers), lookup, read: &|path| read_input(Path::new(path)) };
    if given.is_empty() {
        return Ok(json!({}));
    }
    let package = site.store().package(standing.app).await?;
    let format = site.registry.format_of(&package)?;
    Ok(format.answers(&package, &given, standing.conf)?)
}

fn settings(answers: &Answers) -> Vec<Setting> {
    let kinds = [
        (SettingKind::Json, &answers.set_json),
        (SettingKind::Plain, &answers.set),
        (SettingKind::Text, &answers.set_string),
        (SettingKind::File, &answers.set_file),
    ];
    let of_kind = |(kind, texts): (SettingKind, &Vec<String>)| {
        texts.iter().map(move |text| Setting { kind, text: text.clone() }).collect::<Vec<_>>()
    };
    kinds.into_iter().flat_map(of_kind).collect()
}

//! The format as others see it: what can be pushed, asked and answered.

use super::{Config, Document, Package, directory};
use async_trait::async_trait;
use provider_core::{
    Archive, Error, Given, PackageFormat, PackageInfo, Result, RoleName, Setting, SettingKind,
};
use serde_json::{Value, json};
use std::path::Path;

/// Packages for virtual machines, in OpenPitrix's format.
pub struct VmPackages;

#[async_trait]
impl PackageFormat for VmPackages {
    fn name(&self) -> &'static str {
        "package"
    }

    fn marker(&self) -> &'static str {
        "package.json"
    }

    fn read_directory(&self, top: &Path) -> Result<Archive> {
        directory::read(top)
    }

    fn inspect(&self, package: &Archive) -> Result<PackageInfo> {
        let package = Package::load(package)?;
        Ok(PackageInfo { id: package.version_id(), description: package.metadata().description.clone() })
    }

    fn questions(&self, package: &Archive) -> Result<String> {
        Ok(Package::load(package)?.config().template())
    }

    fn answers(&self, package: &Archive, given: &Given<'_>, recorded: Option<&Value>) -> Result<Value> {
        if given.is_empty() {
            return Ok(json!({}));
        }
        answers(&Package::load(package)?, given, recorded)
    }

    fn count_key(&self, role: &RoleName) -> Option<String> {
        Some(format!("cluster.{role}.count"))
    }
}

fn answers(package: &Package, given: &Given<'_>, recorded: Option<&Value>) -> Result<Value> {
    if given.lookup == Some(true) {
        let attempt = format!("`--lookup` for `{}`", package.version_id());
        return Err(Error::unsupported(format!("{attempt}: only the templates of charts look anything up")));
    }
    let config = package.config();
    let documents = given.files.iter().map(|(name, text)| Document::read(name, text));
    let documents = documents.collect::<Result<Vec<_>>>()?;
    if let ([document], []) = (&*documents, &*given.settings) {
        // The only case in which an error can name lines.
        config.complete(document, recorded)?;
        return Ok(document.value().clone());
    }
    let mut answers = json!({});
    for document in &documents {
        merge(&mut answers, document.value());
    }
    let mut in_arguments = Vec::new();
    for setting in &given.settings {
        let path = set(config, &mut answers, setting, given.read).map_err(|e| {
            let questions = format!("`pitrix app config {}` lists the keys", package.version_id());
            e.during(setting.kind.option()).hint(questions)
        })?;
        if setting.kind != SettingKind::File {
            in_arguments.push(path);
        }
    }
    let complete = config.complete(&Document::from_value("the answers", answers.clone()), recorded)?;
    let mut passwords = complete.passwords.iter().filter(|(_, password)| password.is_some());
    match passwords.find(|(path, _)| in_arguments.contains(&path.as_str())) {
        Some((path, _)) => {
            Err(Error::invalid(format!("`{path}` is a password, and arguments are for everybody to see"))
                .hint("put it into a file that only you can read and give that with `--file`"))
        }
        None => Ok(answers),
    }
}

/// Makes one setting and says which key it was for.
fn set<'a>(
    config: &Config,
    answers: &mut Value,
    setting: &'a Setting,
    read: &dyn Fn(&str) -> Result<Vec<u8>>,
) -> Result<&'a str> {
    let (path, text) = setting
        .text
        .split_once('=')
        .ok_or_else(|| Error::invalid(format!("`{}` is not of the form KEY=VALUE", setting.text)))?;
    match setting.kind {
        SettingKind::Plain => config.set(answers, path, text)?,
        SettingKind::Text => config.set_value(answers, path, text.into())?,
        SettingKind::Json => {
            let value = serde_json::from_str(text)
                .map_err(|e| Error::invalid(format!("the value of `{path}` is not JSON")).caused_by(&e))?;
            config.set_value(answers, path, value)?;
        }
        SettingKind::File => {
            let content = String::from_utf8(read(text)?)
                .map_err(|_| Error::invalid(format!("`{text}`, the value of `{path}`, is not UTF-8")))?;
            // Whatever the kind, a file ends with a line feed that nobody means.
            config.set(answers, path, content.trim_end_matches('\n'))?;
        }
    }
    Ok(path)
}

/// Objects are merged key by key, all else is replaced.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => into.clone_from(from),
    }
}

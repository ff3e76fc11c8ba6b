//! The values of a chart: its defaults, what the charts inside it bring, and what a user gives.

mod changes;
mod coalesce;
mod dependencies;
mod schema;
mod set;
mod tree;

pub(crate) use changes::changed_defaults;
pub(crate) use coalesce::coalesce;
pub(crate) use dependencies::resolve;
pub(crate) use schema::check as check_schemas;
pub(crate) use tree::{from_json, to_json};

use crate::{number, yaml};
use provider_core::{Error, Given, Result, Setting, SettingKind};
use serde_json::{Map, Value};

/// What a user gives for a chart, or a chart's defaults. Numbers from YAML and JSON are floats and those of `--set`
/// are integers, as they are for templates in Helm; null takes a default away.
pub type Values = Map<String, Value>;

/// What an upgrade makes of the values that a release was made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// They stay when nothing new is given, else they are dropped.
    #[default]
    UnlessGiven,
    /// They are dropped.
    Reset,
    /// They stay under what is given, over the defaults of the new chart.
    ResetThenReuse,
}

/// Reads values from the text of the file `name`. Of several documents the later ones win.
///
/// # Errors
/// `Invalid` for what is no YAML, and for documents that are no objects.
pub fn read(name: &str, text: &str) -> Result<Values> {
    let mut values = Values::new();
    for document in yaml::documents(text) {
        match yaml::read_document(name, document)? {
            Value::Null => {}
            Value::Object(map) => {
                let mut map = Value::Object(map);
                number::floats(&mut map);
                merge_json(&mut values, map);
            }
            other => {
                return Err(Error::invalid(format!(
                    "can't read `{name}` as values: expected an object, found {}",
                    crate::chart::kind_of(&other)
                )));
            }
        }
    }
    Ok(values)
}

/// The values that a user gives, with Helm's precedence: files in their order, then `--set-json`, `--set`,
/// `--set-string` and `--set-file`, whatever their order.
///
/// # Errors
/// `Invalid` for what can't be read; what `given` fails with when it reads a file.
pub fn of_user(given: &Given<'_>) -> Result<Values> {
    let mut values = Values::new();
    for (name, content) in &given.files {
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let text = std::str::from_utf8(content)
            .map_err(|_| Error::invalid(format!("can't read `{name}` as values: it is not UTF-8")))?;
        merge_json(&mut values, Value::Object(read(name, text)?));
    }
    let mut settings: Vec<&Setting> = given.settings.iter().collect();
    settings.sort_by_key(|setting| setting.kind);
    for setting in settings {
        let attempt = || format!("can't read `{} {}`", setting.kind.option(), setting.text);
        apply(setting, given, &mut values).map_err(|e| e.during(attempt()))?;
    }
    Ok(values)
}

fn apply(setting: &Setting, given: &Given<'_>, values: &mut Values) -> Result<()> {
    let mut read = |name: &str| {
        let content = (given.read)(name)?;
        String::from_utf8(content).map_err(|_| Error::invalid(format!("the file `{name}` is not UTF-8")))
    };
    let kind = match setting.kind {
        SettingKind::Json if setting.text.trim_start().starts_with('{') => {
            let mut object: Value = serde_json::from_str(&setting.text)
                .map_err(|e| Error::invalid("it is not a JSON object").caused_by(&e))?;
            number::floats(&mut object);
            merge_json(values, object);
            return Ok(());
        }
        SettingKind::Json => set::Kind::Json,
        SettingKind::Plain => set::Kind::Typed,
        SettingKind::Text => set::Kind::Text,
        SettingKind::File => set::Kind::File(&mut read),
    };
    set::parse_into(&setting.text, kind, values)
}

/// The values of an upgrade: `given`, and what stays of `recorded`.
pub fn for_upgrade(reuse: Reuse, given: Values, recorded: &Values) -> Values {
    match reuse {
        Reuse::Reset => given,
        Reuse::UnlessGiven if !given.is_empty() => given,
        Reuse::UnlessGiven => recorded.clone(),
        Reuse::ResetThenReuse => {
            let over = from_json(&given);
            coalesce::tables(&over, &from_json(recorded), coalesce::Nulls::Remove);
            to_json(&over)
        }
    }
}

/// Puts `over` over `values`: objects are merged, everything else is replaced.
fn merge_json(values: &mut Values, over: Value) {
    let Value::Object(over) = over else { return };
    for (key, value) in over {
        match (values.get_mut(&key), value) {
            (Some(Value::Object(own)), value @ Value::Object(_)) => merge_json(own, value),
            (_, value) => {
                values.insert(key, value);
            }
        }
    }
}

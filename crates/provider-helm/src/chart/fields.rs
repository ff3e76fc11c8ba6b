//! A YAML document as Go's JSON decoder fills a struct with it: names may differ in case, null says nothing, and a
//! number or a bool where text is expected is its text.

use crate::number;
use provider_core::{Error, Result};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// An object of a document, and where it is, for messages.
pub(crate) struct Fields<'a> {
    file: &'a str,
    path: String,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The document of `file`, which has to be an object.
    pub(crate) fn of(file: &'a str, document: &'a Value) -> Result<Self> {
        static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        match document {
            // A document of nothing but comments.
            Value::Null => Ok(Self { file, path: String::new(), map: &NOTHING }),
            document => Self::at(file, String::new(), document),
        }
    }

    fn at(file: &'a str, path: String, value: &'a Value) -> Result<Self> {
        match value {
            Value::Object(map) => Ok(Self { file, path, map }),
            other => Err(unexpected(file, &path, "an object", other)),
        }
    }

    /// The field's value unless it is missing or null. An exact name wins over one that differs in case.
    fn get(&self, name: &str) -> Option<&'a Value> {
        let folded = || self.map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        self.map.get(name).or_else(folded).filter(|value| !value.is_null())
    }

    fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn unexpected(&self, name: &str, expected: &str, found: &Value) -> Error {
        unexpected(self.file, &self.path(name), expected, found)
    }

    pub(crate) fn text(&self, name: &str, into: &mut String) -> Result<()> {
        if let Some(value) = self.get(name) {
            *into = text_of(value).ok_or_else(|| self.unexpected(name, "text", value))?;
        }
        Ok(())
    }

    pub(crate) fn flag(&self, name: &str, into: &mut bool) -> Result<()> {
        if let Some(value) = self.get(name) {
            *into = value.as_bool().ok_or_else(|| self.unexpected(name, "true or false", value))?;
        }
        Ok(())
    }

    pub(crate) fn values(&self, name: &str, into: &mut Vec<Value>) -> Result<()> {
        if let Some(value) = self.get(name) {
            *into = value.as_array().ok_or_else(|| self.unexpected(name, "a list", value))?.clone();
        }
        Ok(())
    }

    pub(crate) fn texts(&self, name: &str, into: &mut Vec<String>) -> Result<()> {
        let mut values = Vec::new();
        self.values(name, &mut values)?;
        if self.get(name).is_some() {
            let text = |(at, value): (usize, &Value)| match value {
                Value::Null => Ok(String::new()),
                value => {
                    text_of(value).ok_or_else(|| self.unexpected(&format!("{name}[{at}]"), "text", value))
                }
            };
            *into = values.iter().enumerate().map(text).collect::<Result<_>>()?;
        }
        Ok(())
    }

    pub(crate) fn text_map(&self, name: &str, into: &mut Option<BTreeMap<String, String>>) -> Result<()> {
        let Some(value) = self.get(name) else { return Ok(()) };
        let fields = Self::at(self.file, self.path(name), value)?;
        let mut map = BTreeMap::new();
        for (key, value) in fields.map {
            let text = if value.is_null() { Some(String::new()) } else { text_of(value) };
            map.insert(key.clone(), text.ok_or_else(|| fields.unexpected(key, "text", value))?);
        }
        *into = Some(map);
        Ok(())
    }

    /// The object at `name`, when there is one.
    pub(crate) fn object(&self, name: &str) -> Result<Option<Fields<'a>>> {
        self.get(name).map(|value| Self::at(self.file, self.path(name), value)).transpose()
    }

    pub(crate) fn list<T>(
        &self,
        name: &str,
        into: &mut Vec<T>,
        read: impl Fn(&Fields<'_>) -> Result<T>,
    ) -> Result<()> {
        let Some(value) = self.get(name) else { return Ok(()) };
        let Value::Array(items) = value else { return Err(self.unexpected(name, "a list", value)) };
        let item = |(at, item)| read(&Self::at(self.file, format!("{}[{at}]", self.path(name)), item)?);
        *into = items.iter().enumerate().map(item).collect::<Result<_>>()?;
        Ok(())
    }
}

/// The text of a scalar.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number::text(number)),
        _ => None,
    }
}

fn unexpected(file: &str, path: &str, expected: &str, found: &Value) -> Error {
    let found = kind_of(found);
    let place = if path.is_empty() { String::new() } else { format!("`{path}` in ") };
    Error::invalid(format!("can't read {place}`{file}`: expected {expected}, found {found}"))
}

/// What a value is, in words.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

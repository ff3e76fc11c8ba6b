//! `config.json`: which answers a package asks for, and their rules.

use super::{
    document::{Document, join},
    problems::Problems,
};
use provider_core::{Error, Result};
use regex::Regex;
use serde::{Deserialize, Deserializer, de::Error as _, de::IgnoredAny};
use serde_json::{Map, Number, Value};
use std::{cmp::Ordering, collections::BTreeSet, fmt::Write, num::NonZeroU64};

/// The questions that a package asks, a tree of items. Read by [`Package::load`](super::Package::load).
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) root: Item,
}

/// One question, or a named group of questions (`type` `array`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct Item {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) key: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    pub(super) required: bool,
    #[serde(default)]
    pub(super) default: Option<Value>,
    #[serde(default)]
    min: Option<Number>,
    #[serde(default)]
    max: Option<Number>,
    #[serde(default)]
    step: Option<NonZeroU64>,
    #[serde(default)]
    range: Vec<Value>,
    #[serde(default, deserialize_with = "regex")]
    pattern: Option<Regex>,
    #[serde(default)]
    multichoice: bool,
    #[serde(default = "comma")]
    separator: String,
    #[serde(default = "yes")]
    pub(super) changeable: bool,
    #[serde(default)]
    pub(super) properties: Vec<Item>,
    /// Hints for consoles, which read them from the file itself.
    #[serde(default, rename = "limits")]
    _limits: IgnoredAny,
    #[serde(default, rename = "allowed_operations")]
    _allowed_operations: IgnoredAny,
    #[serde(default, rename = "port")]
    _port: IgnoredAny,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Array,
    String,
    Integer,
    Number,
    Password,
    Boolean,
}

fn comma() -> String {
    ",".to_owned()
}

fn yes() -> bool {
    true
}

fn regex<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Regex>, D::Error> {
    let pattern = Option::<String>::deserialize(from)?.filter(|pattern| !pattern.is_empty());
    let pattern = pattern.map(|pattern| Regex::new(&pattern));
    pattern.transpose().map_err(|_| D::Error::custom("the pattern is not a regular expression"))
}

impl Config {
    /// Takes `config.json` apart and checks that its rules make sense and its defaults keep to them. That a
    /// required value has no default is fine: then it must be given. `cluster.subnet` is never required.
    ///
    /// # Errors
    /// `Invalid` with everything that is wrong, each with line and key path.
    pub(super) fn load(document: &Document) -> Result<Self> {
        let mut root: Item = document.decode()?;
        let mut problems = Problems::default();
        if root.kind != Kind::Array {
            problems.add(document.problem("type", "must be `array` at the top"));
        }
        root.check_rules("", "", document, &mut problems);
        problems.into_result()?;
        // Only the provider knows whether it has networks; it refuses when it checks its resources.
        let cluster = root.properties.iter_mut().filter(|item| item.key == "cluster");
        for subnet in cluster.flat_map(|item| &mut item.properties).filter(|item| item.key == "subnet") {
            subnet.required = false;
        }
        Ok(Self { root })
    }

    /// Every answer at its default.
    pub fn defaults(&self) -> Value {
        self.root.default_value()
    }

    /// The defaults as a file to edit: JSON with a comment above each key that says what it is for, what it
    /// may be, whether it is required and whether it can be changed later. [`Document::read`] reads it back.
    pub fn template(&self) -> String {
        let mut text = String::new();
        self.root.write_template(&mut text, 0);
        text.push('\n');
        text
    }

    /// Puts the value that `text` stands for at `path`, for example `cluster.shard.count` and `5`. The item
    /// says which type it has.
    ///
    /// # Errors
    /// `Invalid` when there is no such item, or it does not allow the value.
    pub fn set(&self, answers: &mut Value, path: &str, text: &str) -> Result<()> {
        let mut item = &self.root;
        let mut slot = answers;
        let mut parent = String::new();
        for key in path.split('.') {
            item = item.child(key).ok_or_else(|| {
                let full = join(&parent, key);
                Error::invalid(format!("`{full}` is not a key of this package{}", self.suggestion(item, key)))
            })?;
            parent = join(&parent, key);
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            slot = &mut slot[key];
        }
        let value = item.parse(text);
        item.check(&value).map_err(|problem| Error::invalid(format!("`{path}` {problem}")))?;
        *slot = value;
        Ok(())
    }

    /// The end of an error about `key`, which `item` does not have: what may have been meant.
    pub(super) fn suggestion(&self, item: &Item, key: &str) -> String {
        let keys = item.properties.iter().map(|child| child.key.as_str());
        let near = keys.clone().map(|known| (distance(known, key), known)).min();
        let mut paths = Vec::new();
        self.root.for_each("", &mut |path, _| paths.push(path.to_owned()));
        let meant = match near {
            Some((distance, known)) if distance <= 1 + key.len() / 4 => Some(known),
            _ => paths.iter().find(|path| path.ends_with(&format!(".{key}"))).map(String::as_str),
        };
        let meant = meant.map(|meant| format!(", did you mean `{meant}`?")).unwrap_or_default();
        let known: Vec<_> = keys.take(12).collect();
        match known.as_slice() {
            [] => format!("{meant}: it has no keys below it"),
            known => format!("{meant}; known here: {}", known.join(", ")),
        }
    }
}

impl Item {
    pub(super) fn child(&self, key: &str) -> Option<&Item> {
        self.properties.iter().find(|child| child.key == key)
    }

    pub(super) fn default_value(&self) -> Value {
        if self.kind == Kind::Array {
            let children = self.properties.iter().map(|item| (item.key.clone(), item.default_value()));
            return Value::Object(children.collect());
        }
        if let Some(default) = &self.default {
            return default.clone();
        }
        let zero = Value::from(0);
        match self.kind {
            Kind::Integer | Kind::Number if self.check(&zero).is_ok() => zero,
            // Zero is not allowed: the first that is.
            Kind::Integer | Kind::Number => match (self.range.first(), &self.min) {
                (Some(first), _) => first.clone(),
                (None, Some(min)) => Value::Number(min.clone()),
                (None, None) => zero,
            },
            Kind::Boolean => false.into(),
            Kind::String | Kind::Password | Kind::Array => "".into(),
        }
    }

    /// Whether it is required and its default is no answer.
    pub(super) fn must_be_given(&self) -> bool {
        self.required && self.default.as_ref().is_none_or(|default| default == "")
    }

    /// Whether it accepts `value`; otherwise what is wrong, without the value of a password.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        let fits = match (self.kind, value) {
            (Kind::Boolean, Value::Bool(_)) => true,
            (Kind::Integer, Value::Number(n)) => !n.is_f64() && self.allows_number(n) && self.allows(value),
            (Kind::Number, Value::Number(n)) => self.allows_number(n) && self.allows(value),
            (Kind::String | Kind::Password, Value::String(text)) => {
                if let Some(odd) = text.chars().find(|c| is_reserved(*c)) {
                    return Err(format!("has the character U+{:04X}, which is not allowed", u32::from(odd)));
                }
                (text.is_empty() && !self.required) || (self.allows_text(text))
            }
            _ => false,
        };
        if fits {
            return Ok(());
        }
        let is = match (self.kind, value) {
            (_, Value::String(text)) if text.is_empty() => "is empty".to_owned(),
            (Kind::Password, _) => "is not allowed as it is".to_owned(),
            _ => format!("is {}", shown(value)),
        };
        Err(format!("{is}, expected {}", self.expected()))
    }

    fn allows_number(&self, n: &Number) -> bool {
        let in_steps = match (self.step, integer(n)) {
            (Some(step), Some(n)) => n % i128::from(step.get()) == 0,
            _ => true,
        };
        let above = self.min.as_ref().is_none_or(|min| compare(n, min) != Ordering::Less);
        let below = self.max.as_ref().is_none_or(|max| compare(n, max) != Ordering::Greater);
        in_steps && above && below
    }

    fn allows_text(&self, text: &str) -> bool {
        let matches = self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text));
        let chosen = if self.multichoice {
            text.split(&self.separator).all(|choice| self.allows(&choice.trim().into()))
        } else {
            self.allows(&text.into())
        };
        matches && chosen && !text.is_empty()
    }

    fn allows(&self, value: &Value) -> bool {
        self.range.is_empty()
            || self.range.iter().any(|allowed| match (allowed, value) {
                (Value::Number(a), Value::Number(b)) => compare(a, b) == Ordering::Equal,
                (a, b) => a == b,
            })
    }

    /// What it accepts, for people: `an integer from 1 to 50`.
    pub(super) fn expected(&self) -> String {
        let mut text = match self.kind {
            Kind::Array => {
                let keys: Vec<_> = self.properties.iter().map(|item| item.key.as_str()).collect();
                return format!("an object with the keys {}", keys.join(", "));
            }
            Kind::Boolean => "true or false".to_owned(),
            _ if !self.range.is_empty() => {
                let values: Vec<_> = self.range.iter().map(shown).collect();
                let one = if self.multichoice { "any" } else { "one" };
                format!("{one} of {}", values.join(", "))
            }
            Kind::Integer => "an integer".to_owned(),
            Kind::Number => "a number".to_owned(),
            Kind::String | Kind::Password => "a string".to_owned(),
        };
        let _ = match (&self.min, &self.max) {
            (Some(min), Some(max)) => write!(text, " from {min} to {max}"),
            (Some(min), None) => write!(text, " of at least {min}"),
            (None, Some(max)) => write!(text, " of at most {max}"),
            (None, None) => Ok(()),
        };
        if let Some(step) = self.step {
            let _ = write!(text, " in steps of {step}");
        }
        if self.multichoice {
            let _ = write!(text, ", separated by `{}`", self.separator);
        }
        if let Some(pattern) = &self.pattern {
            let _ = write!(text, " that matches `{pattern}`");
        }
        text
    }

    /// The value that `text` stands for; where it can't be one of this kind, the text, which no check passes.
    fn parse(&self, text: &str) -> Value {
        let parsed = match self.kind {
            Kind::Integer | Kind::Number | Kind::Boolean => serde_json::from_str(text).ok(),
            Kind::String | Kind::Password | Kind::Array => None,
        };
        parsed.unwrap_or_else(|| text.into())
    }

    /// Calls `each` with every item below this one, and its path.
    pub(super) fn for_each(&self, path: &str, each: &mut impl FnMut(&str, &Item)) {
        for item in &self.properties {
            let path = join(path, &item.key);
            each(&path, item);
            item.for_each(&path, each);
        }
    }

    /// Checks the rules themselves. `path` is the key path, `at` the place in `config.json`.
    fn check_rules(&self, path: &str, at: &str, document: &Document, problems: &mut Problems) {
        let called = if path.is_empty() { String::new() } else { format!(", the item of `{path}`,") };
        let mut wrong = |field: &str, problem: &str| {
            problems.add(format!(
                "{}: `{}`{called} {problem}",
                document.place(&join(at, field)),
                join(at, field)
            ));
        };
        let is_array = self.kind == Kind::Array;
        let is_number = matches!(self.kind, Kind::Integer | Kind::Number);
        let is_text = matches!(self.kind, Kind::String | Kind::Password);
        if is_array == self.properties.is_empty() {
            wrong("properties", "must be there for type `array`, with at least one item, and for no other");
        }
        if !is_number && (self.min.is_some() || self.max.is_some()) {
            wrong("type", "has no order, so that `min` and `max` mean nothing");
        }
        let fraction = |bound: &Option<Number>| bound.as_ref().is_some_and(|n| integer(n).is_none());
        if self.kind == Kind::Integer && (fraction(&self.min) || fraction(&self.max)) {
            wrong("type", "is `integer`, but `min` or `max` is not");
        }
        if self.step.is_some() && self.kind != Kind::Integer {
            wrong("step", "is for integers only");
        }
        if self.pattern.is_some() && !is_text {
            wrong("pattern", "is for texts only");
        }
        if self.multichoice
            && (self.kind != Kind::String || self.range.is_empty() || self.separator.is_empty())
        {
            wrong("multichoice", "needs a string with a `range` and a `separator`");
        }
        if is_array && (self.default.is_some() || !self.range.is_empty()) {
            wrong("type", "is `array`, which has neither `default` nor `range` of its own");
        }
        if !self.range.iter().all(|value| self.is_of_kind(value)) {
            wrong("range", "holds values of another type");
        }
        let default = self.default_value();
        let must_be_given = self.required && (self.default.is_none() || default == "");
        if !is_array
            && !must_be_given
            && let Err(problem) = self.check(&default)
        {
            wrong("default", &problem);
        }
        let mut keys = BTreeSet::new();
        for (i, item) in self.properties.iter().enumerate() {
            let at = format!("{}[{i}]", join(at, "properties"));
            if !is_key(&item.key) {
                let key = shown(&item.key.as_str().into());
                problems.add(
                    document.problem(
                        &join(&at, "key"),
                        format!("is {key}, expected letters, digits, `_` and `-`"),
                    ),
                );
            } else if !keys.insert(&item.key) {
                problems.add(
                    document.problem(&join(&at, "key"), format!("is `{}`, which is there twice", item.key)),
                );
            }
            item.check_rules(&join(path, &item.key), &at, document, problems);
        }
    }

    fn is_of_kind(&self, value: &Value) -> bool {
        match self.kind {
            Kind::Integer => value.is_i64() || value.is_u64(),
            Kind::Number => value.is_number(),
            Kind::String | Kind::Password => value.is_string(),
            Kind::Boolean => value.is_boolean(),
            Kind::Array => true,
        }
    }

    fn write_template(&self, text: &mut String, depth: usize) {
        if self.kind != Kind::Array {
            text.push_str(&self.default_value().to_string());
            return;
        }
        text.push_str("{\n");
        let indent = "  ".repeat(depth + 1);
        for (i, item) in self.properties.iter().enumerate() {
            if i > 0 {
                text.push_str(",\n");
            }
            for line in item.comment().lines() {
                let _ = writeln!(text, "{indent}// {line}");
            }
            let _ = write!(text, "{indent}{}: ", Value::from(item.key.as_str()));
            item.write_template(text, depth + 1);
        }
        let _ = write!(text, "\n{}}}", "  ".repeat(depth));
    }

    fn comment(&self) -> String {
        let mut about: Vec<_> = [self.label.trim(), self.description.trim()].into();
        about.retain(|text| !text.is_empty());
        about.dedup();
        let mut text = about.join(": ");
        if self.kind == Kind::Array {
            return text;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&self.expected());
        if self.required {
            text.push_str("; required");
        }
        if !self.changeable {
            text.push_str("; can't be changed after creation");
        }
        text
    }
}

/// Dots and brackets make paths; keys of env parameters may have dots, but not in a config.
fn is_key(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= 128
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// Control characters but for tab and line ends, and the two that stand around a password's path.
fn is_reserved(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || matches!(c, '\u{e000}' | '\u{e001}')
}

/// A value in an error, cut short.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn integer(n: &Number) -> Option<i128> {
    n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from))
}

/// Exact between integers; a float is only ever compared as a float.
fn compare(a: &Number, b: &Number) -> Ordering {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        // JSON has no NaN.
        _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
    }
}

/// How many letters to insert, remove or replace to turn one key into the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<_> = b.chars().collect();
    let mut row: Vec<_> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;

//! `config.json`: which answers a package asks for, and their rules.

use super::{
    document::{Document, join},
    item::{Item, Kind, integer, shown},
    problems::Problems,
};
use provider_core::{Error, Result};
use serde_json::{Map, Number, Value};
use std::{collections::BTreeSet, fmt::Write};

/// The questions that a package asks, a tree of items. Read by [`Package::load`](super::Package::load).
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) root: Item,
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
        let (item, slot) = self.find(answers, path)?;
        put(item, slot, path, item.parse(text))
    }

    /// As [`set`](Self::set), with a value that has its type.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_value(&self, answers: &mut Value, path: &str, value: Value) -> Result<()> {
        let (item, slot) = self.find(answers, path)?;
        put(item, slot, path, value)
    }

    /// The item at `path`, and the place of its answer.
    fn find<'a>(&self, answers: &'a mut Value, path: &str) -> Result<(&Item, &'a mut Value)> {
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
        Ok((item, slot))
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

fn put(item: &Item, slot: &mut Value, path: &str, value: Value) -> Result<()> {
    item.check(&value).map_err(|problem| Error::invalid(format!("`{path}` {problem}")))?;
    *slot = value;
    Ok(())
}

impl Item {
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

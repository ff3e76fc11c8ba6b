//! JSON text as people write it, with a place for every error.

use provider_core::{Error, Result};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};
use std::{collections::HashMap, fmt};

/// How deep objects and lists may nest.
pub const MAX_DEPTH: usize = 64;

/// A JSON document: its value, what to call it in errors, and on which line each part begins.
///
/// Two things are allowed beyond JSON, in every file of a package and in answers: comments from `//` to the end
/// of the line, and a comma after the last element. Three are refused beyond JSON: a key twice in one object, an
/// integer that 64 bits can't hold, and more than [`MAX_DEPTH`] levels.
#[derive(Clone, Debug)]
pub struct Document {
    name: String,
    value: Value,
    lines: HashMap<String, usize>,
}

impl Document {
    /// Reads `text`; `name` is what errors call it, for example a file's name.
    ///
    /// # Errors
    /// `Invalid` with line and key path of what is wrong.
    pub fn read(name: &str, text: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(text)
            .map_err(|e| Error::invalid(format!("{name} is not UTF-8")).caused_by(&e))?;
        let text = plain(text.trim_start_matches('\u{feff}'));
        let raw: &RawValue = serde_json::from_str(&text).map_err(|e| {
            let line = e.line();
            Error::invalid(format!("{name}:{line}: not JSON: {}", without_position(&e)))
        })?;
        let mut reading = Reading { name, text: &text, lines: HashMap::new(), line: (0, 1) };
        let value = reading.value(raw, "", 0)?;
        Ok(Self { name: name.to_owned(), value, lines: reading.lines })
    }

    /// A document whose text is not at hand: errors have key paths but no lines.
    pub fn from_value(name: &str, value: Value) -> Self {
        Self { name: name.to_owned(), value, lines: HashMap::new() }
    }

    /// The same document with another value in the same places.
    pub(super) fn with_value(&self, value: Value) -> Self {
        Self { value, ..self.clone() }
    }

    /// What it holds.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Where `path` is: name and line, for example `config.json:12`. What is missing is where its parent is.
    pub fn place(&self, path: &str) -> String {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return format!("{}:{line}", self.name);
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None if path.is_empty() => return self.name.clone(),
                None => path = "",
            }
        }
    }

    /// An error about `path`, which is wrong in the way that `problem` says.
    pub fn invalid(&self, path: &str, problem: impl fmt::Display) -> Error {
        Error::invalid(self.problem(path, problem))
    }

    pub(super) fn problem(&self, path: &str, problem: impl fmt::Display) -> String {
        let place = self.place(path);
        if path.is_empty() { format!("{place}: {problem}") } else { format!("{place}: `{path}` {problem}") }
    }

    /// Turns it into a `T`.
    ///
    /// # Errors
    /// `Invalid` naming the line and key path of what does not fit.
    pub(super) fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        serde_path_to_error::deserialize(&self.value).map_err(|e| {
            let path = e.path().to_string();
            let path = if path == "." { "" } else { &path };
            let place = self.place(path);
            let inside = if path.is_empty() { String::new() } else { format!(" in `{path}`") };
            Error::invalid(format!("{place}: {}{inside}", e.inner()))
        })
    }
}

/// The path of `key` below `parent`, as errors show it: `cluster.shard.count`.
pub(super) fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}

/// `text` with blanks instead of comments and of commas before a closing bracket; every byte keeps its place.
fn plain(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut last_comma = None;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                last_comma = None;
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                while at < bytes.len() && bytes[at] != b'\n' {
                    bytes[at] = b' ';
                    at += 1;
                }
            }
            b',' => last_comma = Some(at),
            b'}' | b']' => {
                if let Some(comma) = last_comma.take() {
                    bytes[comma] = b' ';
                }
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => last_comma = None,
        }
        at += 1;
    }
    String::from_utf8(bytes).expect("whole comments and commas became blanks")
}

fn without_position(e: &serde_json::Error) -> String {
    let text = e.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// Takes raw JSON apart level by level; a raw value is a part of the text, so that its line is known.
struct Reading<'a> {
    name: &'a str,
    text: &'a str,
    lines: HashMap<String, usize>,
    /// An offset and its line: what is asked for next lies behind it.
    line: (usize, usize),
}

impl Reading<'_> {
    fn value(&mut self, raw: &RawValue, path: &str, depth: usize) -> Result<Value> {
        let line = self.line_of(raw.get());
        self.lines.insert(path.to_owned(), line);
        let invalid = |problem: &str| Error::invalid(format!("{}:{line}: `{path}` {problem}", self.name));
        let first = raw.get().as_bytes().first();
        if matches!(first, Some(b'{' | b'[')) && depth == MAX_DEPTH {
            let start: String = path.chars().take(60).collect();
            return Err(Error::invalid(format!(
                "{}:{line}: `{start}…` nests deeper than {MAX_DEPTH} levels",
                self.name
            )));
        }
        let not_json = |e: serde_json::Error| {
            Error::invalid(format!("{}:{line}: not JSON: {}", self.name, without_position(&e)))
        };
        match first {
            Some(b'{') => {
                let Entries(entries) = serde_json::from_str(raw.get()).map_err(not_json)?;
                let mut map = Map::new();
                for (key, raw) in entries {
                    let path = join(path, &key);
                    let value = self.value(raw, &path, depth + 1)?;
                    if map.insert(key, value).is_some() {
                        let line = self.lines[&path];
                        return Err(Error::invalid(format!("{}:{line}: `{path}` is there twice", self.name)));
                    }
                }
                Ok(Value::Object(map))
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(not_json)?;
                let items = items.into_iter().enumerate();
                let items = items.map(|(i, raw)| self.value(raw, &format!("{path}[{i}]"), depth + 1));
                Ok(Value::Array(items.collect::<Result<_>>()?))
            }
            _ => {
                let value: Value = serde_json::from_str(raw.get()).map_err(not_json)?;
                if value.is_f64() && !raw.get().contains(['.', 'e', 'E']) {
                    return Err(invalid("is an integer that does not fit in 64 bits"));
                }
                Ok(value)
            }
        }
    }

    /// The line on which `part`, a part of the text, begins.
    fn line_of(&mut self, part: &str) -> usize {
        let offset = part.as_ptr() as usize - self.text.as_ptr() as usize;
        let (known, line) = self.line;
        let newlines = self.text.as_bytes()[known..offset].iter().filter(|byte| **byte == b'\n').count();
        self.line = (offset, line + newlines);
        self.line.1
    }
}

/// The entries of an object in their order, repeated keys included.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        from.deserialize_map(All)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn comments_and_last_commas_are_allowed() {
        let text = "// é\n{\"a\": [1, 2, // two\n ],\n \"url\": \"http://x, ]\\\"//\", }";
        let document = Document::read("f", text.as_bytes()).unwrap();
        assert_eq!(document.value(), &json!({"a": [1, 2], "url": "http://x, ]\"//"}));
    }

    #[test]
    fn places_are_lines_of_the_text() {
        let text = "{\n  \"a\": {\n    \"b\": [\n      true,\n      {\"c\": 1}]}}";
        let document = Document::read("f.json", text.as_bytes()).unwrap();
        let check = |path: &str, line: &str| assert_eq!(document.place(path), line, "{path}");
        check("", "f.json:1");
        check("a", "f.json:2");
        check("a.b[0]", "f.json:4");
        check("a.b[1].c", "f.json:5");
        check("a.b[1].missing", "f.json:5");
        check("a.missing.below", "f.json:2");
        check("other", "f.json:1");
        assert_eq!(Document::from_value("answers", json!({})).place("a.b"), "answers");
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_line() {
        let check = |text: &str, want: &str| {
            let error = Document::read("f", text.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), want, "{text}");
        };
        check("", "f:1: not JSON: EOF while parsing a value");
        check("{\n\"a\": }", "f:2: not JSON: expected value");
        check("{} x", "f:1: not JSON: trailing characters");
        check("[1,,]", "f:1: not JSON: expected value");
        check("{\"a\": 1,\n\"a\": 2}", "f:2: `a` is there twice");
        check("{\"n\":\n18446744073709551616}", "f:2: `n` is an integer that does not fit in 64 bits");
        check("\"\\ud800\"", "f:1: not JSON: unexpected end of hex escape");
    }

    #[test]
    fn deep_json_is_refused_at_the_cap() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Document::read("f", nested(MAX_DEPTH).as_bytes()).is_ok());
        for depth in [MAX_DEPTH + 1, 1_000_000] {
            let error = Document::read("f", nested(depth).as_bytes()).unwrap_err().to_string();
            assert!(error.ends_with("nests deeper than 64 levels"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn every_json_is_read_as_it_is(text in "[\\[\\]{}\",:/ \\na1.e\\\\-]{0,40}") {
            // Whatever serde_json takes, we take as the same, but for repeated keys and large integers.
            if let Ok(want) = serde_json::from_str::<Value>(&text) {
                match Document::read("f", text.as_bytes()) {
                    Ok(document) => prop_assert_eq!(document.value(), &want),
                    Err(e) => prop_assert!(e.to_string().contains("twice") || e.to_string().contains("64 bits")),
                }
            }
        }
    }
}

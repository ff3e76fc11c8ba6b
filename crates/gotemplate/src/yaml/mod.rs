//! YAML as Helm reads and writes it.
//!
//! Reading is YAML 1.1 with the rules of the library that Helm uses, down to the texts of its errors: `yes` is a bool,
//! `0777` is octal, a date is a string, every key becomes a string. Writing is byte for byte what Helm's `toYaml` and
//! `toYamlPretty` write, because charts put checksums over it.
//!
//! No input panics, and none takes more than a bounded stack: nesting is limited to [`MAX_DEPTH`], and aliases that
//! stand for far more than is written are refused.

mod decode;
mod error;
mod order;
mod parser;
mod resolve;
mod scalars;
mod scanner;
mod token;
mod write;

pub use error::Error;
pub use scanner::MAX_DEPTH;
pub(crate) use write::{Node, write, write_pretty};

use decode::{Documents, Options};
use serde_json::Value;

/// Reads the first document of a text; an empty text is null. Of a key that comes twice the last one counts, which is
/// how Helm reads values.
///
/// Integers stay integers in the result, though Helm makes a float of every number; see
/// [`Value::from_json`](crate::Value::from_json).
///
/// # Errors
///
/// The text is not YAML, or has a value that JSON can't hold.
pub fn parse(text: &str) -> Result<Value, Error> {
    Ok(Documents::new(text, Options::default())?.next()?.unwrap_or_default())
}

/// Reads the first document of a text and refuses a key that comes twice.
///
/// # Errors
///
/// As [`parse`], and for every key that comes twice.
pub fn parse_strict(text: &str) -> Result<Value, Error> {
    Ok(Documents::new(text, Options { unique_keys: true })?.next()?.unwrap_or_default())
}

/// Reads all documents of a text. Empty documents are null.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_all(text: &str) -> Result<Vec<Value>, Error> {
    let mut documents = Documents::new(text, Options::default())?;
    let mut values = Vec::new();
    while let Some(value) = documents.next()? {
        values.push(value);
    }
    Ok(values)
}

/// Reads the first document of a text as Go reads YAML into `any`: every number becomes a float, also a whole one.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_as_floats(text: &str) -> Result<Value, Error> {
    parse(text).map(all_floats)
}

fn all_floats(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(items) => items.into_iter().map(all_floats).collect(),
        Value::Object(entries) => entries.into_iter().map(|(key, value)| (key, all_floats(value))).collect(),
        other => other,
    }
}

/// A number that JSON has as this text, as it is when it is read again as YAML: an integer if it looks like one.
pub(crate) fn number_node(json: &str) -> Node {
    match resolve::resolve(json, resolve::Dialect::V2, false) {
        resolve::Scalar::Integer(number) => Node::Integer(number),
        resolve::Scalar::Unsigned(number) => Node::Unsigned(number),
        resolve::Scalar::Float(number) => Node::Float(number),
        _ => Node::Text(json.to_owned()),
    }
}

//! YAML as Helm reads and writes it.
//!
//! Reading is YAML 1.1 with the rules of the library that Helm uses, down to the texts of its errors: `yes` is a bool,
//! `0777` is octal, a date is a string, every key becomes a string. Writing is byte for byte what Helm's `toYaml` and
//! `toYamlPretty` write, because charts put checksums over it.
//!
//! No input panics, and none takes more than a bounded stack: nesting is limited to [`MAX_DEPTH`], and aliases that
//! stand for far more than is written are refused.

mod characters;
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_keep_their_kind_or_all_become_floats() {
        let text = "a: 20230101\nb: 1.0\nc: 18446744073709551615\nd: 0x10\ne: [1, 1e3]\n";
        let value = parse(text).unwrap();
        assert_eq!(value, json!({"a": 20_230_101, "b": 1.0, "c": u64::MAX, "d": 16, "e": [1, 1000.0]}));
        let floats = parse_as_floats(text).unwrap();
        assert_eq!(floats["a"], json!(20_230_101.0));
        assert_eq!(floats["e"], json!([1.0, 1000.0]));
    }

    #[test]
    fn documents_are_read_one_or_all() {
        let text = "a: 1\n---\n# nothing\n---\n- b\n...\n";
        assert_eq!(parse(text).unwrap(), json!({"a": 1}));
        assert_eq!(parse_all(text).unwrap(), [json!({"a": 1}), json!(null), json!(["b"])]);
        assert_eq!(parse("").unwrap(), json!(null));
        assert_eq!(parse_all("").unwrap(), Vec::<Value>::new());
    }

    #[test]
    fn a_key_that_comes_twice_counts_last_or_is_refused() {
        let text = "a: 1\nb: 2\na: 3\n";
        assert_eq!(parse(text).unwrap(), json!({"a": 3, "b": 2}));
        let error = parse_strict(text).unwrap_err();
        assert_eq!(error.line(), Some(3));
        assert_eq!(error.helm_text(), "yaml: unmarshal errors:\n  line 3: key \"a\" already set in map");
    }

    #[test]
    fn errors_say_where_they_are() {
        fn check(text: &str, shown: &str) {
            assert_eq!(parse(text).unwrap_err().to_string(), shown, "{text}");
        }
        check("a: b: c", "line 1, column 5: mapping values are not allowed in this context");
        check("a:\n  - b\n c: d\n", "line 3, column 2: did not find expected key");
        check("a: *x", "unknown anchor 'x' referenced");
        check("a: \u{1}", "control characters are not allowed");
    }
}

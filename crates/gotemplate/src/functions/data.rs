//! JSON and YAML in templates.

use super::args::Answer;
use super::json::{Layout, decode, encode};
use crate::call::{Call, Entry, FunctionError};
use crate::kind::{Element, Kind, MapType};
use crate::map::{List, Map};
use crate::runtime::Runtime;
use crate::value::Value;
use crate::yaml::{self, Node};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::exact("fromJson", 1, from_json),
    Entry::exact("fromJsonArray", 1, from_json_array),
    Entry::exact("fromYaml", 1, from_yaml),
    Entry::exact("fromYamlArray", 1, from_yaml_array),
    Entry::exact("mustFromJson", 1, must_from_json),
    Entry::exact("mustToJson", 1, must_to_json),
    Entry::exact("mustToPrettyJson", 1, must_to_pretty_json),
    Entry::exact("mustToRawJson", 1, to_raw_json),
    Entry::exact("mustToYaml", 1, must_to_yaml),
    Entry::exact("toJson", 1, to_json),
    Entry::exact("toPrettyJson", 1, to_pretty_json),
    Entry::exact("toRawJson", 1, to_raw_json),
    Entry::exact("toYaml", 1, to_yaml),
    Entry::exact("toYamlPretty", 1, to_yaml_pretty),
];

/// What a function without `must` returns instead of failing. A limit is not to be swallowed.
fn or_empty(text: Result<String, FunctionError>) -> Answer {
    match text {
        Err(FunctionError::Failed(_)) => Ok("".into()),
        other => other.map(Value::from),
    }
}

fn json(call: &Call<'_>, layout: Layout) -> Result<String, FunctionError> {
    encode(call.value(0), layout, call.runtime())
}

fn to_json(call: &mut Call<'_>) -> Answer {
    or_empty(json(call, Layout { html: true, pretty: false }))
}

fn must_to_json(call: &mut Call<'_>) -> Answer {
    json(call, Layout { html: true, pretty: false }).map(Value::from)
}

fn to_pretty_json(call: &mut Call<'_>) -> Answer {
    or_empty(json(call, Layout { html: true, pretty: true }))
}

fn must_to_pretty_json(call: &mut Call<'_>) -> Answer {
    json(call, Layout { html: true, pretty: true }).map(Value::from)
}

fn to_raw_json(call: &mut Call<'_>) -> Answer {
    json(call, Layout { html: false, pretty: false }).map(Value::from)
}

fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "null",
        Value::Bool(_) => "bool",
        Value::Integer(..) | Value::Float(_) => "number",
        Value::List(_) => "array",
        Value::Map(_) => "object",
        _ => "string",
    }
}

/// Either the value as a map, or Go's complaint.
fn as_map(value: Value) -> Result<Value, String> {
    match value {
        Value::Map(_) => Ok(value),
        Value::Nil => Ok(Value::map::<&str>([])),
        other => Err(format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            go_kind(&other)
        )),
    }
}

fn as_list(value: Value) -> Result<Value, String> {
    match value {
        Value::List(_) => Ok(value),
        Value::Nil => Ok(List::nil(Element::Any).into()),
        other => {
            Err(format!("json: cannot unmarshal {} into Go value of type []interface {{}}", go_kind(&other)))
        }
    }
}

fn error_map(message: String) -> Value {
    Value::map([("Error", Value::from(message))])
}

fn error_list(message: String) -> Value {
    Value::list(vec![message.into()])
}

/// What is read, converted; else the message of the error, wrapped.
fn converted(read: Answer, convert: fn(Value) -> Result<Value, String>, wrap: fn(String) -> Value) -> Answer {
    match read {
        Ok(value) => Ok(convert(value).unwrap_or_else(wrap)),
        Err(FunctionError::Failed(message)) => Ok(wrap(message)),
        Err(error) => Err(error),
    }
}

fn from_json(call: &mut Call<'_>) -> Answer {
    let convert = |value| match value {
        Value::Nil => Ok(Map::nil(MapType::Any).into()),
        other => as_map(other),
    };
    converted(decode(call.bytes(0)?, call.runtime()), convert, error_map)
}

fn from_json_array(call: &mut Call<'_>) -> Answer {
    converted(decode(call.bytes(0)?, call.runtime()), as_list, error_list)
}

fn must_from_json(call: &mut Call<'_>) -> Answer {
    decode(call.bytes(0)?, call.runtime())
}

/// Reads YAML as a value of which every number is a float.
fn read_yaml(call: &Call<'_>) -> Answer {
    let bytes = call.bytes(0)?;
    call.allocate(bytes.len())?;
    // What takes time is structure: there are charts that read megabytes of CRDs, most of them prose.
    let marks = bytes.iter().filter(|byte| b"\n-:,?[{&*".contains(byte)).count();
    call.spend(96 + bytes.len() / 8 + marks * 4)?;
    let text = std::str::from_utf8(bytes).map_err(|_| {
        FunctionError::failed("error converting YAML to JSON: yaml: invalid leading UTF-8 octet")
    })?;
    match yaml::parse(text) {
        Ok(json) => Ok(floats(&json)),
        Err(error) => {
            Err(FunctionError::Failed(format!("error converting YAML to JSON: {}", error.helm_text())))
        }
    }
}

/// A value from JSON in which all numbers become floats, as Go decodes JSON into `interface {}`.
fn floats(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Number(number) => Value::Float(number.as_f64().unwrap_or_default()),
        serde_json::Value::Array(items) => Value::list(items.iter().map(floats).collect()),
        serde_json::Value::Object(entries) => {
            Value::map(entries.iter().map(|(key, value)| (key.as_str(), floats(value))))
        }
        other => Value::from_json(other),
    }
}

const DECODING: &str = "error unmarshaling JSON: while decoding JSON: ";

fn from_yaml(call: &mut Call<'_>) -> Answer {
    converted(read_yaml(call), |value| as_map(value).map_err(|error| format!("{DECODING}{error}")), error_map)
}

fn from_yaml_array(call: &mut Call<'_>) -> Answer {
    let convert = |value| match value {
        Value::Nil => Ok(Value::list(Vec::new())),
        other => as_list(other).map_err(|error| format!("{DECODING}{error}")),
    };
    converted(read_yaml(call), convert, error_list)
}

/// YAML without the newline at its end.
fn trimmed(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
    }
    text
}

/// Helm writes JSON first and reads that as YAML, which shows in a few characters and in very long keys.
pub(super) fn yaml_by_json(call: &Call<'_>) -> Result<String, FunctionError> {
    let runtime = call.runtime();
    let json = encode(call.value(0), Layout { html: true, pretty: false }, runtime)
        .map_err(|error| prefixed(error, "error marshaling into JSON: "))?;
    call.spend(json.len())?;
    let odd = |character| matches!(character, '\u{7f}'..='\u{9f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    let node = if json.contains(odd) || has_long_key(call.value(0)) {
        let value = yaml::parse(&json).map_err(|error| {
            FunctionError::Failed(format!("error converting JSON to YAML: {}", error.helm_text()))
        })?;
        json_node(&Value::from_json(&value), runtime, 0)?
    } else {
        json_node(call.value(0), runtime, 0)?
    };
    let text = trimmed(yaml::write(&node));
    call.allocate(text.len())?;
    Ok(text)
}

fn prefixed(error: FunctionError, prefix: &str) -> FunctionError {
    match error {
        FunctionError::Failed(message) => FunctionError::Failed(format!("{prefix}{message}")),
        other => other,
    }
}

/// Whether a key is so long that it is not found again in the JSON. The depth was checked before.
fn has_long_key(value: &Value) -> bool {
    match value {
        Value::List(list) => list.items().iter().any(has_long_key),
        Value::Map(map) => map.entries().iter().any(|(key, value)| key.len() > 150 || has_long_key(value)),
        _ => false,
    }
}

/// A value as JSON says it.
fn json_node(value: &Value, runtime: &Runtime, depth: usize) -> Result<Node, FunctionError> {
    runtime.descend(depth)?;
    Ok(match value {
        Value::Nil => Node::Null,
        Value::Bool(bool) => Node::Bool(*bool),
        Value::Integer(_, number) => Node::Integer(*number),
        // A float that is written like an integer comes back as one.
        Value::Float(number) => yaml::number_node(&crate::number::json_float(*number).unwrap_or_default()),
        Value::String(text) => Node::Text(text.to_string()),
        Value::RawString(bytes) => Node::Text(crate::unicode::lossy(bytes).into_owned()),
        Value::Bytes(bytes) => Node::Text(super::base64::encode(bytes)),
        Value::List(list) if list.is_nil() => Node::Null,
        Value::List(list) => {
            let items = list.items().iter().map(|item| json_node(item, runtime, depth + 1));
            Node::Sequence(items.collect::<Result<_, _>>()?)
        }
        Value::Map(map) if map.is_nil() => Node::Null,
        Value::Map(map) => {
            let entries = map.entries().into_iter();
            let entries =
                entries.map(|(key, value)| Ok((key.to_string(), json_node(&value, runtime, depth + 1)?)));
            Node::Mapping(entries.collect::<Result<_, FunctionError>>()?)
        }
        Value::Object(object) => json_node(&object.data(), runtime, depth + 1)?,
    })
}

/// A value as the library behind `toYamlPretty` takes it, without JSON between.
fn pretty_node(value: &Value, runtime: &Runtime, depth: usize) -> Result<Node, FunctionError> {
    runtime.descend(depth)?;
    Ok(match value {
        Value::Float(number) => Node::Float(*number),
        Value::RawString(bytes) => Node::Binary(bytes.to_vec()),
        Value::Bytes(bytes) => Node::Sequence(bytes.iter().map(|&byte| Node::Integer(byte.into())).collect()),
        Value::List(list) => {
            let items = list.items().iter().map(|item| pretty_node(item, runtime, depth + 1));
            Node::Sequence(items.collect::<Result<_, _>>()?)
        }
        Value::Map(map) => {
            let entries = map.entries().into_iter();
            let entries =
                entries.map(|(key, value)| Ok((key.to_string(), pretty_node(&value, runtime, depth + 1)?)));
            Node::Mapping(entries.collect::<Result<_, FunctionError>>()?)
        }
        Value::Object(object) => {
            match super::time::yaml_text(value) {
                Some((text, true)) => return Ok(Node::Verbatim(text)),
                Some((text, false)) => return Ok(Node::Text(text)),
                None => {}
            }
            let mut node = pretty_node(&object.data(), runtime, depth + 1)?;
            if let (Node::Mapping(entries), Kind::Struct | Kind::Pointer) = (&mut node, object.kind()) {
                for (key, _) in entries {
                    *key = key.to_lowercase();
                }
            }
            node
        }
        other => json_node(other, runtime, depth)?,
    })
}

fn to_yaml(call: &mut Call<'_>) -> Answer {
    or_empty(yaml_by_json(call))
}

fn must_to_yaml(call: &mut Call<'_>) -> Answer {
    yaml_by_json(call).map(Value::from)
}

fn to_yaml_pretty(call: &mut Call<'_>) -> Answer {
    let text = trimmed(yaml::write_pretty(&pretty_node(call.value(0), call.runtime(), 0)?));
    call.allocate(text.len())?;
    call.spend(text.len() * 3 / 2)?;
    Ok(text.into())
}

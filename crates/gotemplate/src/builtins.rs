//! The functions of `text/template` itself, and those of Helm that are part of the engine.

use std::cmp::Ordering;

use crate::call::{Call, Entry, FunctionError};
use crate::format::{sprint, sprintf};
use crate::kind::Kind;
use crate::runtime::Runtime;
use crate::value::Value;

/// What is always there. `and` and `or` are compiled away where nobody replaces them.
pub(crate) const BUILTINS: &[Entry] = &[
    Entry::variadic("and", 1, and),
    Entry::variadic("call", 1, call),
    Entry::variadic("eq", 1, eq),
    Entry::exact("ge", 2, ge),
    Entry::exact("gt", 2, gt),
    Entry::variadic("html", 0, html),
    Entry::variadic("index", 1, index),
    Entry::variadic("js", 0, js),
    Entry::exact("le", 2, le),
    Entry::exact("len", 1, len),
    Entry::exact("lt", 2, lt),
    Entry::exact("ne", 2, ne),
    Entry::exact("not", 1, not),
    Entry::variadic("or", 1, or),
    Entry::variadic("print", 0, print),
    Entry::variadic("printf", 1, printf),
    Entry::variadic("println", 0, println),
    Entry::variadic("slice", 1, slice),
    Entry::variadic("urlquery", 0, urlquery),
];

/// What Helm adds to the engine; `include` and `tpl` are carried out by it.
pub(crate) const ENGINE: &[Entry] = &[
    Entry::exact("fail", 1, fail),
    Entry::exact("include", 2, by_the_engine),
    Entry::exact("lookup", 4, lookup),
    Entry::exact("required", 2, required),
    Entry::exact("tpl", 2, by_the_engine),
];

fn by_the_engine(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    Err(FunctionError::failed(format_args!("{} works inside a template only", call.name())))
}

fn fail(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    Err(FunctionError::Refused(call.string(0)?.to_string()))
}

fn required(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    let message = call.string(0)?;
    match call.value(1) {
        Value::Nil => Err(FunctionError::Refused(message.to_string())),
        Value::String(text) if text.is_empty() => Err(FunctionError::Refused(message.to_string())),
        value => Ok(value.clone()),
    }
}

fn lookup(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    call.runtime().lookup(&call.string(0)?, &call.string(1)?, &call.string(2)?, &call.string(3)?)
}

fn and(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    let last = call.args().len() - 1;
    Ok(call.args().iter().find(|value| !value.truth()).unwrap_or(&call.args()[last]).clone())
}

fn or(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    let last = call.args().len() - 1;
    Ok(call.args().iter().find(|value| value.truth()).unwrap_or(&call.args()[last]).clone())
}

fn not(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    Ok((!call.value(0).truth()).into())
}

fn call(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    // The first is how the callee is written, nil when it came through the pipeline; no template can get at a function.
    let (written, callee) = (call.value(0), call.value(1));
    let name = match (written.as_str(), callee) {
        (Some(name), _) => name.to_owned(),
        (None, Value::String(text)) => text.to_string(),
        (None, _) => format!("<{} Value>", callee.type_name()),
    };
    Err(match callee {
        Value::Nil => FunctionError::failed("call of nil"),
        other => FunctionError::failed(format_args!("non-function {name} of type {}", other.type_name())),
    })
}

fn len(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    let length = match call.value(0) {
        Value::Nil => return Err(FunctionError::failed("len of nil pointer")),
        Value::List(list) => list.items().len(),
        Value::Map(map) => map.len(),
        Value::Object(object) => match object.entries() {
            Some(entries) => entries.len(),
            None => return Err(FunctionError::failed(format_args!("len of type {}", object.type_name()))),
        },
        other => match other.as_bytes() {
            Some(bytes) => bytes.len(),
            None => return Err(FunctionError::failed(format_args!("len of type {}", other.type_name()))),
        },
    };
    Ok(Value::int(i64::try_from(length).unwrap_or(i64::MAX)))
}

const PAST_SLICE: Option<&str> = Some("reflect: slice index out of range");
const PAST_STRING: Option<&str> = Some("reflect: string index out of range");

fn index(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    let mut item = call.value(0).clone();
    if item.is_nil() {
        return Err(FunctionError::failed("index of untyped nil"));
    }
    for key in &call.args()[1..] {
        item = match &item {
            Value::Nil => return Err(FunctionError::failed("index of nil pointer")),
            Value::Map(map) => match (key, map.map_type()) {
                (Value::Nil, _) => {
                    return Err(FunctionError::failed("value is nil; should be of type string"));
                }
                (key, map_type) => match key.as_str() {
                    Some(key) => map.get(key).unwrap_or_else(|| Value::missing_in(map_type)),
                    None => {
                        return Err(FunctionError::failed(format_args!(
                            "value has type {}; should be string",
                            key.type_name()
                        )));
                    }
                },
            },
            Value::List(list) => list.items()[position(key, list.items().len(), PAST_SLICE)?].clone(),
            Value::Object(object) => match (key.as_str(), object.entries()) {
                (Some(key), _) if object.is_map() => object.field(key).unwrap_or_default(),
                (_, Some(entries)) => entries[position(key, entries.len(), PAST_SLICE)?].1.clone(),
                _ => return Err(not_indexable(&item)),
            },
            other => match other.as_bytes() {
                Some(bytes) => {
                    let byte = bytes[position(key, bytes.len(), PAST_STRING)?];
                    Value::Integer(crate::kind::Integer::Uint8, byte.into())
                }
                None => return Err(not_indexable(other)),
            },
        };
    }
    Ok(item)
}

fn not_indexable(value: &Value) -> FunctionError {
    FunctionError::failed(format_args!("can't index item of type {}", value.type_name()))
}

/// An index of a slice; with `inclusive` it may also be its end.
/// The place that `key` names. Go lets the length itself pass; `past` is what it says when nothing is there.
fn position(key: &Value, length: usize, past: Option<&str>) -> Result<usize, FunctionError> {
    match key {
        Value::Integer(_, number) => match (usize::try_from(*number), past) {
            (Ok(index), Some(past)) if index == length => Err(FunctionError::failed(past)),
            (Ok(index), _) if index <= length => Ok(index),
            _ => Err(FunctionError::failed(format_args!("index out of range: {number}"))),
        },
        Value::Nil => Err(FunctionError::failed("cannot index slice/array with nil")),
        other => Err(FunctionError::failed(format_args!(
            "cannot index slice/array with type {}",
            other.type_name()
        ))),
    }
}

fn slice(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    let item = call.value(0);
    let bounds = &call.args()[1..];
    let is_text = matches!(item, Value::String(_) | Value::RawString(_));
    if bounds.len() > 3 {
        return Err(FunctionError::failed(format_args!("too many slice indexes: {}", bounds.len())));
    }
    if is_text && bounds.len() == 3 {
        return Err(FunctionError::failed("cannot 3-index slice a string"));
    }
    let length = match item {
        Value::Nil => return Err(FunctionError::failed("slice of untyped nil")),
        Value::List(list) => list.items().len(),
        other => match other.as_bytes() {
            Some(bytes) => bytes.len(),
            None => {
                return Err(FunctionError::failed(format_args!(
                    "can't slice item of type {}",
                    other.type_name()
                )));
            }
        },
    };
    let mut ends = [0, length, length];
    for (end, bound) in ends.iter_mut().zip(bounds) {
        *end = position(bound, length, None)?;
    }
    let [from, to, max] = ends;
    if from > to || to > max {
        return Err(FunctionError::failed(format_args!("invalid slice index: {from} > {to}")));
    }
    Ok(match item {
        Value::List(list) => crate::map::List::of(list.element(), list.items()[from..to].to_vec()).into(),
        Value::Bytes(bytes) => Value::Bytes(bytes[from..to].into()),
        other => Value::string(&other.as_bytes().unwrap_or_default()[from..to]),
    })
}

/// Go's basic kinds: within one, values can be compared.
#[derive(PartialEq)]
enum Basic {
    None,
    Bool,
    Integer,
    Unsigned,
    Float,
    String,
}

fn basic(value: &Value) -> Basic {
    match value.kind() {
        Kind::Bool => Basic::Bool,
        Kind::Integer(integer) if integer.unsigned() => Basic::Unsigned,
        Kind::Integer(_) => Basic::Integer,
        Kind::Float64 => Basic::Float,
        Kind::String => Basic::String,
        _ => Basic::None,
    }
}

fn equal(one: &Value, two: &Value, runtime: &Runtime) -> Result<bool, FunctionError> {
    let (basic_one, basic_two) = (basic(one), basic(two));
    match (one, two) {
        (Value::Integer(_, one), Value::Integer(_, two)) => return Ok(one == two),
        (Value::Nil, _) | (_, Value::Nil) => return Ok(one.is_nil() && two.is_nil()),
        _ if basic_one != basic_two => return Err(incompatible(one, two)),
        _ => {}
    }
    Ok(match (one, two) {
        (Value::Bool(one), Value::Bool(two)) => one == two,
        (Value::Float(one), Value::Float(two)) => one == two,
        (Value::Object(one), Value::Object(two)) => one.equal(&**two),
        _ if basic_one == Basic::String => one.as_bytes() == two.as_bytes(),
        _ => {
            let shown = sprintf("%s", std::slice::from_ref(one), runtime)?;
            let shown = String::from_utf8_lossy(&shown);
            return Err(FunctionError::failed(format_args!(
                "non-comparable type {shown}: {}",
                one.type_name()
            )));
        }
    })
}

fn incompatible(one: &Value, two: &Value) -> FunctionError {
    let (one, two) = (one.type_name(), two.type_name());
    FunctionError::failed(format_args!("incompatible types for comparison: {one} and {two}"))
}

fn eq(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    let [first, others @ ..] = call.args() else {
        return Err(FunctionError::failed("missing argument for comparison"));
    };
    if others.is_empty() {
        return Err(FunctionError::failed("missing argument for comparison"));
    }
    for other in others {
        if equal(first, other, call.runtime())? {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

fn ne(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    Ok((!equal(call.value(0), call.value(1), call.runtime())?).into())
}

fn less(one: &Value, two: &Value) -> Result<bool, FunctionError> {
    let order = match (one, two) {
        (Value::Integer(_, one), Value::Integer(_, two)) => Some(one.cmp(two)),
        (Value::Float(one), Value::Float(two)) => one.partial_cmp(two),
        _ if basic(one) != basic(two) => return Err(incompatible(one, two)),
        _ if basic(one) == Basic::String => Some(one.as_bytes().cmp(&two.as_bytes())),
        _ => return Err(FunctionError::failed("invalid type for comparison")),
    };
    Ok(order == Some(Ordering::Less))
}

fn lt(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    Ok(less(call.value(0), call.value(1))?.into())
}

fn le(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    let (one, two) = (call.value(0), call.value(1));
    Ok((less(one, two)? || equal(one, two, call.runtime())?).into())
}

fn gt(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    let (one, two) = (call.value(0), call.value(1));
    Ok((!less(one, two)? && !equal(one, two, call.runtime())?).into())
}

fn ge(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    Ok((!less(call.value(0), call.value(1))?).into())
}

fn print(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    Ok(Value::string(sprint(call.args(), call.runtime())?))
}

fn println(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    let mut out = Vec::new();
    for (position, value) in call.args().iter().enumerate() {
        if position > 0 {
            out.push(b' ');
        }
        out.extend(sprint(std::slice::from_ref(value), call.runtime())?);
    }
    out.push(b'\n');
    Ok(Value::string(out))
}

fn printf(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    let format = call.string(0)?;
    Ok(Value::string(sprintf(&format, &call.args()[1..], call.runtime())?))
}

/// The text of the arguments, as `html`, `js` and `urlquery` take it.
fn text(call: &Call<'_>) -> Result<String, FunctionError> {
    let bytes = match call.args() {
        [value] if value.as_bytes().is_some() && !matches!(value, Value::Bytes(_)) => {
            value.as_bytes().unwrap_or_default().to_vec()
        }
        args => sprint(args, call.runtime())?,
    };
    call.allocate(bytes.len() * 6)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn html(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    let mut out = String::new();
    for char in text(call)?.chars() {
        match char {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            char => out.push(char),
        }
    }
    Ok(out.into())
}

fn js(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    let mut out = String::new();
    for char in text(call)?.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(char))),
            char if char < ' ' => out.push_str(&format!("\\u{:04X}", u32::from(char))),
            char if char.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(char))),
            char => out.push(char),
        }
    }
    Ok(out.into())
}

fn urlquery(call: &mut Call<'_>) -> Result<Value, FunctionError> {
    let mut out = String::new();
    for byte in text(call)?.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(out.into())
}

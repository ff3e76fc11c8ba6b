//! Writes TOML as the library of Helm does: tables after everything else, indented by two spaces per level.

use std::fmt::Write;
use std::rc::Rc;

use crate::call::FunctionError;
use crate::functions::{base64, time};
use crate::map::Map;
use crate::runtime::Runtime;
use crate::value::Value;

/// What may go wrong: a limit outside, what TOML can't hold inside.
type Written<T> = Result<Result<T, String>, FunctionError>;

/// Gives up on what TOML can't hold, as `?` does on limits.
macro_rules! check {
    ($written:expr) => {
        match $written? {
            Ok(value) => value,
            Err(message) => return Ok(Err(message)),
        }
    };
}

/// Writes a value. A table is a document; some other values can be written alone.
pub(super) fn document(value: &Value, runtime: &Runtime) -> Written<String> {
    let mut writer = Writer { out: String::new(), runtime };
    match value {
        Value::Map(map) => check!(writer.table(&mut Vec::new(), map, 0)),
        Value::List(list) if is_array_of_tables(list.items()) => {
            return Ok(Err("toml: top-level values must be Go maps or structs".to_owned()));
        }
        Value::Object(object) if matches!(object.data(), Value::Map(_)) => {
            if let Value::Map(map) = object.data() {
                check!(writer.table(&mut Vec::new(), &map, 0));
            }
        }
        other => check!(writer.value(other, 0)),
    }
    Ok(Ok(writer.out))
}

struct Writer<'r> {
    out: String,
    runtime: &'r Runtime,
}

/// What is written as a table: a map, or an object that is one.
fn as_map(value: &Value) -> Option<Map> {
    match value {
        Value::Map(map) => Some(map.clone()),
        Value::Object(object) if time::yaml_text(value).is_none() => match object.data() {
            Value::Map(map) => Some(map),
            _ => None,
        },
        _ => None,
    }
}

fn is_array_of_tables(items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(|item| as_map(item).is_some())
}

fn is_absent(value: &Value) -> bool {
    match value {
        Value::Nil => true,
        Value::List(list) => list.is_nil(),
        _ => false,
    }
}

type Entries = Vec<(Rc<str>, Value)>;

/// The entries that need no header, and those that do.
fn parted(map: &Map) -> (Entries, Entries) {
    let present = map.entries().into_iter().filter(|(_, value)| !is_absent(value));
    present.partition(|(_, value)| match value {
        Value::List(list) => !is_array_of_tables(list.items()),
        other => as_map(other).is_none(),
    })
}

impl Writer<'_> {
    fn indent(&mut self, path: &[String]) {
        for _ in 1..path.len() {
            self.out.push_str("  ");
        }
    }

    /// The entries of a table: first those that need no header, then the tables in it.
    fn table(&mut self, path: &mut Vec<String>, map: &Map, depth: usize) -> Written<()> {
        self.runtime.descend(depth)?;
        let (simple, tables) = parted(map);
        for (key, value) in simple {
            path.push(quoted_key(&key));
            self.indent(path);
            let _ = write!(self.out, "{} = ", quoted_key(&key));
            check!(self.value(&value, depth + 1));
            self.out.push('\n');
            path.pop();
        }
        for (key, value) in tables {
            path.push(quoted_key(&key));
            if let Value::List(list) = &value {
                for item in list.items() {
                    self.line_before_header();
                    self.indent(path);
                    let _ = writeln!(self.out, "[[{}]]", path.join("."));
                    if let Some(map) = as_map(item) {
                        check!(self.table(path, &map, depth + 2));
                    }
                }
            } else if let Some(map) = as_map(&value) {
                if path.len() == 1 {
                    self.line_before_header();
                }
                self.indent(path);
                let _ = writeln!(self.out, "[{}]", path.join("."));
                check!(self.table(path, &map, depth + 1));
            }
            path.pop();
        }
        Ok(Ok(()))
    }

    fn line_before_header(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    /// A value in a line.
    fn value(&mut self, value: &Value, depth: usize) -> Written<()> {
        self.runtime.descend(depth)?;
        self.runtime.check_size(self.out.len())?;
        if let Some((text, plain)) = time::yaml_text(value) {
            self.out.push_str(&if plain { text } else { quoted(&text) });
            return Ok(Ok(()));
        }
        match value {
            Value::Nil => self.out.push_str("nil"),
            Value::Bool(bool) => self.out.push_str(if *bool { "true" } else { "false" }),
            Value::Integer(_, number) => {
                let _ = write!(self.out, "{number}");
            }
            Value::Float(number) => self.out.push_str(&float(*number)),
            Value::String(text) => self.out.push_str(&quoted(text)),
            Value::RawString(bytes) => self.out.push_str(&quoted(&crate::unicode::lossy(bytes))),
            Value::Bytes(bytes) => self.out.push_str(&quoted(&base64::encode(bytes))),
            Value::List(list) => {
                self.out.push('[');
                for (index, item) in list.items().iter().enumerate() {
                    if index > 0 {
                        self.out.push_str(", ");
                    }
                    if is_absent(item) {
                        return Ok(Err("toml: cannot encode array with nil element".to_owned()));
                    }
                    check!(self.value(item, depth + 1));
                }
                self.out.push(']');
            }
            Value::Map(map) => {
                self.out.push('{');
                let (simple, tables) = parted(map);
                for (index, (key, value)) in simple.into_iter().chain(tables).enumerate() {
                    if index > 0 {
                        self.out.push_str(", ");
                    }
                    let _ = write!(self.out, "{} = ", quoted_key(&key));
                    check!(self.value(&value, depth + 1));
                }
                self.out.push('}');
            }
            Value::Object(object) => check!(self.value(&object.data(), depth + 1)),
        }
        Ok(Ok(()))
    }
}

fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let text = crate::print::float(number);
    if text.contains(['e', '.']) { text } else { text + ".0" }
}

fn quoted_key(key: &str) -> String {
    let bare = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if bare { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0'..='\u{1f}' | '\u{7f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

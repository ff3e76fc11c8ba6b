//! How Go prints values with `%v`.

use std::fmt::Write;

use crate::call::FunctionError;
use crate::runtime::Runtime;
use crate::value::Value;

/// Steps for printing a float.
const FLOAT: usize = 2;

/// Steps for printing what prints itself.
pub(crate) const OBJECT: usize = 10;

impl Value {
    /// What `%v` prints: maps sorted, `1e+06`, nil as `<nil>`.
    ///
    /// # Errors
    ///
    /// The text would be over a limit, or a map contains itself.
    pub fn print(&self, runtime: &Runtime) -> Result<String, FunctionError> {
        let mut out = String::new();
        self.print_to(&mut out, runtime, 0)?;
        runtime.spend(out.len() / 16)?;
        Ok(out)
    }

    fn print_to(&self, out: &mut String, runtime: &Runtime, depth: usize) -> Result<(), FunctionError> {
        runtime.descend(depth)?;
        match self {
            Value::Nil => out.push_str("<nil>"),
            Value::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
            Value::Integer(_, number) => {
                // Writing to a string can't fail.
                let _ = write!(out, "{number}");
            }
            Value::Float(number) => {
                runtime.spend(FLOAT)?;
                out.push_str(&float(*number));
            }
            Value::String(text) => out.push_str(text),
            Value::RawString(bytes) => out.push_str(&String::from_utf8_lossy(bytes)),
            Value::Bytes(bytes) => {
                out.push('[');
                for (index, byte) in bytes.iter().enumerate() {
                    let _ = write!(out, "{}{byte}", if index > 0 { " " } else { "" });
                }
                out.push(']');
            }
            Value::List(list) => {
                out.push('[');
                for (index, item) in list.items().iter().enumerate() {
                    if index > 0 {
                        out.push(' ');
                    }
                    item.print_to(out, runtime, depth + 1)?;
                }
                out.push(']');
            }
            Value::Map(map) => {
                out.push_str("map[");
                for (index, (key, value)) in map.entries().into_iter().enumerate() {
                    if index > 0 {
                        out.push(' ');
                    }
                    out.push_str(&key);
                    out.push(':');
                    value.print_to(out, runtime, depth + 1)?;
                }
                out.push(']');
            }
            Value::Object(object) => {
                runtime.spend(OBJECT)?;
                out.push_str(&object.print_copy());
            }
        }
        runtime.check_size(out.len())
    }
}

/// A float as Go's `%v` prints it: the shortest digits that read back the same, with an exponent of at least two digits
/// below 1e-04 and from 1e+06 on (Go takes the shortest digits for a precision of 6 here).
pub(crate) fn float(number: f64) -> String {
    general(number, 6)
}

/// The shortest digits of a float; an exponent is used below 1e-04 and from `10^limit` on.
pub(crate) fn general(number: f64, limit: i32) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if number == 0.0 {
        return if number.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= limit {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    format!("{number}")
}

//! What functions have in common: how they look at their arguments, and how Go complains.

use std::rc::Rc;

use crate::call::{Call, FunctionError};
use crate::kind::{Element, Integer, Kind};
use crate::map::List;
use crate::value::Value;

/// What functions return.
pub(super) type Answer = Result<Value, FunctionError>;

/// Go's panic when a method is called on nothing.
pub(super) fn nil_pointer() -> FunctionError {
    FunctionError::failed("runtime error: invalid memory address or nil pointer dereference")
}

/// An argument of another type than the parameter's.
pub(super) fn wrong_type(expected: &str, value: &Value) -> FunctionError {
    FunctionError::Argument(match value.kind() {
        Kind::Invalid => format!("invalid value; expected {expected}"),
        _ => format!("wrong type for value; expected {expected}; got {}", value.type_name()),
    })
}

/// A value as text, as sprig's `toString`: bytes are text, anything else is printed.
pub(super) fn text(call: &Call<'_>, value: &Value) -> Result<Vec<u8>, FunctionError> {
    match value.as_bytes() {
        Some(bytes) => Ok(bytes.to_vec()),
        None => call.print(value).map(String::into_bytes),
    }
}

/// The same as a value, without a copy if it is a string already.
pub(super) fn text_value(call: &Call<'_>, value: &Value) -> Answer {
    match value {
        Value::String(_) | Value::RawString(_) => Ok(value.clone()),
        other => text(call, other).map(Value::string),
    }
}

/// The elements of anything that is a slice.
pub(super) fn items(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::List(list) => Some(list.items().to_vec()),
        Value::Bytes(bytes) => {
            Some(bytes.iter().map(|&byte| Value::Integer(Integer::Uint8, byte.into())).collect())
        }
        Value::Object(object) if object.kind() == Kind::Slice => {
            Some(object.entries()?.into_iter().map(|(_, item)| item).collect())
        }
        _ => None,
    }
}

/// The elements of a list argument. What is no list is refused with `message` and its kind, nil as Go does.
pub(super) fn list_items(call: &Call<'_>, index: usize, message: &str) -> Result<Vec<Value>, FunctionError> {
    let value = call.value(index);
    if value.is_nil() {
        return Err(nil_pointer());
    }
    let items =
        items(value).ok_or_else(|| FunctionError::Failed(format!("{message}{}", value.kind().name())))?;
    call.spend(items.len())?;
    Ok(items)
}

/// The texts of a list's elements that are not nil; of anything else, its own text.
pub(super) fn texts(call: &Call<'_>, value: &Value) -> Result<Vec<Value>, FunctionError> {
    if value.is_nil() {
        return Ok(Vec::new());
    }
    match items(value) {
        Some(items) => {
            call.spend(items.len())?;
            items.iter().filter(|item| !item.is_nil()).map(|item| text_value(call, item)).collect()
        }
        None => Ok(vec![text_value(call, value)?]),
    }
}

/// A slice of the type `[]string`.
pub(super) fn string_list(items: Vec<Value>) -> Value {
    Value::List(List::of(Element::String, items))
}

/// Arguments from `first` on, for a parameter of the type `...string`.
pub(super) fn strings_from(call: &Call<'_>, first: usize) -> Result<Vec<Rc<str>>, FunctionError> {
    (first..call.args().len()).map(|index| call.string(index)).collect()
}

/// An integer as Go's conversion makes it of a float: what does not fit becomes the smallest one.
pub(super) fn float_to_int(number: f64) -> i64 {
    // The upper limit is not a float itself.
    if number.is_nan() || !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number) {
        return i64::MIN;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the fraction is cut, the range was checked")]
    let whole = number as i64;
    whole
}

/// The number that sprig makes of anything: 0 if it is none.
pub(super) fn to_int(value: &Value) -> i64 {
    match value {
        Value::Integer(_, number) => *number,
        Value::Float(number) => float_to_int(*number),
        Value::Bool(bool) => i64::from(*bool),
        Value::String(text) => crate::number::parse_int(trim_zero_decimal(text), 0).unwrap_or(0),
        other => super::time::named_number(other).unwrap_or(0),
    }
}

/// `1.0` and `1.000` without the fraction.
fn trim_zero_decimal(text: &str) -> &str {
    match text.rsplit_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    }
}

/// The float that sprig makes of anything: 0 if it is none.
pub(super) fn to_float(value: &Value) -> f64 {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "Go rounds too")]
        Value::Integer(_, number) => *number as f64,
        Value::Float(number) => *number,
        Value::Bool(bool) => f64::from(u8::from(*bool)),
        Value::String(text) => crate::number::parse_float(text).unwrap_or(0.0),
        _ => 0.0,
    }
}

/// An argument for a parameter of the type `float64`. A literal may be written without a fraction.
pub(super) fn float(call: &Call<'_>, index: usize) -> Result<f64, FunctionError> {
    match call.value(index) {
        Value::Float(number) => Ok(*number),
        #[expect(clippy::cast_precision_loss, reason = "Go rounds too")]
        Value::Integer(Integer::Int, number) => Ok(*number as f64),
        other => Err(wrong_type("float64", other)),
    }
}

/// A number of repetitions or of elements that has to fit into memory.
pub(super) fn count(call: &Call<'_>, number: i64, size: usize) -> Result<usize, FunctionError> {
    let number = usize::try_from(number).unwrap_or(0);
    call.allocate(number.saturating_mul(size))?;
    Ok(number)
}

//! Fields and methods of values.

use std::sync::Arc;

use crate::call::{Call, FunctionError};
use crate::object::Object;
use crate::runtime::Runtime;
use crate::value::Value;

/// Follows a path of fields. `boxed` says that the receiver is kept in an interface, where a field of nil is an error;
/// of a nil that a variable or a pipeline has, every field is nil again.
pub(crate) fn path(
    receiver: Value,
    path: &[Arc<str>],
    boxed: bool,
    runtime: &Runtime,
) -> Result<Value, FunctionError> {
    let mut value = receiver;
    let mut boxed = boxed;
    for name in path {
        runtime.spend(1)?;
        if value.is_nil() && !boxed {
            return Ok(Value::Nil);
        }
        value = field(&value, name, boxed, runtime)?;
        boxed = true;
    }
    Ok(value)
}

fn field(value: &Value, name: &str, boxed: bool, runtime: &Runtime) -> Result<Value, FunctionError> {
    match value {
        Value::Nil => Err(wrong(format!("nil pointer evaluating interface {{}}.{name}"))),
        Value::Map(map) => Ok(map.get(name).unwrap_or_else(|| Value::missing_in(map.map_type()))),
        Value::Object(object) => {
            if let Some(result) = object.call(name, &mut Call::new(name, &[], runtime)) {
                return result;
            }
            match object.field(name) {
                Some(value) => Ok(value),
                None if object.is_map() => Ok(Value::Nil),
                None => Err(no_field(name, object.type_name())),
            }
        }
        other => Err(no_field(name, if boxed { "interface {}" } else { other.type_name() })),
    }
}

/// Calls the method that the last part of a path names.
pub(crate) fn method(
    receiver: Value,
    names: &[Arc<str>],
    boxed: bool,
    arguments: &[Value],
    runtime: &Runtime,
) -> Result<Value, FunctionError> {
    let Some((name, before)) = names.split_last() else {
        return Ok(receiver);
    };
    let value = path(receiver, before, boxed, runtime)?;
    let boxed = boxed || !before.is_empty();
    match &value {
        Value::Nil if boxed => Err(wrong(format!("nil pointer evaluating interface {{}}.{name}"))),
        Value::Nil => Err(wrong(format!("nil data; no entry for key {name:?}"))),
        Value::Object(object) => call(&**object, name, arguments, runtime),
        Value::Map(_) => Err(not_a_method(name)),
        other => Err(no_field(name, if boxed { "interface {}" } else { other.type_name() })),
    }
}

fn call(
    object: &dyn Object,
    name: &str,
    arguments: &[Value],
    runtime: &Runtime,
) -> Result<Value, FunctionError> {
    match object.call(name, &mut Call::new(name, arguments, runtime)) {
        Some(result) => result,
        None if object.is_map() => Err(not_a_method(name)),
        None if object.field(name).is_some() => {
            Err(wrong(format!("{name} has arguments but cannot be invoked as function")))
        }
        None => Err(no_field(name, object.type_name())),
    }
}

/// An error that Go reports as it is, without the name of a function.
fn wrong(message: String) -> FunctionError {
    FunctionError::Argument(message)
}

fn no_field(name: &str, type_name: &str) -> FunctionError {
    wrong(format!("can't evaluate field {name} in type {type_name}"))
}

fn not_a_method(name: &str) -> FunctionError {
    wrong(format!("{name} is not a method but has arguments"))
}

//! Fields and methods of values.

use std::sync::Arc;

use crate::call::{Call, FunctionError};
use crate::functions::values;
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
    if let Some(result) = call(value, name, &[], runtime) {
        return result;
    }
    match value {
        Value::Nil => Err(wrong(format!("nil pointer evaluating interface {{}}.{name}"))),
        Value::Map(map) => Ok(map.get(name).unwrap_or_else(|| Value::missing_in(map.map_type()))),
        Value::Object(object) => match object.field(name) {
            Some(value) => Ok(value),
            None if object.is_map() => Ok(Value::Nil),
            None => Err(no_field(name, object.type_name())),
        },
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
    if let Some(result) = call(&value, name, arguments, runtime) {
        return result;
    }
    Err(match &value {
        Value::Nil if boxed => wrong(format!("nil pointer evaluating interface {{}}.{name}")),
        Value::Nil => wrong(format!("nil data; no entry for key {name:?}")),
        Value::Map(_) => not_a_method(name),
        Value::Object(object) if object.is_map() => not_a_method(name),
        Value::Object(object) if object.field(name).is_some() => {
            wrong(format!("{name} has arguments but cannot be invoked as function"))
        }
        Value::Object(object) => no_field(name, object.type_name()),
        other => no_field(name, if boxed { "interface {}" } else { other.type_name() }),
    })
}

/// Calls a method, if the value has it. What it refuses is reported with its name.
fn call(
    value: &Value,
    name: &str,
    arguments: &[Value],
    runtime: &Runtime,
) -> Option<Result<Value, FunctionError>> {
    let result = match value {
        Value::Map(map) => values::call(map, name, arguments, runtime)?,
        Value::Object(object) => {
            let mut call = Call::new(name, arguments, runtime);
            let result = object.call(name, &mut call)?;
            call.spend_for_arguments().and(result).and_then(|value| call.spend_for(&value).map(|()| value))
        }
        _ => return None,
    };
    Some(result.map_err(|error| match error {
        FunctionError::Failed(message) => FunctionError::Failed(format!("error calling {name}: {message}")),
        other => other,
    }))
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

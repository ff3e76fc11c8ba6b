//! The values of a Go program, as far as templates see them.

use std::rc::Rc;

use crate::call::FunctionError;
use crate::kind::{Element, Integer, Kind, MapType};
use crate::map::{List, Map};
use crate::object::Object;
use crate::runtime::Runtime;

/// A Go value. Cloning is cheap and aliases: maps are shared with all clones. It can't leave its thread.
#[derive(Clone, Default)]
pub enum Value {
    /// `nil`, or nothing at all.
    #[default]
    Nil,
    /// `bool`
    Bool(bool),
    /// An integer and its type. A `uint64` above `i64::MAX` can't be had.
    Integer(Integer, i64),
    /// `float64`: every number in a YAML file.
    Float(f64),
    /// `string`
    String(Rc<str>),
    /// A `string` that is not UTF-8, such as what `b64dec` makes of a key store.
    RawString(Rc<[u8]>),
    /// `[]uint8`: the content of a file.
    Bytes(Rc<[u8]>),
    /// A slice.
    List(List),
    /// A map, shared and mutable.
    Map(Map),
    /// Anything with fields and methods.
    Object(Rc<dyn Object>),
}

/// Steps for the memory of one value that is copied.
const COPY: usize = 7;

impl Value {
    /// A Go `int`.
    pub fn int(number: i64) -> Value {
        Value::Integer(Integer::Int, number)
    }

    /// A Go `int64`.
    pub fn int64(number: i64) -> Value {
        Value::Integer(Integer::Int64, number)
    }

    /// A Go string of any bytes.
    pub fn string(bytes: impl AsRef<[u8]>) -> Value {
        let bytes = bytes.as_ref();
        match std::str::from_utf8(bytes) {
            Ok(text) => Value::from(text),
            Err(_) => Value::RawString(Rc::from(bytes)),
        }
    }

    /// A slice of the type `[]interface {}`.
    pub fn list(items: Vec<Value>) -> Value {
        Value::List(List::new(items))
    }

    /// A slice of the type `[]string`.
    pub fn strings<S: Into<Value>>(items: impl IntoIterator<Item = S>) -> Value {
        Value::List(List::of(Element::String, items.into_iter().map(Into::into).collect()))
    }

    /// A new map of the type `map[string]interface {}`.
    pub fn map<K: Into<Rc<str>>>(entries: impl IntoIterator<Item = (K, Value)>) -> Value {
        Value::Map(Map::new(entries.into_iter().map(|(key, value)| (key.into(), value))))
    }

    /// A thing with fields and methods.
    pub fn object(object: impl Object) -> Value {
        Value::Object(Rc::new(object))
    }

    /// A value from JSON. Integers become `int64` (as `--set` gives them), numbers that are stored as floating point
    /// become `float64`, also whole ones (as YAML files give them).
    pub fn from_json(json: &serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::Nil,
            serde_json::Value::Bool(bool) => Value::Bool(*bool),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(number) => Value::int64(number),
                None => Value::Float(number.as_f64().unwrap_or_default()),
            },
            serde_json::Value::String(text) => Value::from(text.as_str()),
            serde_json::Value::Array(items) => Value::list(items.iter().map(Value::from_json).collect()),
            serde_json::Value::Object(entries) => {
                Value::map(entries.iter().map(|(key, value)| (key.as_str(), Value::from_json(value))))
            }
        }
    }

    /// The value as JSON: whole floats stay floats, text that is not UTF-8 is replaced, objects are their
    /// [data](Object::data).
    ///
    /// # Errors
    ///
    /// It is over a limit, or a map contains itself.
    pub fn to_json(&self, runtime: &Runtime) -> Result<serde_json::Value, FunctionError> {
        self.to_json_at(runtime, 0)
    }

    fn to_json_at(&self, runtime: &Runtime, depth: usize) -> Result<serde_json::Value, FunctionError> {
        runtime.descend(depth)?;
        Ok(match self {
            Value::Nil => serde_json::Value::Null,
            Value::Bool(bool) => (*bool).into(),
            Value::Integer(_, number) => (*number).into(),
            Value::Float(number) => (*number).into(),
            Value::String(text) => (&**text).into(),
            Value::RawString(bytes) | Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into(),
            Value::List(list) if list.is_nil() => serde_json::Value::Null,
            Value::List(list) => {
                let items = list.items().iter().map(|item| item.to_json_at(runtime, depth + 1));
                serde_json::Value::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Map(map) => {
                let entries = map.entries().into_iter();
                let entries =
                    entries.map(|(key, value)| Ok((key.to_string(), value.to_json_at(runtime, depth + 1)?)));
                serde_json::Value::Object(entries.collect::<Result<_, FunctionError>>()?)
            }
            Value::Object(object) => object.data().to_json_at(runtime, depth + 1)?,
        })
    }

    /// Go's kind of the value.
    pub fn kind(&self) -> Kind {
        match self {
            Value::Nil => Kind::Invalid,
            Value::Bool(_) => Kind::Bool,
            Value::Integer(integer, _) => Kind::Integer(*integer),
            Value::Float(_) => Kind::Float64,
            Value::String(_) | Value::RawString(_) => Kind::String,
            Value::Bytes(_) | Value::List(_) => Kind::Slice,
            Value::Map(_) => Kind::Map,
            Value::Object(object) => object.kind(),
        }
    }

    /// Go's name of the type, as `typeOf` prints it.
    pub fn type_name(&self) -> &str {
        match self {
            Value::Nil => "<nil>",
            Value::Bool(_) => "bool",
            Value::Integer(integer, _) => integer.name(),
            Value::Float(_) => "float64",
            Value::String(_) | Value::RawString(_) => "string",
            Value::Bytes(_) => "[]uint8",
            Value::List(list) => list.element().slice_name(),
            Value::Map(map) => map.map_type().name(),
            Value::Object(object) => object.type_name(),
        }
    }

    /// Whether `if` takes it for true: not nil, false, zero or empty. Sprig's `empty` is the contrary.
    pub fn truth(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(bool) => *bool,
            Value::Integer(_, number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            Value::String(text) => !text.is_empty(),
            Value::RawString(bytes) | Value::Bytes(bytes) => !bytes.is_empty(),
            Value::List(list) => !list.items().is_empty(),
            Value::Map(map) => !map.is_empty(),
            Value::Object(object) => object.truth(),
        }
    }

    /// The text, if it is a string of UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes of a string, or of a byte slice.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::String(text) => Some(text.as_bytes()),
            Value::RawString(bytes) | Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Whether it is nil.
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// Go's `reflect.DeepEqual`: types count, so the `int` 1 is not the `int64` 1.
    ///
    /// # Errors
    ///
    /// It is over a limit, or a map contains itself.
    pub fn deep_equal(&self, other: &Value, runtime: &Runtime) -> Result<bool, FunctionError> {
        self.deep_equal_at(other, runtime, 0)
    }

    fn deep_equal_at(&self, other: &Value, runtime: &Runtime, depth: usize) -> Result<bool, FunctionError> {
        runtime.descend(depth)?;
        Ok(match (self, other) {
            (Value::Nil, Value::Nil) => true,
            (Value::Bool(one), Value::Bool(two)) => one == two,
            (Value::Integer(type_one, one), Value::Integer(type_two, two)) => {
                type_one == type_two && one == two
            }
            (Value::Float(one), Value::Float(two)) => one == two,
            (Value::String(one), Value::String(two)) => one == two,
            (Value::RawString(one), Value::RawString(two)) | (Value::Bytes(one), Value::Bytes(two)) => {
                one == two
            }
            (Value::List(one), Value::List(two)) => {
                if one.element() != two.element()
                    || one.items().len() != two.items().len()
                    || one.is_nil() != two.is_nil()
                {
                    return Ok(false);
                }
                if !one.same(two) {
                    for (one, two) in one.items().iter().zip(two.items()) {
                        if !one.deep_equal_at(two, runtime, depth + 1)? {
                            return Ok(false);
                        }
                    }
                }
                true
            }
            (Value::Map(one), Value::Map(two)) => {
                if one.map_type() != two.map_type() || one.len() != two.len() {
                    return Ok(false);
                }
                if !one.same(two) {
                    for ((key_one, one), (key_two, two)) in one.entries().into_iter().zip(two.entries()) {
                        if key_one != key_two || !one.deep_equal_at(&two, runtime, depth + 1)? {
                            return Ok(false);
                        }
                    }
                }
                true
            }
            (Value::Object(one), Value::Object(two)) => Rc::ptr_eq(one, two) || one.equal(&**two),
            _ => false,
        })
    }

    /// A copy that shares no map with this one. Objects stay shared: they can't be changed.
    ///
    /// # Errors
    ///
    /// It is over a limit, or a map contains itself.
    pub fn deep_copy(&self, runtime: &Runtime) -> Result<Value, FunctionError> {
        self.deep_copy_at(runtime, 0)
    }

    fn deep_copy_at(&self, runtime: &Runtime, depth: usize) -> Result<Value, FunctionError> {
        runtime.descend(depth)?;
        runtime.spend(COPY)?;
        Ok(match self {
            Value::List(list) => {
                let items = list.items().iter().map(|item| item.deep_copy_at(runtime, depth + 1));
                let items = items.collect::<Result<_, _>>()?;
                Value::List(if list.is_nil() { list.clone() } else { List::of(list.element(), items) })
            }
            Value::Map(map) => {
                let entries = map.entries().into_iter();
                let entries = entries.map(|(key, value)| Ok((key, value.deep_copy_at(runtime, depth + 1)?)));
                Value::Map(Map::of(map.map_type(), entries.collect::<Result<Vec<_>, FunctionError>>()?))
            }
            other => other.clone(),
        })
    }

    /// The zero value of a map's missing key: `""` in a map of strings, else nil.
    pub(crate) fn missing_in(map_type: MapType) -> Value {
        match map_type {
            MapType::String => Value::from(""),
            MapType::Any | MapType::Values => Value::Nil,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(Rc::from(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(Rc::from(text))
    }
}

impl From<Rc<str>> for Value {
    fn from(text: Rc<str>) -> Value {
        Value::String(text)
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Value {
        Value::Bool(bool)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Float(number)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Value {
        Value::Map(map)
    }
}

impl From<List> for Value {
    fn from(list: List) -> Value {
        Value::List(list)
    }
}

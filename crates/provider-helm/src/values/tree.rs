//! Values while they are merged: shared, mutable maps, because Helm's merge and templates both change maps that
//! others hold too.

use gotemplate::{List, Map, Value};
use provider_core::{Error, Result};
use serde_json::Number;
use std::rc::Rc;

/// A new tree of JSON.
pub(crate) fn from_json(json: &serde_json::Map<String, serde_json::Value>) -> Map {
    Map::new(json.iter().map(|(key, value)| (Rc::from(key.as_str()), Value::from_json(value))))
}

/// The tree as JSON. What only templates can make (files, times) has no place in values and becomes its text.
pub(crate) fn to_json(map: &Map) -> serde_json::Map<String, serde_json::Value> {
    map.entries().iter().map(|(key, value)| (key.to_string(), value_to_json(value))).collect()
}

fn value_to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Nil => serde_json::Value::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Integer(_, number) => (*number).into(),
        Value::Float(number) => Number::from_f64(*number).map_or(serde_json::Value::Null, Into::into),
        Value::List(list) => list.items().iter().map(value_to_json).collect(),
        Value::Map(map) => to_json(map).into(),
        Value::String(text) => (&**text).into(),
        Value::RawString(bytes) | Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into(),
        Value::Object(object) => object.print().into(),
    }
}

/// A copy that shares no map with `map`.
pub(crate) fn deep_copy(map: &Map) -> Map {
    Map::new(map.entries().into_iter().map(|(key, value)| (key, copy_value(&value))))
}

fn copy_value(value: &Value) -> Value {
    match value {
        Value::Map(map) => deep_copy(map).into(),
        Value::List(list) => List::new(list.items().iter().map(copy_value).collect()).into(),
        other => other.clone(),
    }
}

/// A new map with the same entries, which stay shared.
pub(crate) fn shallow_copy(map: &Map) -> Map {
    Map::new(map.entries())
}

/// The map at the key, if there is one.
pub(crate) fn table_at(map: &Map, key: &str) -> Option<Map> {
    match map.get(key) {
        Some(Value::Map(map)) => Some(map),
        _ => None,
    }
}

/// The map at a path of keys with dots between.
pub(crate) fn table(map: &Map, path: &str) -> Option<Map> {
    path.split('.').try_fold(map.clone(), |map, key| table_at(&map, key))
}

/// What is at a path of keys with dots between, unless it is a map.
pub(crate) fn scalar(map: &Map, path: &str) -> Option<Value> {
    let (map, key) = match path.rsplit_once('.') {
        Some((tables, key)) => (table(map, tables)?, key),
        None => (map.clone(), path),
    };
    map.get(key).filter(|value| !matches!(value, Value::Map(_)))
}

/// The map of a subchart's values inside its parent's, which is made if it is missing.
///
/// # Errors
/// `Invalid` when something else is there.
pub(crate) fn subchart_table(map: &Map, name: &str) -> Result<Map> {
    match map.get(name) {
        Some(Value::Map(map)) => Ok(map),
        Some(_) => Err(Error::invalid(format!(
            "the value `{name}` is for the chart of this name inside the chart, so it has to be an object"
        ))),
        None => {
            let table = Map::new([]);
            map.set(name, table.clone().into());
            Ok(table)
        }
    }
}

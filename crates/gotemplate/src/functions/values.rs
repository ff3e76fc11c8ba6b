//! The methods of Helm's `common.Values`: of a template's dot, and of its `.Values`.

use super::args::Answer;
use super::data::yaml_by_json;
use crate::call::{Call, Entry, FunctionError};
use crate::kind::MapType;
use crate::map::Map;
use crate::runtime::Runtime;
use crate::value::Value;

/// The receiver is the first argument.
const METHODS: &[Entry] = &[
    Entry::exact("AsMap", 1, as_map),
    Entry::exact("Encode", 2, encode),
    Entry::exact("PathValue", 2, path_value),
    Entry::exact("Table", 2, table),
    Entry::exact("YAML", 1, yaml),
];

/// Calls a method. `None`: the map is of a type without methods, or has no such method, so that the name is a key's.
pub(crate) fn call(map: &Map, name: &str, arguments: &[Value], runtime: &Runtime) -> Option<Answer> {
    if map.map_type() != MapType::Values {
        return None;
    }
    let method = METHODS.iter().find(|method| method.name == name)?;
    let (want, got) = (method.min - 1, arguments.len());
    if want != got {
        let message = format!("wrong number of args for {name}: want {want} got {got}");
        return Some(Err(FunctionError::Argument(message)));
    }
    let arguments: Vec<Value> = [Value::Map(map.clone())].iter().chain(arguments).cloned().collect();
    Some(method.run(&mut Call::new(name, &arguments, runtime)))
}

/// The same map, without methods: what is set in one is in the other. An empty one gives a new map, as in Helm.
fn as_map(call: &mut Call<'_>) -> Answer {
    let map = call.map(0)?;
    Ok(if map.is_empty() { Map::new([]) } else { map }.into())
}

fn yaml(call: &mut Call<'_>) -> Answer {
    Ok((yaml_by_json(call)? + "\n").into())
}

fn table(call: &mut Call<'_>) -> Answer {
    let path = call.string(1)?;
    Ok(table_at(call.map(0)?, path.split('.'))?.into())
}

fn table_at<'p>(map: Map, path: impl Iterator<Item = &'p str>) -> Result<Map, FunctionError> {
    let mut table = map;
    for name in path {
        table = match table.get(name) {
            Some(Value::Map(inner)) => inner,
            _ => return Err(FunctionError::failed(format!("\"{name}\" is not a table"))),
        };
    }
    Ok(table.as_type(MapType::Values))
}

fn path_value(call: &mut Call<'_>) -> Answer {
    let path = call.string(1)?;
    if path.is_empty() {
        return Err(FunctionError::failed("YAML path cannot be empty"));
    }
    let (tables, name) = path.rsplit_once('.').map_or((None, &*path), |(tables, name)| (Some(tables), name));
    let table = table_at(call.map(0)?, tables.iter().flat_map(|tables| tables.split('.')));
    match table.ok().and_then(|table| table.get(name)) {
        Some(value) if !matches!(value, Value::Map(_)) => Ok(value),
        _ => Err(FunctionError::failed(format!("\"{name}\" is not a value"))),
    }
}

/// Writes to an `io.Writer`, which no template has.
fn encode(call: &mut Call<'_>) -> Answer {
    let found = call.value(1).type_name();
    Err(FunctionError::Argument(format!("wrong type for value; expected io.Writer; got {found}")))
}

//! Functions of maps. `set`, `unset` and the merges change the map itself, for all who hold it.

use std::rc::Rc;

use super::args::{Answer, string_list, strings_from, text};
use crate::call::{Call, Entry, FunctionError};
use crate::kind::MapType;
use crate::map::Map;
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::exact("deepCopy", 1, deep_copy),
    Entry::variadic("dict", 0, dict),
    Entry::variadic("dig", 0, dig),
    Entry::exact("get", 2, get),
    Entry::exact("hasKey", 2, has_key),
    Entry::variadic("keys", 0, keys),
    Entry::variadic("merge", 1, merge),
    Entry::variadic("mergeOverwrite", 1, merge_overwrite),
    Entry::exact("mustDeepCopy", 1, deep_copy),
    Entry::variadic("mustMerge", 1, merge),
    Entry::variadic("mustMergeOverwrite", 1, merge_overwrite),
    Entry::variadic("omit", 1, omit),
    Entry::variadic("pick", 1, pick),
    Entry::variadic("pluck", 1, pluck),
    Entry::exact("set", 3, set),
    Entry::exact("unset", 2, unset),
    Entry::exact("values", 1, values),
];

fn deep_copy(call: &mut Call<'_>) -> Answer {
    if call.value(0).is_nil() {
        return Err(FunctionError::failed("reflect: call of reflect.Value.Type on zero Value"));
    }
    call.value(0).deep_copy(call.runtime())
}

fn key(call: &Call<'_>, value: &Value) -> Result<Rc<str>, FunctionError> {
    match value {
        Value::String(text) => Ok(Rc::clone(text)),
        other => Ok(crate::unicode::lossy(&text(call, other)?).into()),
    }
}

fn dict(call: &mut Call<'_>) -> Answer {
    let mut entries = Vec::with_capacity(call.args().len().div_ceil(2));
    for pair in call.args().chunks(2) {
        let value = pair.get(1).cloned().unwrap_or_else(|| Value::from(""));
        entries.push((key(call, &pair[0])?, value));
    }
    Ok(Value::map(entries))
}

/// Go's words when a value in an interface has another type than the code asserts.
fn conversion(value: &Value, wanted: &str) -> FunctionError {
    let found = if value.is_nil() { "nil" } else { value.type_name() };
    FunctionError::Failed(format!("interface conversion: interface {{}} is {found}, not {wanted}"))
}

fn plain_map(value: &Value) -> Result<Map, FunctionError> {
    match value {
        Value::Map(map) if map.map_type() == MapType::Any => Ok(map.clone()),
        other => Err(conversion(other, "map[string]interface {}")),
    }
}

fn dig(call: &mut Call<'_>) -> Answer {
    let [keys @ .., default, map] = call.args() else {
        return Err(FunctionError::failed("dig needs at least three arguments"));
    };
    if keys.is_empty() {
        return Err(FunctionError::failed("dig needs at least three arguments"));
    }
    let mut value = Value::Map(plain_map(map)?);
    for key in keys {
        if !matches!(key, Value::String(_) | Value::RawString(_)) {
            return Err(conversion(key, "string"));
        }
    }
    for key in keys {
        match plain_map(&value)?.get(key.as_str().unwrap_or_default()) {
            Some(next) => value = next,
            None => return Ok(default.clone()),
        }
    }
    Ok(value)
}

fn get(call: &mut Call<'_>) -> Answer {
    let (map, key) = (call.map(0)?, call.string(1)?);
    Ok(map.get(&key).unwrap_or_else(|| Value::from("")))
}

fn has_key(call: &mut Call<'_>) -> Answer {
    let (map, key) = (call.map(0)?, call.string(1)?);
    Ok(map.has(&key).into())
}

fn keys(call: &mut Call<'_>) -> Answer {
    let mut keys = Vec::new();
    for index in 0..call.args().len() {
        keys.extend(call.map(index)?.keys().into_iter().map(Value::String));
    }
    call.spend(keys.len())?;
    Ok(string_list(keys))
}

fn omit(call: &mut Call<'_>) -> Answer {
    let (map, keys) = (call.map(0)?, strings_from(call, 1)?);
    call.spend(map.len() * (1 + keys.len() / 8))?;
    Ok(Value::map(map.entries().into_iter().filter(|(key, _)| !keys.contains(key))))
}

fn pick(call: &mut Call<'_>) -> Answer {
    let (map, keys) = (call.map(0)?, strings_from(call, 1)?);
    Ok(Value::map(keys.into_iter().filter_map(|key| map.get(&key).map(|value| (key, value)))))
}

fn pluck(call: &mut Call<'_>) -> Answer {
    let key = call.string(0)?;
    let mut found = Vec::new();
    for index in 1..call.args().len() {
        found.extend(call.map(index)?.get(&key));
    }
    Ok(Value::list(found))
}

fn set(call: &mut Call<'_>) -> Answer {
    let (map, key) = (call.map(0)?, call.string(1)?);
    if call.value(0).is_nil() || map.is_nil() {
        return Err(FunctionError::failed("assignment to entry in nil map"));
    }
    map.set(key, call.value(2).clone());
    Ok(map.into())
}

fn unset(call: &mut Call<'_>) -> Answer {
    let (map, key) = (call.map(0)?, call.string(1)?);
    map.remove(&key);
    Ok(map.into())
}

fn values(call: &mut Call<'_>) -> Answer {
    let map = call.map(0)?;
    call.spend(map.len())?;
    Ok(Value::list(map.values()))
}

fn merge(call: &mut Call<'_>) -> Answer {
    merge_all(call, false)
}

fn merge_overwrite(call: &mut Call<'_>) -> Answer {
    merge_all(call, true)
}

fn merge_all(call: &mut Call<'_>, overwrite: bool) -> Answer {
    let into = call.map(0)?;
    let mut sources = Vec::new();
    for index in 1..call.args().len() {
        sources.push(call.map(index)?);
    }
    for from in &sources {
        merge_into(call, &into, from, overwrite, 0)?;
    }
    Ok(into.into())
}

/// Merges as the library behind sprig does. Without `overwrite`, what is there stays unless it is nil, false, zero or
/// empty. With it, what comes wins, also when it is nil or empty. Maps in both are merged, a map in `from` alone is
/// shared.
fn merge_into(
    call: &Call<'_>,
    into: &Map,
    from: &Map,
    overwrite: bool,
    depth: usize,
) -> Result<(), FunctionError> {
    call.runtime().descend(depth)?;
    for (key, new) in from.entries() {
        call.spend(6)?;
        if new.is_nil() {
            if overwrite {
                into.set(key, new);
            }
            continue;
        }
        let old = into.get(&key);
        let mut both_maps = false;
        if let (Value::Map(new), Some(Value::Map(old))) = (&new, &old) {
            merge_into(call, old, new, overwrite, depth + 1)?;
            both_maps = true;
        }
        let kept = old.is_some_and(|old| old.truth());
        if !kept || (overwrite && !both_maps) {
            into.set(key, new);
        }
    }
    Ok(())
}

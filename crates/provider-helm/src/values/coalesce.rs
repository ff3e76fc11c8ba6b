//! How the defaults of a chart and of the charts inside it are merged under the values that were given.
//!
//! Two modes: *coalescing*, where a null removes a key, and *merging*, which keeps nulls for a later coalescing.
//! Maps are shared on purpose where Helm shares them: a subchart's defaults for deeper tables of `global` reach its
//! parent, because both hold the same table.

use super::tree;
use crate::chart::Chart;
use gotemplate::{Map, Value};
use provider_core::Result;
use std::{collections::BTreeSet, rc::Rc};

/// Whether nulls remove keys or are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    Remove,
    Keep,
}

/// The values of `chart` with everything inside it: `given` over the defaults.
///
/// # Errors
/// `Invalid` when something that is no object was given for a subchart.
pub(crate) fn coalesce(chart: &Chart, given: &Map) -> Result<Map> {
    let values = tree::deep_copy(given);
    chart_and_dependencies(chart, &values, Nulls::Remove)?;
    Ok(values)
}

/// All defaults of `chart` and what is inside it, with their nulls.
pub(super) fn merged_defaults(chart: &Chart) -> Result<Map> {
    let values = Map::new([]);
    chart_and_dependencies(chart, &values, Nulls::Keep)?;
    Ok(values)
}

fn chart_and_dependencies(chart: &Chart, values: &Map, nulls: Nulls) -> Result<()> {
    own_defaults(chart, values, nulls);
    for inner in &chart.dependencies {
        let table = tree::subchart_table(values, inner.name())?;
        globals(&table, values);
        chart_and_dependencies(inner, &table, nulls)?;
    }
    Ok(())
}

/// Puts the globals of `from`, the parent's values, over those of `into`.
fn globals(into: &Map, from: &Map) {
    let table_or_new = |map: &Map| match map.get("global") {
        Some(Value::Map(map)) => Some(map),
        Some(_) => None,
        None => Some(Map::new([])),
    };
    let (Some(target), Some(source)) = (table_or_new(into), table_or_new(from)) else { return };
    for (key, value) in source.entries() {
        match (value, target.get(&key)) {
            (Value::Map(value), None) => target.set(key, tree::shallow_copy(&value).into()),
            (Value::Map(value), Some(Value::Map(own))) => {
                let value = tree::shallow_copy(&value);
                tables(&value, &own, Nulls::Keep);
                target.set(key, value.into());
            }
            (Value::Map(_), Some(_)) | (_, Some(Value::Map(_))) => {}
            (value, _) => target.set(key, value),
        }
    }
    into.set("global", target.into());
}

/// Puts the chart's own defaults under `values`.
fn own_defaults(chart: &Chart, values: &Map, nulls: Nulls) {
    let defaults = tree::from_json(&chart.values);
    for (key, default) in defaults.entries() {
        match (values.get(&key), default) {
            (Some(Value::Nil), _) if nulls == Nulls::Remove => drop(values.remove(&key)),
            (Some(Value::Map(given)), Value::Map(default)) => {
                // A subchart's nulls are for the subchart's own turn.
                let is_subchart = chart.dependencies.iter().any(|inner| *inner.name() == *key);
                let nulls = if is_subchart { Nulls::Keep } else { nulls };
                if nulls == Nulls::Remove {
                    remove_nulls(&default);
                }
                tables(&given, &default, nulls);
            }
            (Some(_), _) => {}
            (None, Value::Nil) if nulls == Nulls::Remove => {}
            (None, default) => {
                if let (Value::Map(table), Nulls::Remove) = (&default, nulls) {
                    remove_nulls(table);
                }
                values.set(key, default);
            }
        }
    }
}

/// Puts `under` under `over`, which wins. `under` is used up.
pub(super) fn tables(over: &Map, under: &Map, nulls: Nulls) {
    if over.same(under) {
        return;
    }
    let under_entries = under.entries();
    let had_value: BTreeSet<Rc<str>> =
        under_entries.iter().filter(|(_, value)| !value.is_nil()).map(|(key, _)| key.clone()).collect();
    for (key, value) in over.entries() {
        if value.is_nil() {
            under.set(key, Value::Nil);
        }
    }
    for (key, value) in under.entries() {
        match (over.get(&key), value) {
            // A given null takes the default away; where there is no default, it is a value like others.
            (Some(Value::Nil), _) if nulls == Nulls::Remove && had_value.contains(&key) => {
                over.remove(&key);
            }
            (None, value) => over.set(key, value),
            (Some(Value::Map(over)), Value::Map(under)) => tables(&over, &under, nulls),
            _ => {}
        }
    }
}

fn remove_nulls(map: &Map) {
    for (key, value) in map.entries() {
        match value {
            Value::Nil => drop(map.remove(&key)),
            Value::Map(map) => remove_nulls(&map),
            _ => {}
        }
    }
}

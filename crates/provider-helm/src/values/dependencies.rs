//! Which charts inside a chart are used, under which names, and what of their values their parents take over.

use super::coalesce::{self, Nulls, coalesce};
use super::tree;
use crate::chart::{Chart, Dependency};
use gotemplate::semver;
use gotemplate::{Map, Value};
use provider_core::Result;
use serde_json::json;

/// Leaves in `chart`, at every level, only the dependencies that the values want, each under its alias, and takes over
/// imported values. Do it once for each set of values, before they are coalesced.
///
/// # Errors
/// `Invalid` when something that is no object was given for a subchart.
pub(crate) fn resolve(chart: &mut Chart, given: &Map) -> Result<()> {
    keep_enabled(chart, given, "")?;
    import(chart)
}

/// `path` leads from the root's values to those of `chart`, with a dot at its end.
fn keep_enabled(chart: &mut Chart, values: &Map, path: &str) -> Result<()> {
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    let wanted = std::mem::take(&mut chart.metadata.dependencies);
    let present = std::mem::take(&mut chart.dependencies);
    let fits = |dependency: &Dependency, chart: &Chart| {
        chart.name() == dependency.name
            && semver::satisfies(&dependency.version, &chart.metadata.version).unwrap_or(false)
    };
    // What only lies in `charts/` is always used.
    chart.dependencies =
        present.iter().filter(|chart| !wanted.iter().any(|w| fits(w, chart))).cloned().collect();
    for mut dependency in wanted {
        if let Some(found) = present.iter().find(|chart| fits(&dependency, chart)) {
            let mut found = found.clone();
            dependency.used_name().clone_into(&mut found.metadata.name);
            chart.dependencies.push(found);
        }
        dependency.name = dependency.used_name().to_owned();
        dependency.enabled = true;
        chart.metadata.dependencies.push(dependency);
    }
    let values = coalesce(chart, values)?;
    let tags = tree::table_at(&values, "tags");
    for dependency in &mut chart.metadata.dependencies {
        if let Some(tags) = &tags {
            dependency.enabled = is_enabled_by_tags(dependency, tags);
        }
        if let Some(flag) = condition(dependency, &values, path) {
            dependency.enabled = flag;
        }
    }
    let is_disabled = |name: &str, all: &[Dependency]| all.iter().any(|d| d.name == name && !d.enabled);
    let all = std::mem::take(&mut chart.metadata.dependencies);
    chart.dependencies.retain(|inner| !is_disabled(inner.name(), &all));
    for inner in &mut chart.dependencies {
        let path = format!("{path}{}.", inner.name());
        keep_enabled(inner, &values, &path)?;
    }
    chart.metadata.dependencies = all.iter().filter(|d| !is_disabled(&d.name, &all)).cloned().collect();
    Ok(())
}

/// One tag that is true suffices; without any, one that is false switches it off.
fn is_enabled_by_tags(dependency: &Dependency, tags: &Map) -> bool {
    let flags = || dependency.tags.iter().filter_map(|tag| tags.get(tag));
    let any = |wanted: bool| flags().any(|flag| matches!(flag, Value::Bool(flag) if flag == wanted));
    any(true) || !any(false)
}

/// The first path that leads to a bool decides.
fn condition(dependency: &Dependency, values: &Map, path: &str) -> Option<bool> {
    dependency.condition.trim().split(',').filter(|one| !one.is_empty()).find_map(|one| {
        match tree::scalar(values, &format!("{path}{one}")) {
            Some(Value::Bool(flag)) => Some(flag),
            _ => None,
        }
    })
}

/// From the innermost charts outwards.
fn import(chart: &mut Chart) -> Result<()> {
    for inner in &mut chart.dependencies {
        import(inner)?;
    }
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    let defaults = coalesce::merged_defaults(chart)?;
    let imported = Map::new([]);
    for dependency in &mut chart.metadata.dependencies {
        let mut pairs = Vec::new();
        for wanted in &dependency.import_values {
            let (child, parent) = match wanted {
                serde_json::Value::String(name) => (format!("exports.{name}"), ".".to_owned()),
                serde_json::Value::Object(pair) => (path_of(pair.get("child")), path_of(pair.get("parent"))),
                _ => continue,
            };
            pairs.push(json!({ "child": child, "parent": parent }));
            let Some(found) = tree::table(&defaults, &format!("{}.{child}", dependency.name)) else {
                continue;
            };
            let found = if found.is_empty() { Map::new([]) } else { found };
            let found = if parent == "." { found } else { nested(&parent, found) };
            coalesce::tables(&imported, &found, Nulls::Keep);
        }
        dependency.import_values = pairs;
    }
    // The parent's own values win over what it imports.
    let values = tree::deep_copy(&defaults);
    coalesce::tables(&values, &imported, Nulls::Keep);
    chart.values = tree::to_json(&values);
    Ok(())
}

fn path_of(value: Option<&serde_json::Value>) -> String {
    match value {
        Some(serde_json::Value::String(path)) => path.clone(),
        Some(serde_json::Value::Null) | None => "<nil>".to_owned(),
        Some(other) => other.to_string(),
    }
}

/// `map` at the end of a path of new maps.
fn nested(path: &str, map: Map) -> Map {
    path.rsplit('.').fold(map, |map, key| Map::new([(key.into(), map.into())]))
}

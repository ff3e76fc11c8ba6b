//! `values.schema.json`: what a chart demands of its values.

mod ways;

use crate::chart::Chart;
use jsonschema::{ValidationError, error::ValidationErrorKind};
use provider_core::{Error, Result};
use serde_json::Value;
use std::{panic::resume_unwind, thread};

/// Findings that one error lists; more are counted.
const MAX_FINDINGS: usize = 50;
/// Bytes of one finding: it may quote the schema.
const MAX_FINDING: usize = 400;
/// Keys that one finding names.
const MAX_KEYS: usize = 8;

/// Checks the coalesced values of `chart` against its schema, and those of each chart inside it against its own.
///
/// Schemas are of draft 2020-12 unless they say another one. Nothing is fetched: see [`prepare`].
///
/// # Errors
/// `Invalid` with everything that is wrong, by chart and path.
pub(crate) fn check(chart: &Chart, values: &Value) -> Result<()> {
    let mut findings = Vec::new();
    collect(chart, values, &mut findings);
    if findings.is_empty() {
        return Ok(());
    }
    let more = findings.len().saturating_sub(MAX_FINDINGS);
    findings.truncate(MAX_FINDINGS);
    if more > 0 {
        findings.push(format!("and {more} more"));
    }
    Err(Error::invalid(format!(
        "the values don't meet the schema of the chart `{}`:\n{}",
        chart.name(),
        findings.join("\n")
    )))
}

fn collect(chart: &Chart, values: &Value, findings: &mut Vec<String>) {
    if let Some(schema) = &chart.schema {
        let own = match validate(schema, values) {
            Ok(own) => own,
            Err(why) => vec![format!("the schema can't be used: {why}")],
        };
        findings.extend(own.into_iter().map(|finding| format!("{}: {finding}", chart.name())));
    }
    for inner in &chart.dependencies {
        // A chart without values has nothing to check; `null` is what a user switched off.
        if let Some(values @ Value::Object(_)) = values.get(inner.name()) {
            collect(inner, values, findings);
        }
    }
}

fn validate(schema: &[u8], values: &Value) -> Result<Vec<String>, String> {
    let mut schema: Value = serde_json::from_slice(schema).map_err(|e| e.to_string())?;
    prepare(&mut schema);
    ways::check(&schema)?;
    let find = || {
        let validator = jsonschema::options().build(&schema).map_err(|e| shorten(&e.to_string()))?;
        let mut findings: Vec<_> =
            validator.iter_errors(values).map(|error| finding(&error, values)).collect();
        // A key that nothing is allowed for is one each.
        findings.dedup();
        Ok(findings)
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("schema".to_owned()).stack_size(ways::STACK);
        let thread =
            thread.spawn_scoped(scope, find).map_err(|e| format!("can't start a thread for it: {e}"))?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// What is wrong, without texts of the user: one may be a password.
fn finding(error: &ValidationError<'_>, values: &Value) -> String {
    let path = error.instance_path().as_str();
    let what = match (error.kind(), values.pointer(path)) {
        (ValidationErrorKind::FalseSchema, Some(Value::Object(map))) => {
            let keys: Vec<_> = map.keys().take(MAX_KEYS).map(|key| format!("`{key}`")).collect();
            let more = if map.len() > MAX_KEYS { ", and more" } else { "" };
            format!("nothing is allowed here, and there is: {}{more}", keys.join(", "))
        }
        (_, Some(Value::Number(_) | Value::Bool(_) | Value::Null)) => error.to_string(),
        _ => error.masked_with("the value").to_string(),
    };
    shorten(&format!("`{}`: {what}", if path.is_empty() { "/" } else { path }))
}

/// Makes a schema do without the network: what it refers to there demands nothing. A schema of no draft in particular
/// is of the latest one.
fn prepare(schema: &mut Value) {
    let bare = |address: &str| {
        let address = address.strip_prefix("https://").or(address.strip_prefix("http://"))?;
        Some(address.trim_end_matches(['#', '/']).to_owned())
    };
    let is_latest = |draft: &str| bare(draft).as_deref() == Some("json-schema.org/schema");
    if let Value::Object(root) = schema
        && root.get("$schema").and_then(Value::as_str).is_some_and(is_latest)
    {
        root.remove("$schema");
    }
    let mut own = Vec::new();
    own_ids(schema, &mut own);
    drop_remote_references(schema, &|address| {
        bare(address).is_some_and(|bare| !bare.starts_with("json-schema.org/"))
            && !own.iter().any(|id| address.split('#').next() == Some(id.as_str()))
    });
}

fn own_ids(schema: &Value, ids: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            let id = map.get("$id").or(map.get("id")).and_then(Value::as_str);
            ids.extend(id.and_then(|id| id.split('#').next()).map(str::to_owned));
            map.values().for_each(|inner| own_ids(inner, ids));
        }
        Value::Array(items) => items.iter().for_each(|inner| own_ids(inner, ids)),
        _ => {}
    }
}

fn drop_remote_references(schema: &mut Value, is_remote: &dyn Fn(&str) -> bool) {
    match schema {
        Value::Object(map) => {
            if map.get("$ref").and_then(Value::as_str).is_some_and(is_remote) {
                map.remove("$ref");
            }
            map.values_mut().for_each(|inner| drop_remote_references(inner, is_remote));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| drop_remote_references(inner, is_remote)),
        _ => {}
    }
}

fn shorten(text: &str) -> String {
    if text.len() <= MAX_FINDING {
        return text.to_owned();
    }
    let end = (0..=MAX_FINDING).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}...", &text[..end])
}

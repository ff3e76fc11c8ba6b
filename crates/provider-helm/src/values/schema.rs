//! `values.schema.json`: what a chart demands of its values.

use crate::chart::Chart;
use provider_core::{Error, Result};
use serde_json::Value;

/// Findings that one error lists; more are counted.
const MAX_FINDINGS: usize = 50;
/// Bytes of one finding: it may quote the value.
const MAX_FINDING: usize = 400;

/// Checks the coalesced values of `chart` against its schema, and those of each chart inside it against its own.
///
/// Schemas are of draft 2020-12 unless they say another one. References lead nowhere outside of the schema.
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
    let schema: Value = serde_json::from_slice(schema).map_err(|e| e.to_string())?;
    let validator = jsonschema::options().build(&schema).map_err(|e| shorten(&e.to_string()))?;
    Ok(validator
        .iter_errors(values)
        .map(|error| {
            let path = error.instance_path().as_str();
            let path = if path.is_empty() { "/" } else { path };
            shorten(&format!("`{path}`: {error}"))
        })
        .collect())
}

fn shorten(text: &str) -> String {
    if text.len() <= MAX_FINDING {
        return text.to_owned();
    }
    let end = (0..=MAX_FINDING).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}...", &text[..end])
}

//! Manifests: documents taken apart, in the order in which they are applied.

mod order;
mod workload;

pub use order::{Phase, install_phase, install_rank, uninstall_rank};
pub use workload::{Container, Workload};

use provider_core::{Error, Result};
use serde_json::Value;

/// Keeps an object when its release is deleted or no longer has it.
pub const RESOURCE_POLICY: &str = "helm.sh/resource-policy";

/// The text at a JSON pointer.
pub fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// An annotation of an object.
pub fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(name)?.as_str()
}

/// Whether the object says that it stays when its release goes.
pub fn is_kept(object: &Value) -> bool {
    annotation(object, RESOURCE_POLICY).is_some_and(|policy| policy.trim().eq_ignore_ascii_case("keep"))
}

/// The objects of a manifest, in its order. Lists are taken apart; empty documents are left out.
///
/// # Errors
/// `Invalid` for what is not YAML or not an object with `apiVersion`, `kind` and `metadata.name`.
pub fn objects(manifest: &str) -> Result<Vec<Value>> {
    let documents = gotemplate::yaml::parse_all(manifest)
        .map_err(|e| Error::invalid(format!("reading a manifest: {e}")))?;
    let mut objects = Vec::new();
    for document in documents {
        flatten(document, &mut objects)?;
    }
    Ok(objects)
}

fn flatten(document: Value, into: &mut Vec<Value>) -> Result<()> {
    if document.is_null() || document.as_object().is_some_and(serde_json::Map::is_empty) {
        return Ok(());
    }
    let kind = text(&document, "/kind").unwrap_or_default();
    if kind.ends_with("List") && document.get("items").is_some_and(Value::is_array) {
        let Value::Object(mut list) = document else { return Ok(()) };
        if let Some(Value::Array(items)) = list.remove("items") {
            for item in items {
                flatten(item, into)?;
            }
        }
        return Ok(());
    }
    let has = |pointer| text(&document, pointer).is_some_and(|text| !text.is_empty());
    let lacks: Vec<_> =
        [("/apiVersion", "apiVersion"), ("/kind", "kind"), ("/metadata/name", "metadata.name")]
            .into_iter()
            .filter(|(pointer, _)| !has(pointer))
            .map(|(_, key)| key)
            .collect();
    if lacks.is_empty() {
        into.push(document);
        return Ok(());
    }
    let name = text(&document, "/metadata/name").unwrap_or("without a name");
    Err(Error::invalid(format!("reading a manifest: the {kind} {name} has no {}", lacks.join(" and no "))))
}

#[cfg(test)]
mod tests;

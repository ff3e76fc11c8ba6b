//! What an apply would change, field by field. What the cluster itself writes is left out, and so is every secret.

use crate::lookup::Hidden;
use provider_core::{ChangeKind, FieldChange, ObjectChange};
use serde_json::Value;

/// How long a shown value may be.
const SHOWN: usize = 120;

/// What turns `before` into `after`; either may not be there. What is `hidden` is not shown.
pub(super) fn change(
    object: String,
    before: Option<&Value>,
    after: Option<&Value>,
    hidden: &Hidden,
) -> ObjectChange {
    let (kind, fields) = match (before, after) {
        (None, Some(_)) => (ChangeKind::Create, Vec::new()),
        (Some(_), None) => (ChangeKind::Delete, Vec::new()),
        (None, None) => (ChangeKind::Same, Vec::new()),
        (Some(before), Some(after)) => {
            let is_secret = after["kind"] == "Secret";
            let mut fields = Vec::new();
            walk(
                "",
                before,
                after,
                &|path, text| is_secret_at(is_secret, path) || hidden.is_in(text),
                &mut fields,
            );
            (if fields.is_empty() { ChangeKind::Same } else { ChangeKind::Update }, fields)
        }
    };
    ObjectChange { object, kind, fields }
}

fn walk(
    path: &str,
    before: &Value,
    after: &Value,
    hides: &dyn Fn(&str, &str) -> bool,
    into: &mut Vec<FieldChange>,
) {
    if before == after || is_written_by_the_cluster(path) {
        return;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let mut keys: Vec<_> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let dotted =
                    if key.contains(['.', '/']) { format!("{path}[{key}]") } else { format!("{path}.{key}") };
                let (old, new) = (old.get(key).unwrap_or(&Value::Null), new.get(key).unwrap_or(&Value::Null));
                walk(&dotted, old, new, hides, into);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for index in 0..old.len().max(new.len()) {
                let at = format!("{path}[{index}]");
                let (old, new) =
                    (old.get(index).unwrap_or(&Value::Null), new.get(index).unwrap_or(&Value::Null));
                walk(&at, old, new, hides, into);
            }
        }
        _ => {
            let show = |value: &Value| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                (!value.is_null())
                    .then(|| if hides(path, &text) { "(secret)".to_owned() } else { shown(text) })
            };
            into.push(FieldChange { path: path.to_owned(), before: show(before), after: show(after) });
        }
    }
}

fn is_written_by_the_cluster(path: &str) -> bool {
    path == ".status"
        || [
            ".metadata.managedFields",
            ".metadata.resourceVersion",
            ".metadata.generation",
            ".metadata.uid",
            ".metadata.creationTimestamp",
            ".metadata.selfLink",
        ]
        .contains(&path)
}

fn is_secret_at(is_secret: bool, path: &str) -> bool {
    is_secret && (path.starts_with(".data") || path.starts_with(".stringData"))
}

fn shown(text: String) -> String {
    if text.chars().count() <= SHOWN {
        return text;
    }
    text.chars().take(SHOWN).chain("…".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_would_change_is_told_and_no_secret() {
        #[allow(clippy::needless_pass_by_value, reason = "rows of a table read better")]
        fn check(before: Value, after: Value, want: &[&str]) {
            let change = change("x".into(), Some(&before), Some(&after), &Hidden::default());
            let lines: Vec<_> = change
                .fields
                .iter()
                .map(|f| {
                    format!(
                        "{} {} -> {}",
                        f.path,
                        f.before.as_deref().unwrap_or("-"),
                        f.after.as_deref().unwrap_or("-")
                    )
                })
                .collect();
            assert_eq!(lines, want);
            assert_eq!(change.kind == ChangeKind::Same, want.is_empty());
        }
        check(json!({ "a": 1 }), json!({ "a": 1 }), &[]);
        check(
            json!({ "spec": { "replicas": 1, "b": [1, 2] }, "metadata": { "resourceVersion": "1", "labels": { "a.b/c": "x" } } }),
            json!({ "spec": { "replicas": 2, "b": [1] }, "metadata": { "resourceVersion": "2", "labels": {} } }),
            &[".metadata.labels[a.b/c] x -> -", ".spec.b[1] 2 -> -", ".spec.replicas 1 -> 2"],
        );
        check(
            json!({ "kind": "Secret", "data": { "p": "YQ==" } }),
            json!({ "kind": "Secret", "data": { "p": "Yg==" } }),
            &[".data.p (secret) -> (secret)"],
        );
    }
}

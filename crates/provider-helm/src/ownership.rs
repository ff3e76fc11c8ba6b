//! Whose an object is: Helm's label and annotations.

use crate::{
    api::ObjectRef,
    manifest::{annotation, text},
};
use provider_core::Error;
use serde_json::{Map, Value, json};

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// Writes into an object which release it belongs to.
pub fn own(object: &mut Value, release: &str, namespace: &str) {
    put(object, "labels", MANAGED_BY, "Helm");
    put(object, "annotations", RELEASE_NAME, release);
    put(object, "annotations", RELEASE_NAMESPACE, namespace);
}

/// Sets a label or an annotation.
pub fn put(object: &mut Value, map: &str, key: &str, value: &str) {
    let Some(object) = object.as_object_mut() else { return };
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    let Some(metadata) = metadata.as_object_mut() else { return };
    let entries = metadata.entry(map).or_insert(Value::Null);
    if entries.is_null() {
        *entries = Value::Object(Map::new());
    }
    if let Some(entries) = entries.as_object_mut() {
        entries.insert(key.to_owned(), value.into());
    }
}

/// Why a live object does not belong to a release; none when it does.
pub fn stranger(live: &Value, release: &str, namespace: &str) -> Option<String> {
    let managed_by = live.pointer("/metadata/labels").and_then(|labels| labels.get(MANAGED_BY)?.as_str());
    let (name, space) = (annotation(live, RELEASE_NAME), annotation(live, RELEASE_NAMESPACE));
    match (managed_by, name, space) {
        (Some("Helm"), Some(name), Some(space)) if name == release && space == namespace => None,
        (_, Some(name), Some(space)) if name != release || space != namespace => {
            Some(format!("it belongs to the release `{name}` in the namespace `{space}`"))
        }
        (Some(other), ..) if other != "Helm" => Some(format!("it is there already, managed by `{other}`")),
        _ => Some("it is there already, and no release owns it".to_owned()),
    }
}

/// The error for an object that belongs to something else.
pub fn refuse(object: &ObjectRef, why: &str) -> Error {
    Error::conflict(format!("applying {object}: {why}")).hint(HINT)
}

/// What to do about an object that belongs to something else.
pub const HINT: &str =
    "delete it, give the release another name, or label and annotate it as the release's own";

/// Whether an object is one that a call made; `token` is in its annotations.
pub fn is_made_by(live: &Value, token: &str) -> bool {
    text(live, "/metadata/annotations/pitrix.io~1token") == Some(token)
}

/// The annotation that says which call made an object.
pub const TOKEN: &str = "pitrix.io/token";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_a_releases_own_only_with_all_three_marks() {
        #[allow(clippy::needless_pass_by_value, reason = "rows of a table read better")]
        fn check(labels: Value, annotations: Value, want: Option<&str>) {
            let live = json!({ "metadata": { "labels": labels, "annotations": annotations } });
            assert_eq!(stranger(&live, "web", "shop").as_deref(), want);
        }
        let helm = json!({ MANAGED_BY: "Helm" });
        let of = |name: &str, space: &str| json!({ RELEASE_NAME: name, RELEASE_NAMESPACE: space });
        check(helm.clone(), of("web", "shop"), None);
        check(json!(null), of("web", "shop"), Some("it is there already, and no release owns it"));
        check(helm.clone(), of("web", "x"), Some("it belongs to the release `web` in the namespace `x`"));
        check(helm, json!(null), Some("it is there already, and no release owns it"));
        check(
            json!({ MANAGED_BY: "kustomize" }),
            json!({}),
            Some("it is there already, managed by `kustomize`"),
        );
    }

    #[test]
    fn marks_are_added_where_there_were_none() {
        let mut object = json!({ "metadata": { "name": "x", "labels": null } });
        own(&mut object, "web", "shop");
        assert_eq!(stranger(&object, "web", "shop"), None);
    }
}

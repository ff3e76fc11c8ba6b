//! The objects of a cluster at one moment, without what two of the same never share.

use crate::Result;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The objects of a chart at one moment, by [`key`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Snapshot(pub(super) BTreeMap<String, Value>);

/// Kinds that Kubernetes makes by itself beside others.
const MADE_BY_KUBERNETES: [&str; 7] =
    ["Endpoints", "EndpointSlice", "Event", "IPAddress", "Lease", "PersistentVolume", "ServiceCIDR"];

/// Type of the Secret that holds a release.
const RELEASE: &str = "helm.sh/release.v1";

impl Snapshot {
    /// The objects of a `kubectl get -o json` that are not in `before`.
    pub(super) fn read(json: &str, before: &BTreeSet<String>) -> Result<Self> {
        Ok(Self(
            items(json)?
                .filter(|object| !is_made_by_kubernetes(object) && !before.contains(&key(object)))
                .map(|object| (key(&object), normal(object)))
                .collect(),
        ))
    }

    /// Without the objects of namespaces that begin with `prefix`, except `mine`.
    pub(super) fn without_others(mut self, prefix: &str, mine: &str) -> Self {
        self.0.retain(|key, _| {
            let (_, namespace) = target(key);
            namespace.is_none_or(|namespace| namespace == mine || !namespace.starts_with(prefix))
        });
        self
    }

    /// What differs from `other`, a line each: what `self` has and then what `other` has. Where `noise` differs from
    /// `self` nothing is said: it was made as `self` was, so that the place holds something random.
    pub(super) fn differences(&self, other: &Self, noise: Option<&Self>) -> Vec<String> {
        let random: BTreeSet<_> =
            noise.into_iter().flat_map(|noise| self.places(noise)).map(|(place, ..)| place).collect();
        let is_random = |place: &str| random.iter().any(|random| place.starts_with(random.as_str()));
        self.places(other)
            .into_iter()
            .filter(|(place, ..)| !is_random(place))
            .map(|(place, ours, theirs)| format!("{place}: {} / {}", shown(ours), shown(theirs)))
            .collect()
    }

    /// The innermost places at which the two differ.
    fn places<'a>(&'a self, other: &'a Self) -> Vec<(String, Option<&'a Value>, Option<&'a Value>)> {
        let keys: BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        let mut places = Vec::new();
        for key in keys {
            compare(key.clone(), self.0.get(key), other.0.get(key), &mut places);
        }
        places
    }
}

/// The keys of all objects of a `kubectl get -o json`.
pub(super) fn keys(json: &str) -> Result<BTreeSet<String>> {
    Ok(items(json)?.map(|object| key(&object)).collect())
}

/// Names of custom resources, as `kubectl get` takes them, that the definitions among the objects bring.
pub(super) fn custom_resources(json: &str, before: &BTreeSet<String>) -> Result<Vec<String>> {
    Ok(items(json)?
        .filter(|object| object["kind"] == "CustomResourceDefinition" && !before.contains(&key(object)))
        .map(|object| text(&object["metadata"]["name"]).to_owned())
        .collect())
}

/// Where an object is: `kind.group/name`, and behind an `@` its namespace.
fn key(object: &Value) -> String {
    let (group, _) = text(&object["apiVersion"]).split_once('/').unwrap_or_default();
    let kind = text(&object["kind"]);
    let name = text(&object["metadata"]["name"]);
    let dot = if group.is_empty() { "" } else { "." };
    match text(&object["metadata"]["namespace"]) {
        "" => format!("{kind}{dot}{group}/{name}"),
        namespace => format!("{kind}{dot}{group}/{name}@{namespace}"),
    }
}

/// `kubectl`'s words for an object, from its [`key`]: what it is, and its namespace.
pub(super) fn target(key: &str) -> (&str, Option<&str>) {
    key.split_once('@').map_or((key, None), |(object, namespace)| (object, Some(namespace)))
}

fn items(json: &str) -> Result<impl Iterator<Item = Value>> {
    let mut list: Value = if json.trim().is_empty() {
        Value::Null
    } else {
        serde_json::from_str(json).map_err(|error| format!("kubectl printed no JSON: {error}"))?
    };
    let items = list["items"].as_array_mut().map(std::mem::take);
    Ok(items.unwrap_or_default().into_iter())
}

/// Whether no chart has put it there, or it is on its way out: its kind, its owner or its name says so.
fn is_made_by_kubernetes(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let kind = text(&object["kind"]);
    let is_of_each_namespace = matches!(
        (kind, text(&metadata["name"])),
        ("ServiceAccount", "default") | ("ConfigMap", "kube-root-ca.crt")
    );
    // The API server keeps one for each custom resource.
    let is_automatic = !metadata["labels"]["kube-aggregator.kubernetes.io/automanaged"].is_null();
    MADE_BY_KUBERNETES.contains(&kind)
        || !metadata["deletionTimestamp"].is_null()
        || is_of_each_namespace
        || is_automatic
        || metadata["ownerReferences"].as_array().is_some_and(|owners| !owners.is_empty())
}

/// Without what the server gives to each object, and what controllers say of it.
fn normal(mut object: Value) -> Value {
    let kind = text(&object["kind"]).to_owned();
    remove(&mut object, &["status"]);
    let metadata = &mut object["metadata"];
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
        remove(metadata, &[field]);
    }
    // Said by controllers, some time later; and the marks by which Pitrix finds its own calls after a crash.
    const SET_ASIDE: [&str; 6] = [
        "pitrix.io/",
        "deployment.kubernetes.io/",
        "deprecated.daemonset.template.generation",
        "pv.kubernetes.io/",
        "volume.kubernetes.io/",
        "volume.beta.kubernetes.io/",
    ];
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|name, _| !SET_ASIDE.iter().any(|prefix| name.starts_with(prefix)));
        if annotations.is_empty() {
            remove(metadata, &["annotations"]);
        }
    }
    match kind.as_str() {
        "Service" => service(&mut object),
        "PersistentVolumeClaim" => remove(&mut object, &["spec", "volumeName"]),
        "Job" => {
            remove(&mut object, &["spec", "selector"]);
            for label in ["controller-uid", "batch.kubernetes.io/controller-uid"] {
                remove(&mut object, &["spec", "template", "metadata", "labels", label]);
                remove(&mut object, &["metadata", "labels", label]);
            }
        }
        "CustomResourceDefinition" => remove(&mut object, &["metadata", "finalizers"]),
        "Secret" => match text(&object["type"]) {
            // Who reads releases is asked elsewhere: here it counts that there is one, and in which state.
            RELEASE => {
                remove(&mut object, &["data"]);
                for label in ["createdAt", "modifiedAt"] {
                    remove(&mut object, &["metadata", "labels", label]);
                }
            }
            "kubernetes.io/service-account-token" => {
                remove(&mut object, &["data"]);
                remove(&mut object, &["metadata", "annotations", "kubernetes.io/service-account.uid"]);
            }
            _ => {}
        },
        _ => {}
    }
    object
}

/// Without the addresses and ports that the server chose.
fn service(object: &mut Value) {
    let spec = &mut object["spec"];
    if spec["clusterIP"] != "None" {
        remove(spec, &["clusterIP"]);
        remove(spec, &["clusterIPs"]);
    }
    remove(spec, &["healthCheckNodePort"]);
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        remove(port, &["nodePort"]);
    }
}

fn remove(value: &mut Value, path: &[&str]) {
    let Some((last, above)) = path.split_last() else { return };
    let inner = above.iter().try_fold(value, |value, field| value.get_mut(field));
    if let Some(fields) = inner.and_then(Value::as_object_mut) {
        fields.remove(*last);
    }
}

fn compare<'a>(
    place: String,
    one: Option<&'a Value>,
    other: Option<&'a Value>,
    places: &mut Vec<(String, Option<&'a Value>, Option<&'a Value>)>,
) {
    match (one, other) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            for field in fields(a, b) {
                compare(format!("{place} {field}"), a.get(field), b.get(field), places);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                compare(format!("{place} {index}"), Some(a), Some(b), places);
            }
        }
        _ if one != other => places.push((place, one, other)),
        _ => {}
    }
}

fn fields<'a>(a: &'a Map<String, Value>, b: &'a Map<String, Value>) -> BTreeSet<&'a String> {
    a.keys().chain(b.keys()).collect()
}

/// Short enough for a line; nothing where there is nothing.
fn shown(value: Option<&Value>) -> String {
    const LONGEST: usize = 60;
    let text = value.map_or("nothing".to_owned(), Value::to_string);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn snapshot(objects: &[Value]) -> Snapshot {
        Snapshot::read(&json!({ "items": objects }).to_string(), &BTreeSet::new()).unwrap()
    }

    fn map(name: &str, data: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data,
            "metadata": {"name": name, "namespace": "n", "uid": "u", "resourceVersion": "7"}})
    }

    #[test]
    fn what_the_server_gives_is_left_out() {
        let check = |object: Value, left: Value| {
            let object = json!({"kind": object["kind"], "apiVersion": "v1", "type": object["type"],
                "metadata": object["metadata"], "spec": object["spec"], "data": object["data"]});
            let normal = normal(object);
            for field in ["metadata", "spec", "data"] {
                assert_eq!(normal.get(field).unwrap_or(&Value::Null), &left[field], "{normal}");
            }
        };
        let metadata = json!({"name": "a", "generation": 2});
        let mut given = metadata.clone();
        given["uid"] = json!("u");
        given["managedFields"] = json!([1]);
        given["annotations"] = json!({"deployment.kubernetes.io/revision": "1"});
        check(json!({"kind": "Deployment", "metadata": given}), json!({"metadata": metadata}));
        check(
            json!({"kind": "Service", "metadata": {}, "spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
                "ports": [{"port": 80, "nodePort": 30001}]}}),
            json!({"metadata": {}, "spec": {"ports": [{"port": 80}]}}),
        );
        let headless = json!({"clusterIP": "None", "clusterIPs": ["None"]});
        check(
            json!({"kind": "Service", "metadata": {}, "spec": headless}),
            json!({"metadata": {}, "spec": headless}),
        );
        check(
            json!({"kind": "Secret", "type": RELEASE, "data": {"release": "x"},
                "metadata": {"labels": {"status": "deployed", "modifiedAt": "1"}}}),
            json!({"metadata": {"labels": {"status": "deployed"}}}),
        );
        check(
            json!({"kind": "Job", "metadata": {}, "spec": {"selector": 1,
                "template": {"metadata": {"labels": {"controller-uid": "u", "a": "b"}}}}}),
            json!({"metadata": {}, "spec": {"template": {"metadata": {"labels": {"a": "b"}}}}}),
        );
    }

    #[test]
    fn what_kubernetes_makes_is_no_object_of_a_chart() {
        let check = |object: Value, expected| {
            assert_eq!(is_made_by_kubernetes(&object), expected, "{object}");
        };
        check(json!({"kind": "ReplicaSet", "metadata": {"ownerReferences": [{"kind": "Deployment"}]}}), true);
        check(json!({"kind": "ReplicaSet", "metadata": {"ownerReferences": []}}), false);
        check(json!({"kind": "ServiceAccount", "metadata": {"name": "default"}}), true);
        check(json!({"kind": "ServiceAccount", "metadata": {"name": "web"}}), false);
        check(json!({"kind": "Event", "metadata": {}}), true);
        let labels = json!({"kube-aggregator.kubernetes.io/automanaged": "true"});
        check(json!({"kind": "APIService", "metadata": {"labels": labels}}), true);
    }

    #[test]
    fn differences_are_told_by_place() {
        let check = |ours: &[Value], theirs: &[Value], expected: &[&str]| {
            assert_eq!(snapshot(ours).differences(&snapshot(theirs), None), expected);
        };
        let one = map("one", &json!({"a": "1", "b": ["x", "y"]}));
        check(std::slice::from_ref(&one), std::slice::from_ref(&one), &[]);
        check(
            std::slice::from_ref(&one),
            &[map("one", &json!({"a": "2", "b": ["x", "z"], "c": true}))],
            &[
                r#"ConfigMap/one@n data a: "1" / "2""#,
                r#"ConfigMap/one@n data b 1: "y" / "z""#,
                "ConfigMap/one@n data c: nothing / true",
            ],
        );
        let missing = snapshot(&[one]).differences(&snapshot(&[]), None);
        assert!(
            missing[0].starts_with("ConfigMap/one@n: {") && missing[0].ends_with("… / nothing"),
            "{missing:?}"
        );
    }

    #[test]
    fn what_differs_between_two_of_the_same_is_random() {
        let of = |password: &str, size| snapshot(&[map("m", &json!({"password": password, "size": size}))]);
        let check = |other: &Snapshot, expected: &[&str]| {
            assert_eq!(of("a", 1).differences(other, Some(&of("b", 1))), expected);
        };
        check(&of("c", 1), &[]);
        check(&of("c", 2), &["ConfigMap/m@n data size: 1 / 2"]);
    }

    #[test]
    fn objects_are_named_as_kubectl_takes_them() {
        let check = |object: Value, expected: &str, target_of: (&str, Option<&str>)| {
            assert_eq!(key(&object), expected);
            assert_eq!(target(expected), target_of);
        };
        let metadata = json!({"name": "a", "namespace": "n"});
        check(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}),
            "Deployment.apps/a@n",
            ("Deployment.apps/a", Some("n")),
        );
        check(
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}),
            "Namespace/n",
            ("Namespace/n", None),
        );
    }

    #[test]
    fn what_was_there_before_is_not_the_charts() {
        let json = json!({"items": [map("old", &json!({})), map("new", &json!({}))]}).to_string();
        let before = BTreeSet::from(["ConfigMap/old@n".to_owned()]);
        let keys: Vec<_> = Snapshot::read(&json, &before).unwrap().0.into_keys().collect();
        assert_eq!(keys, ["ConfigMap/new@n"]);
        assert_eq!(super::keys("").unwrap(), BTreeSet::new());
    }
}

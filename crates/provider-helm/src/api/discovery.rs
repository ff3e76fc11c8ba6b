//! What the API serves: two requests on a server that aggregates, one for each group on an old one.

use super::{Api, Resource, error::classify, error::reading};
use futures_util::future::join;
use provider_core::Result;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// The kinds that a server has.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    kinds: BTreeMap<(String, String), Resource>,
    groups: BTreeSet<String>,
}

impl Discovery {
    /// Asks the server.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn run(api: &Api) -> Result<Self> {
        let mut found = Self::default();
        let (core, groups) = join(found_at(api, "/api"), found_at(api, "/apis")).await;
        for (root, list) in [("/api", core?), ("/apis", groups?)] {
            if list.get("items").is_some() {
                found.add_aggregated(&list);
            } else {
                found.add_old(api, root, &list).await?;
            }
        }
        Ok(found)
    }

    fn add_aggregated(&mut self, list: &Value) {
        for group in array(list, "items") {
            let name = group.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            for version in array(group, "versions") {
                let version_name = string(version, "version");
                let api_version =
                    if name.is_empty() { version_name.to_owned() } else { format!("{name}/{version_name}") };
                self.groups.insert(api_version.clone());
                for resource in array(version, "resources") {
                    let kind =
                        resource.pointer("/responseKind/kind").and_then(Value::as_str).unwrap_or_default();
                    let namespaced = string(resource, "scope") == "Namespaced";
                    self.add(&api_version, kind, string(resource, "resource"), namespaced);
                }
            }
        }
    }

    async fn add_old(&mut self, api: &Api, root: &str, list: &Value) -> Result<()> {
        let mut versions: Vec<String> =
            array(list, "versions").filter_map(Value::as_str).map(str::to_owned).collect();
        for group in array(list, "groups") {
            versions
                .extend(array(group, "versions").map(|version| string(version, "groupVersion").to_owned()));
        }
        for api_version in versions {
            // A group whose server is down is left out: only who needs it misses it.
            let Ok(Some(resources)) = api.get(&format!("{root}/{api_version}")).await else { continue };
            self.groups.insert(api_version.clone());
            for resource in array(&resources, "resources") {
                let plural = string(resource, "name");
                if !plural.contains('/') {
                    let namespaced = resource.get("namespaced").and_then(Value::as_bool).unwrap_or(false);
                    self.add(&api_version, string(resource, "kind"), plural, namespaced);
                }
            }
        }
        Ok(())
    }

    /// Adds a kind that is not served yet, because its definition is about to be applied.
    pub fn add(&mut self, api_version: &str, kind: &str, plural: &str, namespaced: bool) {
        if kind.is_empty() || plural.is_empty() {
            return;
        }
        self.groups.insert(api_version.to_owned());
        self.kinds.entry((api_version.to_owned(), kind.to_owned())).or_insert_with(|| Resource {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            namespaced,
        });
    }

    /// Adds the kinds that a CustomResourceDefinition defines.
    pub fn add_definition(&mut self, definition: &Value) {
        let at = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (group, kind, plural) = (at("/spec/group"), at("/spec/names/kind"), at("/spec/names/plural"));
        let namespaced = at("/spec/scope") == "Namespaced";
        let mut versions: Vec<_> = definition
            .pointer("/spec/versions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter(|version| version.get("served").and_then(Value::as_bool).unwrap_or(true))
            .map(|version| string(version, "name"))
            .collect();
        if versions.is_empty() {
            versions.push(at("/spec/version"));
        }
        for version in versions {
            self.add(&format!("{group}/{version}"), kind, plural, namespaced);
        }
    }

    /// The resource of a kind, if it is served.
    pub fn resource(&self, api_version: &str, kind: &str) -> Option<&Resource> {
        self.kinds.get(&(api_version.to_owned(), kind.to_owned()))
    }

    /// The other versions in which a kind of this name is served.
    pub fn versions_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.kinds.keys().filter(move |(_, known)| known == kind).map(|(version, _)| version.as_str())
    }

    /// What a chart may ask for: `VERSION`, `GROUP/VERSION`, and each with its kinds.
    pub fn api_versions(&self) -> BTreeSet<String> {
        let kinds = self.kinds.keys().map(|(version, kind)| format!("{version}/{kind}"));
        kinds.chain(self.groups.iter().cloned()).collect()
    }

    /// The versions alone, without kinds.
    pub fn group_versions(&self) -> &BTreeSet<String> {
        &self.groups
    }
}

async fn found_at(api: &Api, root: &str) -> Result<Value> {
    let found = api.request(http::Method::GET, root, AGGREGATED, None).await;
    found.map_err(|e| reading(classify(format!("asking what is served at {root}"), &e)))
}

fn array<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn string<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

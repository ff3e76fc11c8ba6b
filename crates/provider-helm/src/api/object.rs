//! What an object is called, and where its resource lives.

use crate::manifest::text;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// A kind of object as the API serves it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Resource {
    /// `GROUP/VERSION`, or `VERSION` for the core group.
    pub api_version: String,
    /// For example `Deployment`.
    pub kind: String,
    /// For example `deployments`; the last part of the path.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl Resource {
    /// The group; empty for the core group.
    pub fn group(&self) -> &str {
        group_of(&self.api_version)
    }

    /// The path of all objects, in a namespace when there is one.
    pub fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.api_version.contains('/') { "/apis" } else { "/api" };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/{}/namespaces/{namespace}/{}", self.api_version, self.plural),
            None => format!("{root}/{}/{}", self.api_version, self.plural),
        }
    }

    /// How quotas and access rules write it: `deployments.apps`, `services`.
    pub fn qualified(&self) -> String {
        match self.group() {
            "" => self.plural.clone(),
            group => format!("{}.{group}", self.plural),
        }
    }
}

/// The group in an `apiVersion`; empty for the core group.
pub fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its kind.
    #[serde(flatten)]
    pub resource: Resource,
    /// Its namespace, unless it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl ObjectRef {
    /// The name of `object`, which is of this kind. What lives in namespaces and names none is put in `namespace`.
    pub fn of(resource: Resource, object: &Value, namespace: &str) -> Self {
        let own = text(object, "/metadata/namespace").filter(|own| !own.is_empty());
        let namespace = resource.namespaced.then(|| own.unwrap_or(namespace).to_owned());
        let name = text(object, "/metadata/name").unwrap_or_default().to_owned();
        Self { resource, namespace, name }
    }

    /// The path of the object.
    pub fn path(&self) -> String {
        format!("{}/{}", self.resource.path(self.namespace.as_deref()), self.name)
    }

    /// The kind, as in manifests.
    pub fn kind(&self) -> &str {
        &self.resource.kind
    }

    /// What it is called among objects of the namespace `home`: one that is in another says so.
    pub fn seen_from(&self, home: &str) -> String {
        match self.namespace.as_deref() {
            Some(namespace) if namespace != home => format!("{self} in {namespace}"),
            _ => self.to_string(),
        }
    }

    /// Whether it is the same object, whatever version of its API names it.
    pub fn is_same(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    /// What makes it one object: group, kind, namespace and name, whatever the version.
    pub fn identity(&self) -> (&str, &str, Option<&str>, &str) {
        (self.resource.group(), &self.resource.kind, self.namespace.as_deref(), &self.name)
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.resource.kind, self.name)
    }
}

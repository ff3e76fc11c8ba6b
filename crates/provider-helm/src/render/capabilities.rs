//! `.Capabilities`: what the cluster and the renderer can do.

use gotemplate::{Call, Element, FunctionError, Kind, List, Object, Value};
use provider_core::{Error, Result};
use std::any::Any;
use std::sync::Arc;

/// The version of Helm whose rules are followed, as `.Capabilities.HelmVersion` says it.
const HELM_VERSION: &str = "v4.3.1";
const KUBE_CLIENT_VERSION: &str = "v1.37";

/// What templates may ask about the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The version of Kubernetes, as the server says it.
    pub kube_version: KubeVersion,
    /// `group/version` and `group/version/Kind` of everything that the server has.
    pub api_versions: Arc<[String]>,
}

/// A version of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeVersion {
    full: String,
    plain: String,
    major: String,
    minor: String,
}

impl KubeVersion {
    /// Reads a version like `v1.33.0` or `1.33.4-gke.1245000`.
    ///
    /// # Errors
    /// `Invalid` when it does not begin with two numbers.
    pub fn parse(text: &str) -> Result<Self> {
        let numbers = text.strip_prefix('v').unwrap_or(text);
        let end = numbers.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(numbers.len());
        let plain = numbers[..end].trim_end_matches('.');
        let parts: Vec<&str> = plain.split('.').collect();
        let [major, minor, ..] = parts[..] else {
            return Err(not_a_version(text));
        };
        if parts.iter().any(|part| part.is_empty()) {
            return Err(not_a_version(text));
        }
        Ok(Self {
            full: format!("v{numbers}"),
            plain: format!("v{plain}"),
            major: major.to_owned(),
            minor: minor.to_owned(),
        })
    }

    /// The version without what a vendor added.
    pub fn plain(&self) -> &str {
        &self.plain
    }
}

fn not_a_version(text: &str) -> Error {
    Error::invalid(format!("`{text}` is no version of Kubernetes")).hint("a version looks like `v1.33.0`")
}

/// What Helm assumes without a cluster.
impl Default for Capabilities {
    fn default() -> Self {
        let api_versions = DEFAULT_API_VERSIONS.split_ascii_whitespace().map(str::to_owned).collect();
        let part = |text: &str| text.to_owned();
        let kube_version = KubeVersion {
            full: part("v1.37.0"),
            plain: part("v1.37.0"),
            major: part("1"),
            minor: part("37"),
        };
        Self { kube_version, api_versions }
    }
}

const DEFAULT_API_VERSIONS: &str = "
    v1 admissionregistration.k8s.io/v1 admissionregistration.k8s.io/v1alpha1 admissionregistration.k8s.io/v1beta1
    internal.apiserver.k8s.io/v1alpha1 apps/v1 apps/v1beta1 apps/v1beta2 authentication.k8s.io/v1
    authentication.k8s.io/v1alpha1 authentication.k8s.io/v1beta1 authorization.k8s.io/v1 authorization.k8s.io/v1beta1
    autoscaling/v1 autoscaling/v2 batch/v1 batch/v1beta1 certificates.k8s.io/v1 certificates.k8s.io/v1beta1
    certificates.k8s.io/v1alpha1 coordination.k8s.io/v1alpha2 coordination.k8s.io/v1beta1 coordination.k8s.io/v1
    discovery.k8s.io/v1 discovery.k8s.io/v1beta1 events.k8s.io/v1 events.k8s.io/v1beta1 extensions/v1beta1
    flowcontrol.apiserver.k8s.io/v1 flowcontrol.apiserver.k8s.io/v1beta1 flowcontrol.apiserver.k8s.io/v1beta2
    flowcontrol.apiserver.k8s.io/v1beta3 lifecycle.k8s.io/v1alpha1 networking.k8s.io/v1 networking.k8s.io/v1beta1
    node.k8s.io/v1 node.k8s.io/v1alpha1 node.k8s.io/v1beta1 policy/v1 policy/v1beta1 rbac.authorization.k8s.io/v1
    rbac.authorization.k8s.io/v1beta1 rbac.authorization.k8s.io/v1alpha1 resource.k8s.io/v1 resource.k8s.io/v1beta2
    resource.k8s.io/v1beta1 resource.k8s.io/v1alpha3 scheduling.k8s.io/v1alpha3 scheduling.k8s.io/v1beta1
    scheduling.k8s.io/v1 storage.k8s.io/v1beta1 storage.k8s.io/v1 storage.k8s.io/v1alpha1 storagemigration.k8s.io/v1
    storagemigration.k8s.io/v1beta1 apiextensions.k8s.io/v1beta1 apiextensions.k8s.io/v1";

impl Capabilities {
    pub(super) fn value(&self) -> Value {
        Value::object(Whole(self.clone()))
    }
}

struct Whole(Capabilities);

impl Object for Whole {
    fn type_name(&self) -> &str {
        "*common.Capabilities"
    }

    fn kind(&self) -> Kind {
        Kind::Pointer
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "KubeVersion" => Some(Value::object(self.0.kube_version.clone())),
            "APIVersions" => Some(Value::object(ApiVersions(Arc::clone(&self.0.api_versions)))),
            "HelmVersion" => Some(Value::object(HelmVersion)),
            _ => None,
        }
    }

    fn print(&self) -> String {
        let kube_version = self.0.kube_version.print_copy();
        format!("&{{{kube_version} [{}] {}}}", self.0.api_versions.join(" "), HelmVersion.print())
    }

    fn data(&self) -> Value {
        Value::map(["KubeVersion", "APIVersions", "HelmVersion"].map(|name| {
            let part = match self.field(name) {
                Some(Value::Object(part)) => part.data(),
                _ => Value::Nil,
            };
            (name, part)
        }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Object for KubeVersion {
    fn type_name(&self) -> &str {
        "common.KubeVersion"
    }

    fn field(&self, name: &str) -> Option<Value> {
        let text: &str = match name {
            "Version" => &self.full,
            "Major" => &self.major,
            "Minor" => &self.minor,
            _ => return None,
        };
        Some(text.into())
    }

    fn call(&self, method: &str, _: &mut Call<'_>) -> Option<Result<Value, FunctionError>> {
        match method {
            "GitVersion" => Some(Ok(self.full.as_str().into())),
            "String" => Some(Ok(self.plain.as_str().into())),
            _ => None,
        }
    }

    fn print(&self) -> String {
        self.plain.clone()
    }

    fn print_copy(&self) -> String {
        format!("{{{} {} {} {}}}", self.full, self.plain, self.major, self.minor)
    }

    fn data(&self) -> Value {
        Value::map(["Version", "Major", "Minor"].map(|name| (name, self.field(name).unwrap_or_default())))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct ApiVersions(Arc<[String]>);

impl Object for ApiVersions {
    fn type_name(&self) -> &str {
        "common.VersionSet"
    }

    fn kind(&self) -> Kind {
        Kind::Slice
    }

    fn call(&self, method: &str, call: &mut Call<'_>) -> Option<Result<Value, FunctionError>> {
        let has = |call: &mut Call<'_>| {
            let wanted = call.string(0)?;
            call.spend(self.0.len() / 8)?;
            Ok(Value::Bool(self.0.iter().any(|version| **version == *wanted)))
        };
        (method == "Has").then(|| has(call))
    }

    fn print(&self) -> String {
        format!("[{}]", self.0.join(" "))
    }

    fn entries(&self) -> Option<Vec<(Value, Value)>> {
        let entry = |(at, version): (usize, &String)| {
            (Value::int(i64::try_from(at).unwrap_or(i64::MAX)), version.as_str().into())
        };
        Some(self.0.iter().enumerate().map(entry).collect())
    }

    fn data(&self) -> Value {
        Value::List(List::of(Element::String, self.0.iter().map(|version| version.as_str().into()).collect()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct HelmVersion;

/// Field in Go, name in JSON, value. What says how Helm itself was built says the same here: charts compare none of it.
const HELM_FIELDS: [(&str, &str, &str); 5] = [
    ("Version", "version", HELM_VERSION),
    ("GitCommit", "git_commit", ""),
    ("GitTreeState", "git_tree_state", "clean"),
    ("GoVersion", "go_version", ""),
    ("KubeClientVersion", "kube_client_version", KUBE_CLIENT_VERSION),
];

impl Object for HelmVersion {
    fn type_name(&self) -> &str {
        "version.BuildInfo"
    }

    fn field(&self, name: &str) -> Option<Value> {
        HELM_FIELDS.iter().find(|(field, _, _)| *field == name).map(|(_, _, value)| (*value).into())
    }

    fn print(&self) -> String {
        format!("{{{}}}", HELM_FIELDS.map(|(_, _, value)| value).join(" "))
    }

    fn data(&self) -> Value {
        let shown = HELM_FIELDS.iter().filter(|(_, _, value)| !value.is_empty());
        Value::map(shown.map(|(_, name, value)| (*name, Value::from(*value))))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_kubernetes_is_read_with_what_vendors_add() {
        let check = |text: &str, want: Option<[&str; 4]>| {
            let parts = KubeVersion::parse(text).ok().map(|v| [v.full, v.plain, v.major, v.minor]);
            assert_eq!(parts, want.map(|parts| parts.map(str::to_owned)), "{text}");
        };
        check("1.33.0", Some(["v1.33.0", "v1.33.0", "1", "33"]));
        check("v1.33.0-gke.5+abc", Some(["v1.33.0-gke.5+abc", "v1.33.0", "1", "33"]));
        check("v1.33", Some(["v1.33", "v1.33", "1", "33"]));
        check("v1.33+", Some(["v1.33+", "v1.33", "1", "33"]));
        check("v1", None);
        check("latest", None);
        check("1..2", None);
    }
}

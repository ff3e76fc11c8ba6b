//! From rendered files to manifests and hooks in the order in which they are applied.

use crate::chart::Fields;
use provider_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One object that a chart installs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The template that it came from: `chart/templates/x.yaml`.
    pub source: String,
    /// `apiVersion`; empty when the document has none.
    pub api_version: String,
    /// `kind`; empty when the document has none.
    pub kind: String,
    /// `metadata.name`; empty when the document has none.
    pub name: String,
    /// The document as the template wrote it, without the line `---`.
    pub text: String,
}

/// One object that is created at some event in the life of a release, and is no part of the release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The object.
    pub manifest: Manifest,
    /// When it is created. Not empty.
    pub events: Vec<HookEvent>,
    /// Hooks of one event are run by weight, then by name.
    pub weight: i32,
    /// When it is deleted, as it is written: `before-hook-creation`, `hook-succeeded`, `hook-failed`.
    pub delete_policies: Vec<String>,
    /// When its logs are shown, as it is written: `hook-succeeded`, `hook-failed`.
    pub output_log_policies: Vec<String>,
}

/// An event in the life of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookEvent {
    /// Before the objects of a new release are created.
    PreInstall,
    /// After that.
    PostInstall,
    /// Before the objects of a release are changed.
    PreUpgrade,
    /// After that.
    PostUpgrade,
    /// Before the objects of a release are changed back.
    PreRollback,
    /// After that.
    PostRollback,
    /// Before the objects of a release are deleted.
    PreDelete,
    /// After that.
    PostDelete,
    /// When the release is tested.
    Test,
}

const EVENTS: [(&str, HookEvent); 10] = [
    ("pre-install", HookEvent::PreInstall),
    ("post-install", HookEvent::PostInstall),
    ("pre-upgrade", HookEvent::PreUpgrade),
    ("post-upgrade", HookEvent::PostUpgrade),
    ("pre-rollback", HookEvent::PreRollback),
    ("post-rollback", HookEvent::PostRollback),
    ("pre-delete", HookEvent::PreDelete),
    ("post-delete", HookEvent::PostDelete),
    ("test", HookEvent::Test),
    // As Helm 2 called it.
    ("test-success", HookEvent::Test),
];

impl HookEvent {
    /// The event of a name in the annotation `helm.sh/hook`.
    pub fn of(name: &str) -> Option<Self> {
        EVENTS.iter().find(|(known, _)| *known == name).map(|(_, event)| *event)
    }

    /// Its name in annotations and releases.
    pub fn name(self) -> &'static str {
        EVENTS.iter().find(|(_, event)| *event == self).map_or("test", |(name, _)| *name)
    }
}

impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Kinds in the order in which their objects are created; others follow by name.
pub const INSTALL_ORDER: [&str; 38] = [
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// What a chart may render to: more than the record of a release can hold, packed as it is.
const MAX_BYTES: usize = 10 << 20;
/// Objects that a chart may render to.
const MAX_OBJECTS: usize = 10_000;

/// The manifests and hooks in `files`, rendered text by path, each in install order.
///
/// # Errors
/// `Invalid` when a document is no YAML or no object, and when there is too much of them.
pub(super) fn sort(files: &BTreeMap<String, String>) -> Result<(Vec<Manifest>, Vec<Hook>)> {
    let (mut manifests, mut hooks) = (Vec::new(), Vec::new());
    let at_most = |count: usize, limit: usize, what: &str| match count > limit {
        true => Err(Error::invalid(format!("the chart gives too much: at most {limit} {what} are allowed"))),
        false => Ok(()),
    };
    at_most(files.values().map(String::len).sum(), MAX_BYTES, "bytes")?;
    for (path, text) in files {
        let is_partial = path.rsplit('/').next().unwrap_or(path).starts_with('_');
        if is_partial || text.trim().is_empty() {
            continue;
        }
        for text in split(text) {
            at_most(manifests.len() + hooks.len() + 1, MAX_OBJECTS, "objects")?;
            read(path, text, &mut manifests, &mut hooks)?;
        }
    }
    manifests.sort_by(|a, b| rank(&a.kind).cmp(&rank(&b.kind)));
    hooks.sort_by(|a, b| rank(&a.manifest.kind).cmp(&rank(&b.manifest.kind)));
    Ok((manifests, hooks))
}

fn rank(kind: &str) -> (usize, &str) {
    match INSTALL_ORDER.iter().position(|known| *known == kind) {
        Some(at) => (at, ""),
        None => (INSTALL_ORDER.len(), kind),
    }
}

/// The documents of a text. `---` at the beginning of a line is between two, whatever follows it in the line. Blanks at
/// the end of a document stay.
pub fn split(text: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let (mut start, mut at) = (0, 0);
    let mut is_line_start = true;
    loop {
        let rest = &text[at..];
        let found = match rest.find("\n---") {
            _ if is_line_start && rest.starts_with("---") => Some(at),
            found => found.map(|found| at + found + 1),
        };
        let document = text[start..found.unwrap_or(text.len())].trim_start();
        if !document.is_empty() {
            documents.push(document);
        }
        let Some(found) = found else { return documents };
        let after = text[found + 3..].trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
        at = text.len() - after.len();
        is_line_start = text[..at].ends_with('\n');
        start = at;
    }
}

fn read(path: &str, text: &str, manifests: &mut Vec<Manifest>, hooks: &mut Vec<Hook>) -> Result<()> {
    let document = gotemplate::yaml::parse(text).map_err(|e| {
        let line = e.line().and_then(|line| text.lines().nth(line - 1)).unwrap_or_default();
        Error::invalid(format!("`{path}` does not give YAML: {e}\n  | {line}"))
    })?;
    let mut manifest = Manifest { source: path.to_owned(), text: text.to_owned(), ..Manifest::default() };
    let mut annotations = None;
    if !document.is_null() {
        let head = Fields::of(path, &document)?;
        head.text("apiVersion", &mut manifest.api_version)?;
        head.text("kind", &mut manifest.kind)?;
        if let Some(metadata) = head.object("metadata")? {
            metadata.text("name", &mut manifest.name)?;
            metadata.text_map("annotations", &mut annotations)?;
        }
    }
    let annotation = |name: &str| annotations.as_ref().and_then(|all| all.get(name)).map(String::as_str);
    let Some(wanted) = annotation("helm.sh/hook") else {
        manifests.push(manifest);
        return Ok(());
    };
    let words = |text: &str| text.split(',').map(|word| word.trim().to_lowercase()).collect::<Vec<_>>();
    // What is made for an event that Helm does not know is never made.
    let Some(events) = words(wanted).iter().map(|name| HookEvent::of(name)).collect::<Option<Vec<_>>>()
    else {
        return Ok(());
    };
    let policies = |name: &str| annotation(name).map(words).unwrap_or_default();
    hooks.push(Hook {
        manifest,
        events,
        weight: annotation("helm.sh/hook-weight").and_then(|weight| weight.parse().ok()).unwrap_or_default(),
        delete_policies: policies("helm.sh/hook-delete-policy"),
        output_log_policies: policies("helm.sh/hook-output-log-policy"),
    });
    Ok(())
}

/// Refuses a release name that Helm refuses.
pub(super) fn check_release_name(name: &str) -> Result<()> {
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_word = |word: &str| {
        word.starts_with(is_edge) && word.ends_with(is_edge) && word.chars().all(|c| is_edge(c) || c == '-')
    };
    if name.len() <= 53 && name.split('.').all(is_word) {
        return Ok(());
    }
    Err(Error::invalid(format!("`{name}` can't be the name of a release")).hint(
        "use at most 53 lower-case letters, digits, `-` and `.`, with a letter or digit at the beginning and end",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_split_as_in_helm() {
        let check = |text: &str, want: &[&str]| assert_eq!(split(text), want, "{text:?}");
        check("a: 1", &["a: 1"]);
        check("---\na: 1\n", &["a: 1\n"]);
        check("a: 1\n---\nb: 2", &["a: 1\n", "b: 2"]);
        check("a: 1\n\n  \n---\n\n---\nb: |\n  x\n\n", &["a: 1\n\n  \n", "b: |\n  x\n\n"]);
        check("--- # first\na: 1\n---b: 2", &["# first\na: 1\n", "b: 2"]);
        check("a: 1 ---\nb", &["a: 1 ---\nb"]);
        check("a: |\n  ---\n  b", &["a: |\n  ---\n  b"]);
        check("---\n---\n", &[]);
        check("\n---\n \n---\n\n---", &[]);
        check("\n\n---\n# only this\n---", &["# only this\n"]);
        check("---\n  ---\na: 1", &["---\na: 1"]);
        check("a: 1\n----\nb: 2", &["a: 1\n", "-\nb: 2"]);
        check("a: 1\r\n\r\n---\r\nc: 1", &["a: 1\r\n\r\n", "c: 1"]);
        check("a: 1\n---\x0bd: 1", &["a: 1\n", "d: 1"]);
    }

    #[test]
    fn hooks_are_told_from_manifests() {
        let check = |annotations: &str, want: &str| {
            let text = format!("kind: Job\nmetadata:\n  name: x\n  annotations: {annotations}");
            let files = BTreeMap::from([("c/templates/x.yaml".to_owned(), text)]);
            let (manifests, hooks) = sort(&files).unwrap();
            let hooks: Vec<_> = hooks
                .iter()
                .map(|hook| {
                    let events: Vec<_> = hook.events.iter().map(|event| event.name()).collect();
                    let policies = [&hook.delete_policies[..], &hook.output_log_policies].concat();
                    format!("{} {} {}", events.join("+"), hook.weight, policies.join("+"))
                })
                .collect();
            assert_eq!(format!("{} {}", manifests.len(), hooks.join(", ")).trim(), want, "{annotations}");
        };
        check("{}", "1");
        check("{a: b}", "1");
        check("{helm.sh/hook: pre-install}", "0 pre-install 0");
        check(
            "{helm.sh/hook: 'Pre-Install, test-success', helm.sh/hook-weight: '-5'}",
            "0 pre-install+test -5",
        );
        check("{helm.sh/hook: post-delete, helm.sh/hook-weight: x}", "0 post-delete 0");
        check("{helm.sh/hook: test, helm.sh/hook-weight: 7}", "0 test 7");
        check("{helm.sh/hook: crd-install}", "0");
        check(
            "{helm.sh/hook: test, helm.sh/hook-delete-policy: 'hook-succeeded, hook-failed', helm.sh/hook-output-log-policy: hook-failed}",
            "0 test 0 hook-succeeded+hook-failed+hook-failed",
        );
    }

    #[test]
    fn objects_are_in_install_order() {
        let text = ["Zebra", "Deployment", "Service", "Apple", "Namespace", "Secret"]
            .map(|kind| format!("kind: {kind}\n"))
            .join("---\n");
        let (manifests, _) = sort(&BTreeMap::from([("c/templates/x.yaml".to_owned(), text)])).unwrap();
        let kinds: Vec<_> = manifests.iter().map(|manifest| manifest.kind.as_str()).collect();
        assert_eq!(kinds, ["Namespace", "Secret", "Service", "Deployment", "Apple", "Zebra"]);
    }

    #[test]
    fn a_release_has_a_name_like_that_of_a_host() {
        let check = |name: &str, want: bool| assert_eq!(check_release_name(name).is_ok(), want, "{name}");
        check("web", true);
        check("web-1.eu", true);
        check("", false);
        check("Web", false);
        check("-web", false);
        check("web.", false);
        check(&"a".repeat(53), true);
        check(&"a".repeat(54), false);
    }
}

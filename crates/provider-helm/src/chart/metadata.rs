//! What `Chart.yaml`, `requirements.yaml` and their locks say.

use super::fields::Fields;
use gotemplate::semver;
use provider_core::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The contents of `Chart.yaml`. It is written in releases with the same names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// The chart's name; of a subchart, its alias once dependencies are resolved.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where the project lives.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub home: String,
    /// Where the chart's source lives.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// The chart's own semantic version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// One sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Words to find the chart by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// Who keeps the chart.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maintainers: Vec<Maintainer>,
    /// The address of a picture.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub icon: String,
    /// The version of the chart format: `v1` or `v2`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Unused by charts of today; kept because templates may read it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Unused by charts of today; kept because templates may read it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tags: String,
    /// The version of the application inside.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app_version: String,
    /// Whether the chart should not be used any more.
    #[serde(skip_serializing_if = "is_false")]
    pub deprecated: bool,
    /// Whatever else; Helm does not look at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Which versions of Kubernetes it runs on, as a constraint.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kube_version: String,
    /// The charts that it is built on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// `application`, `library` or nothing, which means `application`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
}

/// Somebody who keeps a chart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Maintainer {
    /// A person or an organisation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where to write to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub email: String,
    /// Where to look.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
}

/// A chart that another one is built on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Dependency {
    /// The name in the dependency's own `Chart.yaml`; its alias once dependencies are resolved.
    pub name: String,
    /// A version or a constraint.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The repository that it comes from: `https://`, `oci://`, `file://`, `@name` or `alias:name`.
    pub repository: String,
    /// Paths into the values, separated by commas; the first that is a bool says whether the dependency is used.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Groups to switch on and off with `tags` in the values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Whether it is used; decided when dependencies are resolved.
    #[serde(skip_serializing_if = "is_false")]
    pub enabled: bool,
    /// What of its values the parent takes over: names below `exports`, or pairs `child` and `parent`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub import_values: Vec<Value>,
    /// Another name for it, so that one chart can be used more than once.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub alias: String,
}

/// Which versions the dependencies had when they were last updated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lock {
    /// When, as RFC 3339.
    pub generated: String,
    /// Of the dependencies in `Chart.yaml`.
    pub digest: String,
    /// Each with one version.
    pub dependencies: Vec<Dependency>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Metadata {
    /// Takes over what the document of `file` says; what it does not say stays.
    pub(super) fn read(&mut self, file: &str, document: &Value) -> Result<()> {
        let fields = Fields::of(file, document)?;
        fields.text("name", &mut self.name)?;
        fields.text("home", &mut self.home)?;
        fields.texts("sources", &mut self.sources)?;
        fields.text("version", &mut self.version)?;
        fields.text("description", &mut self.description)?;
        fields.texts("keywords", &mut self.keywords)?;
        fields.list("maintainers", &mut self.maintainers, Maintainer::read)?;
        fields.text("icon", &mut self.icon)?;
        fields.text("apiVersion", &mut self.api_version)?;
        fields.text("condition", &mut self.condition)?;
        fields.text("tags", &mut self.tags)?;
        fields.text("appVersion", &mut self.app_version)?;
        fields.flag("deprecated", &mut self.deprecated)?;
        fields.text_map("annotations", &mut self.annotations)?;
        fields.text("kubeVersion", &mut self.kube_version)?;
        fields.list("dependencies", &mut self.dependencies, Dependency::read)?;
        fields.text("type", &mut self.kind)
    }

    /// Checks what Helm checks before it loads anything else, and makes white space and unprintable characters harmless.
    pub(super) fn check(&mut self) -> Result<()> {
        for text in [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
        ] {
            *text = printable(text);
        }
        for text in self.sources.iter_mut().chain(&mut self.keywords) {
            *text = printable(text);
        }
        let refuse = |why: String| Err(Error::invalid(format!("the chart's `Chart.yaml` {why}")));
        if self.name.is_empty() {
            return refuse("has no `name`".to_owned());
        }
        if matches!(self.name.as_str(), "." | "..") || self.name.contains('/') {
            return refuse(format!("has `{}` as `name`, which is not the name of a chart", self.name));
        }
        if self.version.is_empty() {
            return refuse("has no `version`".to_owned());
        }
        if semver::Version::parse(&self.version).is_err() {
            return refuse(format!("has `{}` as `version`, which is not a semantic version", self.version));
        }
        if !matches!(self.kind.as_str(), "" | "application" | "library") {
            return refuse(format!("has `{}` as `type`: expected application or library", self.kind));
        }
        for maintainer in &mut self.maintainers {
            for text in [&mut maintainer.name, &mut maintainer.email, &mut maintainer.url] {
                *text = printable(text);
            }
        }
        let mut names = std::collections::BTreeSet::new();
        for dependency in &mut self.dependencies {
            dependency.check()?;
            if !names.insert(dependency.used_name()) {
                return refuse(format!(
                    "has more than one dependency with name or alias `{}`",
                    dependency.used_name()
                ));
            }
        }
        Ok(())
    }

    /// Whether only its `_` files are of use, to charts above it.
    pub fn is_library(&self) -> bool {
        self.kind.eq_ignore_ascii_case("library")
    }

    /// The value of `.Chart` in templates.
    pub fn template_value(&self, is_root: bool) -> Value {
        let maintainers: Vec<_> = self
            .maintainers
            .iter()
            .map(|m| json!({ "Name": m.name, "Email": m.email, "URL": m.url }))
            .collect();
        let dependencies: Vec<_> = self.dependencies.iter().map(Dependency::template_value).collect();
        json!({
            "APIVersion": self.api_version,
            "Annotations": self.annotations,
            "AppVersion": self.app_version,
            "Condition": self.condition,
            "Dependencies": dependencies,
            "Deprecated": self.deprecated,
            "Description": self.description,
            "Home": self.home,
            "Icon": self.icon,
            "IsRoot": is_root,
            "Keywords": self.keywords,
            "KubeVersion": self.kube_version,
            "Maintainers": maintainers,
            "Name": self.name,
            "Sources": self.sources,
            "Tags": self.tags,
            "Type": self.kind,
            "Version": self.version,
        })
    }
}

impl Maintainer {
    fn read(fields: &Fields<'_>) -> Result<Self> {
        let mut maintainer = Self::default();
        fields.text("name", &mut maintainer.name)?;
        fields.text("email", &mut maintainer.email)?;
        fields.text("url", &mut maintainer.url)?;
        Ok(maintainer)
    }
}

impl Dependency {
    fn read(fields: &Fields<'_>) -> Result<Self> {
        let mut dependency = Self::default();
        fields.text("name", &mut dependency.name)?;
        fields.text("version", &mut dependency.version)?;
        fields.text("repository", &mut dependency.repository)?;
        fields.text("condition", &mut dependency.condition)?;
        fields.texts("tags", &mut dependency.tags)?;
        fields.flag("enabled", &mut dependency.enabled)?;
        fields.values("import-values", &mut dependency.import_values)?;
        fields.text("alias", &mut dependency.alias)?;
        Ok(dependency)
    }

    fn check(&mut self) -> Result<()> {
        for text in [&mut self.name, &mut self.version, &mut self.repository, &mut self.condition] {
            *text = printable(text);
        }
        for tag in &mut self.tags {
            *tag = printable(tag);
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if !self.alias.chars().all(is_name) {
            return Err(Error::invalid(format!(
                "the chart's dependency `{}` has the alias `{}`: letters, digits, `_` and `-` are allowed",
                self.name,
                self.alias.escape_default()
            )));
        }
        Ok(())
    }

    /// The alias when there is one, else the name.
    pub fn used_name(&self) -> &str {
        if self.alias.is_empty() { &self.name } else { &self.alias }
    }

    fn template_value(&self) -> Value {
        json!({
            "Name": self.name,
            "Version": self.version,
            "Repository": self.repository,
            "Condition": self.condition,
            "Tags": self.tags,
            "Enabled": self.enabled,
            "ImportValues": self.import_values,
            "Alias": self.alias,
        })
    }
}

impl Lock {
    pub(super) fn read(file: &str, document: &Value) -> Result<Self> {
        let mut lock = Self::default();
        let fields = Fields::of(file, document)?;
        fields.text("generated", &mut lock.generated)?;
        fields.text("digest", &mut lock.digest)?;
        fields.list("dependencies", &mut lock.dependencies, Dependency::read)?;
        Ok(lock)
    }
}

/// White space becomes a space, and what can't be printed goes.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| {
            *c == ' '
                || !c.is_control()
                    && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}')
        })
        .collect()
}

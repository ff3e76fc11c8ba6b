//! The format of VM packages: `package.json`, `config.json` and the cluster document.
//!
//! A package becomes a wanted cluster in four steps: [`Package::load`] reads and checks its files, [`Config`]
//! merges an operator's answers into the defaults, `render` fills the cluster document with them, and `cluster`
//! turns the document into a [`ClusterSpec`]. Nothing here knows a provider, and only `directory` does I/O.

mod answers;
mod cluster;
mod config;
mod directory;
mod document;
mod format;
mod item;
mod nodes;
mod problems;
mod render;
mod role;
mod schema;

pub use answers::Answers;
pub use config::Config;
pub use document::{Document, MAX_DEPTH};
pub use format::VmPackages;

use cluster::{Wanted, read_cluster};
use nodes::{Size, allocate};
use provider_core::{
    AppVersionId, Archive, Cluster, ClusterId, ClusterSpec, Error, NodeId, ParseRequest, ParsedCluster,
    Result, RoleName, SecretRef,
};
use render::{Template, tera_error};
use semver::Version;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tera::Tera;

/// The wanted cluster of a package and an operator's answers. Pure.
///
/// For an existing cluster the answers are merged over those on record. A role then keeps its nodes as they are
/// unless the answers change its size or name `cluster.ROLE.count` or `cluster.ROLE.replica`; nodes that stay
/// keep their ids. Passwords that are not given again stay stored as they are.
///
/// Beside what the original format has, a cluster document may say with `"rollback"` what it takes to go back from
/// this version to the one before: `"safe"` (unless given), `"needs_restore"` or `"impossible"`.
///
/// # Errors
/// `Invalid` with everything that is wrong with the package or the answers, by file, line and key path.
pub fn parse(request: &ParseRequest<'_>) -> Result<ParsedCluster> {
    let package = Package::load(request.package)?;
    let given = Document::from_value("the answers", request.conf.clone());
    let recorded = request.existing.map(|cluster| &cluster.spec.conf).filter(|conf| !conf.is_null());
    let answers = package.config.complete(&given, recorded)?;
    let Wanted { mut spec, sizes, warnings } = package.wanted(&answers, request.cluster, request.app)?;
    if let Some(existing) = request.existing {
        check_same_name(existing, given.value())?;
        spec.name.clone_from(&existing.spec.name);
    }
    let sizes = match request.existing {
        Some(existing) => package.sizes_after(existing, given.value(), sizes),
        None => sizes.into_iter().map(|(role, size)| (role, Some(size))).collect(),
    };
    add_nodes(&mut spec, &sizes, request.existing)?;
    spec.conf = answers.values;
    let secrets = answers.passwords.into_iter().filter_map(|(path, password)| {
        Some((SecretRef::new(format!("cluster/{}/{path}", request.cluster)), password?))
    });
    Ok(ParsedCluster { spec, secrets: secrets.collect(), warnings })
}

/// A package that was read and is consistent with its own defaults.
#[derive(Clone)]
pub struct Package {
    metadata: PackageMetadata,
    config: Config,
    template: Template,
}

/// `package.json`. What it has besides these is kept in the archive and not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PackageMetadata {
    /// The version of this format: `v1`.
    #[serde(alias = "apiVersion")]
    pub api_version: String,
    /// The app's name: lower case letters, digits and `-`.
    pub name: String,
    /// The version of the package.
    pub version: Version,
    /// The version of the application inside.
    #[serde(default)]
    pub app_version: String,
    /// One line about it.
    #[serde(default)]
    pub description: String,
    /// Its home page.
    #[serde(default)]
    pub home: String,
    /// A picture, SVG or PNG.
    #[serde(default)]
    pub icon: String,
    /// More pictures.
    #[serde(default)]
    pub screenshots: Vec<String>,
    /// Who looks after it.
    #[serde(default)]
    pub maintainers: Vec<Maintainer>,
    /// What to find it by.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// Where its sources are.
    #[serde(default)]
    pub sources: Vec<String>,
}

/// Who looks after a package.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Maintainer {
    /// Their name.
    pub name: String,
    /// Their address.
    #[serde(default)]
    pub email: String,
}

impl Package {
    /// Reads `package.json`, `config.json`, `cluster.json.tmpl` or `cluster.json.tera`, and `templates.json` if
    /// there is one. Checks them, and that the document which the defaults give is a valid one.
    ///
    /// # Errors
    /// `Invalid`, by file, line and key path.
    pub fn load(archive: &Archive) -> Result<Self> {
        let file = |name: &str| {
            let text =
                archive.file(name).ok_or_else(|| Error::invalid(format!("the package has no {name}")))?;
            Document::read(name, text)
        };
        let metadata = read_metadata(&file("package.json")?)?;
        let config = Config::load(&file("config.json")?)?;
        let package = Self { metadata, config, template: Template::load(archive)? };
        let nothing = Document::from_value("the defaults", json!({}));
        // What is required and has no default may be missing here; everything else was checked with the config.
        let (without_passwords, _) = package.config.merge(&nothing, None);
        let with_passwords = Answers { passwords: package.config.passwords(), ..without_passwords.clone() };
        for answers in [with_passwords, without_passwords] {
            let wanted = package
                .wanted(&answers, &ClusterId::from("cl-0"), &package.version_id())
                .map_err(|e| e.during("the package does not fit its own defaults"))?;
            check_templates(archive, &wanted.spec)?;
        }
        Ok(package)
    }

    /// What it is called, with its version.
    pub fn version_id(&self) -> AppVersionId {
        AppVersionId::of(&self.metadata.name, &self.metadata.version.to_string())
    }

    /// `package.json`.
    pub fn metadata(&self) -> &PackageMetadata {
        &self.metadata
    }

    /// The answers that it asks for.
    pub fn config(&self) -> &Config {
        &self.config
    }

    fn wanted(&self, answers: &Answers, cluster: &ClusterId, app: &AppVersionId) -> Result<Wanted> {
        read_cluster(&self.template.render(answers)?, answers, cluster, app)
    }

    /// The size of each role that shall change; none for a role that keeps the nodes it has, whatever has become
    /// of their number since the answers on record were given.
    fn sizes_after(
        &self,
        existing: &Cluster,
        given: &Value,
        sizes: BTreeMap<RoleName, Size>,
    ) -> BTreeMap<RoleName, Option<Size>> {
        let nothing = Document::from_value("", json!({}));
        let (recorded, _) = self.config.merge(&nothing, Some(&existing.spec.conf));
        let before = self.wanted(&recorded, &existing.id, &existing.spec.app).map(|wanted| wanted.sizes);
        let before = before.unwrap_or_default();
        let sizes = sizes.into_iter().map(|(role, size)| {
            let is_kept = existing.spec.roles.contains_key(&role)
                && before.get(&role) == Some(&size)
                && !names_size(given, &role);
            (role, Some(size).filter(|_| !is_kept))
        });
        sizes.collect()
    }
}

fn read_metadata(document: &Document) -> Result<PackageMetadata> {
    let metadata: PackageMetadata = document.decode()?;
    if metadata.api_version != "v1" {
        return Err(
            document.invalid("api_version", format_args!("is `{}`, expected `v1`", metadata.api_version))
        );
    }
    let name = &metadata.name;
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 63
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !is_plain {
        return Err(document.invalid(
            "name",
            format_args!("is {}, expected lower case letters, digits and `-`, at most 63", json!(name)),
        ));
    }
    Ok(metadata)
}

/// Node templates must be Tera, and only name roles that there are.
fn check_templates(archive: &Archive, spec: &ClusterSpec) -> Result<()> {
    for template in provider_core::metadata::templates(archive, None)? {
        let mut tera = Tera::new();
        tera.add_raw_template(&template.dest, &template.source)
            .map_err(|e| tera_error(&format!("the template for {}", template.dest), &e))?;
    }
    let roles =
        archive.file("templates.json").map(|text| Document::read("templates.json", text)).transpose()?;
    for (i, entry) in roles.iter().flat_map(|document| document.value().as_array()).flatten().enumerate() {
        for role in entry["roles"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !spec.roles.contains_key(&RoleName::from(role)) {
                return Err(Error::invalid(format!(
                    "templates.json: `[{i}].roles` names the role `{role}`, which is not there"
                )));
            }
        }
    }
    Ok(())
}

/// A cluster keeps its name, which need not be the one in the answers that it was made from: those may be given
/// again.
fn check_same_name(existing: &Cluster, given: &Value) -> Result<()> {
    let Some(name) = given["cluster"]["name"].as_str() else { return Ok(()) };
    if name == existing.spec.name || existing.spec.conf["cluster"]["name"] == name {
        return Ok(());
    }
    Err(Error::invalid(format!("the cluster `{}` can't be renamed to `{name}`", existing.spec.name)))
}

/// Whether the answers say how many nodes `role` shall have, even if it is what they said before.
fn names_size(given: &Value, role: &RoleName) -> bool {
    let cluster = &given["cluster"];
    let group = if role.as_str().is_empty() { Some(cluster) } else { cluster.get(role.as_str()) };
    group.is_some_and(|group| group["count"].is_number() || group["replica"].is_number())
}

fn add_nodes(
    spec: &mut ClusterSpec,
    sizes: &BTreeMap<RoleName, Option<Size>>,
    existing: Option<&Cluster>,
) -> Result<()> {
    let on_record = || existing.into_iter().flat_map(|cluster| cluster.spec.nodes.values());
    if let Some(node) = on_record().find(|node| !spec.roles.contains_key(&node.role)) {
        return Err(Error::invalid(format!(
            "the cluster has nodes of role `{}`, which is no longer there",
            node.role
        )));
    }
    for (role, size) in sizes {
        let existing = on_record().filter(|node| node.role == *role);
        let nodes = match size {
            None => existing.cloned().collect(),
            Some(size) => allocate(role, *size, spec.roles[role].server_id_upper_bound, existing)
                .map_err(|problem| Error::invalid(format!("role `{role}` {problem}")))?,
        };
        let nodes = nodes.into_iter().map(|node| (NodeId::of(role, node.server_id), node));
        spec.nodes.extend(nodes);
    }
    Ok(())
}

#[cfg(test)]
mod tests;

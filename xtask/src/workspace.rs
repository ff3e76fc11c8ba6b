//! What cargo knows about this workspace.

use crate::{Result, command::Cmd};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The workspace, as `cargo metadata --no-deps` describes it.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) features: BTreeSet<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Only for tests and benchmarks.
    pub(crate) is_dev: bool,
    /// It lies in this workspace.
    pub(crate) is_ours: bool,
    pub(crate) default_features: bool,
    pub(crate) features: BTreeSet<String>,
}

impl Workspace {
    /// Reads the workspace that the current directory lies in and makes its root the current directory.
    pub(crate) fn enter() -> Result<Self> {
        let json = Cmd::cargo(&["metadata", "--no-deps", "--format-version", "1"]).quiet_output()?;
        let workspace = Self::parse(&json)?;
        std::env::set_current_dir(&workspace.root)
            .map_err(|error| format!("cannot enter `{}`: {error}", workspace.root.display()))?;
        Ok(workspace)
    }

    fn parse(json: &str) -> Result<Self> {
        let metadata: Value =
            serde_json::from_str(json).map_err(|error| format!("cannot read `cargo metadata`: {error}"))?;
        Ok(Self {
            root: text(&metadata["workspace_root"]).into(),
            target: text(&metadata["target_directory"]).into(),
            packages: list(&metadata["packages"]).iter().map(Package::parse).collect(),
        })
    }

    /// The package called `name`.
    pub(crate) fn package(&self, name: &str) -> Result<&Package> {
        let found = self.packages.iter().find(|package| package.name == name);
        found.ok_or_else(|| format!("the workspace has no package `{name}`"))
    }
}

impl Package {
    fn parse(value: &Value) -> Self {
        Self {
            name: text(&value["name"]),
            features: value["features"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect(),
            dependencies: list(&value["dependencies"]).iter().map(Dependency::parse).collect(),
        }
    }
}

impl Dependency {
    fn parse(value: &Value) -> Self {
        Self {
            name: text(&value["name"]),
            is_dev: value["kind"] == "dev",
            is_ours: value["path"].is_string(),
            default_features: value["uses_default_features"] == true,
            features: list(&value["features"]).iter().map(text).collect(),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read() {
        let json = r#"{"workspace_root": "/w", "target_directory": "/t", "packages": [{"name": "engine",
            "features": {"default": []}, "dependencies": [
                {"name": "provider-core", "kind": null, "path": "/w/crates/provider-core"},
                {"name": "tokio", "kind": "dev", "features": ["rt"], "uses_default_features": true}]}]}"#;
        let workspace = Workspace::parse(json).unwrap();
        let [core, tokio] = workspace.package("engine").unwrap().dependencies.as_slice() else {
            panic!("two")
        };
        assert!(core.is_ours && !core.is_dev && !core.default_features);
        assert!(!tokio.is_ours && tokio.is_dev && tokio.default_features && tokio.features.contains("rt"));
        assert_eq!(workspace.package("nothing").unwrap_err(), "the workspace has no package `nothing`");
    }
}

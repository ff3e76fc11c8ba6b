//! Charts: what an archive or a directory holds, read in memory.

mod directory;
mod fields;
mod ignore;
mod load;
mod metadata;

pub use directory::read as read_directory;
pub(crate) use fields::{Fields, kind_of};
pub use metadata::{Dependency, Lock, Maintainer, Metadata};

use provider_core::{Error, Result};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A file of a chart. A copy shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The path inside the chart, with `/`.
    pub name: String,
    /// The bytes, without a byte order mark.
    pub data: Arc<[u8]>,
}

/// A chart with the charts inside it. Nothing in it was checked against values yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// What its `Chart.yaml` says; with `requirements.yaml` in the first chart format.
    pub metadata: Metadata,
    /// `Chart.lock` or `requirements.lock`.
    pub lock: Option<Lock>,
    /// What lies in `templates/`, in the order of paths.
    pub templates: Vec<File>,
    /// The default values. All numbers are floats, as Helm reads them.
    pub values: Map<String, Value>,
    /// `values.yaml` as it is written, with its comments; empty when there is none.
    pub values_text: Arc<str>,
    /// `values.schema.json`.
    pub schema: Option<Arc<[u8]>>,
    /// All other files, `crds/` too.
    pub files: Vec<File>,
    /// The charts in `charts/`, in the order of their paths.
    pub dependencies: Vec<Chart>,
}

/// A file with definitions of custom resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrdFile {
    /// The path from the root chart on, as a comment in manifests names it: `chart/charts/sub/crds/x.yaml`.
    pub source: String,
    /// One or more documents.
    pub data: Arc<[u8]>,
}

impl Chart {
    /// The chart's name; of a subchart, its alias once dependencies are resolved.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The files in `crds/` of this chart and of its dependencies, in Helm's order.
    pub fn crds(&self) -> Vec<CrdFile> {
        let mut crds = Vec::new();
        self.add_crds(self.name(), &mut crds);
        crds
    }

    fn add_crds(&self, path: &str, crds: &mut Vec<CrdFile>) {
        let is_manifest = |name: &str| {
            let extension = name.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default();
            ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
        };
        for file in self.files.iter().filter(|file| file.name.starts_with("crds/") && is_manifest(&file.name))
        {
            crds.push(CrdFile { source: format!("{path}/{}", file.name), data: file.data.clone() });
        }
        for chart in &self.dependencies {
            chart.add_crds(&format!("{path}/charts/{}", chart.name()), crds);
        }
    }

    /// Dependencies that `Chart.yaml` names and `charts/` does not have.
    pub fn missing_dependencies(&self) -> Vec<&Dependency> {
        let is_there = |d: &Dependency| self.dependencies.iter().any(|chart| chart.name() == d.name);
        self.metadata.dependencies.iter().filter(|dependency| !is_there(dependency)).collect()
    }

    /// Whether it can be installed at all.
    ///
    /// # Errors
    /// `Invalid` for a library chart, and when a dependency is missing.
    pub fn check_installable(&self) -> Result<()> {
        if self.metadata.is_library() {
            return Err(Error::invalid(format!("the chart `{}` is a library", self.name()))
                .hint("install a chart that uses it"));
        }
        let missing: Vec<_> = self.missing_dependencies().iter().map(|d| d.name.as_str()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the chart `{}` has dependencies that are missing in its `charts/`: {}",
            self.name(),
            missing.join(", ")
        ))
        .hint("run `helm dependency build`, or name the chart by its repository"))
    }
}

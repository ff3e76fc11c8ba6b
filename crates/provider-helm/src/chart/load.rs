//! From the files of an archive to a chart and the charts inside it.

use super::{Chart, File, Lock, Metadata};
use crate::{values, yaml};
use provider_core::{Archive, Error, Result, Unpacked};
use std::{collections::BTreeMap, path::Path};

/// Charts inside charts, at most. Helm has no limit; nobody needs more than a few.
const MAX_DEPTH: usize = 16;

impl Chart {
    /// Reads the chart at `path`: a directory, or an archive as `helm package` makes it.
    ///
    /// # Errors
    /// `NotFound` when there is nothing, `Invalid` for what is no chart or passes a cap of [`Archive`].
    pub fn load(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Self::from_archive(&super::directory::read(path)?);
        }
        Self::read(&super::directory::read_file(path, Archive::MAX_PACKED as u64)?)
    }

    /// Reads a chart as `helm package` makes it.
    ///
    /// # Errors
    /// `Invalid` for what is no chart, and when it or the charts packed inside it together pass a cap of [`Archive`].
    pub fn read(packed: &[u8]) -> Result<Self> {
        let mut unpacked = Unpacked::default();
        let archive = Archive::read_within(packed, &mut unpacked)?;
        load(&own_files(&archive), &mut unpacked, 0)
    }

    /// Reads a chart from its files.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_archive(archive: &Archive) -> Result<Self> {
        let mut unpacked = Unpacked::default();
        for (_, content) in archive.files() {
            unpacked.entries += 1;
            unpacked.bytes += content.len() as u64;
        }
        load(&own_files(archive), &mut unpacked, 0)
    }
}

fn own_files(archive: &Archive) -> Vec<File> {
    let file = |(name, data): (&str, &[u8])| {
        let data = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
        File { name: name.to_owned(), data: data.into() }
    };
    archive.files().map(file).collect()
}

fn load(files: &[File], unpacked: &mut Unpacked, depth: usize) -> Result<Chart> {
    if depth > MAX_DEPTH {
        return Err(Error::invalid(format!("charts are nested more than {MAX_DEPTH} deep")));
    }
    let mut chart = Chart::default();
    let document = |file: &File| yaml::read_document(&file.name, text_of(file)?);
    let Some(file) = files.iter().find(|file| file.name == "Chart.yaml") else {
        return Err(Error::invalid("the chart has no `Chart.yaml`"));
    };
    let mut metadata = Metadata::default();
    metadata.read("Chart.yaml", &document(file)?)?;
    // Charts of Helm 2 may have none.
    if metadata.api_version.is_empty() {
        "v1".clone_into(&mut metadata.api_version);
    }
    let is_v1 = metadata.api_version == "v1";
    let mut packed: BTreeMap<String, Vec<File>> = BTreeMap::new();
    for file in files {
        match file.name.as_str() {
            "Chart.yaml" => {}
            "Chart.lock" => chart.lock = Some(Lock::read("Chart.lock", &document(file)?)?),
            "values.yaml" => {
                let text = text_of(file)?;
                chart.values = values::read(&file.name, text)?;
                chart.values_text = text.into();
            }
            "values.schema.json" => chart.schema = Some(file.data.clone()),
            name @ ("requirements.yaml" | "requirements.lock") => {
                if name == "requirements.yaml" {
                    metadata.read(name, &document(file)?)?;
                } else {
                    chart.lock = Some(Lock::read(name, &document(file)?)?);
                }
                if is_v1 {
                    chart.files.push(file.clone());
                }
            }
            name if name.starts_with("templates/") => chart.templates.push(file.clone()),
            name => match name.strip_prefix("charts/") {
                Some(inner) if !name.ends_with(".prov") => {
                    let top = inner.split('/').next().unwrap_or(inner);
                    let file = File { name: inner.to_owned(), data: file.data.clone() };
                    packed.entry(top.to_owned()).or_default().push(file);
                }
                _ => chart.files.push(file.clone()),
            },
        }
    }
    metadata.check()?;
    chart.metadata = metadata;
    for (top, files) in packed {
        if top.starts_with(['_', '.']) {
            continue;
        }
        let inner = if top.ends_with(".tgz") {
            read_packed(&top, &files, unpacked).and_then(|files| load(&files, unpacked, depth + 1))
        } else {
            load(&without_top(files), unpacked, depth + 1)
        };
        let attempt = || format!("can't read the chart `charts/{top}` inside `{}`", chart.name());
        let inner = inner.map_err(|e| e.during(attempt()))?;
        chart.dependencies.push(inner);
    }
    Ok(chart)
}

fn read_packed(top: &str, files: &[File], unpacked: &mut Unpacked) -> Result<Vec<File>> {
    match files {
        [file] if file.name == top => Ok(own_files(&Archive::read_within(&file.data, unpacked)?)),
        _ => Err(Error::invalid("it is a directory with the name of an archive")),
    }
}

/// A plain file in `charts/` is no chart and stays out.
fn without_top(files: Vec<File>) -> Vec<File> {
    let inner = |file: File| {
        let (_, name) = file.name.split_once('/')?;
        Some(File { name: name.to_owned(), data: file.data })
    };
    files.into_iter().filter_map(inner).collect()
}

fn text_of(file: &File) -> Result<&str> {
    std::str::from_utf8(&file.data)
        .map_err(|_| Error::invalid(format!("the chart's `{}` is not UTF-8", file.name)))
}

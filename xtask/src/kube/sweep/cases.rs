//! The charts of a sweep, each in two versions: what there is, and the same with a higher version, to upgrade to.

use crate::{Result, command::Cmd, kube::pypi};
use std::fs;
use std::path::{Path, PathBuf};

/// A chart to sweep.
#[derive(Debug)]
pub(super) struct Case {
    /// The folder's name.
    pub(super) name: String,
    /// Its namespace, and the name of its release.
    pub(super) release: String,
    source: PathBuf,
    /// Values for a chart that its own do not suffice.
    pub(super) values: Option<PathBuf>,
}

/// A chart unpacked: as it is, and with a higher version.
#[derive(Debug)]
pub(super) struct Charts {
    pub(super) first: PathBuf,
    pub(super) second: PathBuf,
}

/// Every `every`th chart below `dir` whose name has `only` in it. A chart is a folder with `chart.tgz` or `Chart.yaml`.
pub(super) fn find(dir: &Path, every: usize, only: Option<&str>) -> Result<Vec<Case>> {
    let failed = |error| format!("cannot list `{}`: {error}", dir.display());
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        folders.push(entry.map_err(failed)?.path());
    }
    folders.sort();
    let is_chart = |dir: &PathBuf| dir.join("chart.tgz").is_file() || dir.join("Chart.yaml").is_file();
    let cases: Vec<_> = folders.into_iter().filter(is_chart).enumerate().collect();
    let chosen = cases.into_iter().filter(|(index, _)| index % every == 0);
    let cases: Vec<_> = chosen
        .map(|(index, source)| Case {
            name: source.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            release: format!("sweep-{index}"),
            values: values(&source),
            source,
        })
        .filter(|case| only.is_none_or(|only| case.name.contains(only)))
        .collect();
    if cases.is_empty() { Err(format!("no chart in `{}` is chosen", dir.display())) } else { Ok(cases) }
}

/// The first file of values, where the chart was found not to do with its own: there is no output for those.
fn values(source: &Path) -> Option<PathBuf> {
    let suffix = ".values.yaml";
    if source.join("default.expected.yaml.gz").is_file() {
        return None;
    }
    let mut files: Vec<_> = fs::read_dir(source).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.to_string_lossy().ends_with(suffix));
    files.sort();
    files.into_iter().next()
}

impl Case {
    /// Unpacks the chart below `dir`, which is emptied before.
    pub(super) fn unpack(&self, dir: &Path) -> Result<Charts> {
        pypi::empty(dir)?;
        let charts = Charts { first: dir.join("first"), second: dir.join("second") };
        let archive = self.source.join("chart.tgz");
        for chart in [&charts.first, &charts.second] {
            let chart = super::super::made_dir(chart.clone())?;
            if archive.is_file() {
                let archive = archive.to_string_lossy();
                let place = chart.to_string_lossy();
                Cmd::new("tar", &["-xzf", &archive, "-C", &place, "--strip-components=1"]).answer()?;
            } else {
                let source = self.source.join(".");
                Cmd::new("cp", &["-r", &source.to_string_lossy(), &chart.to_string_lossy()]).answer()?;
            }
        }
        let file = charts.second.join("Chart.yaml");
        let text = fs::read_to_string(&file)
            .map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
        let text = raised(&text).ok_or_else(|| format!("`{}` has no version to raise", file.display()))?;
        fs::write(&file, text).map_err(|error| format!("cannot write `{}`: {error}", file.display()))?;
        Ok(charts)
    }
}

/// A `Chart.yaml` with the next patch version.
fn raised(chart: &str) -> Option<String> {
    let line = chart.lines().find(|line| line.starts_with("version:"))?;
    let version = line.strip_prefix("version:")?.split('#').next()?.trim().trim_matches(['"', '\'']);
    let numbers = version.trim_start_matches('v').split(['-', '+']).next()?;
    let mut numbers: Vec<u64> = numbers.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
    numbers.resize(3, 0);
    numbers[2] += 1;
    let next = numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
    // By lines: a dependency may have the same version.
    let raised = |other| if other == line { format!("version: {next}\n") } else { format!("{other}\n") };
    Some(chart.lines().map(raised).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_version_is_higher() {
        let check = |version: &str, expected: Option<&str>| {
            let chart =
                |version: &str| format!("name: a\ndependencies:\n  - version: 1.2.3\nversion: {version}\n");
            assert_eq!(raised(&chart(version)), expected.map(chart), "{version}");
        };
        check("1.2.3", Some("1.2.4"));
        check("\"1.2.3\"  # the chart's", Some("1.2.4"));
        check("v0.9.0-beta.1+build", Some("0.9.1"));
        check("7.0", Some("7.0.1"));
        check("next", None);
        assert_eq!(raised("dependencies:\n  - version: 1.2.3\n"), None);
    }

    #[test]
    fn every_nth_chart_is_taken_whatever_else_is_there() {
        let dir = std::env::temp_dir().join(format!("pitrix-sweep-{}", std::process::id()));
        for name in ["a", "b", "c", "d", "e"] {
            fs::create_dir_all(dir.join(name)).unwrap();
            fs::write(dir.join(name).join("chart.tgz"), "").unwrap();
        }
        fs::create_dir_all(dir.join("empty")).unwrap();
        fs::write(dir.join("c/x.values.yaml"), "").unwrap();
        fs::write(dir.join("e/x.values.yaml"), "").unwrap();
        fs::write(dir.join("e/default.expected.yaml.gz"), "").unwrap();
        let names = |every, only| {
            let cases = find(&dir, every, only).unwrap();
            cases.iter().map(|case| format!("{} {}", case.name, case.values.is_some())).collect::<Vec<_>>()
        };
        assert_eq!(names(2, None), ["a false", "c true", "e false"]);
        assert_eq!(names(1, Some("d")), ["d false"]);
        assert!(find(&dir, 1, Some("z")).unwrap_err().ends_with("is chosen"));
        fs::remove_dir_all(dir).unwrap();
    }
}

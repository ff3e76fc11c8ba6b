//! Renders a directory of charts and compares the result with what the helm binary made of them.
//!
//! `charts DIR [--case NAME] [--threads N]`. Each folder in DIR has a `chart.tgz` and, for each case, a
//! `CASE.expected.yaml.gz`; there may be a `CASE.values.yaml` and, where two runs of helm differ, a
//! `CASE.expected2.yaml.gz`. A case is called `FOLDER/CASE`; `--case` takes a part of that and shows what differs.

use flate2::read::GzDecoder;
use gotemplate::{FixedHost, Limits};
use provider_core::Given;
use provider_helm::chart::Chart;
use provider_helm::render::{Capabilities, KubeVersion, Options, Release, Renderer};
use provider_helm::values;
use serde_json::Value;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::{fmt, fs, thread};

/// Differences of one case that are shown.
const SHOWN: usize = 3;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(mut args: impl Iterator<Item = String>) -> Result<bool, Failure> {
    let (mut directory, mut only, mut threads) = (None, None, 2);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("`{arg}` needs a value"));
        match arg.as_str() {
            "--case" => only = Some(value()?),
            "--threads" => threads = value()?.parse::<usize>()?.max(1),
            _ if directory.is_none() && !arg.starts_with('-') => directory = Some(PathBuf::from(arg)),
            _ => {
                return Err(
                    format!("unexpected `{arg}`; usage: charts DIR [--case NAME] [--threads N]").into()
                );
            }
        }
    }
    let directory = directory.ok_or("usage: charts DIR [--case NAME] [--threads N]")?;
    let charts = Mutex::new(find(&directory, only.as_deref())?.into_iter());
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = charts.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(chart) = next else { return };
                    let outcomes = chart.compare();
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    for (name, outcome) in outcomes {
                        tally.add(&name, &outcome, only.is_some());
                    }
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    writeln!(io::stdout(), "{tally}")?;
    Ok(tally.equal == tally.cases && tally.cases > 0)
}

struct ChartCases {
    folder: PathBuf,
    name: String,
    cases: Vec<String>,
}

fn find(directory: &Path, only: Option<&str>) -> Result<Vec<ChartCases>, Failure> {
    let mut charts = Vec::new();
    let entries =
        fs::read_dir(directory).map_err(|e| format!("can't read `{}`: {e}", directory.display()))?;
    for entry in entries {
        let folder = entry?.path();
        if !folder.join("chart.tgz").exists() {
            continue;
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut cases = Vec::new();
        for file in fs::read_dir(&folder)? {
            let file = file?.file_name().to_string_lossy().into_owned();
            if let Some(case) = file.strip_suffix(".expected.yaml.gz")
                && only.is_none_or(|only| format!("{name}/{case}").contains(only))
            {
                cases.push(case.to_owned());
            }
        }
        cases.sort();
        charts.push(ChartCases { folder, name, cases });
    }
    charts.retain(|chart| !chart.cases.is_empty());
    charts.sort_by(|a, b| a.name.cmp(&b.name));
    if charts.is_empty() {
        return Err(format!("there is no such chart in `{}`", directory.display()).into());
    }
    Ok(charts)
}

/// How a case went.
struct Outcome {
    /// Helm gives the same each time.
    is_deterministic: bool,
    is_byte_equal: bool,
    /// Empty when the documents are equal.
    differences: Vec<String>,
}

impl ChartCases {
    fn compare(&self) -> Vec<(String, Outcome)> {
        let renderer = Chart::load(&self.folder.join("chart.tgz")).map(Renderer::new);
        let outcome = |case: &String| {
            let outcome = match &renderer {
                Err(error) => Outcome::failed(&format!("can't load the chart: {}", report(error))),
                Ok(renderer) => {
                    self.compare_case(renderer, case).unwrap_or_else(|e| Outcome::failed(&e.to_string()))
                }
            };
            (format!("{}/{case}", self.name), outcome)
        };
        self.cases.iter().map(outcome).collect()
    }

    fn compare_case(&self, renderer: &Renderer, case: &str) -> Result<Outcome, Failure> {
        let file = |end: &str| self.folder.join(format!("{case}{end}"));
        let mut files = Vec::new();
        if file(".values.yaml").exists() {
            files.push((format!("{case}.values.yaml"), fs::read(file(".values.yaml"))?));
        }
        let no_file = |name: &str| Err(provider_core::Error::not_found(format!("there is no `{name}`")));
        let given = values::of_user(&Given { files, settings: Vec::new(), lookup: None, read: &no_file })
            .map_err(|e| report(&e))?;
        let expected = unpack(&file(".expected.yaml.gz"))?;
        let other = file(".expected2.yaml.gz");
        let other = if other.exists() { Some(unpack(&other)?) } else { None };
        let kube_version = KubeVersion::parse("1.33.0").map_err(|e| report(&e))?;
        let options = Options {
            release: Release {
                name: "rel".to_owned(),
                namespace: "ns".to_owned(),
                revision: 1,
                is_upgrade: false,
            },
            capabilities: Capabilities { kube_version, ..Capabilities::default() },
            limits: Limits::default(),
            draft: false,
        };
        let rendered = renderer.render(&given, &options, FixedHost::default());
        let text = match rendered {
            Ok(rendered) => rendered.to_text(),
            Err(error) => {
                let mut outcome = Outcome::failed(&report(&error));
                outcome.is_deterministic = other.is_none();
                return Ok(outcome);
            }
        };
        Ok(compare(&text, &expected, other.as_deref()))
    }
}

impl Outcome {
    fn failed(why: &str) -> Outcome {
        Outcome { is_deterministic: true, is_byte_equal: false, differences: vec![why.to_owned()] }
    }
}

fn report(error: &provider_core::Error) -> String {
    let mut text = error.to_string();
    for cause in error.causes() {
        text = format!("{text}\n  {cause}");
    }
    text
}

fn unpack(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    GzDecoder::new(fs::File::open(path)?).read_to_string(&mut text)?;
    Ok(text)
}

/// Compares what was rendered with what helm gave; what helm gives differently each time does not count.
fn compare(text: &str, expected: &str, other: Option<&str>) -> Outcome {
    let documents = provider_helm::render::split_documents;
    let (own, wanted) = (documents(text), documents(expected));
    let is_same = |(own, wanted): (&&str, &&str)| own.trim_end_matches('\n') == wanted.trim_end_matches('\n');
    let is_byte_equal = other.is_none() && own.len() == wanted.len() && own.iter().zip(&wanted).all(is_same);
    let mut differences = Vec::new();
    if !is_byte_equal {
        let others = other.map(documents);
        if own.len() != wanted.len() {
            differences.push(format!("{} documents, expected {}", own.len(), wanted.len()));
        }
        for (at, (own, wanted)) in own.iter().zip(&wanted).enumerate() {
            let source = wanted.lines().find_map(|line| line.strip_prefix("# Source: ")).unwrap_or_default();
            let other = others.as_ref().and_then(|others| others.get(at)).copied();
            if let Err(why) = compare_document(own, wanted, other, source, &mut differences) {
                differences.push(format!("{source}: {why}"));
            }
        }
    }
    if !is_byte_equal && differences.is_empty() && other.is_none() {
        let different = own.iter().zip(&wanted).filter(|pair| !is_same(*pair));
        let shown =
            different.map(|(own, wanted)| first_difference(own, wanted)).collect::<Vec<_>>().join("\n");
        return Outcome {
            is_deterministic: true,
            is_byte_equal: false,
            differences: vec![format!("{BYTES}{shown}")],
        };
    }
    Outcome { is_deterministic: other.is_none(), is_byte_equal, differences }
}

/// How the note about documents begins that are equal and not written in the same way.
const BYTES: &str = "the same content is written in another way:\n";

fn first_difference(own: &str, wanted: &str) -> String {
    let lines = own.lines().zip(wanted.lines()).enumerate().find(|(_, (own, wanted))| own != wanted);
    match lines {
        Some((at, (own, wanted))) => format!("  line {}:\n    ours {own:?}\n    helm {wanted:?}", at + 1),
        None => format!("  {} bytes, helm has {}", own.len(), wanted.len()),
    }
}

fn compare_document(
    own: &str,
    wanted: &str,
    other: Option<&str>,
    source: &str,
    differences: &mut Vec<String>,
) -> Result<(), Failure> {
    let is_random = other.is_some_and(|other| other != wanted);
    if own.trim_end_matches('\n') == wanted.trim_end_matches('\n') {
        return Ok(());
    }
    let parse = gotemplate::yaml::parse_as_floats;
    let wanted_value = parse(wanted)?;
    let other = if is_random { other.map(parse).transpose()? } else { None };
    let own_value = parse(own).map_err(|e| format!("ours is no YAML: {e}"))?;
    let mut path = Vec::new();
    walk(&own_value, &wanted_value, other.as_ref(), &mut path, &mut |path, own, wanted| {
        differences.push(format!(
            "{source}: {}\n  ours {}\n  helm {}",
            path.join("."),
            shorten(own),
            shorten(wanted)
        ));
    });
    Ok(())
}

fn shorten(value: Option<&Value>) -> String {
    let text = value.map_or("nothing".to_owned(), Value::to_string);
    let end = text.char_indices().nth(300).map_or(text.len(), |(at, _)| at);
    text[..end].to_owned()
}

type Report<'a> = dyn FnMut(&[String], Option<&Value>, Option<&Value>) + 'a;

/// Compares two values; leaves that differ between `wanted` and `other` are random.
fn walk(own: &Value, wanted: &Value, other: Option<&Value>, path: &mut Vec<String>, report: &mut Report<'_>) {
    match (own, wanted, other) {
        (Value::Object(own), Value::Object(wanted), other @ (None | Some(Value::Object(_)))) => {
            let keys: std::collections::BTreeSet<_> = own.keys().chain(wanted.keys()).collect();
            for key in keys {
                path.push(key.clone());
                match (own.get(key), wanted.get(key)) {
                    (Some(own), Some(wanted)) => {
                        walk(own, wanted, other.map(|o| o.get(key).unwrap_or(&Value::Null)), path, report);
                    }
                    (own, wanted) => report(path, own, wanted),
                }
                path.pop();
            }
        }
        (Value::Array(own), Value::Array(wanted), other @ (None | Some(Value::Array(_))))
            if own.len() == wanted.len() =>
        {
            for (at, (own, wanted)) in own.iter().zip(wanted).enumerate() {
                path.push(at.to_string());
                walk(own, wanted, other.map(|o| o.get(at).unwrap_or(&Value::Null)), path, report);
                path.pop();
            }
        }
        (own, wanted, other) => {
            let is_random = other.is_some_and(|other| other != wanted);
            if own != wanted && !is_random {
                report(path, Some(own), Some(wanted));
            }
        }
    }
}

#[derive(Default)]
struct Tally {
    cases: usize,
    equal: usize,
    byte_equal: usize,
    deterministic: usize,
}

impl Tally {
    fn add(&mut self, name: &str, outcome: &Outcome, in_full: bool) {
        let is_equal = outcome.differences.is_empty()
            || outcome.differences[..].iter().all(|one| one.starts_with(BYTES));
        self.cases += 1;
        self.equal += usize::from(is_equal);
        self.deterministic += usize::from(outcome.is_deterministic);
        self.byte_equal += usize::from(outcome.is_byte_equal);
        if outcome.differences.is_empty() {
            return;
        }
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{} {name}", if is_equal { "bytes" } else { "DIFFERS" });
        let shown = if in_full { usize::MAX } else { SHOWN };
        for difference in outcome.differences.iter().take(shown) {
            let _ = writeln!(out, "  {}", difference.replace('\n', "\n  "));
        }
        if outcome.differences.len() > shown {
            let _ = writeln!(out, "  and {} more (see --case {name})", outcome.differences.len() - shown);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cases={} equal={} byte_equal={} deterministic={}",
            self.cases, self.equal, self.byte_equal, self.deterministic
        )
    }
}

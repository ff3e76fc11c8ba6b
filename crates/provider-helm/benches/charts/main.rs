//! Charts beside the helm binary. *Cold* is a whole process, from its start to the last byte of its output: ours is
//! this program, built for release, which loads the chart, compiles it, renders it and prints it; the peer is
//! `helm template`. *Warm* is one more render of a chart that was compiled before; helm has no such mode, so its peer
//! is the cold helm, too. Both have to print the same, newlines at the ends of documents aside.
//!
//! Then charts that want to take the machine down, each in a process of its own: what refuses it, in which time.
//!
//! `cargo xtask bench charts [--json]`; with `PITRIX_TEST_CHARTS`, all charts in that directory, too.

#[path = "../../tests/charts/bombs/mod.rs"]
mod bombs;
mod subjects;

use gotemplate::{FixedHost, Limits};
use provider_helm::chart::Chart;
use provider_helm::render::{
    Capabilities, KubeVersion, Options, Release, Rendered, Renderer, split_documents,
};
use provider_helm::values::Values;
use serde_json::{Value, json};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};
use subjects::Subject;

/// Each a whole process of either.
const ROUNDS: usize = 31;
/// Of a corpus, in which there are enough of them.
const ROUNDS_OF_MANY: usize = 3;
const WARM_ROUNDS: usize = 30;
/// No refusal may take longer.
const CAP: Duration = Duration::from_secs(1);

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<_> = env::args().collect();
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    if let Some(chart) = after("--render") {
        // The process ends with it.
        let renderer = ManuallyDrop::new(Renderer::new(Chart::load(Path::new(chart))?));
        print!("{}", render(&renderer)?.to_text());
        return Ok(());
    }
    if let Some(chart) = after("--warm") {
        println!("{}", warm(Path::new(chart))?);
        return Ok(());
    }
    if let Some(bomb) = after("--bomb") {
        println!("{}", blow(bomb)?);
        return Ok(());
    }
    let report = measure()?;
    if arguments.iter().any(|argument| argument == "--json") {
        println!("{report:#}");
    } else {
        print(&report);
    }
    Ok(())
}

fn render(renderer: &Renderer) -> Outcome<Rendered> {
    let release = Release { name: "rel".into(), namespace: "ns".into(), revision: 1, is_upgrade: false };
    let capabilities =
        Capabilities { kube_version: KubeVersion::parse("1.33.0")?, ..Capabilities::default() };
    let options = Options { release, capabilities, limits: Limits::default(), draft: false };
    Ok(renderer.render(&Values::new(), &options, FixedHost::default())?)
}

/// Milliseconds of each part of a render, and of one more.
fn warm(chart: &Path) -> Outcome<Value> {
    let start = Instant::now();
    let renderer = Renderer::new(Chart::load(chart)?);
    let loaded = start.elapsed();
    let start = Instant::now();
    let first = render(&renderer)?;
    let rendered = start.elapsed();
    let mut again = Vec::new();
    for _ in 0..WARM_ROUNDS {
        let start = Instant::now();
        if render(&renderer)? != first {
            return Err(format!("`{}` is not rendered the same again", chart.display()).into());
        }
        again.push(start.elapsed());
    }
    Ok(json!({
        "load_ms": millis(loaded), "first_ms": millis(rendered), "warm_ms": millis(median(again)),
        "objects": first.manifests.len() + first.hooks.len(), "kb": first.to_text().len() / 1000,
    }))
}

fn blow(name: &str) -> Outcome<Value> {
    let bomb = bombs::all().into_iter().find(|bomb| bomb.name == name).ok_or("there is no such bomb")?;
    // From here on the peak is that of the refusal.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let (before, cpu) = (peak_mb(), cpu_ms());
    let start = Instant::now();
    let outcome = bombs::defuse(&bomb.archive, Limits::default());
    let (took, cpu) = (start.elapsed(), cpu_ms() - cpu);
    let said = outcome.err().ok_or_else(|| format!("the bomb `{name}` is not refused"))?;
    if !bomb.is_refused_with(&said) {
        return Err(format!("the bomb `{name}` is refused for another reason: {said}").into());
    }
    Ok(json!({ "ms": millis(took), "cpu_ms": cpu, "peak_mb": peak_mb() - before, "said": said }))
}

fn measure() -> Outcome<Value> {
    let helm = env::var("PITRIX_HELM")
        .map_err(|_| "`PITRIX_HELM` names no helm\nhint: `cargo xtask bench charts` brings one")?;
    let scratch = tempfile::tempdir()?;
    let peer = Peer { helm: helm.into(), home: scratch.path().join("home") };
    let mut charts = Vec::new();
    for subject in subjects::own(&peer, scratch.path())? {
        charts.push(beside(&subject, &peer, ROUNDS)?);
    }
    let mut corpus = Vec::new();
    if let Some(dir) = env::var_os("PITRIX_TEST_CHARTS") {
        for subject in subjects::public(Path::new(&dir))? {
            corpus.push(beside(&subject, &peer, ROUNDS_OF_MANY)?);
        }
    }
    let mut hostile = Vec::new();
    for bomb in bombs::all() {
        let mut row: Value = serde_json::from_str(&own(&["--bomb", bomb.name])?)?;
        row["name"] = bomb.name.into();
        hostile.push(row);
    }
    Ok(json!({ "charts": charts, "corpus": summary(&corpus), "hostile": hostile }))
}

/// A helm that sees nothing of the user's.
struct Peer {
    helm: PathBuf,
    home: PathBuf,
}

impl Peer {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.helm);
        command.args(arguments).env("HELM_NO_PLUGINS", "1");
        for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(name, &self.home);
        }
        // Or it looks for a cluster.
        command.env("KUBECONFIG", self.home.join("none"));
        command
    }
}

/// One chart, rendered by both in turn.
fn beside(subject: &Subject, peer: &Peer, rounds: usize) -> Outcome<Value> {
    let chart = subject.path.to_string_lossy();
    let helm = || peer.command(&["template", "rel", &chart, "--namespace", "ns", "--kube-version", "1.33.0"]);
    let ours = || -> Outcome<Command> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["--render", &chart]);
        Ok(command)
    };
    let (theirs, own_text) = (output(helm())?, output(ours()?)?);
    if subject.is_deterministic && !is_same(&theirs, &own_text) {
        return Err(format!("`{chart}` is not rendered as helm does").into());
    }
    let (mut own_times, mut helm_times) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        helm_times.push(timed(helm())?);
        own_times.push(timed(ours()?)?);
    }
    let (cold, helm) = (millis(median(own_times)), millis(median(helm_times)));
    let mut row: Value = serde_json::from_str(&own(&["--warm", &chart])?)?;
    let warm = row["warm_ms"].as_f64().unwrap_or(f64::NAN);
    row["name"] = subject.name.as_str().into();
    row["cold_ms"] = cold.into();
    row["helm_ms"] = helm.into();
    row["cold_ratio"] = (helm / cold).into();
    row["warm_ratio"] = (helm / warm).into();
    Ok(row)
}

/// What this program prints as another process.
fn own(arguments: &[&str]) -> Outcome<String> {
    let mut command = Command::new(env::current_exe()?);
    command.args(arguments);
    output(command)
}

fn output(mut command: Command) -> Outcome<String> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// How long a process takes whose output nobody keeps.
fn timed(mut command: Command) -> Outcome<Duration> {
    // Cargo's, in which each library would be looked for first.
    command.env_remove("LD_LIBRARY_PATH");
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let took = start.elapsed();
    if status.success() { Ok(took) } else { Err(format!("{command:?} ended with {status}").into()) }
}

fn is_same(one: &str, other: &str) -> bool {
    let documents =
        |text| split_documents(text).into_iter().map(|document| document.trim_end_matches('\n')).collect();
    let (one, other): (Vec<_>, Vec<_>) = (documents(one), documents(other));
    one == other
}

/// What many charts come to.
fn summary(corpus: &[Value]) -> Value {
    if corpus.is_empty() {
        return Value::Null;
    }
    let column = |name: &str| {
        let mut numbers: Vec<_> = corpus.iter().filter_map(|row| row[name].as_f64()).collect();
        numbers.sort_by(f64::total_cmp);
        numbers
    };
    let sum = |name: &str| column(name).iter().sum::<f64>();
    let spread = |name: &str| {
        let numbers = column(name);
        json!({ "least": numbers.first(), "median": numbers[numbers.len() / 2], "most": numbers.last() })
    };
    let least = corpus.iter().min_by(|a, b| {
        let ratio = |row: &Value| row["cold_ratio"].as_f64().unwrap_or_default();
        ratio(a).total_cmp(&ratio(b))
    });
    json!({
        "count": corpus.len(), "cold_ms": sum("cold_ms"), "warm_ms": sum("warm_ms"), "helm_ms": sum("helm_ms"),
        "cold_ratio": spread("cold_ratio"), "warm_ratio": spread("warm_ratio"),
        "slowest": least, "rows": corpus,
    })
}

fn print(report: &Value) {
    let number = |row: &Value, name: &str| row[name].as_f64().unwrap_or(f64::NAN);
    println!("chart               objects     kB   helm ms  cold ms   ratio  warm ms   ratio");
    for row in report["charts"].as_array().into_iter().flatten().chain(report["corpus"].get("slowest")) {
        println!(
            "{:18} {:8.0} {:6.0} {:9.1} {:8.1} {:6.1}x {:8.2} {:6.1}x",
            row["name"].as_str().unwrap_or_default(),
            number(row, "objects"),
            number(row, "kb"),
            number(row, "helm_ms"),
            number(row, "cold_ms"),
            number(row, "cold_ratio"),
            number(row, "warm_ms"),
            number(row, "warm_ratio"),
        );
    }
    let corpus = &report["corpus"];
    if !corpus.is_null() {
        println!(
            "{} public charts, default values: cold {:.0} ms, helm {:.0} ms; ratio {:.1}x at least, {:.1}x median",
            number(corpus, "count"),
            number(corpus, "cold_ms"),
            number(corpus, "helm_ms"),
            number(&corpus["cold_ratio"], "least"),
            number(&corpus["cold_ratio"], "median"),
        );
    }
    println!("\nhostile                                        ms   cpu ms  peak MB  refused with");
    for row in report["hostile"].as_array().into_iter().flatten() {
        let (name, said) =
            (row["name"].as_str().unwrap_or_default(), row["said"].as_str().unwrap_or_default());
        // A busy machine makes others wait, not work.
        let slow = if number(row, "cpu_ms") > millis(CAP) { "  TOO SLOW" } else { "" };
        let said: String = said.lines().next().unwrap_or_default().chars().take(90).collect();
        println!(
            "{name:40} {:8.1} {:8.0} {:8.0}  {said}{slow}",
            number(row, "ms"),
            number(row, "cpu_ms"),
            number(row, "peak_mb")
        );
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The processor time of this process, all its threads, in ticks of 10 ms.
fn cpu_ms() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may have blanks.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>()
        * 10.0
}

/// The most memory that this process held since it was last asked to forget.
fn peak_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()).unwrap_or(f64::NAN)
        / 1e3
}

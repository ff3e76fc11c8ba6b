//! What the program costs as a process: how fast it starts, how large it is, what it holds in memory when there is
//! nothing to do, and how soon who follows sees what happened.
//!
//! `cargo xtask bench process [--json]`

#![allow(clippy::unwrap_used, reason = "a bench that can't go on has failed")]

#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../tests/e2e/installation.rs"]
mod installation;

use engine::{Event, EventFilter, Options, Store};
use installation::Installation;
use provider_core::{Clock, Timestamp};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const ROUNDS: usize = 60;
/// Clusters whose events are followed, one after another.
const CLUSTERS: usize = 20;

fn main() {
    let here = Installation::new();
    for name in ["one", "two", "three"] {
        here.data(&["cluster", "create", name, "--app", "tiny@1.0.0"]);
    }
    let executor = here.executor().expect("it stays for a while");
    let memory = json!({
        "executor_mb": resident_mb(executor),
        "agent_mb": here.agents().into_iter().map(resident_mb).fold(0.0, f64::max),
    });
    let report = json!({
        "start": starts(&here),
        "size": sizes(&here.program),
        "memory": memory,
        "follow": follow(&here),
    });
    if env::args().any(|argument| argument == "--json") {
        println!("{report:#}");
    } else {
        print(&report);
    }
}

/// Whole processes, in turn with one that does nothing.
fn starts(here: &Installation) -> Vec<Value> {
    let verbs: [(&str, &[&str]); 4] = [
        ("pitrix --version", &["--version"]),
        ("pitrix cluster list", &["cluster", "list"]),
        ("pitrix cluster describe", &["cluster", "describe", "one"]),
        ("pitrix job list", &["job", "list"]),
    ];
    let mut times = vec![Vec::new(); verbs.len() + 1];
    for _ in 0..ROUNDS {
        times[0].push(timed(&mut Command::new("/bin/true")));
        for ((_, args), times) in verbs.iter().zip(&mut times[1..]) {
            times.push(timed(&mut here.command(args)));
        }
    }
    let names = ["/bin/true"].into_iter().chain(verbs.iter().map(|(name, _)| *name));
    names
        .zip(times)
        .map(|(name, times)| json!({ "name": name, "p50_ms": at(&times, 0.5), "p99_ms": at(&times, 0.99) }))
        .collect()
}

fn timed(command: &mut Command) -> f64 {
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    let took = start.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    took.as_secs_f64() * 1e3
}

fn sizes(program: &Path) -> Vec<Value> {
    let peers = ["PITRIX_HELM", "PITRIX_KUBECTL"].into_iter().filter_map(env::var_os);
    [program.as_os_str().to_owned()]
        .into_iter()
        .chain(peers)
        .map(|path| {
            let path = Path::new(&path);
            let size = fs::metadata(path).unwrap().len();
            json!({ "name": path.file_name().unwrap().to_str().unwrap(), "mb": size as f64 / 1e6 })
        })
        .collect()
}

/// From the time that an event has on record to the moment at which its line is there for who follows: the commit is
/// in it.
fn follow(here: &Installation) -> Value {
    let past = here.data(&["events", "-o", "name"]).lines().count();
    let mut follower = here.command(&["events", "--follow", "-o", "name"]);
    let mut follower = Follower(follower.stdout(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(follower.0.stdout.take().unwrap()).lines();
    let reader = thread::spawn(move || {
        let seen = lines.map_while(Result::ok).filter_map(|line| Some((line.parse::<u64>().ok()?, now_ms())));
        seen.collect::<HashMap<_, _>>()
    });
    for n in 0..CLUSTERS {
        let name = format!("more-{n}");
        here.data(&["cluster", "create", &name, "--app", "tiny@1.0.0"]);
        here.data(&["cluster", "delete", &name, "--yes"]);
    }
    // The last ones have to be seen, too.
    thread::sleep(Duration::from_millis(500));
    drop(follower);
    let seen = reader.join().unwrap();
    let new = events(here).into_iter().skip(past);
    let delays: Vec<_> = new.map(|event| seen[&event.seq] - event.at.0 as f64).collect();
    json!({ "events": delays.len(), "p50_ms": at(&delays, 0.5), "p99_ms": at(&delays, 0.99) })
}

/// It goes also when the bench fails.
struct Follower(Child);

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All events, as the store has them.
fn events(here: &Installation) -> Vec<Event> {
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    threads.block_on(async {
        let store = Store::open(Options::new(here.state(), Arc::new(Still))).await.unwrap();
        let filter = EventFilter { job: None, cluster: None };
        store.events(0, &filter, u32::MAX).await.unwrap()
    })
}

/// To read a store takes no time.
struct Still;

#[async_trait::async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    async fn sleep(&self, _time: Duration) {}
}

#[allow(clippy::disallowed_methods, reason = "when a line is seen is measured here")]
fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1e3
}

fn resident_mb(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()).unwrap_or(f64::NAN)
        / 1e3
}

/// The time below which a share of them lies.
fn at(times: &[f64], share: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    let last = times.len().saturating_sub(1) as f64;
    times.get((last * share).round() as usize).copied().unwrap_or(f64::NAN)
}

fn print(report: &Value) {
    let rows = |name: &str| report[name].as_array().cloned().unwrap_or_default();
    let number = |row: &Value, name: &str| row[name].as_f64().unwrap_or(f64::NAN);
    println!("start                      p50 ms   p99 ms");
    for row in rows("start") {
        let name = row["name"].as_str().unwrap_or_default();
        println!("{name:25} {:7.2} {:8.2}", number(&row, "p50_ms"), number(&row, "p99_ms"));
    }
    println!("\nprogram                        MB");
    for row in rows("size") {
        println!("{:25} {:7.1}", row["name"].as_str().unwrap_or_default(), number(&row, "mb"));
    }
    println!("\nidle                       MB RSS");
    for (name, key) in [("executor", "executor_mb"), ("agent of a node", "agent_mb")] {
        println!("{name:25} {:7.1}", number(&report["memory"], key));
    }
    let follow = &report["follow"];
    println!(
        "\n{:.0} events, seen by `events --follow` after: p50 {:.0} ms, p99 {:.0} ms",
        number(follow, "events"),
        number(follow, "p50_ms"),
        number(follow, "p99_ms")
    );
}

//! Durable no-op tasks per second. A task is three states, each durable before the next: its call is written
//! down, the call's outcome is, and its own end is. Beside it, in the same run on the same disk, the naive
//! peer: the same rows, one commit for each state. What the disk can do is probed before and after.
//!
//! `cargo bench -p engine --bench store -- [--json] [--rounds N] [--seconds N]`

use engine::{Accepted, Options, Store, Submission, TaskReport, TaskState, Tenure, Terms};
use provider_core::{
    Action, Batch, CallKey, Change, Clock, Cluster, ClusterSpec, Credential, Intent, JobId, Ledger, Outcome,
    Plan, Runtime, TaskId, Timestamp, Token, Zone,
};
use serde_json::{Value, json};
use sqlx::{
    ConnectOptions, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

const IN_FLIGHT: [usize; 3] = [1, 64, 512];
const PLAN_TASKS: usize = 100_000;

/// A probe that differs more than this inside a round makes its durable figures worthless.
const STEADY: f64 = 2.0;

type Outcomes<T> = Result<T, Box<dyn std::error::Error>>;

struct Still;

#[async_trait::async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    async fn sleep(&self, _time: Duration) {}
}

fn main() -> Outcomes<()> {
    let arguments: Vec<_> = std::env::args().collect();
    let number = |name: &str, default| {
        let place = arguments.iter().position(|argument| argument == name);
        place.map_or(Ok(default), |at| arguments.get(at + 1).map_or("", String::as_str).parse())
    };
    let (rounds, seconds) = (number("--rounds", 3)?, number("--seconds", 2)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let report = runtime.block_on(measure(rounds, Duration::from_secs(seconds)))?;
    if arguments.iter().any(|argument| argument == "--json") {
        println!("{report:#}");
    } else {
        print(&report);
    }
    Ok(())
}

async fn measure(rounds: u64, time: Duration) -> Outcomes<Value> {
    let mut levels: Vec<_> = IN_FLIGHT.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for (level, in_flight) in IN_FLIGHT.iter().enumerate() {
            let before = probe()?;
            // The order is turned round each time, so that neither always comes first.
            let (ours, naive) = if round % 2 == 0 {
                let ours = ours(*in_flight, time).await?;
                (ours, naive(*in_flight, time).await?)
            } else {
                let naive = naive(*in_flight, time).await?;
                (ours(*in_flight, time).await?, naive)
            };
            let after = probe()?;
            let fsync = (before + after) / 2;
            let spread = before.max(after).as_secs_f64() / before.min(after).as_secs_f64();
            levels[level].push(json!({
                "fsync_us": micros(fsync),
                "steady": spread <= STEADY,
                "ours_per_s": ours.per_second,
                "naive_per_s": naive.per_second,
                "ratio": ours.per_second / naive.per_second,
                "p50_us": micros(ours.p50),
                "p99_us": micros(ours.p99),
                "p50_over_3_fsync_us": micros(ours.p50) - 3.0 * micros(fsync),
            }));
        }
    }
    let levels: Vec<_> = IN_FLIGHT
        .iter()
        .zip(levels)
        .map(|(in_flight, rounds)| {
            let columns =
                ["fsync_us", "ours_per_s", "naive_per_s", "ratio", "p50_us", "p99_us", "p50_over_3_fsync_us"];
            let mut level: serde_json::Map<_, _> =
                columns.iter().map(|column| ((*column).to_owned(), json!(median(&rounds, column)))).collect();
            level.insert("in_flight".into(), json!(in_flight));
            level.insert(
                "steady_rounds".into(),
                json!(rounds.iter().filter(|round| round["steady"] == true).count()),
            );
            level.insert("rounds".into(), json!(rounds));
            level
        })
        .collect();
    Ok(json!({
        "settings": "SQLite, WAL, synchronous=FULL",
        "tasks": levels,
        "plan": { "tasks": PLAN_TASKS, "stored_s": store_plan().await?.as_secs_f64() },
    }))
}

fn print(report: &Value) {
    println!("{}; medians of the rounds", report["settings"].as_str().unwrap_or_default());
    println!("in flight  fsync us    tasks/s  naive/s   ratio   p50 us   p99 us  steady rounds");
    for level in report["tasks"].as_array().into_iter().flatten() {
        let figure = |name: &str| level[name].as_f64().unwrap_or_default();
        println!(
            "{:>9}  {:>8.0}  {:>9.0}  {:>7.0}  {:>6.1}  {:>7.0}  {:>7.0}  {:>13}",
            level["in_flight"],
            figure("fsync_us"),
            figure("ours_per_s"),
            figure("naive_per_s"),
            figure("ratio"),
            figure("p50_us"),
            figure("p99_us"),
            level["steady_rounds"]
        );
    }
    println!(
        "a plan of {} tasks is accepted in {:.2} s",
        report["plan"]["tasks"], report["plan"]["stored_s"]
    );
}

struct Figures {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

/// Runs `task` with `in_flight` of them at any time, until `time` has passed.
async fn run<F>(
    in_flight: usize,
    time: Duration,
    task: impl Fn(u32) -> F + Clone + Send + 'static,
) -> Outcomes<Figures>
where
    F: Future<Output = provider_core::Result<()>> + Send,
{
    let (next, begin) = (Arc::new(AtomicU32::new(0)), Instant::now());
    let lanes: Vec<_> = (0..in_flight)
        .map(|_| {
            let (next, task) = (next.clone(), task.clone());
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while begin.elapsed() < time {
                    let started = Instant::now();
                    task(next.fetch_add(1, Ordering::Relaxed)).await?;
                    latencies.push(started.elapsed());
                }
                Ok::<_, provider_core::Error>(latencies)
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for lane in lanes {
        latencies.extend(lane.await??);
    }
    let elapsed = begin.elapsed();
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    Ok(Figures { per_second: latencies.len() as f64 / elapsed.as_secs_f64(), p50: at(0.5), p99: at(0.99) })
}

async fn ours(in_flight: usize, time: Duration) -> Outcomes<Figures> {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let store = store(dir.path()).await?;
    let job = accept(&store, submission(&[])?).await?;
    let tenure = store.take_over().await?;
    let figures = run(in_flight, time, move |index| one(tenure.clone(), job.clone(), index)).await?;
    store.close().await;
    Ok(figures)
}

async fn one(tenure: Tenure, job: JobId, index: u32) -> provider_core::Result<()> {
    let task = TaskId { layer: 0, index };
    let key = CallKey { job: job.clone(), task, n: 0 };
    tenure.look(&key).await?;
    let batch = Batch {
        token: Token::new(token(index)),
        name: NAME.into(),
        items: vec![Intent { key, generation: 0, body: BODY.as_bytes().to_vec() }],
    };
    tenure.begin(&batch).await?;
    tenure.finish(&batch, vec![Outcome::Applied(REPLY.as_bytes().to_vec())]).await?;
    let report = TaskReport {
        job,
        task,
        attempt: 1,
        state: TaskState::Done,
        deadline: None,
        handle: None,
        output: None,
    };
    tenure.report(report, None).await
}

const NAME: &str = "RunInstances";
const BODY: &str =
    r#"{"instance":"cl-0123abcd/n-1","image":"img-0001","cpu":2,"memory_mib":4096,"subnet":"sn-1"}"#;
const REPLY: &str = r#"{"id":"i-0123456789abcdef","state":"pending"}"#;

/// As spread as a real one.
fn token(index: u32) -> String {
    let mixed = u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{mixed:016x}{mixed:016x}")
}

/// The same rows in the same tables, one commit for each state.
async fn naive(in_flight: usize, time: Duration) -> Outcomes<Figures> {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let store = store(dir.path()).await?;
    accept(&store, submission(&[])?).await?;
    store.close().await;
    let db = SqliteConnectOptions::new()
        .filename(dir.path().join("pitrix.db"))
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging()
        .connect()
        .await?;
    let db = Arc::new(Mutex::new(db));
    run(in_flight, time, move |index| {
        let db = db.clone();
        async move {
            let failed = |e: sqlx::Error| provider_core::Error::store("the naive peer").caused_by(&e);
            for state in [intent, outcome, end] {
                let mut db = db.lock().await;
                sqlx::query("BEGIN IMMEDIATE").execute(&mut *db).await.map_err(failed)?;
                state(&mut db, index).await.map_err(failed)?;
                sqlx::query("COMMIT").execute(&mut *db).await.map_err(failed)?;
            }
            Ok(())
        }
    })
    .await
}

type Written<'a> = std::pin::Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send + 'a>>;

fn intent(db: &mut SqliteConnection, index: u32) -> Written<'_> {
    Box::pin(async move {
        let insert = "INSERT INTO call (job, layer, idx, n, generation, token, pos, name, body, state, at)
            VALUES (1, 0, ?, 0, 0, ?, 0, ?, ?, 'intent', 0)";
        sqlx::query(insert).bind(index).bind(token(index)).bind(NAME).bind(BODY).execute(&mut *db).await?;
        let insert =
            "INSERT INTO task (job, layer, idx, state, attempt, started) VALUES (1, 0, ?, 'running', 1, 0)";
        sqlx::query(insert).bind(index).execute(db).await?;
        Ok(())
    })
}

fn outcome(db: &mut SqliteConnection, index: u32) -> Written<'_> {
    Box::pin(async move {
        let update = "UPDATE call SET state = 'applied', reply = ?
            WHERE job = 1 AND layer = 0 AND idx = ? AND n = 0 AND generation = 0 AND state = 'intent'";
        sqlx::query(update).bind(REPLY).bind(index).execute(db).await?;
        Ok(())
    })
}

fn end(db: &mut SqliteConnection, index: u32) -> Written<'_> {
    Box::pin(async move {
        let update = "UPDATE task SET state = 'done', ended = 0 WHERE job = 1 AND layer = 0 AND idx = ?";
        sqlx::query(update).bind(index).execute(&mut *db).await?;
        let event = r#"{"kind":"event","v":1,"body":{"event":"task","task":{"layer":0,"index":0},"attempt":1,"state":"done"}}"#;
        sqlx::query("INSERT INTO event (at, job, body) VALUES (0, 1, ?)").bind(event).execute(db).await?;
        Ok(())
    })
}

/// A new store.
async fn store(dir: &Path) -> Outcomes<Store> {
    let store = Store::open(Options::new(dir, Arc::new(Still))).await?;
    let runtime: Runtime = serde_json::from_value(json!({ "id": "here", "provider": "local" }))?;
    store.create_runtime(&runtime, Credential::default()).await?;
    Ok(store)
}

/// A job whose plan has these tasks.
fn submission(tasks: &[Value]) -> Outcomes<Submission> {
    let spec: ClusterSpec =
        serde_json::from_value(json!({ "name": "c", "app": "a@1", "roles": {}, "nodes": {} }))?;
    let plan: Plan = serde_json::from_value(json!({
        "facts": { "taken_at": 0, "zone": "z" },
        "layers": [{ "name": "run instances", "tasks": tasks }],
    }))?;
    Ok(Submission {
        change: Change {
            action: Action::CreateCluster,
            before: Cluster::new("cl-1".into(), "here".into(), Zone::new("z"), spec.clone()),
            after: spec,
        },
        plan,
        terms: Terms::default(),
        secrets: Vec::new(),
    })
}

async fn accept(store: &Store, submission: Submission) -> Outcomes<JobId> {
    match store.accept(submission).await? {
        Accepted::Job(job) => Ok(job),
        Accepted::Stale => Err("a new cluster is stale".into()),
    }
}

/// How long it takes from a plan in memory to a job on disk.
async fn store_plan() -> Outcomes<Duration> {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let store = store(dir.path()).await?;
    let task = |n| json!({ "cloud": { "instance": "run" }, "node": format!("n-{n}"), "timeout_s": 600 });
    let submission = submission(&(0..PLAN_TASKS).map(task).collect::<Vec<_>>())?;
    let begin = Instant::now();
    accept(&store, submission).await?;
    Ok(begin.elapsed())
}

/// The median time of writing 4 KiB and having it on disk.
fn probe() -> Outcomes<Duration> {
    let mut file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (page, begin, mut times) = ([7; 4096], Instant::now(), Vec::new());
    while begin.elapsed() < Duration::from_millis(500) {
        let start = Instant::now();
        write_through(&mut file, &page)?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

fn write_through(file: &mut File, page: &[u8]) -> std::io::Result<()> {
    file.write_all(page)?;
    file.sync_data()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn median(rounds: &[Value], column: &str) -> f64 {
    let mut figures: Vec<_> = rounds.iter().filter_map(|round| round[column].as_f64()).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

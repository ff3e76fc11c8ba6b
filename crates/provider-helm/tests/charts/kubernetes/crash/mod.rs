//! A crash at each boundary of each action: another executor goes on, and the end is the same.
//!
//! A boundary is a commit of the store, a call, or a request on the wire that changes something, before and after. By
//! itself the test takes a few of each action; `PITRIX_CRASH_EVERY=1` takes all, and `PITRIX_CRASH_CASE=delete` only
//! the actions whose names begin so. A table says what came of it.

mod audit;
mod cases;
mod wire;

use super::{
    World,
    world::{create, upgrade},
};
use async_trait::async_trait;
use audit::{Audit, Differences};
use cases::{CASES, Case, Deed};
use engine::{Control, JobInfo};
use provider_core::{CrashPoint, JobState, Result};
use serde_json::json;
use std::{
    env, fmt,
    io::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;
use wire::{Gate, Wire};

/// How many cases are at work at a time.
const SIDE_BY_SIDE: usize = 6;

/// A run that takes so long has no end.
const PATIENCE: Duration = Duration::from_secs(300);

/// Stops the process at one boundary.
struct Stop {
    at: usize,
    seen: Mutex<Vec<String>>,
    stopped: Notify,
}

impl Stop {
    fn never() -> Arc<Self> {
        Self::at(usize::MAX)
    }

    fn at(at: usize) -> Arc<Self> {
        Arc::new(Self { at, seen: Mutex::default(), stopped: Notify::new() })
    }

    /// The boundaries so far.
    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Comes by a boundary; whether it is the one at which the process dies. Nothing of it goes on then.
    fn is_at(&self, place: &str) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(place.to_owned());
        let is_here = seen.len() == self.at.saturating_add(1);
        if is_here {
            self.stopped.notify_one();
        }
        is_here
    }
}

#[async_trait]
impl CrashPoint for Stop {
    async fn reach(&self, place: &str) {
        if self.is_at(place) {
            std::future::pending::<()>().await;
        }
    }
}

/// One life of the process; none when it crashed.
fn live<T>(stop: &Stop, work: impl Future<Output = T>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("threads can be had");
    runtime.block_on(async {
        tokio::select! {
            biased;
            () = stop.stopped.notified() => None,
            result = tokio::time::timeout(PATIENCE, work) => Some(result.expect("it has an end")),
        }
    })
}

/// Does what can't crash.
fn smoothly<T>(work: impl Future<Output = T>) -> T {
    live(&Stop::never(), work).expect("no crash is planned")
}

/// The jobs on record, the newest first.
async fn jobs(world: &World) -> Result<Vec<JobInfo>> {
    let control = world.control().await;
    let jobs = control.store.jobs(None).await;
    control.store.close().await;
    jobs
}

/// Lets processes crash and follow one another until a deed is done, and gives the jobs that it took, the newest first.
fn carry_out(world: &World, stop: &Stop, deed: &Deed) -> Result<Vec<JobInfo>> {
    let earlier = smoothly(jobs(world))?;
    let is_new = |job: &JobInfo| !earlier.iter().any(|known| known.id == job.id);
    loop {
        let ended = live(stop, async {
            let control = world.control().await;
            // What was not accepted before a crash is asked for again, as its sender would.
            if !control.store.jobs(None).await?.iter().any(is_new) {
                submit(&control, deed).await?;
            }
            world.execute(&control).await?;
            control.store.close().await;
            Ok(())
        });
        if let Some(ended) = ended {
            let () = ended?;
            let mut jobs = smoothly(jobs(world))?;
            jobs.retain(is_new);
            return Ok(jobs);
        }
    }
}

async fn submit(control: &Control, deed: &Deed) -> Result<()> {
    match deed {
        Deed::Ask(request) => control.submit(request).await.map(|_| ()),
        Deed::Undo(request) => {
            let terms = engine::Terms { undo: true, ..engine::Terms::default() };
            control.submit_on(request, terms).await.map(|_| ())
        }
        Deed::Adopt => {
            let adoption = control.plan_adoption("shop", &"k8s".into()).await?;
            control.adopt(adoption).await.map(|_| ())
        }
        Deed::Outside(_) => unreachable!("nobody submits what happens outside"),
    }
}

/// What a case came to, and the boundaries that it came by.
struct Run {
    audit: Audit,
    seen: Vec<String>,
}

/// What befalls a run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    Nothing,
    CrashAt(usize),
    /// The first answer to each request that changes something.
    AnswersLost,
}

/// Carries a case out in a world of its own.
fn run(gate: &Gate, name: &str, case: &Case, trouble: Trouble) -> Result<Run> {
    let mut world = World::new(name).expect("there is a cluster");
    let wire = Wire::through(gate, Stop::never());
    world.use_server(&wire.url());
    smoothly(async {
        let control = world.control().await;
        for (version, chart) in cases::versions(world.namespace()) {
            world.push(&control, version, &chart).await;
        }
        control.store.close().await;
    });
    for deed in (case.before)() {
        match deed {
            Deed::Outside(happens) => happens(&world),
            deed => {
                let jobs = carry_out(&world, &Stop::never(), &deed)?;
                assert_eq!(jobs[0].state, JobState::Succeeded, "before {}: {:?}", case.name, jobs[0].error);
            }
        }
    }
    let stop = match trouble {
        Trouble::CrashAt(at) => Stop::at(at),
        _ => Stop::never(),
    };
    if trouble == Trouble::AnswersLost {
        wire.lose_answers();
    }
    world.crash = stop.clone();
    wire.stop_at(stop.clone());
    let jobs = carry_out(&world, &stop, &(case.deed)())?;
    world.crash = Stop::never();
    let made = wire.made();
    let audit = smoothly(async {
        let control = world.control().await;
        let audit = Audit::of(&world, &control, &jobs, &made).await;
        control.store.close().await;
        audit
    })?;
    world.clean();
    let _ = world.witness.kubectl(&[
        "delete",
        "crd",
        &cases::definition(world.namespace()),
        "--wait=false",
        "--ignore-not-found",
    ]);
    Ok(Run { audit, seen: stop.seen() })
}

/// What crashing in one action came to: a line of the table.
#[derive(Debug, Default)]
struct Row {
    action: &'static str,
    boundaries: usize,
    crashes: usize,
    orphans: usize,
    duplicates: usize,
    /// The most that a hook ran more often than it should.
    again: usize,
    complaints: Vec<String>,
}

const HEAD: &str = "action                      boundaries crashes orphans duplicates hooks+ wrong";

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, boundaries, crashes, orphans, duplicates, again, complaints } = self;
        let wrong = complaints.len();
        write!(
            f,
            "{action:<27} {boundaries:>10} {crashes:>7} {orphans:>7} {duplicates:>10} {again:>6} {wrong:>5}"
        )
    }
}

/// Crashes in a case at some boundaries, or at all.
fn enumerate(gate: &Gate, index: usize, case: &Case, every: Option<usize>) -> Row {
    let name = |at: &str| format!("crash-{index}-{at}");
    let smooth = run(gate, &name("smooth"), case, Trouble::Nothing)
        .unwrap_or_else(|e| panic!("{} without a crash: {e} {:?}", case.name, e.causes()));
    assert!(smooth.audit.has_succeeded(), "{} without a crash: {:?}", case.name, smooth.audit);
    let boundaries = smooth.seen.len();
    let mut row = Row { action: case.name, boundaries, ..Row::default() };
    let mut complain = |when: &str, what: Vec<String>| {
        row.complaints.extend(what.into_iter().map(|what| format!("{when}: {what}")));
    };
    let itself = smooth.audit.differences(&smooth.audit);
    complain(&format!("{} without a crash", case.name), itself.complaints);
    // By itself a few of each case, not the same few of all.
    let every = every.unwrap_or_else(|| boundaries.div_ceil(2));
    for at in ((index * 7 % every)..boundaries).step_by(every) {
        match run(gate, &name(&at.to_string()), case, Trouble::CrashAt(at)) {
            Ok(run) => {
                // The number of commits varies a little: the last boundary may not be there this time.
                let Some(place) = run.seen.get(at) else { continue };
                row.crashes += 1;
                let when = format!("{} with a crash at {at}, {place}", case.name);
                let Differences { orphans, duplicates, again, complaints } =
                    run.audit.differences(&smooth.audit);
                row.orphans += orphans.len();
                row.duplicates += duplicates.len();
                row.again = row.again.max(again);
                let all = [orphans, duplicates, complaints].concat();
                row.complaints.extend(all.into_iter().map(|what| format!("{when}: {what}")));
            }
            Err(error) => {
                let when = format!("{} with a crash at {at}", case.name);
                row.complaints.push(format!("{when}: {error} {:?}", error.causes()));
            }
        }
    }
    row
}

#[test]
fn after_a_crash_at_any_boundary_the_next_executor_comes_to_the_same_end() {
    let Some(world) = World::new("crash") else { return };
    let gate = Gate::open(&world.witness);
    let every = env::var("PITRIX_CRASH_EVERY").ok().and_then(|n| n.parse().ok());
    let only = env::var("PITRIX_CRASH_CASE").unwrap_or_default();
    let with_helm = world.witness.helm(&["version"]).is_some();
    let wanted = |case: &Case| case.name.starts_with(&only) && (with_helm || !case.needs_helm);
    let cases: Vec<_> = CASES.iter().enumerate().filter(|(_, case)| wanted(case)).collect();
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some((index, case)) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let row = enumerate(&gate, *index, case, every);
                    // All of them take their time: whoever waits sees each.
                    say(&row.complaints.iter().fold(row.to_string(), |all, one| all + "\n" + one));
                    rows.lock().unwrap_or_else(PoisonError::into_inner).push((*index, row));
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    rows.sort_by_key(|(index, _)| *index);
    let lines: Vec<_> = rows.iter().map(|(_, row)| row.to_string()).collect();
    say(&format!("{HEAD}\n{}", lines.join("\n")));
    let complaints: Vec<_> = rows.into_iter().flat_map(|(_, row)| row.complaints).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(!lines.is_empty(), "no action is called `{only}`");
}

#[test]
fn a_request_whose_answer_is_lost_is_made_once() {
    let Some(world) = World::new("lost") else { return };
    let gate = Gate::open(&world.witness);
    for (index, case) in CASES.iter().enumerate() {
        if !matches!(case.name, "create" | "restart" | "delete") {
            continue;
        }
        let name = |what: &str| format!("lost-{index}-{what}");
        let smooth = run(&gate, &name("none"), case, Trouble::Nothing).unwrap();
        let lost = run(&gate, &name("all"), case, Trouble::AnswersLost).unwrap();
        let Differences { orphans, duplicates, complaints, .. } = lost.audit.differences(&smooth.audit);
        assert_eq!([orphans, duplicates, complaints].concat(), [] as [&str; 0], "{}", case.name);
    }
}

#[test]
fn a_failure_that_can_not_be_written_down_at_once_is_written_down_later() {
    let Some(mut world) = World::new("outage") else { return };
    let gate = Gate::open(&world.witness);
    let wire = Wire::through(&gate, Stop::never());
    world.use_server(&wire.url());
    let job = smoothly(async {
        let control = world.control().await;
        for (version, chart) in cases::versions(world.namespace()) {
            world.push(&control, version, &chart).await;
        }
        let first = world.run(&control, &create("shop", "1.0.0", json!({}))).await.unwrap();
        assert_eq!(first.state, JobState::Succeeded, "{:?}", first.error);
        // The first change of the new revision is that it has failed: the API refuses one of its objects.
        wire.refuse_once("/secrets/sh.helm.release.v1.shop.v2");
        world.run(&control, &upgrade("shop", "3.0.0", json!({}))).await.unwrap()
    });
    assert!(!wire.refuses(), "nobody has tried to write it down");
    assert_eq!(job.state, JobState::Failed);
    let error = job.error.expect("it fails").to_string();
    assert!(error.contains("Service/shop-refused"), "{error}");
    let want = [("1", "deployed"), ("2", "failed")].map(|(n, status)| (n.to_owned(), status.to_owned()));
    assert_eq!(world.witness.releases("shop"), want);
    world.clean();
}

/// Says it where it is seen although the test passes.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

//! A crash at every boundary of every action.
//!
//! An action is carried out once to count its boundaries: each commit of the store and each request, before
//! and after. Then, for each of them, the same world is brought to a crash just there, its executor is
//! dropped, and another one takes over. Afterwards outside and record must be what they are without a crash.

use crate::{Audit, Fault, Hold, VirtualClock, World, act, create, lock};
use async_trait::async_trait;
use engine::{Control, JobInfo, Request};
use provider_core::{Action, CrashPoint, Error, JobState, Result};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// Counts the boundaries that executors come by, and stops the world at those that are planned.
pub struct Crash {
    clock: Arc<VirtualClock>,
    state: Mutex<Boundaries>,
    crashed: Notify,
}

#[derive(Default)]
struct Boundaries {
    seen: Vec<String>,
    /// At which boundaries to crash, each counted from the crash before.
    plan: VecDeque<usize>,
    since: usize,
    happened: usize,
    /// A commit is under way; time stands still.
    commit: Option<Hold>,
}

impl Crash {
    pub(crate) fn new(clock: Arc<VirtualClock>) -> Self {
        Self { clock, state: Mutex::default(), crashed: Notify::new() }
    }

    /// Plans crashes: the first after so many boundaries from now, each other after so many from the one
    /// before. 0 is the very next one.
    pub fn plan(&self, crashes: impl IntoIterator<Item = usize>) {
        let mut state = lock(&self.state);
        state.plan = crashes.into_iter().collect();
        state.since = 0;
    }

    /// How many planned crashes have happened.
    pub fn happened(&self) -> usize {
        lock(&self.state).happened
    }

    /// The boundaries so far, in the order in which they were reached.
    pub fn seen(&self) -> Vec<String> {
        lock(&self.state).seen.clone()
    }

    /// Returns when an executor has crashed.
    pub(crate) async fn crashed(&self) {
        self.crashed.notified().await;
        lock(&self.state).commit = None;
    }
}

#[async_trait]
impl CrashPoint for Crash {
    async fn reach(&self, place: &str) {
        let crashes = {
            let mut state = lock(&self.state);
            state.seen.push(place.to_owned());
            state.commit = (place == "before commit").then(|| self.clock.hold());
            state.since += 1;
            let crashes = state.plan.front().is_some_and(|at| state.since > *at);
            if crashes {
                state.plan.pop_front();
                state.since = 0;
                state.happened += 1;
            }
            crashes
        };
        if crashes {
            self.crashed.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

/// One action to crash in.
pub struct Case {
    /// What it is called in the table.
    pub name: &'static str,
    /// What the cluster is made of, in words.
    pub spec: &'static str,
    /// What has to have happened before.
    pub before: fn() -> Vec<Request>,
    /// The action.
    pub request: fn() -> Request,
    /// What goes wrong besides.
    pub faults: fn(&World),
}

/// Every action that providers of virtual machines take part in. A new one is one line.
pub const CASES: &[Case] = &[
    Case { name: "create", spec: "db, replica, web", before: || vec![], request: three, faults: none },
    Case { name: "stop", spec: "db, replica, web", before: || vec![three()], request: stop, faults: none },
    Case {
        name: "start",
        spec: "db, replica, web",
        before: || vec![three(), stop()],
        request: start,
        faults: none,
    },
    Case {
        name: "delete",
        spec: "db, replica, web",
        before: || vec![three()],
        request: delete,
        faults: none,
    },
    Case {
        name: "create",
        spec: "two db",
        before: || vec![],
        request: || create("c", 2, 0, 0),
        faults: none,
    },
    Case { name: "create, requests lost", spec: "db, web", before: || vec![], request: two, faults: lost },
    Case {
        name: "create, requests refused",
        spec: "db, web",
        before: || vec![],
        request: two,
        faults: refused,
    },
];

fn three() -> Request {
    create("c", 1, 1, 1)
}

fn two() -> Request {
    create("c", 1, 0, 1)
}

fn stop() -> Request {
    act("c", Action::StopClusters)
}

fn start() -> Request {
    act("c", Action::StartClusters)
}

fn delete() -> Request {
    act("c", Action::DeleteClusters { keep_volumes: false, force: false })
}

fn none(_: &World) {}

/// Every kind of request is lost once before and once after it is carried out.
fn lost(world: &World) {
    for request in ["RunInstances", "CreateVolumes", "AttachVolumes"] {
        world.cloud.script(request, 1..=1, Fault::LostAfter);
        world.cloud.script(request, 3..=3, Fault::LostBefore);
    }
    world.pilot.script("submit", 1..=1, Fault::LostAfter);
    world.pilot.script("submit", 4..=4, Fault::LostBefore);
}

fn refused(world: &World) {
    world.cloud.script("RunInstances", 1..=1, Fault::Partial(1, "InsufficientCapacity"));
    world.cloud.script("RunInstances", 2..=2, Fault::Hide(Duration::from_secs(20)));
    world.cloud.script("CreateVolumes", 1..=2, Fault::Refuse("Throttling"));
    world.cloud.script("AttachVolumes", 1..=1, Fault::Partial(1, "Busy"));
    world.pilot.script("submit", 2..=3, Fault::Refuse("Unreachable"));
}

/// What crashing in one action came to: a line of the table.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The action.
    pub action: &'static str,
    /// What the cluster is made of.
    pub spec: &'static str,
    /// How many boundaries the action has when nothing crashes.
    pub boundaries: usize,
    /// How often it was carried out to its end, with crashes.
    pub runs: usize,
    /// Resources that no record knows, over all runs.
    pub orphans: usize,
    /// Resources that there is more than one of, over all runs.
    pub duplicates: usize,
    /// Everything else that was not as it should, in sentences.
    pub complaints: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, spec, boundaries, runs, orphans, duplicates, complaints, seconds } = self;
        let wrong = complaints.len();
        write!(
            f,
            "{action:<25} {spec:<18} {boundaries:>10} {runs:>5} {orphans:>7} {duplicates:>10} {wrong:>5} {seconds:>7.1}"
        )
    }
}

/// The head of the table that rows are printed in.
pub const HEAD: &str =
    "action                    spec               boundaries  runs orphans duplicates wrong seconds";

/// Crashes in every case, side by side.
///
/// # Errors
/// As [`enumerate`].
pub fn enumerate_all() -> Result<Vec<Row>> {
    std::thread::scope(|scope| {
        let cases: Vec<_> = CASES.iter().map(|case| scope.spawn(|| enumerate(case))).collect();
        let joined = cases.into_iter().map(|case| case.join().map_err(|_| Error::bug("a case panicked")));
        joined.map(Result::flatten).collect()
    })
}

/// Crashes at each boundary of a case, and at sampled pairs of boundaries.
///
/// # Errors
/// When the case can't be carried out without a crash.
pub fn enumerate(case: &Case) -> Result<Row> {
    let begin = Instant::now();
    let world = World::new()?;
    for request in (case.before)() {
        let ended = carry_out(&world, &request, &[])?;
        if ended.state != JobState::Succeeded {
            return Err(Error::bug(format!(
                "`{}` needs {:?}, which came to {ended:?}",
                case.name, ended.action
            )));
        }
    }
    let request = (case.request)();
    let smooth = Run::new(&world, case, &request, &[])?;
    let mut row =
        Row { action: case.name, spec: case.spec, boundaries: smooth.counts.boundaries(), ..Row::default() };
    row.complaints.extend(smooth.complaints(&smooth, "without a crash"));
    row.complaints.extend(smooth.counts.unseen());
    let mut take = |crashes: &[usize]| -> Result<bool> {
        let run = Run::new(&world, case, &request, crashes)?;
        if run.crashes == 0 {
            return Ok(false);
        }
        row.runs += 1;
        row.orphans += run.audit.orphans.len();
        row.duplicates += run.audit.duplicates.len();
        row.complaints.extend(run.complaints(&smooth, &format!("crash at {crashes:?}")));
        Ok(true)
    };
    // Group commit makes the number of boundaries vary a little, so the end shows itself.
    let mut at = 0;
    while take(&[at])? || at < smooth.counts.boundaries() {
        // Recovery begins by taking over, reading and resolving: mostly there a second crash meets something.
        if at % 3 == 0 {
            take(&[at, at % 11])?;
        }
        at += 1;
    }
    row.seconds = begin.elapsed().as_secs_f64();
    Ok(row)
}

/// One world in which the action was carried out, over crashes.
struct Run {
    job: JobInfo,
    crashes: usize,
    counts: Counts,
    audit: Audit,
}

/// The boundaries that were reached, and how many there should have been.
#[derive(Debug)]
struct Counts {
    seen: BTreeMap<String, u64>,
    /// By SQLite's own count.
    commits: u64,
    /// By the cloud's and the agents' own count.
    requests: u64,
}

impl Counts {
    fn boundaries(&self) -> usize {
        self.seen.values().sum::<u64>() as usize
    }

    /// Commits and requests that came by no crash point, and crash points that nobody counts.
    fn unseen(&self) -> Vec<String> {
        let made = [
            ("before commit", self.commits),
            ("after commit", self.commits),
            ("before send", self.requests),
            ("after reply", self.requests),
        ];
        let made = BTreeMap::from(made.map(|(place, count)| (place.to_owned(), count)));
        let places = made.keys().chain(self.seen.keys()).collect::<BTreeSet<_>>();
        let differs = |place: &&&String| made.get(**place) != self.seen.get(**place);
        let tell = |place: &String| {
            format!("`{place}`: {:?} seen, {:?} were to be seen", self.seen.get(place), made.get(place))
        };
        places.iter().filter(differs).map(|place| tell(place)).collect()
    }
}

impl Run {
    fn new(world: &World, case: &Case, request: &Request, crashes: &[usize]) -> Result<Self> {
        let world = world.copy()?;
        (case.faults)(&world);
        let before = world.requests();
        let job = carry_out(&world, request, crashes)?;
        let mut seen = BTreeMap::new();
        for place in world.crash.seen() {
            *seen.entry(place).or_insert(0) += 1;
        }
        let requests = (world.requests() - before) as u64;
        let counts = Counts { seen, commits: world.commits(), requests };
        let crashes = world.crash.happened();
        let audit = world.live(async |control| Audit::of(&world, control, &job).await);
        Ok(Self { job, crashes, counts, audit: audit.expect("no crash is planned")? })
    }

    /// Whatever differs from what it should be.
    fn complaints(&self, smooth: &Self, when: &str) -> Vec<String> {
        let mut all = Vec::new();
        let mut expect = |holds: bool, what: String| {
            if !holds {
                all.push(format!("{when}: {what}"));
            }
        };
        let Audit { applied, cluster, ran, .. } = &self.audit;
        expect(self.job.state == JobState::Succeeded, format!("the job ended {:?}", self.job));
        expect(self.job.fold == smooth.job.fold, format!("it came to {:?}", self.job.fold));
        expect(*applied == smooth.audit.applied, format!("{applied:?} were applied"));
        expect(*cluster == smooth.audit.cluster, format!("the cluster is on record as {cluster:?}"));
        expect(*ran == smooth.audit.ran, format!("the agents ran {ran:?}"));
        all.extend(self.audit.complaints().into_iter().map(|what| format!("{when}: {what}")));
        all
    }
}

/// Lets executors crash and follow one another until the request is done, and gives the job that did it.
fn carry_out(world: &World, request: &Request, crashes: &[usize]) -> Result<JobInfo> {
    let jobs = async |control: &Control| control.store.jobs(None).await;
    let earlier = world.live(jobs).expect("no crash is planned")?.len();
    world.crash.plan(crashes.iter().copied());
    loop {
        let ended = world.live(async |control| {
            // A request whose acceptance crashed is made again, as its sender would.
            if control.store.jobs(None).await?.len() == earlier {
                control.submit(request).await?;
            }
            world.execute(control, &Notify::new()).await?;
            let mut jobs = control.store.jobs(None).await?;
            Ok(jobs.swap_remove(0))
        });
        if let Some(ended) = ended {
            world.crash.plan([]);
            return ended;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_that_the_enumerator_does_not_see_is_a_complaint() {
        let seen =
            |places: &[(&str, u64)]| places.iter().map(|(place, n)| ((*place).to_owned(), *n)).collect();
        let all = [("before commit", 9), ("after commit", 9), ("before send", 4), ("after reply", 4)];
        let check = |places: &[(&str, u64)], commits, requests, complaints: usize| {
            let counts = Counts { seen: seen(places), commits, requests };
            assert_eq!(counts.unseen().len(), complaints, "{counts:?}");
        };
        check(&all, 9, 4, 0);
        check(&all, 10, 4, 2);
        check(&all, 9, 5, 2);
        check(&all[..3], 9, 4, 1);
        check(&[&all[..], &[("before rename", 1)]].concat(), 9, 4, 1);
    }
}

//! A crash at every boundary of every action.
//!
//! An action is carried out once to count its boundaries: each commit of the store and each request, before
//! and after. Then, for each of them, the same world is brought to a crash just there, its executor is
//! dropped, and another one takes over. Afterwards outside and record must be what they are without a crash.

use crate::{Audit, Ending, Fault, Hold, NEXT, VirtualClock, World, act, create, lock, reconfigure};
use async_trait::async_trait;
use engine::{Aim, Control, JobInfo, Request, Terms};
use provider_core::{Action, ActionKind, CrashPoint, Error, JobState, Result, ServiceName, Size};
use serde_json::json;
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
    /// What is done to the world after so many boundaries more.
    harm: Option<(usize, Harm)>,
}

type Harm = Box<dyn FnOnce() + Send>;

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

    /// Has `harm` done to the world at the boundary that comes after so many from now.
    pub fn harm(&self, after: usize, harm: impl FnOnce() + Send + 'static) {
        lock(&self.state).harm = Some((after, Box::new(harm)));
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
        let harm = lock(&self.state).harm.take();
        match harm {
            Some((0, harm)) => harm(),
            Some((after, harm)) => lock(&self.state).harm = Some((after - 1, harm)),
            None => {}
        }
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
    /// Whether a job follows that undoes it when it fails.
    pub undo: bool,
}

/// Every action that providers of virtual machines take part in. A new one is one line.
#[rustfmt::skip]
pub const CASES: &[Case] = &[
    Case { name: "create", spec: "db, replica, web", before: || vec![], request: three, faults: none, undo: false },
    Case { name: "create, requests lost", spec: "db, web", before: || vec![], request: two, faults: lost, undo: false },
    Case { name: "create, requests refused", spec: "db, web", before: || vec![], request: two, faults: refused, undo: false },
    Case { name: "stop", spec: "db, replica, web", before: || vec![three()], request: stop, faults: none, undo: false },
    Case { name: "start", spec: "db, replica, web", before: || vec![three(), stop()], request: start, faults: none, undo: false },
    Case { name: "scale out", spec: "db, db", before: || vec![one()], request: scale_out, faults: none, undo: false },
    Case { name: "scale in", spec: "db, web, web", before: || vec![create("c", 1, 0, 2)], request: || without("web-2"), faults: none, undo: false },
    Case { name: "scale in, requests lost", spec: "db, db", before: || vec![create("c", 2, 0, 0)], request: || without("db-2"), faults: lost, undo: false },
    Case { name: "resize, one by one", spec: "db, replica", before: || vec![create("c", 1, 1, 0)], request: || resize("db", Some(2048), None), faults: none, undo: false },
    Case { name: "resize, disks grown", spec: "db", before: || vec![one()], request: || resize("db", None, Some(40)), faults: none, undo: false },
    Case { name: "resize, all at once", spec: "db, web, web", before: || vec![create("c", 1, 0, 2)], request: || resize("web", Some(2048), None), faults: none, undo: false },
    Case { name: "restart", spec: "db, replica, web", before: || vec![three()], request: || act("c", Action::RestartClusters), faults: none, undo: false },
    Case { name: "update-env", spec: "db, replica, web", before: || vec![three()], request: || reconfigure("c", Aim::Env, json!({"env": {"users": 20}})), faults: none, undo: false },
    Case { name: "upgrade", spec: "db, web", before: || vec![two()], request: upgrade, faults: none, undo: false },
    Case { name: "upgrade, undone", spec: "db, web", before: || vec![two()], request: upgrade, faults: fails, undo: true },
    Case { name: "rollback", spec: "db, replica", before: || vec![create("c", 1, 1, 0), upgrade()], request: || act("c", Action::RollbackCluster { revision: None }), faults: none, undo: false },
    Case { name: "recover, instance lost", spec: "db, web", before: || vec![two()], request: recover, faults: |world| world.lose("db-1"), undo: false },
    Case { name: "recover, instance off", spec: "db, web", before: || vec![two()], request: recover, faults: |world| world.switch_off("db-1"), undo: false },
    Case { name: "recover, service dead", spec: "db, web", before: || vec![two()], request: recover, faults: |world| world.pilot.kill("web-1"), undo: false },
    Case { name: "run", spec: "db, web", before: || vec![two()], request: backup, faults: none, undo: false },
    Case { name: "attach-key", spec: "db, web", before: || vec![two()], request: attach, faults: none, undo: false },
    Case { name: "detach-key", spec: "db, web", before: || vec![two(), attach()], request: || act("c", Action::DetachKeyPairs { keys: vec![KEY_PAIR.into()] }), faults: none, undo: false },
    Case { name: "delete", spec: "db, replica, web", before: || vec![three()], request: delete, faults: none, undo: false },
    Case { name: "cease", spec: "db", before: || vec![one()], request: || act("c", Action::CeaseClusters), faults: none, undo: false },
];

const KEY_PAIR: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFT+sTMZ someone";

fn three() -> Request {
    create("c", 1, 1, 1)
}

fn two() -> Request {
    create("c", 1, 0, 1)
}

fn one() -> Request {
    create("c", 1, 0, 0)
}

fn stop() -> Request {
    act("c", Action::StopClusters)
}

fn start() -> Request {
    act("c", Action::StartClusters)
}

fn delete() -> Request {
    act("c", Action::DeleteClusters { keep_volumes: false, force: false, keep_history: false })
}

fn scale_out() -> Request {
    reconfigure("c", Aim::Scale, json!({"cluster": {"db": {"count": 2}}}))
}

fn without(node: &str) -> Request {
    act("c", Action::DeleteClusterNodes { nodes: [node.into()].into() })
}

fn resize(role: &str, memory_mib: Option<u64>, disk_gib: Option<u32>) -> Request {
    act(
        "c",
        Action::ResizeCluster { roles: [(role.into(), Size { cpu: None, memory_mib, disk_gib })].into() },
    )
}

fn upgrade() -> Request {
    act("c", Action::UpgradeCluster { to: NEXT.into(), backup: true })
}

fn recover() -> Request {
    act("c", Action::RecoverClusters)
}

fn attach() -> Request {
    act("c", Action::AttachKeyPairs { keys: vec![KEY_PAIR.into()] })
}

fn backup() -> Request {
    let params = [("name".to_owned(), "nightly".to_owned())].into();
    act("c", Action::RunService { service: ServiceName::Backup, params })
}

fn none(_: &World) {}

/// The upgrade of a database fails, however often it is tried: a crash may have it tried again.
fn fails(world: &World) {
    world.pilot.end("db upgrade", 1..=9, Ending::Exit(1, "it can't read its data"));
}

/// Every kind of request is lost once before and once after it is carried out.
fn lost(world: &World) {
    for request in ["RunInstances", "CreateVolumes", "AttachVolumes", "DetachVolumes", "DeleteVolumes"] {
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
    let mut trial = Trial::new(case)?;
    // Group commit makes the number of boundaries vary a little, so the end shows itself.
    let mut at = 0;
    while trial.crash(&[at])? || at < trial.boundaries().len() {
        // Recovery begins by taking over, reading and resolving: mostly there a second crash meets something.
        if at % 8 == 0 {
            trial.crash(&[at, at % 11])?;
        }
        at += 1;
    }
    Ok(trial.row())
}

/// A case that was carried out without a crash, and can be carried out with some.
pub struct Trial<'a> {
    case: &'a Case,
    world: World,
    request: Request,
    smooth: Run,
    begin: Instant,
    row: Row,
}

impl<'a> Trial<'a> {
    /// Brings a world to where the case begins, and carries it out there without a crash.
    ///
    /// # Errors
    /// When what has to happen before can't be done.
    pub fn new(case: &'a Case) -> Result<Self> {
        let begin = Instant::now();
        let world = World::new()?;
        for request in (case.before)() {
            let ended = carry_out(&world, &request, Terms::default(), &[])?;
            if ended.state != JobState::Succeeded {
                let why = format!("`{}` can't begin: {:?} came to {ended:?}", case.name, ended.action);
                return Err(Error::bug(why));
            }
        }
        let request = (case.request)();
        let smooth = Run::new(&world, case, &request, &[])?;
        let boundaries = smooth.counts.seen.len();
        let mut complaints = smooth.complaints(&smooth, "without a crash");
        complaints.extend(smooth.counts.unseen());
        let row = Row { action: case.name, spec: case.spec, boundaries, complaints, ..Row::default() };
        Ok(Self { case, world, request, smooth, begin, row })
    }

    /// The boundaries that the case has without a crash, in their order.
    pub fn boundaries(&self) -> &[String] {
        &self.smooth.counts.seen
    }

    /// Carries the case out in a world of its own with these crashes; see [`Crash::plan`]. Gives whether any
    /// happened: if not, the case was done before it came so far.
    ///
    /// # Errors
    /// `Store` when an executor can't be started any more.
    pub fn crash(&mut self, at: &[usize]) -> Result<bool> {
        let run = Run::new(&self.world, self.case, &self.request, at)?;
        if run.crashes == 0 {
            return Ok(false);
        }
        self.row.runs += 1;
        self.row.orphans += run.audit.orphans.len();
        self.row.duplicates += run.audit.duplicates.len();
        self.row.complaints.extend(run.complaints(&self.smooth, &format!("crash at {at:?}")));
        Ok(true)
    }

    /// What all these crashes came to.
    pub fn row(self) -> Row {
        Row { seconds: self.begin.elapsed().as_secs_f64(), ..self.row }
    }
}

/// One world in which the action was carried out, over crashes.
struct Run {
    /// The last one, which no other follows.
    job: JobInfo,
    /// All, the newest first, and how they ended.
    jobs: Vec<(ActionKind, JobState)>,
    crashes: usize,
    counts: Counts,
    audit: Audit,
}

/// The boundaries that were reached, and how many there should have been.
#[derive(Debug)]
struct Counts {
    seen: Vec<String>,
    /// By SQLite's own count.
    commits: u64,
    /// By the cloud's and the agents' own count.
    requests: u64,
}

impl Counts {
    /// Commits and requests that came by no crash point, and crash points that nobody counts.
    fn unseen(&self) -> Vec<String> {
        let mut seen = BTreeMap::new();
        for place in &self.seen {
            *seen.entry(place.as_str()).or_insert(0) += 1;
        }
        let (commits, requests) = (self.commits, self.requests);
        let made = BTreeMap::from([
            ("before commit", commits),
            ("after commit", commits),
            ("before send", requests),
            ("after reply", requests),
        ]);
        let places: BTreeSet<_> = made.keys().chain(seen.keys()).copied().collect();
        let differ = places.into_iter().filter(|place| made.get(place) != seen.get(place));
        differ
            .map(|place| format!("`{place}`: {:?} seen, {:?} made", seen.get(place), made.get(place)))
            .collect()
    }
}

impl Run {
    fn new(world: &World, case: &Case, request: &Request, crashes: &[usize]) -> Result<Self> {
        let world = world.copy()?;
        (case.faults)(&world);
        let before = world.requests();
        let terms = Terms { undo: case.undo, ..Terms::default() };
        let job = carry_out(&world, request, terms, crashes)?;
        let seen = world.crash.seen();
        let requests = (world.requests() - before) as u64;
        let counts = Counts { seen, commits: world.commits(), requests };
        let crashes = world.crash.happened();
        let found = world.live(async |control| {
            let jobs = control.store.jobs(None).await?.into_iter().map(|job| (job.action, job.state));
            Ok((jobs.collect(), Audit::of(&world, control, &job).await?))
        });
        let (jobs, audit) = found.expect("no crash is planned")?;
        Ok(Self { job, jobs, crashes, counts, audit })
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
        expect(self.jobs == smooth.jobs, format!("the jobs are {:?}", self.jobs));
        expect(self.job.fold == smooth.job.fold, format!("it came to {:?}", self.job.fold));
        expect(*applied == smooth.audit.applied, format!("{applied:?} were applied"));
        expect(*cluster == smooth.audit.cluster, format!("the cluster is on record as {cluster:?}"));
        expect(*ran == smooth.audit.ran, format!("the agents ran {ran:?}"));
        all.extend(self.audit.complaints().into_iter().map(|what| format!("{when}: {what}")));
        all
    }
}

/// Lets executors crash and follow one another until the request is done, with what follows from it, and gives the job
/// that did it: the last one.
fn carry_out(world: &World, request: &Request, terms: Terms, crashes: &[usize]) -> Result<JobInfo> {
    // The newest one. A purge leaves fewer than there were.
    let newest = async |control: &Control| {
        Ok::<_, Error>(control.store.jobs(None).await?.into_iter().next().map(|job| job.id))
    };
    let earlier = world.live(newest).expect("no crash is planned")?;
    world.crash.plan(crashes.iter().copied());
    loop {
        let ended = world.live(async |control| {
            // A request whose acceptance crashed is made again, as its sender would.
            if newest(control).await? == earlier {
                control.submit_on(request, terms).await?;
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
        let commit = ["before commit", "after commit"];
        let send = ["before commit", "after commit", "before send", "after reply"];
        let check = |seen: &[&str], commits, requests, complaints: usize| {
            let seen = seen.iter().map(|place| (*place).to_owned()).collect();
            let counts = Counts { seen, commits, requests };
            assert_eq!(counts.unseen().len(), complaints, "{counts:?}");
        };
        check(&send, 1, 1, 0);
        check(&[send.as_slice(), &commit].concat(), 2, 1, 0);
        check(&send, 2, 1, 2);
        check(&send, 1, 2, 2);
        check(&send[..3], 1, 1, 1);
        check(&[send.as_slice(), &["before rename"]].concat(), 1, 1, 1);
    }
}

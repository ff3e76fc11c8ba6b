//! A crash at each boundary of each action: another executor goes on, and the end is the same.
//!
//! A boundary is a commit of the store or a request, before and after. By itself the test takes a sample of them;
//! `PITRIX_CRASH_EVERY=1` takes all, and `PITRIX_CRASH_CASE=delete` only the actions of that name.

use super::{
    Piece, World, chart,
    world::{act, create, delete, update, upgrade},
};
use async_trait::async_trait;
use engine::{JobInfo, Request};
use provider_core::{Action, CrashPoint, JobState, Result};
use serde_json::json;
use std::{
    env,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::Notify;

/// Stops the world at one boundary.
struct Stop {
    at: usize,
    seen: AtomicUsize,
    stopped: Notify,
}

#[async_trait]
impl CrashPoint for Stop {
    async fn reach(&self, _place: &str) {
        if self.seen.fetch_add(1, Ordering::SeqCst) == self.at {
            self.stopped.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

struct Case {
    name: &'static str,
    before: fn() -> Vec<Request>,
    request: fn() -> Request,
}

fn first() -> Request {
    create("shop", "1.0.0", json!({}))
}

fn second() -> Request {
    upgrade("shop", "2.0.0", json!({ "replicas": 2 }))
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case { name: "create", before: || vec![], request: first },
    Case { name: "upgrade", before: || vec![first()], request: second },
    Case { name: "update-env", before: || vec![first()], request: || update("shop", json!({ "color": "blue" })) },
    Case { name: "rollback", before: || vec![first(), second()], request: || act("shop", Action::RollbackCluster { revision: None }) },
    Case { name: "stop", before: || vec![first()], request: || act("shop", Action::StopClusters) },
    Case { name: "start", before: || vec![first(), act("shop", Action::StopClusters)], request: || act("shop", Action::StartClusters) },
    Case { name: "restart", before: || vec![first()], request: || act("shop", Action::RestartClusters) },
    Case { name: "recover", before: || vec![first()], request: || act("shop", Action::RecoverClusters) },
    Case { name: "delete", before: || vec![first()], request: || delete("shop", false) },
    Case { name: "delete, history kept", before: || vec![first()], request: || delete("shop", true) },
    Case { name: "cease", before: || vec![first()], request: || act("shop", Action::CeaseClusters) },
];

/// What a run came to, as far as it must not depend on crashes.
#[derive(Debug, PartialEq)]
struct Outcome {
    state: JobState,
    objects: Vec<String>,
    releases: Vec<(String, String)>,
    replicas: Option<u64>,
    cluster: String,
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
            result = work => Some(result),
        }
    })
}

fn carry_out(world: &World, stop: &Stop, request: &Request) -> Result<JobInfo> {
    let newest = |jobs: &[JobInfo]| jobs.first().map(|job| job.id.clone());
    let earlier = live(&Stop::never(), async { jobs(world).await.map(|jobs| newest(&jobs)) })
        .expect("no crash is planned")?;
    loop {
        let ended = live(stop, async {
            let control = world.control().await;
            // A request whose acceptance crashed is made again, as its sender would. What a cluster that is ceased
            // leaves is its last job alone.
            if newest(&control.store.jobs(None).await?) == earlier {
                control.submit(request).await?;
            }
            world.execute(&control).await?;
            let mut jobs = control.store.jobs(None).await?;
            control.store.close().await;
            Ok(jobs.swap_remove(0))
        });
        if let Some(ended) = ended {
            return ended;
        }
    }
}

async fn jobs(world: &World) -> Result<Vec<JobInfo>> {
    let control = world.control().await;
    let jobs = control.store.jobs(None).await;
    control.store.close().await;
    jobs
}

impl Stop {
    fn never() -> Self {
        Self::at(usize::MAX)
    }

    fn at(at: usize) -> Self {
        Self { at, seen: AtomicUsize::new(0), stopped: Notify::new() }
    }
}

/// Carries a case out in a world of its own with a crash at `at`, and gives what it came to and how many boundaries
/// there were.
fn run(name: &str, case: &Case, at: usize) -> Option<(Outcome, usize)> {
    let mut world = World::new(name)?;
    live(&Stop::never(), async {
        let control = world.control().await;
        for version in ["1.0.0", "2.0.0"] {
            world.push(&control, version, &chart(version, &[Piece::Kept])).await;
        }
        control.store.close().await;
    });
    for request in (case.before)() {
        let job = carry_out(&world, &Stop::never(), &request)
            .unwrap_or_else(|e| panic!("before {} with a crash at {at}: {e}", case.name));
        assert_eq!(
            job.state,
            JobState::Succeeded,
            "before {} with a crash at {at}: {:?}",
            case.name,
            job.error
        );
    }
    let stop = Arc::new(Stop::at(at));
    world.crash = stop.clone();
    let job = carry_out(&world, &stop, &(case.request)())
        .unwrap_or_else(|e| panic!("{} with a crash at {at}: {e}", case.name));
    let seen = stop.seen.load(Ordering::SeqCst);
    assert_eq!(job.state, JobState::Succeeded, "{} with a crash at {at}: {:?}", case.name, job.error);
    world.crash = Arc::new(Stop::never());
    let cluster = live(&Stop::never(), async {
        let control = world.control().await;
        let mut clusters =
            control.store.clusters(&engine::ClusterFilter { runtime: None, deleted: true }).await.unwrap();
        control.store.close().await;
        let cluster = clusters.swap_remove(0);
        let nodes: Vec<_> =
            cluster.nodes.iter().map(|(id, node)| format!("{id}: {:?}", node.status)).collect();
        format!("{:?} {:?} {} {}", cluster.status, cluster.transition, cluster.spec.app, nodes.join(", "))
    })?;
    let outcome = Outcome {
        state: job.state,
        objects: world.witness.owned("shop"),
        releases: world.witness.releases("shop"),
        replicas: world
            .witness
            .get("deploy", "shop")
            .and_then(|deployment| deployment["spec"]["replicas"].as_u64()),
        cluster,
    };
    world.clean();
    Some((outcome, seen))
}

#[test]
fn after_a_crash_at_any_boundary_the_next_executor_comes_to_the_same_end() {
    if World::new("crash").is_none() {
        return;
    }
    let every = env::var("PITRIX_CRASH_EVERY").ok().and_then(|n| n.parse().ok());
    let only = env::var("PITRIX_CRASH_CASE").unwrap_or_default();
    let lines: Vec<String> = std::thread::scope(|scope| {
        let cases = CASES.iter().enumerate().filter(|(_, case)| case.name.starts_with(&only));
        let cases = cases.map(|(index, case)| scope.spawn(move || enumerate(index, case, every)));
        let cases: Vec<_> = cases.collect();
        cases.into_iter().map(|case| case.join().expect("the case holds")).collect()
    });
    let head = "action                 boundaries  runs\n";
    let _ = std::io::stderr().write_all((head.to_owned() + &lines.join("\n") + "\n").as_bytes());
}

fn enumerate(index: usize, case: &Case, every: Option<usize>) -> String {
    let name = |at: &str| format!("crash-{index}-{at}");
    let (smooth, boundaries) = run(&name("smooth"), case, usize::MAX).expect("there is a cluster");
    // By itself a few for each case, not the same few for all.
    let every = every.unwrap_or_else(|| boundaries.div_ceil(4));
    let mut runs = 0;
    for at in ((index % every)..boundaries).step_by(every) {
        let (outcome, _) = run(&name(&at.to_string()), case, at).expect("there is a cluster");
        assert_eq!(outcome, smooth, "{} with a crash at {at}", case.name);
        runs += 1;
    }
    format!("{:<22} {boundaries:>10} {runs:>5}", case.name)
}

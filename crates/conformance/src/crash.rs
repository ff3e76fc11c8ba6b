//! A crash at every boundary of every action.
//!
//! An action is carried out once to count its boundaries: each commit of the store and each request, before
//! and after. Then, for each of them, the same world is brought to a crash just there, its executor is
//! dropped, and another one takes over. Afterwards every check of [`Audit`] must hold.

use crate::{Fault, World, act, create, lock, VirtualClock, Hold};
use async_trait::async_trait;
use engine::{CallState, ClusterFilter, Control, JobInfo, Request};
use provider_core::{Action, Cluster, CrashPoint, Error, Fold, JobState, Result};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::{Arc, Mutex},
    time::Instant,
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

    /// Whether all planned crashes have happened.
    pub fn is_over(&self) -> bool {
        lock(&self.state).plan.is_empty()
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
    Case { name: "start", spec: "db, replica, web", before: || vec![three(), stop()], request: start, faults: none },
    Case { name: "delete", spec: "db, replica, web", before: || vec![three()], request: delete, faults: none },
    Case { name: "create", spec: "two db", before: || vec![], request: || create("c", 2, 0, 0), faults: none },
    Case { name: "create, requests lost", spec: "db, web", before: || vec![], request: two, faults: lost },
    Case { name: "create, requests refused", spec: "db, web", before: || vec![], request: two, faults: refused },
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
    act("c", Action::DeleteClusters { keep_volumes: false })
}

fn none(_: &World) {}

//! Time that passes only when nothing else is left to do.

use crate::lock;
use async_trait::async_trait;
use provider_core::{Clock, Timestamp};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::Notify, task::yield_now};

/// How often everybody else gets a turn before time jumps to the next sleeper.
const QUIET: u32 = 64;

/// A clock whose sleepers wake in the order of their times, each as soon as everybody else rests. It never
/// really sleeps. Meant for runtimes with one thread, where giving everybody a turn is possible. What other
/// threads do for the runtime, such as reading a disk, is not seen: where time must not pass meanwhile,
/// [`hold`](Self::hold) it.
#[derive(Debug, Default)]
pub struct VirtualClock {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    sleepers: BTreeSet<(Timestamp, u64)>,
    next: u64,
    /// Counts what happens, to tell rest from work.
    stirs: u64,
    holds: u32,
}

impl Default for State {
    fn default() -> Self {
        let now = Timestamp(1_767_225_600_000);
        Self { now, sleepers: BTreeSet::new(), next: 0, stirs: 0, holds: 0 }
    }
}

/// Keeps time from jumping while somebody outside the runtime works, a disk for example.
#[derive(Debug)]
pub struct Hold(Arc<VirtualClock>);

impl Drop for Hold {
    fn drop(&mut self) {
        lock(&self.0.state).holds -= 1;
        self.0.changed.notify_waiters();
    }
}

struct Sleeper<'a> {
    clock: &'a VirtualClock,
    wakes: (Timestamp, u64),
}

enum Turn {
    Due,
    /// Nobody wakes earlier; with the count of what has happened so far.
    First(u64),
    Behind,
}

impl VirtualClock {
    /// Another clock that shows the same time.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::default();
        lock(&copy.state).now = self.now();
        copy
    }

    /// Lets a moment pass, as everything that is done takes one.
    pub fn pass(&self, time: Duration) {
        let mut state = lock(&self.state);
        state.now = state.now.after(time);
        state.stirs += 1;
    }

    /// Keeps time from jumping until the guard is dropped.
    pub fn hold(self: &Arc<Self>) -> Hold {
        lock(&self.state).holds += 1;
        Hold(self.clone())
    }

    fn enter(&self, time: Duration) -> Sleeper<'_> {
        let mut state = lock(&self.state);
        state.next += 1;
        state.stirs += 1;
        let wakes = (state.now.after(time), state.next);
        state.sleepers.insert(wakes);
        Sleeper { clock: self, wakes }
    }
}

impl Sleeper<'_> {
    fn turn(&self) -> Turn {
        let state = lock(&self.clock.state);
        match state.sleepers.first() {
            _ if self.wakes.0 <= state.now => Turn::Due,
            Some(first) if *first == self.wakes && state.holds == 0 => Turn::First(state.stirs),
            _ => Turn::Behind,
        }
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.clock.state);
        state.sleepers.remove(&self.wakes);
        state.stirs += 1;
        drop(state);
        self.clock.changed.notify_waiters();
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        lock(&self.state).now
    }

    async fn sleep(&self, time: Duration) {
        let sleeper = self.enter(time);
        let (mut quiet, mut seen) = (0, 0);
        loop {
            let changed = self.changed.notified();
            match sleeper.turn() {
                Turn::Due => return,
                Turn::First(stirs) if stirs == seen && quiet == QUIET => {
                    let mut state = lock(&self.state);
                    state.now = state.now.max(sleeper.wakes.0);
                    return;
                }
                Turn::First(stirs) => {
                    quiet = if stirs == seen { quiet + 1 } else { 0 };
                    seen = stirs;
                    std::thread::yield_now();
                    yield_now().await;
                }
                Turn::Behind => changed.await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_in_the_order_of_their_times() {
        let clock = Arc::new(VirtualClock::default());
        let begin = clock.now();
        let woken = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for seconds in [600, 1, 30, 1] {
            let (clock, woken) = (clock.clone(), woken.clone());
            tasks.spawn(async move {
                clock.sleep(Duration::from_secs(seconds)).await;
                lock(&woken).push((seconds, clock.now().since(begin).as_secs()));
            });
        }
        tasks.join_all().await;
        assert_eq!(*lock(&woken), [(1, 1), (1, 1), (30, 30), (600, 600)]);
    }

    #[tokio::test]
    async fn a_sleeper_that_is_dropped_moves_nothing() {
        let clock = Arc::new(VirtualClock::default());
        let begin = clock.now();
        tokio::select! {
            () = clock.sleep(Duration::from_secs(3600)) => unreachable!("the other is earlier"),
            () = clock.sleep(Duration::from_secs(2)) => {}
        }
        assert_eq!(clock.now().since(begin), Duration::from_secs(2));
    }

    #[tokio::test]
    async fn time_stands_still_while_it_is_held() {
        let clock = Arc::new(VirtualClock::default());
        let begin = clock.now();
        let hold = clock.hold();
        let sleeping = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(5)).await }
        });
        for _ in 0..10 * QUIET {
            yield_now().await;
        }
        assert_eq!(clock.now(), begin);
        drop(hold);
        sleeping.await.unwrap();
        assert_eq!(clock.now().since(begin), Duration::from_secs(5));
    }
}

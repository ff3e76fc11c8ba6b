//! Reads that merge: however many tasks wait for resources of a runtime, each round of looks is one paged
//! describe.

use async_trait::async_trait;
use provider_core::{Error, Look, ResourceId, Result, RuntimeId, Timestamp};
use std::{
    collections::{BTreeMap, HashMap},
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};
use tokio::sync::oneshot;

/// Describes resources, many at a time.
#[async_trait]
pub trait Describe: Send + Sync + 'static {
    /// What is told about a resource.
    type Item: Clone + Send + Sync + 'static;
    /// How many resources one request can ask for.
    const MAX: usize;

    /// Asks once for at most [`MAX`](Self::MAX) resources. What does not exist is not in the result.
    async fn describe(&self, cx: &Look, ids: &[ResourceId]) -> Result<BTreeMap<ResourceId, Self::Item>>;
}

/// Merges the reads of all jobs that work with a runtime.
pub struct Loader<D: Describe> {
    describe: D,
    max_age: Duration,
    state: Mutex<State<D::Item>>,
}

struct State<I> {
    seen: HashMap<(RuntimeId, ResourceId), (Timestamp, Option<I>)>,
    waiting: HashMap<RuntimeId, Vec<Waiter<I>>>,
}

type Waiter<I> = (ResourceId, oneshot::Sender<Result<Option<I>>>);

impl<D: Describe> Loader<D> {
    /// A loader whose answers are at most `max_age` old.
    pub fn new(describe: D, max_age: Duration) -> Self {
        let state = State { seen: HashMap::new(), waiting: HashMap::new() };
        Self { describe, max_age, state: Mutex::new(state) }
    }

    /// What is told about the resource `id`; none when it does not exist. May be dropped at any point.
    ///
    /// # Errors
    /// What the describe answered.
    pub async fn load(&self, cx: &Look, id: &ResourceId) -> Result<Option<D::Item>> {
        loop {
            let (answer, leads) = {
                let mut state = self.state();
                let seen = state.seen.get(&(cx.runtime.id.clone(), id.clone()));
                if let Some((at, item)) = seen
                    && cx.clock.now().since(*at) <= self.max_age
                {
                    return Ok(item.clone());
                }
                let waiting = state.waiting.entry(cx.runtime.id.clone()).or_default();
                let (reply, answer) = oneshot::channel();
                waiting.push((id.clone(), reply));
                (answer, waiting.len() == 1)
            };
            if leads {
                self.lead(cx).await;
            }
            // A leader that was dropped leaves nobody an answer; somebody else leads the next round.
            if let Ok(answer) = answer.await {
                return answer;
            }
        }
    }

    async fn lead(&self, cx: &Look) {
        let gathering = Gathering { loader: self, runtime: &cx.runtime.id };
        let mut waiters = gathering.all().await;
        waiters.sort_by(|a, b| a.0.cmp(&b.0));
        let mut ids: Vec<_> = waiters.iter().map(|(id, _)| id.clone()).collect();
        ids.dedup();
        let mut found = BTreeMap::new();
        let mut failed = None;
        for page in ids.chunks(D::MAX) {
            match self.describe.describe(cx, page).await {
                Ok(items) => found.extend(items),
                Err(error) => failed = Some(error),
            }
        }
        let now = cx.clock.now();
        let mut state = self.state();
        state.seen.retain(|_, (at, _)| now.since(*at) <= self.max_age);
        for (id, reply) in waiters {
            let item = found.get(&id).cloned();
            let _ = reply.send(match (&failed, item) {
                (Some(error), None) => Err(Error::clone(error)),
                (_, item) => {
                    state.seen.insert((cx.runtime.id.clone(), id), (now, item.clone()));
                    Ok(item)
                }
            });
        }
    }

    fn state(&self) -> MutexGuard<'_, State<D::Item>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until nobody else joins. Dropped, it takes its round apart so that another can lead.
struct Gathering<'a, D: Describe> {
    loader: &'a Loader<D>,
    runtime: &'a RuntimeId,
}

impl<D: Describe> Gathering<'_, D> {
    async fn all(self) -> Vec<Waiter<D::Item>> {
        let mut before = 0;
        loop {
            let now = self.loader.state().waiting.get(self.runtime).map_or(0, Vec::len);
            if now == before {
                let all = self.loader.state().waiting.remove(self.runtime).unwrap_or_default();
                std::mem::forget(self);
                return all;
            }
            before = now;
            let mut yielded = false;
            poll_fn(|cx| {
                if std::mem::replace(&mut yielded, true) {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
    }
}

impl<D: Describe> Drop for Gathering<'_, D> {
    fn drop(&mut self) {
        self.loader.state().waiting.remove(self.runtime);
    }
}

//! The one way out: every mutating call passes here, is written down, merged, sent once and resolved.

use crate::{
    Batch, CallKey, CloudCall, CrashPoint, DeploymentId, Entry, Error, ErrorKind, Intent, JobId, Ledger,
    Outcome, Result, TaskId, Token,
};
use sha2::{Digest, Sha256};
use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

/// A future that the executor owns and runs to its end.
pub type Detached = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs futures that must not end with the task that started them.
pub type Spawner = Arc<dyn Fn(Detached) + Send + Sync>;

/// Sends calls. One for an executor; cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    deployment: DeploymentId,
    ledger: Arc<dyn Ledger>,
    spawn: Spawner,
    crash: Arc<dyn CrashPoint>,
    /// Bounds the requests in flight. A waiting task holds nothing of it.
    slots: Semaphore,
    windows: Mutex<HashMap<(JobId, u32), Window>>,
    resolving: Mutex<HashMap<Token, Arc<tokio::sync::Mutex<()>>>>,
}

/// The calls of one layer that wait for company.
#[derive(Default)]
struct Window {
    /// Tasks that are in it at all.
    members: usize,
    /// Tasks that may still call: neither in a call, nor waiting, nor ended.
    busy: usize,
    open: BTreeMap<(&'static str, String), Box<dyn OpenBatch>>,
}

impl Window {
    /// Turns a seat, and gives the batches that nobody is left to join.
    fn turn(&mut self, seat: &Seat, to: SeatState) -> Vec<Box<dyn OpenBatch>> {
        let from = std::mem::replace(&mut *lock(&seat.state), to);
        match (from == SeatState::Busy, to == SeatState::Busy) {
            (false, true) => self.busy += 1,
            (true, false) => self.busy -= 1,
            _ => return Vec::new(),
        }
        if self.busy > 0 { Vec::new() } else { std::mem::take(&mut self.open).into_values().collect() }
    }
}

trait OpenBatch: Any + Send {
    fn close(self: Box<Self>, gateway: &Gateway);
    fn as_any(&mut self) -> &mut dyn Any;
}

struct Joined<C: CloudCall> {
    api: Arc<C::Api>,
    items: Vec<Member<C>>,
}

struct Member<C: CloudCall> {
    key: CallKey,
    generation: u32,
    call: C,
    seat: Arc<Seat>,
    reply: oneshot::Sender<Result<C::Reply>>,
}

impl<C: CloudCall> OpenBatch for Joined<C> {
    fn close(self: Box<Self>, gateway: &Gateway) {
        (gateway.0.spawn)(Box::pin(gateway.clone().dispatch(*self)));
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// A started task's seat in its layer. A batch closes when every seat has called, waits or is gone.
pub struct Seat {
    gateway: Gateway,
    job: JobId,
    task: TaskId,
    state: Mutex<SeatState>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SeatState {
    Busy,
    Calling,
    Waiting,
}

impl Seat {
    /// The task waits: no call will come from it for now.
    pub fn wait(&self) {
        self.gateway.turn(self, SeatState::Waiting);
    }

    /// The task's handler runs again.
    pub fn resume(&self) {
        self.gateway.turn(self, SeatState::Busy);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.gateway.turn(self, SeatState::Waiting);
        let mut windows = lock(&self.gateway.0.windows);
        let at = (self.job.clone(), self.task.layer);
        if let Some(window) = windows.get_mut(&at) {
            window.members -= 1;
            if window.members == 0 {
                windows.remove(&at);
            }
        }
    }
}

impl Gateway {
    /// A gateway that sends at most `in_flight` requests at a time.
    pub fn new(
        deployment: DeploymentId,
        ledger: Arc<dyn Ledger>,
        spawn: Spawner,
        crash: Arc<dyn CrashPoint>,
        in_flight: usize,
    ) -> Self {
        Self(Arc::new(Inner {
            deployment,
            ledger,
            spawn,
            crash,
            slots: Semaphore::new(in_flight),
            windows: Mutex::default(),
            resolving: Mutex::default(),
        }))
    }

    /// Takes a seat for a task that is about to start. Take the seats of all tasks that start together before
    /// any of them runs, or the first one's batch closes without the rest.
    pub fn seat(&self, job: &JobId, task: TaskId) -> Arc<Seat> {
        let mut windows = lock(&self.0.windows);
        let window = windows.entry((job.clone(), task.layer)).or_default();
        window.members += 1;
        window.busy += 1;
        let state = Mutex::new(SeatState::Busy);
        Arc::new(Seat { gateway: self.clone(), job: job.clone(), task, state })
    }

    /// Opens the applied calls of a task again because their effect is lost.
    pub(crate) async fn reopen(&self, seat: &Seat) -> Result<()> {
        self.0.ledger.reopen(&seat.job, seat.task).await
    }

    /// Makes a call, or gives the reply that it had.
    pub(crate) async fn call<C: CloudCall>(
        &self,
        seat: &Arc<Seat>,
        n: u32,
        api: &Arc<C::Api>,
        call: C,
    ) -> Result<C::Reply> {
        let key = CallKey { job: seat.job.clone(), task: seat.task, n };
        match self.0.ledger.look(&key).await? {
            Entry::Applied(reply) => decode::<C>(&reply),
            Entry::InDoubt(token) => {
                let (reply, answer) = oneshot::channel();
                let (gateway, api) = (self.clone(), api.clone());
                (self.0.spawn)(Box::pin(async move {
                    let _ = reply.send(gateway.resolve::<C>(&key, &api, &token).await);
                }));
                let _call = self.calling(seat);
                answer.await.unwrap_or_else(|_| Err(abandoned::<C>()))
            }
            Entry::Fresh(generation) => {
                let (reply, answer) = oneshot::channel();
                let member = Member { key, generation, call, seat: seat.clone(), reply };
                self.join(api, member)?;
                answer.await.unwrap_or_else(|_| Err(abandoned::<C>()))
            }
        }
    }

    fn join<C: CloudCall>(&self, api: &Arc<C::Api>, member: Member<C>) -> Result<()> {
        let seat = member.seat.clone();
        let mut windows = lock(&self.0.windows);
        let window = windows.entry((seat.job.clone(), seat.task.layer)).or_default();
        let slot = (C::NAME, member.call.group());
        let open = window
            .open
            .entry(slot.clone())
            .or_insert_with(|| Box::new(Joined::<C> { api: api.clone(), items: Vec::new() }));
        let Some(joined) = open.as_any().downcast_mut::<Joined<C>>() else {
            return Err(Error::bug(format!("two kinds of call share the name `{}`", C::NAME)));
        };
        joined.items.push(member);
        let is_full = joined.items.len() >= C::MAX;
        let mut ready = Vec::from_iter(is_full.then(|| window.open.remove(&slot)).flatten());
        ready.extend(window.turn(&seat, SeatState::Calling));
        drop(windows);
        self.close(ready);
        Ok(())
    }

    /// Marks `seat` as calling until the guard is dropped.
    fn calling(&self, seat: &Arc<Seat>) -> impl Drop + use<> {
        struct Calling(Arc<Seat>);
        impl Drop for Calling {
            fn drop(&mut self) {
                self.0.resume();
            }
        }
        self.turn(seat, SeatState::Calling);
        Calling(seat.clone())
    }

    fn turn(&self, seat: &Seat, to: SeatState) {
        let mut windows = lock(&self.0.windows);
        let window = windows.get_mut(&(seat.job.clone(), seat.task.layer));
        let ready = window.map(|window| window.turn(seat, to)).unwrap_or_default();
        drop(windows);
        self.close(ready);
    }

    /// Sends these batches. Never under a lock: a runtime that is going away drops what it is given at once, and
    /// with it the seats of the members.
    fn close(&self, ready: Vec<Box<dyn OpenBatch>>) {
        for batch in ready {
            batch.close(self);
        }
    }

    /// Writes a batch down, sends it and delivers the replies. Runs in a task that the executor owns, so that
    /// no member's cancellation strands the rest.
    async fn dispatch<C: CloudCall>(self, joined: Joined<C>) {
        let Joined { api, items } = joined;
        let answer = self.write_and_send(&api, &items).await;
        // Members are busy again before any of them runs on, or a batch of their next calls would close early.
        for member in &items {
            if !member.reply.is_closed() {
                member.seat.resume();
            }
        }
        let answers: Vec<Result<C::Reply>> = match answer {
            Ok(answers) => answers,
            Err(error) => items.iter().map(|_| Err(error.clone())).collect(),
        };
        for (member, answer) in items.into_iter().zip(answers) {
            let _ = member.reply.send(answer);
        }
    }

    async fn write_and_send<C: CloudCall>(
        &self,
        api: &Arc<C::Api>,
        members: &[Member<C>],
    ) -> Result<Vec<Result<C::Reply>>> {
        let _slot = self.slot().await?;
        let items = members
            .iter()
            .map(|m| Ok(Intent { key: m.key.clone(), generation: m.generation, body: encode(&m.call)? }))
            .collect::<Result<Vec<_>>>()?;
        let batch = Batch { token: self.token(&items[0]), name: C::NAME.to_owned(), items };
        self.0.ledger.begin(&batch).await?;
        let calls: Vec<C> = members.iter().map(|m| m.call.clone()).collect();
        let answer = self.send(api, &batch.token, &calls).await;
        self.settle::<C>(&batch, answer).await
    }

    /// Room for one more request.
    async fn slot(&self) -> Result<SemaphorePermit<'_>> {
        self.0.slots.acquire().await.map_err(|_| Error::cancelled("the executor is going away"))
    }

    async fn send<C: CloudCall>(
        &self,
        api: &Arc<C::Api>,
        token: &Token,
        calls: &[C],
    ) -> Result<Vec<Result<C::Reply>>> {
        self.0.crash.reach("before send").await;
        let answer = C::send(api, token, calls).await;
        self.0.crash.reach("after reply").await;
        match answer {
            Ok(replies) if replies.len() != calls.len() => Err(Error::in_doubt(format!(
                "`{}` was sent for {} calls and answered for {}",
                C::NAME,
                calls.len(),
                replies.len()
            ))),
            other => other,
        }
    }

    /// Writes down what a request's answer means for each member.
    async fn settle<C: CloudCall>(
        &self,
        batch: &Batch,
        answer: Result<Vec<Result<C::Reply>>>,
    ) -> Result<Vec<Result<C::Reply>>> {
        let answers: Vec<Result<C::Reply>> = match answer {
            Err(error) if !error.kind().refuses() => return Err(error.into_kind(ErrorKind::InDoubt)),
            Err(error) => batch.items.iter().map(|_| Err(error.clone())).collect(),
            Ok(answers) => answers
                .into_iter()
                .map(|a| a.map_err(|e| if e.kind().refuses() { e } else { e.into_kind(ErrorKind::InDoubt) }))
                .collect(),
        };
        let outcomes: Vec<_> = answers
            .iter()
            .map(|answer| match answer {
                Ok(reply) => Ok(Outcome::Applied(encode(reply)?)),
                Err(error) if error.kind().refuses() => Ok(Outcome::Refused(error.clone())),
                Err(_) => Ok(Outcome::InDoubt),
            })
            .collect::<Result<Vec<_>>>()?;
        self.0.ledger.finish(batch, outcomes).await?;
        Ok(answers)
    }

    /// Resolves the whole batch that `key` was sent in, unless another member has done so, and gives `key`'s
    /// own reply. The batch is sent again, under its own token, only when the cloud says that it did nothing.
    async fn resolve<C: CloudCall>(
        &self,
        key: &CallKey,
        api: &Arc<C::Api>,
        token: &Token,
    ) -> Result<C::Reply> {
        let turn = lock(&self.0.resolving).entry(token.clone()).or_default().clone();
        let result = self.resolve_in_turn::<C>(key, api, token, &turn).await;
        let mut resolving = lock(&self.0.resolving);
        if Arc::strong_count(&turn) <= 2 {
            resolving.remove(token);
        }
        result
    }

    async fn resolve_in_turn<C: CloudCall>(
        &self,
        key: &CallKey,
        api: &Arc<C::Api>,
        token: &Token,
        turn: &tokio::sync::Mutex<()>,
    ) -> Result<C::Reply> {
        let _turn = turn.lock().await;
        match self.0.ledger.look(key).await? {
            Entry::Applied(reply) => return decode::<C>(&reply),
            Entry::Fresh(_) => {
                return Err(Error::new(ErrorKind::Unavailable, format!("`{}` was refused", C::NAME)));
            }
            Entry::InDoubt(_) => {}
        }
        let _slot = self.slot().await?;
        let batch = self.0.ledger.batch(token).await?;
        let calls = batch
            .items
            .iter()
            .map(|item| {
                serde_json::from_slice(&item.body).map_err(|e| {
                    Error::store(format!("the stored call {} can't be read", item.key)).caused_by(&e)
                })
            })
            .collect::<Result<Vec<C>>>()?;
        // As long as the cloud can't tell, the call stays in doubt, whatever the reason.
        let found = C::find(api, token, &calls).await.map_err(|e| e.into_kind(ErrorKind::InDoubt))?;
        let answer = match found {
            Some(found) => Ok(found),
            None => self.send(api, token, &calls).await,
        };
        let answers = self.settle::<C>(&batch, answer).await?;
        batch
            .items
            .iter()
            .zip(answers)
            .find_map(|(item, answer)| (item.key == *key).then_some(answer))
            .unwrap_or_else(|| Err(Error::store(format!("the batch of call {key} does not contain it"))))
    }

    /// What the cloud recognises a batch by. A key is in one batch for each generation, so its first member
    /// names the batch.
    fn token(&self, first: &Intent) -> Token {
        let text = format!("{}\n{}\n{}", self.0.deployment, first.key, first.generation);
        Token::new(hex::encode(&Sha256::digest(text)[..16]))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn encode(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Error::bug("a call can't be serialised").caused_by(&e))
}

fn decode<C: CloudCall>(reply: &[u8]) -> Result<C::Reply> {
    serde_json::from_slice(reply)
        .map_err(|e| Error::store(format!("the stored reply of `{}` can't be read", C::NAME)).caused_by(&e))
}

fn abandoned<C: CloudCall>() -> Error {
    Error::in_doubt(format!("`{}` ended without an answer", C::NAME))
}

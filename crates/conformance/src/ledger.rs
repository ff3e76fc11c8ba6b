//! Stand-ins for a store: a ledger in memory, and records of nothing.

use crate::lock;
use async_trait::async_trait;
use provider_core::{
    AppVersionId, Archive, Batch, CallKey, Cluster, ClusterId, Entry, Error, JobId, Ledger, Outcome, Records,
    Result, Secret, SecretRef, Secrets, TaskId, Token,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// Keeps what a [`Ledger`] keeps for as long as it lives. A new gateway on the same ledger is an executor that
/// was started again.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    calls: Mutex<BTreeMap<(CallKey, u32), Call>>,
    batches: Mutex<BTreeMap<Token, Batch>>,
    fenced: AtomicBool,
}

#[derive(Debug)]
struct Call {
    token: Token,
    state: State,
}

#[derive(Debug, PartialEq)]
enum State {
    InDoubt,
    Applied(Vec<u8>),
    /// Refused, or applied and opened again.
    Over,
}

impl MemoryLedger {
    /// Another executor has taken over: every write fails from now on.
    pub fn fence(&self) {
        self.fenced.store(true, Ordering::SeqCst);
    }

    /// The calls by state: in doubt, applied, and refused or opened again.
    pub fn count(&self) -> (usize, usize, usize) {
        let calls = lock(&self.calls);
        let count = |is: fn(&State) -> bool| calls.values().filter(|call| is(&call.state)).count();
        (
            count(|state| *state == State::InDoubt),
            count(|state| matches!(state, State::Applied(_))),
            count(|state| *state == State::Over),
        )
    }

    /// The names of all requests so far and how many calls each carried, sorted.
    pub fn requests(&self) -> Vec<(String, usize)> {
        let batches = lock(&self.batches);
        let mut all: Vec<_> = batches.values().map(|batch| (batch.name.clone(), batch.items.len())).collect();
        all.sort();
        all
    }

    /// Forgets what became of every call, as if no reply had come.
    pub fn lose_replies(&self) {
        lock(&self.calls).values_mut().for_each(|call| call.state = State::InDoubt);
    }

    fn check(&self) -> Result<()> {
        if self.fenced.load(Ordering::SeqCst) {
            return Err(Error::fenced("another executor has taken over"));
        }
        Ok(())
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn look(&self, key: &CallKey) -> Result<Entry> {
        let calls = lock(&self.calls);
        let newest = calls.range((key.clone(), 0)..=(key.clone(), u32::MAX)).next_back();
        Ok(match newest {
            None => Entry::Fresh(0),
            Some(((_, generation), call)) => match &call.state {
                State::InDoubt => Entry::InDoubt(call.token.clone()),
                State::Applied(reply) => Entry::Applied(reply.clone()),
                State::Over => Entry::Fresh(generation + 1),
            },
        })
    }

    async fn batch(&self, token: &Token) -> Result<Batch> {
        let batch = lock(&self.batches).get(token).cloned();
        batch.ok_or_else(|| Error::store(format!("there is no batch `{}`", token.as_str())))
    }

    async fn begin(&self, batch: &Batch) -> Result<()> {
        self.check()?;
        let mut calls = lock(&self.calls);
        for item in &batch.items {
            let call = Call { token: batch.token.clone(), state: State::InDoubt };
            if calls.insert((item.key.clone(), item.generation), call).is_some() {
                return Err(Error::bug(format!("call {} was begun twice", item.key)));
            }
        }
        lock(&self.batches).insert(batch.token.clone(), batch.clone());
        Ok(())
    }

    async fn finish(&self, batch: &Batch, outcomes: Vec<Outcome>) -> Result<()> {
        self.check()?;
        let mut calls = lock(&self.calls);
        for (item, outcome) in batch.items.iter().zip(outcomes) {
            let call = calls.get_mut(&(item.key.clone(), item.generation));
            if let Some(call) = call.filter(|call| call.state == State::InDoubt) {
                call.state = match outcome {
                    Outcome::Applied(reply) => State::Applied(reply),
                    Outcome::Refused(_) => State::Over,
                    Outcome::InDoubt => State::InDoubt,
                };
            }
        }
        Ok(())
    }

    async fn reopen(&self, job: &JobId, task: TaskId) -> Result<()> {
        self.check()?;
        for ((key, _), call) in lock(&self.calls).iter_mut() {
            if key.job == *job && key.task == task && matches!(call.state, State::Applied(_)) {
                call.state = State::Over;
            }
        }
        Ok(())
    }
}

/// Knows of no cluster, no package and no secret.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRecords;

#[async_trait]
impl Records for NoRecords {
    async fn cluster(&self, _: &ClusterId) -> Result<Option<Cluster>> {
        Ok(None)
    }

    async fn cluster_named(&self, _: &str) -> Result<Option<Cluster>> {
        Ok(None)
    }

    async fn package(&self, app: &AppVersionId) -> Result<Arc<Archive>> {
        Err(Error::not_found(format!("there is no app version `{app}`")))
    }
}

#[async_trait]
impl Secrets for NoRecords {
    async fn resolve(&self, reference: &SecretRef) -> Result<Secret> {
        Err(Error::not_found(format!("there is no secret `{}`", reference.as_str())))
    }
}

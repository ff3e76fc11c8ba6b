//! The ledger: which calls were written down, and what became of them.

use super::{
    bulk::{Begun, Finished, Rows, TaskKey},
    cluster::word,
    error::failed,
    job::{CallState, job_id, number},
    *,
};
use provider_core::{Batch, CallKey, Entry, Intent, Ledger, Outcome, TaskId, Token, stored};
use std::{collections::HashMap, sync::Mutex};

/// What is known of a job's calls, so that a look costs no read. Kept up to date by whoever acknowledges a
/// write, so that a caller that has gone away does not matter.
#[derive(Clone, Default)]
pub(super) struct Calls(Arc<Mutex<HashMap<(TaskId, u32), Known>>>);

/// A call's newest generation.
struct Known {
    generation: u32,
    state: CallState,
    token: Token,
}

impl Calls {
    /// Reads what is known of a job's calls.
    pub(super) async fn load(store: &Store, job: i64) -> Result<Self> {
        let rows: Vec<(u32, u32, u32, u32, String, String)> = sqlx::query_as(
            "SELECT layer, idx, n, generation, state, token FROM call WHERE job = ? ORDER BY layer, idx, n, generation",
        )
        .bind(job)
        .fetch_all(&mut *store.reader().await?)
        .await
        .map_err(failed(format!("reading the calls of `{}`", job_id(job))))?;
        let calls = Self::default();
        for (layer, index, n, generation, state, token) in rows {
            let known = Known { generation, state: word(&state)?, token: Token::new(token) };
            // The last generation wins.
            calls.lock().insert((TaskId { layer, index }, n), known);
        }
        Ok(calls)
    }

    fn begun(&self, token: &Token, items: Vec<(TaskId, u32, u32)>) {
        let mut calls = self.lock();
        for (task, n, generation) in items {
            let known = Known { generation, state: CallState::Intent, token: token.clone() };
            calls.insert((task, n), known);
        }
    }

    fn finished(&self, items: Vec<(TaskId, u32, u32, CallState)>) {
        let mut calls = self.lock();
        for (task, n, generation, state) in items {
            if let Some(known) = calls.get_mut(&(task, n))
                && known.generation == generation
                && known.state == CallState::Intent
            {
                known.state = state;
            }
        }
    }

    fn reopened(&self, task: TaskId) {
        for ((its, _), known) in self.lock().iter_mut() {
            if *its == task && known.state == CallState::Applied {
                known.state = CallState::Reopened;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(TaskId, u32), Known>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl Ledger for Tenure {
    async fn look(&self, key: &CallKey) -> Result<Entry> {
        let calls = self.calls(number(&key.job)?).await?;
        let generation = match calls.lock().get(&(key.task, key.n)) {
            None => return Ok(Entry::Fresh(0)),
            Some(known) => match known.state {
                CallState::Refused | CallState::Reopened => return Ok(Entry::Fresh(known.generation + 1)),
                CallState::Intent => return Ok(Entry::InDoubt(known.token.clone())),
                CallState::Applied => known.generation,
            },
        };
        self.store().reply(key, generation).await.map(Entry::Applied)
    }

    async fn batch(&self, token: &Token) -> Result<Batch> {
        self.store().batch(token).await
    }

    async fn begin(&self, batch: &Batch) -> Result<()> {
        let Some(first) = batch.items.first() else {
            return Ok(());
        };
        let job = number(&first.key.job)?;
        let mut rows = Rows::default();
        let mut keys = Vec::with_capacity(batch.items.len());
        for (pos, Intent { key, generation, body }) in batch.items.iter().enumerate() {
            rows.begun.push(Begun {
                job: number(&key.job)?,
                layer: key.task.layer,
                idx: key.task.index,
                n: key.n,
                generation: *generation,
                token: batch.token.as_str().to_owned(),
                pos,
                name: batch.name.clone(),
                body: text(body, key)?,
            });
            keys.push((key.task, key.n, *generation));
        }
        let (calls, token) = (self.calls(job).await?, batch.token.clone());
        self.write_rows(rows, move || calls.begun(&token, keys)).await
    }

    async fn finish(&self, batch: &Batch, outcomes: Vec<Outcome>) -> Result<()> {
        if outcomes.len() != batch.items.len() {
            let (have, want) = (outcomes.len(), batch.items.len());
            return Err(Error::bug(format!("finishing a batch of {want} calls: {have} outcomes were given")));
        }
        let Some(first) = batch.items.first() else {
            return Ok(());
        };
        let job = number(&first.key.job)?;
        let mut rows = Rows::default();
        let mut states = Vec::with_capacity(batch.items.len());
        for (Intent { key, generation, .. }, outcome) in batch.items.iter().zip(outcomes) {
            let (state, reply, error) = match outcome {
                Outcome::Applied(reply) => (CallState::Applied, Some(text(&reply, key)?), None),
                Outcome::Refused(error) => (CallState::Refused, None, Some(stored::store(&error)?)),
                Outcome::InDoubt => continue,
            };
            rows.finished.push(Finished {
                job: number(&key.job)?,
                layer: key.task.layer,
                idx: key.task.index,
                n: key.n,
                generation: *generation,
                state: state.as_str(),
                reply,
                error,
            });
            states.push((key.task, key.n, *generation, state));
        }
        if states.is_empty() {
            return Ok(());
        }
        let calls = self.calls(job).await?;
        self.write_rows(rows, move || calls.finished(states)).await
    }

    async fn reopen(&self, job: &JobId, task: TaskId) -> Result<()> {
        let job = number(job)?;
        let mut rows = Rows::default();
        rows.reopened.push(TaskKey { job, layer: task.layer, idx: task.index });
        let calls = self.calls(job).await?;
        self.write_rows(rows, move || calls.reopened(task)).await
    }
}

impl Store {
    async fn reply(&self, key: &CallKey, generation: u32) -> Result<Vec<u8>> {
        let reply: String = sqlx::query_scalar(
            "SELECT reply FROM call WHERE job = ? AND layer = ? AND idx = ? AND n = ? AND generation = ?",
        )
        .bind(number(&key.job)?)
        .bind(key.task.layer)
        .bind(key.task.index)
        .bind(key.n)
        .bind(generation)
        .fetch_one(&mut *self.reader().await?)
        .await
        .map_err(failed(format!("reading the reply of call `{key}`")))?;
        Ok(reply.into_bytes())
    }

    async fn batch(&self, token: &Token) -> Result<Batch> {
        type Row = (i64, u32, u32, u32, u32, String, String);
        // Only calls in doubt are found by their token quickly, and a batch is asked for while one is.
        let rows: Vec<Row> = sqlx::query_as(concat!(
            "SELECT job, layer, idx, n, generation, name, body FROM call ",
            "WHERE (job, layer) = (SELECT job, layer FROM call WHERE token = ?1 AND state = 'intent' LIMIT 1) ",
            "AND token = ?1 ORDER BY pos"
        ))
        .bind(token.as_str())
        .fetch_all(&mut *self.reader().await?)
        .await
        .map_err(failed(format!("reading the batch `{}`", token.as_str())))?;
        let Some(name) = rows.first().map(|row| row.5.clone()) else {
            return Err(Error::not_found(format!("no call of the batch `{}` is in doubt", token.as_str())));
        };
        let item = |(job, layer, index, n, generation, _, body): Row| Intent {
            key: CallKey { job: job_id(job), task: TaskId { layer, index }, n },
            generation,
            body: body.into_bytes(),
        };
        Ok(Batch { token: token.clone(), name, items: rows.into_iter().map(item).collect() })
    }
}

/// Calls and replies are JSON, and so text.
fn text(bytes: &[u8], key: &CallKey) -> Result<String> {
    String::from_utf8(bytes.to_vec())
        .map_err(|e| Error::bug(format!("writing call `{key}` down: it is not text")).caused_by(&e))
}

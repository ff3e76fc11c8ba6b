//! What an executor writes all the time, as sets of rows: one statement for all rows of a kind, however many
//! operations they come from. Each row travels as a JSON object whose fields are named like its columns.

use provider_core::Timestamp;
use serde::{Serialize, Serializer};
use sqlx::{Result, SqliteConnection};

/// What one operation writes. Kinds are written in the order of the fields, rows of a kind in the order of the
/// operations. Whoever needs an order waits for the first operation before the next.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) finished: Vec<Finished>,
    pub(super) reopened: Vec<TaskKey>,
    pub(super) begun: Vec<Begun>,
    pub(super) reports: Vec<Report>,
    pub(super) nodes: Vec<NodeRow>,
    pub(super) events: Vec<EventRow>,
}

/// A task of a job, as its rows are keyed.
#[derive(Serialize)]
pub(super) struct TaskKey {
    pub(super) job: i64,
    pub(super) layer: u32,
    pub(super) idx: u32,
}

/// A call that is about to be sent.
#[derive(Serialize)]
pub(super) struct Begun {
    pub(super) job: i64,
    pub(super) layer: u32,
    pub(super) idx: u32,
    pub(super) n: u32,
    pub(super) generation: u32,
    pub(super) token: String,
    pub(super) pos: usize,
    pub(super) name: String,
    pub(super) body: String,
}

/// What became of a call.
#[derive(Serialize)]
pub(super) struct Finished {
    pub(super) job: i64,
    pub(super) layer: u32,
    pub(super) idx: u32,
    pub(super) n: u32,
    pub(super) generation: u32,
    pub(super) state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reply: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// To what a task has come.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) job: i64,
    pub(super) layer: u32,
    pub(super) idx: u32,
    pub(super) state: &'static str,
    pub(super) ended: bool,
    pub(super) attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deadline: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) handle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// A node's record.
#[derive(Serialize)]
pub(super) struct NodeRow {
    pub(super) cluster: String,
    pub(super) node: String,
    pub(super) doc: String,
}

/// Something that happened.
#[derive(Serialize)]
pub(super) struct EventRow {
    pub(super) job: i64,
    pub(super) body: String,
}

/// Statements, and the rows that they are for.
struct Statement {
    sql: &'static str,
    rows: String,
}

/// Writes all rows of `sets`, dated `now`.
pub(super) async fn write_rows(db: &mut SqliteConnection, sets: &[&Rows], now: Timestamp) -> Result<()> {
    for Statement { sql, rows } in statements(sets).map_err(|e| sqlx::Error::Encode(e.into()))? {
        sqlx::query(sql).bind(rows).bind(now.0).execute(&mut *db).await?;
    }
    Ok(())
}

/// The statements that write `sets`, in their order. In each, the rows are `?1` and the time is `?2`.
fn statements(sets: &[&Rows]) -> serde_json::Result<Vec<Statement>> {
    let statements = [
        each(sets.iter().flat_map(|rows| &rows.finished), FINISH)?,
        each(sets.iter().flat_map(|rows| &rows.reopened), REOPEN)?,
        each(sets.iter().flat_map(|rows| &rows.begun), BEGIN)?,
        each(sets.iter().flat_map(|rows| &rows.reports), REPORT)?,
        each(sets.iter().flat_map(|rows| &rows.nodes), NODE)?,
        each(sets.iter().flat_map(|rows| &rows.events), EVENT)?,
    ];
    Ok(statements.into_iter().flatten().collect())
}

fn each<T: Serialize>(
    rows: impl Iterator<Item = T>,
    sql: &'static str,
) -> serde_json::Result<Option<Statement>> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(None);
    }
    let mut json = serde_json::Serializer::new(Vec::new());
    json.collect_seq(rows)?;
    let rows = String::from_utf8(json.into_inner()).expect("JSON is text");
    Ok(Some(Statement { sql, rows }))
}

const FINISH: &str = "
    UPDATE call SET state = value->>'state', reply = value->>'reply', error = value->>'error', at = ?2
    FROM json_each(?1)
    WHERE job = value->>'job' AND layer = value->>'layer' AND idx = value->>'idx' AND n = value->>'n'
    AND generation = value->>'generation' AND call.state = 'intent'";

const REOPEN: &str = "
    UPDATE call SET state = 'reopened', at = ?2 FROM json_each(?1)
    WHERE job = value->>'job' AND layer = value->>'layer' AND idx = value->>'idx' AND call.state = 'applied';
    UPDATE task SET handle = NULL FROM json_each(?1)
    WHERE job = value->>'job' AND layer = value->>'layer' AND idx = value->>'idx'";

const BEGIN: &str = "
    INSERT INTO call (job, layer, idx, n, generation, token, pos, name, body, state, at)
    SELECT value->>'job', value->>'layer', value->>'idx', value->>'n', value->>'generation', value->>'token',
        value->>'pos', value->>'name', value->>'body', 'intent', ?2
    FROM json_each(?1);
    INSERT INTO task (job, layer, idx, state, attempt, started)
    SELECT value->>'job', value->>'layer', value->>'idx', 'running', 1, ?2 FROM json_each(?1) WHERE true
    ON CONFLICT DO NOTHING";

const REPORT: &str = "
    INSERT INTO task (job, layer, idx, state, attempt, started, deadline, ended, handle, error)
    SELECT value->>'job', value->>'layer', value->>'idx', value->>'state', value->>'attempt', ?2,
        value->>'deadline', iif(value->>'ended', ?2, NULL), value->>'handle', value->>'error'
    FROM json_each(?1) WHERE true
    ON CONFLICT DO UPDATE SET state = excluded.state, attempt = excluded.attempt,
        deadline = coalesce(excluded.deadline, deadline), ended = excluded.ended, handle = excluded.handle,
        error = excluded.error";

const NODE: &str = "
    INSERT INTO node (cluster, node, doc)
    SELECT value->>'cluster', value->>'node', value->>'doc' FROM json_each(?1) WHERE true
    ON CONFLICT DO UPDATE SET doc = excluded.doc";

const EVENT: &str = "
    INSERT INTO event (at, job, body) SELECT ?2, value->>'job', value->>'body' FROM json_each(?1)";

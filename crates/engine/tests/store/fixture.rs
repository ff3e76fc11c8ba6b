//! A store in a directory of its own, and small clusters and plans to put into it.

use engine::{Accepted, Options, Store, Submission, TaskReport, TaskState, Tenure, Terms};
use provider_core::{
    Action, Batch, CallKey, Change, Clock, Cluster, ClusterId, ClusterSpec, Credential, Fold, FoldResult,
    Intent, JobId, Ledger, Outcome, Plan, ProviderId, Records, Runtime, RuntimeId, TaskId, Timestamp, Token,
    Zone,
};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tempfile::TempDir;

pub(crate) const DELETE: Action =
    Action::DeleteClusters { keep_volumes: false, force: false, keep_history: false };

/// Always the same moment.
struct Still;

#[async_trait::async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_000)
    }

    async fn sleep(&self, _time: Duration) {}
}

pub(crate) fn options(dir: &TempDir) -> Options {
    Options::new(dir.path().join("state"), Arc::new(Still))
}

pub(crate) fn temp() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A new store with the runtime `here`.
pub(crate) async fn store(dir: &TempDir) -> Store {
    let store = Store::open(options(dir)).await.unwrap();
    store.create_runtime(&runtime("here"), Credential::default()).await.unwrap();
    store
}

pub(crate) fn runtime(id: &str) -> Runtime {
    Runtime {
        id: RuntimeId::new(id),
        description: String::new(),
        provider: ProviderId::new("local"),
        endpoint: String::new(),
        zone: Zone::new("z1"),
        labels: BTreeMap::new(),
    }
}

/// A cluster called `name` with the nodes `n-1` to `n-count`.
pub(crate) fn spec(name: &str, count: u32) -> ClusterSpec {
    let nodes: serde_json::Map<_, _> = (1..=count)
        .map(|id| (format!("n-{id}"), json!({ "role": "n", "server_id": id, "group_id": id })))
        .collect();
    serde_json::from_value(json!({
        "name": name,
        "app": "app@1",
        "roles": { "n": {
            "container": { "type": "process" },
            "cpu": 1, "memory_mib": 64, "instance_size_gib": 1, "agent_installed": true,
        } },
        "nodes": nodes,
    }))
    .unwrap()
}

/// Two layers of one task for each node of `spec`: `run`, then `configure`.
pub(crate) fn plan(spec: &ClusterSpec) -> Plan {
    let tasks = |work: serde_json::Value| -> Vec<_> {
        let task = |node| {
            let mut task = work.clone();
            task["node"] = json!(node);
            task["timeout_s"] = json!(60);
            task
        };
        spec.nodes.keys().map(task).collect()
    };
    serde_json::from_value(json!({
        "facts": { "taken_at": 900, "zone": "z1" },
        "layers": [
            { "name": "run instances", "tasks": tasks(json!({ "cloud": { "instance": "run" } })) },
            { "name": "configure", "tasks": tasks(json!({ "agent": "configure" })) },
        ],
    }))
    .unwrap()
}

/// Makes a cluster called `name`, whose id is `cl-name`.
pub(crate) fn create(name: &str) -> Submission {
    let spec = spec(name, 2);
    let before = Cluster::new(
        ClusterId::new(format!("cl-{name}")),
        RuntimeId::new("here"),
        Zone::new(""),
        spec.clone(),
    );
    change(before, Action::CreateCluster, spec)
}

/// Does `action` to the cluster on record.
pub(crate) async fn act(store: &Store, name: &str, action: Action) -> Submission {
    let before = store.cluster_named(name).await.unwrap().unwrap();
    let after = before.spec.clone();
    change(before, action, after)
}

pub(crate) fn change(before: Cluster, action: Action, after: ClusterSpec) -> Submission {
    Submission {
        plan: plan(&after),
        change: Change { action, before, after },
        terms: Terms::default(),
        secrets: Vec::new(),
    }
}

pub(crate) async fn accept(store: &Store, submission: Submission) -> JobId {
    match store.accept(submission).await.unwrap() {
        Accepted::Job(job) => job,
        Accepted::Stale => panic!("it is stale"),
    }
}

pub(crate) fn fold(result: FoldResult) -> Fold {
    Fold { result, ..Fold::default() }
}

/// Creates the cluster `name`, which has succeeded.
pub(crate) async fn created(store: &Store, tenure: &Tenure, name: &str) -> JobId {
    let job = accept(store, create(name)).await;
    tenure.end(&job, &fold(FoldResult::Succeeded), None).await.unwrap();
    job
}

pub(crate) fn task(layer: u32, index: u32) -> TaskId {
    TaskId { layer, index }
}

pub(crate) fn key(job: &JobId, index: u32) -> CallKey {
    CallKey { job: job.clone(), task: task(0, index), n: 0 }
}

/// One request for the tasks of `indices`, all of one generation.
pub(crate) fn batch(job: &JobId, indices: impl IntoIterator<Item = u32>, generation: u32) -> Batch {
    let items: Vec<_> = indices
        .into_iter()
        .map(|index| Intent {
            key: key(job, index),
            generation,
            body: format!(r#"{{"node":"n-{index}"}}"#).into_bytes(),
        })
        .collect();
    let first = items[0].key.task.index;
    Batch { token: Token::new(format!("token-{job}-{first}-{generation}")), name: "Run".into(), items }
}

pub(crate) fn applied(reply: &str) -> Outcome {
    Outcome::Applied(reply.as_bytes().to_vec())
}

/// A call of its own from beginning to end.
pub(crate) async fn call(tenure: &Tenure, job: &JobId, index: u32) {
    let batch = batch(job, [index], 0);
    tenure.begin(&batch).await.unwrap();
    tenure.finish(&batch, vec![applied(r#""i-1""#)]).await.unwrap();
}

pub(crate) fn report(job: &JobId, index: u32, state: TaskState) -> TaskReport {
    TaskReport {
        job: job.clone(),
        task: task(0, index),
        attempt: 1,
        state,
        deadline: None,
        handle: None,
        output: None,
    }
}

/// The rows of a query with one column of text, read beside the store.
pub(crate) async fn rows(dir: &TempDir, sql: &'static str) -> Vec<String> {
    let mut db = connect(dir).await;
    sqlx::query_scalar(sql).fetch_all(&mut db).await.unwrap()
}

pub(crate) async fn connect(dir: &TempDir) -> sqlx::SqliteConnection {
    use sqlx::ConnectOptions;
    let path = dir.path().join("state/pitrix.db");
    sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

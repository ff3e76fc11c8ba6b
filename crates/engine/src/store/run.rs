//! The runs of a job: ended, cancelled, started again.

use super::{
    accept::secrets_of,
    cluster::{ClusterDoc, word},
    error::failed,
    event::append,
    follow_up,
    job::{JobDoc, job_id, number, unknown},
    prune,
    secret::forget,
    *,
};
use provider_core::{
    ActionKind, Change, ClusterSpec, ClusterStatus, Fold, FoldResult, JobState, Node, NodeId, TaskId,
    record_half_moved, stored,
};
use serde_json::Value;
use std::collections::BTreeMap;

impl Store {
    /// Runs a job again that failed or was cancelled: the same plan, without what is done already. Failed
    /// tasks get new deadlines; the ledger still knows what was applied.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` unless it has ended without success, is its cluster's newest job and the cluster
    /// has not changed since.
    pub async fn retry(&self, job: &JobId) -> Result<()> {
        let (n, now) = (number(job)?, self.now());
        self.write(None, move |db| Box::pin(async move { retry(&mut Row::read(db, n).await?, now).await }))
            .await
    }

    /// Asks a job to stop. Asking again changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it has ended.
    pub async fn cancel(&self, job: &JobId) -> Result<()> {
        let (n, now) = (number(job)?, self.now());
        self.write(None, move |db| Box::pin(async move { cancel(&mut Row::read(db, n).await?, now).await }))
            .await
    }
}

impl Tenure {
    /// Ends a job, in one transaction: its state, what it came to, its cluster's status and last error, an
    /// event, what is to follow. Secrets go with a cluster that was deleted; records of nodes that are no longer wanted go once
    /// no resource of a provider is on record for them.
    ///
    /// # Errors
    /// `Fenced`, `Store`; `Conflict` when it has ended.
    pub async fn end(&self, job: &JobId, fold: &Fold, error: Option<Error>) -> Result<()> {
        let (n, now, fold) = (number(job)?, self.store().now(), fold.clone());
        self.store()
            .write(Some(self.epoch()), move |db| {
                Box::pin(async move { end(&mut Row::read(db, n).await?, &fold, error, now).await })
            })
            .await?;
        self.forget_calls(n);
        Ok(())
    }
}

/// A job and its cluster, in a transaction that changes them.
struct Row<'a> {
    db: &'a mut SqliteConnection,
    n: i64,
    action: ActionKind,
    state: JobState,
    run: u32,
    revision: i64,
    cluster: ClusterId,
    cluster_revision: i64,
    status: ClusterStatus,
    doc: ClusterDoc,
    newest: i64,
}

impl<'a> Row<'a> {
    async fn read(db: &'a mut SqliteConnection, n: i64) -> Result<Self> {
        type Columns = (String, String, u32, i64, String, i64, String, String, i64);
        let row: Option<Columns> = sqlx::query_as(concat!(
            "SELECT job.action, job.state, job.run, job.revision, cluster.id, cluster.revision, cluster.status, ",
            "cluster.doc, (SELECT max(n) FROM job WHERE cluster = cluster.id) ",
            "FROM job JOIN cluster ON cluster.id = job.cluster WHERE job.n = ?"
        ))
        .bind(n)
        .fetch_optional(&mut *db)
        .await
        .map_err(failed(format!("reading the job `{}`", job_id(n))))?;
        let (action, state, run, revision, cluster, cluster_revision, status, doc, newest) =
            row.ok_or_else(|| unknown(&job_id(n)))?;
        Ok(Self {
            db,
            n,
            action: word(&action)?,
            state: word(&state)?,
            run,
            revision,
            cluster: ClusterId::new(cluster),
            cluster_revision,
            status: word(&status)?,
            doc: stored::read(&doc)?,
            newest,
        })
    }

    /// What the job is to change, and on what terms.
    async fn job(&mut self) -> Result<JobDoc> {
        let attempt = format!("reading what `{}` changes", job_id(self.n));
        let doc: String = sqlx::query_scalar("SELECT doc FROM plan WHERE job = ?")
            .bind(self.n)
            .fetch_one(&mut *self.db)
            .await
            .map_err(failed(attempt))?;
        stored::read(&doc)
    }

    /// The records of the cluster's nodes.
    async fn nodes(&mut self) -> Result<Vec<(NodeId, Node)>> {
        let nodes: Vec<(String, String)> = sqlx::query_as("SELECT node, doc FROM node WHERE cluster = ?")
            .bind(self.cluster.as_str())
            .fetch_all(&mut *self.db)
            .await
            .map_err(failed(format!("reading the nodes of `{}`", self.cluster)))?;
        nodes.into_iter().map(|(id, doc)| Ok((NodeId::new(id), stored::read(&doc)?))).collect()
    }

    /// Runs a statement about this job, which is `?1`.
    async fn about_job(&mut self, sql: &'static str) -> Result<()> {
        let done = sqlx::query(sql).bind(self.n).execute(&mut *self.db).await;
        done.map_err(failed(format!("changing the job `{}`", job_id(self.n))))?;
        Ok(())
    }

    async fn put_cluster(&mut self) -> Result<()> {
        sqlx::query("UPDATE cluster SET status = ?, revision = ?, doc = ? WHERE id = ?")
            .bind(self.status.as_str())
            .bind(self.cluster_revision)
            .bind(stored::store(&self.doc)?)
            .bind(self.cluster.as_str())
            .execute(&mut *self.db)
            .await
            .map_err(failed(format!("changing the cluster `{}`", self.cluster)))?;
        Ok(())
    }
}

async fn retry(row: &mut Row<'_>, now: Timestamp) -> Result<()> {
    let attempt = format!("running `{}` again", job_id(row.n));
    match row.state {
        JobState::Failed | JobState::Cancelled => {}
        JobState::Succeeded => return Err(Error::conflict(format!("{attempt}: it has succeeded"))),
        JobState::Running | JobState::Cancelling => {
            return Err(Error::conflict(format!("{attempt}: it has not ended"))
                .hint(format!("follow it with `pitrix job watch {}`", job_id(row.n))));
        }
    }
    if row.newest != row.n || row.revision != row.cluster_revision {
        return Err(Error::conflict(format!("{attempt}: its cluster has changed since"))
            .hint("ask for the action anew, so that it is planned for what there is now"));
    }
    row.doc.transition = Some(row.action.transition());
    follow_up::check_none_undoes(row.db, &row.cluster, &attempt).await?;
    if row.action == ActionKind::DeleteClusterNodes {
        let Change { after, .. } = row.job().await?.change;
        row.doc.spec.nodes.retain(|id, _| after.nodes.contains_key(id));
    }
    row.cluster_revision += 1;
    row.put_cluster().await?;
    row.about_job("DELETE FROM task WHERE job = ?1 AND state <> 'done'").await?;
    row.about_job(concat!(
        "UPDATE job SET state = 'running', run = run + 1, revision = revision + 1, ended = NULL, fold = NULL, ",
        "error = NULL WHERE n = ?1"
    ))
    .await?;
    append(row.db, now, row.n, &EventKind::Retried { run: row.run + 1 }).await
}

async fn cancel(row: &mut Row<'_>, now: Timestamp) -> Result<()> {
    match row.state {
        JobState::Running => {}
        JobState::Cancelling => return Ok(()),
        ended => {
            let message = format!("cancelling `{}`: it is over: {}", job_id(row.n), ended.as_str());
            return Err(Error::conflict(message).hint("there is nothing left to stop"));
        }
    }
    row.about_job("UPDATE job SET state = 'cancelling' WHERE n = ?1").await?;
    append(row.db, now, row.n, &EventKind::Cancelling).await
}

async fn end(row: &mut Row<'_>, fold: &Fold, error: Option<Error>, now: Timestamp) -> Result<()> {
    if row.state.is_ended() {
        return Err(Error::conflict(format!("ending `{}`: it has ended already", job_id(row.n))));
    }
    let state = match fold.result {
        FoldResult::Succeeded => JobState::Succeeded,
        FoldResult::Failed => JobState::Failed,
        FoldResult::Cancelled => JobState::Cancelled,
    };
    row.doc.transition = None;
    match state {
        JobState::Succeeded => {
            row.status = row.action.leads_to().unwrap_or(row.status);
            row.doc.last_error = None;
            row.doc.joining.clear();
            if moves_version(row.action) {
                row.doc.unsettled.clear();
            }
        }
        _ => {
            row.doc.last_error = error.clone().or(row.doc.last_error.take());
            if row.action == ActionKind::DeleteClusterNodes {
                want_back(row).await?;
            }
            if moves_version(row.action) {
                put_half_moved(row).await?;
            }
        }
    }
    row.doc.unsettled.retain(|id| row.doc.spec.nodes.contains_key(id));
    row.put_cluster().await?;
    if matches!(row.status, ClusterStatus::Deleted | ClusterStatus::Ceased) {
        forget(row.db, &secrets_of(&row.cluster)).await?;
    }
    forget_nodes(row).await?;
    if row.status == ClusterStatus::Ceased {
        forget_past(row).await?;
    }
    sqlx::query("UPDATE job SET state = ?, ended = ?, fold = ?, error = ? WHERE n = ?")
        .bind(state.as_str())
        .bind(now.0)
        .bind(stored::store(fold)?)
        .bind(error.as_ref().map(stored::store).transpose()?)
        .bind(row.n)
        .execute(&mut *row.db)
        .await
        .map_err(failed(format!("ending `{}`", job_id(row.n))))?;
    append(row.db, now, row.n, &EventKind::Ended { state, error }).await?;
    match state {
        JobState::Failed if row.action == ActionKind::UpgradeCluster && row.job().await?.terms.undo => {
            follow_up::put(row.db, row.n, FollowUp::Undo, std::slice::from_ref(&row.cluster)).await
        }
        JobState::Succeeded if row.status == ClusterStatus::Active => tell_linking(row).await,
        _ => Ok(()),
    }
}

/// Has the clusters told that link to this one, if its addresses are others now. One that is stopped learns them
/// when it starts.
async fn tell_linking(row: &mut Row<'_>) -> Result<()> {
    let linking: Vec<String> = sqlx::query_scalar(concat!(
        "SELECT DISTINCT user.id FROM cluster, cluster AS user, json_each(user.links) AS link ",
        "WHERE cluster.id = ?1 AND link.value = cluster.name AND user.id <> ?1 AND user.status = 'active' ",
        "ORDER BY user.name"
    ))
    .bind(row.cluster.as_str())
    .fetch_all(&mut *row.db)
    .await
    .map_err(failed(format!("looking for what links to `{}`", row.cluster)))?;
    if linking.is_empty() {
        return Ok(());
    }
    let before = row.job().await?.change.before;
    let now: BTreeMap<_, _> = row.nodes().await?.into_iter().collect();
    if addresses(&before.spec, &before.nodes) == addresses(&row.doc.spec, &now) {
        return Ok(());
    }
    let linking: Vec<_> = linking.into_iter().map(ClusterId::new).collect();
    follow_up::put(row.db, row.n, FollowUp::Tell, &linking).await
}

fn addresses<'a>(spec: &'a ClusterSpec, nodes: &'a BTreeMap<NodeId, Node>) -> BTreeMap<&'a NodeId, &'a str> {
    let address = |id| Some((id, nodes.get(id)?.instance.as_ref()?.private_ip.as_deref()?));
    spec.nodes.keys().filter_map(address).collect()
}

fn moves_version(action: ActionKind) -> bool {
    matches!(action, ActionKind::UpgradeCluster | ActionKind::RollbackCluster)
}

/// Writes down which nodes the job has left between two versions.
async fn put_half_moved(row: &mut Row<'_>) -> Result<()> {
    let attempt = || format!("reading how far `{}` came", job_id(row.n));
    let plan: String = sqlx::query_scalar("SELECT plan FROM plan WHERE job = ?")
        .bind(row.n)
        .fetch_one(&mut *row.db)
        .await
        .map_err(failed(attempt()))?;
    let tasks: Vec<(u32, u32, bool)> =
        sqlx::query_as("SELECT layer, idx, state = 'done' FROM task WHERE job = ?")
            .bind(row.n)
            .fetch_all(&mut *row.db)
            .await
            .map_err(failed(attempt()))?;
    let tasks: BTreeMap<_, _> =
        tasks.into_iter().map(|(layer, index, done)| (TaskId { layer, index }, done)).collect();
    record_half_moved(&mut row.doc.unsettled, &stored::read(&plan)?, |task| tasks.get(&task).copied());
    Ok(())
}

/// Wants the nodes again that a removal did not come to remove. They still have their instances, and whatever is
/// done next must know what they are.
async fn want_back(row: &mut Row<'_>) -> Result<()> {
    let Change { before, .. } = row.job().await?.change;
    for (id, node) in row.nodes().await? {
        if let (Some(spec), Some(_)) = (before.spec.nodes.get(&id), node.instance) {
            row.doc.spec.nodes.insert(id, spec.clone());
        }
    }
    Ok(())
}

/// Forgets what a cluster was and all jobs but this one. What no call is known to have done stays on record.
async fn forget_past(row: &mut Row<'_>) -> Result<()> {
    let jobs: Vec<i64> = sqlx::query_scalar(concat!(
        "SELECT n FROM job WHERE cluster = ? AND n <> ? ",
        "AND NOT EXISTS (SELECT 1 FROM call WHERE job = job.n AND state = 'intent')"
    ))
    .bind(row.cluster.as_str())
    .bind(row.n)
    .fetch_all(&mut *row.db)
    .await
    .map_err(failed(format!("looking for the jobs of `{}`", row.cluster)))?;
    prune::forget(row.db, &jobs).await?;
    let spec = &mut row.doc.spec;
    (spec.conf, spec.display_tabs) = (Value::Null, Value::Null);
    spec.description.clear();
    spec.roles.clear();
    spec.nodes.clear();
    spec.links.clear();
    spec.endpoints.clear();
    row.doc.previous = None;
    row.doc.unsettled.clear();
    row.put_cluster().await
}

/// Removes the records of nodes that are no longer wanted. One that has a resource on record stays, or nobody
/// would know of that resource any more.
async fn forget_nodes(row: &mut Row<'_>) -> Result<()> {
    let attempt = format!("forgetting nodes of `{}`", row.cluster);
    let ceased = row.status == ClusterStatus::Ceased;
    for (id, node) in row.nodes().await? {
        let wanted = row.doc.spec.nodes.contains_key(&id) && !ceased;
        if !wanted && node.instance.is_none() && node.disks.is_empty() {
            sqlx::query("DELETE FROM node WHERE cluster = ? AND node = ?")
                .bind(row.cluster.as_str())
                .bind(id.as_str())
                .execute(&mut *row.db)
                .await
                .map_err(failed(&attempt))?;
        }
    }
    Ok(())
}

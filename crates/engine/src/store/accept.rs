//! How a planned change becomes a job.

use super::{
    cluster::{ClusterDoc, word},
    error::failed,
    event::append,
    follow_up,
    job::{JobDoc, job_id, number},
    *,
};
use provider_core::{ActionKind, Change, ClusterSpec, ClusterStatus, Node, NodeId, Plan, ResourceId, stored};
use std::collections::BTreeSet;

/// A planned change that somebody wants carried out.
pub struct Submission {
    /// What is to change. `before` is the cluster that the plan was made for: its revision must still be the
    /// recorded one, or 0 when the cluster is to be created.
    pub change: Change,
    /// How.
    pub plan: Plan,
    /// On what terms.
    pub terms: Terms,
    /// What the wanted cluster refers to and the store does not have yet.
    pub secrets: Vec<(SecretRef, Secret)>,
}

/// What became of a [`Submission`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Accepted {
    /// It is a job now, and its cluster is in transition.
    Job(JobId),
    /// Nothing was done: the cluster has changed since it was planned. Plan again and submit that.
    Stale,
}

impl Store {
    /// Accepts a job, in one transaction: creates the cluster or raises its revision, sets its transition and
    /// its wanted state, keeps the secrets. What stands in the way is looked for in the same transaction.
    ///
    /// # Errors
    /// `Conflict` when another job of the cluster runs, its status does not allow the action, its name is
    /// taken, or it may not be deleted because others link to it; `NotFound` when the runtime, the cluster or
    /// a linked one is not there.
    pub async fn accept(&self, submission: Submission) -> Result<Accepted> {
        self.accept_under(None, None, submission).await
    }

    /// Accepts under an epoch, if one is given, what was to follow another job, if something was.
    pub(super) async fn accept_under(
        &self,
        epoch: Option<i64>,
        due: Option<DueFollowUp>,
        submission: Submission,
    ) -> Result<Accepted> {
        let (inner, now) = (self.0.clone(), self.now());
        // Large plans are serialised here, not in the writer, which others wait for.
        let plan = stored::store(&submission.plan)?;
        self.write(epoch, move |db| {
            Box::pin(async move {
                let mut acceptance = Acceptance::new(db, &submission, now);
                let Some(revision) = acceptance.check(due.as_ref()).await? else {
                    return Ok(Accepted::Stale);
                };
                if let Some(due) = &due
                    && !follow_up::take(acceptance.db, due).await?
                {
                    return Ok(Accepted::Stale);
                }
                acceptance.put_cluster(revision).await?;
                acceptance.put_secrets(&inner.keyring, &submission.secrets).await?;
                let job = acceptance.put_job(revision, plan).await?;
                if let Some(DueFollowUp { job: cause, why, cluster, .. }) = due {
                    let followed = EventKind::Followed { why, by: job.clone(), cluster };
                    append(db, now, number(&cause)?, &followed).await?;
                }
                Ok(Accepted::Job(job))
            })
        })
        .await
    }
}

/// An acceptance under way, in its transaction.
struct Acceptance<'a> {
    db: &'a mut SqliteConnection,
    change: &'a Change,
    plan: &'a Plan,
    terms: Terms,
    action: ActionKind,
    attempt: String,
    now: Timestamp,
}

impl<'a> Acceptance<'a> {
    fn new(db: &'a mut SqliteConnection, submission: &'a Submission, now: Timestamp) -> Self {
        let Submission { change, plan, terms, .. } = submission;
        let action = change.action.kind();
        Self {
            db,
            change,
            plan,
            terms: *terms,
            action,
            attempt: format!("accepting `{}` of `{}`", action.verb(), change.after.name),
            now,
        }
    }

    /// Looks for what stands in the way. Gives the revision that the cluster will have; none when the plan was
    /// made for another state of it.
    async fn check(&mut self, due: Option<&DueFollowUp>) -> Result<Option<u64>> {
        let before = &self.change.before;
        let row: Option<(String, u64, Option<i64>)> = sqlx::query_as(concat!(
            "SELECT status, revision, ",
            "(SELECT n FROM job WHERE cluster = cluster.id AND state IN ('running', 'cancelling')) ",
            "FROM cluster WHERE id = ?"
        ))
        .bind(before.id.as_str())
        .fetch_optional(&mut *self.db)
        .await
        .map_err(failed(&self.attempt))?;
        match row {
            Some((_, _, Some(running))) => return Err(self.busy(running)),
            Some((_, revision, None)) if revision != before.revision || before.transition.is_some() => {
                return Ok(None);
            }
            Some((status, ..)) => {
                if due.is_none() {
                    follow_up::check_none_undoes(self.db, &before.id, &self.attempt).await?;
                }
                self.check_status(word(&status)?)?;
            }
            None if self.action == ActionKind::CreateCluster && before.revision == 0 => {
                self.check_name().await?;
            }
            None => {
                let message = format!("{}: there is no such cluster", self.attempt);
                return Err(
                    Error::not_found(message).hint("`pitrix cluster list` shows those that there are")
                );
            }
        }
        let runtime = sqlx::query("SELECT 1 FROM runtime WHERE id = ?")
            .bind(before.runtime.as_str())
            .fetch_optional(&mut *self.db);
        if runtime.await.map_err(failed(&self.attempt))?.is_none() {
            return Err(runtime::unknown(&before.runtime));
        }
        match self.action {
            ActionKind::DeleteClusters | ActionKind::CeaseClusters => self.check_unlinked().await?,
            _ => self.check_links().await?,
        }
        Ok(Some(before.revision + 1))
    }

    fn check_status(&self, status: ClusterStatus) -> Result<()> {
        let allowed = self.action.allowed_from();
        if allowed.contains(&status) {
            return Ok(());
        }
        let names: Vec<_> = allowed.iter().map(|status| status.as_str()).collect();
        let message = format!("{}: the cluster is {}", self.attempt, status.as_str());
        let mut hint = format!("it must be {}", names.join(" or "));
        let can_start = ActionKind::StartClusters.allowed_from().contains(&status);
        if can_start && allowed.contains(&ClusterStatus::Active) {
            let name = &self.change.before.spec.name;
            hint +=
                &format!("; `pitrix cluster start {name}` brings it up, and replaces machines that are gone");
        }
        Err(Error::conflict(message).hint(hint))
    }

    async fn check_name(&mut self) -> Result<()> {
        let name = &self.change.after.name;
        let taken =
            sqlx::query("SELECT 1 FROM cluster WHERE name = ? AND status NOT IN ('deleted', 'ceased')")
                .bind(name)
                .fetch_optional(&mut *self.db);
        if taken.await.map_err(failed(&self.attempt))?.is_none() {
            return Ok(());
        }
        Err(Error::conflict(format!("{}: there is a cluster of this name", self.attempt))
            .hint(format!("choose another name, or look at it with `pitrix cluster describe {name}`")))
    }

    /// Checks that no other cluster uses this one.
    async fn check_unlinked(&mut self) -> Result<()> {
        let users: Vec<String> = sqlx::query_scalar(concat!(
            "SELECT DISTINCT cluster.name FROM cluster, json_each(cluster.links) AS link ",
            "WHERE link.value = ? AND cluster.id <> ? AND cluster.status NOT IN ('deleted', 'ceased') ORDER BY 1"
        ))
        .bind(&self.change.before.spec.name)
        .bind(self.change.before.id.as_str())
        .fetch_all(&mut *self.db)
        .await
        .map_err(failed(&self.attempt))?;
        if users.is_empty() {
            return Ok(());
        }
        Err(Error::conflict(format!("{}: other clusters link to it", self.attempt))
            .hint(format!("delete them first: {}", users.join(", "))))
    }

    /// Checks that the clusters that this one uses are there to stay.
    async fn check_links(&mut self) -> Result<()> {
        for target in self.links() {
            let doc: Option<String> = sqlx::query_scalar(
                "SELECT doc FROM cluster WHERE name = ? AND status NOT IN ('deleted', 'ceased')",
            )
            .bind(target)
            .fetch_optional(&mut *self.db)
            .await
            .map_err(failed(&self.attempt))?;
            let doc: Option<ClusterDoc> = doc.map(|doc| stored::read(&doc)).transpose()?;
            let going = [ActionKind::DeleteClusters.transition(), ActionKind::CeaseClusters.transition()];
            if doc.is_none_or(|doc| doc.transition.is_some_and(|transition| going.contains(&transition))) {
                let message = format!("{}: it links to `{target}`, which is not there", self.attempt);
                return Err(
                    Error::not_found(message).hint(format!("create `{target}` first, or change the link"))
                );
            }
        }
        Ok(())
    }

    fn links(&self) -> BTreeSet<&'a str> {
        self.change.after.links.values().map(String::as_str).collect()
    }

    fn busy(&self, running: i64) -> Error {
        let job = job_id(running);
        Error::conflict(format!("{}: job `{job}` is at work on the cluster", self.attempt)).hint(format!(
            "wait for it with `pitrix job watch {job}`, or stop it with `pitrix job cancel {job}`"
        ))
    }

    /// Nodes that are added join until a job has succeeded.
    fn joining(&self) -> BTreeSet<NodeId> {
        let Change { before, after, .. } = self.change;
        let wanted = after.nodes.keys();
        let joins = |id: &&NodeId| {
            before.joining.contains(*id)
                || self.action == ActionKind::AddClusterNodes && !before.spec.nodes.contains_key(*id)
        };
        wanted.filter(joins).cloned().collect()
    }

    /// Where a rollback will lead. An upgrade that is asked for once more does not forget where it came from.
    fn previous(&self) -> Option<Box<ClusterSpec>> {
        let Change { before, after, .. } = self.change;
        match self.action {
            ActionKind::UpgradeCluster if after.app != before.spec.app => Some(Box::new(before.spec.clone())),
            ActionKind::RollbackCluster => None,
            _ => before.previous.clone(),
        }
    }

    async fn put_cluster(&mut self, revision: u64) -> Result<()> {
        let Change { before, after, .. } = self.change;
        let new = before.revision == 0;
        let facts = &self.plan.facts;
        let doc = ClusterDoc {
            spec: after.clone(),
            transition: Some(self.action.transition()),
            zone: if new { facts.zone.clone() } else { before.zone.clone() },
            vpc: if new { facts.vpc.clone() } else { before.vpc.clone() },
            frontgate: before.frontgate.clone(),
            last_error: before.last_error.clone(),
            joining: self.joining(),
            previous: self.previous(),
            unsettled: before.unsettled.clone(),
        };
        sqlx::query(concat!(
            "INSERT INTO cluster (id, name, runtime, app, status, revision, links, doc) ",
            "VALUES (?, ?, ?, ?, 'pending', ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, ",
            "app = excluded.app, revision = excluded.revision, links = excluded.links, doc = excluded.doc"
        ))
        .bind(before.id.as_str())
        .bind(&after.name)
        .bind(before.runtime.as_str())
        .bind(after.app.as_str())
        .bind(i64::try_from(revision).unwrap_or(i64::MAX))
        .bind(json(&self.links())?)
        .bind(stored::store(&doc)?)
        .execute(&mut *self.db)
        .await
        .map_err(failed(&self.attempt))?;
        if new {
            self.take_volumes().await?;
        }
        // A fact is recorded only of a node that is on record.
        sqlx::query(concat!(
            "INSERT INTO node (cluster, node, doc) SELECT ?, value, ? FROM json_each(?) WHERE true ",
            "ON CONFLICT DO NOTHING"
        ))
        .bind(before.id.as_str())
        .bind(stored::store(&Node::default())?)
        .bind(json(&after.nodes.keys().collect::<Vec<_>>())?)
        .execute(&mut *self.db)
        .await
        .map_err(failed(&self.attempt))?;
        Ok(())
    }

    /// Moves the volumes that the new cluster begins with from the records of the deleted one that left them.
    async fn take_volumes(&mut self) -> Result<()> {
        for (id, node) in self.change.before.nodes.iter().filter(|(_, node)| !node.disks.is_empty()) {
            for disk in node.disks.values() {
                self.take_volume(&disk.volume).await?;
            }
            sqlx::query("INSERT INTO node (cluster, node, doc) VALUES (?, ?, ?)")
                .bind(self.change.before.id.as_str())
                .bind(id.as_str())
                .bind(stored::store(node)?)
                .execute(&mut *self.db)
                .await
                .map_err(failed(&self.attempt))?;
        }
        Ok(())
    }

    async fn take_volume(&mut self, volume: &ResourceId) -> Result<()> {
        let rows: Vec<(String, String, String)> = sqlx::query_as(concat!(
            "SELECT node.cluster, node.node, node.doc FROM node JOIN cluster ON cluster.id = node.cluster ",
            "WHERE cluster.status = 'deleted' AND instr(node.doc, ?) > 0"
        ))
        .bind(volume.as_str())
        .fetch_all(&mut *self.db)
        .await
        .map_err(failed(&self.attempt))?;
        for (cluster, id, doc) in rows {
            let mut node: Node = stored::read(&doc)?;
            let before = node.disks.len();
            node.disks.retain(|_, disk| disk.volume != *volume);
            if node.disks.len() < before {
                sqlx::query("UPDATE node SET doc = ? WHERE cluster = ? AND node = ?")
                    .bind(stored::store(&node)?)
                    .bind(cluster)
                    .bind(id)
                    .execute(&mut *self.db)
                    .await
                    .map_err(failed(&self.attempt))?;
                return Ok(());
            }
        }
        Err(Error::conflict(format!("{}: another cluster has taken volume `{volume}`", self.attempt)))
    }

    async fn put_secrets(&mut self, keyring: &Keyring, secrets: &[(SecretRef, Secret)]) -> Result<()> {
        let own = format!("{}/", secrets_of(&self.change.before.id));
        for (reference, secret) in secrets {
            if !reference.as_str().starts_with(&own) {
                let message = format!("{}: the secret `{}` is not its own", self.attempt, reference.as_str());
                return Err(Error::bug(message));
            }
            keyring.put(self.db, reference, secret).await?;
        }
        Ok(())
    }

    async fn put_job(&mut self, revision: u64, plan: String) -> Result<JobId> {
        let action = json(&self.action)?;
        let n: i64 = sqlx::query_scalar(concat!(
            "INSERT INTO job (cluster, action, state, run, revision, created) ",
            "VALUES (?, ?, 'running', 1, ?, ?) RETURNING n"
        ))
        .bind(self.change.before.id.as_str())
        .bind(action.trim_matches('"'))
        .bind(i64::try_from(revision).unwrap_or(i64::MAX))
        .bind(self.now.0)
        .fetch_one(&mut *self.db)
        .await
        .map_err(failed(&self.attempt))?;
        let doc = JobDoc { change: self.change.clone(), terms: self.terms };
        sqlx::query("INSERT INTO plan (job, doc, plan) VALUES (?, ?, ?)")
            .bind(n)
            .bind(stored::store(&doc)?)
            .bind(plan)
            .execute(&mut *self.db)
            .await
            .map_err(failed(&self.attempt))?;
        let accepted = EventKind::Accepted {
            action: self.action,
            layers: u32::try_from(self.plan.layers.len()).unwrap_or(u32::MAX),
            tasks: u32::try_from(self.plan.len()).unwrap_or(u32::MAX),
        };
        append(self.db, self.now, n, &accepted).await?;
        Ok(job_id(n))
    }
}

/// Whose secrets those of a cluster are.
pub(super) fn secrets_of(cluster: &ClusterId) -> String {
    format!("cluster/{cluster}")
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::bug("a column can't be serialised").caused_by(&e))
}

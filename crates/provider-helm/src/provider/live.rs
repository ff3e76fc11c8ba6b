//! Releases as they are: what a plan would change, revisions, and releases that something else has made.

use super::{
    Kubernetes, diff,
    findings::{Findings, Found, looks_up, seed_ref, values_in, values_ref},
    parse::spec_of,
};
use crate::{
    api::ApplyOptions,
    calls::{Basis, apply_over},
    chart::Chart,
    lookup::Hidden,
    release::{Release, ReleaseStatus, Revision},
    session::{Loaded, Session, release_in, side_by_side},
    source, values,
};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::FutureExt;
use provider_core::{
    Action, Adopted, AppVersionId, Archive, Change, ChangeKind, Cluster, ClusterId, Error, ErrorKind, Facts,
    KeyChange, Live, Look, ObjectChange, ParsedCluster, Result, RevisionInfo, Secret,
};
use serde_json::{Value, json};
use std::sync::Arc;

#[async_trait]
impl Live for Kubernetes {
    async fn preview(&self, cx: &Look, change: &Change, facts: &Facts) -> Result<Vec<ObjectChange>> {
        let session = self.session(cx).await?;
        if facts.extra.is_null() {
            return Ok(Vec::new());
        }
        let findings = Findings::of(facts)?;
        let deleted = |found: &Found| deleted(found, session.namespace());
        match &change.action {
            Action::DeleteClusters { .. } | Action::CeaseClusters => {
                Ok(findings.objects.iter().filter(|found| !found.keep).map(deleted).collect())
            }
            Action::StopClusters | Action::RestartClusters => Ok(Vec::new()),
            _ => {
                let mut hidden = Hidden::default();
                let loaded = match findings.basis {
                    None => session.load(&findings.release, findings.revision).await?,
                    Some(Basis::Rollback(to)) => session.load(&findings.release, to).await?,
                    Some(_) => {
                        let wanted = findings.wanted(cx).await?;
                        hidden = wanted.lookups.secrets();
                        let made = wanted.make_aside().await?;
                        Arc::new(Loaded::new(made.release)?)
                    }
                };
                let force = change.action == Action::RecoverClusters;
                let mut changes = tried(&session, &findings.objects, &loaded, force, &hidden).await?;
                changes.extend(findings.gone.iter().map(deleted));
                Ok(changes)
            }
        }
    }

    async fn changed_defaults(&self, cx: &Look, change: &Change) -> Result<Vec<KeyChange>> {
        let (before, after) = (&change.before.spec.app, &change.after.app);
        let before = match cx.records.package(before).await {
            _ if before == after => return Ok(Vec::new()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            found => Chart::from_archive(&*found?)?,
        };
        let after = match cx.records.package(after).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            found => Chart::from_archive(&*found?)?,
        };
        let given = values_in(&cx.secrets.resolve(&values_ref(&change.before.id)).await?)?;
        values::changed_defaults(before, after, &given)
    }

    async fn adopt(&self, cx: &Look, cluster: &ClusterId, name: &str) -> Result<Adopted> {
        let session = self.session(cx).await?;
        let revisions = session.revisions(name).await?;
        let newest = newest(&session, name, &revisions)?;
        let loaded = session.load(name, newest.revision).await?;
        let release = &loaded.release;
        let (chart, version) = release.chart_id();
        let app = AppVersionId::of(chart, version);
        let mut parsed = parsed(cluster, release)?;
        if let Value::Object(conf) = &mut parsed.spec.conf {
            conf.insert("adopt".into(), newest.revision.into());
        }
        if newest.status.is_pending() {
            parsed.warnings.push(format!(
                "revision {} is {}: whoever made it did not finish; it is finished now",
                newest.revision, newest.status
            ));
        }
        if release.has_dependencies() {
            parsed.warnings.push(format!(
                "the charts inside `{app}` are not kept in a release: push it before you change this cluster"
            ));
        }
        let discovery = crate::api::Discovery::run(session.api()).await?;
        let objects: Vec<_> = loaded
            .objects()
            .iter()
            .filter_map(|object| {
                let at = |pointer| crate::manifest::text(object, pointer).unwrap_or_default();
                let resource = discovery.resource(at("/apiVersion"), at("/kind"))?.clone();
                let object = crate::api::ObjectRef::of(resource, object, session.namespace());
                Some(Found { object, create: false, keep: false, awaited: false, node: None, replicas: None })
            })
            .collect();
        let changes = tried(&session, &objects, &loaded, false, &Hidden::default()).await?;
        Ok(Adopted { app, package: package(release)?, parsed, changes })
    }

    async fn revision(&self, cx: &Look, cluster: &Cluster, revision: Option<u32>) -> Result<ParsedCluster> {
        let session = self.session(cx).await?;
        let name = &cluster.spec.name;
        let revisions = session.revisions(name).await?;
        let newest = newest(&session, name, &revisions)?.revision;
        let worked = |r: &&Revision| {
            r.revision < newest && matches!(r.status, ReleaseStatus::Superseded | ReleaseStatus::Deployed)
        };
        let found = match revision {
            Some(revision) => revisions.iter().find(|r| r.revision == revision),
            None => revisions.iter().rfind(worked),
        };
        let found = found.ok_or_else(|| {
            let have: Vec<_> = revisions.iter().map(|r| format!("{} ({})", r.revision, r.status)).collect();
            let what = revision
                .map_or_else(|| "no earlier revision that worked".into(), |n| format!("no revision {n}"));
            Error::not_found(format!("`{name}` has {what}")).hint(format!("it has: {}", have.join(", ")))
        })?;
        let loaded = session.load(name, found.revision).await?;
        let mut parsed = parsed(&cluster.id, &loaded.release)?;
        // What the chart made up stays as it is on record: an upgrade later makes the same again.
        if let Ok(seed) = cx.secrets.resolve(&seed_ref(&cluster.id)).await {
            parsed.secrets.retain(|(reference, _)| *reference != seed_ref(&cluster.id));
            parsed.secrets.push((seed_ref(&cluster.id), seed));
        }
        if let Value::Object(conf) = &mut parsed.spec.conf {
            conf.insert("revision".into(), found.revision.into());
            if looks_up(&cluster.spec) {
                conf.insert("lookup".into(), true.into());
            }
        }
        Ok(parsed)
    }

    async fn notes(&self, cx: &Look, cluster: &Cluster) -> Result<Option<String>> {
        let session = self.session(cx).await?;
        let name = &cluster.spec.name;
        let notes = match session.planned_notes(name) {
            Some(notes) => notes,
            None => {
                let query = format!("labelSelector=owner%3Dhelm,status%3Ddeployed,name%3D{name}");
                let secrets = session.api().list(&session.secrets_path(), &query, false).await?;
                let Some(secret) = secrets.last() else { return Ok(None) };
                release_in(secret)?.info.notes
            }
        };
        Ok(Some(notes.trim().to_owned()).filter(|notes| !notes.is_empty()))
    }

    async fn history(&self, cx: &Look, cluster: &Cluster) -> Result<Vec<RevisionInfo>> {
        let session = self.session(cx).await?;
        let mut history = Vec::new();
        for revision in session.revisions(&cluster.spec.name).await? {
            let loaded = session.load(&cluster.spec.name, revision.revision).await?;
            let (chart, version) = loaded.release.chart_id();
            history.push(RevisionInfo {
                revision: revision.revision,
                status: revision.status.to_string(),
                app: (!chart.is_empty()).then(|| AppVersionId::of(chart, version)),
                at: loaded.release.info.last_deployed.clone(),
                description: loaded.release.info.description.clone(),
            });
        }
        Ok(history)
    }
}

fn newest<'a>(session: &Session, name: &str, revisions: &'a [Revision]) -> Result<&'a Revision> {
    revisions.last().filter(|newest| newest.status != ReleaseStatus::Uninstalled).ok_or_else(|| {
        Error::not_found(format!("there is no release `{name}` in the namespace `{}`", session.namespace()))
            .hint("`helm list -a` shows those that there are; the namespace is the runtime's zone")
    })
}

fn deleted(found: &Found, home: &str) -> ObjectChange {
    ObjectChange { object: found.object.seen_from(home), kind: ChangeKind::Delete, fields: Vec::new() }
}

/// What applying would change, as the server says when it is asked to only try.
async fn tried(
    session: &Session,
    objects: &[Found],
    loaded: &Loaded,
    force: bool,
    hidden: &Hidden,
) -> Result<Vec<ObjectChange>> {
    let how = ApplyOptions { force, dry_run: true, ..ApplyOptions::default() };
    let looks = objects.iter().map(|found| {
        async move {
            let name = found.object.seen_from(session.namespace());
            let body = loaded.object(&found.object)?;
            let live = session.api().get(&found.object.path()).await?;
            if live.is_none() {
                return Ok(diff::change(name, None, Some(body), hidden));
            }
            match apply_over(session, &found.object, body, how).await {
                Ok(after) => Ok(diff::change(name, live.as_ref(), Some(&after), hidden)),
                // It would be refused; that it would is worth more than the end of the list.
                Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Invalid) => {
                    let error = hidden.keep_out_of(error);
                    let field = provider_core::FieldChange {
                        path: "would be refused".into(),
                        before: None,
                        after: Some(
                            std::iter::once(error.to_string())
                                .chain(error.causes().iter().cloned())
                                .collect::<Vec<_>>()
                                .join("; "),
                        ),
                    };
                    Ok(ObjectChange { object: name, kind: ChangeKind::Update, fields: vec![field] })
                }
                Err(error) => Err(error),
            }
        }
        .boxed()
    });
    let changes = side_by_side(looks.collect()).await;
    changes.into_iter().collect()
}

/// A stored revision as a wanted cluster.
fn parsed(cluster: &ClusterId, release: &Release) -> Result<ParsedCluster> {
    let (chart, version) = release.chart_id();
    let mut spec = spec_of(release, &release.name, AppVersionId::of(chart, version))?;
    let values = match &release.config {
        Value::Object(_) => release.config.clone(),
        _ => json!({}),
    };
    // It has no seed of ours; whatever its chart makes up comes from what only its own manifest tells.
    let seed = Secret::new(source::digest(release, &Secret::new(release.info.first_deployed.clone())));
    spec.conf = json!({ "digest": source::digest_of_values(&values, &seed) });
    let secrets = vec![(values_ref(cluster), Secret::new(values.to_string())), (seed_ref(cluster), seed)];
    Ok(ParsedCluster { spec, secrets, warnings: Vec::new() })
}

/// As much of a chart as a release keeps.
fn package(release: &Release) -> Result<Archive> {
    let bad = |what: &str| {
        Error::invalid(format!("the chart of `{}` can't be read from its release: {what}", release.name))
    };
    let json = |value: &Value| serde_json::to_vec_pretty(value).map_err(|e| bad(&e.to_string()));
    // JSON is YAML.
    let mut files = vec![
        ("Chart.yaml".to_owned(), json(&release.chart["metadata"])?),
        ("values.yaml".to_owned(), json(&release.chart["values"])?),
    ];
    for list in ["templates", "files"] {
        for file in release.chart[list].as_array().into_iter().flatten() {
            let name = file["name"].as_str().ok_or_else(|| bad("a file has no name"))?;
            let data = STANDARD
                .decode(file["data"].as_str().unwrap_or_default())
                .map_err(|e| bad(&e.to_string()))?;
            files.push((name.to_owned(), data));
        }
    }
    if let Some(schema) = release.chart["schema"].as_str() {
        files.push((
            "values.schema.json".to_owned(),
            STANDARD.decode(schema).map_err(|e| bad(&e.to_string()))?,
        ));
    }
    Archive::from_files(files)
}

//! What a provider tells of an application as it is: its objects, its revisions, and what a change would do to them.

use crate::{
    exit::Outcome,
    print::{Column, Item, column, wide},
    screen::Screen,
    site::Site,
};
use provider_core::{ChangeKind, Cluster, ClusterDetails, Error, FieldChange, ObjectChange, RevisionInfo};
use serde::Serialize;
use std::collections::BTreeSet;

/// The objects that a change touches, as lines for people; nothing when it touches none.
pub(crate) fn changes_sheet(screen: &Screen, changes: &[ObjectChange]) -> String {
    let mut rows = Vec::new();
    for (sign, change) in changes.iter().filter_map(|change| Some((sign(change.kind)?, change))) {
        let verb = match sign {
            "+" => "create",
            "~" => "update",
            _ => "delete",
        };
        rows.push(vec![format!("{sign} {}", change.object), verb.to_owned()]);
        rows.extend(change.fields.iter().map(|field| vec![format!("    {}", field.path), values(field)]));
    }
    if rows.is_empty() {
        String::new()
    } else {
        format!("\n{}", screen.aligned(&["OBJECT", "CHANGE"], &rows))
    }
}

/// What a change is marked with; none for what stays.
pub(crate) fn sign(kind: ChangeKind) -> Option<&'static str> {
    match kind {
        ChangeKind::Create => Some("+"),
        ChangeKind::Update => Some("~"),
        ChangeKind::Delete => Some("-"),
        ChangeKind::Same => None,
    }
}

fn values(field: &FieldChange) -> String {
    match (&field.before, &field.after) {
        (Some(before), Some(after)) => format!("{before} -> {after}"),
        (None, Some(after)) => format!("+ {after}"),
        (Some(before), None) => format!("- {before}"),
        (None, None) => String::new(),
    }
}

/// What the provider tells of a cluster's objects; none where it has nothing to tell.
///
/// # Errors
/// What the provider answered.
pub(crate) async fn details(site: &Site, cluster: &Cluster) -> Outcome<Option<ClusterDetails>> {
    let (_, provider, look) = site.visit(&cluster.runtime).await?;
    if provider.live.is_none() {
        return Ok(None);
    }
    Ok(Some(provider.interface.describe_cluster_details(&look, cluster).await?))
}

/// What the application of a cluster tells its users; none where it has nothing to tell.
///
/// # Errors
/// What the provider answered.
pub(crate) async fn notes_of(site: &Site, cluster: &Cluster) -> Outcome<Option<String>> {
    let (_, provider, look) = site.visit(&cluster.runtime).await?;
    match &provider.live {
        Some(live) => Ok(live.notes(&look, cluster).await?),
        None => Ok(None),
    }
}

/// The objects of a cluster, a table for each kind. Notes are texts, and come elsewhere.
pub(crate) fn details_sheet(screen: &Screen, details: &ClusterDetails) -> String {
    let mut text = String::new();
    for (kind, objects) in details.objects.iter().filter(|(kind, _)| *kind != NOTES) {
        let all: BTreeSet<&str> =
            objects.iter().flat_map(|object| object.keys().map(String::as_str)).collect();
        // The name is what one looks for.
        let mut keys: Vec<&str> = all.iter().copied().filter(|key| *key != "name").collect();
        if all.contains("name") {
            keys.insert(0, "name");
        }
        let mut titles: Vec<String> = keys.iter().map(|key| key.to_uppercase()).collect();
        if let Some(first) = titles.first_mut() {
            *first = kind.to_uppercase();
        }
        let cell = |object: &std::collections::BTreeMap<String, String>, key: &&str| {
            object.get(*key).cloned().unwrap_or_default()
        };
        let rows: Vec<Vec<String>> =
            objects.iter().map(|object| keys.iter().map(|key| cell(object, key)).collect()).collect();
        if !rows.is_empty() {
            text.push('\n');
            text += &screen.aligned(&titles.iter().map(String::as_str).collect::<Vec<_>>(), &rows);
        }
    }
    text
}

const NOTES: &str = "notes";

/// What the package's author says of the application, where there is such a text.
pub(crate) fn notes(details: &ClusterDetails) -> Option<&str> {
    let notes = details.objects.get(NOTES)?.first()?.get("text")?;
    Some(notes.trim()).filter(|notes| !notes.is_empty())
}

/// Prints the revisions that the provider keeps of a cluster.
///
/// # Errors
/// `Unsupported` for a provider that keeps none.
pub(crate) async fn history(site: &Site, screen: &Screen, cluster: &str) -> Outcome {
    let cluster = site.control.cluster(cluster).await?;
    let views: Vec<_> = site.control.history(&cluster).await?.into_iter().map(RevisionView).collect();
    screen.list(&views, "no revision is kept")
}

#[derive(Serialize)]
struct RevisionView(RevisionInfo);

impl Item for RevisionView {
    const KIND: &'static str = "Revision";
    const COLUMNS: &'static [Column] =
        &[column("REVISION"), column("STATUS"), column("APP"), column("AT"), wide("DESCRIPTION")];

    fn name(&self) -> String {
        self.0.revision.to_string()
    }

    fn row(&self) -> Vec<String> {
        let RevisionInfo { revision, status, app, at, description } = &self.0;
        let app = app.as_ref().map(ToString::to_string).unwrap_or_default();
        vec![revision.to_string(), status.clone(), app, at.clone(), description.clone()]
    }
}

/// Says that a cluster's objects could not be asked for: what is on record is shown all the same.
pub(crate) fn say_silent(screen: &Screen, error: &Error) {
    screen.warn(&format!("the provider does not tell of its objects: {error}"));
}

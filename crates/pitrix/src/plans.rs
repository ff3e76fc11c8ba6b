//! `plan`: what a verb on a cluster would do.

mod version;

use crate::{
    args::{Deed, Nothing},
    exit::Outcome,
    live::{changes_sheet, sign},
    print::{Column, Item, column},
    progress::{label, work},
    screen::{Screen, count},
    shapes::{LayerView, moment},
    site::Site,
};
use engine::{Planned, Terms};
use provider_core::{Directive, Effect, InstanceVerb, KeyChange, ObjectChange, Plan, VolumeVerb, Work};
use serde::Serialize;
use std::collections::BTreeMap;
use version::{VersionView, is_move};

/// Carries out a verb.
pub(crate) async fn run(deed: Deed<Nothing, Nothing>, site: &Site, screen: &Screen) -> Outcome {
    let planned = site.control.plan(&deed.request(site).await?).await?;
    planned.check_terms(Terms { undo: deed.undoes(), ..Terms::default() })?;
    for warning in &planned.warnings {
        screen.warn(warning);
    }
    let changes = site.control.preview(&planned).await?;
    let defaults = site.control.changed_defaults(&planned).await?;
    let view = PlanView::new(&planned, changes, defaults);
    screen.one(&view, || view.sheet(screen))
}

/// A plan, as JSON shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlanView {
    cluster: String,
    action: &'static str,
    summary: String,
    zone: String,
    checked: String,
    /// For a move to another version.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<VersionView>,
    layers: Vec<LayerView<TaskView>>,
    /// No call is made twice, and equal ones of a layer may merge: so many at most.
    max_calls: usize,
    quota: BTreeMap<String, QuotaView>,
    /// What it would do to each object, where the provider can tell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<ObjectChange>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskView {
    node: Option<String>,
    work: String,
    timeout_s: u32,
    #[serde(skip)]
    label: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QuotaView {
    needed: u64,
    left: u64,
    total: u64,
}

impl PlanView {
    fn new(planned: &Planned, changes: Vec<ObjectChange>, defaults: Option<Vec<KeyChange>>) -> Self {
        let plan = &planned.plan;
        let layers = plan.layers.iter().map(|layer| LayerView {
            name: layer.name.clone(),
            tasks: layer
                .tasks
                .iter()
                .map(|task| TaskView {
                    node: task.node.as_ref().map(ToString::to_string),
                    work: work(task),
                    timeout_s: task.timeout_s,
                    label: label(task),
                })
                .collect(),
        });
        let quota = plan.facts.headroom.iter().map(|(name, room)| {
            (name.clone(), QuotaView { needed: room.needed, left: room.left, total: room.total })
        });
        let calls = plan.layers.iter().flat_map(|layer| &layer.tasks);
        Self {
            cluster: planned.change.after.name.clone(),
            action: planned.change.action.kind().verb(),
            summary: summary(planned, &changes),
            zone: plan.facts.zone.to_string(),
            checked: moment(plan.facts.taken_at),
            version: VersionView::new(&planned.change, plan, defaults),
            layers: layers.collect(),
            max_calls: calls.filter(|task| !matches!(task.work, Work::AwaitFrontgate)).count(),
            quota: quota.collect(),
            changes,
            warnings: planned.warnings.clone(),
        }
    }

    fn sheet(&self, screen: &Screen) -> String {
        let mut pairs = vec![
            ("plan", format!("{} {}", self.action, self.cluster)),
            ("does", self.summary.clone()),
            ("zone", self.zone.clone()),
            ("calls", format!("at most {}", self.max_calls)),
        ];
        pairs.extend(self.version.iter().flat_map(VersionView::pairs));
        let mut text = screen.pairs(&pairs);
        text += &self.version.as_ref().map(|version| version.keys(screen)).unwrap_or_default();
        let titles = ["LAYER", "WHAT FOR", "TASKS"];
        let rows = self.layers.iter().zip(1..).flat_map(|(layer, number)| {
            layer.tasks.iter().enumerate().map(move |(i, task)| match i {
                0 => vec![format!("{number:>5}"), layer.name.clone(), task.label.clone()],
                _ => vec![" ".to_owned(), " ".to_owned(), task.label.clone()],
            })
        });
        text.push('\n');
        text += &screen.aligned(&titles, &rows.collect::<Vec<_>>());
        text += &changes_sheet(screen, &self.changes);
        if !self.quota.is_empty() {
            let titles = ["QUOTA", "NEEDED", "LEFT", "TOTAL"];
            let rows = self.quota.iter().map(|(name, quota)| {
                vec![name.clone(), quota.needed.to_string(), quota.left.to_string(), quota.total.to_string()]
            });
            text.push('\n');
            text += &screen.aligned(&titles, &rows.collect::<Vec<_>>());
        }
        text
    }
}

impl Item for PlanView {
    const KIND: &'static str = "Plan";
    const COLUMNS: &'static [Column] = &[column("CLUSTER"), column("ACTION"), column("SUMMARY")];

    fn name(&self) -> String {
        self.cluster.clone()
    }

    fn row(&self) -> Vec<String> {
        vec![self.cluster.clone(), self.action.to_owned(), self.summary.clone()]
    }
}

/// A plan in a line: `+ 3 nodes, + 3 volumes; 11 layers, 34 tasks; quota ok (cpu 3/16)`. What it would change of objects
/// is known once that was tried; empty when it was not.
pub(crate) fn summary(planned: &Planned, changes: &[ObjectChange]) -> String {
    if planned.does_nothing() {
        return "nothing to do".to_owned();
    }
    match VersionView::new(&planned.change, &planned.plan, None) {
        Some(version) => version.summary(&effects(&planned.plan, changes)),
        None => resources(&planned.plan, changes),
    }
}

/// What a plan does to resources, how long it is, and what quotas say.
fn resources(plan: &Plan, changes: &[ObjectChange]) -> String {
    let mut effects = effects(plan, changes);
    if effects.is_empty() {
        effects.push_str("no change of resources");
    }
    let mut text = format!("{effects}; {}, {}", count(plan.layers.len(), "layer"), count(plan.len(), "task"));
    let quota = plan.facts.headroom.iter().filter(|(_, room)| room.needed > 0);
    let quota: Vec<_> = quota.map(|(name, room)| format!("{name} {}/{}", room.needed, room.left)).collect();
    if !quota.is_empty() {
        text += &format!("; quota ok ({})", quota.join(", "));
    }
    text
}

/// The defaults that a move to another version changes, as a table on standard error; nothing for another action.
///
/// # Errors
/// When a package can't be read.
pub(crate) async fn say_changed_keys(site: &Site, screen: &Screen, planned: &Planned) -> Outcome {
    if !is_move(&planned.change.action) {
        return Ok(());
    }
    let defaults = site.control.changed_defaults(planned).await?;
    if let Some(version) = VersionView::new(&planned.change, &planned.plan, defaults) {
        let keys = version.keys(screen);
        if !keys.is_empty() {
            screen.talk(&format!("{keys}\n"));
        }
    }
    Ok(())
}

/// What a provider's own steps do to, where it is tried before it is done.
const OBJECT: &str = "object";

/// What a plan does to resources: `+ 3 nodes, + 3 volumes`, `+ 7 objects, ~ 2, - 1, run 3 hooks`.
fn effects(plan: &Plan, changes: &[ObjectChange]) -> String {
    let mut counts: BTreeMap<(usize, &str, &str), usize> = BTreeMap::new();
    for task in plan.layers.iter().flat_map(|layer| &layer.tasks) {
        let Work::Cloud(directive) = &task.work else { continue };
        // In the order in which they are named.
        let key = match directive {
            Directive::Instance(InstanceVerb::Run) => (0, "+", "node"),
            Directive::Volume { verb: VolumeVerb::Create, .. } => (1, "+", "volume"),
            Directive::Instance(InstanceVerb::Delete) => (2, "-", "node"),
            Directive::Volume { verb: VolumeVerb::Delete, .. } => (3, "-", "volume"),
            Directive::Instance(InstanceVerb::Resize) => (4, "~", "node"),
            Directive::Volume { verb: VolumeVerb::Resize, .. } => (5, "~", "volume"),
            Directive::Instance(InstanceVerb::Start) => (6, "start", "node"),
            Directive::Instance(InstanceVerb::Stop) => (7, "stop", "node"),
            Directive::Own { effect: Some(Effect { what, .. }), .. }
                if what == OBJECT && !changes.is_empty() =>
            {
                continue;
            }
            Directive::Own { effect: Some(Effect { sign, what }), .. } => (rank(sign), &**sign, &**what),
            Directive::Own { effect: None, .. }
            | Directive::Volume { verb: VolumeVerb::Attach | VolumeVerb::Detach, .. } => continue,
        };
        *counts.entry(key).or_default() += 1;
    }
    for sign in changes.iter().filter_map(|change| sign(change.kind)) {
        *counts.entry((rank(sign), sign, OBJECT)).or_default() += 1;
    }
    // A node that goes is stopped first, one that comes is started, one that changes both: that is no news.
    let has = |sign: &str| counts.keys().any(|(_, key, what)| *key == sign && *what == "node");
    let (comes, goes, changes) = (has("+"), has("-"), has("~"));
    let is_news =
        |sign: &str| !((comes || changes) && sign == "start" || (goes || changes) && sign == "stop");
    let (mut parts, mut last) = (Vec::new(), "");
    for ((_, sign, what), n) in counts.iter().filter(|((_, sign, _), _)| is_news(sign)) {
        // What was said just before need not be said again.
        let again = *what == OBJECT && last == OBJECT;
        parts.push(if again { format!("{sign} {n}") } else { format!("{sign} {}", count(*n, what)) });
        last = what;
    }
    parts.join(", ")
}

/// The place of what a provider's own steps do.
fn rank(sign: &str) -> usize {
    8 + ["+", "~", "-"].iter().position(|start| sign.starts_with(start)).unwrap_or(3)
}

#[cfg(test)]
mod tests;

//! What moving to another version does to a cluster, told before it happens.

use crate::screen::{Screen, count};
use provider_core::{
    Action, AgentVerb, Change, ClusterSpec, Directive, EnvValue, InstanceVerb, KeyChange, NodeId, Plan,
    Rollback, ServiceName, Work,
};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A move to another version, as JSON shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VersionView {
    pub(super) from: String,
    pub(super) to: String,
    /// In the order in which they move; none of those that a provider looks after by itself, of which nothing more is
    /// known either.
    pub(super) nodes: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) downtime: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) data: String,
    pub(super) rollback: String,
    pub(super) config: Vec<KeyChange>,
}

/// How many keys a table shows, and how much of each value.
const KEYS_SHOWN: usize = 40;
const VALUE_SHOWN: usize = 48;

impl VersionView {
    /// None for an action that keeps the version. `defaults` are those that change, where the answers on record don't
    /// tell.
    pub(super) fn new(change: &Change, plan: &Plan, defaults: Option<Vec<KeyChange>>) -> Option<Self> {
        let Change { action, before, after } = change;
        if !is_move(action) {
            return None;
        }
        let order = order(plan);
        let of_nodes = |text: String| if order.is_empty() { String::new() } else { text };
        Some(Self {
            from: change.moves_from().version().to_owned(),
            to: after.app.version().to_owned(),
            downtime: of_nodes(downtime(plan, after)),
            data: of_nodes(data(plan, after, action)),
            rollback: rollback(before.spec.rollback, after.rollback, action).to_owned(),
            config: defaults.unwrap_or_else(|| config(&before.spec, after)),
            nodes: order.into_iter().map(|id| id.to_string()).collect(),
        })
    }

    /// In a line, with what the plan does to resources.
    pub(super) fn summary(&self, effects: &str) -> String {
        let Self { from, to, downtime, data, rollback, .. } = self;
        if self.nodes.is_empty() {
            let parts = [format!("{from} -> {to}"), effects.to_owned(), rollback.clone()];
            return parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
        }
        let nodes = count(self.nodes.len(), "node");
        format!("~ {nodes} {from} -> {to}; {downtime}; {data}; {rollback}")
    }

    /// What a plan says besides.
    pub(super) fn pairs(&self) -> [(&'static str, String); 4] {
        [
            ("nodes", self.nodes.join(", ")),
            ("downtime", self.downtime.clone()),
            ("data", self.data.clone()),
            ("back", self.rollback.clone()),
        ]
    }

    /// The keys that change, as a table; empty when none does.
    pub(super) fn keys(&self, screen: &Screen) -> String {
        if self.config.is_empty() {
            return String::new();
        }
        let cell = |value: &Option<String>| value.as_deref().map(shortened).unwrap_or_default();
        let rows = self.config.iter().take(KEYS_SHOWN).map(|change| {
            let sign = match (&change.before, &change.after) {
                (None, _) => "+",
                (_, None) => "-",
                _ => "~",
            };
            let mut row = vec![format!("{sign} {}", change.key), cell(&change.before), cell(&change.after)];
            if change.is_overridden {
                row.push("your own value stays".to_owned());
            }
            row
        });
        let titles = ["CONFIG", "BEFORE", "AFTER"];
        let mut text = format!("\n{}", screen.aligned(&titles, &rows.collect::<Vec<_>>()));
        if let more @ 1.. = self.config.len().saturating_sub(KEYS_SHOWN) {
            text += &format!("and {more} more, see them all with `-o json`\n");
        }
        text
    }
}

/// Whether an action leads to another version.
pub(super) fn is_move(action: &Action) -> bool {
    matches!(action, Action::UpgradeCluster { .. } | Action::RollbackCluster { .. })
}

fn shortened(value: &str) -> String {
    if value.chars().count() <= VALUE_SHOWN {
        return value.to_owned();
    }
    value.chars().take(VALUE_SHOWN - 1).chain(['…']).collect()
}

/// The nodes in the order in which they are configured anew.
fn order(plan: &Plan) -> Vec<&NodeId> {
    let mut nodes = Vec::new();
    for layer in &plan.layers {
        for id in configured(&layer.tasks) {
            if !nodes.contains(&id) {
                nodes.push(id);
            }
        }
    }
    nodes
}

fn configured(tasks: &[provider_core::Task]) -> impl Iterator<Item = &NodeId> {
    tasks
        .iter()
        .filter(|task| matches!(task.work, Work::Agent(AgentVerb::Configure)))
        .filter_map(|task| task.node.as_ref())
}

/// Who is away when, in words: how long a service takes to come up is known to nobody before.
fn downtime(plan: &Plan, after: &ClusterSpec) -> String {
    let goes_down = |work: &Work| {
        matches!(
            work,
            Work::Agent(AgentVerb::Service { service: ServiceName::Stop | ServiceName::Restart, .. })
                | Work::Cloud(Directive::Instance(InstanceVerb::Stop))
        )
    };
    let down: Vec<BTreeSet<_>> = plan
        .layers
        .iter()
        .map(|layer| {
            let tasks = layer.tasks.iter().filter(|task| goes_down(&task.work));
            tasks.filter_map(|task| task.node.as_ref()).collect()
        })
        .filter(|nodes: &BTreeSet<_>| !nodes.is_empty())
        .collect();
    if down.is_empty() {
        return "no node goes down".to_owned();
    }
    let order = order(plan);
    let is_replica = |id: &&NodeId| after.nodes.get(*id).is_some_and(|node| node.replica);
    let first = order.iter().take_while(|id| is_replica(id)).count();
    let replicas_first = first > 0 && !order[first..].iter().any(is_replica);
    let mut text = if down.iter().all(|nodes| nodes.len() == 1) {
        "one at a time, each away while it restarts".to_owned()
    } else {
        let most = down.iter().map(BTreeSet::len).max().unwrap_or_default();
        format!("up to {} away at once while they restart", count(most, "node"))
    };
    if replicas_first {
        text += ", replicas first";
    }
    if let Some(last) = order.last().filter(|_| order.len() > 1) {
        text += &format!(", {last} last");
    }
    text
}

fn data(plan: &Plan, after: &ClusterSpec, action: &Action) -> String {
    let is_backup =
        |work: &Work| matches!(work, Work::Agent(AgentVerb::Service { service: ServiceName::Backup, .. }));
    let backed_up = plan.layers.iter().flat_map(|layer| &layer.tasks).any(|task| is_backup(&task.work));
    let disks = after.nodes.keys().filter_map(|id| after.role_of(id)).map(|role| role.disks.len()).sum();
    let kept = if disks == 0 { "no volumes".to_owned() } else { format!("{} kept", count(disks, "volume")) };
    match action {
        _ if backed_up => format!("{kept}, backed up first"),
        Action::UpgradeCluster { backup: true, .. } => format!("{kept}, no backup service to run first"),
        _ => kept,
    }
}

/// Whether one can come back.
fn rollback(before: Rollback, after: Rollback, action: &Action) -> &'static str {
    let leaves = if matches!(action, Action::UpgradeCluster { .. }) { after } else { before };
    match (action, leaves) {
        (Action::RollbackCluster { .. }, _) => "an upgrade leads here again",
        (_, Rollback::Safe) => "rollback safe",
        (_, Rollback::NeedsRestore) => "rollback needs a restored backup",
        (_, Rollback::Impossible) => "no way back",
    }
}

/// The answers that come, go or change, and parameters of roles that do so without an answer.
fn config(before: &ClusterSpec, after: &ClusterSpec) -> Vec<KeyChange> {
    let mut changes = changes(&answers(before), &answers(after));
    for parameter in self::changes(&parameters(before), &parameters(after)) {
        let follows = |answer: &KeyChange| {
            let same_name = answer.key.rsplit('.').next() == parameter.key.split(' ').nth(1);
            same_name && (&answer.before, &answer.after) == (&parameter.before, &parameter.after)
        };
        if !changes.iter().any(follows) {
            changes.push(parameter);
        }
    }
    changes
}

fn changes(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<KeyChange> {
    let all: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    all.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| KeyChange {
            key: key.clone(),
            before: old.get(key).cloned(),
            after: new.get(key).cloned(),
            is_overridden: false,
        })
        .collect()
}

/// Every answer by its key path. Secrets have no value to show.
fn answers(spec: &ClusterSpec) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    flatten("", &spec.conf, &mut all);
    all
}

/// Every parameter of every role.
fn parameters(spec: &ClusterSpec) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (role, spec) in &spec.roles {
        for (key, value) in &spec.env {
            let value = match value {
                EnvValue::Plain(value) => shown(value),
                EnvValue::Secret(_) => SECRET.to_owned(),
            };
            all.insert(format!("parameter {key} of {role}"), value);
        }
    }
    all
}

const SECRET: &str = "a secret";

fn flatten(path: &str, value: &Value, all: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, all);
            }
        }
        // In answers, null stands for a password.
        Value::Null if path.is_empty() => {}
        Value::Null => drop(all.insert(path.to_owned(), SECRET.to_owned())),
        value => drop(all.insert(path.to_owned(), shown(value))),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;

//! What moving to another version does to a cluster, told before it happens.

use crate::screen::{Screen, count};
use provider_core::{
    Action, AgentVerb, Change, ClusterSpec, Directive, EnvValue, InstanceVerb, NodeId, Plan, Rollback,
    ServiceName, Work,
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
    /// In the order in which they move.
    pub(super) nodes: Vec<String>,
    pub(super) downtime: String,
    pub(super) data: String,
    pub(super) rollback: String,
    pub(super) config: Vec<KeyChange>,
}

/// A key of the configuration that changes.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeyChange {
    pub(super) key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<String>,
}

impl VersionView {
    /// None for an action that keeps the version.
    pub(super) fn new(change: &Change, plan: &Plan) -> Option<Self> {
        let Change { action, before, after } = change;
        if !matches!(action, Action::UpgradeCluster { .. } | Action::RollbackCluster { .. }) {
            return None;
        }
        let order = order(plan);
        Some(Self {
            from: before.spec.app.version().to_owned(),
            to: after.app.version().to_owned(),
            downtime: downtime(plan, after),
            data: data(plan, after, action),
            rollback: rollback(before.spec.rollback, after.rollback, action).to_owned(),
            config: config(&before.spec, after),
            nodes: order.into_iter().map(|id| id.to_string()).collect(),
        })
    }

    /// In a line.
    pub(super) fn summary(&self) -> String {
        let nodes = count(self.nodes.len(), "node");
        let Self { from, to, downtime, data, rollback, .. } = self;
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
        let cell = |value: &Option<String>| value.clone().unwrap_or_default();
        let rows = self.config.iter().map(|change| {
            let sign = match (&change.before, &change.after) {
                (None, _) => "+",
                (_, None) => "-",
                _ => "~",
            };
            vec![format!("{sign} {}", change.key), cell(&change.before), cell(&change.after)]
        });
        format!("\n{}", screen.aligned(&["CONFIG", "BEFORE", "AFTER"], &rows.collect::<Vec<_>>()))
    }
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

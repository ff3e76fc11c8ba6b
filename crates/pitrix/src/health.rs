//! How the applications of clusters are, as their agents say, or their providers where those know: asked when it is
//! shown, and never kept.

use crate::{
    print::{Column, Item, column},
    screen::{Span, count},
    shapes::{moment, word},
    site::Site,
};
use provider_core::{
    Cluster, ClusterStatus, Error, Health, InstanceState, NodeFacts, NodeId, Result, Timestamp,
};
use serde::Serialize;
use std::collections::BTreeMap;
use tokio::task::JoinSet;

/// Whether something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Healthy,
    /// It can be asked and does not work, or parts of it don't.
    Degraded,
    /// It can't be asked.
    Unreachable,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unreachable => "unreachable",
        }
    }
}

/// How a node's application is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeHealth {
    pub(crate) state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// How long that is so.
    #[serde(skip)]
    age: Option<Span>,
}

impl NodeHealth {
    fn new(said: &Result<Health>, now: Timestamp) -> Self {
        match said {
            // Nothing has happened yet that it could be dated by.
            Ok(health) if !health.started => Self {
                state: State::Degraded,
                cause: health.cause.clone().or_else(|| Some("its services are not started".to_owned())),
                since: None,
                age: None,
            },
            Ok(health) => Self {
                state: if health.healthy { State::Healthy } else { State::Degraded },
                cause: health.cause.clone().filter(|_| !health.healthy),
                since: Some(moment(health.since)),
                age: Some(Span(now.since(health.since))),
            },
            Err(error) => Self::unreachable(error.to_string()),
        }
    }

    fn unreachable(cause: String) -> Self {
        Self { state: State::Unreachable, cause: Some(cause), since: None, age: None }
    }

    /// In a cell: nothing more to say about a node that works.
    pub(crate) fn shown(&self) -> String {
        match (self.state, self.why()) {
            (State::Healthy, _) => self.state.as_str().to_owned(),
            (_, why) => format!("{}: {why}", self.state.as_str()),
        }
    }

    fn why(&self) -> String {
        let cause = self.cause.clone().unwrap_or_else(|| "it does not work".to_owned());
        match self.age {
            // Tenths of a second are no news.
            Some(Span(age)) if age.as_secs() < 60 => format!("{cause}, {} s ago", age.as_secs()),
            Some(age) => format!("{cause}, {age} ago"),
            None => cause,
        }
    }
}

/// How a cluster's application is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClusterHealth {
    pub(crate) state: State,
    /// How many nodes work, of those that could be asked or should be there to be asked.
    pub(crate) healthy: usize,
    #[serde(skip)]
    pub(crate) nodes: BTreeMap<NodeId, NodeHealth>,
}

impl ClusterHealth {
    fn new(nodes: BTreeMap<NodeId, NodeHealth>) -> Option<Self> {
        let best = nodes.values().map(|node| node.state).min()?;
        let worst = nodes.values().map(|node| node.state).max()?;
        let healthy = nodes.values().filter(|node| node.state == State::Healthy).count();
        Some(Self { state: if best == worst { best } else { State::Degraded }, healthy, nodes })
    }

    /// What is wrong, in a line; empty when all is well.
    pub(crate) fn reason(&self) -> String {
        let mut ill = self.nodes.iter().filter(|(_, node)| node.state != State::Healthy);
        let Some((id, node)) = ill.next() else { return String::new() };
        match ill.count() {
            0 => format!("{id}: {}", node.why()),
            more => format!("{id}: {}; {}", node.why(), count(more, "more node")),
        }
    }
}

/// Asks about clusters, all side by side and each for a bounded time. None for a cluster that is not meant to work, or of
/// which nobody knows.
pub(crate) async fn ask(site: &Site, clusters: &[Cluster]) -> Vec<Option<ClusterHealth>> {
    let mut asked = JoinSet::new();
    for (place, cluster) in clusters.iter().enumerate() {
        if cluster.status == ClusterStatus::Active {
            let (control, cluster) = (site.control.clone(), cluster.clone());
            asked.spawn(async move { (place, control.health(&cluster).await, cluster) });
        }
    }
    let now = site.now();
    let mut found: Vec<_> = clusters.iter().map(|_| None).collect();
    for (place, said, cluster) in asked.join_all().await {
        found[place] = of_cluster(&cluster, &said, now);
    }
    found
}

/// Asks about one.
pub(crate) async fn ask_one(site: &Site, cluster: &Cluster) -> Option<ClusterHealth> {
    ask(site, std::slice::from_ref(cluster)).await.pop().flatten()
}

fn of_cluster(
    cluster: &Cluster,
    said: &BTreeMap<NodeId, Result<Health>>,
    now: Timestamp,
) -> Option<ClusterHealth> {
    let has_agent = |id: &&NodeId| cluster.spec.role_of(id).is_some_and(|role| role.agent_installed);
    let nodes = cluster.spec.nodes.keys().filter(|id| has_agent(id) || said.contains_key(*id)).map(|id| {
        let missing = || Err(Error::unavailable("it has no agent on record"));
        let said = said.get(id).cloned().unwrap_or_else(missing);
        (id.clone(), NodeHealth::new(&said, now))
    });
    ClusterHealth::new(nodes.collect())
}

/// What is true of a node, as its provider and its agent say.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeTruth {
    node: String,
    /// `missing` when the provider does not have it.
    instance: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<NodeHealth>,
}

impl NodeTruth {
    pub(crate) fn new(id: &NodeId, facts: &NodeFacts, now: Timestamp) -> Self {
        let health = match (&facts.health, facts.instance) {
            (Some(health), _) => Some(NodeHealth::new(&Ok(health.clone()), now)),
            (None, InstanceState::Running) => {
                Some(NodeHealth::unreachable("its agent does not answer".to_owned()))
            }
            (None, _) => None,
        };
        Self { node: id.to_string(), instance: word(&facts.instance), health }
    }

    /// Whether there is nothing to repair.
    pub(crate) fn is_well(&self) -> bool {
        self.health.as_ref().is_some_and(|health| health.state == State::Healthy)
    }

    /// What there is to repair, for people.
    pub(crate) fn finding(&self) -> String {
        let found = match (self.instance.as_str(), &self.health) {
            ("running", Some(NodeHealth { state: State::Degraded, cause, .. })) => {
                let cause = cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
                format!("service down{cause}, instance intact")
            }
            ("running", _) => "the agent does not answer, instance intact".to_owned(),
            // What the provider says of it.
            (_, Some(NodeHealth { cause: Some(cause), .. })) => cause.clone(),
            ("pending", _) => "the instance is starting".to_owned(),
            (state, _) => format!("instance {state}"),
        };
        format!("{}: {found}", self.node)
    }
}

impl Item for NodeTruth {
    const KIND: &'static str = "NodeTruth";
    const COLUMNS: &'static [Column] = &[column("NODE"), column("INSTANCE"), column("HEALTH")];

    fn name(&self) -> String {
        self.node.clone()
    }

    fn row(&self) -> Vec<String> {
        let health = self.health.as_ref().map(NodeHealth::shown).unwrap_or_default();
        vec![self.node.clone(), self.instance.clone(), health]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use insta::assert_snapshot;

    /// Three nodes: one that works, one that does not, one that can't be asked.
    pub(crate) fn health(nodes: &[&str]) -> ClusterHealth {
        let said = [
            Ok(Health { started: true, healthy: true, since: Timestamp(1_000), cause: None }),
            Ok(Health {
                started: true,
                healthy: false,
                since: Timestamp(51_000),
                cause: Some("health check failed 3 times".to_owned()),
            }),
            Err(Error::unavailable("its agent does not answer")),
        ];
        let nodes = nodes.iter().zip(&said);
        let nodes = nodes.map(|(id, said)| (NodeId::new(*id), NodeHealth::new(said, Timestamp(60_000))));
        ClusterHealth::new(nodes.collect()).unwrap()
    }

    #[test]
    fn a_cluster_is_as_its_nodes_are() {
        fn check(states: &[State], expected: Option<State>) {
            let node = |state| NodeHealth { state, cause: None, since: None, age: None };
            let nodes =
                states.iter().zip(1..).map(|(state, n)| (NodeId::new(format!("a-{n}")), node(*state)));
            assert_eq!(
                ClusterHealth::new(nodes.collect()).map(|health| health.state),
                expected,
                "{states:?}"
            );
        }
        use State::{Degraded, Healthy, Unreachable};
        check(&[], None);
        check(&[Healthy, Healthy], Some(Healthy));
        check(&[Healthy, Degraded], Some(Degraded));
        check(&[Healthy, Unreachable], Some(Degraded));
        check(&[Degraded, Unreachable], Some(Degraded));
        check(&[Unreachable, Unreachable], Some(Unreachable));
    }

    #[test]
    fn the_reason_names_the_node_the_cause_and_since_when() {
        assert_eq!(health(&["a-1"]).reason(), "");
        assert_eq!(health(&["a-1", "a-2"]).reason(), "a-2: health check failed 3 times, 9 s ago");
        assert_eq!(
            health(&["a-1", "a-2", "a-3"]).reason(),
            "a-2: health check failed 3 times, 9 s ago; 1 more node"
        );
    }

    #[test]
    fn what_was_found_of_a_node_is_said_in_words() {
        let health = |healthy, cause: Option<&str>| {
            Some(Health { started: true, healthy, since: Timestamp(0), cause: cause.map(str::to_owned) })
        };
        let idle = Some(Health { started: false, healthy: false, since: Timestamp(0), cause: None });
        let truth = |instance, health| {
            let truth = NodeTruth::new(&NodeId::new("a-1"), &NodeFacts { instance, health }, Timestamp(5));
            if truth.is_well() { "well".to_owned() } else { truth.finding() }
        };
        let found = [
            truth(InstanceState::Running, health(true, None)),
            truth(InstanceState::Running, health(false, Some("no process runs"))),
            truth(InstanceState::Running, idle),
            truth(InstanceState::Running, None),
            truth(InstanceState::Pending, None),
            truth(InstanceState::Stopped, None),
            truth(InstanceState::Missing, None),
        ];
        assert_snapshot!(found.join("\n"), @r"
        well
        a-1: service down (no process runs), instance intact
        a-1: service down (its services are not started), instance intact
        a-1: the agent does not answer, instance intact
        a-1: the instance is starting
        a-1: instance stopped
        a-1: instance missing
        ");
    }
}

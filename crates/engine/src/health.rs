//! What is true of clusters: asked each time, and never kept.

use crate::Control;
use provider_core::{Cluster, Error, Health, Look, NodeFacts, NodeId, Provider, Result};
use std::{collections::BTreeMap, time::Duration};
use tokio::task::JoinSet;

/// How long an agent may take to say how its application is.
const AGENT_PATIENCE: Duration = Duration::from_secs(2);
/// How long a provider may take to say how the applications of a cluster are. It may have to log in first.
const PROVIDER_PATIENCE: Duration = Duration::from_secs(5);

impl Control {
    /// What is true of each node: of its instance by its provider, of its application by its agent or, where there is
    /// none, by a provider that knows.
    ///
    /// # Errors
    /// What the provider answered. An agent that does not answer is no error.
    pub async fn observe(&self, cluster: &Cluster) -> Result<BTreeMap<NodeId, NodeFacts>> {
        let (runtime, provider) = self.place(&cluster.runtime).await?;
        self.found(&provider, &self.look(runtime).await?, cluster).await
    }

    pub(crate) async fn found(
        &self,
        provider: &Provider,
        look: &Look,
        cluster: &Cluster,
    ) -> Result<BTreeMap<NodeId, NodeFacts>> {
        let mut facts = BTreeMap::new();
        for observation in provider.interface.update_cluster_status(look, cluster).await? {
            let found = NodeFacts { instance: observation.instance, health: observation.health };
            facts.insert(observation.node, found);
        }
        for (node, health) in self.asked_of_agents(cluster).await {
            if let Some(found) = facts.get_mut(&node) {
                found.health = health.ok();
            }
        }
        Ok(facts)
    }

    /// What is said of the application on each node of a cluster: by the agents, asked side by side, and for nodes
    /// without one by the provider; an error for each of which nothing is said in time. Nodes of which nobody could
    /// know are left out.
    pub async fn health(&self, cluster: &Cluster) -> BTreeMap<NodeId, Result<Health>> {
        let mut said = self.asked_of_agents(cluster).await;
        let silent: Vec<_> =
            cluster.spec.nodes.keys().filter(|id| !has_agent(cluster, id)).cloned().collect();
        if silent.is_empty() {
            return said;
        }
        let asked = tokio::select! {
            asked = self.asked_of_provider(cluster) => asked,
            () = self.clock.sleep(PROVIDER_PATIENCE) => Err(Error::unavailable(format!(
                "runtime `{}` does not answer in {} s", cluster.runtime, PROVIDER_PATIENCE.as_secs()
            ))),
        };
        match asked {
            Ok(asked) => said.extend(asked.into_iter().map(|(id, health)| (id, Ok(health)))),
            Err(error) => said.extend(silent.into_iter().map(|id| (id, Err(error.clone())))),
        }
        said
    }

    async fn asked_of_agents(&self, cluster: &Cluster) -> BTreeMap<NodeId, Result<Health>> {
        let mut asked = JoinSet::new();
        for (id, node) in cluster.nodes.iter().filter(|(id, _)| has_agent(cluster, id)) {
            let agent = node.instance.as_ref().and_then(|instance| instance.agent.clone());
            if let Some(agent) = agent {
                let (pilot, clock, id) = (self.pilot.clone(), self.clock.clone(), id.clone());
                asked.spawn(async move {
                    let answer = tokio::select! {
                        status = pilot.status(&agent) => status.and_then(|status| status.health.ok_or_else(|| {
                            Error::unavailable("its agent has not been configured")
                        })),
                        () = clock.sleep(AGENT_PATIENCE) => Err(Error::unavailable("its agent does not answer")),
                    };
                    (id, answer)
                });
            }
        }
        asked.join_all().await.into_iter().collect()
    }

    /// Nothing where the provider has only instances to tell of.
    async fn asked_of_provider(&self, cluster: &Cluster) -> Result<BTreeMap<NodeId, Health>> {
        let (runtime, provider) = self.place(&cluster.runtime).await?;
        if provider.live.is_none() {
            return Ok(BTreeMap::new());
        }
        let look = self.look(runtime).await?;
        let observations = provider.interface.update_cluster_status(&look, cluster).await?;
        Ok(observations.into_iter().filter_map(|seen| Some((seen.node, seen.health?))).collect())
    }
}

fn has_agent(cluster: &Cluster, node: &NodeId) -> bool {
    cluster.spec.role_of(node).is_some_and(|role| role.agent_installed)
}

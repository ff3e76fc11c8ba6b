//! Bringing reality back to the record: no more than was found to be missing.

use super::layers::{await_healthy, mount, push_metadata};
use super::life::{around, machines};
use super::nodes::{NodeView, restored, those};
use super::services::restarts;
use provider_core::{Change, Facts, InstanceState, Layer, NodeStatus, Result};

/// A node whose instance is gone gets another one with its old disks; its data is there, so it is not initialised
/// again. An instance that is down, or whose agent is silent, is started. An application that is down is started,
/// one that does not work restarted.
pub(super) fn recover(change: &Change, facts: &Facts) -> Result<Vec<Layer>> {
    let found = |node: NodeView<'_>| facts.nodes.get(node.id);
    let nodes = restored(change, facts)?;
    let is_down = |node: &NodeView<'_>| {
        let is_silent = |health: bool| node.agent_role().is_some() && !health;
        node.is_fresh()
            || !node.is(NodeStatus::Active)
            || found(*node).is_some_and(|found| {
                found.instance != InstanceState::Running || is_silent(found.health.is_some())
            })
    };
    let (down, up): (Vec<_>, Vec<_>) = nodes.iter().copied().partition(is_down);
    let health = |node: &NodeView<'_>| found(*node).and_then(|found| found.health.as_ref());
    let ill = those(&up, |node| health(node).is_some_and(|health| health.started && !health.healthy));
    let idle = those(&up, |node| health(node).is_some_and(|health| !health.started));
    let mut layers = Vec::new();
    if !down.is_empty() {
        layers = machines(&down, facts.needs_frontgate);
        let has_news = down.iter().any(NodeView::tells_its_peers);
        layers.push(push_metadata(&those(&nodes, |node| has_news || !node.is_fresh())));
    }
    // Where the application is down, a job that was cut short may have unmounted what it did not come to detach.
    layers.push(mount(&idle));
    let (new, behind) = (those(&down, NodeView::is_new), those(&down, NodeView::is_left_behind));
    let again = restarts(&nodes, &ill, &[&down[..], &idle].concat());
    layers.extend(around(again, &new, &behind));
    layers.push(await_healthy(&[down, ill, idle].concat()));
    Ok(layers)
}

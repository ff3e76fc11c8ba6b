//! The nodes that a plan is about: what is wanted of each beside what is on record.

use provider_core::{
    Change, Cluster, ClusterSpec, ClusterStatus, Disk, Error, Node, NodeId, NodeSpec, NodeStatus, Result,
    RoleName, RoleSpec,
};

/// One node.
#[derive(Clone, Copy)]
pub(super) struct NodeView<'a> {
    pub(super) id: &'a NodeId,
    /// None for a node that is on record and wanted no more. It has no role, so no agent task reaches it.
    wanted: Option<(&'a NodeSpec, &'a RoleSpec)>,
    /// None for a node that is wanted and not on record yet.
    record: Option<&'a Node>,
}

/// The wanted nodes, by role and then server id.
pub(super) fn wanted(change: &Change) -> Result<Vec<NodeView<'_>>> {
    let view = |id| {
        let record = change.before.nodes.get(id);
        let wanted = find_wanted(&change.after, id);
        let lost = || Error::invalid(format!("planning node `{id}`: the cluster does not have its role"));
        Ok(NodeView { id, wanted: Some(wanted.ok_or_else(lost)?), record })
    };
    change.after.nodes.keys().map(view).collect::<Result<_>>().map(in_order)
}

/// The nodes on record, by role and then server id; those that are wanted no more come last.
pub(super) fn on_record(cluster: &Cluster) -> Vec<NodeView<'_>> {
    let view = |(id, record)| NodeView { id, wanted: find_wanted(&cluster.spec, id), record: Some(record) };
    in_order(cluster.nodes.iter().map(view).collect())
}

/// Those of `nodes` whose agents can be expected to answer. In a cluster that was never completed none can: it
/// may have stopped short of telling them who they are.
pub(super) fn in_service<'a>(cluster: &Cluster, nodes: &[NodeView<'a>]) -> Vec<NodeView<'a>> {
    let mut serving = nodes.to_vec();
    serving.retain(|node| cluster.status == ClusterStatus::Active && node.is(NodeStatus::Active));
    serving
}

fn find_wanted<'a>(spec: &'a ClusterSpec, id: &NodeId) -> Option<(&'a NodeSpec, &'a RoleSpec)> {
    let node = spec.nodes.get(id)?;
    Some((node, spec.roles.get(&node.role)?))
}

fn in_order(mut nodes: Vec<NodeView<'_>>) -> Vec<NodeView<'_>> {
    nodes.sort_by_key(|node| {
        let place = node.wanted.map(|(node, _)| (&node.role, node.server_id));
        (place.is_none(), place, node.id)
    });
    nodes
}

impl<'a> NodeView<'a> {
    /// The nodes that `nodes_to_execute_on` counts together: the base nodes of a role, or its replicas (true).
    pub(super) fn group(&self) -> Option<(&'a RoleName, bool)> {
        self.wanted.map(|(node, _)| (&node.role, node.replica))
    }

    /// Its role, when an agent can do something for it.
    pub(super) fn agent_role(&self) -> Option<&'a RoleSpec> {
        self.wanted.map(|(_, role)| role).filter(|role| role.agent_installed)
    }

    /// Whether its agent finds out something that other nodes need in their metadata.
    pub(super) fn tells_its_peers(&self) -> bool {
        self.agent_role().is_some_and(|role| role.passphraseless.is_some() || role.custom_metadata.is_some())
    }

    /// Whether an instance is on record.
    pub(super) fn has_instance(&self) -> bool {
        self.record.is_some_and(|node| node.instance.is_some())
    }

    /// Whether any disk is on record.
    pub(super) fn has_disks(&self) -> bool {
        self.record.is_some_and(|node| !node.disks.is_empty())
    }

    /// Whether its instance and all its disks are on record, the disks attached.
    pub(super) fn is_complete(&self) -> bool {
        self.has_instance() && self.wanted_disks().all(|index| self.is_attached(index))
    }

    pub(super) fn is(&self, status: NodeStatus) -> bool {
        self.record.is_some_and(|node| node.status == status)
    }

    /// The indexes of the disks that its role asks for.
    pub(super) fn wanted_disks(&self) -> impl Iterator<Item = u32> + use<'a> {
        let disks = self.wanted.map_or(&[][..], |(_, role)| &role.disks);
        (0..).zip(disks).map(|(index, _)| index)
    }

    /// The indexes of the disks on record.
    pub(super) fn disks(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.record.into_iter().flat_map(|node| node.disks.keys().copied())
    }

    pub(super) fn has_disk(&self, index: u32) -> bool {
        self.disk(index).is_some()
    }

    pub(super) fn is_attached(&self, index: u32) -> bool {
        self.disk(index).is_some_and(|disk| disk.device.is_some())
    }

    fn disk(&self, index: u32) -> Option<&'a Disk> {
        self.record?.disks.get(&index)
    }
}

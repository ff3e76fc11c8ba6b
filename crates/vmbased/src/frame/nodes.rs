//! The nodes that a plan is about: what is wanted of each beside what is on record.

use provider_core::{
    AppVersionId, Change, Cluster, ClusterSpec, ClusterStatus, Disk, Error, Facts, InstanceState, Node,
    NodeId, NodeSpec, NodeStatus, Result, RoleName, RoleSpec, ServiceName,
};
use std::iter::once;

/// One node.
#[derive(Clone, Copy)]
pub(super) struct NodeView<'a> {
    pub(super) id: &'a NodeId,
    /// None for a node that is on record and wanted no more. It has no role, so no agent task reaches it.
    wanted: Option<(&'a NodeSpec, &'a RoleSpec)>,
    /// None for a node that is wanted and not on record yet.
    record: Option<&'a Node>,
    /// Of the cluster.
    status: ClusterStatus,
    /// Whether it joins a cluster that was completed before.
    joins: bool,
    /// Whether its data is of the version before, because an upgrade stopped short of it.
    is_behind: bool,
    /// What the instance on record was found to be, if somebody looked.
    found: Option<InstanceState>,
    /// Whether what is gone is to be made again, whatever the record says.
    is_lost: bool,
    /// Whether its disks will have been detached.
    is_loose: bool,
}

/// The wanted nodes, by role and then server id.
pub(super) fn wanted<'a>(change: &'a Change, facts: &Facts) -> Result<Vec<NodeView<'a>>> {
    let lost = |id| Error::invalid(format!("planning node `{id}`: the cluster does not have its role"));
    let views = change.after.nodes.keys().map(|id| {
        let view = view(&change.before, &change.after, facts, id);
        if view.wanted.is_some() { Ok(view) } else { Err(lost(id)) }
    });
    views.collect::<Result<_>>().map(in_order)
}

/// The same for an action that makes again what is gone.
pub(super) fn restored<'a>(change: &'a Change, facts: &Facts) -> Result<Vec<NodeView<'a>>> {
    let nodes = wanted(change, facts)?.into_iter();
    Ok(nodes.map(|node| NodeView { is_lost: node.is_gone(), ..node }).collect())
}

/// The wanted nodes with the roles of the version that each was last configured with.
pub(super) fn as_configured<'a>(change: &'a Change, facts: &Facts) -> Vec<NodeView<'a>> {
    let Change { before, after, .. } = change;
    let specs = || once(&before.spec).chain(before.previous.as_deref()).chain(once(after));
    let views = after.nodes.keys().map(|id| {
        let app = before.nodes.get(id).and_then(|node| node.app.as_ref());
        let spec = specs().find(|spec| Some(&spec.app) == app).unwrap_or(&before.spec);
        view(before, spec, facts, id)
    });
    in_order(views.collect())
}

/// The nodes on record, by role and then server id; those that are wanted no more come last.
pub(super) fn on_record<'a>(cluster: &'a Cluster, facts: &Facts) -> Vec<NodeView<'a>> {
    in_order(cluster.nodes.keys().map(|id| view(cluster, &cluster.spec, facts, id)).collect())
}

/// Those of `nodes` for which `is_meant` holds.
pub(super) fn those<'a>(
    nodes: &[NodeView<'a>],
    is_meant: impl Fn(&NodeView<'a>) -> bool,
) -> Vec<NodeView<'a>> {
    nodes.iter().filter(|node| is_meant(node)).copied().collect()
}

/// Those of `nodes` whose agents can be expected to answer.
pub(super) fn in_service<'a>(nodes: &[NodeView<'a>]) -> Vec<NodeView<'a>> {
    those(nodes, NodeView::is_in_service)
}

fn view<'a>(before: &'a Cluster, spec: &'a ClusterSpec, facts: &Facts, id: &'a NodeId) -> NodeView<'a> {
    let record = before.nodes.get(id);
    let find = || {
        let node = spec.nodes.get(id)?;
        Some((node, spec.roles.get(&node.role)?))
    };
    let app = record.and_then(|node| node.app.as_ref());
    NodeView {
        id,
        wanted: find(),
        record,
        status: before.status,
        joins: before.joining.contains(id),
        is_behind: app != Some(&spec.app)
            && before.previous.as_ref().is_some_and(|previous| app == Some(&previous.app)),
        found: facts.nodes.get(id).map(|found| found.instance),
        is_lost: false,
        is_loose: false,
    }
}

fn in_order(mut nodes: Vec<NodeView<'_>>) -> Vec<NodeView<'_>> {
    nodes.sort_by_key(|node| {
        let place = node.wanted.map(|(node, _)| (&node.role, node.server_id));
        (place.is_none(), place, node.id)
    });
    nodes
}

impl<'a> NodeView<'a> {
    /// As it will be once its disks have been detached.
    pub(super) fn loose(self) -> Self {
        Self { is_loose: true, ..self }
    }

    /// Whether it was never brought up to the end, as far as is known. Nobody recorded how far `init` came in a
    /// cluster that was never completed, so there all are new; later those are that join or have no instance.
    pub(super) fn is_new(&self) -> bool {
        self.status == ClusterStatus::Pending
            || self.joins
            || self.record.is_none_or(|node| node.instance.is_none())
    }

    /// Whether its agent has yet to be told who it is, or may have to be told again.
    pub(super) fn is_fresh(&self) -> bool {
        self.is_new() || !self.is_complete()
    }

    /// Whether it is to be configured although its data is of the version before: an upgrade stopped short of it.
    pub(super) fn is_left_behind(&self) -> bool {
        self.is_behind && self.is_fresh()
    }

    /// Whether its agent can be expected to answer: the cluster was completed, so that the agent knows who it
    /// is, and the node runs, on record and as far as was found.
    pub(super) fn is_in_service(&self) -> bool {
        self.status == ClusterStatus::Active
            && self.is(NodeStatus::Active)
            && !self.is_new()
            && !matches!(self.found, Some(InstanceState::Stopped | InstanceState::Missing))
    }

    /// Whether the instance on record was found to be gone.
    pub(super) fn is_gone(&self) -> bool {
        self.found == Some(InstanceState::Missing) && self.record.is_some_and(|node| node.instance.is_some())
    }

    /// The nodes that `nodes_to_execute_on` counts together: the base nodes of a role, or its replicas (true).
    pub(super) fn group(&self) -> Option<(&'a RoleName, bool)> {
        self.wanted.map(|(node, _)| (&node.role, node.replica))
    }

    /// Its role, by name.
    pub(super) fn role(&self) -> Option<(&'a RoleName, &'a RoleSpec)> {
        self.wanted.map(|(node, role)| (&node.role, role))
    }

    pub(super) fn is_replica(&self) -> bool {
        self.wanted.is_some_and(|(node, _)| node.replica)
    }

    /// Its role, when an agent can do something for it.
    pub(super) fn agent_role(&self) -> Option<&'a RoleSpec> {
        self.wanted.map(|(_, role)| role).filter(|role| role.agent_installed)
    }

    /// Whether its role has `service` and an agent to run it.
    pub(super) fn has_service(&self, service: &ServiceName) -> bool {
        self.agent_role().is_some_and(|role| role.services.contains_key(service))
    }

    /// Whether its agent finds out something that other nodes need in their metadata.
    pub(super) fn tells_its_peers(&self) -> bool {
        self.agent_role().is_some_and(|role| role.passphraseless.is_some() || role.custom_metadata.is_some())
    }

    /// The app version that it was last configured with.
    pub(super) fn app(&self) -> Option<&'a AppVersionId> {
        self.record?.app.as_ref()
    }

    /// Whether there is an instance.
    pub(super) fn has_instance(&self) -> bool {
        !self.is_lost && self.record.is_some_and(|node| node.instance.is_some())
    }

    /// Whether any disk is on record.
    pub(super) fn has_disks(&self) -> bool {
        self.record.is_some_and(|node| !node.disks.is_empty())
    }

    /// Whether its instance and all its disks are there, the disks attached.
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

    /// Where its role wants a disk mounted; empty when it does not want the disk.
    pub(super) fn mount_point(&self, index: u32) -> &'a str {
        let disk = self.wanted.and_then(|(_, role)| role.disks.get(index as usize));
        disk.map_or("", |disk| &disk.mount_point)
    }

    /// The indexes of the disks on record.
    pub(super) fn disks(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.record.into_iter().flat_map(|node| node.disks.keys().copied())
    }

    pub(super) fn has_disk(&self, index: u32) -> bool {
        self.disk(index).is_some()
    }

    pub(super) fn is_attached(&self, index: u32) -> bool {
        !self.is_lost && !self.is_loose && self.disk(index).is_some_and(|disk| disk.device.is_some())
    }

    fn disk(&self, index: u32) -> Option<&'a Disk> {
        self.record?.disks.get(&index)
    }
}

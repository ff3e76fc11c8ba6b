//! How a cluster is shown.

use crate::{
    health::{ClusterHealth, NodeHealth},
    live::{details_sheet, notes},
    print::{Column, Item, column, wide},
    screen::{Screen, count},
    shapes::{ErrorView, word},
};
use provider_core::{Cluster, ClusterDetails, Endpoint, Node, NodeId, NodeStatus, RoleName};
use serde::Serialize;
use std::collections::BTreeMap;

/// A cluster, as JSON shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClusterView {
    name: String,
    id: String,
    app: String,
    runtime: String,
    zone: String,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    transition: Option<String>,
    /// None when nobody is asked: it is not meant to work.
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<ClusterHealth>,
    revision: u64,
    nodes: Vec<NodeView>,
    endpoints: BTreeMap<String, EndpointView>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    links: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<ErrorView>,
    /// What the provider tells of its objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<ClusterDetails>,
    #[serde(skip)]
    connect: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeView {
    id: String,
    role: String,
    replica: bool,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<NodeHealth>,
    instance: Option<String>,
    private_ip: Option<String>,
    public_ip: Option<String>,
    volumes: Vec<VolumeView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VolumeView {
    id: String,
    size_gib: u32,
    mount_point: String,
    attached: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EndpointView {
    protocol: String,
    port: u16,
    role: Option<String>,
    hosts: Vec<String>,
}

impl ClusterView {
    pub(crate) fn new(cluster: &Cluster, health: Option<ClusterHealth>) -> Self {
        let spec = &cluster.spec;
        let endpoints = spec.endpoints.iter().map(|(name, endpoint)| {
            let hosts = hosts_of(cluster, role_of(cluster, endpoint));
            let view = EndpointView {
                protocol: endpoint.protocol.clone(),
                port: endpoint.port,
                role: endpoint.role.as_ref().map(ToString::to_string),
                hosts: hosts.into_iter().map(str::to_owned).collect(),
            };
            (name.clone(), view)
        });
        let node = |(id, node)| {
            let health = health.as_ref().and_then(|health| health.nodes.get(id).cloned());
            node_view(cluster, id, node, health)
        };
        Self {
            name: spec.name.clone(),
            id: cluster.id.to_string(),
            app: spec.app.to_string(),
            runtime: cluster.runtime.to_string(),
            zone: cluster.zone.to_string(),
            status: cluster.status.as_str().to_owned(),
            transition: cluster.transition.as_ref().map(word),
            revision: cluster.revision,
            nodes: cluster.nodes.iter().map(node).collect(),
            health,
            endpoints: endpoints.collect(),
            links: spec.links.clone(),
            last_error: cluster.last_error.as_ref().map(ErrorView::new),
            details: None,
            connect: connect_lines(cluster),
        }
    }

    /// What people see.
    pub(crate) fn sheet(&self, screen: &Screen) -> String {
        let mut text = screen.pairs(&[
            ("name", self.name.clone()),
            ("id", self.id.clone()),
            ("app", self.app.clone()),
            ("runtime", self.runtime.clone()),
            ("zone", self.zone.clone()),
            ("status", self.shown_status()),
            ("health", self.shown_health()),
            ("reason", self.reason()),
        ]);
        for line in &self.connect {
            text += &screen.pairs(&[("connect", line.clone())]);
        }
        let titles = ["NODE", "STATUS", "HEALTH", "ADDRESS", "INSTANCE", "VOLUMES"];
        let rows: Vec<_> = self.nodes.iter().map(NodeView::row).collect();
        text.push('\n');
        text += &screen.aligned(&titles, &rows);
        if let Some(details) = &self.details {
            text += &details_sheet(screen, details);
            if let Some(notes) = notes(details) {
                text += &format!("\n{notes}\n");
            }
        }
        text
    }

    /// What deleting it would remove, in lines.
    pub(crate) fn losses(&self, keep_volumes: bool) -> String {
        let instances = self.nodes.iter().filter(|node| node.instance.is_some()).count();
        let volumes: Vec<_> = self.nodes.iter().flat_map(|node| &node.volumes).collect();
        let size: u32 = volumes.iter().map(|volume| volume.size_gib).sum();
        let fate = if keep_volumes { " stay" } else { " and all data in them" };
        let mut text =
            format!("cluster `{}` on `{}`: {}", self.name, self.runtime, count(instances, "instance"));
        text += &match volumes.len() {
            0 => String::new(),
            n if keep_volumes => format!("; {} ({size} GiB){fate}", count(n, "volume")),
            n => format!(", {} ({size} GiB){fate}", count(n, "volume")),
        };
        for node in &self.nodes {
            let goes = node.resources(keep_volumes);
            if !goes.is_empty() {
                text += &format!("\n{}: {}", node.id, goes.join(", "));
            }
        }
        text
    }

    /// The volumes on record, in a line.
    pub(crate) fn volumes(&self) -> String {
        let volumes: Vec<_> =
            self.nodes.iter().flat_map(|node| &node.volumes).map(VolumeView::shown).collect();
        if volumes.is_empty() { "no volumes".to_owned() } else { volumes.join(", ") }
    }

    /// What is on record after a deletion and should not be.
    pub(crate) fn left(&self, keep_volumes: bool) -> Vec<String> {
        self.nodes.iter().flat_map(|node| node.resources(keep_volumes)).collect()
    }

    fn shown_status(&self) -> String {
        self.transition.clone().unwrap_or_else(|| self.status.clone())
    }

    fn shown_health(&self) -> String {
        self.health.as_ref().map(|health| health.state.as_str().to_owned()).unwrap_or_default()
    }

    /// What is wrong with it now, else why its newest job failed.
    fn reason(&self) -> String {
        let now = self.health.as_ref().map(ClusterHealth::reason).filter(|reason| !reason.is_empty());
        now.or_else(|| self.last_error.as_ref().map(ErrorView::why)).unwrap_or_default()
    }
}

impl Item for ClusterView {
    const KIND: &'static str = "Cluster";
    const COLUMNS: &'static [Column] = &[
        column("NAME"),
        column("APP"),
        column("RUNTIME"),
        column("STATUS"),
        column("HEALTH"),
        column("NODES"),
        wide("ID"),
        wide("ZONE"),
        wide("REVISION"),
        column("REASON"),
    ];

    fn name(&self) -> String {
        self.name.clone()
    }

    fn row(&self) -> Vec<String> {
        let active = || self.nodes.iter().filter(|node| node.status == word(&NodeStatus::Active)).count();
        let up = self.health.as_ref().map_or_else(active, |health| health.healthy);
        vec![
            self.name.clone(),
            self.app.clone(),
            self.runtime.clone(),
            self.shown_status(),
            self.shown_health(),
            format!("{up}/{}", self.nodes.len()),
            self.id.clone(),
            self.zone.clone(),
            self.revision.to_string(),
            self.reason(),
        ]
    }
}

impl VolumeView {
    fn shown(&self) -> String {
        format!("{} ({} GiB, {})", self.id, self.size_gib, self.mount_point)
    }
}

impl NodeView {
    /// Its instance and, unless they are to be kept, its volumes.
    fn resources(&self, without_volumes: bool) -> Vec<String> {
        let instance = self.instance.iter().map(|id| format!("instance {id}"));
        let volumes = self.volumes.iter().filter(|_| !without_volumes);
        instance.chain(volumes.map(|volume| format!("volume {}", volume.shown()))).collect()
    }

    fn row(&self) -> Vec<String> {
        let volumes = self.volumes.iter().map(VolumeView::shown);
        vec![
            self.id.clone(),
            self.status.clone(),
            self.health.as_ref().map(NodeHealth::shown).unwrap_or_default(),
            self.public_ip.clone().or_else(|| self.private_ip.clone()).unwrap_or_default(),
            self.instance.clone().unwrap_or_default(),
            volumes.collect::<Vec<_>>().join(", "),
        ]
    }
}

fn node_view(cluster: &Cluster, id: &NodeId, node: &Node, health: Option<NodeHealth>) -> NodeView {
    let spec = cluster.spec.nodes.get(id);
    let role = cluster.spec.role_of(id);
    let volumes = node.disks.iter().map(|(index, disk)| {
        let spec = role.and_then(|role| role.disks.get(*index as usize));
        VolumeView {
            id: disk.volume.to_string(),
            size_gib: spec.map_or(0, |disk| disk.size_gib),
            mount_point: spec.map(|disk| disk.mount_point.clone()).unwrap_or_default(),
            attached: disk.device.is_some(),
        }
    });
    let instance = node.instance.as_ref();
    NodeView {
        id: id.to_string(),
        role: spec.map(|node| node.role.to_string()).unwrap_or_default(),
        replica: spec.is_some_and(|node| node.replica),
        status: word(&node.status),
        health,
        instance: instance.map(|instance| instance.id.to_string()),
        private_ip: instance.and_then(|instance| instance.private_ip.clone()),
        public_ip: instance.and_then(|instance| instance.public_ip.clone()),
        volumes: volumes.collect(),
    }
}

/// How to connect, a line for each endpoint: the command, then who else answers.
pub(crate) fn connect_lines(cluster: &Cluster) -> Vec<String> {
    let line = |endpoint: &Endpoint| {
        let role = role_of(cluster, endpoint)?;
        let hosts = hosts_of(cluster, Some(role));
        let (host, more) = hosts.split_first()?;
        let command = match &endpoint.connect {
            Some(connect) => connect.replace("{host}", host).replace("{port}", &endpoint.port.to_string()),
            None => format!("{}://{host}:{}", endpoint.protocol, endpoint.port),
        };
        let also = if more.is_empty() { String::new() } else { format!(", also {}", more.join(", ")) };
        let mut notes = vec![format!("{role}{also}")];
        for other in cluster.spec.roles.keys().filter(|other| *other != role) {
            let hosts = hosts_of(cluster, Some(other));
            if !hosts.is_empty() {
                notes.push(format!("{other} {}", hosts.join(", ")));
            }
        }
        notes.retain(|note| !note.is_empty());
        Some(format!("{command}    {}", notes.join("; ")).trim_end().to_owned())
    };
    cluster.spec.endpoints.values().filter_map(line).collect()
}

fn role_of<'a>(cluster: &'a Cluster, endpoint: &'a Endpoint) -> Option<&'a RoleName> {
    endpoint.role.as_ref().or_else(|| cluster.spec.roles.keys().next())
}

fn hosts_of<'a>(cluster: &'a Cluster, role: Option<&'a RoleName>) -> Vec<&'a str> {
    let nodes = role.into_iter().flat_map(|role| cluster.spec.nodes_of(role));
    let instances = nodes.filter_map(|(id, _)| cluster.nodes.get(id)?.instance.as_ref());
    instances
        .filter_map(|instance| instance.public_ip.as_deref().or(instance.private_ip.as_deref()))
        .collect()
}

#[cfg(test)]
mod tests;

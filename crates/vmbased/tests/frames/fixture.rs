//! Clusters to plan for, in few words.

use provider_core::{
    Action, AppVersionId, Change, Cluster, ClusterSpec, Container, ContainerKind, DiskSpec, EnvValue, Facts,
    HealthCheck, NodeId, NodeSpec, RoleSpec, Rollback, ScalingPolicy, Service, ServiceName, Size, Timestamp,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A role to be: its name, its base nodes, the replicas of each.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) name: &'static str,
    pub(crate) count: u32,
    pub(crate) replicas: u32,
    pub(crate) spec: RoleSpec,
}

/// A role of `count` nodes with an agent and nothing else.
pub(crate) fn role(name: &'static str, count: u32) -> Role {
    let spec = RoleSpec {
        container: Container { kind: ContainerKind::Kvm, image: "img".into(), zone: None },
        cpu: 1,
        memory_mib: 1024,
        gpu: 0,
        instance_size_gib: 20,
        instance_type: None,
        disks: Vec::new(),
        env: BTreeMap::new(),
        services: BTreeMap::new(),
        vertical_scaling_policy: ScalingPolicy::Parallel,
        server_id_upper_bound: None,
        advanced_actions: BTreeSet::new(),
        passphraseless: None,
        user_access: false,
        agent_installed: true,
        custom_metadata: None,
        health_check: None,
        monitor: Value::Null,
        load_balancers: Vec::new(),
    };
    Role { name, count, replicas: 0, spec }
}

impl Role {
    pub(crate) fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    pub(crate) fn disks(mut self, count: u32) -> Self {
        let disk = |index| DiskSpec {
            size_gib: 40,
            mount_point: format!("/data{index}"),
            filesystem: "xfs".into(),
            mount_options: String::new(),
        };
        self.spec.disks = (0..count).map(disk).collect();
        self
    }

    pub(crate) fn service(mut self, name: ServiceName, service: Service) -> Self {
        self.spec.services.insert(name, service);
        self
    }

    /// Services `start` and `stop` with this order.
    pub(crate) fn starts(self, order: i32) -> Self {
        self.service(ServiceName::Start, Service { order, ..cmd("start.sh") })
            .service(ServiceName::Stop, Service { order, ..cmd("stop.sh") })
    }

    /// With a health check, so that its nodes are waited for.
    pub(crate) fn checked(mut self) -> Self {
        self.spec.health_check = Some(HealthCheck {
            enable: true,
            interval_s: 1,
            timeout_s: 1,
            action_timeout_s: 1,
            healthy_threshold: 1,
            unhealthy_threshold: 1,
            check_cmd: "check.sh".into(),
            action_cmd: String::new(),
        });
        self
    }

    /// One node after another when its size changes.
    pub(crate) fn sequential(mut self) -> Self {
        self.spec.vertical_scaling_policy = ScalingPolicy::Sequential;
        self
    }

    pub(crate) fn without_agent(mut self) -> Self {
        self.spec.agent_installed = false;
        self
    }
}

/// A service that runs `cmd` on all nodes for at most a minute.
pub(crate) fn cmd(cmd: &str) -> Service {
    Service {
        cmd: cmd.into(),
        order: 0,
        nodes_to_execute_on: None,
        timeout_s: 60,
        post_start_service: false,
        post_stop_service: false,
        allow_force: false,
        pre_check: None,
        service_params: Value::Null,
    }
}

/// A new cluster of these roles. Server ids count base nodes and replicas together, as packages have it.
pub(crate) fn cluster(roles: &[Role]) -> Cluster {
    let mut spec = ClusterSpec {
        name: "grid-a".into(),
        description: String::new(),
        app: "kvgrid@1.4.0".into(),
        subnet: None,
        roles: BTreeMap::new(),
        nodes: BTreeMap::new(),
        links: BTreeMap::new(),
        endpoints: BTreeMap::new(),
        metadata_root_access: false,
        global_uuid: String::new(),
        advanced_actions: BTreeSet::new(),
        upgrade_policy: Vec::new(),
        backup_policy: None,
        rollback: Rollback::Safe,
        incremental_backup_supported: false,
        display_tabs: Value::Null,
        conf: Value::Null,
    };
    for role in roles {
        let group_size = role.replicas + 1;
        for position in 0..role.count * group_size {
            let node = NodeSpec {
                role: role.name.into(),
                replica: position % group_size > 0,
                server_id: position + 1,
                group_id: position / group_size + 1,
            };
            spec.nodes.insert(NodeId::of(&node.role, node.server_id), node);
        }
        spec.roles.insert(role.name.into(), role.spec.clone());
    }
    Cluster::new("cl-1".into(), "rt-1".into(), "zone-1".into(), spec)
}

/// Findings that forbid nothing.
pub(crate) fn facts() -> Facts {
    Facts::none("zone-1".into(), Timestamp(0))
}

/// A change of `cluster` by `action`, with what the cluster shall become: the action's own nodes, sizes or version;
/// one more node of the first role; one more parameter of the first role.
pub(crate) fn change(cluster: &Cluster, action: &Action) -> Change {
    let mut after = cluster.spec.clone();
    match action {
        Action::AddClusterNodes => add_node(&mut after),
        Action::DeleteClusterNodes { nodes } => after.nodes.retain(|id, _| !nodes.contains(id)),
        Action::ResizeCluster { roles } => {
            for (name, size) in roles {
                let role = after.roles.get_mut(name).unwrap();
                role.cpu = size.cpu.unwrap_or(role.cpu);
                let size_gib = |disk: &DiskSpec| size.disk_gib.unwrap_or(disk.size_gib);
                role.disks.iter_mut().for_each(|disk| disk.size_gib = size_gib(disk));
            }
        }
        Action::UpdateClusterEnv => {
            let env = &mut after.roles.first_entry().unwrap().into_mut().env;
            env.insert(format!("x{}", env.len()), EnvValue::Plain(Value::from(1)));
        }
        Action::UpgradeCluster { to, .. } if *to != after.app => {
            let commands = after.roles.values_mut().flat_map(|role| role.services.values_mut());
            commands.for_each(|service| service.cmd = of_version(&service.cmd, to));
            after.app = to.clone();
        }
        Action::RollbackCluster { .. } => {
            if let Some(previous) = &cluster.previous {
                after = ClusterSpec { nodes: after.nodes, ..(**previous).clone() };
            }
        }
        _ => {}
    }
    Change { action: action.clone(), before: cluster.clone(), after }
}

fn add_node(spec: &mut ClusterSpec) {
    let role = spec.roles.keys().next().unwrap().clone();
    let nodes = || spec.nodes_of(&role).map(|(_, node)| node);
    let server_id = nodes().map(|node| node.server_id).max().unwrap_or(0) + 1;
    let group_id = nodes().map(|node| node.group_id).max().unwrap_or(0) + 1;
    spec.nodes.insert(NodeId::of(&role, server_id), NodeSpec { role, replica: false, server_id, group_id });
}

/// `start.sh` of `kvgrid@2` as `start.sh 2`.
fn of_version(cmd: &str, app: &AppVersionId) -> String {
    let (cmd, (_, version)) = (cmd.split(' ').next().unwrap(), app.as_str().split_once('@').unwrap());
    format!("{cmd} {version}")
}

/// Data disks of all roles that have some get this size.
pub(crate) fn grow(cluster: &Cluster, disk_gib: u32) -> Action {
    resize(cluster, &Size { disk_gib: Some(disk_gib), ..Size::default() })
}

/// All roles get this size.
pub(crate) fn resize(cluster: &Cluster, size: &Size) -> Action {
    Action::ResizeCluster {
        roles: cluster.spec.roles.keys().map(|role| (role.clone(), size.clone())).collect(),
    }
}

pub(crate) fn upgrade(to: &str) -> Action {
    Action::UpgradeCluster { to: to.into(), backup: true }
}

pub(crate) fn without(nodes: &[&str]) -> Action {
    Action::DeleteClusterNodes { nodes: nodes.iter().map(|id| (*id).into()).collect() }
}

pub(crate) const CREATE: Action = Action::CreateCluster;
pub(crate) const STOP: Action = Action::StopClusters;
pub(crate) const START: Action = Action::StartClusters;
pub(crate) const DELETE: Action =
    Action::DeleteClusters { keep_volumes: false, force: false, keep_history: false };

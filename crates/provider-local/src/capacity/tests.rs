use super::*;
use provider_core::{
    Cluster, ClusterSpec, ClusterStatus, Container, Disk, DiskSpec, LoadBalancer, Node, NodeSpec, RuntimeId,
    ScalingPolicy, SubnetId,
};
use std::collections::BTreeSet;

/// A machine with 4 cores, 8 GiB and 100 GiB of disk, half of it free.
fn machine() -> Capacity {
    Capacity { cores: 4, memory_mib: 8192, disk_gib: 100, disk_free_gib: 50, ..Capacity::default() }
}

fn role() -> RoleSpec {
    let disk = DiskSpec {
        size_gib: 10,
        mount_point: "/data".into(),
        filesystem: "ext4".into(),
        mount_options: String::new(),
    };
    RoleSpec {
        container: Container { kind: ContainerKind::Process, image: String::new(), zone: None },
        cpu: 2,
        memory_mib: 1024,
        gpu: 0,
        instance_size_gib: 20,
        instance_type: None,
        disks: vec![disk],
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
        monitor: serde_json::Value::Null,
        load_balancers: Vec::new(),
    }
}

/// `action` on a cluster of `count` nodes with this role.
fn change(action: Action, count: u32, role: RoleSpec) -> Change {
    let name = RoleName::new("main");
    let node = |id| NodeSpec { role: name.clone(), replica: false, server_id: id, group_id: id };
    let after: ClusterSpec = ClusterSpec {
        roles: BTreeMap::from([(name.clone(), role)]),
        nodes: (1..=count).map(|id| (NodeId::of(&name, id), node(id))).collect(),
        ..serde_json::from_value(serde_json::json!({"name": "app", "app": "app@1", "roles": {}, "nodes": {}}))
            .unwrap()
    };
    let before =
        Cluster::new(ClusterId::new("cl-1"), RuntimeId::new("local"), Zone::new(ZONE), after.clone());
    assert_eq!(before.status, ClusterStatus::Pending);
    Change { action, before, after }
}

/// Quotas, then shortfalls, a line each.
fn prose(facts: &Facts) -> String {
    let quota = |(name, room): (&String, &Headroom)| {
        format!("{name}: needs {}, left {} of {}", room.needed, room.left, room.total)
    };
    let shortfall = |one: &Shortfall| {
        format!("short of {}: {} ({})", one.what, one.why, one.hint.as_deref().unwrap_or("no hint"))
    };
    let lines: Vec<_> =
        facts.headroom.iter().map(quota).chain(facts.shortfalls.iter().map(shortfall)).collect();
    lines.join("\n")
}

fn facts(capacity: &Capacity, change: &Change) -> String {
    prose(&capacity.facts(change, Timestamp(0)))
}

#[test]
fn what_fits_has_headroom_and_no_shortfall() {
    insta::assert_snapshot!(facts(&machine(), &change(Action::CreateCluster, 3, role())), @r"
    cpu: needs 2, left 4 of 4
    disk: needs 30, left 50 of 100
    memory: needs 3072, left 8192 of 8192
    ");
}

#[test]
fn every_shortfall_is_named_at_once() {
    let wants = RoleSpec {
        container: Container { kind: ContainerKind::Docker, image: "redis".into(), zone: None },
        cpu: 8,
        memory_mib: 4096,
        gpu: 1,
        instance_type: Some("m1.small".into()),
        load_balancers: vec![LoadBalancer { listener: "l-1".into(), port: 80, policy: String::new() }],
        disks: vec![DiskSpec { size_gib: 20, ..role().disks.remove(0) }],
        ..role()
    };
    let mut change = change(Action::CreateCluster, 3, wants);
    change.after.subnet = Some(SubnetId::new("s-1"));
    let capacity = Capacity { no_agent: Some("no program for agents is known".into()), ..machine() };
    insta::assert_snapshot!(facts(&capacity, &change), @r"
    cpu: needs 8, left 4 of 4
    disk: needs 60, left 50 of 100
    memory: needs 12288, left 8192 of 8192
    short of role main: it wants a container of type `docker`; this machine runs `process` only (use a package made for `process`, or a runtime of another provider)
    short of role main: it wants 1 GPUs; the local provider hands out none (set `gpu` to 0)
    short of role main: it wants instance type `m1.small`; sizes are free here and have no names (give `cpu` and `memory` instead)
    short of role main: it joins load balancers; this machine has none (leave the load balancers out)
    short of subnet: there is no subnet `s-1`: this machine has none (leave the subnet out)
    short of agent: no program for agents is known (repair the installation of Pitrix)
    short of cpu: a node wants 8 cores, the machine has 4 (give the nodes fewer cores)
    short of memory: 12288 MiB are needed, 8192 of 8192 are left (take fewer or smaller nodes, or stop or delete other clusters)
    short of disk: 60 GiB are needed, 50 of 100 are left (take fewer or smaller nodes, or stop or delete other clusters)
    ");
}

#[test]
fn memory_of_other_running_instances_counts_and_the_own_is_not_needed_again() {
    let held = |cluster: &str, node: &str, mib| ((ClusterId::new(cluster), NodeId::new(node)), mib);
    let capacity = Capacity {
        running: BTreeMap::from([held("cl-1", "main-1", 1024), held("cl-2", "main-1", 6000)]),
        ..machine()
    };
    insta::assert_snapshot!(facts(&capacity, &change(Action::StartClusters, 2, role())), @r"
    cpu: needs 2, left 4 of 4
    disk: needs 20, left 50 of 100
    memory: needs 1024, left 1168 of 8192
    ");
    insta::assert_snapshot!(facts(&capacity, &change(Action::StartClusters, 3, role())), @r"
    cpu: needs 2, left 4 of 4
    disk: needs 30, left 50 of 100
    memory: needs 2048, left 1168 of 8192
    short of memory: 2048 MiB are needed, 1168 of 8192 are left (take fewer or smaller nodes, or stop or delete other clusters)
    ");
}

#[test]
fn a_volume_on_record_needs_only_what_it_grows_by() {
    let volume = ResourceId::new("v-1");
    let capacity = Capacity { volumes: BTreeMap::from([(volume.clone(), 8)]), ..machine() };
    let mut change = change(Action::StartClusters, 2, role());
    let disks = BTreeMap::from([(0, Disk { volume, device: None })]);
    change.before.nodes.insert(NodeId::new("main-1"), Node { disks, ..Node::default() });
    assert_eq!(capacity.facts(&change, Timestamp(0)).headroom["disk"].needed, 12);
}

#[test]
fn what_only_takes_away_needs_nothing_and_is_never_refused() {
    let wants = RoleSpec { gpu: 1, cpu: 99, ..role() };
    for action in [
        Action::StopClusters,
        Action::DeleteClusters { keep_volumes: false, force: false, keep_history: false },
        Action::CeaseClusters,
    ] {
        let facts = Capacity::default().facts(&change(action, 3, wants.clone()), Timestamp(0));
        assert_eq!(facts.shortfalls, []);
        assert!(facts.headroom.values().all(|room| room.needed == 0));
    }
}

#[test]
fn an_agent_program_is_looked_for_where_it_would_be_found() {
    fn check(command: &[&str], expected: Option<&str>) {
        let command: Vec<_> = command.iter().map(|&part| part.to_owned()).collect();
        assert_eq!(missing_program(&command).as_deref(), expected);
    }
    check(&["sh", "-c"], None);
    check(&["/bin/sh"], None);
    check(&[], Some("no program for agents is known"));
    check(&["no-such-program"], Some("the program for agents, `no-such-program`, can't be run"));
    check(&["/etc/passwd"], Some("the program for agents, `/etc/passwd`, can't be run"));
}

#[test]
fn this_machine_is_measured() {
    let (disk, free) = disk_gib(Path::new("/no/such/directory")).unwrap();
    assert!(disk >= free);
    assert!(memory_mib().unwrap() > 0);
}

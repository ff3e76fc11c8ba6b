use super::*;
use crate::{args::Format, health::tests::health};
use insta::assert_snapshot;
use provider_core::{ClusterId, ClusterSpec, ClusterStatus, Error, RuntimeId, Transition, Zone};
use serde_json::{Value, json};

/// A primary with a public address and two replicas, each with a disk.
fn cluster() -> Cluster {
    let role = |_: &str| {
        json!({
            "container": {"type": "process"}, "cpu": 1, "memory_mib": 64, "instance_size_gib": 1,
            "agent_installed": true,
            "disks": [{"size_gib": 10, "mount_point": "/data", "filesystem": "ext4"}],
        })
    };
    let node = |role: &str, n: u32| json!({"role": role, "server_id": n, "group_id": n});
    let spec: Value = json!({
        "name": "cache", "app": "redis@1.0.0",
        "roles": {"primary": role("primary"), "replica": role("replica")},
        "nodes": {
            "primary-1": node("primary", 1), "replica-1": node("replica", 1), "replica-2": node("replica", 2),
        },
        "endpoints": {
            "redis": {"port": 6379, "protocol": "redis", "role": "primary", "connect": "redis-cli -h {host} -p {port}"},
            "web": {"port": 80, "protocol": "http", "role": "replica"},
        },
    });
    let spec: ClusterSpec = serde_json::from_value(spec).unwrap();
    let mut cluster = Cluster::new(ClusterId::new("cl-1"), RuntimeId::new("here"), Zone::new("z"), spec);
    cluster.status = ClusterStatus::Active;
    let addresses = [("primary-1", "10.0.0.1"), ("replica-1", "10.0.0.2"), ("replica-2", "10.0.0.3")];
    for (name, address) in addresses {
        let node: Node = serde_json::from_value(json!({
            "status": "active",
            "instance": {"id": format!("i-{name}"), "private_ip": address},
            "disks": {"0": {"volume": format!("v-{name}"), "device": "/dev/x"}},
        }))
        .unwrap();
        cluster.nodes.insert(NodeId::new(name), node);
    }
    cluster
}

#[test]
fn the_connect_line_names_who_else_answers() {
    let mut cluster = cluster();
    assert_snapshot!(connect_lines(&cluster).join("\n"), @r"
    redis-cli -h 10.0.0.1 -p 6379    primary; replica 10.0.0.2, 10.0.0.3
    http://10.0.0.2:80    replica, also 10.0.0.3; primary 10.0.0.1
    ");
    let primary = cluster.nodes.get_mut(&NodeId::new("primary-1")).unwrap();
    primary.instance.as_mut().unwrap().public_ip = Some("1.2.3.4".to_owned());
    assert!(connect_lines(&cluster)[0].starts_with("redis-cli -h 1.2.3.4 -p 6379 "));
    cluster.nodes.clear();
    assert_eq!(connect_lines(&cluster), [""; 0]);
}

#[test]
fn what_a_deletion_removes_is_listed() {
    let mut cluster = cluster();
    cluster.nodes.get_mut(&NodeId::new("replica-2")).unwrap().instance = None;
    let view = ClusterView::new(&cluster, None);
    assert_snapshot!(view.losses(false), @r"
    cluster `cache` on `here`: 2 instances, 3 volumes (30 GiB) and all data in them
    primary-1: instance i-primary-1, volume v-primary-1 (10 GiB, /data)
    replica-1: instance i-replica-1, volume v-replica-1 (10 GiB, /data)
    replica-2: volume v-replica-2 (10 GiB, /data)
    ");
    assert_snapshot!(view.losses(true), @r"
    cluster `cache` on `here`: 2 instances; 3 volumes (30 GiB) stay
    primary-1: instance i-primary-1
    replica-1: instance i-replica-1
    ");
}

#[test]
fn a_list_shows_the_transition_and_the_reason_on_one_line() {
    let mut cluster = cluster();
    cluster.transition = Some(Transition::RollingBack);
    cluster.last_error = Some(Error::failed("a-1: run `start`:\nno").code("E7").because("first\nlast\n"));
    cluster.nodes.get_mut(&NodeId::new("replica-2")).unwrap().status = NodeStatus::Pending;
    assert_snapshot!(Screen::plain(Format::Table).table(&[ClusterView::new(&cluster, None)]), @r"
    NAME   APP          RUNTIME  STATUS       HEALTH  NODES  REASON
    cache  redis@1.0.0  here     rollbacking  -       2/3    a-1: run `start`:\nno (E7): last
    ");
}

#[test]
fn what_is_still_on_record_after_a_deletion_could_not_be_proved_deleted() {
    let mut cluster = cluster();
    for (id, node) in &mut cluster.nodes {
        if id.as_str() != "replica-1" {
            node.instance = None;
            node.disks.clear();
        }
    }
    let view = ClusterView::new(&cluster, None);
    assert_eq!(view.left(false), ["instance i-replica-1", "volume v-replica-1 (10 GiB, /data)"]);
    assert_eq!(view.left(true), ["instance i-replica-1"]);
}

#[test]
fn what_is_wrong_now_comes_before_what_went_wrong() {
    let mut cluster = cluster();
    cluster.last_error = Some(Error::failed("a-1: run `start`"));
    let view = ClusterView::new(&cluster, Some(health(&["primary-1", "replica-1", "replica-2"])));
    let screen = Screen::plain(Format::Table);
    assert_snapshot!(screen.table(std::slice::from_ref(&view)), @r"
    NAME   APP          RUNTIME  STATUS  HEALTH    NODES  REASON
    cache  redis@1.0.0  here     active  degraded  1/3    replica-1: health check failed 3 times, 9 s ago; 1 more node
    ");
    assert_snapshot!(view.sheet(&screen), @r"
    name     cache
    id       cl-1
    app      redis@1.0.0
    runtime  here
    zone     z
    status   active
    health   degraded
    reason   replica-1: health check failed 3 times, 9 s ago; 1 more node
    connect  redis-cli -h 10.0.0.1 -p 6379    primary; replica 10.0.0.2, 10.0.0.3
    connect  http://10.0.0.2:80    replica, also 10.0.0.3; primary 10.0.0.1

    NODE       STATUS  HEALTH                                          ADDRESS   INSTANCE     VOLUMES
    primary-1  active  healthy                                         10.0.0.1  i-primary-1  v-primary-1 (10 GiB, /data)
    replica-1  active  degraded: health check failed 3 times, 9 s ago  10.0.0.2  i-replica-1  v-replica-1 (10 GiB, /data)
    replica-2  active  unreachable: its agent does not answer          10.0.0.3  i-replica-2  v-replica-2 (10 GiB, /data)
    ");
}

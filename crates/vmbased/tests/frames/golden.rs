//! Plans to be read. Each `life` is a create, a stop, a start and a delete, one after another.

use crate::fixture::{CREATE, DELETE, Role, START, STOP, change, cluster, cmd, facts, role};
use crate::prose::prose;
use crate::world::{Step, accept, carry_out, fail, run_layer};
use insta::assert_snapshot;
use provider_core::{
    Action, Cluster, ErrorKind, Facts, Headroom, Node, NodeStatus, Plan, Service, ServiceName, Shortfall,
};
use std::collections::BTreeSet;
use vmbased::frame::plan;

fn life(roles: &[Role]) -> String {
    life_on(&facts(), roles)
}

fn life_on(facts: &Facts, roles: &[Role]) -> String {
    let mut cluster = cluster(roles);
    let step = |action: Action| {
        let plan = carry_out(&mut cluster, &action, facts.clone());
        format!("- {}\n{}", action.kind().verb(), prose(&plan))
    };
    [CREATE, STOP, START, DELETE].map(step).concat()
}

pub(crate) fn planned(cluster: &Cluster, action: &Action) -> Plan {
    plan(&change(cluster, action), facts()).unwrap()
}

/// A cluster of these roles after a successful create.
pub(crate) fn active(roles: &[Role]) -> Cluster {
    let mut cluster = cluster(roles);
    carry_out(&mut cluster, &CREATE, facts());
    cluster
}

/// A cluster of these roles whose create came through the first `layers` layers and failed.
fn half_made(roles: &[Role], layers: usize) -> Cluster {
    let mut cluster = cluster(roles);
    run_some(&mut cluster, &CREATE, layers);
    cluster
}

/// Has `action` accepted; its first `layers` layers come through, and the next one fails.
pub(crate) fn run_some(cluster: &mut Cluster, action: &Action, layers: usize) {
    let job = accept(cluster, change(cluster, action), facts()).unwrap();
    for layer in &job.plan.layers[..layers] {
        run_layer(cluster, &job, layer, |_| Step::Done);
    }
    fail(cluster, &job, layers);
}

/// The sample package of the domain brief.
pub(crate) fn kvgrid() -> [Role; 2] {
    let first = Service { nodes_to_execute_on: Some(1), ..cmd("") };
    [
        role("shard", 3)
            .disks(1)
            .service(
                ServiceName::Init,
                Service {
                    cmd: "bootstrap.sh".into(),
                    post_start_service: true,
                    timeout_s: 900,
                    ..first.clone()
                },
            )
            .service(ServiceName::Start, Service { order: 1, ..cmd("shard.sh start") })
            .service(ServiceName::Stop, Service { order: 2, ..cmd("shard.sh stop") })
            .service(
                ServiceName::ScaleOut,
                Service {
                    cmd: "rebalance.sh out".into(),
                    pre_check: Some("can-rebalance.sh".into()),
                    ..first.clone()
                },
            )
            .service(
                ServiceName::ScaleIn,
                Service {
                    cmd: "rebalance.sh in".into(),
                    pre_check: Some("can-drain.sh".into()),
                    ..first.clone()
                },
            )
            .service(
                ServiceName::Destroy,
                Service { cmd: "deregister.sh".into(), allow_force: true, ..first },
            ),
        role("router", 2)
            .service(ServiceName::Start, Service { order: 2, ..cmd("router.sh start") })
            .service(ServiceName::Stop, Service { order: 1, ..cmd("router.sh stop") }),
    ]
}

#[test]
fn the_sample_package() {
    assert_snapshot!(life(&kvgrid()), @r"
    - create
    create volumes, run instances: create shard-1..3-d0, run router-1..2 shard-1..3
    attach volumes: shard-1..3-d0
    mount volumes: shard-1..3-d0
    configure: router-1..2 shard-1..3
    start (order 1): `shard.sh start` shard-1..3
    start (order 2): `router.sh start` router-1..2
    init after start: `bootstrap.sh` shard-1
    - stop
    stop (order 1): `router.sh stop`? router-1..2
    stop (order 2): `shard.sh stop`? shard-1..3
    stop instances: router-1..2 shard-1..3
    - start
    start instances: router-1..2 shard-1..3
    mount volumes: shard-1..3-d0
    push metadata: router-1..2 shard-1..3
    start (order 1): `shard.sh start` shard-1..3
    start (order 2): `router.sh start` router-1..2
    - delete
    destroy: `deregister.sh`? shard-1
    stop (order 1): `router.sh stop`? router-1..2
    stop (order 2): `shard.sh stop`? shard-1..3
    unmount volumes?: shard-1..3-d0
    stop instances?: shard-1..3
    detach volumes: shard-1..3-d0
    delete instances: router-1..2 shard-1..3
    delete volumes: shard-1..3-d0
    ");
}

#[test]
fn behind_a_frontgate_instances_and_agents_wait_for_it_and_volumes_do_not() {
    let mut facts = facts();
    facts.needs_frontgate = true;
    assert_snapshot!(life_on(&facts, &[role("a", 2).disks(1).starts(0)]), @r"
    - create
    create volumes, await frontgate: create a-1..2-d0, await once
    run instances: a-1..2
    attach volumes: a-1..2-d0
    mount volumes: a-1..2-d0
    configure: a-1..2
    start: `start.sh` a-1..2
    - stop
    stop: `stop.sh`? a-1..2
    stop instances: a-1..2
    - start
    await frontgate: once
    start instances: a-1..2
    mount volumes: a-1..2-d0
    push metadata: a-1..2
    start: `start.sh` a-1..2
    - delete
    stop: `stop.sh`? a-1..2
    unmount volumes?: a-1..2-d0
    stop instances?: a-1..2
    detach volumes: a-1..2-d0
    delete instances: a-1..2
    delete volumes: a-1..2-d0
    ");
}

#[test]
fn no_disk_and_a_role_without_a_name() {
    assert_snapshot!(life(&[role("", 2).starts(0)]), @r"
    - create
    run instances: node-1..2
    configure: node-1..2
    start: `start.sh` node-1..2
    - stop
    stop: `stop.sh`? node-1..2
    stop instances: node-1..2
    - start
    start instances: node-1..2
    push metadata: node-1..2
    start: `start.sh` node-1..2
    - delete
    stop: `stop.sh`? node-1..2
    delete instances: node-1..2
    ");
}

#[test]
fn two_mount_points() {
    assert_snapshot!(life(&[role("a", 2).disks(2)]), @r"
    - create
    create volumes, run instances: create a-1..2-d0..1, run a-1..2
    attach volumes: a-1..2-d0..1
    mount volumes: a-1..2-d0..1
    configure: a-1..2
    - stop
    stop instances: a-1..2
    - start
    start instances: a-1..2
    mount volumes: a-1..2-d0..1
    push metadata: a-1..2
    - delete
    unmount volumes?: a-1..2-d0..1
    stop instances?: a-1..2
    detach volumes: a-1..2-d0..1
    delete instances: a-1..2
    delete volumes: a-1..2-d0..1
    ");
}

#[test]
fn replicas_get_all_that_base_nodes_get() {
    assert_snapshot!(life(&[role("a", 2).replicas(1).disks(1).starts(0)]), @r"
    - create
    create volumes, run instances: create a-1..4-d0, run a-1..4
    attach volumes: a-1..4-d0
    mount volumes: a-1..4-d0
    configure: a-1..4
    start: `start.sh` a-1..4
    - stop
    stop: `stop.sh`? a-1..4
    stop instances: a-1..4
    - start
    start instances: a-1..4
    mount volumes: a-1..4-d0
    push metadata: a-1..4
    start: `start.sh` a-1..4
    - delete
    stop: `stop.sh`? a-1..4
    unmount volumes?: a-1..4-d0
    stop instances?: a-1..4
    detach volumes: a-1..4-d0
    delete instances: a-1..4
    delete volumes: a-1..4-d0
    ");
}

#[test]
fn equal_orders_of_two_roles_share_a_layer() {
    assert_snapshot!(life(&[role("a", 1).starts(1), role("b", 1).starts(1), role("c", 1).starts(-1)]), @r"
    - create
    run instances: a-1 b-1 c-1
    configure: a-1 b-1 c-1
    start (order -1): `start.sh` c-1
    start (order 1): `start.sh` a-1 b-1
    - stop
    stop (order -1): `stop.sh`? c-1
    stop (order 1): `stop.sh`? a-1 b-1
    stop instances: a-1 b-1 c-1
    - start
    start instances: a-1 b-1 c-1
    push metadata: a-1 b-1 c-1
    start (order -1): `start.sh` c-1
    start (order 1): `start.sh` a-1 b-1
    - delete
    stop (order -1): `stop.sh`? c-1
    stop (order 1): `stop.sh`? a-1 b-1
    delete instances: a-1 b-1 c-1
    ");
}

#[test]
fn without_an_agent_there_are_machines_and_disks_only() {
    assert_snapshot!(life(&[role("a", 1).disks(1).starts(0).without_agent(), role("b", 1).starts(0)]), @r"
    - create
    create volumes, run instances: create a-1-d0, run a-1 b-1
    attach volumes: a-1-d0
    configure: b-1
    start: `start.sh` b-1
    - stop
    stop: `stop.sh`? b-1
    stop instances: a-1 b-1
    - start
    start instances: a-1 b-1
    push metadata: b-1
    start: `start.sh` b-1
    - delete
    stop: `stop.sh`? b-1
    stop instances?: a-1
    detach volumes: a-1-d0
    delete instances: a-1 b-1
    delete volumes: a-1-d0
    ");
}

#[test]
fn init_and_destroy_on_either_side() {
    let late_init = Service { post_start_service: true, ..cmd("late-init.sh") };
    let late_destroy = Service { post_stop_service: true, ..cmd("late-destroy.sh") };
    let early = role("a", 1)
        .starts(0)
        .service(ServiceName::Init, cmd("init.sh"))
        .service(ServiceName::Destroy, cmd("destroy.sh"));
    let late = role("b", 1)
        .starts(0)
        .service(ServiceName::Init, late_init)
        .service(ServiceName::Destroy, late_destroy);
    assert_snapshot!(life(&[early, late]), @r"
    - create
    run instances: a-1 b-1
    configure: a-1 b-1
    init: `init.sh` a-1
    start: `start.sh` a-1 b-1
    init after start: `late-init.sh` b-1
    - stop
    stop: `stop.sh`? a-1 b-1
    stop instances: a-1 b-1
    - start
    start instances: a-1 b-1
    push metadata: a-1 b-1
    start: `start.sh` a-1 b-1
    - delete
    destroy: `destroy.sh` a-1
    stop: `stop.sh`? a-1 b-1
    destroy after stop: `late-destroy.sh` b-1
    delete instances: a-1 b-1
    ");
}

#[test]
fn keys_and_tokens_made_on_nodes_are_pushed_once_more() {
    let mut keys = role("a", 1);
    keys.spec.passphraseless = Some("ed25519".into());
    assert_snapshot!(prose(&planned(&cluster(&[keys, role("b", 1)]), &CREATE)), @r"
    run instances: a-1 b-1
    configure: a-1 b-1
    push metadata: a-1 b-1
    ");
}

#[test]
fn a_limited_command_runs_on_the_first_nodes() {
    #[track_caller]
    fn check(limit: u32, role: Role, expected: Option<&str>) {
        let limited = Service { nodes_to_execute_on: Some(limit), ..cmd("start.sh") };
        let cluster = cluster(&[role.service(ServiceName::Start, limited)]);
        let text = prose(&planned(&cluster, &CREATE));
        let started = text.lines().find_map(|line| line.strip_prefix("start: `start.sh` "));
        assert_eq!(started, expected, "{text}");
    }
    let three = || role("a", 3);
    check(0, three(), None);
    check(1, three(), Some("a-1"));
    check(2, three(), Some("a-1..2"));
    check(3, three(), Some("a-1..3"));
    check(4, three(), Some("a-1..3"));
    check(2, role("a", 11), Some("a-1..2")); // by number, where `a-10` comes after `a-2`
    // Base nodes 1, 3 and 5; replicas 2, 4 and 6.
    let pairs = || role("a", 3).replicas(1);
    check(0, pairs(), None);
    check(1, pairs(), Some("a-1"));
    check(2, pairs(), Some("a-1 a-3"));
    check(3, pairs(), Some("a-1..6"));
}

#[test]
fn a_half_made_cluster_is_completed_by_create_and_by_start() {
    let roles = [role("a", 2).disks(1).starts(0).service(ServiceName::Init, cmd("init.sh"))];
    let mut cluster = half_made(&roles, 2);
    cluster.nodes.insert("a-2".into(), Node::default());
    let text = prose(&planned(&cluster, &START));
    assert_snapshot!(text, @r"
    create volumes, run instances, start instances: create a-2-d0, run a-2, start a-1
    attach volumes: a-2-d0
    mount volumes: a-1..2-d0
    configure: a-1..2
    init: `init.sh` a-1..2
    start: `start.sh` a-1..2
    ");
    assert_eq!(prose(&planned(&cluster, &CREATE)), text);
    // All machines and disks are there, and yet nobody knows whether all was configured and initialised.
    assert_snapshot!(prose(&planned(&half_made(&roles, 4), &START)), @r"
    start instances: a-1..2
    mount volumes: a-1..2-d0
    configure: a-1..2
    init: `init.sh` a-1..2
    start: `start.sh` a-1..2
    ");
}

#[test]
fn a_lost_instance_comes_back_on_start_and_only_it_is_initialised() {
    let mut cluster = active(&[role("a", 2).disks(1).starts(0).service(ServiceName::Init, cmd("init.sh"))]);
    let lost = cluster.nodes.get_mut(&"a-2".into()).unwrap();
    (lost.instance, lost.status) = (None, NodeStatus::Deleted);
    lost.disks.get_mut(&0).unwrap().device = None;
    assert_snapshot!(prose(&planned(&cluster, &START)), @r"
    run instances, start instances: run a-2, start a-1
    attach volumes: a-2-d0
    mount volumes: a-1..2-d0
    configure: a-2
    push metadata: a-1
    init: `init.sh` a-2
    start: `start.sh` a-1..2
    ");
}

#[test]
fn delete_removes_what_a_failed_create_left_and_asks_no_agent() {
    let roles = [role("a", 2).disks(1).starts(0), role("b", 1).starts(0)];
    assert_snapshot!(prose(&planned(&half_made(&roles, 0), &DELETE)), @"nothing");
    assert_snapshot!(prose(&planned(&half_made(&roles, 1), &DELETE)), @r"
    stop instances?: a-1..2
    detach volumes: a-1..2-d0
    delete instances: a-1..2 b-1
    delete volumes: a-1..2-d0
    ");
    assert_snapshot!(prose(&planned(&half_made(&roles, 4), &DELETE)), @r"
    stop instances?: a-1..2
    detach volumes: a-1..2-d0
    delete instances: a-1..2 b-1
    delete volumes: a-1..2-d0
    ");
}

#[test]
fn delete_of_a_stopped_cluster_stops_nothing() {
    let mut cluster = active(&[role("a", 2).disks(1).starts(0)]);
    carry_out(&mut cluster, &STOP, facts());
    assert_snapshot!(prose(&planned(&cluster, &DELETE)), @r"
    detach volumes: a-1..2-d0
    delete instances: a-1..2
    delete volumes: a-1..2-d0
    ");
}

#[test]
fn delete_can_keep_the_volumes() {
    let cluster = active(&[role("a", 1).disks(1)]);
    assert_snapshot!(prose(&planned(&cluster, &Action::DeleteClusters { keep_volumes: true, force: false, keep_history: false })), @r"
    unmount volumes?: a-1-d0
    stop instances?: a-1
    detach volumes: a-1-d0
    delete instances: a-1
    ");
}

#[test]
fn delete_removes_nodes_that_are_wanted_no_more() {
    let mut cluster = active(&[role("a", 2).disks(1).starts(0)]);
    cluster.spec.nodes.remove(&"a-1".into());
    assert_snapshot!(prose(&planned(&cluster, &DELETE)), @r"
    stop: `stop.sh`? a-2
    unmount volumes?: a-2-d0
    stop instances?: a-2 a-1
    detach volumes: a-2-d0 a-1-d0
    delete instances: a-2 a-1
    delete volumes: a-2-d0 a-1-d0
    ");
}

#[test]
fn after_a_stop_that_failed_only_running_nodes_are_asked_to_stop() {
    let mut cluster = active(&[role("a", 2).disks(1).starts(0)]);
    cluster.nodes.get_mut(&"a-1".into()).unwrap().status = NodeStatus::Stopped;
    assert_snapshot!(prose(&planned(&cluster, &STOP)), @r"
    stop: `stop.sh`? a-2
    stop instances: a-2
    ");
}

#[test]
fn timeouts_follow_the_work() {
    let mut roles = kvgrid();
    roles[0].spec.passphraseless = Some("ed25519".into());
    let create = planned(&cluster(&roles), &CREATE);
    let delete = planned(&active(&roles), &DELETE);
    let seconds: BTreeSet<_> = create
        .layers
        .iter()
        .chain(&delete.layers)
        .flat_map(|layer| &layer.tasks)
        .map(|task| {
            let text = task.work.to_string();
            let verb = text.split(" router").next().and_then(|text| text.split(" shard-").next());
            format!("{}: {} s\n", verb.unwrap(), task.timeout_s)
        })
        .collect();
    assert_snapshot!(String::from_iter(seconds), @r"
    Attach volume: 600 s
    Create volume: 600 s
    Delete instance: 600 s
    Delete volume: 600 s
    Detach volume: 600 s
    Run instance: 1800 s
    Stop instance: 600 s
    configure: 1800 s
    mount: 3600 s
    push metadata: 600 s
    run `bootstrap.sh`: 960 s
    run `deregister.sh`: 120 s
    run `router.sh start`: 120 s
    run `router.sh stop`: 120 s
    run `shard.sh start`: 120 s
    run `shard.sh stop`: 120 s
    unmount: 600 s
    ");
}

#[test]
fn shortfalls_refuse_all_at_once() {
    let shortfall = |what: &str, why: &str, hint: Option<&str>| Shortfall {
        what: what.into(),
        why: why.into(),
        hint: hint.map(Into::into),
    };
    let memory = || shortfall("memory", "8192 MiB needed, 4096 MiB left", Some("free some"));
    let image = || shortfall("role `a`", "no image `img` in zone `zone-1`", None);
    let refuse = |shortfalls: Vec<Shortfall>| {
        let mut facts = facts();
        facts.headroom.insert("memory".into(), Headroom { needed: 8192, left: 4096, total: 16384 });
        facts.shortfalls = shortfalls;
        let change = change(&cluster(&[role("a", 1)]), &CREATE);
        let error = plan(&change, facts).unwrap_err();
        format!("{:?}: {error} (hint: {})", error.kind(), error.hint_text().unwrap_or("none"))
    };
    assert_snapshot!(refuse(vec![memory()]), @"Quota: planning `create` of cluster `grid-a`: memory: 8192 MiB needed, 4096 MiB left (hint: free some)");
    assert_snapshot!(refuse(vec![image()]), @"Invalid: planning `create` of cluster `grid-a`: role `a`: no image `img` in zone `zone-1` (hint: none)");
    assert_snapshot!(refuse(vec![memory(), image()]), @"Invalid: planning `create` of cluster `grid-a`: memory: 8192 MiB needed, 4096 MiB left; role `a`: no image `img` in zone `zone-1` (hint: free some)");
}

#[test]
fn a_node_without_a_role_is_refused() {
    let mut cluster = active(&[role("a", 1)]);
    cluster.spec.roles.clear();
    let error = plan(&change(&cluster, &START), facts()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_snapshot!(error, @"planning node `a-1`: the cluster does not have its role");
}

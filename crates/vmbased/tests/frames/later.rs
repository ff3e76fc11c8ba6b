//! Plans to be read, of what is asked of a cluster after it was created.

use crate::fixture::{
    CREATE, DELETE, Role, START, STOP, change, cmd, facts, grow, resize, role, upgrade, without,
};
use crate::golden::{active, kvgrid, planned, run_some};
use crate::prose::prose;
use crate::world::carry_out;
use insta::assert_snapshot;
use provider_core::{
    Action, AgentVerb, Change, Cluster, ClusterStatus, ErrorKind, NodeSpec, NodeStatus, Service, ServiceName,
    Size, Work,
};
use std::collections::BTreeMap;
use vmbased::frame::plan;

fn text(cluster: &Cluster, action: &Action) -> String {
    prose(&planned(cluster, action))
}

fn cpu(cpu: u32) -> Size {
    Size { cpu: Some(cpu), ..Size::default() }
}

#[test]
fn nodes_come_only_if_those_that_are_there_agree() {
    let mut cluster = active(&kvgrid().map(Role::checked));
    let mut change = change(&cluster, &Action::AddClusterNodes);
    let first = cluster.spec.nodes[&"shard-1".into()].clone();
    change.after.nodes.insert("shard-4".into(), NodeSpec { server_id: 4, group_id: 4, ..first });
    assert_snapshot!(prose(&plan(&change, facts()).unwrap()), @r"
    check scale out: `can-rebalance.sh` shard-1
    create volumes, run instances: create shard-4-d0, run router-3 shard-4
    attach volumes: shard-4-d0
    mount volumes: shard-4-d0
    configure: router-3 shard-4
    push metadata: router-1..3 shard-1..4
    start (order 1): `shard.sh start` shard-4
    start (order 2): `router.sh start` router-3
    init after start: `bootstrap.sh` shard-4
    await health: router-3 shard-4
    scale out: `rebalance.sh out` shard-1
    settle metadata: router-1..3 shard-1..4
    ");
    assert_snapshot!(prose(&carry_out(&mut cluster, &without(&["shard-3", "router-2"]), facts())), @r"
    push metadata: router-1 shard-1..2
    check scale in: `can-drain.sh` shard-1
    destroy: `deregister.sh`? shard-3
    scale in: `rebalance.sh in` shard-1
    stop (order 1): `router.sh stop`? router-2
    stop (order 2): `shard.sh stop`? shard-3
    unmount volumes?: shard-3-d0
    stop instances?: shard-3
    detach volumes: shard-3-d0
    delete instances: router-2 shard-3
    delete volumes: shard-3-d0
    settle metadata: router-1 shard-1..2
    ");
    assert!(!cluster.nodes.contains_key(&"shard-3".into()));
}

#[test]
fn nodes_that_came_halfway_are_completed_by_start_and_by_recover() {
    let roles = [role("a", 1).disks(1).starts(0).service(ServiceName::Init, cmd("init.sh"))];
    let mut cluster = active(&roles);
    run_some(&mut cluster, &Action::AddClusterNodes, 2);
    assert_snapshot!(text(&cluster, &START), @r"
    start instances: a-1..2
    mount volumes: a-1..2-d0
    configure: a-2
    push metadata: a-1
    init: `init.sh` a-2
    start: `start.sh` a-1..2
    ");
    assert_snapshot!(text(&cluster, &Action::RecoverClusters), @r"
    start instances: a-2
    mount volumes: a-2-d0
    configure: a-2
    push metadata: a-1
    init: `init.sh` a-2
    start: `start.sh` a-2
    ");
    // One more does not leave the first behind.
    assert_snapshot!(text(&cluster, &Action::AddClusterNodes), @r"
    create volumes, run instances, start instances: create a-3-d0, run a-3, start a-2
    attach volumes: a-3-d0
    mount volumes: a-2..3-d0
    configure: a-2..3
    push metadata: a-1..3
    init: `init.sh` a-2..3
    start: `start.sh` a-2..3
    settle metadata: a-1..3
    ");
}

#[test]
fn a_node_that_was_half_removed_can_be_removed() {
    let mut cluster =
        active(&[role("a", 2).disks(1).starts(0).service(ServiceName::Destroy, cmd("destroy.sh"))]);
    let action = without(&["a-2"]);
    assert_snapshot!(text(&cluster, &action), @r"
    push metadata: a-1
    destroy: `destroy.sh` a-2
    stop: `stop.sh`? a-2
    unmount volumes?: a-2-d0
    stop instances?: a-2
    detach volumes: a-2-d0
    delete instances: a-2
    delete volumes: a-2-d0
    settle metadata: a-1
    ");
    run_some(&mut cluster, &action, 3);
    assert_snapshot!(text(&cluster, &action), @r"
    push metadata: a-1
    stop instances?: a-2
    detach volumes: a-2-d0
    delete instances: a-2
    delete volumes: a-2-d0
    settle metadata: a-1
    ");
}

#[test]
fn another_size_stops_instances_and_larger_disks_detach_them() {
    let cluster = active(&[role("a", 2).disks(1).starts(0).checked(), role("b", 1)]);
    assert_snapshot!(text(&cluster, &resize(&cluster, &cpu(2))), @r"
    stop: `stop.sh`? a-1..2
    stop instances: a-1..2
    resize instances: a-1..2
    start instances: a-1..2
    push metadata: a-1..2
    start: `start.sh` a-1..2
    await health: a-1..2
    stop instances: b-1
    resize instances: b-1
    start instances: b-1
    push metadata: b-1
    push metadata: a-1..2 b-1
    ");
    assert_snapshot!(text(&cluster, &grow(&cluster, 80)), @r"
    stop: `stop.sh`? a-1..2
    unmount volumes: a-1..2-d0
    detach volumes: a-1..2-d0
    resize volumes: a-1..2-d0
    attach volumes: a-1..2-d0
    mount volumes: a-1..2-d0
    push metadata: a-1..2
    start: `start.sh` a-1..2
    await health: a-1..2
    push metadata: a-1..2 b-1
    ");
    assert_snapshot!(text(&cluster, &resize(&cluster, &Size { disk_gib: Some(80), ..cpu(2) })), @r"
    stop: `stop.sh`? a-1..2
    unmount volumes?: a-1..2-d0
    stop instances: a-1..2
    detach volumes: a-1..2-d0
    resize instances, resize volumes: a-1..2 a-1..2-d0
    start instances: a-1..2
    attach volumes: a-1..2-d0
    mount volumes: a-1..2-d0
    push metadata: a-1..2
    start: `start.sh` a-1..2
    await health: a-1..2
    stop instances: b-1
    resize instances: b-1
    start instances: b-1
    push metadata: b-1
    push metadata: a-1..2 b-1
    ");
    assert_snapshot!(text(&cluster, &resize(&cluster, &cpu(1))), @"nothing");
}

#[test]
fn a_sequential_role_is_resized_node_by_node_replicas_first() {
    let cluster = active(&[role("a", 2).replicas(1).starts(0).sequential(), role("b", 2).starts(1)]);
    assert_snapshot!(text(&cluster, &resize(&cluster, &cpu(2))), @r"
    stop: `stop.sh`? a-2
    stop instances: a-2
    resize instances: a-2
    start instances: a-2
    push metadata: a-2
    start: `start.sh` a-2
    stop: `stop.sh`? a-4
    stop instances: a-4
    resize instances: a-4
    start instances: a-4
    push metadata: a-4
    start: `start.sh` a-4
    stop: `stop.sh`? a-1
    stop instances: a-1
    resize instances: a-1
    start instances: a-1
    push metadata: a-1
    start: `start.sh` a-1
    stop: `stop.sh`? a-3
    stop instances: a-3
    resize instances: a-3
    start instances: a-3
    push metadata: a-3
    start: `start.sh` a-3
    stop: `stop.sh`? b-1..2
    stop instances: b-1..2
    resize instances: b-1..2
    start instances: b-1..2
    push metadata: b-1..2
    start: `start.sh` b-1..2
    push metadata: a-1..4 b-1..2
    ");
}

#[test]
fn a_resize_that_was_cut_short_is_taken_up_with_another_size() {
    let mut cluster = active(&[role("a", 2).disks(1).starts(0)]);
    let both = resize(&cluster, &Size { disk_gib: Some(80), ..cpu(2) });
    run_some(&mut cluster, &both, 5);
    assert_snapshot!(text(&cluster, &resize(&cluster, &cpu(4))), @r"
    resize instances: a-1..2
    start instances: a-1..2
    attach volumes: a-1..2-d0
    mount volumes: a-1..2-d0
    push metadata: a-1..2
    start: `start.sh` a-1..2
    ");
    assert_snapshot!(text(&cluster, &START), @r"
    start instances: a-1..2
    attach volumes: a-1..2-d0
    mount volumes: a-1..2-d0
    configure: a-1..2
    start: `start.sh` a-1..2
    ");
}

#[test]
fn restart_takes_the_command_of_a_role_or_goes_down_and_up() {
    let service = |order| Service { order, ..cmd("restart.sh") };
    let roles = [
        role("web", 2).starts(2).checked(),
        role("db", 1).starts(1).service(ServiceName::Restart, service(1)),
        role("log", 1).starts(3).without_agent(),
    ];
    assert_snapshot!(text(&active(&roles), &Action::RestartClusters), @r"
    stop: `stop.sh`? web-1..2
    restart (order 1): `restart.sh` db-1
    restart (order 2): `start.sh` web-1..2
    await health: web-1..2
    ");
}

#[test]
fn parameters_reach_the_nodes_whose_role_has_them() {
    let restart = |order| Service { order, ..cmd("restart.sh") };
    let mut cluster = active(&[
        role("a", 2).service(ServiceName::Restart, restart(1)).checked(),
        role("b", 1).service(ServiceName::Restart, restart(0)),
        role("c", 1),
    ]);
    let told = |change| prose(&plan(&change, facts()).unwrap());
    let changed = change(&cluster, &Action::UpdateClusterEnv);
    assert_snapshot!(told(changed.clone()), @r"
    push metadata: a-1..2
    restart: `restart.sh` a-1..2
    await health: a-1..2
    ");
    let mut linked = changed.clone();
    linked.after.links.insert("db".into(), "other".into());
    assert_snapshot!(told(linked), @r"
    push metadata: a-1..2 b-1 c-1
    restart (order 0): `restart.sh` b-1
    restart (order 1): `restart.sh` a-1..2
    await health: a-1..2
    ");
    // The job ended early, and somebody asks once more.
    cluster.spec = changed.after;
    let again = Change { after: cluster.spec.clone(), before: cluster, ..changed };
    assert_eq!(told(again).lines().next(), Some("push metadata: a-1..2 b-1 c-1"));
}

/// A database that starts first, and a front that starts after it.
pub(crate) fn versioned() -> Cluster {
    active(&[
        role("db", 1)
            .replicas(2)
            .starts(1)
            .checked()
            .service(ServiceName::Upgrade, Service { nodes_to_execute_on: Some(1), ..cmd("migrate.sh") })
            .service(ServiceName::Backup, Service { nodes_to_execute_on: Some(1), ..cmd("dump.sh") }),
        role("web", 1)
            .starts(2)
            .service(ServiceName::Upgrade, Service { post_start_service: true, ..cmd("warm-up.sh") }),
    ])
}

#[test]
fn an_upgrade_goes_node_by_node_and_a_rollback_the_same_way() {
    let mut cluster = versioned();
    assert_snapshot!(prose(&carry_out(&mut cluster, &upgrade("kvgrid@2"), facts())), @r"
    backup: `dump.sh` db-1
    stop (order 2): `stop.sh` web-1
    configure: web-1
    start (order 2): `start.sh 2` web-1
    upgrade after start: `warm-up.sh 2` web-1
    stop (order 1): `stop.sh` db-2
    configure: db-2
    start (order 1): `start.sh 2` db-2
    await health: db-2
    stop (order 1): `stop.sh` db-3
    configure: db-3
    start (order 1): `start.sh 2` db-3
    await health: db-3
    stop (order 1): `stop.sh` db-1
    configure: db-1
    upgrade: `migrate.sh 2` db-1
    start (order 1): `start.sh 2` db-1
    await health: db-1
    push metadata: db-1..3 web-1
    ");
    assert_snapshot!(text(&cluster, &Action::RollbackCluster { revision: None }), @r"
    stop (order 2): `stop.sh 2` web-1
    configure: web-1
    start (order 2): `start.sh` web-1
    stop (order 1): `stop.sh 2` db-2
    configure: db-2
    start (order 1): `start.sh` db-2
    await health: db-2
    stop (order 1): `stop.sh 2` db-3
    configure: db-3
    start (order 1): `start.sh` db-3
    await health: db-3
    stop (order 1): `stop.sh 2` db-1
    configure: db-1
    start (order 1): `start.sh` db-1
    await health: db-1
    push metadata: db-1..3 web-1
    ");
    let unsaved = Action::UpgradeCluster { to: "kvgrid@3".into(), backup: false };
    assert!(text(&cluster, &unsaved).starts_with("stop (order 2): `stop.sh 2` web-1\n"));
}

#[test]
fn an_upgrade_whose_second_node_fails_goes_on_and_back_from_there() {
    // The layers before: backup, four for `web-1`, four for each of `db-2` and `db-3`, then `db-1`.
    let stopped_at = |layers| {
        let mut cluster = versioned();
        run_some(&mut cluster, &upgrade("kvgrid@2"), layers);
        cluster
    };
    let touched = |cluster: &Cluster, action: &Action| {
        let layers = planned(cluster, action).layers.into_iter().flat_map(|layer| layer.tasks);
        let works = layers.filter(|task| task.work == Work::Agent(AgentVerb::Configure));
        works.map(|task| task.node.unwrap().to_string()).collect::<Vec<_>>().join(" ")
    };
    // `db-2` is down and has the new files. It is done once more.
    let cluster = stopped_at(7);
    assert_eq!(touched(&cluster, &upgrade("kvgrid@2")), "db-2 db-3 db-1");
    assert_snapshot!(text(&cluster, &Action::RollbackCluster { revision: None }), @r"
    stop (order 2): `stop.sh 2` web-1
    configure: web-1
    start (order 2): `start.sh` web-1
    stop (order 1): `stop.sh 2`? db-2
    configure: db-2
    start (order 1): `start.sh` db-2
    await health: db-2
    push metadata: db-1..3 web-1
    ");
    // It is down and has the old files.
    let cluster = stopped_at(6);
    assert_eq!(touched(&cluster, &upgrade("kvgrid@2")), "db-2 db-3 db-1");
    assert_eq!(touched(&cluster, &Action::RollbackCluster { revision: None }), "web-1 db-2");
    // The backup failed, and is taken again; or was not wanted any more.
    let cluster = stopped_at(0);
    assert!(text(&cluster, &upgrade("kvgrid@2")).starts_with("backup: `dump.sh` db-1\n"));
    assert_eq!(touched(&cluster, &Action::RollbackCluster { revision: None }), "");
    // All have the new files and the last one did not come up: it is done once more, also back.
    let mut cluster = stopped_at(16);
    assert_eq!(touched(&cluster, &upgrade("kvgrid@2")), "db-1");
    assert_eq!(touched(&cluster, &Action::RollbackCluster { revision: None }), "web-1 db-2 db-3 db-1");
    run_some(&mut cluster, &Action::RollbackCluster { revision: None }, 1);
    assert_eq!(touched(&cluster, &upgrade("kvgrid@2")), "web-1 db-1");
}

#[test]
fn a_version_with_other_nodes_is_refused() {
    let cluster = active(&[role("a", 1)]);
    let mut change = change(&cluster, &upgrade("kvgrid@2"));
    change.after.nodes.clear();
    let error = plan(&change, facts()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_snapshot!(format!("{error}; {}", error.hint_text().unwrap()), @"planning `upgrade` of cluster `grid-a`: kvgrid@2 would change its nodes: `a-1`; a version may bring new roles without nodes, and must keep those that have some");
}

#[test]
fn cease_removes_what_a_forced_delete_left() {
    let mut cluster = active(&[role("a", 2).disks(1).starts(0)]);
    assert_eq!(text(&cluster, &Action::CeaseClusters), text(&cluster, &DELETE));
    cluster.status = ClusterStatus::Deleted;
    assert_snapshot!(prose(&carry_out(&mut cluster, &Action::CeaseClusters, facts())), @r"
    stop instances?: a-1..2
    detach volumes: a-1..2-d0
    delete instances: a-1..2
    delete volumes: a-1..2-d0
    ");
    assert!(!cluster.has_resources());
}

#[test]
fn keys_go_to_every_agent_and_services_where_they_are_declared() {
    let dump = Service { nodes_to_execute_on: Some(1), ..cmd("dump.sh") };
    let cluster = active(&[
        role("a", 2).service(ServiceName::Backup, dump),
        role("b", 1).service(ServiceName::Backup, Service { order: -1, ..cmd("flush.sh") }),
        role("c", 1).without_agent(),
    ]);
    let keys = vec!["ssh-ed25519 AAAA me".to_owned()];
    assert_snapshot!(text(&cluster, &Action::AttachKeyPairs { keys: keys.clone() }), @"attach keys: a-1..2 b-1");
    assert_snapshot!(text(&cluster, &Action::DetachKeyPairs { keys }), @"detach keys: a-1..2 b-1");
    let params = BTreeMap::from([("to".to_owned(), "s3".to_owned())]);
    assert_snapshot!(text(&cluster, &Action::RunService { service: ServiceName::Backup, params }), @r"
    backup (order -1): `flush.sh` to=s3 b-1
    backup (order 0): `dump.sh` to=s3 a-1
    ");
}

#[test]
fn what_agents_must_do_everywhere_waits_until_all_are_in_service() {
    let mut cluster = active(&[role("a", 2).starts(0)]);
    cluster.nodes.get_mut(&"a-2".into()).unwrap().status = NodeStatus::Stopped;
    let refuse = |action: &Action| plan(&change(&cluster, action), facts()).unwrap_err();
    let error = refuse(&Action::RestartClusters);
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_snapshot!(format!("{error}; {}", error.hint_text().unwrap()), @"planning `restart` of cluster `grid-a`: not in service: `a-2`; bring them back first with `pitrix cluster recover grid-a`");
    for action in [
        Action::AddClusterNodes,
        Action::UpdateClusterEnv,
        upgrade("kvgrid@2"),
        Action::RollbackCluster { revision: None },
    ] {
        assert_eq!(refuse(&action).kind(), ErrorKind::Conflict, "{action:?}");
    }
    assert!(plan(&change(&cluster, &without(&["a-2"])), facts()).is_ok());
    assert!(plan(&change(&cluster, &resize(&cluster, &cpu(2))), facts()).is_ok());
    let [create, stop] = [CREATE, STOP].map(|action| plan(&change(&cluster, &action), facts()));
    assert!(create.is_ok() && stop.is_ok());
    carry_out(&mut cluster, &STOP, facts());
    let error = plan(&change(&cluster, &Action::RestartClusters), facts()).unwrap_err();
    assert_eq!(error.hint_text(), Some("bring them back first with `pitrix cluster start grid-a`"));
}

//! Plans to be read that follow from what was found: which machines are there, and what their agents say.

use crate::fixture::{DELETE, START, STOP, change, cmd, facts, grow, role, upgrade, without};
use crate::golden::{active, run_some};
use crate::later::versioned;
use crate::prose::prose;
use crate::world::carry_out;
use insta::assert_snapshot;
use provider_core::{
    Action, Cluster, Facts, Health, InstanceState, NodeFacts, Service, ServiceName, Timestamp,
};
use vmbased::frame::plan;

/// What is found of `cluster`: all is well, but for these.
fn found(cluster: &Cluster, but: &[(&str, NodeFacts)]) -> Facts {
    let mut facts = facts();
    facts.nodes =
        cluster.nodes.keys().map(|id| (id.clone(), seen(InstanceState::Running, true, true))).collect();
    facts.nodes.extend(but.iter().map(|(id, found)| ((*id).into(), found.clone())));
    facts
}

fn seen(instance: InstanceState, started: bool, healthy: bool) -> NodeFacts {
    let health = Health { started, healthy, since: Timestamp(0), cause: None };
    NodeFacts { instance, health: Some(health) }
}

fn silent(instance: InstanceState) -> NodeFacts {
    NodeFacts { instance, health: None }
}

#[test]
fn recover_does_what_was_found_to_be_missing_and_no_more() {
    let cluster =
        active(&[role("a", 3).disks(1).starts(0).checked().service(ServiceName::Init, cmd("init.sh"))]);
    let recover = |but: &[(&str, NodeFacts)]| {
        let change = change(&cluster, &Action::RecoverClusters);
        prose(&plan(&change, found(&cluster, but)).unwrap())
    };
    assert_snapshot!(recover(&[]), @"nothing");
    assert_snapshot!(recover(&[("a-3", seen(InstanceState::Running, true, false))]), @r"
    stop: `stop.sh`? a-3
    restart: `start.sh` a-3
    await health: a-3
    ");
    assert_snapshot!(recover(&[("a-3", seen(InstanceState::Running, false, false))]), @r"
    mount volumes: a-3-d0
    start: `start.sh` a-3
    await health: a-3
    ");
    assert_snapshot!(recover(&[("a-3", silent(InstanceState::Running))]), @r"
    start instances: a-3
    mount volumes: a-3-d0
    push metadata: a-1..3
    start: `start.sh` a-3
    await health: a-3
    ");
    assert_snapshot!(recover(&[("a-3", silent(InstanceState::Stopped))]), @r"
    start instances: a-3
    mount volumes: a-3-d0
    push metadata: a-1..3
    start: `start.sh` a-3
    await health: a-3
    ");
    assert_snapshot!(recover(&[("a-3", silent(InstanceState::Missing))]), @r"
    run instances: a-3
    attach volumes: a-3-d0
    mount volumes: a-3-d0
    configure: a-3
    push metadata: a-1..2
    start: `start.sh` a-3
    await health: a-3
    ");
}

#[test]
fn start_replaces_what_was_found_to_be_gone_and_mounts_what_an_earlier_job_left() {
    let mut cluster = active(&[role("a", 2).disks(1).starts(0).service(ServiceName::Init, cmd("init.sh"))]);
    let resize = grow(&cluster, 80);
    run_some(&mut cluster, &resize, 2);
    let facts = found(&cluster, &[("a-2", silent(InstanceState::Missing))]);
    assert_snapshot!(prose(&carry_out(&mut cluster, &STOP, facts.clone())), @r"
    stop: `stop.sh`? a-1
    stop instances: stop a-1, stop? a-2
    ");
    assert_snapshot!(prose(&carry_out(&mut cluster, &START, facts)), @r"
    run instances, start instances: run a-2, start a-1
    attach volumes: a-2-d0
    mount volumes: a-1..2-d0
    configure: a-2
    push metadata: a-1
    start: `start.sh` a-1..2
    ");
}

#[test]
fn nothing_waits_for_agents_whose_machines_are_down_or_gone() {
    let roles = || role("a", 4).disks(1).starts(0).service(ServiceName::Destroy, cmd("destroy.sh"));
    let cluster = active(&[roles()]);
    let facts =
        found(&cluster, &[("a-2", silent(InstanceState::Stopped)), ("a-3", silent(InstanceState::Missing))]);
    let text = |action: &Action| prose(&plan(&change(&cluster, action), facts.clone()).unwrap());
    assert_snapshot!(text(&STOP), @r"
    stop: `stop.sh`? a-1 a-4
    stop instances: stop a-1..2, stop? a-3, stop a-4
    ");
    assert_snapshot!(text(&DELETE), @r"
    destroy: `destroy.sh` a-1 a-4
    stop: `stop.sh`? a-1 a-4
    unmount volumes?: a-1-d0 a-4-d0
    stop instances?: a-1..4
    detach volumes: a-1..4-d0
    delete instances: a-1..4
    delete volumes: a-1..4-d0
    ");
    let refused = |action: &Action| {
        let error = plan(&change(&cluster, action), facts.clone()).unwrap_err();
        format!("{error}; {}", error.hint_text().unwrap())
    };
    let actions = [
        Action::RestartClusters,
        Action::UpdateClusterEnv,
        upgrade("kvgrid@2"),
        without(&["a-4"]),
        grow(&cluster, 80),
    ];
    assert_snapshot!(actions.map(|action| refused(&action)).join("
"), @r"
    planning `restart` of cluster `grid-a`: not in service: `a-2`, `a-3`; bring them back first with `pitrix cluster recover grid-a`
    planning `update-env` of cluster `grid-a`: not in service: `a-2`, `a-3`; bring them back first with `pitrix cluster recover grid-a`
    planning `upgrade` of cluster `grid-a`: not in service: `a-2`, `a-3`; bring them back first with `pitrix cluster recover grid-a`
    planning `delete-nodes` of cluster `grid-a`: not in service: `a-2`, `a-3`; bring them back first with `pitrix cluster recover grid-a`
    planning `resize` of cluster `grid-a`: not in service: `a-3`; bring them back first with `pitrix cluster recover grid-a`
    ");
    // Those that go need not be there.
    assert_snapshot!(text(&without(&["a-2", "a-3"])), @r"
    push metadata: a-1 a-4
    stop instances?: a-2..3
    detach volumes: a-2..3-d0
    delete instances: a-2..3
    delete volumes: a-2..3-d0
    settle metadata: a-1 a-4
    ");
}

#[test]
fn recover_of_several_brings_each_order_up_as_a_whole() {
    let roles = [
        role("db", 2).starts(1).service(ServiceName::Restart, Service { order: 1, ..cmd("restart.sh") }),
        role("web", 2).starts(2),
    ];
    let mut cluster = active(&roles);
    let facts = found(
        &cluster,
        &[
            ("db-1", seen(InstanceState::Running, true, false)),
            ("db-2", silent(InstanceState::Stopped)),
            ("web-1", seen(InstanceState::Running, true, false)),
            ("web-2", silent(InstanceState::Missing)),
        ],
    );
    assert_snapshot!(prose(&carry_out(&mut cluster, &Action::RecoverClusters, facts)), @r"
    run instances, start instances: run web-2, start db-2
    configure: web-2
    push metadata: db-1..2 web-1
    stop: `stop.sh`? web-1
    restart (order 1): `start.sh` db-2, `restart.sh` db-1
    restart (order 2): `start.sh` web-1..2
    ");
}

#[test]
fn a_machine_that_an_upgrade_did_not_reach_is_replaced_and_upgraded() {
    let mut cluster = versioned();
    run_some(&mut cluster, &upgrade("kvgrid@2"), 5);
    let facts = found(&cluster, &[("db-1", silent(InstanceState::Missing))]);
    assert_snapshot!(prose(&carry_out(&mut cluster, &Action::RecoverClusters, facts)), @r"
    run instances: db-1
    configure: db-1
    push metadata: db-2..3 web-1
    upgrade: `migrate.sh 2` db-1
    start: `start.sh 2` db-1
    await health: db-1
    ");
}

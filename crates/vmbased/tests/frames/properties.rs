//! What holds for every plan, whatever the cluster and however often a job was cut short before.

use crate::fixture::{CREATE, DELETE, Role, START, STOP, change, cluster, cmd, facts, resize, role};
use crate::world::{Step, accept, carry_out, fail, is_whole, run_layer};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use provider_core::{
    Action, ActionKind, AgentVerb, Cluster, ClusterStatus, Directive, Facts, Health, InstanceState,
    InstanceVerb, NodeFacts, NodeId, Plan, Service, ServiceName, Size, Timestamp, Work,
};
use std::collections::{BTreeMap, BTreeSet};
use vmbased::frame::plan;

/// A job that stopped in the middle of a layer.
#[derive(Clone, Debug)]
struct Cut {
    action: ActionKind,
    seed: usize,
    layer: Index,
    steps: Vec<Step>,
}

/// An action that was planned, run up to `layer` and, in there, as far as `steps` say. The status stays. What is
/// refused does not happen.
fn cut_short(cluster: &mut Cluster, cut: &Cut) {
    let action = action(cluster, cut.action, cut.seed);
    if !cut.action.allowed_from().contains(&cluster.status) {
        return;
    }
    let Ok(job) = accept(cluster, change(cluster, &action), found(cluster, cut.seed)) else { return };
    let mut last = 0;
    if !job.plan.is_empty() {
        last = cut.layer.index(job.plan.layers.len());
        for layer in &job.plan.layers[..last] {
            // Whatever may fail does, and the job goes on.
            run_layer(cluster, &job, layer, |task| {
                if layer.tasks[task].failure_allowed { Step::NotStarted } else { Step::Done }
            });
        }
        run_layer(cluster, &job, &job.plan.layers[last], |task| cut.steps[task % cut.steps.len()]);
    }
    fail(cluster, &job, last);
}

/// An action of this kind that fits `cluster`; `seed` stands for its parameters.
fn action(cluster: &Cluster, kind: ActionKind, seed: usize) -> Action {
    let to = || if seed.is_multiple_of(2) { "kvgrid@2" } else { "kvgrid@3" }.into();
    match kind {
        ActionKind::CreateCluster => CREATE,
        ActionKind::StartClusters => START,
        ActionKind::StopClusters => STOP,
        ActionKind::RestartClusters => Action::RestartClusters,
        ActionKind::DeleteClusters => DELETE,
        ActionKind::AddClusterNodes => Action::AddClusterNodes,
        ActionKind::DeleteClusterNodes => {
            let nodes = cluster.nodes.keys().enumerate();
            let doomed = nodes.filter(|(at, _)| (seed >> (at % 8)).is_multiple_of(3));
            Action::DeleteClusterNodes { nodes: doomed.map(|(_, id)| id.clone()).collect() }
        }
        ActionKind::ResizeCluster => {
            let small = |value: usize| u32::try_from(value % 3).unwrap();
            let (cpu, disk_gib) = (small(seed) + 1, small(seed / 3) * 40 + 40);
            resize(cluster, &Size { cpu: Some(cpu), disk_gib: Some(disk_gib), memory_mib: None })
        }
        ActionKind::UpdateClusterEnv => Action::UpdateClusterEnv,
        ActionKind::UpgradeCluster => Action::UpgradeCluster { to: to(), backup: true },
        ActionKind::RollbackCluster => Action::RollbackCluster { revision: None },
        ActionKind::RecoverClusters => Action::RecoverClusters,
        ActionKind::CeaseClusters => Action::CeaseClusters,
        ActionKind::AttachKeyPairs => Action::AttachKeyPairs { keys: vec!["key".into()] },
        ActionKind::DetachKeyPairs => Action::DetachKeyPairs { keys: vec!["key".into()] },
        ActionKind::RunService => {
            Action::RunService { service: ServiceName::Backup, params: BTreeMap::new() }
        }
    }
}

/// Findings about each node that has an instance: some are gone, down, silent or ill.
fn found(cluster: &Cluster, seed: usize) -> Facts {
    let mut facts = facts();
    for (at, (id, _)) in cluster.nodes.iter().filter(|(_, node)| node.instance.is_some()).enumerate() {
        let case = (seed >> (at % 8)) % 6;
        let instance = match case {
            0 => InstanceState::Missing,
            1 => InstanceState::Stopped,
            _ => InstanceState::Running,
        };
        let health = Health { started: case != 3, healthy: case > 4, since: Timestamp(0), cause: None };
        facts.nodes.insert(id.clone(), NodeFacts { instance, health: (case > 2).then_some(health) });
    }
    facts
}

fn services() -> impl Strategy<Value = BTreeMap<ServiceName, Service>> {
    let service = |name: &'static str, late: fn(&mut Service)| {
        (-1..=1, option::of(0..5u32), any::<bool>(), any::<bool>()).prop_map(
            move |(order, limit, is_late, force)| {
                let mut service =
                    Service { order, nodes_to_execute_on: limit, allow_force: force, ..cmd(name) };
                if is_late {
                    late(&mut service);
                }
                service
            },
        )
    };
    let (init, start) = (service("init.sh", |s| s.post_start_service = true), service("start.sh", |_| {}));
    let (destroy, stop) = (service("destroy.sh", |s| s.post_stop_service = true), service("stop.sh", |_| {}));
    let (upgrade, restart) =
        (service("upgrade.sh", |s| s.post_start_service = true), service("restart.sh", |_| {}));
    let scale_out = service("scale-out.sh", |s| s.pre_check = Some("check.sh".into()));
    let all = (init, start, stop, destroy, upgrade, restart, scale_out);
    let all = (
        option::of(all.0),
        option::of(all.1),
        option::of(all.2),
        option::of(all.3),
        option::of(all.4),
        option::of(all.5),
        option::of(all.6),
    );
    all.prop_map(|(init, start, stop, destroy, upgrade, restart, scale_out)| {
        let services = [
            (ServiceName::Init, init),
            (ServiceName::Start, start),
            (ServiceName::Stop, stop),
            (ServiceName::Destroy, destroy),
            (ServiceName::Upgrade, upgrade),
            (ServiceName::Restart, restart),
            (ServiceName::ScaleOut, scale_out),
        ];
        services.into_iter().filter_map(|(name, service)| Some((name, service?))).collect()
    })
}

fn roles() -> impl Strategy<Value = Vec<Role>> {
    let one = (0..4u32, 0..3u32, 0..3u32, prop::bool::weighted(0.8), any::<bool>(), services());
    vec(one, 1..4).prop_map(|roles| {
        let named = ["", "a", "b-1"].into_iter().zip(roles);
        named
            .map(|(name, (count, replicas, disks, agent_installed, has_keys, services))| {
                let mut role = role(name, count).replicas(replicas).disks(disks);
                role.spec.services = services;
                role.spec.agent_installed = agent_installed;
                role.spec.passphraseless = has_keys.then(|| "ed25519".into());
                role
            })
            .collect()
    })
}

fn cuts(actions: &'static [ActionKind]) -> impl Strategy<Value = Vec<Cut>> {
    let step = prop_oneof![Just(Step::NotStarted), Just(Step::Started), Just(Step::Done)];
    let cut = (prop::sample::select(actions), any::<usize>(), any::<Index>(), vec(step, 1..8));
    vec(cut.prop_map(|(action, seed, layer, steps)| Cut { action, seed, layer, steps }), 0..5)
}

/// A cluster with a history: cut-short jobs before its creation was completed, if ever, and others after.
fn history() -> impl Strategy<Value = Cluster> {
    (roles(), cuts(&ActionKind::ALL), option::of(cuts(&ActionKind::ALL))).prop_map(
        |(roles, before, after)| {
            let mut cluster = cluster(&roles);
            before.iter().for_each(|cut| cut_short(&mut cluster, cut));
            if let Some(after) = after {
                carry_out(&mut cluster, &CREATE, facts());
                after.iter().for_each(|cut| cut_short(&mut cluster, cut));
            }
            cluster
        },
    )
}

/// A cluster that was created, with versions that it was to have and did not quite get.
fn half_upgraded() -> impl Strategy<Value = Cluster> {
    (roles(), cuts(&[ActionKind::UpgradeCluster, ActionKind::RollbackCluster])).prop_map(|(roles, cuts)| {
        let mut cluster = cluster(&roles);
        carry_out(&mut cluster, &CREATE, facts());
        cuts.iter().for_each(|cut| cut_short(&mut cluster, cut));
        cluster
    })
}

fn some_facts() -> impl Strategy<Value = Facts> {
    any::<bool>().prop_map(|needs_frontgate| Facts { needs_frontgate, ..facts() })
}

/// How many tasks of `plan` each group of `cluster` has for which `is_meant` holds.
fn count_by_group(
    cluster: &Cluster,
    plan: &Plan,
    is_meant: impl Fn(&Work) -> bool,
) -> BTreeMap<(String, bool), u32> {
    let mut counts = BTreeMap::new();
    for task in plan.layers.iter().flat_map(|layer| &layer.tasks).filter(|task| is_meant(&task.work)) {
        *counts.entry(group(cluster, task.node.as_ref().unwrap())).or_insert(0) += 1;
    }
    counts
}

fn group(cluster: &Cluster, node: &NodeId) -> (String, bool) {
    let node = &cluster.spec.nodes[node];
    (node.role.to_string(), node.replica)
}

proptest! {
    #[test]
    fn starting_completes_any_cluster(mut cluster in history(), facts in some_facts(), seed in any::<usize>()) {
        let found = found(&cluster, seed).nodes;
        carry_out(&mut cluster, &START, Facts { nodes: found.clone(), ..facts.clone() });
        prop_assert!(is_whole(&cluster), "{cluster:#?}");
        carry_out(&mut cluster, &STOP, facts.clone());
        prop_assert_eq!(cluster.status, ClusterStatus::Stopped);
        carry_out(&mut cluster, &START, Facts { nodes: found, ..facts });
        prop_assert!(is_whole(&cluster), "{cluster:#?}");
    }

    #[test]
    fn deleting_removes_all_of_any_cluster(mut cluster in history(), facts in some_facts(), seed in any::<usize>()) {
        let found = found(&cluster, seed).nodes;
        carry_out(&mut cluster, &DELETE, Facts { nodes: found, ..facts.clone() });
        prop_assert!(!cluster.has_resources(), "{cluster:#?}");
        prop_assert!(plan(&change(&cluster, &DELETE), facts).unwrap().is_empty());
    }

    #[test]
    fn ceasing_removes_what_a_forced_delete_left(mut cluster in history()) {
        cluster.status = ClusterStatus::Deleted;
        carry_out(&mut cluster, &Action::CeaseClusters, facts());
        prop_assert!(!cluster.has_resources(), "{cluster:#?}");
    }

    #[test]
    fn recovering_makes_any_active_cluster_whole(mut cluster in history(), seed in any::<usize>()) {
        prop_assume!(cluster.status == ClusterStatus::Active);
        let found = found(&cluster, seed);
        let instances = |cluster: &Cluster| {
            let nodes = cluster.spec.nodes.keys().map(|id| (id.clone(), cluster.nodes[id].instance.clone()));
            nodes.collect::<BTreeMap<_, _>>()
        };
        let before = instances(&cluster);
        carry_out(&mut cluster, &Action::RecoverClusters, found.clone());
        prop_assert!(is_whole(&cluster), "{cluster:#?}");
        for (id, after) in instances(&cluster) {
            let Some(found) = found.nodes.get(&id) else { continue };
            let is_replaced = found.instance == InstanceState::Missing;
            prop_assert_eq!(before[&id].as_ref().map(|it| &it.id) != after.as_ref().map(|it| &it.id), is_replaced);
        }
        let mut well = facts();
        let health = Health { started: true, healthy: true, since: Timestamp(0), cause: None };
        let node = NodeFacts { instance: InstanceState::Running, health: Some(health) };
        well.nodes.extend(cluster.nodes.keys().map(|id| (id.clone(), node.clone())));
        prop_assert!(plan(&change(&cluster, &Action::RecoverClusters), well).unwrap().is_empty());
    }

    /// Whatever jobs were cut short before, in either direction: once more reaches the version, everywhere.
    #[test]
    fn upgrading_and_rolling_back_reach_every_node(mut cluster in half_upgraded(), seed in any::<usize>()) {
        let actions = [ActionKind::UpgradeCluster, ActionKind::RollbackCluster];
        for kind in actions {
            let action = action(&cluster, kind, seed);
            carry_out(&mut cluster, &action, facts());
            for (id, node) in &cluster.nodes {
                let has_agent = cluster.spec.role_of(id).unwrap().agent_installed;
                prop_assert!(!has_agent || node.app.as_ref() == Some(&cluster.spec.app), "{cluster:#?}");
            }
        }
    }

    /// No node is touched before the last one is done.
    #[test]
    fn an_upgrade_works_on_one_node_at_a_time(cluster in half_upgraded(), seed in any::<usize>()) {
        let change = change(&cluster, &action(&cluster, ActionKind::UpgradeCluster, seed));
        let plan = plan(&change, facts()).unwrap();
        let Some((last, layers)) = plan.layers.split_last() else { return Ok(()) };
        prop_assert!(layers.iter().all(|layer| layer.tasks.len() == 1));
        let mut nodes: Vec<_> = layers.iter().map(|layer| layer.tasks[0].node.clone()).collect();
        nodes.dedup();
        let distinct: BTreeSet<_> = nodes.iter().collect();
        prop_assert_eq!(distinct.len(), nodes.len());
        prop_assert_eq!(&last.name, "push metadata");
    }

    #[test]
    fn deleted_nodes_leave_nothing(mut cluster in history(), seed in any::<usize>()) {
        prop_assume!(cluster.status == ClusterStatus::Active);
        let doomed = action(&cluster, ActionKind::DeleteClusterNodes, seed);
        let rest: BTreeSet<_> = change(&cluster, &doomed).after.nodes.into_keys().collect();
        if plan(&change(&cluster, &doomed), facts()).is_ok() {
            let Action::DeleteClusterNodes { nodes } = &doomed else { unreachable!() };
            carry_out(&mut cluster, &doomed, facts());
            prop_assert!(nodes.iter().all(|id| !cluster.nodes.contains_key(id)), "{cluster:#?}");
            prop_assert!(rest.iter().all(|id| cluster.nodes.contains_key(id)));
        }
    }

    #[test]
    fn deleting_can_leave_exactly_the_volumes(mut cluster in history()) {
        let before = cluster.clone();
        carry_out(&mut cluster, &Action::DeleteClusters { keep_volumes: true, force: false, keep_history: false }, facts());
        for (id, node) in &cluster.nodes {
            prop_assert!(node.instance.is_none());
            prop_assert!(node.disks.values().all(|disk| disk.device.is_none()));
            prop_assert!(node.disks.keys().eq(before.nodes[id].disks.keys()));
        }
    }

    #[test]
    fn plans_have_no_empty_layer_and_the_same_bytes_each_time(
        cluster in history(), seed in any::<usize>(), facts in some_facts()
    ) {
        for kind in ActionKind::ALL {
            let change = change(&cluster, &action(&cluster, kind, seed));
            let facts = Facts { nodes: found(&cluster, seed).nodes, ..facts.clone() };
            let Ok(made) = plan(&change, facts.clone()) else { continue };
            prop_assert!(made.layers.iter().all(|layer| !layer.tasks.is_empty()));
            let bytes = serde_json::to_vec(&made).unwrap();
            prop_assert_eq!(&serde_json::to_vec(&plan(&change, facts.clone()).unwrap()).unwrap(), &bytes);
            prop_assert_eq!(serde_json::from_slice::<Plan>(&bytes).unwrap(), made);
        }
    }

    /// Replicas among them: they are nodes like any other.
    #[test]
    fn every_node_is_run_and_every_agent_configured(roles in roles()) {
        let cluster = cluster(&roles);
        let plan = plan(&change(&cluster, &CREATE), facts()).unwrap();
        let run = Work::Cloud(Directive::Instance(InstanceVerb::Run));
        let run = count_by_group(&cluster, &plan, |work| *work == run);
        let configured = count_by_group(&cluster, &plan, |work| *work == Work::Agent(AgentVerb::Configure));
        for role in &roles {
            for (is_replica, size) in [(false, role.count), (true, role.count * role.replicas)] {
                let group = (role.name.to_owned(), is_replica);
                let reachable = if role.spec.agent_installed { size } else { 0 };
                prop_assert_eq!(run.get(&group).copied().unwrap_or(0), size);
                prop_assert_eq!(configured.get(&group).copied().unwrap_or(0), reachable);
            }
        }
    }

    #[test]
    fn a_service_runs_everywhere_or_as_often_as_its_limit_allows(roles in roles()) {
        let mut cluster = cluster(&roles);
        let create = carry_out(&mut cluster, &CREATE, facts());
        let delete = plan(&change(&cluster, &DELETE), facts()).unwrap();
        for role in roles.iter().filter(|role| role.spec.agent_installed) {
            for (name, service) in &role.spec.services {
                if ![ServiceName::Init, ServiceName::Start, ServiceName::Stop, ServiceName::Destroy].contains(name) {
                    continue;
                }
                let made = if [ServiceName::Init, ServiceName::Start].contains(name) { &create } else { &delete };
                let counts = count_by_group(&cluster, made, |work| {
                    matches!(work, Work::Agent(AgentVerb::Service { service, .. }) if service == name)
                });
                let limit = service.nodes_to_execute_on.unwrap_or(u32::MAX);
                let replicas = role.count * role.replicas;
                let expected = [role.count.min(limit), if limit < replicas { 0 } else { replicas }];
                for (is_replica, expected) in [false, true].into_iter().zip(expected) {
                    let group = (role.name.to_owned(), is_replica);
                    prop_assert_eq!(counts.get(&group).copied().unwrap_or(0), expected);
                }
            }
        }
    }
}

/// A nested scan over nodes would make this take minutes instead of a moment.
#[test]
fn a_hundred_thousand_tasks_are_planned() {
    let mut cluster = cluster(&[role("a", 10_000).replicas(1).disks(1).starts(0)]);
    let create = carry_out(&mut cluster, &CREATE, facts());
    assert_eq!(create.len(), 6 * 20_000);
    assert!(is_whole(&cluster));
    assert_eq!(plan(&change(&cluster, &DELETE), facts()).unwrap().len(), 6 * 20_000);
}

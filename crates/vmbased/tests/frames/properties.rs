//! What holds for every plan, whatever the cluster and however often a job was cut short before.

use crate::fixture::{CREATE, DELETE, Role, START, STOP, change, cluster, cmd, facts, role};
use crate::world::{Step, carry_out, is_whole, run_layer};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use provider_core::{
    Action, AgentVerb, Cluster, ClusterStatus, Directive, Facts, InstanceVerb, NodeId, Plan, Service,
    ServiceName, Work,
};
use std::collections::BTreeMap;
use vmbased::frame::plan;

/// A job that stopped in the middle of a layer.
#[derive(Clone, Debug)]
struct Cut {
    action: Action,
    layer: Index,
    steps: Vec<Step>,
}

/// An action that was planned, run up to `layer` and, in there, as far as `steps` say. The status stays.
fn cut_short(cluster: &mut Cluster, cut: &Cut) {
    let plan = plan(&change(cluster, &cut.action), facts()).unwrap();
    if plan.is_empty() {
        return;
    }
    let last = cut.layer.index(plan.layers.len());
    for layer in &plan.layers[..last] {
        // Whatever may fail does, and the job goes on.
        run_layer(cluster, layer, |task| {
            if layer.tasks[task].failure_allowed { Step::NotStarted } else { Step::Done }
        });
    }
    run_layer(cluster, &plan.layers[last], |task| cut.steps[task % cut.steps.len()]);
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
    let all = (option::of(init), option::of(start), option::of(stop), option::of(destroy));
    all.prop_map(|(init, start, stop, destroy)| {
        let names = [ServiceName::Init, ServiceName::Start, ServiceName::Stop, ServiceName::Destroy];
        let services = names.into_iter().zip([init, start, stop, destroy]);
        services.filter_map(|(name, service)| Some((name, service?))).collect()
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

fn cuts(actions: &'static [Action]) -> impl Strategy<Value = Vec<Cut>> {
    let step = prop_oneof![Just(Step::NotStarted), Just(Step::Started), Just(Step::Done)];
    let cut = (prop::sample::select(actions), any::<Index>(), vec(step, 1..8));
    vec(cut.prop_map(|(action, layer, steps)| Cut { action, layer, steps }), 0..4)
}

/// A cluster with a history: cut-short jobs before its creation was completed, if ever, and others after.
fn history() -> impl Strategy<Value = Cluster> {
    let later = option::of(cuts(&[START, STOP, DELETE]));
    (roles(), cuts(&[CREATE, START, DELETE]), later).prop_map(|(roles, before, after)| {
        let mut cluster = cluster(&roles);
        before.iter().for_each(|cut| cut_short(&mut cluster, cut));
        if let Some(after) = after {
            carry_out(&mut cluster, &CREATE, facts());
            after.iter().for_each(|cut| cut_short(&mut cluster, cut));
        }
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
    fn starting_completes_any_cluster(mut cluster in history(), facts in some_facts()) {
        carry_out(&mut cluster, &START, facts.clone());
        prop_assert!(is_whole(&cluster), "{cluster:#?}");
        carry_out(&mut cluster, &STOP, facts.clone());
        prop_assert_eq!(cluster.status, ClusterStatus::Stopped);
        carry_out(&mut cluster, &START, facts);
        prop_assert!(is_whole(&cluster), "{cluster:#?}");
    }

    #[test]
    fn deleting_removes_all_of_any_cluster(mut cluster in history(), facts in some_facts()) {
        carry_out(&mut cluster, &DELETE, facts.clone());
        prop_assert!(!cluster.has_resources(), "{cluster:#?}");
        prop_assert!(plan(&change(&cluster, &DELETE), facts).unwrap().is_empty());
    }

    #[test]
    fn deleting_can_leave_exactly_the_volumes(mut cluster in history()) {
        let before = cluster.clone();
        carry_out(&mut cluster, &Action::DeleteClusters { keep_volumes: true, force: false }, facts());
        for (id, node) in &cluster.nodes {
            prop_assert!(node.instance.is_none());
            prop_assert!(node.disks.values().all(|disk| disk.device.is_none()));
            prop_assert!(node.disks.keys().eq(before.nodes[id].disks.keys()));
        }
    }

    #[test]
    fn plans_have_no_empty_layer_and_the_same_bytes_each_time(cluster in history(), facts in some_facts()) {
        for action in [CREATE, START, STOP, DELETE] {
            let change = change(&cluster, &action);
            let made = plan(&change, facts.clone()).unwrap();
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

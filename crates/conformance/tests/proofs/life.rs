//! The life of a cluster after its creation: scaling, resizing, versions, repair, links and policies.

use crate::scenarios::{cluster, error, look, retry, run, world};
use conformance::{Ending, NEXT, World, act, create, push, reconfigure};
use engine::{Aim, EventFilter, EventKind, FollowUp, Request, Terms};
use provider_core::{
    Action, ActionKind, ClusterStatus, ErrorKind, JobState, NodeId, Policy, ServiceName, Size,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::sync::Notify;

fn active(db: u32, replicas: u32, web: u32) -> World {
    let world = world();
    run(&world, &create("c", db, replicas, web), JobState::Succeeded);
    world
}

fn scale(conf: Value) -> Request {
    reconfigure("c", Aim::Scale, conf)
}

fn without(nodes: &[&str]) -> Request {
    act("c", Action::DeleteClusterNodes { nodes: nodes.iter().copied().map(NodeId::new).collect() })
}

fn resize(role: &str, size: Size) -> Request {
    act("c", Action::ResizeCluster { roles: [(role.into(), size)].into() })
}

fn upgrade() -> Request {
    act("c", Action::UpgradeCluster { to: NEXT.into(), backup: true })
}

const RECOVER: Action = Action::RecoverClusters;
const ROLLBACK: Action = Action::RollbackCluster { revision: None };

/// What the agents ran since there were `from` commands, each as `node: what`.
fn since(world: &World, from: usize) -> Vec<String> {
    world.pilot.ran()[from..].iter().map(|ran| format!("{}: {}", ran.node, ran.what)).collect()
}

fn commands(world: &World) -> usize {
    world.pilot.ran().len()
}

fn nodes(world: &World) -> Vec<String> {
    cluster(world).spec.nodes.keys().map(ToString::to_string).collect()
}

fn sizes(world: &World) -> Vec<String> {
    world.cloud.instances().into_iter().map(|found| format!("{} {}", found.tags.name, found.size)).collect()
}

/// The versions that the nodes were configured with.
fn versions(world: &World) -> Vec<String> {
    let all = cluster(world).nodes;
    all.iter()
        .map(|(id, node)| format!("{id} {}", node.app.as_ref().map_or("", |app| app.as_str())))
        .collect()
}

fn refusal(world: &World, request: &Request) -> (ErrorKind, String) {
    let (before, jobs) = (cluster(world), look(world, async |control| control.store.jobs(None).await).len());
    let refused = world.run(request).expect_err("it must be refused");
    assert_eq!(cluster(world), before, "a refused action changes nothing");
    assert_eq!(look(world, async |control| control.store.jobs(None).await).len(), jobs);
    (refused.kind(), refused.to_string())
}

#[test]
fn appendix_b_11_a_node_that_says_no_to_scaling_in_stops_it_before_anything_is_stopped() {
    let world = active(3, 0, 1);
    world.pilot.end("db may shrink", 1..=1, Ending::Exit(1, "it holds the only copy"));
    let (from, instances) = (commands(&world), world.cloud.instances());
    let job = run(&world, &without(&["db-3"]), JobState::Failed);
    assert!(error(&job).to_string().ends_with("`db may shrink` exited with 1"), "{}", error(&job));
    assert_eq!(error(&job).causes(), ["it holds the only copy"]);
    assert!(since(&world, from).iter().all(|ran| ran.contains("metadata") || ran.contains("may shrink")));
    assert_eq!(world.cloud.instances(), instances);
    let record = cluster(&world);
    assert_eq!((record.status, record.transition), (ClusterStatus::Active, None));
    assert_eq!(nodes(&world), ["db-1", "db-2", "db-3", "web-1"], "what was not removed is wanted as before");

    let from = commands(&world);
    run(&world, &without(&["db-3"]), JobState::Succeeded);
    assert!(
        since(&world, from).iter().any(|ran| ran.contains("db-3") && ran.contains("stop")),
        "it is stopped"
    );
    assert_eq!(nodes(&world), ["db-1", "db-2", "web-1"]);
    assert!(!cluster(&world).nodes.contains_key(&"db-3".into()), "what is gone is on no record");
}

#[test]
fn appendix_b_13_new_nodes_get_new_ids_and_are_announced_while_they_join() {
    let world = active(2, 0, 1);
    let told = world.pilot.told().len();
    run(&world, &scale(json!({"cluster": {"db": {"count": 3}, "web": {"count": 2}}})), JobState::Succeeded);
    assert_eq!(nodes(&world), ["db-1", "db-2", "db-3", "web-1", "web-2"]);
    let announced = |metadata: &Value| {
        let roles = metadata["adding_hosts"].as_object().expect("it is there").values();
        roles.flat_map(|nodes| nodes.as_object().expect("nodes").keys().cloned()).collect::<BTreeSet<_>>()
    };
    let told = world.pilot.told().split_off(told);
    assert!(told.iter().any(|metadata| announced(metadata).into_iter().eq(["db-3", "web-2"])));
    let last = &told[told.len() - 5..];
    assert!(last.iter().all(|metadata| announced(metadata).is_empty()), "it is over for all five");
    assert!(cluster(&world).joining.is_empty());

    run(&world, &without(&["db-2"]), JobState::Succeeded);
    run(&world, &scale(json!({"cluster": {"db": {"count": 3}}})), JobState::Succeeded);
    assert_eq!(nodes(&world), ["db-1", "db-3", "db-4", "web-1", "web-2"], "an id is not used again");
}

#[test]
fn a_scaling_that_failed_is_continued_and_its_nodes_join_once() {
    let world = active(1, 0, 1);
    world.pilot.end("db start", 1..=1, Ending::Exit(1, ""));
    let job = run(&world, &scale(json!({"cluster": {"db": {"count": 2}}})), JobState::Failed);
    assert_eq!(cluster(&world).joining, BTreeSet::from(["db-2".into()]));
    let from = commands(&world);
    assert_eq!(retry(&world, &job).state, JobState::Succeeded);
    assert!(since(&world, from).iter().all(|ran| !ran.contains("init") && !ran.contains("may grow")));
    assert_eq!((cluster(&world).joining.len(), world.cloud.instances().len()), (0, 3));
}

#[test]
fn a_size_that_was_changed_outlives_other_parameters_and_an_upgrade() {
    let world = active(1, 1, 1);
    run(
        &world,
        &resize("db", Size { memory_mib: Some(2048), disk_gib: Some(40), cpu: None }),
        JobState::Succeeded,
    );
    let want = ["db-1 s.1x2048", "db-2 s.1x2048", "web-1 s.1x1024"];
    assert_eq!(sizes(&world), want);
    assert!(world.cloud.volumes().iter().all(|volume| volume.size_gib == 40));

    run(&world, &reconfigure("c", Aim::Env, json!({"env": {"users": 20}})), JobState::Succeeded);
    run(&world, &upgrade(), JobState::Succeeded);
    let record = cluster(&world);
    let db = &record.spec.roles[&"db".into()];
    assert_eq!((db.memory_mib, db.disks[0].size_gib), (2048, 40));
    assert_eq!(record.spec.conf["env"]["users"], 20);
    run(&world, &resize("db", Size { memory_mib: Some(4096), ..Size::default() }), JobState::Succeeded);
    run(&world, &act("c", ROLLBACK), JobState::Succeeded);
    assert_eq!(cluster(&world).spec.roles[&"db".into()].memory_mib, 4096);
    run(&world, &scale(json!({"cluster": {"web": {"count": 2}, "db": {"count": 2}}})), JobState::Succeeded);
    assert_eq!(
        sizes(&world).iter().filter(|size| size.ends_with("s.1x4096")).count(),
        4,
        "{:?}",
        sizes(&world)
    );
}

#[test]
fn an_upgrade_whose_second_node_fails_leaves_the_rest_alone_and_is_continued_or_undone() {
    let base = active(1, 2, 1);
    // Web starts last, so it goes first; then the replicas, and the base node after them.
    base.pilot.end("db start", 1..=1, Ending::Exit(1, "can't read its data"));
    let from = commands(&base);
    let job = run(&base, &upgrade(), JobState::Failed);
    let (old, new, all) = ("sample@1.0.0", "sample@1.1.0", ["db-1", "db-2", "db-3", "web-1"]);
    let mixed = [("db-1", old), ("db-2", new), ("db-3", old), ("web-1", new)];
    assert_eq!(
        versions(&base),
        mixed.map(|(node, version)| format!("{node} {version}")),
        "{:?}",
        since(&base, from)
    );
    assert!(error(&job).to_string().starts_with("db-2: run `db start`"), "{}", error(&job));
    let record = cluster(&base);
    assert_eq!((record.status, record.transition), (ClusterStatus::Active, None));

    let continued = base.copy().expect("no executor is alive");
    let from = commands(&continued);
    assert_eq!(retry(&continued, &job).state, JobState::Succeeded);
    assert_eq!(versions(&continued), all.map(|node| format!("{node} {new}")));
    assert!(!since(&continued, from).iter().any(|ran| ran.starts_with("web-1: web")), "web is done already");

    let from = commands(&base);
    run(&base, &act("c", ROLLBACK), JobState::Succeeded);
    assert_eq!(versions(&base), all.map(|node| format!("{node} {old}")));
    let again = since(&base, from);
    assert!(again.contains(&"db-2: db start".to_owned()), "{again:?}");
    assert!(!again.contains(&"db-1: db stop".to_owned()), "it was not reached: {again:?}");
    assert!(!again.contains(&"db-3: db stop".to_owned()), "nor was it: {again:?}");
    let record = cluster(&base);
    assert_eq!((record.spec.app.as_str(), record.previous), (old, None));
}

#[test]
fn a_move_whose_last_node_fails_after_it_was_configured_is_asked_for_once_more() {
    let world = active(2, 0, 0);
    let fully_on = |app: &str| versions(&world).iter().all(|node| node.ends_with(app));
    // Two starts fail: the second one of each move. In between there is the one of the second attempt.
    for (request, app, failing) in [(upgrade(), "1.1.0", 2), (act("c", ROLLBACK), "1.0.0", 5)] {
        world.pilot.end("db start", failing..=failing, Ending::Exit(1, "can't read its data"));
        run(&world, &request, JobState::Failed);
        assert!(fully_on(app), "{:?}", versions(&world));
        assert_eq!(cluster(&world).unsettled.len(), 1);
        let from = commands(&world);
        run(&world, &request, JobState::Succeeded);
        let starts = since(&world, from).iter().filter(|ran| ran.ends_with("db start")).count();
        assert_eq!(starts, 1, "only the node that failed is done once more");
        assert!(cluster(&world).unsettled.is_empty());
    }
    let (kind, _) = refusal(&world, &act("c", ROLLBACK));
    assert_eq!(kind, ErrorKind::Conflict);
}

#[test]
fn an_upgrade_takes_a_backup_first_unless_told_not_to_and_waits_until_each_node_is_healthy() {
    let world = active(1, 0, 1);
    let from = commands(&world);
    run(&world, &upgrade(), JobState::Succeeded);
    let ran = since(&world, from);
    assert_eq!(ran[0], "db-1: db backup");
    let at = |what: &str| ran.iter().position(|ran| ran == what).unwrap_or_else(|| panic!("{what}: {ran:?}"));
    assert!(at("web-1: await health") < at("db-1: db stop"), "{ran:?}");

    run(&world, &act("c", ROLLBACK), JobState::Succeeded);
    let from = commands(&world);
    run(&world, &act("c", Action::UpgradeCluster { to: NEXT.into(), backup: false }), JobState::Succeeded);
    assert!(!since(&world, from).contains(&"db-1: db backup".to_owned()));
}

#[test]
fn a_version_says_where_it_comes_from_and_whether_there_is_a_way_back() {
    let world = active(1, 0, 0);
    look(&world, async |control| {
        for (app, rule) in [
            ("sample@2.0.0", r#""upgrade_policy": ["1.1.0"],"#),
            ("sample@3.0.0", r#""rollback": "needs_restore","#),
            ("sample@4.0.0", r#""rollback": "impossible","#),
        ] {
            let rule = |path: &str, text: String| match path {
                "cluster.json.tmpl" => text.replacen('{', &format!("{{{rule}"), 1),
                _ => text,
            };
            push(control, app, rule).await?;
        }
        Ok(())
    });
    let to = |version: &str| {
        let to = format!("sample@{version}").as_str().into();
        act("c", Action::UpgradeCluster { to, backup: false })
    };
    let check = |world: &World, request: &Request, kind: ErrorKind, end: &str| {
        let (found, message) = refusal(world, request);
        assert!(found == kind && message.ends_with(end), "{found:?}: {message}");
    };
    check(&world, &to("2.0.0"), ErrorKind::Invalid, "the package does not allow it");
    check(&world, &to("1.0.0"), ErrorKind::Conflict, "it has this version already");
    check(&world, &act("c", ROLLBACK), ErrorKind::Conflict, "no upgrade is on record");
    for (version, why) in [("3.0.0", "this needs a restore"), ("4.0.0", "this is impossible")] {
        let world = world.copy().expect("no executor is alive");
        run(&world, &to(version), JobState::Succeeded);
        check(&world, &act("c", ROLLBACK), ErrorKind::Unsupported, why);
    }
}

#[test]
fn recovery_restarts_what_is_dead_starts_what_is_off_and_replaces_what_is_lost_with_its_data() {
    let base = active(1, 0, 1);
    let volumes = base.cloud.volumes().into_iter().map(|volume| volume.id).collect::<Vec<_>>();
    let machine = |world: &World, name: &str| {
        world.cloud.instances().into_iter().find(|found| found.tags.name == name).map(|found| found.id)
    };
    let check = |harm: &dyn Fn(&World), is_replaced: bool, want: &[&str]| {
        let world = base.copy().expect("no executor is alive");
        let from = commands(&world);
        harm(&world);
        run(&world, &act("c", RECOVER), JobState::Succeeded);
        // Tasks of one layer may come in any order; the audit knows those of different ones.
        let mut ran = since(&world, from);
        ran.sort();
        assert_eq!(ran, want);
        assert_eq!(machine(&world, "db-1") != machine(&base, "db-1"), is_replaced);
        let kept: Vec<_> = world.cloud.volumes().into_iter().map(|volume| volume.id).collect();
        assert_eq!(kept, volumes, "data stays");
        let health = look(&world, async |control| Ok(control.health(&control.cluster("c").await?).await));
        assert!(
            health.values().all(|health| health.as_ref().is_ok_and(|health| health.healthy)),
            "{health:?}"
        );
        assert!(needs_nothing(&world), "all is well now");
    };
    assert!(needs_nothing(&base), "nothing has happened yet");
    check(&|world| world.pilot.kill("web-1"), false, &["web-1: await health", "web-1: web restart"]);
    check(
        &|world| world.pilot.kill("db-1"),
        false,
        &["db-1: await health", "db-1: db start", "db-1: db stop"],
    );
    check(
        &|world| world.switch_off("web-1"),
        false,
        &["db-1: metadata", "web-1: await health", "web-1: metadata", "web-1: web start"],
    );
    check(
        &|world| world.lose("db-1"),
        true,
        &[
            "db-1: await health",
            "db-1: configure",
            "db-1: db start",
            "db-1: metadata",
            "db-1: mount /data",
            "db-1: mount /log",
            "web-1: metadata",
        ],
    );
}

fn needs_nothing(world: &World) -> bool {
    look(world, async |control| Ok(control.plan(&act("c", RECOVER)).await?.plan.is_empty()))
}

/// The cluster `c` with one node, and `d`, which links to it.
fn linked() -> World {
    let world = active(1, 0, 0);
    look(&world, async |control| {
        let linked = |path: &str, text: String| match path {
            "cluster.json.tmpl" => text.replacen('{', r#"{"links": {"up": "c"},"#, 1),
            _ => text,
        };
        push(control, "sample@5.0.0", linked).await
    });
    let Request::Create { name, runtime, conf, volumes_of, .. } = create("d", 1, 0, 0) else {
        unreachable!()
    };
    let linking = Request::Create { name, app: "sample@5.0.0".into(), runtime, conf, volumes_of };
    run(&world, &linking, JobState::Succeeded);
    let told = world.pilot.told();
    assert!(told.iter().any(|metadata| metadata["links"]["up"]["hosts"]["db"]["db-1"]["ip"].is_string()));
    world
}

#[test]
fn clusters_that_link_to_one_are_told_by_a_job_that_follows_when_its_addresses_change() {
    let world = linked();
    let told = world.pilot.told().len();
    let job = run(&world, &scale(json!({"cluster": {"db": {"count": 2}}})), JobState::Succeeded);
    let others = world.pilot.told()[told..].to_vec();
    assert!(others.iter().any(|metadata| metadata["links"]["up"]["hosts"]["db"]["db-2"]["ip"].is_string()));
    let events = look(&world, async |control| {
        let of_job = EventFilter { job: Some(job.id.clone()), cluster: None };
        control.store.events(0, &of_job, 1000).await
    });
    let last = events.last().expect("it has events").kind.clone();
    let EventKind::Followed { why: FollowUp::Tell, by, cluster } = last else { panic!("{last:?}") };
    assert_eq!(cluster, "d");
    let follower = look(&world, async |control| control.store.job(&by).await);
    assert_eq!(follower.state, JobState::Succeeded);
    // What does not change them tells nobody.
    let jobs = look(&world, async |control| control.store.jobs(None).await).len();
    run(&world, &act("c", Action::RestartClusters), JobState::Succeeded);
    assert_eq!(look(&world, async |control| control.store.jobs(None).await).len(), jobs + 1);
}

#[test]
fn an_upgrade_that_fails_is_undone_by_a_job_that_follows_if_its_terms_say_so() {
    let world = active(2, 0, 0);
    world.pilot.end("db start", 2..=2, Ending::Exit(1, "its port is taken"));
    let undone = look(&world, async |control| {
        let terms = Terms { undo: true, ..Terms::default() };
        let job = control.submit_on(&upgrade(), terms).await?.job;
        world.execute(control, &Notify::new()).await?;
        let jobs = control.store.jobs(None).await?;
        assert_eq!(control.store.job(&job).await?.state, JobState::Failed);
        Ok(jobs.into_iter().next().expect("there are jobs"))
    });
    assert_eq!((undone.action, undone.state), (ActionKind::RollbackCluster, JobState::Succeeded));
    assert_eq!(cluster(&world).spec.app.as_str(), conformance::APP);
}

#[test]
fn a_cluster_that_others_link_to_is_not_deleted() {
    let world = linked();
    for gone in [
        Action::DeleteClusters { keep_volumes: false, force: false, keep_history: false },
        Action::CeaseClusters,
    ] {
        let (kind, message) = refusal(&world, &act("c", gone));
        assert_eq!(kind, ErrorKind::Conflict);
        assert!(message.ends_with("other clusters link to it"), "{message}");
    }
    run(&world, &act("d", Action::CeaseClusters), JobState::Succeeded);
    run(&world, &act("c", Action::CeaseClusters), JobState::Succeeded);
    assert!(world.cloud.instances().is_empty() && world.cloud.volumes().is_empty());
}

#[test]
fn a_cluster_that_was_deleted_is_purged_with_the_volumes_that_it_left() {
    let world = active(1, 0, 0);
    run(
        &world,
        &act("c", Action::DeleteClusters { keep_volumes: true, force: false, keep_history: false }),
        JobState::Succeeded,
    );
    assert!(!world.cloud.volumes().is_empty());
    run(&world, &act("c", Action::CeaseClusters), JobState::Succeeded);
    assert!(world.cloud.volumes().is_empty());
    assert_eq!(cluster(&world).status, ClusterStatus::Ceased);
    let (kind, _) = refusal(&world, &act("c", Action::CeaseClusters));
    assert_eq!(kind, ErrorKind::NotFound);
}

#[test]
fn what_answers_may_not_change_is_refused() {
    let world = active(1, 0, 1);
    for (aim, conf, part) in [
        (Aim::Env, json!({"env": {"charset": "latin1"}}), "charset"),
        (Aim::Env, json!({"env": {"users": 0}}), "users"),
        (Aim::Env, json!({"env": {"colour": "red"}}), "colour"),
        (Aim::Env, json!({"cluster": {"db": {"count": 2}}}), "would change its nodes"),
        (Aim::Env, json!({"cluster": {"db": {"memory": 4096}}}), "would change more than that"),
        (Aim::Scale, json!({"env": {"users": 7}}), "would change more than its nodes"),
        (Aim::Scale, json!({"cluster": {"db": {"count": 2}, "web": {"count": 0}}}), "come and others go"),
        (Aim::Scale, json!({"cluster": {"db": {"count": 1}}}), "it has these nodes already"),
    ] {
        let (_, message) = refusal(&world, &reconfigure("c", aim, conf));
        assert!(message.contains(part), "{message}");
    }
    let (_, message) = refusal(&world, &without(&["db-1", "web-1"]));
    assert!(message.ends_with("would have no node left"), "{message}");
    let (_, message) = refusal(&world, &resize("db", Size { disk_gib: Some(1), ..Size::default() }));
    assert!(message.contains("can't shrink"), "{message}");
    let unknown = Action::RunService { service: ServiceName::from("defrag".to_owned()), params: [].into() };
    let (kind, _) = refusal(&world, &act("c", unknown));
    assert_eq!(kind, ErrorKind::NotFound);
}

#[test]
fn keys_come_and_go_on_every_node() {
    let world = active(1, 0, 1);
    let keys =
        |names: &[&str]| names.iter().map(|name| format!("ssh-ed25519 AAAA {name}")).collect::<Vec<_>>();
    run(&world, &act("c", Action::AttachKeyPairs { keys: keys(&["ada", "bob"]) }), JobState::Succeeded);
    run(&world, &act("c", Action::DetachKeyPairs { keys: keys(&["ada"]) }), JobState::Succeeded);
    for node in ["db-1", "web-1"] {
        assert!(world.pilot.keys(node).into_iter().eq(keys(&["bob"])));
    }
}

#[test]
fn a_policy_decides_what_a_failure_on_one_node_means_for_the_others() {
    let base = active(3, 0, 1);
    // One of four nodes fails: `All` ends there, the others go on with the rest.
    for (policy, state, web) in [
        (Policy::All, JobState::Failed, 0),
        (Policy::AtLeast(4), JobState::Failed, 0),
        (Policy::AtLeast(3), JobState::Succeeded, 1),
        (Policy::KeepGoing, JobState::Succeeded, 1),
    ] {
        let world = base.copy().expect("no executor is alive");
        world.pilot.end("db start", 2..=2, Ending::Exit(1, "its port is taken"));
        let from = commands(&world);
        let job = look(&world, async |control| {
            let terms = Terms { policy, undo: false };
            let job = control.submit_on(&act("c", Action::RestartClusters), terms).await?.job;
            world.execute(control, &Notify::new()).await?;
            control.store.job(&job).await
        });
        assert_eq!(job.state, state, "{policy:?}: {job:?}");
        let ran = since(&world, from);
        assert_eq!(ran.iter().filter(|ran| ran.ends_with("web restart")).count(), web, "{policy:?}: {ran:?}");
        let fold = job.fold.expect("it has ended");

        assert_eq!(fold.failed.len(), 1, "{policy:?}: the failure stays on record");
        assert_eq!(cluster(&world).transition, None);
    }
}

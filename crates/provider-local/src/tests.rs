//! Every verb against real directories and processes, observed from outside.

mod site;

use crate::{
    DESCRIPTOR,
    client::{Act, Call},
    instances::{CreateInstance, DeleteInstance, ResizeInstance, Size, StartInstance, StopInstance},
    process::{self, Identity},
    volumes::{AttachVolume, CreateVolume, DeleteVolume, DetachVolume, ResizeVolume},
};
use provider_core::{
    AttachedVolume, CloudCall, Cluster, ClusterId, DiskId, ErrorKind, Instance, InstanceResize,
    InstanceState, Node, NodeId, Observation, Progress, ProviderHandlerInterface, ProviderId, Registry,
    ResourceId, Result, Runtime, Started, Sweeper, TaskId, Token, VmCloud, VolumeRef, VolumeResize, Zone,
};
use site::{Agent, Site, at, attachment, instance_ref, instance_spec, runtime};
use std::{
    fmt::Debug,
    fs::{self, File},
    os::unix::net::UnixStream,
    process::Command,
    time::Duration,
};

/// A cluster on record whose nodes have these instances.
fn cluster(nodes: &[(&str, Option<&ResourceId>)]) -> Cluster {
    let mut cluster: Cluster = serde_json::from_value(serde_json::json!({
        "id": "cl-1", "runtime": "local", "status": "active", "revision": 1, "nodes": {}, "zone": "local",
        "spec": { "name": "app", "app": "app@1", "roles": {}, "nodes": {} },
    }))
    .unwrap();
    for (node, id) in nodes {
        let instance =
            id.map(|id| Instance { id: id.clone(), private_ip: None, public_ip: None, agent: None });
        cluster.nodes.insert(NodeId::new(*node), Node { instance, ..Node::default() });
    }
    cluster
}

async fn state(site: &Site, id: &ResourceId) -> InstanceState {
    let seen = site.local.update_cluster_status(&site.look(), &cluster(&[("main-1", Some(id))])).await;
    seen.unwrap()[0].instance
}

fn processes_of(instance: &Identity) -> usize {
    process::count(std::slice::from_ref(instance)).unwrap()[&instance.token]
}

fn failed<T: Debug>(result: Result<T>) -> (ErrorKind, String) {
    let error = result.unwrap_err();
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn an_instance_runs_stops_starts_with_its_data_and_is_deleted() {
    let site = Site::new(Agent::Obedient);
    let ready = site.run("main-1").await;
    let dir = site.data().instances.dir(&ready.id).unwrap();
    assert_eq!(ready.agent.as_deref(), Some(&*format!("unix:{}/drone.sock", dir.display())));
    assert!(ready.private_ip.starts_with("127."));
    UnixStream::connect(dir.join("drone.sock")).unwrap();
    assert_eq!(state(&site, &ready.id).await, InstanceState::Running);
    assert_eq!(processes_of(&site.identity(&ready.id)), 2);

    fs::write(dir.join("root/kept"), "1").unwrap();
    let instance = instance_ref("main-1", &ready.id);
    site.stop(&instance).await;
    assert!(dir.join("root/ended").exists(), "the agent was asked before anything was killed");
    assert_eq!(state(&site, &ready.id).await, InstanceState::Stopped);
    assert_eq!(processes_of(&site.identity(&ready.id)), 0);
    let looked = site.local.wait_stop_instances(&site.look(), &instance, &at(&ready.id)).await.unwrap();
    assert_eq!(looked, Progress::Done(()));

    let started = site.local.start_instances(&site.task(), &instance).await.unwrap();
    assert_eq!(started, Started::Pending(at(&ready.id)));
    assert_eq!(site.ready(&instance_spec("main-1"), &at(&ready.id)).await, ready);
    let looked = site.local.wait_start_instances(&site.look(), &instance, &at(&ready.id)).await.unwrap();
    assert_eq!(looked, Progress::Done(ready.clone()));
    let looked = site.local.wait_stop_instances(&site.look(), &instance, &at(&ready.id)).await.unwrap();
    assert!(matches!(looked, Progress::Lost { .. }));
    assert!(dir.join("root/kept").exists());

    let identity = site.identity(&ready.id);
    assert_eq!(site.local.delete_instances(&site.task(), &instance).await.unwrap(), Started::Done(()));
    let looked = site.local.wait_delete_instances(&site.look(), &instance, &at(&ready.id)).await.unwrap();
    assert_eq!(looked, Progress::Done(()));
    assert!(!identity.has_keeper().unwrap());
    assert_eq!(state(&site, &ready.id).await, InstanceState::Missing);
    assert_eq!(site.directories(), [""; 0]);
    assert_eq!(site.local.delete_instances(&site.task(), &instance).await.unwrap(), Started::Done(()));
    let stopped = failed(site.local.stop_instances(&site.task(), &instance).await);
    assert_eq!(stopped, (ErrorKind::NotFound, format!("instance `{}` does not exist", ready.id)));
}

#[tokio::test]
async fn the_instances_of_a_layer_are_one_request_and_have_different_addresses() {
    let site = Site::new(Agent::Obedient);
    let specs = ["main-1", "main-2", "main-3"].map(instance_spec);
    let tasks = [0, 1, 2].map(|index| site.task_at(TaskId { layer: 0, index }));
    let (one, two, three) = tokio::join!(
        site.local.run_instances(&tasks[0], &specs[0]),
        site.local.run_instances(&tasks[1], &specs[1]),
        site.local.run_instances(&tasks[2], &specs[2]),
    );
    assert_eq!(site.ledger.requests(), [("CreateInstance".to_owned(), 3), ("StartInstance".to_owned(), 3)]);
    let mut addresses = Vec::new();
    for (spec, started) in specs.iter().zip([one, two, three]) {
        let Started::Pending(at) = started.unwrap() else { panic!("an agent takes time to come up") };
        addresses.push(site.ready(spec, &at).await.private_ip);
    }
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 3);
}

#[tokio::test]
async fn nothing_survives_a_stop() {
    for agent in [Agent::Obedient, Agent::Stubborn, Agent::LeavesMarked, Agent::LeavesLocked] {
        let mut site = Site::new(agent);
        if let Agent::Stubborn = agent {
            site = site.with_grace(Duration::ZERO);
        }
        let ready = site.run("main-1").await;
        let identity = site.identity(&ready.id);
        assert_eq!(processes_of(&identity), 2, "{agent:?}");
        site.stop(&instance_ref("main-1", &ready.id)).await;
        assert_eq!(processes_of(&identity), 0, "{agent:?}");
        assert!(!identity.is_running().unwrap(), "{agent:?}");
    }
}

#[tokio::test]
async fn who_only_looks_at_the_lock_is_left_alone() {
    let site = Site::new(Agent::LeavesMarked);
    let ready = site.run("main-1").await;
    let looking = File::open(site.identity(&ready.id).dir.join("lock")).unwrap();
    let mut bystander = Command::new("sleep").arg("1000").stdin(looking).spawn().unwrap();
    site.stop(&instance_ref("main-1", &ready.id)).await;
    assert!(bystander.try_wait().unwrap().is_none());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[tokio::test]
async fn an_agent_that_ends_is_lost_and_the_next_attempt_uses_the_same_instance() {
    let site = Site::new(Agent::Dies);
    let (cx, want) = (site.task(), instance_spec("main-1"));
    let Started::Pending(first) = site.local.run_instances(&cx, &want).await.unwrap() else {
        panic!("an agent takes time to come up")
    };
    let why = loop {
        match site.local.wait_run_instances(&site.look(), &want, &first).await.unwrap() {
            Progress::Pending { again, .. } => cx.clock.sleep(again).await,
            Progress::Lost { why } => break why,
            Progress::Done(_) => panic!("its agent dies"),
        }
    };
    assert_eq!(
        why,
        format!(
            "the agent of instance `{}` has ended; the last that it wrote: no luck today",
            first.resource
        )
    );
    cx.reopen().await.unwrap();
    let second = site.local.run_instances(&cx, &want).await.unwrap();
    assert_eq!(second, Started::Pending(first.clone()));
    assert_eq!(site.directories(), [first.resource.as_str()]);
    fs::remove_dir_all(site.data().instances.dir(&first.resource).unwrap()).unwrap();
    let gone = site.local.wait_run_instances(&site.look(), &want, &first).await.unwrap();
    assert_eq!(gone, Progress::Lost { why: format!("instance `{}` is gone", first.resource) });
}

#[tokio::test]
async fn an_agent_is_reached_however_long_its_path_is() {
    let site = Site::at(Agent::Obedient, &"a-long-name/".repeat(12));
    let ready = site.run("main-1").await;
    assert!(ready.agent.unwrap().len() > 108);
}

#[tokio::test]
async fn a_volume_keeps_its_data_and_is_in_one_place() {
    let site = Site::new(Agent::Obedient);
    let (one, two) = (site.run("main-1").await.id, site.run("main-2").await.id);
    let volume = site.volume("main-1").await;
    let (on_one, on_two) = (attachment(&volume, Some(&one)), attachment(&volume, Some(&two)));
    let data = site.data().volumes.dir(&volume.id).unwrap().join("data");
    let done = Started::Done(AttachedVolume { device: data.display().to_string() });

    assert_eq!(site.local.attach_volumes(&site.task(), &on_one).await.unwrap(), done);
    assert_eq!(site.local.attach_volumes(&site.task(), &on_one).await.unwrap(), done);
    fs::write(data.join("kept"), "1").unwrap();
    let elsewhere = failed(site.local.attach_volumes(&site.task(), &on_two).await);
    let text = format!("volume `{}` is attached to instance `{one}`", volume.id);
    assert_eq!(elsewhere, (ErrorKind::Conflict, text.clone()));
    let deleted = failed(site.local.delete_volumes(&site.task(), &volume).await);
    assert_eq!(deleted, (ErrorKind::Conflict, format!("{text} and can't be deleted")));
    site.stop(&instance_ref("main-1", &one)).await;
    let looked = site.local.wait_attach_volumes(&site.look(), &on_one, &at(&volume.id)).await.unwrap();
    assert!(matches!(looked, Progress::Done(_)), "it stays attached while its instance is stopped");

    let other = site.local.detach_volumes(&site.task(), &on_two).await.unwrap();
    assert_eq!(other, Started::Done(()), "it is not attached there");
    let looked = site.local.wait_detach_volumes(&site.look(), &on_one, &at(&volume.id)).await.unwrap();
    assert!(matches!(looked, Progress::Lost { .. }));
    site.local.detach_volumes(&site.task(), &on_one).await.unwrap();
    let looked = site.local.wait_detach_volumes(&site.look(), &on_one, &at(&volume.id)).await.unwrap();
    assert_eq!(looked, Progress::Done(()));
    assert_eq!(site.local.attach_volumes(&site.task(), &on_two).await.unwrap(), done);
    assert!(data.join("kept").exists());

    site.local.delete_instances(&site.task(), &instance_ref("main-2", &two)).await.unwrap();
    let looked = site
        .local
        .wait_detach_volumes(&site.look(), &attachment(&volume, None), &at(&volume.id))
        .await
        .unwrap();
    assert_eq!(looked, Progress::Done(()), "deleting its instance detaches it");
    site.local.delete_volumes(&site.task(), &volume).await.unwrap();
    site.local.delete_volumes(&site.task(), &volume).await.unwrap();
    let looked = site.local.wait_delete_volumes(&site.look(), &volume, &at(&volume.id)).await.unwrap();
    assert_eq!(looked, Progress::Done(()));
    assert_eq!(site.directories(), [one.as_str()]);
    let gone = failed(site.local.attach_volumes(&site.task(), &on_one).await);
    assert_eq!(gone, (ErrorKind::NotFound, format!("volume `{}` does not exist", volume.id)));
    site.local.detach_volumes(&site.task(), &on_one).await.unwrap();
}

#[tokio::test]
async fn a_volume_grows_while_it_is_detached_and_never_shrinks() {
    async fn check(site: &Site, volume: &VolumeRef, size_gib: u32, expected: Result<u32, &str>) {
        let resize = VolumeResize { volume: volume.clone(), size_gib };
        let resized = site.local.resize_volumes(&site.task(), &resize).await;
        match expected {
            Ok(size) => {
                assert_eq!(resized.unwrap(), Started::Done(()));
                assert_eq!(site.data().volumes.get(&volume.id).unwrap().size_gib, size);
                let looked = site.local.wait_resize_volumes(&site.look(), &resize, &at(&volume.id)).await;
                assert_eq!(looked.unwrap(), Progress::Done(()));
            }
            Err(why) => assert_eq!(resized.unwrap_err().to_string(), format!("volume `{}` {why}", volume.id)),
        }
    }
    let site = Site::new(Agent::Obedient);
    let volume = site.volume("main-1").await;
    check(&site, &volume, 5, Ok(5)).await;
    check(&site, &volume, 7, Ok(7)).await;
    check(&site, &volume, 6, Err("has 7 GiB and can't shrink to 6")).await;
    let instance = site.run("main-1").await.id;
    site.local.attach_volumes(&site.task(), &attachment(&volume, Some(&instance))).await.unwrap();
    check(&site, &volume, 7, Ok(7)).await;
    check(&site, &volume, 9, Err(&format!("is attached to instance `{instance}` and can't be resized")))
        .await;
}

#[tokio::test]
async fn an_instance_is_resized_while_it_is_stopped() {
    let site = Site::new(Agent::Obedient);
    let instance = instance_ref("main-1", &site.run("main-1").await.id);
    let resize =
        InstanceResize { instance: instance.clone(), cpu: 2, memory_mib: 128, instance_type: String::new() };
    let running = failed(site.local.resize_instances(&site.task(), &resize).await);
    let text = format!("instance `{}` is running and can't be resized", instance.id);
    assert_eq!(running, (ErrorKind::Conflict, text));
    site.stop(&instance).await;
    site.local.resize_instances(&site.task(), &resize).await.unwrap();
    let looked = site.local.wait_resize_instances(&site.look(), &resize, &at(&instance.id)).await.unwrap();
    assert_eq!(looked, Progress::Done(()));
    let kept = site.data().instances.get(&instance.id).unwrap();
    assert_eq!((kept.cpu, kept.memory_mib), (2, 128));
}

/// Sends acts of a kind twice: they are not found before and are found after, and both times do the same.
async fn check_repeated<A>(site: &Site, token: &str, acts: Vec<A>) -> Vec<A::Reply>
where
    A: Act,
    A::Reply: Debug + PartialEq,
{
    let (data, token): (_, Token) = (site.data(), Token::new(token));
    let calls: Vec<_> = acts.into_iter().map(Call).collect();
    assert!(Call::find(data, &token, &calls).await.unwrap().is_none(), "{}", A::NAME);
    let first: Vec<_> = Call::send(data, &token, &calls).await.unwrap();
    let first: Vec<_> = first.into_iter().map(Result::unwrap).collect();
    let second = Call::send(data, &token, &calls).await.unwrap();
    assert_eq!(second.into_iter().map(Result::unwrap).collect::<Vec<_>>(), first, "{}", A::NAME);
    if A::NAME != "StartInstance" {
        let found = Call::find(data, &token, &calls).await.unwrap().expect("it was sent");
        assert_eq!(found.into_iter().map(Result::unwrap).collect::<Vec<_>>(), first, "{}", A::NAME);
    }
    first
}

#[tokio::test]
async fn each_call_is_found_by_its_token_and_does_nothing_the_second_time() {
    let site = Site::new(Agent::Obedient);
    let cluster = ClusterId::new("cl-1");
    let nodes = ["main-1", "main-2"].map(NodeId::new);
    let create = |node: &NodeId| CreateInstance {
        cluster: cluster.clone(),
        node: node.clone(),
        cpu: 1,
        memory_mib: 64,
    };
    let ids = check_repeated(&site, "t1", nodes.iter().map(create).collect()).await;
    let create = |node: &NodeId| CreateVolume {
        cluster: cluster.clone(),
        disk: DiskId { node: node.clone(), index: 0 },
        size_gib: 5,
    };
    let volumes = check_repeated(&site, "t2", nodes.iter().map(create).collect()).await;
    let mut all: Vec<_> = ids.iter().chain(&volumes).map(ToString::to_string).collect();
    all.sort();
    assert_eq!(site.directories(), all);

    let (id, volume) = (ids[0].clone(), volumes[0].clone());
    let size = Size { cpu: 2, memory_mib: 96 };
    check_repeated(&site, "t3", vec![ResizeInstance { id: id.clone(), size }]).await;
    check_repeated(&site, "t4", vec![ResizeVolume { id: volume.clone(), size_gib: 6 }]).await;
    check_repeated(&site, "t5", vec![AttachVolume { id: volume.clone(), instance: id.clone() }]).await;
    check_repeated(&site, "t6", vec![StartInstance { id: id.clone() }]).await;
    site.ready(&instance_spec("main-1"), &at(&id)).await;
    let start = [Call(StartInstance { id: id.clone() })];
    assert!(Call::find(site.data(), &Token::new("t6"), &start).await.unwrap().is_some());
    check_repeated(&site, "t7", vec![StopInstance { id: id.clone() }]).await;
    check_repeated(&site, "t8", vec![DetachVolume { id: volume.clone(), instance: Some(id) }]).await;
    check_repeated(&site, "t9", ids.into_iter().map(|id| DeleteInstance { id }).collect()).await;
    check_repeated(&site, "t10", volumes.into_iter().map(|id| DeleteVolume { id }).collect()).await;
    assert_eq!(site.directories(), [""; 0]);
}

#[tokio::test]
async fn replies_that_got_lost_are_found_and_nothing_is_made_twice() {
    let site = Site::new(Agent::Obedient);
    let (cx, want) = (site.task(), instance_spec("main-1"));
    let first = site.local.run_instances(&cx, &want).await.unwrap();
    let Started::Pending(handle) = &first else { panic!("an agent takes time to come up") };
    let ready = site.ready(&want, handle).await;
    site.ledger.lose_replies();
    assert_eq!(site.local.run_instances(&cx, &want).await.unwrap(), first);
    assert_eq!(site.directories(), [ready.id.as_str()]);
    assert_eq!(site.ledger.requests().len(), 2);
}

#[tokio::test]
async fn a_look_tells_what_is_there() {
    let site = Site::new(Agent::Obedient);
    let ready = site.run("main-1").await;
    let gone = ResourceId::new("i-0123456789ab");
    let cluster = cluster(&[("main-1", Some(&ready.id)), ("main-2", Some(&gone)), ("main-3", None)]);
    let seen = site.local.update_cluster_status(&site.look(), &cluster).await.unwrap();
    let missing = |node: &str, why: &str| Observation {
        node: NodeId::new(node),
        instance: InstanceState::Missing,
        why: Some(why.to_owned()),
        health: None,
    };
    let running = Observation {
        node: NodeId::new("main-1"),
        instance: InstanceState::Running,
        why: None,
        health: None,
    };
    let expected = [
        running,
        missing("main-2", "directory of `i-0123456789ab` is gone"),
        missing("main-3", "no instance is on record"),
    ];
    assert_eq!(seen, expected);

    let volume = site.volume("main-1").await;
    site.local.attach_volumes(&site.task(), &attachment(&volume, Some(&ready.id))).await.unwrap();
    let data = site.data().volumes.dir(&volume.id).unwrap().join("data");
    fs::write(data.join("blob"), vec![1; 3 << 20]).unwrap();
    let details = site.local.describe_cluster_details(&site.look(), &cluster).await.unwrap();
    assert_eq!(details.nodes.len(), 1);
    let node = &details.nodes[&NodeId::new("main-1")];
    assert_eq!(
        (&*node["address"], &*node["state"], &*node["processes"]),
        (&*ready.private_ip, "running", "2")
    );
    assert_eq!(node["disk use"], "1 MiB");
    let shown = &details.objects["volume"][0];
    assert_eq!((&*shown["size"], &*shown["disk use"]), ("5 GiB", "4 MiB"));
    assert_eq!((&shown["instance"], &shown["disk"]), (&ready.id.to_string(), &"main-1-d0".to_owned()));
}

#[tokio::test]
async fn the_sweeper_lists_what_is_there_and_what_a_crash_left() {
    let site = Site::new(Agent::Dies);
    let first = site.volume("main-1").await.id;
    let second = site.volume("main-2").await.id;
    let dir = site.data().volumes.dir(&second).unwrap();
    fs::rename(&dir, dir.with_file_name(format!(".old-{second}"))).unwrap();
    let create = CreateInstance {
        cluster: ClusterId::new("cl-1"),
        node: NodeId::new("main-1"),
        cpu: 1,
        memory_mib: 64,
    };
    let instance = check_repeated(&site, "t", vec![create]).await.remove(0);
    let mut tagged = site.local.tagged(&site.look()).await.unwrap();
    tagged.sort_by(|a, b| a.name.cmp(&b.name).then(a.kind.cmp(&b.kind)));
    let line = |kind: &str, id: &ResourceId, name: &str| (kind.to_owned(), id.clone(), name.to_owned());
    let found: Vec<_> = tagged.iter().map(|one| line(&one.kind, &one.id, &one.name)).collect();
    let expected = [
        line("instance", &instance, "main-1"),
        line("volume", &first, "main-1-d0"),
        line("volume", &second, "main-2-d0"),
    ];
    assert_eq!(found, expected);
    assert!(tagged.iter().all(|one| one.cluster == "cl-1" && one.created.is_some()));
}

#[tokio::test]
async fn a_runtime_that_can_not_be_right_is_refused() {
    async fn check(site: &Site, runtime: Runtime, expected: Result<(), &str>) {
        let facts = site.local.validate_credential(&site.look_at(runtime)).await;
        match expected {
            Ok(()) => assert_eq!(facts.unwrap().zones.len(), 1),
            Err(why) => assert_eq!(failed(facts), (ErrorKind::Invalid, why.to_owned())),
        }
    }
    let site = Site::new(Agent::Obedient);
    check(&site, runtime(), Ok(())).await;
    check(&site, Runtime { zone: Zone::new("local"), ..runtime() }, Ok(())).await;
    let moon = Runtime { zone: Zone::new("moon"), ..runtime() };
    check(&site, moon, Err("the local provider has no zone `moon`")).await;
    let remote = Runtime { endpoint: "https://example.com".into(), ..runtime() };
    check(&site, remote, Err("the local provider has no endpoint")).await;
}

#[tokio::test]
async fn a_data_directory_that_can_not_be_made_is_named() {
    let site = Site::new(Agent::Obedient);
    let data = &site.data().host.data;
    fs::write(data, "a file is in the way").unwrap();
    let (_, text) = failed(site.local.validate_credential(&site.look()).await);
    assert_eq!(text, format!("making directory `{}`", data.display()));
    fs::remove_file(data).unwrap();
}

#[test]
fn the_plugin_registers_itself_and_says_how_far_each_verb_goes() {
    let registry = Registry::discover(&["local"], &["local"]).unwrap();
    assert_eq!(registry.descriptor(&ProviderId::new("local")).unwrap().id, DESCRIPTOR.id);
    let verbs = ["run", "stop", "start", "delete", "resize"].map(|verb| format!("{verb}_instances"));
    let more = ["create", "detach", "attach", "delete", "resize"].map(|verb| format!("{verb}_volumes"));
    for verb in verbs.iter().chain(&more) {
        assert_eq!(DESCRIPTOR.abilities.iter().filter(|(name, _)| name == verb).count(), 1, "{verb}");
    }
}

//! What must happen when things go wrong: jobs from acceptance to their end, and from there on.

use conformance::{APP, Audit, Ending, Fault, KEY, Limits, PASSWORD, RUNTIME, World, act, create};
use engine::{ClusterFilter, Control, EventFilter, EventKind, JobInfo, Request, TaskState};
use provider_core::{
    Action, ActionKind, Clock, Cluster, ClusterStatus, ContainerKind, Credential, Descriptor, Error,
    ErrorKind, JobState, Provider, Result, Runtime, Secret,
};
use std::{fs, sync::Arc, time::Duration};
use tokio::sync::Notify;

const CREATE: Action = Action::CreateCluster;
const STOP: Action = Action::StopClusters;
const START: Action = Action::StartClusters;
const DELETE: Action = Action::DeleteClusters { keep_volumes: false, force: false, keep_history: false };

pub(crate) fn world() -> World {
    World::new().expect("nothing goes wrong yet")
}

/// Has a request carried out, and checks that it ended so and left nothing behind.
pub(crate) fn run(world: &World, request: &Request, state: JobState) -> JobInfo {
    let job = world.run(request).expect("it is accepted");
    check(world, &job, state);
    job
}

fn check(world: &World, job: &JobInfo, state: JobState) {
    assert_eq!(job.state, state, "{job:?}");
    let audit = look(world, async |control| Audit::of(world, control, job).await);
    assert_eq!(audit.complaints(), [""; 0], "{job:?}");
}

/// Looks at what is on record.
pub(crate) fn look<T>(world: &World, work: impl AsyncFnOnce(&Control) -> Result<T>) -> T {
    world.live(work).expect("no crash is planned").expect("it can be read")
}

pub(crate) fn cluster(world: &World) -> Cluster {
    look(world, async |control| {
        let all =
            control.store.clusters(&ClusterFilter { deleted: true, ..ClusterFilter::default() }).await?;
        Ok(all.into_iter().next().expect("there is one"))
    })
}

pub(crate) fn retry(world: &World, job: &JobInfo) -> JobInfo {
    look(world, async |control| {
        control.store.retry(&job.id).await?;
        world.execute(control, &Notify::new()).await?;
        control.store.job(&job.id).await
    })
}

fn ran(world: &World, what: &str) -> usize {
    world.pilot.ran().iter().filter(|ran| ran.what == what).count()
}

fn requests(world: &World, name: &str) -> usize {
    world.cloud.requests().get(name).copied().unwrap_or_default()
}

pub(crate) fn error(job: &JobInfo) -> &Error {
    job.error.as_ref().expect("a job that failed says why")
}

#[test]
fn one_of_three_tasks_fails_and_the_job_with_it_and_a_retry_goes_on_from_there() {
    let world = world();
    world.pilot.end("db start", 2..=2, Ending::Exit(7, "port 5432 is in use"));
    let job = run(&world, &create("c", 3, 0, 1), JobState::Failed);

    let fold = job.fold.clone().unwrap();
    assert_eq!((fold.failed.len(), fold.skipped), (1, 1), "the layer ends, those after it don't begin");
    assert_eq!((ran(&world, "db start"), ran(&world, "web start")), (3, 0));
    let failed = error(&job);
    assert!(failed.to_string().starts_with("db-"), "{failed}");
    assert!(failed.to_string().ends_with("run `db start`: `db start` exited with 7"), "{failed}");
    assert_eq!(
        (failed.kind(), failed.causes()),
        (ErrorKind::Failed, &["port 5432 is in use".to_owned()][..])
    );
    let record = cluster(&world);
    assert_eq!((record.status, record.transition), (ClusterStatus::Pending, None));
    assert_eq!(record.last_error.as_ref(), job.error.as_ref());

    let (before, sent) = (world.pilot.ran().len(), world.requests());
    let job = retry(&world, &job);
    check(&world, &job, JobState::Succeeded);
    let again: Vec<_> = world.pilot.ran()[before..].iter().map(|ran| ran.what.clone()).collect();
    assert_eq!(again, ["db start", "web start"]);
    assert_eq!(world.requests() - sent, 2, "what was done is not asked for again");
    let record = cluster(&world);
    assert_eq!((record.status, record.last_error), (ClusterStatus::Active, None));
}

#[test]
fn a_failure_that_is_allowed_is_recorded_and_holds_nothing_up() {
    let world = world();
    run(&world, &create("c", 1, 0, 0), JobState::Succeeded);
    world.pilot.end("unmount /log", 1..=1, Ending::Exit(32, "target is busy"));
    let job = run(&world, &act("c", DELETE), JobState::Succeeded);
    let tolerated = job.fold.unwrap().tolerated;
    assert_eq!(tolerated.len(), 1);
    let tasks = look(&world, async |control| control.store.tasks(&job.id).await);
    let task = tasks.into_iter().find(|task| tolerated.contains(&task.id)).unwrap();
    assert!(
        matches!(&task.state, TaskState::Failed { error } if error.causes() == ["target is busy"]),
        "{task:?}"
    );
    assert!(world.cloud.instances().is_empty() && world.cloud.volumes().is_empty());
}

#[test]
fn of_two_actions_at_once_exactly_one_is_accepted() {
    let world = world();
    run(&world, &create("c", 1, 0, 0), JobState::Succeeded);
    let (stop, delete) = look(&world, async |control| {
        let (stop, delete) = (act("c", STOP), act("c", DELETE));
        let both = tokio::join!(control.submit(&stop), control.submit(&delete));
        world.execute(control, &Notify::new()).await?;
        Ok((both.0.map(|s| s.job), both.1.map(|s| s.job)))
    });
    let refused = match (stop, delete) {
        (Ok(_), Err(error)) | (Err(error), Ok(_)) => error,
        both => panic!("{both:?}"),
    };
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    let jobs = look(&world, async |control| control.store.jobs(None).await);
    assert_eq!(jobs.len(), 2);
}

#[test]
fn a_command_that_hangs_is_killed_when_its_time_is_over_and_reported() {
    let world = world();
    world.pilot.end("db start", 1..=1, Ending::Hang);
    let begin = world.clock.now();
    let job = run(&world, &create("c", 1, 0, 1), JobState::Failed);
    assert_eq!(error(&job).to_string(), "db-1: run `db start`: `db start` was killed after 60 s");
    assert!(world.clock.now().since(begin) >= Duration::from_secs(60));
    let job = retry(&world, &job);
    check(&world, &job, JobState::Succeeded);
}

/// Creates a cluster and asks to stop when this layer has begun.
fn cancel_at(world: &World, layer: u32) -> JobInfo {
    look(world, async |control| {
        let job = control.submit(&create("c", 1, 1, 1)).await?.job;
        let wake = Notify::new();
        let filter = EventFilter { job: Some(job.clone()), cluster: None };
        let is_it = |kind: &EventKind| matches!(kind, EventKind::LayerStarted { layer: it } if *it == layer);
        let cancel = async {
            loop {
                world.clock.sleep(Duration::from_millis(20)).await;
                // The layer takes longer than that, and it can't end before the request has been heard.
                let _hold = world.clock.hold();
                let events = control.store.events(0, &filter, 1000).await?;
                if events.iter().any(|event| is_it(&event.kind)) {
                    control.store.cancel(&job).await?;
                    wake.notify_one();
                    while !control.store.job(&job).await?.state.is_ended() {
                        tokio::task::yield_now().await;
                    }
                    return Ok::<_, Error>(());
                }
            }
        };
        let (executed, cancelled) = tokio::join!(world.execute(control, &wake), cancel);
        executed.and(cancelled)?;
        control.store.job(&job).await
    })
}

#[test]
fn wherever_a_create_is_cancelled_retry_start_and_delete_each_work_from_there() {
    let base = world();
    let layers =
        look(&base, async |control| Ok(control.plan(&create("c", 1, 1, 1)).await?.plan.layers.len()));
    for layer in 0..u32::try_from(layers).unwrap() {
        let world = base.copy().unwrap();
        let job = cancel_at(&world, layer);
        let record = cluster(&world);
        assert_eq!(job.state, JobState::Cancelled, "layer {layer}: {job:?}");
        assert_eq!((record.status, record.transition), (ClusterStatus::Pending, None));
        let audit = look(&world, async |control| Audit::of(&world, control, &job).await);
        assert_eq!(
            (audit.orphans.len(), audit.duplicates.len(), audit.in_doubt),
            (0, 0, 0),
            "layer {layer}: {audit:?}"
        );

        let retried = world.copy().unwrap();
        check(&retried, &retry(&retried, &job), JobState::Succeeded);
        assert_eq!(cluster(&retried).status, ClusterStatus::Active);

        let started = world.copy().unwrap();
        run(&started, &act("c", START), JobState::Succeeded);
        assert_eq!(cluster(&started).status, ClusterStatus::Active);

        run(&world, &act("c", DELETE), JobState::Succeeded);
        assert!(world.cloud.instances().is_empty() && world.cloud.volumes().is_empty(), "layer {layer}");
    }
}

#[test]
fn a_cloud_that_is_slow_to_answer_or_to_show_is_asked_again_with_growing_pauses() {
    let world = world();
    world.cloud.script("RunInstances", 1..=4, Fault::Refuse("Throttling"));
    world.cloud.script("RunInstances", 5..=5, Fault::Hide(Duration::from_secs(30)));
    let begin = world.clock.now();
    run(&world, &create("c", 2, 0, 0), JobState::Succeeded);
    let took = world.clock.now().since(begin);
    // 1 + 2 + 4 + 8 s of pauses, and 30 s until the instances can be seen.
    assert!((Duration::from_secs(45)..Duration::from_secs(300)).contains(&took), "{took:?}");
    assert_eq!(requests(&world, "RunInstances"), 5);
}

#[test]
fn a_deadline_ends_a_task_after_one_more_look_and_no_sooner() {
    // An instance has 1800 s to run.
    for (seen_after, state) in [(1750, JobState::Succeeded), (1860, JobState::Failed)] {
        let world = world();
        world.cloud.script("RunInstances", 1..=1, Fault::Hide(Duration::from_secs(seen_after)));
        let begin = world.clock.now();
        let job = world.run(&create("c", 1, 0, 0)).unwrap();
        assert_eq!(job.state, state, "{job:?}");
        if state == JobState::Failed {
            let took = world.clock.now().since(begin).as_secs();
            assert!((1800..1830).contains(&took), "it ended after {took} s");
            let failed = error(&job);
            assert_eq!(failed.kind(), ErrorKind::TimedOut, "{failed}");
            assert!(failed.to_string().contains("can't be seen yet"), "{failed}");
            // It has run on outside in the meantime; a retry takes that up.
            world.cloud.script("RunInstances", 2..=9, Fault::Refuse("NotExpected"));
            world.clock.pass(Duration::from_secs(60));
            check(&world, &retry(&world, &job), JobState::Succeeded);
        }
    }
}

#[test]
fn a_large_cluster_takes_as_few_requests_as_their_maximum_allows() {
    for (plain, replicas, nodes, launches, volumes) in
        [(0, 0, 1, 1, 1), (49, 0, 50, 1, 1), (100, 4, 501, 6, 6)]
    {
        let world = world();
        let mut request = create("c", 1, 0, 0);
        if let Request::Create { conf, .. } = &mut request {
            conf["cluster"]["plain"] = serde_json::json!({"count": plain, "replica": replicas});
        }
        run(&world, &request, JobState::Succeeded);
        assert_eq!(world.cloud.instances().len(), nodes);
        assert_eq!(requests(&world, "RunInstances"), launches, "{nodes} nodes");
        assert_eq!(requests(&world, "CreateVolumes"), volumes, "{nodes} nodes");
        assert_eq!(requests(&world, "AttachVolumes"), volumes, "{nodes} nodes");
        // An instance is looked at four times. Tasks that wait together are looked at together, or nearly so.
        let looks = requests(&world, "DescribeInstances");
        assert!(looks <= 4 + nodes / 5, "{nodes} nodes: {looks} looks");
    }
}

#[test]
fn waiting_for_quota_does_not_count_against_a_deadline() {
    let world = world();
    world.cloud.script("RunInstances", 1..=100, Fault::Refuse("QuotaExceeded"));
    let begin = world.clock.now();
    run(&world, &create("c", 1, 0, 0), JobState::Succeeded);
    assert!(world.clock.now().since(begin) >= Duration::from_secs(3000));
}

#[test]
fn what_is_lost_is_made_anew_once() {
    for request in ["RunInstances", "CreateVolumes"] {
        let world = world();
        world.cloud.script(request, 1..=1, Fault::Vanish);
        run(&world, &create("c", 2, 0, 0), JobState::Succeeded);
        assert_eq!((world.cloud.instances().len(), world.cloud.volumes().len()), (2, 4));
        assert!(requests(&world, request) > 1, "or nothing was lost");
    }
}

#[test]
fn a_command_that_its_agent_forgot_is_given_again() {
    let world = world();
    world.pilot.script("submit", 3..=3, Fault::Vanish);
    let job = run(&world, &create("c", 1, 0, 0), JobState::Succeeded);
    assert_eq!(world.pilot.ran().len(), job.fold.unwrap().done as usize - 5 + 1);
}

#[test]
fn an_agent_that_can_t_be_reached_for_a_while_is_waited_for() {
    let world = world();
    world.pilot.cut_off("db-1", Duration::from_secs(900));
    run(&world, &create("c", 2, 0, 0), JobState::Succeeded);
}

#[test]
fn what_is_gone_already_is_deleted() {
    let world = world();
    run(&world, &create("c", 2, 0, 1), JobState::Succeeded);
    world.cloud.vanish(&world.cloud.instances()[0].id);
    world.cloud.vanish(&world.cloud.volumes()[1].id);
    run(&world, &act("c", DELETE), JobState::Succeeded);
    assert!(world.cloud.instances().is_empty() && world.cloud.volumes().is_empty());
    assert_eq!(cluster(&world).status, ClusterStatus::Deleted);
}

#[test]
fn a_credential_that_is_no_longer_valid_ends_a_job_with_a_reason_and_a_new_one_lets_it_go_on() {
    let world = world();
    world.pilot.end("db init", 1..=1, Ending::Exit(1, ""));
    let job = run(&world, &create("c", 1, 0, 0), JobState::Failed);
    run(&world, &act("c", DELETE), JobState::Succeeded);
    drop(job);

    let job = look(&world, async |control| {
        let job = control.submit(&create("d", 1, 0, 0)).await?.job;
        world.cloud.require_key("another");
        world.execute(control, &Notify::new()).await?;
        control.store.job(&job).await
    });
    assert_eq!((job.state, error(&job).kind()), (JobState::Failed, ErrorKind::Unauthorized));
    look(&world, async |control| {
        let runtime = control.store.runtime(&RUNTIME.into()).await?;
        let credential = Credential::new([("key".to_owned(), Secret::new("another"))]);
        control.store.update_runtime(&runtime, Some(credential)).await
    });
    check(&world, &retry(&world, &job), JobState::Succeeded);
}

#[test]
fn data_outlives_a_stop_and_an_instance_that_is_started_again() {
    let world = world();
    run(&world, &create("c", 1, 1, 1), JobState::Succeeded);
    let volumes = world.cloud.volumes();
    run(&world, &act("c", STOP), JobState::Succeeded);
    assert_eq!(cluster(&world).status, ClusterStatus::Stopped);
    run(&world, &act("c", START), JobState::Succeeded);
    assert_eq!((world.cloud.volumes(), ran(&world, "db init")), (volumes, 2));
}

#[test]
fn what_can_t_be_done_is_refused_before_there_is_a_job() {
    let world = world();
    run(&world, &create("c", 1, 0, 0), JobState::Succeeded);
    look(&world, async |control| {
        let runtime = Runtime {
            id: "elsewhere".into(),
            provider: "nimbus".into(),
            ..control.store.runtime(&RUNTIME.into()).await?
        };
        control.store.create_runtime(&runtime, Credential::default()).await
    });
    world.cloud.limit(Limits { instances: 2, volumes: 2 });
    let (before, sent) = (cluster(&world), world.requests());
    let elsewhere = Request::Create {
        name: None,
        app: APP.into(),
        runtime: "elsewhere".into(),
        conf: serde_json::json!({}),
        volumes_of: None,
    };
    for (request, kind, message) in [
        (act("c", CREATE), ErrorKind::Conflict, ""),
        (act("x", STOP), ErrorKind::NotFound, "there is no cluster `x`"),
        (elsewhere, ErrorKind::NotFound, "there is no provider `nimbus`"),
        (
            create("d", 2, 0, 0),
            ErrorKind::Quota,
            "planning `create` of cluster `d`: instances: 2 more are needed and 1 of 2 are left; volumes: 4 more are needed and 0 of 2 are left",
        ),
    ] {
        let refused = world.run(&request).expect_err("it must be refused");
        assert_eq!(refused.kind(), kind, "{refused}");
        assert!(refused.to_string().starts_with(message), "{refused}");
    }
    assert_eq!((cluster(&world), world.requests()), (before, sent));
    assert_eq!(look(&world, async |control| control.store.jobs(None).await).len(), 1);
}

#[test]
fn appendix_b_14_what_a_provider_lacks_is_refused_and_named() {
    static LIMITED: Descriptor = Descriptor {
        id: "scripted",
        title: "only makes clusters",
        format: &vmbased::package::VmPackages,
        actions: &[ActionKind::CreateCluster],
        containers: &[ContainerKind::Kvm],
        credential: &["key"],
        abilities: &[],
    };
    let world = world();
    run(&world, &create("c", 1, 0, 0), JobState::Succeeded);
    let before = cluster(&world);
    let refused = look(&world, async |control| {
        let all = control.providers.clone();
        let providers = move |id: &_| Ok(Provider { descriptor: &LIMITED, ..all(id)? });
        let limited = Control { providers: Arc::new(providers), ..control.clone() };
        Ok(limited.submit(&act("c", STOP)).await.map(|submitted| submitted.job).expect_err("it can't stop"))
    });
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert_eq!(refused.to_string(), "provider `scripted` does not support `stop`");
    assert_eq!(cluster(&world), before);
}

#[test]
fn a_secret_reaches_agents_and_the_cloud_and_no_record_event_error_or_log() {
    let world = world();
    let mut jobs = Vec::new();
    world.cloud.script("RunInstances", 1..=1, Fault::LostAfter);
    world.cloud.script("AttachVolumes", 1..=1, Fault::Refuse("Throttling"));
    world.pilot.script("submit", 2..=2, Fault::LostAfter);
    world.pilot.end("db start", 1..=1, Ending::Exit(7, "no"));
    let job = run(&world, &create("c", 2, 0, 1), JobState::Failed);
    jobs.push(retry(&world, &job));
    jobs.push(run(&world, &act("c", STOP), JobState::Succeeded));
    jobs.push(run(&world, &act("c", START), JobState::Succeeded));
    world.cloud.script("StopInstances", 2..=2, Fault::Refuse("AuthFailure"));
    jobs.push(run(&world, &act("c", DELETE), JobState::Succeeded));
    world.run(&create("c", 9, 5, 9)).unwrap();
    assert!(world.pilot.was_told(PASSWORD), "or nothing is proved");

    let mut shown = format!("{jobs:?} {:?} {:?}", world.log(), world.pilot.ran());
    shown += &look(&world, async |control| {
        let mut shown = format!("{:?}", control.store.events(0, &EventFilter::default(), 100_000).await?);
        for job in control.store.jobs(None).await? {
            shown += &format!("{:?}", control.store.job_work(&job.id).await?);
            shown += &format!("{:?}", control.store.tasks(&job.id).await?);
        }
        shown += &format!(
            "{:?}",
            control.store.clusters(&ClusterFilter { deleted: true, ..ClusterFilter::default() }).await?
        );
        Ok(shown)
    });
    let files = fs::read_dir(world.dir()).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    let bytes: Vec<u8> = files.chain([shown.into_bytes()]).flatten().collect();
    for secret in [PASSWORD, KEY] {
        let hits = bytes.windows(secret.len()).filter(|window| *window == secret.as_bytes()).count();
        assert_eq!(hits, 0, "`{secret}` was found");
    }
}

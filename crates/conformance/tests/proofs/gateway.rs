//! What the gateway makes of many calls, and of everything that can befall a request.

use conformance::{
    Client, Cloud, Fault, Launch, MemoryLedger, NoRecords, Tags, VirtualClock, scripted::calls::RunInstance,
};
use provider_core::{
    CallKey, Cancel, Clock, Credential, Entry, Error, ErrorKind, Gateway, JobId, Ledger, Look, NoCrash,
    ResourceId, Result, Runtime, Seat, TaskContext, TaskId, Zone,
};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// What survives an executor.
struct World {
    clock: Arc<VirtualClock>,
    cloud: Arc<Cloud>,
    ledger: Arc<MemoryLedger>,
    client: Arc<Client>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(VirtualClock::default());
        let cloud = Cloud::new(clock.clone());
        let client = cloud.client(Arc::new(Credential::default()));
        Self { clock, cloud, ledger: Arc::default(), client }
    }

    /// The gateway of an executor that has just started.
    fn gateway(&self) -> Gateway {
        let spawn = Arc::new(|batch| drop(tokio::spawn(batch)));
        Gateway::new("d-1".into(), self.ledger.clone(), spawn, Arc::new(NoCrash), 64)
    }

    fn context(&self, gateway: &Gateway, seat: Arc<Seat>) -> TaskContext {
        let runtime = Runtime {
            id: "r-1".into(),
            description: String::new(),
            provider: "scripted".into(),
            endpoint: String::new(),
            zone: Zone::new(""),
            labels: Default::default(),
        };
        let (_, never) = Cancel::new();
        let look = Look::new(
            Arc::new(runtime),
            Arc::new(Credential::default()),
            self.clock.clone(),
            never,
            Arc::new(NoRecords),
            Arc::new(NoRecords),
        );
        TaskContext::new(look, gateway.clone(), seat)
    }

    /// The contexts of `count` tasks of a layer that start together.
    fn layer(&self, gateway: &Gateway, count: u32) -> Vec<TaskContext> {
        let seats: Vec<_> =
            (0..count).map(|index| gateway.seat(&JobId::new("j-1"), TaskId { layer: 0, index })).collect();
        seats.into_iter().map(|seat| self.context(gateway, seat)).collect()
    }

    /// Has each of `count` tasks launch its instance, and gives their replies in order.
    async fn launch(&self, gateway: &Gateway, count: u32) -> Vec<Result<ResourceId>> {
        let mut tasks = JoinSet::new();
        for (index, cx) in (0..).zip(self.layer(gateway, count)) {
            let client = self.client.clone();
            tasks.spawn(async move { (index, cx.call(0, &client, instance(index)).await) });
        }
        let mut replies = tasks.join_all().await;
        replies.sort_by_key(|(index, _)| *index);
        replies.into_iter().map(|(_, reply)| reply).collect()
    }

    fn requests(&self, name: &str) -> usize {
        self.cloud.requests().get(name).copied().unwrap_or_default()
    }

    /// Checks that task number n was given the one instance that was launched for it.
    fn check_one_each(&self, replies: &[Result<ResourceId>]) {
        let mut launched: Vec<_> = self.cloud.instances().into_iter().map(|i| (i.tags.name, i.id)).collect();
        launched.sort();
        let given =
            (0..).zip(replies).map(|(index, id)| (name(index), id.clone().expect("every call has a reply")));
        assert_eq!(launched, given.collect::<Vec<_>>());
    }
}

fn name(index: u32) -> String {
    format!("node-{index:03}")
}

fn instance(index: u32) -> RunInstance {
    sized(index, "small")
}

fn sized(index: u32, size: &str) -> RunInstance {
    RunInstance {
        launch: Launch { size: size.into(), image: "image".into() },
        tags: Tags { deployment: "d-1".into(), cluster: "cl-1".into(), name: name(index) },
    }
}

fn kinds(replies: &[Result<ResourceId>]) -> Vec<Option<ErrorKind>> {
    replies.iter().map(|reply| reply.as_ref().err().map(Error::kind)).collect()
}

#[tokio::test]
async fn calls_of_a_layer_become_as_few_requests_as_the_maximum_allows() {
    for (tasks, requests) in [(1, 1), (50, 1), (100, 1), (101, 2), (500, 5)] {
        let world = World::new();
        let replies = world.launch(&world.gateway(), tasks).await;
        world.check_one_each(&replies);
        assert_eq!(world.requests("RunInstances"), requests, "{tasks} tasks");
        assert_eq!(world.ledger.count(), (0, tasks as usize, 0));
    }
}

#[tokio::test]
async fn calls_that_differ_where_a_request_must_not_go_apart() {
    let world = World::new();
    let gateway = world.gateway();
    let mut tasks = JoinSet::new();
    for (index, cx) in (0..).zip(world.layer(&gateway, 6)) {
        let client = world.client.clone();
        let call = sized(index, if index % 2 == 0 { "small" } else { "large" });
        tasks.spawn(async move { cx.call(0, &client, call).await.unwrap() });
    }
    tasks.join_all().await;
    assert_eq!(world.requests("RunInstances"), 2);
    assert!(
        world
            .cloud
            .instances()
            .iter()
            .all(|i| (i.size == "small") == (i.tags.name.ends_with(['0', '2', '4'])))
    );
}

#[tokio::test]
async fn a_batch_waits_for_a_slow_task_and_not_for_one_that_waits() {
    let world = World::new();
    let gateway = world.gateway();
    let mut layer = world.layer(&gateway, 10);
    let (waiting, slow) = (layer.pop().unwrap(), layer.pop().unwrap());
    let mut tasks = JoinSet::new();
    for (index, cx) in (0..).zip(layer) {
        let client = world.client.clone();
        tasks.spawn(async move { cx.call(0, &client, instance(index)).await });
    }
    let client = world.client.clone();
    tasks.spawn(async move {
        slow.clock.sleep(Duration::from_secs(90)).await;
        slow.call(0, &client, instance(8)).await
    });
    waiting.seat().wait();
    for reply in tasks.join_all().await {
        reply.unwrap();
    }
    drop(waiting);
    assert_eq!((world.requests("RunInstances"), world.cloud.instances().len()), (1, 9));
}

#[tokio::test]
async fn a_task_that_is_dropped_strands_nobody_and_its_call_is_on_record() {
    let world = World::new();
    let gateway = world.gateway();
    let mut layer = world.layer(&gateway, 3);
    let last = layer.pop().unwrap();
    let mut tasks = Vec::new();
    for (index, cx) in (0..).zip(layer) {
        let client = world.client.clone();
        tasks.push(tokio::spawn(async move { cx.call(0, &client, instance(index)).await }));
    }
    world.clock.sleep(Duration::from_secs(1)).await;
    tasks.remove(0).abort();
    let reply = last.call(0, &world.client, instance(2)).await;
    drop(last);
    assert!(reply.is_ok() && tasks.remove(0).await.unwrap().is_ok());
    assert_eq!((world.requests("RunInstances"), world.ledger.count()), (1, (0, 3, 0)));
    // The task that was dropped gets, started again, what its call had made.
    world.check_one_each(&world.launch(&world.gateway(), 3).await);
}

#[tokio::test]
async fn an_executor_that_goes_away_drops_its_batches_and_does_not_hang() {
    let world = World::new();
    let gateway = Gateway::new("d-1".into(), world.ledger.clone(), Arc::new(drop), Arc::new(NoCrash), 64);
    let mut layer = world.layer(&gateway, 2);
    let (last, first) = (layer.pop().unwrap(), layer.pop().unwrap());
    let client = world.client.clone();
    let call = tokio::spawn(async move { first.call(0, &client, instance(0)).await });
    world.clock.sleep(Duration::from_secs(1)).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    // Now the batch closes, and with it the seat of its only member goes.
    drop(last);
    assert!(world.cloud.requests().is_empty());
}

#[tokio::test]
async fn whatever_happens_to_a_request_its_effect_comes_about_once() {
    struct Case {
        faults: Vec<(&'static str, Fault)>,
        first: ErrorKind,
        sent: usize,
        found: usize,
    }
    let lost =
        |fault| Case { faults: vec![("RunInstances", fault)], first: ErrorKind::InDoubt, sent: 1, found: 1 };
    let hide = Fault::Hide(Duration::from_secs(60));
    let cases = [
        Case { sent: 2, ..lost(Fault::LostBefore) },
        lost(Fault::LostAfter),
        lost(Fault::Garbage),
        // Nothing of it can be seen, so it is sent again; the cloud knows the token.
        Case {
            faults: vec![("RunInstances", hide), ("RunInstances", Fault::LostAfter)],
            sent: 2,
            ..lost(Fault::Garbage)
        },
        // As long as the cloud can't tell, nothing is sent.
        Case {
            faults: vec![("RunInstances", Fault::LostAfter), ("FindMade", Fault::Refuse("Throttling"))],
            found: 2,
            ..lost(Fault::Garbage)
        },
        Case { first: ErrorKind::RateLimited, sent: 2, found: 0, ..lost(Fault::Refuse("Throttling")) },
        Case { first: ErrorKind::Quota, sent: 2, found: 0, ..lost(Fault::Refuse("QuotaExceeded")) },
    ];
    for Case { faults, first, sent, found } in cases {
        // The same executor goes on, or another one takes over.
        for takes_over in [false, true] {
            for tasks in [1, 50] {
                let world = World::new();
                let what = format!("{faults:?}, {tasks} tasks, takes over: {takes_over}");
                for (request, fault) in &faults {
                    world.cloud.script(request, 1..=1, fault.clone());
                }
                let mut gateway = world.gateway();
                let replies = world.launch(&gateway, tasks).await;
                assert_eq!(kinds(&replies), vec![Some(first); tasks as usize], "{what}");
                if takes_over {
                    gateway = world.gateway();
                }
                let mut replies = world.launch(&gateway, tasks).await;
                for _ in 0..3 {
                    if replies.iter().any(Result::is_err) {
                        assert!(kinds(&replies).contains(&Some(ErrorKind::InDoubt)), "{what}: {replies:?}");
                        replies = world.launch(&gateway, tasks).await;
                    }
                }
                world.check_one_each(&replies);
                let seen = (world.requests("RunInstances"), world.requests("FindMade"));
                assert_eq!(seen, (sent, found), "{what}");
                assert_eq!(world.ledger.count().0, 0, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn those_whom_a_batch_left_out_are_sent_again_and_nobody_else() {
    let world = World::new();
    let gateway = world.gateway();
    world.cloud.script("RunInstances", 1..=1, Fault::Partial(2, "InsufficientCapacity"));
    let replies = world.launch(&gateway, 5).await;
    let quota = Some(ErrorKind::Quota);
    assert_eq!(kinds(&replies), [None, None, quota, quota, quota]);
    assert_eq!(world.ledger.count(), (0, 2, 3));
    world.check_one_each(&world.launch(&gateway, 5).await);
    assert_eq!((world.requests("RunInstances"), world.ledger.count()), (2, (0, 5, 3)));
}

#[tokio::test]
async fn what_was_applied_is_answered_from_the_ledger() {
    let world = World::new();
    let first = world.launch(&world.gateway(), 50).await;
    let again = world.launch(&world.gateway(), 50).await;
    assert_eq!(first, again);
    assert_eq!(world.cloud.requests().into_iter().collect::<Vec<_>>(), [("RunInstances", 1)]);
}

#[tokio::test]
async fn a_call_whose_effect_was_lost_is_made_anew() {
    let world = World::new();
    let gateway = world.gateway();
    let lost = world.launch(&gateway, 1).await.remove(0).unwrap();
    world.cloud.vanish(&lost);
    let cx = world.layer(&gateway, 1).remove(0);
    cx.reopen().await.unwrap();
    let new = cx.call(0, &world.client, instance(0)).await.unwrap();
    assert_ne!(lost, new);
    assert_eq!(world.cloud.instances().len(), 1);
}

#[tokio::test]
async fn an_executor_that_was_replaced_sends_nothing() {
    let world = World::new();
    let gateway = world.gateway();
    world.ledger.fence();
    let replies = world.launch(&gateway, 3).await;
    assert_eq!(kinds(&replies), [Some(ErrorKind::Fenced); 3]);
    assert!(world.cloud.requests().is_empty());
    let key = CallKey { job: JobId::new("j-1"), task: TaskId { layer: 0, index: 0 }, n: 0 };
    assert_eq!(world.ledger.look(&key).await.unwrap(), Entry::Fresh(0));
}

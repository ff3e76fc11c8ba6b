use crate::fixture::*;
use engine::{CallState, EventFilter, Recording, TaskState};
use proptest::prelude::*;
use provider_core::{
    Entry, Error, ErrorKind, Fact, FoldResult, Ledger, Outcome, Records, Task, TaskId, Token, VolumeReady,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
};

#[tokio::test]
async fn a_call_is_fresh_in_doubt_and_then_what_became_of_it() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    let job = accept(&store, create("db")).await;
    let [applied_key, refused, doubtful] = [0, 1, 2].map(|index| key(&job, index));
    assert_eq!(tenure.look(&applied_key).await.unwrap(), Entry::Fresh(0));
    let sent = batch(&job, [0, 1, 2], 0);
    tenure.begin(&sent).await.unwrap();
    assert_eq!(tenure.look(&refused).await.unwrap(), Entry::InDoubt(sent.token.clone()));
    assert_eq!(tenure.batch(&sent.token).await.unwrap(), sent);
    let outcomes = vec![applied("1"), Outcome::Refused(Error::quota("full")), Outcome::InDoubt];
    tenure.finish(&sent, outcomes).await.unwrap();

    // The same after a restart, when everything is read anew.
    for tenure in [tenure, store.take_over().await.unwrap()] {
        assert_eq!(tenure.look(&applied_key).await.unwrap(), Entry::Applied(b"1".to_vec()));
        assert_eq!(tenure.look(&refused).await.unwrap(), Entry::Fresh(1));
        assert_eq!(tenure.look(&doubtful).await.unwrap(), Entry::InDoubt(sent.token.clone()));
        assert_eq!(tenure.batch(&sent.token).await.unwrap(), sent);
    }
    assert_eq!(store.in_doubt(Some(&job)).await.unwrap()[0].key, doubtful);
    assert_eq!(store.in_doubt(None).await.unwrap().len(), 1);

    // What has an outcome keeps it.
    let tenure = store.take_over().await.unwrap();
    tenure.finish(&sent, vec![applied("4"), applied("5"), applied("6")]).await.unwrap();
    for tenure in [tenure, store.take_over().await.unwrap()] {
        assert_eq!(tenure.look(&applied_key).await.unwrap(), Entry::Applied(b"1".to_vec()));
        assert_eq!(tenure.look(&refused).await.unwrap(), Entry::Fresh(1));
        assert_eq!(tenure.look(&doubtful).await.unwrap(), Entry::Applied(b"6".to_vec()));
    }
    let counts: Vec<_> = store.calls(&job).await.unwrap().iter().map(|c| (c.state, c.count)).collect();
    assert_eq!(counts, [(CallState::Applied, 2), (CallState::Refused, 1)]);
    let unknown = store.take_over().await.unwrap().batch(&Token::new("x")).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn reopening_opens_the_applied_calls_of_one_task() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    let job = accept(&store, create("db")).await;
    call(&tenure, &job, 0).await;
    call(&tenure, &job, 1).await;
    let mut running = report(&job, 0, TaskState::Running);
    running.handle = Some(provider_core::Handle { resource: "i-1".into(), cloud_job: None });
    tenure.report(running, None).await.unwrap();
    tenure.reopen(&job, task(0, 0)).await.unwrap();
    // Who starts again must not wait on what is gone.
    assert_eq!(store.tasks(&job).await.unwrap()[0].handle, None);
    for tenure in [&tenure, &store.take_over().await.unwrap()] {
        assert_eq!(tenure.look(&key(&job, 0)).await.unwrap(), Entry::Fresh(1));
        assert!(matches!(tenure.look(&key(&job, 1)).await.unwrap(), Entry::Applied(_)));
    }
}

#[tokio::test]
async fn who_was_taken_over_writes_nothing_any_more() {
    let dir = temp();
    let store = store(&dir).await;
    let old = store.take_over().await.unwrap();
    let job = accept(&store, create("db")).await;
    let sent = batch(&job, [0], 0);
    old.begin(&sent).await.unwrap();
    // Another process.
    let other = engine::Store::open(options(&dir)).await.unwrap();
    let new = other.take_over().await.unwrap();
    assert!(new.epoch() > old.epoch());

    let events = store.events(0, &EventFilter::default(), 99).await.unwrap();
    let results = [
        old.begin(&batch(&job, [1], 0)).await,
        old.finish(&sent, vec![applied("1")]).await,
        old.reopen(&job, task(0, 0)).await,
        old.report(report(&job, 0, TaskState::Done), None).await,
        old.note(&job, vec![engine::EventKind::Started]).await,
        old.end(&job, &fold(FoldResult::Succeeded), None).await,
    ];
    for result in results {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Fenced);
    }
    assert_eq!(store.events(0, &EventFilter::default(), 99).await.unwrap(), events);
    assert_eq!(new.look(&key(&job, 0)).await.unwrap(), Entry::InDoubt(sent.token.clone()));
    assert_eq!(new.look(&key(&job, 1)).await.unwrap(), Entry::Fresh(0));
    new.finish(&sent, vec![applied("2")]).await.unwrap();
    new.end(&job, &fold(FoldResult::Succeeded), None).await.unwrap();
}

#[tokio::test]
async fn one_commit_takes_all_that_waits_and_a_refused_operation_touches_no_other() {
    let dir = temp();
    let options = options(&dir);
    let store = engine::Store::open(options.clone()).await.unwrap();
    store.create_runtime(&runtime("here"), Default::default()).await.unwrap();
    let tenure = store.take_over().await.unwrap();
    let job = accept(&store, create("db")).await;
    tenure.begin(&batch(&job, [7], 0)).await.unwrap();

    let before = options.commits();
    let begin = |index| {
        let (tenure, batch) = (tenure.clone(), batch(&job, [index], 0));
        async move { tenure.begin(&batch).await }
    };
    let mut results = join_all((0..20).map(begin)).await;
    assert_eq!(options.commits(), before + 1);
    // Call 7 was there already.
    assert_eq!(results.remove(7).unwrap_err().kind(), ErrorKind::Bug);
    assert_eq!(results, vec![Ok(()); 19]);
    assert_eq!(store.in_doubt(Some(&job)).await.unwrap().len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_a_node_made_side_by_side_lose_nothing() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    let job = accept(&store, create("db")).await;
    let cluster = Arc::new(RwLock::new(store.cluster_named("db").await.unwrap().unwrap()));
    let attach = |index| {
        let (tenure, cluster, job) = (tenure.clone(), cluster.clone(), job.clone());
        tokio::spawn(async move {
            let task: Task = serde_json::from_value(serde_json::json!({
                "cloud": { "volume": { "verb": "create", "disk": { "node": "n-1", "index": index } } },
                "node": "n-1", "timeout_s": 9,
            }))
            .unwrap();
            let fact = Fact::Volume(VolumeReady { id: provider_core::ResourceId::new(format!("v-{index}")) });
            let record = Recording { cluster: &cluster, task: &task, fact: &fact };
            tenure.report(report(&job, index, TaskState::Done), Some(record)).await
        })
    };
    for done in (0..100).map(attach).collect::<Vec<_>>() {
        done.await.unwrap().unwrap();
    }
    let stored = store.cluster_named("db").await.unwrap().unwrap();
    assert_eq!(stored.nodes[&"n-1".into()].disks.len(), 100);
    assert_eq!(stored, *cluster.read().unwrap());
}

#[tokio::test]
async fn of_reports_in_one_commit_the_last_one_holds() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    let job = accept(&store, create("db")).await;
    let (first, last) = tokio::join!(
        tenure.report(report(&job, 0, TaskState::Running), None),
        tenure.report(report(&job, 0, TaskState::Done), None)
    );
    first.and(last).unwrap();
    assert_eq!(store.tasks(&job).await.unwrap()[0].state, TaskState::Done);
}

/// What is done to call 0 of a task.
#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    Apply,
    Refuse,
    Reopen,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<(u32, Step)>> {
    use Step::{Apply, Begin, Refuse, Reopen, Restart};
    prop::collection::vec(
        (0..3u32, prop::sample::select(vec![Begin, Begin, Apply, Refuse, Reopen, Restart])),
        1..25,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// However calls go, the ledger says what a map in memory says, before and after a restart.
    #[test]
    fn the_ledger_is_a_map_that_survives(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let dir = temp();
            let store = store(&dir).await;
            let mut tenure = store.take_over().await.unwrap();
            let job = accept(&store, create("db")).await;
            let mut model: BTreeMap<u32, Entry> = BTreeMap::new();
            for (index, step) in steps {
                let entry = model.entry(index).or_insert(Entry::Fresh(0));
                match (step, entry.clone()) {
                    (Step::Begin, Entry::Fresh(generation)) => {
                        let batch = batch(&job, [index], generation);
                        tenure.begin(&batch).await.unwrap();
                        *entry = Entry::InDoubt(batch.token);
                    }
                    (Step::Apply, Entry::InDoubt(token)) => {
                        let batch = tenure.batch(&token).await.unwrap();
                        tenure.finish(&batch, vec![applied(&index.to_string())]).await.unwrap();
                        *entry = Entry::Applied(index.to_string().into_bytes());
                    }
                    (Step::Refuse, Entry::InDoubt(token)) => {
                        let batch = tenure.batch(&token).await.unwrap();
                        tenure.finish(&batch, vec![Outcome::Refused(Error::quota("full"))]).await.unwrap();
                        *entry = Entry::Fresh(batch.items[0].generation + 1);
                    }
                    (Step::Reopen, at) => {
                        tenure.reopen(&job, TaskId { layer: 0, index }).await.unwrap();
                        if matches!(at, Entry::Applied(_)) {
                            let Entry::Fresh(next) = tenure.look(&key(&job, index)).await.unwrap() else { panic!() };
                            *entry = Entry::Fresh(next);
                        }
                    }
                    (Step::Restart, _) => tenure = store.take_over().await.unwrap(),
                    _ => {}
                }
                for (index, entry) in &model {
                    assert_eq!(tenure.look(&key(&job, *index)).await.unwrap(), *entry);
                }
            }
        });
    }
}

/// Runs them side by side on this thread: each goes as far as it gets before the writer's turn comes.
async fn join_all<T: 'static>(futures: impl Iterator<Item = impl Future<Output = T> + 'static>) -> Vec<T> {
    let set = tokio::task::LocalSet::new();
    let tasks: Vec<_> = futures.map(|future| set.spawn_local(future)).collect();
    set.run_until(async {
        let mut results = Vec::new();
        for task in tasks {
            results.push(task.await.unwrap());
        }
        results
    })
    .await
}

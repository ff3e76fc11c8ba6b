use crate::fixture::*;
use engine::{Accepted, EventFilter, EventKind, FollowUp, Recording, Store, TaskState, Tenure, Terms};
use provider_core::{
    Action, ActionKind, ClusterStatus, Entry, Error, ErrorKind, Fact, FoldResult, Handle, InstanceReady,
    JobId, JobState, Ledger, NodeId, Records, Timestamp,
};
use std::sync::RwLock;

#[tokio::test]
async fn a_task_is_on_record_from_its_first_call_to_its_end() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    let job = accept(&store, create("db")).await;
    assert_eq!(store.tasks(&job).await.unwrap(), []);
    call(&tenure, &job, 1).await;
    let handle = Handle { resource: "i-1".into(), cloud_job: None };
    let mut running = report(&job, 1, TaskState::Running);
    (running.deadline, running.handle) = (Some(Timestamp(61_000)), Some(handle.clone()));
    tenure.report(running, None).await.unwrap();
    let row = store.tasks(&job).await.unwrap().remove(0);
    assert_eq!((row.id, row.state, row.attempt), (task(0, 1), TaskState::Running, 1));
    assert_eq!((row.started, row.deadline, row.ended), (Timestamp(1_000), Some(Timestamp(61_000)), None));
    assert_eq!(row.handle, Some(handle));

    let error = Error::unavailable("looking at `i-1`").code("Busy");
    let mut paused = report(&job, 1, TaskState::Paused { error });
    paused.attempt = 2;
    tenure.report(paused.clone(), None).await.unwrap();
    let row = store.tasks(&job).await.unwrap().remove(0);
    assert_eq!((row.state, row.attempt), (paused.state, 2));
    tenure.report(report(&job, 1, TaskState::Done), None).await.unwrap();
    let row = store.tasks(&job).await.unwrap().remove(0);
    assert_eq!((row.state, row.ended), (TaskState::Done, Some(Timestamp(1_000))));
    // The first report's deadline was kept.
    assert_eq!(row.deadline, Some(Timestamp(61_000)));
}

#[tokio::test]
async fn events_tell_the_story_of_a_job_in_order() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    let job = accept(&store, create("db")).await;
    tenure.note(&job, vec![EventKind::Started, EventKind::LayerStarted { layer: 0 }]).await.unwrap();
    let waiting = EventKind::Waiting { task: task(0, 0), why: "booting".into() };
    tenure.note(&job, vec![waiting]).await.unwrap();
    let error = Error::failed("no disk left");
    tenure.report(report(&job, 0, TaskState::Failed { error: error.clone() }), None).await.unwrap();
    store.cancel(&job).await.unwrap();
    tenure.end(&job, &fold(FoldResult::Failed), Some(error)).await.unwrap();
    store.retry(&job).await.unwrap();
    let other = accept(&store, create("other")).await;

    let story = |events: Vec<engine::Event>| -> Vec<String> {
        events.iter().map(|event| serde_json::to_string(&event.kind).unwrap()).collect()
    };
    let of_job = EventFilter { job: Some(job.clone()), cluster: None };
    let events = store.events(0, &of_job, 100).await.unwrap();
    insta::assert_snapshot!(story(events.clone()).join("\n"), @r#"
    {"event":"accepted","action":"create_cluster","layers":2,"tasks":4}
    {"event":"started"}
    {"event":"layer_started","layer":0}
    {"event":"waiting","task":{"layer":0,"index":0},"why":"booting"}
    {"event":"task","task":{"layer":0,"index":0},"attempt":1,"state":"failed","error":{"kind":"failed","message":"no disk left","retry":"never"}}
    {"event":"cancelling"}
    {"event":"ended","state":"failed","error":{"kind":"failed","message":"no disk left","retry":"never"}}
    {"event":"retried","run":2}
    "#);
    // A cursor goes on where it was; filters see their own.
    let of_cluster = EventFilter { job: None, cluster: Some("cl-db".into()) };
    assert_eq!(store.events(events[3].seq, &of_cluster, 2).await.unwrap(), events[4..6]);
    let all = store.events(events[7].seq, &EventFilter::default(), 9).await.unwrap();
    assert_eq!((all.len(), &all[0].job), (1, &other));
}

#[tokio::test]
async fn the_end_of_a_job_decides_its_clusters_status() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    let failure = || Some(Error::failed("broken"));
    let end = async |action, result, error: Option<Error>| {
        let submission = match action {
            Action::CreateCluster if store.cluster_named("db").await.unwrap().is_none() => create("db"),
            action => act(&store, "db", action).await,
        };
        let job = accept(&store, submission).await;
        tenure.end(&job, &fold(result), error).await.unwrap();
        let again = tenure.end(&job, &fold(result), None).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict);
        let cluster = store.cluster(&"cl-db".into()).await.unwrap().unwrap();
        assert_eq!(cluster.transition, None);
        (cluster.status, cluster.last_error)
    };
    use FoldResult::{Cancelled, Failed, Succeeded};
    assert_eq!(end(Action::CreateCluster, Failed, failure()).await, (ClusterStatus::Pending, failure()));
    assert_eq!(end(Action::CreateCluster, Cancelled, None).await, (ClusterStatus::Pending, failure()));
    assert_eq!(end(Action::CreateCluster, Succeeded, None).await, (ClusterStatus::Active, None));
    assert_eq!(end(Action::StopClusters, Failed, failure()).await, (ClusterStatus::Active, failure()));
    assert_eq!(end(Action::StopClusters, Succeeded, None).await, (ClusterStatus::Stopped, None));
    assert_eq!(end(Action::StartClusters, Succeeded, None).await, (ClusterStatus::Active, None));
    assert_eq!(end(DELETE, Succeeded, None).await, (ClusterStatus::Deleted, None));
}

#[tokio::test]
async fn a_node_is_forgotten_when_it_is_not_wanted_and_has_no_resource() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    let job = created(&store, &tenure, "db").await;
    // n-1 has an instance that a failed delete left, n-2 has none; both are to go.
    let cluster = RwLock::new(store.cluster_named("db").await.unwrap().unwrap());
    record_instance(&store, &tenure, &job, &cluster).await;
    let mut submission = act(&store, "db", Action::DeleteClusterNodes { nodes: Default::default() }).await;
    submission.change.after.nodes.clear();
    let job = accept(&store, submission).await;
    tenure.end(&job, &fold(FoldResult::Failed), None).await.unwrap();
    let nodes = store.cluster_named("db").await.unwrap().unwrap().nodes;
    assert_eq!(nodes.keys().map(NodeId::as_str).collect::<Vec<_>>(), ["n-1"]);
}

async fn record_instance(
    store: &Store,
    tenure: &Tenure,
    job: &JobId,
    cluster: &RwLock<provider_core::Cluster>,
) {
    let plan = store.job_work(job).await.unwrap().plan;
    let fact = Fact::Instance(InstanceReady {
        id: "i-1".into(),
        private_ip: "10.0.0.1".into(),
        public_ip: None,
        agent: None,
    });
    let record = Recording { cluster, task: plan.task(task(0, 0)).unwrap(), fact: &fact };
    tenure.report(report(job, 0, TaskState::Done), Some(record)).await.unwrap();
    assert_eq!(store.cluster_named("db").await.unwrap().unwrap(), *cluster.read().unwrap());
}

#[tokio::test]
async fn a_retry_keeps_what_is_done_and_starts_the_rest_anew() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    let job = accept(&store, create("db")).await;
    call(&tenure, &job, 0).await;
    call(&tenure, &job, 1).await;
    let error = Error::failed("broken");
    tenure.report(report(&job, 0, TaskState::Done), None).await.unwrap();
    tenure.report(report(&job, 1, TaskState::Failed { error: error.clone() }), None).await.unwrap();
    tenure.end(&job, &fold(FoldResult::Failed), Some(error)).await.unwrap();
    store.retry(&job).await.unwrap();

    let info = store.job(&job).await.unwrap();
    assert_eq!((info.state, info.run, info.ended), (JobState::Running, 2, None));
    assert_eq!((info.fold, info.error), (None, None));
    let cluster = store.cluster_named("db").await.unwrap().unwrap();
    assert_eq!((cluster.transition.is_some(), cluster.revision), (true, 2));
    let tasks: Vec<_> = store.tasks(&job).await.unwrap().iter().map(|task| task.id).collect();
    assert_eq!(tasks, [task(0, 0)]);
    // The ledger still knows the failed task's call, so it is not made twice.
    assert_eq!(tenure.look(&key(&job, 1)).await.unwrap(), Entry::Applied(br#""i-1""#.to_vec()));
}

#[tokio::test]
async fn only_what_failed_last_is_retried_and_only_what_runs_is_cancelled() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    let job = accept(&store, create("db")).await;
    let retry = async |job: &str| refusal(store.retry(&job.into()).await);
    let cancel = async |job: &str| refusal(store.cancel(&job.into()).await);

    assert_eq!(retry("j-1").await, "running `j-1` again: it has not ended");
    assert_eq!((cancel("j-1").await, cancel("j-1").await), (String::new(), String::new()));
    assert_eq!(store.job(&job).await.unwrap().state, JobState::Cancelling);
    assert_eq!(retry("j-1").await, "running `j-1` again: it has not ended");
    tenure.end(&job, &fold(FoldResult::Cancelled), None).await.unwrap();
    assert_eq!(cancel("j-1").await, "cancelling `j-1`: it is over: cancelled");
    assert_eq!((retry("j-1").await, cancel("j-1").await), (String::new(), String::new()));
    tenure.end(&job, &fold(FoldResult::Failed), None).await.unwrap();
    accept(&store, act(&store, "db", DELETE).await).await;
    assert_eq!(retry("j-1").await, "running `j-1` again: its cluster has changed since");
    tenure.end(&"j-2".into(), &fold(FoldResult::Succeeded), None).await.unwrap();
    assert_eq!(retry("j-2").await, "running `j-2` again: it has succeeded");
    for unknown in ["j-3", "j-x", "nonsense"] {
        assert_eq!(retry(unknown).await, format!("there is no job `{unknown}`"));
    }
}

fn refusal(result: provider_core::Result<()>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn a_failed_upgrade_is_undone_if_its_terms_say_so_and_nothing_comes_between() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    created(&store, &tenure, "db").await;
    let upgrade = || Action::UpgradeCluster { to: "app@2".into(), backup: false };
    let undo = Terms { undo: true, ..Terms::default() };
    for (terms, result, due) in [
        (Terms::default(), FoldResult::Failed, 0),
        (undo, FoldResult::Succeeded, 0),
        (undo, FoldResult::Cancelled, 0),
        (undo, FoldResult::Failed, 1),
    ] {
        let mut submission = act(&store, "db", upgrade()).await;
        submission.terms = terms;
        let job = accept(&store, submission).await;
        tenure.end(&job, &fold(result), Some(Error::failed("broken"))).await.unwrap();
        assert_eq!(store.follow_ups(Some(&job)).await.unwrap().len(), due, "{terms:?} {result:?}");
    }
    // Another executor finds it, and until then nobody else gets at the cluster.
    let tenure = store.take_over().await.unwrap();
    let due = store.follow_ups(None).await.unwrap().remove(0);
    assert_eq!((due.why, due.cluster.as_str(), due.waits), (FollowUp::Undo, "db", false));
    assert!(store.has_work().await.unwrap());
    let refused = store.accept(act(&store, "db", DELETE).await).await.unwrap_err();
    assert_eq!(refused.to_string(), "accepting `delete` of `db`: job `j-5` is about to be undone");
    assert_eq!(refusal(store.retry(&due.job).await), "running `j-5` again: job `j-5` is about to be undone");
    let rollback = act(&store, "db", Action::RollbackCluster { revision: None }).await;
    let accepted = tenure.accept_follow_up(&due, rollback).await.unwrap();
    assert_eq!(accepted, Accepted::Job("j-6".into()));
    assert_eq!(store.follow_ups(None).await.unwrap(), []);
    let of_job = EventFilter { job: Some(due.job.clone()), cluster: None };
    let last = store.events(0, &of_job, 100).await.unwrap().pop().unwrap().kind;
    assert_eq!(last, EventKind::Followed { why: FollowUp::Undo, by: "j-6".into(), cluster: "db".into() });
    // It was taken out with that: once more it is nothing.
    tenure.end(&"j-6".into(), &fold(FoldResult::Succeeded), None).await.unwrap();
    let again = act(&store, "db", Action::RollbackCluster { revision: None }).await;
    assert_eq!(tenure.accept_follow_up(&due, again).await.unwrap(), Accepted::Stale);
}

#[tokio::test]
async fn those_who_link_to_a_cluster_are_told_once_its_addresses_are_others() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    let job = created(&store, &tenure, "db").await;
    let mut web = create("web");
    web.change.after.links.insert("db".into(), "db".into());
    let web = accept(&store, web).await;
    tenure.end(&web, &fold(FoldResult::Succeeded), None).await.unwrap();
    let restart = async || accept(&store, act(&store, "db", Action::RestartClusters).await).await;
    let same = restart().await;
    tenure.end(&same, &fold(FoldResult::Succeeded), None).await.unwrap();
    assert_eq!(store.follow_ups(None).await.unwrap(), []);
    let moved = restart().await;
    let cluster = RwLock::new(store.cluster_named("db").await.unwrap().unwrap());
    record_instance(&store, &tenure, &job, &cluster).await;
    tenure.end(&moved, &fold(FoldResult::Succeeded), None).await.unwrap();
    let due = store.follow_ups(Some(&moved)).await.unwrap().remove(0);
    assert_eq!((due.why, due.cluster.as_str()), (FollowUp::Tell, "web"));
    // What keeps it from being told is an event of the job that made it necessary.
    let error = Error::unavailable("no answer");
    tenure.drop_follow_up(&due, Some(error.clone())).await.unwrap();
    tenure.drop_follow_up(&due, Some(error.clone())).await.unwrap();
    let of_job = EventFilter { job: Some(moved), cluster: None };
    let events = store.events(0, &of_job, 100).await.unwrap();
    let told: Vec<_> =
        events.iter().filter(|event| matches!(event.kind, EventKind::NotFollowed { .. })).collect();
    assert_eq!(told.len(), 1);
}

#[tokio::test]
async fn old_jobs_are_forgotten_but_for_those_that_may_still_matter() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    created(&store, &tenure, "db").await;
    let restart = async || accept(&store, act(&store, "db", Action::RestartClusters).await).await;
    let doubtful = restart().await;
    tenure.begin(&batch(&doubtful, [0], 0)).await.unwrap();
    tenure.end(&doubtful, &fold(FoldResult::Failed), None).await.unwrap();
    let newest = restart().await;
    call(&tenure, &newest, 0).await;
    tenure.end(&newest, &fold(FoldResult::Failed), None).await.unwrap();
    created(&store, &tenure, "gone").await;
    let delete = accept(&store, act(&store, "gone", DELETE).await).await;
    tenure.end(&delete, &fold(FoldResult::Succeeded), None).await.unwrap();
    created(&store, &tenure, "other").await;

    // The clock stands still: nothing is a day old, and everything is no day old.
    assert_eq!(store.forget_jobs(1).await.unwrap(), 0);
    assert_eq!(store.forget_jobs(0).await.unwrap(), 3);
    let left: Vec<_> = store.jobs(None).await.unwrap().into_iter().map(|job| job.id.to_string()).collect();
    assert_eq!(left, ["j-6", "j-3", "j-2"], "the newest of all, of a live cluster, and with a call in doubt");
    assert_eq!(store.forget_jobs(0).await.unwrap(), 0);
    for table in ["event", "plan"] {
        let sql = if table == "event" {
            "SELECT DISTINCT job || '' FROM event"
        } else {
            "SELECT job || '' FROM plan"
        };
        assert_eq!(rows(&dir, sql).await, ["2", "3", "6"], "{table}");
    }
    store.retry(&newest).await.unwrap();

    assert_eq!(store.kept_days().await.unwrap(), None);
    store.keep_days(Some(30)).await.unwrap();
    assert_eq!(store.kept_days().await.unwrap(), Some(30));
}

#[tokio::test]
async fn of_a_ceased_cluster_its_name_and_its_last_job_are_left() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    created(&store, &tenure, "db").await;
    for action in [DELETE, Action::CeaseClusters] {
        let before = store.cluster(&"cl-db".into()).await.unwrap().unwrap();
        let after = before.spec.clone();
        let job = accept(&store, change(before, action, after)).await;
        tenure.end(&job, &fold(FoldResult::Succeeded), None).await.unwrap();
    }
    let left = store.cluster(&"cl-db".into()).await.unwrap().unwrap();
    assert_eq!((left.status, left.spec.name.as_str()), (ClusterStatus::Ceased, "db"));
    assert!(left.spec.nodes.is_empty() && left.nodes.is_empty() && left.spec.roles.is_empty());
    let jobs = store.jobs(None).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.action).collect::<Vec<_>>(), [ActionKind::CeaseClusters]);
}

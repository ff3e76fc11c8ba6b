use crate::fixture::*;
use engine::{Accepted, ClusterFilter, EventFilter, Store};
use provider_core::{
    Action, ClusterStatus, ErrorKind, FoldResult, Policy, Records, RuntimeId, Secret, SecretRef, Secrets,
    Transition,
};

#[tokio::test]
async fn an_accepted_job_has_its_cluster_in_transition_and_its_plan_on_record() {
    let dir = temp();
    let store = store(&dir).await;
    let mut submission = create("db");
    submission.terms.policy = Policy::AtLeast(1);
    let (plan, change) = (submission.plan.clone(), submission.change.clone());
    let job = accept(&store, submission).await;

    let cluster = store.cluster_named("db").await.unwrap().unwrap();
    assert_eq!(cluster.transition, Some(Transition::Creating));
    assert_eq!((cluster.status, cluster.revision), (ClusterStatus::Pending, 1));
    assert_eq!(cluster.zone.as_str(), "z1");
    assert_eq!(cluster.nodes, change.before.nodes);

    let work = store.job_work(&job).await.unwrap();
    assert_eq!((&*work.plan, work.change, work.terms.policy), (&plan, change, Policy::AtLeast(1)));
    assert_eq!(store.running_jobs().await.unwrap(), std::slice::from_ref(&work.info));
    assert_eq!(store.jobs(Some(&work.info.cluster)).await.unwrap(), [work.info]);
    assert_eq!(store.events(0, &EventFilter::default(), 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_stands_in_the_way_is_named() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    created(&store, &tenure, "active").await;
    let running = accept(&store, create("busy")).await;
    let mut user = create("user");
    user.change.after.links.insert("store".into(), "active".into());
    let user = accept(&store, user).await;
    tenure.end(&user, &fold(FoldResult::Succeeded), None).await.unwrap();

    let mut taken = create("active");
    taken.change.before.id = "cl-taken".into();
    check(&store, taken, "accepting `create` of `active`: there is a cluster of this name").await;
    let mut homeless = create("homeless");
    homeless.change.before.runtime = RuntimeId::new("nowhere");
    check(&store, homeless, "there is no runtime `nowhere`").await;
    let mut linked = create("linked");
    linked.change.after.links.insert("x".into(), "nobody".into());
    check(&store, linked, "accepting `create` of `linked`: it links to `nobody`, which is not there").await;
    let why = format!("accepting `stop` of `busy`: job `{running}` is at work on the cluster");
    check(&store, act(&store, "busy", Action::StopClusters).await, &why).await;
    let mut foreign = create("foreign");
    foreign.secrets.push((SecretRef::new("cluster/cl-active/x"), Secret::new("x")));
    check(
        &store,
        foreign,
        "accepting `create` of `foreign`: the secret `cluster/cl-active/x` is not its own",
    )
    .await;
    check(
        &store,
        act(&store, "active", DELETE).await,
        "accepting `delete` of `active`: other clusters link to it",
    )
    .await;
    check(
        &store,
        act(&store, "active", Action::CreateCluster).await,
        "accepting `create` of `active`: the cluster is active",
    )
    .await;
    let mut gone = act(&store, "active", DELETE).await;
    gone.change.before.id = "cl-gone".into();
    check(&store, gone, "accepting `delete` of `active`: there is no such cluster").await;

    // None of them left anything behind.
    assert_eq!(store.clusters(&ClusterFilter::default()).await.unwrap().len(), 3);
    assert_eq!(store.jobs(None).await.unwrap().len(), 3);
}

async fn check(store: &Store, submission: engine::Submission, why: &str) {
    let error = store.accept(submission).await.unwrap_err();
    assert_eq!(error.to_string(), why);
    let blamed = [ErrorKind::Conflict, ErrorKind::NotFound].contains(&error.kind());
    assert!(error.hint_text().is_some() && blamed || error.kind() == ErrorKind::Bug, "{why}");
}

#[tokio::test]
async fn a_plan_for_another_state_of_the_cluster_is_stale() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    accept(&store, create("db")).await;
    let while_creating = act(&store, "db", Action::StopClusters).await;
    let create = store.running_jobs().await.unwrap()[0].id.clone();
    tenure.end(&create, &fold(FoldResult::Succeeded), None).await.unwrap();
    let before_stop = act(&store, "db", DELETE).await;
    let stop = accept(&store, act(&store, "db", Action::StopClusters).await).await;
    tenure.end(&stop, &fold(FoldResult::Failed), None).await.unwrap();
    let before_retry = act(&store, "db", DELETE).await;
    store.retry(&stop).await.unwrap();
    tenure.end(&stop, &fold(FoldResult::Succeeded), None).await.unwrap();

    for submission in [while_creating, before_stop, before_retry] {
        assert_eq!(store.accept(submission).await.unwrap(), Accepted::Stale);
    }
    accept(&store, act(&store, "db", DELETE).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_accept_at_once_one_is_accepted() {
    let dir = temp();
    let (one, other) = (store(&dir).await, Store::open(options(&dir)).await.unwrap());
    let tenure = one.take_over().await.unwrap();
    for round in 0..10 {
        let name = format!("c{round}");
        let results = tokio::join!(one.accept(create(&name)), other.accept(create(&name)));
        let job = one_of(results);
        tenure.end(&job, &fold(FoldResult::Succeeded), None).await.unwrap();
        let (stop, delete) = (act(&one, &name, Action::StopClusters).await, act(&one, &name, DELETE).await);
        one_of(tokio::join!(one.accept(stop), other.accept(delete)));
    }
    assert_eq!(one.running_jobs().await.unwrap().len(), 10);
}

fn one_of(
    results: (provider_core::Result<Accepted>, provider_core::Result<Accepted>),
) -> provider_core::JobId {
    match results {
        (Ok(Accepted::Job(job)), Err(error)) | (Err(error), Ok(Accepted::Job(job))) => {
            assert_eq!(error.kind(), ErrorKind::Conflict);
            job
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_secrets_of_a_cluster_come_and_go_with_it() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    let reference = SecretRef::new("cluster/cl-db/env/password");
    let mut submission = create("db");
    submission.secrets.push((reference.clone(), Secret::new("hunter2")));
    let job = accept(&store, submission).await;
    tenure.end(&job, &fold(FoldResult::Succeeded), None).await.unwrap();
    assert_eq!(store.resolve(&reference).await.unwrap().expose(), "hunter2");

    let delete = accept(&store, act(&store, "db", DELETE).await).await;
    tenure.end(&delete, &fold(FoldResult::Succeeded), None).await.unwrap();
    let error = store.resolve(&reference).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // Its name is free, and it is still known by its id.
    assert_eq!(store.cluster_named("db").await.unwrap(), None);
    let old = store.cluster(&"cl-db".into()).await.unwrap().unwrap();
    assert_eq!(old.status, ClusterStatus::Deleted);
    let mut again = create("db");
    again.change.before.id = "cl-new".into();
    accept(&store, again).await;
    let deleted = ClusterFilter { deleted: true, ..ClusterFilter::default() };
    assert_eq!(store.clusters(&deleted).await.unwrap().len(), 2);
}

//! Stored bytes are promises to later versions. A changed snapshot here needs a raised version and an upgrade.

use crate::fixture::*;
use engine::{Recording, TaskState};
use provider_core::{Error, Fact, FoldResult, Handle, Records};
use std::sync::RwLock;

#[tokio::test]
async fn documents_are_stored_as_ever() {
    let dir = temp();
    let store = store(&dir).await;
    let tenure = store.take_over().await.unwrap();
    let job = accept(&store, create("db")).await;
    let plan = store.job_work(&job).await.unwrap().plan;
    let cluster = RwLock::new(store.cluster_named("db").await.unwrap().unwrap());
    let handle = Handle { resource: "i-1".into(), cloud_job: Some("cj-1".into()) };
    let fact = Fact::Started(handle.clone());
    let record = Recording { cluster: &cluster, task: plan.task(task(0, 0)).unwrap(), fact: &fact };
    let mut running = report(&job, 0, TaskState::Running);
    running.handle = Some(handle);
    tenure.report(running, Some(record)).await.unwrap();
    let error = Error::quota("running `n-2`").code("QuotaExceeded").request_id("r-1").hint("ask for more");
    tenure.report(report(&job, 1, TaskState::Failed { error: error.clone() }), None).await.unwrap();
    tenure.end(&job, &fold(FoldResult::Failed), Some(error)).await.unwrap();

    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (kind, sql) in [
        ("cluster.v1", "SELECT doc FROM cluster"),
        ("error.v1", "SELECT error FROM job"),
        ("event.v1", "SELECT body FROM event ORDER BY seq"),
        ("fold.v1", "SELECT fold FROM job"),
        ("handle.v1", "SELECT handle FROM task WHERE handle IS NOT NULL"),
        ("job.v1", "SELECT doc FROM plan"),
        ("node.v1", "SELECT doc FROM node"),
        ("plan.v1", "SELECT plan FROM plan"),
        ("runtime.v1", "SELECT doc FROM runtime"),
    ] {
        let stored = rows(&dir, sql).await.join("\n");
        settings.bind(|| insta::assert_snapshot!(kind, stored));
    }
}

//! Crashes around commits: the world stops at one of them, everything is dropped, and the store is opened again.

use crate::fixture::*;
use engine::{CallState, Options, Store, TaskState};
use provider_core::{CrashPoint, Credential, FoldResult, Ledger, Result};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tempfile::TempDir;
use tokio::sync::Notify;

/// Stops the world at the `at`-th place, counted from 1; never at 0.
#[derive(Default)]
struct StopAt {
    at: u64,
    seen: AtomicU64,
    stopped: Notify,
}

#[async_trait::async_trait]
impl CrashPoint for StopAt {
    async fn reach(&self, _place: &str) {
        if self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.at {
            self.stopped.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

/// Seven commits, each of which leaves a trace that [`traces`] finds.
async fn story(options: Options) -> Result<()> {
    let store = Store::open(options).await?;
    store.create_runtime(&runtime("here"), Credential::default()).await?;
    let tenure = store.take_over().await?;
    let job = accept(&store, create("db")).await;
    let sent = batch(&job, [0, 1], 0);
    tenure.begin(&sent).await?;
    tenure.finish(&sent, vec![applied("1"), applied("2")]).await?;
    tenure.report(report(&job, 0, TaskState::Done), None).await?;
    tenure.end(&job, &fold(FoldResult::Succeeded), None).await
}

async fn traces(dir: &TempDir) -> Result<u64> {
    // Seven or eight commits of its own don't count.
    let store = Store::open(options(dir)).await?;
    let jobs = store.jobs(None).await?;
    let mut traces = store.runtimes().await?.len() + jobs.len();
    if let Some(job) = jobs.first() {
        let calls = store.calls(&job.id).await?;
        traces += usize::from(!calls.is_empty());
        traces += usize::from(calls.iter().any(|call| call.state == CallState::Applied));
        traces += usize::from(store.tasks(&job.id).await?.iter().any(|task| task.state == TaskState::Done));
        traces += usize::from(job.state.is_ended());
    }
    let epoch: i64 =
        sqlx::query_scalar("SELECT epoch FROM meta").fetch_one(&mut connect(dir).await).await.unwrap();
    store.close().await;
    Ok((traces + usize::try_from(epoch).unwrap()) as u64)
}

#[tokio::test]
async fn every_commit_comes_by_its_crash_points_and_is_kept_whole_or_not_at_all() {
    let (dir, crash) = (temp(), Arc::new(StopAt::default()));
    let mut options = options(&dir);
    options.crash = crash.clone();
    story(options.clone()).await.unwrap();
    let places = crash.seen.load(Ordering::SeqCst);
    // The schema, and the seven of the story.
    assert_eq!((places, options.commits()), (2 * 8, 8));
    assert_eq!(traces(&dir).await.unwrap(), 7);

    for at in 1..=places {
        let dir = temp();
        let crash = Arc::new(StopAt { at, ..StopAt::default() });
        let mut options = crate::fixture::options(&dir);
        options.crash = crash.clone();
        tokio::select! {
            _ = story(options.clone()) => panic!("place {at} was not reached"),
            () = crash.stopped.notified() => {}
        }
        // Odd places are before a commit, even ones after it.
        assert_eq!(options.commits(), at / 2, "at place {at}");
        // The first commit made the schema, which leaves no trace of its own.
        assert_eq!(traces(&dir).await.unwrap(), (at / 2).saturating_sub(1), "at place {at}");
    }
}

use super::*;
use crate::args::Format;
use engine::{CallCount, CallState, JobInfo};
use insta::assert_snapshot;
use provider_core::{ActionKind, ClusterId, Error, JobState, Timestamp};

fn info(state: JobState, error: Option<Error>) -> JobInfo {
    JobInfo {
        id: JobId::new("j-7"),
        cluster: ClusterId::new("cl-1"),
        cluster_name: "cache".to_owned(),
        action: ActionKind::StopClusters,
        state,
        run: 2,
        created: Timestamp(1_700_000_000_000),
        ended: Some(Timestamp(1_700_000_065_000)),
        fold: None,
        error,
    }
}

#[test]
fn a_job_is_listed_with_its_reason() {
    let error = Error::failed("a-1: run `stop`: it ended with exit code 7");
    let calls = [
        CallCount { name: "StopInstance".to_owned(), state: CallState::Applied, count: 2 },
        CallCount { name: "StopInstance".to_owned(), state: CallState::Refused, count: 1 },
    ];
    let view = JobView::new(&info(JobState::Failed, Some(error)), &calls, Timestamp(1_700_000_100_000));
    assert_snapshot!(Screen::plain(Format::Wide).table(&[view]), @r"
    JOB  CLUSTER  ACTION  STATE   AGE       TOOK     RUN  CALLS  CREATED               REASON
    j-7  cache    stop    failed  1 m 40 s  1 m 5 s  2    3      2023-11-14T22:13:20Z  a-1: run `stop`: it ended with exit code 7
    ");
}

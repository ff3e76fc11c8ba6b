use super::*;
use engine::Terms;
use provider_core::{AppVersionId, Change, ClusterSpec, Facts, Layer, RuntimeId, Task, Timestamp, Zone};
use serde_json::json;
use std::sync::Arc;

fn spec(app: &str) -> ClusterSpec {
    let node = |n: u32| json!({"role": "db", "server_id": n, "group_id": n});
    serde_json::from_value(json!({
        "name": "c", "app": app, "roles": {}, "nodes": {"db-1": node(1), "db-2": node(2)},
    }))
    .unwrap()
}

fn cluster(app: &str) -> Cluster {
    let (id, runtime) = (ClusterId::new("cl-1"), RuntimeId::new("here"));
    let mut cluster = Cluster::new(id, runtime, Zone::new("z"), spec(app));
    cluster.nodes = cluster.spec.nodes.keys().map(|id| (id.clone(), Default::default())).collect();
    cluster
}

fn work(action: Action, tasks: &[(&str, Work)], state: JobState, error: Option<Error>) -> JobWork {
    let task = |(node, work): &(&str, Work)| Task {
        work: work.clone(),
        node: Some(NodeId::new(*node)),
        failure_allowed: false,
        timeout_s: 1,
    };
    let layer = Layer { name: "layer".to_owned(), tasks: tasks.iter().map(task).collect() };
    JobWork {
        info: JobInfo {
            id: JobId::new("j-7"),
            cluster: ClusterId::new("cl-1"),
            cluster_name: "c".to_owned(),
            action: action.kind(),
            state,
            run: 2,
            created: Timestamp(0),
            ended: Some(Timestamp(1)),
            fold: None,
            error,
        },
        change: Change { action, before: cluster("tiny@1.0.0"), after: spec("tiny@1.1.0") },
        plan: Arc::new(Plan::new(Facts::none(Zone::new("z"), Timestamp(0)), [layer])),
        terms: Terms::default(),
    }
}

#[test]
fn the_exit_code_of_a_job_follows_from_its_error() {
    fn check(state: JobState, error: Option<Error>, expected: Option<Exit>) {
        let work = work(Action::StopClusters, &[], state, error);
        let screen = Screen::plain(Format::Table);
        let exit = match conclude(&screen, &work, Duration::ZERO, &cluster("tiny@1.0.0"), None) {
            Ok(()) => None,
            Err(Failure::Said(exit)) => Some(exit),
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(exit, expected, "{state:?}");
    }
    check(JobState::Succeeded, None, None);
    check(JobState::Failed, Some(Error::timed_out("run `start`")), Some(Exit::TimedOut));
    check(JobState::Failed, Some(Error::quota("run instance")), Some(Exit::Quota));
    check(JobState::Failed, Some(Error::failed("run `start`")), Some(Exit::Error));
    check(JobState::Cancelled, Some(Error::cancelled("on request")), Some(Exit::Error));
}

fn upgrade() -> Action {
    Action::UpgradeCluster { to: AppVersionId::new("tiny@1.1.0"), backup: true }
}

fn service(service: ServiceName) -> Work {
    let cmd = service.as_str().to_owned();
    Work::Agent(AgentVerb::Service { service, cmd, timeout_s: 1, params: Default::default() })
}

#[test]
fn what_a_job_brought_about_is_said_in_a_line() {
    fn check(action: Action, tasks: &[(&str, Work)], expected: &str) {
        let work = work(action, tasks, JobState::Succeeded, None);
        let health = crate::health::tests::health(&["db-1", "db-2"]);
        assert_eq!(outcome(&work, &cluster("tiny@1.1.0"), Some(&health)), expected);
    }
    check(Action::CreateCluster, &[], "1/2 nodes healthy");
    check(Action::StopClusters, &[], "c stopped, 2 nodes");
    check(Action::CeaseClusters, &[], "c deleted and forgotten");
    check(upgrade(), &[], "1.0.0 -> 1.1.0; 1/2 nodes healthy");
    let run = Work::Cloud(Directive::Instance(InstanceVerb::Run));
    let start = Work::Cloud(Directive::Instance(InstanceVerb::Start));
    check(
        Action::RecoverClusters,
        &[("db-1", run), ("db-1", service(ServiceName::Start)), ("db-2", service(ServiceName::Start))],
        "restarted 1 service, replaced 1 node; 1/2 nodes healthy",
    );
    check(
        Action::RecoverClusters,
        &[("db-1", start), ("db-1", service(ServiceName::Start))],
        "restarted 0 services, started 1 instance, replaced 0 nodes; 1/2 nodes healthy",
    );
    let action = Action::RunService { service: ServiceName::Backup, params: Default::default() };
    check(action, &[("db-1", service(ServiceName::Backup))], "backup ran on 1 node");
}

#[test]
fn a_failure_comes_with_the_ways_on_and_back() {
    let failed = |action| work(action, &[], JobState::Failed, None);
    insta::assert_snapshot!(next_steps(&failed(upgrade())), @r"
    `pitrix job retry j-7` goes on from where it stands
    `pitrix job describe j-7` shows every task
    `pitrix cluster rollback c` goes back to 1.0.0
    ");
    let mut goes_on = failed(upgrade());
    let before = std::mem::replace(&mut goes_on.change.before, cluster("tiny@1.1.0"));
    goes_on.change.before.previous = Some(Box::new(before.spec));
    assert_eq!(next_steps(&goes_on), next_steps(&failed(upgrade())), "not back to where it came to already");
    let mut no_way_back = failed(upgrade());
    no_way_back.change.after.rollback = Rollback::Impossible;
    assert!(!next_steps(&no_way_back).contains("rollback"));
}

#[test]
fn notes_that_cant_be_read_do_not_undo_a_success() {
    let unreadable = Error::unavailable("reading the release");
    assert!(print_notes(&Screen::plain(Format::Table), Err(Failure::Error(unreadable))).is_ok());
}

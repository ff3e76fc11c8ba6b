use super::*;
use crate::args::Format;
use insta::assert_snapshot;
use provider_core::{
    ActionKind, Directive, DiskId, Error, Facts, InstanceVerb, JobId, JobState, Layer, NodeId, VolumeVerb,
    Work, Zone,
};

/// Two nodes: volumes, instances, and a service on the first.
fn plan() -> Plan {
    let layer = |name: &str, works: Vec<(&str, Work)>| Layer {
        name: name.to_owned(),
        tasks: works
            .into_iter()
            .map(|(node, work)| Task {
                work,
                node: Some(NodeId::new(node)),
                failure_allowed: false,
                timeout_s: 60,
            })
            .collect(),
    };
    let volume = |node: &'static str| {
        let disk = DiskId { node: NodeId::new(node), index: 0 };
        (node, Work::Cloud(Directive::Volume { verb: VolumeVerb::Create, disk }))
    };
    let run = |node: &'static str| (node, Work::Cloud(Directive::Instance(InstanceVerb::Run)));
    let layers = [
        layer("create volumes", vec![volume("db-1"), volume("db-2")]),
        layer("run instances", vec![run("db-1"), run("db-2")]),
        layer("await", vec![("db-1", Work::AwaitFrontgate)]),
    ];
    Plan::new(Facts::none(Zone::new("z"), Timestamp(0)), layers)
}

fn id(layer: u32, index: u32) -> TaskId {
    TaskId { layer, index }
}

fn task(layer: u32, index: u32, state: TaskState) -> EventKind {
    EventKind::Task { task: id(layer, index), attempt: 1, state, output: None }
}

/// The progress after these events, a second apart, and the lines they gave.
fn fold(kinds: impl IntoIterator<Item = EventKind>) -> (Progress, String) {
    let mut progress = Progress::new(&plan());
    let screen = Screen::plain(Format::Table);
    let mut lines = String::new();
    for (kind, n) in kinds.into_iter().zip(1..) {
        let event = Event { seq: n, at: Timestamp(n as i64 * 1000), job: JobId::new("j-1"), kind };
        if let Some(news) = progress.take(&event) {
            lines += &screen.labelled(news.tone, news.label, &news.text);
        }
    }
    (progress, lines)
}

fn half_way() -> Vec<EventKind> {
    vec![
        EventKind::Accepted { action: ActionKind::CreateCluster, layers: 3, tasks: 5 },
        EventKind::Started,
        EventKind::LayerStarted { layer: 0 },
        task(0, 1, TaskState::Done),
        task(0, 0, TaskState::Paused { error: Error::unavailable("creating `v-1`").code("Busy") }),
        task(0, 0, TaskState::Done),
        EventKind::LayerStarted { layer: 1 },
        task(1, 0, TaskState::Running),
        EventKind::Waiting { task: id(1, 0), why: "the agent is\nstarting".to_owned() },
    ]
}

#[test]
fn a_pipe_gets_a_line_for_whatever_happens() {
    let rest = [
        task(1, 0, TaskState::Failed { error: Error::lost("instance `i-1` is gone") }),
        EventKind::Cancelling,
        task(1, 1, TaskState::Cancelled),
        EventKind::Ended { state: JobState::Failed, error: None },
        EventKind::Retried { run: 2 },
        EventKind::Started,
        // Layers that are done are passed over, and one that was running begins again.
        EventKind::LayerStarted { layer: 1 },
    ];
    let (progress, lines) = fold(half_way().into_iter().chain(rest));
    assert!(!progress.has_ended());
    assert_snapshot!(lines, @r"
    layer     1/3 create volumes: 2 tasks
    ok        db-2: create volume db-2-d0
    again     db-1: create volume db-1-d0: creating `v-1` (Busy)
    ok        db-1: create volume db-1-d0
    layer     2/3 run instances: 2 tasks
    waiting   db-1: run instance: the agent is
              starting
    failed    db-1: run instance: instance `i-1` is gone
    cancel    coming to a safe point
    stopped   db-2: run instance
    run       2, without what is done already
    ");
}

#[test]
fn a_terminal_gets_a_tree_that_fits_it() {
    let (progress, _) = fold(half_way());
    let tree = |width, height| progress.tree(&Screen::plain(Format::Table), Timestamp(12_000), width, height);
    assert_snapshot!(tree(80, 20), @r"
    ✓ create volumes  2/2  4.0 s
    ⠋ run instances   0/2  5.0 s
        db-1: run instance: the agent is\nstarting
      1 layer to go
    ");
    assert_snapshot!(tree(16, 2), @r"
        db-1: run in
      1 layer to go
    ");
}

#[test]
fn what_a_run_took_is_counted_from_its_own_start() {
    let ended = || EventKind::Ended { state: JobState::Failed, error: None };
    let accepted = EventKind::Accepted { action: ActionKind::CreateCluster, layers: 3, tasks: 5 };
    let took = |kinds: Vec<EventKind>| fold(kinds).0.took().as_secs();
    assert_eq!(took(vec![accepted.clone(), EventKind::Started, ended()]), 2);
    assert_eq!(took(vec![accepted, EventKind::Started, ended(), EventKind::Retried { run: 2 }, ended()]), 1);
}

use super::*;
use crate::{AgentVerb, Directive, Facts, InstanceVerb, Layer, Task, Timestamp, Work, Zone};
use proptest::prelude::*;

const DONE: TaskOutcome = TaskOutcome::Done;
const FAILED: TaskOutcome = TaskOutcome::Failed(ErrorKind::Failed, Retry::Never);
const AGAIN: TaskOutcome = TaskOutcome::Failed(ErrorKind::Unavailable, Retry::Backoff);
const IN_DOUBT: TaskOutcome = TaskOutcome::Failed(ErrorKind::InDoubt, Retry::Backoff);

fn id(layer: u32, index: u32) -> TaskId {
    TaskId { layer, index }
}

/// A plan from words: `a b?` is a layer with a task on node `a` and one on node `b` that may fail; `-` is a
/// task without a node.
fn plan(layers: &[&str]) -> Arc<Plan> {
    let facts = Facts::none(Zone::new("z"), Timestamp(0));
    let layer = |words: &&str| Layer {
        name: (*words).to_owned(),
        tasks: words
            .split(' ')
            .map(|word| Task {
                work: Work::Cloud(Directive::Instance(InstanceVerb::Run)),
                node: Some(word.trim_end_matches('?')).filter(|node| *node != "-").map(NodeId::new),
                failure_allowed: word.ends_with('?'),
                timeout_s: 1,
            })
            .collect(),
    };
    Arc::new(Plan::new(facts, layers.iter().map(layer)))
}

/// Drives a machine to its end. `outcome` answers for each start of a task, given how often it was started
/// before; `pick` chooses who reports next.
fn run(
    mut machine: Machine,
    outcome: impl Fn(TaskId, u32) -> TaskOutcome,
    mut pick: impl FnMut(usize) -> usize,
) -> Fold {
    let mut ready: Vec<(TaskId, bool)> = Vec::new();
    let mut starts = BTreeMap::new();
    let mut outputs = machine.step(Input::Begin);
    loop {
        for output in outputs.drain(..) {
            match output {
                Output::Start(id) => ready.push((id, false)),
                Output::StartTimer(id, _) => ready.push((id, true)),
                Output::CancelRunning => {}
                Output::Finish(fold) => return fold,
                Output::Continue(_) => panic!("nobody asked to roll"),
            }
        }
        let (id, timer) = ready.remove(pick(ready.len()));
        outputs = machine.step(if timer {
            Input::TimerFired(id)
        } else {
            let times = starts.entry(id).or_insert(0);
            *times += 1;
            Input::Finished(id, outcome(id, *times))
        });
    }
}

fn fold(layers: &[&str], policy: Policy, outcome: impl Fn(TaskId, u32) -> TaskOutcome) -> String {
    let fold = run(Machine::new(plan(layers), policy), outcome, |_| 0);
    let ids = |set: &BTreeSet<TaskId>| set.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    format!(
        "{:?}: {} done, failed [{}], tolerated [{}], {} skipped",
        fold.result,
        fold.done,
        ids(&fold.failed),
        ids(&fold.tolerated),
        fold.skipped
    )
}

#[test]
fn folds() {
    let check = |name, layers: &[&str], policy, failing: &[TaskId], expected: &str| {
        let outcome = |id, _| if failing.contains(&id) { FAILED } else { DONE };
        assert_eq!(fold(layers, policy, outcome), expected, "{name}");
    };
    let three = &["a b", "a b", "a b"];
    check("all well", three, Policy::All, &[], "Succeeded: 6 done, failed [], tolerated [], 0 skipped");
    check(
        "one of two in a hard layer fails and the last one succeeds: the job has failed",
        three,
        Policy::All,
        &[id(1, 0)],
        "Failed: 3 done, failed [1.0], tolerated [], 2 skipped",
    );
    check(
        "a failure in the last layer fails the job",
        three,
        Policy::All,
        &[id(2, 1)],
        "Failed: 5 done, failed [2.1], tolerated [], 0 skipped",
    );
    check(
        "an allowed failure is recorded and nothing else",
        &["a? b", "a b"],
        Policy::All,
        &[id(0, 0)],
        "Succeeded: 3 done, failed [], tolerated [0.0], 0 skipped",
    );
    check(
        "keep going ends only the lane",
        three,
        Policy::KeepGoing,
        &[id(0, 0)],
        "Succeeded: 3 done, failed [0.0], tolerated [], 2 skipped",
    );
    check(
        "keep going with no lane left has failed",
        three,
        Policy::KeepGoing,
        &[id(0, 0), id(0, 1)],
        "Failed: 0 done, failed [0.0 0.1], tolerated [], 4 skipped",
    );
    check(
        "a task of no node fails the job under every policy",
        &["a -", "a b"],
        Policy::KeepGoing,
        &[id(0, 1)],
        "Failed: 1 done, failed [0.1], tolerated [], 2 skipped",
    );
    check(
        "too few lanes left stop the job",
        &["a b c", "a b c"],
        Policy::AtLeast(3),
        &[id(0, 0)],
        "Failed: 2 done, failed [0.0], tolerated [], 3 skipped",
    );
    check(
        "enough lanes left go on",
        &["a b c", "a b c"],
        Policy::AtLeast(2),
        &[id(0, 0)],
        "Succeeded: 4 done, failed [0.0], tolerated [], 1 skipped",
    );
    check("no layers", &[], Policy::All, &[], "Succeeded: 0 done, failed [], tolerated [], 0 skipped");
}

#[test]
fn pauses_grow_to_a_minute_and_are_constant_for_quota() {
    let mut machine = Machine::new(plan(&["a"]), Policy::All);
    machine.step(Input::Begin);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let [Output::StartTimer(task, pause)] = machine.step(Input::Finished(id(0, 0), AGAIN))[..] else {
            panic!("a timer was expected")
        };
        pauses.push(pause.as_secs());
        assert_eq!(machine.step(Input::TimerFired(task)), [Output::Start(task)]);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    let quota = TaskOutcome::Failed(ErrorKind::Quota, Retry::WaitQuota);
    let out = machine.step(Input::Finished(id(0, 0), quota));
    assert_eq!(out, [Output::StartTimer(id(0, 0), Duration::from_secs(30))]);
}

#[test]
fn cancel_lets_what_runs_report_and_starts_nothing_new() {
    let mut machine = Machine::new(plan(&["a b", "a b"]), Policy::All);
    machine.step(Input::Begin);
    machine.step(Input::Finished(id(0, 0), AGAIN));
    assert_eq!(machine.step(Input::Cancel), [Output::CancelRunning]);
    assert_eq!(machine.step(Input::Cancel), []);
    assert_eq!(machine.step(Input::TimerFired(id(0, 0))), [], "its pause was dropped");
    let [Output::Finish(fold)] = &machine.step(Input::Finished(id(0, 1), DONE))[..] else {
        panic!("the end was expected")
    };
    assert_eq!((fold.result, fold.done, fold.skipped), (FoldResult::Cancelled, 1, 3));
}

#[test]
fn a_cancel_in_the_last_layer_counts_if_it_kept_a_task_from_its_end() {
    let check = |inputs: &[Input], expected: FoldResult| {
        let mut machine = Machine::new(plan(&["a b"]), Policy::All);
        machine.step(Input::Begin);
        let outputs: Vec<_> = inputs.iter().flat_map(|input| machine.step(*input)).collect();
        let Some(Output::Finish(fold)) = outputs.last() else { panic!("the end was expected: {outputs:?}") };
        assert_eq!(fold.result, expected, "{inputs:?}");
    };
    let done = |index| Input::Finished(id(0, index), DONE);
    let dropped = |index| Input::Finished(id(0, index), TaskOutcome::Cancelled);
    let paused = |index| Input::Finished(id(0, index), AGAIN);
    check(&[Input::Cancel, done(0), done(1)], FoldResult::Succeeded);
    check(&[Input::Cancel, done(0), dropped(1)], FoldResult::Cancelled);
    check(&[paused(0), Input::Cancel, done(1)], FoldResult::Cancelled);
    check(&[done(0), dropped(1)], FoldResult::Cancelled);
}

#[test]
fn a_call_in_doubt_outlives_cancel_and_deadline() {
    let mut machine = Machine::new(plan(&["a"]), Policy::All);
    machine.step(Input::Begin);
    machine.step(Input::Cancel);
    let out = machine.step(Input::Finished(id(0, 0), IN_DOUBT));
    assert_eq!(out, [Output::StartTimer(id(0, 0), Duration::from_secs(1))]);
    assert_eq!(machine.step(Input::TimerFired(id(0, 0))), [Output::Start(id(0, 0))]);
    assert!(matches!(
        machine.step(Input::Finished(id(0, 0), TaskOutcome::Cancelled))[..],
        [Output::Finish(_)]
    ));
}

#[test]
fn a_command_in_doubt_makes_no_resource_and_is_given_up_by_a_cancel() {
    let mut plan = Plan::clone(&plan(&["a"]));
    plan.layers[0].tasks[0].work = Work::Agent(AgentVerb::AwaitHealthy);
    let mut machine = Machine::new(Arc::new(plan), Policy::All);
    machine.step(Input::Begin);
    let out = machine.step(Input::Finished(id(0, 0), IN_DOUBT));
    assert_eq!(out, [Output::StartTimer(id(0, 0), Duration::from_secs(1))]);
    let out = machine.step(Input::Cancel);
    assert!(matches!(&out[..], [Output::Finish(fold)] if fold.result == FoldResult::Cancelled), "{out:?}");
}

#[test]
fn a_rolled_run_comes_to_the_same_fold() {
    let plan = plan(&["a b?", "a b", "a b"]);
    let outcome = |id: TaskId| {
        if id.layer == 0 && id.index == 1 { FAILED } else { DONE }
    };
    let whole = run(Machine::new(plan.clone(), Policy::All), |id, _| outcome(id), |_| 0);
    let mut machine = Machine::new(plan.clone(), Policy::All);
    let mut outputs = machine.step(Input::Begin);
    machine.step(Input::Roll);
    let cursor = loop {
        let output = outputs.remove(0);
        match output {
            Output::Start(id) => outputs.extend(machine.step(Input::Finished(id, outcome(id)))),
            Output::Continue(cursor) => break cursor,
            other => panic!("unexpected {other:?}"),
        }
    };
    assert_eq!(cursor.layer, 1);
    let bytes = serde_json::to_vec(&cursor).unwrap();
    let cursor = serde_json::from_slice(&bytes).unwrap();
    let rest = run(Machine::resume(plan, Policy::All, cursor), |id, _| outcome(id), |_| 0);
    assert_eq!(rest, whole);
}

proptest! {
    #[test]
    fn the_fold_does_not_depend_on_who_reports_first(
        shape in prop::collection::vec(prop::collection::vec((0..4u8, any::<bool>()), 1..5), 0..5),
        kinds in prop::collection::vec(0..6u8, 25),
        policy in prop_oneof![Just(Policy::All), Just(Policy::KeepGoing), (1..4u32).prop_map(Policy::AtLeast)],
        picks in prop::collection::vec(any::<prop::sample::Index>(), 200),
    ) {
        let words: Vec<String> = shape
            .iter()
            .map(|layer| {
                let word = |(node, soft): &(u8, bool)| format!("n{node}{}", if *soft { "?" } else { "" });
                layer.iter().map(word).collect::<Vec<_>>().join(" ")
            })
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let outcome = |id: TaskId, times| match kinds[(id.layer * 5 + id.index) as usize] {
            0 => FAILED,
            1 if times < 3 => AGAIN,
            2 if times < 2 => IN_DOUBT,
            _ => DONE,
        };
        let plan = plan(&words);
        let in_order = run(Machine::new(plan.clone(), policy), outcome, |_| 0);
        let mut picks = picks.into_iter().cycle();
        let shuffled =
            run(Machine::new(plan.clone(), policy), outcome, |n| picks.next().unwrap().index(n));
        prop_assert_eq!(&in_order, &shuffled);
        let counted = in_order.done as usize + in_order.failed.len() + in_order.tolerated.len()
            + in_order.skipped as usize;
        prop_assert_eq!(counted, plan.len());
    }
}

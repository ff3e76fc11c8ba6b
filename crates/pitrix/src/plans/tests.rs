use super::*;
use provider_core::{ChangeKind, DiskId, Facts, Headroom, Layer, NodeId, Task, Timestamp, Zone};

fn plan(works: &[Work], headroom: &[(&str, u64, u64)]) -> Plan {
    let mut facts = Facts::none(Zone::new("z"), Timestamp(0));
    let rooms = headroom.iter().map(|(name, needed, left)| {
        ((*name).to_owned(), Headroom { needed: *needed, left: *left, total: 100 })
    });
    facts.headroom = rooms.collect();
    let layers = works.iter().map(|work| Layer {
        name: "layer".to_owned(),
        tasks: vec![Task { work: work.clone(), node: None, failure_allowed: false, timeout_s: 1 }],
    });
    Plan::new(facts, layers)
}

fn node(verb: InstanceVerb) -> Work {
    Work::Cloud(Directive::Instance(verb))
}

fn volume(verb: VolumeVerb) -> Work {
    Work::Cloud(Directive::Volume { verb, disk: DiskId { node: NodeId::new("a-1"), index: 0 } })
}

#[test]
fn a_plan_is_summed_up_in_a_line() {
    fn check(works: &[Work], headroom: &[(&str, u64, u64)], expected: &str) {
        assert_eq!(resources(&plan(works, headroom), &[]), expected);
    }
    use InstanceVerb::{Delete, Resize, Run, Start, Stop};
    check(
        &[volume(VolumeVerb::Create), node(Run), node(Run), volume(VolumeVerb::Attach)],
        &[("cpu", 2, 16), ("disk", 0, 10)],
        "+ 2 nodes, + 1 volume; 4 layers, 4 tasks; quota ok (cpu 2/16)",
    );
    check(
        &[node(Stop), volume(VolumeVerb::Detach), node(Delete), volume(VolumeVerb::Delete)],
        &[],
        "- 1 node, - 1 volume; 4 layers, 4 tasks",
    );
    check(&[node(Stop), node(Resize), node(Start)], &[], "~ 1 node; 3 layers, 3 tasks");
    check(&[node(Start)], &[], "start 1 node; 1 layer, 1 task");
    check(&[node(Stop), node(Stop)], &[], "stop 2 nodes; 2 layers, 2 tasks");
    check(&[Work::AwaitFrontgate], &[], "no change of resources; 1 layer, 1 task");
}

#[test]
fn steps_of_a_providers_own_are_counted_by_what_they_do() {
    fn check(effects: &[(&str, &str, usize)], changes: &[ChangeKind], expected: &str) {
        let step = |effect: Option<Effect>| {
            let (kind, body) = ("step".to_owned(), serde_json::Value::Null);
            Work::Cloud(Directive::Own { kind, version: 1, body, effect })
        };
        let mut works = vec![step(None)];
        for (sign, what, n) in effects {
            works.extend((0..*n).map(|_| step(Some(Effect::new(sign, what)))));
        }
        let change = |kind: &ChangeKind| ObjectChange {
            object: "Deployment/web".to_owned(),
            kind: *kind,
            fields: Vec::new(),
        };
        let changes: Vec<_> = changes.iter().map(change).collect();
        let text = resources(&plan(&works, &[]), &changes);
        assert_eq!(text.split("; ").next(), Some(expected), "{text}");
    }
    use ChangeKind::{Create, Delete, Same, Update};
    let upgrade = [
        ("run", "hook", 3),
        ("-", "object", 1),
        ("~ up to", "object", 2),
        ("+", "object", 7),
        ("+", "namespace", 1),
    ];
    check(&upgrade, &[], "+ 1 namespace, + 7 objects, ~ up to 2, - 1, run 3 hooks");
    check(&upgrade, &[Create, Same, Update, Delete], "+ 1 namespace, + 1 object, ~ 1, - 1, run 3 hooks");
    check(&[("~ up to", "object", 2)], &[Same, Same], "no change of resources");
    check(&[("stop", "workload", 1)], &[], "stop 1 workload");
}

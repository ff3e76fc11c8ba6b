use super::*;
use provider_core::{DiskId, Facts, Headroom, Layer, NodeId, Task, Timestamp, Zone};

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
        assert_eq!(resources(&plan(works, headroom)), expected);
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

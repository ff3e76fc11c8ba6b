//! Plans as text to be read: one line a layer, tasks of a kind together, neighbours as ranges.

use provider_core::{AgentVerb, Directive, NodeId, Plan, Task, Work};
use std::fmt::Write;

/// For example `mount volumes: shard-1..3-d0`; the verb is repeated only where a layer has several. A question
/// mark follows what may fail.
pub(crate) fn prose(plan: &Plan) -> String {
    let mut text = String::new();
    for layer in &plan.layers {
        let kinds: Vec<_> = layer.tasks.chunk_by(|a, b| kind(a) == kind(b)).collect();
        match kinds[..] {
            [tasks] if layer.name.starts_with(&verb(&tasks[0])) => {
                let mark = if tasks[0].failure_allowed { "?" } else { "" };
                writeln!(text, "{}{mark}: {}", layer.name, targets(tasks)).unwrap();
            }
            _ => {
                let all = kinds.iter().map(|tasks| format!("{} {}", kind(&tasks[0]), targets(tasks)));
                writeln!(text, "{}: {}", layer.name, all.collect::<Vec<_>>().join(", ")).unwrap();
            }
        }
    }
    if text.is_empty() { "nothing".into() } else { text }
}

fn kind(task: &Task) -> String {
    verb(task) + if task.failure_allowed { "?" } else { "" }
}

fn verb(task: &Task) -> String {
    match &task.work {
        Work::Cloud(Directive::Instance(verb)) => format!("{verb:?}").to_lowercase(),
        Work::Cloud(Directive::Volume { verb, .. }) => format!("{verb:?}").to_lowercase(),
        Work::Cloud(Directive::Own { kind, .. }) => kind.clone(),
        Work::Agent(AgentVerb::Configure) => "configure".into(),
        Work::Agent(AgentVerb::Mount { .. }) => "mount".into(),
        Work::Agent(AgentVerb::Unmount { .. }) => "unmount".into(),
        Work::Agent(AgentVerb::Metadata { settled: false }) => "push".into(),
        Work::Agent(AgentVerb::Metadata { settled: true }) => "settle".into(),
        Work::Agent(AgentVerb::Service { cmd, params, .. }) => {
            let params: String = params.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            format!("`{cmd}`{params}")
        }
        Work::Agent(AgentVerb::AwaitHealthy) => "await".into(),
        Work::Agent(AgentVerb::AttachKeys { .. }) => "attach keys".into(),
        Work::Agent(AgentVerb::DetachKeys { .. }) => "detach keys".into(),
        Work::AwaitFrontgate => "await".into(),
    }
}

/// The disk that a task is about.
fn disk(task: &Task) -> Option<u32> {
    match &task.work {
        Work::Cloud(Directive::Volume { disk, .. })
        | Work::Agent(AgentVerb::Mount { disk } | AgentVerb::Unmount { disk, .. }) => {
            assert_eq!(Some(&disk.node), task.node.as_ref(), "a disk task belongs to the disk's node");
            Some(disk.index)
        }
        _ => None,
    }
}

/// `a-1 a-2 a-4` as `a-1..2 a-4`; their disks 0 and 1 as `a-1..2-d0..1 a-4-d0..1`.
fn targets(tasks: &[Task]) -> String {
    // (role, first server id, last server id, disks)
    let mut runs: Vec<(&str, u32, u32, Vec<u32>)> = Vec::new();
    for of_node in tasks.chunk_by(|a, b| a.node == b.node) {
        let Some((role, server_id)) = of_node[0].node.as_ref().map(place) else {
            return "once".into();
        };
        let disks: Vec<u32> = of_node.iter().filter_map(disk).collect();
        match runs.last_mut() {
            Some((r, _, last, d)) if *r == role && *last + 1 == server_id && *d == disks => *last = server_id,
            _ => runs.push((role, server_id, server_id, disks)),
        }
    }
    let runs = runs.iter().map(|(role, first, last, disks)| {
        let disks = match disks[..] {
            [] => String::new(),
            [one] => format!("-d{one}"),
            [first, .., last] => format!("-d{first}..{last}"),
        };
        if first == last {
            format!("{role}-{first}{disks}")
        } else {
            format!("{role}-{first}..{last}{disks}")
        }
    });
    runs.collect::<Vec<_>>().join(" ")
}

fn place(node: &NodeId) -> (&str, u32) {
    let (role, server_id) = node.as_str().rsplit_once('-').unwrap();
    (role, server_id.parse().unwrap())
}

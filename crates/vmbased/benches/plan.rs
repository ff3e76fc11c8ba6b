//! From a package and answers to a plan: parsing and validating, planning, and the plan's stored bytes, for
//! about 1,000, 10,000 and 100,000 tasks, with the process's peak memory. Beside it, in the same run, the shape
//! that OpenPitrix stores: each task with a directive of its own, a JSON text that repeats the node's data.
//!
//! `cargo bench -p vmbased --bench plan -- [--json]`

use provider_core::{
    Action, AppVersionId, Archive, Change, Cluster, ClusterId, Facts, ParseRequest, Plan, RuntimeId,
    Timestamp, Zone,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    error::Error,
    process::{Command, exit},
    time::Instant,
};
use vmbased::{frame, package};

const SIZES: [u32; 3] = [1_000, 10_000, 100_000];
/// Tasks that a node of the package below takes to create.
const TASKS_OF_A_NODE: u32 = 6;
/// A role may have no more nodes.
const NODES_OF_A_ROLE: u32 = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().collect();
    let value_of = |name: &str| {
        arguments
            .iter()
            .position(|argument| argument == name)
            .and_then(|at| arguments.get(at + 1)?.parse().ok())
    };
    if let Some(tasks) = value_of("--tasks") {
        println!("{}", measure(tasks)?);
        return Ok(());
    }
    // Each size has a process of its own, or the peak memory of one would be that of another.
    let mut results = Vec::new();
    for tasks in SIZES {
        let child = Command::new(std::env::current_exe()?).args(["--tasks", &tasks.to_string()]).output()?;
        if !child.status.success() {
            eprintln!("{}", String::from_utf8_lossy(&child.stderr));
            exit(1);
        }
        results.push(serde_json::from_slice::<Value>(&child.stdout)?);
    }
    if arguments.iter().any(|argument| argument == "--json") {
        println!("{:#}", Value::Array(results));
        return Ok(());
    }
    println!("   tasks  validate ms   plan ms  stored MB  peak MB   peer ms  peer MB   ratio");
    for result in results {
        let number = |name: &str| result[name].as_f64().unwrap_or(f64::NAN);
        println!(
            "{:8} {:12.1} {:9.1} {:10.2} {:8.0} {:9.1} {:8.1} {:6.1}x",
            number("tasks"),
            number("validate_ms"),
            number("plan_ms"),
            number("stored_mb"),
            number("peak_mb"),
            number("peer_ms"),
            number("peer_mb"),
            number("peer_ms") / number("plan_ms"),
        );
    }
    Ok(())
}

fn measure(tasks: u32) -> Result<Value, Box<dyn Error>> {
    let archive = archive(tasks)?;
    let conf = json!({});
    let app = AppVersionId::new("wide@1.0.0");
    let id = ClusterId::new("cl-bench");
    let start = Instant::now();
    let request = ParseRequest {
        cluster: &id,
        name: None,
        app: &app,
        package: &archive,
        conf: &conf,
        existing: None,
        secrets: &[],
        seed: &provider_core::Secret::new(""),
    };
    let spec = package::parse(&request)?.spec;
    let validated = start.elapsed();

    let before = Cluster::new(id, RuntimeId::new("local"), Zone::new("z"), spec.clone());
    let change = Change { action: Action::CreateCluster, before, after: spec };
    let facts = Facts::none(Zone::new("z"), Timestamp(0));
    let start = Instant::now();
    let plan = frame::plan(&change, facts)?;
    let stored = serde_json::to_string(&plan)?.len();
    let planned = start.elapsed();
    let peak = peak_mb();

    let start = Instant::now();
    let peer: usize = directives(&change, &plan).iter().map(String::len).sum();
    let peer_took = start.elapsed();
    Ok(json!({
        "tasks": plan.len(),
        "validate_ms": validated.as_secs_f64() * 1e3,
        "plan_ms": planned.as_secs_f64() * 1e3,
        "stored_mb": stored as f64 / 1e6,
        "peak_mb": peak,
        "peer_ms": peer_took.as_secs_f64() * 1e3,
        "peer_mb": peer as f64 / 1e6,
    }))
}

/// The peer: what each task needs, as a document of its own.
fn directives(change: &Change, plan: &Plan) -> Vec<String> {
    let tasks = plan.layers.iter().flat_map(|layer| &layer.tasks);
    let one = |task: &provider_core::Task| {
        let node = task.node.as_ref()?;
        let role = change.after.role_of(node)?;
        let directive = json!({
            "NodeId": node, "Name": format!("{}_{node}", change.after.name), "Cpu": role.cpu,
            "Memory": role.memory_mib, "ImageId": role.container.image, "Zone": change.before.zone,
            "RuntimeId": change.before.runtime, "Env": role.env, "Services": role.services,
            "action": task.work.to_string(), "timeout": task.timeout_s,
        });
        Some(directive.to_string())
    };
    tasks.filter_map(one).collect()
}

/// A package with so many roles of two hundred nodes that creating it takes about `tasks` tasks.
fn archive(tasks: u32) -> Result<Archive, Box<dyn Error>> {
    let nodes = tasks / TASKS_OF_A_NODE;
    let node = |role: u32| {
        json!({
            "role": format!("role{role}"),
            "container": { "type": "process", "image": "" },
            "count": (nodes - role * NODES_OF_A_ROLE).min(NODES_OF_A_ROLE),
            "cpu": 1,
            "memory": 512,
            "volume": { "size": 10, "mount_point": "/data" },
            "env": { "limit": 10_737_418_240_u64, "mode": "plain" },
            "services": { "start": { "cmd": "/bin/start" }, "stop": { "cmd": "/bin/stop" } },
        })
    };
    let roles: Vec<_> = (0..nodes.div_ceil(NODES_OF_A_ROLE)).map(node).collect();
    let files = [
        ("package.json", json!({ "api_version": "v1", "name": "wide", "version": "1.0.0" })),
        (
            "config.json",
            json!({ "type": "array", "properties": [{ "key": "cluster", "type": "array", "properties": [
                { "key": "name", "type": "string", "default": "wide" }] }] }),
        ),
        (
            "cluster.json.tmpl",
            json!({ "name": "{{.cluster.name}}", "description": "", "subnet": "", "nodes": roles }),
        ),
    ];
    let files: BTreeMap<_, _> =
        files.into_iter().map(|(name, text)| (name.to_owned(), text.to_string().into_bytes())).collect();
    Ok(Archive::from_files(files)?)
}

/// The most memory that this process ever held.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()).unwrap_or(f64::NAN)
        / 1e3
}

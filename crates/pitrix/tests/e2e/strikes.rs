//! Each action is struck in its middle, which a service that is held makes certain. What is asked for is there in the
//! end all the same, or once a person has done what the command said.

use crate::installation::{Installation, assert_success, entries, said, send, until};
use rustix::process::Signal;
use std::process::{Child, Output};

/// A life in which every action occurs. Each step is an action and how many nodes are meant to work after it.
const LIFE: [(&[&str], usize); 14] = [
    (&["create", "one", "--app", "tiny@1.0.0"], 1),
    (&["scale", "one", "web=2"], 2),
    (&["resize", "one", "web", "--memory", "24", "--disk", "2"], 2),
    (&["update-env", "one", "--set", "env.word=bye"], 2),
    (&["upgrade", "one", "--to", "1.1.0", "--no-backup"], 2),
    (&["rollback", "one"], 2),
    (&["restart", "one"], 2),
    (&["stop", "one"], 0),
    (&["start", "one"], 2),
    (&["recover", "one"], 2),
    (&["delete-nodes", "one", "web-2", "--yes"], 1),
    (&["delete", "one", "--yes"], 0),
    (&["create", "one", "--app", "tiny@1.0.0"], 1),
    (&["delete", "one", "--yes", "--purge"], 0),
];

/// What is struck.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Client,
    Executor,
    Agents,
    Services,
    Machines,
}

impl Target {
    fn strike(self, here: &Installation, client: u32) {
        let kill = |pids: Vec<u32>| pids.into_iter().for_each(|pid| send(pid, Signal::KILL));
        match self {
            Self::Client => kill(vec![client]),
            Self::Executor => kill(vec![here.executor().unwrap()]),
            Self::Agents => kill(here.drones()),
            Self::Services => kill(here.services()),
            Self::Machines => here.lose_machines(),
        }
    }
}

/// Lives the whole life with a strike in the middle of each action.
fn live(target: Target) {
    let here = Installation::new();
    here.push("1.1.0", r#", {"key": "extra", "type": "integer", "default": 5}"#);
    for (action, nodes) in LIFE {
        let args = [&["cluster"], action].concat();
        if action[0] == "recover" {
            // There must be something to repair.
            here.services().into_iter().take(1).for_each(|pid| send(pid, Signal::KILL));
            until("the cluster is degraded", || health(&here) == "degraded");
        }
        here.hold();
        let child = here.start(&args);
        here.until_held();
        target.strike(&here, child.id());
        here.release();
        bring_back(&here, target, &args, child);
        assert_as_wanted(&here, target, action, nodes);
    }
    assert!(here.agents().is_empty() && here.services().is_empty(), "{target:?}");
    assert_eq!(entries(&here.state().join("local/instances")), 0, "{target:?}");
}

/// Does what a person would do about it, who waits for no more than the command does.
fn bring_back(here: &Installation, target: Target, args: &[&str], client: Child) {
    let output = client.wait_with_output().unwrap();
    let job = here.json(&["job", "list"])[0]["id"].as_str().unwrap().to_owned();
    match target {
        Target::Executor => assert_success(&output),
        Target::Client => drop(here.data(&["job", "watch", &job])),
        _ if output.status.success() => {}
        Target::Agents => drop(here.data(&["job", "retry", &job])),
        Target::Services | Target::Machines => do_as_told(here, args, &output),
    }
}

/// Brings back what the error says is to be brought back, and asks for the rest anew. That is refused when nothing is left
/// to do, or to do it to.
fn do_as_told(here: &Installation, args: &[&str], failed: &Output) {
    let text = said(failed);
    let told =
        ["recover", "start"].iter().find(|verb| text.contains(&format!("`pitrix cluster {verb} one`")));
    let told = told.unwrap_or_else(|| panic!("{args:?} does not say what to do: {text}"));
    assert!(text.contains(" failed: web-"), "{args:?} does not say where: {text}");
    here.data(&["cluster", told, "one"]);
    if args[1] != "create" {
        let again = here.run(args);
        let is_fine = matches!(again.status.code(), Some(0 | 4 | 5));
        assert!(is_fine, "{args:?}: {}", said(&again));
    }
}

/// Has an active cluster recover until all of it works. What died without a word is found by the next health check.
fn mend(here: &Installation) {
    until("all that should work does", || {
        let list = here.json(&["cluster", "list"]);
        let one = &list[0];
        if one["status"] != "active" {
            return true;
        }
        if one["health"]["state"] != "healthy" {
            here.data(&["cluster", "recover", "one"]);
        }
        here.services().len() == one["nodes"].as_array().unwrap().len()
    });
}

fn assert_as_wanted(here: &Installation, target: Target, action: &[&str], nodes: usize) {
    mend(here);
    assert_eq!(here.services().len(), nodes, "{target:?} {action:?}");
    let list = here.json(&["cluster", "list"]);
    let transitions = list.as_array().unwrap().iter().filter(|cluster| !cluster["transition"].is_null());
    assert_eq!(transitions.count(), 0, "{target:?} {action:?}");
    assert_eq!(here.data(&["orphans", "-o", "name"]), "", "{target:?} {action:?}");
}

fn health(here: &Installation) -> String {
    here.json(&["cluster", "list"])[0]["health"]["state"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn whatever_is_under_way_goes_on_when_the_client_is_killed() {
    live(Target::Client);
}

#[test]
fn whatever_is_under_way_goes_on_when_the_executor_is_killed() {
    live(Target::Executor);
}

#[test]
fn whatever_is_under_way_can_be_brought_to_its_end_when_agents_are_killed() {
    live(Target::Agents);
}

#[test]
fn whatever_is_under_way_can_be_brought_to_its_end_when_services_are_killed() {
    live(Target::Services);
}

#[test]
fn whatever_is_under_way_can_be_brought_to_its_end_when_machines_are_gone() {
    live(Target::Machines);
}

#[test]
fn a_stopped_cluster_whose_machines_are_gone_is_started_with_its_data() {
    let here = Installation::new();
    here.data(&["cluster", "create", "one", "--app", "tiny@1.0.0"]);
    here.data(&["cluster", "stop", "one"]);
    here.lose_machines();
    let recovered = here.run(&["cluster", "recover", "one"]);
    assert_eq!(recovered.status.code(), Some(5), "{}", said(&recovered));
    assert!(said(&recovered).contains("`pitrix cluster start one` brings it up"), "{}", said(&recovered));
    let started = here.run(&["cluster", "start", "one"]);
    assert_success(&started);
    assert!(said(&started).contains("found     web-1: instance missing\n"), "{}", said(&started));
    assert!(
        here.data(&["cluster", "run", "one", "backup"]).contains(": 2 starts, hello"),
        "the data is kept"
    );
    here.lose_machines();
    here.data(&["cluster", "delete", "one", "--yes"]);
    assert_eq!(here.data(&["orphans", "-o", "name"]), "");
}

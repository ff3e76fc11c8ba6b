//! What dies in the middle, and does not matter.

use crate::installation::{Installation, assert_success, said, send, until};
use engine::{Options, Store};
use provider_core::{Clock, Timestamp};
use rustix::process::Signal;
use std::{fs, sync::Arc, time::Duration};

fn create_held(here: &Installation) -> std::process::Child {
    here.hold();
    let child = here.start(&["cluster", "create", "one", "--app", "tiny@1.0.0"]);
    here.until_held();
    child
}

fn is_active(here: &Installation) -> bool {
    here.json(&["cluster", "describe", "one"])["status"] == "active"
}

#[test]
fn a_killed_command_line_leaves_its_job_running() {
    let here = Installation::new();
    let mut child = create_held(&here);
    child.kill().unwrap();
    child.wait().unwrap();
    here.release();
    here.data(&["job", "watch", "j-1"]);
    assert!(is_active(&here));
}

#[test]
fn ctrl_c_leaves_the_job_running_and_says_how_to_come_back() {
    let here = Installation::new();
    let child = create_held(&here);
    send(child.id(), Signal::INT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(
        said(&output).contains("detached  the job goes on; `pitrix job watch j-1` follows it"),
        "{}",
        said(&output)
    );
    here.release();
    here.data(&["job", "watch", "j-1"]);
    assert!(is_active(&here));
}

#[test]
fn a_killed_executor_is_replaced_by_whoever_waits() {
    let here = Installation::new();
    let child = create_held(&here);
    send(here.executor().unwrap(), Signal::KILL);
    here.release();
    assert_success(&child.wait_with_output().unwrap());
    assert!(is_active(&here));
    assert_eq!(here.json(&["doctor"])["executor"]["epoch"], 2);
    assert_eq!(here.data(&["orphans", "-o", "name"]), "");
}

#[test]
fn an_executor_that_is_asked_to_end_does_and_the_next_goes_on() {
    let here = Installation::new();
    here.hold();
    here.data(&["cluster", "create", "one", "--app", "tiny@1.0.0", "--detach"]);
    here.until_held();
    send(here.executor().unwrap(), Signal::TERM);
    until("the executor's lock is free", || !here.executor_is_locked());
    let log = here.executor_log();
    assert!(log.contains("executor 1 ends on request; jobs go on with the next"), "{log}");
    here.release();
    here.data(&["job", "watch", "j-1"]);
    assert!(is_active(&here));
}

#[test]
fn an_executor_that_was_fenced_off_stops_and_says_so() {
    let here = Installation::new();
    here.hold();
    here.data(&["cluster", "create", "one", "--app", "tiny@1.0.0", "--detach"]);
    here.until_held();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(Options::new(here.state(), Arc::new(NoClock))).await.unwrap();
        store.take_over().await.unwrap();
    });
    here.release();
    until("the executor's lock is free", || !here.executor_is_locked());
    let log = here.executor_log();
    assert!(log.contains("another executor took over; this one must not write any more"), "{log}");
    here.data(&["job", "watch", "j-1"]);
    assert!(is_active(&here));
}

struct NoClock;

#[async_trait::async_trait]
impl Clock for NoClock {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    async fn sleep(&self, _: Duration) {}
}

#[test]
fn a_job_is_accepted_even_if_no_executor_starts() {
    let here = Installation::new();
    let log = here.state().join("executor.log");
    fs::create_dir(&log).unwrap();
    let output = here.run(&["cluster", "create", "one", "--app", "tiny@1.0.0", "--detach"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"j-1\n");
    let text = said(&output);
    assert!(text.contains("error: starting the executor of `"), "{text}");
    assert!(text.contains("help: jobs that were accepted stay so; "), "{text}");
    fs::remove_dir(&log).unwrap();
    here.data(&["job", "watch", "j-1"]);
    assert!(is_active(&here));
}

#[test]
fn a_killed_agent_comes_back_and_the_job_ends() {
    let here = Installation::new();
    let child = create_held(&here);
    let drones = here.drones();
    assert_eq!(drones.len(), 1);
    drones.iter().for_each(|pid| send(*pid, Signal::KILL));
    here.release();
    // The command was cut off with its agent. Whether it is made again by itself or on request, the job ends.
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        here.data(&["job", "retry", "j-1"]);
    }
    assert!(is_active(&here));
    here.data(&["cluster", "delete", "one", "--yes"]);
    assert_eq!(here.data(&["orphans", "-o", "name"]), "");
}

#[test]
fn the_program_may_be_replaced_while_its_instances_run() {
    let mut here = Installation::new();
    let copy = here.path("pitrix");
    fs::copy(&here.program, &copy).unwrap();
    here.program = copy.clone();
    let child = create_held(&here);
    // As a package manager does it: the running program's file is gone, another is in its place.
    let fresh = here.path("pitrix.new");
    fs::copy(&copy, &fresh).unwrap();
    fs::rename(&fresh, &copy).unwrap();
    here.release();
    assert_success(&child.wait_with_output().unwrap());
    here.data(&["cluster", "stop", "one"]);
    here.data(&["cluster", "start", "one"]);
    assert!(is_active(&here));
    here.data(&["cluster", "delete", "one", "--yes"]);
}

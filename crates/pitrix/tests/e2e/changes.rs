//! What happens to a cluster between its creation and its end.

use crate::installation::{Installation, assert_success, said, send, until};
use rustix::process::Signal;
use std::fs;

/// A cluster `one` of this many nodes.
fn cluster_of(nodes: u32) -> Installation {
    let here = Installation::new();
    let count = format!("cluster.web.count={nodes}");
    here.data(&["cluster", "create", "one", "--app", "tiny@1.0.0", "--set", &count]);
    here
}

/// The next version: another default, and a new question.
fn push_next(here: &Installation) {
    here.push("1.1.0", r#", {"key": "extra", "type": "integer", "default": 5}"#);
}

fn describe(here: &Installation) -> serde_json::Value {
    here.json(&["cluster", "describe", "one"])
}

#[test]
fn a_cluster_grows_and_shrinks() {
    let here = cluster_of(1);
    let grown = here.run(&["cluster", "scale", "one", "web=3"]);
    assert_success(&grown);
    assert!(said(&grown).contains("plan      + 2 nodes, + 2 volumes; "), "{}", said(&grown));
    assert!(said(&grown).contains("done      3/3 nodes healthy in "), "{}", said(&grown));
    let again = here.run(&["cluster", "scale", "one", "web=3"]);
    assert_eq!(again.status.code(), Some(5), "{}", said(&again));
    here.data(&["cluster", "delete-nodes", "one", "web-2", "--yes"]);
    let nodes = describe(&here)["nodes"].as_array().unwrap().clone();
    assert_eq!(nodes.iter().map(|node| node["id"].as_str().unwrap()).collect::<Vec<_>>(), ["web-1", "web-3"]);
    let last = here.run(&["cluster", "delete-nodes", "one", "web-1", "web-3", "--yes"]);
    assert!(said(&last).contains("help: delete the cluster instead"), "{}", said(&last));
    assert_eq!(here.data(&["orphans", "-o", "name"]), "");
}

#[test]
fn a_size_stays_when_answers_are_given_later() {
    let here = cluster_of(1);
    here.data(&["cluster", "resize", "one", "web", "--memory", "24", "--disk", "2"]);
    here.data(&["cluster", "update-env", "one", "--set", "env.word=bye"]);
    assert_eq!(describe(&here)["nodes"][0]["volumes"][0]["sizeGib"], 2);
    assert!(here.data(&["cluster", "run", "one", "backup"]).ends_with(": 2 starts, bye\n"));
    let sized = here.run(&["cluster", "update-env", "one", "--set", "cluster.web.count=2"]);
    assert!(said(&sized).contains("help: use `pitrix cluster scale`"), "{}", said(&sized));
    here.data(&["cluster", "scale", "one", "web=2"]);
    assert_eq!(describe(&here)["nodes"][1]["volumes"][0]["sizeGib"], 2);
}

#[test]
fn what_a_service_prints_is_printed_and_its_failure_is_one() {
    let here = cluster_of(2);
    let printed = here.data(&["cluster", "run", "one", "backup", "--param", "name=mine"]);
    assert_eq!(printed, "web-1  mine: 1 starts, hello\nweb-2  mine: 1 starts, hello\n");
    let shown = here.json(&["events", "--job", "j-2"]);
    let outputs = shown.as_array().unwrap().iter().filter_map(|event| event["output"].as_str());
    assert_eq!(outputs.collect::<Vec<_>>(), ["mine: 1 starts, hello\n"; 2]);
    fs::write(here.path("fail"), "").unwrap();
    let failed = here.run(&["cluster", "run", "one", "backup"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(said(&failed).contains("service `backup` ended with exit code 7"), "{}", said(&failed));
    assert!(said(&failed).contains("cause: no luck today"), "{}", said(&failed));
    let unknown = here.run(&["cluster", "run", "one", "restore"]);
    assert_eq!(unknown.status.code(), Some(4));
}

#[test]
fn a_service_that_died_is_seen_and_brought_back() {
    let here = cluster_of(2);
    let health = || here.json(&["cluster", "list"])[0]["health"]["state"].clone();
    until("the first health checks have passed", || health() == "healthy");
    let idle = here.run(&["cluster", "recover", "one"]);
    assert_success(&idle);
    assert!(said(&idle).contains("done      nothing to do for one"), "{}", said(&idle));
    kill_service(&here);
    until("the cluster is degraded", || health() == "degraded");
    let list = here.data(&["cluster", "list"]);
    assert!(list.contains("degraded  1/2    web-"), "{list}");
    let refreshed = here.data(&["cluster", "refresh", "one"]);
    assert!(refreshed.contains("running   degraded: "), "{refreshed}");
    let recovered = here.run(&["cluster", "recover", "one"]);
    assert_success(&recovered);
    let text = said(&recovered);
    assert!(text.contains("found     web-") && text.contains(": service down ("), "{text}");
    assert!(
        text.contains("done      restarted 1 service, replaced 0 nodes; 2/2 nodes healthy in "),
        "{text}"
    );
    assert_eq!(here.json(&["job", "list"]).as_array().unwrap().len(), 2, "all was well: no job");
}

/// Ends the service of one node.
fn kill_service(here: &Installation) {
    let find = |dir: &std::path::Path| crate::life::find(dir, "pid");
    let file = find(&here.state().join("local/volumes")).unwrap();
    send(fs::read_to_string(file).unwrap().trim().parse().unwrap(), Signal::KILL);
}

#[test]
fn an_upgrade_is_told_before_and_undone_after() {
    let here = cluster_of(2);
    push_next(&here);
    let plan = here.json(&["plan", "upgrade", "one", "--to", "1.1.0"]);
    let version = &plan["version"];
    assert_eq!(version["nodes"].as_array().unwrap().len(), 2, "{version}");
    assert_eq!(version["data"], "2 volumes kept, backed up first");
    assert_eq!(version["config"], serde_json::json!([{"key": "env.extra", "after": "5"}]));
    let upgraded = here.run(&["cluster", "upgrade", "one", "--to", "1.1.0"]);
    assert_success(&upgraded);
    let text = said(&upgraded);
    assert!(text.contains("done      1.0.0 -> 1.1.0; 2/2 nodes healthy in "), "{text}");
    assert!(text.contains("; undo: `pitrix cluster rollback one`"), "{text}");
    assert_eq!(describe(&here)["app"], "tiny@1.1.0");
    let back = here.run(&["cluster", "rollback", "one"]);
    assert_success(&back);
    assert!(said(&back).contains("done      1.1.0 -> 1.0.0; 2/2 nodes healthy in "), "{}", said(&back));
    let further = here.run(&["cluster", "rollback", "one"]);
    assert!(said(&further).contains("no upgrade is on record"), "{}", said(&further));
}

#[test]
fn an_upgrade_that_fails_names_the_ways_on_and_back_and_both_work() {
    for way in [["job", "retry", "j-2"].as_slice(), &["cluster", "rollback", "one"]] {
        let here = cluster_of(2);
        push_next(&here);
        let plan = here.json(&["plan", "upgrade", "one", "--to", "1.1.0"]);
        let second = format!("fail-{}", plan["version"]["nodes"][1].as_str().unwrap());
        fs::write(here.path(&second), "").unwrap();
        let failed = here.run(&["cluster", "upgrade", "one", "--to", "1.1.0", "--no-backup"]);
        assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
        let text = said(&failed);
        assert!(text.contains("next      `pitrix job retry j-2` goes on"), "{text}");
        assert!(text.contains("`pitrix cluster rollback one` goes back to 1.0.0"), "{text}");
        fs::remove_file(here.path(&second)).unwrap();
        here.data(way);
        let one = describe(&here);
        let expected = if way[0] == "job" { "tiny@1.1.0" } else { "tiny@1.0.0" };
        assert_eq!((&one["app"], &one["health"]["state"]), (&expected.into(), &"healthy".into()));
        assert_eq!(here.data(&["orphans", "-o", "name"]), "");
    }
}

/// A cluster of two nodes, an upgrade of which fails on the second one; the arguments that ask for it, undone.
fn failing_upgrade(here: &Installation) -> [&'static str; 7] {
    push_next(here);
    let plan = here.json(&["plan", "upgrade", "one", "--to", "1.1.0", "--rollback-on-failure"]);
    let second = format!("fail-{}-1.1.0", plan["version"]["nodes"][1].as_str().unwrap());
    fs::write(here.path(&second), "").unwrap();
    ["cluster", "upgrade", "one", "--to", "1.1.0", "--no-backup", "--rollback-on-failure"]
}

fn assert_rolled_back(here: &Installation) {
    let one = describe(here);
    assert_eq!((&one["app"], &one["health"]["state"]), (&"tiny@1.0.0".into(), &"healthy".into()));
    let jobs = here.json(&["job", "list"]);
    let word = |job: &serde_json::Value, key: &str| job[key].as_str().unwrap().to_owned();
    let jobs = jobs.as_array().unwrap().iter().map(|job| word(job, "action") + " " + &word(job, "state"));
    assert_eq!(jobs.collect::<Vec<_>>(), ["rollback succeeded", "upgrade failed", "create succeeded"]);
    let events = here.data(&["events", "--job", "j-2"]);
    assert!(events.contains("followed  by j-3, which rolls `one` back"), "{events}");
}

#[test]
fn an_upgrade_that_fails_is_rolled_back_by_itself() {
    let here = cluster_of(2);
    let upgrade = failing_upgrade(&here);
    let failed = here.run(&upgrade);
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    let text = said(&failed);
    assert!(text.contains("next      it is rolled back by itself"), "{text}");
    assert!(text.contains("undo      job j-3 rolls one back"), "{text}");
    assert!(text.contains("done      1.1.0 -> 1.0.0; 2/2 nodes healthy in "), "{text}");
    assert_rolled_back(&here);
    assert!(here.data(&["job", "describe", "j-2"]).contains("stop, then roll back"));
}

#[test]
fn it_is_rolled_back_also_when_nobody_follows_and_the_executor_was_killed() {
    let here = cluster_of(2);
    let upgrade = failing_upgrade(&here);
    here.hold();
    here.data(&[&upgrade[..], &["--detach"]].concat());
    here.until_held();
    send(here.executor().unwrap(), Signal::KILL);
    here.release();
    // Whoever looks at it first has it go on. That it fails is no news.
    here.run(&["job", "watch", "j-2"]);
    assert_rolled_back(&here);
}

#[test]
fn a_job_goes_on_without_the_node_that_failed_if_it_may() {
    let here = cluster_of(2);
    fs::write(here.path("fail-web-1"), "").unwrap();
    for (policy, code) in [("stop", 1), ("at-least=2", 1), ("at-least=1", 9), ("go-on", 9)] {
        let done = here.run(&["cluster", "restart", "one", "--on-failure", policy]);
        assert_eq!(done.status.code(), Some(code), "{policy}: {}", said(&done));
    }
    let shown = here.json(&["job", "describe", "j-4"]);
    assert_eq!((&shown["onFailure"], &shown["state"]), (&"at-least=1".into(), &"succeeded".into()));
}

#[test]
fn kept_volumes_can_be_taken_over_and_a_purge_leaves_nothing() {
    let here = cluster_of(1);
    here.data(&["cluster", "delete", "one", "--yes", "--keep-volumes"]);
    here.data(&["cluster", "create", "two", "--app", "tiny@1.0.0", "--volumes-of", "one"]);
    assert!(here.data(&["cluster", "run", "two", "backup"]).ends_with(": 2 starts, hello\n"));
    let purged = here.run(&["cluster", "delete", "two", "--yes", "--purge"]);
    assert_success(&purged);
    assert!(said(&purged).contains("done      two deleted and forgotten in "), "{}", said(&purged));
    assert!(said(&purged).contains("clean     0 instances, 0 volumes left on `local`"), "{}", said(&purged));
    // What was deleted before can be forgotten later.
    let purged = here.run(&["cluster", "delete", "one", "--yes", "--purge"]);
    assert_success(&purged);
    let all = here.json(&["cluster", "list", "--deleted"]);
    assert!(all.as_array().unwrap().iter().all(|cluster| cluster["status"] == "ceased"), "{all}");
    assert_eq!(here.data(&["job", "list", "-o", "name"]).lines().count(), 2, "the last one of each");
    let pruned = here.run(&["job", "prune", "--older-than", "0", "--from-now-on"]);
    assert!(said(&pruned).contains("the executor forgets them after 0 days"), "{}", said(&pruned));
    assert_eq!(here.data(&["job", "list", "-o", "name"]).lines().count(), 1);
    assert_eq!(here.json(&["doctor"])["jobsKeptDays"], 0);
}

#[test]
fn keys_are_refused_where_nobody_logs_in_and_the_plan_says_so_too() {
    let here = cluster_of(1);
    fs::write(here.path("key.pub"), "ssh-ed25519 AAAAC3 me@here\n").unwrap();
    let key = here.path("key.pub");
    for noun in ["cluster", "plan"] {
        let refused = here.run(&[noun, "attach-key", "one", "--key-file", key.to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    }
}

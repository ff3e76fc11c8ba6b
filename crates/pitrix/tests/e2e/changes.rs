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
    assert_eq!(health(), "healthy");
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

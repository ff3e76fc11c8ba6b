//! What goes well.

use crate::installation::{Installation, assert_success, entries, said};
use std::fs;

#[test]
fn a_cluster_lives_and_leaves_nothing_behind() {
    let here = Installation::new();
    let connect =
        here.data(&["cluster", "create", "one", "--app", "tiny@1.0.0", "--set", "cluster.web.count=2"]);
    let one = here.json(&["cluster", "describe", "one"]);
    assert_eq!(
        (&one["apiVersion"], &one["kind"], &one["status"]),
        (&"pitrix/v1".into(), &"Cluster".into(), &"active".into())
    );
    let host = one["nodes"][0]["privateIp"].as_str().unwrap();
    let other = one["nodes"][1]["privateIp"].as_str().unwrap();
    assert_eq!(connect, format!("connect   nc {host} 7    web, also {other}\n"));
    assert_eq!(here.agents().len(), 4, "two keepers and two agents");
    assert!(here.data(&["cluster", "logs", "one", "--node", "web-1"]).contains("start web-1"));

    here.data(&["cluster", "stop", "one"]);
    assert_eq!(here.json(&["cluster", "describe", "one"])["status"], "stopped");
    assert_eq!(here.agents().len(), 0);

    here.data(&["cluster", "start", "one"]);
    let volumes = here.state().join("local/volumes");
    let starts = fs::read_dir(&volumes).unwrap().flatten().filter_map(|volume| {
        let found = find(&volume.path(), "starts")?;
        Some(fs::read_to_string(found).unwrap().lines().count())
    });
    assert_eq!(starts.collect::<Vec<_>>(), [2, 2], "the data is kept over a stop");

    let deleted = here.run(&["cluster", "delete", "one", "--yes"]);
    assert_success(&deleted);
    assert!(
        said(&deleted).contains("clean     0 instances, 0 volumes left on `local`"),
        "{}",
        said(&deleted)
    );
    assert_eq!(here.data(&["cluster", "list", "-o", "name"]), "");
    assert_eq!(here.data(&["orphans", "-o", "name"]), "");
    assert_eq!(here.agents().len(), 0);
    assert_eq!(entries(&here.state().join("local/instances")) + entries(&volumes), 0);

    let jobs = here.json(&["job", "list"]);
    let jobs: Vec<_> = jobs.as_array().unwrap().iter().map(|job| (&job["action"], &job["state"])).collect();
    let done = "succeeded".into();
    let actions = ["delete", "start", "stop", "create"].map(Into::into);
    assert_eq!(jobs, actions.iter().map(|action| (action, &done)).collect::<Vec<_>>());
    assert!(here.json(&["job", "describe", "j-1"])["calls"].as_u64().unwrap() > 0);
}

pub(crate) fn find(dir: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    fs::read_dir(dir).ok()?.flatten().find_map(|entry| {
        if entry.file_name() == name { Some(entry.path()) } else { find(&entry.path(), name) }
    })
}

#[test]
fn volumes_that_are_kept_are_named_and_stay() {
    let here = Installation::new();
    here.data(&["cluster", "create", "one", "--app", "tiny@1.0.0"]);
    let volume = here.json(&["cluster", "describe", "one"])["nodes"][0]["volumes"][0]["id"].clone();
    let deleted = here.run(&["cluster", "delete", "one", "--yes", "--keep-volumes"]);
    assert_success(&deleted);
    let kept = format!("kept      {} (1 GiB, /data)", volume.as_str().unwrap());
    assert!(said(&deleted).contains(&kept), "{}", said(&deleted));
    assert_eq!(entries(&here.state().join("local/volumes")), 1);
}

#[test]
fn detached_is_the_jobs_id_and_watching_it_ends_with_the_job() {
    let here = Installation::new();
    here.hold();
    let job = here.data(&["cluster", "create", "one", "--app", "tiny@1.0.0", "--detach", "-o", "name"]);
    assert_eq!(job, "j-1\n");
    here.until_held();
    assert_eq!(here.json(&["cluster", "describe", "one"])["transition"], "creating");
    let watcher = here.start(&["job", "watch", "j-1"]);
    here.release();
    let watched = watcher.wait_with_output().unwrap();
    assert_success(&watched);
    assert!(said(&watched).contains("layer     1/"), "{}", said(&watched));
    // Nobody waits for the first health check of a new cluster, so it may be counted or not.
    assert!(said(&watched).contains("/1 node healthy in "), "{}", said(&watched));
}

#[test]
fn a_plan_says_what_would_happen_and_does_nothing() {
    let here = Installation::new();
    let plan = here.json(&["plan", "create", "one", "--app", "tiny@1.0.0"]);
    assert_eq!(plan["action"], "create");
    assert!(plan["summary"].as_str().unwrap().starts_with("+ 1 node, + 1 volume; "), "{plan}");
    assert_eq!(plan["quota"]["memory"]["needed"], 16);
    assert_eq!(here.data(&["job", "list", "-o", "name"]), "");
    assert_eq!(here.executor(), None);
}

#[test]
fn a_package_is_pushed_from_a_directory_or_an_archive_and_never_changes() {
    let here = Installation::new();
    let tiny = here.path("tiny");
    let archive = here.path("tiny.tgz");
    let tar = std::process::Command::new("tar")
        .args(["-czf"])
        .arg(&archive)
        .arg("-C")
        .arg(here.path(""))
        .arg("tiny")
        .status();
    assert!(tar.unwrap().success());
    let again = here.run(&["app", "push", archive.to_str().unwrap()]);
    assert_success(&again);
    assert_eq!(said(&again), "pushed    app `tiny@1.0.0` was there already, with the same content\n");
    fs::write(tiny.join("README.md"), "more").unwrap();
    let changed = here.run(&["app", "push", tiny.to_str().unwrap()]);
    assert_eq!(changed.status.code(), Some(5), "{}", said(&changed));
    let config = here.data(&["app", "config", "tiny@1.0.0"]);
    assert!(config.contains("// How many"), "{config}");
    // What `app config` prints can be given back.
    fs::write(here.path("conf.json"), &config).unwrap();
    let file = here.path("conf.json");
    here.data(&["plan", "create", "one", "--app", "tiny@1.0.0", "-f", file.to_str().unwrap()]);
    here.data(&["app", "delete", "tiny@1.0.0"]);
    assert_eq!(here.data(&["app", "list", "-o", "name"]), "");
}

//! A crash at every boundary of every action.

use conformance::{
    World,
    crash::{Case, HEAD, Trial, enumerate_all},
    create,
};
use std::io::Write;

#[test]
fn no_crash_makes_an_orphan_a_duplicate_or_another_outcome() {
    let rows = enumerate_all().unwrap();
    // Past the capture of the test harness: the table belongs into the output of every run.
    let mut out = std::io::stderr().lock();
    writeln!(out, "\n{HEAD}").unwrap();
    for row in &rows {
        writeln!(out, "{row}").unwrap();
        assert!(row.runs >= row.boundaries, "each of its boundaries must be crashed at");
    }
    let complaints: Vec<_> = rows
        .iter()
        .flat_map(|row| row.complaints.iter().map(|what| format!("{}: {what}", row.action)))
        .collect();
    assert_eq!(complaints, [""; 0]);
}

#[test]
fn a_cloud_that_ignores_tokens_is_found_out() {
    let case = Case {
        name: "create",
        spec: "db, web",
        before: Vec::new,
        request: || create("c", 1, 0, 1),
        faults: |world: &World| world.cloud.forget_tokens(),
        undo: false,
    };
    let mut trial = Trial::new(&case).unwrap();
    let launched = trial.boundaries().iter().position(|place| place == "after reply").unwrap();
    assert!(trial.crash(&[launched]).unwrap());
    let row = trial.row();
    assert!(row.orphans > 0 && row.duplicates > 0 && !row.complaints.is_empty(), "{row}");
}

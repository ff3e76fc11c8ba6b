//! A crash at every boundary of every action.

use conformance::crash::{HEAD, enumerate_all};

#[test]
fn no_crash_makes_an_orphan_a_duplicate_or_another_outcome() {
    let rows = enumerate_all().unwrap();
    println!("{HEAD}");
    for row in &rows {
        println!("{row}");
        assert!(row.runs >= row.boundaries, "each of its boundaries must be crashed at");
    }
    let complaints: Vec<_> = rows
        .iter()
        .flat_map(|row| row.complaints.iter().map(|what| format!("{}: {what}", row.action)))
        .collect();
    assert_eq!(complaints, [""; 0]);
}

//! A crash at every boundary of every action.

use conformance::crash::{CASES, HEAD, enumerate};

#[test]
fn no_crash_makes_an_orphan_a_duplicate_or_another_outcome() {
    let rows: Vec<_> = std::thread::scope(|scope| {
        let cases: Vec<_> = CASES.iter().map(|case| scope.spawn(|| enumerate(case).unwrap())).collect();
        cases.into_iter().map(|case| case.join().unwrap()).collect()
    });
    println!("{HEAD}");
    for row in &rows {
        println!("{row}");
    }
    let complaints: Vec<_> = rows
        .iter()
        .flat_map(|row| row.complaints.iter().map(|what| format!("{}: {what}", row.action)))
        .collect();
    assert!(
        complaints.is_empty(),
        "{} complaints:\n{}",
        complaints.len(),
        complaints[..20.min(complaints.len())].join("\n")
    );
    assert!(rows.iter().all(|row| row.runs >= row.boundaries / 2), "each boundary must be crashed at");
}

//! Prints what crashing at every boundary of every action comes to. Fails when anything is not as it should be.

use conformance::crash::{HEAD, enumerate_all};
use std::process::ExitCode;

fn main() -> ExitCode {
    let rows = match enumerate_all() {
        Ok(rows) => rows,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{HEAD}");
    for row in &rows {
        println!("{row}");
    }
    let complaints: Vec<_> = rows.iter().flat_map(|row| &row.complaints).collect();
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

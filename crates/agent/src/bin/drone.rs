//! The drone by itself, for nodes that need nothing else of Pitrix and for the tests of this crate: a drone
//! starts its own program again, so that a test can't be one.

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(directory) => agent::drone::main(directory.as_ref()),
        None => {
            eprintln!("usage: drone INSTANCE_DIRECTORY");
            ExitCode::from(2)
        }
    }
}

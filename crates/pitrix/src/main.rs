//! The binary with the providers that its features name.

use std::process::ExitCode;

fn main() -> ExitCode {
    pitrix::main(providers::registry)
}

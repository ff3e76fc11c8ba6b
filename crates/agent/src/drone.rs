//! The agent on a node: keeps the node's processes together and carries out commands.
//!
//! A drone is two processes of one program. The *keeper* is everything's ancestor on the instance: it holds
//! the locks, reaps orphans, starts the *worker* again when it dies, and ends the instance when it is told to.
//! It does little, so that it has little to die of. The worker talks to the control side and runs commands;
//! what it knows is on disk before anybody is told, so that it may die at any point. It finds out by itself, with
//! the package's health check, whether the application works.

mod checks;
mod configure;
mod device;
mod durable;
mod execute;
mod health;
mod instance;
mod journal;
mod keeper;
mod keypair;
mod logins;
mod output;
mod processes;
mod program;
mod root;
mod state;
mod worker;

use std::{fmt, path::Path, process::ExitCode};

/// Set by the keeper, to its process id, for the worker alone.
const WORKER: &str = "PITRIX_DRONE_KEEPER";

/// Runs the drone of the instance whose directory this is, until SIGTERM. The program calls it from its main
/// thread, before it has started any other, and must come here again when it is started with equal arguments.
///
/// Success means that every process of the instance has ended and its locks are free, or that another drone
/// had the instance already. Errors go to `log/drone.log` of the directory, as all of its output does.
pub fn main(directory: &Path) -> ExitCode {
    let ended = match std::env::var(WORKER) {
        Ok(keeper) => worker::work(directory, &keeper),
        Err(_) => keeper::keep(directory),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(format_args!("{error}{}", Causes(&error)));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to the drone's log, which is where standard error goes.
fn log(message: fmt::Arguments<'_>) {
    eprintln!("{:.3} {message}", jiff::Timestamp::now());
}

struct Causes<'a>(&'a provider_core::Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.causes().iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

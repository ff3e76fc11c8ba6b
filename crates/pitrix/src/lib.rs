//! The command line of Pitrix, as a library: a vendor's own binary is
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     pitrix::main(|| provider_core::Registry::discover(&["local", "mine"], &[]))
//! }
//! ```
//!
//! What it is: arguments, output, exit codes, the executor's process, and the wiring of store, engine, agents
//! and providers. What it is not: it names no provider; which there are is the binary's business.
//!
//! Start reading at `args`, then `clusters`, then `executor`.

mod apps;
mod args;
mod carry_out;
mod clusters;
mod complete;
mod credentials;
mod doctor;
mod events;
mod executor;
mod exit;
mod follow;
mod followers;
mod health;
mod inputs;
mod jobs;

mod live;
mod manual;
mod orphans;
mod plans;
mod print;
mod progress;
mod providers;
mod runtimes;
mod screen;
mod service;
mod shapes;
mod site;

use args::{Cli, Noun, ProviderVerb};
use clap::Parser;
use exit::{Exit, Failure, Outcome};
use provider_core::{Error, Registry, Result};
use screen::Screen;
use site::{Site, state_dir};
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

/// Runs the program: reads its arguments, does what they say and returns how that ended. `registry` makes the
/// one of the plugins that this binary has. Call it from `main` before anything else, because the program
/// starts itself again in other parts.
#[must_use]
pub fn main(registry: fn() -> Result<Registry>) -> ExitCode {
    complete::answer_shell();
    let Cli { global, noun } = Cli::parse();
    if let Noun::Drone { dir } = &noun {
        return agent::drone::main(dir);
    }
    let screen = Screen::new(&global);
    let done = state_dir(global.state.as_deref()).map_err(Failure::from).and_then(|dir| match noun {
        Noun::Executor => threads(Builder::new_multi_thread())?.block_on(executor::serve(&dir, registry)),
        Noun::Provider(ProviderVerb::List) => providers::list(&registry()?, &screen),
        Noun::Completion { shell } => complete::register(shell, &screen),
        Noun::Man { dir } => manual::write(&dir, &screen),
        noun => threads(Builder::new_current_thread())?.block_on(async {
            let site = Site::open(&dir, registry).await?;
            run(noun, &site, &screen).await
        }),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Said(exit)) => exit.into(),
        Err(Failure::Usage(error)) => {
            screen.error(&error);
            Exit::Usage.into()
        }
        Err(Failure::Error(error)) => {
            screen.error(&error);
            Exit::of(error.kind()).into()
        }
    }
}

fn threads(mut builder: Builder) -> Result<Runtime> {
    builder.enable_all().build().map_err(|e| Error::unavailable("starting threads").caused_by(&e))
}

async fn run(noun: Noun, site: &Site, screen: &Screen) -> Outcome {
    match noun {
        Noun::Cluster(verb) => clusters::run(verb, site, screen).await,
        Noun::Plan(verb) => plans::run(verb, site, screen).await,
        Noun::Job(verb) => jobs::run(verb, site, screen).await,
        Noun::App(verb) => apps::run(verb, site, screen).await,
        Noun::Runtime(verb) => runtimes::run(verb, site, screen).await,
        Noun::Orphans(which) => orphans::run(which, site, screen).await,
        Noun::Events(which) => events::run(which, site, screen).await,
        Noun::Doctor => doctor::run(site, screen).await,
        Noun::Provider(_)
        | Noun::Completion { .. }
        | Noun::Man { .. }
        | Noun::Executor
        | Noun::Drone { .. } => Err(Error::bug("this verb needs no open state directory").into()),
    }
}

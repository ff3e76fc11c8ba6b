//! The developer's verbs of this workspace: `cargo xtask VERB`.
//!
//! Each verb is one module. A verb starts cargo and the workspace's own binaries and prints every command that it
//! starts; it depends on no crate of the workspace, so it builds in seconds and runs while the rest does not compile.

mod bench;
mod charts;
mod command;
mod demo;
mod deny;
mod kube;
mod processes;
mod redis;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

/// What went wrong, ready to print. A developer reads it; nothing decides on it.
type Result<T, E = String> = std::result::Result<T, E>;

struct Verb {
    name: &'static str,
    /// The options after the name, as the help shows them.
    options: &'static str,
    about: &'static str,
    run: fn(Options) -> Result<()>,
}

const VERBS: &[Verb] = &[
    Verb {
        name: "demo",
        options: "",
        about: "the whole life of a replicated Redis on this machine, with a crash in the middle",
        run: demo::run,
    },
    Verb {
        name: "test",
        options: "[STEP]",
        about: "everything that has to be green: format, lints, tests, features, docs, licences, Kubernetes, demo",
        run: test::run,
    },
    Verb {
        name: "tidy",
        options: "[--timings]",
        about: "crate arrows, module names, dead links, forbidden words, budgets",
        run: tidy::run,
    },
    Verb {
        name: "deny",
        options: "[--advisories]",
        about: "licences, sources and banned crates; with the option also known vulnerabilities",
        run: deny::run,
    },
    Verb {
        name: "charts",
        options: "DIR [--case NAME]",
        about: "render the charts in DIR and compare them with what helm made of them",
        run: charts::run,
    },
    Verb {
        name: "kube",
        options: "up|down|status",
        about: "a real Kubernetes on this machine, for tests; `--dir DIR` for one more",
        run: kube::run,
    },
    Verb {
        name: "kube",
        options: "sweep DIR",
        about: "install each chart with helm and with Pitrix, and compare; `--every N`, `--only TEXT`, `--table FILE`",
        run: kube::run,
    },
    Verb {
        name: "bench",
        options: "[NAME] [--json]",
        about: "run one benchmark or all; `charts DIR` takes public charts, too",
        run: bench::run,
    },
];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    if matches!(name.as_str(), "help" | "-h" | "--help") {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else {
        eprint!("error: there is no verb `{name}`\n\n{}", help());
        return ExitCode::from(2);
    };
    match (verb.run)(Options(args.collect())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn help() -> String {
    let lines = VERBS.iter().map(|verb| format!("  {:<7}{:<18}{}\n", verb.name, verb.options, verb.about));
    format!("usage: cargo xtask VERB [OPTIONS]\n\n{}", lines.collect::<String>())
}

/// The arguments after the verb. A verb takes out what it knows and ends with [`Options::finish`].
struct Options(Vec<String>);

impl Options {
    /// Whether `flag` was given.
    fn take_flag(&mut self, flag: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|arg| arg != flag);
        self.0.len() < before
    }

    /// The argument after `flag`, if the flag was given.
    fn take_value(&mut self, flag: &str) -> Result<Option<String>> {
        let Some(at) = self.0.iter().position(|arg| arg == flag) else { return Ok(None) };
        if at + 1 == self.0.len() {
            return Err(format!("`{flag}` wants a value\nhint: `cargo xtask help` lists the options"));
        }
        self.0.remove(at);
        Ok(Some(self.0.remove(at)))
    }

    /// The next argument that is not a flag.
    fn take_name(&mut self) -> Option<String> {
        let at = self.0.iter().position(|arg| !arg.starts_with('-'))?;
        Some(self.0.remove(at))
    }

    /// Refuses whatever is left.
    fn finish(self) -> Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some(arg) => {
                Err(format!("unexpected argument `{arg}`\nhint: `cargo xtask help` lists the options"))
            }
        }
    }
}

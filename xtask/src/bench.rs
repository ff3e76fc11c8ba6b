//! `cargo xtask bench [NAME] [--json]`: benchmarks lie in `benches/` of the crate that they exercise.
//!
//! A peer that is a program comes from where the tests have it, and the variables that the tests have name it. Behind
//! the name, `charts` takes a directory of public charts.

use crate::{Options, Result, command::Cmd, kube, test, workspace::Workspace};

/// A benchmark, called the same in its package. With `--json` it prints one JSON document and nothing else on standard output.
struct Bench {
    name: &'static str,
    package: &'static str,
    /// What it measures, and beside which peer.
    about: &'static str,
    /// Whether helm and kubectl are peers.
    clients: bool,
}

/// To add one: a bench without harness in the crate that it exercises, and a row here.
const BENCHES: &[Bench] = &[
    Bench {
        name: "store",
        package: "engine",
        about: "durable tasks per second, beside one commit for each state",
        clients: false,
    },
    Bench {
        name: "plan",
        package: "vmbased",
        about: "plans of 1k, 10k and 100k tasks, beside one JSON directive for each task",
        clients: false,
    },
    Bench {
        name: "process",
        package: "pitrix",
        about: "start, size, idle memory, and how soon events are seen",
        clients: true,
    },
    Bench {
        name: "charts",
        package: "provider-helm",
        about: "charts rendered, cold and warm, beside the helm binary; and hostile ones refused",
        clients: true,
    },
];

pub(crate) fn run(mut options: Options) -> Result<()> {
    let json = options.take_flag("--json");
    let name = options.take_name();
    let charts = options.take_name();
    options.finish()?;
    // Relative to where the developer is, not to the workspace.
    let charts = charts.map(std::path::absolute).transpose();
    let charts = charts.map_err(|error| format!("cannot use the directory of charts: {error}"))?;
    let workspace = Workspace::enter()?;
    for bench in chosen(BENCHES, name.as_deref())? {
        if !json {
            println!("{}: {}", bench.name, bench.about);
        }
        let mut args = vec!["bench", "--quiet", "--package", bench.package, "--bench", bench.name];
        if json {
            args.extend(["--", "--json"]);
        }
        let mut command = Cmd::cargo(&args);
        if bench.clients {
            for (variable, program) in kube::clients(&workspace).map_err(|kube::NotHere(why)| why)? {
                command = command.quiet_env(variable, program);
            }
        }
        if let Some(charts) = &charts {
            command = command.quiet_env(test::CHARTS, charts);
        }
        command.run()?;
    }
    Ok(())
}

fn chosen<'a>(benches: &'a [Bench], name: Option<&str>) -> Result<Vec<&'a Bench>> {
    let chosen: Vec<_> = benches.iter().filter(|bench| name.is_none_or(|name| bench.name == name)).collect();
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    let names: Vec<_> = benches.iter().map(|bench| bench.name).collect();
    let wanted = name.map_or("to run".to_owned(), |name| format!("`{name}`"));
    Err(format!("there is no benchmark {wanted}\nhint: known are: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_lists_the_right_ones() {
        let bench = |name| Bench { name, package: "engine", about: "", clients: false };
        let benches = [bench("tasks"), bench("plans")];
        let check = |name, expected: Result<&[&str], &str>| {
            let names: Result<Vec<_>> =
                chosen(&benches, name).map(|all| all.iter().map(|b| b.name).collect());
            assert_eq!(names.as_deref().map_err(String::as_str), expected);
        };
        check(None, Ok(&["tasks", "plans"]));
        check(Some("plans"), Ok(&["plans"]));
        check(Some("plan"), Err("there is no benchmark `plan`\nhint: known are: tasks, plans"));
    }
}

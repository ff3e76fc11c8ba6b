//! `cargo xtask bench [NAME] [--json]`: benchmarks lie in `benches/` of the crate that they exercise.

use crate::{Options, Result, command::Cmd, workspace::Workspace};

/// A benchmark, called the same in its package. With `--json` it prints one JSON document and nothing else on standard output.
struct Bench {
    name: &'static str,
    package: &'static str,
    /// What it measures, and beside which peer.
    about: &'static str,
}

/// To add one: a bench without harness in the crate that it exercises, and a row here.
const BENCHES: &[Bench] = &[
    Bench {
        name: "store",
        package: "engine",
        about: "durable tasks per second, beside one commit for each state",
    },
    Bench {
        name: "plan",
        package: "vmbased",
        about: "plans of 1k, 10k and 100k tasks, beside one JSON directive for each task",
    },
];

pub(crate) fn run(mut options: Options) -> Result<()> {
    let json = options.take_flag("--json");
    let name = options.take_name();
    options.finish()?;
    Workspace::enter()?;
    for bench in chosen(BENCHES, name.as_deref())? {
        if !json {
            println!("{}: {}", bench.name, bench.about);
        }
        let mut args = vec!["bench", "--quiet", "--package", bench.package, "--bench", bench.name];
        if json {
            args.extend(["--", "--json"]);
        }
        Cmd::cargo(&args).run()?;
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
        let bench = |name| Bench { name, package: "engine", about: "" };
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

//! Names of modules, length of files, one test binary for each crate, and words that have no place in the project.

use super::File;
use std::collections::BTreeMap;

/// A name that says nothing invites everything.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "common", "manager", "helpers", "helper"];

/// Past this many lines, ask what the second subject is.
const LONG: usize = 500;

/// A word and why it may not stand in a tracked text.
struct Word {
    text: &'static str,
    why: &'static str,
}

const MACHINE: &str = "a path of one machine";
const HOST: &str = "a registry's host: packages are named, not fetched from an address";
const WORDS: &[Word] = &[
    Word { text: "/work/", why: MACHINE },
    Word { text: "/home/", why: MACHINE },
    Word { text: "/Users/", why: MACHINE },
    Word { text: "index.crates.io", why: HOST },
    Word { text: "static.crates.io", why: HOST },
    Word { text: "deb.debian.org", why: HOST },
    Word { text: "proxy.golang.org", why: HOST },
    Word { text: "registry.npmjs.org", why: HOST },
    Word { text: "pypi.org", why: HOST },
    Word { text: "sqlx::query!", why: "a macro that wants a database to compile; use `sqlx::query`" },
];

/// Cargo writes the one; the other has to name the words.
const MAY_SAY_ANYTHING: [&str; 2] = ["Cargo.lock", "xtask/src/tidy/sources.rs"];

/// The rules on `files`.
pub(super) fn check(files: &[File]) -> Vec<String> {
    let mut findings: Vec<_> = files.iter().flat_map(empty_names).collect();
    findings.extend(test_binaries(files));
    let speaking = files.iter().filter(|file| !MAY_SAY_ANYTHING.contains(&file.path.as_str()));
    findings.extend(speaking.flat_map(words));
    findings
}

/// A report: files that may have two subjects.
pub(super) fn long_files(files: &[File]) -> Vec<String> {
    let rust = files.iter().filter(|file| file.path.ends_with(".rs"));
    let lengths = rust.map(|file| (file.text.lines().count(), &file.path));
    lengths.filter(|(lines, _)| *lines > LONG).map(|(lines, path)| format!("{path}: {lines} lines")).collect()
}

fn empty_names(file: &File) -> Vec<String> {
    let Some(stem) = file.path.strip_suffix(".rs") else {
        return Vec::new();
    };
    let finding = |name: &str| format!("{}: `{name}` is no name for a module: say its subject", file.path);
    let of_path = stem.split('/').filter(|part| EMPTY_NAMES.contains(part));
    let inline = file.text.lines().filter_map(|line| line.trim_end().strip_suffix('{')?.split("mod ").nth(1));
    of_path.chain(inline.map(str::trim).filter(|name| EMPTY_NAMES.contains(name))).map(finding).collect()
}

/// Each file of `tests/` is linked by itself, which costs more than it compiles.
fn test_binaries(files: &[File]) -> Vec<String> {
    let mut binaries: BTreeMap<&str, usize> = BTreeMap::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        // Below `src`, a folder called `tests` holds modules.
        if let Some((package, test)) =
            file.path.split_once("/tests/").filter(|(dir, _)| !dir.contains("/src"))
        {
            let is_binary = !test.contains('/') || test.ends_with("/main.rs");
            *binaries.entry(package).or_default() += usize::from(is_binary);
        }
    }
    let many = binaries.into_iter().filter(|(_, count)| *count > 1);
    many.map(|(package, count)| format!("{package}/tests: {count} test binaries; make them modules of one"))
        .collect()
}

fn words(file: &File) -> Vec<String> {
    let lines = file.text.lines().zip(1..);
    let hits = lines.flat_map(|(line, number)| {
        let words = WORDS.iter().filter(|word| says(line, word.text));
        words.map(move |word| format!("{}:{number}: `{}` is {}", file.path, word.text, word.why))
    });
    hits.collect()
}

/// Whether `line` has `word` where a word can begin: `dir/work/x` is no path of a machine.
fn says(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"_-}*".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn modules_have_a_subject() {
        let check = |path, text, expected: &str| {
            assert_eq!(super::check(&[file(path, text)]).join("\n"), expected, "{path}");
        };
        check("crates/a/src/ledger.rs", "mod tests {", "");
        check(
            "crates/a/src/utils.rs",
            "",
            "crates/a/src/utils.rs: `utils` is no name for a module: say its subject",
        );
        check(
            "crates/a/tests/common/mod.rs",
            "",
            "crates/a/tests/common/mod.rs: `common` is no name for a module: say its subject",
        );
        check(
            "crates/a/src/lib.rs",
            "pub(crate) mod helpers {",
            "crates/a/src/lib.rs: `helpers` is no name for a module: say its subject",
        );
        check("docs/manager.md", "", "");
    }

    #[test]
    fn a_crate_has_one_test_binary() {
        let check = |paths: &[&str], expected: &str| {
            let files: Vec<_> = paths.iter().map(|path| file(path, "")).collect();
            assert_eq!(test_binaries(&files).join("\n"), expected);
        };
        check(&["crates/a/tests/all.rs", "crates/a/tests/all/kill.rs", "crates/b/tests/all/main.rs"], "");
        check(&["crates/a/src/plan/tests/kill.rs", "crates/a/src/plan/tests/stop.rs"], "");
        check(
            &["crates/a/tests/kill.rs", "crates/a/tests/stop.rs"],
            "crates/a/tests: 2 test binaries; make them modules of one",
        );
    }

    #[test]
    fn forbidden_words_are_found_with_their_place() {
        let check = |path, text, expected: &str| {
            assert_eq!(words(&file(path, text)).join("\n"), expected, "{text}");
        };
        check("a.md", "fine\nsee `/work/x`", "a.md:2: `/work/` is a path of one machine");
        check("a.md", "$DIR/work/x, {dir}/work/x, net/work/", "");
        check(
            "a.rs",
            "sqlx::query!(\"\")",
            "a.rs:1: `sqlx::query!` is a macro that wants a database to compile; use `sqlx::query`",
        );
        check(
            "c.toml",
            "https://index.crates.io/",
            "c.toml:1: `index.crates.io` is a registry's host: packages are named, not fetched from an address",
        );
    }

    #[test]
    fn long_files_are_reported() {
        let lines = |n| file("crates/a/src/a.rs", &"\n".repeat(n));
        assert_eq!(long_files(&[lines(500)]), Vec::<String>::new());
        assert_eq!(long_files(&[lines(501)]), ["crates/a/src/a.rs: 501 lines"]);
    }
}

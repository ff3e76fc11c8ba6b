//! Documents must not name files that are gone.

use super::File;
use std::path::Path;

/// The top folders whose paths are checked when a document names one as code.
const FOLDERS: [&str; 5] = ["crates/", "xtask/", "docs/", "examples/", ".ci/"];

/// Every link and every path of the Markdown `files` whose target does not exist. Samples of tests are left out.
pub(super) fn check(files: &[File], exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let documents = files.iter().filter(|file| file.path.ends_with(".md") && !file.path.contains("/tests/"));
    let mut findings = Vec::new();
    for document in documents {
        let dir = Path::new(&document.path).parent().unwrap_or(Path::new(""));
        for (number, line) in prose(&document.text) {
            let links = links(line).map(|target| (target, dir.join(target)));
            let paths = paths(line).map(|path| (path, Path::new(path).to_owned()));
            let dead = links.chain(paths).filter(|(_, path)| !exists(path));
            findings
                .extend(dead.map(|(name, _)| format!("{}:{number}: `{name}` does not exist", document.path)));
        }
    }
    findings
}

/// The numbered lines outside of code blocks.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().zip(1..).filter_map(move |(line, number)| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        (!in_code && !is_fence).then_some((number, line))
    })
}

/// The files that `line` links to.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let local = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    local.filter_map(|target| target.split('#').next()).filter(|target| !target.is_empty())
}

/// The paths in the inline code of `line`. A part in capitals (`NAME`) stands for something: no file is meant.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split('`').skip(1).step_by(2);
    code.filter(|code| {
        FOLDERS.iter().any(|folder| code.starts_with(folder))
            && code.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
            && !code.contains("NAME")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_and_paths_are_found() {
        let exists = |path: &Path| ["docs/a.md", "docs/../README.md"].contains(&path.to_str().unwrap());
        let check = |text: &str, expected: &str| {
            let file = File { path: "docs/page.md".to_owned(), text: text.to_owned() };
            assert_eq!(super::check(&[file], exists).join("\n"), expected, "{text}");
        };
        check(
            "[a](a.md), [a](a.md#part \"title\"), [r](../README.md), [here](#here), [w](https://example.org/x)",
            "",
        );
        check("one\n[b](b.md)", "docs/page.md:2: `b.md` does not exist");
        check("`docs/a.md` and `docs/b.md`", "docs/page.md:1: `docs/b.md` does not exist");
        check("`crates/provider-NAME/src/lib.rs`, `cargo xtask test`, `examples/{a,b}`", "");
        check("```\n[b](b.md) `docs/b.md`\n```\n[c](c.md)", "docs/page.md:4: `c.md` does not exist");
    }

    #[test]
    fn samples_of_tests_are_left_out() {
        let file = File { path: "crates/a/tests/x/README.md".to_owned(), text: "[b](b.md)".to_owned() };
        assert_eq!(check(&[file], |_| false), Vec::<String>::new());
    }
}

//! What shells and readers of manuals get.

use crate::installation::{Installation, entries, said};
use std::{env, fs::File, io::Write, path::Path, process::Command};

#[test]
fn a_shell_completes_the_names_that_there_are() {
    let here = Installation::new();
    for shell in ["bash", "zsh"] {
        let script = here.data(&["completion", shell]);
        assert!(script.contains(&format!("COMPLETE=\"{shell}\"")), "{script}");
    }
    let complete = |words: &[&str]| {
        let mut command = here.command(&[&["--", "pitrix"], words].concat());
        command.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", words.len().to_string());
        let output = command.env("_CLAP_IFS", "\n").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete(&["cluster", "sc"]), "scale");
    assert_eq!(complete(&["cluster", "create", "x", "--app", ""]), "tiny@1.0.0");
    assert_eq!(complete(&["cluster", "create", "x", "--runtime", ""]), "local");
    // What is not there yet is not set up by asking for it.
    let elsewhere = here.path("elsewhere");
    let state = format!("--state={}", elsewhere.display());
    assert_eq!(complete(&[&state, "cluster", "create", "x", "--app", ""]), "");
    assert!(!elsewhere.exists());
}

/// Takes the completion in as a user does, and completes the last of the words of `line` as the shell would. Each
/// candidate is a line.
const BASH: &str = r#"
source <(pitrix completion bash)
COMP_WORDS=($LINE "$LAST") COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_TYPE=9
$(complete -p pitrix | sed -E 's/.*-F ([^ ]+).*/\1/') pitrix "$LAST" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// The same. What zsh would show goes through `_describe`, the name of an array last.
const ZSH: &str = r#"
autoload -U compinit && compinit -u -D
source <(pitrix completion zsh)
_describe() { local array=$3; print -l -- ${(P)array%%:*} }
words=(${=LINE} "$LAST") CURRENT=${#words}
${_comps[pitrix]}
"#;

#[test]
fn completions_work_in_the_shells_themselves() {
    let here = Installation::new();
    here.data(&["cluster", "create", "one", "--app", "tiny@1.0.0"]);
    for (shell, options, script) in [("bash", &["--norc", "-c"], BASH), ("zsh", &["-f", "-c"], ZSH)] {
        let path = env::var_os("PATH").unwrap();
        if !env::split_paths(&path).any(|dir| dir.join(shell).exists()) {
            not_here(shell);
            continue;
        }
        let bin = Path::new(&here.program).parent().unwrap().to_owned();
        let path = env::join_paths([bin].into_iter().chain(env::split_paths(&path))).unwrap();
        let complete = |line: &str, last: &str| {
            let mut command = Command::new(shell);
            command.args(options).arg(script).env("PATH", &path).env("PITRIX_STATE", here.state());
            let output = command.env("LINE", line).env("LAST", last).output().unwrap();
            assert!(output.status.success(), "{shell}: {}", said(&output));
            let mut words: Vec<_> = String::from_utf8(output.stdout)
                .unwrap()
                .lines()
                .map(|word| word.trim().to_owned())
                .collect();
            words.retain(|word| !word.starts_with("--"));
            words.sort();
            words.join(" ")
        };
        assert_eq!(complete("pitrix cluster", "resi"), "resize", "{shell}");
        assert_eq!(complete("pitrix cluster describe", ""), "one", "{shell}");
        assert_eq!(complete("pitrix cluster upgrade one --to", "1"), "1.0.0", "{shell}");
        assert_eq!(complete("pitrix cluster create two --app", "ti"), "tiny@1.0.0", "{shell}");
        assert_eq!(complete("pitrix job watch", "j"), "j-1", "{shell}");
        assert_eq!(complete("pitrix cluster list -o", "y"), "yaml", "{shell}");
    }
}

/// Says that a shell is missing where it is seen: what a test prints that passes is not.
fn not_here(shell: &str) {
    let line = format!("NOTE completions in {shell}: it is not installed");
    let _ = match env::var_os("PITRIX_TEST_SKIPS") {
        Some(file) => File::options().append(true).open(file).and_then(|mut file| writeln!(file, "{line}")),
        None => writeln!(std::io::stderr(), "{line}"),
    };
}

#[test]
fn the_manual_has_a_page_for_each_verb() {
    let here = Installation::new();
    let dir = here.path("man");
    here.data(&["man", dir.to_str().unwrap()]);
    assert!(entries(&dir) > 40);
    let page = std::fs::read_to_string(dir.join("pitrix.1")).unwrap();
    assert!(page.contains("Exit codes:"), "{page}");
    assert!(dir.join("pitrix-cluster-upgrade.1").exists());
}

//! What shells and readers of manuals get.

use crate::installation::{Installation, entries};

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

//! What users get wrong, and what fails.

use crate::installation::{Installation, said};
use std::fs;

#[test]
fn mistakes_are_answered_with_what_to_do() {
    let here = Installation::new();
    let check = |args: &[&str], code: i32, expected: &str| {
        let output = here.run(args);
        assert_eq!((said(&output).as_str(), output.status.code()), (expected, Some(code)), "{args:?}");
        assert_eq!(output.stdout, b"", "{args:?}");
    };
    check(
        &["cluster", "describe", "nobody"],
        4,
        "error: there is no cluster `nobody`\nhelp: there are none; make one with `pitrix cluster create`\n",
    );
    check(
        &["runtime", "create", "there", "--provider", "nimbus"],
        4,
        "error: there is no provider `nimbus`\nhelp: compiled in: local\n",
    );
    check(
        &["cluster", "create", "one", "--app", "tiny@1.0.0", "--set", "cluster.node=2"],
        3,
        "error: --set: `cluster.node` is not a key of this package, did you mean `name`?; known here: name, web, timeout\n\
         help: `pitrix app config tiny@1.0.0` lists the keys\n",
    );
    check(
        &["cluster", "create", "one", "--app", "tiny@1.0.0", "--set", "env.password=secret"],
        3,
        "error: `env.password` is a password, and arguments are for everybody to see\n\
         help: put it into a file that only you can read and give that with `--file`\n",
    );
    check(
        &["app", "push", "no/such/place"],
        4,
        "error: reading `no/such/place`\n  cause: No such file or directory (os error 2)\n",
    );
    check(
        &["job", "describe", "j-9"],
        4,
        "error: there is no job `j-9`\nhelp: `pitrix job list` shows those that there are\n",
    );
}

#[test]
fn deleting_without_a_terminal_and_without_yes_is_an_error_and_never_hangs() {
    let here = Installation::new();
    here.data(&["cluster", "create", "one", "--app", "tiny@1.0.0"]);
    let output = here.run(&["cluster", "delete", "one"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        said(&output),
        "error: deleting cluster `one` asks for its name, and there is no terminal to ask on\n\
         help: add `--yes` to do it without a question\n"
    );
    assert_eq!(here.data(&["cluster", "list", "-o", "name"]), "one\n");
}

#[test]
fn a_file_of_answers_is_refused_by_line_and_key() {
    let here = Installation::new();
    let file = here.path("conf.json");
    fs::write(&file, "{\n  \"cluster\": {\n    \"web\": {\"count\": 4}\n  }\n}\n").unwrap();
    let output = here.run(&["plan", "create", "one", "--app", "tiny@1.0.0", "-f", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    let place = format!("{}:3: `cluster.web.count`", file.display());
    assert!(said(&output).contains(&place), "{}", said(&output));
}

#[test]
fn a_service_that_fails_says_so_and_retry_goes_on_once_it_is_repaired() {
    let here = Installation::new();
    fs::write(here.path("fail"), "").unwrap();
    let output = here.run(&["cluster", "create", "one", "--app", "tiny@1.0.0"]);
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    for expected in [
        "error: create one failed: web-1: ",
        "ended with exit code 7",
        "no luck today",
        "next      `pitrix job retry j-1` goes on from where it stands",
        "`pitrix cluster delete one` removes what was made",
    ] {
        assert!(text.contains(expected), "`{expected}` is missing in:\n{text}");
    }
    let list = here.data(&["cluster", "list"]);
    assert!(list.contains("ended with exit code 7"), "{list}");
    fs::remove_file(here.path("fail")).unwrap();
    here.data(&["job", "retry", "j-1"]);
    assert_eq!(here.json(&["cluster", "describe", "one"])["status"], "active");
    assert_eq!(here.json(&["job", "describe", "j-1"])["run"], 2);
}

#[test]
fn a_service_that_hangs_is_killed_at_its_timeout() {
    let here = Installation::new();
    here.hold();
    let output = here.run(&["cluster", "create", "one", "--app", "tiny@1.0.0", "--set", "cluster.timeout=1"]);
    assert_eq!(output.status.code(), Some(8), "{}", said(&output));
    assert!(said(&output).contains("did not end within 1s and was killed"), "{}", said(&output));
    here.data(&["cluster", "delete", "one", "--yes", "--force"]);
    assert_eq!(here.data(&["orphans", "-o", "name"]), "");
}

#[test]
fn of_two_actions_on_one_cluster_one_is_accepted_and_the_other_names_its_job() {
    let here = Installation::new();
    here.data(&["cluster", "create", "one", "--app", "tiny@1.0.0"]);
    here.hold();
    let both = [(); 2].map(|()| here.start(&["cluster", "stop", "one", "--detach"]));
    let both = both.map(|child| child.wait_with_output().unwrap());
    let codes = both.each_ref().map(|output| output.status.code().unwrap());
    assert!(codes == [0, 5] || codes == [5, 0], "{codes:?}: {} {}", said(&both[0]), said(&both[1]));
    let refused = both.iter().find(|output| !output.status.success()).unwrap();
    assert!(said(refused).contains("j-2"), "{}", said(refused));
    here.until_held();
    here.release();
    here.data(&["job", "watch", "j-2"]);
}

#[test]
fn a_cancelled_job_ends_at_a_safe_point_and_the_cluster_can_be_deleted() {
    let here = Installation::new();
    here.hold();
    here.data(&["cluster", "create", "one", "--app", "tiny@1.0.0", "--detach"]);
    here.until_held();
    let cancelled = here.run(&["job", "cancel", "j-1"]);
    assert!(said(&cancelled).contains("error: create one cancelled: "), "{}", said(&cancelled));
    assert_eq!(cancelled.status.code(), Some(1));
    here.release();
    here.data(&["cluster", "delete", "one", "--yes"]);
    assert_eq!(here.data(&["orphans", "-o", "name"]), "");
}

//! Commands: how they run, end and are reported.

use crate::instance::{Instance, PATIENCE, Pinned, daemon, named, service, tell};
use agent::UnixPilot;
use provider_core::{Command, CommandState, ErrorKind, Pilot, Token};
use std::{
    fs::{self},
    time::Duration,
};

#[tokio::test]
async fn a_failing_command_is_reported_with_code_and_tail() {
    let instance = Instance::start().await;
    let report = instance.run("c1", &service("echo of no use; echo >&2 out of luck; exit 7")).await;
    let error = report.error.unwrap();
    assert_eq!((error.kind(), report.exit_code), (ErrorKind::Failed, Some(7)));
    assert_eq!(error.to_string(), "service `start` ended with exit code 7");
    assert_eq!(report.output, "of no use\nout of luck\n");
    let logs = UnixPilot.logs(&instance.agent, 1).await.unwrap();
    assert_eq!(logs, "==> 1-start <==\nout of luck\n");
    assert_eq!(instance.state("never", Duration::ZERO).await, CommandState::Unknown);
}

#[tokio::test]
async fn a_command_finds_its_node_in_the_environment_and_nothing_else_of_ours() {
    let instance = Instance::start().await;
    let text = instance.sh("c-1", "pwd; env | grep PITRIX_ | sort").await;
    let root = instance.path("root").canonicalize().unwrap();
    let token = instance.token();
    let root = root.display();
    assert_eq!(
        text,
        format!(
            "{root}\nPITRIX_ADDRESS=127.1.2.3\nPITRIX_COMMAND=c-1\nPITRIX_INSTANCE={token}\nPITRIX_NODE=db-1\nPITRIX_ROOT={root}\n"
        )
    );
}

#[tokio::test]
async fn a_service_finds_its_parameters_in_the_environment() {
    let instance = Instance::start().await;
    let run = async |id: &str, name: &str| {
        let params = [(name.to_owned(), "s3 $(cr)\net".to_owned())].into();
        let cmd = "printf %s \"$PITRIX_PARAM_TARGET_1\"".into();
        let backup = Command::Service { name: "backup".into(), cmd, timeout_s: 60, params };
        instance.run(id, &backup).await
    };
    assert_eq!(run("c1", "target_1").await.output, "s3 $(cr)\net");
    let refused = run("c2", "target-1").await.error.unwrap();
    assert_eq!(
        (refused.kind(), refused.to_string().as_str()),
        (ErrorKind::Invalid, "parameter `target-1` of service `backup` has a bad name")
    );
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_at_its_timeout_with_its_children_and_daemons() {
    let instance = Instance::start().await;
    instance.sh("before", &daemon("app")).await;
    // One daemon keeps its environment, one throws it away, and the shell hangs.
    let cmd =
        format!("{}; {}; sleep 1000", daemon("kept"), daemon("bare").replace("setsid", "env -i setsid"));
    let hang = Command::Service { name: "hang".into(), cmd, timeout_s: 1, params: [].into() };
    let report = instance.run("hang", &hang).await;
    let error = report.error.unwrap();
    assert_eq!((error.kind(), report.exit_code), (ErrorKind::TimedOut, None));
    assert_eq!(error.to_string(), "service `hang` did not end within 1s and was killed");
    assert_eq!(instance.processes().await, 1, "only the daemon of the command before");
    assert!(Pinned::new(&instance.path("root/app")).lives());
}

#[tokio::test]
async fn a_look_does_not_wait_behind_a_command_and_commands_run_in_order() {
    let instance = Instance::start().await;
    let gate = instance.pipe("gate");
    instance.submit("first", &service("read x <gate; echo first >>order")).await;
    instance.submit("second", &service("echo second >>order")).await;
    assert_eq!(instance.state("second", Duration::ZERO).await, CommandState::Running);
    let patient = tokio::spawn({
        let agent = instance.agent.clone();
        async move { UnixPilot.look(&agent, &Token::new("second"), PATIENCE).await }
    });
    assert_eq!(instance.state("first", Duration::ZERO).await, CommandState::Running);
    tell(gate).await;
    assert!(matches!(patient.await.unwrap().unwrap(), CommandState::Ended(_)));
    assert_eq!(fs::read_to_string(instance.path("root/order")).unwrap(), "first\nsecond\n");
}

#[tokio::test]
async fn output_is_bounded_in_reports_and_on_disk() {
    use std::os::unix::fs::MetadataExt;
    let instance = Instance::start().await;
    let report =
        instance.run("big", &service("head -c 20000000 /dev/zero | tr '\\0' 'é'; echo; echo end")).await;
    assert!(report.output.len() <= 4096 && report.output.ends_with("\nend\n"), "{}", report.output.len());
    let log = fs::metadata(instance.path("log/1-start.log")).unwrap();
    assert!(log.len() > 20_000_000 && log.blocks() * 512 <= 8 << 20, "{} blocks", log.blocks());
    for n in 0..100 {
        instance.sh(&format!("c{n}"), "echo many").await;
    }
    let logs = UnixPilot.logs(&instance.agent, 3).await.unwrap();
    assert_eq!(logs, "==> 99-start <==\nmany\n==> 100-start <==\nmany\n==> 101-start <==\nmany\n");
    // A name that is no name for a file.
    instance.run("named", &named("../../x y", "echo z")).await;
    assert!(instance.path("log/102-.._.._x_y.log").exists());
}

#[tokio::test]
async fn an_older_agent_is_not_given_what_it_does_not_know() {
    use std::io::{Read, Write};
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("drone.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let older = std::thread::spawn(move || {
        let mut pilot = listener.accept().unwrap().0;
        pilot.write_all(b"\0\0\0\x16{\"pitrix_agent\":[1,1]}").unwrap();
        let mut heard = String::new();
        pilot.read_to_string(&mut heard).unwrap();
        heard
    });
    let agent = format!("unix:{}", path.display());
    let wait = Command::AwaitHealthy { timeout_s: 1 };
    let refused = UnixPilot.submit(&agent, &Token::new("c"), &wait).await.unwrap_err();
    assert_eq!((refused.kind(), refused.hint_text().is_some()), (ErrorKind::Unsupported, true));
    let heard = older.join().unwrap();
    assert!(heard.ends_with(r#"{"pitrix_agent":[1,2]}"#), "{heard}");
}

#[tokio::test]
async fn whoever_says_nothing_or_nonsense_disturbs_nobody() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    let instance = Instance::start().await;
    // The path is too long to connect to; its directory is not.
    let link = instance.place.path().join("short");
    std::os::unix::fs::symlink(instance.directory(), &link).unwrap();
    let connect = || UnixStream::connect(link.join("drone.sock")).unwrap();
    let silent = connect();
    let mut nonsense = connect();
    nonsense.write_all(b"\xff\xff\xff\xffGET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(nonsense.read(&mut [0; 64]).unwrap_or(0), 0);
    let mut newer = connect();
    newer.write_all(b"\0\0\0\x19{\"pitrix_agent\":[98, 99]}").unwrap();
    let mut answer = String::new();
    newer.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with(r#"{"pitrix_agent":[1,2]}"#), "{answer}");
    instance.sh("c", "true").await;
    drop(silent);
}

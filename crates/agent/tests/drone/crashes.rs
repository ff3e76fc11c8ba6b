//! What survives the end of the worker, of the keeper and of the instance.

use crate::instance::{Instance, Pinned, daemon, hear, service, start_keeper};
use agent::UnixPilot;
use provider_core::{ErrorKind, Pilot, Token};
use rustix::process::{PidfdFlags, pidfd_open};
use std::fs::{self, File};

#[tokio::test]
async fn the_same_id_is_the_same_command() {
    let mut instance = Instance::start().await;
    let command = service("echo once >>ran");
    instance.submit("c1", &command).await;
    instance.submit("c1", &command).await;
    instance.end("c1").await;
    instance.submit("c1", &command).await;
    instance.kill_worker();
    instance.answers().await;
    instance.submit("c1", &command).await;
    instance.sh("c2", "true").await;
    assert_eq!(fs::read_to_string(instance.path("root/ran")).unwrap(), "once\n");
    assert_eq!(instance.end("c1").await.exit_code, Some(0));
    for id in ["", "a/b", "a=b", &"x".repeat(200)] {
        let refused = UnixPilot.submit(&instance.agent, &Token::new(id), &command).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
}

#[tokio::test]
async fn a_killed_worker_comes_back_and_what_it_ran_is_lost() {
    let mut instance = Instance::start().await;
    instance.sh("app", &daemon("app")).await;
    let app = Pinned::new(&instance.path("root/app"));
    let pipe = instance.pipe("pipe");
    instance.submit("cut", &service(&format!("{}; echo >pipe; sleep 1000", daemon("half")))).await;
    instance.submit("next", &service("echo next")).await;
    hear(pipe).await;
    let half = Pinned::new(&instance.path("root/half"));

    instance.kill_worker();
    instance.answers().await;
    let lost = instance.end("cut").await.error.unwrap();
    assert_eq!(lost.kind(), ErrorKind::Lost);
    assert_eq!(instance.end("next").await.output, "next\n");
    assert!(app.lives() && !half.lives());
    assert_eq!(fs::read_dir(instance.path("drone/queue")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_killed_keeper_leaves_the_lock_to_the_daemons_and_the_next_one_ends_them() {
    let mut instance = Instance::start().await;
    instance.sh("app", &daemon("app")).await;
    let bare = daemon("bare").replace("setsid", "env -i setsid");
    instance.sh("bare", &bare).await;
    let daemons = ["app", "bare"].map(|name| Pinned::new(&instance.path("root").join(name)));
    let worker = Pinned(pidfd_open(instance.worker(), PidfdFlags::empty()).unwrap());
    instance.keeper.kill().unwrap();
    instance.keeper.wait().unwrap();
    // The worker goes with its keeper.
    worker.ends();
    assert!(instance.is_running() && daemons.iter().all(Pinned::lives));

    instance.start_again().await;
    assert!(!daemons.iter().any(Pinned::lives));
    assert_eq!(instance.processes().await, 0);
    assert_eq!(instance.end("app").await.exit_code, Some(0), "what ended is known still");
}

#[tokio::test]
async fn a_second_keeper_leaves_the_first_alone() {
    let instance = Instance::start().await;
    instance.sh("app", &daemon("app")).await;
    assert!(start_keeper(&instance.directory()).wait().unwrap().success());
    assert_eq!(instance.processes().await, 1);
    let log = fs::read_to_string(instance.path("log/drone.log")).unwrap();
    assert!(log.contains("another drone keeps this instance"), "{log}");
}

#[tokio::test]
async fn sigterm_ends_everything_and_frees_the_locks() {
    let mut instance = Instance::start().await;
    instance.sh("app", &daemon("app")).await;
    let pipe = instance.pipe("pipe");
    instance.submit("busy", &service("echo >pipe; sleep 1000")).await;
    hear(pipe).await;
    let app = Pinned::new(&instance.path("root/app"));
    assert!(instance.is_running());
    instance.stop();
    assert!(!app.lives() && !instance.is_running());
    File::open(instance.path("drone.lock")).unwrap().try_lock().unwrap();
    assert!(!instance.path("drone.sock").exists());
    let away = UnixPilot.status(&instance.agent).await.unwrap_err();
    assert_eq!(away.kind(), ErrorKind::Unavailable);

    instance.start_again().await;
    assert_eq!(instance.end("busy").await.error.unwrap().kind(), ErrorKind::Lost);
}

#[tokio::test]
async fn a_journal_with_a_torn_end_is_mended() {
    let mut instance = Instance::start().await;
    instance.sh("c1", "echo one").await;
    instance.stop();
    let journal = instance.path("drone/journal");
    let whole = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, format!("{whole}{{\"kind\":\"agent jou")).unwrap();
    instance.start_again().await;
    assert_eq!(instance.end("c1").await.output, "one\n");
    instance.sh("c2", "true").await;
    assert!(fs::read_to_string(&journal).unwrap().starts_with(&whole));
}

//! Health: what the agent finds out by itself, and waiting for it.

use crate::instance::{Instance, Pinned, daemon, hear, named, service, tell};
use agent::UnixPilot;
use provider_core::{
    Command, CommandState, Configuration, ErrorKind, Health, HealthCheck, Pilot, Report, Secret,
};
use std::{fs, time::Duration};

fn check(check_cmd: &str) -> HealthCheck {
    HealthCheck {
        enable: true,
        interval_s: 1,
        timeout_s: 600,
        action_timeout_s: 600,
        healthy_threshold: 2,
        unhealthy_threshold: 2,
        check_cmd: check_cmd.into(),
        action_cmd: String::new(),
    }
}

async fn configure(instance: &Instance, health_check: Option<HealthCheck>) {
    let configuration = Configuration {
        cluster: "cl-1".into(),
        node: "db-1".into(),
        files: [].into(),
        templates: Vec::new(),
        metadata: Secret::new("{}"),
        passphraseless: None,
        health_check,
        custom_metadata: None,
    };
    let report = instance.run("configure", &Command::Configure(Box::new(configuration))).await;
    assert_eq!(report, Report::default());
}

/// Waits until a file in the root has that many lines.
async fn lines(instance: &Instance, file: &str, at_least: usize) {
    let count = || fs::read_to_string(instance.path("root").join(file)).unwrap_or_default().lines().count();
    instance.health(|_| count() >= at_least).await;
}

#[tokio::test]
async fn a_service_that_dies_is_found_acted_upon_once_and_healthy_again() {
    let instance = Instance::start().await;
    assert_eq!(UnixPilot.status(&instance.agent).await.unwrap().health, None);
    let alive = "echo >>checks; kill -0 $(cat app) 2>/dev/null || { echo nobody is there; exit 1; }";
    let action_cmd = "echo acted >>actions; echo sorry; exit 3".into();
    configure(&instance, Some(HealthCheck { action_cmd, ..check(alive) })).await;
    let told = |health: &Health| (health.started, health.healthy, health.cause.clone().unwrap_or_default());
    assert_eq!(told(&instance.health(|_| true).await), (false, false, String::new()));

    instance.sh("start", &daemon("app")).await;
    let well = instance.health(|health| health.healthy).await;
    assert_eq!(told(&well), (true, true, String::new()));
    Pinned::new(&instance.path("root/app")).kill();
    let acted = |health: &Health| health.cause.as_ref().is_some_and(|cause| cause.contains("; "));
    let ill = instance.health(acted).await;
    let cause = "health check failed 2 times: nobody is there; its action ended with exit code 3";
    assert!(well.since < ill.since);
    assert_eq!(told(&ill), (true, false, cause.to_owned()));

    // It stays so for more checks than the threshold, without a control side.
    fs::write(instance.path("root/checks"), "").unwrap();
    lines(&instance, "checks", 3).await;
    assert_eq!(fs::read_to_string(instance.path("root/actions")).unwrap(), "acted\n");
    let logs = UnixPilot.logs(&instance.agent, 100).await.unwrap();
    assert_eq!(logs, "==> 0-health-action <==\nsorry\n");
    // Each check begins its log anew, so that there are moments when it is empty.
    let check_log = instance.path("log/check.log");
    instance.health(|_| fs::read_to_string(&check_log).is_ok_and(|log| log == "nobody is there\n")).await;

    // Whoever brings it back need not be a service that the agent knows.
    instance.run("repair", &named("repair", &daemon("app").replace("mkfifo", "rm -f *.ready; mkfifo"))).await;
    let well = instance.health(|health| health.healthy).await;
    assert_eq!(told(&well), (true, true, String::new()));
    assert_eq!(fs::read_to_string(instance.path("root/actions")).unwrap(), "acted\n");
}

#[tokio::test]
async fn a_service_that_stops_ends_the_check_and_has_none_beside_it() {
    let mut instance = Instance::start().await;
    let pipe = instance.pipe("pipe");
    configure(&instance, Some(check("echo check >>order; echo >pipe; sleep 1000"))).await;
    instance.sh("start", &daemon("app")).await;
    hear(pipe.clone()).await;
    assert_eq!(instance.processes().await, 1, "a check's processes are not the application's");

    let gate = instance.pipe("gate");
    let stop = "echo begin >>order; echo >pipe; read x <gate; echo end >>order; exit 1";
    instance.submit("stop", &named("stop", stop)).await;
    hear(pipe.clone()).await;
    let health = instance.health(|_| true).await;
    assert_eq!((health.started, health.healthy, health.cause), (false, false, None));
    tell(gate).await;
    assert_eq!(instance.end("stop").await.exit_code, Some(1));
    let order = fs::read_to_string(instance.path("root/order")).unwrap();
    assert_eq!(order, "check\nbegin\nend\n");

    // With the next start the checks go on; the one that runs ends with the instance.
    instance.submit("restart", &named("restart", "true")).await;
    hear(pipe).await;
    instance.stop();
    assert!(!instance.is_running());
}

#[tokio::test]
async fn a_check_that_takes_too_long_has_failed() {
    let instance = Instance::start().await;
    let hangs = check("echo waiting; sleep 1000");
    configure(&instance, Some(HealthCheck { timeout_s: 1, unhealthy_threshold: 1, ..hangs })).await;
    instance.run("start", &service("true")).await;
    let failed = |health: &Health| health.cause.as_ref().is_some_and(|cause| cause.contains("check failed"));
    let cause = instance.health(failed).await.cause.unwrap();
    assert_eq!(cause, "health check failed: it did not end within 1s and was killed");
}

#[tokio::test]
async fn whoever_waits_for_health_gets_it_soon_or_the_reason() {
    let instance = Instance::start().await;
    let awaits = |timeout_s| Command::AwaitHealthy { timeout_s };
    assert_eq!(instance.run("unchecked", &awaits(0)).await, Report::default());

    // An interval that the test does not outlast.
    let ready = "echo >>checks; test -e ready || { echo out of; echo luck; exit 1; }";
    configure(&instance, Some(HealthCheck { interval_s: 86_400, healthy_threshold: 3, ..check(ready) }))
        .await;
    let report = instance.run("late", &awaits(1)).await;
    let error = report.error.unwrap();
    assert_eq!((error.kind(), report.output.as_str()), (ErrorKind::TimedOut, "out of\nluck\n"));
    assert_eq!(error.to_string(), "the node did not become healthy within 1s");
    assert_eq!(error.causes(), ["the last health check failed: luck"]);

    instance.run("start", &service("true")).await;
    instance.submit("await", &awaits(600)).await;
    lines(&instance, "checks", 1).await;
    assert_eq!(instance.state("await", Duration::ZERO).await, CommandState::Running);
    let health = instance.health(|health| health.cause.as_ref().is_some_and(|c| c.ends_with("luck"))).await;
    assert_eq!(health.cause.unwrap(), "no health check has passed since the start: luck");
    fs::write(instance.path("root/ready"), "").unwrap();
    assert_eq!(instance.end("await").await, Report::default());
    assert!(instance.health(|_| true).await.healthy);
    fs::write(instance.path("root/checks"), "").unwrap();
    assert_eq!(instance.run("again", &awaits(600)).await, Report::default());
    lines(&instance, "checks", 3).await;
}

#[tokio::test]
async fn nobody_waits_for_an_application_that_is_dead() {
    let instance = Instance::start().await;
    let awaits = Command::AwaitHealthy { timeout_s: 600 };
    let alive = "echo >>checks; kill -0 $(cat app) 2>/dev/null || { echo nobody is there; exit 1; }";
    configure(&instance, Some(check(alive))).await;
    instance.sh("start", &daemon("app")).await;
    assert_eq!(instance.run("alive", &awaits).await, Report::default());
    Pinned::new(&instance.path("root/app")).kill();
    let error = instance.run("dead", &awaits).await.error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert_eq!(error.to_string(), "the node will not become healthy: no process of the application is left");
    assert_eq!(error.causes(), ["the last health check failed: nobody is there"]);

    // What is left may come up yet.
    let start = daemon("other").replace("mkfifo", "rm -f *.ready app; mkfifo");
    instance.sh("start-again", &start).await;
    instance.submit("slow", &awaits).await;
    instance.health(|health| health.cause.as_ref().is_some_and(|cause| cause.contains("2 times"))).await;
    fs::write(instance.path("root/checks"), "").unwrap();
    lines(&instance, "checks", 2).await;
    assert_eq!(instance.state("slow", Duration::ZERO).await, CommandState::Running);
    fs::copy(instance.path("root/other"), instance.path("root/app")).unwrap();
    assert_eq!(instance.end("slow").await, Report::default());
}

#[tokio::test]
async fn what_the_action_of_a_check_brings_back_is_waited_for() {
    let instance = Instance::start().await;
    let action_cmd = daemon("app").replace("mkfifo", "rm -f *.ready app; mkfifo");
    configure(&instance, Some(HealthCheck { action_cmd, ..check("kill -0 $(cat app)") })).await;
    instance.sh("start", &daemon("app")).await;
    instance.health(|health| health.healthy).await;
    Pinned::new(&instance.path("root/app")).kill();
    assert_eq!(instance.run("await", &Command::AwaitHealthy { timeout_s: 600 }).await, Report::default());
}

#[tokio::test]
async fn what_is_known_of_health_outlives_the_worker_and_not_the_instance() {
    let mut instance = Instance::start().await;
    let pipe = instance.pipe("pipe");
    let mut hangs =
        check("test -e once || { echo >once; exit 0; }; echo $$ >hangs; echo >pipe; exec sleep 1000");
    hangs.healthy_threshold = 1;
    configure(&instance, Some(hangs)).await;
    instance.run("start", &service("true")).await;
    let before = instance.health(|health| health.healthy).await;
    hear(pipe.clone()).await;
    let check = Pinned::new(&instance.path("root/hangs"));
    instance.kill_worker();
    assert_eq!(instance.health(|_| true).await, before);
    check.ends();

    instance.stop();
    instance.start_again().await;
    let health = instance.health(|_| true).await;
    let cause = "the instance was started anew and its services were not";
    assert_eq!((health.started, health.healthy, health.cause.as_deref()), (true, false, Some(cause)));
    instance.run("stop", &named("stop", "true")).await;
    assert!(!instance.health(|_| true).await.started);
}

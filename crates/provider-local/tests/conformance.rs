//! The local provider keeps the rules for providers, with the real agent under its instances. This program is
//! that agent as well: the provider starts it again with an instance's directory.

use async_trait::async_trait;
use conformance::{
    package,
    rules::{self, Harness, Subject},
};
use provider_core::{
    Archive, Clock, Credential, DeploymentId, Host, ProviderId, Registry, Runtime, Timestamp, Zone,
};
use provider_local as _;
use rustix::process::{Pid, Signal, kill_process};
use std::{env, fs, path::Path, process::ExitCode, sync::Arc, time::Duration};
use tempfile::TempDir;

const DRONE: &str = "__drone";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().collect();
    if let [_, verb, instance] = &arguments[..]
        && verb == DRONE
    {
        return agent::drone::main(Path::new(instance));
    }
    // A filter, as the test harness of Rust takes it: this is one test.
    if let [_, filter] = &arguments[..]
        && !"conformance".contains(filter.as_str())
    {
        println!("test result: ok. 0 passed; 0 failed; 0 ignored");
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let report = runtime.block_on(rules::check(&Harness { subject: Box::new(subject), skip: &[] }));
    println!("{report}");
    report.demand();
    // A rule that asks nothing of this provider, and says so above, is no test that was left out.
    println!("test result: ok. {} passed; 0 failed; 0 ignored", report.passed.len());
    ExitCode::SUCCESS
}

fn subject() -> Subject {
    let dir = tempfile::tempdir().expect("a directory");
    let program = env::current_exe().expect("this program").to_str().expect("a path in UTF-8").to_owned();
    let host = Host {
        deployment: DeploymentId::new("d-1"),
        data: dir.path().to_owned(),
        agent: vec![program, DRONE.to_owned()],
        clock: Arc::new(MachineClock),
    };
    let registry = Registry::discover(&["local"], &["local"]).expect("one provider registers itself");
    Subject {
        provider: registry.build(&ProviderId::new("local"), &host).expect("it is registered"),
        runtime: Runtime {
            id: "local".into(),
            description: String::new(),
            provider: ProviderId::new("local"),
            endpoint: String::new(),
            zone: Zone::new("local"),
            labels: Default::default(),
        },
        credential: Credential::default(),
        clock: Arc::new(MachineClock),
        package: of_processes(&package().expect("it is a good package")),
        conf: serde_json::json!({}),
        keep: Box::new(World(dir)),
    }
}

/// A data directory. Rules leave their instances as they are, so it ends them.
struct World(TempDir);

impl Drop for World {
    fn drop(&mut self) {
        let dir = self.0.path().to_string_lossy().into_owned();
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let pid = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
            if let Some(pid) = pid.filter(|_| String::from_utf8_lossy(&command).contains(&dir)) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// The package, for the kind of container that there is here.
fn of_processes(package: &Archive) -> Archive {
    let rewritten = |(path, content): (&str, &[u8])| {
        (path.to_owned(), String::from_utf8_lossy(content).replace("\"kvm\"", "\"process\"").into_bytes())
    };
    Archive::from_files(package.files().map(rewritten)).expect("it was one before")
}

/// The machine's own time: processes start and end in it.
struct MachineClock;

#[async_trait]
impl Clock for MachineClock {
    #[allow(clippy::disallowed_methods, reason = "this is where time is injected")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(since.as_millis().try_into().unwrap_or(i64::MAX))
    }

    #[allow(clippy::disallowed_methods, reason = "this is where time is injected")]
    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

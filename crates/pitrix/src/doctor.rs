//! `doctor`: a look at this installation.

use crate::{
    executor::{Hello, Post, greet},
    exit::{Exit, Failure, Outcome},
    health::{self, State},
    print::{Column, Item, column},
    screen::{Screen, count},
    site::Site,
};
use engine::ClusterFilter;
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// How much of the executor's log to show.
const LOG_LINES: usize = 5;

/// Looks at the state directory, the executor, the database, the key and the agents.
pub(crate) async fn run(site: &Site, screen: &Screen) -> Outcome {
    let post = Post::new(&site.dir);
    let executor = greet(&post).await.ok().map(|line| line.hello);
    let jobs = site.store().running_jobs().await?.len();
    let size = |name: &str| fs::metadata(site.dir.join(name)).map(|file| file.len()).ok();
    let clusters = site.store().clusters(&ClusterFilter::default()).await?;
    let healths = health::ask(site, &clusters).await;
    let asked =
        clusters.iter().zip(&healths).filter_map(|(cluster, health)| Some((cluster, health.as_ref()?)));
    let mut agents = Agents::default();
    for (cluster, health) in asked {
        for (id, node) in &health.nodes {
            agents.asked += 1;
            if node.state == State::Unreachable {
                agents.unreachable.push(format!("{id} of {}", cluster.spec.name));
            }
        }
    }
    let view = DoctorView {
        state: site.dir.clone(),
        deployment: site.store().deployment().to_string(),
        version: env!("CARGO_PKG_VERSION"),
        executor,
        executor_log: last_lines(&post.log()),
        running_jobs: jobs,
        jobs_kept_days: site.store().kept_days().await?,
        database_bytes: size("pitrix.db"),
        key_file: size("key").is_some(),
        agents,
    };
    screen.one(&view, || view.sheet(screen))?;
    let mut ill = false;
    if view.executor.is_none() && jobs > 0 {
        ill = true;
        screen.warn(&format!(
            "{} and no executor; `pitrix job watch JOB` starts one; see `{}` for why the last one ended",
            count(jobs, "running job"),
            post.log().display()
        ));
    }
    if !view.key_file {
        ill = true;
        screen.warn("there is no key file: stored credentials can't be opened");
    }
    if !view.agents.unreachable.is_empty() {
        ill = true;
        screen.warn(
            "agents that should answer don't; `pitrix cluster recover NAME` looks after a cluster's nodes",
        );
    }
    if ill { Err(Failure::Said(Exit::Error)) } else { Ok(()) }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DoctorView {
    state: PathBuf,
    deployment: String,
    version: &'static str,
    /// None when there is none, which is fine without jobs.
    executor: Option<Hello>,
    /// The end of what executors wrote.
    executor_log: Vec<String>,
    running_jobs: usize,
    /// None when they are kept for ever.
    jobs_kept_days: Option<u32>,
    database_bytes: Option<u64>,
    key_file: bool,
    agents: Agents,
}

/// The agents of the clusters that are meant to work.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Agents {
    asked: usize,
    /// Those that did not answer.
    unreachable: Vec<String>,
}

impl Agents {
    fn shown(&self) -> String {
        match self.unreachable.as_slice() {
            [] if self.asked == 0 => "none".to_owned(),
            [] => format!("{} answer", self.asked),
            unreachable => format!(
                "{}/{} answer; not {}",
                self.asked - unreachable.len(),
                self.asked,
                unreachable.join(", ")
            ),
        }
    }
}

fn last_lines(log: &Path) -> Vec<String> {
    // It is kept short by whoever starts an executor.
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].iter().map(|line| (*line).to_owned()).collect()
}

impl DoctorView {
    fn sheet(&self, screen: &Screen) -> String {
        let executor = match &self.executor {
            Some(hello) => {
                format!("alive, process {}, epoch {}, version {}", hello.pid, hello.epoch, hello.version)
            }
            None => "not running; it starts with the next job".to_owned(),
        };
        let kept = match self.jobs_kept_days {
            Some(days) => count(days as usize, "day"),
            None => "for ever; `pitrix job prune` forgets old ones".to_owned(),
        };
        let kib = |bytes: u64| format!("{} KiB", bytes / 1024);
        let mut text = screen.pairs(&[
            ("state", self.state.display().to_string()),
            ("deployment", self.deployment.clone()),
            ("version", self.version.to_owned()),
            ("executor", executor),
            ("running jobs", self.running_jobs.to_string()),
            ("jobs kept", kept),
            ("database", self.database_bytes.map_or("missing".to_owned(), kib)),
            ("key file", if self.key_file { "there" } else { "missing" }.to_owned()),
            ("agents", self.agents.shown()),
        ]);
        if !self.executor_log.is_empty() {
            let lines: Vec<_> = self.executor_log.iter().map(|line| vec![line.clone()]).collect();
            text.push('\n');
            text += &screen.aligned(&["EXECUTOR LOG"], &lines);
        }
        text
    }
}

impl Item for DoctorView {
    const KIND: &'static str = "Installation";
    const COLUMNS: &'static [Column] = &[column("STATE")];

    fn name(&self) -> String {
        self.state.display().to_string()
    }

    fn row(&self) -> Vec<String> {
        vec![self.name()]
    }
}

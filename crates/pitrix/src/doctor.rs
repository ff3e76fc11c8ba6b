//! `doctor`: a look at this installation.

use crate::{
    executor::{Hello, Post, greet},
    exit::{Exit, Failure, Outcome},
    print::{Column, Item, column},
    screen::{Screen, count},
    site::Site,
};
use serde::Serialize;
use std::{fs, path::PathBuf};

/// Looks at the state directory, the executor, the database and the key.
pub(crate) async fn run(site: &Site, screen: &Screen) -> Outcome {
    let post = Post::new(&site.dir);
    let executor = greet(&post).await.ok().map(|line| line.hello);
    let jobs = site.store().running_jobs().await?.len();
    let size = |name: &str| fs::metadata(site.dir.join(name)).map(|file| file.len()).ok();
    let view = DoctorView {
        state: site.dir.clone(),
        deployment: site.store().deployment().to_string(),
        version: env!("CARGO_PKG_VERSION"),
        executor,
        running_jobs: jobs,
        database_bytes: size("pitrix.db"),
        key_file: size("key").is_some(),
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
    running_jobs: usize,
    database_bytes: Option<u64>,
    key_file: bool,
}

impl DoctorView {
    fn sheet(&self, screen: &Screen) -> String {
        let executor = match &self.executor {
            Some(hello) => {
                format!("alive, process {}, epoch {}, version {}", hello.pid, hello.epoch, hello.version)
            }
            None => "not running; it starts with the next job".to_owned(),
        };
        let kib = |bytes: u64| format!("{} KiB", bytes / 1024);
        screen.pairs(&[
            ("state", self.state.display().to_string()),
            ("deployment", self.deployment.clone()),
            ("version", self.version.to_owned()),
            ("executor", executor),
            ("running jobs", self.running_jobs.to_string()),
            ("database", self.database_bytes.map_or("missing".to_owned(), kib)),
            ("key file", if self.key_file { "there" } else { "missing" }.to_owned()),
        ])
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

//! `events`: what happened to jobs, in order.

use crate::{
    args::Events,
    exit::{Exit, Failure, Outcome},
    print::{Column, Item, column},
    progress::Progress,
    screen::{Screen, count, escaped},
    shapes::{ErrorView, moment},
    site::Site,
};
use engine::{Event, EventFilter, EventKind, FollowUp, JobInfo, TaskState};
use provider_core::{Error, JobId};
use serde::Serialize;
use std::{collections::HashMap, time::Duration};
use tokio::{select, signal::ctrl_c};

/// How often to look for more: no delay that a person sees.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How many to read at a time.
const AT_A_TIME: u32 = 500;

/// Lists events and, if asked for, follows them.
pub(crate) async fn run(which: Events, site: &Site, screen: &Screen) -> Outcome {
    let cluster = match which.cluster {
        Some(name) => Some(site.control.cluster(&name).await?.id),
        None => None,
    };
    if let Some(job) = &which.job {
        site.store().job(job).await?;
    }
    let filter = EventFilter { job: which.job, cluster };
    let mut jobs = Jobs::default();
    let past = since(site, 0, &filter).await?;
    let newest = past.last().map_or(0, |event| event.seq);
    screen.list(&jobs.views(site, past).await?, "nothing has happened")?;
    if !which.follow {
        return Ok(());
    }
    select! {
        ended = follow(site, screen, &filter, newest, &mut jobs) => ended,
        _ = ctrl_c() => Err(Failure::Said(Exit::Detached)),
    }
}

async fn follow(
    site: &Site,
    screen: &Screen,
    filter: &EventFilter,
    mut newest: u64,
    jobs: &mut Jobs,
) -> Outcome {
    loop {
        let events = since(site, newest, filter).await?;
        newest = events.last().map_or(newest, |event| event.seq);
        for view in jobs.views(site, events).await? {
            screen.one(&view, || view.line())?;
        }
        site.control.clock.sleep(LOOK_AGAIN).await;
    }
}

/// The events after `after`, all of them.
///
/// # Errors
/// `Store`.
pub(crate) async fn since(site: &Site, after: u64, filter: &EventFilter) -> Result<Vec<Event>, Error> {
    let mut all = Vec::new();
    let mut newest = after;
    loop {
        let events = site.store().events(newest, filter, AT_A_TIME).await?;
        let is_last = events.len() < AT_A_TIME as usize;
        newest = events.last().map_or(newest, |event| event.seq);
        all.extend(events);
        if is_last {
            return Ok(all);
        }
    }
}

/// The jobs that events are about, read once.
#[derive(Default)]
struct Jobs(HashMap<JobId, (JobInfo, Progress)>);

impl Jobs {
    async fn views(&mut self, site: &Site, events: Vec<Event>) -> Result<Vec<EventView>, Error> {
        let mut views = Vec::new();
        for event in events {
            if !self.0.contains_key(&event.job) {
                let work = site.store().job_work(&event.job).await?;
                self.0.insert(event.job.clone(), (work.info, Progress::new(&work.plan)));
            }
            let (info, progress) = self.0.get_mut(&event.job).expect("it was put there if it was missing");
            views.push(EventView::new(&event, info, progress));
        }
        Ok(views)
    }
}

/// What a job that follows another is for.
fn purpose(why: FollowUp, cluster: &str) -> String {
    match why {
        FollowUp::Undo => format!("rolls `{cluster}` back"),
        FollowUp::Tell => format!("tells `{cluster}` the new addresses"),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventView {
    seq: u64,
    at: String,
    job: String,
    cluster: String,
    event: &'static str,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView>,
    /// What a service printed that an operator ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

impl EventView {
    fn new(event: &Event, info: &JobInfo, progress: &Progress) -> Self {
        let action = info.action.verb();
        let mut found = None;
        let mut printed = None;
        let (name, text) = match &event.kind {
            EventKind::Accepted { layers, tasks, .. } => (
                "accepted",
                format!(
                    "{action}, {} and {}",
                    count(*layers as usize, "layer"),
                    count(*tasks as usize, "task")
                ),
            ),
            EventKind::Retried { run } => ("retried", format!("run {run}")),
            EventKind::Cancelling => ("cancelling", "on request".to_owned()),
            EventKind::Started => ("started", "an executor works on it".to_owned()),
            EventKind::LayerStarted { layer } => ("layer", progress.layer_name(*layer).to_owned()),
            EventKind::Waiting { task, why } => ("waiting", format!("{}: {why}", progress.label(*task))),
            EventKind::Task { task, state, output, .. } => {
                printed.clone_from(output);
                found = state.error();
                let name = match state {
                    TaskState::Running => "running",
                    TaskState::Paused { .. } => "paused",
                    TaskState::Done => "done",
                    TaskState::Failed { .. } => "failed",
                    TaskState::Cancelled => "cancelled",
                };
                (name, progress.label(*task))
            }
            EventKind::Ended { state, error } => {
                found = error.as_ref();
                ("ended", format!("{action} {}", state.as_str()))
            }
            EventKind::Followed { why, by, cluster } => {
                ("followed", format!("by {by}, which {}", purpose(*why, cluster)))
            }
            EventKind::NotFollowed { why, cluster, error } => {
                found = Some(error);
                ("not-followed", format!("by a job that {}", purpose(*why, cluster)))
            }
        };
        Self {
            seq: event.seq,
            at: moment(event.at),
            job: event.job.to_string(),
            cluster: info.cluster_name.clone(),
            event: name,
            text,
            error: found.map(ErrorView::new),
            output: printed,
        }
    }

    fn told(&self) -> String {
        match &self.error {
            Some(error) => format!("{}: {}", self.text, error.why()),
            None => self.text.clone(),
        }
    }

    /// As it is followed: the widths of later ones are not known yet.
    fn line(&self) -> String {
        let line =
            format!("{}  {:<5} {:<12}  {:<10}  {}", self.at, self.job, self.cluster, self.event, self.told());
        escaped(&line).into_owned() + "\n"
    }
}

impl Item for EventView {
    const KIND: &'static str = "Event";
    const COLUMNS: &'static [Column] =
        &[column("TIME"), column("JOB"), column("CLUSTER"), column("EVENT"), column("WHAT")];

    fn name(&self) -> String {
        self.seq.to_string()
    }

    fn row(&self) -> Vec<String> {
        vec![self.at.clone(), self.job.clone(), self.cluster.clone(), self.event.to_owned(), self.told()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Format;
    use insta::assert_snapshot;
    use provider_core::{
        ActionKind, ClusterId, Facts, JobState, Layer, NodeId, Plan, Task, TaskId, Timestamp, Work, Zone,
    };

    #[test]
    fn events_are_listed_with_what_they_are_about() {
        let info = JobInfo {
            id: JobId::new("j-7"),
            cluster: ClusterId::new("cl-1"),
            cluster_name: "cache".to_owned(),
            action: ActionKind::UpgradeCluster,
            state: JobState::Running,
            run: 1,
            created: Timestamp(0),
            ended: None,
            fold: None,
            error: None,
        };
        let work = Work::AwaitFrontgate;
        let task = Task { work, node: Some(NodeId::new("a-1")), failure_allowed: false, timeout_s: 1 };
        let layers = [Layer { name: "wait".to_owned(), tasks: vec![task] }];
        let progress = Progress::new(&Plan::new(Facts::none(Zone::new("z"), Timestamp(0)), layers));
        let task = TaskId { layer: 0, index: 0 };
        let error = Error::failed("it ended with exit code 7").because("no luck");
        let failed = TaskState::Failed { error: error.clone() };
        let kinds = [
            EventKind::Accepted { action: ActionKind::UpgradeCluster, layers: 1, tasks: 1 },
            EventKind::LayerStarted { layer: 0 },
            EventKind::Waiting { task, why: "it\x1b starts".to_owned() },
            EventKind::Task { task, attempt: 1, state: failed, output: None },
            EventKind::Ended { state: JobState::Failed, error: Some(error) },
        ];
        let views: Vec<_> = kinds
            .into_iter()
            .zip(1..)
            .map(|(kind, seq)| {
                let event = Event { seq, at: Timestamp(1_700_000_000_000), job: info.id.clone(), kind };
                EventView::new(&event, &info, &progress)
            })
            .collect();
        assert_snapshot!(Screen::plain(Format::Table).table(&views), @r"
        TIME                  JOB  CLUSTER  EVENT     WHAT
        2023-11-14T22:13:20Z  j-7  cache    accepted  upgrade, 1 layer and 1 task
        2023-11-14T22:13:20Z  j-7  cache    layer     wait
        2023-11-14T22:13:20Z  j-7  cache    waiting   a-1: await frontgate: it\u{1b} starts
        2023-11-14T22:13:20Z  j-7  cache    failed    a-1: await frontgate: it ended with exit code 7: no luck
        2023-11-14T22:13:20Z  j-7  cache    ended     upgrade failed: it ended with exit code 7: no luck
        ");
        assert_snapshot!(views[3].line(), @"2023-11-14T22:13:20Z  j-7   cache         failed      a-1: await frontgate: it ended with exit code 7: no luck");
    }
}

//! `job`: actions on clusters, running ones and those of the past.

mod view;

use crate::{
    args::{Format, JobVerb, Wait},
    clusters::carry_out,
    exit::{Exit, Failure, Outcome},
    screen::{Screen, Span, Tone, count},
    site::Site,
};
use engine::{EventFilter, JobInfo};
use provider_core::{ActionKind, Cluster, Error, JobId, JobState, NodeStatus};
use std::time::Duration;
use view::JobView;

/// Carries out a verb.
pub(crate) async fn run(verb: JobVerb, site: &Site, screen: &Screen) -> Outcome {
    let store = site.store();
    match verb {
        JobVerb::List { cluster } => {
            let cluster = match cluster {
                Some(name) => Some(site.control.cluster(&name).await?.id),
                None => None,
            };
            let mut views = Vec::new();
            for info in store.jobs(cluster.as_ref()).await? {
                let calls = match screen.format {
                    Format::Table | Format::Name => Vec::new(),
                    _ => store.calls(&info.id).await?,
                };
                views.push(JobView::new(&info, &calls, site.now()));
            }
            screen.list(&views, "there are no jobs")
        }
        JobVerb::Describe(job) => {
            let work = store.job_work(&job.id).await?;
            let calls = store.calls(&job.id).await?;
            let tasks = store.tasks(&job.id).await?;
            let in_doubt = store.in_doubt(Some(&job.id)).await?;
            let view =
                JobView::new(&work.info, &calls, site.now()).with_tasks(&work.plan, &tasks, in_doubt.len());
            screen.one(&view, || view.sheet(screen))
        }
        JobVerb::Watch(job) => watch(site, screen, &job.id, Wait { detach: false }, 0).await,
        JobVerb::Cancel { job, wait } => {
            store.cancel(&job.id).await?;
            watch(site, screen, &job.id, wait, newest_event(site, &job.id).await?).await
        }
        JobVerb::Retry { job, wait } => {
            let before = newest_event(site, &job.id).await?;
            store.retry(&job.id).await?;
            watch(site, screen, &job.id, wait, before).await
        }
    }
}

async fn watch(site: &Site, screen: &Screen, job: &JobId, wait: Wait, after: u64) -> Outcome {
    let cluster = site.store().job(job).await?.cluster;
    carry_out(site, screen, job, &cluster, wait, after).await
}

/// Says how a job ended, as a line or as an error with all that is known and what to do next.
///
/// # Errors
/// When it did not succeed, or not in all parts.
pub(crate) fn conclude(
    screen: &Screen,
    info: &JobInfo,
    took: Duration,
    cluster: Option<&Cluster>,
) -> Outcome {
    match info.state {
        JobState::Succeeded => {
            let text = match (info.action, cluster) {
                (ActionKind::DeleteClusters | ActionKind::CeaseClusters, _) | (_, None) => {
                    format!("{} deleted", info.cluster_name)
                }
                (_, Some(cluster)) => standing(cluster),
            };
            screen.say(Tone::Good, "done", &format!("{text} in {} (job {})", Span(took), info.id));
            match &info.fold {
                Some(fold) if !fold.failed.is_empty() => {
                    let failed = count(fold.failed.len(), "task");
                    screen.warn(&format!("{failed} failed; `pitrix job describe {}` names them", info.id));
                    Err(Failure::Said(Exit::Partial))
                }
                _ => Ok(()),
            }
        }
        _ => {
            let error = info.error.clone().unwrap_or_else(|| Error::bug("it ended without a reason"));
            let kind = error.kind();
            screen.error(&error.during(format!(
                "{} {} {}",
                info.action.verb(),
                info.cluster_name,
                info.state.as_str()
            )));
            screen.say(Tone::Plain, "next", &next_steps(info));
            Err(Failure::Said(Exit::of(kind)))
        }
    }
}

fn standing(cluster: &Cluster) -> String {
    let active = cluster.nodes.values().filter(|node| node.status == NodeStatus::Active).count();
    let nodes = cluster.nodes.len();
    let name = &cluster.spec.name;
    if active == 0 {
        format!("{name} {}, {}", cluster.status.as_str(), count(nodes, "node"))
    } else {
        format!("{name} {}, {active}/{} up", cluster.status.as_str(), count(nodes, "node"))
    }
}

fn next_steps(info: &JobInfo) -> String {
    let failed = info.fold.as_ref().map_or(0, |fold| fold.failed.len());
    let failed = if failed > 1 { format!(", {failed} of which failed") } else { String::new() };
    let mut text = format!(
        "`pitrix job retry {0}` goes on from where it stands\n`pitrix job describe {0}` shows every task{failed}",
        info.id
    );
    if info.action == ActionKind::CreateCluster {
        text += &format!("\n`pitrix cluster delete {}` removes what was made", info.cluster_name);
    }
    text
}

/// Where following begins for what happens from now on.
async fn newest_event(site: &Site, job: &JobId) -> Outcome<u64> {
    const AT_A_TIME: u32 = 1000;
    let filter = EventFilter { job: Some(job.clone()), cluster: None };
    let mut newest = 0;
    loop {
        let events = site.store().events(newest, &filter, AT_A_TIME).await?;
        newest = events.last().map_or(newest, |event| event.seq);
        if events.len() < AT_A_TIME as usize {
            return Ok(newest);
        }
    }
}

#[cfg(test)]
mod tests;

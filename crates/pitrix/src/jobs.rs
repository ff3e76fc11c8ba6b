//! `job`: actions on clusters, running ones and those of the past.

mod view;

use crate::{
    args::{Format, JobVerb, Prune, Wait},
    carry_out::carry_out,
    events::since,
    exit::Outcome,
    screen::{Screen, Tone, count},
    site::Site,
};
use engine::EventFilter;
use provider_core::JobId;
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
            let view = JobView::new(&work.info, &calls, site.now());
            let view = view.with_tasks(work.terms, &work.plan, &tasks, in_doubt.len());
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
        JobVerb::Prune(which) => prune(site, screen, which).await,
    }
}

async fn prune(site: &Site, screen: &Screen, which: Prune) -> Outcome {
    if which.from_now_on || which.keep_all {
        site.store().keep_days(which.older_than).await?;
    }
    let forgotten = match which.older_than {
        Some(days) => site.store().forget_jobs(days).await?,
        None => 0,
    };
    let rule = match site.store().kept_days().await? {
        Some(days) => format!("the executor forgets them after {}", count(days as usize, "day")),
        None => "the executor forgets none".to_owned(),
    };
    screen.say(Tone::Good, "done", &format!("{} forgotten; {rule}", count(forgotten, "job")));
    Ok(())
}

async fn watch(site: &Site, screen: &Screen, job: &JobId, wait: Wait, after: u64) -> Outcome {
    let cluster = site.store().job(job).await?.cluster;
    carry_out(site, screen, job, &cluster, wait, after).await
}

/// Where following begins for what happens from now on.
async fn newest_event(site: &Site, job: &JobId) -> Outcome<u64> {
    let filter = EventFilter { job: Some(job.clone()), cluster: None };
    Ok(since(site, 0, &filter).await?.last().map_or(0, |event| event.seq))
}

#[cfg(test)]
mod tests;

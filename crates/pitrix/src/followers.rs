//! What follows a job: others by which an upgrade that failed is undone, and clusters learn the addresses of those
//! that they link to.

use crate::{
    args::Wait,
    carry_out::carry_out,
    exit::Outcome,
    follow::{follow, until_followed},
    screen::{Screen, Tone},
    site::Site,
};
use engine::{EventKind, FollowUp, JobInfo};
use provider_core::{JobId, JobState};

/// Sees through what follows a job that has ended. Events up to `after` are old.
///
/// # Errors
/// What the job came to by which it was undone; [`Exit::Detached`](crate::exit::Exit::Detached) after Ctrl-C.
pub(crate) async fn see_through(site: &Site, screen: &Screen, info: &JobInfo, after: u64) -> Outcome {
    for event in until_followed(site, screen, &info.id, after).await? {
        match event {
            EventKind::Followed { why: FollowUp::Undo, by, .. } => {
                screen.say(Tone::Plain, "undo", &format!("job {by} rolls {} back", info.cluster_name));
                let cluster = site.store().job(&by).await?.cluster;
                Box::pin(carry_out(site, screen, &by, &cluster, Wait { detach: false }, 0)).await?;
            }
            EventKind::NotFollowed { why: FollowUp::Undo, cluster, error } => screen.warn(&format!(
                "`{cluster}` could not be rolled back: {error}; `pitrix cluster rollback {cluster}` tries again"
            )),
            EventKind::Followed { why: FollowUp::Tell, by, cluster } => {
                tell(site, screen, info, &by, &cluster).await?;
            }
            EventKind::NotFollowed { why: FollowUp::Tell, cluster, error } => {
                not_told(screen, info, &cluster, &error.to_string());
            }
            _ => {}
        }
    }
    Ok(())
}

async fn tell(site: &Site, screen: &Screen, info: &JobInfo, job: &JobId, cluster: &str) -> Outcome {
    follow(site, screen, job, 0).await?;
    let told = site.store().job(job).await?;
    match (told.state, told.error) {
        (JobState::Succeeded, _) => {
            let text = format!("cluster `{cluster}`, which links to `{}` (job {job})", info.cluster_name);
            screen.say(Tone::Good, "told", &text);
        }
        (_, Some(error)) => not_told(screen, info, cluster, &error.to_string()),
        (state, None) => not_told(screen, info, cluster, state.as_str()),
    }
    Ok(())
}

fn not_told(screen: &Screen, info: &JobInfo, cluster: &str, why: &str) {
    screen.warn(&format!(
        "cluster `{cluster}` links to `{}` and does not know its new addresses: {why}; \
         `pitrix cluster update-env {cluster}` tells it",
        info.cluster_name
    ));
}

//! Clusters that use other clusters: they are told when the addresses of those change.

use crate::{
    exit::Outcome,
    follow::follow,
    screen::{Screen, Tone},
    site::Site,
};
use engine::{Aim, ClusterFilter, Request};
use provider_core::{Cluster, ClusterStatus, JobState, NodeId};
use serde_json::json;
use std::collections::BTreeMap;

/// Tells the clusters that link to `now` its addresses, if they are others than in `before`: each by a job of
/// its own, which renders its configuration anew. One that can't be told is named, with the command to do it.
pub(crate) async fn tell_linking(site: &Site, screen: &Screen, before: &Cluster, now: &Cluster) -> Outcome {
    if addresses(before) == addresses(now) {
        return Ok(());
    }
    let clusters = site.store().clusters(&ClusterFilter::default()).await?;
    for cluster in clusters.iter().filter(|cluster| uses(cluster, now)) {
        let name = &cluster.spec.name;
        let request = Request::Reconfigure { cluster: name.clone(), conf: json!({}), aim: Aim::Env };
        let told = match site.control.submit(&request).await {
            Ok(submitted) => {
                follow(site, screen, &submitted.job, 0).await?;
                let info = site.store().job(&submitted.job).await?;
                match (info.state, info.error) {
                    (JobState::Succeeded, _) => Ok(info.id),
                    (_, Some(error)) => Err(error.to_string()),
                    (state, None) => Err(state.as_str().to_owned()),
                }
            }
            Err(error) => Err(error.to_string()),
        };
        match told {
            Ok(job) => {
                let text = format!("cluster `{name}`, which links to `{}` (job {job})", now.spec.name);
                screen.say(Tone::Good, "told", &text);
            }
            Err(why) => screen.warn(&format!(
                "cluster `{name}` links to `{}` and does not know its new addresses: {why}; \
                 `pitrix cluster update-env {name}` tells it",
                now.spec.name
            )),
        }
    }
    Ok(())
}

/// Whether `cluster` is at work and links to `other`. One that is stopped learns the addresses when it starts.
fn uses(cluster: &Cluster, other: &Cluster) -> bool {
    cluster.status == ClusterStatus::Active
        && cluster.spec.links.values().any(|name| *name == other.spec.name)
}

fn addresses(cluster: &Cluster) -> BTreeMap<&NodeId, &str> {
    let address = |id| {
        let instance = cluster.nodes.get(id)?.instance.as_ref()?;
        Some((id, instance.private_ip.as_deref()?))
    };
    cluster.spec.nodes.keys().filter_map(address).collect()
}

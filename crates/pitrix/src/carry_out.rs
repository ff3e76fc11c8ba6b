//! Sees an accepted job through: follows it and says what has become of its cluster.

use crate::{
    args::{Format, Wait},
    clusters::{ClusterView, connect_lines, show},
    executor::summon,
    exit::{Exit, Failure, Outcome},
    follow::follow,
    followers::see_through,
    health::{self, ClusterHealth},
    live,
    screen::{Screen, Span, Tone, count},
    service::{print_output, say_output},
    site::Site,
};
use engine::{JobInfo, JobWork};
use provider_core::{
    Action, ActionKind, AgentVerb, Cluster, ClusterId, Directive, Error, ErrorKind, InstanceVerb, JobId,
    JobState, NodeId, NodeStatus, Plan, Records, Rollback, ServiceName, Work,
};
use std::{collections::BTreeSet, time::Duration};

/// Sees that an accepted job is worked on and, unless `wait` says otherwise, follows it from the event after
/// `after` and shows what has become of its cluster.
///
/// # Errors
/// When it did not succeed, or not in all parts; [`Exit::Detached`] after Ctrl-C.
pub(crate) async fn carry_out(
    site: &Site,
    screen: &Screen,
    job: &JobId,
    cluster: &ClusterId,
    wait: Wait,
    after: u64,
) -> Outcome {
    if wait.detach {
        let summoned = summon(&site.dir).await;
        screen.say(Tone::Plain, "accepted", &format!("`pitrix job watch {job}` follows it"));
        screen.data(&format!("{job}\n"))?;
        return summoned.map(drop).map_err(Failure::from);
    }
    let took = follow(site, screen, job, after).await?;
    let work = site.store().job_work(job).await?;
    let cluster = site.store().cluster(cluster).await?.ok_or_else(|| {
        Error::store(format!("job {job} worked on cluster `{cluster}`, which is not on record"))
    })?;
    if work.info.action == ActionKind::RunService {
        // What was printed is wanted whether or not that went well.
        print_output(site, screen, &work, after).await?;
    } else {
        say_output(site, screen, &work, after).await?;
    }
    // Where there are no agents the provider would be asked, which has waited until all was well.
    let has_agents = cluster.spec.roles.values().any(|role| role.agent_installed);
    let health = match work.info.state {
        JobState::Succeeded if has_agents => health::ask_one(site, &cluster).await,
        _ => None,
    };
    let mut ended = conclude(screen, &work, took, &cluster, health.as_ref());
    if ended.is_ok() {
        ended = aftermath(site, screen, &work, &cluster).await;
    }
    see_through(site, screen, &work.info, after).await?;
    ended
}

/// What is to be said and done once a job has succeeded.
async fn aftermath(site: &Site, screen: &Screen, work: &JobWork, cluster: &Cluster) -> Outcome {
    let is_for_people = matches!(screen.format, Format::Table | Format::Wide);
    match work.info.action {
        ActionKind::DeleteClusters | ActionKind::CeaseClusters => {
            let keep_volumes =
                matches!(work.change.action, Action::DeleteClusters { keep_volumes: true, .. });
            return say_what_is_left(site, screen, cluster, keep_volumes).await;
        }
        ActionKind::RunService => return Ok(()),
        _ if !is_for_people => show(site, screen, cluster).await?,
        ActionKind::CreateCluster | ActionKind::StartClusters => {
            connect_lines(cluster).iter().try_for_each(|line| screen.tell("connect", line))?;
        }
        _ => {}
    }
    if is_for_people && matches!(work.info.action, ActionKind::CreateCluster | ActionKind::UpgradeCluster) {
        return print_notes(screen, live::notes_of(site, cluster).await);
    }
    Ok(())
}

/// Prints what the application tells its users. The job went well, whether or not that can be read.
fn print_notes(screen: &Screen, notes: Outcome<Option<String>>) -> Outcome {
    match notes {
        Ok(Some(notes)) => screen.data(&format!("{notes}\n")),
        Ok(None) => Ok(()),
        Err(Failure::Error(error)) => {
            screen.warn(&format!("the application's notes can't be read: {error}"));
            Ok(())
        }
        Err(other) => Err(other),
    }
}

/// Says how a job ended, as a line or as an error with all that is known and what to do next.
fn conclude(
    screen: &Screen,
    work: &JobWork,
    took: Duration,
    cluster: &Cluster,
    health: Option<&ClusterHealth>,
) -> Outcome {
    let info = &work.info;
    if info.state != JobState::Succeeded {
        let error = info.error.clone().unwrap_or_else(|| Error::bug("it ended without a reason"));
        let kind = error.kind();
        let JobInfo { action, cluster_name, state, .. } = info;
        screen.error(&error.during(format!("{} {cluster_name} {}", action.verb(), state.as_str())));
        screen.say(Tone::Plain, "next", &next_steps(work));
        return Err(Failure::Said(Exit::of(kind)));
    }
    let undo = match info.action {
        ActionKind::UpgradeCluster if cluster.spec.rollback == Rollback::Safe => {
            format!("; undo: `pitrix cluster rollback {}`", info.cluster_name)
        }
        _ => String::new(),
    };
    let text = outcome(work, cluster, health);
    screen.say(Tone::Good, "done", &format!("{text} in {} (job {}){undo}", Span(took), info.id));
    match &info.fold {
        Some(fold) if !fold.failed.is_empty() => {
            let failed = count(fold.failed.len(), "task");
            screen.warn(&format!("{failed} failed; `pitrix job describe {}` names them", info.id));
            Err(Failure::Said(Exit::Partial))
        }
        _ => Ok(()),
    }
}

/// What a job that succeeded has brought about.
fn outcome(work: &JobWork, cluster: &Cluster, health: Option<&ClusterHealth>) -> String {
    let name = &cluster.spec.name;
    let standing = standing(cluster, health);
    match &work.change.action {
        Action::DeleteClusters { .. } => format!("{name} deleted"),
        Action::CeaseClusters => format!("{name} deleted and forgotten"),
        Action::StopClusters => format!("{name} stopped, {}", count(cluster.nodes.len(), "node")),
        Action::UpgradeCluster { .. } | Action::RollbackCluster { .. } => {
            format!("{} -> {}; {standing}", work.change.moves_from().version(), cluster.spec.app.version())
        }
        Action::RecoverClusters => match repairs(&work.plan) {
            Some(repairs) => format!("{repairs}; {standing}"),
            None => standing,
        },
        Action::RunService { service, .. } if is_own(&work.plan) => format!("{} passed", service.as_str()),
        Action::RunService { service, .. } => {
            let nodes: BTreeSet<_> = nodes_with(&work.plan, |work| matches!(work, Work::Agent(_)));
            format!("{} ran on {}", service.as_str(), count(nodes.len(), "node"))
        }
        _ => standing,
    }
}

fn standing(cluster: &Cluster, health: Option<&ClusterHealth>) -> String {
    let nodes = count(cluster.nodes.len(), "node");
    match health {
        Some(health) => format!("{}/{nodes} healthy", health.healthy),
        None => {
            let up = cluster.nodes.values().filter(|node| node.status == NodeStatus::Active).count();
            format!("{up}/{nodes} up")
        }
    }
}

/// None for a plan of a provider's own steps: what each of them found is not known.
fn repairs(plan: &Plan) -> Option<String> {
    if is_own(plan) {
        return None;
    }
    let replaced =
        nodes_with(plan, |work| matches!(work, Work::Cloud(Directive::Instance(InstanceVerb::Run))));
    let started =
        nodes_with(plan, |work| matches!(work, Work::Cloud(Directive::Instance(InstanceVerb::Start))));
    let started: BTreeSet<_> = started.difference(&replaced).copied().collect();
    let services = nodes_with(plan, |work| {
        matches!(
            work,
            Work::Agent(AgentVerb::Service { service: ServiceName::Start | ServiceName::Restart, .. })
        )
    });
    let services = services.iter().filter(|id| !replaced.contains(*id) && !started.contains(*id)).count();
    let mut parts = vec![format!("restarted {}", count(services, "service"))];
    if !started.is_empty() {
        parts.push(format!("started {}", count(started.len(), "instance")));
    }
    parts.push(format!("replaced {}", count(replaced.len(), "node")));
    Some(parts.join(", "))
}

/// Whether a plan has steps of a provider's own.
pub(crate) fn is_own(plan: &Plan) -> bool {
    let mut tasks = plan.layers.iter().flat_map(|layer| &layer.tasks);
    tasks.any(|task| matches!(task.work, Work::Cloud(Directive::Own { .. })))
}

/// The nodes that have a task of this kind.
pub(crate) fn nodes_with(plan: &Plan, is_meant: impl Fn(&Work) -> bool) -> BTreeSet<&NodeId> {
    let tasks = plan.layers.iter().flat_map(|layer| &layer.tasks);
    tasks.filter(|task| is_meant(&task.work)).filter_map(|task| task.node.as_ref()).collect()
}

fn next_steps(work: &JobWork) -> String {
    let JobInfo { id, action, cluster_name, fold, .. } = &work.info;
    let failed = fold.as_ref().map_or(0, |fold| fold.failed.len());
    let failed = if failed > 1 { format!(", {failed} of which failed") } else { String::new() };
    if work.terms.undo && work.info.state == JobState::Failed {
        return format!("it is rolled back by itself\n`pitrix job describe {id}` shows every task{failed}");
    }
    let mut text = format!("`pitrix job describe {id}` shows every task{failed}");
    // A machine that is gone is so for the same plan once more.
    if work.info.error.as_ref().is_none_or(|error| error.kind() != ErrorKind::Lost) {
        text = format!("`pitrix job retry {id}` goes on from where it stands\n{text}");
    }
    match action {
        ActionKind::CreateCluster => {
            text += &format!("\n`pitrix cluster delete {cluster_name}` removes what was made");
        }
        ActionKind::UpgradeCluster if work.change.after.rollback == Rollback::Safe => {
            let from = work.change.moves_from().version();
            text += &format!("\n`pitrix cluster rollback {cluster_name}` goes back to {from}");
        }
        _ => {}
    }
    text
}

/// Says what was kept and what is left of a deleted cluster. Asks the provider, so that it is not only our own
/// word; what is still on record is what could not be proved deleted.
async fn say_what_is_left(site: &Site, screen: &Screen, cluster: &Cluster, keep_volumes: bool) -> Outcome {
    let view = ClusterView::new(cluster, None);
    if keep_volumes {
        screen.say(Tone::Plain, "kept", &view.volumes());
    }
    let unproved = view.left(keep_volumes);
    if !unproved.is_empty() {
        screen.warn(&format!(
            "not proved deleted, look for them on `{}`: {}",
            cluster.runtime,
            unproved.join(", ")
        ));
        return Err(Failure::Said(Exit::Partial));
    }
    let tagged = match site.visit(&cluster.runtime).await {
        Ok((_, provider, look)) => provider.sweeper.tagged(&look).await,
        Err(error) => Err(error),
    };
    match tagged {
        Ok(tagged) => {
            let of = |kind: &str| {
                let ours = tagged.iter().filter(|resource| resource.cluster == cluster.id.as_str());
                count(ours.filter(|resource| resource.kind == kind).count(), kind)
            };
            let text = format!("{}, {} left on `{}`", of("instance"), of("volume"), cluster.runtime);
            screen.say(Tone::Good, "clean", &text);
        }
        Err(error) => screen.warn(&format!("runtime `{}` could not be looked at: {error}", cluster.runtime)),
    }
    Ok(())
}

#[cfg(test)]
mod tests;

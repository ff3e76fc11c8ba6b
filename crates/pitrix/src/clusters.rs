//! `cluster`: the verbs on deployed applications.

mod answers;
mod view;

pub(crate) use answers::read_answers;
pub(crate) use view::{ClusterView, connect_lines};

use crate::{
    args::{ClusterVerb, Create, Delete, Format, Wait},
    executor::summon,
    exit::{Exit, Failure, Outcome},
    follow::follow,
    jobs::conclude,
    plans::summary,
    screen::{Screen, Tone, count, escaped},
    site::Site,
};
use engine::{ClusterFilter, Request};
use provider_core::{Action, ActionKind, Cluster, ClusterId, Error, JobId, Records};
use std::io::{self, IsTerminal};

/// Carries out a verb.
pub(crate) async fn run(verb: ClusterVerb, site: &Site, screen: &Screen) -> Outcome {
    match verb {
        ClusterVerb::Create { create, wait } => {
            let request = create_request(&create, site).await?;
            submit(site, screen, &request, wait).await
        }
        ClusterVerb::List { runtime, deleted } => {
            let clusters = site.store().clusters(&ClusterFilter { runtime, deleted }).await?;
            let views: Vec<_> = clusters.iter().map(ClusterView::new).collect();
            screen.list(&views, "there are no clusters; `pitrix cluster create` makes one")
        }
        ClusterVerb::Describe(cluster) => show(screen, &site.control.cluster(&cluster.name).await?),
        ClusterVerb::Start { cluster, wait } => {
            submit(site, screen, &act(&cluster.name, Action::StartClusters), wait).await
        }
        ClusterVerb::Stop { cluster, wait } => {
            submit(site, screen, &act(&cluster.name, Action::StopClusters), wait).await
        }
        ClusterVerb::Delete { delete, yes, wait } => {
            if !yes {
                confirm(site, screen, &delete).await?;
            }
            submit(site, screen, &delete_request(&delete), wait).await
        }
        ClusterVerb::Logs { cluster, node, lines } => {
            logs(site, screen, &cluster.name, node.as_deref(), lines).await
        }
    }
}

/// What `cluster create` asks for.
pub(crate) async fn create_request(create: &Create, site: &Site) -> Outcome<Request> {
    let conf = read_answers(site, create).await?;
    Ok(Request::Create {
        name: Some(create.name.clone()),
        app: create.app.clone(),
        runtime: create.runtime.clone(),
        conf,
        volumes_of: create.volumes_of.clone(),
    })
}

/// What a verb on an existing cluster asks for.
pub(crate) fn act(cluster: &str, action: Action) -> Request {
    Request::Act { cluster: cluster.to_owned(), action }
}

/// What `cluster delete` asks for.
pub(crate) fn delete_request(delete: &Delete) -> Request {
    let Delete { cluster, keep_volumes, force } = delete;
    act(&cluster.name, Action::DeleteClusters { keep_volumes: *keep_volumes, force: *force })
}

async fn submit(site: &Site, screen: &Screen, request: &Request, wait: Wait) -> Outcome {
    let submitted = site.control.submit(request).await?;
    for warning in &submitted.planned.warnings {
        screen.warn(warning);
    }
    screen.say(Tone::Plain, "plan", &summary(&submitted.planned.plan));
    let cluster = &submitted.planned.change.before.id;
    carry_out(site, screen, &submitted.job, cluster, wait, 0).await
}

/// Sees that an accepted job is worked on and, unless `wait` says otherwise, follows it from the event after
/// `after` and shows what has become of its cluster.
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
    let (info, took) = follow(site, screen, job, after).await?;
    let cluster = site.store().cluster(cluster).await?;
    conclude(screen, &info, took, cluster.as_ref())?;
    let Some(cluster) = cluster else { return Ok(()) };
    match info.action {
        ActionKind::DeleteClusters => {
            let action = site.store().job_work(job).await?.change.action;
            let keep_volumes = matches!(action, Action::DeleteClusters { keep_volumes: true, .. });
            say_what_is_left(site, screen, &cluster, keep_volumes).await
        }
        _ if !matches!(screen.format, Format::Table | Format::Wide) => show(screen, &cluster),
        ActionKind::CreateCluster | ActionKind::StartClusters => {
            connect_lines(&cluster).iter().try_for_each(|line| screen.tell("connect", line))
        }
        _ => Ok(()),
    }
}

fn show(screen: &Screen, cluster: &Cluster) -> Outcome {
    let view = ClusterView::new(cluster);
    screen.one(&view, || view.sheet(screen))
}

/// Says what was kept and what is left of a deleted cluster. Asks the provider, so that it is not only our own
/// word; what is still on record is what could not be proved deleted.
async fn say_what_is_left(site: &Site, screen: &Screen, cluster: &Cluster, keep_volumes: bool) -> Outcome {
    let view = ClusterView::new(cluster);
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

/// Shows what goes and asks for the name.
async fn confirm(site: &Site, screen: &Screen, delete: &Delete) -> Outcome {
    let name = &delete.cluster.name;
    let cluster = site.control.cluster(name).await?;
    if !screen.is_interactive {
        return Err(Failure::Usage(
            Error::invalid(format!(
                "deleting cluster `{name}` asks for its name, and there is no terminal to ask on"
            ))
            .hint("add `--yes` to delete it without a question"),
        ));
    }
    let view = ClusterView::new(&cluster);
    screen.talk(&screen.labelled(Tone::Warning, "delete", &view.losses(delete.keep_volumes)));
    let answer = screen.ask("          Type the name to confirm: ")?;
    if answer.trim() == *name {
        return Ok(());
    }
    Err(Error::cancelled(format!("nothing was deleted: that was not `{name}`")).into())
}

async fn logs(site: &Site, screen: &Screen, name: &str, node: Option<&str>, lines: u32) -> Outcome {
    let cluster = site.control.cluster(name).await?;
    if let Some(node) = node
        && !cluster.nodes.keys().any(|id| id.as_str() == node)
    {
        let nodes: Vec<_> = cluster.nodes.keys().map(|id| id.as_str()).collect();
        return Err(Error::not_found(format!("cluster `{name}` has no node `{node}`"))
            .hint(format!("its nodes are: {}", nodes.join(", ")))
            .into());
    }
    let mut silent = 0;
    for (id, record) in cluster.nodes.iter().filter(|(id, _)| node.is_none_or(|node| id.as_str() == node)) {
        let agent = record.instance.as_ref().and_then(|instance| instance.agent.as_deref());
        let text = match agent {
            Some(agent) => site.control.pilot.logs(agent, lines).await,
            None => Err(Error::unavailable(format!("node `{id}` has no agent on record"))),
        };
        match text {
            Ok(text) => screen.data(&log_lines(id.as_str(), &text, node.is_none()))?,
            Err(error) => {
                silent += 1;
                screen.warn(&format!("no log of node `{id}`: {error}"));
            }
        }
    }
    match silent {
        0 => Ok(()),
        n if n == cluster.nodes.len() || node.is_some() => Err(Failure::Said(Exit::Error)),
        _ => Err(Failure::Said(Exit::Partial)),
    }
}

/// A program gets a log as it is; a terminal must not be steered by one.
fn log_lines(node: &str, text: &str, named: bool) -> String {
    let raw = !io::stdout().is_terminal();
    let line = |line: &str| {
        let line = if raw { line.into() } else { escaped(line) };
        if named { format!("{node}  {line}\n") } else { format!("{line}\n") }
    };
    text.lines().map(line).collect()
}

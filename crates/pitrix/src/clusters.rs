//! `cluster`: the verbs on deployed applications.

mod answers;
mod requests;
mod view;

pub(crate) use view::{ClusterView, connect_lines};

use crate::{
    args::{Ask, Carry, ClusterVerb, Deed, Delete, DeleteNodes, Format, Wait},
    carry_out::carry_out,
    exit::{Exit, Failure, Outcome},
    health::{self, NodeTruth},
    live,
    plans::{say_changed_keys, summary},
    screen::{Screen, Tone, count, log_lines},
    site::Site,
};
use engine::{ClusterFilter, Planned, Request, Submitted, Terms};
use provider_core::{Cluster, ClusterStatus, Error, NodeId, RuntimeId};
use std::collections::BTreeSet;

/// Carries out a verb.
pub(crate) async fn run(verb: ClusterVerb, site: &Site, screen: &Screen) -> Outcome {
    match verb {
        ClusterVerb::Act(deed) => act(deed, site, screen).await,
        ClusterVerb::List { runtime, deleted } => {
            let clusters = site.store().clusters(&ClusterFilter { runtime, deleted }).await?;
            let healths = match screen.format {
                Format::Name => clusters.iter().map(|_| None).collect(),
                _ => health::ask(site, &clusters).await,
            };
            let views =
                clusters.iter().zip(healths).map(|(cluster, health)| ClusterView::new(cluster, health));
            screen
                .list(&views.collect::<Vec<_>>(), "there are no clusters; `pitrix cluster create` makes one")
        }
        ClusterVerb::Describe(cluster) => {
            show(site, screen, &site.control.cluster(&cluster.name).await?).await
        }
        ClusterVerb::Adopt { name, runtime, dry_run, wait } => {
            adopt(site, screen, &name, &runtime, dry_run, wait).await
        }
        ClusterVerb::History(cluster) => live::history(site, screen, &cluster.name).await,
        ClusterVerb::Refresh(cluster) => refresh(site, screen, &cluster.name).await,
        ClusterVerb::Logs { cluster, node, lines } => {
            logs(site, screen, &cluster.name, node.as_deref(), lines).await
        }
    }
}

async fn act(deed: Deed<Carry, Ask>, site: &Site, screen: &Screen) -> Outcome {
    let request = deed.request(site).await?;
    match &deed {
        Deed::Delete { delete, ask: Ask { yes: false }, .. } => confirm_delete(site, screen, delete).await?,
        Deed::DeleteNodes { nodes, ask: Ask { yes: false }, .. } => {
            confirm_nodes(site, screen, nodes).await?;
        }
        Deed::Recover { cluster, .. } if !is_ill(site, screen, &request, &cluster.name).await? => {
            return Ok(());
        }
        _ => {}
    }
    let undo = deed.undoes();
    let carry = match deed {
        Deed::Create { carry, .. }
        | Deed::Start { carry, .. }
        | Deed::Stop { carry, .. }
        | Deed::Restart { carry, .. }
        | Deed::Scale { carry, .. }
        | Deed::DeleteNodes { carry, .. }
        | Deed::Resize { carry, .. }
        | Deed::UpdateEnv { carry, .. }
        | Deed::Upgrade { carry, .. }
        | Deed::Rollback { carry, .. }
        | Deed::Recover { carry, .. }
        | Deed::Run { carry, .. }
        | Deed::AttachKey { carry, .. }
        | Deed::DetachKey { carry, .. }
        | Deed::Delete { carry, .. } => carry,
    };
    let terms = Terms { policy: carry.on_failure, undo };
    submit(site, screen, &request, terms, carry.wait).await
}

async fn submit(site: &Site, screen: &Screen, request: &Request, terms: Terms, wait: Wait) -> Outcome {
    see_to(site, screen, site.control.submit_on(request, terms).await?, wait).await
}

async fn adopt(
    site: &Site,
    screen: &Screen,
    name: &str,
    runtime: &RuntimeId,
    dry_run: bool,
    wait: Wait,
) -> Outcome {
    let adoption = site.control.plan_adoption(name, runtime).await?;
    screen.say(Tone::Plain, "found", &format!("{} as {name}", adoption.planned.change.after.app));
    let sheet = live::changes_sheet(screen, &adoption.changes);
    if sheet.is_empty() {
        screen.say(Tone::Plain, "changes", "none");
    } else if dry_run {
        screen.data(sheet.trim_start_matches('\n'))?;
    } else {
        screen.talk(&sheet);
    }
    if dry_run {
        return Ok(());
    }
    see_to(site, screen, site.control.adopt(adoption).await?, wait).await
}

/// Says what was accepted, and sees it through.
async fn see_to(site: &Site, screen: &Screen, submitted: Submitted, wait: Wait) -> Outcome {
    for warning in &submitted.planned.warnings {
        screen.warn(warning);
    }
    screen.say(Tone::Plain, "plan", &summary(&submitted.planned, &[]));
    if let Err(Failure::Error(error)) = say_changed_keys(site, screen, &submitted.planned).await {
        screen.warn(&format!("the defaults that change are not known: {error}"));
    }
    let cluster = &submitted.planned.change.before.id;
    carry_out(site, screen, &submitted.job, cluster, wait, 0).await
}

/// Says what was found of a cluster that is to recover, and whether there is something to repair.
async fn is_ill(site: &Site, screen: &Screen, request: &Request, name: &str) -> Outcome<bool> {
    let planned = site.control.plan(request).await?;
    say_findings(site, screen, &planned);
    let is_ill = !planned.does_nothing();
    if !is_ill {
        screen.say(Tone::Good, "done", &format!("nothing to do for {name}"));
    }
    Ok(is_ill)
}

fn say_findings(site: &Site, screen: &Screen, planned: &Planned) {
    let facts = planned.plan.facts.nodes.iter();
    let truths: Vec<_> = facts.map(|(id, facts)| NodeTruth::new(id, facts, site.now())).collect();
    for truth in truths.iter().filter(|truth| !truth.is_well()) {
        screen.say(Tone::Warning, "found", &truth.finding());
    }
    if truths.iter().all(NodeTruth::is_well) {
        screen.say(Tone::Plain, "found", &format!("{} and all is well", count(truths.len(), "node")));
    }
}

/// Prints what is on record of a cluster, with how it is.
pub(crate) async fn show(site: &Site, screen: &Screen, cluster: &Cluster) -> Outcome {
    let details = live::details(site, cluster).await.unwrap_or_else(|failure| {
        if let Failure::Error(error) = failure {
            live::say_silent(screen, &error);
        }
        None
    });
    let health = health::ask_one(site, cluster).await;
    let mut view = ClusterView::new(cluster, health);
    view.details = details;
    screen.one(&view, || view.sheet(screen))
}

async fn refresh(site: &Site, screen: &Screen, name: &str) -> Outcome {
    let cluster = site.control.cluster(name).await?;
    let facts = site.control.observe(&cluster).await?;
    let truths: Vec<_> = facts.iter().map(|(id, facts)| NodeTruth::new(id, facts, site.now())).collect();
    screen.list(&truths, &format!("cluster `{name}` has no nodes"))?;
    let is_meant_to_work = cluster.status == ClusterStatus::Active && cluster.transition.is_none();
    if is_meant_to_work && !truths.iter().all(NodeTruth::is_well) {
        screen.say(Tone::Plain, "next", &format!("`pitrix cluster recover {name}` repairs what it can"));
    }
    Ok(())
}

/// Shows what goes with the cluster and asks for its name.
async fn confirm_delete(site: &Site, screen: &Screen, delete: &Delete) -> Outcome {
    let name = &delete.cluster.name;
    let cluster = match delete.purge {
        true => site.control.cluster_or_deleted(name).await?,
        false => site.control.cluster(name).await?,
    };
    let view = ClusterView::new(&cluster, None);
    confirm(screen, name, "deleting", &view.losses(delete.keep_volumes))
}

/// Shows what goes with the nodes and asks for the cluster's name.
async fn confirm_nodes(site: &Site, screen: &Screen, which: &DeleteNodes) -> Outcome {
    let name = &which.cluster.name;
    let mut cluster = site.control.cluster(name).await?;
    let nodes: BTreeSet<&NodeId> = which.nodes.iter().collect();
    cluster.nodes.retain(|id, _| nodes.contains(id));
    confirm(screen, name, "deleting nodes of", &ClusterView::new(&cluster, None).losses(false))
}

fn confirm(screen: &Screen, name: &str, attempt: &str, losses: &str) -> Outcome {
    if !screen.is_interactive {
        return Err(Failure::Usage(
            Error::invalid(format!(
                "{attempt} cluster `{name}` asks for its name, and there is no terminal to ask on"
            ))
            .hint("add `--yes` to do it without a question"),
        ));
    }
    screen.talk(&screen.labelled(Tone::Warning, "delete", losses));
    let answer = screen.ask("          Type the name to confirm: ")?;
    if answer.trim() == name {
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

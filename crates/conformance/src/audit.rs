//! The auditor: compares what is outside with what is on record.

use crate::{Ran, World};
use engine::{CallState, ClusterFilter, Control, JobInfo, JobWork};
use provider_core::{AgentVerb, Change, Cluster, DiskId, Node, Plan, Result, Task, Work};
use std::collections::{BTreeMap, BTreeSet};

/// What the outside and the record are like after a job.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Resources of the cloud that are on no record.
    pub orphans: Vec<String>,
    /// Nodes and disks that the cloud has more than one resource for.
    pub duplicates: Vec<String>,
    /// Resources on record that the cloud does not have.
    pub missing: Vec<String>,
    /// Calls that have no outcome.
    pub in_doubt: usize,
    /// Applied calls by name.
    pub applied: BTreeMap<String, u64>,
    /// The cluster on record, without what differs from world to world.
    pub cluster: String,
    /// How often each agent ran what for this job, by node.
    pub ran: BTreeMap<(String, String), usize>,
    /// What began before everything of an earlier layer had ended.
    pub early: Vec<Ran>,
}

impl Audit {
    /// Looks at everything after `job` has ended.
    ///
    /// # Errors
    /// `Store`.
    pub async fn of(world: &World, control: &Control, job: &JobInfo) -> Result<Self> {
        let clusters =
            control.store.clusters(&ClusterFilter { deleted: true, ..ClusterFilter::default() }).await?;
        let nodes = || clusters.iter().flat_map(|cluster| cluster.nodes.values());
        let instances =
            nodes().filter_map(|node| node.instance.as_ref()).map(|instance| instance.id.to_string());
        let volumes = nodes().flat_map(|node| node.disks.values()).map(|disk| disk.volume.to_string());
        let on_record: BTreeSet<_> = instances.chain(volumes).collect();

        let instances = world.cloud.instances().into_iter().map(|i| (i.id.to_string(), i.tags));
        let volumes = world.cloud.volumes().into_iter().map(|volume| (volume.id.to_string(), volume.tags));
        let there: BTreeMap<_, _> = instances.chain(volumes).collect();
        let mut purposes = BTreeSet::new();
        let duplicates =
            there.values().filter(|tags| !purposes.insert((*tags).clone())).map(|tags| tags.name.clone());
        let duplicates = duplicates.collect();

        let mut applied = BTreeMap::new();
        for call in control.store.calls(&job.id).await? {
            if call.state == CallState::Applied {
                *applied.entry(call.name).or_default() += call.count;
            }
        }
        let JobWork { plan, change, .. } = control.store.job_work(&job.id).await?;
        let commands = world.pilot.ran().into_iter().filter(|ran| ran.began >= job.created);
        let mut ran = BTreeMap::new();
        let mut early = Vec::new();
        let (mut ends, mut done) = (BTreeMap::new(), BTreeMap::new());
        for command in commands {
            *ran.entry((command.node.clone(), command.what.clone())).or_insert(0) += 1;
            let again = done.entry((command.node.clone(), command.what.clone())).or_insert(0);
            let layer = layer_of(&plan, &change, &command, *again);
            *again += usize::from(command.well);
            if ends.iter().any(|(other, end)| *other < layer && *end > command.began) {
                early.push(command.clone());
            }
            let end = ends.entry(layer).or_insert(command.ended);
            *end = command.ended.max(*end);
        }
        Ok(Self {
            orphans: there.keys().filter(|id| !on_record.contains(*id)).cloned().collect(),
            missing: on_record.iter().filter(|id| !there.contains_key(*id)).cloned().collect(),
            duplicates,
            in_doubt: control.store.in_doubt(None).await?.len(),
            applied,
            cluster: clusters.iter().map(shape).collect(),
            ran,
            early,
        })
    }

    /// What is wrong, whatever the job was: orphans, duplicates, what is on record only, calls in doubt, commands
    /// that ran too early.
    pub fn complaints(&self) -> Vec<String> {
        let Self { orphans, duplicates, missing, in_doubt, early, .. } = self;
        let checks = [
            (orphans.is_empty(), format!("nobody knows of {orphans:?}")),
            (duplicates.is_empty(), format!("there is more than one {duplicates:?}")),
            (missing.is_empty(), format!("{missing:?} are on record and not there")),
            (*in_doubt == 0, format!("{in_doubt} calls are in doubt")),
            (early.is_empty(), format!("{early:?} ran too early")),
        ];
        checks.into_iter().filter(|(holds, _)| !holds).map(|(_, complaint)| complaint).collect()
    }
}

/// The layer of the plan that wants an agent to run this, after it did so well this often.
fn layer_of(plan: &Plan, change: &Change, ran: &Ran, again: usize) -> Option<usize> {
    let path = |disk: &DiskId| {
        let disks = change.after.role_of(&disk.node).map(|role| role.disks.as_slice()).unwrap_or_default();
        disks.get(disk.index as usize).map(|disk| disk.mount_point.clone()).unwrap_or_default()
    };
    let is_this = |task: &Task| {
        let what = match &task.work {
            Work::Agent(AgentVerb::Configure) => "configure".to_owned(),
            Work::Agent(AgentVerb::Metadata { .. }) => "metadata".to_owned(),
            Work::Agent(AgentVerb::Mount { disk }) => format!("mount {}", path(disk)),
            Work::Agent(AgentVerb::Unmount { mount_point, .. }) => format!("unmount {mount_point}"),
            Work::Agent(AgentVerb::AwaitHealthy) => "await health".to_owned(),
            Work::Agent(AgentVerb::AttachKeys { .. } | AgentVerb::DetachKeys { .. }) => "keys".to_owned(),
            Work::Agent(AgentVerb::Service { cmd, params, .. }) => {
                params.iter().fold(cmd.clone(), |what, (key, value)| format!("{what} {key}={value}"))
            }
            _ => return false,
        };
        what == ran.what && task.node.as_ref().is_some_and(|node| node.as_str() == ran.node)
    };
    let wanting = || plan.layers.iter().enumerate().filter(|(_, layer)| layer.tasks.iter().any(is_this));
    wanting().nth(again).or_else(|| wanting().next_back()).map(|(i, _)| i)
}

/// The cluster without ids and addresses, which depend on the order in which resources were made.
fn shape(cluster: &Cluster) -> String {
    let Cluster { status, transition, last_error, joining, previous, .. } = cluster;
    let previous = previous.as_ref().map(|spec| &spec.app);
    let mut shape = format!("{status:?} {transition:?} {last_error:?} {joining:?} {previous:?}\n");
    for (id, node) in &cluster.nodes {
        let devices: Vec<_> = node.disks.values().map(|disk| disk.device.as_deref()).collect();
        let has_agent = node.instance.as_ref().map(|instance| instance.agent.is_some());
        let Node { status, public_key, app, .. } = node;
        shape += &format!("{id} {status:?} {has_agent:?} {devices:?} {public_key:?} {app:?}\n");
    }
    shape
}

//! The plan of each action. Pure: everything is in the findings.

use super::{
    check::adopted,
    findings::{Findings, Found, FoundHook},
    step::Step,
};
use crate::{
    calls::{self, Basis, can_stop},
    manifest::{Phase, install_phase},
    release::{DeletePolicy, ReleaseStatus},
    render::HookEvent,
};
use provider_core::{Action, Change, ClusterStatus, Error, Facts, Layer, NodeId, Plan, Result, Task};

/// Seconds until one request has failed for good.
const REQUEST_S: u32 = 120;

/// The plan that brings `change` about.
///
/// # Errors
/// `Unsupported` for an action that there is none for; `Quota` or `Invalid` when something stands in the way.
pub(super) fn plan(change: &Change, facts: Facts) -> Result<Plan> {
    if !facts.shortfalls.is_empty() {
        return Err(refused(change, &facts));
    }
    if facts.extra.is_null() {
        // A forced delete of what can't be asked any more.
        return Ok(Plan::new(facts, []));
    }
    let findings = Findings::of(&facts)?;
    let frame = Frame { findings: &findings };
    let layers = match &change.action {
        _ if adopted(change).is_some() => frame.adopt()?,
        Action::StartClusters if change.before.status != ClusterStatus::Pending => {
            frame.running(calls::Change::Start)?
        }
        Action::CreateCluster
        | Action::StartClusters
        | Action::UpgradeCluster { .. }
        | Action::UpdateClusterEnv
        | Action::RollbackCluster { .. } => frame.revision()?,
        Action::RecoverClusters => frame.repair()?,
        Action::StopClusters => frame.running(calls::Change::Stop)?,
        Action::RestartClusters => frame.running(calls::Change::Restart)?,
        Action::DeleteClusters { keep_volumes, .. } => {
            frame.delete(*keep_volumes, super::keeps_history(&change.action))?
        }
        Action::CeaseClusters => frame.delete(false, false)?,
        Action::RunService { .. } => frame.test()?,
        other => {
            return Err(Error::unsupported(format!("Kubernetes has no plan for `{}`", other.kind().verb())));
        }
    };
    Ok(Plan::new(facts, layers))
}

fn refused(change: &Change, facts: &Facts) -> Error {
    let first = &facts.shortfalls[0];
    let is_quota = facts.shortfalls.iter().all(|s| s.what.starts_with("quota "));
    let attempt = format!("`{}` of `{}`", change.action.kind().verb(), change.after.name);
    let message = match facts.shortfalls.len() {
        1 => format!("{attempt}: {}: {}", first.what, first.why),
        n => format!("{attempt}: {n} things stand in the way"),
    };
    let mut error = if is_quota { Error::quota(message) } else { Error::invalid(message) };
    if facts.shortfalls.len() > 1 {
        for shortfall in &facts.shortfalls {
            let hint = shortfall.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            error = error.because(format!("{}: {}{hint}", shortfall.what, shortfall.why));
        }
    } else if let Some(hint) = &first.hint {
        error = error.hint(hint.clone());
    }
    error.with_retry(provider_core::Retry::Never)
}

struct Frame<'a> {
    findings: &'a Findings,
}

impl Frame<'_> {
    fn task(&self, step: &Step, node: Option<NodeId>, timeout_s: u32) -> Result<Task> {
        step.task(&self.findings.namespace, node, timeout_s)
    }

    /// A new revision: installed, upgraded to, or rolled back to.
    fn revision(&self) -> Result<Vec<Layer>> {
        let found = self.findings;
        let Some(basis) = found.basis else { return Err(Error::bug("a new revision has no basis")) };
        let (before, after, description) = match basis {
            Basis::Install => (HookEvent::PreInstall, HookEvent::PostInstall, "Install complete".to_owned()),
            Basis::Upgrade => (HookEvent::PreUpgrade, HookEvent::PostUpgrade, "Upgrade complete".to_owned()),
            Basis::Rollback(to) => {
                (HookEvent::PreRollback, HookEvent::PostRollback, format!("Rollback to {to}"))
            }
        };
        let mut layers = vec![self.claim(basis)?];
        layers.extend(self.definitions()?);
        layers.extend(self.hooks(before)?);
        layers.extend(self.apply(false)?);
        layers.push(self.remove(&found.gone, false)?);
        layers.push(self.await_all(true)?);
        layers.extend(self.hooks(after)?);
        layers.push(self.conclude(description, vec![before, after])?);
        Ok(layers)
    }

    /// Taking over what something else made: apply it once more, and write down that it is there.
    fn adopt(&self) -> Result<Vec<Layer>> {
        let mut layers = vec![self.take_fields()?];
        layers.extend(self.apply(false)?);
        layers.push(self.remove(&self.findings.gone, false)?);
        layers.push(self.await_all(true)?);
        layers.push(self.conclude("Taken over".to_owned(), Vec::new())?);
        Ok(layers)
    }

    /// Bringing the objects back to what the release says, whoever has changed them.
    fn repair(&self) -> Result<Vec<Layer>> {
        let mut layers = vec![self.take_fields()?];
        layers.extend(self.apply(true)?);
        layers.push(self.await_all(false)?);
        Ok(layers)
    }

    /// The tests of the release, which stays as it is.
    fn test(&self) -> Result<Vec<Layer>> {
        let mut layers = self.hooks(HookEvent::Test)?;
        if self.findings.deployed.contains(&self.findings.revision) {
            layers.push(self.conclude(String::new(), vec![HookEvent::Test])?);
        }
        Ok(layers)
    }

    /// Stopping, starting or restarting all workloads where that makes sense.
    fn running(&self, change: calls::Change) -> Result<Vec<Layer>> {
        let workloads = self.findings.objects.iter().filter(|found| {
            let (group, kind) = (found.object.resource.group(), found.object.kind());
            found.node.is_some()
                && match change {
                    calls::Change::Restart => {
                        matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet") && group == "apps"
                    }
                    _ => can_stop(group, kind),
                }
        });
        let tasks = workloads
            .clone()
            .map(|found| {
                let step = Step::Running { object: found.object.clone(), change, replicas: found.replicas };
                // A stop is over once no pod is left.
                self.task(&step, found.node.clone(), self.findings.wait_s)
            })
            .collect::<Result<_>>()?;
        let name = match change {
            calls::Change::Stop => "stop workloads",
            calls::Change::Start => "start workloads",
            calls::Change::Restart => "restart workloads",
        };
        let waits = workloads
            .filter(|_| change != calls::Change::Stop)
            .map(|found| self.await_one(found, false))
            .collect::<Result<_>>()?;
        Ok(vec![layer(name, tasks), layer("await workloads", waits)])
    }

    fn delete(&self, keep_volumes: bool, keep_history: bool) -> Result<Vec<Layer>> {
        let found = self.findings;
        if found.revision == 0 {
            return Ok(Vec::new());
        }
        let objects: Vec<_> = found
            .objects
            .iter()
            .filter(|found| !(found.keep || keep_volumes && found.object.kind() == "PersistentVolumeClaim"))
            .cloned()
            .collect();
        let mut layers =
            vec![self.record(ReleaseStatus::Uninstalling, "Deletion in progress (or silently failed)")?];
        layers.extend(self.hooks(HookEvent::PreDelete)?);
        // Webhooks would refuse the removal of what they guard, and custom resources need their controllers.
        let is_first = |found: &&Found| {
            matches!(install_phase(found.object.kind()), Phase::Webhooks | Phase::Others)
                || found.object.kind() == "APIService"
        };
        let (first, rest): (Vec<_>, Vec<_>) = objects.iter().partition(is_first);
        let owned = |list: Vec<&Found>| list.into_iter().cloned().collect::<Vec<_>>();
        layers.push(self.remove(&owned(first), true)?);
        layers.push(self.remove(&owned(rest), true)?);
        layers.extend(self.hooks(HookEvent::PostDelete)?);
        if keep_history {
            layers.push(self.record(ReleaseStatus::Uninstalled, "Uninstallation complete")?);
        } else {
            let step = Step::Forget { release: found.release.clone(), revisions: found.revisions.clone() };
            layers.push(layer("forget the release", vec![self.task(&step, None, REQUEST_S)?]));
        }
        Ok(layers)
    }

    fn claim(&self, basis: Basis) -> Result<Layer> {
        let step = Step::Claim {
            release: self.findings.release.clone(),
            revision: self.findings.revision,
            basis,
            digest: self.findings.digest.clone(),
            unfinished: self.findings.unfinished,
        };
        Ok(layer("record the release", vec![self.task(&step, None, REQUEST_S)?]))
    }

    fn definitions(&self) -> Result<[Layer; 2]> {
        let objects = &self.findings.definitions;
        let define =
            objects.iter().map(|object| self.task(&Step::Define { object: object.clone() }, None, REQUEST_S));
        let of = Some((self.findings.release.clone(), self.findings.revision));
        let wait = objects.iter().map(|object| {
            let step = Step::Await { of: of.clone(), object: object.clone() };
            self.task(&step, None, 60)
        });
        Ok([
            layer("define custom resources", define.collect::<Result<_>>()?),
            layer("await definitions", wait.collect::<Result<_>>()?),
        ])
    }

    /// The hooks of an event one after another, then the removal of those that are to go once all have succeeded.
    fn hooks(&self, event: HookEvent) -> Result<Vec<Layer>> {
        let mut layers = Vec::new();
        let hooks: Vec<&FoundHook> = self.findings.hooks_of(event).collect();
        for hook in &hooks {
            let step = Step::Hook {
                release: self.findings.release.clone(),
                revision: self.findings.revision,
                index: hook.index,
                event,
                object: hook.object.clone(),
                delete_failed: hook.deletes.contains(&DeletePolicy::HookFailed),
                // Who runs tests wants to see them.
                shows_success: hook.shows_success || event == HookEvent::Test,
                shows_failure: hook.shows_failure || event == HookEvent::Test,
            };
            layers.push(layer(
                &format!("{event} hook {}", hook.object.name),
                vec![self.task(&step, None, self.findings.wait_s)?],
            ));
        }
        let done = hooks.iter().rev().filter(|hook| hook.deletes.contains(&DeletePolicy::HookSucceeded));
        let clear = done.map(|hook| {
            let step =
                Step::ClearHook { release: self.findings.release.clone(), object: hook.object.clone() };
            self.task(&step, None, REQUEST_S)
        });
        layers.push(layer(&format!("clear {event} hooks"), clear.collect::<Result<_>>()?));
        Ok(layers)
    }

    fn take_fields(&self) -> Result<Layer> {
        let objects = self.findings.objects.iter().filter(|_| self.findings.client_side);
        let tasks = objects
            .map(|found| self.task(&Step::TakeFields { object: found.object.clone() }, None, REQUEST_S));
        Ok(layer("take over fields", tasks.collect::<Result<_>>()?))
    }

    /// The objects, kinds that need each other one after another.
    fn apply(&self, force: bool) -> Result<Vec<Layer>> {
        let mut layers: Vec<(Phase, Layer)> = Vec::new();
        let mut objects: Vec<_> = self.findings.objects.iter().collect();
        objects.sort_by_key(|found| install_phase(found.object.kind()));
        for found in objects {
            let phase = install_phase(found.object.kind());
            let step = Step::Apply {
                release: self.findings.release.clone(),
                revision: self.findings.revision,
                object: found.object.clone(),
                create: found.create,
                force,
            };
            let task = self.task(&step, found.node.clone(), REQUEST_S)?;
            match layers.last_mut() {
                Some((last, layer)) if *last == phase => layer.tasks.push(task),
                _ => layers.push((phase, layer(&format!("apply {}", phase.title()), vec![task]))),
            }
        }
        // Objects of kinds that the release itself defines need the definitions to be established.
        if let Some(at) = layers.iter().position(|(phase, _)| *phase == Phase::Definitions) {
            let of = Some((self.findings.release.clone(), self.findings.revision));
            let defined = self
                .findings
                .objects
                .iter()
                .filter(|found| install_phase(found.object.kind()) == Phase::Definitions);
            let waits = defined.map(|found| {
                let step = Step::Await { of: of.clone(), object: found.object.clone() };
                self.task(&step, None, 60)
            });
            layers.insert(
                at + 1,
                (Phase::Definitions, layer("await definitions", waits.collect::<Result<_>>()?)),
            );
        }
        Ok(layers.into_iter().map(|(_, layer)| layer).collect())
    }

    /// Waits for everything that can be anything but ready.
    fn await_all(&self, fails_release: bool) -> Result<Layer> {
        let awaited = self.findings.objects.iter().filter(|found| found.awaited);
        let tasks = awaited.map(|found| self.await_one(found, fails_release));
        Ok(layer("await readiness", tasks.collect::<Result<_>>()?))
    }

    fn await_one(&self, found: &Found, fails_release: bool) -> Result<Task> {
        let of = fails_release.then(|| (self.findings.release.clone(), self.findings.revision));
        let step = Step::Await { of, object: found.object.clone() };
        self.task(&step, found.node.clone(), self.findings.wait_s)
    }

    fn remove(&self, objects: &[Found], all: bool) -> Result<Layer> {
        let tasks = objects.iter().map(|found| {
            let step = Step::Remove { release: self.findings.release.clone(), object: found.object.clone() };
            self.task(&step, found.node.clone(), self.findings.wait_s)
        });
        let name = if all { "remove objects" } else { "remove what is no longer wanted" };
        Ok(layer(name, tasks.collect::<Result<_>>()?))
    }

    fn conclude(&self, description: String, ran: Vec<HookEvent>) -> Result<Layer> {
        let found = self.findings;
        let step = Step::Record {
            release: found.release.clone(),
            revision: found.revision,
            status: ReleaseStatus::Deployed,
            description,
            ran: ran.into_iter().filter(|event| found.hooks_of(*event).next().is_some()).collect(),
            superseded: found.deployed.iter().copied().filter(|one| *one != found.revision).collect(),
            forgotten: found.stale.clone(),
        };
        Ok(layer("record the outcome", vec![self.task(&step, None, REQUEST_S)?]))
    }

    fn record(&self, status: ReleaseStatus, description: &str) -> Result<Layer> {
        let step = Step::Record {
            release: self.findings.release.clone(),
            revision: self.findings.revision,
            status,
            description: description.to_owned(),
            ran: Vec::new(),
            superseded: Vec::new(),
            forgotten: Vec::new(),
        };
        Ok(layer(&format!("record the release as {status}"), vec![self.task(&step, None, REQUEST_S)?]))
    }
}

fn layer(name: &str, tasks: Vec<Task>) -> Layer {
    Layer { name: name.to_owned(), tasks }
}

//! What a change needs and finds: everything that stands in the way, all at once, and nothing is changed.

use super::{
    access,
    findings::{Findings, Found, FoundHook, looks_up, lookups_ref},
    parse::NodeNames,
};
use crate::{
    api::{Discovery, ObjectRef, group_of},
    calls::{Basis, can_stop},
    lookup,
    manifest::{self, Workload, install_rank, text},
    release::{HISTORY, Release, ReleaseStatus, Revision, stale},
    render::HookEvent,
    session::{Loaded, Session},
    source, status,
};
use futures_util::future::{try_join, try_join3};
use provider_core::{Action, Change, ClusterStatus, Error, Facts, Result, ServiceName, Shortfall, Zone};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The service that the tests of a chart are.
const TEST: &str = "test";

/// Looks at everything that `change` depends on.
///
/// # Errors
/// Only when the cluster can't be asked; what stands in the way is a shortfall.
pub(super) async fn check(session: &Session, change: &Change) -> Result<Facts> {
    let mut check = Check::begin(session, change).await?;
    match &change.action {
        _ if adopted(change).is_some() => check.adopt().await?,
        _ if is_installation(change) => check.render(true).await?,
        Action::UpgradeCluster { .. } | Action::UpdateClusterEnv => check.render(false).await?,
        Action::RollbackCluster { .. } => check.roll_back().await?,
        Action::DeleteClusters { .. } | Action::CeaseClusters => check.delete().await?,
        Action::StopClusters => check.stop().await?,
        Action::RunService { service, params } => check.test(service, !params.is_empty()).await?,
        _ => check.present().await?,
    }
    check.finish()
}

/// Whether a release is to be made for the first time.
fn is_installation(change: &Change) -> bool {
    match change.action {
        Action::CreateCluster => adopted(change).is_none(),
        Action::StartClusters => change.before.status == ClusterStatus::Pending,
        _ => false,
    }
}

/// The revision of a release that is to be taken over, where that is what a change is.
pub(super) fn adopted(change: &Change) -> Option<u32> {
    let revision = change.after.conf.get("adopt")?.as_u64().and_then(|n| u32::try_from(n).ok())?;
    (change.action == Action::CreateCluster).then_some(revision)
}

/// Whether an object has a state to wait for. A Service has one only where it is given an address from outside.
fn is_awaited(object: &Value) -> bool {
    let at = |pointer| text(object, pointer).unwrap_or_default();
    let (group, kind) = (group_of(at("/apiVersion")), at("/kind"));
    status::is_awaited(group, kind) && (kind != "Service" || at("/spec/type") == "LoadBalancer")
}

/// The label of a runtime that says for how many seconds each object is waited for.
pub(super) const WAIT_LABEL: &str = "wait-timeout-s";

/// How long a runtime waits for objects: its label, or what Helm waits.
fn wait_s(labels: &BTreeMap<String, String>) -> Result<u32> {
    let Some(text) = labels.get(WAIT_LABEL) else { return Ok(300) };
    text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds)).ok_or_else(|| {
        Error::invalid(format!("the label `{WAIT_LABEL}` of the runtime is `{text}`"))
            .hint("give seconds, from 1 to 86400")
    })
}

pub(super) struct Check<'a> {
    pub(super) session: &'a Session,
    pub(super) change: &'a Change,
    pub(super) discovery: Discovery,
    pub(super) findings: Findings,
    pub(super) shortfalls: Vec<Shortfall>,
    known: Vec<Revision>,
    nodes: NodeNames,
}

/// What a cluster does not serve, by version and kind: the names of those that ask for it.
pub(super) type Missing = BTreeMap<(String, String), Vec<String>>;

pub(super) fn shortfall(what: impl Into<String>, why: impl Into<String>, hint: Option<&str>) -> Shortfall {
    Shortfall { what: what.into(), why: why.into(), hint: hint.map(str::to_owned) }
}

impl<'a> Check<'a> {
    async fn begin(session: &'a Session, change: &'a Change) -> Result<Self> {
        let release = change.after.name.clone();
        let api = session.api();
        let known = async {
            // Nothing is in a namespace that is not there.
            if is_installation(change) && !session.has_namespace().await? {
                return Ok((true, Vec::new()));
            }
            Ok((false, session.revisions(&release).await?))
        };
        let (discovery, version, (new_namespace, known)) =
            try_join3(Discovery::run(api), api.version(), known).await?;
        let findings = Findings {
            wait_s: wait_s(&session.cx.runtime.labels)?,
            release,
            namespace: session.namespace().to_owned(),
            new_namespace,
            cluster: Some(change.before.id.clone()),
            app: Some(change.after.app.clone()),
            at: session.cx.clock.now(),
            kube_version: version,
            revisions: known.iter().map(|r| r.revision).collect(),
            deployed: known
                .iter()
                .filter(|r| r.status == ReleaseStatus::Deployed)
                .map(|r| r.revision)
                .collect(),
            ..Findings::default()
        };
        let nodes = NodeNames::of(&change.after, &change.before);
        Ok(Self { session, change, discovery, findings, shortfalls: Vec::new(), known, nodes })
    }

    fn finish(self) -> Result<Facts> {
        let mut facts = Facts::none(Zone::new(self.session.namespace()), self.findings.at);
        facts.shortfalls = self.shortfalls;
        facts.extra = self.findings.into_value()?;
        Ok(facts)
    }

    /// Notes the next revision, and whether somebody else is at work on the release.
    fn claim(&mut self, basis: Basis) {
        let newest = self.known.last().cloned();
        self.findings.basis = Some(basis);
        self.findings.revision = newest.as_ref().map_or(0, |newest| newest.revision) + 1;
        self.findings.stale = stale(&self.known, HISTORY - 1);
        let Some(newest) = newest.filter(|newest| newest.status.is_pending()) else { return };
        if newest.cluster.as_deref() == Some(self.change.before.id.as_str()) {
            self.findings.unfinished = Some(newest.revision);
        } else {
            let what = format!("release {}", self.findings.release);
            let why = format!(
                "revision {} is {}: something else is at work on it, or died",
                newest.revision, newest.status
            );
            self.shortfalls.push(shortfall(
                what,
                why,
                Some("wait for it, or finish it with `pitrix cluster adopt`"),
            ));
        }
    }

    /// A release that is made of the chart: for the first time, or over one that there is.
    async fn render(&mut self, create: bool) -> Result<()> {
        let live: Vec<_> =
            self.known.iter().filter(|r| r.status != ReleaseStatus::Uninstalled).cloned().collect();
        let ours = |r: &Revision| r.cluster.as_deref() == Some(self.change.before.id.as_str());
        if create && let Some(other) = live.iter().rfind(|r| !ours(r)) {
            let what = format!("release {}", self.findings.release);
            let why = format!("there is one already, revision {} is {}", other.revision, other.status);
            let hint = "choose another name, or take it over with `pitrix cluster adopt`";
            self.shortfalls.push(shortfall(what, why, Some(hint)));
            return Ok(());
        }
        if !create && live.is_empty() {
            self.gone_shortfall();
            return Ok(());
        }
        self.claim(if create { Basis::Install } else { Basis::Upgrade });
        let before = self.previous().await?;
        // Charts may ask for what their own definitions will bring.
        if create {
            let package = self.session.cx.records.package(&self.change.after.app).await?;
            for file in crate::chart::Chart::from_archive(&package)?.crds() {
                for definition in manifest::objects(&String::from_utf8_lossy(&file.data))? {
                    self.discovery.add_definition(&definition);
                }
            }
        }
        self.findings.api_versions = self.discovery.api_versions();
        let mut wanted = self.findings.wanted(&self.session.cx).await?;
        let seed = wanted.seed.clone();
        let asked = looks_up(&self.change.after)
            .then(|| Arc::new(lookup::Cluster::new(self.session.api().clone(), self.discovery.clone())));
        if let Some(asked) = &asked {
            wanted.lookups = lookup::Lookups::Live(asked.clone());
        }
        let made = wanted.make_aside().await?;
        if let Some(asked) = asked {
            let answers = asked.answers();
            self.findings.looked_up = Some(answers.summary());
            self.session.cx.secrets.bring(lookups_ref(&self.change.before.id), answers.to_secret())?;
        }
        self.findings.digest = source::digest(&made.release, &seed);
        self.check_size(&made.release)?;
        self.session.note_planned(&made.release);
        let loaded = Loaded::new(made.release)?;
        if create {
            self.check_definitions(&made.definitions).await?;
        }
        let events: &[HookEvent] = if create {
            &[HookEvent::PreInstall, HookEvent::PostInstall]
        } else {
            &[HookEvent::PreUpgrade, HookEvent::PostUpgrade]
        };
        self.target(&loaded, &before, events).await
    }

    /// An earlier revision, applied again as a new one.
    async fn roll_back(&mut self) -> Result<()> {
        let newest = self.known.last().map_or(0, |r| r.revision);
        let asked = super::rollback_target(&self.change.action);
        let worked = |r: &&Revision| {
            r.revision < newest && matches!(r.status, ReleaseStatus::Superseded | ReleaseStatus::Deployed)
        };
        let target = match asked {
            Some(asked) => self.known.iter().find(|r| r.revision == asked),
            None => self.known.iter().rfind(worked),
        };
        let Some(target) = target.map(|r| r.revision) else {
            let (what, have) = (format!("release {}", self.findings.release), &self.findings.revisions);
            let why = match asked {
                Some(asked) => format!("it has no revision {asked}, it has: {have:?}"),
                None => "it has no earlier revision that worked".to_owned(),
            };
            self.shortfalls.push(shortfall(what, why, None));
            return Ok(());
        };
        self.claim(Basis::Rollback(target));
        let before = self.previous().await?;
        let loaded = self.session.load(&self.findings.release, target).await?;
        self.target(&loaded, &before, &[HookEvent::PreRollback, HookEvent::PostRollback]).await
    }

    /// A release that something else made.
    async fn adopt(&mut self) -> Result<()> {
        let revision = adopted(self.change).unwrap_or_default();
        self.findings.revision = revision;
        self.findings.deployed.retain(|deployed| *deployed != revision);
        let loaded = self.session.load(&self.findings.release, revision).await?;
        self.findings.client_side = loaded.release.apply_method != "ssa";
        let before = self.previous().await?;
        self.target(&loaded, &before, &[]).await
    }

    /// The release as it is: for starts, restarts and repairs.
    async fn present(&mut self) -> Result<()> {
        let Some(current) = self.current() else {
            self.gone_shortfall();
            return Ok(());
        };
        self.findings.revision = current;
        let loaded = self.session.load(&self.findings.release, current).await?;
        self.findings.client_side = loaded.release.apply_method != "ssa";
        let found = self.found(loaded.objects(), true);
        self.findings.objects = found.into_iter().map(|(found, _)| found).collect();
        Ok(())
    }

    async fn stop(&mut self) -> Result<()> {
        self.present().await?;
        let stuck: Vec<_> = self
            .findings
            .objects
            .iter()
            .filter(|found| found.node.is_some() && found.object.kind() != "Job")
            .map(|found| &found.object)
            .filter(|object| !can_stop(object.resource.group(), object.kind()))
            .map(ToString::to_string)
            .collect();
        if !stuck.is_empty() {
            let why = format!("these can't be scaled to zero: {}", stuck.join(", "));
            self.shortfalls.push(shortfall(
                "stop",
                why,
                Some("delete the cluster instead; its claims can be kept"),
            ));
        }
        Ok(())
    }

    /// The release as it is, and its tests: the one service that a chart can have.
    async fn test(&mut self, service: &ServiceName, has_params: bool) -> Result<()> {
        let Some(current) = self.current() else {
            self.gone_shortfall();
            return Ok(());
        };
        let app = &self.change.after.app;
        self.findings.revision = current;
        let loaded = self.session.load(&self.findings.release, current).await?;
        let mut hooks = loaded.release.hooks.iter().flat_map(|hook| &hook.events);
        let has_tests = hooks.any(|event| *event == HookEvent::Test);
        if !has_tests || service.as_str() != TEST {
            let hint = if has_tests {
                "it has: test, which runs its tests (hooks called `test`)"
            } else {
                "of a chart only its tests can be run (hooks called `test`), and this one has none"
            };
            let service = service.as_str();
            return Err(Error::not_found(format!("`{app}` has no service `{service}`")).hint(hint));
        }
        if has_params {
            return Err(Error::unsupported(format!("the tests of `{app}` take no parameters"))
                .hint("give values with `pitrix cluster update-env` before"));
        }
        self.hooks(&loaded.release, &[HookEvent::Test]);
        Ok(())
    }

    async fn delete(&mut self) -> Result<()> {
        let Some(newest) = self.known.last().map(|r| r.revision) else { return Ok(()) };
        self.findings.revision = newest;
        let mut objects: Vec<Found> = Vec::new();
        for loaded in self.previous().await? {
            objects.extend(self.found_quietly(loaded.objects()));
            if loaded.release.version == newest {
                self.hooks(&loaded.release, &[HookEvent::PreDelete, HookEvent::PostDelete]);
            }
        }
        self.findings.objects = in_order_of_removal(objects);
        // What nobody serves any more can't be deleted either, and is no reason to stop.
        self.shortfalls.clear();
        Ok(())
    }

    /// The revision that is in force: the deployed one, or the newest.
    fn current(&self) -> Option<u32> {
        let deployed = self.findings.deployed.last().copied();
        let newest = self.known.iter().rfind(|r| r.status != ReleaseStatus::Uninstalled).map(|r| r.revision);
        deployed.or(newest)
    }

    fn gone_shortfall(&mut self) {
        let what = format!("release {}", self.findings.release);
        let why = format!("it is not in the namespace `{}` any more", self.findings.namespace);
        self.shortfalls.push(shortfall(what, why, Some("delete the cluster and create it again")));
    }

    /// The revisions whose objects may be there: the deployed one, and the newest if that did not come to be.
    async fn previous(&self) -> Result<Vec<Arc<Loaded>>> {
        let newest = self.known.iter().rfind(|r| r.status != ReleaseStatus::Uninstalled).map(|r| r.revision);
        let wanted: BTreeSet<_> = newest.into_iter().chain(self.findings.deployed.last().copied()).collect();
        let mut loaded = Vec::new();
        for revision in wanted {
            loaded.push(self.session.load(&self.findings.release, revision).await?);
        }
        Ok(loaded)
    }

    /// What a revision wants: its objects, which of them are new, what goes, its hooks, and whether all that may be.
    async fn target(&mut self, loaded: &Loaded, before: &[Arc<Loaded>], events: &[HookEvent]) -> Result<()> {
        let mut wanted = self.found(loaded.objects(), true);
        self.hooks(&loaded.release, events);
        let old: Vec<Found> = before.iter().flat_map(|loaded| self.found_quietly(loaded.objects())).collect();
        let was = |object: &ObjectRef| old.iter().any(|old| old.object.is_same(object));
        self.check_existing(&mut wanted, was).await?;
        let objects: Vec<_> = wanted.iter().map(|(found, _)| found.clone()).collect();
        let goes = |old: &Found| !old.keep && !objects.iter().any(|new| new.object.is_same(&old.object));
        self.findings.gone = in_order_of_removal(old.into_iter().filter(goes).collect());
        let pairs: Vec<_> = wanted.iter().map(|(found, object)| (found, *object)).collect();
        let (rights, quotas) = try_join(
            access::rights(self.session, &self.findings, &pairs),
            access::quotas(self.session, &self.findings, &pairs),
        )
        .await?;
        self.shortfalls.extend(access::names(&pairs));
        self.shortfalls.extend(rights);
        self.shortfalls.extend(quotas);
        self.findings.objects = objects;
        Ok(())
    }

    /// What `object`, of this kind, is called; noted in `missing` if nobody serves that.
    pub(super) fn served(&self, object: &Value, kind: &str, missing: &mut Missing) -> Option<ObjectRef> {
        let at = |pointer| text(object, pointer).unwrap_or_default();
        let version = at("/apiVersion");
        if let Some(resource) = self.discovery.resource(version, kind) {
            return Some(ObjectRef::of(resource.clone(), object, &self.findings.namespace));
        }
        let names = missing.entry((version.to_owned(), kind.to_owned())).or_default();
        names.push(at("/metadata/name").to_owned());
        None
    }

    /// Makes a shortfall of each kind that is missing.
    pub(super) fn not_served(&mut self, missing: Missing) {
        for ((version, kind), names) in missing {
            let served: Vec<_> = self.discovery.versions_of(&kind).collect();
            let hint = if served.is_empty() {
                "install what defines it first, or turn off the part of the chart that asks for it".to_owned()
            } else {
                format!("it is served as: {}", served.join(", "))
            };
            let what = format!("{version} {kind}");
            let why = format!("this cluster does not serve it, and {} asks for it", names.join(", "));
            self.shortfalls.push(shortfall(what, why, Some(&hint)));
        }
    }

    /// The objects of a manifest in Helm's order, as far as their kinds are served; the others are shortfalls.
    fn found<'o>(&mut self, objects: &'o [Value], complain: bool) -> Vec<(Found, &'o Value)> {
        for object in objects.iter().filter(|o| text(o, "/kind") == Some("CustomResourceDefinition")) {
            self.discovery.add_definition(object);
        }
        let mut missing = Missing::new();
        let mut found: Vec<(Found, &Value)> = Vec::new();
        for object in objects {
            let kind = text(object, "/kind").unwrap_or_default();
            let Some(reference) = self.served(object, kind, &mut missing) else { continue };
            let workload = Workload::of(object);
            let node = workload.as_ref().and_then(|workload| self.nodes.node(workload));
            found.push((
                Found {
                    object: reference,
                    create: false,
                    keep: manifest::is_kept(object),
                    awaited: node.is_some() || is_awaited(object),
                    node,
                    replicas: workload.and_then(|workload| workload.replicas),
                },
                object,
            ));
        }
        if complain {
            self.not_served(missing);
        }
        found.sort_by(|(a, _), (b, _)| install_rank(a.object.kind()).cmp(&install_rank(b.object.kind())));
        found
    }

    fn found_quietly(&mut self, objects: &[Value]) -> Vec<Found> {
        self.found(objects, false).into_iter().map(|(found, _)| found).collect()
    }

    fn hooks(&mut self, release: &Release, events: &[HookEvent]) {
        let mut hooks: Vec<_> = release.hooks.iter().enumerate().collect();
        hooks.sort_by(|(_, a), (_, b)| (a.weight, &a.name).cmp(&(b.weight, &b.name)));
        for (index, hook) in hooks {
            if !hook.events.iter().any(|event| events.contains(event)) {
                continue;
            }
            let Ok(Some(object)) = manifest::objects(&hook.manifest).map(|o| o.into_iter().next()) else {
                continue;
            };
            let version = text(&object, "/apiVersion").unwrap_or_default();
            match self.discovery.resource(version, &hook.kind) {
                Some(resource) => self.findings.hooks.push(FoundHook {
                    index,
                    object: ObjectRef::of(resource.clone(), &object, &self.findings.namespace),
                    events: hook.events.clone(),
                    deletes: [
                        crate::release::DeletePolicy::HookSucceeded,
                        crate::release::DeletePolicy::HookFailed,
                    ]
                    .into_iter()
                    .filter(|policy| hook.deletes(*policy))
                    .collect(),
                    shows_success: hook.shows_output("hook-succeeded"),
                    shows_failure: hook.shows_output("hook-failed"),
                }),
                None => {
                    let why =
                        format!("this cluster does not serve it, and the hook {} asks for it", hook.name);
                    self.shortfalls.push(shortfall(format!("{version} {}", hook.kind), why, None));
                }
            }
        }
    }
}

/// Each object once, kinds as Helm removes them.
fn in_order_of_removal(mut objects: Vec<Found>) -> Vec<Found> {
    objects.sort_by(|Found { object: a, .. }, Found { object: b, .. }| {
        let ranks = manifest::uninstall_rank(a.kind()).cmp(&manifest::uninstall_rank(b.kind()));
        ranks.then_with(|| a.identity().cmp(&b.identity()))
    });
    objects.dedup_by(|second, first| second.object.is_same(&first.object));
    objects
}

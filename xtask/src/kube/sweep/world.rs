//! The cluster that one of the two programs works on.

use super::{
    cases::Case,
    objects::{self, Snapshot},
};
use crate::{
    Result,
    command::Cmd,
    kube::{Cluster, Programs, audit::Meter},
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// How namespaces of a sweep begin.
const PREFIX: &str = "sweep-";

/// What says nothing of a chart and is much.
const LEFT_OUT: [&str; 3] = ["endpoints", "events", "events.events.k8s.io"];

/// What would be asked about every object that goes, so that it goes first.
const GATES: [&str; 3] = ["MutatingWebhookConfiguration.", "ValidatingWebhookConfiguration.", "APIService."];

pub(super) struct World<'a> {
    programs: &'a Programs,
    /// The kubeconfig of whoever works, whose requests are counted.
    pub(super) kubeconfig: String,
    /// The kubeconfig of whoever looks and cleans up.
    admin: String,
    cache: PathBuf,
    meter: Option<Meter>,
    /// Every kind that can be listed and deleted.
    kinds: String,
    /// What there was before the chart.
    before: BTreeSet<String>,
}

impl<'a> World<'a> {
    /// `cluster`, with `user` at work.
    pub(super) fn new(cluster: &Cluster, programs: &'a Programs, user: &'static str) -> Result<Self> {
        let mut world = Self {
            programs,
            kubeconfig: cluster.kubeconfig(user),
            admin: cluster.kubeconfig("admin"),
            cache: cluster.own.dir.join("cache"),
            meter: cluster.given.is_none().then(|| Meter::new(cluster.own.audit_log(), user)),
            kinds: String::new(),
            before: BTreeSet::new(),
        };
        let kinds = world.kubectl(&["api-resources", "--verbs=list,delete", "--output=name"]).answer()?;
        let kinds = kinds.lines().filter(|kind| !LEFT_OUT.contains(kind));
        world.kinds = kinds.collect::<Vec<_>>().join(",");
        Ok(world)
    }

    fn kubectl(&self, arguments: &[&str]) -> Cmd {
        self.programs.kubectl(self.admin.as_ref(), arguments).quiet_env("KUBECACHEDIR", &self.cache)
    }

    /// Sees to it that there is no namespace for `case`, and remembers what there is.
    pub(super) fn begin(&mut self, case: &Case) -> Result<()> {
        let namespace = &case.release;
        let gone = ["delete", "namespace", namespace, "--ignore-not-found", "--wait=true", "--timeout=90s"];
        self.kubectl(&gone).answer()?;
        self.before = objects::keys(&self.list(&self.kinds)?)?;
        self.requests()?;
        Ok(())
    }

    /// What the chart has put there.
    pub(super) fn look(&self, case: &Case) -> Result<Snapshot> {
        let json = self.list(&self.kinds)?;
        let mut snapshot = Snapshot::read(&json, &self.before)?;
        // One that the server does not serve yet has no objects either.
        for kind in objects::custom_resources(&json, &self.before)? {
            if let Ok(json) = self.list(&kind) {
                snapshot.0.extend(Snapshot::read(&json, &self.before)?.0);
            }
        }
        Ok(snapshot.without_others(PREFIX, &case.release))
    }

    fn list(&self, kinds: &str) -> Result<String> {
        self.kubectl(&["get", kinds, "--all-namespaces", "--output=json", "--ignore-not-found"]).answer()
    }

    /// How many requests whoever works has made since this was asked last.
    pub(super) fn requests(&mut self) -> Result<Option<usize>> {
        self.meter.as_mut().map(Meter::read).transpose()
    }

    /// Removes what is left of `case`, so that the next chart finds nothing.
    pub(super) fn end(&self, case: &Case) -> Result<()> {
        let left = self.look(case)?;
        let is_gate = |key: &&String| GATES.iter().any(|gate| key.starts_with(gate));
        self.delete(left.0.keys().filter(is_gate))?;
        let namespace = format!("Namespace/{}", case.release);
        let elsewhere = left.0.keys().filter(|key| objects::target(key).1 != Some(&case.release));
        self.delete(elsewhere.filter(|key| !is_gate(key) && **key != namespace))?;
        self.kubectl(&["delete", "namespace", &case.release, "--ignore-not-found", "--wait=false"])
            .answer()?;
        Ok(())
    }

    fn delete<'k>(&self, keys: impl Iterator<Item = &'k String>) -> Result<()> {
        let mut targets: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
        for key in keys {
            let (object, namespace) = objects::target(key);
            targets.entry(namespace).or_default().push(object);
        }
        for (namespace, objects) in targets {
            let place = namespace.map_or(Vec::new(), |namespace| vec!["--namespace", namespace]);
            let arguments = ["delete", "--ignore-not-found", "--wait=true", "--timeout=30s"];
            // What does not go in time is there before the next chart, and so no part of it.
            drop(self.kubectl(&[&arguments[..], &place, &objects].concat()).attempt()?);
        }
        Ok(())
    }
}

//! Planning and submitting: what a command line does before an executor takes over.

use crate::{
    Accepted, ClusterFilter, Store, Submission, Terms, adopt::live, change, new_cluster_id,
    store::random_secret,
};
use async_trait::async_trait;
use provider_core::{
    Action, ActionKind, AppVersionId, Cancel, Change, Clock, Cluster, ClusterStatus, Error, ErrorKind, Facts,
    JobId, Look, ParseRequest, ParsedCluster, Pilot, Plan, Provider, ProviderId, Records, Result, Runtime,
    RuntimeId, Secret, SecretRef, Secrets, Zone,
};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, sync::Arc};

/// How often a change is planned again because the cluster changed in between, before giving up.
const ATTEMPTS: usize = 5;

/// Gives providers by id; see [`Registry::build`](provider_core::Registry::build).
pub type ProviderSource = Arc<dyn Fn(&ProviderId) -> Result<Provider> + Send + Sync>;

/// What planning, submitting and carrying out work with. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    /// What is on record.
    pub store: Store,
    /// The providers of this binary.
    pub providers: ProviderSource,
    /// The way to the agents.
    pub pilot: Arc<dyn Pilot>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What somebody wants done.
#[derive(Clone, Debug)]
pub enum Request {
    /// A new cluster.
    Create {
        /// Its name; none takes the one in `conf`.
        name: Option<String>,
        /// What it is made of.
        app: AppVersionId,
        /// Where it runs.
        runtime: RuntimeId,
        /// The operator's answers.
        conf: Value,
        /// A deleted cluster whose kept volumes it takes over, node by node.
        volumes_of: Option<String>,
    },
    /// An action on a cluster that there is.
    Act {
        /// Its name.
        cluster: String,
        /// What to do.
        action: Action,
        /// Answers that come with an upgrade; an empty object with all else.
        conf: Value,
    },
    /// Other answers for a cluster that there is.
    Reconfigure {
        /// Its name.
        cluster: String,
        /// The answers that change.
        conf: Value,
        /// What may follow from them.
        aim: Aim,
    },
}

/// What other answers are given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// To have more or fewer nodes.
    Scale,
    /// To change parameters.
    Env,
}

/// A change with the plan that brings it about. Nothing has happened yet.
pub struct Planned {
    /// What is to change.
    pub change: Change,
    /// How. This is what runs.
    pub plan: Plan,
    /// What was understood and has no effect, in sentences.
    pub warnings: Vec<String>,
    secrets: Vec<(SecretRef, Secret)>,
}

impl Planned {
    /// Checks that it can be carried out on these terms.
    ///
    /// # Errors
    /// `Unsupported` when they ask for an undo that is impossible, `Invalid` when it is no upgrade.
    pub fn check_terms(&self, terms: Terms) -> Result<()> {
        if terms.undo { change::check_undo(&self.change) } else { Ok(()) }
    }

    /// The secrets that it would bring.
    pub(crate) fn secrets(&self) -> &[(SecretRef, Secret)] {
        &self.secrets
    }

    /// What the store accepts of it. The secrets go with it.
    pub(crate) fn submission(&mut self, terms: Terms) -> Submission {
        Submission {
            change: self.change.clone(),
            plan: self.plan.clone(),
            terms,
            secrets: std::mem::take(&mut self.secrets),
        }
    }

    /// Whether the cluster is already what it would become.
    pub fn does_nothing(&self) -> bool {
        let Change { action, before, after } = &self.change;
        let leads_to = action.kind().leads_to().unwrap_or(before.status);
        self.plan.is_empty() && *after == before.spec && leads_to == before.status
    }
}

/// An accepted change.
pub struct Submitted {
    /// The job that carries it out.
    pub job: JobId,
    /// What it does.
    pub planned: Planned,
}

impl Control {
    /// Plans a change and touches nothing: reads the records, asks the provider what there is, and splits.
    ///
    /// # Errors
    /// `NotFound`, `Unsupported`, `Invalid`, `Conflict` or `Quota`, naming everything that stands in the way.
    pub async fn plan(&self, request: &Request) -> Result<Planned> {
        match request {
            Request::Create { name, app, runtime, conf, volumes_of } => {
                let (runtime, provider) = self.place(runtime).await?;
                provider.descriptor.check_action(Action::CreateCluster.kind())?;
                let package = Records::package(&self.store, app).await?;
                provider.descriptor.check_package(app, &package)?;
                let id = new_cluster_id();
                let parse = ParseRequest {
                    cluster: &id,
                    name: name.as_deref(),
                    app,
                    package: &package,
                    conf,
                    existing: None,
                    secrets: &[],
                    seed: &random_secret(),
                };
                let mut parsed = provider.interface.parse_cluster_conf(&parse)?;
                if let Some(name) = name {
                    parsed.spec.name.clone_from(name);
                }
                check_name(&parsed.spec.name)?;
                let mut before =
                    Cluster::new(id, runtime.id.clone(), runtime.zone.clone(), parsed.spec.clone());
                if let Some(from) = volumes_of {
                    change::take_volumes(&mut before, &self.kept_volumes(from, &runtime.id).await?)?;
                }
                self.split(&provider, runtime, Action::CreateCluster, before, parsed).await
            }
            Request::Act { cluster, action, conf } => {
                let before = match action {
                    Action::CeaseClusters => self.cluster_or_deleted(cluster).await?,
                    _ => self.cluster(cluster).await?,
                };
                let (runtime, provider) = self.place(&before.runtime).await?;
                provider.descriptor.check_action(action.kind())?;
                let parsed = match action {
                    Action::UpgradeCluster { to, .. } => {
                        let parsed = self.parse(&provider, &before, to, conf).await?;
                        change::check_upgrade(&before, &parsed.spec)?;
                        parsed
                    }
                    Action::RollbackCluster { revision } if provider.live.is_some() => {
                        let look = self.look(runtime.clone()).await?;
                        live(&provider)?.revision(&look, &before, *revision).await?
                    }
                    // Which services there are, such a provider has to look up.
                    Action::RunService { .. } if provider.live.is_some() => {
                        ParsedCluster { spec: before.spec.clone(), secrets: Vec::new(), warnings: Vec::new() }
                    }
                    _ => ParsedCluster {
                        spec: change::after(&before, action)?,
                        secrets: Vec::new(),
                        warnings: Vec::new(),
                    },
                };
                self.split(&provider, runtime, action.clone(), before, parsed).await
            }
            Request::Reconfigure { cluster, conf, aim } => {
                let before = self.cluster(cluster).await?;
                let (runtime, provider) = self.place(&before.runtime).await?;
                let parsed = self.parse(&provider, &before, &before.spec.app, conf).await?;
                let has_nodes = provider.descriptor.actions.contains(&ActionKind::ResizeCluster);
                let action = change::of_answers(&before, &parsed.spec, *aim, !has_nodes)?;
                provider.descriptor.check_action(action.kind())?;
                self.split(&provider, runtime, action, before, parsed).await
            }
        }
    }

    /// A runtime, and the provider that serves it.
    pub(crate) async fn place(&self, runtime: &RuntimeId) -> Result<(Runtime, Provider)> {
        let runtime = self.store.runtime(runtime).await?;
        let provider = (self.providers)(&runtime.provider)?;
        Ok((runtime, provider))
    }

    /// What `before` becomes with this app version and these answers over those that it has.
    async fn parse(
        &self,
        provider: &Provider,
        before: &Cluster,
        app: &AppVersionId,
        conf: &Value,
    ) -> Result<ParsedCluster> {
        let package = Records::package(&self.store, app).await?;
        provider.descriptor.check_package(app, &package)?;
        let (secrets, seed) = (self.store.cluster_secrets(&before.id).await?, random_secret());
        let with = |conf| {
            let request = ParseRequest {
                cluster: &before.id,
                name: Some(&before.spec.name),
                app,
                package: &package,
                conf,
                existing: Some(before),
                secrets: &secrets,
                seed: &seed,
            };
            provider.interface.parse_cluster_conf(&request)
        };
        let mut parsed = with(conf)?;
        let recorded = with(&Value::Object(Map::new()))?;
        change::keep_sizes(&mut parsed.spec, before, &recorded.spec);
        parsed.spec.name.clone_from(&before.spec.name);
        Ok(parsed)
    }

    /// Plans a change and has it accepted as a job. When the cluster changes in between it is planned again.
    ///
    /// # Errors
    /// As [`plan`](Self::plan) and [`Store::accept`]; `Conflict` when there is nothing to do.
    pub async fn submit(&self, request: &Request) -> Result<Submitted> {
        self.submit_on(request, Terms::default()).await
    }

    /// As [`submit`](Self::submit), on these terms.
    ///
    /// # Errors
    /// The same, and as [`Planned::check_terms`].
    pub async fn submit_on(&self, request: &Request, terms: Terms) -> Result<Submitted> {
        for _ in 0..ATTEMPTS {
            let mut planned = self.plan(request).await?;
            if planned.does_nothing() {
                let Change { action, before, .. } = &planned.change;
                let attempt = format!("accepting `{}` of `{}`", action.kind().verb(), before.spec.name);
                return Err(Error::conflict(format!("{attempt}: there is nothing to do")));
            }
            planned.check_terms(terms)?;
            if let Some(job) = self.accept(&mut planned, terms).await? {
                return Ok(Submitted { job, planned });
            }
        }
        Err(Error::conflict("the cluster changed each time that the action was planned")
            .hint("see `pitrix job list` for what is at work on it, and try again"))
    }

    /// Has what was planned accepted; none when the cluster has changed since.
    pub(crate) async fn accept(&self, planned: &mut Planned, terms: Terms) -> Result<Option<JobId>> {
        Ok(match self.store.accept(planned.submission(terms)).await? {
            Accepted::Job(job) => Some(job),
            Accepted::Stale => None,
        })
    }

    /// The cluster called `name` that is not deleted.
    ///
    /// # Errors
    /// `NotFound`, naming those that there are.
    pub async fn cluster(&self, name: &str) -> Result<Cluster> {
        if let Some(cluster) = Records::cluster_named(&self.store, name).await? {
            return Ok(cluster);
        }
        let names: Vec<_> =
            self.store.clusters(&ClusterFilter::default()).await?.into_iter().map(|c| c.spec.name).collect();
        Err(Error::not_found(format!("there is no cluster `{name}`")).hint(if names.is_empty() {
            "there are none; make one with `pitrix cluster create`".to_owned()
        } else {
            format!("there are: {}", names.join(", "))
        }))
    }

    /// The cluster called `name`; when there is none that lives, the newest one that was deleted and not forgotten.
    ///
    /// # Errors
    /// `NotFound`, naming those that live.
    pub async fn cluster_or_deleted(&self, name: &str) -> Result<Cluster> {
        let not_found = match self.cluster(name).await {
            Err(error) if error.kind() == ErrorKind::NotFound => error,
            found => return found,
        };
        let filter = ClusterFilter { deleted: true, ..ClusterFilter::default() };
        let deleted =
            |cluster: &Cluster| cluster.status == ClusterStatus::Deleted && cluster.spec.name == name;
        self.store.clusters(&filter).await?.into_iter().rfind(deleted).ok_or(not_found)
    }

    /// The newest deleted cluster called `name` that left volumes on `runtime`.
    async fn kept_volumes(&self, name: &str, runtime: &RuntimeId) -> Result<Cluster> {
        let filter = ClusterFilter { runtime: Some(runtime.clone()), deleted: true };
        let mut kept: Vec<_> = self.store.clusters(&filter).await?;
        kept.retain(|cluster| {
            cluster.status == ClusterStatus::Deleted
                && cluster.nodes.values().any(|node| !node.disks.is_empty())
        });
        let names: BTreeSet<_> = kept.iter().map(|cluster| cluster.spec.name.clone()).collect();
        kept.into_iter().rfind(|cluster| cluster.spec.name == name).ok_or_else(|| {
            let names: Vec<_> = names.into_iter().collect();
            let error = Error::not_found(format!("no deleted cluster `{name}` left volumes on `{runtime}`"));
            if names.is_empty() { error } else { error.hint(format!("these did: {}", names.join(", "))) }
        })
    }

    /// A view of a runtime, with its stored credential.
    ///
    /// # Errors
    /// `Store` when the credential can't be opened.
    pub async fn look(&self, runtime: Runtime) -> Result<Look> {
        let (_, never) = Cancel::new();
        self.look_until(runtime, never).await
    }

    /// As [`look`](Self::look), for what somebody may cancel.
    pub(crate) async fn look_until(&self, runtime: Runtime, cancel: Cancel) -> Result<Look> {
        let credential = self.store.credential(&runtime.id).await?;
        let (records, secrets) = (Arc::new(self.store.clone()), Arc::new(self.store.clone()));
        Ok(Look::new(Arc::new(runtime), Arc::new(credential), self.clock.clone(), cancel, records, secrets))
    }

    /// As [`look`](Self::look), with the secrets that a planned change would bring over those on record.
    pub(crate) async fn look_with(&self, runtime: Runtime, secrets: &[(SecretRef, Secret)]) -> Result<Look> {
        let mut look = self.look(runtime).await?;
        look.secrets = Arc::new(Wanted { secrets: secrets.to_vec(), store: self.store.clone() });
        Ok(look)
    }

    pub(crate) async fn split(
        &self,
        provider: &Provider,
        runtime: Runtime,
        action: Action,
        before: Cluster,
        wanted: ParsedCluster,
    ) -> Result<Planned> {
        let ParsedCluster { spec: after, secrets, warnings } = wanted;
        let mut change = Change { action, before, after };
        let look = self.look_with(runtime, &secrets).await?;
        let mut facts = match provider.interface.check_resource(&look, &change).await {
            // Whoever must end it can't wait for a provider that does not answer.
            Err(_) if change.action.is_forced() => Facts::none(change.before.zone.clone(), self.clock.now()),
            facts => facts?,
        };
        if change.action == Action::RecoverClusters {
            facts.nodes = self.found(provider, &look, &change.before).await?;
        }
        if facts.needs_frontgate && change.before.frontgate.is_none() {
            return Err(Error::unsupported(format!(
                "the network of cluster `{}` needs a frontgate, and there is none",
                change.after.name
            )));
        }
        if change.before.zone == Zone::new("") || !change.before.has_resources() {
            change.before.zone = facts.zone.clone();
            change.before.vpc.clone_from(&facts.vpc);
        }
        let plan = provider.interface.split_job_into_tasks(&change, facts)?;
        Ok(Planned { change, plan, warnings, secrets })
    }
}

/// The secrets that a planned change would bring, over those on record.
struct Wanted {
    secrets: Vec<(SecretRef, Secret)>,
    store: Store,
}

#[async_trait]
impl Secrets for Wanted {
    async fn resolve(&self, reference: &SecretRef) -> Result<Secret> {
        match self.secrets.iter().find(|(wanted, _)| wanted == reference) {
            Some((_, secret)) => Ok(secret.clone()),
            None => self.store.resolve(reference).await,
        }
    }
}

/// Names go into host names, tags and commands.
fn check_name(name: &str) -> Result<()> {
    let fits = !name.is_empty()
        && name.len() <= 53
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if fits {
        return Ok(());
    }
    Err(Error::invalid(format!("`{}` can't be the name of a cluster", name.escape_debug()))
        .hint("use 1 to 53 lower-case letters, digits and `-`; begin with a letter, end without `-`"))
}

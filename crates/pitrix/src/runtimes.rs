//! `runtime`: where clusters run. And `provider`, `orphans`: what is there for them.

use crate::{
    args::{CredentialSources, Orphans, RuntimeSettings, RuntimeVerb},
    credentials::{is_given, read_credential},
    exit::{Exit, Failure, Outcome},
    print::{Column, Item, column, wide},
    screen::{Screen, Tone, count},
    shapes::{moment, word},
    site::Site,
};
use engine::ClusterFilter;
use provider_core::{
    Cancel, Credential, Look, ProviderId, Registry, Result, Runtime, RuntimeFacts, RuntimeId, Subnet,
    SubnetQuery, Support, TaggedResource, Zone,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Carries out a verb.
pub(crate) async fn run(verb: RuntimeVerb, site: &Site, screen: &Screen) -> Outcome {
    let store = site.store();
    match verb {
        RuntimeVerb::Create { name, provider, settings, credential } => {
            create(site, screen, name, provider, settings, &credential).await
        }
        RuntimeVerb::List => {
            let views: Vec<_> = store.runtimes().await?.iter().map(RuntimeView::new).collect();
            screen.list(&views, "there are no runtimes; `pitrix runtime create` makes one")
        }
        RuntimeVerb::Describe(runtime) => show(screen, &store.runtime(&runtime.id).await?),
        RuntimeVerb::Validate(runtime) => {
            let (runtime, provider, look) = site.visit(&runtime.id).await?;
            let facts = provider.interface.validate_credential(&look).await?;
            let view = FactsView::new(&runtime.id, &facts);
            screen.one(&view, || view.sheet(screen))
        }
        RuntimeVerb::Zones(runtime) => {
            let (_, provider, look) = site.visit(&runtime.id).await?;
            let zones = provider.interface.describe_runtime_provider_zones(&look).await?;
            let views: Vec<_> = zones.into_iter().map(|zone| ZoneView { zone: zone.to_string() }).collect();
            screen.list(&views, "the provider has no zones")
        }
        RuntimeVerb::Subnets(runtime) => {
            let (_, provider, look) = site.visit(&runtime.id).await?;
            let subnets = provider.interface.describe_subnets(&look, &SubnetQuery::default()).await?;
            let views: Vec<_> = subnets.into_iter().map(SubnetView).collect();
            screen.list(&views, "the provider has no subnets")
        }
        RuntimeVerb::Update { runtime, settings, ask_credential, credential } => {
            let asks = ask_credential || is_given(&credential);
            let sources = asks.then_some(&credential);
            update(site, screen, &runtime.id, settings, sources).await
        }
        RuntimeVerb::Delete(runtime) => {
            store.delete_runtime(&runtime.id).await?;
            screen.say(Tone::Good, "deleted", &format!("runtime `{}` and its credential", runtime.id));
            Ok(())
        }
    }
}

async fn create(
    site: &Site,
    screen: &Screen,
    name: RuntimeId,
    provider: ProviderId,
    settings: RuntimeSettings,
    sources: &CredentialSources,
) -> Outcome {
    let wanted = site.registry.descriptor(&provider)?.credential;
    let mut runtime = Runtime {
        id: name,
        description: String::new(),
        provider,
        endpoint: String::new(),
        zone: Zone::new(""),
        labels: BTreeMap::new(),
    };
    apply(settings, &mut runtime);
    let credential = read_credential(screen, runtime.provider.as_str(), wanted, sources)?;
    let facts = validate(site, &runtime, &credential).await?;
    site.store().create_runtime(&runtime, credential).await?;
    say_reach(screen, "created", &runtime, &facts);
    echo(screen, &runtime)
}

async fn update(
    site: &Site,
    screen: &Screen,
    id: &RuntimeId,
    settings: RuntimeSettings,
    sources: Option<&CredentialSources>,
) -> Outcome {
    let mut runtime = site.store().runtime(id).await?;
    apply(settings, &mut runtime);
    let wanted = site.registry.descriptor(&runtime.provider)?.credential;
    let fresh = match sources {
        Some(sources) => Some(read_credential(screen, runtime.provider.as_str(), wanted, sources)?),
        None => None,
    };
    let facts = match &fresh {
        Some(credential) => validate(site, &runtime, credential).await?,
        None => validate(site, &runtime, &site.store().credential(id).await?).await?,
    };
    site.store().update_runtime(&runtime, fresh).await?;
    say_reach(screen, "updated", &runtime, &facts);
    echo(screen, &runtime)
}

fn apply(settings: RuntimeSettings, runtime: &mut Runtime) {
    let RuntimeSettings { endpoint, zone, description, label } = settings;
    runtime.endpoint = endpoint.unwrap_or_else(|| std::mem::take(&mut runtime.endpoint));
    runtime.zone = zone.unwrap_or_else(|| runtime.zone.clone());
    runtime.description = description.unwrap_or_else(|| std::mem::take(&mut runtime.description));
    runtime.labels.extend(label);
    // `--label key=` takes a label away.
    runtime.labels.retain(|_, value| !value.is_empty());
}

/// What does not work is not kept.
async fn validate(site: &Site, runtime: &Runtime, credential: &Credential) -> Result<RuntimeFacts> {
    let provider = (site.control.providers)(&runtime.provider)?;
    let (_, never) = Cancel::new();
    let look = Look::new(
        Arc::new(runtime.clone()),
        Arc::new(credential.clone()),
        site.control.clock.clone(),
        never,
        Arc::new(site.store().clone()),
    );
    let checked = provider.interface.validate_credential(&look).await;
    checked.map_err(|e| e.during(format!("checking runtime `{}`, which is not kept", runtime.id)))
}

fn say_reach(screen: &Screen, label: &str, runtime: &Runtime, facts: &RuntimeFacts) {
    let zones = count(facts.zones.len(), "zone");
    screen.say(
        Tone::Good,
        label,
        &format!("runtime `{}` of provider `{}`, {zones}", runtime.id, runtime.provider),
    );
}

/// Programs want to see what they made.
fn echo(screen: &Screen, runtime: &Runtime) -> Outcome {
    use crate::args::Format;
    if matches!(screen.format, Format::Table | Format::Wide) { Ok(()) } else { show(screen, runtime) }
}

fn show(screen: &Screen, runtime: &Runtime) -> Outcome {
    let view = RuntimeView::new(runtime);
    screen.one(&view, || view.sheet(screen))
}

/// Lists what providers have of ours and no cluster owns.
pub(crate) async fn orphans(site: &Site, screen: &Screen, which: Orphans) -> Outcome {
    let store = site.store();
    let runtimes = match which.runtime {
        Some(id) => vec![store.runtime(&id).await?],
        None => store.runtimes().await?,
    };
    let clusters = store.clusters(&ClusterFilter::default()).await?;
    let owned: BTreeSet<_> = clusters
        .iter()
        .flat_map(|cluster| {
            let nodes = cluster.nodes.values();
            nodes.flat_map(|node| {
                let instance = node.instance.iter().map(|instance| instance.id.as_str());
                instance.chain(node.disks.values().map(|disk| disk.volume.as_str()))
            })
        })
        .collect();
    // A job that runs may have made what its cluster's record does not have yet.
    let busy: BTreeSet<_> = clusters
        .iter()
        .filter(|cluster| cluster.transition.is_some())
        .map(|cluster| cluster.id.as_str())
        .collect();
    let mut views = Vec::new();
    let mut unseen = 0;
    for runtime in &runtimes {
        let visit = site.visit(&runtime.id).await;
        let tagged = match visit {
            Ok((_, provider, look)) => provider.sweeper.tagged(&look).await,
            Err(error) => Err(error),
        };
        match tagged {
            Ok(tagged) => views.extend(
                tagged
                    .into_iter()
                    .filter(|resource| !owned.contains(resource.id.as_str()))
                    .filter(|resource| !busy.contains(resource.cluster.as_str()))
                    .map(|resource| OrphanView::new(&runtime.id, resource)),
            ),
            Err(error) => {
                unseen += 1;
                screen.warn(&format!("runtime `{}` could not be looked at: {error}", runtime.id));
            }
        }
    }
    screen.list(&views, "no resources without a cluster")?;
    match unseen {
        0 => Ok(()),
        n if n == runtimes.len() => Err(Failure::Said(Exit::Error)),
        _ => Err(Failure::Said(Exit::Partial)),
    }
}

/// Lists the plugins of this binary.
pub(crate) fn providers(registry: &Registry, screen: &Screen) -> Outcome {
    let views: Vec<_> = registry
        .descriptors()
        .map(|descriptor| ProviderView {
            id: descriptor.id,
            title: descriptor.title,
            actions: descriptor.actions.iter().map(|action| action.verb()).collect(),
            containers: descriptor.containers.iter().map(word).collect(),
            credential: descriptor.credential.to_vec(),
            abilities: descriptor
                .abilities
                .iter()
                .map(|(name, support)| AbilityView::new(name, *support))
                .collect(),
        })
        .collect();
    screen.list(&views, "this binary has no providers; build it with `--features local`, for example")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuntimeView {
    name: String,
    provider: String,
    zone: String,
    endpoint: String,
    description: String,
    labels: BTreeMap<String, String>,
}

impl RuntimeView {
    fn new(runtime: &Runtime) -> Self {
        Self {
            name: runtime.id.to_string(),
            provider: runtime.provider.to_string(),
            zone: runtime.zone.to_string(),
            endpoint: runtime.endpoint.clone(),
            description: runtime.description.clone(),
            labels: runtime.labels.clone(),
        }
    }

    fn labels(&self) -> String {
        self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
    }

    fn sheet(&self, screen: &Screen) -> String {
        screen.pairs(&[
            ("name", self.name.clone()),
            ("provider", self.provider.clone()),
            ("zone", self.zone.clone()),
            ("endpoint", self.endpoint.clone()),
            ("description", self.description.clone()),
            ("labels", self.labels()),
        ])
    }
}

impl Item for RuntimeView {
    const KIND: &'static str = "Runtime";
    const COLUMNS: &'static [Column] = &[
        column("RUNTIME"),
        column("PROVIDER"),
        column("ZONE"),
        wide("ENDPOINT"),
        wide("LABELS"),
        column("DESCRIPTION"),
    ];

    fn name(&self) -> String {
        self.name.clone()
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.provider.clone(),
            self.zone.clone(),
            self.endpoint.clone(),
            self.labels(),
            self.description.clone(),
        ]
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FactsView {
    runtime: String,
    zones: Vec<String>,
    api_versions: Vec<String>,
    checked: String,
}

impl FactsView {
    fn new(runtime: &RuntimeId, facts: &RuntimeFacts) -> Self {
        Self {
            runtime: runtime.to_string(),
            zones: facts.zones.iter().map(ToString::to_string).collect(),
            api_versions: facts.api_versions.iter().cloned().collect(),
            checked: moment(facts.taken_at),
        }
    }

    fn sheet(&self, screen: &Screen) -> String {
        screen.pairs(&[
            ("runtime", self.runtime.clone()),
            ("credential", "works".to_owned()),
            ("zones", self.zones.join(", ")),
            ("api versions", self.api_versions.join(", ")),
            ("checked", self.checked.clone()),
        ])
    }
}

impl Item for FactsView {
    const KIND: &'static str = "RuntimeFacts";
    const COLUMNS: &'static [Column] = &[column("RUNTIME"), column("ZONES")];

    fn name(&self) -> String {
        self.runtime.clone()
    }

    fn row(&self) -> Vec<String> {
        vec![self.runtime.clone(), self.zones.join(",")]
    }
}

#[derive(Serialize)]
struct ZoneView {
    zone: String,
}

impl Item for ZoneView {
    const KIND: &'static str = "Zone";
    const COLUMNS: &'static [Column] = &[column("ZONE")];

    fn name(&self) -> String {
        self.zone.clone()
    }

    fn row(&self) -> Vec<String> {
        vec![self.zone.clone()]
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct SubnetView(Subnet);

impl Item for SubnetView {
    const KIND: &'static str = "Subnet";
    const COLUMNS: &'static [Column] =
        &[column("SUBNET"), column("NAME"), column("ZONE"), column("VPC"), column("CIDR"), column("FREE")];

    fn name(&self) -> String {
        self.0.id.to_string()
    }

    fn row(&self) -> Vec<String> {
        let Subnet { id, name, zone, vpc, cidr, free_addresses } = &self.0;
        vec![
            id.to_string(),
            name.clone(),
            zone.to_string(),
            vpc.as_ref().map(ToString::to_string).unwrap_or_default(),
            cidr.clone(),
            free_addresses.map(|n| n.to_string()).unwrap_or_default(),
        ]
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrphanView {
    id: String,
    resource: String,
    runtime: String,
    cluster: String,
    name: String,
    created: Option<String>,
}

impl OrphanView {
    fn new(runtime: &RuntimeId, resource: TaggedResource) -> Self {
        Self {
            id: resource.id.to_string(),
            resource: resource.kind,
            runtime: runtime.to_string(),
            cluster: resource.cluster,
            name: resource.name,
            created: resource.created.map(moment),
        }
    }
}

impl Item for OrphanView {
    const KIND: &'static str = "Orphan";
    const COLUMNS: &'static [Column] = &[
        column("ID"),
        column("RESOURCE"),
        column("RUNTIME"),
        column("CLUSTER"),
        column("NAME"),
        column("CREATED"),
    ];

    fn name(&self) -> String {
        self.id.clone()
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.resource.clone(),
            self.runtime.clone(),
            self.cluster.clone(),
            self.name.clone(),
            self.created.clone().unwrap_or_default(),
        ]
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProviderView {
    id: &'static str,
    title: &'static str,
    actions: Vec<&'static str>,
    containers: Vec<String>,
    credential: Vec<&'static str>,
    abilities: Vec<AbilityView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AbilityView {
    name: &'static str,
    support: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
}

impl AbilityView {
    fn new(name: &'static str, support: Support) -> Self {
        let (support, why) = match support {
            Support::Full => ("full", None),
            Support::Unenforced(why) => ("unenforced", Some(why)),
            Support::Refused(why) => ("refused", Some(why)),
        };
        Self { name, support, why }
    }
}

impl Item for ProviderView {
    const KIND: &'static str = "Provider";
    const COLUMNS: &'static [Column] = &[
        column("PROVIDER"),
        column("TITLE"),
        column("CONTAINERS"),
        column("CREDENTIAL"),
        wide("ACTIONS"),
        wide("NOT SUPPORTED"),
    ];

    fn name(&self) -> String {
        self.id.to_owned()
    }

    fn row(&self) -> Vec<String> {
        let refused = self.abilities.iter().filter(|ability| ability.support != "full");
        vec![
            self.id.to_owned(),
            self.title.to_owned(),
            self.containers.join(","),
            self.credential.join(","),
            self.actions.join(","),
            refused
                .map(|ability| format!("{} ({})", ability.name, ability.support))
                .collect::<Vec<_>>()
                .join(", "),
        ]
    }
}

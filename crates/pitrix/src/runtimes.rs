//! `runtime`: where clusters run.

mod view;

use crate::{
    args::{CredentialSources, Format, RuntimeSettings, RuntimeVerb},
    credentials::{is_given, read_credential},
    exit::Outcome,
    screen::{Screen, Tone, count},
    site::Site,
};
use provider_core::{
    Cancel, Credential, Look, ProviderId, Result, Runtime, RuntimeFacts, RuntimeId, SubnetQuery, Zone,
};
use std::{collections::BTreeMap, sync::Arc};
use view::{FactsView, RuntimeView, SubnetView, ZoneView};

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
    if matches!(screen.format, Format::Table | Format::Wide) { Ok(()) } else { show(screen, runtime) }
}

fn show(screen: &Screen, runtime: &Runtime) -> Outcome {
    let view = RuntimeView::new(runtime);
    screen.one(&view, || view.sheet(screen))
}

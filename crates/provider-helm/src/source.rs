//! From a chart and values to a release: rendered, complete, and the same each time for the same input.

use crate::{
    chart::{Chart, File},
    lookup::{Lookups, Question},
    release::{Hook, Info, LastRun, Release},
    render::{Capabilities, Options, Rendered, Renderer},
    values::Values,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use gotemplate::{Host, Limits};
use provider_core::{Archive, Error, Result, Secret, Timestamp};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What a release is made of.
#[derive(Clone)]
pub struct Wanted {
    /// The chart's files.
    pub package: Arc<Archive>,
    /// The release's name, namespace, revision, and whether there was one before.
    pub release: crate::render::Release,
    /// What the cluster has.
    pub capabilities: Capabilities,
    /// The values that were given.
    pub values: Values,
    /// Where all that the chart makes up comes from.
    pub seed: Secret,
    /// What the chart takes for now.
    pub at: Timestamp,
    /// Who tells it what is in the cluster.
    pub lookups: Lookups,
    /// As [`Options::draft`].
    pub draft: bool,
}

/// A release that is not stored yet, and what its chart defines besides.
#[derive(Clone, Debug)]
pub struct Made {
    /// It, without times and status.
    pub release: Release,
    /// The documents in `crds/`.
    pub definitions: Vec<Value>,
}

impl Wanted {
    /// Renders the chart. With live lookups not in a thread of the runtime.
    ///
    /// # Errors
    /// As [`Renderer::render`]; one that would show a secret of the cluster says only that it would.
    pub fn make(&self) -> Result<Made> {
        let renderer = Renderer::new(Chart::from_archive(&self.package)?);
        let options = Options {
            release: self.release.clone(),
            capabilities: self.capabilities.clone(),
            limits: Limits::default(),
            draft: self.draft,
        };
        let host = Seeded::new(&self.seed, self.at, self.lookups.clone());
        let rendered = renderer.render(&self.values, &options, host);
        let rendered = rendered.map_err(|error| self.lookups.secrets().keep_out_of(error))?;
        let mut definitions = Vec::new();
        for file in &rendered.crds {
            let text = std::str::from_utf8(&file.data)
                .map_err(|_| Error::invalid(format!("`{}` is not UTF-8", file.source)))?;
            let found = crate::manifest::objects(text).map_err(|e| e.during(format!("`{}`", file.source)))?;
            definitions.extend(found);
        }
        let release = Release {
            name: self.release.name.clone(),
            info: Info { notes: rendered.notes.clone(), ..Info::default() },
            chart: stored_chart(renderer.chart()),
            config: Value::Object(self.values.clone()),
            manifest: rendered.manifest(),
            hooks: hooks(&rendered),
            version: self.release.revision,
            namespace: self.release.namespace.clone(),
            apply_method: "ssa".into(),
            other: Map::new(),
        };
        Ok(Made { release, definitions })
    }

    /// As [`make`](Self::make), where it keeps nobody else waiting.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub async fn make_aside(self) -> Result<Made> {
        let made = tokio::task::spawn_blocking(move || self.make()).await;
        made.unwrap_or_else(|_| Err(Error::bug("rendering the chart panicked").hint("please report it")))
    }
}

/// What tells two renders apart without telling what is in them: the seed is part of it.
pub fn digest(release: &Release, seed: &Secret) -> String {
    let mut hash = Sha256::new();
    hash.update(seed.expose());
    for text in
        [release.manifest.as_str()].into_iter().chain(release.hooks.iter().map(|h| h.manifest.as_str()))
    {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    hex::encode(hash.finalize())
}

/// What tells two sets of answers apart without telling what they are.
pub fn digest_of_values(values: &Value, seed: &Secret) -> String {
    let mut hash = Sha256::new();
    hash.update(seed.expose());
    hash.update(values.to_string());
    hex::encode(hash.finalize())
}

fn hooks(rendered: &Rendered) -> Vec<Hook> {
    let hooks = rendered.hooks.iter().map(|hook| Hook {
        name: hook.manifest.name.clone(),
        kind: hook.manifest.kind.clone(),
        path: hook.manifest.source.clone(),
        manifest: hook.manifest.text.clone(),
        events: hook.events.clone(),
        last_run: LastRun::default(),
        weight: hook.weight,
        delete_policies: serde_json::from_value(json!(hook.delete_policies)).unwrap_or_default(),
        other: match hook.output_log_policies.as_slice() {
            [] => Map::new(),
            policies => Map::from_iter([("output_log_policies".to_owned(), json!(policies))]),
        },
    });
    hooks.collect()
}

/// The chart as a release keeps it. Helm keeps no dependencies either; what is only for people is left out, so that
/// more fits into a Secret.
fn stored_chart(chart: &Chart) -> Value {
    let files = |files: &[File]| -> Vec<Value> {
        files.iter().map(|file| json!({ "name": file.name, "data": STANDARD.encode(&file.data) })).collect()
    };
    let kept: Vec<_> = chart.files.iter().filter(|file| !is_for_people(&file.name)).cloned().collect();
    let mut stored = json!({
        "metadata": chart.metadata,
        "lock": chart.lock,
        "templates": files(&chart.templates),
        "values": chart.values,
        "schema": chart.schema.as_deref().map(|schema| STANDARD.encode(schema)),
        "files": files(&kept),
    });
    if let Some(stored) = stored.as_object_mut() {
        stored.retain(|_, value| !value.is_null());
    }
    stored
}

fn is_for_people(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    ["md", "png", "svg", "gotmpl"].iter().any(|known| extension.eq_ignore_ascii_case(known))
        || name.starts_with("ci/")
        || name.starts_with("crds/")
        || name.starts_with("LICENSE")
}

/// A host whose random bytes follow from a secret seed, whose time stands still, and who knows what is in the cluster.
#[derive(Clone)]
struct Seeded {
    seed: Secret,
    block: u64,
    left: Vec<u8>,
    at: Timestamp,
    lookups: Lookups,
}

impl Seeded {
    fn new(seed: &Secret, at: Timestamp, lookups: Lookups) -> Self {
        Self { seed: seed.clone(), block: 0, left: Vec::new(), at, lookups }
    }
}

impl Host for Seeded {
    fn now(&mut self) -> gotemplate::Timestamp {
        let (seconds, millis) = (self.at.0.div_euclid(1000), self.at.0.rem_euclid(1000));
        gotemplate::Timestamp { seconds, nanoseconds: u32::try_from(millis).unwrap_or(0) * 1_000_000 }
    }

    fn entropy(&mut self, buffer: &mut [u8]) {
        for byte in buffer {
            if self.left.is_empty() {
                let mut hash = Sha256::new();
                hash.update(self.seed.expose());
                hash.update(self.block.to_le_bytes());
                self.left = hash.finalize().to_vec();
                self.block += 1;
            }
            *byte = self.left.pop().unwrap_or_default();
        }
    }

    fn lookup(
        &mut self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Value, String> {
        self.lookups.answer(Question {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

//! Rendering: a chart and values become manifests, hooks and notes.

mod capabilities;
mod files;
mod glob;
mod manifest;
mod native;
mod scope;
mod shared;

pub use capabilities::{Capabilities, KubeVersion};
pub use manifest::{Hook, HookEvent, INSTALL_ORDER, Manifest, split as split_documents};

use crate::chart::{Chart, CrdFile};
use crate::values::{self, Values};
use gotemplate::{ErrorKind, Functions, Host, Limits, Runtime, Session, Templates, semver};
use native::Natives;
use provider_core::{Error, Result};
use shared::Shared;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

/// What a chart is rendered for: `.Release` in templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its name.
    pub name: String,
    /// The namespace of objects that don't name one.
    pub namespace: String,
    /// From 1.
    pub revision: u32,
    /// Whether there was a revision before.
    pub is_upgrade: bool,
}

/// How a chart is rendered.
#[derive(Clone, Debug)]
pub struct Options {
    /// What for.
    pub release: Release,
    /// What the cluster can do.
    pub capabilities: Capabilities,
    /// How much one render may use.
    pub limits: Limits,
    /// Whether worthless keys and password hashes will do, which take no time: for the shape of a chart.
    pub draft: bool,
}

/// What a chart becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The objects of the release, in install order.
    pub manifests: Vec<Manifest>,
    /// Objects for events, in install order of their kinds. See [`Hook::weight`].
    pub hooks: Vec<Hook>,
    /// What lies in the `crds/` of the chart and of the charts inside it that are used. Not rendered.
    pub crds: Vec<CrdFile>,
    /// What the chart's `NOTES.txt` tells the user; empty when there is none.
    pub notes: String,
}

impl Rendered {
    /// All manifests in one text, as a release keeps it.
    pub fn manifest(&self) -> String {
        let mut text = String::new();
        for manifest in &self.manifests {
            manifest.write_to(&mut text);
        }
        text
    }

    /// Manifests and hooks in one text, as `helm template` prints it.
    pub fn to_text(&self) -> String {
        let mut text = self.manifest().trim().to_owned() + "\n";
        for hook in &self.hooks {
            hook.manifest.write_to(&mut text);
        }
        text
    }
}

impl Manifest {
    fn write_to(&self, text: &mut String) {
        // Writing to a string can't fail.
        let _ = write!(text, "---\n# Source: {}\n{}\n", self.source, self.text);
    }
}

/// Renders one chart any number of times. Templates are compiled at the first time, and again only when other charts
/// inside the chart are used.
#[derive(Debug)]
pub struct Renderer {
    chart: Chart,
    compiled: Mutex<Option<Compiled>>,
}

#[derive(Clone)]
struct Compiled {
    /// The templates in the order in which they were read.
    names: Vec<String>,
    templates: Templates,
    natives: Natives,
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiled").field("names", &self.names).finish_non_exhaustive()
    }
}

/// A chart with the values that it is used with.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// Only charts that are used are inside; each has its alias as name, and imported values are in place.
    pub chart: Chart,
    /// All values: those that were given, over the defaults.
    pub values: Values,
}

impl Renderer {
    /// A renderer of `chart`.
    pub fn new(chart: Chart) -> Self {
        Self { chart, compiled: Mutex::default() }
    }

    /// The chart as it was loaded.
    pub fn chart(&self) -> &Chart {
        &self.chart
    }

    /// Renders the chart with what a user gives. The render asks `host` for the time, for random bytes and for what is
    /// in the cluster: answer the same, and it is the same. A chart that makes keys or password hashes is rendered twice:
    /// first with stand-ins, so that one that asks for more than the limits allow is refused before it has taken seconds.
    ///
    /// # Errors
    /// `Invalid` when the chart can't be installed or not on this version of Kubernetes, when the values don't meet its
    /// schema (all findings at once), when a template fails (with its file, line and column), and when the result is
    /// no YAML; also when a limit is passed.
    pub fn render(
        &self,
        given: &Values,
        options: &Options,
        host: impl Host + Clone + 'static,
    ) -> Result<Rendered> {
        manifest::check_release_name(&options.release.name)?;
        self.chart.check_installable()?;
        let chart = self.used(given)?;
        check_kube_version(&chart, options.capabilities.kube_version.plain())?;
        let compiled = self.compiled(&chart)?;
        let render = |host: Shared| {
            let other = host.clone();
            let files = compiled.templates.session(host, options.limits, |session| {
                let runtime = Rc::new(Runtime::new(other, options.limits));
                render_files(session, &runtime, &chart, given, &compiled, options)
            });
            files.map_err(|e| failed(&chart, &e))?
        };
        let draft = Shared::for_draft(host.clone());
        let mut files = render(draft.clone())?;
        if draft.made_stand_ins() && !options.draft {
            files = render(Shared::new(host))?;
        }
        finish(&chart, files)
    }

    /// The chart with the values that a user gives, without rendering it.
    ///
    /// # Errors
    /// `Invalid` when the values don't fit the charts inside the chart, or don't meet the schema.
    pub fn resolve(&self, given: &Values) -> Result<Resolved> {
        let chart = self.used(given)?;
        let coalesced =
            serde_json::Value::Object(values::to_json(&values::coalesce(&chart, &values::from_json(given))?));
        values::check_schemas(&chart, &coalesced)?;
        let serde_json::Value::Object(values) = coalesced else {
            return Err(Error::bug("values are no object"));
        };
        Ok(Resolved { chart, values })
    }

    fn used(&self, given: &Values) -> Result<Chart> {
        let mut chart = self.chart.clone();
        values::resolve(&mut chart, &values::from_json(given))?;
        Ok(chart)
    }

    fn compiled(&self, chart: &Chart) -> Result<Compiled> {
        let sources = scope::sources(chart)?;
        let names: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
        let mut cached = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cached {
            Some(compiled) if compiled.names == names => Ok(compiled.clone()),
            _ => {
                let natives = Natives::compile(chart)?;
                let sources = sources.into_iter().filter(|source| !source.is_tera);
                let sources = sources.map(|source| (source.name, source.text));
                let templates =
                    Templates::compile(sources, &Functions::helm()).map_err(|e| failed(chart, &e))?;
                Ok(cached.insert(Compiled { names, templates, natives }).clone())
            }
        }
    }
}

fn check_kube_version(chart: &Chart, version: &str) -> Result<()> {
    let wanted = &chart.metadata.kube_version;
    if wanted.is_empty() || semver::satisfies(wanted, version).unwrap_or(false) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the chart `{}` needs Kubernetes `{wanted}`, and the cluster has {version}",
        chart.name()
    )))
}

/// What goes on in the thread of the session: the text of each file that is no partial. `runtime` is for the templates
/// that are Tera; the session has its own.
fn render_files(
    session: &Session,
    runtime: &Rc<Runtime>,
    chart: &Chart,
    given: &Values,
    compiled: &Compiled,
    options: &Options,
) -> Result<BTreeMap<String, String>> {
    let values = values::coalesce(chart, &values::from_json(given))?;
    values::check_schemas(chart, &values::to_json(&values).into())?;
    let scopes = scope::scopes(session, chart, &values, options)?;
    let mut files = BTreeMap::new();
    for name in compiled.names.iter().filter(|name| !scope::is_partial(name)) {
        let Some(scope) = scopes.get(name.as_str()) else { continue };
        let text = if compiled.natives.has(name) {
            let context = scope.native(name, runtime).map_err(|e| Error::invalid(e.to_string()))?;
            compiled.natives.render(name, runtime, &context)?
        } else {
            let text = session.render(name, &scope.enter(name)).map_err(|e| failed(chart, &e))?;
            text.replace("<no value>", "")
        };
        files.insert(name.clone(), text);
    }
    Ok(files)
}

/// The words of `fail` and `required` are for the user; all others are about the chart.
fn failed(chart: &Chart, error: &gotemplate::Error) -> Error {
    match error.kind() {
        ErrorKind::Refused => Error::invalid(error.to_string()),
        _ => Error::invalid(format!("can't render the chart `{}`: {error}", chart.name())),
    }
}

fn finish(chart: &Chart, mut files: BTreeMap<String, String>) -> Result<Rendered> {
    let own_notes = format!("{}/templates/NOTES.txt", chart.name());
    let notes = files.get(&own_notes).cloned().unwrap_or_default();
    files.retain(|name, _| !name.ends_with("NOTES.txt"));
    let (manifests, hooks) = manifest::sort(&files)?;
    Ok(Rendered { manifests, hooks, crds: chart.crds(), notes })
}

/// Sources of templates are shared with the chart's files.
type Text = Arc<str>;

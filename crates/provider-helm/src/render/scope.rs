//! What each template of a chart sees: its dot.

use super::Options;
use super::Text;
use super::files::Files;
use super::native;
use crate::chart::Chart;
use gotemplate::{FunctionError, Map, MapType, Runtime, Session, Value};
use provider_core::{Error, Result};
use std::collections::HashMap;
use std::rc::Rc;

/// Whether a file only defines templates for others.
pub(super) fn is_partial(name: &str) -> bool {
    name.rsplit('/').next().unwrap_or(name).starts_with('_')
}

/// A template as it is written.
pub(super) struct Source {
    /// Its path from the root chart on.
    pub(super) name: String,
    pub(super) text: Text,
    /// Whether it is Tera.
    pub(super) is_tera: bool,
}

/// All templates of the chart and of those inside it, by path, in the order in which they are read and rendered: deeper
/// paths first, and then from the end of the alphabet.
///
/// # Errors
/// `Invalid` for one that is no UTF-8.
pub(super) fn sources(chart: &Chart) -> Result<Vec<Source>> {
    let mut all = HashMap::new();
    add_sources(chart, chart.name(), &mut all)?;
    let mut all: Vec<_> = all.into_values().collect();
    let depth = |name: &str| name.matches('/').count();
    all.sort_by(|a, b| (depth(&b.name), &b.name).cmp(&(depth(&a.name), &a.name)));
    Ok(all)
}

fn add_sources(chart: &Chart, path: &str, all: &mut HashMap<String, Source>) -> Result<()> {
    for inner in &chart.dependencies {
        add_sources(inner, &path_of(path, inner), all)?;
    }
    for file in templates(chart) {
        let name = format!("{path}/{}", file.name);
        let text = std::str::from_utf8(&file.data)
            .map_err(|_| Error::invalid(format!("the template `{name}` is not UTF-8")))?;
        all.insert(name.clone(), Source { name, text: text.into(), is_tera: chart.is_tera() });
    }
    Ok(())
}

/// Where a chart inside another one is.
pub(super) fn path_of(parent: &str, inner: &Chart) -> String {
    format!("{parent}/charts/{}", inner.name())
}

/// Of a library only what others include.
pub(super) fn templates(chart: &Chart) -> impl Iterator<Item = &crate::chart::File> {
    chart.templates.iter().filter(|file| !chart.metadata.is_library() || is_partial(&file.name))
}

/// The dot of the templates of one chart.
#[derive(Clone)]
pub(super) struct Scope {
    dot: Map,
    base: Rc<str>,
    /// What templates see when they are Tera.
    native: Option<Rc<serde_json::Value>>,
}

impl Scope {
    /// The dot while the template `name` is rendered.
    pub(super) fn enter(&self, name: &str) -> Value {
        let template = [(Rc::from("Name"), name.into()), (Rc::from("BasePath"), Value::from(&*self.base))];
        self.dot.set("Template", Map::of(MapType::Values, template).into());
        Value::Map(self.dot.clone())
    }

    /// What the Tera template `name` sees now.
    ///
    /// # Errors
    /// The values are over a limit.
    pub(super) fn native(&self, name: &str, runtime: &Runtime) -> Result<serde_json::Value, FunctionError> {
        let mut context = self.native.as_deref().cloned().unwrap_or_default();
        let mut values = self.dot.get("Values").unwrap_or_default().to_json(runtime)?;
        native::integers(&mut values);
        context["values"] = values;
        context["template"] = serde_json::json!({ "name": name, "base_path": &*self.base });
        Ok(context)
    }
}

/// The scopes of all templates. Values are shared: what a template sets in its own, its parent sees below the chart's
/// name.
pub(super) fn scopes(
    session: &Session,
    chart: &Chart,
    values: &Map,
    options: &Options,
) -> Result<HashMap<String, Scope>> {
    let release = &options.release;
    let release = Value::map([
        ("Name", Value::from(release.name.as_str())),
        ("Namespace", release.namespace.as_str().into()),
        ("IsUpgrade", Value::Bool(release.is_upgrade)),
        ("IsInstall", Value::Bool(!release.is_upgrade)),
        ("Revision", Value::int(release.revision.into())),
        ("Service", "Helm".into()),
    ]);
    let capabilities = options.capabilities.value();
    let mut walk = Walk { session, options, release, capabilities, scopes: HashMap::new() };
    walk.enter(chart, chart.name(), values, true)?;
    Ok(walk.scopes)
}

struct Walk<'a> {
    session: &'a Session,
    options: &'a Options,
    release: Value,
    capabilities: Value,
    scopes: HashMap<String, Scope>,
}

impl Walk<'_> {
    fn enter(&mut self, chart: &Chart, path: &str, values: &Map, is_root: bool) -> Result<Map> {
        let dot = Map::of(MapType::Values, []);
        let subcharts = Map::new([]);
        for inner in &chart.dependencies {
            let own = match values.get(inner.name()) {
                Some(Value::Map(own)) => own,
                _ => Map::new([]),
            };
            let inner_dot = self.enter(inner, &path_of(path, inner), &own, false)?;
            subcharts.set(inner.name(), inner_dot.as_type(MapType::Any).into());
        }
        dot.set("Chart", self.about(chart, is_root));
        dot.set("Files", Value::object(Files::of(&chart.files)));
        dot.set("Release", self.release.clone());
        dot.set("Capabilities", self.capabilities.clone());
        dot.set("Values", values.as_type(MapType::Values).into());
        dot.set("Subcharts", subcharts.into());
        let native = chart.is_tera().then(|| native::context(chart, self.options)).transpose()?;
        let native = native.map(Rc::new);
        let scope = Scope { dot: dot.clone(), base: format!("{path}/templates").into(), native };
        for file in templates(chart) {
            self.scopes.insert(format!("{path}/{}", file.name), scope.clone());
        }
        Ok(dot)
    }

    fn about(&self, chart: &Chart, is_root: bool) -> Value {
        let about = self.session.value(&chart.metadata.template_value(is_root));
        if let Value::Map(about) = &about {
            let annotations = match &chart.metadata.annotations {
                Some(all) => Map::of(
                    MapType::String,
                    all.iter().map(|(key, text)| (key.as_str().into(), text.as_str().into())),
                ),
                None => Map::nil(MapType::String),
            };
            about.set("Annotations", annotations.into());
        }
        about
    }
}

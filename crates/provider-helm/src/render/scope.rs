//! What each template of a chart sees: its dot.

use super::Options;
use super::Text;
use super::files::Files;
use crate::chart::Chart;
use gotemplate::{Map, MapType, Session, Value};
use provider_core::{Error, Result};
use std::collections::HashMap;
use std::rc::Rc;

/// Whether a file only defines templates for others.
pub(super) fn is_partial(name: &str) -> bool {
    name.rsplit('/').next().unwrap_or(name).starts_with('_')
}

/// All templates of the chart and of those inside it, by path, in the order in which they are read and rendered: deeper
/// paths first, and then from the end of the alphabet.
///
/// # Errors
/// `Invalid` for one that is no UTF-8.
pub(super) fn sources(chart: &Chart) -> Result<Vec<(String, Text)>> {
    let mut all = HashMap::new();
    add_sources(chart, chart.name(), &mut all)?;
    let mut all: Vec<_> = all.into_iter().collect();
    let depth = |name: &str| name.matches('/').count();
    all.sort_by(|(a, _), (b, _)| (depth(b), b).cmp(&(depth(a), a)));
    Ok(all)
}

fn add_sources(chart: &Chart, path: &str, all: &mut HashMap<String, Text>) -> Result<()> {
    for inner in &chart.dependencies {
        add_sources(inner, &path_of(path, inner), all)?;
    }
    for file in templates(chart) {
        let name = format!("{path}/{}", file.name);
        let text = std::str::from_utf8(&file.data)
            .map_err(|_| Error::invalid(format!("the template `{name}` is not UTF-8")))?;
        all.insert(name, text.into());
    }
    Ok(())
}

fn path_of(parent: &str, inner: &Chart) -> String {
    format!("{parent}/charts/{}", inner.name())
}

/// Of a library only what others include.
fn templates(chart: &Chart) -> impl Iterator<Item = &crate::chart::File> {
    chart.templates.iter().filter(|file| !chart.metadata.is_library() || is_partial(&file.name))
}

/// The dot of the templates of one chart.
#[derive(Clone)]
pub(super) struct Scope {
    dot: Map,
    base: Rc<str>,
}

impl Scope {
    /// The dot while the template `name` is rendered.
    pub(super) fn enter(&self, name: &str) -> Value {
        let template = [(Rc::from("Name"), name.into()), (Rc::from("BasePath"), Value::from(&*self.base))];
        self.dot.set("Template", Map::of(MapType::Named("common.Values"), template).into());
        Value::Map(self.dot.clone())
    }
}

/// The scopes of all templates. Values are shared: what a template sets in its own, its parent sees below the chart's
/// name.
pub(super) fn scopes(
    session: &Session,
    chart: &Chart,
    values: Map,
    options: &Options,
) -> HashMap<String, Scope> {
    let release = &options.release;
    let release = Value::map([
        ("Name", Value::from(release.name.as_str())),
        ("Namespace", release.namespace.as_str().into()),
        ("IsUpgrade", Value::Bool(release.is_upgrade)),
        ("IsInstall", Value::Bool(!release.is_upgrade)),
        ("Revision", Value::int(release.revision.into())),
        ("Service", "Helm".into()),
    ]);
    let mut walk =
        Walk { session, release, capabilities: options.capabilities.value(), scopes: HashMap::new() };
    walk.enter(chart, chart.name(), values, true);
    walk.scopes
}

struct Walk<'a> {
    session: &'a Session,
    release: Value,
    capabilities: Value,
    scopes: HashMap<String, Scope>,
}

impl Walk<'_> {
    fn enter(&mut self, chart: &Chart, path: &str, values: Map, is_root: bool) -> Map {
        let dot = Map::of(MapType::Named("common.Values"), []);
        let subcharts = Map::new([]);
        for inner in &chart.dependencies {
            let own = match values.get(inner.name()) {
                Some(Value::Map(own)) => own,
                _ => Map::new([]),
            };
            let inner_dot = self.enter(inner, &path_of(path, inner), own, false);
            subcharts.set(inner.name(), inner_dot.into());
        }
        dot.set("Chart", self.session.value(&chart.metadata.template_value(is_root)));
        dot.set("Files", Value::object(Files::of(&chart.files)));
        dot.set("Release", self.release.clone());
        dot.set("Capabilities", self.capabilities.clone());
        dot.set("Values", values.into());
        dot.set("Subcharts", subcharts.into());
        let scope = Scope { dot: dot.clone(), base: format!("{path}/templates").into() };
        for file in templates(chart) {
            self.scopes.insert(format!("{path}/{}", file.name), scope.clone());
        }
        dot
    }
}

//! Charts that are written in Tera instead of Go templates.
//!
//! A chart says so with the annotation `pitrix.io/templates: tera`. Everything around its templates is as in any other
//! chart: values, schemas, subcharts of either kind, files, hooks, notes. A template sees `values`, `release`, `chart`,
//! `capabilities`, `files` and `template`, all of them plain, and has the functions of Helm charts as filters and
//! functions under names that suit Tera. `{% include "templates/_x.yaml" %}` takes a path inside the chart; those of
//! charts inside it begin with `charts/`.

mod expression;
mod filters;
mod limits;
mod meter;
mod report;
mod rewrite;
mod scan;
#[cfg(test)]
mod tests;

use super::Options;
use crate::chart::{Chart, File};
use gotemplate::{Call, Functions, Runtime};
use meter::with_runtime;
use provider_core::{Error, Result};
use rewrite::{METER, Metered};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;
use tera::{Context, Filter, Function, Kwargs, State, Tera, TeraResult};

const ANNOTATION: &str = "pitrix.io/templates";

/// Filters: name, name in Go templates, names of the arguments. What is filtered is the last argument there.
const FILTERS: &[(&str, &str, &[&str])] = &[
    ("abbrev", "abbrev", &["n"]),
    ("b64dec", "b64dec", &[]),
    ("b64enc", "b64enc", &[]),
    ("camel_case", "camelcase", &[]),
    ("deep_copy", "deepCopy", &[]),
    ("from_json", "fromJson", &[]),
    ("from_yaml", "fromYaml", &[]),
    ("indent_by", "indent", &["n"]),
    ("kebab_case", "kebabcase", &[]),
    ("nindent", "nindent", &["n"]),
    ("quote", "quote", &[]),
    ("regex_match", "regexMatch", &["pattern"]),
    ("semver_compare", "semverCompare", &["constraint"]),
    ("sha256sum", "sha256sum", &[]),
    ("snake_case", "snakecase", &[]),
    ("squote", "squote", &[]),
    ("to_json", "toJson", &[]),
    ("to_yaml", "toYaml", &[]),
    ("trim_prefix", "trimPrefix", &["prefix"]),
    ("trim_suffix", "trimSuffix", &["suffix"]),
    ("trunc", "trunc", &["n"]),
];

/// Functions: name, name in Go templates, names of the arguments in their order there.
const FUNCTIONS: &[(&str, &str, &[&str])] = &[
    ("fail", "fail", &["message"]),
    ("lookup", "lookup", &["api_version", "kind", "namespace", "name"]),
    ("rand_alpha_num", "randAlphaNum", &["n"]),
    ("required", "required", &["message", "value"]),
    ("uuid", "uuidv4", &[]),
];

impl Chart {
    /// Whether the chart's own templates are written in Tera.
    pub fn is_tera(&self) -> bool {
        self.metadata
            .annotations
            .as_ref()
            .and_then(|all| all.get(ANNOTATION))
            .is_some_and(|kind| kind == "tera")
    }
}

/// The Tera templates of a chart and of those inside it, by their paths from the root chart on.
#[derive(Clone, Default)]
pub(super) struct Natives(HashMap<String, (Arc<Set>, String)>);

/// The templates that can include one another.
struct Set {
    tera: Tera,
    templates: BTreeMap<String, Metered>,
}

impl Natives {
    /// Reads all templates.
    ///
    /// # Errors
    /// `Invalid` with the place where one is no Tera, and when there is too much of them.
    pub(super) fn compile(chart: &Chart) -> Result<Natives> {
        let mut natives = Natives::default();
        natives.add(chart, chart.name(), &mut limits::Total::default())?;
        Ok(natives)
    }

    fn add(&mut self, chart: &Chart, path: &str, total: &mut limits::Total) -> Result<()> {
        for inner in &chart.dependencies {
            self.add(inner, &super::scope::path_of(path, inner), total)?;
        }
        if !chart.is_tera() {
            return Ok(());
        }
        let mut templates = BTreeMap::new();
        add_templates(chart, "", false, total, &mut templates)?;
        total.add(&templates)?;
        let mut tera = Tera::new();
        tera.autoescape_on(Vec::<String>::new());
        register(&mut tera);
        let texts = templates.iter().map(|(name, template)| (name.as_str(), template.text.as_str()));
        tera.add_raw_templates(texts).map_err(|e| {
            let reason = report::restored(&e, &templates);
            Error::invalid(format!("can't read the templates of the chart `{}`: {reason}", chart.name()))
        })?;
        let set = Arc::new(Set { tera, templates });
        for file in super::scope::templates(chart) {
            self.0.insert(format!("{path}/{}", file.name), (Arc::clone(&set), file.name.clone()));
        }
        Ok(())
    }

    /// Whether a template is one of these.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Renders one of these templates.
    ///
    /// # Errors
    /// `Invalid` with the place where it fails; the words of `fail` and `required` first.
    pub(super) fn render(&self, name: &str, runtime: &Rc<Runtime>, context: &Value) -> Result<String> {
        let Some((set, local)) = self.0.get(name) else {
            return Err(Error::bug(format!("there is no template `{name}`")));
        };
        meter::metered(runtime, || render(&set.tera, local, runtime, context)).map_err(|e| {
            Error::invalid(format!("can't render `{name}`: {}", report::restored(&e, &set.templates)))
        })
    }
}

/// Whole numbers as integers: values have floats only, because Go has them so, and Tera would write `2.0`.
pub(super) fn integers(value: &mut Value) {
    /// Up to here a float has all integers.
    const MOST: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => {
            if let Some(float) =
                number.as_f64().filter(|f| number.is_f64() && f.fract() == 0.0 && f.abs() <= MOST)
            {
                // In range, so nothing is cut off.
                *number = (float as i64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(integers),
        Value::Object(map) => map.values_mut().for_each(integers),
        _ => {}
    }
}

/// What templates have beside what Tera has.
fn register(tera: &mut Tera) {
    for (name, go, parameters) in FILTERS {
        tera.register_filter(*name, Library { go, parameters });
    }
    for (name, go, parameters) in FUNCTIONS {
        tera.register_function(*name, Library { go, parameters });
    }
    tera.register_function("range", |kwargs: Kwargs, _: &State<'_>| range(&kwargs));
    tera.register_filter(METER, meter::filter);
    tera.register_function(METER, meter::function);
    filters::register(tera);
}

fn render(tera: &Tera, name: &str, runtime: &Runtime, context: &Value) -> TeraResult<String> {
    let context = Context::from_serialize(context)?;
    let mut output = Capped { text: Vec::new(), most: runtime.limits().output_bytes };
    tera.render_to(name, &context, &mut output)?;
    String::from_utf8(output.text).map_err(|_| tera::Error::message("the output is not UTF-8"))
}

/// Own templates, and the partials of charts inside, by their paths inside the chart.
fn add_templates(
    chart: &Chart,
    path: &str,
    only_partials: bool,
    total: &mut limits::Total,
    templates: &mut BTreeMap<String, Metered>,
) -> Result<()> {
    let wanted = |file: &&File| !only_partials || super::scope::is_partial(&file.name);
    for file in super::scope::templates(chart).filter(wanted) {
        let name = format!("{path}{}", file.name);
        let text = std::str::from_utf8(&file.data)
            .map_err(|_| Error::invalid(format!("the template `{name}` is not UTF-8")))?;
        total.read(&name, text)?;
        templates.insert(name, Metered::new(text));
    }
    for inner in chart.dependencies.iter().filter(|inner| inner.is_tera()) {
        add_templates(inner, &format!("{path}charts/{}/", inner.name()), true, total, templates)?;
    }
    Ok(())
}

/// Tera's own `range`, with the limits of a render in place of its own. Its steps are taken as of any operand.
fn range(kwargs: &Kwargs) -> TeraResult<tera::Value> {
    let start = kwargs.get::<i64>("start")?.unwrap_or_default();
    let end = kwargs.must_get::<i64>("end")?;
    let by = kwargs.get::<i64>("step_by")?.unwrap_or(1);
    let by = usize::try_from(by)
        .ok()
        .filter(|by| *by > 0)
        .ok_or(tera::Error::message("`step_by` is not positive"))?;
    let count = usize::try_from(end.saturating_sub(start)).unwrap_or_default() / by;
    with_runtime(|runtime| runtime.check_size(count.saturating_mul(meter::ELEMENT)))?;
    Ok(tera::Value::from_serializable(&(start..end).step_by(by).collect::<Vec<_>>()))
}

/// A function of Helm charts.
struct Library {
    go: &'static str,
    parameters: &'static [&'static str],
}

impl Library {
    fn arguments(&self, kwargs: &Kwargs) -> TeraResult<Vec<gotemplate::Value>> {
        let argument = |name: &&str| match kwargs.get::<&tera::Value>(name)? {
            Some(value) => go_value(value),
            None if *name == "value" => Ok(gotemplate::Value::Nil),
            None if self.go == "lookup" => Ok("".into()),
            None => Err(tera::Error::message(format!("the argument `{name}` is missing"))),
        };
        self.parameters.iter().map(argument).collect()
    }

    fn call(&self, arguments: &[gotemplate::Value]) -> TeraResult<tera::Value> {
        let functions = Functions::helm();
        let entry = functions
            .get(self.go)
            .ok_or_else(|| tera::Error::message(format!("there is no function {}", self.go)))?;
        let result = with_runtime(|runtime| {
            entry.run(&mut Call::new(self.go, arguments, runtime)).and_then(|value| value.to_json(runtime))
        })?;
        tera::Value::try_from_serializable(&result)
    }
}

/// Whole numbers are `int`, which is what functions want.
fn go_value(value: &tera::Value) -> TeraResult<gotemplate::Value> {
    if let Some(number) = value.as_i64().filter(|_| !value.is_f64()) {
        return Ok(gotemplate::Value::int(number));
    }
    let json = serde_json::to_value(value).map_err(|e| tera::Error::message(e.to_string()))?;
    Ok(gotemplate::Value::from_json(&json))
}

impl<'a> Filter<&'a tera::Value, TeraResult<tera::Value>> for Library {
    fn call(&self, input: &'a tera::Value, kwargs: Kwargs, _: &State<'_>) -> TeraResult<tera::Value> {
        let mut arguments = self.arguments(&kwargs)?;
        arguments.push(go_value(input)?);
        Library::call(self, &arguments)
    }
}

impl Function<TeraResult<tera::Value>> for Library {
    fn call(&self, kwargs: Kwargs, _: &State<'_>) -> TeraResult<tera::Value> {
        Library::call(self, &self.arguments(&kwargs)?)
    }
}

/// Takes what a template writes, up to the cap.
struct Capped {
    text: Vec<u8>,
    most: u64,
}

impl Write for Capped {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if (self.text.len() + buffer.len()) as u64 > self.most {
            return Err(io::Error::other(format!("the template writes more than {} bytes", self.most)));
        }
        self.text.extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What templates of `chart` see beside `values` and `template`.
pub(super) fn context(chart: &Chart, options: &Options) -> Result<Value> {
    let release = &options.release;
    let kube = &options.capabilities.kube_version;
    let text = |file: &File| (file.name.clone(), Value::from(String::from_utf8_lossy(&file.data)));
    let metadata = serde_json::to_value(&chart.metadata)
        .map_err(|e| Error::bug("a chart's metadata can't be written as JSON").caused_by(&e))?;
    Ok(json!({
        "release": {
            "name": release.name,
            "namespace": release.namespace,
            "revision": release.revision,
            "is_upgrade": release.is_upgrade,
            "is_install": !release.is_upgrade,
            "service": "Helm",
        },
        "capabilities": { "kube_version": kube.plain(), "api_versions": &options.capabilities.api_versions[..] },
        "chart": metadata,
        "files": chart.files.iter().map(text).collect::<serde_json::Map<_, _>>(),
    }))
}

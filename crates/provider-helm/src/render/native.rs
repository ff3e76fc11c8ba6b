//! Charts that are written in Tera instead of Go templates.
//!
//! A chart says so with the annotation `pitrix.io/templates: tera`. Everything around its templates is as in any other
//! chart: values, schemas, subcharts of either kind, files, hooks, notes. A template sees `values`, `release`, `chart`,
//! `capabilities`, `files` and `template`, all of them plain, and has the functions of Helm charts as filters and
//! functions under names that suit Tera. `{% include "templates/_x.yaml" %}` takes a path inside the chart; those of
//! charts inside it begin with `charts/`.

use super::Options;
use crate::chart::{Chart, File};
use gotemplate::{Call, Functions, Runtime};
use provider_core::{Error, Result};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error as _;
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

/// What a loop calls for each turn; see [`metered`].
const STEP: &str = "loop_step";

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

thread_local! {
    /// Of the render on this thread.
    static RUNTIME: RefCell<Option<Rc<Runtime>>> = const { RefCell::new(None) };
}

/// The Tera templates of a chart and of those inside it, by their paths from the root chart on.
#[derive(Clone, Default)]
pub(super) struct Natives(HashMap<String, (Arc<Tera>, String)>);

impl Natives {
    /// Reads all templates.
    ///
    /// # Errors
    /// `Invalid` with the place where one is no Tera.
    pub(super) fn compile(chart: &Chart) -> Result<Natives> {
        let mut natives = Natives::default();
        natives.add(chart, chart.name())?;
        Ok(natives)
    }

    fn add(&mut self, chart: &Chart, path: &str) -> Result<()> {
        for inner in &chart.dependencies {
            self.add(inner, &super::scope::path_of(path, inner))?;
        }
        if !chart.is_tera() {
            return Ok(());
        }
        let mut sources = Vec::new();
        add_sources(chart, "", false, &mut sources)?;
        let mut tera = Tera::new();
        tera.autoescape_on(Vec::<String>::new());
        for (name, go, parameters) in FILTERS {
            tera.register_filter(*name, Library { go, parameters });
        }
        for (name, go, parameters) in FUNCTIONS {
            tera.register_function(*name, Library { go, parameters });
        }
        tera.register_function(STEP, |_: Kwargs, _: &State<'_>| {
            step(1).map(|()| tera::Value::normal_string(""))
        });
        tera.register_function("range", |kwargs: Kwargs, _: &State<'_>| range(&kwargs));
        tera.add_raw_templates(sources.iter().map(|(name, text)| (name.as_str(), metered(text)))).map_err(
            |e| {
                Error::invalid(format!(
                    "can't read the templates of the chart `{}`: {}",
                    chart.name(),
                    report(&e)
                ))
            },
        )?;
        let tera = Arc::new(tera);
        for file in super::scope::templates(chart) {
            self.0.insert(format!("{path}/{}", file.name), (Arc::clone(&tera), file.name.clone()));
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
        let Some((tera, local)) = self.0.get(name) else {
            return Err(Error::bug(format!("there is no template `{name}`")));
        };
        RUNTIME.with(|current| *current.borrow_mut() = Some(Rc::clone(runtime)));
        let result = render(tera, local, runtime, context);
        RUNTIME.with(|current| *current.borrow_mut() = None);
        result.map_err(|e| Error::invalid(format!("can't render `{name}`: {}", report(&e))))
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

fn render(tera: &Tera, name: &str, runtime: &Runtime, context: &Value) -> TeraResult<String> {
    let context = Context::from_serialize(context)?;
    let mut output = Capped { text: Vec::new(), left: runtime.limits().output_bytes };
    tera.render_to(name, &context, &mut output)?;
    String::from_utf8(output.text).map_err(|_| tera::Error::message("the output is not UTF-8"))
}

/// The whole reason: Tera puts what a function says into the causes.
fn report(error: &tera::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{inner_text}\n{text}");
        }
        cause = inner.source();
    }
    without_steps(&text)
}

/// The report as if the template had been read as it is written.
fn without_steps(report: &str) -> String {
    let marks = [format!("{{{{ {STEP}() }}}}"), format!("{{{{ {STEP}() -}}}}")];
    let mut lines: Vec<String> = report.lines().map(str::to_owned).collect();
    for at in 0..lines.len() {
        while let Some((column, mark)) =
            marks.iter().find_map(|mark| lines[at].find(mark.as_str()).map(|column| (column, mark)))
        {
            lines[at].replace_range(column..column + mark.len(), "");
            // The caret below, and the place two lines above.
            if lines
                .get(at + 1)
                .and_then(|below| below.find('^'))
                .is_some_and(|caret| caret > column + mark.len())
            {
                lines[at + 1].replace_range(column..column + mark.len(), "");
                let place = at.checked_sub(2).and_then(|above| lines[above].rsplit_once(':'));
                let moved = place.and_then(|(place, column)| Some((place, column.parse::<usize>().ok()?)));
                if let Some(line) =
                    moved.map(|(place, column)| format!("{place}:{}", column.saturating_sub(mark.len())))
                {
                    lines[at - 2] = line;
                }
            }
        }
    }
    lines.join("\n")
}

/// Own templates, and the partials of charts inside, by their paths inside the chart.
fn add_sources(
    chart: &Chart,
    path: &str,
    only_partials: bool,
    sources: &mut Vec<(String, String)>,
) -> Result<()> {
    let wanted = |file: &&File| !only_partials || super::scope::is_partial(&file.name);
    for file in super::scope::templates(chart).filter(wanted) {
        let name = format!("{path}{}", file.name);
        let text = std::str::from_utf8(&file.data)
            .map_err(|_| Error::invalid(format!("the template `{name}` is not UTF-8")))?;
        sources.push((name, text.to_owned()));
    }
    for inner in chart.dependencies.iter().filter(|inner| inner.is_tera()) {
        add_sources(inner, &format!("{path}charts/{}/", inner.name()), true, sources)?;
    }
    Ok(())
}

/// The text with a call in each loop that takes from the budget of the render: Tera itself ends no loop.
fn metered(text: &str) -> String {
    let mut metered = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("{%") {
        let tag = &rest[start..];
        let Some(end) = tag_end(tag) else { break };
        metered.push_str(&rest[..start + end]);
        let words = tag[2..end - 2].trim_start_matches('-').trim_start();
        let trims = tag[..end - 2].ends_with('-');
        if words.strip_prefix("for").is_some_and(|after| after.starts_with(char::is_whitespace)) {
            let mark = if trims { "-" } else { "" };
            metered.push_str(&format!("{{{{ {STEP}() {mark}}}}}"));
        }
        rest = &tag[end..];
    }
    metered + rest
}

/// Where a tag ends, which may have `%}` in its strings.
fn tag_end(tag: &str) -> Option<usize> {
    let mut quote = None;
    let bytes = tag.as_bytes();
    let mut at = 2;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (None, byte @ (b'"' | b'\'' | b'`')) => quote = Some(byte),
            (None, b'%') if bytes.get(at + 1) == Some(&b'}') => return Some(at + 2),
            _ => {}
        }
        at += 1;
    }
    None
}

fn with_runtime<R>(work: impl FnOnce(&Runtime) -> TeraResult<R>) -> TeraResult<R> {
    match RUNTIME.with(|current| current.borrow().clone()) {
        Some(runtime) => work(&runtime),
        None => Err(tera::Error::message("a template is rendered outside of its session")),
    }
}

fn step(steps: usize) -> TeraResult<()> {
    with_runtime(|runtime| runtime.spend(steps).map_err(|e| tera::Error::message(e.to_string())))
}

/// Tera's own `range`, under the budget.
fn range(kwargs: &Kwargs) -> TeraResult<tera::Value> {
    let start = kwargs.get::<i64>("start")?.unwrap_or_default();
    let end = kwargs.must_get::<i64>("end")?;
    let by = kwargs.get::<i64>("step_by")?.unwrap_or(1);
    let by = usize::try_from(by)
        .ok()
        .filter(|by| *by > 0)
        .ok_or(tera::Error::message("`step_by` is not positive"))?;
    let count = usize::try_from(end.saturating_sub(start)).unwrap_or_default() / by;
    step(count)?;
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
        with_runtime(|runtime| {
            let functions = Functions::helm();
            let entry = functions
                .get(self.go)
                .ok_or_else(|| tera::Error::message(format!("there is no function {}", self.go)))?;
            let result = entry
                .run(&mut Call::new(self.go, arguments, runtime))
                .and_then(|value| value.to_json(runtime))
                .map_err(|e| tera::Error::message(e.to_string()))?;
            tera::Value::try_from_serializable(&result)
        })
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
    left: u64,
}

impl Write for Capped {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(buffer.len() as u64) else {
            return Err(io::Error::other("the template writes more than is allowed"));
        };
        self.left = left;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loop_is_metered() {
        let check = |text: &str, want: &str| assert_eq!(metered(text), want);
        check("a{% if x %}b{% endif %}", "a{% if x %}b{% endif %}");
        check("{% for x in y %}b{% endfor %}", "{% for x in y %}{{ loop_step() }}b{% endfor %}");
        check("{%- for x in y -%} b", "{%- for x in y -%}{{ loop_step() -}} b");
        check("{% for x in \"%}\" %}b", "{% for x in \"%}\" %}{{ loop_step() }}b");
        check("{% format %}{% never ends", "{% format %}{% never ends");
    }

    #[test]
    fn every_name_is_a_function_of_helm() {
        let functions = Functions::helm();
        for (name, go, _) in FILTERS.iter().chain(FUNCTIONS) {
            assert!(functions.get(go).is_some(), "{name}");
        }
    }
}

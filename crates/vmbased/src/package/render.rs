//! The cluster document, filled in with answers: `cluster.json.tmpl` structurally, `cluster.json.tera` as text.
//!
//! - `cluster.json.tmpl` is JSON. A string that is exactly one placeholder, `"{{.cluster.shard.count}}"`,
//!   becomes the answer with its type, a whole group of answers too; inside a longer string it becomes text.
//! - `cluster.json.tera` is a Tera template whose output is JSON. `"{{ cluster.name }}"` is escaped for the
//!   string that it stands in; `{{ env.shard | json }}` is any value as JSON.
//!
//! A password is stood for by a mark, which is only good as a whole `env` value.

use super::{
    answers::Answers,
    document::{Document, join},
    item::shown,
    problems::Problems,
};
use provider_core::{Archive, Error, Result};
use serde_json::{Map, Value};
use std::io::{self, Write};
use tera::{Context, Filter, Kwargs, State, Tera};

const TMPL: &str = "cluster.json.tmpl";
const TERA: &str = "cluster.json.tera";
/// Bytes that a Tera template may write.
const MAX_OUTPUT: usize = 4 << 20;

/// The unrendered cluster document.
#[derive(Clone)]
pub(super) enum Template {
    Structural(Document),
    Tera(Box<Tera>),
}

impl Template {
    pub(super) fn load(archive: &Archive) -> Result<Self> {
        match (archive.file(TMPL), archive.file(TERA)) {
            (Some(text), None) => Ok(Self::Structural(Document::read(TMPL, text).map_err(|e| {
                e.hint("a placeholder is a JSON string, `\"{{.cluster.name}}\"`; for logic, use cluster.json.tera")
            })?)),
            (None, Some(text)) => {
                let text = std::str::from_utf8(text)
                    .map_err(|e| Error::invalid(format!("{TERA} is not UTF-8")).caused_by(&e))?;
                let mut tera = Tera::new();
                tera.autoescape_on([".tera"]);
                tera.set_escape_fn(escape);
                tera.register_filter("json", Json);
                tera.add_raw_template(TERA, text).map_err(|e| tera_error(TERA, &e))?;
                Ok(Self::Tera(Box::new(tera)))
            }
            (None, None) => {
                Err(Error::invalid(format!("the package has neither {TMPL} nor {TERA}")))
            }
            (Some(_), Some(_)) => {
                Err(Error::invalid(format!("the package has both {TMPL} and {TERA}")).hint("keep one"))
            }
        }
    }

    /// The document, with marks for passwords.
    pub(super) fn render(&self, answers: &Answers) -> Result<Document> {
        let values = marked(answers);
        match self {
            Self::Structural(document) => {
                let mut problems = Problems::default();
                let value = substitute(document.value(), "", &values, document, &mut problems);
                problems.into_result()?;
                Ok(document.with_value(value))
            }
            Self::Tera(tera) => {
                let context = Context::from_serialize(&values)
                    .map_err(|e| Error::bug("answers can't be given to Tera").caused_by(&e))?;
                let mut output = Capped(Vec::new());
                tera.render_to(TERA, &context, &mut output).map_err(|e| tera_error(TERA, &e))?;
                Document::read("the output of cluster.json.tera", &output.0)
            }
        }
    }
}

/// The mark of the password at `path`. No answer can hold its first and last character.
fn mark(path: &str) -> String {
    format!("\u{e000}{path}\u{e001}")
}

/// The path of the password that `text` is the mark of.
pub(super) fn marked_path(text: &str) -> Option<&str> {
    text.strip_prefix('\u{e000}')?.strip_suffix('\u{e001}')
}

/// Whether a mark, or what a template made of one, is anywhere in `text`.
pub(super) fn has_mark(text: &str) -> bool {
    text.contains(['\u{e000}', '\u{e001}'])
}

fn marked(answers: &Answers) -> Value {
    let mut values = answers.values.clone();
    for path in answers.passwords.keys() {
        if let Some(value) = values.pointer_mut(&format!("/{}", path.replace('.', "/"))) {
            *value = mark(path).into();
        }
    }
    values
}

fn substitute(
    template: &Value,
    at: &str,
    values: &Value,
    document: &Document,
    problems: &mut Problems,
) -> Value {
    match template {
        Value::String(text) => fill(text, values).unwrap_or_else(|problem| {
            problems.add(document.problem(at, problem));
            Value::Null
        }),
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items
                .map(|(i, item)| substitute(item, &format!("{at}[{i}]"), values, document, problems))
                .collect()
        }
        Value::Object(entries) => {
            let mut filled = Map::new();
            for (key, value) in entries {
                let at = join(at, key);
                if key.contains("{{") {
                    problems.add(document.problem(&at, "is a key, where placeholders can't be"));
                }
                filled.insert(key.clone(), substitute(value, &at, values, document, problems));
            }
            Value::Object(filled)
        }
        other => other.clone(),
    }
}

/// `text` with its placeholders replaced, or what is wrong with one.
fn fill(text: &str, values: &Value) -> Result<Value, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("{{") {
        let (inside, after) = from.split_once("}}").ok_or("has `{{` without `}}`")?;
        let value = look_up(inside, values)?;
        let is_whole = rest.len() == text.len() && before.is_empty() && after.is_empty();
        if is_whole {
            return Ok(value.clone());
        }
        filled.push_str(before);
        match value {
            Value::String(text) => filled.push_str(text),
            Value::Number(_) | Value::Bool(_) => filled.push_str(&value.to_string()),
            _ => return Err(format!("has `{{{{{inside}}}}}`, a group of answers, inside of a text")),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled.into())
}

fn look_up<'a>(placeholder: &str, values: &'a Value) -> Result<&'a Value, String> {
    let written = format!("`{{{{{placeholder}}}}}`");
    let path = placeholder.trim().strip_prefix('.').filter(|path| !path.contains(char::is_whitespace));
    let path = path.ok_or_else(|| {
        format!("has {written}, but a placeholder is a path, `{{{{.cluster.name}}}}`; for logic, use {TERA}")
    })?;
    let mut value = values;
    for key in path.split('.') {
        value = value.get(key).ok_or_else(|| format!("has {written}, but config.json has no `{path}`"))?;
    }
    Ok(value)
}

/// Escapes for the inside of a JSON string; what a number or a boolean is written as has nothing to escape.
fn escape(text: &str, to: &mut dyn Write) -> io::Result<()> {
    let quoted = Value::from(text).to_string();
    to.write_all(&quoted.as_bytes()[1..quoted.len() - 1])
}

/// The filter `json`.
struct Json;

impl Filter<tera::Value, tera::TeraResult<String>> for Json {
    fn call(&self, value: tera::Value, _: Kwargs, _: &State<'_>) -> tera::TeraResult<String> {
        serde_json::to_string(&value).map_err(|e| tera::Error::message(e.to_string()))
    }

    fn is_safe(&self) -> bool {
        true
    }
}

/// Ends a template that writes without end.
struct Capped(Vec<u8>);

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What Tera says, in one line, with the place in the template.
pub(super) fn tera_error(file: &str, error: &tera::Error) -> Error {
    match error.kind() {
        tera::ErrorKind::SyntaxError(report) | tera::ErrorKind::RenderingError(report) => {
            Error::invalid(format!("{file}:{}: {}", report.span().start_line, report.message()))
        }
        // Only our own cap ends the output.
        tera::ErrorKind::Io(_) => {
            Error::invalid(format!("{file}: the output is larger than {} MiB", MAX_OUTPUT >> 20))
        }
        other => Error::invalid(format!("{file}: {other}")),
    }
}

/// What is at `at` holds a password where none may be.
pub(super) fn misplaced(value: &Value) -> String {
    let plain = shown(value).replace(['\u{e000}', '\u{e001}'], "`");
    format!("has the password {plain}, which is only allowed as a whole value of `env`")
}

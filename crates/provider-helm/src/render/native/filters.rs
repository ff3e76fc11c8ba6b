//! Filters of Tera whose results, or whose time, can be far larger than what they are given: the same, within limits.

#![allow(clippy::needless_pass_by_value, reason = "Tera hands everything over")]

use super::meter::{ELEMENT, allocate, bytes_of, with_runtime};
use std::collections::HashSet;
use tera::{Kwargs, State, StringInput, Tera, TeraResult, Value};

/// Puts them in the place of Tera's own.
pub(super) fn register(tera: &mut Tera) {
    tera.register_filter("escape_html", escape_html);
    tera.register_filter("escape_xml", escape_xml);
    tera.register_filter("indent", indent);
    tera.register_filter("join", join);
    tera.register_filter("replace", replace);
    tera.register_filter("split", split);
    tera.register_filter("unique", unique);
}

fn escape(text: &str, with: impl Fn(char) -> Option<&'static str>) -> TeraResult<String> {
    allocate(text.chars().map(|c| with(c).map_or(c.len_utf8(), str::len)).sum())?;
    let mut escaped = String::new();
    for c in text.chars() {
        match with(c) {
            Some(entity) => escaped.push_str(entity),
            None => escaped.push(c),
        }
    }
    Ok(escaped)
}

fn entity(c: char) -> Option<&'static str> {
    Some(match c {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&quot;",
        _ => return None,
    })
}

fn escape_html(text: &str, _: Kwargs, _: &State<'_>) -> TeraResult<String> {
    escape(text, |c| if c == '\'' { Some("&#39;") } else { entity(c) })
}

fn escape_xml(text: &str, _: Kwargs, _: &State<'_>) -> TeraResult<String> {
    escape(text, |c| if c == '\'' { Some("&apos;") } else { entity(c) })
}

fn indent(text: StringInput<'_>, kwargs: Kwargs, _: &State<'_>) -> TeraResult<String> {
    let width = kwargs.get::<usize>("width")?.unwrap_or(4).min(1000);
    let character = kwargs.get::<StringInput<'_>>("indentation")?;
    let character = character.as_ref().map_or(" ", StringInput::as_str);
    let first = kwargs.get::<bool>("first")?.unwrap_or_default();
    let blank = kwargs.get::<bool>("blank")?.unwrap_or_default();
    if character.chars().count() != 1 {
        return Err(tera::Error::message("The `indentation` argument must contain exactly one character"));
    }
    let text = text.as_str();
    let indented = |index: usize, line: &str| if index == 0 { first } else { blank || !line.is_empty() };
    let count = text.lines().enumerate().filter(|(index, line)| indented(*index, line)).count();
    allocate(text.len().saturating_add(count * width * character.len()))?;
    let indentation = character.repeat(width);
    let mut result = String::new();
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            result.push('\n');
        }
        if indented(index, line) {
            result.push_str(&indentation);
        }
        result.push_str(line);
    }
    if text.ends_with('\n') {
        result.push('\n');
    }
    Ok(result)
}

fn join(items: &[Value], kwargs: Kwargs, _: &State<'_>) -> TeraResult<String> {
    let separator = kwargs.get::<StringInput<'_>>("sep")?;
    let separator = separator.as_ref().map_or("", StringInput::as_str);
    let mut joined = String::new();
    for (index, item) in items.iter().enumerate() {
        let separator = if index == 0 { "" } else { separator };
        with_runtime(|runtime| {
            runtime.check_size(joined.len() + separator.len() + item.as_str().map_or(0, str::len))
        })?;
        joined.push_str(separator);
        match item.as_str() {
            Some(text) => joined.push_str(text),
            None => joined.push_str(&item.to_string()),
        }
    }
    allocate(joined.len())?;
    Ok(joined)
}

fn replace(text: StringInput<'_>, kwargs: Kwargs, _: &State<'_>) -> TeraResult<String> {
    let from = kwargs.must_get::<&str>("from")?;
    let to = kwargs.must_get::<StringInput<'_>>("to")?;
    let (text, to) = (text.as_str(), to.as_str());
    let added = text.matches(from).count().saturating_mul(to.len().saturating_sub(from.len()));
    allocate(text.len().saturating_add(added))?;
    Ok(text.replace(from, to))
}

fn split(text: &str, kwargs: Kwargs, _: &State<'_>) -> TeraResult<Vec<Value>> {
    let pattern = kwargs.must_get::<&str>("pat")?;
    let parts = text.split(pattern).count();
    allocate(text.len().saturating_add(parts * ELEMENT))?;
    let mut values = Vec::with_capacity(parts);
    values.extend(text.split(pattern).map(Value::from));
    Ok(values)
}

/// Texts are found in a set; anything else is compared with all before it, as Tera does.
fn unique(items: &[Value], _: Kwargs, _: &State<'_>) -> TeraResult<Vec<Value>> {
    let mut texts = HashSet::new();
    let mut others: Vec<&Value> = Vec::new();
    let mut result = Vec::new();
    for item in items {
        let is_new = match item.as_str() {
            Some(text) => texts.insert(text),
            None => {
                let steps = (1 + bytes_of(item)? / ELEMENT).saturating_mul(others.len());
                with_runtime(|runtime| runtime.spend(steps))?;
                let is_new = !others.contains(&item);
                if is_new {
                    others.push(item);
                }
                is_new
            }
        };
        if is_new {
            result.push(item.clone());
        }
    }
    Ok(result)
}

//! TOML in templates.

mod write;

use toml::value::{Datetime, Offset};

use super::args::Answer;
use super::time;
use crate::call::{Call, Entry, FunctionError};
use crate::kind::Element;
use crate::map::List;
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::exact("fromToml", 1, from_toml),
    Entry::exact("mustToToml", 1, must_to_toml),
    Entry::exact("toToml", 1, to_toml),
];

fn must_to_toml(call: &mut Call<'_>) -> Answer {
    if call.value(0).is_nil() {
        return Err(FunctionError::failed("reflect: call of reflect.Value.Type on zero Value"));
    }
    match write::document(call.value(0), call.runtime())? {
        Ok(text) => {
            call.allocate(text.len())?;
            Ok(text.into())
        }
        Err(message) => Err(FunctionError::Failed(message)),
    }
}

/// Like the other one, but an error becomes the result.
fn to_toml(call: &mut Call<'_>) -> Answer {
    match must_to_toml(call) {
        Err(FunctionError::Failed(message)) if !call.value(0).is_nil() => Ok(message.into()),
        other => other,
    }
}

fn from_toml(call: &mut Call<'_>) -> Answer {
    let text = call.string(0)?;
    call.allocate(text.len())?;
    call.spend(64 + text.len() * 2)?;
    match text.parse::<toml::Table>() {
        Ok(table) => {
            let tables = array_tables(&text);
            Ok(Value::map(
                table
                    .iter()
                    .map(|(key, value)| (key.as_str(), converted(value, &mut vec![key.clone()], &tables))),
            ))
        }
        Err(error) => {
            let line = error.span().map_or(1, |span| {
                1 + text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count()
            });
            let message = format!("toml: line {line}: {}", error.message().replace('\n', ", "));
            Ok(Value::map([("Error", Value::from(message))]))
        }
    }
}

/// The names in `[[ ]]` as they are written: only these lists are of maps by their type.
fn array_tables(text: &str) -> Vec<String> {
    let headers = text.lines().map(str::trim_start).filter_map(|line| line.strip_prefix("[["));
    headers
        .filter_map(|line| Some(line.split_once("]]")?.0))
        .map(|name| {
            name.chars().filter(|next| !next.is_whitespace() && !matches!(next, '"' | '\'')).collect()
        })
        .collect()
}

fn converted(value: &toml::Value, path: &mut Vec<String>, tables: &[String]) -> Value {
    match value {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(number) => Value::int64(*number),
        toml::Value::Float(number) => Value::Float(*number),
        toml::Value::Boolean(bool) => Value::Bool(*bool),
        toml::Value::Datetime(datetime) => date(datetime),
        toml::Value::Array(items) => {
            let of_tables = !items.is_empty() && items.iter().all(toml::Value::is_table);
            let of_maps = of_tables && tables.contains(&path.join("."));
            let items = items.iter().map(|item| converted(item, path, tables)).collect();
            if of_maps { List::of(Element::Map, items).into() } else { Value::list(items) }
        }
        toml::Value::Table(table) => {
            let entries = table.iter().map(|(key, value)| {
                path.push(key.clone());
                let value = converted(value, path, tables);
                path.pop();
                (key.as_str(), value)
            });
            Value::map(entries.collect::<Vec<_>>())
        }
    }
}

fn date(datetime: &Datetime) -> Value {
    let date = datetime.date.map_or((0, 1, 1), |date| (date.year.into(), date.month.into(), date.day.into()));
    let time = datetime.time.map_or((0, 0), |time| {
        let minutes = i64::from(time.hour) * 60 + i64::from(time.minute);
        (minutes * 60 + i64::from(time.second.unwrap_or(0)), time.nanosecond.unwrap_or(0))
    });
    let (zone, offset) = match (datetime.offset, datetime.date, datetime.time) {
        (Some(Offset::Z), ..) => (None, 0),
        (Some(Offset::Custom { minutes }), ..) => (Some(""), i64::from(minutes) * 60),
        (None, Some(_), Some(_)) => (Some("datetime-local"), 0),
        (None, Some(_), None) => (Some("date-local"), 0),
        (None, None, _) => (Some("time-local"), 0),
    };
    time::value(date, time, zone, offset)
}

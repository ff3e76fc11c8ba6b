//! Data in each format: tables, JSON, YAML, names.

use crate::{
    args::Format,
    exit::Outcome,
    screen::{Screen, Tone, escaped, steers},
};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write;

/// The version of the shapes in JSON and YAML. They only ever grow within it.
pub(crate) const API_VERSION: &str = "pitrix/v1";

/// Something that is listed and described. Its serialized form is what JSON and YAML show.
pub(crate) trait Item: Serialize {
    /// As `kind` in JSON.
    const KIND: &'static str;
    /// The columns of a table.
    const COLUMNS: &'static [Column];

    /// What a command takes to mean this one.
    fn name(&self) -> String;

    /// A cell for each column.
    fn row(&self) -> Vec<String>;
}

/// A column of a table.
pub(crate) struct Column {
    title: &'static str,
    is_wide: bool,
}

/// A column that every table shows.
pub(crate) const fn column(title: &'static str) -> Column {
    Column { title, is_wide: false }
}

/// A column that `-o wide` adds.
pub(crate) const fn wide(title: &'static str) -> Column {
    Column { title, is_wide: true }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tagged<'a, T> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    item: &'a T,
}

fn tagged<T: Item>(item: &T) -> Tagged<'_, T> {
    Tagged { api_version: API_VERSION, kind: T::KIND, item }
}

impl Screen {
    /// Prints a list; `none` is said when it is empty and people read it.
    pub(crate) fn list<T: Item>(&self, items: &[T], none: &str) -> Outcome {
        match self.format {
            Format::Json => self.data(&json(&items.iter().map(tagged).collect::<Vec<_>>())),
            Format::Yaml => self.data(&yaml(&items.iter().map(tagged).collect::<Vec<_>>())),
            Format::Name => self
                .data(&items.iter().map(|item| format!("{}\n", escaped(&item.name()))).collect::<String>()),
            Format::Table | Format::Wide if items.is_empty() => {
                self.say(Tone::Faint, "none", none);
                Ok(())
            }
            Format::Table | Format::Wide => self.data(&self.table(items)),
        }
    }

    /// Prints one thing; `sheet` is how people see it.
    pub(crate) fn one<T: Item>(&self, item: &T, sheet: impl FnOnce() -> String) -> Outcome {
        match self.format {
            Format::Json => self.data(&json(&tagged(item))),
            Format::Yaml => self.data(&yaml(&tagged(item))),
            Format::Name => self.data(&format!("{}\n", escaped(&item.name()))),
            Format::Table | Format::Wide => self.data(&sheet()),
        }
    }

    /// The items as a table.
    pub(crate) fn table<T: Item>(&self, items: &[T]) -> String {
        let shown: Vec<_> = (0..T::COLUMNS.len())
            .filter(|&i| !T::COLUMNS[i].is_wide || self.format == Format::Wide)
            .collect();
        let titles: Vec<_> = shown.iter().map(|&i| T::COLUMNS[i].title).collect();
        let rows = items.iter().map(|item| {
            let row = item.row();
            shown.iter().map(|&i| row[i].clone()).collect()
        });
        self.aligned(&titles, &rows.collect::<Vec<Vec<String>>>())
    }

    /// Rows under titles, each column as wide as it must be.
    pub(crate) fn aligned(&self, titles: &[&str], rows: &[Vec<String>]) -> String {
        let mut text = String::new();
        let titles = titles.iter().map(|title| (*title).to_owned()).collect();
        let lines = pad(std::iter::once(&titles).chain(rows));
        for (i, line) in lines.iter().enumerate() {
            let line = if i == 0 { self.paint_data(Tone::Plain, line) } else { line.into() };
            text += &line;
            text.push('\n');
        }
        text
    }

    /// Names and values, one a line; empty values are left out.
    pub(crate) fn pairs(&self, pairs: &[(&str, String)]) -> String {
        let pairs: Vec<_> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
        let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
        let mut text = String::new();
        for (name, value) in pairs {
            let name = format!("{name:width$}");
            text += &self.paint_data(Tone::Plain, &name);
            text += &escaped(value);
            text.push('\n');
        }
        text
    }
}

/// Cells as lines; an empty one is a dash.
fn pad<'a>(rows: impl Iterator<Item = &'a Vec<String>>) -> Vec<String> {
    let cell = |text: &String| if text.is_empty() { "-".to_owned() } else { escaped(text).into_owned() };
    let rows: Vec<Vec<String>> = rows.map(|row| row.iter().map(cell).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| rows.iter().filter_map(|row| Some(row.get(i)?.chars().count())).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (text, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{text:width$}  ");
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// As it goes to a terminal or a program. What could steer a terminal only occurs inside strings, where JSON
/// has an escape for it.
fn json<T: Serialize>(value: &T) -> String {
    let text = serde_json::to_string_pretty(value).expect("plain data has a JSON form");
    let mut safe = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if c != '\n' && steers(c) {
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe + "\n"
}

/// Block style with every scalar as in JSON, which YAML 1.2 contains.
fn yaml<T: Serialize>(value: &T) -> String {
    let value = serde_json::to_value(value).expect("plain data has a JSON form");
    let mut text = String::new();
    block(&value, 0, &mut text);
    text
}

/// Writes `value` from a fresh line on.
fn block(value: &Value, indent: usize, text: &mut String) {
    let margin = " ".repeat(indent);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (i, (key, value)) in fields.iter().enumerate() {
                // What a list's element begins with stands behind its dash.
                if i > 0 || !text.ends_with("- ") {
                    text.push_str(&margin);
                }
                text.push_str(&yaml_key(key));
                text.push(':');
                nested(value, indent + 2, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (i, item) in items.iter().enumerate() {
                if i > 0 || !text.ends_with("- ") {
                    text.push_str(&margin);
                }
                text.push_str("- ");
                block(item, indent + 2, text);
            }
        }
        scalar => {
            text.push_str(json(scalar).trim_end());
            text.push('\n');
        }
    }
}

fn nested(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => text.push('\n'),
        Value::Array(items) if !items.is_empty() => text.push('\n'),
        _ => text.push(' '),
    }
    block(value, indent, text);
}

fn yaml_key(key: &str) -> String {
    const MEAN_SOMETHING: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let lower = key.to_ascii_lowercase();
    let is_plain = !key.is_empty()
        && key.chars().all(|c| c.is_ascii_alphabetic())
        && !MEAN_SOMETHING.contains(&lower.as_str());
    if is_plain { key.to_owned() } else { json(&key).trim_end().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[derive(Serialize)]
    struct Fruit {
        fruit: &'static str,
        colours: Vec<&'static str>,
        seeds: Option<u32>,
    }

    impl Item for Fruit {
        const KIND: &'static str = "Fruit";
        const COLUMNS: &'static [Column] = &[column("FRUIT"), wide("SEEDS"), column("COLOURS")];

        fn name(&self) -> String {
            self.fruit.to_owned()
        }

        fn row(&self) -> Vec<String> {
            let seeds = self.seeds.map(|n| n.to_string()).unwrap_or_default();
            vec![self.fruit.to_owned(), seeds, self.colours.join(",")]
        }
    }

    const FRUITS: [Fruit; 2] = [
        Fruit { fruit: "apple\x1b[2J", colours: Vec::new(), seeds: Some(5) },
        Fruit { fruit: "fig", colours: Vec::new(), seeds: None },
    ];

    #[test]
    fn tables_align_and_show_more_when_wide() {
        assert_snapshot!(Screen::plain(Format::Table).table(&FRUITS), @r"
        FRUIT           COLOURS
        apple\u{1b}[2J  -
        fig             -
        ");
        assert_snapshot!(Screen::plain(Format::Wide).table(&FRUITS), @r"
        FRUIT           SEEDS  COLOURS
        apple\u{1b}[2J  5      -
        fig             -      -
        ");
    }

    #[test]
    fn json_and_yaml_say_what_they_are_and_hold_no_control_characters() {
        let pear = Fruit { fruit: "pear\u{9b}", colours: vec!["green", "yes"], seeds: None };
        let text = json(&tagged(&pear));
        assert_snapshot!(text, @r#"
        {
          "apiVersion": "pitrix/v1",
          "kind": "Fruit",
          "fruit": "pear\u009b",
          "colours": [
            "green",
            "yes"
          ],
          "seeds": null
        }
        "#);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["fruit"], "pear\u{9b}");
        assert_snapshot!(yaml(&[tagged(&pear)]), @r#"
        - apiVersion: "pitrix/v1"
          colours:
            - "green"
            - "yes"
          fruit: "pear\u009b"
          kind: "Fruit"
          seeds: null
        "#);
    }
}

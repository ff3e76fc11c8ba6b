//! Reports of Tera in terms of the templates as their authors wrote them.

use super::rewrite::Metered;
use std::collections::BTreeMap;
use std::error::Error as _;

/// Characters of a line, and lines of a report: what fails may be a text of megabytes.
const MAX_WIDTH: usize = 1000;
const MAX_LINES: usize = 200;

/// The whole reason: Tera puts what a function says into the causes.
pub(super) fn restored(error: &tera::Error, templates: &BTreeMap<String, Metered>) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{inner_text}\n{text}");
        }
        cause = inner.source();
    }
    let mut lines: Vec<String> = text.lines().take(MAX_LINES).map(str::to_owned).collect();
    for at in 3..lines.len() {
        let Some([place, bar, line, caret]) = lines.get(at - 3..=at) else { continue };
        if let Some(excerpt) = excerpt([place, bar, line, caret], templates) {
            lines.splice(at - 3..=at, excerpt);
        }
    }
    for line in &mut lines {
        if let Some((end, _)) = line.char_indices().nth(MAX_WIDTH) {
            line.truncate(end);
            line.push('…');
        }
    }
    lines.join("\n")
}

/// The four lines that show a place, when these do:
/// ```text
///  --> templates/a.yaml:1:4
///   |
/// 1 | {{ x }}
///   |    ^
/// ```
fn excerpt(lines: [&str; 4], templates: &BTreeMap<String, Metered>) -> Option<[String; 4]> {
    let [place, bar, shown, caret] = lines;
    let (place, column) = place.rsplit_once(':')?;
    let (place, line) = place.rsplit_once(':')?;
    let (column, line): (usize, usize) = (column.parse().ok()?, line.parse().ok()?);
    let (before, name, template) = templates.iter().find_map(|(name, template)| {
        let before = place.strip_suffix(name.as_str()).filter(|before| before.ends_with(' '))?;
        Some((before, name, template))
    })?;
    let width = caret.trim_start_matches([' ', '|', '\t']).len();
    let (offset, text) = line_of(&template.text, line)?;
    if shown != format!("{line} | {}", text.trim_end_matches('\r')) {
        return None;
    }
    let from = |column: usize| offset + text.chars().take(column).map(char::len_utf8).sum::<usize>();
    let start = column.checked_sub(1)?;
    let origin = template.origin(from(start)..from(start + width));
    let marked = template.source.get(origin.clone())?.lines().next().unwrap_or_default();
    let (line, column, text) = position(&template.source, origin.start)?;
    let spaces: String = text.chars().take(column).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let padding = " ".repeat(line.to_string().len());
    Some([
        format!("{before}{name}:{line}:{}", column + 1),
        bar.to_owned(),
        format!("{line} | {text}"),
        // A place without a width is marked all the same, as where a template ends too early.
        format!("{padding} | {spaces}{}", "^".repeat(marked.chars().count().max(1))),
    ])
}

/// Where a line starts, and the line; the first is 1.
fn line_of(text: &str, line: usize) -> Option<(usize, &str)> {
    let newline = line.checked_sub(2).map(|before| text.match_indices('\n').nth(before));
    let start = newline.map_or(Some(0), |newline| newline.map(|(at, _)| at + 1))?;
    Some((start, text.get(start..)?.split('\n').next()?))
}

/// The number of the line of a place, its column from 0, and the line.
fn position(source: &str, place: usize) -> Option<(usize, usize, &str)> {
    let line = 1 + source.get(..place)?.matches('\n').count();
    let (start, text) = line_of(source, line)?;
    Some((line, source.get(start..place)?.chars().count(), text))
}

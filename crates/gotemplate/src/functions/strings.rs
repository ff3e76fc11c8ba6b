//! Functions of strings: parts, joins, trims, indentation, quotes.
//!
//! Go's strings are bytes, and so they are here: `trunc` may cut a character in half.

use std::collections::BTreeSet;

use memchr::memmem::Finder;

use super::args::{Answer, count, string_list, text, texts};
use crate::call::{Call, Entry, FunctionError};
use crate::format::quoted;
use crate::kind::MapType;
use crate::map::Map;
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::variadic("cat", 0, cat),
    Entry::exact("contains", 2, contains),
    Entry::exact("hasPrefix", 2, has_prefix),
    Entry::exact("hasSuffix", 2, has_suffix),
    Entry::exact("indent", 2, indent),
    Entry::exact("join", 2, join),
    Entry::exact("nindent", 2, nindent),
    Entry::exact("plural", 3, plural),
    Entry::variadic("quote", 0, quote),
    Entry::exact("repeat", 2, repeat),
    Entry::exact("replace", 3, replace),
    Entry::exact("split", 2, split),
    Entry::exact("splitList", 2, split_list),
    Entry::exact("splitn", 3, splitn),
    Entry::variadic("squote", 0, squote),
    Entry::exact("substr", 3, substr),
    Entry::exact("toString", 1, to_string),
    Entry::exact("toStrings", 1, to_strings),
    Entry::exact("trim", 1, trim),
    Entry::exact("trimAll", 2, trim_all),
    Entry::exact("trimPrefix", 2, trim_prefix),
    Entry::exact("trimSuffix", 2, trim_suffix),
    Entry::exact("trimall", 2, trim_all),
    Entry::exact("trunc", 2, trunc),
];

/// Where `needle` begins in `text`.
pub(super) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, needle)
}

/// The width of the first character; an invalid byte is one.
pub(super) fn first_width(text: &[u8]) -> usize {
    let width = match text.first() {
        None => return 0,
        Some(0..=0x7F) => return 1,
        Some(0xC2..=0xDF) => 2,
        Some(0xE0..=0xEF) => 3,
        Some(0xF0..=0xF4) => 4,
        Some(_) => return 1,
    };
    if text.get(..width).is_some_and(|bytes| std::str::from_utf8(bytes).is_ok()) { width } else { 1 }
}

/// Go's `strings.SplitN`: at most `limit` parts, all of them for a negative one, none for 0. Without a separator, the
/// characters.
fn split_at<'t>(text: &'t [u8], separator: &[u8], limit: i64) -> Vec<&'t [u8]> {
    let mut parts = Vec::new();
    if limit == 0 {
        return parts;
    }
    let mut rest = text;
    let full = |parts: &[&[u8]]| limit > 0 && parts.len() as i64 == limit - 1;
    if separator.is_empty() {
        while !rest.is_empty() && !full(&parts) {
            let (first, after) = rest.split_at(first_width(rest));
            parts.push(first);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(rest);
        }
        return parts;
    }
    let separator = Finder::new(separator);
    while !full(&parts)
        && let Some(index) = separator.find(rest)
    {
        parts.push(&rest[..index]);
        rest = &rest[index + separator.needle().len()..];
    }
    parts.push(rest);
    parts
}

fn split_call(
    call: &Call<'_>,
    separator: usize,
    text: usize,
    limit: i64,
) -> Result<Vec<Value>, FunctionError> {
    let (separator, text) = (call.bytes(separator)?, call.bytes(text)?);
    let parts = split_at(text, separator, limit);
    // Each is a value of its own.
    call.spend(parts.len() * 3)?;
    Ok(parts.into_iter().map(Value::string).collect())
}

/// The parts as a map of `_0`, `_1` and so on.
fn numbered(call: &Call<'_>, parts: Vec<Value>) -> Answer {
    call.spend(parts.len() * 6)?;
    let entries = parts.into_iter().enumerate();
    Ok(Map::of(MapType::String, entries.map(|(index, part)| (format!("_{index}").into(), part))).into())
}

/// Go's `strings.ReplaceAll`. An empty `old` stands before each character and at the end.
fn replace_all(call: &Call<'_>, text: &[u8], old: &[u8], new: &[u8]) -> Result<Vec<u8>, FunctionError> {
    if old == new {
        return Ok(text.to_vec());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    if old.is_empty() {
        while !rest.is_empty() {
            let (first, after) = rest.split_at(first_width(rest));
            out.extend_from_slice(new);
            out.extend_from_slice(first);
            rest = after;
            call.runtime().check_size(out.len())?;
        }
        out.extend_from_slice(new);
    } else {
        let old = Finder::new(old);
        while let Some(index) = old.find(rest) {
            out.extend_from_slice(&rest[..index]);
            out.extend_from_slice(new);
            rest = &rest[index + old.needle().len()..];
            call.runtime().check_size(out.len())?;
        }
        out.extend_from_slice(rest);
    }
    call.allocate(out.len())?;
    Ok(out)
}

fn cat(call: &mut Call<'_>) -> Answer {
    let mut words = Vec::new();
    for value in call.args().iter().filter(|value| !value.is_nil()) {
        // `%v`, so that bytes print as numbers.
        words.push(match value {
            Value::RawString(bytes) => bytes.to_vec(),
            other => call.print(other)?.into_bytes(),
        });
    }
    Ok(Value::string(words.join(&b' ')))
}

fn contains(call: &mut Call<'_>) -> Answer {
    let (needle, text) = (call.bytes(0)?, call.bytes(1)?);
    Ok(find(text, needle).is_some().into())
}

fn has_prefix(call: &mut Call<'_>) -> Answer {
    let (prefix, text) = (call.bytes(0)?, call.bytes(1)?);
    Ok(text.starts_with(prefix).into())
}

fn has_suffix(call: &mut Call<'_>) -> Answer {
    let (suffix, text) = (call.bytes(0)?, call.bytes(1)?);
    Ok(text.ends_with(suffix).into())
}

fn indented(call: &Call<'_>, prefix: &[u8]) -> Answer {
    let (spaces, text) = (call.int(0)?, call.bytes(1)?);
    if spaces < 0 {
        return Err(FunctionError::failed("strings: negative Repeat count"));
    }
    let lines = 1 + text.iter().filter(|&&byte| byte == b'\n').count();
    let spaces = count(call, spaces, lines)?;
    let mut out = Vec::with_capacity(prefix.len() + text.len() + spaces * lines);
    out.extend_from_slice(prefix);
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        out.resize(out.len() + spaces, b' ');
        out.extend_from_slice(line);
    }
    if text.is_empty() || text.ends_with(b"\n") {
        out.resize(out.len() + spaces, b' ');
    }
    call.allocate(out.len())?;
    Ok(Value::string(out))
}

fn indent(call: &mut Call<'_>) -> Answer {
    indented(call, b"")
}

fn nindent(call: &mut Call<'_>) -> Answer {
    indented(call, b"\n")
}

fn join(call: &mut Call<'_>) -> Answer {
    let separator = call.bytes(0)?;
    let mut out = Vec::new();
    for (index, item) in texts(call, call.value(1))?.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(separator);
        }
        out.extend_from_slice(item.as_bytes().unwrap_or_default());
        call.runtime().check_size(out.len())?;
    }
    call.allocate(out.len())?;
    Ok(Value::string(out))
}

fn plural(call: &mut Call<'_>) -> Answer {
    let (one, many, count) = (call.bytes(0)?, call.bytes(1)?, call.int(2)?);
    Ok(Value::string(if count == 1 { one } else { many }))
}

fn quote(call: &mut Call<'_>) -> Answer {
    let mut words = Vec::new();
    for value in call.args().iter().filter(|value| !value.is_nil()) {
        words.push(quoted(&text(call, value)?, '"', false));
    }
    Ok(words.join(" ").into())
}

fn squote(call: &mut Call<'_>) -> Answer {
    let mut out = Vec::new();
    for (index, value) in call.args().iter().filter(|value| !value.is_nil()).enumerate() {
        out.extend_from_slice(if index > 0 { b" '" } else { b"'" });
        match value {
            Value::RawString(bytes) => out.extend_from_slice(bytes),
            other => out.extend_from_slice(call.print(other)?.as_bytes()),
        }
        out.push(b'\'');
    }
    Ok(Value::string(out))
}

fn repeat(call: &mut Call<'_>) -> Answer {
    let (times, text) = (call.int(0)?, call.bytes(1)?);
    if times < 0 {
        return Err(FunctionError::failed("strings: negative Repeat count"));
    }
    Ok(Value::string(text.repeat(count(call, times, text.len())?)))
}

fn replace(call: &mut Call<'_>) -> Answer {
    let (old, new, text) = (call.bytes(0)?, call.bytes(1)?, call.bytes(2)?);
    replace_all(call, text, old, new).map(Value::string)
}

fn split(call: &mut Call<'_>) -> Answer {
    numbered(call, split_call(call, 0, 1, -1)?)
}

fn splitn(call: &mut Call<'_>) -> Answer {
    call.bytes(0)?;
    let limit = call.int(1)?;
    numbered(call, split_call(call, 0, 2, limit)?)
}

fn split_list(call: &mut Call<'_>) -> Answer {
    split_call(call, 0, 1, -1).map(string_list)
}

fn substr(call: &mut Call<'_>) -> Answer {
    let (start, end, text) = (call.int(0)?, call.int(1)?, call.bytes(2)?);
    let length = text.len() as i64;
    let (from, to) = match (start, end) {
        (..0, end) => (0, end),
        (start, ..0) => (start, length),
        (start, end) if end > length => (start, length),
        both => both,
    };
    let bounds = |message: String| {
        FunctionError::Failed(format!("runtime error: slice bounds out of range {message}"))
    };
    if !(0..=length).contains(&to) {
        return Err(bounds(format!(
            "[:{to}]{}",
            if to < 0 { String::new() } else { format!(" with length {length}") }
        )));
    }
    if from > to {
        return Err(bounds(format!("[{from}:{to}]")));
    }
    Ok(Value::string(&text[from as usize..to as usize]))
}

fn to_string(call: &mut Call<'_>) -> Answer {
    super::args::text_value(call, call.value(0))
}

fn to_strings(call: &mut Call<'_>) -> Answer {
    texts(call, call.value(0)).map(string_list)
}

/// Cuts characters from both ends.
fn trimmed(text: &[u8], cut: impl Fn(&[u8]) -> bool) -> &[u8] {
    let mut rest = text;
    while !rest.is_empty() && cut(&rest[..first_width(rest)]) {
        rest = &rest[first_width(rest)..];
    }
    while let Some(last) = (1..=4.min(rest.len())).rev().find(|&width| {
        let tail = &rest[rest.len() - width..];
        first_width(tail) == width
    }) {
        let split = rest.len() - last;
        if !cut(&rest[split..]) {
            break;
        }
        rest = &rest[..split];
    }
    rest
}

fn trim(call: &mut Call<'_>) -> Answer {
    let space = |character: &[u8]| {
        std::str::from_utf8(character).is_ok_and(|text| text.chars().all(char::is_whitespace))
    };
    Ok(Value::string(trimmed(call.bytes(0)?, space)))
}

fn trim_all(call: &mut Call<'_>) -> Answer {
    let (mut cut, text) = (call.bytes(0)?, call.bytes(1)?);
    call.spend((cut.len() + text.len()) / 4)?;
    let mut characters = BTreeSet::new();
    while !cut.is_empty() {
        let (first, after) = cut.split_at(first_width(cut));
        characters.insert(first);
        cut = after;
    }
    Ok(Value::string(trimmed(text, |character| characters.contains(character))))
}

fn trim_prefix(call: &mut Call<'_>) -> Answer {
    let (prefix, text) = (call.bytes(0)?, call.bytes(1)?);
    Ok(Value::string(text.strip_prefix(prefix).unwrap_or(text)))
}

fn trim_suffix(call: &mut Call<'_>) -> Answer {
    let (suffix, text) = (call.bytes(0)?, call.bytes(1)?);
    Ok(Value::string(text.strip_suffix(suffix).unwrap_or(text)))
}

fn trunc(call: &mut Call<'_>) -> Answer {
    let (length, text) = (call.int(0)?, call.bytes(1)?);
    let size = text.len() as i64;
    let part = if length < 0 && size.saturating_add(length) > 0 {
        &text[(size + length) as usize..]
    } else if length >= 0 && size > length {
        &text[..length as usize]
    } else {
        text
    };
    Ok(Value::string(part))
}

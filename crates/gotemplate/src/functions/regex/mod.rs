//! Regular expressions with the syntax and the rules of Go.

mod syntax;

use regex::bytes::{Captures, Match, Regex, RegexBuilder};

use super::args::{Answer, string_list};
use crate::call::{Call, Entry, FunctionError};
use crate::kind::Element;
use crate::map::List;
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::exact("mustRegexFind", 2, find),
    Entry::exact("mustRegexFindAll", 3, find_all),
    Entry::exact("mustRegexMatch", 2, must_match),
    Entry::exact("mustRegexReplaceAll", 3, replace_all),
    Entry::exact("mustRegexReplaceAllLiteral", 3, replace_all_literal),
    Entry::exact("mustRegexSplit", 3, split),
    Entry::exact("regexFind", 2, find),
    Entry::exact("regexFindAll", 3, find_all),
    Entry::exact("regexMatch", 2, matches),
    Entry::exact("regexQuoteMeta", 1, quote_meta),
    Entry::exact("regexReplaceAll", 3, replace_all),
    Entry::exact("regexReplaceAllLiteral", 3, replace_all_literal),
    Entry::exact("regexSplit", 3, split),
];

/// The memory that one compiled expression may take.
const SIZE_LIMIT: usize = 4 << 20;

/// The expression and the text of a call.
struct Search<'t> {
    regex: Regex,
    text: &'t [u8],
    is_utf8: bool,
}

impl<'t> Search<'t> {
    /// Whether a match does not stand inside a character, as empty ones may: the engine works on bytes.
    fn is_whole(&self, found: &Match<'_>) -> bool {
        let continues = self.text.get(found.start()).is_some_and(|byte| byte & 0xC0 == 0x80);
        !(found.is_empty() && continues && self.is_utf8)
    }

    fn matches(&self) -> impl Iterator<Item = Match<'t>> {
        self.regex.find_iter(self.text).filter(|found| self.is_whole(found))
    }
}

fn search<'a>(call: &Call<'a>) -> Result<Search<'a>, FunctionError> {
    let (pattern, text) = (call.string(0)?, call.bytes(1)?);
    // For compiling.
    call.spend(500 + pattern.len() * 8)?;
    let failed = |reason: &str| {
        let reason = format!("error parsing regexp: {reason}");
        // Only these report the error, all others panic with it.
        FunctionError::Failed(if call.name().starts_with("must") {
            reason
        } else {
            format!("regexp: Compile({}): {reason}", quoted(&pattern))
        })
    };
    let translated = syntax::translate(&pattern).map_err(|error| failed(&error))?;
    let regex = RegexBuilder::new(&translated).size_limit(SIZE_LIMIT).build();
    let regex = regex.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => failed("expression too large"),
        _ => failed(&format!("invalid expression: `{pattern}`")),
    })?;
    Ok(Search { regex, text, is_utf8: std::str::from_utf8(text).is_ok() })
}

/// In backquotes if that is possible.
fn quoted(text: &str) -> String {
    if text.chars().any(|character| character == '`' || (character.is_control() && character != '\t')) {
        return crate::format::quoted(text.as_bytes(), '"', false);
    }
    format!("`{text}`")
}

fn must_match(call: &mut Call<'_>) -> Answer {
    let Search { regex, text, .. } = search(call)?;
    Ok(regex.is_match(text).into())
}

fn matches(call: &mut Call<'_>) -> Answer {
    match must_match(call) {
        Err(FunctionError::Failed(_)) => Ok(false.into()),
        other => other,
    }
}

fn find(call: &mut Call<'_>) -> Answer {
    let Search { regex, text, .. } = search(call)?;
    Ok(Value::string(regex.find(text).map_or(&[][..], |found| found.as_bytes())))
}

/// A slice of strings that is nil if there is nothing in it.
fn nil_if_empty(items: Vec<Value>) -> Value {
    if items.is_empty() { List::nil(Element::String).into() } else { string_list(items) }
}

fn limit(call: &Call<'_>) -> Result<usize, FunctionError> {
    Ok(usize::try_from(call.int(2)?).unwrap_or(usize::MAX))
}

fn find_all(call: &mut Call<'_>) -> Answer {
    let search = search(call)?;
    let mut all = Vec::new();
    for found in search.matches().take(limit(call)?) {
        call.spend(3)?;
        all.push(Value::string(found.as_bytes()));
    }
    Ok(nil_if_empty(all))
}

fn split(call: &mut Call<'_>) -> Answer {
    let search = search(call)?;
    let (text, limit) = (search.text, limit(call)?);
    if limit == 0 {
        return Ok(nil_if_empty(Vec::new()));
    }
    if text.is_empty() && !call.bytes(0)?.is_empty() {
        return Ok(string_list(vec!["".into()]));
    }
    let mut parts = Vec::new();
    let (mut start, mut end) = (0, 0);
    for found in search.matches().take(limit) {
        if parts.len() == limit - 1 {
            break;
        }
        call.spend(3)?;
        end = found.start();
        // An empty match at the very start separates nothing.
        if found.end() != 0 {
            parts.push(Value::string(&text[start..end]));
        }
        start = found.end();
    }
    if end != text.len() {
        parts.push(Value::string(&text[start..]));
    }
    Ok(string_list(parts))
}

fn replaced(
    call: &Call<'_>,
    search: &Search<'_>,
    mut write: impl FnMut(&Captures<'_>, &mut Vec<u8>),
) -> Answer {
    let text = search.text;
    let mut out = Vec::new();
    let mut start = 0;
    for captures in search.regex.captures_iter(text) {
        let Some(found) = captures.get(0).filter(|found| search.is_whole(found)) else { continue };
        out.extend_from_slice(&text[start..found.start()]);
        write(&captures, &mut out);
        start = found.end();
        call.spend(2)?;
        call.runtime().check_size(out.len())?;
    }
    out.extend_from_slice(&text[start..]);
    call.allocate(out.len())?;
    Ok(Value::string(out))
}

fn replace_all_literal(call: &mut Call<'_>) -> Answer {
    let search = search(call)?;
    let replacement = call.bytes(2)?;
    replaced(call, &search, |_, out| out.extend_from_slice(replacement))
}

fn replace_all(call: &mut Call<'_>) -> Answer {
    let search = search(call)?;
    let template = call.string(2)?;
    replaced(call, &search, |captures, out| expand(&template, captures, out))
}

/// Writes a replacement: `$1`, `${1}`, `$name` and `${name}` are groups, `$$` is a dollar. What is no group is empty.
fn expand(template: &str, captures: &Captures<'_>, out: &mut Vec<u8>) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.extend_from_slice(before.as_bytes());
        if let Some(after) = after.strip_prefix('$') {
            out.push(b'$');
            rest = after;
            continue;
        }
        let (braced, named) = match after.strip_prefix('{') {
            Some(named) => (true, named),
            None => (false, after),
        };
        let is_name = |character: char| {
            character == '_' || crate::unicode::is_letter(character) || crate::unicode::is_digit(character)
        };
        let end = named.find(|character| !is_name(character)).unwrap_or(named.len());
        let (name, tail) = named.split_at(end);
        let tail = if braced { tail.strip_prefix('}') } else { Some(tail) };
        let (false, Some(tail)) = (name.is_empty(), tail) else {
            out.push(b'$');
            rest = after;
            continue;
        };
        let group = if name.bytes().all(|byte| byte.is_ascii_digit()) {
            // Go reads no number with a leading zero, and then there is no group with such a name.
            let zero_led = name.len() > 1 && name.starts_with('0');
            name.parse().ok().filter(|_| !zero_led).and_then(|index: usize| captures.get(index))
        } else {
            captures.name(&syntax::group_name(name))
        };
        out.extend_from_slice(group.map_or(&[], |group| group.as_bytes()));
        rest = tail;
    }
    out.extend_from_slice(rest.as_bytes());
}

fn quote_meta(call: &mut Call<'_>) -> Answer {
    let text = call.bytes(0)?;
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if br"\.+*?()|[]{}^$".contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
    call.allocate(out.len())?;
    Ok(Value::string(out))
}

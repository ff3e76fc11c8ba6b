//! Abbreviating and wrapping texts. The originals work on bytes, and some take each for a character of its own.

use super::args::Answer;
use crate::call::{Call, Entry, FunctionError};
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::exact("abbrev", 2, abbrev),
    Entry::exact("abbrevboth", 3, abbrevboth),
    Entry::exact("initials", 1, initials),
    Entry::exact("nospace", 1, nospace),
    Entry::exact("wrap", 2, wrap),
    Entry::exact("wrapWith", 3, wrap_with),
];

/// Cuts a text to `width` bytes with `...` at its end, and from 5 bytes off on also at its start.
fn abbreviated(text: &[u8], offset: i64, width: i64) -> Vec<u8> {
    let length = text.len() as i64;
    if length <= width || width < 4 {
        return if length <= width { text.to_vec() } else { Vec::new() };
    }
    // What is left beside the dots.
    let room = (width - 3) as usize;
    let offset = offset.min(length).min(length - room as i64);
    if offset <= 4 {
        return [&text[..room], b"..."].concat();
    }
    if width < 7 {
        return Vec::new();
    }
    if offset + width - 3 < length {
        return [b"...", &*abbreviated(&text[offset as usize..], 0, width - 3)].concat();
    }
    [b"...", &text[text.len() - room..]].concat()
}

fn abbrev(call: &mut Call<'_>) -> Answer {
    let (width, text) = (call.int(0)?, call.bytes(1)?);
    Ok(Value::string(if width < 4 { text.to_vec() } else { abbreviated(text, 0, width) }))
}

fn abbrevboth(call: &mut Call<'_>) -> Answer {
    let (left, right, text) = (call.int(0)?, call.int(1)?, call.bytes(2)?);
    let too_short = right < 4 || (left > 0 && right < 7);
    Ok(Value::string(if too_short { text.to_vec() } else { abbreviated(text, left, right) }))
}

/// Whether a byte is a blank when it is taken for a character.
fn is_blank(byte: u8) -> bool {
    char::from(byte).is_whitespace()
}

fn initials(call: &mut Call<'_>) -> Answer {
    let mut after_blank = true;
    let mut out = String::new();
    let text = call.bytes(0)?;
    call.spend(text.len() / 8)?;
    for &byte in text {
        if is_blank(byte) {
            after_blank = true;
        } else if std::mem::take(&mut after_blank) {
            out.push(char::from(byte));
        }
    }
    Ok(out.into())
}

fn nospace(call: &mut Call<'_>) -> Answer {
    let text = call.bytes(0)?;
    if !text.iter().any(|&byte| is_blank(byte)) {
        return Ok(Value::string(text));
    }
    Ok(text.iter().filter(|&&byte| !is_blank(byte)).map(|&byte| char::from(byte)).collect::<String>().into())
}

/// Breaks lines at blanks, so that none is longer than `width` bytes; without `cut`, long words stay whole.
fn wrapped(
    call: &Call<'_>,
    text: &[u8],
    width: i64,
    line_break: &[u8],
    cut: bool,
) -> Result<Vec<u8>, FunctionError> {
    let width = usize::try_from(width).unwrap_or(0).max(1);
    let line_break = if line_break.is_empty() { b"\n" } else { line_break };
    call.allocate((text.len() / width + 1).saturating_mul(line_break.len()).saturating_add(text.len()))?;
    call.spend(text.len() / 16)?;
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while rest.len() > width {
        if rest[0] == b' ' {
            rest = &rest[1..];
            continue;
        }
        let (end, skip) = match rest[..=width].iter().rposition(|&byte| byte == b' ') {
            Some(blank) => (blank, 1),
            None if cut => (width, 0),
            None => match rest[width..].iter().position(|&byte| byte == b' ') {
                Some(blank) => (width + blank, 1),
                None => break,
            },
        };
        out.extend_from_slice(&rest[..end]);
        out.extend_from_slice(line_break);
        rest = &rest[end + skip..];
    }
    out.extend_from_slice(rest);
    Ok(out)
}

fn wrap(call: &mut Call<'_>) -> Answer {
    let (width, text) = (call.int(0)?, call.bytes(1)?);
    wrapped(call, text, width, b"", false).map(Value::string)
}

fn wrap_with(call: &mut Call<'_>) -> Answer {
    let (width, line_break, text) = (call.int(0)?, call.bytes(1)?, call.bytes(2)?);
    wrapped(call, text, width, line_break, true).map(Value::string)
}

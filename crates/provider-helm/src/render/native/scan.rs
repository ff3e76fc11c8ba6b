//! The tags of a template, as Tera finds them.

use std::ops::Range;

/// A tag that holds something to evaluate.
pub(super) struct Part<'a> {
    /// Whether it is `{{ }}`.
    pub(super) writes: bool,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) tokens: Vec<Token<'a>>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Name,
    /// A text or a number.
    Literal,
    Sign,
}

pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) at: Range<usize>,
}

/// Signs of more than one character, longer ones first.
const SIGNS: &[&str] = &["...", "//", "**", "==", "!=", ">=", "<=", "</", "?.", "?["];

/// The tags of a template, up to the first that never ends. Comments and what is raw are skipped.
pub(super) fn parts(source: &str) -> impl Iterator<Item = Part<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + marker(&source[at..])?;
            let inside = start + 2 + usize::from(source[start + 2..].starts_with('-'));
            match source.as_bytes().get(start + 1)? {
                b'#' => at = inside + source[inside..].find("#}")? + 2,
                b'%' if let Some(body) = skip_tag(source, inside, "raw") => at = raw_end(source, body)?,
                kind => {
                    let close = if *kind == b'{' { "}}" } else { "%}" };
                    let (tokens, end) = tokens(source, inside, close)?;
                    at = end;
                    return Some(Part { writes: *kind == b'{', start, end, tokens });
                }
            }
        }
    })
}

/// Where the next tag or comment starts.
fn marker(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    bytes.windows(2).position(|pair| matches!(pair, b"{{" | b"{%" | b"{#"))
}

/// The end of a tag of one word whose inside starts at `at`.
fn skip_tag(source: &str, at: usize, word: &str) -> Option<usize> {
    let rest = &source[at..];
    let rest = rest.strip_prefix('-').unwrap_or(rest);
    let space = |c: char| c.is_ascii_whitespace();
    let rest = rest.trim_start_matches(space).strip_prefix(word)?.trim_start_matches(space);
    let rest = rest.strip_prefix('-').unwrap_or(rest).strip_prefix("%}")?;
    Some(source.len() - rest.len())
}

/// The end of `endraw` for a body that starts at `at`.
fn raw_end(source: &str, mut at: usize) -> Option<usize> {
    loop {
        at += source[at..].find("{%")? + 2;
        if let Some(end) = skip_tag(source, at, "endraw") {
            return Some(end);
        }
    }
}

/// What is in a tag, and its end.
fn tokens<'a>(source: &'a str, mut at: usize, close: &str) -> Option<(Vec<Token<'a>>, usize)> {
    let mut tokens = Vec::new();
    loop {
        at = source.len() - source[at..].trim_start_matches(|c: char| c.is_ascii_whitespace()).len();
        let rest = &source[at..];
        if let Some(after) = rest.strip_prefix('-').unwrap_or(rest).strip_prefix(close) {
            return Some((tokens, source.len() - after.len()));
        }
        let (kind, length) = token(rest)?;
        tokens.push(Token { kind, text: &rest[..length], at: at..at + length });
        at += length;
    }
}

/// The kind and the length of the first token.
fn token(rest: &str) -> Option<(Kind, usize)> {
    if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        return Some((Kind::Sign, sign.len()));
    }
    let length = |is_part: &dyn Fn(char) -> bool| rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    match rest.chars().next()? {
        '"' | '\'' | '`' => Some((Kind::Literal, text_length(rest)?)),
        '0'..='9' => {
            let whole = length(&|c| c.is_ascii_digit());
            let part = rest[whole..]
                .strip_prefix('.')
                .map(|part| 1 + part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len()));
            Some((Kind::Literal, whole + part.unwrap_or_default()))
        }
        'a'..='z' | 'A'..='Z' | '_' => Some((Kind::Name, length(&|c| c == '_' || c.is_ascii_alphanumeric()))),
        other => Some((Kind::Sign, other.len_utf8())),
    }
}

/// The length of a text in quotes.
fn text_length(rest: &str) -> Option<usize> {
    let mut bytes = rest.bytes().enumerate();
    let (_, quote) = bytes.next()?;
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            byte if byte == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

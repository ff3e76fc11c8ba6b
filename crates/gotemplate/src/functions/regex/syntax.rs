//! From Go's syntax of regular expressions to that of the `regex` crate.
//!
//! Both descend from RE2, but Go takes `[[]`, `[\w-.]`, `a{` and the like as they stand, and its `\d`, `\w`, `\s` and
//! `\b` are about ASCII only. Whatever is a literal is written as a code here, so that nothing is left to interpretation.

use std::fmt::Write;
use std::iter::Peekable;
use std::str::CharIndices;

/// The most often something may be repeated.
const MAX_REPEAT: u32 = 1000;

/// The deepest nesting of groups.
const MAX_DEPTH: usize = 200;

/// Translates an expression.
///
/// # Errors
///
/// Go's words for what it does not accept.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut translator = Translator {
        pattern,
        characters: pattern.char_indices().peekable(),
        out: String::with_capacity(pattern.len() * 2),
        depth: 0,
        flags: String::new(),
    };
    translator.run()?;
    Ok(translator.out)
}

/// The name of a group in the translation, which may not begin with a digit there.
pub(super) fn group_name(name: &str) -> String {
    format!("_{name}")
}

struct Translator<'p> {
    pattern: &'p str,
    characters: Peekable<CharIndices<'p>>,
    out: String,
    depth: usize,
    /// Flags that are not written yet: a repetition behind them is about what stands before them.
    flags: String,
}

/// What a repetition would apply to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Item,
    /// A repetition, from this offset on.
    Repeat(usize),
}

impl Translator<'_> {
    fn position(&mut self) -> usize {
        self.characters.peek().map_or(self.pattern.len(), |(index, _)| *index)
    }

    fn peek(&mut self) -> Option<char> {
        self.characters.peek().map(|(_, character)| *character)
    }

    fn take(&mut self, wanted: char) -> bool {
        self.characters.next_if(|(_, character)| *character == wanted).is_some()
    }

    fn literal(&mut self, character: char) {
        literal(&mut self.out, character);
    }

    fn run(&mut self) -> Result<(), String> {
        let mut before = Before::Nothing;
        while let Some((start, character)) = self.characters.next() {
            let repeats = matches!(character, '*' | '+' | '?' | '{');
            if !repeats || (character == '{' && !self.is_counted(start)) {
                self.out.push_str(&std::mem::take(&mut self.flags));
            }
            before = match character {
                '(' => {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(format!("expression nests too deeply: `{}`", self.pattern));
                    }
                    if self.group(start)? {
                        self.depth -= 1;
                        before
                    } else {
                        Before::Nothing
                    }
                }
                ')' => {
                    if self.depth == 0 {
                        return Err(format!("unexpected ): `{}`", self.pattern));
                    }
                    self.depth -= 1;
                    self.out.push(')');
                    Before::Item
                }
                '|' => {
                    self.out.push('|');
                    Before::Nothing
                }
                '*' | '+' | '?' => self.repeat(start, &character.to_string(), before)?,
                '{' => match self.counted(start)? {
                    Some(text) => self.repeat(start, &text, before)?,
                    None => {
                        self.literal('{');
                        Before::Item
                    }
                },
                '[' => {
                    self.class(start)?;
                    Before::Item
                }
                '\\' => {
                    self.escape(start)?;
                    Before::Item
                }
                '.' | '^' | '$' => {
                    self.out.push(character);
                    Before::Item
                }
                character => {
                    self.literal(character);
                    Before::Item
                }
            };
        }
        if self.depth > 0 {
            return Err(format!("missing closing ): `{}`", self.pattern));
        }
        // Flags at the very end are about nothing.
        Ok(())
    }

    fn is_counted(&mut self, start: usize) -> bool {
        let back = self.characters.clone();
        let counted = !matches!(self.counted(start), Ok(None));
        self.characters = back;
        counted
    }

    fn repeat(&mut self, start: usize, operator: &str, before: Before) -> Result<Before, String> {
        let lazy = self.take('?');
        let end = self.position();
        match before {
            Before::Nothing => {
                let shown = &self.pattern[start..end];
                return Err(format!("missing argument to repetition operator: `{shown}`"));
            }
            Before::Repeat(first) => {
                return Err(format!("invalid nested repetition operator: `{}`", &self.pattern[first..end]));
            }
            Before::Item => {}
        }
        self.out.push_str(operator);
        if lazy {
            self.out.push('?');
        }
        Ok(Before::Repeat(start))
    }

    /// `{n}`, `{n,}` or `{n,m}` behind the brace; anything else is a literal.
    fn counted(&mut self, start: usize) -> Result<Option<String>, String> {
        let rest = &self.pattern[start..];
        let Some(end) = rest.find('}') else { return Ok(None) };
        let inside = &rest[1..end];
        let (least, most) =
            inside.split_once(',').map_or((inside, None), |(least, most)| (least, Some(most)));
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            (digits && (text.len() == 1 || !text.starts_with('0'))).then(|| text.parse().unwrap_or(u32::MAX))
        };
        let Some(least) = number(least) else { return Ok(None) };
        let most = match most {
            None => Some(least),
            Some("") => None,
            Some(most) => match number(most) {
                Some(most) => Some(most),
                None => return Ok(None),
            },
        };
        if least > MAX_REPEAT || most.is_some_and(|most| most > MAX_REPEAT || most < least) {
            return Err(format!("invalid repeat count: `{}`", &rest[..=end]));
        }
        while self.position() <= start + end {
            self.characters.next();
        }
        Ok(Some(rest[..=end].to_owned()))
    }

    /// What follows `(`. Returns whether that is flags only, which need no end.
    fn group(&mut self, start: usize) -> Result<bool, String> {
        if !self.take('?') {
            self.out.push('(');
            return Ok(false);
        }
        let rest = &self.pattern[start..];
        let named = rest.strip_prefix("(?P<").or_else(|| rest.strip_prefix("(?<"));
        if let Some(named) = named {
            let Some((name, _)) = named.split_once('>') else {
                return Err(format!("invalid named capture: `{rest}`"));
            };
            let valid =
                !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
            let end = start + (rest.len() - named.len()) + name.len();
            if !valid {
                return Err(format!("invalid named capture: `{}`", &self.pattern[start..=end]));
            }
            while self.position() <= end {
                self.characters.next();
            }
            let _ = write!(self.out, "(?P<{}>", group_name(name));
            return Ok(false);
        }
        let mut flags = String::new();
        let mut minus = false;
        for (index, character) in self.characters.by_ref() {
            match character {
                'i' | 'm' | 's' | 'U' => flags.push(character),
                '-' if !minus => {
                    minus = true;
                    flags.push('-');
                }
                ':' | ')' if !(minus && flags.ends_with('-')) && (character == ':' || !flags.is_empty()) => {
                    let only_flags = character == ')';
                    let out = if only_flags { &mut self.flags } else { &mut self.out };
                    let _ = write!(out, "(?{flags}{character}");
                    return Ok(only_flags);
                }
                _ => {
                    let end = index + character.len_utf8();
                    return Err(format!(
                        "invalid or unsupported Perl syntax: `{}`",
                        &self.pattern[start..end]
                    ));
                }
            }
        }
        Err(format!("missing closing ): `{}`", self.pattern))
    }

    /// An escape outside of classes.
    fn escape(&mut self, start: usize) -> Result<(), String> {
        let Some((_, character)) = self.characters.next() else {
            return Err("trailing backslash at end of expression: ``".to_owned());
        };
        match character {
            'A' => self.out.push_str("\\A"),
            'z' => self.out.push_str("\\z"),
            'b' => self.out.push_str("(?-u:\\b)"),
            'B' => self.out.push_str("(?-u:\\B)"),
            'C' => self.out.push_str("(?s-u:.)"),
            'Q' => {
                let rest = &self.pattern[self.position()..];
                let quoted = rest.split_once("\\E").map_or(rest, |(quoted, _)| quoted);
                for character in quoted.chars() {
                    self.literal(character);
                    self.characters.next();
                }
                if rest.len() > quoted.len() {
                    self.characters.next();
                    self.characters.next();
                }
            }
            'd' | 'D' | 'w' | 'W' | 's' | 'S' => self.out.push_str(&perl_class(character)),
            'p' | 'P' => {
                let class = self.unicode_class(start, character)?;
                self.out.push_str(&class);
            }
            character => {
                let literal = self.escaped_character(start, character)?;
                self.literal(literal);
            }
        }
        Ok(())
    }

    /// The character of an escape that stands for one.
    fn escaped_character(&mut self, start: usize, character: char) -> Result<char, String> {
        let known = match character {
            'a' => Some('\u{7}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            '0' => self.octal(0),
            '1'..='7' if matches!(self.peek(), Some('0'..='7')) => {
                self.octal(character.to_digit(8).unwrap_or(0))
            }
            'x' => self.hexadecimal(),
            character if character.is_ascii() && !character.is_ascii_alphanumeric() => Some(character),
            _ => None,
        };
        known.ok_or_else(|| {
            let end = self.position();
            format!("invalid escape sequence: `{}`", &self.pattern[start..end])
        })
    }

    fn octal(&mut self, first: u32) -> Option<char> {
        let mut code = first;
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|character| character.to_digit(8)) else { break };
            code = code * 8 + digit;
            self.characters.next();
        }
        char::from_u32(code)
    }

    /// Two digits, or any number in braces. What is no digit is gone over too, as the error shows it.
    fn hexadecimal(&mut self) -> Option<char> {
        let braced = self.take('{');
        let mut code = 0u32;
        let mut digits = 0;
        let mut valid = true;
        while valid && (braced || digits < 2) {
            let (_, character) = self.characters.next()?;
            if braced && character == '}' {
                break;
            }
            match character.to_digit(16) {
                Some(digit) => code = code * 16 + digit,
                // Without braces both characters are read before they are looked at.
                None if braced || digits == 1 => valid = false,
                None => {
                    self.characters.next();
                    valid = false;
                }
            }
            valid &= code <= u32::from(char::MAX);
            digits += 1;
        }
        if valid && digits > 0 { char::from_u32(code) } else { None }
    }

    fn unicode_class(&mut self, start: usize, kind: char) -> Result<String, String> {
        let Some((_, first)) = self.characters.next() else {
            return Err(format!("invalid character class range: `{}`", &self.pattern[start..]));
        };
        let mut name = String::new();
        if first == '{' {
            loop {
                match self.characters.next() {
                    Some((_, '}')) => break,
                    Some((_, character)) => name.push(character),
                    None => {
                        return Err(format!("invalid character class range: `{}`", &self.pattern[start..]));
                    }
                }
            }
        } else {
            name.push(first);
        }
        let end = self.position();
        let inverted = (kind == 'P') != name.starts_with('^');
        let name = name.trim_start_matches('^');
        let kind = if inverted { 'P' } else { 'p' };
        let class = if name == "Any" { "Any".to_owned() } else { name.to_owned() };
        let class = format!("\\{kind}{{{class}}}");
        // Names of the crate are more lenient than Go's, which are as in the standard.
        let strict = name.starts_with(|letter: char| letter.is_ascii_uppercase())
            && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
        if strict && regex::bytes::Regex::new(&class).is_ok() {
            return Ok(class);
        }
        Err(format!("invalid character class range: `{}`", &self.pattern[start..end]))
    }

    /// A class, behind its `[`.
    fn class(&mut self, start: usize) -> Result<(), String> {
        self.out.push('[');
        if self.take('^') {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let item_start = self.position();
            let Some((_, character)) = self.characters.next() else {
                return Err(format!("missing closing ]: `{}`", &self.pattern[start..]));
            };
            match character {
                ']' if !first => break,
                // A hyphen is a literal at the start and at the end only.
                '-' if !first && !matches!(self.peek(), Some(']')) => {
                    let bad = self.peek().map_or(String::new(), |next| next.to_string());
                    // Perl mode takes a hyphen anywhere for a literal, unless it looks like a range.
                    if self.pattern[item_start..].chars().nth(2) == Some('-') {
                        return Err(format!("invalid character class range: `-{bad}-`"));
                    }
                    self.literal('-');
                }
                '[' if self.peek() == Some(':') => {
                    let rest = &self.pattern[item_start..];
                    match rest.find(":]") {
                        Some(end) => {
                            let name = &rest[..end + 2];
                            if !POSIX.contains(&name[2..name.len() - 2].trim_start_matches('^')) {
                                return Err(format!("invalid character class range: `{name}`"));
                            }
                            self.out.push_str(name);
                            while self.position() < item_start + name.len() {
                                self.characters.next();
                            }
                        }
                        None => self.range(item_start, character)?,
                    }
                }
                '\\' if matches!(self.peek(), Some('d' | 'D' | 'w' | 'W' | 's' | 'S')) => {
                    if let Some((_, kind)) = self.characters.next() {
                        self.out.push_str(&perl_class(kind));
                    }
                }
                '\\' if matches!(self.peek(), Some('p' | 'P')) => {
                    if let Some((_, kind)) = self.characters.next() {
                        let class = self.unicode_class(item_start, kind)?;
                        self.out.push_str(&class);
                    }
                }
                character => self.range(item_start, character)?,
            }
            first = false;
        }
        self.out.push(']');
        Ok(())
    }

    fn class_character(&mut self, start: usize, character: char) -> Result<char, String> {
        if character != '\\' {
            return Ok(character);
        }
        match self.characters.next() {
            Some((_, escaped)) => self.escaped_character(start, escaped),
            None => Err("trailing backslash at end of expression: ``".to_owned()),
        }
    }

    /// A character, or a range of them.
    fn range(&mut self, start: usize, character: char) -> Result<(), String> {
        let low = self.class_character(start, character)?;
        let mut ahead = self.characters.clone();
        ahead.next();
        let is_range = self.peek() == Some('-') && ahead.peek().is_some_and(|(_, next)| *next != ']');
        self.literal(low);
        if is_range {
            self.characters.next();
            let (index, character) = self.characters.next().unwrap_or((self.pattern.len(), '\0'));
            let high = self.class_character(index, character)?;
            if high < low {
                let end = self.position();
                return Err(format!("invalid character class range: `{}`", &self.pattern[start..end]));
            }
            self.out.push('-');
            self.literal(high);
        }
        Ok(())
    }
}

const POSIX: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// The ASCII class of an escape, as a class of its own, which may also stand inside another one.
fn perl_class(kind: char) -> String {
    let class = match kind.to_ascii_lowercase() {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        _ => "\\t\\n\\f\\r ",
    };
    format!("[{}{class}]", if kind.is_ascii_uppercase() { "^" } else { "" })
}

fn literal(out: &mut String, character: char) {
    if character.is_ascii_alphanumeric() || !character.is_ascii() {
        out.push(character);
    } else {
        // Writing to a string can't fail.
        let _ = write!(out, "\\x{{{:x}}}", u32::from(character));
    }
}

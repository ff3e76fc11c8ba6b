//! Writes YAML exactly as the two libraries of Helm do.

use std::borrow::Cow;

use super::order::sorted;
use super::resolve::{self, Dialect, Scalar};

/// Where plain and quoted scalars are folded.
const WIDTH: usize = 80;

/// The longest key in bytes that needs no `?`.
const MAX_SIMPLE_KEY: usize = 128;

/// What is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    /// A string that is not UTF-8.
    Binary(Vec<u8>),
    /// Written as it is.
    Verbatim(String),
    Sequence(Vec<Node>),
    Mapping(Vec<(String, Node)>),
}

/// Writes as `toYaml` does, with a newline at the end.
pub(crate) fn write(node: &Node) -> String {
    Writer::new(Dialect::V2).document(node)
}

/// Writes as `toYamlPretty` does, with a newline at the end: lists are indented, nothing is folded.
pub(crate) fn write_pretty(node: &Node) -> String {
    Writer::new(Dialect::V3).document(node)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    Key,
    Value,
}

/// What a text allows.
struct Traits {
    multiline: bool,
    plain: bool,
    single_quoted: bool,
    block: bool,
}

struct Writer {
    dialect: Dialect,
    out: String,
    column: usize,
    indent: isize,
    /// The last thing written was blank.
    whitespace: bool,
    /// Only indentation and indicators like `-` are on this line so far.
    indention: bool,
}

impl Writer {
    fn new(dialect: Dialect) -> Self {
        Writer { dialect, out: String::new(), column: 0, indent: -1, whitespace: true, indention: true }
    }

    fn document(mut self, node: &Node) -> String {
        self.node(node, Place::Root);
        self.write_indent();
        self.out
    }

    fn folds(&self, allowed: bool) -> bool {
        allowed && self.dialect == Dialect::V2 && self.column > WIDTH
    }

    fn put(&mut self, character: char) {
        self.out.push(character);
        self.column += 1;
    }

    fn put_break(&mut self, character: char) {
        self.out.push(character);
        self.column = 0;
        if self.dialect == Dialect::V3 {
            self.indention = true;
        }
    }

    fn write_indent(&mut self) {
        let indent = self.indent.max(0) as usize;
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.put_break('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        if self.dialect == Dialect::V2 {
            self.indention = true;
        }
    }

    fn indicator(&mut self, text: &str, spaced: bool, is_whitespace: bool, is_indention: bool) {
        if spaced && !self.whitespace {
            self.put(' ');
        }
        for character in text.chars() {
            self.put(character);
        }
        self.whitespace = is_whitespace;
        self.indention &= is_indention;
    }

    /// Runs `inner` one level deeper.
    fn indented(&mut self, at_root: isize, inner: impl FnOnce(&mut Self)) {
        let outer = self.indent;
        self.indent = if outer < 0 { at_root } else { outer + 2 };
        inner(self);
        self.indent = outer;
    }

    fn node(&mut self, node: &Node, place: Place) {
        match node {
            Node::Sequence(items) if items.is_empty() => {
                self.indicator("[", true, true, false);
                self.indicator("]", false, false, false);
            }
            Node::Mapping(entries) if entries.is_empty() => {
                self.indicator("{", true, true, false);
                self.indicator("}", false, false, false);
            }
            Node::Sequence(items) => {
                let indentless = self.dialect == Dialect::V2
                    && matches!(place, Place::Key | Place::Value)
                    && !self.indention
                    && self.indent >= 0;
                let outer = self.indent;
                self.indent = if indentless {
                    outer
                } else if outer < 0 {
                    0
                } else {
                    outer + 2
                };
                for item in items {
                    self.write_indent();
                    self.indicator("-", true, false, true);
                    self.node(item, Place::Item);
                }
                self.indent = outer;
            }
            Node::Mapping(entries) => self.indented(0, |writer| {
                for (key, value) in sorted(entries, writer.dialect) {
                    writer.write_indent();
                    writer.entry(key, value);
                }
            }),
            scalar => self.scalar(scalar, place),
        }
    }

    fn entry(&mut self, key: &str, value: &Node) {
        let simple =
            !key.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) && key.len() <= MAX_SIMPLE_KEY;
        if simple {
            self.text(key, Place::Key);
            self.indicator(":", false, false, false);
        } else {
            self.indicator("?", true, false, true);
            self.text(key, Place::Value);
            self.write_indent();
            self.indicator(":", true, false, true);
        }
        self.node(value, Place::Value);
    }

    fn scalar(&mut self, node: &Node, place: Place) {
        let text: Cow<'_, str> = match node {
            Node::Null | Node::Sequence(_) | Node::Mapping(_) => "null".into(),
            Node::Bool(bool) => if *bool { "true" } else { "false" }.into(),
            Node::Integer(number) => number.to_string().into(),
            Node::Unsigned(number) => number.to_string().into(),
            Node::Float(number) if number.is_nan() => ".nan".into(),
            Node::Float(number) if number.is_infinite() => {
                if *number > 0.0 { ".inf" } else { "-.inf" }.into()
            }
            Node::Float(number) => crate::print::float(*number).into(),
            Node::Verbatim(text) => text.into(),
            Node::Text(text) => return self.text(text, place),
            Node::Binary(bytes) => return self.binary(bytes, place),
        };
        self.write_scalar(&text, Style::Plain, place);
    }

    fn text(&mut self, text: &str, place: Place) {
        let meaning = resolve::resolve(text, self.dialect, true);
        let plain = meaning == Scalar::String
            && !resolve::is_base_60(text)
            && !(self.dialect == Dialect::V3 && resolve::is_old_bool(text));
        let style = if text.contains('\n') {
            Style::Literal
        } else if plain {
            Style::Plain
        } else {
            Style::DoubleQuoted
        };
        self.write_scalar(text, style, place);
    }

    fn binary(&mut self, bytes: &[u8], place: Place) {
        const LINE: usize = 70;
        let encoded = crate::functions::base64::encode(bytes);
        let mut text = String::new();
        if encoded.len() < LINE {
            text = encoded;
        } else {
            for line in encoded.as_bytes().chunks(LINE) {
                text.extend(line.iter().map(|&byte| char::from(byte)));
                text.push('\n');
            }
        }
        if !self.whitespace {
            self.put(' ');
        }
        for character in "!!binary".chars() {
            self.put(character);
        }
        self.whitespace = false;
        self.indention = false;
        let style = if text.contains('\n') { Style::Literal } else { Style::Plain };
        self.write_scalar(&text, style, place);
    }

    fn write_scalar(&mut self, text: &str, wanted: Style, place: Place) {
        let traits = analyze(text, self.dialect);
        let key = place == Place::Key;
        let mut style = wanted;
        if key && traits.multiline {
            style = Style::DoubleQuoted;
        }
        if style == Style::Plain && (!traits.plain || (text.is_empty() && key)) {
            style = Style::SingleQuoted;
        }
        if style == Style::SingleQuoted && !traits.single_quoted {
            style = Style::DoubleQuoted;
        }
        if style == Style::Literal && (!traits.block || key) {
            style = Style::DoubleQuoted;
        }
        self.indented(2, |writer| match style {
            Style::Plain => writer.plain(text, !key),
            Style::SingleQuoted => writer.single_quoted(text, !key),
            Style::DoubleQuoted => writer.double_quoted(text, !key),
            Style::Literal => writer.literal(text),
        });
    }

    fn plain(&mut self, text: &str, foldable: bool) {
        if !self.whitespace {
            self.put(' ');
        }
        self.words(text, foldable, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn single_quoted(&mut self, text: &str, foldable: bool) {
        self.indicator("'", true, false, false);
        self.words(text, foldable, true);
        self.indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    /// The inside of a plain or single quoted scalar.
    fn words(&mut self, text: &str, foldable: bool, quoted: bool) {
        let (mut spaces, mut breaks) = (false, false);
        for (index, character) in text.char_indices() {
            let rest = &text[index + character.len_utf8()..];
            if character == ' ' {
                let inside = !quoted || (index > 0 && !rest.is_empty());
                if self.folds(foldable) && !spaces && inside && !rest.starts_with(' ') {
                    self.write_indent();
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else if is_break(character) {
                if !breaks && character == '\n' {
                    self.put_break('\n');
                }
                self.put_break(character);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.write_indent();
                }
                if quoted && character == '\'' {
                    self.put('\'');
                }
                self.put(character);
                self.indention = false;
                spaces = false;
                breaks = false;
            }
        }
    }

    fn double_quoted(&mut self, text: &str, foldable: bool) {
        self.indicator("\"", true, false, false);
        let starts_with_bom = text.starts_with('\u{FEFF}');
        let mut spaces = false;
        for (index, character) in text.char_indices() {
            let rest = &text[index + character.len_utf8()..];
            let printable =
                is_printable(character) && !is_break(character) && !matches!(character, '"' | '\\');
            // The library looks for the mark at the start of the text, wherever it is in it.
            if !printable || starts_with_bom {
                self.escape(character);
                spaces = false;
            } else if character == ' ' {
                if self.folds(foldable) && !spaces && index > 0 && !rest.is_empty() {
                    self.write_indent();
                    if rest.starts_with(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else {
                self.put(character);
                spaces = false;
            }
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn escape(&mut self, character: char) {
        self.put('\\');
        let short = match character {
            '\0' => '0',
            '\x07' => 'a',
            '\x08' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\x0B' => 'v',
            '\x0C' => 'f',
            '\r' => 'r',
            '\x1B' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{A0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let code = u32::from(character);
                let escaped = match code {
                    0..=0xFF => format!("x{code:02X}"),
                    0x100..=0xFFFF => format!("u{code:04X}"),
                    _ => format!("U{code:08X}"),
                };
                for digit in escaped.chars() {
                    self.put(digit);
                }
                return;
            }
        };
        self.put(short);
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false, false);
        if text.starts_with([' ', '\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
            self.indicator("2", false, false, false);
        }
        let mut ends = text.chars().rev();
        let chomping = match (ends.next().is_some_and(is_break), ends.next()) {
            (false, _) => "-",
            (true, None) => "+",
            (true, Some(character)) if is_break(character) => "+",
            (true, Some(_)) => "",
        };
        self.indicator(chomping, false, false, false);
        self.put_break('\n');
        self.indention = true;
        self.whitespace = true;
        let mut breaks = true;
        for character in text.chars() {
            if is_break(character) {
                self.put_break(character);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.write_indent();
                }
                self.put(character);
                self.indention = false;
                breaks = false;
            }
        }
    }
}

fn is_break(character: char) -> bool {
    matches!(character, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(character: char) -> bool {
    matches!(
        character,
        '\n' | ' '..='~' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}'
    ) && character != '\u{FEFF}'
}

/// Which styles can hold a text.
fn analyze(text: &str, dialect: Dialect) -> Traits {
    if text.is_empty() {
        return Traits { multiline: false, plain: true, single_quoted: true, block: false };
    }
    let mut indicators = text.starts_with("---") || text.starts_with("...");
    let (mut multiline, mut special, mut tabs) = (false, false, false);
    let (mut break_space, mut space_break) = (false, false);
    let (mut after_blank, mut after_space, mut after_break) = (true, false, false);
    for (index, character) in text.char_indices() {
        let rest = &text[index + character.len_utf8()..];
        let before_blank = rest.is_empty() || rest.starts_with([' ', '\t']);
        indicators |= match character {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
            | '`'
                if index == 0 =>
            {
                true
            }
            '?' | '-' if index == 0 => before_blank,
            ':' => before_blank,
            '#' => after_blank,
            _ => false,
        };
        if character == '\t' && dialect == Dialect::V3 {
            tabs = true;
        } else if !is_printable(character) {
            special = true;
        }
        if character == ' ' {
            break_space |= after_break;
            (after_space, after_break) = (true, false);
        } else if is_break(character) {
            multiline = true;
            space_break |= after_space;
            (after_space, after_break) = (false, true);
        } else {
            (after_space, after_break) = (false, false);
        }
        after_blank = matches!(character, ' ' | '\t' | '\0') || is_break(character);
    }
    let edge = |character: char| character == ' ' || is_break(character);
    let edges = text.starts_with(edge) || text.ends_with(edge);
    Traits {
        multiline,
        plain: !(edges || break_space || space_break || special || tabs || multiline || indicators),
        single_quoted: !(break_space || space_break || special || tabs),
        block: !(text.ends_with(' ') || space_break || special),
    }
}

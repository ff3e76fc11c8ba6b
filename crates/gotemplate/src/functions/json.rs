//! JSON as Go's `encoding/json` writes and reads it, with its texts of errors.

use std::fmt::Write;

use crate::call::{FunctionError, NEW_MAP};
use crate::map::List;
use crate::number::{json_float, parse_float};
use crate::runtime::Runtime;
use crate::value::Value;

/// The deepest nesting that is read. Go's limit is 10,000, which needs more stack than there may be.
const MAX_DEPTH: usize = 900;

/// How JSON is laid out.
#[derive(Clone, Copy, Default)]
pub(super) struct Layout {
    /// `<`, `>` and `&` are written as escapes.
    pub(super) html: bool,
    /// Every entry stands on its own line, indented by two spaces per level.
    pub(super) pretty: bool,
}

/// Writes a value. A float that JSON can't hold is [`FunctionError::Failed`].
pub(super) fn encode(value: &Value, layout: Layout, runtime: &Runtime) -> Result<String, FunctionError> {
    let mut encoder = Encoder { out: String::new(), layout, runtime };
    encoder.value(value, 0)?;
    runtime.allocate(encoder.out.len())?;
    Ok(encoder.out)
}

struct Encoder<'r> {
    out: String,
    layout: Layout,
    runtime: &'r Runtime,
}

impl Encoder<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), FunctionError> {
        self.runtime.descend(depth)?;
        self.runtime.check_size(self.out.len())?;
        match value {
            Value::Nil => self.out.push_str("null"),
            Value::Bool(bool) => self.out.push_str(if *bool { "true" } else { "false" }),
            Value::Integer(_, number) => {
                // Writing to a string can't fail.
                let _ = write!(self.out, "{number}");
            }
            Value::Float(number) => match json_float(*number) {
                Some(text) => self.out.push_str(&text),
                None => {
                    let number = crate::print::float(*number);
                    return Err(FunctionError::Failed(format!("json: unsupported value: {number}")));
                }
            },
            Value::String(text) => self.text(text),
            Value::RawString(bytes) => self.text(&crate::unicode::lossy(bytes)),
            Value::Bytes(bytes) => {
                self.runtime.spend(bytes.len() / 16)?;
                let encoded = super::base64::encode(bytes);
                self.text(&encoded);
            }
            Value::List(list) if list.is_nil() => self.out.push_str("null"),
            Value::List(list) => {
                self.out.push('[');
                for (index, item) in list.items().iter().enumerate() {
                    self.separate(index, depth + 1);
                    self.value(item, depth + 1)?;
                }
                self.close(list.items().is_empty(), depth, ']');
            }
            Value::Map(map) if map.is_nil() => self.out.push_str("null"),
            Value::Map(map) => {
                self.out.push('{');
                for (index, (key, value)) in map.entries().into_iter().enumerate() {
                    self.separate(index, depth + 1);
                    self.text(&key);
                    self.out.push_str(if self.layout.pretty { ": " } else { ":" });
                    self.value(&value, depth + 1)?;
                }
                self.close(map.is_empty(), depth, '}');
            }
            Value::Object(object) => self.value(&object.data(), depth + 1)?,
        }
        Ok(())
    }

    fn separate(&mut self, index: usize, depth: usize) {
        if index > 0 {
            self.out.push(',');
        }
        self.line(depth);
    }

    fn close(&mut self, empty: bool, depth: usize, bracket: char) {
        if !empty {
            self.line(depth);
        }
        self.out.push(bracket);
    }

    fn line(&mut self, depth: usize) {
        if self.layout.pretty {
            self.out.push('\n');
            for _ in 0..depth {
                self.out.push_str("  ");
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            match character {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => self.escape(character),
                '<' | '>' | '&' if self.layout.html => self.escape(character),
                _ => self.out.push(character),
            }
        }
        self.out.push('"');
    }

    fn escape(&mut self, character: char) {
        let _ = write!(self.out, "\\u{:04x}", u32::from(character));
    }
}

/// Reads a value. All numbers become `float64`.
pub(super) fn decode(text: &[u8], runtime: &Runtime) -> Result<Value, FunctionError> {
    let mut decoder = Decoder { text, position: 0, runtime };
    decoder.blank();
    let value = decoder.value(0)?;
    decoder.blank();
    match decoder.peek() {
        None => Ok(value),
        Some(_) => Err(decoder.unexpected("after top-level value")),
    }
}

struct Decoder<'t> {
    text: &'t [u8],
    position: usize,
    runtime: &'t Runtime,
}

impl Decoder<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.position).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.position += 1;
        }
    }

    /// The error about the byte that comes next, or about the end.
    fn unexpected(&self, context: &str) -> FunctionError {
        let Some(byte) = self.peek() else {
            return FunctionError::failed("unexpected end of JSON input");
        };
        let shown = match byte {
            b'\'' => "'\\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            // Go shows the byte as if it were a character.
            byte => {
                let quoted = crate::format::quoted(char::from(byte).to_string().as_bytes(), '"', false);
                format!("'{}'", &quoted[1..quoted.len() - 1])
            }
        };
        FunctionError::Failed(format!("invalid character {shown} {context}"))
    }

    fn value(&mut self, depth: usize) -> Result<Value, FunctionError> {
        self.runtime.spend(1)?;
        if depth > MAX_DEPTH {
            return Err(FunctionError::failed("exceeded max depth"));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::from),
            Some(b't') => self.word("true", Value::from(true)),
            Some(b'f') => self.word("false", Value::from(false)),
            Some(b'n') => self.word("null", Value::Nil),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.unexpected("looking for beginning of value")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, FunctionError> {
        self.position += 1;
        for expected in word.bytes().skip(1) {
            if self.peek() != Some(expected) {
                let expected = char::from(expected);
                return Err(self.unexpected(&format!("in literal {word} (expecting '{expected}')")));
            }
            self.position += 1;
        }
        Ok(value)
    }

    fn digits(&mut self) -> bool {
        let start = self.position;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.position += 1;
        }
        self.position > start
    }

    fn number(&mut self) -> Result<Value, FunctionError> {
        let start = self.position;
        if self.peek() == Some(b'-') {
            self.position += 1;
        }
        if self.peek() == Some(b'0') {
            self.position += 1;
        } else if !self.digits() {
            return Err(self.unexpected("in numeric literal"));
        }
        if self.peek() == Some(b'.') {
            self.position += 1;
            if !self.digits() {
                return Err(self.unexpected("after decimal point in numeric literal"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.position += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.position += 1;
            }
            if !self.digits() {
                return Err(self.unexpected("in exponent of numeric literal"));
            }
        }
        let text = String::from_utf8_lossy(&self.text[start..self.position]);
        parse_float(&text).map(Value::Float).map_err(|_| {
            FunctionError::Failed(format!(
                "json: cannot unmarshal number {text} into Go value of type float64"
            ))
        })
    }

    fn array(&mut self, depth: usize) -> Result<Value, FunctionError> {
        self.position += 1;
        let mut items = Vec::new();
        self.blank();
        if self.peek() == Some(b']') {
            self.position += 1;
            return Ok(List::new(items).into());
        }
        loop {
            self.blank();
            items.push(self.value(depth + 1)?);
            self.blank();
            match self.peek() {
                Some(b',') => self.position += 1,
                Some(b']') => {
                    self.position += 1;
                    return Ok(Value::list(items));
                }
                _ => return Err(self.unexpected("after array element")),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, FunctionError> {
        self.runtime.spend(NEW_MAP)?;
        self.position += 1;
        let mut entries = Vec::new();
        self.blank();
        if self.peek() == Some(b'}') {
            self.position += 1;
            return Ok(Value::map(entries));
        }
        loop {
            self.blank();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("looking for beginning of object key string"));
            }
            let key = self.string()?;
            self.blank();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("after object key"));
            }
            self.position += 1;
            self.blank();
            entries.push((key, self.value(depth + 1)?));
            self.blank();
            match self.peek() {
                Some(b',') => self.position += 1,
                Some(b'}') => {
                    self.position += 1;
                    return Ok(Value::map(entries));
                }
                _ => return Err(self.unexpected("after object key:value pair")),
            }
        }
    }

    fn string(&mut self) -> Result<String, FunctionError> {
        self.position += 1;
        let mut out = Vec::new();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.position += 1;
                    return Ok(match String::from_utf8(out) {
                        Ok(text) => text,
                        Err(error) => crate::unicode::lossy(error.as_bytes()).into_owned(),
                    });
                }
                Some(b'\\') => {
                    self.position += 1;
                    let character = self.escaped()?;
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Some(byte @ b' '..) => {
                    out.push(byte);
                    self.position += 1;
                }
                _ => return Err(self.unexpected("in string literal")),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, FunctionError> {
        let character = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.position += 1;
                return self.unicode();
            }
            _ => return Err(self.unexpected("in string escape code")),
        };
        self.position += 1;
        Ok(character)
    }

    /// A `\u` escape, or two that make one character; half of one is replaced.
    fn unicode(&mut self) -> Result<char, FunctionError> {
        let first = self.hex()?;
        if (0xD800..0xDC00).contains(&first) && self.text[self.position..].starts_with(b"\\u") {
            let back = self.position;
            self.position += 2;
            let second = self.hex()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.position = back;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, FunctionError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.unexpected("in \\u hexadecimal character escape"));
            };
            code = code * 16 + digit;
            self.position += 1;
        }
        Ok(code)
    }
}

//! Scalars, directives, anchors and tags: the tokens that are more than an indicator.

use super::characters::is_printable;
use super::error::Error;
use super::scanner::Scanner;
use super::token::{Mark, Token};

/// A line folding in progress: what came between two words.
#[derive(Default)]
struct Gap {
    blanks: String,
    first_break: String,
    more_breaks: String,
    broken: bool,
}

impl Gap {
    /// Adds what the gap stands for: its blanks, or a space for one line break and a newline for every further one.
    fn close(&mut self, into: &mut String) {
        if self.broken {
            if self.first_break == "\n" {
                if self.more_breaks.is_empty() {
                    into.push(' ');
                } else {
                    into.push_str(&self.more_breaks);
                }
            } else {
                into.push_str(&self.first_break);
                into.push_str(&self.more_breaks);
            }
        } else {
            into.push_str(&self.blanks);
        }
        *self = Gap::default();
    }
}

/// Whether a byte is a character that names are made of, and that means nothing else in any scalar.
fn is_word(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'-')
}

impl Scanner<'_> {
    /// Reads blanks and line breaks. False for a tab before the column `indent` of a further line, where it stops.
    fn read_gap(&mut self, gap: &mut Gap, indent: usize) -> bool {
        loop {
            if self.byte(0) == b'\t' && gap.broken && self.mark.column < indent {
                return false;
            }
            if self.is_blank() {
                if gap.broken {
                    self.skip();
                } else {
                    self.read(&mut gap.blanks);
                }
            } else if self.is_break() {
                if gap.broken {
                    self.read_line(&mut gap.more_breaks);
                } else {
                    gap.blanks.clear();
                    self.read_line(&mut gap.first_break);
                    gap.broken = true;
                }
            } else {
                return true;
            }
        }
    }

    pub(super) fn scan_plain_scalar(&mut self) -> Result<String, Error> {
        let start = self.mark;
        let indent = (self.indent + 1) as usize;
        let mut text = String::new();
        let mut gap = Gap::default();
        loop {
            if self.is_document_indicator() || self.byte(0) == b'#' {
                break;
            }
            while !self.is_blank_or_end(0) {
                let first = self.byte(0);
                if (first == b':' && self.is_blank_or_end(1))
                    || (self.flow_level > 0 && matches!(first, b',' | b'?' | b'[' | b']' | b'{' | b'}'))
                {
                    break;
                }
                gap.close(&mut text);
                self.read(&mut text);
                text.push_str(self.skip_run(is_word));
            }
            if !(self.is_blank() || self.is_break()) {
                break;
            }
            if !self.read_gap(&mut gap, indent) {
                return Err(self.error(start, "found a tab character that violates indentation"));
            }
            if self.flow_level == 0 && self.mark.column < indent {
                break;
            }
        }
        if gap.broken {
            self.key_allowed = true;
        }
        Ok(text)
    }

    pub(super) fn scan_quoted_scalar(&mut self, single: bool) -> Result<String, Error> {
        let start = self.mark;
        let quote = if single { b'\'' } else { b'"' };
        self.skip();
        let mut text = String::new();
        loop {
            if self.is_document_indicator() {
                return Err(self.error(start, "found unexpected document indicator"));
            }
            if self.at_end() {
                return Err(self.error(start, "found unexpected end of stream"));
            }
            let mut gap = Gap::default();
            while !self.is_blank_or_end(0) {
                let first = self.byte(0);
                if first == quote {
                    if !(single && self.byte(1) == b'\'') {
                        break;
                    }
                    text.push('\'');
                    self.skip();
                    self.skip();
                } else if !single && first == b'\\' {
                    if self.break_width(1) > 0 {
                        self.skip();
                        self.skip_line();
                        gap.broken = true;
                        break;
                    }
                    self.scan_escape(start, &mut text)?;
                } else {
                    self.read(&mut text);
                    text.push_str(self.skip_run(is_word));
                }
            }
            if self.byte(0) == quote {
                break;
            }
            // An escaped line break leaves no space: then the first break is already gone.
            let escaped = gap.broken;
            self.read_gap(&mut gap, 0);
            if escaped {
                text.push_str(&gap.more_breaks);
            } else {
                gap.close(&mut text);
            }
        }
        self.skip();
        Ok(text)
    }

    fn scan_escape(&mut self, start: Mark, text: &mut String) -> Result<(), Error> {
        let digits = match self.byte(1) {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ => 0,
        };
        if digits == 0 {
            text.push(match self.byte(1) {
                b'0' => '\0',
                b'a' => '\x07',
                b'b' => '\x08',
                b't' | b'\t' => '\t',
                b'n' => '\n',
                b'v' => '\x0B',
                b'f' => '\x0C',
                b'r' => '\r',
                b'e' => '\x1B',
                b' ' => ' ',
                b'"' => '"',
                b'\'' => '\'',
                b'\\' => '\\',
                b'N' => '\u{85}',
                b'_' => '\u{A0}',
                b'L' => '\u{2028}',
                b'P' => '\u{2029}',
                _ => return Err(self.error(start, "found unknown escape character")),
            });
            self.skip();
            self.skip();
            return Ok(());
        }
        self.skip();
        self.skip();
        let mut value = 0u32;
        for ahead in 0..digits {
            let Some(digit) = char::from(self.byte(ahead)).to_digit(16) else {
                return Err(self.error(start, "did not find expected hexdecimal number"));
            };
            value = (value << 4) | digit;
        }
        let Some(character) = char::from_u32(value) else {
            return Err(self.error(start, "found invalid Unicode character escape code"));
        };
        text.push(character);
        for _ in 0..digits {
            self.skip();
        }
        Ok(())
    }

    pub(super) fn scan_block_scalar(&mut self, literal: bool) -> Result<String, Error> {
        let start = self.mark;
        self.skip();
        let (mut chomping, mut increment) = (0, 0);
        // The two hints come in either order.
        for _ in 0..2 {
            match self.byte(0) {
                b'+' if chomping == 0 => chomping = 1,
                b'-' if chomping == 0 => chomping = -1,
                b'0' if increment == 0 => {
                    return Err(self.error(start, "found an indentation indicator equal to 0"));
                }
                digit @ b'1'..=b'9' if increment == 0 => increment = usize::from(digit - b'0'),
                _ => break,
            }
            self.skip();
        }
        while self.is_blank() {
            self.skip();
        }
        if self.byte(0) == b'#' {
            self.skip_to_break();
        }
        if !self.is_break_or_end() {
            return Err(self.error(start, "did not find expected comment or line break"));
        }
        self.skip_line();
        let mut indent = match increment {
            0 => 0,
            more => self.indent.max(0) as usize + more,
        };
        let mut text = String::new();
        let mut first_break = String::new();
        let mut more_breaks = String::new();
        self.scan_block_breaks(&mut indent, &mut more_breaks, start)?;
        let mut previous_blank = false;
        while self.mark.column == indent && !self.at_end() {
            let blank = self.is_blank();
            if !literal && !previous_blank && !blank && first_break == "\n" {
                if more_breaks.is_empty() {
                    text.push(' ');
                }
            } else {
                text.push_str(&first_break);
            }
            first_break.clear();
            text.push_str(&more_breaks);
            more_breaks.clear();
            previous_blank = blank;
            while !self.is_break_or_end() {
                self.read(&mut text);
                text.push_str(self.skip_run(is_printable));
            }
            self.read_line(&mut first_break);
            self.scan_block_breaks(&mut indent, &mut more_breaks, start)?;
        }
        if chomping != -1 {
            text.push_str(&first_break);
        }
        if chomping == 1 {
            text.push_str(&more_breaks);
        }
        Ok(text)
    }

    /// Reads empty lines and, if `indent` is not known yet, finds it.
    fn scan_block_breaks(
        &mut self,
        indent: &mut usize,
        breaks: &mut String,
        start: Mark,
    ) -> Result<(), Error> {
        let mut deepest = 0;
        loop {
            while (*indent == 0 || self.mark.column < *indent) && self.byte(0) == b' ' {
                self.skip();
            }
            deepest = deepest.max(self.mark.column);
            if (*indent == 0 || self.mark.column < *indent) && self.byte(0) == b'\t' {
                return Err(self.error(start, "found a tab character where an indentation space is expected"));
            }
            if !self.is_break() {
                break;
            }
            self.read_line(breaks);
        }
        if *indent == 0 {
            *indent = deepest.max((self.indent + 1) as usize).max(1);
        }
        Ok(())
    }

    pub(super) fn scan_anchor(&mut self, alias: bool) -> Result<Token, Error> {
        let start = self.mark;
        self.skip();
        let name = self.skip_run(is_word).to_owned();
        let ends = self.is_blank_or_end(0)
            || matches!(self.byte(0), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
        if name.is_empty() || !ends {
            return Err(self.error(start, "did not find expected alphabetic or numeric character"));
        }
        Ok(if alias { Token::Alias(name) } else { Token::Anchor(name) })
    }

    pub(super) fn scan_tag(&mut self) -> Result<Token, Error> {
        let start = self.mark;
        let token = if self.byte(1) == b'<' {
            self.skip();
            self.skip();
            let suffix = self.scan_tag_uri("", start)?;
            if self.byte(0) != b'>' {
                return Err(self.error(start, "did not find the expected '>'"));
            }
            self.skip();
            Token::Tag { handle: String::new(), suffix }
        } else {
            let handle = self.scan_tag_handle(false, start)?;
            if handle.len() > 1 && handle.ends_with('!') {
                let suffix = self.scan_tag_uri("", start)?;
                Token::Tag { handle, suffix }
            } else {
                let suffix = self.scan_tag_uri(&handle, start)?;
                if suffix.is_empty() {
                    Token::Tag { handle: String::new(), suffix: "!".into() }
                } else {
                    Token::Tag { handle: "!".into(), suffix }
                }
            }
        };
        if !self.is_blank_or_end(0) {
            return Err(self.error(start, "did not find expected whitespace or line break"));
        }
        Ok(token)
    }

    fn scan_tag_handle(&mut self, directive: bool, start: Mark) -> Result<String, Error> {
        if self.byte(0) != b'!' {
            return Err(self.error(start, "did not find expected '!'"));
        }
        let mut handle = String::new();
        self.read(&mut handle);
        handle.push_str(self.skip_run(is_word));
        if self.byte(0) == b'!' {
            self.read(&mut handle);
        } else if directive && handle != "!" {
            return Err(self.error(start, "did not find expected '!'"));
        }
        Ok(handle)
    }

    /// Reads a tag's address; `head` is a handle that turned out to be the beginning of it.
    fn scan_tag_uri(&mut self, head: &str, start: Mark) -> Result<String, Error> {
        let mut found = !head.is_empty();
        let mut uri = head.get(1..).unwrap_or_default().as_bytes().to_vec();
        loop {
            let first = self.byte(0);
            if first == b'%' {
                let octet = [self.byte(1), self.byte(2)].map(|digit| char::from(digit).to_digit(16));
                let [Some(high), Some(low)] = octet else {
                    return Err(self.error(start, "did not find URI escaped octet"));
                };
                uri.push((high * 16 + low) as u8);
                (0..3).for_each(|_| self.skip());
            } else if is_word(first) || (first != 0 && b";/?:@&=+$,.!~*'()[]".contains(&first)) {
                uri.push(first);
                self.skip();
            } else {
                break;
            }
            found = true;
        }
        if !found {
            return Err(self.error(start, "did not find expected tag URI"));
        }
        String::from_utf8(uri).map_err(|_| self.error(start, "found an incorrect leading UTF-8 octet"))
    }

    pub(super) fn scan_directive(&mut self) -> Result<Token, Error> {
        let start = self.mark;
        self.skip();
        let name = self.skip_run(is_word);
        if name.is_empty() {
            return Err(self.error(start, "could not find expected directive name"));
        }
        if !self.is_blank_or_end(0) {
            return Err(self.error(start, "found unexpected non-alphabetical character"));
        }
        let token = match name {
            "YAML" => {
                self.skip_blanks();
                let major = self.scan_version_number(start)?;
                if self.byte(0) != b'.' {
                    return Err(self.error(start, "did not find expected digit or '.' character"));
                }
                self.skip();
                Token::Version(major, self.scan_version_number(start)?)
            }
            "TAG" => {
                self.skip_blanks();
                let handle = self.scan_tag_handle(true, start)?;
                if !self.is_blank() {
                    return Err(self.error(start, "did not find expected whitespace"));
                }
                self.skip_blanks();
                let prefix = self.scan_tag_uri("", start)?;
                if !self.is_blank_or_end(0) {
                    return Err(self.error(start, "did not find expected whitespace or line break"));
                }
                Token::TagDirective { handle, prefix }
            }
            _ => return Err(self.error(start, "found unknown directive name")),
        };
        self.skip_blanks();
        if self.byte(0) == b'#' {
            self.skip_to_break();
        }
        if !self.is_break_or_end() {
            return Err(self.error(start, "did not find expected comment or line break"));
        }
        self.skip_line();
        Ok(token)
    }

    fn skip_blanks(&mut self) {
        while self.is_blank() {
            self.skip();
        }
    }

    fn scan_version_number(&mut self, start: Mark) -> Result<u8, Error> {
        let (mut value, mut length) = (0u8, 0);
        while self.byte(0).is_ascii_digit() {
            length += 1;
            if length > 2 {
                return Err(self.error(start, "found extremely long version number"));
            }
            value = value * 10 + (self.byte(0) - b'0');
            self.skip();
        }
        if length == 0 {
            return Err(self.error(start, "did not find expected version number"));
        }
        Ok(value)
    }
}

//! Going through the characters of a text, with the position of each.

use super::scanner::Scanner;

/// Whether a byte is a character of ASCII that never ends a line.
pub(super) fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

impl<'a> Scanner<'a> {
    /// The byte `ahead` of the position; 0 behind the end.
    pub(super) fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.position + ahead).copied().unwrap_or(0)
    }

    pub(super) fn at_end(&self) -> bool {
        self.position >= self.text.len()
    }

    /// The bytes of the line break `ahead`: 0 if there is none.
    pub(super) fn break_width(&self, ahead: usize) -> usize {
        match self.byte(ahead) {
            b'\r' if self.byte(ahead + 1) == b'\n' => 2,
            b'\r' | b'\n' => 1,
            0xC2 if self.byte(ahead + 1) == 0x85 => 2,
            0xE2 if self.byte(ahead + 1) == 0x80 && matches!(self.byte(ahead + 2), 0xA8 | 0xA9) => 3,
            _ => 0,
        }
    }

    pub(super) fn is_break(&self) -> bool {
        self.break_width(0) > 0
    }

    pub(super) fn is_blank(&self) -> bool {
        matches!(self.byte(0), b' ' | b'\t')
    }

    /// Whether a blank, a line break or the end is `ahead`.
    pub(super) fn is_blank_or_end(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t' | 0) || self.break_width(ahead) > 0
    }

    pub(super) fn is_break_or_end(&self) -> bool {
        self.at_end() || self.is_break()
    }

    fn width(&self) -> usize {
        match self.byte(0) {
            0..=0x7F => 1,
            0x80..=0xDF => 2,
            0xE0..=0xEF => 3,
            _ => 4,
        }
    }

    /// Goes one character on.
    pub(super) fn skip(&mut self) {
        if !self.at_end() {
            self.position += self.width();
            self.mark.index += 1;
            self.mark.column += 1;
        }
    }

    /// Goes over bytes of a kind, all of which have to be characters of ASCII on one line, and gives them.
    pub(super) fn skip_run(&mut self, kind: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.text.get(self.position..).unwrap_or_default();
        let width = rest.bytes().take_while(|&byte| kind(byte)).count();
        self.position += width;
        self.mark.index += width;
        self.mark.column += width;
        &rest[..width]
    }

    /// Goes to the end of the line.
    pub(super) fn skip_to_break(&mut self) {
        while !self.is_break_or_end() {
            self.skip();
            self.skip_run(is_printable);
        }
    }

    /// Goes over a line break.
    pub(super) fn skip_line(&mut self) {
        let width = self.break_width(0);
        if width > 0 {
            self.position += width;
            self.mark.index += if width == 2 && self.byte(0).is_ascii() { 2 } else { 1 };
            self.mark.column = 0;
            self.mark.line += 1;
        }
    }

    /// Copies one character.
    pub(super) fn read(&mut self, into: &mut String) {
        if !self.at_end() {
            let width = self.width();
            into.push_str(self.text.get(self.position..self.position + width).unwrap_or_default());
            self.skip();
        }
    }

    /// Copies a line break: every kind but the two Unicode separators becomes a newline.
    pub(super) fn read_line(&mut self, into: &mut String) {
        match self.break_width(0) {
            0 => return,
            3 => into.push_str(self.text.get(self.position..self.position + 3).unwrap_or_default()),
            _ => into.push('\n'),
        }
        self.skip_line();
    }

    /// Whether `---` or `...` stands at the start of this line.
    pub(super) fn is_document_indicator(&self) -> bool {
        let rest = &self.text.as_bytes()[self.position.min(self.text.len())..];
        self.mark.column == 0
            && (rest.starts_with(b"---") || rest.starts_with(b"..."))
            && self.is_blank_or_end(3)
    }
}

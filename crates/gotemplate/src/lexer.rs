//! Splits a template into texts and the tokens of its actions, and resolves the trim markers.

/// The sort of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// The text is the message.
    Error,
    Eof,
    Text,
    LeftDelimiter,
    RightDelimiter,
    Space,
    Assign,
    Declare,
    Pipe,
    LeftParen,
    RightParen,
    /// A printable character that begins nothing, such as a comma.
    Char,
    Bool,
    Dot,
    Field,
    Identifier,
    Keyword,
    Nil,
    Number,
    CharConstant,
    String,
    RawString,
    Variable,
}

/// A token: a piece of the source, or an error message in place of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind,
    pub(crate) text: std::borrow::Cow<'a, str>,
    pub(crate) offset: usize,
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
/// A trim marker is a minus and a space, or a space and a minus.
const TRIM: usize = 2;

const KEYWORDS: [&str; 10] =
    ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];

/// All tokens of a source. The last one is `Eof` or `Error`.
pub(crate) fn tokens(input: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { input, position: 0, parens: 0, tokens: Vec::with_capacity(input.len() / 8) };
    if let Err((message, offset)) = lexer.text() {
        lexer.tokens.push(Token { kind: TokenKind::Error, text: message.into(), offset });
    }
    lexer.tokens
}

struct Lexer<'a> {
    input: &'a str,
    position: usize,
    parens: usize,
    tokens: Vec<Token<'a>>,
}

type Failure = (String, usize);

fn space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\r' | '\n')
}

fn alphanumeric(char: char) -> bool {
    char == '_' || char.is_alphanumeric()
}

/// Go's `%#U` of a character.
fn code_point(char: Option<char>) -> String {
    match char {
        Some(char) if char.is_control() => format!("U+{:04X}", char as u32),
        Some(char) => format!("U+{:04X} '{char}'", char as u32),
        None => "U+FFFFFFFFFFFFFFFF".to_owned(),
    }
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.input[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn emit(&mut self, kind: TokenKind, start: usize) {
        let text = self.input[start..self.position].into();
        self.tokens.push(Token { kind, text, offset: start });
    }

    fn skip_while(&mut self, accepted: impl Fn(char) -> bool) {
        let rest = self.rest();
        let length = rest.find(|char| !accepted(char)).unwrap_or(rest.len());
        self.position += length;
    }

    /// Texts, comments and actions up to the end.
    fn text(&mut self) -> Result<(), Failure> {
        loop {
            let start = self.position;
            let Some(found) = self.rest().find(LEFT) else {
                self.position = self.input.len();
                if start < self.position {
                    self.emit(TokenKind::Text, start);
                }
                self.emit(TokenKind::Eof, self.position);
                return Ok(());
            };
            let delimiter = start + found;
            let after = &self.input[delimiter + LEFT.len()..];
            let trims = after.starts_with('-') && after[1..].starts_with(space);
            let text = &self.input[start..delimiter];
            let text = if trims { text.trim_end_matches(space) } else { text };
            self.position = start + text.len();
            if !text.is_empty() {
                self.emit(TokenKind::Text, start);
            }
            self.position = delimiter + LEFT.len() + if trims { TRIM } else { 0 };
            if self.rest().starts_with("/*") {
                self.comment()?;
            } else {
                self.tokens.push(Token {
                    kind: TokenKind::LeftDelimiter,
                    text: LEFT.into(),
                    offset: delimiter,
                });
                self.action()?;
            }
        }
    }

    fn comment(&mut self) -> Result<(), Failure> {
        let start = self.position;
        let Some(end) = self.rest()[2..].find("*/") else {
            return Err(("unclosed comment".to_owned(), start));
        };
        self.position += 2 + end + 2;
        match self.right_delimiter() {
            Some(trims) => {
                self.close(trims);
                Ok(())
            }
            None => Err(("comment ends before closing delimiter".to_owned(), start)),
        }
    }

    /// Whether the right delimiter is next, and whether it trims.
    fn right_delimiter(&self) -> Option<bool> {
        let rest = self.rest();
        if rest.starts_with(RIGHT) {
            return Some(false);
        }
        let marked = rest.starts_with(space) && rest[1..].starts_with('-') && rest[TRIM..].starts_with(RIGHT);
        marked.then_some(true)
    }

    fn close(&mut self, trims: bool) {
        self.position += RIGHT.len();
        if trims {
            self.position += TRIM;
            self.skip_while(space);
        }
    }

    fn action(&mut self) -> Result<(), Failure> {
        self.parens = 0;
        loop {
            let start = self.position;
            if let Some(trims) = self.right_delimiter() {
                if self.parens > 0 {
                    return Err(("unclosed left paren".to_owned(), start));
                }
                self.tokens.push(Token {
                    kind: TokenKind::RightDelimiter,
                    text: RIGHT.into(),
                    offset: start,
                });
                self.close(trims);
                return Ok(());
            }
            let Some(char) = self.peek() else {
                return Err(("unclosed action".to_owned(), start));
            };
            self.position += char.len_utf8();
            match char {
                _ if space(char) => {
                    while self.peek().is_some_and(space) && self.right_delimiter().is_none() {
                        self.position += 1;
                    }
                    self.emit(TokenKind::Space, start);
                }
                '=' => self.emit(TokenKind::Assign, start),
                ':' => {
                    if self.peek() != Some('=') {
                        return Err(("expected :=".to_owned(), start));
                    }
                    self.position += 1;
                    self.emit(TokenKind::Declare, start);
                }
                '|' => self.emit(TokenKind::Pipe, start),
                '"' => self.quoted(start, '"', TokenKind::String, "unterminated quoted string")?,
                '\'' => {
                    self.quoted(start, '\'', TokenKind::CharConstant, "unterminated character constant")?;
                }
                '`' => {
                    let Some(end) = self.rest().find('`') else {
                        return Err(("unterminated raw quoted string".to_owned(), start));
                    };
                    self.position += end + 1;
                    self.emit(TokenKind::RawString, start);
                }
                '$' => self.name(start, TokenKind::Variable, TokenKind::Variable)?,
                '.' if !self.peek().is_some_and(|next| next.is_ascii_digit()) => {
                    self.name(start, TokenKind::Field, TokenKind::Dot)?;
                }
                '.' | '+' | '-' | '0'..='9' => {
                    self.position = start;
                    self.number()?;
                }
                _ if alphanumeric(char) => self.word(start)?,
                '(' => {
                    self.parens += 1;
                    self.emit(TokenKind::LeftParen, start);
                }
                ')' => {
                    if self.parens == 0 {
                        return Err(("unexpected right paren".to_owned(), start));
                    }
                    self.parens -= 1;
                    self.emit(TokenKind::RightParen, start);
                }
                ' '..='~' => self.emit(TokenKind::Char, start),
                _ => {
                    return Err((
                        format!("unrecognized character in action: {}", code_point(Some(char))),
                        start,
                    ));
                }
            }
        }
    }

    fn quoted(&mut self, start: usize, quote: char, kind: TokenKind, message: &str) -> Result<(), Failure> {
        let mut chars = self.rest().char_indices();
        while let Some((at, char)) = chars.next() {
            match char {
                '\n' => break,
                '\\' if chars.next().is_none_or(|(_, escaped)| escaped == '\n') => break,
                '\\' => {}
                _ if char == quote => {
                    self.position += at + 1;
                    self.emit(kind, start);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err((message.to_owned(), start))
    }

    fn terminated(&self) -> Result<(), Failure> {
        let next = self.peek();
        let ends = next.is_none_or(|char| space(char) || matches!(char, '.' | ',' | '|' | ':' | ')' | '('));
        if ends || self.rest().starts_with(RIGHT) {
            return Ok(());
        }
        Err((format!("bad character {}", code_point(next)), self.position))
    }

    /// A field or a variable, whose first character is read; `bare` is what that character is alone.
    fn name(&mut self, start: usize, kind: TokenKind, bare: TokenKind) -> Result<(), Failure> {
        self.skip_while(alphanumeric);
        self.terminated()?;
        self.emit(if self.position == start + 1 { bare } else { kind }, start);
        Ok(())
    }

    fn word(&mut self, start: usize) -> Result<(), Failure> {
        self.skip_while(alphanumeric);
        self.terminated()?;
        let kind = match &self.input[start..self.position] {
            "true" | "false" => TokenKind::Bool,
            "nil" => TokenKind::Nil,
            word if KEYWORDS.contains(&word) => TokenKind::Keyword,
            _ => TokenKind::Identifier,
        };
        self.emit(kind, start);
        Ok(())
    }

    fn accept(&mut self, accepted: &str) -> bool {
        let found = self.peek().is_some_and(|char| accepted.contains(char));
        if found {
            self.position += 1;
        }
        found
    }

    fn number(&mut self) -> Result<(), Failure> {
        const DECIMAL: &str = "0123456789_";
        const HEXADECIMAL: &str = "0123456789abcdefABCDEF_";
        let start = self.position;
        self.accept("+-");
        let mut digits = DECIMAL;
        if self.accept("0") {
            if self.accept("xX") {
                digits = HEXADECIMAL;
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.skip_while(|char| digits.contains(char));
        if self.accept(".") {
            self.skip_while(|char| digits.contains(char));
        }
        let exponent = if digits == HEXADECIMAL { "pP" } else { "eE" };
        if (digits == DECIMAL || digits == HEXADECIMAL) && self.accept(exponent) {
            self.accept("+-");
            self.skip_while(|char| DECIMAL.contains(char));
        }
        if self.peek().is_some_and(alphanumeric) {
            self.skip_while(alphanumeric);
            return Err((format!("bad number syntax: {:?}", &self.input[start..self.position]), start));
        }
        self.emit(TokenKind::Number, start);
        Ok(())
    }
}

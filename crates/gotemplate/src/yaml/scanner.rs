//! From characters to tokens.
//!
//! The rules are libyaml's, since Helm reads YAML through a descendant of it: a key is recognised when its `:` comes
//! (on the same line, within 1024 characters), indentation opens and closes block collections, and flow collections
//! ignore indentation altogether. Texts and lines of errors are those that users know from Helm.

use std::collections::{BTreeMap, VecDeque};

use super::error::{Error, Stage};
use super::token::{Mark, Spanned, Token};

/// The deepest nesting of collections that is read.
///
/// Helm's reader stops at 10,000, which no chart comes near; here values are walked recursively afterwards, also on
/// the small stacks of threads.
pub const MAX_DEPTH: usize = 500;

/// How far from its start a key's `:` may be.
const MAX_KEY_LENGTH: usize = 1024;

/// Something that may turn out to be a key.
#[derive(Debug, Clone, Copy, Default)]
struct SimpleKey {
    possible: bool,
    required: bool,
    token_number: usize,
    mark: Mark,
}

/// Turns text into tokens, on demand.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) position: usize,
    pub(super) mark: Mark,
    tokens: VecDeque<Spanned>,
    /// How many tokens were handed out.
    taken: usize,
    ended: bool,
    pub(super) flow_level: usize,
    /// The column of the innermost block collection; -1 outside of all.
    pub(super) indent: isize,
    indents: Vec<isize>,
    pub(super) key_allowed: bool,
    keys: Vec<SimpleKey>,
    /// The keys that are possible, by the number of their first token.
    keys_by_token: BTreeMap<usize, usize>,
}

impl<'a> Scanner<'a> {
    /// Begins at the start of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        Scanner {
            text,
            position: 0,
            mark: Mark::default(),
            tokens: VecDeque::new(),
            taken: 0,
            ended: false,
            flow_level: 0,
            indent: -1,
            indents: Vec::new(),
            key_allowed: true,
            keys: vec![SimpleKey::default()],
            keys_by_token: BTreeMap::new(),
        }
    }

    /// The next token, which stays where it is.
    pub(super) fn peek(&mut self) -> Result<&Spanned, Error> {
        self.first().map(|token| &*token)
    }

    fn first(&mut self) -> Result<&mut Spanned, Error> {
        self.fill()?;
        // The end of the stream is never taken, so there is always one.
        self.tokens
            .front_mut()
            .ok_or_else(|| Error::at(Stage::Scan, self.mark, self.mark, "unexpected end of stream"))
    }

    /// Goes over the next token; says where it was.
    pub(super) fn next(&mut self) -> Result<Mark, Error> {
        let token = self.first()?;
        let start = token.start;
        if token.token != Token::StreamEnd {
            self.tokens.pop_front();
            self.taken += 1;
        }
        Ok(start)
    }

    /// Takes the next token if it is a scalar: its text, and whether it is plain.
    pub(super) fn next_scalar(&mut self) -> Result<Option<(String, bool)>, Error> {
        let Token::Scalar { text, plain } = &mut self.first()?.token else {
            return Ok(None);
        };
        let scalar = (std::mem::take(text), *plain);
        self.next()?;
        Ok(Some(scalar))
    }

    /// An error of the scanner, here.
    pub(super) fn error(&self, context: Mark, problem: &str) -> Error {
        Error::at(Stage::Scan, self.mark, context, problem)
    }

    // Tokens.

    fn fill(&mut self) -> Result<(), Error> {
        loop {
            if !self.tokens.is_empty() {
                // The first token may be the start of a key: then a token has to go before it once `:` comes.
                let Some(&index) = self.keys_by_token.get(&self.taken) else {
                    return Ok(());
                };
                if !self.key_is_valid(index)? {
                    return Ok(());
                }
            }
            if self.ended {
                return Ok(());
            }
            self.fetch()?;
        }
    }

    fn push(&mut self, token: Token, start: Mark) {
        let end = self.mark;
        self.tokens.push_back(Spanned { token, start, end });
    }

    /// Pushes an indicator of `width` characters.
    fn indicator(&mut self, token: Token, width: usize) {
        let start = self.mark;
        for _ in 0..width {
            self.skip();
        }
        self.push(token, start);
    }

    fn fetch(&mut self) -> Result<(), Error> {
        self.skip_to_token();
        self.unroll(self.mark.column as isize);
        if self.at_end() {
            return self.fetch_end();
        }
        let first = self.byte(0);
        if self.mark.column == 0 && first == b'%' {
            self.unroll(-1);
            self.drop_key()?;
            self.key_allowed = false;
            let start = self.mark;
            let token = self.scan_directive()?;
            self.push(token, start);
            return Ok(());
        }
        if self.is_document_indicator() {
            self.unroll(-1);
            self.drop_key()?;
            self.key_allowed = false;
            self.indicator(if first == b'-' { Token::DocumentStart } else { Token::DocumentEnd }, 3);
            return Ok(());
        }
        match first {
            b'[' => self.fetch_flow_start(Token::FlowSequenceStart),
            b'{' => self.fetch_flow_start(Token::FlowMappingStart),
            b']' => self.fetch_flow_end(Token::FlowSequenceEnd),
            b'}' => self.fetch_flow_end(Token::FlowMappingEnd),
            b',' => {
                self.drop_key()?;
                self.key_allowed = true;
                self.indicator(Token::FlowEntry, 1);
                Ok(())
            }
            b'-' if self.is_blank_or_end(1) => self.fetch_block_entry(),
            b'?' if self.flow_level > 0 || self.is_blank_or_end(1) => self.fetch_key(),
            b':' if self.flow_level > 0 || self.is_blank_or_end(1) => self.fetch_value(),
            b'*' | b'&' => {
                self.save_key()?;
                self.key_allowed = false;
                let start = self.mark;
                let token = self.scan_anchor(first == b'*')?;
                self.push(token, start);
                Ok(())
            }
            b'!' => {
                self.save_key()?;
                self.key_allowed = false;
                let start = self.mark;
                let token = self.scan_tag()?;
                self.push(token, start);
                Ok(())
            }
            b'|' | b'>' if self.flow_level == 0 => {
                self.drop_key()?;
                self.key_allowed = true;
                let start = self.mark;
                let text = self.scan_block_scalar(first == b'|')?;
                self.push(Token::Scalar { text, plain: false }, start);
                Ok(())
            }
            b'\'' | b'"' => {
                self.save_key()?;
                self.key_allowed = false;
                let start = self.mark;
                let text = self.scan_quoted_scalar(first == b'\'')?;
                self.push(Token::Scalar { text, plain: false }, start);
                Ok(())
            }
            _ if self.starts_plain_scalar() => {
                self.save_key()?;
                self.key_allowed = false;
                let start = self.mark;
                let text = self.scan_plain_scalar()?;
                self.push(Token::Scalar { text, plain: true }, start);
                Ok(())
            }
            _ => Err(self.error(self.mark, "found character that cannot start any token")),
        }
    }

    fn starts_plain_scalar(&self) -> bool {
        match self.byte(0) {
            b'-' => !matches!(self.byte(1), b' ' | b'\t'),
            b'?' | b':' => self.flow_level == 0 && !self.is_blank_or_end(1),
            b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\'' | b'"'
            | b'%' | b'@' | b'`' => false,
            _ => !self.is_blank_or_end(0),
        }
    }

    fn skip_to_token(&mut self) {
        loop {
            // A tab must not indent something that can be a key.
            self.skip_run(|byte| byte == b' ');
            while self.byte(0) == b' '
                || (self.byte(0) == b'\t' && (self.flow_level > 0 || !self.key_allowed))
            {
                self.skip();
            }
            if self.byte(0) == b'#' {
                self.skip_to_break();
            }
            if !self.is_break() {
                return;
            }
            self.skip_line();
            if self.flow_level == 0 {
                self.key_allowed = true;
            }
        }
    }

    fn fetch_end(&mut self) -> Result<(), Error> {
        if self.mark.column != 0 {
            self.mark.column = 0;
            self.mark.line += 1;
        }
        self.unroll(-1);
        self.drop_key()?;
        self.key_allowed = false;
        self.push(Token::StreamEnd, self.mark);
        self.ended = true;
        Ok(())
    }

    fn fetch_flow_start(&mut self, token: Token) -> Result<(), Error> {
        self.save_key()?;
        let token_number = self.taken + self.tokens.len();
        self.keys.push(SimpleKey { token_number, ..SimpleKey::default() });
        self.flow_level += 1;
        if self.flow_level > MAX_DEPTH {
            return Err(self.error(self.mark, &format!("exceeded max depth of {MAX_DEPTH}")));
        }
        self.key_allowed = true;
        self.indicator(token, 1);
        Ok(())
    }

    fn fetch_flow_end(&mut self, token: Token) -> Result<(), Error> {
        self.drop_key()?;
        if self.flow_level > 0 {
            self.flow_level -= 1;
            // For an empty collection this forgets that the collection itself may be a key, as the original does.
            if let Some(key) = self.keys.pop() {
                self.keys_by_token.remove(&key.token_number);
            }
        }
        self.key_allowed = false;
        self.indicator(token, 1);
        Ok(())
    }

    fn fetch_block_entry(&mut self) -> Result<(), Error> {
        // In a flow collection the parser finds the error, where it knows more.
        if self.flow_level == 0 {
            if !self.key_allowed {
                return Err(self.error(self.mark, "block sequence entries are not allowed in this context"));
            }
            self.roll(self.mark.column, None, Token::BlockSequenceStart, self.mark)?;
        }
        self.drop_key()?;
        self.key_allowed = true;
        self.indicator(Token::BlockEntry, 1);
        Ok(())
    }

    fn fetch_key(&mut self) -> Result<(), Error> {
        if self.flow_level == 0 {
            if !self.key_allowed {
                return Err(self.error(self.mark, "mapping keys are not allowed in this context"));
            }
            self.roll(self.mark.column, None, Token::BlockMappingStart, self.mark)?;
        }
        self.drop_key()?;
        self.key_allowed = self.flow_level == 0;
        self.indicator(Token::Key, 1);
        Ok(())
    }

    fn fetch_value(&mut self) -> Result<(), Error> {
        let last = self.keys.len() - 1;
        if self.key_is_valid(last)? {
            let key = self.keys[last];
            // What was handed out already can't get anything before it any more.
            let at = key.token_number.checked_sub(self.taken).unwrap_or(self.tokens.len());
            let token = Spanned { token: Token::Key, start: key.mark, end: key.mark };
            self.tokens.insert(at, token);
            self.roll(key.mark.column, Some(at), Token::BlockMappingStart, key.mark)?;
            self.keys[last].possible = false;
            self.keys_by_token.remove(&key.token_number);
            self.key_allowed = false;
        } else {
            if self.flow_level == 0 {
                if !self.key_allowed {
                    return Err(self.error(self.mark, "mapping values are not allowed in this context"));
                }
                self.roll(self.mark.column, None, Token::BlockMappingStart, self.mark)?;
            }
            self.key_allowed = self.flow_level == 0;
        }
        self.indicator(Token::Value, 1);
        Ok(())
    }

    // Keys and indentation.

    fn key_is_valid(&mut self, index: usize) -> Result<bool, Error> {
        let key = self.keys[index];
        if !key.possible {
            return Ok(false);
        }
        if key.mark.line < self.mark.line || key.mark.index + MAX_KEY_LENGTH < self.mark.index {
            if key.required {
                return Err(self.error(key.mark, "could not find expected ':'"));
            }
            self.keys[index].possible = false;
            self.keys_by_token.remove(&key.token_number);
            return Ok(false);
        }
        Ok(true)
    }

    fn save_key(&mut self) -> Result<(), Error> {
        if self.key_allowed {
            let required = self.flow_level == 0 && self.indent == self.mark.column as isize;
            self.drop_key()?;
            let token_number = self.taken + self.tokens.len();
            if let Some(key) = self.keys.last_mut() {
                *key = SimpleKey { possible: true, required, token_number, mark: self.mark };
                self.keys_by_token.insert(token_number, self.keys.len() - 1);
            }
        }
        Ok(())
    }

    fn drop_key(&mut self) -> Result<(), Error> {
        let last = self.keys.len() - 1;
        let key = self.keys[last];
        if key.possible && key.required {
            return Err(self.error(key.mark, "could not find expected ':'"));
        }
        if key.possible {
            self.keys[last].possible = false;
            self.keys_by_token.remove(&key.token_number);
        }
        Ok(())
    }

    fn roll(&mut self, column: usize, at: Option<usize>, token: Token, mark: Mark) -> Result<(), Error> {
        if self.flow_level > 0 || self.indent >= column as isize {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column as isize;
        if self.indents.len() > MAX_DEPTH {
            return Err(self.error(self.mark, &format!("exceeded max depth of {MAX_DEPTH}")));
        }
        let at = at.unwrap_or(self.tokens.len());
        self.tokens.insert(at, Spanned { token, start: mark, end: mark });
        Ok(())
    }

    fn unroll(&mut self, column: isize) {
        if self.flow_level > 0 {
            return;
        }
        while self.indent > column {
            self.push(Token::BlockEnd, self.mark);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }
}

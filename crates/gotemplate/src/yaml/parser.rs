//! From tokens to events: the grammar.

use super::error::{Error, Stage};
use super::scanner::Scanner;
use super::token::{Mark, Spanned, Token};

/// What a document consists of, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    StreamEnd,
    DocumentStart,
    DocumentEnd,
    Alias(String),
    Scalar { text: String, tag: String, anchor: Option<String>, implicit: bool },
    SequenceStart { anchor: Option<String> },
    SequenceEnd,
    MappingStart { anchor: Option<String> },
    MappingEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    ImplicitDocumentStart,
    DocumentStart,
    DocumentContent,
    DocumentEnd,
    BlockNode,
    BlockSequenceFirstEntry,
    BlockSequenceEntry,
    IndentlessSequenceEntry,
    BlockMappingFirstKey,
    BlockMappingKey,
    BlockMappingValue,
    FlowSequenceFirstEntry,
    FlowSequenceEntry,
    FlowPairKey,
    FlowPairValue,
    FlowPairEnd,
    FlowMappingFirstKey,
    FlowMappingKey,
    FlowMappingValue,
    FlowMappingEmptyValue,
    End,
}

/// Where a node stands, which decides what it may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Flow,
    Block,
    /// As the value of a block mapping, where a sequence needs no indentation of its own.
    BlockOrIndentless,
}

fn fail(context: Option<Mark>, problem: &str, at: Mark) -> Error {
    Error::at(Stage::Parse, at, context.unwrap_or_default(), problem)
}

/// Turns tokens into events, on demand.
#[derive(Debug)]
pub(super) struct Parser<'a> {
    scanner: Scanner<'a>,
    state: State,
    states: Vec<State>,
    /// Where the open collections begin.
    marks: Vec<Mark>,
    tag_prefixes: Vec<(String, String)>,
}

impl<'a> Parser<'a> {
    /// Begins at the start of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        Parser {
            scanner: Scanner::new(text),
            state: State::ImplicitDocumentStart,
            states: Vec::new(),
            marks: Vec::new(),
            tag_prefixes: Vec::new(),
        }
    }

    /// The next event and its position.
    pub(super) fn next(&mut self) -> Result<(Event, Mark), Error> {
        match self.state {
            State::ImplicitDocumentStart => self.document_start(true),
            State::DocumentStart => self.document_start(false),
            State::DocumentContent => self.document_content(),
            State::DocumentEnd => self.document_end(),
            State::BlockNode => self.node(Place::Block),
            State::BlockSequenceFirstEntry => self.block_sequence_entry(true),
            State::BlockSequenceEntry => self.block_sequence_entry(false),
            State::IndentlessSequenceEntry => self.indentless_sequence_entry(),
            State::BlockMappingFirstKey => self.block_mapping_key(true),
            State::BlockMappingKey => self.block_mapping_key(false),
            State::BlockMappingValue => self.block_mapping_value(),
            State::FlowSequenceFirstEntry => self.flow_sequence_entry(true),
            State::FlowSequenceEntry => self.flow_sequence_entry(false),
            State::FlowPairKey => self.flow_pair_key(),
            State::FlowPairValue => self.flow_pair_value(),
            State::FlowPairEnd => {
                let mark = self.scanner.peek()?.start;
                self.state = State::FlowSequenceEntry;
                Ok((Event::MappingEnd, mark))
            }
            State::FlowMappingFirstKey => self.flow_mapping_key(true),
            State::FlowMappingKey => self.flow_mapping_key(false),
            State::FlowMappingValue => self.flow_mapping_value(),
            State::FlowMappingEmptyValue => {
                let mark = self.scanner.peek()?.start;
                Ok(self.empty(State::FlowMappingKey, mark))
            }
            State::End => Ok((Event::StreamEnd, self.scanner.peek()?.start)),
        }
    }

    fn pop_state(&mut self) {
        self.state = self.states.pop().unwrap_or(State::End);
    }

    /// An empty scalar, for a node that is not written; goes on with `state`.
    fn empty(&mut self, state: State, mark: Mark) -> (Event, Mark) {
        self.state = state;
        (Event::Scalar { text: String::new(), tag: String::new(), anchor: None, implicit: true }, mark)
    }

    /// A node, after which `state` follows.
    fn node_then(&mut self, state: State, place: Place) -> Result<(Event, Mark), Error> {
        self.states.push(state);
        self.node(place)
    }

    fn document_start(&mut self, implicit: bool) -> Result<(Event, Mark), Error> {
        if !implicit {
            while self.scanner.peek()?.token == Token::DocumentEnd {
                self.scanner.next()?;
            }
        }
        let token = self.scanner.peek()?;
        let start = token.start;
        if token.token == Token::StreamEnd {
            self.state = State::End;
            return Ok((Event::StreamEnd, start));
        }
        let explicit =
            matches!(token.token, Token::Version(..) | Token::TagDirective { .. } | Token::DocumentStart);
        self.directives()?;
        self.states.push(State::DocumentEnd);
        if implicit && !explicit {
            self.state = State::BlockNode;
            return Ok((Event::DocumentStart, start));
        }
        let begin = self.scanner.peek()?;
        if begin.token != Token::DocumentStart {
            return Err(fail(None, "did not find expected <document start>", begin.start));
        }
        self.scanner.next()?;
        self.state = State::DocumentContent;
        Ok((Event::DocumentStart, start))
    }

    fn directives(&mut self) -> Result<(), Error> {
        let mut version_seen = false;
        self.tag_prefixes.clear();
        loop {
            let token = self.scanner.peek()?;
            match &token.token {
                Token::Version(major, minor) => {
                    if version_seen {
                        return Err(fail(None, "found duplicate %YAML directive", token.start));
                    }
                    if (*major, *minor) != (1, 1) {
                        return Err(fail(None, "found incompatible YAML document", token.start));
                    }
                    version_seen = true;
                }
                Token::TagDirective { handle, prefix } => {
                    if self.tag_prefixes.iter().any(|(known, _)| known == handle) {
                        return Err(fail(None, "found duplicate %TAG directive", token.start));
                    }
                    self.tag_prefixes.push((handle.clone(), prefix.clone()));
                }
                _ => break,
            }
            self.scanner.next()?;
        }
        for (handle, prefix) in [("!", "!"), ("!!", super::resolve::LONG_TAG)] {
            if !self.tag_prefixes.iter().any(|(known, _)| known == handle) {
                self.tag_prefixes.push((handle.into(), prefix.into()));
            }
        }
        Ok(())
    }

    fn document_content(&mut self) -> Result<(Event, Mark), Error> {
        let token = self.scanner.peek()?;
        let mark = token.start;
        match token.token {
            Token::Version(..)
            | Token::TagDirective { .. }
            | Token::DocumentStart
            | Token::DocumentEnd
            | Token::StreamEnd => {
                let state = self.states.pop().unwrap_or(State::End);
                Ok(self.empty(state, mark))
            }
            _ => self.node(Place::Block),
        }
    }

    fn document_end(&mut self) -> Result<(Event, Mark), Error> {
        let token = self.scanner.peek()?;
        let mark = token.start;
        if token.token == Token::DocumentEnd {
            self.scanner.next()?;
        }
        self.state = State::DocumentStart;
        Ok((Event::DocumentEnd, mark))
    }

    fn node(&mut self, place: Place) -> Result<(Event, Mark), Error> {
        let first = self.scanner.peek()?;
        let start = first.start;
        if let Token::Alias(name) = &first.token {
            let name = name.clone();
            self.scanner.next()?;
            self.pop_state();
            return Ok((Event::Alias(name), start));
        }
        let (anchor, tag) = self.properties(start)?;
        if let Some((text, plain)) = self.scanner.next_scalar()? {
            let implicit = (tag.is_empty() && plain) || tag == "!";
            self.pop_state();
            return Ok((Event::Scalar { text, tag, anchor, implicit }, start));
        }
        let token = self.scanner.peek()?;
        match &token.token {
            Token::BlockEntry if place == Place::BlockOrIndentless => {
                self.state = State::IndentlessSequenceEntry;
                Ok((Event::SequenceStart { anchor }, start))
            }
            Token::FlowSequenceStart => {
                self.state = State::FlowSequenceFirstEntry;
                Ok((Event::SequenceStart { anchor }, start))
            }
            Token::FlowMappingStart => {
                self.state = State::FlowMappingFirstKey;
                Ok((Event::MappingStart { anchor }, start))
            }
            Token::BlockSequenceStart if place != Place::Flow => {
                self.state = State::BlockSequenceFirstEntry;
                Ok((Event::SequenceStart { anchor }, start))
            }
            Token::BlockMappingStart if place != Place::Flow => {
                self.state = State::BlockMappingFirstKey;
                Ok((Event::MappingStart { anchor }, start))
            }
            _ if anchor.is_some() || !tag.is_empty() => {
                self.pop_state();
                let implicit = tag.is_empty();
                Ok((Event::Scalar { text: String::new(), tag, anchor, implicit }, start))
            }
            _ => Err(fail(Some(start), "did not find expected node content", token.start)),
        }
    }

    /// Anchor and tag of a node, in either order.
    fn properties(&mut self, start: Mark) -> Result<(Option<String>, String), Error> {
        let (mut anchor, mut tag) = (None, String::new());
        let (mut anchored, mut tagged) = (false, false);
        loop {
            let token = self.scanner.peek()?;
            match &token.token {
                Token::Anchor(name) if !anchored => {
                    anchored = true;
                    anchor = Some(name.clone());
                }
                Token::Tag { handle, suffix } if !tagged => {
                    tagged = true;
                    if handle.is_empty() {
                        tag = suffix.clone();
                    } else {
                        let known = self.tag_prefixes.iter().find(|(known, _)| known == handle);
                        let Some((_, prefix)) = known else {
                            return Err(fail(Some(start), "found undefined tag handle", token.start));
                        };
                        tag = format!("{prefix}{suffix}");
                    }
                }
                _ => return Ok((anchor, tag)),
            }
            self.scanner.next()?;
        }
    }

    fn begin_collection(&mut self) -> Result<(), Error> {
        let start = self.scanner.next()?;
        self.marks.push(start);
        Ok(())
    }

    fn end_collection(&mut self, event: Event) -> Result<(Event, Mark), Error> {
        let start = self.scanner.next()?;
        self.pop_state();
        self.marks.pop();
        Ok((event, start))
    }

    fn block_sequence_entry(&mut self, first: bool) -> Result<(Event, Mark), Error> {
        if first {
            self.begin_collection()?;
        }
        let &Spanned { ref token, start, end } = self.scanner.peek()?;
        match token {
            Token::BlockEntry => {
                self.scanner.next()?;
                match self.scanner.peek()?.token {
                    Token::BlockEntry | Token::BlockEnd => Ok(self.empty(State::BlockSequenceEntry, end)),
                    _ => self.node_then(State::BlockSequenceEntry, Place::Block),
                }
            }
            Token::BlockEnd => self.end_collection(Event::SequenceEnd),
            _ => {
                let context = self.marks.pop();
                Err(fail(context, "did not find expected '-' indicator", start))
            }
        }
    }

    fn indentless_sequence_entry(&mut self) -> Result<(Event, Mark), Error> {
        let &Spanned { ref token, start, end } = self.scanner.peek()?;
        if *token != Token::BlockEntry {
            self.pop_state();
            return Ok((Event::SequenceEnd, start));
        }
        self.scanner.next()?;
        match self.scanner.peek()?.token {
            Token::BlockEntry | Token::Key | Token::Value | Token::BlockEnd => {
                Ok(self.empty(State::IndentlessSequenceEntry, end))
            }
            _ => self.node_then(State::IndentlessSequenceEntry, Place::Block),
        }
    }

    fn block_mapping_key(&mut self, first: bool) -> Result<(Event, Mark), Error> {
        if first {
            self.begin_collection()?;
        }
        let &Spanned { ref token, start, end } = self.scanner.peek()?;
        match token {
            Token::Key => {
                self.scanner.next()?;
                match self.scanner.peek()?.token {
                    Token::Key | Token::Value | Token::BlockEnd => {
                        Ok(self.empty(State::BlockMappingValue, end))
                    }
                    _ => self.node_then(State::BlockMappingValue, Place::BlockOrIndentless),
                }
            }
            Token::BlockEnd => self.end_collection(Event::MappingEnd),
            _ => {
                let context = self.marks.pop();
                Err(fail(context, "did not find expected key", start))
            }
        }
    }

    fn block_mapping_value(&mut self) -> Result<(Event, Mark), Error> {
        let &Spanned { ref token, start, end } = self.scanner.peek()?;
        if *token != Token::Value {
            return Ok(self.empty(State::BlockMappingKey, start));
        }
        self.scanner.next()?;
        match self.scanner.peek()?.token {
            Token::Key | Token::Value | Token::BlockEnd => Ok(self.empty(State::BlockMappingKey, end)),
            _ => self.node_then(State::BlockMappingKey, Place::BlockOrIndentless),
        }
    }

    /// Goes over the comma between two entries.
    fn flow_separator(&mut self, first: bool, problem: &str) -> Result<&Spanned, Error> {
        if !first {
            let token = self.scanner.peek()?;
            if token.token != Token::FlowEntry {
                return Err(fail(self.marks.pop(), problem, token.start));
            }
            self.scanner.next()?;
        }
        self.scanner.peek()
    }

    fn flow_sequence_entry(&mut self, first: bool) -> Result<(Event, Mark), Error> {
        if first {
            self.begin_collection()?;
        }
        if self.scanner.peek()?.token != Token::FlowSequenceEnd {
            let token = self.flow_separator(first, "did not find expected ',' or ']'")?;
            if token.token == Token::Key {
                let start = self.scanner.next()?;
                self.state = State::FlowPairKey;
                return Ok((Event::MappingStart { anchor: None }, start));
            }
            if token.token != Token::FlowSequenceEnd {
                return self.node_then(State::FlowSequenceEntry, Place::Flow);
            }
        }
        self.end_collection(Event::SequenceEnd)
    }

    fn flow_pair_key(&mut self) -> Result<(Event, Mark), Error> {
        let &Spanned { ref token, end, .. } = self.scanner.peek()?;
        if matches!(token, Token::Value | Token::FlowEntry | Token::FlowSequenceEnd) {
            self.scanner.next()?;
            return Ok(self.empty(State::FlowPairValue, end));
        }
        self.node_then(State::FlowPairValue, Place::Flow)
    }

    fn flow_pair_value(&mut self) -> Result<(Event, Mark), Error> {
        let mut token = self.scanner.peek()?;
        if token.token == Token::Value {
            self.scanner.next()?;
            token = self.scanner.peek()?;
            if !matches!(token.token, Token::FlowEntry | Token::FlowSequenceEnd) {
                return self.node_then(State::FlowPairEnd, Place::Flow);
            }
        }
        let start = token.start;
        Ok(self.empty(State::FlowPairEnd, start))
    }

    fn flow_mapping_key(&mut self, first: bool) -> Result<(Event, Mark), Error> {
        if first {
            self.begin_collection()?;
        }
        if self.scanner.peek()?.token != Token::FlowMappingEnd {
            let token = self.flow_separator(first, "did not find expected ',' or '}'")?;
            if token.token == Token::Key {
                self.scanner.next()?;
                let next = self.scanner.peek()?;
                let mark = next.start;
                if matches!(next.token, Token::Value | Token::FlowEntry | Token::FlowMappingEnd) {
                    return Ok(self.empty(State::FlowMappingValue, mark));
                }
                return self.node_then(State::FlowMappingValue, Place::Flow);
            }
            if token.token != Token::FlowMappingEnd {
                return self.node_then(State::FlowMappingEmptyValue, Place::Flow);
            }
        }
        self.end_collection(Event::MappingEnd)
    }

    fn flow_mapping_value(&mut self) -> Result<(Event, Mark), Error> {
        let mut token = self.scanner.peek()?;
        if token.token == Token::Value {
            self.scanner.next()?;
            token = self.scanner.peek()?;
            if !matches!(token.token, Token::FlowEntry | Token::FlowMappingEnd) {
                return self.node_then(State::FlowMappingKey, Place::Flow);
            }
        }
        let start = token.start;
        Ok(self.empty(State::FlowMappingKey, start))
    }
}

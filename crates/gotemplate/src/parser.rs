//! Reads a template as Go's `text/template/parse` does, with its messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ast::{Arm, Command, List, Node, Operand, Pipe, Term};
use crate::error::Error;
use crate::lexer::{Token, TokenKind, tokens};
use crate::literal;
use crate::source::Source;

/// A source, read.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// What is outside of all definitions.
    pub(crate) main: List,
    /// The definitions, of which each name has one.
    pub(crate) definitions: BTreeMap<Arc<str>, List>,
}

/// How deep blocks may be nested; Tera reads 40 and the templates are outermost.
const BLOCKS: usize = 36;
/// How deep parentheses may be nested.
const PARENS: usize = 100;

/// Reads a source.
///
/// # Errors
///
/// It is not a Go template, or calls a function that is not `known`.
pub(crate) fn parse(source: &Source, known: &dyn Fn(&str) -> bool) -> Result<Parsed, Error> {
    let mut parser = Parser {
        tokens: tokens(&source.text),
        next: 0,
        known,
        variables: vec!["$".into()],
        ranges: 0,
        blocks: 0,
        parens: 0,
        definitions: BTreeMap::new(),
    };
    match parser.source() {
        Ok(main) => Ok(Parsed { main, definitions: parser.definitions }),
        Err((message, offset)) => Err(Error::parse(message, source.location(offset))),
    }
}

/// Whether a template has nothing but white space and definitions; such a one does not replace another.
pub(crate) fn is_empty(list: &List) -> bool {
    list.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}

type Failure = (String, usize);

/// How a list of nodes ended.
enum Close {
    End,
    /// `else` with the offset of its action; what follows in the action is not read yet.
    Else(usize),
    Eof,
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
    known: &'a dyn Fn(&str) -> bool,
    variables: Vec<Arc<str>>,
    ranges: usize,
    blocks: usize,
    parens: usize,
    definitions: BTreeMap<Arc<str>, List>,
}

impl<'a> Parser<'a> {
    /// The token `ahead` of the next one. The last token stays for ever.
    fn look(&self, ahead: usize) -> &Token<'a> {
        let index = (self.next + ahead).min(self.tokens.len() - 1);
        &self.tokens[index]
    }

    fn peek(&self) -> &Token<'a> {
        self.look(0)
    }

    fn advance(&mut self) -> Token<'a> {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn skip_space(&mut self) {
        while self.peek().kind == TokenKind::Space {
            self.next += 1;
        }
    }

    fn unexpected<T>(&self, token: &Token<'_>, context: &str) -> Result<T, Failure> {
        let shown = match token.kind {
            TokenKind::Error => return Err((token.text.to_string(), token.offset)),
            TokenKind::Eof => "EOF".to_owned(),
            TokenKind::Keyword => format!("<{}>", token.text),
            _ if token.text.chars().count() > 10 => {
                format!("{:?}...", token.text.chars().take(10).collect::<String>())
            }
            _ => format!("{:?}", token.text),
        };
        Err((format!("unexpected {shown} in {context}"), token.offset))
    }

    fn expect(&mut self, kind: TokenKind, context: &str) -> Result<Token<'a>, Failure> {
        self.skip_space();
        let token = self.advance();
        if token.kind == kind { Ok(token) } else { self.unexpected(&token, context) }
    }

    fn keyword(&self, word: &str) -> bool {
        self.peek().kind == TokenKind::Keyword && self.peek().text == word
    }

    fn source(&mut self) -> Result<List, Failure> {
        let mut main = List::new();
        match self.list(&mut main, true)? {
            Close::Eof => Ok(main),
            Close::End => self.stray("{{end}}"),
            Close::Else(_) => self.stray("{{else}}"),
        }
    }

    fn stray<T>(&self, what: &str) -> Result<T, Failure> {
        let offset = self.tokens[self.next.saturating_sub(1).min(self.tokens.len() - 1)].offset;
        Err((format!("unexpected {what}"), offset))
    }

    /// Nodes up to an `end`, an `else` or the end of the source.
    fn list(&mut self, nodes: &mut List, top: bool) -> Result<Close, Failure> {
        loop {
            let token = self.advance();
            match token.kind {
                TokenKind::Text => nodes.push(Node::Text(token.text.into())),
                TokenKind::Eof if top => return Ok(Close::Eof),
                TokenKind::Eof => return Err(("unexpected EOF".to_owned(), token.offset)),
                TokenKind::LeftDelimiter => {
                    self.skip_space();
                    if self.peek().kind != TokenKind::Keyword {
                        nodes.push(Node::Action(self.pipeline("command", TokenKind::RightDelimiter)?));
                        continue;
                    }
                    let word = self.advance();
                    match &*word.text {
                        "define" if top => self.define()?,
                        "end" => {
                            self.expect(TokenKind::RightDelimiter, "end")?;
                            return Ok(Close::End);
                        }
                        "else" => return Ok(Close::Else(word.offset)),
                        "if" | "with" => {
                            nodes.push(self.nested(word.offset, |parser| parser.branch(&word.text))?);
                        }
                        "range" => nodes.push(self.nested(word.offset, Parser::range)?),
                        "block" => nodes.push(self.nested(word.offset, Parser::block)?),
                        "template" => nodes.push(self.template()?),
                        "break" | "continue" => nodes.push(self.leave(&word)?),
                        _ => return self.unexpected(&word, "command"),
                    }
                }
                _ => return self.unexpected(&token, "input"),
            }
        }
    }

    fn nested(
        &mut self,
        offset: usize,
        read: impl FnOnce(&mut Self) -> Result<Node, Failure>,
    ) -> Result<Node, Failure> {
        self.blocks += 1;
        if self.blocks > BLOCKS {
            return Err((format!("blocks are nested more than {BLOCKS} deep"), offset));
        }
        let variables = self.variables.len();
        let node = read(self)?;
        self.variables.truncate(variables);
        self.blocks -= 1;
        Ok(node)
    }

    /// The list after an `else`, to its `end`.
    fn otherwise(&mut self) -> Result<List, Failure> {
        self.expect(TokenKind::RightDelimiter, "else")?;
        let mut nodes = List::new();
        match self.list(&mut nodes, false)? {
            Close::Else(offset) => Err(("expected end; found {{else}}".to_owned(), offset)),
            Close::End | Close::Eof => Ok(nodes),
        }
    }

    fn branch(&mut self, word: &str) -> Result<Node, Failure> {
        let mut arms = Vec::new();
        loop {
            let pipe = self.pipeline(word, TokenKind::RightDelimiter)?;
            let mut body = List::new();
            let end = self.list(&mut body, false)?;
            arms.push(Arm { pipe, with: word == "with", body });
            let Close::Else(_) = end else {
                return Ok(Node::Branch { arms, otherwise: None });
            };
            self.skip_space();
            if !self.keyword(word) {
                return Ok(Node::Branch { arms, otherwise: Some(self.otherwise()?) });
            }
            self.next += 1;
        }
    }

    fn range(&mut self) -> Result<Node, Failure> {
        let pipe = self.pipeline("range", TokenKind::RightDelimiter)?;
        let mut body = List::new();
        self.ranges += 1;
        let end = self.list(&mut body, false)?;
        self.ranges -= 1;
        let otherwise = match end {
            Close::Else(_) => Some(self.otherwise()?),
            Close::End | Close::Eof => None,
        };
        Ok(Node::Range { pipe, body, otherwise })
    }

    fn leave(&mut self, word: &Token<'_>) -> Result<Node, Failure> {
        self.skip_space();
        let token = self.advance();
        if token.kind != TokenKind::RightDelimiter {
            return self.unexpected(&token, &format!("{{{{{}}}}}", word.text));
        }
        if self.ranges == 0 {
            return Err((format!("{{{{{}}}}} outside {{{{range}}}}", word.text), word.offset));
        }
        Ok(if word.text == "break" { Node::Break } else { Node::Continue })
    }

    /// A name in quotes: itself, and as it was written.
    fn name(&mut self, context: &str) -> Result<(Arc<str>, Arc<str>, usize), Failure> {
        self.skip_space();
        let token = self.advance();
        if !matches!(token.kind, TokenKind::String | TokenKind::RawString) {
            return self.unexpected(&token, context);
        }
        let name = literal::unquote(&token.text).and_then(|bytes| String::from_utf8(bytes).ok());
        match name {
            Some(name) => Ok((name.into(), token.text.into(), token.offset)),
            None => Err(("invalid syntax".to_owned(), token.offset)),
        }
    }

    /// A definition has variables and loops of its own.
    fn body(&mut self, name: &Arc<str>, offset: usize, context: &str) -> Result<(), Failure> {
        let variables = std::mem::replace(&mut self.variables, vec!["$".into()]);
        let ranges = std::mem::take(&mut self.ranges);
        let mut body = List::new();
        if let Close::Else(offset) = self.list(&mut body, false)? {
            return Err((format!("unexpected {{{{else}}}} in {context}"), offset));
        }
        self.variables = variables;
        self.ranges = ranges;
        match self.definitions.get_mut(name) {
            Some(known) if is_empty(known) => *known = body,
            Some(_) if is_empty(&body) => {}
            Some(_) => return Err((format!("template: multiple definition of template {name:?}"), offset)),
            None => {
                self.definitions.insert(Arc::clone(name), body);
            }
        }
        Ok(())
    }

    fn define(&mut self) -> Result<(), Failure> {
        let (name, _, offset) = self.name("define clause")?;
        self.expect(TokenKind::RightDelimiter, "define clause")?;
        self.body(&name, offset, "define clause")
    }

    fn block(&mut self) -> Result<Node, Failure> {
        let (name, quoted, offset) = self.name("block clause")?;
        let pipe = self.pipeline("block clause", TokenKind::RightDelimiter)?;
        self.body(&name, offset, "block clause")?;
        Ok(Node::Template { offset, name, quoted, pipe: Some(pipe) })
    }

    fn template(&mut self) -> Result<Node, Failure> {
        let (name, quoted, offset) = self.name("template clause")?;
        self.skip_space();
        let pipe = if self.peek().kind == TokenKind::RightDelimiter {
            self.next += 1;
            None
        } else {
            Some(self.pipeline("template clause", TokenKind::RightDelimiter)?)
        };
        Ok(Node::Template { offset, name, quoted, pipe })
    }

    fn pipeline(&mut self, context: &str, end: TokenKind) -> Result<Pipe, Failure> {
        self.skip_space();
        let offset = self.peek().offset;
        let mut pipe = Pipe { offset, variables: Vec::new(), assigns: false, commands: Vec::new() };
        self.declarations(&mut pipe, context)?;
        loop {
            self.skip_space();
            let token = self.peek();
            match token.kind {
                _ if token.kind == end => {
                    let offset = token.offset;
                    self.next += 1;
                    check_pipeline(&pipe, context, offset)?;
                    return Ok(pipe);
                }
                TokenKind::Bool
                | TokenKind::CharConstant
                | TokenKind::Dot
                | TokenKind::Field
                | TokenKind::Identifier
                | TokenKind::Number
                | TokenKind::Nil
                | TokenKind::RawString
                | TokenKind::String
                | TokenKind::Variable
                | TokenKind::LeftParen => {
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(token, context),
            }
        }
    }

    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Result<(), Failure> {
        loop {
            self.skip_space();
            if self.peek().kind != TokenKind::Variable {
                return Ok(());
            }
            let after = 1 + usize::from(self.look(1).kind == TokenKind::Space);
            let next = self.look(after);
            let comma = next.kind == TokenKind::Char && next.text == ",";
            let assigns = next.kind == TokenKind::Assign;
            if !comma && !assigns && next.kind != TokenKind::Declare {
                return Ok(());
            }
            let variable = self.advance();
            self.next += after;
            let name: Arc<str> = variable.text.into();
            pipe.variables.push((Arc::clone(&name), variable.offset));
            self.variables.push(name);
            pipe.assigns = assigns;
            if !comma {
                return Ok(());
            }
            if context != "range" || pipe.variables.len() > 1 {
                return Err((format!("too many declarations in {context}"), variable.offset));
            }
            self.skip_space();
            if !matches!(
                self.peek().kind,
                TokenKind::Variable | TokenKind::RightDelimiter | TokenKind::RightParen
            ) {
                return Err(("range can only initialize variables".to_owned(), self.peek().offset));
            }
        }
    }

    fn command(&mut self) -> Result<Command, Failure> {
        self.skip_space();
        let offset = self.peek().offset;
        let mut command = Command { offset, operands: Vec::new() };
        loop {
            self.skip_space();
            if let Some(operand) = self.operand()? {
                command.operands.push(operand);
            }
            let token = self.peek();
            match token.kind {
                TokenKind::Space => {}
                TokenKind::RightDelimiter | TokenKind::RightParen => break,
                TokenKind::Pipe => {
                    self.next += 1;
                    break;
                }
                _ => return self.unexpected(token, "operand"),
            }
        }
        if command.operands.is_empty() {
            return Err(("empty command".to_owned(), offset));
        }
        Ok(command)
    }

    fn operand(&mut self) -> Result<Option<Operand>, Failure> {
        let Some(mut operand) = self.term()? else {
            return Ok(None);
        };
        if self.peek().kind != TokenKind::Field {
            return Ok(Some(operand));
        }
        let offset = self.peek().offset;
        let mut added = Vec::new();
        while self.peek().kind == TokenKind::Field {
            added.push(Arc::from(&self.advance().text[1..]));
        }
        // As in Go, a longer path is where its second part is.
        match &mut operand.term {
            Term::Field(fields) | Term::Variable { fields, .. } => {
                fields.append(&mut added);
                operand.offset = offset;
            }
            Term::Bool(_) | Term::String { .. } | Term::Number { .. } | Term::Nil | Term::Dot => {
                return Err((format!("unexpected . after term {:?}", operand.to_string()), offset));
            }
            Term::Function(_) | Term::Pipe(_) | Term::Chain { .. } => {
                operand = Operand { offset, term: Term::Chain { operand: Box::new(operand), fields: added } };
            }
        }
        Ok(Some(operand))
    }

    fn term(&mut self) -> Result<Option<Operand>, Failure> {
        let token = self.peek().clone();
        let offset = token.offset;
        let invalid = || ("invalid syntax".to_owned(), offset);
        let term = match token.kind {
            TokenKind::Nil => Term::Nil,
            TokenKind::Dot => Term::Dot,
            TokenKind::Bool => Term::Bool(token.text == "true"),
            TokenKind::Field => Term::Field(vec![token.text[1..].into()]),
            TokenKind::Identifier if !(self.known)(&token.text) => {
                return Err((format!("function {:?} not defined", token.text), offset));
            }
            TokenKind::Identifier => Term::Function(token.text.into()),
            TokenKind::Variable => {
                if !self.variables.iter().any(|known| **known == token.text) {
                    return Err((format!("undefined variable {:?}", token.text), offset));
                }
                Term::Variable { name: token.text.into(), fields: Vec::new() }
            }
            TokenKind::Number => {
                let number = literal::number(&token.text).map_err(|message| (message, offset))?;
                Term::Number { number, text: token.text.into() }
            }
            TokenKind::CharConstant => {
                let number = literal::character(&token.text);
                let number = number
                    .ok_or_else(|| (format!("malformed character constant: {}", token.text), offset))?;
                Term::Number { number, text: token.text.into() }
            }
            TokenKind::String | TokenKind::RawString => {
                let bytes = literal::unquote(&token.text).ok_or_else(invalid)?;
                Term::String { bytes: bytes.into(), quoted: token.text.into() }
            }
            TokenKind::LeftParen => {
                self.parens += 1;
                if self.parens > PARENS {
                    return Err((format!("parentheses are nested more than {PARENS} deep"), offset));
                }
                self.next += 1;
                let pipe = self.pipeline("parenthesized pipeline", TokenKind::RightParen)?;
                self.parens -= 1;
                return Ok(Some(Operand { offset: pipe.offset, term: Term::Pipe(Box::new(pipe)) }));
            }
            _ => return Ok(None),
        };
        self.next += 1;
        Ok(Some(Operand { offset, term }))
    }
}

fn check_pipeline(pipe: &Pipe, context: &str, offset: usize) -> Result<(), Failure> {
    if pipe.commands.is_empty() {
        return Err((format!("missing value for {context}"), offset));
    }
    for (index, command) in pipe.commands.iter().enumerate().skip(1) {
        if matches!(
            command.operands[0].term,
            Term::Bool(_) | Term::Dot | Term::Nil | Term::Number { .. } | Term::String { .. }
        ) {
            let stage = index + 1;
            return Err((format!("non executable command in pipeline stage {stage}"), command.offset));
        }
    }
    Ok(())
}

//! From events to values: anchors, merges, tags and the meaning of scalars.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};

use super::error::Error;
use super::parser::{Event, Parser};
use super::resolve::{Dialect, LONG_TAG, Scalar, resolve};
use super::scanner::MAX_DEPTH;

/// Aliases may multiply a text up to this many values in relation to what is written; see [`Decoder::count`].
const SMALL_DOCUMENT: usize = 400_000;
const LARGE_DOCUMENT: usize = 4_000_000;

type NodeId = usize;

/// A node as written. They live in one list, so that no depth is a matter of the stack.
#[derive(Debug)]
struct Node {
    line: usize,
    kind: NodeKind,
}

#[derive(Debug)]
enum NodeKind {
    Scalar {
        text: String,
        tag: String,
        implicit: bool,
    },
    Sequence(Vec<NodeId>),
    /// Keys and values in turn.
    Mapping(Vec<NodeId>),
    Alias(String, NodeId),
}

/// How a text is read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Options {
    /// Refuse a key that comes twice, instead of taking the last one.
    pub(super) unique_keys: bool,
}

/// The documents of a text, read one by one.
pub(super) struct Documents<'a> {
    parser: Parser<'a>,
    options: Options,
    ended: bool,
}

impl<'a> Documents<'a> {
    pub(super) fn new(text: &'a str, options: Options) -> Result<Self, Error> {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        if text.chars().any(|character| !is_allowed(character)) {
            return Err(Error::plain("control characters are not allowed"));
        }
        Ok(Documents { parser: Parser::new(text), options, ended: false })
    }

    /// The next document; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Value>, Error> {
        if self.ended {
            return Ok(None);
        }
        match self.parser.next()? {
            (Event::StreamEnd, _) => {
                self.ended = true;
                Ok(None)
            }
            _ => {
                let mut composer =
                    Composer { parser: &mut self.parser, nodes: Vec::new(), anchors: HashMap::new() };
                let root = composer.document()?;
                let mut decoder = Decoder {
                    nodes: &composer.nodes,
                    options: self.options,
                    open_aliases: Vec::new(),
                    counted: 0,
                    counted_in_aliases: 0,
                    problems: Vec::new(),
                    refused: None,
                };
                let value = decoder.node(root, 0)?;
                match decoder.problems.first() {
                    None => match decoder.refused.take() {
                        Some(problem) => Err(Error::conversion(problem)),
                        None => Ok(Some(value)),
                    },
                    Some((line, _)) => {
                        let texts =
                            decoder.problems.iter().map(|(line, text)| format!("line {}: {text}", line + 1));
                        let texts: Vec<String> = texts.collect();
                        Err(Error::line_of(*line, format!("unmarshal errors:\n  {}", texts.join("\n  "))))
                    }
                }
            }
        }
    }
}

/// Whether YAML allows a character unescaped.
pub(super) fn is_allowed(character: char) -> bool {
    matches!(
        character,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..
    )
}

struct Composer<'p, 'a> {
    parser: &'p mut Parser<'a>,
    nodes: Vec<Node>,
    anchors: HashMap<String, NodeId>,
}

impl Composer<'_, '_> {
    /// Composes up to the end of the document.
    fn document(&mut self) -> Result<NodeId, Error> {
        let mut root = 0;
        let mut open: Vec<NodeId> = Vec::new();
        loop {
            let (event, mark) = self.parser.next()?;
            let id = self.nodes.len();
            let (kind, anchor) = match event {
                Event::DocumentEnd | Event::StreamEnd => return Ok(root),
                Event::DocumentStart => continue,
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop();
                    continue;
                }
                Event::Alias(name) => match self.anchors.get(&name) {
                    Some(&target) => (NodeKind::Alias(name, target), None),
                    None => return Err(Error::plain(format!("unknown anchor '{name}' referenced"))),
                },
                Event::Scalar { text, tag, anchor, implicit } => {
                    (NodeKind::Scalar { text, tag, implicit }, anchor)
                }
                Event::SequenceStart { anchor } => (NodeKind::Sequence(Vec::new()), anchor),
                Event::MappingStart { anchor } => (NodeKind::Mapping(Vec::new()), anchor),
            };
            match open.last().and_then(|&parent| self.nodes.get_mut(parent)) {
                Some(Node { kind: NodeKind::Sequence(items) | NodeKind::Mapping(items), .. }) => {
                    items.push(id);
                }
                _ => root = id,
            }
            if matches!(kind, NodeKind::Sequence(_) | NodeKind::Mapping(_)) {
                open.push(id);
                if open.len() > MAX_DEPTH {
                    return Err(Error::plain(format!("exceeded max depth of {MAX_DEPTH}")));
                }
            }
            self.nodes.push(Node { line: mark.line, kind });
            if let Some(anchor) = anchor {
                self.anchors.insert(anchor, id);
            }
        }
    }
}

struct Decoder<'n> {
    nodes: &'n [Node],
    options: Options,
    open_aliases: Vec<NodeId>,
    counted: usize,
    counted_in_aliases: usize,
    problems: Vec<(usize, String)>,
    /// What JSON can't have. It is found out last, when all is read.
    refused: Option<String>,
}

impl Decoder<'_> {
    fn refuse(&mut self, problem: String) {
        // The value of a key that comes twice is the last one.
        let key = |problem: &str| problem.split_once(", value: ").map(|(key, _)| key.to_owned());
        let again =
            self.refused.as_deref().is_none_or(|first| key(first).is_some() && key(first) == key(&problem));
        if again {
            self.refused = Some(problem);
        }
    }

    /// Refuses a text whose aliases stand for far more than is written.
    fn count(&mut self) -> Result<(), Error> {
        self.counted += 1;
        if !self.open_aliases.is_empty() {
            self.counted_in_aliases += 1;
        }
        let above = self.counted.saturating_sub(SMALL_DOCUMENT) as f64;
        let share = (0.99 - 0.89 * above / (LARGE_DOCUMENT - SMALL_DOCUMENT) as f64).max(0.10);
        if self.counted_in_aliases > 100
            && self.counted > 1000
            && self.counted_in_aliases as f64 / self.counted as f64 > share
        {
            return Err(Error::plain("document contains excessive aliasing"));
        }
        Ok(())
    }

    fn node(&mut self, id: NodeId, depth: usize) -> Result<Value, Error> {
        self.count()?;
        if depth > MAX_DEPTH {
            return Err(Error::plain(format!("exceeded max depth of {MAX_DEPTH}")));
        }
        let nodes = self.nodes;
        match &nodes[id].kind {
            NodeKind::Alias(name, target) => {
                if self.open_aliases.contains(&id) {
                    return Err(Error::plain(format!("anchor '{name}' value contains itself")));
                }
                self.open_aliases.push(id);
                let value = self.node(*target, depth + 1);
                self.open_aliases.pop();
                value
            }
            NodeKind::Scalar { text, tag, implicit } => match meaning(text, tag, *implicit)? {
                Decoded::Text(text) => Ok(Value::String(text)),
                Decoded::Scalar(scalar) => match scalar {
                    Scalar::Null => Ok(Value::Null),
                    Scalar::Bool(bool) => Ok(bool.into()),
                    Scalar::Integer(number) => Ok(number.into()),
                    Scalar::Unsigned(number) => Ok(number.into()),
                    Scalar::Float(number) => match Number::from_f64(number) {
                        Some(number) => Ok(Value::Number(number)),
                        None => {
                            self.refuse(format!("json: unsupported value: {}", crate::print::float(number)));
                            Ok(Value::Null)
                        }
                    },
                    Scalar::Timestamp | Scalar::String => Ok(Value::String(text.clone())),
                },
            },
            NodeKind::Sequence(items) => {
                let values = items.iter().map(|&item| self.node(item, depth + 1));
                Ok(Value::Array(values.collect::<Result<_, _>>()?))
            }
            NodeKind::Mapping(_) => {
                let mut map = Map::new();
                self.mapping(id, &mut map, depth)?;
                Ok(Value::Object(map))
            }
        }
    }

    fn mapping(&mut self, id: NodeId, into: &mut Map<String, Value>, depth: usize) -> Result<(), Error> {
        let nodes = self.nodes;
        let NodeKind::Mapping(items) = &nodes[id].kind else {
            return Err(want_map());
        };
        for pair in items.chunks_exact(2) {
            let (key, value) = (pair[0], pair[1]);
            if is_merge(&nodes[key]) {
                self.merge(value, into, depth + 1)?;
                continue;
            }
            let name = self.key(key, depth + 1)?;
            let line = nodes[value].line;
            let value = self.node(value, depth + 1)?;
            let name = match name {
                Key::Text(name) => name,
                Key::Unsupported(key) => {
                    let value = if value.is_null() { "<nil>".to_owned() } else { go_syntax(&value) };
                    self.refuse(format!("unsupported map key of type: {key}, value: {value}"));
                    continue;
                }
            };
            if self.options.unique_keys && into.contains_key(&name) {
                self.problems.push((line, format!("key {name:?} already set in map")));
            } else {
                into.insert(name, value);
            }
        }
        Ok(())
    }

    /// Adds the entries of a `<<` key: a map or a list of maps, of which the first wins.
    fn merge(&mut self, id: NodeId, into: &mut Map<String, Value>, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::plain(format!("exceeded max depth of {MAX_DEPTH}")));
        }
        let nodes = self.nodes;
        match &nodes[id].kind {
            NodeKind::Mapping(_) => {
                self.count()?;
                self.mapping(id, into, depth)
            }
            NodeKind::Alias(name, target) if matches!(nodes[*target].kind, NodeKind::Mapping(_)) => {
                self.count()?;
                if self.open_aliases.contains(&id) {
                    return Err(Error::plain(format!("anchor '{name}' value contains itself")));
                }
                self.open_aliases.push(id);
                self.count()?;
                let merged = self.mapping(*target, into, depth + 1);
                self.open_aliases.pop();
                merged
            }
            NodeKind::Sequence(items) => {
                for &item in items.iter().rev() {
                    let target = match &nodes[item].kind {
                        NodeKind::Alias(_, target) => *target,
                        _ => item,
                    };
                    if !matches!(nodes[target].kind, NodeKind::Mapping(_)) {
                        return Err(want_map());
                    }
                    self.merge(item, into, depth + 1)?;
                }
                Ok(())
            }
            _ => Err(want_map()),
        }
    }

    /// A key as JSON has it: a string.
    fn key(&mut self, id: NodeId, depth: usize) -> Result<Key, Error> {
        self.count()?;
        let nodes = self.nodes;
        let (text, tag, implicit) = match &nodes[id].kind {
            NodeKind::Alias(_, target) if depth < MAX_DEPTH => return self.key(*target, depth + 1),
            NodeKind::Scalar { text, tag, implicit } => (text, tag, *implicit),
            _ => {
                let key = self.node(id, depth + 1)?;
                return Err(Error::plain(format!("invalid map key: {}", go_syntax(&key))));
            }
        };
        Ok(Key::Text(match meaning(text, tag, implicit)? {
            Decoded::Text(text) => text,
            Decoded::Scalar(scalar) => match scalar {
                Scalar::Bool(bool) => bool.to_string(),
                Scalar::Integer(number) => number.to_string(),
                Scalar::Float(number) if number.is_nan() => ".nan".into(),
                Scalar::Float(number) if number.is_infinite() => {
                    if number > 0.0 { ".inf" } else { "-.inf" }.into()
                }
                Scalar::Float(number) => crate::number::float32_text(number),
                Scalar::Timestamp | Scalar::String => text.clone(),
                Scalar::Null => return Ok(Key::Unsupported("%!s(<nil>), key: <nil>".to_owned())),
                Scalar::Unsigned(number) => {
                    return Ok(Key::Unsupported(format!("uint64, key: 0x{number:x}")));
                }
            },
        }))
    }
}

/// A key of a map.
enum Key {
    Text(String),
    /// JSON can't have it; what it is, for the error.
    Unsupported(String),
}

/// A value as Go writes it in a program.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => crate::format::quoted(text.as_bytes(), '"', false),
        Value::Number(number) if number.is_f64() => crate::print::float(number.as_f64().unwrap_or_default()),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| {
                format!("{}:{}", crate::format::quoted(key.as_bytes(), '"', false), go_syntax(value))
            };
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("map[interface {{}}]interface {{}}{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

fn want_map() -> Error {
    Error::plain("map merge requires map or sequence of maps as the value")
}

fn is_merge(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Scalar { text, tag, implicit } => {
            text == "<<" && (*implicit || tag.strip_prefix(LONG_TAG) == Some("merge"))
        }
        _ => false,
    }
}

enum Decoded {
    Scalar(Scalar),
    Text(String),
}

/// What a scalar means, with its tag.
fn meaning(text: &str, tag: &str, implicit: bool) -> Result<Decoded, Error> {
    if tag.is_empty() {
        return Ok(if implicit {
            Decoded::Scalar(resolve(text, Dialect::V2, true))
        } else {
            Decoded::Text(text.to_owned())
        });
    }
    let Some(short) = tag.strip_prefix(LONG_TAG) else {
        return Ok(Decoded::Text(text.to_owned()));
    };
    let timestamp = short == "timestamp";
    match short {
        "binary" => match crate::functions::base64::decode(text.as_bytes()) {
            Ok(bytes) => Ok(Decoded::Text(String::from_utf8_lossy(&bytes).into_owned())),
            Err(_) => Err(Error::plain("!!binary value contains invalid base64 data")),
        },
        "bool" | "int" | "float" | "null" | "timestamp" => {
            let scalar = resolve(text, Dialect::V2, timestamp);
            let found = match scalar {
                Scalar::Null => "null",
                Scalar::Bool(_) => "bool",
                Scalar::Integer(number) if short == "float" => {
                    return Ok(Decoded::Scalar(Scalar::Float(number as f64)));
                }
                Scalar::Integer(_) | Scalar::Unsigned(_) => "int",
                Scalar::Float(_) => "float",
                Scalar::Timestamp => "timestamp",
                Scalar::String => "str",
            };
            if found != short {
                return Err(Error::plain(format!("cannot decode !!{found} `{text}` as a !!{short}")));
            }
            Ok(Decoded::Scalar(scalar))
        }
        _ => Ok(Decoded::Text(text.to_owned())),
    }
}

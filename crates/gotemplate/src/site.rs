//! The places in a template where the engine is called: each becomes a Tera filter of its own.

use std::sync::Arc;

use crate::ast::Number;
use crate::call::Entry;
use crate::value::Value;

/// A value that is written in the template.
#[derive(Clone, Debug)]
pub(crate) enum Constant {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
}

impl Constant {
    pub(crate) fn number(number: Number) -> Option<Constant> {
        match number {
            Number::Int(number) => Some(Constant::Int(number)),
            Number::Float(number) => Some(Constant::Float(number)),
            Number::Overflow => None,
        }
    }

    pub(crate) fn string(bytes: &Arc<[u8]>) -> Constant {
        match std::str::from_utf8(bytes) {
            Ok(text) => Constant::String(text.into()),
            Err(_) => Constant::Bytes(Arc::clone(bytes)),
        }
    }

    pub(crate) fn value(&self) -> Value {
        match self {
            Constant::Nil => Value::Nil,
            Constant::Bool(bool) => Value::Bool(*bool),
            Constant::Int(number) => Value::int(*number),
            Constant::Float(number) => Value::Float(*number),
            Constant::String(text) => Value::from(&**text),
            Constant::Bytes(bytes) => Value::RawString((&**bytes).into()),
        }
    }
}

/// Where an argument comes from.
#[derive(Clone, Debug)]
pub(crate) enum Slot {
    Constant(Constant),
    /// What the filter is applied to.
    Input,
    /// The keyword argument of this [name](keyword).
    Keyword(usize),
}

/// The name of a keyword argument. Tera evaluates them in the order of their names, which has to be that of the
/// arguments.
pub(crate) fn keyword(index: usize) -> String {
    let letter = |number: usize| char::from(b'a' + u8::try_from(number % 26).unwrap_or_default());
    [letter(index / 676), letter(index / 26), letter(index)].iter().collect()
}

/// The most keyword arguments a call may have.
pub(crate) const KEYWORDS: usize = 676 * 26;

/// What a site does.
pub(crate) enum Op {
    /// Nothing: it is there for its form.
    Value,
    Constant(Constant),
    /// Fails, as Go would do here at run time.
    Throw(String),
    /// The field path of the input.
    Field {
        path: Vec<Arc<str>>,
        boxed: bool,
    },
    /// The field path of the input, the last part of which is given arguments.
    Method {
        path: Vec<Arc<str>>,
        boxed: bool,
        arguments: Vec<Slot>,
    },
    /// A function.
    Call {
        entry: Entry,
        arguments: Vec<Slot>,
        nodes: Vec<Place>,
    },
    Include {
        arguments: Vec<Slot>,
        nodes: Vec<Place>,
    },
    Tpl {
        arguments: Vec<Slot>,
        nodes: Vec<Place>,
    },
    /// The action `template`: the input is the dot.
    Template(Arc<str>),
    /// The elements of the input.
    Elements,
    /// The keys of the input with the elements.
    Pairs,
    /// The key of one of the [pairs](Op::Pairs).
    Key,
    /// The element of one of the [pairs](Op::Pairs).
    Element,
}

/// How Tera needs the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// To pass it on.
    Raw,
    /// To write it.
    Print,
    /// To decide by it.
    Truth,
}

/// What of the tree an error is about; with the offset this finds the node, when there is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeKind {
    Operand,
    /// An operand that is an argument and a chain of fields: Go takes what it leads to for an interface, also when
    /// that is nil.
    Chain,
    Command,
    Pipe,
    Template,
}

/// A node of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: NodeKind,
    pub(crate) offset: usize,
}

/// A call of the engine.
pub(crate) struct Site {
    pub(crate) op: Op,
    pub(crate) form: Form,
    pub(crate) place: Place,
}

//! The tree of a template, with the offsets of its nodes in the source.

use std::fmt;
use std::sync::Arc;

/// Nodes in a row.
pub(crate) type List = Vec<Node>;

/// A part of a template that does something.
#[derive(Debug)]
pub(crate) enum Node {
    Text(Arc<str>),
    /// Prints a pipeline, or declares or assigns its variables.
    Action(Pipe),
    /// `if` and `with`, with all that `else if` and `else with` add.
    Branch {
        arms: Vec<Arm>,
        otherwise: Option<List>,
    },
    Range {
        pipe: Pipe,
        body: List,
        otherwise: Option<List>,
    },
    /// `template` and `block`.
    Template {
        offset: usize,
        name: Arc<str>,
        quoted: Arc<str>,
        pipe: Option<Pipe>,
    },
    Break,
    Continue,
}

/// A condition and what it guards.
#[derive(Debug)]
pub(crate) struct Arm {
    pub(crate) pipe: Pipe,
    /// Whether the value becomes the dot, as `with` does it.
    pub(crate) with: bool,
    pub(crate) body: List,
}

/// A pipeline of one or more commands.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) offset: usize,
    pub(crate) variables: Vec<(Arc<str>, usize)>,
    /// Whether the variables are assigned, not declared.
    pub(crate) assigns: bool,
    pub(crate) commands: Vec<Command>,
}

/// An operand and its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) offset: usize,
    /// At least one.
    pub(crate) operands: Vec<Operand>,
}

/// A simple value of an expression.
#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) offset: usize,
    pub(crate) term: Term,
}

/// What an operand is.
#[derive(Debug)]
pub(crate) enum Term {
    Nil,
    Bool(bool),
    Dot,
    Number { number: Number, text: Arc<str> },
    String { bytes: Arc<[u8]>, quoted: Arc<str> },
    Function(Arc<str>),
    Field(Vec<Arc<str>>),
    Variable { name: Arc<str>, fields: Vec<Arc<str>> },
    Pipe(Box<Pipe>),
    Chain { operand: Box<Operand>, fields: Vec<Arc<str>> },
}

/// A numeric constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    /// An integer above `i64::MAX`, which no `int` can hold.
    Overflow,
    Float(f64),
}

fn fields(out: &mut fmt::Formatter<'_>, fields: &[Arc<str>]) -> fmt::Result {
    fields.iter().try_for_each(|field| write!(out, ".{field}"))
}

impl fmt::Display for Operand {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.term {
            Term::Nil => out.write_str("nil"),
            Term::Bool(bool) => write!(out, "{bool}"),
            Term::Dot => out.write_str("."),
            Term::Number { text, .. } => out.write_str(text),
            Term::String { quoted, .. } => out.write_str(quoted),
            Term::Function(name) => out.write_str(name),
            Term::Field(path) => fields(out, path),
            Term::Variable { name, fields: path } => {
                out.write_str(name)?;
                fields(out, path)
            }
            Term::Pipe(pipe) => write!(out, "({pipe})"),
            Term::Chain { operand, fields: path } => {
                write!(out, "{operand}")?;
                fields(out, path)
            }
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, operand) in self.operands.iter().enumerate() {
            if index > 0 {
                out.write_str(" ")?;
            }
            write!(out, "{operand}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, _)) in self.variables.iter().enumerate() {
            write!(out, "{}{name}", if index > 0 { ", " } else { "" })?;
        }
        if !self.variables.is_empty() {
            out.write_str(if self.assigns { " = " } else { " := " })?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            write!(out, "{}{command}", if index > 0 { " | " } else { "" })?;
        }
        Ok(())
    }
}

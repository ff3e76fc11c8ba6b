//! Compiles the tree of a template to Tera source.
//!
//! Tera has the control flow, the variables and the texts. Everything that is Go's is a call of the engine: a Tera
//! filter per call site, `d0 | field_1 | quote_2`, whose constants and position are in a table beside the source
//! ([`Site`]). So a call carries only the arguments that vary.
//!
//! Each declaration gets a name of its own, which resolves Go's scopes here and needs no scopes of Tera's.

use std::fmt::Write;
use std::sync::Arc;

use crate::ast::{Arm, List, Node, Pipe};
use crate::call::Functions;
use crate::site::{Constant, Form, NodeKind, Op, Place, Site};

mod expression;
mod visit;

pub(crate) use visit::expression_at;

/// The delimiters: text can't have them, since text with the first byte goes another way.
pub(crate) const BLOCK: (&str, &str) = ("\u{1}%", "%\u{1}");
pub(crate) const VARIABLE: (&str, &str) = ("\u{1}{", "}\u{1}");
pub(crate) const COMMENT: (&str, &str) = ("\u{1}#", "#\u{1}");
const ESCAPE: char = '\u{1}';

/// Tera recurses at each `elif`: longer chains are not nested.
const CHAIN: usize = 16;

/// The name of the root dot: the only variable that comes from outside.
pub(crate) const ROOT: &str = "d0";

/// A template in Tera.
pub(crate) struct Lowered {
    pub(crate) source: String,
    /// The sites and the names of their filters.
    pub(crate) sites: Vec<Site>,
    pub(crate) names: Vec<String>,
}

/// Compiles one template. The names of its filters are numbered from `first` on.
pub(crate) fn lower(body: &List, functions: &Functions, first: usize) -> Lowered {
    let root = Variable { go: "$".into(), tera: ROOT.to_owned(), boxed: false };
    let dot = Dot { tera: ROOT.to_owned(), boxed: false };
    let mut lowerer = Lowerer {
        functions,
        out: String::new(),
        sites: Vec::new(),
        names: Vec::new(),
        fresh: 0,
        first,
        scope: vec![root],
        dot,
    };
    lowerer.list(body);
    Lowered { source: lowerer.out, sites: lowerer.sites, names: lowerer.names }
}

#[derive(Clone)]
struct Dot {
    tera: String,
    /// Whether it is an element of a list, which Go keeps in an interface: a field of nil is an error then.
    boxed: bool,
}

struct Variable {
    go: Arc<str>,
    tera: String,
    boxed: bool,
}

struct Lowerer<'a> {
    functions: &'a Functions,
    out: String,
    sites: Vec<Site>,
    names: Vec<String>,
    fresh: usize,
    first: usize,
    scope: Vec<Variable>,
    dot: Dot,
}

impl Lowerer<'_> {
    fn fresh(&mut self, letter: char) -> String {
        self.fresh += 1;
        format!("{letter}{}", self.fresh)
    }

    fn site(&mut self, word: &str, op: Op, place: Place) -> usize {
        let index = self.sites.len();
        let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let mut name = String::with_capacity(word.len() + 8);
        // Writing to a string can't fail.
        let _ = write!(name, "{}_{}", if plain { word } else { "call" }, self.first + index);
        self.names.push(name);
        self.sites.push(Site { op, form: Form::Raw, place });
        index
    }

    fn tag(&mut self, tag: &str) {
        // Writing to a string can't fail.
        let _ = write!(self.out, "{} {tag} {}", BLOCK.0, BLOCK.1);
    }

    fn set(&mut self, name: &str, value: &str) {
        self.tag(&format!("set_global {name} = {value}"));
    }

    fn write(&mut self, expression: &str) {
        let _ = write!(self.out, "{} {expression} {}", VARIABLE.0, VARIABLE.1);
    }

    fn list(&mut self, nodes: &List) {
        for node in nodes {
            self.node(node);
        }
    }

    /// Nodes whose variables are not seen after them.
    fn scoped(&mut self, nodes: &List) {
        let variables = self.scope.len();
        self.list(nodes);
        self.scope.truncate(variables);
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Text(text) if text.contains(ESCAPE) => {
                let place = Place { kind: NodeKind::Pipe, offset: 0 };
                let site = self.site("text", Op::Constant(Constant::String(Arc::clone(text))), place);
                self.sites[site].form = Form::Print;
                let expression = format!("none | {}", self.names[site]);
                self.write(&expression);
            }
            Node::Text(text) => self.out.push_str(text),
            Node::Action(pipe) if pipe.variables.is_empty() => {
                let code = self.pipeline(pipe);
                let code = self.formed(code, Form::Print, pipe);
                self.write(&code);
            }
            Node::Action(pipe) => {
                self.pipeline(pipe);
            }
            Node::Branch { arms, otherwise } => {
                let variables = self.scope.len();
                self.branch(arms, otherwise.as_ref());
                self.scope.truncate(variables);
            }
            Node::Range { pipe, body, otherwise } => {
                let variables = self.scope.len();
                self.range(pipe, body, otherwise.as_ref());
                self.scope.truncate(variables);
            }
            Node::Template { offset, name, pipe, .. } => {
                let place = Place { kind: NodeKind::Template, offset: *offset };
                let input = match pipe {
                    Some(pipe) => {
                        let code = self.pipeline(pipe);
                        self.text(code, pipe.offset)
                    }
                    None => "none".to_owned(),
                };
                let site = self.site("template", Op::Template(Arc::clone(name)), place);
                let expression = format!("{input} | {}", self.names[site]);
                self.write(&expression);
            }
            Node::Break => self.tag("break"),
            Node::Continue => self.tag("continue"),
        }
    }

    /// The condition of an arm. For `with` the value is kept in a variable, which is returned too.
    fn condition(&mut self, arm: &Arm) -> (String, Option<String>) {
        if !arm.with {
            return (self.truth(&arm.pipe), None);
        }
        let code = self.pipeline(&arm.pipe);
        let value = self.text(code, arm.pipe.offset);
        let dot = self.fresh('d');
        self.set(&dot, &value);
        let truth = self.form_of_name(&dot, Form::Truth, &arm.pipe);
        (truth, Some(dot))
    }

    fn arm(&mut self, arm: &Arm, dot: Option<String>) {
        match dot {
            Some(tera) => {
                let outer = std::mem::replace(&mut self.dot, Dot { tera, boxed: false });
                self.scoped(&arm.body);
                self.dot = outer;
            }
            None => self.scoped(&arm.body),
        }
    }

    fn branch(&mut self, arms: &[Arm], otherwise: Option<&List>) {
        let simple = arms.iter().skip(1).all(|arm| !arm.with && visit::is_simple(&arm.pipe));
        if arms.len() > CHAIN || arms.len() > 2 && !simple {
            self.flat_branch(arms, otherwise);
            return;
        }
        let mut open = 0;
        for (index, arm) in arms.iter().enumerate() {
            let start = self.out.len();
            let (condition, dot) = self.condition(arm);
            let statements = self.out.split_off(start);
            if index > 0 && statements.is_empty() {
                self.tag(&format!("elif {condition}"));
            } else {
                if index > 0 {
                    self.tag("else");
                }
                self.out.push_str(&statements);
                self.tag(&format!("if {condition}"));
                open += 1;
            }
            self.arm(arm, dot);
        }
        if let Some(otherwise) = otherwise {
            self.tag("else");
            self.scoped(otherwise);
        }
        for _ in 0..open {
            self.tag("endif");
        }
    }

    /// A chain that is long, or whose conditions need statements: not nested, so that its length is not bounded by Tera's limit of
    /// nesting.
    fn flat_branch(&mut self, arms: &[Arm], otherwise: Option<&List>) {
        let open = self.fresh('f');
        self.set(&open, "true");
        for (index, arm) in arms.iter().enumerate() {
            if index > 0 {
                self.tag(&format!("if {open}"));
            }
            let (condition, dot) = self.condition(arm);
            self.tag(&format!("if {condition}"));
            self.set(&open, "false");
            self.arm(arm, dot);
            self.tag("endif");
            if index > 0 {
                self.tag("endif");
            }
        }
        if let Some(otherwise) = otherwise {
            self.tag(&format!("if {open}"));
            self.scoped(otherwise);
            self.tag("endif");
        }
    }

    fn range(&mut self, pipe: &Pipe, body: &List, otherwise: Option<&List>) {
        // The pipeline does not see its own variables, and they are not set by it but by each turn.
        let code = self.commands(pipe);
        let place = expression::end_of(pipe);
        let input = self.text(code, pipe.offset);
        let (word, op) =
            if pipe.variables.len() > 1 { ("pairs", Op::Pairs) } else { ("elements", Op::Elements) };
        let site = self.site(word, op, place);
        let turn = self.fresh('d');
        let tag = format!("for {turn} in {input} | {}", self.names[site]);
        self.tag(&tag);
        let variables = self.scope.len();
        let dot = match pipe.variables.as_slice() {
            [] => turn,
            [(name, _)] => {
                self.turn(pipe, name, &turn, body);
                turn
            }
            [(key, _), (element, _), ..] => {
                let site = self.site("key", Op::Key, place);
                let value = format!("{turn} | {}", self.names[site]);
                let key_name = self.fresh('v');
                self.set(&key_name, &value);
                let site = self.site("element", Op::Element, place);
                let value = format!("{turn} | {}", self.names[site]);
                let dot = self.fresh('d');
                self.set(&dot, &value);
                self.turn(pipe, key, &key_name, body);
                self.turn(pipe, element, &dot, body);
                dot
            }
        };
        let outer = std::mem::replace(&mut self.dot, Dot { tera: dot, boxed: true });
        self.list(body);
        self.dot = outer;
        self.scope.truncate(variables);
        if let Some(otherwise) = otherwise {
            self.tag("else");
            self.scoped(otherwise);
        }
        self.tag("endfor");
    }

    /// Gives a variable of a loop its value of this turn.
    fn turn(&mut self, pipe: &Pipe, name: &Arc<str>, value: &str, body: &List) {
        if pipe.assigns {
            match self.resolve(name) {
                Some((tera, _)) => self.set(&tera, value),
                None => self.throw_statement(format!("undefined variable: {name}"), pipe.offset),
            }
            return;
        }
        let mut tera = value.to_owned();
        if visit::assigns(body, name) {
            tera = self.fresh('v');
            self.set(&tera, value);
        }
        self.scope.push(Variable { go: Arc::clone(name), tera, boxed: true });
    }

    fn resolve(&self, name: &str) -> Option<(String, bool)> {
        let found = self.scope.iter().rev().find(|variable| *variable.go == *name)?;
        Some((found.tera.clone(), found.boxed))
    }
}

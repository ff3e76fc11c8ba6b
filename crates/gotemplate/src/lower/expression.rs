//! Pipelines, commands and operands.

use std::fmt::Write;
use std::sync::Arc;

use super::visit::{is_simple, logical};
use super::{Lowerer, Variable};
use crate::ast::{Command, Operand, Pipe, Term};
use crate::site::{Constant, Form, KEYWORDS, NodeKind, Op, Place, Slot, keyword};

/// Tera reads expressions 40 deep; deeper ones are taken apart.
const DEPTH: usize = 24;
/// Tera reads 256 operators in an expression; longer ones are taken apart.
const WEIGHT: usize = 120;

/// An expression of Tera.
pub(super) struct Code {
    text: String,
    /// If it is just a constant, it has no text yet.
    constant: Option<Constant>,
    /// The site of its outermost call.
    site: Option<usize>,
    depth: usize,
    weight: usize,
    /// Whether it is an element of a list.
    boxed: bool,
}

impl Code {
    fn name(text: String, boxed: bool) -> Code {
        Code { text, constant: None, site: None, depth: 0, weight: 0, boxed }
    }

    fn constant(constant: Constant) -> Code {
        Code { text: String::new(), constant: Some(constant), site: None, depth: 0, weight: 0, boxed: false }
    }
}

fn operand_place(operand: &Operand) -> Place {
    Place { kind: NodeKind::Operand, offset: operand.offset }
}

/// What Go has looked at last when it has evaluated an operand, which is where it reports that the type is wrong.
fn last_place(operand: &Operand) -> Place {
    match &operand.term {
        Term::Pipe(pipe) => end_of(pipe),
        _ => operand_place(operand),
    }
}

/// Where Go reports that an argument is of the wrong type.
fn argument_place(operand: &Operand) -> Place {
    let offset = match &operand.term {
        Term::Field(_) => operand.offset,
        Term::Variable { fields, .. } if !fields.is_empty() => operand.offset,
        // Of these fields Go takes no note.
        Term::Chain { operand: inner, .. } => last_place(inner).offset,
        _ => return last_place(operand),
    };
    Place { kind: NodeKind::Chain, offset }
}

/// What Go has looked at last when it has evaluated a pipeline.
pub(super) fn end_of(pipe: &Pipe) -> Place {
    match pipe.commands.last().and_then(|command| command.operands.last()) {
        Some(last) => last_place(last),
        None => Place { kind: NodeKind::Pipe, offset: pipe.offset },
    }
}

impl Lowerer<'_> {
    /// The text of an expression; `offset` is where it is.
    pub(super) fn text(&mut self, code: Code, offset: usize) -> String {
        let Some(constant) = code.constant else {
            return code.text;
        };
        match &constant {
            Constant::Nil => "none".to_owned(),
            Constant::Bool(bool) => bool.to_string(),
            Constant::Int(number) if *number >= 0 => number.to_string(),
            Constant::String(text)
                if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') =>
            {
                format!("\"{text}\"")
            }
            _ => {
                let place = Place { kind: NodeKind::Operand, offset };
                let site = self.site("constant", Op::Constant(constant), place);
                format!("none | {}", self.names[site])
            }
        }
    }

    /// The text of an expression, the result of which is needed in a form.
    pub(super) fn formed(&mut self, code: Code, form: Form, pipe: &Pipe) -> String {
        if let Some(site) = code.site {
            self.sites[site].form = form;
            return code.text;
        }
        let text = self.text(code, pipe.offset);
        self.form_of_name(&text, form, pipe)
    }

    pub(super) fn form_of_name(&mut self, text: &str, form: Form, pipe: &Pipe) -> String {
        let word = if form == Form::Print { "print" } else { "truth" };
        let site = self.site(word, Op::Value, Place { kind: NodeKind::Pipe, offset: pipe.offset });
        self.sites[site].form = form;
        format!("{text} | {}", self.names[site])
    }

    fn throw(&mut self, message: String, place: Place) -> Code {
        let site = self.site("throw", Op::Throw(message), place);
        self.called(site, "none".to_owned(), 0, 0)
    }

    pub(super) fn throw_statement(&mut self, message: String, offset: usize) {
        let code = self.throw(message, Place { kind: NodeKind::Pipe, offset });
        self.write(&code.text);
    }

    fn called(&self, site: usize, input: String, depth: usize, weight: usize) -> Code {
        let text = input + " | " + &self.names[site];
        Code { text, constant: None, site: Some(site), depth, weight: weight + 1, boxed: false }
    }

    /// Keeps the value of an expression in a variable.
    fn spill(&mut self, code: Code, offset: usize) -> Code {
        let boxed = code.boxed;
        let value = self.text(code, offset);
        let name = self.fresh('t');
        self.set(&name, &value);
        Code::name(name, boxed)
    }

    fn bounded(&mut self, code: Code, offset: usize) -> Code {
        if code.depth > DEPTH || code.weight > WEIGHT { self.spill(code, offset) } else { code }
    }

    /// A pipeline, whose variables are set.
    pub(super) fn pipeline(&mut self, pipe: &Pipe) -> Code {
        let code = self.commands(pipe);
        let Some((name, offset)) = pipe.variables.first() else {
            return code;
        };
        let value = self.text(code, pipe.offset);
        if !pipe.assigns {
            let tera = self.fresh('v');
            self.set(&tera, &value);
            self.scope.push(Variable { go: Arc::clone(name), tera: tera.clone(), boxed: false });
            return Code::name(tera, false);
        }
        match self.resolve(name) {
            Some((tera, _)) => {
                self.set(&tera, &value);
                Code::name(tera, false)
            }
            None => {
                self.throw_statement(format!("undefined variable: {name}"), *offset);
                Code::constant(Constant::Nil)
            }
        }
    }

    /// The commands of a pipeline, without its variables.
    pub(super) fn commands(&mut self, pipe: &Pipe) -> Code {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, value));
        }
        let mut code = value.unwrap_or_else(|| Code::constant(Constant::Nil));
        // What is in an interface is taken out at the end of a pipeline.
        code.boxed = false;
        self.bounded(code, pipe.offset)
    }

    /// Whether a pipeline is true, as an expression for `if`.
    pub(super) fn truth(&mut self, pipe: &Pipe) -> String {
        if let Some((text, _)) = self.native_truth(pipe, 0) {
            return text;
        }
        let code = self.pipeline(pipe);
        self.formed(code, Form::Truth, pipe)
    }

    /// `and`, `or` and `not` in the words of Tera, which also stop at the first operand that decides; with the number
    /// of operators.
    fn native_truth(&mut self, pipe: &Pipe, depth: usize) -> Option<(String, usize)> {
        let [command] = pipe.commands.as_slice() else {
            return None;
        };
        let word = logical(command)?.to_owned();
        let operands = &command.operands[1..];
        let count = if word == "not" { operands.len() == 1 } else { !operands.is_empty() };
        if depth > DEPTH / 2 || !count || !is_simple(pipe) || !self.functions.is_builtin(&word) {
            return None;
        }
        let (length, sites, fresh) = (self.out.len(), self.sites.len(), self.fresh);
        let mut texts = Vec::new();
        let mut weight = 0;
        for operand in operands {
            let native = match &operand.term {
                Term::Pipe(pipe) => self.native_truth(pipe, depth + 1),
                _ => None,
            };
            let (text, operators) = match native {
                Some(native) => native,
                None => {
                    let code = self.operand(operand);
                    let operators = code.weight + 1;
                    (self.formed(code, Form::Truth, pipe), operators)
                }
            };
            weight += operators + 1;
            texts.push(format!("({text})"));
        }
        if self.out.len() > length || weight > WEIGHT {
            // An operand needs statements, but must be evaluated only if those before it don't decide.
            self.out.truncate(length);
            self.sites.truncate(sites);
            self.names.truncate(sites);
            self.fresh = fresh;
            return None;
        }
        let text = if word == "not" { format!("not {}", texts[0]) } else { texts.join(&format!(" {word} ")) };
        Some((text, weight))
    }

    fn command(&mut self, command: &Command, piped: Option<Code>) -> Code {
        let first = &command.operands[0];
        let arguments = &command.operands[1..];
        let place = operand_place(first);
        match &first.term {
            Term::Function(name) => {
                let place = Place { kind: NodeKind::Command, offset: command.offset };
                self.function(name, first, arguments, piped, place)
            }
            Term::Field(path) => {
                let dot = Code::name(self.dot.tera.clone(), self.dot.boxed);
                self.path(dot, path, first, arguments, piped)
            }
            Term::Variable { name, fields } if !fields.is_empty() => {
                let variable = self.variable(name, place);
                self.path(variable, fields, first, arguments, piped)
            }
            Term::Chain { operand, fields } => {
                if matches!(operand.term, Term::Nil) {
                    return self.throw(format!("indirection through explicit nil in {first}"), place);
                }
                let (piped, receiver) = self.after(piped, |lowerer| lowerer.operand(operand), first.offset);
                self.path(receiver, fields, first, arguments, piped)
            }
            Term::Nil if arguments.is_empty() && piped.is_none() => {
                self.throw("nil is not a command".to_owned(), place)
            }
            _ if !arguments.is_empty() || piped.is_some() => {
                self.throw(format!("can't give argument to non-function {first}"), place)
            }
            _ => self.operand(first),
        }
    }

    /// Compiles something that is evaluated after the piped value.
    fn after(
        &mut self,
        piped: Option<Code>,
        compile: impl FnOnce(&mut Self) -> Code,
        offset: usize,
    ) -> (Option<Code>, Code) {
        let start = self.out.len();
        let code = compile(self);
        let mut before = Vec::from_iter(piped);
        self.spill_before(start, &mut before, offset);
        (before.pop(), code)
    }

    /// If statements were written since `start`, what is evaluated before them has to be kept before them.
    fn spill_before(&mut self, start: usize, codes: &mut [Code], offset: usize) {
        if self.out.len() == start {
            return;
        }
        let statements = self.out.split_off(start);
        for code in codes.iter_mut().filter(|code| code.constant.is_none() && !code.text.starts_with('t')) {
            let taken = std::mem::replace(code, Code::constant(Constant::Nil));
            *code = self.spill(taken, offset);
        }
        self.out.push_str(&statements);
    }

    fn variable(&mut self, name: &str, place: Place) -> Code {
        match self.resolve(name) {
            Some((tera, boxed)) => Code::name(tera, boxed),
            None => self.throw(format!("undefined variable: {name}"), place),
        }
    }

    pub(super) fn operand(&mut self, operand: &Operand) -> Code {
        let place = operand_place(operand);
        match &operand.term {
            Term::Nil => Code::constant(Constant::Nil),
            Term::Bool(bool) => Code::constant(Constant::Bool(*bool)),
            Term::Dot => Code::name(self.dot.tera.clone(), self.dot.boxed),
            Term::Number { number, text } => match Constant::number(*number) {
                Some(constant) => Code::constant(constant),
                None => self.throw(format!("{text} overflows int"), place),
            },
            Term::String { bytes, .. } => Code::constant(Constant::string(bytes)),
            Term::Function(name) => self.function(name, operand, &[], None, place),
            Term::Field(path) => {
                let dot = Code::name(self.dot.tera.clone(), self.dot.boxed);
                self.path(dot, path, operand, &[], None)
            }
            Term::Variable { name, fields } => {
                let variable = self.variable(name, place);
                if fields.is_empty() { variable } else { self.path(variable, fields, operand, &[], None) }
            }
            Term::Pipe(pipe) => self.pipeline(pipe),
            Term::Chain { operand: inner, .. } if matches!(inner.term, Term::Nil) => {
                self.throw(format!("indirection through explicit nil in {operand}"), place)
            }
            Term::Chain { operand: inner, fields } => {
                let receiver = self.operand(inner);
                self.path(receiver, fields, operand, &[], None)
            }
        }
    }

    fn path(
        &mut self,
        receiver: Code,
        path: &[Arc<str>],
        node: &Operand,
        arguments: &[Operand],
        piped: Option<Code>,
    ) -> Code {
        let place = operand_place(node);
        let boxed = receiver.boxed;
        if arguments.is_empty() && piped.is_none() {
            let (depth, weight) = (receiver.depth, receiver.weight);
            let input = self.text(receiver, node.offset);
            let site = self.site("field", Op::Field { path: path.to_vec(), boxed }, place);
            return self.called(site, input, depth, weight);
        }
        // The piped value is there before the receiver is looked at; both only read.
        let mut codes = vec![receiver];
        self.arguments(&mut codes, arguments, piped, node.offset);
        self.call("method", codes, 0, place, |mut slots| {
            slots.remove(0);
            Op::Method { path: path.to_vec(), boxed, arguments: slots }
        })
    }

    fn function(
        &mut self,
        name: &Arc<str>,
        node: &Operand,
        arguments: &[Operand],
        piped: Option<Code>,
        place: Place,
    ) -> Code {
        let count = arguments.len() + usize::from(piped.is_some());
        let identifier = operand_place(node);
        if matches!(&**name, "and" | "or") && self.functions.is_builtin(name) {
            if count == 0 {
                let message = format!("wrong number of args for {name}: want at least 1 got 0");
                return self.throw(message, identifier);
            }
            return self.short_circuit(name == &"and".into(), arguments, piped, place);
        }
        let Some(entry) = self.functions.get(name).copied() else {
            return self.throw(format!("{name:?} is not a defined function"), identifier);
        };
        if count < entry.min || entry.max.is_some_and(|max| count > max) {
            let least = if entry.max == Some(entry.min) { "" } else { "at least " };
            let message = format!("wrong number of args for {name}: want {least}{} got {count}", entry.min);
            return self.throw(message, identifier);
        }
        let mut nodes: Vec<Place> = arguments.iter().map(argument_place).collect();
        if piped.is_some() {
            nodes.push(arguments.last().map_or(identifier, last_place));
        }
        let mut input = if piped.is_some() { count - 1 } else { 0 };
        let mut codes = Vec::new();
        if &**name == "call" && self.functions.is_builtin(name) {
            // As in Go it is told how its callee is written.
            let written = arguments.first().map(|callee| match &callee.term {
                Term::Pipe(pipe) => pipe.to_string(),
                _ => callee.to_string(),
            });
            codes.push(Code::constant(written.map_or(Constant::Nil, |text| Constant::String(text.into()))));
            nodes.insert(0, identifier);
            input += 1;
        }
        self.arguments(&mut codes, arguments, piped, node.offset);
        let functions = self.functions;
        self.call(name, codes, input, place, |arguments| match &**name {
            "include" if functions.has_engine() => Op::Include { arguments, nodes },
            "tpl" if functions.has_engine() => Op::Tpl { arguments, nodes },
            _ => Op::Call { entry, arguments, nodes },
        })
    }

    /// Compiles arguments, after what is in `codes` already; the piped value comes last, but is evaluated first.
    fn arguments(
        &mut self,
        codes: &mut Vec<Code>,
        arguments: &[Operand],
        piped: Option<Code>,
        offset: usize,
    ) {
        let is_piped = usize::from(piped.is_some());
        codes.splice(0..0, piped);
        let mut weight: usize = codes.iter().map(|code| code.weight).sum();
        for argument in arguments {
            let start = self.out.len();
            let code = self.operand(argument);
            self.spill_before(start, codes, offset);
            weight += code.weight;
            codes.push(code);
            if weight > WEIGHT {
                weight = 0;
                for code in codes.iter_mut().filter(|code| code.weight > 0) {
                    let taken = std::mem::replace(code, Code::constant(Constant::Nil));
                    *code = self.spill(taken, offset);
                }
            }
        }
        codes.rotate_left(is_piped);
    }

    /// A call of a site. The arguments are in order; the one at `input`, or the first that varies, is what the filter
    /// is applied to.
    fn call(
        &mut self,
        word: &str,
        codes: Vec<Code>,
        input: usize,
        place: Place,
        op: impl FnOnce(Vec<Slot>) -> Op,
    ) -> Code {
        let varies = |code: &Code| code.constant.is_none();
        let input = match codes.get(input) {
            Some(code) if varies(code) => Some(input),
            _ => codes.iter().position(varies),
        };
        let mut text = String::new();
        let mut keywords = String::new();
        let (mut depth, mut weight, mut count) = (0, 0, 0);
        let mut slots = Vec::with_capacity(codes.len());
        for (index, code) in codes.into_iter().enumerate() {
            weight += code.weight;
            let nested = if Some(index) == input { code.depth } else { code.depth + 1 };
            depth = depth.max(nested);
            slots.push(match code.constant {
                Some(constant) => Slot::Constant(constant),
                None if Some(index) == input => {
                    text = code.text;
                    Slot::Input
                }
                None => {
                    let separator = if count > 0 { ", " } else { "" };
                    // Writing to a string can't fail.
                    let _ = write!(keywords, "{separator}{}={}", keyword(count), code.text);
                    count += 1;
                    Slot::Keyword(count - 1)
                }
            });
        }
        if count > KEYWORDS {
            return self.throw(format!("too many arguments: {count}"), place);
        }
        let site = self.site(word, op(slots), place);
        let input = if text.is_empty() { "none".to_owned() } else { text };
        let mut code = self.called(site, input, depth, weight);
        if count > 0 {
            let _ = write!(code.text, "({keywords})");
        }
        self.bounded(code, place.offset)
    }

    /// `and` and `or`, which return an operand and evaluate only as many as they need.
    fn short_circuit(&mut self, and: bool, arguments: &[Operand], piped: Option<Code>, place: Place) -> Code {
        let mut piped = piped;
        if !arguments.is_empty()
            && let Some(code) = piped.take()
        {
            piped = Some(self.spill(code, place.offset));
        }
        let result = self.fresh('t');
        let count = arguments.len() + usize::from(piped.is_some());
        for index in 0..count {
            if index > 0 {
                let site = self.site("truth", Op::Value, place);
                self.sites[site].form = Form::Truth;
                let not = if and { "" } else { "not " };
                let condition = format!("if {not}({result} | {})", self.names[site]);
                self.tag(&condition);
            }
            let code = match arguments.get(index) {
                Some(argument) => self.operand(argument),
                None => piped.take().unwrap_or_else(|| Code::constant(Constant::Nil)),
            };
            let value = self.text(code, place.offset);
            self.set(&result, &value);
            if index > 0 {
                self.tag("endif");
            }
        }
        Code::name(result, false)
    }
}

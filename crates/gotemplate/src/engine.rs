//! Carries out the sites of templates: what Tera calls for each.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tera::{Context, Filter, Kwargs, State, TeraResult};

use crate::call::{Call, Entry, FunctionError};
use crate::error::{Error, ErrorKind, Frame, Via};
use crate::field;
use crate::kind::Integer;
use crate::lower::ROOT;
use crate::runtime::Runtime;
use crate::site::{Form, NodeKind, Op, Place, Site, Slot, keyword};
use crate::templates::{Code, Program, Set};
use crate::value::Value;

/// Texts up to this length travel through Tera as they are, longer ones are shared.
const SHORT: usize = 64;
/// What keeping one value for Tera costs: it stays until the session ends.
const KEEP: usize = 8;

/// Steps for rendering a template, besides those for what is in it.
const TEMPLATE: usize = 4;

/// Steps for compiling a text of `tpl`, besides one for each byte.
const COMPILE: usize = 1000;

mod ranges;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Inner>>> = const { RefCell::new(None) };
}

/// The engine of a session. There is one on a thread.
pub(crate) struct Engine(Rc<Inner>);

struct Inner {
    program: Arc<Program>,
    runtime: Runtime,
    /// What Tera has numbers for: values that are no scalars.
    arena: RefCell<Vec<Value>>,
    /// The first error of the current render: what Tera makes of it says less.
    error: RefCell<Option<Error>>,
    /// The templates that the calls of `tpl` under way have defined, the innermost last.
    local: RefCell<Vec<Rc<Program>>>,
    /// What `tpl` has compiled.
    compiled: RefCell<HashMap<Rc<str>, Rc<Program>>>,
    /// How deep each name is in itself.
    depths: RefCell<HashMap<Rc<str>, usize>>,
    depth: Cell<usize>,
    written: Cell<u64>,
}

impl Engine {
    /// Makes this thread the one that renders.
    pub(crate) fn start(program: Arc<Program>, runtime: Runtime) -> Engine {
        let inner = Rc::new(Inner {
            program,
            runtime,
            arena: RefCell::default(),
            error: RefCell::default(),
            local: RefCell::default(),
            compiled: RefCell::default(),
            depths: RefCell::default(),
            depth: Cell::new(0),
            written: Cell::new(0),
        });
        CURRENT.with(|current| *current.borrow_mut() = Some(Rc::clone(&inner)));
        Engine(inner)
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.0.runtime
    }

    pub(crate) fn render(&self, name: &str, data: &Value) -> Result<String, Error> {
        let inner = &self.0;
        *inner.error.borrow_mut() = None;
        if inner.program.tera_name(name).is_none() {
            return Err(Error::missing(name));
        }
        inner.named(name, data).map_err(|error| match inner.error.borrow_mut().take() {
            Some(first) => first,
            None if matches!(error, FunctionError::Limit(_)) => {
                Error::placeless(ErrorKind::Limit, error.to_string())
            }
            None => Error::internal(error.to_string()),
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        CURRENT.with(|current| *current.borrow_mut() = None);
    }
}

/// The filter of one site.
pub(crate) struct SiteFilter {
    pub(crate) code: Arc<Code>,
    pub(crate) index: usize,
}

impl<'a> Filter<&'a tera::Value, TeraResult<tera::Value>> for SiteFilter {
    fn call(&self, input: &'a tera::Value, kwargs: Kwargs, _: &State<'_>) -> TeraResult<tera::Value> {
        let inner = CURRENT.with(|current| current.borrow().clone());
        let Some(inner) = inner else {
            return Err(tera::Error::message("a template is rendered outside of its session"));
        };
        let site = &self.code.sites[self.index];
        let result = inner.carry_out(site, input, &kwargs);
        result.map_err(|failure| {
            inner.note(&self.code, failure);
            tera::Error::message("failed")
        })
    }
}

/// Why a site failed, and where in its template that is.
struct Failure {
    error: FunctionError,
    place: Place,
    function: Option<&'static str>,
    /// Whether it is about an argument that is written in the template.
    literal: bool,
    via: Option<Via>,
    text: Option<String>,
}

impl Failure {
    fn at(place: Place) -> impl Fn(FunctionError) -> Failure {
        move |error| Failure { error, place, function: None, literal: false, via: None, text: None }
    }
}

/// What Go says of a literal of the wrong type, which it finds out before it calls.
fn literal_message(message: &str, found: &str) -> Option<String> {
    let (_, expected) = message.split_once("expected ")?;
    let expected = expected.split_once("; got").map_or(expected, |(expected, _)| expected);
    Some(match expected {
        _ if found == "nil" => format!("cannot assign nil to {expected}"),
        "string" | "bool" => format!("expected {expected}; found {found}"),
        "int" | "int64" => format!("expected integer; found {found}"),
        "float64" => format!("expected float; found {found}"),
        _ => format!("can't handle {found} for arg of type {expected}"),
    })
}

impl Inner {
    /// Keeps the first error, and how the render came to where it is.
    fn note(&self, code: &Code, failure: Failure) {
        let Failure { error, place, function, literal, via, text } = failure;
        let frame = Frame {
            location: code.origin.source.location(place.offset),
            template: code.name.to_string(),
            expression: code.origin.expression_at(place),
            via,
            text,
        };
        let mut slot = self.error.borrow_mut();
        if let Some(first) = slot.as_mut() {
            first.called_from(frame);
            return;
        }
        let frame = Frame { via: None, text: None, ..frame };
        let (kind, message) = match (error, function) {
            (FunctionError::Failed(message), Some(name)) => {
                (ErrorKind::Execution, format!("error calling {name}: {message}"))
            }
            (FunctionError::Argument(message), _) if literal => {
                let text = literal_message(&message, &frame.expression);
                (ErrorKind::Execution, text.unwrap_or(message))
            }
            (FunctionError::Argument(message), _) if place.kind == NodeKind::Chain => {
                let expected = message.strip_prefix("invalid value; expected ");
                let text =
                    expected.map(|kind| format!("wrong type for value; expected {kind}; got interface {{}}"));
                (ErrorKind::Execution, text.unwrap_or(message))
            }
            (FunctionError::Refused(message), _) => (ErrorKind::Refused, message),
            (FunctionError::Limit(message), _) => (ErrorKind::Limit, message),
            (other, _) => (ErrorKind::Execution, other.to_string()),
        };
        *slot = Some(Error::execution(kind, message, frame));
    }

    fn carry_out(&self, site: &Site, input: &tera::Value, kwargs: &Kwargs) -> Result<tera::Value, Failure> {
        let at = Failure::at(site.place);
        self.runtime.spend(1).map_err(&at)?;
        let value = match &site.op {
            Op::Value => self.take(input),
            Op::Constant(constant) => constant.value(),
            Op::Throw(message) => return Err(at(FunctionError::Argument(message.clone()))),
            Op::Field { path, boxed } => {
                field::path(self.take(input), path, *boxed, &self.runtime).map_err(&at)?
            }
            Op::Method { path, boxed, arguments } => {
                let arguments = self.arguments(arguments, input, kwargs);
                field::method(self.take(input), path, *boxed, &arguments, &self.runtime).map_err(&at)?
            }
            Op::Call { entry, arguments: slots, nodes } => {
                let arguments = self.arguments(slots, input, kwargs);
                self.call(entry, &arguments, slots, nodes, site.place)?
            }
            Op::Include { arguments, nodes } => {
                let arguments = self.arguments(arguments, input, kwargs);
                self.include(&arguments, nodes, site.place)?
            }
            Op::Tpl { arguments, nodes } => {
                let arguments = self.arguments(arguments, input, kwargs);
                self.tpl(&arguments, nodes, site.place)?
            }
            Op::Template(name) => {
                if self.find(name).is_none() {
                    return Err(at(FunctionError::Argument(format!("template {name:?} not defined"))));
                }
                let data = self.take(input);
                let via = |error| Failure { via: Some(Via::Template), ..at(error) };
                return Ok(self.named(name, &data).map_err(via)?.into());
            }
            Op::Elements => return self.elements(&self.take(input)).map_err(&at),
            Op::Pairs => return self.pairs(&self.take(input)).map_err(&at),
            Op::Key => return Ok(ranges::part(input, 0)),
            Op::Element => return Ok(ranges::part(input, 1)),
        };
        match site.form {
            Form::Raw => self.give(value).map_err(&at),
            Form::Truth => Ok(value.truth().into()),
            Form::Print => match &value {
                Value::Nil => Ok("<no value>".into()),
                Value::String(text) => Ok((&**text).into()),
                Value::Object(object) => Ok(object.print().into()),
                value => Ok(value.print(&self.runtime).map_err(&at)?.into()),
            },
        }
    }

    /// A value from Tera.
    fn take(&self, value: &tera::Value) -> Value {
        if let Some(text) = value.as_str() {
            return Value::from(text);
        }
        if value.is_u64() {
            let handle = value.as_u64().and_then(|handle| usize::try_from(handle).ok()).unwrap_or(usize::MAX);
            return self.arena.borrow().get(handle).cloned().unwrap_or_default();
        }
        if let Some(bool) = value.as_bool() {
            return Value::Bool(bool);
        }
        if value.is_f64() {
            return Value::Float(value.as_f64().unwrap_or_default());
        }
        value.as_i64().map(Value::int).unwrap_or_default()
    }

    /// A value for Tera: itself, or the number under which it is kept.
    fn give(&self, value: Value) -> Result<tera::Value, FunctionError> {
        Ok(match value {
            Value::Nil => tera::Value::none(),
            Value::Bool(bool) => bool.into(),
            Value::Integer(Integer::Int, number) => number.into(),
            Value::Float(number) => number.into(),
            Value::String(text) if text.len() <= SHORT => (&*text).into(),
            value => {
                self.runtime.spend(KEEP)?;
                let mut arena = self.arena.borrow_mut();
                arena.push(value);
                (arena.len() as u64 - 1).into()
            }
        })
    }

    fn arguments(&self, slots: &[Slot], input: &tera::Value, kwargs: &Kwargs) -> Vec<Value> {
        let take = |slot: &Slot| match slot {
            Slot::Constant(constant) => constant.value(),
            Slot::Input => self.take(input),
            Slot::Keyword(index) => {
                let name = keyword(*index);
                let value = kwargs.get::<&tera::Value>(&name).ok().flatten().map(|value| self.take(value));
                value.unwrap_or_default()
            }
        };
        slots.iter().map(take).collect()
    }

    fn call(
        &self,
        entry: &Entry,
        arguments: &[Value],
        slots: &[Slot],
        nodes: &[Place],
        place: Place,
    ) -> Result<Value, Failure> {
        let mut call = Call::new(entry.name, arguments, &self.runtime).written_at(nodes);
        entry.run(&mut call).map_err(|error| {
            let FunctionError::Argument(_) = error else {
                return Failure { function: Some(entry.name), ..Failure::at(place)(error) };
            };
            let literal = matches!(slots.get(call.asked()), Some(Slot::Constant(_)));
            let place = nodes.get(call.asked()).copied().unwrap_or(place);
            Failure { literal, ..Failure::at(place)(error) }
        })
    }

    /// The program that has a template: the innermost `tpl`, then those around it, then the set itself.
    fn find(&self, name: &str) -> Option<Found> {
        let local = self.local.borrow();
        let own = local.iter().rev().find(|program| program.tera_name(name).is_some());
        match own {
            Some(program) => Some(Found::Local(Rc::clone(program))),
            None => self.program.tera_name(name).map(|_| Found::Global(Arc::clone(&self.program))),
        }
    }

    /// Renders the template `name`.
    fn named(&self, name: &str, data: &Value) -> Result<String, FunctionError> {
        let Some(found) = self.find(name) else {
            return Err(FunctionError::Failed(format!(
                "template: no template {name:?} associated with template \"gotpl\""
            )));
        };
        self.runtime.spend(TEMPLATE)?;
        let program = match &found {
            Found::Local(program) => &**program,
            Found::Global(program) => &**program,
        };
        let limit = self.runtime.limits().depth;
        let key: Rc<str> = name.into();
        let depth = self.depths.borrow().get(name).copied().unwrap_or(0);
        if depth >= limit || self.depth.get() >= limit * 2 {
            return Err(FunctionError::Limit(format!(
                "rendering template has a nested reference name: {name}: unable to execute template"
            )));
        }
        self.depths.borrow_mut().insert(Rc::clone(&key), depth + 1);
        self.depth.set(self.depth.get() + 1);
        let result = self.run(program, program.tera_name(name).unwrap_or_default(), data);
        self.depth.set(self.depth.get() - 1);
        self.depths.borrow_mut().insert(key, depth);
        result
    }

    fn run(&self, program: &Program, tera_name: &str, data: &Value) -> Result<String, FunctionError> {
        let mut context = Context::new();
        context.insert_value(ROOT, self.give(data.clone())?);
        let limits = self.runtime.limits();
        let mut sink =
            Sink { text: Vec::new(), written: &self.written, limit: limits.output_bytes, over: false };
        let result = program.tera.render_to(tera_name, &context, &mut sink);
        if sink.over {
            return Err(FunctionError::Limit(format!(
                "the templates write more than {} bytes",
                limits.output_bytes
            )));
        }
        match result {
            // Everything that is written is text.
            Ok(()) => Ok(String::from_utf8(sink.text)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())),
            Err(_) if self.error.borrow().is_some() => Err(FunctionError::Recorded),
            Err(error) => Err(FunctionError::Failed(error.to_string())),
        }
    }

    fn include(&self, arguments: &[Value], nodes: &[Place], place: Place) -> Result<Value, Failure> {
        let call = Call::new("include", arguments, &self.runtime);
        let name =
            call.string(0).map_err(|error| Failure::at(nodes.first().copied().unwrap_or(place))(error))?;
        let failed = |error| Failure {
            function: Some("include"),
            via: Some(Via::Include),
            ..Failure::at(place)(error)
        };
        self.named(&name, call.value(1)).map(Value::from).map_err(failed)
    }

    /// Renders a text as a template, with what it defines visible inside it only.
    fn tpl(&self, arguments: &[Value], nodes: &[Place], place: Place) -> Result<Value, Failure> {
        let call = Call::new("tpl", arguments, &self.runtime);
        let text =
            call.string(0).map_err(|error| Failure::at(nodes.first().copied().unwrap_or(place))(error))?;
        let failed = |error| Failure {
            function: Some("tpl"),
            via: Some(Via::Tpl),
            text: Some(text.to_string()),
            ..Failure::at(place)(error)
        };
        call.spend_for_arguments().map_err(failed)?;
        if !text.contains("{{") {
            return Ok(Value::from(text.replace("<no value>", "")));
        }
        let program = self.compiled(&text).map_err(failed)?;
        let limit = self.runtime.limits().depth;
        if self.depth.get() >= limit {
            return Err(failed(FunctionError::Limit(format!("tpl is nested more than {limit} deep"))));
        }
        self.local.borrow_mut().push(Rc::clone(&program));
        self.depth.set(self.depth.get() + 1);
        let name = program.tera_name(TPL).unwrap_or_default();
        let result = self.run(&program, name, call.value(1));
        self.depth.set(self.depth.get() - 1);
        self.local.borrow_mut().pop();
        result.map(|text| Value::from(text.replace("<no value>", ""))).map_err(failed)
    }

    fn compiled(&self, text: &Rc<str>) -> Result<Rc<Program>, FunctionError> {
        if let Some(program) = self.compiled.borrow().get(text) {
            return Ok(Rc::clone(program));
        }
        self.runtime.spend(COMPILE + text.len())?;
        let functions = &self.program.functions;
        let mut set = Set::default();
        let refused = |error: Error| {
            FunctionError::Failed(format!("cannot parse template {text:?}: {}", error.go_message()))
        };
        set.read(TPL, text, functions).map_err(refused)?;
        let program = Rc::new(set.compile(functions).map_err(refused)?);
        self.compiled.borrow_mut().insert(Rc::clone(text), Rc::clone(&program));
        Ok(program)
    }
}

/// The name of a text that `tpl` renders.
const TPL: &str = "gotpl";

enum Found {
    Local(Rc<Program>),
    Global(Arc<Program>),
}

/// Takes what Tera writes, up to the limit of the session.
struct Sink<'a> {
    text: Vec<u8>,
    written: &'a Cell<u64>,
    limit: u64,
    over: bool,
}

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.written.get().saturating_add(bytes.len() as u64);
        self.written.set(written);
        if written > self.limit {
            self.over = true;
            return Err(io::Error::other("too much is written"));
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! How a function of a template is declared and called.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::builtins::{BUILTINS, ENGINE};
use crate::kind::{Integer, Kind, MapType};
use crate::map::{List, Map};
use crate::runtime::Runtime;
use crate::site::{NodeKind, Place};
use crate::value::Value;

/// The code of a function. It must not panic and must not keep state: everything comes through the call.
pub type Function = fn(&mut Call<'_>) -> Result<Value, FunctionError>;

/// A function with its name and the number of arguments it takes.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The name in templates.
    pub name: &'static str,
    /// The fewest arguments.
    pub min: usize,
    /// The most arguments; `None`: any number.
    pub max: Option<usize>,
    /// The code.
    pub call: Function,
}

/// Steps for the memory of a map.
pub(crate) const NEW_MAP: usize = 8;

impl Entry {
    /// A function of exactly `count` arguments.
    pub const fn exact(name: &'static str, count: usize, call: Function) -> Entry {
        Entry { name, min: count, max: Some(count), call }
    }

    /// A function of `min` or more arguments.
    pub const fn variadic(name: &'static str, min: usize, call: Function) -> Entry {
        Entry { name, min, max: None, call }
    }

    /// Makes a call, which takes two steps and one per argument, one per 16 bytes of the texts that go in and come out,
    /// and some for a map that comes out: that much any function does. One that does more takes more itself.
    ///
    /// # Errors
    ///
    /// What the function says, or the budget is used up.
    pub fn run(&self, call: &mut Call<'_>) -> Result<Value, FunctionError> {
        call.spend_for_arguments()?;
        let result = (self.call)(call)?;
        call.spend_for(&result)?;
        Ok(result)
    }
}

/// The bytes of a text.
fn length(value: &Value) -> usize {
    value.as_bytes().map_or(0, <[u8]>::len)
}

/// The functions that templates may call, by name.
#[derive(Clone)]
pub struct Functions {
    table: Arc<BTreeMap<&'static str, Entry>>,
    /// Whether `include` and `tpl` are the engine's.
    engine: bool,
}

impl Functions {
    /// The functions of Helm charts: those of `text/template`, of sprig and of Helm itself.
    pub fn helm() -> Functions {
        let entries = crate::functions::library().into_iter().chain(ENGINE.iter().copied());
        Functions { engine: true, ..Functions::of(entries) }
    }

    /// Just these, beside those of `text/template` itself, which are always there.
    pub fn of(entries: impl IntoIterator<Item = Entry>) -> Functions {
        let all = BUILTINS.iter().copied().chain(entries);
        Functions { table: Arc::new(all.map(|entry| (entry.name, entry)).collect()), engine: false }
    }

    /// Whether `include` and `tpl` are there.
    pub(crate) fn has_engine(&self) -> bool {
        self.engine
    }

    /// Whether a function of `text/template` is the original one.
    pub(crate) fn is_builtin(&self, name: &str) -> bool {
        let original = BUILTINS.iter().find(|entry| entry.name == name);
        original
            .zip(self.get(name))
            .is_some_and(|(original, entry)| std::ptr::fn_addr_eq(original.call, entry.call))
    }

    /// A function by its name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.table.get(name)
    }

    /// All functions, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.table.values()
    }
}

/// Why a function did not return.
#[derive(Clone, Debug, PartialEq)]
pub enum FunctionError {
    /// The function itself refused: the message is shown as `error calling NAME: MESSAGE`.
    Failed(String),
    /// An argument is of the wrong type: the message is shown as it is, as Go does before it calls a function.
    Argument(String),
    /// The template's author refuses, with a message that is shown first: `fail` and `required`.
    Refused(String),
    /// A limit of the session is reached; nothing in a template can go on after it.
    Limit(String),
    /// The reason is recorded already, by the render inside this one.
    Recorded,
}

impl FunctionError {
    /// The function refuses with a message.
    pub fn failed(message: impl fmt::Display) -> FunctionError {
        FunctionError::Failed(message.to_string())
    }
}

impl fmt::Display for FunctionError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FunctionError::Failed(message)
            | FunctionError::Argument(message)
            | FunctionError::Refused(message)
            | FunctionError::Limit(message) => out.write_str(message),
            FunctionError::Recorded => out.write_str("a nested template failed"),
        }
    }
}

impl std::error::Error for FunctionError {}

/// One call of a function: its arguments, and the runtime.
pub struct Call<'a> {
    name: &'a str,
    args: &'a [Value],
    runtime: &'a Runtime,
    /// Where the arguments are written, as far as that is known.
    nodes: &'a [Place],
    /// The argument that was asked for last: an error about a type is about that one.
    asked: Cell<usize>,
}

impl<'a> Call<'a> {
    /// A call. The engine makes them; this is for tests of functions.
    pub fn new(name: &'a str, args: &'a [Value], runtime: &'a Runtime) -> Call<'a> {
        Call { name, args, runtime, nodes: &[], asked: Cell::new(0) }
    }

    /// The same call, of arguments that are written there.
    pub(crate) fn written_at(self, nodes: &'a [Place]) -> Call<'a> {
        Call { nodes, ..self }
    }

    /// The name under which the function was called.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// All arguments. The value of a pipeline is the last one.
    pub fn args(&self) -> &'a [Value] {
        self.args
    }

    /// The argument at an index, for a parameter of the type `interface {}`; nil if it is not there.
    pub fn value(&self, index: usize) -> &'a Value {
        self.asked.set(index);
        self.args.get(index).unwrap_or(&Value::Nil)
    }

    /// The argument that an error about a type is about.
    pub(crate) fn asked(&self) -> usize {
        self.asked.get()
    }

    /// The runtime.
    pub fn runtime(&self) -> &'a Runtime {
        self.runtime
    }

    /// See [`Runtime::spend`].
    ///
    /// # Errors
    ///
    /// The budget is used up.
    pub fn spend(&self, steps: usize) -> Result<(), FunctionError> {
        self.runtime.spend(steps)
    }

    /// Takes what any call takes for its arguments, see [`Entry::run`].
    pub(crate) fn spend_for_arguments(&self) -> Result<(), FunctionError> {
        self.spend(2 + self.args().len() + self.args().iter().map(length).sum::<usize>() / 16)
    }

    /// Takes what any call takes for what it gives, see [`Entry::run`].
    pub(crate) fn spend_for(&self, result: &Value) -> Result<(), FunctionError> {
        self.spend(if let Value::Map(_) = result { NEW_MAP } else { length(result) / 16 })
    }

    /// See [`Runtime::allocate`].
    ///
    /// # Errors
    ///
    /// The value would be too large.
    pub fn allocate(&self, bytes: usize) -> Result<(), FunctionError> {
        self.runtime.allocate(bytes)
    }

    /// What `%v` prints of a value.
    ///
    /// # Errors
    ///
    /// The text would be over a limit.
    pub fn print(&self, value: &Value) -> Result<String, FunctionError> {
        value.print(self.runtime)
    }

    /// An argument for a parameter of the type `string`. Text only: what is not UTF-8 is replaced; see
    /// [`Call::bytes`].
    ///
    /// # Errors
    ///
    /// It is no string.
    pub fn string(&self, index: usize) -> Result<Rc<str>, FunctionError> {
        match self.value(index) {
            Value::String(text) => Ok(Rc::clone(text)),
            Value::RawString(bytes) => Ok(Rc::from(String::from_utf8_lossy(bytes))),
            other => Err(wrong_type("string", other)),
        }
    }

    /// The bytes of an argument for a parameter of the type `string`, which in Go need not be UTF-8.
    ///
    /// # Errors
    ///
    /// It is no string.
    pub fn bytes(&self, index: usize) -> Result<&'a [u8], FunctionError> {
        match self.value(index) {
            Value::String(text) => Ok(text.as_bytes()),
            Value::RawString(bytes) => Ok(bytes),
            other => Err(wrong_type("string", other)),
        }
    }

    /// An argument for a parameter of the type `int`. Go converts nothing here: an `int64` or a float is refused.
    ///
    /// # Errors
    ///
    /// It is no `int`.
    pub fn int(&self, index: usize) -> Result<i64, FunctionError> {
        match self.value(index) {
            Value::Integer(Integer::Int, number) => Ok(*number),
            other => Err(wrong_type("int", other)),
        }
    }

    /// An argument for a parameter of the type `bool`.
    ///
    /// # Errors
    ///
    /// It is no bool.
    pub fn bool(&self, index: usize) -> Result<bool, FunctionError> {
        match self.value(index) {
            Value::Bool(bool) => Ok(*bool),
            other => Err(wrong_type("bool", other)),
        }
    }

    /// An argument for a parameter of the type `map[string]interface {}`; nil is an empty map, unless a chain of fields
    /// leads to it.
    ///
    /// # Errors
    ///
    /// It is no such map.
    pub fn map(&self, index: usize) -> Result<Map, FunctionError> {
        match self.value(index) {
            // A type with a name whose underlying type is this one may be assigned to it.
            Value::Map(map) if map.map_type() != MapType::String => Ok(map.as_type(MapType::Any)),
            Value::Nil if self.nodes.get(index).is_none_or(|place| place.kind != NodeKind::Chain) => {
                Ok(Map::new([]))
            }
            other => Err(wrong_type("map[string]interface {}", other)),
        }
    }

    /// An argument that has to be a list of any type, for functions that use reflection; nil is refused with the
    /// function's own message.
    ///
    /// # Errors
    ///
    /// It is no list: `message` gets the Go kind appended.
    pub fn list(&self, index: usize, message: &str) -> Result<List, FunctionError> {
        match self.value(index) {
            Value::List(list) => Ok(list.clone()),
            other => Err(FunctionError::Failed(format!("{message}{}", other.kind().name()))),
        }
    }
}

fn wrong_type(expected: &str, value: &Value) -> FunctionError {
    FunctionError::Argument(match value.kind() {
        Kind::Invalid => format!("invalid value; expected {expected}"),
        _ => format!("wrong type for value; expected {expected}; got {}", value.type_name()),
    })
}

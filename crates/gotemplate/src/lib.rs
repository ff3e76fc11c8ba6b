#![doc = include_str!("../README.md")]
//!
//! Start reading at [`Templates`], then `lower`, where a template becomes Tera, then `engine`, which carries out what
//! Tera calls for.

mod ast;
mod builtins;
mod call;
mod engine;
mod error;
mod field;
mod format;
mod functions;
mod kind;
mod lexer;
mod literal;
mod lower;
mod map;
mod number;
mod object;
mod parser;
mod print;
mod runtime;
pub mod semver;
mod site;
mod source;
mod templates;
mod unicode;
mod value;
pub mod yaml;

pub use call::{Call, Entry, Function, FunctionError, Functions};
pub use error::{Error, ErrorKind, Frame, Via};
pub use kind::{Element, Integer, Kind, MapType};
pub use map::{List, Map};
pub use number::float_text;
pub use object::Object;
pub use runtime::{FixedHost, Host, Limits, Runtime, Timestamp};
pub use source::Location;
pub use templates::{Session, Templates};
pub use value::Value;

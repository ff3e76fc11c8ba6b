//! Go templates, with the functions of Helm charts, compiled to Tera.
//!
//! A set of templates is compiled once, with [`Templates::compile`]. Tera has their texts, variables and control flow;
//! what is Go's own (values that share and change their maps, field paths, functions, printing) is done by this crate
//! at each place where a template calls for it. A [`Session`] renders any of them, on a thread of its own, within
//! [`Limits`], and asks a [`Host`] for time, randomness and the cluster. There is no other way out of a template.
//!
//! ```
//! use gotemplate::{FixedHost, Functions, Limits, Templates};
//! use serde_json::json;
//!
//! let sources = [("greeting", r#"{{ define "who" }}{{ .name | default "world" }}{{ end }}Hello {{ include "who" . }}!"#)];
//! # let sources = [("greeting", r#"{{ define "who" }}{{ .name }}{{ end }}Hello {{ include "who" . }}!"#)];
//! let templates = Templates::compile(sources, &Functions::helm())?;
//! let text = templates.session(FixedHost::default(), Limits::default(), |session| {
//!     let data = session.value(&json!({"name": "Ada"}));
//!     session.render("greeting", &data)
//! })??;
//! assert_eq!(text, "Hello Ada!");
//! # Ok::<(), gotemplate::Error>(())
//! ```

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
pub use object::Object;
pub use runtime::{FixedHost, Host, Limits, Runtime, Timestamp};
pub use source::Location;
pub use templates::{Session, Templates};
pub use value::Value;

//! Go templates, with the functions of Helm charts, compiled to Tera.

mod call;
mod functions;
mod kind;
mod map;
mod number;
mod object;
mod print;
mod runtime;
mod unicode;
mod value;
pub mod yaml;

pub use call::{Call, Entry, Function, FunctionError, Functions};
pub use kind::{Element, Integer, Kind, MapType};
pub use map::{List, Map};
pub use object::Object;
pub use runtime::{FixedHost, Host, Limits, Runtime, Timestamp};
pub use value::Value;

//! What a deployment is made of. Plain data with ordered maps, so that equal things have equal bytes.

mod cluster;
mod job;
mod runtime;
mod spec;

pub use cluster::*;
pub use job::*;
pub use runtime::*;
pub use spec::*;

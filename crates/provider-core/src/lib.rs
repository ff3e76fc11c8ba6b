//! The contract between Pitrix and its provider plugins.
//!
//! What it is: the models, the two interfaces that a plugin implements ([`ProviderInterface`] and
//! [`ProviderHandlerInterface`]), plans and the pure [`Machine`] that interprets them, calls as data and the
//! [`Gateway`] that sends them, the one function that writes records ([`record()`]), errors, secrets and the
//! registry. What it is not: it does no I/O, starts no tasks and knows neither a store nor a cloud.
//!
//! Start reading at [`ProviderInterface`], then [`CloudCall`].

mod agent;
mod archive;
mod call;
mod clock;
mod context;
mod error;
mod gateway;
mod handler;
mod ids;
mod live;
mod machine;
pub mod metadata;
mod model;
mod package;
mod plan;
mod progress;
mod provider;
mod record;
mod registry;
mod secret;
pub mod stored;

pub use agent::*;
pub use archive::*;
pub use call::*;
pub use clock::*;
pub use context::*;
pub use error::*;
pub use gateway::*;
pub use handler::*;
pub use ids::*;
pub use live::*;
pub use machine::*;
pub use model::*;
pub use package::*;
pub use plan::*;
pub use progress::*;
pub use provider::*;
pub use record::*;
pub use registry::*;
pub use secret::*;

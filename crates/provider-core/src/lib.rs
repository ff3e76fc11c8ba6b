//! The contract between Pitrix and its provider plugins.
//!
//! What it is: the models, the two interfaces that a plugin implements ([`ProviderInterface`] and
//! [`ProviderHandlerInterface`]), plans and the pure [`Machine`] that interprets them, calls as data and the
//! [`Gateway`] that sends them, the one function that writes records ([`record()`]), errors, secrets and the
//! registry. What it is not: it does no I/O, starts no tasks and knows neither a store nor a cloud.
//!
//! Start reading at [`ProviderInterface`], then [`CloudCall`].

mod archive;
mod clock;
mod error;
mod ids;
mod model;
mod plan;
mod provider;
mod secret;

pub use archive::*;
pub use clock::*;
pub use error::*;
pub use ids::*;
pub use model::*;
pub use plan::*;
pub use provider::*;
pub use secret::*;

//! Durable jobs: what was accepted is carried out, whatever crashes in between.
//!
//! What it is: the [`Store`] (records, jobs, secrets, events and the ledger of calls, in one SQLite file),
//! [`Control`], which plans and submits, and the [`Executor`], which drives plans. What it is not: it knows no
//! cloud and no command line.
//!
//! Start reading at [`Control`], then [`Executor`], then [`Tenure`].

mod adopt;
mod change;
mod control;
mod executor;
mod follow_up;
mod health;
mod job;
mod store;
mod task;

pub use adopt::Adoption;
pub use control::{Aim, Control, Planned, ProviderSource, Request, Submitted};
pub use executor::{Executor, Settings};
pub use store::*;

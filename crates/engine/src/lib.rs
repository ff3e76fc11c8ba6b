//! Durable jobs: what was accepted is carried out, whatever crashes in between.
//!
//! What it is: the [`Store`] (records, jobs, secrets, events and the ledger of calls, in one SQLite file) and,
//! on top of it, the executor that drives plans. What it is not: it knows no cloud and no command line.
//!
//! Start reading at [`Store`], then [`Tenure`].

mod store;

pub use store::*;

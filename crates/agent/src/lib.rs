//! The agent on a node, and the control side's way to it.
//!
//! What it is: the *drone*, which carries out [`Command`](provider_core::Command)s on a node and keeps what
//! runs there together, and [`UnixPilot`], which reaches drones over Unix sockets. What it is not: it knows no
//! cloud and no application, and it decides nothing; what a command holds was decided by the control side.
//!
//! Start reading at [`drone::main`], then [`UnixPilot`]. Linux only.

pub mod drone;
mod pilot;
mod protocol;

pub use pilot::UnixPilot;

//! The real binary from outside, with real processes, on the provider `local`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod changes;
mod installation;
mod kills;
mod life;
mod mistakes;
mod shells;
mod strikes;

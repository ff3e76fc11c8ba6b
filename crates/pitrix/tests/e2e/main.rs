//! The real binary from outside, with real processes: on the provider `local`, and on a real API server where the binary
//! has the provider `kubernetes`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod changes;
mod installation;
mod kills;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod life;
mod mistakes;
mod shells;
mod strikes;

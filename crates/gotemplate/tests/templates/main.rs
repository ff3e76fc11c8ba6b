//! Templates from outside: what they come to beside the real Helm, and what hostile ones are refused with.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod functions;
mod hostile;
mod hostile_functions;
mod rows;
mod semver;

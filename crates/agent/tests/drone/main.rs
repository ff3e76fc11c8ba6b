//! The drone as its users meet it: a real program in a real directory, driven through the pilot. Everything is
//! awaited by an answer, a pipe or the end of a process; nothing by time.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod commands;
mod configuration;
mod crashes;
mod device;
mod health;
mod instance;

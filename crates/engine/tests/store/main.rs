//! The store, from outside: what it accepts, what it keeps and what survives.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod accept;
mod crash;
mod files;
mod fixture;
mod golden;
mod ledger;
mod run;
mod secrets;

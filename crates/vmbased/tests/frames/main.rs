//! The frames, seen from outside: plans as prose, and what holds for every plan.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod fixture;
mod found;
mod golden;
mod later;
mod properties;
mod prose;
mod world;

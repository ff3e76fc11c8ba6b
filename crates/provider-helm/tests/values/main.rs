//! Values as the helm binary makes them, from the same arguments and the same charts.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod set;

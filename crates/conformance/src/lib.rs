//! The rules that every provider must pass, and the world to prove them in.
//!
//! What it is: a [`Cloud`] of instances and volumes in memory with [`Fault`]s as data, a [`ScriptedPilot`] for
//! its agents and a [`VirtualClock`]. What it is not: part of the product; only tests depend on it.
//!
//! Start reading at [`Cloud`]; [`ScriptedProvider`] shows what a plugin for a cloud of virtual machines looks
//! like.

mod audit;
mod client;
mod clock;
mod cloud;
pub mod crash;
mod faults;
mod ledger;
mod pilot;
pub mod scripted;
mod world;

pub use audit::Audit;
pub use client::{Answers, Client};
pub use clock::{Hold, VirtualClock};
pub use cloud::{
    Cloud, CloudInstance, CloudVolume, Fail, InstanceStatus, Launch, Limits, Tags, VolumeStatus,
};
pub use crash::Crash;
pub use faults::{Fault, Script};
pub use ledger::MemoryLedger;
pub use pilot::{Ending, Ran, ScriptedPilot};
pub use scripted::ScriptedProvider;
pub use world::{APP, KEY, PASSWORD, RUNTIME, World, act, create, package};

use std::sync::{Mutex, MutexGuard, PoisonError};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

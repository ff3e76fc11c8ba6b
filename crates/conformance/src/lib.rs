//! The rules that every provider must pass, and the world to prove them in.
//!
//! What it is: [`rules`] for providers; a [`World`], which is a [`Cloud`] in memory with [`Fault`]s as data, its
//! agents, a [`VirtualClock`] and a state directory that executors come and go in; a [`crash`] at every boundary;
//! an [`Audit`] of what is left. What it is not: part of the product; only tests depend on it.
//!
//! Start reading at [`World`]; [`scripted`] shows what a plugin for a cloud of virtual machines looks like.

mod audit;
mod client;
mod clock;
mod cloud;
pub mod crash;
mod faults;
mod ledger;
mod pilot;
pub mod rules;
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
pub use ledger::{MemoryLedger, NoRecords};
pub use pilot::{Ending, Ran, ScriptedPilot};
pub use scripted::ScriptedProvider;
pub use world::{APP, KEY, NEXT, PASSWORD, RUNTIME, World, act, create, package, push, reconfigure};

use std::sync::{Mutex, MutexGuard, PoisonError};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

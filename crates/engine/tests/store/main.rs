//! The store, from outside: what it accepts, what it keeps and what survives.

mod accept;
mod crash;
mod files;
mod fixture;
mod golden;
mod ledger;
mod run;
mod secrets;

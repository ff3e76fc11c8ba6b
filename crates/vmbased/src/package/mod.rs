//! The format of VM packages: `package.json`, `config.json` and the cluster document.

mod answers;
mod config;
mod document;
mod problems;

pub use answers::Answers;
pub use config::Config;
pub use document::{Document, MAX_DEPTH};

//! The format of VM packages: `package.json`, `config.json` and the cluster document.

mod document;

pub use document::{Document, MAX_DEPTH};

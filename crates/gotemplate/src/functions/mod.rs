//! The function library of Helm charts: sprig's functions and Helm's own.

mod args;
pub(crate) mod base64;
mod defaults;
mod dicts;
mod lists;
mod strings;
mod types;

use crate::call::Entry;

/// Every function a chart may call, beside those of `text/template` and the engine's own.
pub(crate) fn library() -> Vec<Entry> {
    [defaults::ENTRIES, dicts::ENTRIES, lists::ENTRIES, strings::ENTRIES, types::ENTRIES].concat()
}

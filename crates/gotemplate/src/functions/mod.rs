//! The function library of Helm charts: sprig's functions and Helm's own.

mod args;
pub(crate) mod base64;
mod data;
mod defaults;
mod dicts;
mod json;
mod lists;
mod numbers;
mod strings;
mod types;

use crate::call::Entry;

/// Every function a chart may call, beside those of `text/template` and the engine's own.
pub(crate) fn library() -> Vec<Entry> {
    [
        data::ENTRIES,
        defaults::ENTRIES,
        dicts::ENTRIES,
        lists::ENTRIES,
        numbers::ENTRIES,
        strings::ENTRIES,
        types::ENTRIES,
    ]
    .concat()
}

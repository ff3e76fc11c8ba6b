//! The function library of Helm charts: sprig's functions and Helm's own.

mod args;
pub(crate) mod base64;
mod case;
mod crypto;
mod data;
mod decimals;
mod defaults;
mod dicts;
mod encoding;
mod json;
mod lists;
mod network;
mod numbers;
mod paths;
mod random;
mod regex;
mod strings;
mod time;
mod toml;
mod types;
mod urls;
pub(crate) mod values;
mod versions;
mod words;

use crate::call::Entry;

/// Every function a chart may call, beside those of `text/template` and the engine's own.
pub(crate) fn library() -> Vec<Entry> {
    [
        case::ENTRIES,
        data::ENTRIES,
        decimals::ENTRIES,
        defaults::ENTRIES,
        dicts::ENTRIES,
        encoding::ENTRIES,
        lists::ENTRIES,
        network::ENTRIES,
        numbers::ENTRIES,
        paths::ENTRIES,
        random::ENTRIES,
        regex::ENTRIES,
        strings::ENTRIES,
        time::ENTRIES,
        toml::ENTRIES,
        types::ENTRIES,
        urls::ENTRIES,
        versions::ENTRIES,
        words::ENTRIES,
    ]
    .concat()
    .into_iter()
    .chain(crypto::entries())
    .collect()
}

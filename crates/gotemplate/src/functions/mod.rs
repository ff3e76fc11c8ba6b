//! The function library of Helm charts.

mod args;
pub(crate) mod base64;

use crate::call::Entry;

/// Every function a chart may call, beside those of `text/template` itself.
pub(crate) fn library() -> Vec<Entry> {
    Vec::new()
}

//! Pieces that several shapes of JSON have in common.

use provider_core::{Error, Timestamp};
use serde::Serialize;

/// An error, as JSON shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorView {
    kind: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
}

impl ErrorView {
    pub(crate) fn new(error: &Error) -> Self {
        Self {
            kind: word(&error.kind()),
            message: error.to_string(),
            code: error.provider_code().map(str::to_owned),
            request_id: error.provider_request_id().map(str::to_owned),
            hint: error.hint_text().map(str::to_owned),
            causes: error.causes().to_vec(),
        }
    }

    /// In a line: what went wrong and the end of what was behind it, which is where commands say the reason.
    pub(crate) fn why(&self) -> String {
        let reason =
            self.causes.first().and_then(|cause| cause.lines().rfind(|line| !line.trim().is_empty()));
        match reason {
            Some(reason) => format!("{}: {}", self.message, reason.trim()),
            None => self.message.clone(),
        }
    }
}

/// The word that stands for a plain enum in the store, which is the one that users meet.
pub(crate) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("a plain enum is a word, not {other:?}"),
    }
}

/// A moment as RFC 3339 has it, to the second.
pub(crate) fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map(|at| format!("{at:.0}")).unwrap_or_default()
}

/// A layer of a plan, as JSON shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LayerView<T> {
    pub(crate) name: String,
    pub(crate) tasks: Vec<T>,
}

//! Template texts and positions in them.

use std::sync::Arc;

/// A template text and the name under which errors show it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: Arc<str>,
    pub(crate) text: Arc<str>,
}

/// Where in a template something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The name of the source, for a chart the path of the file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column in bytes, from 1. Go counts it from 0.
    pub column: usize,
    /// The text of that line.
    pub text: String,
}

impl Source {
    pub(crate) fn location(&self, offset: usize) -> Location {
        let offset = offset.min(self.text.len());
        let before = &self.text.as_bytes()[..offset];
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let text = self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        Location { file: Arc::clone(&self.name), line, column: offset - start + 1, text: text.to_owned() }
    }
}

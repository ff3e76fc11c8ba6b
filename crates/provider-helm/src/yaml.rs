//! YAML files of charts and of users.

use provider_core::{Error, Result};
use serde_json::Value;

/// The first document of the file called `name`.
///
/// # Errors
/// `Invalid` with the file, the line and the column.
pub(crate) fn read_document(name: &str, text: &str) -> Result<Value> {
    gotemplate::yaml::parse(text)
        .map_err(|e| Error::invalid(format!("can't read `{name}`")).because(e.to_string()))
}

/// The texts between lines of `---`.
pub(crate) fn documents(text: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        let is_separator = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.trim().is_empty() || rest.trim_start().starts_with('#'));
        if is_separator && at > start {
            documents.push(&text[start..at]);
            start = at + line.len();
        }
        at += line.len();
    }
    if at > start {
        documents.push(&text[start..]);
    }
    documents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_end_at_lines_of_dashes() {
        let check = |text: &str, want: &[&str]| assert_eq!(documents(text), want, "{text:?}");
        check("", &[]);
        check("a: 1", &["a: 1"]);
        check("a: 1\n---\nb: 2\n", &["a: 1\n", "b: 2\n"]);
        check("---\na: 1\n--- # two\nb: 2", &["---\na: 1\n", "b: 2"]);
        check("a: |\n  ---\n--- x\n", &["a: |\n  ---\n--- x\n"]);
    }
}

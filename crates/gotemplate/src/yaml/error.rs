//! What is wrong with a text, and where.

use std::fmt;

use super::token::Mark;

/// Who found the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Characters to tokens.
    Scan,
    /// Tokens to nodes.
    Parse,
    /// Nodes to values.
    Decode,
    /// Values to JSON.
    Convert,
}

/// A text that is not YAML, or not a value that JSON can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    stage: Stage,
    problem: String,
    position: Option<(usize, usize)>,
    context_line: usize,
}

impl Error {
    pub(super) fn at(stage: Stage, mark: Mark, context: Mark, problem: &str) -> Self {
        Error {
            stage,
            problem: problem.to_string(),
            position: Some((mark.line, mark.column)),
            context_line: context.line,
        }
    }

    pub(super) fn plain(problem: impl Into<String>) -> Self {
        Error { stage: Stage::Decode, problem: problem.into(), position: None, context_line: 0 }
    }

    pub(super) fn conversion(problem: String) -> Self {
        Error { stage: Stage::Convert, problem, position: None, context_line: 0 }
    }

    pub(super) fn line_of(line: usize, problem: impl Into<String>) -> Self {
        Error { stage: Stage::Decode, problem: problem.into(), position: Some((line, 0)), context_line: 0 }
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// The line, counted from 1, if the error has a place.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.position.map(|(line, _)| line + 1)
    }

    /// The column, counted from 1, if the error has one.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        match self.stage {
            Stage::Decode | Stage::Convert => None,
            Stage::Scan | Stage::Parse => self.position.map(|(_, column)| column + 1),
        }
    }

    /// The text that Helm gives for it, for templates that look at it. Its line is one too low when the error was
    /// found between tokens.
    #[must_use]
    pub fn helm_text(&self) -> String {
        let line = match (self.stage, self.position) {
            (Stage::Scan, Some((line, _))) if line != 0 => line + 1,
            (Stage::Parse, Some((line, _))) if line != 0 => line,
            (Stage::Scan | Stage::Parse, _) => self.context_line,
            (Stage::Decode | Stage::Convert, _) => 0,
        };
        match line {
            0 if self.stage == Stage::Convert => self.problem.clone(),
            0 => format!("yaml: {}", self.problem),
            line => format!("yaml: line {line}: {}", self.problem),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line(), self.column()) {
            (Some(line), Some(column)) => write!(f, "line {line}, column {column}: {}", self.problem),
            (Some(line), None) => write!(f, "line {line}: {}", self.problem),
            _ => f.write_str(&self.problem),
        }
    }
}

impl std::error::Error for Error {}

//! What is wrong with a template, where, and how the render came there.

use std::fmt;

use crate::source::Location;

/// The sort of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is not a Go template.
    Parse,
    /// A template failed while it was rendered.
    Execution,
    /// A template refused its values, with `fail` or `required`: the message is its author's.
    Refused,
    /// A template wants more than the limits of the session allow.
    Limit,
    /// There is no template of the name that was to be rendered.
    Missing,
}

/// How a render was called from another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// By the action `template` or `block`.
    Template,
    /// By the function `include`.
    Include,
    /// By the function `tpl`.
    Tpl,
}

/// A place that the render was in, and what it did there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The place.
    pub location: Location,
    /// The name of the template that was rendered.
    pub template: String,
    /// The expression that was evaluated, as Go spells it.
    pub expression: String,
    /// For all but the innermost: how it called the next one.
    pub via: Option<Via>,
    /// For `tpl`: the text that was given to it.
    pub text: Option<String>,
}

/// An error of a template.
///
/// It is displayed with the place, a caret, and the way there:
///
/// ```text
/// templates/config.yaml:3:11: nil pointer evaluating interface {}.port
///   |   port: {{ .Values.server.port }}
///   |            ^
///   included from templates/deployment.yaml:12:4
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    location: Option<Location>,
    frames: Vec<Frame>,
}

impl Error {
    pub(crate) fn missing(name: &str) -> Error {
        Error {
            kind: ErrorKind::Missing,
            message: format!("can't render the template {name:?}: it is not defined"),
            location: None,
            frames: Vec::new(),
        }
    }

    pub(crate) fn parse(message: impl Into<String>, location: Location) -> Error {
        Error {
            kind: ErrorKind::Parse,
            message: message.into(),
            location: Some(location),
            frames: Vec::new(),
        }
    }

    pub(crate) fn execution(kind: ErrorKind, message: String, frame: Frame) -> Error {
        Error { kind, message, location: Some(frame.location.clone()), frames: vec![frame] }
    }

    /// An error that is at no place of a template.
    pub(crate) fn placeless(kind: ErrorKind, message: String) -> Error {
        Error { kind, message, location: None, frames: Vec::new() }
    }

    pub(crate) fn internal(message: String) -> Error {
        Error::placeless(ErrorKind::Execution, message)
    }

    pub(crate) fn called_from(&mut self, frame: Frame) {
        self.frames.push(frame);
    }

    /// The sort of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What is wrong, in Go's words; for `fail` and `required` the words of the template's author.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where it is wrong.
    pub fn location(&self) -> Option<&Location> {
        self.location.as_ref()
    }

    /// The places the render was in, the innermost first. None for an error of parsing.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// The message that the Go implementation gives, in one line.
    pub fn go_message(&self) -> String {
        let place = |location: &Location| format!("{}:{}", location.file, location.line);
        match (self.kind, &self.location) {
            (ErrorKind::Parse, Some(location)) => format!("template: {}: {}", place(location), self.message),
            (ErrorKind::Refused, _) if !self.frames.is_empty() => {
                let outermost = &self.frames[self.frames.len() - 1].location;
                let column = outermost.column - 1;
                format!("execution error at ({}:{column}): {}", place(outermost), self.message)
            }
            _ => {
                let mut message = String::new();
                for frame in self.frames.iter().rev() {
                    let calling = match frame.via {
                        Some(Via::Template) => continue,
                        Some(Via::Include) => "error calling include: ".to_owned(),
                        Some(Via::Tpl) => {
                            let text = frame.text.as_deref().unwrap_or_default();
                            format!("error calling tpl: error during tpl function execution for {text:?}: ")
                        }
                        None => String::new(),
                    };
                    let column = frame.location.column - 1;
                    message.push_str(&format!(
                        "template: {}:{column}: executing {:?} at <{}>: {calling}",
                        place(&frame.location),
                        frame.template,
                        frame.expression,
                    ));
                }
                message + &self.message
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == ErrorKind::Refused {
            write!(out, "{}", self.message)?;
            if let Some(location) = &self.location {
                write!(out, "\n  refused at {}:{}:{}", location.file, location.line, location.column)?;
            }
        } else if let Some(location) = &self.location {
            write!(out, "{}:{}:{}: {}", location.file, location.line, location.column, self.message)?;
        } else {
            write!(out, "{}", self.message)?;
        }
        if let Some(location) = &self.location {
            // The column counts bytes; the caret has to stand below a character, with the same tabs before it.
            let before = location.text.get(..location.column - 1).unwrap_or(&location.text);
            let indent: String = before.chars().map(|char| if char == '\t' { '\t' } else { ' ' }).collect();
            write!(out, "\n  | {}\n  | {indent}^", location.text)?;
        }
        const SHOWN: usize = 8;
        let callers: Vec<&Frame> = self.frames.iter().skip(1).collect();
        for frame in callers.iter().take(SHOWN) {
            let location = &frame.location;
            let how = match frame.via {
                Some(Via::Tpl) => "evaluated by tpl",
                _ => "included",
            };
            write!(out, "\n  {how} from {}:{}:{}", location.file, location.line, location.column)?;
        }
        if callers.len() > SHOWN {
            write!(out, "\n  and {} more", callers.len() - SHOWN)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

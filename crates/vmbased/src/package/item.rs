//! One question of a config: which values it takes.

use super::document::join;
use regex::Regex;
use serde::{Deserialize, Deserializer, de::Error as _, de::IgnoredAny};
use serde_json::{Number, Value};
use std::{cmp::Ordering, fmt::Write, num::NonZeroU64};

/// One question, or a named group of questions (`type` `array`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct Item {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) key: String,
    #[serde(default)]
    pub(super) label: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) required: bool,
    #[serde(default)]
    pub(super) default: Option<Value>,
    #[serde(default)]
    pub(super) min: Option<Number>,
    #[serde(default)]
    pub(super) max: Option<Number>,
    #[serde(default)]
    pub(super) step: Option<NonZeroU64>,
    #[serde(default)]
    pub(super) range: Vec<Value>,
    #[serde(default, deserialize_with = "regex")]
    pub(super) pattern: Option<Regex>,
    #[serde(default)]
    pub(super) multichoice: bool,
    #[serde(default = "comma")]
    pub(super) separator: String,
    #[serde(default = "yes")]
    pub(super) changeable: bool,
    #[serde(default)]
    pub(super) properties: Vec<Item>,
    /// Hints for consoles, which read them from the file itself.
    #[serde(default, rename = "limits")]
    _limits: IgnoredAny,
    #[serde(default, rename = "allowed_operations")]
    _allowed_operations: IgnoredAny,
    #[serde(default, rename = "port")]
    _port: IgnoredAny,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Array,
    String,
    Integer,
    Number,
    Password,
    Boolean,
}

fn comma() -> String {
    ",".to_owned()
}

fn yes() -> bool {
    true
}

fn regex<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Regex>, D::Error> {
    let pattern = Option::<String>::deserialize(from)?.filter(|pattern| !pattern.is_empty());
    let pattern = pattern.map(|pattern| Regex::new(&pattern));
    pattern.transpose().map_err(|_| D::Error::custom("the pattern is not a regular expression"))
}

impl Item {
    pub(super) fn child(&self, key: &str) -> Option<&Item> {
        self.properties.iter().find(|child| child.key == key)
    }

    pub(super) fn default_value(&self) -> Value {
        if self.kind == Kind::Array {
            let children = self.properties.iter().map(|item| (item.key.clone(), item.default_value()));
            return Value::Object(children.collect());
        }
        if let Some(default) = &self.default {
            return default.clone();
        }
        let zero = Value::from(0);
        match self.kind {
            Kind::Integer | Kind::Number if self.check(&zero).is_ok() => zero,
            // Zero is not allowed: the first that is.
            Kind::Integer | Kind::Number => match (self.range.first(), &self.min) {
                (Some(first), _) => first.clone(),
                (None, Some(min)) => Value::Number(min.clone()),
                (None, None) => zero,
            },
            Kind::Boolean => false.into(),
            Kind::String | Kind::Password | Kind::Array => "".into(),
        }
    }

    /// Whether it is required and its default is no answer.
    pub(super) fn must_be_given(&self) -> bool {
        self.required && self.default.as_ref().is_none_or(|default| default == "")
    }

    /// Whether it accepts `value`; otherwise what is wrong, without the value of a password.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        let fits = match (self.kind, value) {
            (Kind::Boolean, Value::Bool(_)) => true,
            (Kind::Integer, Value::Number(n)) => !n.is_f64() && self.allows_number(n) && self.allows(value),
            (Kind::Number, Value::Number(n)) => self.allows_number(n) && self.allows(value),
            (Kind::String | Kind::Password, Value::String(text)) => {
                if let Some(odd) = text.chars().find(|c| is_reserved(*c)) {
                    return Err(format!("has the character U+{:04X}, which is not allowed", u32::from(odd)));
                }
                (text.is_empty() && !self.required) || self.allows_text(text)
            }
            _ => false,
        };
        if fits {
            return Ok(());
        }
        let is = match (self.kind, value) {
            (_, Value::String(text)) if text.is_empty() => "is empty".to_owned(),
            (Kind::Password, _) => "is not allowed as it is".to_owned(),
            _ => format!("is {}", shown(value)),
        };
        Err(format!("{is}, expected {}", self.expected()))
    }

    fn allows_number(&self, n: &Number) -> bool {
        let in_steps = match (self.step, integer(n)) {
            (Some(step), Some(n)) => n % i128::from(step.get()) == 0,
            _ => true,
        };
        let above = self.min.as_ref().is_none_or(|min| compare(n, min) != Ordering::Less);
        let below = self.max.as_ref().is_none_or(|max| compare(n, max) != Ordering::Greater);
        in_steps && above && below
    }

    fn allows_text(&self, text: &str) -> bool {
        let matches = self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text));
        let chosen = if self.multichoice {
            text.split(&self.separator).all(|choice| self.allows(&choice.trim().into()))
        } else {
            self.allows(&text.into())
        };
        matches && chosen && !text.is_empty()
    }

    fn allows(&self, value: &Value) -> bool {
        self.range.is_empty()
            || self.range.iter().any(|allowed| match (allowed, value) {
                (Value::Number(a), Value::Number(b)) => compare(a, b) == Ordering::Equal,
                (a, b) => a == b,
            })
    }

    /// What it accepts, for people: `an integer from 1 to 50`.
    pub(super) fn expected(&self) -> String {
        let mut text = match self.kind {
            Kind::Array => {
                let keys: Vec<_> = self.properties.iter().map(|item| item.key.as_str()).collect();
                return format!("an object with the keys {}", keys.join(", "));
            }
            Kind::Boolean => "true or false".to_owned(),
            _ if !self.range.is_empty() => {
                let values: Vec<_> = self.range.iter().map(shown).collect();
                let one = if self.multichoice { "any" } else { "one" };
                format!("{one} of {}", values.join(", "))
            }
            Kind::Integer => "an integer".to_owned(),
            Kind::Number => "a number".to_owned(),
            Kind::String | Kind::Password => "a string".to_owned(),
        };
        let _ = match (&self.min, &self.max) {
            (Some(min), Some(max)) => write!(text, " from {min} to {max}"),
            (Some(min), None) => write!(text, " of at least {min}"),
            (None, Some(max)) => write!(text, " of at most {max}"),
            (None, None) => Ok(()),
        };
        if let Some(step) = self.step {
            let _ = write!(text, " in steps of {step}");
        }
        if self.multichoice {
            let _ = write!(text, ", separated by `{}`", self.separator);
        }
        if let Some(pattern) = &self.pattern {
            let _ = write!(text, " that matches `{pattern}`");
        }
        text
    }

    /// The value that `text` stands for; where it can't be one of this kind, the text, which no check passes.
    pub(super) fn parse(&self, text: &str) -> Value {
        let parsed = match self.kind {
            Kind::Integer | Kind::Number | Kind::Boolean => serde_json::from_str(text).ok(),
            Kind::String | Kind::Password | Kind::Array => None,
        };
        parsed.unwrap_or_else(|| text.into())
    }

    /// Calls `each` with every item below this one, and its path.
    pub(super) fn for_each(&self, path: &str, each: &mut impl FnMut(&str, &Item)) {
        for item in &self.properties {
            let path = join(path, &item.key);
            each(&path, item);
            item.for_each(&path, each);
        }
    }

    /// Whether `value` has the right type, whatever the rules say.
    pub(super) fn is_of_kind(&self, value: &Value) -> bool {
        match self.kind {
            Kind::Integer => value.is_i64() || value.is_u64(),
            Kind::Number => value.is_number(),
            Kind::String | Kind::Password => value.is_string(),
            Kind::Boolean => value.is_boolean(),
            Kind::Array => true,
        }
    }
}

/// Control characters but for tab and line ends, and the two that stand around a password's path.
fn is_reserved(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || matches!(c, '\u{e000}' | '\u{e001}')
}

/// A value in an error, cut short.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Its exact value, if it is an integer.
pub(super) fn integer(n: &Number) -> Option<i128> {
    n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from))
}

/// Exact between integers; a float is only ever compared as a float.
fn compare(a: &Number, b: &Number) -> Ordering {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        // JSON has no NaN.
        _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
    }
}

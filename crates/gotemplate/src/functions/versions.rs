//! Semantic versions in templates.

use std::any::Any;

use super::args::Answer;
use crate::call::{Call, Entry, FunctionError};
use crate::kind::{Integer, Kind};
use crate::object::Object;
use crate::semver::{Constraint, Version};
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] =
    &[Entry::exact("semver", 1, semver), Entry::exact("semverCompare", 2, semver_compare)];

fn parse(text: &str) -> Result<Version, FunctionError> {
    Version::parse(text).map_err(FunctionError::failed)
}

fn semver(call: &mut Call<'_>) -> Answer {
    Ok(Value::object(parse(&call.string(0)?)?))
}

fn semver_compare(call: &mut Call<'_>) -> Answer {
    let (constraint, version) = (call.string(0)?, call.string(1)?);
    call.spend(10 + constraint.len() * 2)?;
    let constraint = Constraint::parse(&constraint).map_err(FunctionError::failed)?;
    Ok(constraint.accepts(&parse(&version)?).into())
}

fn other(call: &Call<'_>, method: &str) -> Result<Version, FunctionError> {
    match call.value(0) {
        Value::Object(object) => match object.as_any().downcast_ref::<Version>() {
            Some(version) => Ok(version.clone()),
            None => Err(super::args::wrong_type("*semver.Version", call.value(0))),
        },
        // The original looks inside the pointer.
        Value::Nil if method != "Equal" => Err(super::args::nil_pointer()),
        found => Err(super::args::wrong_type("*semver.Version", found)),
    }
}

fn number(number: u64) -> Value {
    Value::Integer(Integer::Uint64, i64::try_from(number).unwrap_or(i64::MAX))
}

impl Object for Version {
    fn type_name(&self) -> &str {
        "*semver.Version"
    }

    fn kind(&self) -> Kind {
        Kind::Pointer
    }

    fn call(&self, method: &str, call: &mut Call<'_>) -> Option<Result<Value, FunctionError>> {
        Some(Ok(match method {
            "Major" => number(self.major()),
            "Minor" => number(self.minor()),
            "Patch" => number(self.patch()),
            "Prerelease" => self.prerelease().into(),
            "Metadata" => self.metadata().into(),
            "Original" => self.original().into(),
            "String" => self.to_string().into(),
            "IncPatch" => Value::object(self.next_patch()),
            "IncMinor" => Value::object(self.next_minor()),
            "IncMajor" => Value::object(self.next_major()),
            "Compare" | "Equal" | "LessThan" | "LessThanEqual" | "GreaterThan" | "GreaterThanEqual" => {
                let order = match other(call, method) {
                    Ok(other) => self.compare(&other),
                    Err(error) => return Some(Err(error)),
                };
                match method {
                    "Compare" => Value::int(order as i64),
                    "Equal" => order.is_eq().into(),
                    "LessThan" => order.is_lt().into(),
                    "LessThanEqual" => order.is_le().into(),
                    "GreaterThan" => order.is_gt().into(),
                    _ => order.is_ge().into(),
                }
            }
            "SetPrerelease" | "SetMetadata" => {
                let text = match call.string(0) {
                    Ok(text) => text,
                    Err(error) => return Some(Err(error)),
                };
                return Some(self.with(method == "SetPrerelease", &text).map(Value::object));
            }
            _ => return None,
        }))
    }

    fn print(&self) -> String {
        self.to_string()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Version {
    /// The same version with another prerelease or other metadata.
    fn with(&self, prerelease: bool, text: &str) -> Result<Version, FunctionError> {
        let prefix = if self.original().starts_with('v') { "v" } else { "" };
        let numbers = format!("{prefix}{}.{}.{}", self.major(), self.minor(), self.patch());
        let (before, after) = if prerelease { (text, self.metadata()) } else { (self.prerelease(), text) };
        let mut whole = numbers;
        if !before.is_empty() {
            whole = format!("{whole}-{before}");
        }
        if !after.is_empty() {
            whole = format!("{whole}+{after}");
        }
        Version::parse(&whole).map_err(|_| {
            FunctionError::failed(if prerelease {
                "invalid prerelease string"
            } else {
                "invalid metadata string"
            })
        })
    }
}

//! A length of time as Go's `time.Duration`.

use std::any::Any;

use crate::call::{Call, FunctionError};
use crate::format::quoted;
use crate::kind::{Integer, Kind};
use crate::object::Object;
use crate::value::Value;

const SECOND: u64 = 1_000_000_000;

/// A length of time in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Duration(i64);

impl Duration {
    pub(super) fn of_nanoseconds(nanoseconds: i64) -> Duration {
        Duration(nanoseconds)
    }

    pub(super) fn of_seconds(seconds: i64) -> Duration {
        Duration(seconds.wrapping_mul(SECOND as i64))
    }

    pub(super) fn nanoseconds(self) -> i64 {
        self.0
    }

    /// As a number of `unit` nanoseconds, with a fraction.
    pub(super) fn in_units(self, unit: i64) -> f64 {
        (self.0 / unit) as f64 + (self.0 % unit) as f64 / unit as f64
    }

    /// To the nearest multiple of another one, halves away from zero.
    pub(super) fn rounded(self, unit: Duration) -> Duration {
        if unit.0 <= 0 {
            return self;
        }
        let (size, unit) = (self.0.unsigned_abs(), unit.0.unsigned_abs());
        let rest = size % unit;
        let size = if rest + rest < unit { size - rest } else { size - rest + unit };
        match (i64::try_from(size), self.0 < 0) {
            (Ok(size), true) => Duration(-size),
            (Ok(size), false) => Duration(size),
            (Err(_), true) => Duration(i64::MIN),
            (Err(_), false) => Duration(i64::MAX),
        }
    }

    /// To a multiple of another one, toward zero.
    pub(super) fn truncated(self, unit: Duration) -> Duration {
        if unit.0 <= 0 { self } else { Duration(self.0 - self.0 % unit.0) }
    }

    /// Reads `1h2m3.5s`.
    ///
    /// # Errors
    ///
    /// Go's words for what it does not accept.
    pub(super) fn parse(text: &str) -> Result<Duration, String> {
        let invalid = || format!("time: invalid duration {}", quoted(text.as_bytes(), '"', false));
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Duration(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total = 0u64;
        while !rest.is_empty() {
            let (whole, after) = digits(rest);
            let (fraction, after) = match after.strip_prefix('.') {
                Some(after) => digits(after),
                None => ("", after),
            };
            if whole.is_empty() && fraction.is_empty() {
                return Err(invalid());
            }
            let end = after.find(|next: char| next == '.' || next.is_ascii_digit()).unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            if unit.is_empty() {
                return Err(format!(
                    "time: missing unit in duration {}",
                    quoted(text.as_bytes(), '"', false)
                ));
            }
            let Some(size) = unit_size(unit) else {
                let (unit, text) = (quoted(unit.as_bytes(), '"', false), quoted(text.as_bytes(), '"', false));
                return Err(format!("time: unknown unit {unit} in duration {text}"));
            };
            let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
            let amount = whole.checked_mul(size).and_then(|amount| amount.checked_add(part(fraction, size)));
            total = amount.and_then(|amount| total.checked_add(amount)).ok_or_else(invalid)?;
            if total > 1 << 63 {
                return Err(invalid());
            }
            rest = after;
        }
        match (negative, i64::try_from(total)) {
            (true, _) => Ok(Duration(0i64.wrapping_sub_unsigned(total))),
            (false, Ok(total)) => Ok(Duration(total)),
            (false, Err(_)) => Err(invalid()),
        }
    }
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|next: char| !next.is_ascii_digit()).unwrap_or(text.len()))
}

fn unit_size(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        _ => return None,
    })
}

/// That many tenths, hundredths and so on of a unit; Go does this in floating point.
fn part(fraction: &str, size: u64) -> u64 {
    let (mut number, mut scale) = (0u64, 1.0);
    for digit in fraction.bytes().map(|digit| u64::from(digit - b'0')) {
        match number
            .checked_mul(10)
            .and_then(|number| number.checked_add(digit))
            .filter(|more| *more <= i64::MAX as u64)
        {
            Some(more) => number = more,
            None => break,
        }
        scale *= 10.0;
    }
    (number as f64 * (size as f64 / scale)) as u64
}

/// A number of units with its fraction.
fn with_fraction(nanoseconds: u64, unit: u64, digits: usize) -> String {
    let text = format!("{}.{:0digits$}", nanoseconds / unit, nanoseconds % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Object for Duration {
    fn type_name(&self) -> &str {
        "time.Duration"
    }

    fn kind(&self) -> Kind {
        Kind::Integer(Integer::Int64)
    }

    fn call(&self, method: &str, call: &mut Call<'_>) -> Option<Result<Value, FunctionError>> {
        Some(Ok(match method {
            "Hours" => self.in_units(3600 * SECOND as i64).into(),
            "Minutes" => self.in_units(60 * SECOND as i64).into(),
            "Seconds" => self.in_units(SECOND as i64).into(),
            "Milliseconds" => Value::int64(self.0 / 1_000_000),
            "Microseconds" => Value::int64(self.0 / 1000),
            "Nanoseconds" => Value::int64(self.0),
            "String" => self.print().into(),
            "Abs" => Value::object(Duration(self.0.saturating_abs())),
            "Round" | "Truncate" => match super::duration_argument(call, 0) {
                Ok(unit) if method == "Round" => Value::object(self.rounded(unit)),
                Ok(unit) => Value::object(self.truncated(unit)),
                Err(error) => return Some(Err(error)),
            },
            _ => return None,
        }))
    }

    fn print(&self) -> String {
        let size = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let text = match size {
            0 => return "0s".to_owned(),
            1..1000 => format!("{size}ns"),
            1000..1_000_000 => with_fraction(size, 1000, 3) + "µs",
            1_000_000..SECOND => with_fraction(size, 1_000_000, 6) + "ms",
            _ => {
                let minutes = size / (60 * SECOND);
                let seconds = with_fraction(size % (60 * SECOND), SECOND, 9) + "s";
                match (minutes / 60, minutes % 60) {
                    (0, 0) => seconds,
                    (0, minutes) => format!("{minutes}m{seconds}"),
                    (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
                }
            }
        };
        format!("{sign}{text}")
    }

    fn data(&self) -> Value {
        Value::int64(self.0)
    }

    fn truth(&self) -> bool {
        self.0 != 0
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

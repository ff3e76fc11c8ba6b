//! Times and durations in templates. What the time is, the host says.

mod calendar;
mod duration;
mod instant;
mod layout;
mod parse;

use self::calendar::Zone;
use self::duration::Duration;
use self::instant::{Instant, argument, as_instant};
use super::args::{Answer, wrong_type};
use crate::call::{Call, Entry, FunctionError};
use crate::format::quoted;
use crate::kind::{Integer, Kind};
use crate::number::parse_float;
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::exact("ago", 1, ago),
    Entry::exact("date", 2, date),
    Entry::exact("dateInZone", 3, date_in_zone),
    Entry::exact("dateModify", 2, date_modify),
    Entry::exact("date_in_zone", 3, date_in_zone),
    Entry::exact("date_modify", 2, date_modify),
    Entry::exact("duration", 1, duration),
    Entry::exact("durationDays", 1, |call| in_units(call, HOUR * 24)),
    Entry::exact("durationHours", 1, |call| in_units(call, HOUR)),
    Entry::exact("durationMicroseconds", 1, |call| in_whole_units(call, 1000)),
    Entry::exact("durationMilliseconds", 1, |call| in_whole_units(call, 1_000_000)),
    Entry::exact("durationMinutes", 1, |call| in_units(call, SECOND * 60)),
    Entry::exact("durationNanoseconds", 1, |call| in_whole_units(call, 1)),
    Entry::exact("durationRound", 1, duration_round),
    Entry::exact("durationRoundTo", 2, |call| to_multiple(call, Duration::rounded)),
    Entry::exact("durationSeconds", 1, |call| in_units(call, SECOND)),
    Entry::exact("durationTruncateTo", 2, |call| to_multiple(call, Duration::truncated)),
    Entry::exact("durationWeeks", 1, |call| in_units(call, HOUR * 24 * 7)),
    Entry::exact("htmlDate", 1, html_date),
    Entry::exact("htmlDateInZone", 2, html_date_in_zone),
    Entry::exact("mustDateModify", 2, must_date_modify),
    Entry::exact("mustToDate", 2, must_to_date),
    Entry::exact("mustToDuration", 1, must_to_duration),
    Entry::exact("must_date_modify", 2, must_date_modify),
    Entry::exact("now", 0, now),
    Entry::exact("toDate", 2, to_date),
    Entry::exact("unixEpoch", 1, unix_epoch),
];

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600 * SECOND;

/// A time from its date, its second and nanosecond of the day, and its zone, which is UTC if it has none.
pub(super) fn value(
    (year, month, day): (i64, i64, i64),
    (seconds, nanoseconds): (i64, u32),
    zone: Option<&str>,
    offset: i64,
) -> Value {
    let seconds = calendar::days(year, month, day) * calendar::DAY_S + seconds - offset;
    let zone = zone.map_or(Zone::Utc, |name| Zone::Fixed(name.to_owned(), offset));
    Value::object(Instant { seconds, nanoseconds, zone })
}

/// Seconds since 1970 in a layout, in UTC.
pub(super) fn formatted_utc(seconds: i64, layout: &str) -> String {
    Instant::utc(seconds).format(layout)
}

/// The number of a month or of a day of the week.
pub(super) fn named_number(value: &Value) -> Option<i64> {
    match value {
        Value::Object(object) => Some(object.as_any().downcast_ref::<instant::Named>()?.number),
        _ => None,
    }
}

/// How `toYamlPretty` writes a time or a duration: a text, and whether it is written without quotes.
pub(super) fn yaml_text(value: &Value) -> Option<(String, bool)> {
    if let Some(duration) = as_duration(value) {
        return Some((crate::object::Object::print(&duration), false));
    }
    let data = crate::object::Object::data(as_instant(value)?);
    Some((data.as_str().unwrap_or_default().to_owned(), true))
}

/// An argument of the type `time.Duration`; a literal is one in nanoseconds.
fn duration_argument(call: &Call<'_>, index: usize) -> Result<Duration, FunctionError> {
    match call.value(index) {
        Value::Integer(Integer::Int, number) => Ok(Duration::of_nanoseconds(*number)),
        value => as_duration(value).ok_or_else(|| wrong_type("time.Duration", value)),
    }
}

fn as_duration(value: &Value) -> Option<Duration> {
    match value {
        Value::Object(object) => object.as_any().downcast_ref().copied(),
        _ => None,
    }
}

/// The time that a value is: also of seconds since 1970, if they are an integer. Anything else is now.
fn time_of(call: &Call<'_>, value: &Value) -> Instant {
    match value {
        Value::Integer(Integer::Int | Integer::Int32 | Integer::Int64, seconds) => Instant::utc(*seconds),
        value => as_instant(value).cloned().unwrap_or_else(|| Instant::now(call)),
    }
}

fn formatted(call: &Call<'_>, layout: &str, time: &Value, zone: &str) -> Answer {
    call.spend(layout.len() * 2)?;
    let zone = Zone::find(zone).unwrap_or(Zone::Utc);
    let text = time_of(call, time).within(zone).format(layout);
    call.allocate(text.len())?;
    Ok(text.into())
}

fn now(call: &mut Call<'_>) -> Answer {
    Ok(Value::object(Instant::now(call)))
}

fn ago(call: &mut Call<'_>) -> Answer {
    let passed = Instant::now(call).since(&time_of(call, call.value(0)));
    Ok(printed(passed.rounded(Duration::of_seconds(1))))
}

fn printed(duration: Duration) -> Value {
    crate::object::Object::print(&duration).into()
}

fn date(call: &mut Call<'_>) -> Answer {
    formatted(call, &call.string(0)?, call.value(1), "Local")
}

fn date_in_zone(call: &mut Call<'_>) -> Answer {
    formatted(call, &call.string(0)?, call.value(1), &call.string(2)?)
}

fn html_date(call: &mut Call<'_>) -> Answer {
    formatted(call, "2006-01-02", call.value(0), "Local")
}

fn html_date_in_zone(call: &mut Call<'_>) -> Answer {
    formatted(call, "2006-01-02", call.value(0), &call.string(1)?)
}

/// A duration in Go's notation. What is none becomes part of an error, whatever its length.
fn parsed(call: &Call<'_>, text: &str) -> Result<Duration, FunctionError> {
    call.spend(text.len() / 4)?;
    Duration::parse(text).map_err(FunctionError::Failed)
}

fn must_date_modify(call: &mut Call<'_>) -> Answer {
    let (text, time) = (call.string(0)?, argument(call, 1)?);
    Ok(Value::object(time.plus(parsed(call, &text)?)))
}

fn date_modify(call: &mut Call<'_>) -> Answer {
    match must_date_modify(call) {
        Err(FunctionError::Failed(_)) => argument(call, 1).map(Value::object),
        other => other,
    }
}

fn must_to_date(call: &mut Call<'_>) -> Answer {
    let (layout, text) = (call.string(0)?, call.string(1)?);
    call.spend(layout.len() + text.len())?;
    parse::parse(&layout, &text).map(Value::object).map_err(FunctionError::Failed)
}

fn to_date(call: &mut Call<'_>) -> Answer {
    match must_to_date(call) {
        Err(FunctionError::Failed(_)) => Ok(Value::object(Instant::zero())),
        other => other,
    }
}

fn unix_epoch(call: &mut Call<'_>) -> Answer {
    Ok(argument(call, 0)?.seconds.to_string().into())
}

fn duration(call: &mut Call<'_>) -> Answer {
    let seconds = match call.value(0) {
        Value::String(text) => super::numbers::clamped(text, 10),
        Value::Integer(Integer::Int64, number) => *number,
        _ => 0,
    };
    Ok(printed(Duration::of_seconds(seconds)))
}

fn duration_round(call: &mut Call<'_>) -> Answer {
    let duration = match call.value(0) {
        Value::String(text) => parsed(call, text).unwrap_or(Duration::of_seconds(0)),
        Value::Integer(Integer::Int64, number) => Duration::of_nanoseconds(*number),
        value => match as_instant(value) {
            Some(time) => Instant::now(call).since(time),
            None => Duration::of_seconds(0),
        },
    };
    let size = duration.nanoseconds().unsigned_abs();
    const UNITS: [(i64, &str); 6] = [
        (HOUR * 24 * 365, "y"),
        (HOUR * 24 * 30, "mo"),
        (HOUR * 24, "d"),
        (HOUR, "h"),
        (SECOND * 60, "m"),
        (SECOND, "s"),
    ];
    let unit = UNITS.iter().find(|(unit, _)| size > unit.unsigned_abs());
    Ok(unit.map_or("0s".into(), |(unit, name)| format!("{}{name}", size / unit.unsigned_abs()).into()))
}

/// What Helm's own functions take for a duration: also numbers, which are seconds.
fn duration_of(call: &Call<'_>, index: usize) -> Result<Duration, FunctionError> {
    const MOST: i64 = i64::MAX / SECOND;
    let failed = |message: String| Err(FunctionError::Failed(message));
    match call.value(index) {
        Value::Nil => failed("invalid duration".to_owned()),
        Value::String(text) => {
            let trimmed = text.trim();
            if trimmed.is_empty() {
                return failed("empty duration".to_owned());
            }
            match (parsed(call, trimmed), parse_float(trimmed)) {
                (Ok(duration), _) => Ok(duration),
                (Err(_), Ok(seconds)) => duration_of_float(seconds),
                (Err(_), Err(_)) => {
                    failed(format!("could not parse duration {}", quoted(text.as_bytes(), '"', false)))
                }
            }
        }
        Value::Integer(_, seconds) if seconds.unsigned_abs() > MOST.unsigned_abs() => {
            failed(format!("duration seconds overflow: {seconds}"))
        }
        Value::Integer(_, seconds) => Ok(Duration::of_seconds(*seconds)),
        Value::Float(seconds) => duration_of_float(*seconds),
        value => match (as_duration(value), named_number(value)) {
            (Some(duration), _) => Ok(duration),
            (None, Some(number)) => Ok(Duration::of_seconds(number)),
            (None, None) => {
                debug_assert!(value.kind() != Kind::Invalid);
                failed(format!("unsupported duration type {}", value.type_name()))
            }
        },
    }
}

fn duration_of_float(seconds: f64) -> Result<Duration, FunctionError> {
    const MOST: f64 = i64::MAX as f64 / SECOND as f64;
    let shown = crate::print::float(seconds);
    if !seconds.is_finite() {
        return Err(FunctionError::Failed(format!("invalid duration seconds: {shown}")));
    }
    if seconds.abs() > MOST {
        return Err(FunctionError::Failed(format!("duration seconds overflow: {shown}")));
    }
    Ok(Duration::of_nanoseconds(super::args::float_to_int(seconds * SECOND as f64)))
}

fn must_to_duration(call: &mut Call<'_>) -> Answer {
    duration_of(call, 0).map(Value::object)
}

/// The duration in a unit; 0 if it is none.
fn in_units(call: &Call<'_>, unit: i64) -> Answer {
    Ok(match duration_of(call, 0) {
        // Days and weeks are counted from hours.
        Ok(duration) if unit > HOUR => (duration.in_units(HOUR) / 24.0 / (unit / HOUR / 24) as f64).into(),
        Ok(duration) => duration.in_units(unit).into(),
        Err(_) => 0.0.into(),
    })
}

fn in_whole_units(call: &Call<'_>, unit: i64) -> Answer {
    Ok(Value::int64(duration_of(call, 0).map_or(0, |duration| duration.nanoseconds() / unit)))
}

fn to_multiple(call: &Call<'_>, round: fn(Duration, Duration) -> Duration) -> Answer {
    Ok(Value::object(match (duration_of(call, 0), duration_of(call, 1)) {
        (Err(_), _) => Duration::of_seconds(0),
        (Ok(duration), Err(_)) => duration,
        (Ok(duration), Ok(unit)) => round(duration, unit),
    }))
}

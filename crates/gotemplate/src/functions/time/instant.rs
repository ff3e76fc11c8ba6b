//! A point in time as Go's `time.Time`: with a zone, and methods for templates.

use std::any::Any;
use std::fmt::Write;

use super::calendar::{self, DAY_S, MONTHS, WEEKDAYS, Zone};
use super::duration::Duration;
use super::layout::{Offset, Part, next_part};
use crate::call::{Call, FunctionError};
use crate::functions::args::wrong_type;
use crate::kind::{Integer, Kind};
use crate::object::Object;
use crate::runtime::Timestamp;
use crate::value::Value;

/// The zero time of Go, the start of the year 1.
const ZERO: i64 = -62_135_596_800;

/// A point in time.
#[derive(Clone, Debug)]
pub(super) struct Instant {
    /// Since 1970.
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
    pub(super) zone: Zone,
}

/// A point in time on the clock and the calendar of its zone.
struct Clock {
    year: i64,
    month: i64,
    day: i64,
    weekday: usize,
    year_day: i64,
    second_of_day: i64,
    zone_name: String,
    offset: i64,
}

impl Instant {
    pub(super) fn utc(seconds: i64) -> Instant {
        Instant { seconds, nanoseconds: 0, zone: Zone::Utc }
    }

    pub(super) fn zero() -> Instant {
        Instant::utc(ZERO)
    }

    pub(super) fn now(call: &Call<'_>) -> Instant {
        let Timestamp { seconds, nanoseconds } = call.runtime().host(|host| host.now());
        Instant { seconds, nanoseconds, zone: Zone::Utc }
    }

    pub(super) fn within(self, zone: Zone) -> Instant {
        Instant { zone, ..self }
    }

    pub(super) fn plus(&self, duration: Duration) -> Instant {
        let nanoseconds = i128::from(self.nanoseconds) + i128::from(duration.nanoseconds());
        let seconds = self.seconds.saturating_add(nanoseconds.div_euclid(1_000_000_000) as i64);
        let nanoseconds = nanoseconds.rem_euclid(1_000_000_000) as u32;
        Instant { seconds, nanoseconds, zone: self.zone.clone() }
    }

    /// How long after another one it is; what does not fit is the longest duration.
    pub(super) fn since(&self, earlier: &Instant) -> Duration {
        let difference = self.total_nanoseconds() - earlier.total_nanoseconds();
        Duration::of_nanoseconds(difference.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }

    fn total_nanoseconds(&self) -> i128 {
        i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanoseconds)
    }

    fn clock(&self) -> Clock {
        let (zone_name, offset) = self.zone.at(self.seconds);
        let local = self.seconds.saturating_add(offset);
        let days = local.div_euclid(DAY_S);
        let (year, month, day) = calendar::date(days);
        Clock {
            year,
            month,
            day,
            weekday: days.saturating_add(4).rem_euclid(7) as usize,
            year_day: days - calendar::days(year, 1, 1) + 1,
            second_of_day: local.rem_euclid(DAY_S),
            zone_name,
            offset,
        }
    }

    /// Writes the time in a layout.
    pub(super) fn format(&self, layout: &str) -> String {
        let clock = self.clock();
        let mut out = String::with_capacity(layout.len() + 16);
        let mut rest = layout;
        loop {
            let (before, part, after) = next_part(rest);
            out.push_str(before);
            let Some((part, _)) = part else {
                return out;
            };
            self.write_part(&clock, part, &mut out);
            rest = after;
        }
    }

    fn write_part(&self, clock: &Clock, part: Part, out: &mut String) {
        let hour = clock.second_of_day / 3600;
        let minute = clock.second_of_day / 60 % 60;
        let second = clock.second_of_day % 60;
        let hour12 = (hour + 11) % 12 + 1;
        let month = MONTHS[(clock.month - 1).rem_euclid(12) as usize];
        let weekday = WEEKDAYS[clock.weekday];
        // Writing to a string can't fail.
        let _ = match part {
            Part::LongMonth => write!(out, "{month}"),
            Part::Month => write!(out, "{}", &month[..3]),
            Part::NumberMonth => write!(out, "{}", clock.month),
            Part::ZeroMonth => write!(out, "{:02}", clock.month),
            Part::LongWeekday => write!(out, "{weekday}"),
            Part::Weekday => write!(out, "{}", &weekday[..3]),
            Part::Day => write!(out, "{}", clock.day),
            Part::UnderDay => write!(out, "{:2}", clock.day),
            Part::ZeroDay => write!(out, "{:02}", clock.day),
            Part::UnderYearDay => write!(out, "{:3}", clock.year_day),
            Part::ZeroYearDay => write!(out, "{:03}", clock.year_day),
            Part::Hour => write!(out, "{hour:02}"),
            Part::Hour12 => write!(out, "{hour12}"),
            Part::ZeroHour12 => write!(out, "{hour12:02}"),
            Part::Minute => write!(out, "{minute}"),
            Part::ZeroMinute => write!(out, "{minute:02}"),
            Part::Second => write!(out, "{second}"),
            Part::ZeroSecond => write!(out, "{second:02}"),
            Part::LongYear if clock.year < 0 => write!(out, "-{:04}", -clock.year),
            Part::LongYear => write!(out, "{:04}", clock.year),
            Part::Year => write!(out, "{:02}", clock.year.max(0) % 100),
            Part::UpperHalf => write!(out, "{}", if hour >= 12 { "PM" } else { "AM" }),
            Part::LowerHalf => write!(out, "{}", if hour >= 12 { "pm" } else { "am" }),
            Part::ZoneName if !clock.zone_name.is_empty() => write!(out, "{}", clock.zone_name),
            Part::ZoneName => {
                write_offset(
                    out,
                    clock.offset,
                    Offset { z: false, colons: false, minutes: true, seconds: false },
                );
                Ok(())
            }
            Part::Offset(form) => {
                write_offset(out, clock.offset, form);
                Ok(())
            }
            Part::ZeroFraction(digits, separator) => {
                let fraction = format!("{:09}", self.nanoseconds);
                write!(out, "{separator}{:0<digits$}", &fraction[..digits.min(9)])
            }
            Part::Fraction(digits, separator) => {
                let fraction = format!("{:09}", self.nanoseconds);
                let fraction = fraction[..digits.min(9)].trim_end_matches('0');
                if fraction.is_empty() { Ok(()) } else { write!(out, "{separator}{fraction}") }
            }
        };
    }

    /// What a method of Go's returns; `None` if there is none of this name.
    fn method(&self, method: &str, call: &mut Call<'_>) -> Option<Result<Value, FunctionError>> {
        let clock = self.clock();
        let number = |number: i64| Ok(Value::int(number));
        Some(match method {
            "Year" => number(clock.year),
            "Month" => Ok(Value::object(Named {
                names: &MONTHS,
                first: 1,
                number: clock.month,
                go_type: "time.Month",
            })),
            "Weekday" => {
                let number = clock.weekday as i64;
                Ok(Value::object(Named { names: &WEEKDAYS, first: 0, number, go_type: "time.Weekday" }))
            }
            "Day" => number(clock.day),
            "YearDay" => number(clock.year_day),
            "Hour" => number(clock.second_of_day / 3600),
            "Minute" => number(clock.second_of_day / 60 % 60),
            "Second" => number(clock.second_of_day % 60),
            "Nanosecond" => number(self.nanoseconds.into()),
            "Unix" => Ok(Value::int64(self.seconds)),
            "UnixMilli" => Ok(Value::int64((self.total_nanoseconds().div_euclid(1_000_000)) as i64)),
            "UnixMicro" => Ok(Value::int64((self.total_nanoseconds().div_euclid(1000)) as i64)),
            "UnixNano" => Ok(Value::int64(self.total_nanoseconds() as i64)),
            "IsZero" => Ok((self.seconds == ZERO && self.nanoseconds == 0).into()),
            "UTC" | "Local" => Ok(Value::object(self.clone().within(Zone::Utc))),
            "String" => Ok(self.print().into()),
            "Format" => call.string(0).map(|layout| self.format(&layout).into()),
            "Add" => super::duration_argument(call, 0).map(|duration| Value::object(self.plus(duration))),
            "AddDate" => self.add_date(call),
            "Sub" => argument(call, 0).map(|other| Value::object(self.since(&other))),
            "Before" => {
                argument(call, 0).map(|other| (self.total_nanoseconds() < other.total_nanoseconds()).into())
            }
            "After" => {
                argument(call, 0).map(|other| (self.total_nanoseconds() > other.total_nanoseconds()).into())
            }
            "Equal" => {
                argument(call, 0).map(|other| (self.total_nanoseconds() == other.total_nanoseconds()).into())
            }
            "Truncate" | "Round" => super::duration_argument(call, 0).map(|unit| {
                // Counted from the zero time, which also has negative ones of its own only before it.
                let since_zero = self.total_nanoseconds() - i128::from(ZERO) * 1_000_000_000;
                let unit = i128::from(unit.nanoseconds());
                let mut rest = if unit <= 0 { 0 } else { since_zero.rem_euclid(unit) };
                if method == "Round" && rest * 2 >= unit {
                    rest -= unit;
                }
                Value::object(self.plus(Duration::of_nanoseconds(-(rest.max(i64::MIN.into()) as i64))))
            }),
            _ => return None,
        })
    }

    fn add_date(&self, call: &Call<'_>) -> Result<Value, FunctionError> {
        const MANY: i64 = 10_000_000;
        let (years, months, days) = (call.int(0)?, call.int(1)?, call.int(2)?);
        let clock = self.clock();
        let (years, months) = (years.clamp(-MANY, MANY), months.clamp(-MANY, MANY));
        let day = clock.day + days.clamp(-MANY, MANY);
        let days = calendar::days(clock.year + years, clock.month + months, 1) + day - 1;
        let local = days.saturating_mul(DAY_S) + clock.second_of_day;
        // The offset may be another one on that day.
        let (_, offset) = self.zone.at(local - clock.offset);
        Ok(Value::object(Instant { seconds: local - offset, ..self.clone() }))
    }
}

fn write_offset(out: &mut String, offset: i64, form: Offset) {
    if form.z && offset == 0 {
        out.push('Z');
        return;
    }
    let colon = if form.colons { ":" } else { "" };
    let size = offset.abs();
    // Writing to a string can't fail.
    let _ = write!(out, "{}{:02}", if offset < 0 { '-' } else { '+' }, size / 3600);
    if form.minutes {
        let _ = write!(out, "{colon}{:02}", size / 60 % 60);
    }
    if form.seconds {
        let _ = write!(out, "{colon}{:02}", size % 60);
    }
}

/// An argument of the type `time.Time`.
pub(super) fn argument(call: &Call<'_>, index: usize) -> Result<Instant, FunctionError> {
    as_instant(call.value(index)).cloned().ok_or_else(|| wrong_type("time.Time", call.value(index)))
}

/// The time that a value is.
pub(super) fn as_instant(value: &Value) -> Option<&Instant> {
    match value {
        Value::Object(object) => object.as_any().downcast_ref(),
        _ => None,
    }
}

impl Object for Instant {
    fn type_name(&self) -> &str {
        "time.Time"
    }

    fn call(&self, method: &str, call: &mut Call<'_>) -> Option<Result<Value, FunctionError>> {
        self.method(method, call)
    }

    fn print(&self) -> String {
        self.format("2006-01-02 15:04:05.999999999 -0700 MST")
    }

    fn data(&self) -> Value {
        self.format("2006-01-02T15:04:05.999999999Z07:00").into()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A month or a day of the week: a number with a name.
pub(super) struct Named {
    names: &'static [&'static str],
    first: i64,
    pub(super) number: i64,
    go_type: &'static str,
}

impl Object for Named {
    fn type_name(&self) -> &str {
        self.go_type
    }

    fn kind(&self) -> Kind {
        Kind::Integer(Integer::Int)
    }

    fn call(&self, method: &str, _: &mut Call<'_>) -> Option<Result<Value, FunctionError>> {
        (method == "String").then(|| Ok(self.print().into()))
    }

    fn print(&self) -> String {
        let name = usize::try_from(self.number - self.first).ok().and_then(|index| self.names.get(index));
        name.map_or_else(|| self.number.to_string(), |name| (*name).to_owned())
    }

    fn data(&self) -> Value {
        Value::int(self.number)
    }

    fn truth(&self) -> bool {
        self.number != 0
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

//! Reading times in a layout. A time without a zone is in UTC.

use super::calendar::{self, DAY_S, MONTHS, WEEKDAYS, Zone};
use super::instant::Instant;
use super::layout::{Offset, Part, next_part};
use crate::format::quoted;

/// Why a part could not be read.
enum Problem {
    /// It is not written as it should be.
    Bad,
    /// It is too large.
    Range(&'static str),
}

/// What was read so far.
#[derive(Default)]
struct Fields {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanoseconds: u32,
    /// `PM` or `AM`.
    afternoon: Option<bool>,
    utc: bool,
    offset: Option<i64>,
    zone_name: String,
}

/// Reads a time.
///
/// # Errors
///
/// Go's words for what is wrong.
pub(super) fn parse(layout: &str, text: &str) -> Result<Instant, String> {
    let quote = |text: &str| quoted(text.as_bytes(), '"', false);
    let cannot = |part: &str, rest: &str| {
        format!(
            "parsing time {} as {}: cannot parse {} as {}",
            quote(text),
            quote(layout),
            quote(rest),
            quote(part)
        )
    };
    let mut fields = Fields::default();
    let (mut layout_rest, mut rest) = (layout, text);
    loop {
        let (before, part, after) = next_part(layout_rest);
        rest = skip(rest, before).map_err(|rest| cannot(before, rest))?;
        let Some((part, part_text)) = part else {
            if rest.is_empty() {
                break;
            }
            return Err(format!("parsing time {}: extra text: {}", quote(text), quote(rest)));
        };
        layout_rest = after;
        match fields.read(part, rest, after) {
            Ok(left) => rest = left,
            Err(Problem::Bad) => return Err(cannot(part_text, rest)),
            Err(Problem::Range(what)) => {
                return Err(format!("parsing time {}: {what} out of range", quote(text)));
            }
        }
    }
    fields.finish().map_err(|what| format!("parsing time {}: {what}", quote(text)))
}

/// Goes over text that has to be there; blanks are any number of blanks.
fn skip<'t>(mut text: &'t str, mut wanted: &str) -> Result<&'t str, &'t str> {
    while let Some(first) = wanted.chars().next() {
        if first == ' ' {
            if !text.is_empty() && !text.starts_with(' ') {
                return Err(text);
            }
            wanted = wanted.trim_start_matches(' ');
            text = text.trim_start_matches(' ');
        } else {
            text = text.strip_prefix(first).ok_or(text)?;
            wanted = &wanted[first.len_utf8()..];
        }
    }
    Ok(text)
}

fn is_digit(text: &str, index: usize) -> bool {
    text.as_bytes().get(index).is_some_and(u8::is_ascii_digit)
}

/// A number of one or of two digits; of two, if it is fixed.
fn number(text: &str, fixed: bool) -> Result<(i64, &str), Problem> {
    if !is_digit(text, 0) || (fixed && !is_digit(text, 1)) {
        return Err(Problem::Bad);
    }
    exact(text, 1 + usize::from(is_digit(text, 1)))
}

/// A number of this many digits.
fn exact(text: &str, digits: usize) -> Result<(i64, &str), Problem> {
    let head = text
        .get(..digits)
        .filter(|head| head.bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or(Problem::Bad)?;
    Ok((head.parse().map_err(|_| Problem::Bad)?, &text[digits..]))
}

fn in_range(number: i64, most: i64, what: &'static str) -> Result<i64, Problem> {
    if number > most { Err(Problem::Range(what)) } else { Ok(number) }
}

/// Which of the names the text begins with, in any case.
fn name<'t>(text: &'t str, names: &[&str], length: Option<usize>) -> Result<(i64, &'t str), Problem> {
    for (index, name) in names.iter().enumerate() {
        let name = &name[..length.unwrap_or(name.len())];
        if text.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)) {
            return Ok((index as i64, &text[name.len()..]));
        }
    }
    Err(Problem::Bad)
}

/// The nanoseconds of a separator and `digits` digits; what is beyond nine of them is dropped.
fn nanoseconds(text: &str, digits: usize) -> Result<(u32, &str), Problem> {
    let head = text.get(1..=digits).filter(|_| text.starts_with(['.', ','])).ok_or(Problem::Bad)?;
    if !head.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::Bad);
    }
    let padded = format!("{:0<9}", &head[..digits.min(9)]);
    Ok((padded.parse().map_err(|_| Problem::Bad)?, &text[1 + digits..]))
}

fn count_digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

impl Fields {
    /// Reads one part and returns the rest.
    fn read<'t>(&mut self, part: Part, text: &'t str, layout_after: &str) -> Result<&'t str, Problem> {
        let rest = match part {
            Part::Year => {
                let (year, rest) = exact(text, 2)?;
                self.year = if year >= 69 { 1900 } else { 2000 } + year;
                rest
            }
            Part::LongYear => {
                let (year, rest) = exact(text, 4)?;
                self.year = year;
                rest
            }
            Part::LongMonth | Part::Month => {
                let (month, rest) = name(text, &MONTHS, (part == Part::Month).then_some(3))?;
                self.month = Some(month + 1);
                rest
            }
            Part::NumberMonth | Part::ZeroMonth => {
                let (month, rest) = number(text, part == Part::ZeroMonth)?;
                if month == 0 {
                    return Err(Problem::Range("month"));
                }
                self.month = Some(in_range(month, 12, "month")?);
                rest
            }
            Part::LongWeekday | Part::Weekday => {
                name(text, &WEEKDAYS, (part == Part::Weekday).then_some(3))?.1
            }
            Part::Day | Part::UnderDay | Part::ZeroDay => {
                let text = if part == Part::UnderDay { text.strip_prefix(' ').unwrap_or(text) } else { text };
                let (day, rest) = number(text, part == Part::ZeroDay)?;
                self.day = Some(day);
                rest
            }
            Part::UnderYearDay | Part::ZeroYearDay => {
                let blanks = if part == Part::UnderYearDay {
                    text.bytes().take(2).take_while(|byte| *byte == b' ').count()
                } else {
                    0
                };
                let text = &text[blanks..];
                let digits = count_digits(text).min(3);
                let fixed = part == Part::ZeroYearDay && digits < 3;
                let (day, rest) =
                    if fixed || digits == 0 { return Err(Problem::Bad) } else { exact(text, digits)? };
                self.year_day = Some(day);
                rest
            }
            Part::Hour => {
                let (hour, rest) = number(text, false)?;
                self.hour = in_range(hour, 23, "hour")?;
                rest
            }
            Part::Hour12 | Part::ZeroHour12 => {
                let (hour, rest) = number(text, part == Part::ZeroHour12)?;
                self.hour = in_range(hour, 12, "hour")?;
                rest
            }
            Part::Minute | Part::ZeroMinute => {
                let (minute, rest) = number(text, part == Part::ZeroMinute)?;
                self.minute = in_range(minute, 59, "minute")?;
                rest
            }
            Part::Second | Part::ZeroSecond => {
                let (second, rest) = number(text, part == Part::ZeroSecond)?;
                self.second = in_range(second, 59, "second")?;
                self.fraction_of_second(rest, layout_after)?
            }
            Part::UpperHalf | Part::LowerHalf => {
                let (afternoon, morning) = if part == Part::UpperHalf { ("PM", "AM") } else { ("pm", "am") };
                self.afternoon = Some(text.starts_with(afternoon));
                text.strip_prefix(afternoon).or_else(|| text.strip_prefix(morning)).ok_or(Problem::Bad)?
            }
            Part::Offset(form) => self.offset(text, form)?,
            Part::ZoneName => {
                if let Some(rest) = text.strip_prefix("UTC") {
                    self.utc = true;
                    rest
                } else {
                    let (name, rest) = text.split_at(zone_name_length(text).ok_or(Problem::Bad)?);
                    name.clone_into(&mut self.zone_name);
                    rest
                }
            }
            Part::ZeroFraction(digits, _) => {
                let (fraction, rest) = nanoseconds(text, digits)?;
                self.nanoseconds = fraction;
                rest
            }
            Part::Fraction(..) => {
                if !text.starts_with(['.', ',']) || !is_digit(text, 1) {
                    // It may be left out.
                    return Ok(text);
                }
                let (fraction, rest) = nanoseconds(text, count_digits(&text[1..]))?;
                self.nanoseconds = fraction;
                rest
            }
        };
        Ok(rest)
    }

    /// A fraction behind the seconds is read also if the layout has none.
    fn fraction_of_second<'t>(&mut self, text: &'t str, layout_after: &str) -> Result<&'t str, Problem> {
        let in_layout =
            matches!(next_part(layout_after).1, Some((Part::Fraction(..) | Part::ZeroFraction(..), _)));
        if in_layout || !text.starts_with(['.', ',']) || !is_digit(text, 1) {
            return Ok(text);
        }
        let (fraction, rest) = nanoseconds(text, count_digits(&text[1..]))?;
        self.nanoseconds = fraction;
        Ok(rest)
    }

    fn offset<'t>(&mut self, text: &'t str, form: Offset) -> Result<&'t str, Problem> {
        if form.z && text.starts_with('Z') {
            self.utc = true;
            return Ok(&text[1..]);
        }
        let negative = match text.as_bytes().first() {
            Some(b'+') => false,
            Some(b'-') => true,
            _ => return Err(Problem::Bad),
        };
        let (hours, mut rest) = exact(&text[1..], 2)?;
        let (mut minutes, mut seconds) = (0, 0);
        for (wanted, number) in [(form.minutes, &mut minutes), (form.seconds, &mut seconds)] {
            if wanted {
                if form.colons {
                    rest = rest.strip_prefix(':').ok_or(Problem::Bad)?;
                }
                (*number, rest) = exact(rest, 2)?;
            }
        }
        in_range(hours, 24, "time zone offset hour")?;
        in_range(minutes, 60, "time zone offset minute")?;
        in_range(seconds, 60, "time zone offset second")?;
        let size = (hours * 60 + minutes) * 60 + seconds;
        self.offset = Some(if negative { -size } else { size });
        Ok(rest)
    }

    fn finish(self) -> Result<Instant, &'static str> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let (mut month, mut day) = (self.month, self.day);
        if let Some(year_day) = self.year_day {
            let days_in_year = calendar::days(self.year + 1, 1, 1) - calendar::days(self.year, 1, 1);
            if !(1..=days_in_year).contains(&year_day) {
                return Err("day-of-year out of range");
            }
            let (_, month_of, day_of) = calendar::date(calendar::days(self.year, 1, 1) + year_day - 1);
            if month.is_some_and(|month| month != month_of) {
                return Err("day-of-year does not match month");
            }
            if day.is_some_and(|day| day != day_of) {
                return Err("day-of-year does not match day");
            }
            (month, day) = (Some(month_of), Some(day_of));
        }
        let (month, day) = (month.unwrap_or(1), day.unwrap_or(1));
        if day < 1 || day > calendar::days_in(self.year, month) {
            return Err("day out of range");
        }
        let seconds =
            calendar::days(self.year, month, day) * DAY_S + hour * 3600 + self.minute * 60 + self.second;
        let (zone, offset) = match self.offset {
            _ if self.utc => (Zone::Utc, 0),
            Some(0) if matches!(&*self.zone_name, "" | "UTC") => (Zone::Utc, 0),
            Some(offset) => (Zone::Fixed(self.zone_name, offset), offset),
            None if self.zone_name.is_empty() => (Zone::Utc, 0),
            None => {
                // An abbreviation alone does not say where it is: the clock is taken for that of UTC.
                let hours = self.zone_name.strip_prefix("GMT").and_then(|hours| hours.parse::<i64>().ok());
                (Zone::Fixed(self.zone_name, hours.unwrap_or(0) * 3600), 0)
            }
        };
        Ok(Instant { seconds: seconds - offset, nanoseconds: self.nanoseconds, zone })
    }
}

/// How long the abbreviation of a zone at the start of a text is.
fn zone_name_length(text: &str) -> Option<usize> {
    if text.len() < 3 {
        return None;
    }
    if text.starts_with("ChST") || text.starts_with("MeST") {
        return Some(4);
    }
    if let Some(rest) = text.strip_prefix("GMT") {
        return Some(3 + signed_length(rest));
    }
    if text.starts_with(['+', '-']) {
        let length = signed_length(text);
        return (length > 0).then_some(length);
    }
    let upper = text.bytes().take(6).take_while(u8::is_ascii_uppercase).count();
    match upper {
        // Five letters only if they end in `T`, four too, or they are `WITA`.
        5 if text.as_bytes()[4] == b'T' => Some(5),
        4 if text.as_bytes()[3] == b'T' || text.starts_with("WITA") => Some(4),
        3 => Some(3),
        _ => None,
    }
}

/// A sign and a number of hours, up to 23.
fn signed_length(text: &str) -> usize {
    if !text.starts_with(['+', '-']) {
        return 0;
    }
    let digits = count_digits(&text[1..]);
    match text[1..=digits].parse::<u32>() {
        Ok(..=23) => 1 + digits,
        _ => 0,
    }
}

//! Go's layouts: the parts of a reference time, `Mon Jan 2 15:04:05 MST 2006`, that stand for those of another.

/// A part of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    LongMonth,
    Month,
    NumberMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperHalf,
    LowerHalf,
    ZoneName,
    Offset(Offset),
    /// Digits of the fraction, also if they are zero, and the separator.
    ZeroFraction(usize, char),
    /// Up to that many digits of the fraction.
    Fraction(usize, char),
}

/// How a time zone is written as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offset {
    /// `Z` for UTC.
    pub(super) z: bool,
    pub(super) colons: bool,
    pub(super) minutes: bool,
    pub(super) seconds: bool,
}

const fn offset(z: bool, colons: bool, minutes: bool, seconds: bool) -> Part {
    Part::Offset(Offset { z, colons, minutes, seconds })
}

/// What begins a part. Longer ones stand first, so that they win.
const PARTS: &[(&str, Part)] = &[
    ("January", Part::LongMonth),
    ("Jan", Part::Month),
    ("Monday", Part::LongWeekday),
    ("Mon", Part::Weekday),
    ("MST", Part::ZoneName),
    ("002", Part::ZeroYearDay),
    ("01", Part::ZeroMonth),
    ("02", Part::ZeroDay),
    ("03", Part::ZeroHour12),
    ("04", Part::ZeroMinute),
    ("05", Part::ZeroSecond),
    ("06", Part::Year),
    ("15", Part::Hour),
    ("1", Part::NumberMonth),
    ("2006", Part::LongYear),
    ("2", Part::Day),
    ("__2", Part::UnderYearDay),
    ("_2", Part::UnderDay),
    ("3", Part::Hour12),
    ("4", Part::Minute),
    ("5", Part::Second),
    ("PM", Part::UpperHalf),
    ("pm", Part::LowerHalf),
    ("-070000", offset(false, false, true, true)),
    ("-07:00:00", offset(false, true, true, true)),
    ("-0700", offset(false, false, true, false)),
    ("-07:00", offset(false, true, true, false)),
    ("-07", offset(false, false, false, false)),
    ("Z070000", offset(true, false, true, true)),
    ("Z07:00:00", offset(true, true, true, true)),
    ("Z0700", offset(true, false, true, false)),
    ("Z07:00", offset(true, true, true, false)),
    ("Z07", offset(true, false, false, false)),
];

/// The text before the next part, the part with its text, and the rest.
pub(super) fn next_part(layout: &str) -> (&str, Option<(Part, &str)>, &str) {
    for (index, character) in layout.char_indices() {
        let rest = &layout[index..];
        let part = match character {
            // The year wins over the day in `_2006`.
            '_' if rest.starts_with("_2006") => {
                return (&layout[..=index], Some((Part::LongYear, &rest[1..5])), &rest[5..]);
            }
            '.' | ',' => fraction(rest, character),
            _ => {
                PARTS.iter().find(|(text, _)| rest.starts_with(text)).map(|(text, part)| (*part, text.len()))
            }
        };
        let Some((part, length)) = part else { continue };
        // `Jan` and `Mon` are no part of longer words.
        if matches!(part, Part::Month | Part::Weekday)
            && rest[length..].starts_with(|next: char| next.is_ascii_lowercase())
        {
            continue;
        }
        return (&layout[..index], Some((part, &rest[..length])), &rest[length..]);
    }
    (layout, None, "")
}

fn fraction(rest: &str, separator: char) -> Option<(Part, usize)> {
    let digit = rest[1..].chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
    let digits = rest[1..].chars().take_while(|next| *next == digit).count();
    if rest[1 + digits..].starts_with(|next: char| next.is_ascii_digit()) {
        return None;
    }
    let part = if digit == '0' { Part::ZeroFraction } else { Part::Fraction };
    Some((part(digits, separator), 1 + digits))
}

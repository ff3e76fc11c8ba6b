//! What a plain scalar means: YAML 1.1, as far as Helm's reader knows it.

use crate::number::{parse_float, parse_int, parse_uint};

/// What `!!` stands for.
pub(super) const LONG_TAG: &str = "tag:yaml.org,2002:";

/// Which rules: `toYamlPretty` is written with a newer library than everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `yes` is a bool.
    V2,
    /// `yes` is a string, which is still quoted when written.
    V3,
}

/// The meaning of a scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Integer(i64),
    /// Above `i64::MAX`.
    Unsigned(u64),
    Float(f64),
    /// Looks like a date; read as a string all the same.
    Timestamp,
    String,
}

/// The meaning of a plain scalar without a tag. With `timestamps` unset, dates are just strings.
pub(super) fn resolve(text: &str, dialect: Dialect, timestamps: bool) -> Scalar {
    let Some(first) = text.bytes().next() else {
        return Scalar::Null;
    };
    if !matches!(
        first,
        b'+' | b'-' | b'.' | b'0'
            ..=b'9' | b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' | b'<'
    ) {
        return Scalar::String;
    }
    match text {
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" if dialect == Dialect::V2 => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" if dialect == Dialect::V2 => {
            return Scalar::Bool(false);
        }
        "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match first {
        b'.' => parse_float(text).map_or(Scalar::String, Scalar::Float),
        b'+' | b'-' | b'0'..=b'9' => number(text, dialect, timestamps),
        _ => Scalar::String,
    }
}

fn number(text: &str, dialect: Dialect, timestamps: bool) -> Scalar {
    if timestamps && is_timestamp(text) {
        return Scalar::Timestamp;
    }
    let plain = text.replace('_', "");
    if let Ok(number) = parse_int(&plain, 0) {
        return Scalar::Integer(number);
    }
    if let Ok(number) = parse_uint(&plain, 0) {
        return Scalar::Unsigned(number);
    }
    if is_float(&plain)
        && let Ok(number) = parse_float(&plain)
    {
        return Scalar::Float(number);
    }
    // Only forms that the base prefix did not settle are left, such as `0b-1`.
    let prefixes: &[(&str, u32)] =
        if dialect == Dialect::V3 { &[("0b", 2), ("0o", 8)] } else { &[("0b", 2)] };
    for &(prefix, base) in prefixes {
        if let Some(digits) = plain.strip_prefix(prefix) {
            if let Ok(number) = parse_int(digits, base) {
                return Scalar::Integer(number);
            }
            if let Ok(number) = parse_uint(digits, base) {
                return Scalar::Unsigned(number);
            }
        } else if let Some(digits) = plain.strip_prefix('-').and_then(|rest| rest.strip_prefix(prefix))
            && let Ok(number) = parse_int(&format!("-{digits}"), base)
        {
            return Scalar::Integer(number);
        }
    }
    Scalar::String
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa_ok
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

/// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`: sexagesimal in YAML 1.1. Not read as a number, but quoted.
pub(super) fn is_base_60(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = text.split(':');
    let first = parts.next().unwrap_or_default();
    if !first.starts_with(|digit: char| digit.is_ascii_digit())
        || !first.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
    {
        return false;
    }
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return false;
    }
    while let Some(part) = parts.next() {
        let digits = match part.split_once('.') {
            Some((digits, fraction))
                if parts.peek().is_none()
                    && fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') =>
            {
                digits
            }
            _ => part,
        };
        if !matches!(digits.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']) {
            return false;
        }
    }
    true
}

/// Words that are bools in YAML 1.1 only.
pub(super) fn is_old_bool(text: &str) -> bool {
    matches!(resolve(text, Dialect::V2, false), Scalar::Bool(_))
        && !matches!(resolve(text, Dialect::V3, false), Scalar::Bool(_))
}

/// Whether the text is one of the timestamps of YAML 1.1: a day, or a day and a time.
pub(super) fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || bytes[4] != b'-' || !bytes[..4].iter().all(u8::is_ascii_digit) {
        return false;
    }
    timestamp(bytes).is_some()
}

fn timestamp(bytes: &[u8]) -> Option<()> {
    let mut rest = &bytes[5..];
    let year = bytes[..4].iter().fold(0, |year, digit| year * 10 + u32::from(digit - b'0'));
    let month = take_number(&mut rest)?;
    rest = rest.strip_prefix(b"-")?;
    let day = take_number(&mut rest)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) {
        return None;
    }
    let Some((separator, time)) = rest.split_first() else {
        return Some(());
    };
    rest = time;
    let hour = take_number(&mut rest)?;
    rest = rest.strip_prefix(b":")?;
    let minute = take_number(&mut rest)?;
    rest = rest.strip_prefix(b":")?;
    let second = take_number(&mut rest)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Go takes a comma before the fraction too.
    if let [b'.' | b',', fraction @ ..] = rest {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        rest = &fraction[digits..];
    }
    match (separator, rest) {
        (b' ', b"") | (b'T' | b't', b"Z") => Some(()),
        (b'T' | b't', [b'+' | b'-', h1, h2, b':', m1, m2]) => {
            let two = |a: &u8, b: &u8| {
                (a.is_ascii_digit() && b.is_ascii_digit()).then(|| (a - b'0') * 10 + (b - b'0'))
            };
            (two(h1, h2)? <= 24 && two(m1, m2)? <= 60).then_some(())
        }
        _ => None,
    }
}

/// One or two digits.
fn take_number(rest: &mut &[u8]) -> Option<u32> {
    let digits = rest.iter().take(2).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    let number = rest[..digits].iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    *rest = &rest[digits..];
    Some(number)
}

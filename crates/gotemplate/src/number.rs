//! Numbers as text, as Go's `strconv` reads and writes them.

use std::fmt::Write;

/// Why a text is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberError {
    /// It is not written like one.
    Syntax,
    /// It does not fit.
    Range,
}

/// Reads an integer. Base 0 takes it from the prefix (`0x`, `0o`, `0b`, `0`) and allows `_` between digits.
pub(crate) fn parse_int(text: &str, base: u32) -> Result<i64, NumberError> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'+') => (false, &text[1..]),
        Some(b'-') => (true, &text[1..]),
        _ => (false, text),
    };
    let magnitude = parse_uint(digits, base)?;
    if negative {
        0i64.checked_sub_unsigned(magnitude).ok_or(NumberError::Range)
    } else {
        i64::try_from(magnitude).map_err(|_| NumberError::Range)
    }
}

/// Reads an integer without a sign.
pub(crate) fn parse_uint(text: &str, base: u32) -> Result<u64, NumberError> {
    let mut digits = text;
    let mut radix = base;
    if base == 0 {
        radix = 10;
        let lower = |byte: Option<&u8>| byte.map(u8::to_ascii_lowercase);
        let bytes = text.as_bytes();
        if bytes.first() == Some(&b'0') {
            (radix, digits) = match lower(bytes.get(1)) {
                Some(b'x') if bytes.len() > 2 => (16, &text[2..]),
                Some(b'o') if bytes.len() > 2 => (8, &text[2..]),
                Some(b'b') if bytes.len() > 2 => (2, &text[2..]),
                _ => (8, text),
            };
        }
        if text.contains('_') && !underscores_are_right(text) {
            return Err(NumberError::Syntax);
        }
    }
    if digits.is_empty() {
        return Err(NumberError::Syntax);
    }
    let mut number = 0u64;
    let mut overflow = false;
    for digit in digits.chars() {
        if digit == '_' && base == 0 {
            continue;
        }
        let digit = digit.to_digit(radix).ok_or(NumberError::Syntax)?;
        match number.checked_mul(radix.into()).and_then(|number| number.checked_add(digit.into())) {
            Some(more) => number = more,
            None => overflow = true,
        }
    }
    if overflow { Err(NumberError::Range) } else { Ok(number) }
}

/// Whether every `_` stands between two digits, a base's prefix counting as one.
fn underscores_are_right(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let bytes = text.as_bytes();
    let prefixed =
        bytes.len() >= 2 && bytes[0] == b'0' && matches!(bytes[1].to_ascii_lowercase(), b'x' | b'o' | b'b');
    let hex = prefixed && bytes[1].eq_ignore_ascii_case(&b'x');
    let (mut previous, rest) = if prefixed { (b'0', &bytes[2..]) } else { (b'^', bytes) };
    for &byte in rest {
        let class = match byte {
            b'0'..=b'9' => b'0',
            b'a'..=b'f' | b'A'..=b'F' if hex => b'0',
            b'_' => b'_',
            _ => b'!',
        };
        if (class == b'_' && previous != b'0') || (previous == b'_' && class != b'0') {
            return false;
        }
        previous = class;
    }
    previous != b'_'
}

/// Reads a `float64`: decimal, hexadecimal with a binary exponent, `inf`, `infinity` and `nan` in any case. A number
/// that is too large is refused.
pub(crate) fn parse_float(text: &str) -> Result<f64, NumberError> {
    let (sign, body) = match text.as_bytes().first() {
        Some(b'+') => (1.0, &text[1..]),
        Some(b'-') => (-1.0, &text[1..]),
        _ => (1.0, text),
    };
    if body.eq_ignore_ascii_case("inf") || body.eq_ignore_ascii_case("infinity") {
        return Ok(sign * f64::INFINITY);
    }
    if text.eq_ignore_ascii_case("nan") {
        return Ok(f64::NAN);
    }
    if text.contains('_') && !underscores_are_right(text) {
        return Err(NumberError::Syntax);
    }
    let clean = body.replace('_', "");
    if let Some(hex) = clean.strip_prefix("0x").or_else(|| clean.strip_prefix("0X")) {
        return parse_hex_float(hex).map(|number| sign * number);
    }
    // Rust's reader knows the same decimal forms, but also a second sign.
    if !clean.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        || clean.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
    {
        return Err(NumberError::Syntax);
    }
    let number: f64 = clean.parse().map_err(|_| NumberError::Syntax)?;
    if number.is_infinite() { Err(NumberError::Range) } else { Ok(sign * number) }
}

fn parse_hex_float(text: &str) -> Result<f64, NumberError> {
    let (mantissa, exponent) = text.split_once(['p', 'P']).ok_or(NumberError::Syntax)?;
    let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if exponent_digits.is_empty() || !exponent_digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NumberError::Syntax);
    }
    let mut exponent: i64 = exponent.parse().unwrap_or(if exponent.starts_with('-') { -9999 } else { 9999 });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(NumberError::Syntax);
    }
    let mut bits = 0u64;
    for (index, digit) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u64::from(digit.to_digit(16).ok_or(NumberError::Syntax)?);
        let fractional = index >= whole.len();
        if bits >> 59 == 0 {
            bits = bits * 16 + digit;
            exponent -= if fractional { 4 } else { 0 };
        } else {
            // Beyond 60 bits only "something is there" counts for rounding.
            bits |= u64::from(digit != 0);
            exponent += if fractional { 0 } else { 4 };
        }
    }
    let exponent = exponent.clamp(-5000, 5000) as i32;
    // Two steps, so that the scale itself does not leave the range.
    let half = exponent / 2;
    let number = bits as f64 * 2f64.powi(half) * 2f64.powi(exponent - half);
    if number.is_infinite() { Err(NumberError::Range) } else { Ok(number) }
}

/// A float as `encoding/json` writes it; `None` for what JSON can't hold.
pub(crate) fn json_float(number: f64) -> Option<String> {
    if !number.is_finite() {
        return None;
    }
    if number == 0.0 {
        return Some(if number.is_sign_negative() { "-0" } else { "0" }.to_owned());
    }
    let magnitude = number.abs();
    if (1e-6..1e21).contains(&magnitude) {
        return Some(format!("{number}"));
    }
    // The exponent has no leading zero and keeps its plus.
    let text = format!("{number:e}");
    Some(match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    })
}

/// A `float64` key of YAML as text: the shortest digits that a `float32` needs.
pub(crate) fn float32_text(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "that is the format")]
    let short = number as f32;
    if !short.is_finite() || short == 0.0 {
        return crate::print::float(f64::from(short));
    }
    let text = format!("{short:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        let mut out = String::from(digits);
        // Writing to a string can't fail.
        let _ = write!(out, "e{sign}{:02}", exponent.abs());
        return out;
    }
    format!("{short}")
}

/// A float as Go's `strconv.FormatFloat(number, 'g', -1, 64)` writes it, which is also what `%v` prints: the shortest
/// digits that read back the same, with an exponent of at least two digits below 1e-04 and from 1e+06 on.
///
/// ```
/// assert_eq!(gotemplate::float_text(1_000_000.0), "1e+06");
/// assert_eq!(gotemplate::float_text(0.5), "0.5");
/// ```
pub fn float_text(number: f64) -> String {
    crate::print::float(number)
}

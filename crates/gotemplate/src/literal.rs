//! The constants of Go: numbers, characters and strings.

use crate::ast::Number;

/// The bytes of a quoted string, which need not be UTF-8: `"\xff"` is one byte.
///
/// `None`: an escape is not valid.
pub(crate) fn unquote(quoted: &str) -> Option<Vec<u8>> {
    let quote = quoted.chars().next()?;
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    if quote == '`' {
        return Some(inner.bytes().filter(|byte| *byte != b'\r').collect());
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(char) = rest.chars().next() {
        rest = &rest[char.len_utf8()..];
        if char != '\\' {
            bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = rest.chars().next()?;
        rest = &rest[escape.len_utf8()..];
        let simple = match escape {
            'a' => 0x07,
            'b' => 0x08,
            'f' => 0x0c,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 0x0b,
            '\\' => b'\\',
            '\'' | '"' if escape == quote => escape as u8,
            'x' | 'u' | 'U' | '0'..='7' => {
                let (digits, radix) = match escape {
                    'x' => (2, 16),
                    'u' => (4, 16),
                    'U' => (8, 16),
                    _ => {
                        rest = &inner[inner.len() - rest.len() - 1..];
                        (3, 8)
                    }
                };
                let number =
                    rest.get(..digits).filter(|text| text.chars().all(|char| char.is_digit(radix)))?;
                let number = u32::from_str_radix(number, radix).ok()?;
                rest = &rest[digits..];
                if matches!(escape, 'u' | 'U') {
                    bytes.extend_from_slice(char::from_u32(number)?.encode_utf8(&mut [0; 4]).as_bytes());
                } else {
                    bytes.push(u8::try_from(number).ok()?);
                }
                continue;
            }
            _ => return None,
        };
        bytes.push(simple);
    }
    Some(bytes)
}

/// The number of a character constant such as `'a'` or `'\n'`.
pub(crate) fn character(quoted: &str) -> Option<Number> {
    let bytes = unquote(quoted)?;
    // A byte escape is a number, not an encoding.
    if let ([byte], true) = (bytes.as_slice(), quoted.starts_with("'\\")) {
        return Some(Number::Int(i64::from(*byte)));
    }
    let text = String::from_utf8(bytes).ok()?;
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(char), None) => Some(Number::Int(i64::from(char as u32))),
        _ => None,
    }
}

/// A number as Go writes it: `0755`, `0x1F`, `1_000`, `1e3`, `0x1p-2`.
///
/// # Errors
///
/// Go's message.
pub(crate) fn number(text: &str) -> Result<Number, String> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if let Some(magnitude) = integer(digits) {
        let signed = if negative { -i128::from(magnitude) } else { i128::from(magnitude) };
        return match i64::try_from(signed) {
            Ok(number) => Ok(Number::Int(number)),
            Err(_) if !negative => Ok(Number::Overflow),
            Err(_) => Err(format!("integer overflow: {text:?}")),
        };
    }
    let hexadecimal = digits.starts_with("0x") || digits.starts_with("0X");
    let float = if hexadecimal { hexadecimal_float(&digits[2..]) } else { decimal_float(digits) };
    match float {
        Some(float) if digits.contains(['.', 'e', 'E', 'p', 'P']) => {
            Ok(Number::Float(if negative { -float } else { float }))
        }
        Some(_) => Err(format!("integer overflow: {text:?}")),
        None => Err(format!("illegal number syntax: {text:?}")),
    }
}

fn integer(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.get(..2) {
        Some("0x") => (&lower[2..], 16),
        Some("0o") => (&lower[2..], 8),
        Some("0b") => (&lower[2..], 2),
        _ if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        _ => (&*lower, 10),
    };
    let underscored = radix == 10 && digits.starts_with('_');
    if underscored || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    u64::from_str_radix(&digits.replace('_', ""), radix).ok()
}

fn decimal_float(text: &str) -> Option<f64> {
    // Rust also reads "inf" and "nan", which the lexer never makes a number.
    if text.contains('_') { None } else { text.parse().ok() }
}

/// `1.8p3` is 1.5 times 8.
fn hexadecimal_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let mut exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0;
    for char in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(char.to_digit(16)?);
    }
    exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?.checked_mul(4)?)?;
    Some(value * 2f64.powi(exponent))
}

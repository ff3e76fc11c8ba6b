//! Go's `fmt`: `Sprint` and `Sprintf`.

use std::fmt::Write;

use crate::call::FunctionError;
use crate::kind::Integer;
use crate::print::{OBJECT, general};
use crate::runtime::Runtime;
use crate::value::Value;

/// `fmt.Sprint`: a space between two operands neither of which is a string.
pub(crate) fn sprint(values: &[Value], runtime: &Runtime) -> Result<Vec<u8>, FunctionError> {
    let mut out = Vec::new();
    let mut after_text = true;
    for (position, value) in values.iter().enumerate() {
        let is_text = matches!(value, Value::String(_) | Value::RawString(_));
        if position > 0 && !is_text && !after_text {
            out.push(b' ');
        }
        after_text = is_text;
        match value {
            Value::RawString(bytes) => out.extend_from_slice(bytes),
            value => out.extend_from_slice(value.print(runtime)?.as_bytes()),
        }
        runtime.check_size(out.len())?;
    }
    Ok(out)
}

/// The widest and most precise that Go formats.
const LARGEST: usize = 1_000_000;

/// `fmt.Sprintf`, with Go's marks for what does not fit.
pub(crate) fn sprintf(format: &str, values: &[Value], runtime: &Runtime) -> Result<Vec<u8>, FunctionError> {
    let mut printer = Printer { out: Vec::new(), values, next: 0, reordered: false, runtime };
    let mut rest = format;
    while let Some(percent) = rest.find('%') {
        printer.out.extend_from_slice(&rest.as_bytes()[..percent]);
        runtime.spend(2)?;
        rest = printer.directive(&rest[percent + 1..])?;
        runtime.check_size(printer.out.len())?;
    }
    printer.out.extend_from_slice(rest.as_bytes());
    if !printer.reordered && printer.next < values.len() {
        printer.extra()?;
    }
    Ok(printer.out)
}

struct Printer<'a> {
    out: Vec<u8>,
    values: &'a [Value],
    next: usize,
    /// Whether a directive has chosen its operand by number: then nothing is left over.
    reordered: bool,
    runtime: &'a Runtime,
}

#[derive(Clone, Copy, Default)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
    /// `%#v`: as Go would write it.
    sharp_v: bool,
}

impl Printer<'_> {
    /// Formats what stands after a percent sign, and gives what follows.
    fn directive<'f>(&mut self, text: &'f str) -> Result<&'f str, FunctionError> {
        let mut spec = Spec::default();
        let mut rest = text;
        loop {
            match rest.as_bytes().first() {
                Some(b'-') => (spec.minus, spec.zero) = (true, false),
                Some(b'+') => spec.plus = true,
                Some(b'#') => spec.sharp = true,
                Some(b' ') => spec.space = true,
                Some(b'0') => spec.zero = !spec.minus,
                _ => break,
            }
            rest = &rest[1..];
        }
        let mut good = true;
        rest = self.operand_number(rest, &mut good);
        if let Some(after) = rest.strip_prefix('*') {
            match self.star() {
                Some(width) => {
                    spec.minus |= width < 0;
                    spec.zero &= width >= 0;
                    spec.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => self.out.extend_from_slice(b"%!(BADWIDTH)"),
            }
            rest = after;
        } else {
            (spec.width, rest) = number(rest);
        }
        if let Some(after) = rest.strip_prefix('.') {
            rest = self.operand_number(after, &mut good);
            if let Some(after) = rest.strip_prefix('*') {
                match self.star() {
                    Some(precision) => spec.precision = usize::try_from(precision).ok(),
                    None => self.out.extend_from_slice(b"%!(BADPREC)"),
                }
                rest = after;
            } else {
                (spec.precision, rest) = number(rest);
                spec.precision = spec.precision.or(Some(0));
            }
        }
        rest = self.operand_number(rest, &mut good);
        let Some(verb) = rest.chars().next() else {
            self.out.extend_from_slice(b"%!(NOVERB)");
            return Ok(rest);
        };
        rest = &rest[verb.len_utf8()..];
        if verb == '%' {
            self.out.push(b'%');
        } else if !good {
            self.mark(verb, "(BADINDEX)");
        } else if let Some(value) = self.values.get(self.next) {
            self.next += 1;
            if verb == 'v' {
                // They are flags of the verb, not of what it prints.
                (spec.sharp_v, spec.sharp, spec.plus) = (spec.sharp, false, false);
            }
            let text = self.formatted(value, verb, &spec, 0)?;
            self.out.extend_from_slice(&text);
        } else {
            self.mark(verb, "(MISSING)");
        }
        Ok(rest)
    }

    fn mark(&mut self, verb: char, what: &str) {
        self.out.extend_from_slice(format!("%!{verb}{what}").as_bytes());
    }

    /// `[3]` before a verb or a star: the operand to take, from 1.
    fn operand_number<'f>(&mut self, text: &'f str, good: &mut bool) -> &'f str {
        let Some(inner) = text.strip_prefix('[') else { return text };
        self.reordered = true;
        let Some((digits, rest)) = inner.split_once(']') else {
            *good = false;
            return inner;
        };
        match digits.parse::<usize>() {
            Ok(number) if (1..=self.values.len()).contains(&number) => self.next = number - 1,
            _ => *good = false,
        }
        rest
    }

    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next);
        self.next += usize::from(value.is_some());
        match value {
            Some(Value::Integer(_, number)) if number.unsigned_abs() <= LARGEST as u64 => Some(*number),
            _ => None,
        }
    }

    fn extra(&mut self) -> Result<(), FunctionError> {
        self.out.extend_from_slice(b"%!(EXTRA ");
        for (position, value) in self.values[self.next..].iter().enumerate() {
            if position > 0 {
                self.out.extend_from_slice(b", ");
            }
            if value.is_nil() {
                self.out.extend_from_slice(b"<nil>");
            } else {
                let text = format!("{}={}", value.type_name(), value.print(self.runtime)?);
                self.out.extend_from_slice(text.as_bytes());
            }
        }
        self.out.push(b')');
        Ok(())
    }

    fn formatted(
        &self,
        value: &Value,
        verb: char,
        spec: &Spec,
        depth: usize,
    ) -> Result<Vec<u8>, FunctionError> {
        self.runtime.descend(depth)?;
        let out = match (verb, value) {
            ('T', value) => pad(value.type_name().as_bytes(), spec),
            ('v', Value::Nil) if spec.sharp_v && depth > 0 => b"interface {}(nil)".to_vec(),
            ('v', Value::Nil) => pad(b"<nil>", spec),
            (_, Value::Nil) if depth > 0 => b"<nil>".to_vec(),
            (_, Value::Nil) => return Ok(format!("%!{verb}(<nil>)").into_bytes()),
            ('t' | 'v', Value::Bool(bool)) => pad(if *bool { b"true" } else { b"false" }, spec),
            ('v' | 'd', Value::Integer(kind, number)) => {
                if verb == 'v' && spec.sharp_v && kind.unsigned() {
                    pad(format!("{number:#x}").as_bytes(), spec)
                } else {
                    integer(*number, 10, 'd', spec)
                }
            }
            ('b' | 'o' | 'O' | 'x' | 'X' | 'c' | 'q' | 'U', Value::Integer(_, number)) => {
                integer_as(*number, verb, spec)
            }
            ('v', Value::Float(number)) => float(*number, 'g', spec),
            ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Value::Float(number)) => {
                let digits = float(*number, verb, spec);
                self.runtime.spend(digits.len() / 4)?;
                digits
            }
            (_, Value::String(_) | Value::RawString(_)) => match text(value, verb, spec) {
                Some(text) => text,
                None => self.misfit(value, verb)?,
            },
            ('s' | 'q' | 'x' | 'X', Value::Bytes(bytes)) => {
                text(&Value::RawString(bytes.clone()), verb, spec).unwrap_or_default()
            }
            (_, Value::Bytes(bytes)) => {
                self.runtime.spend(bytes.len() * 2)?;
                let items = bytes.iter().map(|byte| Value::Integer(Integer::Uint8, (*byte).into()));
                self.items(value, items.collect::<Vec<_>>().iter(), verb, spec, depth)?
            }
            (_, Value::List(list)) => self.items(value, list.items().iter(), verb, spec, depth)?,
            (_, Value::Map(map)) => {
                let mut out =
                    if spec.sharp_v { format!("{}{{", value.type_name()) } else { "map[".to_owned() }
                        .into_bytes();
                for (position, (key, value)) in map.entries().into_iter().enumerate() {
                    if position > 0 {
                        out.extend_from_slice(if spec.sharp_v { b", " } else { b" " });
                    }
                    out.extend(self.formatted(&Value::String(key), verb, spec, depth + 1)?);
                    out.push(b':');
                    out.extend(self.formatted(&value, verb, spec, depth + 1)?);
                }
                out.push(if spec.sharp_v { b'}' } else { b']' });
                out
            }
            ('v' | 's' | 'q' | 'x' | 'X', Value::Object(object)) => {
                self.runtime.spend(OBJECT)?;
                text(&Value::from(object.print_copy()), verb, spec).unwrap_or_default()
            }
            ('b' | 'o' | 'O' | 'c' | 'd' | 'U', Value::Object(object)) => match object.data() {
                // What prints itself is still a number, as a duration is.
                Value::Integer(_, number) if verb == 'd' => integer(number, 10, 'd', spec),
                Value::Integer(_, number) => integer_as(number, verb, spec),
                _ => self.misfit(value, verb)?,
            },
            (_, value) => self.misfit(value, verb)?,
        };
        self.runtime.allocate(out.len())?;
        Ok(out)
    }

    fn items<'v>(
        &self,
        list: &Value,
        items: impl Iterator<Item = &'v Value>,
        verb: char,
        spec: &Spec,
        depth: usize,
    ) -> Result<Vec<u8>, FunctionError> {
        let mut out =
            if spec.sharp_v { format!("{}{{", list.type_name()) } else { "[".to_owned() }.into_bytes();
        for (position, item) in items.enumerate() {
            if position > 0 {
                out.extend_from_slice(if spec.sharp_v { b", " } else { b" " });
            }
            out.extend(self.formatted(item, verb, spec, depth + 1)?);
        }
        out.push(if spec.sharp_v { b'}' } else { b']' });
        Ok(out)
    }

    /// A value of a type that the verb is not for.
    fn misfit(&self, value: &Value, verb: char) -> Result<Vec<u8>, FunctionError> {
        let shown = match value {
            // Go prints what is below: it takes no method of something that it complains about.
            Value::Object(object) => match object.data() {
                number @ Value::Integer(..) => number.print(self.runtime)?,
                _ => object.print_copy(),
            },
            other => other.print(self.runtime)?,
        };
        Ok(format!("%!{verb}({}={shown})", value.type_name()).into_bytes())
    }
}

/// Digits at the beginning of a text, as a number; none if it is too large.
fn number(text: &str) -> (Option<usize>, &str) {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (digits.parse().ok().filter(|number| *number <= LARGEST), rest)
}

/// Fills up to the width, which counts characters.
fn pad(text: &[u8], spec: &Spec) -> Vec<u8> {
    let length = String::from_utf8_lossy(text).chars().count();
    let missing = spec.width.unwrap_or(0).saturating_sub(length);
    let fill = vec![if spec.zero && !spec.minus { b'0' } else { b' ' }; missing];
    if spec.minus { [text, &fill].concat() } else { [&fill, text].concat() }
}

fn sign(negative: bool, spec: &Spec) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    }
}

fn integer(number: i64, base: u32, verb: char, spec: &Spec) -> Vec<u8> {
    let magnitude = number.unsigned_abs();
    let mut digits = match (base, verb) {
        (2, _) => format!("{magnitude:b}"),
        (8, _) => format!("{magnitude:o}"),
        (16, 'X') => format!("{magnitude:X}"),
        (16, _) => format!("{magnitude:x}"),
        _ => magnitude.to_string(),
    };
    let sign = sign(number < 0, spec);
    let prefix = match verb {
        'O' => "0o",
        'b' if spec.sharp => "0b",
        'o' if spec.sharp && !digits.starts_with('0') => "0",
        'x' if spec.sharp => "0x",
        'X' if spec.sharp => "0X",
        _ => "",
    };
    let least = match (spec.precision, spec.width) {
        (Some(0), _) if number == 0 => {
            digits.clear();
            0
        }
        (Some(precision), _) => precision,
        (None, Some(width)) if spec.zero && !spec.minus => width.saturating_sub(sign.len()),
        _ => 0,
    };
    let zeros = "0".repeat(least.saturating_sub(digits.len()));
    pad(format!("{sign}{prefix}{zeros}{digits}").as_bytes(), &Spec { zero: false, ..*spec })
}

fn integer_as(number: i64, verb: char, spec: &Spec) -> Vec<u8> {
    let char = u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    match verb {
        'b' => integer(number, 2, verb, spec),
        'o' | 'O' => integer(number, 8, verb, spec),
        'c' => pad(char.to_string().as_bytes(), spec),
        'q' => pad(quoted(char.to_string().as_bytes(), '\'', spec.plus).as_bytes(), spec),
        'U' => {
            let mut text = format!("U+{number:04X}");
            if spec.sharp {
                let _ = write!(text, " '{char}'");
            }
            pad(text.as_bytes(), &Spec { zero: false, ..*spec })
        }
        _ => integer(number, 16, verb, spec),
    }
}

fn float(number: f64, verb: char, spec: &Spec) -> Vec<u8> {
    let magnitude = number.abs();
    let digits = if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        "Inf".to_owned()
    } else {
        match (verb, spec.precision) {
            ('f' | 'F', precision) => format!("{magnitude:.*}", precision.unwrap_or(6)),
            ('e' | 'E', precision) => exponent(&format!("{magnitude:.*e}", precision.unwrap_or(6))),
            (_, None) => general(magnitude, if spec.sharp_v { 21 } else { 6 }),
            (_, Some(precision)) => precise(magnitude, precision),
        }
    };
    let digits = if verb.is_ascii_uppercase() { digits.to_uppercase() } else { digits };
    if number.is_infinite() && verb != 'd' && !spec.plus && number > 0.0 {
        return pad(b"+Inf", &Spec { zero: false, ..*spec });
    }
    let sign = sign(number.is_sign_negative() && !number.is_nan(), spec);
    if spec.zero && !spec.minus && number.is_finite() {
        let zeros = "0".repeat(spec.width.unwrap_or(0).saturating_sub(sign.len() + digits.len()));
        return format!("{sign}{zeros}{digits}").into_bytes();
    }
    pad(format!("{sign}{digits}").as_bytes(), &Spec { zero: false, ..*spec })
}

/// Rust's `1.5e3` as Go's `1.5e+03`.
fn exponent(scientific: &str) -> String {
    let (digits, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// `%.3g`: so many significant digits, without the zeros at the end.
fn precise(number: f64, precision: usize) -> String {
    let precision = precision.max(1);
    let scientific = format!("{number:.*e}", precision - 1);
    let (digits, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let digits =
        if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    if power < -4 || power >= limit {
        return exponent(&format!("{digits}e{power}"));
    }
    let decimals = usize::try_from(limit - 1 - power).unwrap_or(0);
    let fixed = format!("{number:.decimals$}");
    if fixed.contains('.') { fixed.trim_end_matches('0').trim_end_matches('.').to_owned() } else { fixed }
}

/// A string under a verb; none if the verb is not for strings.
fn text(value: &Value, verb: char, spec: &Spec) -> Option<Vec<u8>> {
    let bytes = value.as_bytes()?;
    let cut = |bytes: &[u8]| match spec.precision {
        Some(precision) => {
            let text = String::from_utf8_lossy(bytes);
            text.chars().take(precision).collect::<String>().into_bytes()
        }
        None => bytes.to_vec(),
    };
    Some(match verb {
        'v' if spec.sharp_v => pad(quoted(bytes, '"', false).as_bytes(), spec),
        'v' | 's' => pad(&cut(bytes), spec),
        'q' => {
            let bytes = cut(bytes);
            let raw = spec.sharp && !bytes.iter().any(|byte| *byte == b'`' || *byte < b' ' && *byte != b'\t');
            match String::from_utf8(bytes) {
                Ok(text) if raw => pad(format!("`{text}`").as_bytes(), spec),
                Ok(text) => pad(quoted(text.as_bytes(), '"', spec.plus).as_bytes(), spec),
                Err(error) => pad(quoted(error.as_bytes(), '"', spec.plus).as_bytes(), spec),
            }
        }
        'x' | 'X' => {
            let bytes = &bytes[..spec.precision.unwrap_or(bytes.len()).min(bytes.len())];
            let mut out = String::new();
            for (position, byte) in bytes.iter().enumerate() {
                if spec.space && position > 0 {
                    out.push(' ');
                }
                if spec.sharp && (position == 0 || spec.space) {
                    out.push_str(if verb == 'x' { "0x" } else { "0X" });
                }
                let _ = if verb == 'x' { write!(out, "{byte:02x}") } else { write!(out, "{byte:02X}") };
            }
            pad(out.as_bytes(), spec)
        }
        _ => return None,
    })
}

/// `strconv.Quote`; of ASCII only on request.
pub(crate) fn quoted(bytes: &[u8], quote: char, ascii: bool) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push(quote);
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\u{7}' => out.push_str("\\a"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{b}' => out.push_str("\\v"),
                '\\' => out.push_str("\\\\"),
                char if char == quote => {
                    out.push('\\');
                    out.push(char);
                }
                ' '..='~' => out.push(char),
                char if !ascii && crate::unicode::is_printable(char) => out.push(char),
                char if u32::from(char) < 0x80 => {
                    let _ = write!(out, "\\x{:02x}", u32::from(char));
                }
                char if u32::from(char) < 0x1_0000 => {
                    let _ = write!(out, "\\u{:04x}", u32::from(char));
                }
                char => {
                    let _ = write!(out, "\\U{:08x}", u32::from(char));
                }
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push(quote);
    out
}

//! Arithmetic and ranges. Integers wrap around as Go's do.

use super::args::{Answer, count, float, to_float, to_int};
use crate::call::{Call, Entry, FunctionError};
use crate::kind::Element;
use crate::map::List;
use crate::number::parse_int;
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::variadic("add", 0, add),
    Entry::exact("add1", 1, add1),
    Entry::exact("atoi", 1, atoi),
    Entry::variadic("biggest", 1, max),
    Entry::exact("ceil", 1, ceil),
    Entry::exact("div", 2, div),
    Entry::exact("float64", 1, float64),
    Entry::exact("floor", 1, floor),
    Entry::exact("int", 1, int),
    Entry::exact("int64", 1, int64),
    Entry::variadic("max", 1, max),
    Entry::variadic("maxf", 1, maxf),
    Entry::variadic("min", 1, min),
    Entry::variadic("minf", 1, minf),
    Entry::exact("mod", 2, modulo),
    Entry::variadic("mul", 1, mul),
    Entry::variadic("round", 2, round),
    Entry::variadic("seq", 0, seq),
    Entry::exact("sub", 2, sub),
    Entry::exact("toDecimal", 1, to_decimal),
    Entry::exact("until", 1, until),
    Entry::exact("untilStep", 3, until_step),
];

fn add(call: &mut Call<'_>) -> Answer {
    Ok(Value::int64(call.args().iter().fold(0, |sum, value| sum.wrapping_add(to_int(value)))))
}

fn add1(call: &mut Call<'_>) -> Answer {
    Ok(Value::int64(to_int(call.value(0)).wrapping_add(1)))
}

fn sub(call: &mut Call<'_>) -> Answer {
    Ok(Value::int64(to_int(call.value(0)).wrapping_sub(to_int(call.value(1)))))
}

fn mul(call: &mut Call<'_>) -> Answer {
    Ok(Value::int64(call.args().iter().fold(1, |product, value| product.wrapping_mul(to_int(value)))))
}

fn divisor(call: &Call<'_>) -> Result<i64, FunctionError> {
    match to_int(call.value(1)) {
        0 => Err(FunctionError::failed("runtime error: integer divide by zero")),
        number => Ok(number),
    }
}

fn div(call: &mut Call<'_>) -> Answer {
    Ok(Value::int64(to_int(call.value(0)).wrapping_div(divisor(call)?)))
}

fn modulo(call: &mut Call<'_>) -> Answer {
    Ok(Value::int64(to_int(call.value(0)).wrapping_rem(divisor(call)?)))
}

fn max(call: &mut Call<'_>) -> Answer {
    Ok(Value::int64(call.args().iter().map(to_int).max().unwrap_or(0)))
}

fn min(call: &mut Call<'_>) -> Answer {
    Ok(Value::int64(call.args().iter().map(to_int).min().unwrap_or(0)))
}

/// Go's `math.Max` and `math.Min`: what is no number is catching.
fn extreme(call: &Call<'_>, pick: fn(f64, f64) -> f64) -> Value {
    let mut numbers = call.args().iter().map(to_float);
    let first = numbers.next().unwrap_or(0.0);
    numbers
        .fold(first, |one, two| if one.is_nan() || two.is_nan() { f64::NAN } else { pick(one, two) })
        .into()
}

fn maxf(call: &mut Call<'_>) -> Answer {
    Ok(extreme(call, f64::max))
}

fn minf(call: &mut Call<'_>) -> Answer {
    Ok(extreme(call, f64::min))
}

fn ceil(call: &mut Call<'_>) -> Answer {
    Ok(to_float(call.value(0)).ceil().into())
}

fn floor(call: &mut Call<'_>) -> Answer {
    Ok(to_float(call.value(0)).floor().into())
}

fn round(call: &mut Call<'_>) -> Answer {
    let number = to_float(call.value(0));
    let places = call.int(1)?;
    let mut round_on = 0.5;
    for index in (2..call.args().len()).rev() {
        round_on = float(call, index)?;
    }
    let scale = 10f64.powi(places.clamp(-400, 400) as i32);
    let digits = scale * number;
    // The fraction has the sign of the number, so negative ones are always rounded down.
    let whole = if digits.fract() >= round_on { digits.ceil() } else { digits.floor() };
    Ok((whole / scale).into())
}

fn int(call: &mut Call<'_>) -> Answer {
    Ok(Value::int(to_int(call.value(0))))
}

fn int64(call: &mut Call<'_>) -> Answer {
    Ok(Value::int64(to_int(call.value(0))))
}

fn float64(call: &mut Call<'_>) -> Answer {
    Ok(to_float(call.value(0)).into())
}

fn atoi(call: &mut Call<'_>) -> Answer {
    Ok(Value::int(clamped(&call.string(0)?, 10)))
}

/// A number that is too large is the largest one, what is no number is 0.
pub(super) fn clamped(text: &str, base: u32) -> i64 {
    match parse_int(text, base) {
        Ok(number) => number,
        Err(crate::number::NumberError::Range) if text.starts_with('-') => i64::MIN,
        Err(crate::number::NumberError::Range) => i64::MAX,
        Err(crate::number::NumberError::Syntax) => 0,
    }
}

fn to_decimal(call: &mut Call<'_>) -> Answer {
    Ok(Value::int64(parse_int(&call.print(call.value(0))?, 8).unwrap_or(0)))
}

/// The numbers from `start` to before `stop`.
fn range(call: &Call<'_>, start: i64, stop: i64, step: i64) -> Result<Vec<i64>, FunctionError> {
    let distance = i128::from(stop) - i128::from(start);
    let step = i128::from(step);
    let length = if distance == 0 || step == 0 || (distance < 0) != (step < 0) {
        0
    } else {
        (distance.abs() + step.abs() - 1) / step.abs()
    };
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    call.spend(usize::try_from(length).unwrap_or(usize::MAX))?;
    let length = count(call, length, size_of::<Value>())?;
    Ok((0..length).map(|index| (i128::from(start) + step * index as i128) as i64).collect())
}

fn int_list(numbers: Vec<i64>) -> Value {
    List::of(Element::Int, numbers.into_iter().map(Value::int).collect()).into()
}

fn until(call: &mut Call<'_>) -> Answer {
    let count = call.int(0)?;
    range(call, 0, count, if count < 0 { -1 } else { 1 }).map(int_list)
}

fn until_step(call: &mut Call<'_>) -> Answer {
    let (start, stop, step) = (call.int(0)?, call.int(1)?, call.int(2)?);
    range(call, start, stop, step).map(int_list)
}

fn seq(call: &mut Call<'_>) -> Answer {
    let mut numbers = Vec::new();
    for index in 0..call.args().len() {
        numbers.push(call.int(index)?);
    }
    let toward = |start: i64, end: i64| if end < start { -1 } else { 1 };
    let (start, end, step) = match *numbers {
        [end] => (1, end, toward(1, end)),
        [start, end] => (start, end, toward(start, end)),
        [start, step, end] if end < start && step > 0 => (start, start, step),
        [start, step, end] => (start, end, step),
        _ => return Ok("".into()),
    };
    let stop = match *numbers {
        [start, step, end] if end < start && step > 0 => start,
        _ => end.wrapping_add(toward(start, end)),
    };
    let numbers = range(call, start, stop, step)?;
    let words: Vec<String> = numbers.iter().map(i64::to_string).collect();
    Ok(words.join(" ").into())
}

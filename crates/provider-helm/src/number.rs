//! Numbers of values: integers and floats differ, as they do in Go.

use serde_json::{Number, Value};

/// The number as text: integers as digits, floats in Go's shortest form.
pub(crate) fn text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float_text(float),
        _ => number.to_string(),
    }
}

/// Go's `strconv.FormatFloat(float, 'g', -1, 64)`, which takes the exponent form from 10^6 on.
fn float_text(float: f64) -> String {
    let scientific = format!("{float:e}");
    let parts = scientific.split_once('e').and_then(|(digits, e)| Some((digits, e.parse::<i32>().ok()?)));
    match parts {
        Some((digits, exponent)) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => float.to_string(),
    }
}

/// All numbers of `value` as floats, which is what Go makes of any number in YAML or JSON.
pub(crate) fn floats(value: &mut Value) {
    match value {
        Value::Number(number) if !number.is_f64() => {
            if let Some(float) = number.as_f64().and_then(Number::from_f64) {
                *number = float;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(floats),
        Value::Object(map) => map.values_mut().for_each(floats),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_is_written_as_go_writes_it() {
        let check = |value: Value, want: &str| match value {
            Value::Number(number) => assert_eq!(text(&number), want),
            other => panic!("{other} is no number"),
        };
        check(json!(20_230_101), "20230101");
        check(json!(-5), "-5");
        check(json!(1.10), "1.1");
        check(json!(1.0), "1");
        check(json!(100_000.0), "100000");
        check(json!(1_000_000.0), "1e+06");
        check(json!(1_234_567.5), "1.2345675e+06");
        check(json!(0.0001), "0.0001");
        check(json!(0.00001), "1e-05");
    }
}

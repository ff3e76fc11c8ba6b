//! Arithmetic with fractions, done in decimal: 0.1 and 0.2 is 0.3.

use num_bigint::BigInt;

use super::args::{Answer, to_float};
use crate::call::{Call, Entry, FunctionError};
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::exact("add1f", 1, add1f),
    Entry::variadic("addf", 0, addf),
    Entry::variadic("divf", 1, divf),
    Entry::variadic("mulf", 1, mulf),
    Entry::variadic("subf", 1, subf),
];

/// Digits behind the point of a quotient.
const DIVISION_DIGITS: i32 = 16;

/// `digits` times 10 to the power of `exponent`.
#[derive(Clone)]
struct Decimal {
    digits: BigInt,
    exponent: i32,
}

type Operation = fn(&Decimal, &Decimal) -> Result<Decimal, FunctionError>;

impl Decimal {
    /// The shortest decimal that stands for a float.
    fn of(number: f64) -> Result<Decimal, FunctionError> {
        if !number.is_finite() {
            let number = crate::print::float(number);
            return Err(FunctionError::Failed(format!("Cannot create a Decimal from {number}")));
        }
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let digits = mantissa.replace('.', "").parse().unwrap_or_default();
        let exponent: i32 = exponent.parse().unwrap_or(0);
        Ok(Decimal { digits, exponent: exponent - i32::try_from(fraction).unwrap_or(0) })
    }

    fn float(&self) -> f64 {
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or(f64::NAN)
    }

    /// The digits of the same number with a smaller exponent.
    fn digits_at(&self, exponent: i32) -> BigInt {
        &self.digits * power(self.exponent - exponent)
    }

    fn add(&self, other: &Decimal) -> Result<Decimal, FunctionError> {
        let exponent = self.exponent.min(other.exponent);
        Ok(Decimal { digits: self.digits_at(exponent) + other.digits_at(exponent), exponent })
    }

    fn sub(&self, other: &Decimal) -> Result<Decimal, FunctionError> {
        let exponent = self.exponent.min(other.exponent);
        Ok(Decimal { digits: self.digits_at(exponent) - other.digits_at(exponent), exponent })
    }

    fn mul(&self, other: &Decimal) -> Result<Decimal, FunctionError> {
        Ok(Decimal { digits: &self.digits * &other.digits, exponent: self.exponent + other.exponent })
    }

    fn div(&self, other: &Decimal) -> Result<Decimal, FunctionError> {
        let zero = BigInt::ZERO;
        if other.digits == zero {
            return Err(FunctionError::failed("decimal division by 0"));
        }
        let shift = self.exponent - other.exponent + DIVISION_DIGITS;
        let dividend = &self.digits * power(shift);
        let divisor = &other.digits * power(-shift);
        let mut digits = &dividend / &divisor;
        let rest: BigInt = (&dividend % &divisor) * 2;
        if rest.magnitude() >= divisor.magnitude() {
            digits += if (dividend < zero) == (divisor < zero) { 1 } else { -1 };
        }
        Ok(Decimal { digits, exponent: -DIVISION_DIGITS })
    }
}

/// 10 to a power; 1 for a negative one.
fn power(exponent: i32) -> BigInt {
    BigInt::from(10).pow(u32::try_from(exponent).unwrap_or(0))
}

fn fold(call: &Call<'_>, first: f64, others: &[Value], operation: Operation) -> Answer {
    let mut result = Decimal::of(first)?;
    for other in others {
        // The digits become more with each number.
        call.spend(14 + usize::try_from(result.digits.bits() / 64).unwrap_or(usize::MAX))?;
        result = operation(&result, &Decimal::of(to_float(other))?)?;
    }
    Ok(result.float().into())
}

fn add1f(call: &mut Call<'_>) -> Answer {
    fold(call, to_float(call.value(0)), &[Value::int(1)], Decimal::add)
}

fn addf(call: &mut Call<'_>) -> Answer {
    fold(call, 0.0, call.args(), Decimal::add)
}

fn subf(call: &mut Call<'_>) -> Answer {
    fold(call, to_float(call.value(0)), &call.args()[1..], Decimal::sub)
}

fn mulf(call: &mut Call<'_>) -> Answer {
    fold(call, to_float(call.value(0)), &call.args()[1..], Decimal::mul)
}

fn divf(call: &mut Call<'_>) -> Answer {
    fold(call, to_float(call.value(0)), &call.args()[1..], Decimal::div)
}

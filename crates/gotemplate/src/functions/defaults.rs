//! Choosing between values: `default` and its relatives.

use super::args::Answer;
use crate::call::{Call, Entry};
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::variadic("all", 0, all),
    Entry::variadic("any", 0, any),
    Entry::variadic("coalesce", 0, coalesce),
    Entry::variadic("default", 1, default),
    Entry::exact("empty", 1, empty),
    Entry::exact("hello", 0, hello),
    Entry::exact("ternary", 3, ternary),
];

fn all(call: &mut Call<'_>) -> Answer {
    Ok(call.args().iter().all(Value::truth).into())
}

fn any(call: &mut Call<'_>) -> Answer {
    Ok(call.args().iter().any(Value::truth).into())
}

fn coalesce(call: &mut Call<'_>) -> Answer {
    Ok(call.args().iter().find(|value| value.truth()).cloned().unwrap_or_default())
}

fn default(call: &mut Call<'_>) -> Answer {
    let given = call.value(1);
    Ok(if given.truth() { given } else { call.value(0) }.clone())
}

fn empty(call: &mut Call<'_>) -> Answer {
    Ok((!call.value(0).truth()).into())
}

fn hello(_: &mut Call<'_>) -> Answer {
    Ok("Hello!".into())
}

fn ternary(call: &mut Call<'_>) -> Answer {
    Ok(if call.bool(2)? { call.value(0) } else { call.value(1) }.clone())
}

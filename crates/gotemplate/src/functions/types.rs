//! Types and kinds of values, and equality.

use super::args::Answer;
use crate::call::{Call, Entry};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::exact("deepEqual", 2, deep_equal),
    Entry::exact("kindIs", 2, kind_is),
    Entry::exact("kindOf", 1, kind_of),
    Entry::exact("typeIs", 2, type_is),
    Entry::exact("typeIsLike", 2, type_is_like),
    Entry::exact("typeOf", 1, type_of),
];

fn deep_equal(call: &mut Call<'_>) -> Answer {
    call.value(0).deep_equal(call.value(1), call.runtime()).map(Into::into)
}

fn kind_is(call: &mut Call<'_>) -> Answer {
    let wanted = call.string(0)?;
    Ok((call.value(1).kind().name() == &*wanted).into())
}

fn kind_of(call: &mut Call<'_>) -> Answer {
    Ok(call.value(0).kind().name().into())
}

fn type_is(call: &mut Call<'_>) -> Answer {
    let wanted = call.string(0)?;
    Ok((call.value(1).type_name() == &*wanted).into())
}

fn type_is_like(call: &mut Call<'_>) -> Answer {
    let wanted = call.string(0)?;
    let name = call.value(1).type_name();
    Ok((name == &*wanted || name.strip_prefix('*') == Some(&*wanted)).into())
}

fn type_of(call: &mut Call<'_>) -> Answer {
    Ok(call.value(0).type_name().into())
}

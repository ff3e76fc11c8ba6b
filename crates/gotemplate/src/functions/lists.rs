//! Functions of lists. None changes a list: all make new ones, of the type `[]interface {}` mostly.

use super::args::{Answer, items, list_items, string_list, text_value, texts, to_int};
use crate::call::{Call, Entry, FunctionError};
use crate::kind::{Element, Integer};
use crate::map::List;
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::exact("append", 2, append),
    Entry::exact("chunk", 2, chunk),
    Entry::exact("compact", 1, compact),
    Entry::variadic("concat", 0, concat),
    Entry::exact("first", 1, first),
    Entry::exact("has", 2, has),
    Entry::exact("initial", 1, initial),
    Entry::exact("last", 1, last),
    Entry::variadic("list", 0, list),
    Entry::exact("mustAppend", 2, append),
    Entry::exact("mustChunk", 2, chunk),
    Entry::exact("mustCompact", 1, compact),
    Entry::exact("mustFirst", 1, first),
    Entry::exact("mustHas", 2, has),
    Entry::exact("mustInitial", 1, initial),
    Entry::exact("mustLast", 1, last),
    Entry::exact("mustPrepend", 2, prepend),
    Entry::exact("mustPush", 2, append),
    Entry::exact("mustRest", 1, rest),
    Entry::exact("mustReverse", 1, reverse),
    Entry::variadic("mustSlice", 1, slice),
    Entry::exact("mustUniq", 1, uniq),
    Entry::variadic("mustWithout", 1, without),
    Entry::exact("prepend", 2, prepend),
    Entry::exact("push", 2, append),
    Entry::exact("rest", 1, rest),
    Entry::exact("reverse", 1, reverse),
    Entry::variadic("slice", 1, slice),
    Entry::exact("sortAlpha", 1, sort_alpha),
    Entry::variadic("tuple", 0, list),
    Entry::exact("uniq", 1, uniq),
    Entry::variadic("without", 1, without),
];

/// `[]interface {}`, which Go leaves nil in some functions when there is nothing in it.
fn nil_if_empty(items: Vec<Value>) -> Value {
    if items.is_empty() { List::nil(Element::Any).into() } else { Value::list(items) }
}

fn contains(call: &Call<'_>, items: &[Value], wanted: &Value) -> Result<bool, FunctionError> {
    for item in items {
        if wanted.deep_equal(item, call.runtime())? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn append(call: &mut Call<'_>) -> Answer {
    let mut items = list_items(call, 0, "Cannot push on type ")?;
    items.push(call.value(1).clone());
    Ok(Value::list(items))
}

fn prepend(call: &mut Call<'_>) -> Answer {
    let mut items = list_items(call, 0, "Cannot prepend on type ")?;
    items.insert(0, call.value(1).clone());
    Ok(Value::list(items))
}

fn chunk(call: &mut Call<'_>) -> Answer {
    let size = call.int(0)?;
    let items = list_items(call, 1, "Cannot chunk type ")?;
    call.spend(items.len())?;
    // Go counts the chunks in floating point, and so decides about sizes that make no sense.
    let chunks = ((items.len() as f64 - 1.0) / size as f64).floor() + 1.0;
    let useless = size < 0 && items.len() as f64 % size as f64 == 0.0;
    if !(0.0..9e15).contains(&chunks) || (chunks > 0.0 && useless) {
        return Err(FunctionError::failed("runtime error: makeslice: len out of range"));
    }
    let size = if chunks == 0.0 { 1 } else { usize::try_from(size).unwrap_or(items.len()).max(1) };
    let chunks = if chunks == 0.0 { &[] } else { items.as_slice() }.chunks(size);
    call.spend(chunks.len() * 6)?;
    Ok(List::of(Element::Lists, chunks.map(|chunk| Value::list(chunk.to_vec())).collect()).into())
}

fn compact(call: &mut Call<'_>) -> Answer {
    let mut items = list_items(call, 0, "Cannot compact on type ")?;
    items.retain(Value::truth);
    Ok(Value::list(items))
}

fn concat(call: &mut Call<'_>) -> Answer {
    let mut all = Vec::new();
    for index in 0..call.args().len() {
        let value = call.value(index);
        if value.is_nil() {
            return Err(super::args::nil_pointer());
        }
        let Some(mut items) = items(value) else {
            return Err(FunctionError::Failed(format!("Cannot concat type {} as list", value.kind().name())));
        };
        call.spend(items.len())?;
        all.append(&mut items);
    }
    Ok(nil_if_empty(all))
}

fn first(call: &mut Call<'_>) -> Answer {
    Ok(list_items(call, 0, "Cannot find first on type ")?.into_iter().next().unwrap_or_default())
}

fn last(call: &mut Call<'_>) -> Answer {
    Ok(list_items(call, 0, "Cannot find last on type ")?.pop().unwrap_or_default())
}

fn rest(call: &mut Call<'_>) -> Answer {
    let items = list_items(call, 0, "Cannot find rest on type ")?;
    Ok(if items.is_empty() { nil_if_empty(items) } else { Value::list(items[1..].to_vec()) })
}

fn initial(call: &mut Call<'_>) -> Answer {
    let mut items = list_items(call, 0, "Cannot find initial on type ")?;
    Ok(match items.pop() {
        None => nil_if_empty(items),
        Some(_) => Value::list(items),
    })
}

fn has(call: &mut Call<'_>) -> Answer {
    if call.value(1).is_nil() {
        return Ok(false.into());
    }
    let items = list_items(call, 1, "Cannot find has on type ")?;
    contains(call, &items, call.value(0)).map(Into::into)
}

fn list(call: &mut Call<'_>) -> Answer {
    Ok(Value::list(call.args().to_vec()))
}

fn reverse(call: &mut Call<'_>) -> Answer {
    let mut items = list_items(call, 0, "Cannot find reverse on type ")?;
    items.reverse();
    Ok(Value::list(items))
}

fn slice(call: &mut Call<'_>) -> Answer {
    let items = list_items(call, 0, "list should be type of slice or array but ")?;
    if items.is_empty() {
        return Ok(Value::Nil);
    }
    let start = if call.args().len() > 1 { to_int(call.value(1)) } else { 0 };
    let end = if call.args().len() > 2 { to_int(call.value(2)) } else { items.len() as i64 };
    let part = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let Some(part) = part.and_then(|(start, end)| items.get(start..end)) else {
        return Err(FunctionError::failed("reflect.Value.Slice: slice index out of bounds"));
    };
    Ok(match call.value(0) {
        Value::Bytes(_) => {
            let byte = |item: &Value| match item {
                Value::Integer(Integer::Uint8, number) => *number as u8,
                _ => 0,
            };
            Value::Bytes(part.iter().map(byte).collect())
        }
        Value::List(list) => List::of(list.element(), part.to_vec()).into(),
        _ => Value::list(part.to_vec()),
    })
}

fn sort_alpha(call: &mut Call<'_>) -> Answer {
    let value = call.value(0);
    if items(value).is_none() {
        return Ok(string_list(vec![text_value(call, value)?]));
    }
    let mut texts = texts(call, value)?;
    call.spend(texts.len() * 4)?;
    texts.sort_by(|one, two| one.as_bytes().cmp(&two.as_bytes()));
    Ok(string_list(texts))
}

fn uniq(call: &mut Call<'_>) -> Answer {
    let mut unique: Vec<Value> = Vec::new();
    for item in list_items(call, 0, "Cannot find uniq on type ")? {
        if !contains(call, &unique, &item)? {
            unique.push(item);
        }
    }
    Ok(Value::list(unique))
}

fn without(call: &mut Call<'_>) -> Answer {
    let mut left = Vec::new();
    for item in list_items(call, 0, "Cannot find without on type ")? {
        if !contains(call, &call.args()[1..], &item)? {
            left.push(item);
        }
    }
    Ok(Value::list(left))
}

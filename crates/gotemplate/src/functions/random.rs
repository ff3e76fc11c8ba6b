//! Random text and numbers. The host has the randomness: with a seed, everything comes out the same again.

use super::args::{Answer, count};
use super::base64;
use crate::call::{Call, Entry, FunctionError};
use crate::runtime::Runtime;
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::exact("randAlpha", 1, rand_alpha),
    Entry::exact("randAlphaNum", 1, rand_alpha_num),
    Entry::exact("randAscii", 1, rand_ascii),
    Entry::exact("randBytes", 1, rand_bytes),
    Entry::exact("randInt", 2, rand_int),
    Entry::exact("randNumeric", 1, rand_numeric),
    Entry::exact("shuffle", 1, shuffle),
    Entry::exact("uuidv4", 0, uuidv4),
];

/// Random bytes.
pub(super) fn bytes(runtime: &Runtime, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    runtime.host(|host| host.entropy(&mut bytes));
    bytes
}

/// A number below `limit`, each as likely as any other. `limit` is not 0.
fn below(runtime: &Runtime, limit: u64) -> u64 {
    // What is left over after the last whole range is thrown away.
    let usable = u64::MAX - u64::MAX % limit;
    loop {
        let mut buffer = [0; 8];
        runtime.host(|host| host.entropy(&mut buffer));
        let number = u64::from_le_bytes(buffer);
        if number < usable {
            return number % limit;
        }
    }
}

fn characters(call: &Call<'_>, alphabet: &[u8]) -> Answer {
    let length = call.int(0)?;
    let length = count(call, length, 1)?;
    call.spend(length)?;
    let random = |_| char::from(alphabet[below(call.runtime(), alphabet.len() as u64) as usize]);
    Ok((0..length).map(random).collect::<String>().into())
}

fn alphabet(wanted: fn(&u8) -> bool) -> Vec<u8> {
    (b' '..=b'~').filter(wanted).collect()
}

fn rand_alpha(call: &mut Call<'_>) -> Answer {
    characters(call, &alphabet(u8::is_ascii_alphabetic))
}

fn rand_alpha_num(call: &mut Call<'_>) -> Answer {
    characters(call, &alphabet(u8::is_ascii_alphanumeric))
}

fn rand_ascii(call: &mut Call<'_>) -> Answer {
    characters(call, &alphabet(|_| true))
}

fn rand_numeric(call: &mut Call<'_>) -> Answer {
    characters(call, &alphabet(u8::is_ascii_digit))
}

fn rand_bytes(call: &mut Call<'_>) -> Answer {
    let length = call.int(0)?;
    if length < 0 {
        return Err(FunctionError::failed("runtime error: makeslice: len out of range"));
    }
    let length = count(call, length, 2)?;
    call.spend(length)?;
    Ok(base64::encode(&bytes(call.runtime(), length)).into())
}

fn rand_int(call: &mut Call<'_>) -> Answer {
    let (min, max) = (call.int(0)?, call.int(1)?);
    match u64::try_from(max.wrapping_sub(min)) {
        Ok(range) if range > 0 => Ok(Value::int(below(call.runtime(), range) as i64 + min)),
        _ => Err(FunctionError::failed("invalid argument to Intn")),
    }
}

fn shuffle(call: &mut Call<'_>) -> Answer {
    let text = call.string(0)?;
    call.allocate(text.len())?;
    call.spend(text.len())?;
    let mut characters: Vec<char> = text.chars().collect();
    for index in (1..characters.len()).rev() {
        characters.swap(index, below(call.runtime(), index as u64 + 1) as usize);
    }
    Ok(characters.into_iter().collect::<String>().into())
}

fn uuidv4(call: &mut Call<'_>) -> Answer {
    let mut bytes = bytes(call.runtime(), 16);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = base64::hex(&bytes);
    let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Ok(groups.join("-").into())
}

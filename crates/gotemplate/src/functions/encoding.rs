//! Encodings and checksums.

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::args::Answer;
use super::base64;
use crate::call::{Call, Entry, FunctionError};
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::exact("adler32sum", 1, adler32sum),
    Entry::exact("b32dec", 1, b32dec),
    Entry::exact("b32enc", 1, b32enc),
    Entry::exact("b64dec", 1, b64dec),
    Entry::exact("b64enc", 1, b64enc),
    Entry::exact("sha1sum", 1, sha1sum),
    Entry::exact("sha256sum", 1, sha256sum),
    Entry::exact("sha512sum", 1, sha512sum),
];

fn input<'a>(call: &Call<'a>) -> Result<&'a [u8], FunctionError> {
    let bytes = call.bytes(0)?;
    call.allocate(bytes.len() * 2)?;
    Ok(bytes)
}

fn b64enc(call: &mut Call<'_>) -> Answer {
    Ok(base64::encode(input(call)?).into())
}

fn b32enc(call: &mut Call<'_>) -> Answer {
    Ok(base64::encode32(input(call)?).into())
}

/// What can't be decoded becomes the text of the error.
fn b64dec(call: &mut Call<'_>) -> Answer {
    Ok(base64::decode(input(call)?).map_or_else(|error| error.text().into(), Value::string))
}

fn b32dec(call: &mut Call<'_>) -> Answer {
    Ok(base64::decode32(input(call)?).map_or_else(|error| error.text().into(), Value::string))
}

fn sum<D: Digest>(call: &Call<'_>) -> Answer {
    Ok(base64::hex(&D::digest(input(call)?)).into())
}

fn sha1sum(call: &mut Call<'_>) -> Answer {
    sum::<Sha1>(call)
}

fn sha256sum(call: &mut Call<'_>) -> Answer {
    sum::<Sha256>(call)
}

fn sha512sum(call: &mut Call<'_>) -> Answer {
    sum::<Sha512>(call)
}

fn adler32sum(call: &mut Call<'_>) -> Answer {
    const MODULUS: u32 = 65_521;
    let (mut low, mut high) = (1u32, 0u32);
    for &byte in input(call)? {
        low = (low + u32::from(byte)) % MODULUS;
        high = (high + low) % MODULUS;
    }
    Ok(((high << 16) | low).to_string().into())
}

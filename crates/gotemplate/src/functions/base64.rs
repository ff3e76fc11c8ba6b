//! Base64 and base32 with the standard alphabets and padding, read as strictly as Go does.

/// Where the alphabets do not have a byte.
const NONE: u8 = u8::MAX;

const BASE64_VALUES: [u8; 256] = values(BASE64);
const BASE32_VALUES: [u8; 256] = values(BASE32);

/// What each digit stands for.
const fn values(alphabet: &[u8]) -> [u8; 256] {
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < alphabet.len() {
        values[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    values
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The text is not in the alphabet at this offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupt {
    bits: u32,
    offset: usize,
}

impl Corrupt {
    /// Go's words.
    pub(crate) fn text(self) -> String {
        let name = if self.bits == 6 { "base64" } else { "base32" };
        format!("illegal {name} data at input byte {}", self.offset)
    }
}

/// Bytes as base64.
pub(crate) fn encode(bytes: &[u8]) -> String {
    encode_with(bytes, BASE64, 6)
}

/// Bytes as base32.
pub(crate) fn encode32(bytes: &[u8]) -> String {
    encode_with(bytes, BASE32, 5)
}

/// The bytes of a base64 text; line breaks are skipped.
pub(crate) fn decode(text: &[u8]) -> Result<Vec<u8>, Corrupt> {
    decode_with(text, &BASE64_VALUES, 6)
}

/// The bytes of a base32 text; line breaks are skipped.
pub(crate) fn decode32(text: &[u8]) -> Result<Vec<u8>, Corrupt> {
    // The offsets of its errors do not count line breaks.
    let text: Vec<u8> = text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    decode_with(&text, &BASE32_VALUES, 5)
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Digits in a group that is a whole number of bytes.
fn group(bits: u32) -> usize {
    if bits == 6 { 4 } else { 8 }
}

fn encode_with(bytes: &[u8], alphabet: &[u8], bits: u32) -> String {
    let mask = alphabet.len() - 1;
    let mut out = String::with_capacity(bytes.len() * 2);
    let (mut buffer, mut held) = (0usize, 0);
    for &byte in bytes {
        buffer = (buffer << 8) | usize::from(byte);
        held += 8;
        while held >= bits {
            held -= bits;
            out.push(char::from(alphabet[(buffer >> held) & mask]));
        }
        buffer &= (1 << held) - 1;
    }
    if held > 0 {
        out.push(char::from(alphabet[(buffer << (bits - held)) & mask]));
    }
    while !out.len().is_multiple_of(group(bits)) {
        out.push('=');
    }
    out
}

fn decode_with(text: &[u8], values: &[u8; 256], bits: u32) -> Result<Vec<u8>, Corrupt> {
    let group = group(bits);
    let corrupt = |offset| Corrupt { bits, offset };
    let mut out = Vec::with_capacity(text.len() * bits as usize / 8);
    let mut digits = text.iter().copied().enumerate().filter(|(_, byte)| !matches!(byte, b'\r' | b'\n'));
    loop {
        let (mut buffer, mut count) = (0u64, 0usize);
        let mut padding = None;
        while count < group {
            let Some((offset, digit)) = digits.next() else {
                if count == 0 {
                    return Ok(out);
                }
                // The end inside a group: blamed on its first digit.
                return Err(corrupt(text.len() - count.min(text.len())));
            };
            if digit == b'=' {
                padding = Some(offset);
                break;
            }
            match values[usize::from(digit)] {
                NONE => return Err(corrupt(offset)),
                value => buffer = (buffer << bits) | u64::from(value),
            }
            count += 1;
        }
        let whole = count * bits as usize / 8;
        let rest = count * bits as usize - whole * 8;
        if let Some(offset) = padding {
            // A group holds whole bytes, and the padding fills it up.
            if whole == 0 || rest >= bits as usize {
                return Err(corrupt(offset));
            }
            for _ in count + 1..group {
                match digits.next() {
                    Some((_, b'=')) => {}
                    Some((offset, _)) => return Err(corrupt(offset - 1)),
                    None => return Err(corrupt(text.len())),
                }
            }
        }
        buffer >>= rest;
        for index in (0..whole).rev() {
            out.push((buffer >> (index * 8)) as u8);
        }
        if padding.is_some() {
            return match digits.next() {
                // Base32 does not look at what comes behind its end.
                Some((offset, _)) if bits == 6 => Err(corrupt(offset)),
                _ => Ok(out),
            };
        }
    }
}

//! The encoding of keys and certificates: nested values of a tag, a length and a content.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const PRINTABLE_STRING: u8 = 0x13;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

pub(super) const NULL: &[u8] = &[0x05, 0];
pub(super) const TRUE: &[u8] = &[0x01, 1, 0xff];

/// The tag of a numbered field that holds other values.
pub(super) const fn field(number: u8) -> u8 {
    0xa0 | number
}

/// A value.
pub(super) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let bytes = length.to_be_bytes();
        let bytes = &bytes[length.leading_zeros() as usize / 8..];
        out.push(0x80 | bytes.len() as u8);
        out.extend_from_slice(bytes);
    }
    out.extend_from_slice(content);
    out
}

/// A value of other ones.
pub(super) fn nested(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    value(tag, &parts.concat())
}

/// A number without a sign.
pub(super) fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len());
    let bytes = &bytes[start..];
    let sign: &[u8] = if bytes.first().is_none_or(|&byte| byte >= 0x80) { &[0] } else { &[] };
    nested(INTEGER, &[sign, bytes])
}

/// Bits, of which the last `unused` do not count.
pub(super) fn bits(bytes: &[u8], unused: u8) -> Vec<u8> {
    nested(BIT_STRING, &[&[unused], bytes])
}

/// Reads values one after the other.
#[derive(Clone, Copy)]
pub(super) struct Reader<'d> {
    rest: &'d [u8],
}

impl<'d> Reader<'d> {
    pub(super) fn new(data: &'d [u8]) -> Reader<'d> {
        Reader { rest: data }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next value: its tag, its content, and the whole.
    pub(super) fn any(&mut self) -> Option<(u8, &'d [u8], &'d [u8])> {
        let (&tag, &first) = (self.rest.first()?, self.rest.get(1)?);
        let (length, start) = if first < 0x80 {
            (usize::from(first), 2)
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return None;
            }
            let bytes = self.rest.get(2..2 + count)?;
            (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), 2 + count)
        };
        let end = start.checked_add(length)?;
        let (whole, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        Some((tag, &whole[start..], whole))
    }

    /// The content of the next value, which has to be of this tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'d [u8]> {
        let mut ahead = *self;
        let (found, content, _) = ahead.any()?;
        (found == tag).then(|| {
            *self = ahead;
            content
        })
    }

    /// The same, to be read in turn.
    pub(super) fn enter(&mut self, tag: u8) -> Option<Reader<'d>> {
        self.take(tag).map(Reader::new)
    }
}

/// Data as text between two lines that say what it is.
pub(super) fn pem(label: &str, data: &[u8]) -> String {
    let encoded = crate::functions::base64::encode(data);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in encoded.as_bytes().chunks(64) {
        out.extend(line.iter().map(|&byte| char::from(byte)));
        out.push('\n');
    }
    out + "-----END " + label + "-----\n"
}

/// The first block in a text: what it says it is, and its data.
pub(super) fn from_pem(text: &[u8]) -> Option<(String, Vec<u8>)> {
    let text = String::from_utf8_lossy(text);
    let mut rest = &*text;
    loop {
        let start = rest.find("-----BEGIN ")?;
        let at_line_start = start == 0 || rest[..start].ends_with('\n');
        rest = &rest[start + 11..];
        if !at_line_start {
            continue;
        }
        let (label, body) = rest.split_once("-----")?;
        if label.contains('\n') {
            continue;
        }
        let Some((body, _)) = body.split_once(&format!("-----END {label}-----")) else {
            continue;
        };
        // There may be headers before an empty line.
        let body = match body.trim_start().split_once("\n\n") {
            Some((headers, body)) if headers.contains(':') => body,
            _ => body,
        };
        let body: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        if let Ok(data) = crate::functions::base64::decode(&body) {
            return Some((label.to_owned(), data));
        }
    }
}

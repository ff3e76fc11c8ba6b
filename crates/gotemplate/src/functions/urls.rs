//! URLs, taken apart and put together as Go's `net/url` does.

use super::args::Answer;
use super::strings::find;
use crate::call::{Call, Entry, FunctionError};
use crate::format::quoted;
use crate::map::Map;
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] =
    &[Entry::exact("urlJoin", 1, url_join), Entry::exact("urlParse", 1, url_parse)];

/// Which part of a URL is written, since each keeps other characters as they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    Host,
    /// What follows `%25` in an IPv6 address.
    Scope,
    User,
    Fragment,
}

/// The parts of a URL, unescaped but for the query.
#[derive(Default)]
struct Url {
    scheme: Vec<u8>,
    opaque: Vec<u8>,
    user: Option<(Vec<u8>, Option<Vec<u8>>)>,
    host: Vec<u8>,
    path: Vec<u8>,
    force_query: bool,
    query: Vec<u8>,
    fragment: Vec<u8>,
}

fn must_escape(byte: u8, place: Place) -> bool {
    if byte.is_ascii_alphanumeric() {
        return false;
    }
    let host = matches!(place, Place::Host | Place::Scope);
    match byte {
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'[' | b']'
        | b'<' | b'>' | b'"'
            if host =>
        {
            false
        }
        b'-' | b'_' | b'.' | b'~' => false,
        b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' => match place {
            Place::Path => byte == b'?',
            Place::User => matches!(byte, b'@' | b'/' | b'?' | b':'),
            Place::Fragment => false,
            Place::Host | Place::Scope => true,
        },
        b'!' | b'(' | b')' | b'*' => place != Place::Fragment,
        _ => true,
    }
}

fn escape(text: &[u8], place: Place, out: &mut Vec<u8>) {
    for &byte in text {
        if must_escape(byte, place) {
            let digit = |half: u8| b"0123456789ABCDEF"[usize::from(half)];
            out.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        } else {
            out.push(byte);
        }
    }
}

fn quote(text: &[u8]) -> String {
    quoted(text, '"', false)
}

fn unescape(text: &[u8], place: Place) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    while let Some(&byte) = rest.first() {
        if byte == b'%' {
            let bad = || format!("invalid URL escape {}", quote(&rest[..rest.len().min(3)]));
            let (Some(high), Some(low)) = (digit(rest.get(1)), digit(rest.get(2))) else {
                return Err(bad());
            };
            let value = (high * 16 + low) as u8;
            let percent = rest.starts_with(b"%25");
            // Hosts have no escapes of ASCII, and of the others only what they might write as it is.
            if (place == Place::Host && high < 8 && !percent)
                || (place == Place::Scope && !percent && value != b' ' && must_escape(value, Place::Host))
            {
                return Err(bad());
            }
            out.push(value);
            rest = &rest[3..];
            continue;
        }
        if matches!(place, Place::Host | Place::Scope) && byte < 0x80 && must_escape(byte, place) {
            return Err(format!("invalid character {} in host name", quote(&[byte])));
        }
        out.push(byte);
        rest = &rest[1..];
    }
    Ok(out)
}

fn split_at<'t>(text: &'t [u8], separator: &[u8]) -> (&'t [u8], Option<&'t [u8]>) {
    match find(text, separator) {
        Some(index) => (&text[..index], Some(&text[index + separator.len()..])),
        None => (text, None),
    }
}

/// The scheme, if there is one, and the rest.
fn scheme(text: &[u8]) -> Result<(&[u8], &[u8]), String> {
    for (index, byte) in text.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if index > 0 => {}
            b':' if index == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&text[..index], &text[index + 1..])),
            _ => break,
        }
    }
    Ok((b"", text))
}

fn is_port(text: &[u8]) -> bool {
    text.is_empty() || (text[0] == b':' && text[1..].iter().all(u8::is_ascii_digit))
}

fn bad_port(port: &[u8]) -> String {
    format!("invalid port {} after host", quote(port))
}

fn host(text: &[u8]) -> Result<Vec<u8>, String> {
    if text.starts_with(b"[") {
        let Some(end) = text.iter().rposition(|&byte| byte == b']') else {
            return Err("missing ']' in host".to_owned());
        };
        if !is_port(&text[end + 1..]) {
            return Err(bad_port(&text[end + 1..]));
        }
        if let Some(scope) = find(&text[..end], b"%25") {
            let parts = [
                unescape(&text[..scope], Place::Host)?,
                unescape(&text[scope..end], Place::Scope)?,
                unescape(&text[end..], Place::Host)?,
            ];
            return Ok(parts.concat());
        }
    } else if let Some(colon) = text.iter().rposition(|&byte| byte == b':')
        && !is_port(&text[colon..])
    {
        return Err(bad_port(&text[colon..]));
    }
    unescape(text, Place::Host)
}

impl Url {
    /// Takes a URL apart.
    ///
    /// # Errors
    ///
    /// Go's words, with the URL.
    fn parse(text: &[u8]) -> Result<Url, String> {
        let (before, fragment) = split_at(text, b"#");
        let mut url = Url::parse_before_fragment(before)
            .map_err(|error| format!("parse {}: {error}", quote(before)))?;
        if let Some(fragment) = fragment {
            url.fragment = unescape(fragment, Place::Fragment)
                .map_err(|error| format!("parse {}: {error}", quote(text)))?;
        }
        Ok(url)
    }

    fn parse_before_fragment(text: &[u8]) -> Result<Url, String> {
        if text.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let mut url = Url::default();
        if text == b"*" {
            url.path = text.to_vec();
            return Ok(url);
        }
        let (scheme, rest) = scheme(text)?;
        url.scheme = scheme.to_ascii_lowercase();
        let (mut rest, query) = split_at(rest, b"?");
        url.force_query = query == Some(b"");
        url.query = query.unwrap_or_default().to_vec();
        if !rest.starts_with(b"/") {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_vec();
                return Ok(url);
            }
            if split_at(rest, b"/").0.contains(&b':') {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        if rest.starts_with(b"//") && (!url.scheme.is_empty() || !rest.starts_with(b"///")) {
            let end = rest[2..].iter().position(|&byte| byte == b'/').map_or(rest.len(), |index| index + 2);
            url.authority(&rest[2..end])?;
            rest = &rest[end..];
        }
        url.path = unescape(rest, Place::Path)?;
        Ok(url)
    }

    fn authority(&mut self, text: &[u8]) -> Result<(), String> {
        let Some(at) = text.iter().rposition(|&byte| byte == b'@') else {
            self.host = host(text)?;
            return Ok(());
        };
        self.host = host(&text[at + 1..])?;
        let user = &text[..at];
        if !user.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(byte)) {
            return Err("net/url: invalid userinfo".to_owned());
        }
        let (name, password) = split_at(user, b":");
        let password = password.map(|password| unescape(password, Place::User)).transpose()?;
        self.user = Some((unescape(name, Place::User)?, password));
        Ok(())
    }

    fn user_text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some((name, password)) = &self.user {
            escape(name, Place::User, &mut out);
            if let Some(password) = password {
                out.push(b':');
                escape(password, Place::User, &mut out);
            }
        }
        out
    }

    /// The host without a port and without brackets.
    fn host_name(&self) -> &[u8] {
        let host = &*self.host;
        let end = match host.iter().rposition(|&byte| byte == b':') {
            Some(colon) if is_port(&host[colon..]) => colon,
            _ => host.len(),
        };
        let host = &host[..end];
        host.strip_prefix(b"[").and_then(|inside| inside.strip_suffix(b"]")).unwrap_or(host)
    }

    fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.scheme.is_empty() {
            out.extend_from_slice(&self.scheme);
            out.push(b':');
        }
        if self.opaque.is_empty() {
            let authority = !self.host.is_empty() || self.user.is_some();
            if authority || (!self.scheme.is_empty() && !self.path.is_empty()) {
                out.extend_from_slice(b"//");
            }
            if self.user.is_some() {
                out.extend_from_slice(&self.user_text());
                out.push(b'@');
            }
            escape(&self.host, Place::Host, &mut out);
            if !self.path.is_empty() && self.path[0] != b'/' && !self.host.is_empty() {
                out.push(b'/');
            }
            // Else the start of the path would be taken for a scheme.
            if out.is_empty() && split_at(&self.path, b"/").0.contains(&b':') {
                out.extend_from_slice(b"./");
            }
            if self.path == b"*" {
                out.push(b'*');
            } else {
                escape(&self.path, Place::Path, &mut out);
            }
        } else {
            out.extend_from_slice(&self.opaque);
        }
        if self.force_query || !self.query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push(b'#');
            escape(&self.fragment, Place::Fragment, &mut out);
        }
        out
    }
}

fn url_parse(call: &mut Call<'_>) -> Answer {
    let text = call.bytes(0)?;
    call.allocate(text.len())?;
    // For the eight fields of what it gives.
    call.spend(8)?;
    let url =
        Url::parse(text).map_err(|error| FunctionError::Failed(format!("unable to parse url: {error}")))?;
    let text = |text: &[u8]| Value::string(text);
    Ok(Value::map([
        ("scheme", text(&url.scheme)),
        ("host", text(&url.host)),
        ("hostname", text(url.host_name())),
        ("path", text(&url.path)),
        ("query", text(&url.query)),
        ("opaque", text(&url.opaque)),
        ("fragment", text(&url.fragment)),
        ("userinfo", Value::string(url.user_text())),
    ]))
}

fn part(map: &Map, key: &str) -> Result<Vec<u8>, FunctionError> {
    match map.get(key) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text.as_bytes().to_vec()),
        Some(Value::RawString(bytes)) => Ok(bytes.to_vec()),
        Some(Value::Nil) => Err(super::args::nil_pointer()),
        Some(other) => Err(FunctionError::Failed(format!(
            "unable to parse {key} key, must be of type string, but {} found",
            other.kind().name()
        ))),
    }
}

fn url_join(call: &mut Call<'_>) -> Answer {
    let map = call.map(0)?;
    let mut url = Url {
        scheme: part(&map, "scheme")?,
        host: part(&map, "host")?,
        path: part(&map, "path")?,
        query: part(&map, "query")?,
        opaque: part(&map, "opaque")?,
        fragment: part(&map, "fragment")?,
        ..Url::default()
    };
    let user = part(&map, "userinfo")?;
    if !user.is_empty() {
        let with_user = Url::parse(&[b"proto://", &*user, b"@host"].concat());
        url.user = with_user
            .map_err(|error| FunctionError::Failed(format!("unable to parse userinfo in dict: {error}")))?
            .user;
    }
    let text = url.text();
    // What the map holds was not paid for.
    call.allocate(text.len())?;
    call.spend(8 + text.len() / 16)?;
    Ok(Value::string(text))
}

//! Which keys may log in to the node.

use crate::drone::root::Root;
use provider_core::{Error, Result};

const DIRECTORY: &str = "/.ssh";
const FILE: &str = "/.ssh/authorized_keys";
const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// Takes the keys of `detach` from those that may log in, and adds those of `attach` that may not yet. Lines of
/// others stay as they are.
pub(super) fn change(root: &Root<'_>, attach: &[String], detach: &[String]) -> Result<()> {
    let attach = attach.iter().map(|key| checked(key)).collect::<Result<Vec<_>>>()?;
    let detach = detach.iter().map(|key| checked(key)).collect::<Result<Vec<_>>>()?;
    let before = root.read(FILE)?;
    let text = String::from_utf8(before.clone().unwrap_or_default())
        .map_err(|e| Error::conflict(format!("reading `{FILE}` on the node")).caused_by(&e))?;
    let mut lines: Vec<_> = text.lines().filter(|line| !detach.contains(&line.trim())).collect();
    for key in attach {
        if !lines.iter().any(|line| line.trim() == key) {
            lines.push(key);
        }
    }
    let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    if before.is_some() || !text.is_empty() {
        // A server ignores the file when others could change it.
        root.directory(DIRECTORY, 0o700)?;
        root.write(FILE, text.as_bytes(), 0o600)?;
    }
    Ok(())
}

/// The key as its line says it.
fn checked(key: &str) -> Result<&str> {
    // What was given by mistake may be the private half, so that it is not quoted.
    let bad = |why: &str| {
        Err(Error::invalid(format!("a key for logging in {why}"))
            .hint("give the line of the `.pub` file, as ssh-keygen writes it"))
    };
    let key = key.trim();
    let mut words = key.split_ascii_whitespace();
    let (Some(kind), Some(body)) = (words.next(), words.next()) else {
        return bad("does not have the form `KIND BASE64 [COMMENT]`");
    };
    if key.contains(char::is_control) {
        return bad("has more than one line or a control character");
    }
    if !KINDS.contains(&kind) {
        return bad(&format!("is of none of the kinds {}", KINDS.join(", ")));
    }
    // The body begins with the kind's length, in four bytes, and the kind.
    let length = u32::try_from(kind.len()).expect("kinds are short");
    let expected = [&length.to_be_bytes(), kind.as_bytes()].concat();
    match decoded(body) {
        Some(bytes) if bytes.len() > expected.len() && bytes.starts_with(&expected) => Ok(key),
        _ => bad(&format!("says `{kind}` and holds something else")),
    }
}

/// The bytes of a text in Base64.
fn decoded(text: &str) -> Option<Vec<u8>> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let body = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - body.len() > 2 {
        return None;
    }
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for digit in body.bytes() {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFW8JxAfUiCRpZ4lPjHY4BDSATKTE2mMnjGYyN4Cjvzb me@here";

    #[test]
    fn only_public_keys_are_keys() {
        let check = |key: &str, why: Option<&str>| {
            let told = checked(key).map_err(|error| error.to_string());
            match why {
                None => assert_eq!(told, Ok(key.trim())),
                Some(why) => assert_eq!(told, Err(format!("a key for logging in {why}"))),
            }
        };
        check(KEY, None);
        check(&format!("{KEY}\n"), None);
        check(KEY.trim_end_matches(" me@here"), None);
        check("", Some("does not have the form `KIND BASE64 [COMMENT]`"));
        check(&format!("{KEY}\n{KEY}"), Some("has more than one line or a control character"));
        check(&KEY.replace("AAAAC3", "AAAAD3"), Some("says `ssh-ed25519` and holds something else"));
        check("ssh-ed25519 AAAA", Some("says `ssh-ed25519` and holds something else"));
        check("ssh-ed25519 AAA$", Some("says `ssh-ed25519` and holds something else"));
        let kinds = KINDS.join(", ");
        check(&format!("command=\"sh\" {KEY}"), Some(&format!("is of none of the kinds {kinds}")));
        check("-----BEGIN PRIVATE KEY-----", Some(&format!("is of none of the kinds {kinds}")));
    }

    #[test]
    fn base64_is_read() {
        let check = |text: &str, bytes: Option<&[u8]>| assert_eq!(decoded(text).as_deref(), bytes, "{text}");
        check("", Some(b""));
        check("Zm9vYmFy", Some(b"foobar"));
        check("Zm9vYmE=", Some(b"fooba"));
        check("Zm9vYg==", Some(b"foob"));
        check("Zm9vYg=", None);
        check("A===", None);
        check("Zm9 ", None);
    }
}

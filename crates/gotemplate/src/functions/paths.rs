//! Paths with slashes.

use super::args::Answer;
use crate::call::{Call, Entry};
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::exact("base", 1, base),
    Entry::exact("clean", 1, clean),
    Entry::exact("dir", 1, dir),
    Entry::exact("ext", 1, ext),
    Entry::exact("isAbs", 1, is_abs),
    Entry::exact("osBase", 1, base),
    Entry::exact("osClean", 1, clean),
    Entry::exact("osDir", 1, dir),
    Entry::exact("osExt", 1, ext),
    Entry::exact("osIsAbs", 1, is_abs),
];

/// The shortest path to the same place, by looking at the text alone.
fn cleaned(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match parts.last() {
                Some(&last) if last != b".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(part),
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", &*joined].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

fn base(call: &mut Call<'_>) -> Answer {
    let path = call.bytes(0)?;
    if path.is_empty() {
        return Ok(".".into());
    }
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |index| index + 1);
    let path = &path[..end];
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    Ok(if name.is_empty() { "/".into() } else { Value::string(name) })
}

fn clean(call: &mut Call<'_>) -> Answer {
    Ok(Value::string(cleaned(call.bytes(0)?)))
}

fn dir(call: &mut Call<'_>) -> Answer {
    let path = call.bytes(0)?;
    let end = path.iter().rposition(|&byte| byte == b'/').map_or(0, |index| index + 1);
    Ok(Value::string(cleaned(&path[..end])))
}

fn ext(call: &mut Call<'_>) -> Answer {
    let path = call.bytes(0)?;
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let dot = name.iter().rposition(|&byte| byte == b'.').unwrap_or(name.len());
    Ok(Value::string(&name[dot..]))
}

fn is_abs(call: &mut Call<'_>) -> Answer {
    Ok(call.bytes(0)?.starts_with(b"/").into())
}

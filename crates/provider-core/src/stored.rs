//! Stored bytes carry their kind and version, so that an older or newer Pitrix knows what it reads.

use crate::{Error, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Something that is stored. A change of its shape raises [`VERSION`](Self::VERSION) and teaches
/// [`upgrade`](Self::upgrade) to read the version before.
pub trait Stored: Serialize + DeserializeOwned {
    /// What it is, for example `job`.
    const KIND: &'static str;
    /// The version that is written.
    const VERSION: u32;

    /// Turns the body of the version before into the present one. None when there is no such version.
    fn upgrade(_old: Value) -> Option<Value> {
        None
    }
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    kind: &'a str,
    v: u32,
    body: &'a T,
}

#[derive(Deserialize)]
struct Read {
    kind: String,
    v: u32,
    body: Value,
}

/// `value` with its kind and version.
///
/// # Errors
/// `Bug` when it can't be serialised.
pub fn store<T: Stored>(value: &T) -> Result<String> {
    serde_json::to_string(&Envelope { kind: T::KIND, v: T::VERSION, body: value })
        .map_err(|e| Error::bug(format!("a {} can't be serialised", T::KIND)).caused_by(&e))
}

/// What [`store`] made, by this version or the one before.
///
/// # Errors
/// `Store` when the bytes are something else, are damaged, or were written by a newer Pitrix.
pub fn read<T: Stored>(bytes: &str) -> Result<T> {
    let bad = |why: String| Error::store(format!("a stored {} can't be read: {why}", T::KIND));
    // Most of what is read is current; it is not taken apart twice.
    #[derive(Deserialize)]
    struct Current<T> {
        kind: String,
        v: u32,
        body: T,
    }
    if let Ok(Current { kind, v, body }) = serde_json::from_str::<Current<T>>(bytes)
        && kind == T::KIND
        && v == T::VERSION
    {
        return Ok(body);
    }
    let read: Read = serde_json::from_str(bytes).map_err(|e| bad(e.to_string()))?;
    if read.kind != T::KIND {
        return Err(bad(format!("it is a {}", read.kind)));
    }
    let body = match read.v {
        v if v == T::VERSION => Some(read.body),
        v if v + 1 == T::VERSION => T::upgrade(read.body),
        v if v > T::VERSION => {
            return Err(bad(format!("it has version {v}, this Pitrix knows up to {}", T::VERSION))
                .hint("use the newer Pitrix that wrote it; nothing was changed"));
        }
        _ => None,
    };
    let body = body.ok_or_else(|| bad(format!("version {} is too old", read.v)))?;
    serde_json::from_value(body).map_err(|e| bad(e.to_string()))
}

macro_rules! stored {
    ($($type:ident $kind:literal $version:literal;)*) => {$(
        impl Stored for crate::$type {
            const KIND: &'static str = $kind;
            const VERSION: u32 = $version;
        }
    )*};
}

// What the store keeps as it is. A type whose shape changes leaves this list and implements `upgrade`.
stored! {
    Error "error" 1;
    Fold "fold" 1;
    Handle "handle" 1;
    Node "node" 1;
    Plan "plan" 1;
    Runtime "runtime" 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Disk {
        gib: u32,
    }

    impl Stored for Disk {
        const KIND: &'static str = "disk";
        const VERSION: u32 = 2;
        fn upgrade(mut old: Value) -> Option<Value> {
            let size = old.as_object_mut()?.remove("size")?;
            Some(serde_json::json!({ "gib": size }))
        }
    }

    #[test]
    fn the_present_version_and_the_one_before_are_read() {
        assert_eq!(store(&Disk { gib: 3 }).unwrap(), r#"{"kind":"disk","v":2,"body":{"gib":3}}"#);
        for bytes in
            [r#"{"kind":"disk","v":2,"body":{"gib":3}}"#, r#"{"kind":"disk","v":1,"body":{"size":3}}"#]
        {
            assert_eq!(read::<Disk>(bytes).unwrap(), Disk { gib: 3 });
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        for (bytes, why) in [
            (r#"{"kind":"disk","v":3,"body":{}}"#, "it has version 3, this Pitrix knows up to 2"),
            (r#"{"kind":"disk","v":0,"body":{}}"#, "version 0 is too old"),
            (r#"{"kind":"node","v":2,"body":{}}"#, "it is a node"),
            (r#"{"kind":"disk","v":2,"body":{}}"#, "missing field `gib`"),
        ] {
            let error = read::<Disk>(bytes).unwrap_err().to_string();
            assert_eq!(error, format!("a stored disk can't be read: {why}"));
        }
    }
}

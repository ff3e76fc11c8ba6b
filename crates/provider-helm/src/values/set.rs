//! The little language of `--set`: `a.b=1,c[0]=x,d={1,2}`.

use provider_core::{Error, Result};
use serde_json::{Map, Value};

/// An index past this is refused, as in Helm.
const MAX_INDEX: usize = 65_536;
/// Keys inside keys, at most, as in Helm.
const MAX_DEPTH: usize = 30;

/// How the right-hand sides are read.
pub(super) enum Kind<'a> {
    /// Integers, bools and null are recognised.
    Typed,
    /// Everything is text.
    Text,
    /// JSON.
    Json,
    /// The name of a file whose content is meant.
    File(&'a mut dyn FnMut(&str) -> Result<String>),
}

/// Reads one argument and sets what it says in `into`.
///
/// # Errors
/// `Invalid` where Helm refuses it, or the error of reading a file. What came before in `text` stays set.
pub(super) fn parse_into(text: &str, kind: Kind<'_>, into: &mut Map<String, Value>) -> Result<()> {
    let mut parser = Parser { rest: text, kind };
    loop {
        match parser.key(into, 0) {
            Ok(()) => {}
            Err(Stop::End) => return Ok(()),
            Err(Stop::Error(error)) => return Err(error),
        }
    }
}

/// Why reading stops: there is nothing more, or something is wrong.
enum Stop {
    End,
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

fn refuse<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Error(Error::invalid(why)))
}

struct Parser<'a, 'b> {
    rest: &'a str,
    kind: Kind<'b>,
}

impl Parser<'_, '_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// Text up to one of `stops`, which is taken too; none when the end came first.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut text = String::new();
        while let Some(c) = self.next() {
            if stops.contains(&c) {
                return (text, Some(c));
            }
            match if c == '\\' { self.next() } else { Some(c) } {
                Some(c) => text.push(c),
                None => break,
            }
        }
        (text, None)
    }

    fn key(&mut self, into: &mut Map<String, Value>, depth: usize) -> Result<(), Stop> {
        let (key, last) = self.until(&['=', '[', ',', '.']);
        match last {
            None if key.is_empty() => Err(Stop::End),
            None => refuse(format!("key `{key}` has no value")),
            Some('[') => {
                let index = self.index()?;
                let list = match into.get(&key) {
                    None => Vec::new(),
                    Some(Value::Array(list)) => list.clone(),
                    Some(_) => return refuse(format!("key `{key}` has an index, but its value is no list")),
                };
                let (list, outcome) = self.item(list, index, depth);
                set(into, &key, Value::Array(list));
                outcome
            }
            Some('=') => self.value(into, &key),
            Some(',') => {
                set(into, &key, Value::from(""));
                refuse(format!("key `{key}` has no value (it can't end with a comma)"))
            }
            Some(_) => {
                let depth = depth + 1;
                if depth > MAX_DEPTH {
                    return refuse(format!("keys are nested more than {MAX_DEPTH} deep"));
                }
                let mut inner = match into.get(&key) {
                    None => Map::new(),
                    Some(Value::Object(map)) => map.clone(),
                    Some(_) => return refuse(format!("key `{key}` has keys, but its value is no object")),
                };
                let outcome = self.key(&mut inner, depth);
                if outcome.is_ok() && inner.is_empty() {
                    return refuse(format!("key `{key}` has no value"));
                }
                if !inner.is_empty() {
                    set(into, &key, Value::Object(inner));
                }
                outcome
            }
        }
    }

    /// What follows `key=`.
    fn value(&mut self, into: &mut Map<String, Value>, key: &str) -> Result<(), Stop> {
        match &mut self.kind {
            Kind::Json => {
                let value = self.json()?;
                set(into, key, value);
                Ok(())
            }
            _ if self.rest.is_empty() => {
                set(into, key, Value::from(""));
                Err(Stop::End)
            }
            _ => {
                let value = if self.rest.starts_with('{') { self.list()? } else { self.scalar()? };
                set(into, key, value);
                Ok(())
            }
        }
    }

    fn scalar(&mut self) -> Result<Value, Stop> {
        let (text, _) = self.until(&[',']);
        self.typed(text)
    }

    fn typed(&mut self, text: String) -> Result<Value, Stop> {
        Ok(match &mut self.kind {
            Kind::Typed => typed(text),
            Kind::File(read) => Value::String(read(&text)?),
            _ => Value::String(text),
        })
    }

    /// `{a,b}`, and a comma after it.
    fn list(&mut self) -> Result<Value, Stop> {
        self.next();
        let mut list = Vec::new();
        loop {
            let (text, last) = self.until(&[',', '}']);
            if last.is_none() {
                return refuse("a list has to end with `}`");
            }
            if last == Some('}') {
                if let Some(rest) = self.rest.strip_prefix(',') {
                    self.rest = rest;
                }
                list.push(self.typed(text)?);
                return Ok(Value::Array(list));
            }
            list.push(self.typed(text)?);
        }
    }

    /// A JSON document and the comma after it; nothing at all is null.
    fn json(&mut self) -> Result<Value, Stop> {
        if self.skip_blank() {
            return Ok(Value::Null);
        }
        let mut documents = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
        let mut value = match documents.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return refuse(format!("the value is not JSON: {error}")),
            None => Value::Null,
        };
        self.rest = &self.rest[documents.byte_offset()..];
        self.skip_blank();
        crate::number::floats(&mut value);
        Ok(value)
    }

    /// Passes over blanks and one comma; whether there is nothing else up to the comma or the end.
    fn skip_blank(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(',') {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => self.rest.is_empty(),
        }
    }

    fn index(&mut self) -> Result<usize, Stop> {
        let (text, last) = self.until(&[']']);
        if last.is_none() {
            return refuse("an index has to end with `]`");
        }
        let index: i64 = match text.parse() {
            Ok(index) => index,
            Err(_) => return refuse(format!("`{text}` is no index of a list")),
        };
        match usize::try_from(index) {
            Ok(index) if index <= MAX_INDEX => Ok(index),
            Ok(_) => refuse(format!("the index {index} is larger than {MAX_INDEX}")),
            Err(_) => refuse(format!("the index {index} is negative")),
        }
    }

    /// What follows `key[index]`. The list comes back also when it fails, with what was set.
    fn item(&mut self, mut list: Vec<Value>, index: usize, depth: usize) -> (Vec<Value>, Result<(), Stop>) {
        let (key, last) = self.until(&['[', '.', '=']);
        if !key.is_empty() {
            return (list, refuse(format!("unexpected `{key}` after an index")));
        }
        let item = match last {
            None => Err(Stop::End),
            Some('=') => {
                // The same as for a key; here the end of the text is an empty value, too.
                let mut one = Map::new();
                match self.value(&mut one, "item") {
                    Ok(()) | Err(Stop::End) => Ok(one.remove("item").unwrap_or(Value::from(""))),
                    Err(stop) => Err(stop),
                }
            }
            Some('[') => match (self.index(), list.get(index)) {
                (Err(stop), _) => Err(stop),
                (Ok(_), Some(other)) if !matches!(other, Value::Array(_) | Value::Null) => {
                    refuse("an item has an index, but it is no list")
                }
                (Ok(inner), there) => {
                    let nested = there.and_then(Value::as_array).cloned().unwrap_or_default();
                    let (nested, outcome) = self.item(nested, inner, depth);
                    outcome.map(|()| Value::Array(nested))
                }
            },
            Some(_) => {
                let mut inner = list.get(index).and_then(Value::as_object).cloned().unwrap_or_default();
                match self.key(&mut inner, depth) {
                    Ok(()) => Ok(Value::Object(inner)),
                    Err(stop) => {
                        // What is there already was changed in place.
                        if index < list.len() {
                            list[index] = Value::Object(inner);
                        }
                        Err(stop)
                    }
                }
            }
        };
        match item {
            Ok(item) => {
                if list.len() <= index {
                    list.resize(index + 1, Value::Null);
                }
                list[index] = item;
                (list, Ok(()))
            }
            Err(stop) => (list, Err(stop)),
        }
    }
}

/// An empty key sets nothing.
fn set(into: &mut Map<String, Value>, key: &str, value: Value) {
    if !key.is_empty() {
        into.insert(key.to_owned(), value);
    }
}

fn typed(text: String) -> Value {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("true") || is("false") {
        return is("true").into();
    }
    if is("null") {
        return Value::Null;
    }
    // Zero itself is a number, but what begins with a zero is a code of some kind.
    if (text == "0" || !text.starts_with('0'))
        && let Ok(number) = text.parse::<i64>()
    {
        return number.into();
    }
    Value::String(text)
}

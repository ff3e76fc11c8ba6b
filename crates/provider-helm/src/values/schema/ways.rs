//! How far a schema leads. Definitions that refer to each other twice each look at one value 2^40 times after forty of
//! them, and the validator follows every way; it also goes as deep as they lead, on the stack.

use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::{borrow::Cow, collections::HashMap};

/// Schemas that one value is held against, at most.
const MAX_SCHEMAS: u64 = 100_000;
/// References to schemas of the same value that follow each other, at most.
const MAX_DEPTH: usize = 100;
/// Levels of all that is referred to, at most: no way through a schema is longer, unless it goes in circles.
const MAX_LEVELS: usize = 10_000;
/// Bytes of stack that the deepest schema allowed needs, with room to spare: a build without optimization takes 8 KiB
/// for a level.
pub(super) const STACK: usize = 256 << 20;

/// Refuses a schema that leads too far.
///
/// # Errors
/// It says how.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    let mut ways = Ways {
        resources: vec![schema],
        anchors: HashMap::new(),
        known: HashMap::new(),
        depth: 0,
        levels: 0,
        is_circular: false,
        claims_standard: false,
    };
    ways.name(schema, true);
    let reach = ways.everywhere(schema);
    if ways.is_circular {
        return Err("its references lead back to themselves".to_owned());
    }
    if reach.depth > MAX_DEPTH {
        return Err(format!("more than {MAX_DEPTH} of its references follow each other"));
    }
    if reach.schemas > MAX_SCHEMAS {
        return Err(format!("it holds one value against more than {MAX_SCHEMAS} schemas"));
    }
    if ways.levels > MAX_LEVELS {
        return Err(format!("it refers to more than {MAX_LEVELS} levels of schemas"));
    }
    Ok(())
}

/// Keywords whose schemas see the same value.
const SAME_VALUE: [&str; 7] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else"];
/// Where the schemas of schemas are, which the validator has.
const STANDARD: &str = "://json-schema.org/";
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// What one value meets.
#[derive(Clone, Copy, Default)]
struct Reach {
    schemas: u64,
    /// References that follow each other.
    depth: usize,
}

impl Reach {
    const ONE: Self = Self { schemas: 1, depth: 0 };
    const REFERENCE: Self = Self { schemas: 1, depth: 1 };

    fn and(self, other: Self) -> Self {
        Self { schemas: self.schemas.saturating_add(other.schemas), depth: self.depth.max(other.depth) }
    }

    fn or(self, other: Self) -> Self {
        Self { schemas: self.schemas.max(other.schemas), depth: self.depth.max(other.depth) }
    }
}

struct Ways<'a> {
    /// Schemas with an address of their own. Which one a reference is relative to isn't asked: it may be any.
    resources: Vec<&'a Value>,
    anchors: HashMap<&'a str, &'a Value>,
    /// By the fragment that refers to it; none while it is counted.
    known: HashMap<Cow<'a, str>, Option<Reach>>,
    /// References that are being followed.
    depth: usize,
    /// Of all that is known.
    levels: usize,
    is_circular: bool,
    /// Whether a schema in it says that it has an address of the standard's.
    claims_standard: bool,
}

impl<'a> Ways<'a> {
    fn name(&mut self, schema: &'a Value, is_root: bool) {
        let Value::Object(map) = schema else {
            schema.as_array().into_iter().flatten().for_each(|inner| self.name(inner, false));
            return;
        };
        let text = |keyword| map.get(keyword).and_then(Value::as_str);
        if !is_root && (text("$id").is_some() || text("id").is_some()) {
            self.resources.push(schema);
        }
        self.claims_standard |= ["$id", "id"].into_iter().filter_map(text).any(|id| id.contains(STANDARD));
        let anchors = ["$anchor", "$dynamicAnchor"].into_iter().filter_map(text);
        let ids = ["$id", "id"].into_iter().filter_map(text).filter_map(|id| Some(id.split_once('#')?.1));
        self.anchors.extend(anchors.chain(ids).map(|name| (name, schema)));
        map.values().for_each(|inner| self.name(inner, false));
    }

    /// The most that a value meets in any schema inside `schema`.
    fn everywhere(&mut self, schema: &'a Value) -> Reach {
        let inner = match schema {
            Value::Object(map) => map.values().map(|inner| self.everywhere(inner)).reduce(Reach::or),
            Value::Array(items) => items.iter().map(|inner| self.everywhere(inner)).reduce(Reach::or),
            _ => return Reach::default(),
        };
        inner.unwrap_or_default().or(self.from(schema))
    }

    fn from(&mut self, schema: &'a Value) -> Reach {
        match schema {
            Value::Array(items) => {
                items.iter().map(|inner| self.from(inner)).fold(Reach::default(), Reach::and)
            }
            Value::Object(map) => {
                let inner = SAME_VALUE.iter().filter_map(|keyword| map.get(*keyword));
                let reach = inner.map(|inner| self.from(inner)).fold(Reach::ONE, Reach::and);
                let references = REFERENCES.iter().filter_map(|keyword| map.get(*keyword)?.as_str());
                references.map(|reference| self.referred(reference)).fold(reach, Reach::and)
            }
            _ => Reach::ONE,
        }
    }

    fn referred(&mut self, reference: &'a str) -> Reach {
        let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        if address.contains(STANDARD) && !self.claims_standard {
            return Reach::REFERENCE;
        }
        let fragment = percent_decode_str(fragment).decode_utf8_lossy();
        if let Some(known) = self.known.get(&fragment) {
            self.is_circular |= known.is_none();
            return known.unwrap_or(Reach::REFERENCE);
        }
        // Deeper than it may: it isn't followed, since this goes down the stack as well.
        if self.depth > MAX_DEPTH {
            return Reach::REFERENCE;
        }
        let mut targets: Vec<&Value> =
            self.resources.iter().filter_map(|resource| resource.pointer(&fragment)).collect();
        targets.extend(self.anchors.get(&*fragment));
        self.known.insert(fragment.clone(), None);
        self.depth += 1;
        let mut reach = targets.iter().map(|target| self.from(target)).fold(Reach::ONE, Reach::and);
        self.depth -= 1;
        reach.depth += 1;
        self.levels = targets.iter().map(|target| levels(target)).fold(self.levels, usize::saturating_add);
        self.known.insert(fragment, Some(reach));
        reach
    }
}

fn levels(schema: &Value) -> usize {
    let inner = match schema {
        Value::Object(map) => map.values().map(levels).max(),
        Value::Array(items) => items.iter().map(levels).max(),
        _ => None,
    };
    1 + inner.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_that_branches_without_end_is_refused() {
        let chain = |length: usize, link: &dyn Fn(usize) -> Value| {
            let definitions: serde_json::Map<_, _> = (0..length)
                .map(|n| (format!("a{n}"), link(n + 1)))
                .chain([(format!("a{length}"), json!(true))])
                .collect();
            json!({ "$ref": "#/$defs/a0", "$defs": definitions })
        };
        let to = |n: usize| json!({ "$ref": format!("#/$defs/a{n}") });
        let twice = |n| json!({ "allOf": [to(n), to(n)] });
        let once = |n| json!({ "not": to(n) });
        let inner = |n| json!({ "properties": { "a": to(n) } });
        let encoded = |n: usize| json!({ "allOf": vec![json!({ "$ref": format!("#/%24defs/%61{n}") }); 2] });
        let anchored = |n: usize| json!({ "$anchor": format!("b{}", n - 1), "allOf": vec![json!({ "$ref": format!("#b{n}") }); 2] });
        let to_a = json!({ "$ref": "#/a" });
        // Trees are legal: each level looks at another value.
        let tree = json!({ "anyOf": [
            { "type": "string" },
            { "properties": { "l": { "$ref": "#" }, "r": { "$ref": "#" } } },
        ] });
        let other = json!({ "$ref": "https://a.b/c", "$defs": { "c": { "$id": "https://a.b/c", "$ref": "#/$defs/d", "$defs": {
            "d": { "allOf": [{ "$ref": "#/$defs/d" }] },
        } } } });
        for (row, schema, refused) in [
            ("ten pairs", chain(10, &twice), ""),
            ("forty pairs", chain(40, &twice), "one value against more than 100000 schemas"),
            ("encoded pairs", chain(40, &encoded), "one value against"),
            ("anchored pairs", chain(40, &anchored), "one value against"),
            ("deep", chain(MAX_DEPTH - 2, &once), ""),
            ("too deep", chain(MAX_DEPTH + 1, &once), "follow each other"),
            ("deeper than the stack", chain(50_000, &once), "follow each other"),
            ("many levels", chain(2_400, &inner), ""),
            ("too many levels", chain(20_000, &inner), "levels of schemas"),
            ("tree", tree, ""),
            ("itself", json!({ "$ref": "#" }), "lead back"),
            (
                "itself, called the standard's",
                json!({ "$id": "http://json-schema.org/a", "$ref": "http://json-schema.org/a" }),
                "lead back",
            ),
            (
                "schema of schemas",
                json!({ "allOf": [{ "$ref": "https://json-schema.org/draft/2020-12/schema" }] }),
                "",
            ),
            (
                "circle",
                json!({ "$ref": "#/a", "a": { "allOf": [{ "$ref": "#/b" }] }, "b": { "not": to_a } }),
                "lead back",
            ),
            ("circle inside another address", other, "lead back"),
        ] {
            match check(&schema) {
                Ok(()) => {
                    assert_eq!(refused, "", "{row}");
                    // The validator's stack holds it.
                    super::super::validate(schema.to_string().as_bytes(), &json!({ "a": { "a": 1 } }))
                        .unwrap();
                }
                Err(why) => assert!(!refused.is_empty() && why.contains(refused), "{row}: {why}"),
            }
        }
    }
}

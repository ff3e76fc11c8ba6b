//! How often a schema looks at one and the same value. Definitions that refer to each other twice each do it 2^40 times
//! after forty of them, and the validator follows every way.

use serde_json::Value;
use std::collections::HashMap;

/// Schemas that one value is held against, at most.
const MAX: u64 = 100_000;

/// Refuses a schema that branches too much.
///
/// # Errors
/// It says so.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    let mut count = Count { root: schema, known: HashMap::new() };
    if count.everywhere(schema) > MAX {
        return Err(format!("it holds one value against more than {MAX} schemas"));
    }
    Ok(())
}

/// Keywords whose schemas see the same value.
const SAME_VALUE: [&str; 7] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else"];

struct Count<'a> {
    root: &'a Value,
    /// By what refers to it; none while it is counted: what leads back to itself ends there.
    known: HashMap<&'a str, u64>,
}

impl<'a> Count<'a> {
    /// The most that any schema inside `schema` branches.
    fn everywhere(&mut self, schema: &'a Value) -> u64 {
        let inner = match schema {
            Value::Object(map) => map.values().map(|inner| self.everywhere(inner)).max(),
            Value::Array(items) => items.iter().map(|inner| self.everywhere(inner)).max(),
            _ => return 0,
        };
        inner.unwrap_or(0).max(self.branches(schema))
    }

    fn branches(&mut self, schema: &'a Value) -> u64 {
        match schema {
            Value::Array(items) => {
                items.iter().fold(0, |sum: u64, inner| sum.saturating_add(self.branches(inner)))
            }
            Value::Object(map) => {
                let mut sum: u64 = 1;
                for inner in SAME_VALUE.iter().filter_map(|keyword| map.get(*keyword)) {
                    sum = sum.saturating_add(self.branches(inner));
                }
                if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                    sum = sum.saturating_add(self.referred(reference));
                }
                sum
            }
            _ => 1,
        }
    }

    fn referred(&mut self, reference: &'a str) -> u64 {
        if let Some(known) = self.known.get(reference) {
            return *known;
        }
        let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        let Some(target) = target else { return 1 };
        self.known.insert(reference, 1);
        let branches = self.branches(target);
        self.known.insert(reference, branches);
        branches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_that_branches_without_end_is_refused() {
        let chain = |length: usize, times: usize| {
            let mut definitions = serde_json::Map::new();
            for n in 0..length {
                let next = json!({ "$ref": format!("#/$defs/a{}", n + 1) });
                definitions.insert(format!("a{n}"), json!({ "allOf": vec![next; times] }));
            }
            json!({ "$ref": "#/$defs/a0", "$defs": definitions })
        };
        let check = |schema: &Value, allowed: bool| assert_eq!(check(schema).is_ok(), allowed, "{schema}");
        check(&chain(10, 2), true);
        check(&chain(40, 2), false);
        check(&chain(3, 100), false);
        check(&chain(5_000, 1), true);
        // Trees are legal: each level looks at another value.
        let tree = json!({ "anyOf": [
            { "type": "string" },
            { "properties": { "l": { "$ref": "#" }, "r": { "$ref": "#" } } },
        ] });
        check(&tree, true);
        check(&json!({ "$ref": "#" }), true);
    }
}

//! An operator's answers, merged into the defaults before anything is rendered.

use super::{
    config::Config,
    document::{Document, join},
    item::{Item, Kind, shown},
    problems::Problems,
};
use provider_core::{Result, Secret};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A complete and valid set of answers.
#[derive(Clone, Default)]
pub struct Answers {
    /// A value for every item of the config; null for a password, but an empty one is no secret and stays an
    /// empty string.
    pub values: Value,
    /// The passwords by key path. None for one that was given earlier and is not on hand now.
    pub passwords: BTreeMap<String, Option<Secret>>,
}

impl Config {
    /// Merges `given` over `recorded` (the values of the answers that an existing cluster was made with) over
    /// the defaults, and checks the result. Null counts as not given, and so does an empty password where one is
    /// stored: a file with all answers can be given again.
    ///
    /// # Errors
    /// `Invalid` with everything that is wrong: unknown keys, values that break a rule, required ones that
    /// are missing, and changes of what can't be changed.
    pub fn complete(&self, given: &Document, recorded: Option<&Value>) -> Result<Answers> {
        let (answers, problems) = self.merge(given, recorded);
        problems
            .into_result()
            .map_err(|e| e.hint("the package's commented config says what each key may be"))?;
        Ok(answers)
    }

    /// The passwords that it asks for, none of them at hand.
    pub(super) fn passwords(&self) -> BTreeMap<String, Option<Secret>> {
        let mut paths = Vec::new();
        self.root.for_each("", &mut |path, item| {
            if item.kind == Kind::Password {
                paths.push((path.to_owned(), None));
            }
        });
        paths.into_iter().collect()
    }

    /// The same as [`complete`](Self::complete), with what is wrong beside it.
    pub(super) fn merge(&self, given: &Document, recorded: Option<&Value>) -> (Answers, Problems) {
        let mut merge =
            Merge { config: self, given, passwords: BTreeMap::new(), problems: Problems::default() };
        let values = merge.item(&self.root, "", Some(given.value()), recorded, true);
        (Answers { values, passwords: merge.passwords }, merge.problems)
    }
}

struct Merge<'a> {
    config: &'a Config,
    given: &'a Document,
    passwords: BTreeMap<String, Option<Secret>>,
    problems: Problems,
}

impl Merge<'_> {
    fn item(
        &mut self,
        item: &Item,
        path: &str,
        given: Option<&Value>,
        recorded: Option<&Value>,
        changeable: bool,
    ) -> Value {
        let is_stored = item.kind == Kind::Password && recorded.is_some_and(Value::is_null);
        let given = given.filter(|value| !(value.is_null() || is_stored && *value == ""));
        let changeable = changeable && item.changeable;
        if item.kind == Kind::Array {
            return self.group(item, path, given, recorded, changeable);
        }
        if let (Some(new), Some(old), false) = (given, recorded, changeable)
            && new != old
        {
            let is = if item.kind == Kind::Password {
                "leave it out".to_owned()
            } else {
                format!("it is {}", shown(old))
            };
            self.wrong(path, format!("can't be changed after creation; {is}"));
        }
        if given.is_none() && is_stored {
            self.passwords.insert(path.to_owned(), None);
            return Value::Null;
        }
        let value = given.or(recorded).cloned().unwrap_or_else(|| item.default_value());
        if given.or(recorded).is_none() && item.must_be_given() {
            self.wrong(path, format!("is required; give {}", item.expected()));
        } else if let Err(problem) = item.check(&value) {
            self.wrong(path, problem);
        }
        match (item.kind, value.as_str()) {
            (Kind::Password, Some(password)) if !password.is_empty() => {
                self.passwords.insert(path.to_owned(), Some(Secret::new(password)));
                Value::Null
            }
            _ => value,
        }
    }

    fn wrong(&mut self, path: &str, problem: String) {
        self.problems.add(self.given.problem(path, problem));
    }

    fn group(
        &mut self,
        item: &Item,
        path: &str,
        given: Option<&Value>,
        recorded: Option<&Value>,
        changeable: bool,
    ) -> Value {
        let nothing = Map::new();
        let keys = match given {
            None => &nothing,
            Some(Value::Object(keys)) => keys,
            Some(other) => {
                let problem = format!("is {}, expected {}", shown(other), item.expected());
                self.wrong(path, problem);
                &nothing
            }
        };
        for key in keys.keys().filter(|key| item.child(key).is_none()) {
            let suggestion = self.config.suggestion(item, key);
            let problem = format!("is not a key of this package{suggestion}");
            self.wrong(&join(path, key), problem);
        }
        let merged = item.properties.iter().map(|child| {
            let recorded = recorded.and_then(|recorded| recorded.get(&child.key));
            let value = self.item(child, &join(path, &child.key), keys.get(&child.key), recorded, changeable);
            (child.key.clone(), value)
        });
        Value::Object(merged.collect())
    }
}

//! What `range` walks.

use super::Inner;
use crate::call::FunctionError;
use crate::kind::Integer;
use crate::object::Object;
use crate::value::Value;

impl Inner {
    pub(super) fn elements(&self, value: &Value) -> Result<tera::Value, FunctionError> {
        let give = |value: Value| self.give(value);
        let elements: Vec<tera::Value> = match value {
            Value::Nil => Vec::new(),
            Value::List(list) => {
                self.runtime.spend(list.items().len())?;
                list.items().iter().cloned().map(give).collect::<Result<_, _>>()?
            }
            Value::Map(map) => {
                self.runtime.spend(map.len())?;
                map.values().into_iter().map(give).collect::<Result<_, _>>()?
            }
            Value::Integer(..) => self
                .numbers(value)?
                .map(|number| give(number_like(value, number)))
                .collect::<Result<_, _>>()?,
            other => {
                self.entries(other)?.into_iter().map(|(_, value)| give(value)).collect::<Result<_, _>>()?
            }
        };
        Ok(elements.into())
    }

    pub(super) fn pairs(&self, value: &Value) -> Result<tera::Value, FunctionError> {
        let pair = |key: Value, value: Value| -> Result<tera::Value, FunctionError> {
            Ok(vec![self.give(key)?, self.give(value)?].into())
        };
        let index = |index: usize| Value::int(i64::try_from(index).unwrap_or(i64::MAX));
        let pairs: Vec<tera::Value> = match value {
            Value::Nil => Vec::new(),
            Value::List(list) => {
                self.runtime.spend(list.items().len())?;
                let items = list.items().iter().enumerate();
                items.map(|(at, item)| pair(index(at), item.clone())).collect::<Result<_, _>>()?
            }
            Value::Map(map) => {
                self.runtime.spend(map.len())?;
                let entries = map.entries().into_iter();
                entries.map(|(key, value)| pair(Value::String(key), value)).collect::<Result<_, _>>()?
            }
            Value::Integer(..) => {
                return Err(FunctionError::Argument(format!(
                    "can't use {} to iterate over more than one variable",
                    value.print(&self.runtime)?
                )));
            }
            other => self
                .entries(other)?
                .into_iter()
                .map(|(key, value)| pair(key, value))
                .collect::<Result<_, _>>()?,
        };
        Ok(pairs.into())
    }

    /// The numbers that `range` over an integer walks.
    fn numbers(&self, value: &Value) -> Result<std::ops::Range<i64>, FunctionError> {
        let Value::Integer(_, number) = value else { return Ok(0..0) };
        self.runtime.spend(usize::try_from(*number).unwrap_or(0))?;
        Ok(0..*number)
    }

    fn entries(&self, value: &Value) -> Result<Vec<(Value, Value)>, FunctionError> {
        let entries = match value {
            Value::Object(object) => Object::entries(&**object),
            Value::Bytes(bytes) => {
                self.runtime.spend(bytes.len())?;
                let byte = |byte: &u8| Value::Integer(Integer::Uint8, (*byte).into());
                let entry = |(at, item): (usize, &u8)| {
                    (Value::int(i64::try_from(at).unwrap_or(i64::MAX)), byte(item))
                };
                Some(bytes.iter().enumerate().map(entry).collect())
            }
            _ => None,
        };
        match entries {
            Some(entries) => {
                self.runtime.spend(entries.len())?;
                Ok(entries)
            }
            None => Err(FunctionError::Argument(format!(
                "range can't iterate over {}",
                value.print(&self.runtime)?
            ))),
        }
    }
}

/// One half of a pair.
pub(super) fn part(pair: &tera::Value, index: usize) -> tera::Value {
    pair.as_array().and_then(|pair| pair.get(index)).cloned().unwrap_or_else(tera::Value::none)
}

fn number_like(value: &Value, number: i64) -> Value {
    match value {
        Value::Integer(integer, _) => Value::Integer(*integer, number),
        _ => Value::int(number),
    }
}

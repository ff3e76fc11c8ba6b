//! `.Files`: what lies in a chart beside its templates.

use super::glob::Glob;
use crate::chart::File;
use gotemplate::{Call, FunctionError, Functions, Kind, Map, MapType, Object, Value};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;

/// Files by their paths.
pub(super) struct Files(BTreeMap<String, Rc<[u8]>>);

impl Files {
    pub(super) fn of(files: &[File]) -> Files {
        Files(files.iter().map(|file| (file.name.clone(), Rc::from(&*file.data))).collect())
    }

    /// A `toYaml` or the like of what the last parts of the paths lead to.
    fn as_map(
        &self,
        call: &Call<'_>,
        value: impl Fn(&Rc<[u8]>) -> Result<Value, FunctionError>,
    ) -> Result<Value, FunctionError> {
        let map = Map::of(MapType::String, []);
        for (path, data) in &self.0 {
            map.set(path.rsplit('/').next().unwrap_or(path), value(data)?);
        }
        function(call, "toYaml", map.into())
    }

    /// The lines of a file; none of one that is empty or not there.
    fn lines(&self, call: &Call<'_>) -> Result<Value, FunctionError> {
        let data = self.0.get(&*call.string(0)?).map_or(&[][..], |data| data);
        let ends = data.iter().filter(|byte| **byte == b'\n').count();
        call.spend(data.len() / 16 + ends * 3)?;
        let lines = data.strip_suffix(b"\n").unwrap_or(data).split(|byte| *byte == b'\n');
        Ok(Value::strings(lines.filter(|_| !data.is_empty()).map(Value::string)))
    }
}

/// Calls a function of the library.
fn function(call: &Call<'_>, name: &str, argument: Value) -> Result<Value, FunctionError> {
    let functions = Functions::helm();
    let entry =
        functions.get(name).ok_or_else(|| FunctionError::failed(format!("there is no function {name}")))?;
    entry.run(&mut Call::new(name, &[argument], call.runtime()))
}

impl Object for Files {
    fn type_name(&self) -> &str {
        "engine.files"
    }

    fn kind(&self) -> Kind {
        Kind::Map
    }

    fn is_map(&self) -> bool {
        true
    }

    fn field(&self, name: &str) -> Option<Value> {
        // A path that is not there is a nil slice, as the keys of such a map are.
        Some(Value::Bytes(self.0.get(name).cloned().unwrap_or_else(|| Rc::from([]))))
    }

    fn call(&self, method: &str, call: &mut Call<'_>) -> Option<Result<Value, FunctionError>> {
        let known = ["Get", "GetBytes", "Glob", "AsConfig", "AsSecrets", "Lines"];
        known.contains(&method).then(|| match method {
            "Get" => Ok(self.0.get(&*call.string(0)?).map_or("".into(), Value::string)),
            "GetBytes" => {
                let data = self.0.get(&*call.string(0)?).cloned();
                Ok(Value::Bytes(data.unwrap_or_else(|| Rc::from([]))))
            }
            "Glob" => {
                let pattern = call.string(0)?;
                let glob = Glob::parse(&pattern);
                let steps = |path: &String| 12 + pattern.len() * path.len() / 32;
                call.spend(self.0.keys().map(steps).sum())?;
                let files = self.0.iter().filter(|(path, _)| glob.matches(path));
                Ok(Value::object(Files(files.map(|(path, data)| (path.clone(), Rc::clone(data))).collect())))
            }
            "AsConfig" => self.as_map(call, |data| Ok(Value::string(data))),
            "AsSecrets" => self.as_map(call, |data| function(call, "b64enc", Value::string(data))),
            _ => self.lines(call),
        })
    }

    fn print(&self) -> String {
        let mut out = "map[".to_owned();
        for (index, (path, data)) in self.0.iter().enumerate() {
            out.push_str(if index > 0 { " " } else { "" });
            out.push_str(path);
            out.push_str(":[");
            for (index, byte) in data.iter().enumerate() {
                // Writing to a string can't fail.
                let _ = write!(out, "{}{byte}", if index > 0 { " " } else { "" });
            }
            out.push(']');
        }
        out + "]"
    }

    fn entries(&self) -> Option<Vec<(Value, Value)>> {
        let entry =
            |(path, data): (&String, &Rc<[u8]>)| (path.as_str().into(), Value::Bytes(Rc::clone(data)));
        Some(self.0.iter().map(entry).collect())
    }

    fn data(&self) -> Value {
        Value::map(self.0.iter().map(|(path, data)| (path.as_str(), Value::Bytes(Rc::clone(data)))))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

//! Things with fields and methods of their own.

use std::any::Any;

use crate::call::{Call, FunctionError};
use crate::kind::Kind;
use crate::value::Value;

/// A Go struct, pointer or named type with methods: `.Files`, `.Capabilities.APIVersions`, a time, a semantic version, a
/// certificate and its key.
pub trait Object: Any {
    /// Go's name of the type, as `typeOf` prints it, for example `*semver.Version`.
    fn type_name(&self) -> &str;

    /// Go's kind.
    fn kind(&self) -> Kind {
        Kind::Struct
    }

    /// A field, or an entry of what is a map underneath. `None`: there is no such field.
    fn field(&self, name: &str) -> Option<Value> {
        let _ = name;
        None
    }

    /// Whether a missing field is nil, as in a map, instead of an error, as in a struct.
    fn is_map(&self) -> bool {
        false
    }

    /// Calls a method; the arguments are in `call`, without the receiver. `None`: there is no such method.
    ///
    /// # Errors
    ///
    /// What the method itself reports, or an argument it can't take.
    fn call(&self, method: &str, call: &mut Call<'_>) -> Option<Result<Value, FunctionError>> {
        let _ = (method, call);
        None
    }

    /// What `{{ }}` prints.
    fn print(&self) -> String;

    /// What functions and `%v` print. Another text only for a type whose `String` wants a pointer: of the copy that a
    /// function gets, Go prints the fields.
    fn print_copy(&self) -> String {
        self.print()
    }

    /// What `range` walks: pairs of key or index and element. `None`: it can't be walked.
    fn entries(&self) -> Option<Vec<(Value, Value)>> {
        None
    }

    /// What the object is for `toJson` and `toYaml`; by default its printed form.
    fn data(&self) -> Value {
        Value::from(self.print())
    }

    /// Whether `if` takes it for true. A struct always is; a map or slice is if it has entries.
    fn truth(&self) -> bool {
        self.entries().is_none_or(|entries| !entries.is_empty())
    }

    /// Whether both are equal for `deepEqual`. `other` may be of another type.
    fn equal(&self, other: &dyn Object) -> bool {
        self.type_name() == other.type_name() && self.print() == other.print()
    }

    /// The object itself, to downcast: `object.as_any().downcast_ref::<Time>()`.
    fn as_any(&self) -> &dyn Any;
}

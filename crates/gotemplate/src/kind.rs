//! Go's kinds and the spellings of its types.

/// A kind of Go's `reflect`, as `kindOf` and `kindIs` spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No value at all (`nil`).
    Invalid,
    /// `bool`
    Bool,
    /// An integer of one of Go's sizes.
    Integer(Integer),
    /// `float64`
    Float64,
    /// `string`
    String,
    /// `slice`
    Slice,
    /// `map`
    Map,
    /// `struct`
    Struct,
    /// `ptr`
    Pointer,
    /// `func`
    Func,
}

impl Kind {
    /// Go's name of the kind.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Invalid => "invalid",
            Kind::Bool => "bool",
            Kind::Integer(integer) => integer.name(),
            Kind::Float64 => "float64",
            Kind::String => "string",
            Kind::Slice => "slice",
            Kind::Map => "map",
            Kind::Struct => "struct",
            Kind::Pointer => "ptr",
            Kind::Func => "func",
        }
    }
}

/// Which of Go's integer types a number has. All travel as `i64`; the type decides how it is spelled and with what it
/// may be compared or passed as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integer {
    /// `int`: literals, `len`, `int`, indices of `range`.
    Int,
    /// `int32`
    Int32,
    /// `int64`: what sprig's arithmetic returns and `--set` gives.
    Int64,
    /// `uint8`: an element of a string or of bytes.
    Uint8,
    /// `uint64`: the parts of a semantic version.
    Uint64,
}

impl Integer {
    /// Go's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Integer::Int => "int",
            Integer::Int32 => "int32",
            Integer::Int64 => "int64",
            Integer::Uint8 => "uint8",
            Integer::Uint64 => "uint64",
        }
    }

    /// Whether the type has no sign.
    pub fn unsigned(self) -> bool {
        matches!(self, Integer::Uint8 | Integer::Uint64)
    }
}

/// What the elements of a slice are declared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// `[]interface {}`
    Any,
    /// `[]string`
    String,
    /// `[]int`
    Int,
    /// `[]map[string]interface {}`
    Map,
    /// `[][]string`
    Strings,
    /// `[][]interface {}`
    Lists,
    /// A slice type with a name of its own, for example `common.VersionSet`; its elements are strings.
    Named(&'static str),
}

impl Element {
    /// Go's name of the slice type.
    pub fn slice_name(self) -> &'static str {
        match self {
            Element::Any => "[]interface {}",
            Element::String => "[]string",
            Element::Int => "[]int",
            Element::Map => "[]map[string]interface {}",
            Element::Strings => "[][]string",
            Element::Lists => "[][]interface {}",
            Element::Named(name) => name,
        }
    }

    /// Go's name of an element's static type.
    pub fn name(self) -> &'static str {
        match self {
            Element::Any => "interface {}",
            Element::String | Element::Named(_) => "string",
            Element::Int => "int",
            Element::Map => "map[string]interface {}",
            Element::Strings => "[]string",
            Element::Lists => "[]interface {}",
        }
    }
}

/// What a map is declared as. The keys are strings in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapType {
    /// `map[string]interface {}`
    Any,
    /// `map[string]string`; a missing key is `""`.
    String,
    /// Helm's `common.Values`: a `map[string]interface {}` with methods, of which a template may call `AsMap`, `YAML`,
    /// `Table` and `PathValue`.
    Values,
}

impl MapType {
    /// Go's name of the map type.
    pub fn name(self) -> &'static str {
        match self {
            MapType::Any => "map[string]interface {}",
            MapType::String => "map[string]string",
            MapType::Values => "common.Values",
        }
    }

    /// Go's name of an element's static type.
    pub fn element_name(self) -> &'static str {
        match self {
            MapType::String => "string",
            MapType::Any | MapType::Values => "interface {}",
        }
    }
}

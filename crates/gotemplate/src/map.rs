//! Maps, which all their holders share and may change, and slices, which nobody changes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use crate::kind::{Element, MapType};
use crate::value::Value;

/// A Go map with string keys. A clone is an alias: what one holder sets, all see.
#[derive(Clone)]
pub struct Map {
    cell: Rc<MapCell>,
    map_type: MapType,
}

struct MapCell {
    nil: bool,
    entries: RefCell<BTreeMap<Rc<str>, Value>>,
    watched: Cell<bool>,
}

impl Map {
    /// A new map of the type `map[string]interface {}`.
    pub fn new(entries: impl IntoIterator<Item = (Rc<str>, Value)>) -> Map {
        Map::of(MapType::Any, entries)
    }

    /// A new map of a type.
    pub fn of(map_type: MapType, entries: impl IntoIterator<Item = (Rc<str>, Value)>) -> Map {
        let entries = RefCell::new(entries.into_iter().collect());
        Map { cell: Rc::new(MapCell { nil: false, entries, watched: Cell::new(false) }), map_type }
    }

    /// The nil map of a type: empty, but `null` in JSON, and nothing can be set in it.
    pub fn nil(map_type: MapType) -> Map {
        let entries = RefCell::default();
        Map { cell: Rc::new(MapCell { nil: true, entries, watched: Cell::new(false) }), map_type }
    }

    /// The same map as another type: what is set in one is in the other.
    pub fn as_type(&self, map_type: MapType) -> Map {
        Map { cell: Rc::clone(&self.cell), map_type }
    }

    /// Whether this is Go's nil map, which is also empty.
    pub fn is_nil(&self) -> bool {
        self.cell.nil
    }

    /// What the map is declared as.
    pub fn map_type(&self) -> MapType {
        self.map_type
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<Value> {
        self.cell.entries.borrow().get(key).cloned()
    }

    /// Whether a key is there, also with a nil value.
    pub fn has(&self, key: &str) -> bool {
        self.cell.entries.borrow().contains_key(key)
    }

    /// Sets a key, for all holders of the map.
    pub fn set(&self, key: impl Into<Rc<str>>, value: Value) {
        if matches!(value, Value::Map(_) | Value::List(_)) && !self.cell.watched.replace(true) {
            watch(&self.cell);
        }
        let old = self.cell.entries.borrow_mut().insert(key.into(), value);
        // Dropped only here: its destructor may come back to this map.
        drop(old);
    }

    /// Removes a key, for all holders of the map, and returns what it had.
    pub fn remove(&self, key: &str) -> Option<Value> {
        self.cell.entries.borrow_mut().remove(key)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.cell.entries.borrow().len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.cell.entries.borrow().is_empty()
    }

    /// The keys, sorted.
    pub fn keys(&self) -> Vec<Rc<str>> {
        self.cell.entries.borrow().keys().cloned().collect()
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> Vec<Value> {
        self.cell.entries.borrow().values().cloned().collect()
    }

    /// The entries, sorted by key. A snapshot: the map may change while it is walked.
    pub fn entries(&self) -> Vec<(Rc<str>, Value)> {
        self.cell.entries.borrow().iter().map(|(key, value)| (Rc::clone(key), value.clone())).collect()
    }

    /// Whether both are the same map, not only equal ones.
    pub fn same(&self, other: &Map) -> bool {
        Rc::ptr_eq(&self.cell, &other.cell)
    }
}

/// A Go slice. Nothing in a template can change one in place, so its holders just share it.
#[derive(Clone)]
pub struct List(Rc<ListCell>);

struct ListCell {
    element: Element,
    nil: bool,
    items: Vec<Value>,
}

impl List {
    /// A new slice of the type `[]interface {}`.
    pub fn new(items: Vec<Value>) -> List {
        List::of(Element::Any, items)
    }

    /// A new slice of a type.
    pub fn of(element: Element, items: Vec<Value>) -> List {
        List(Rc::new(ListCell { element, nil: false, items }))
    }

    /// The nil slice of a type: empty, but `null` in JSON.
    pub fn nil(element: Element) -> List {
        List(Rc::new(ListCell { element, nil: true, items: Vec::new() }))
    }

    /// What the elements are declared as.
    pub fn element(&self) -> Element {
        self.0.element
    }

    /// Whether this is Go's nil slice, which is also empty.
    pub fn is_nil(&self) -> bool {
        self.0.nil
    }

    /// The elements.
    pub fn items(&self) -> &[Value] {
        &self.0.items
    }

    /// Whether both are the same slice, not only equal ones.
    pub fn same(&self, other: &List) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

thread_local! {
    /// What waits to be dropped, while something is being dropped: a chain of a million maps must not recurse.
    static DOOMED: RefCell<Option<Vec<Value>>> = const { RefCell::new(None) };
    /// The maps that got a container set into them: only these can be part of a cycle, which counting never frees.
    static WATCHED: RefCell<Vec<Weak<MapCell>>> = const { RefCell::new(Vec::new()) };
}

fn drop_flat(values: impl Iterator<Item = Value>) {
    let containers =
        values.filter(|value| matches!(value, Value::Map(_) | Value::List(_) | Value::Object(_)));
    let outermost = DOOMED.try_with(|doomed| {
        let mut doomed = doomed.borrow_mut();
        let outermost = doomed.is_none();
        doomed.get_or_insert_default().extend(containers);
        outermost
    });
    if !matches!(outermost, Ok(true)) {
        return;
    }
    while let Some(value) = DOOMED.with(|doomed| doomed.borrow_mut().as_mut().and_then(Vec::pop)) {
        drop(value);
    }
    DOOMED.with(|doomed| *doomed.borrow_mut() = None);
}

impl Drop for MapCell {
    fn drop(&mut self) {
        let entries = std::mem::take(self.entries.get_mut());
        if !entries.is_empty() {
            drop_flat(entries.into_values());
        }
    }
}

impl Drop for ListCell {
    fn drop(&mut self) {
        let items = std::mem::take(&mut self.items);
        if !items.is_empty() {
            drop_flat(items.into_iter());
        }
    }
}

fn watch(cell: &Rc<MapCell>) {
    WATCHED.with(|watched| {
        let mut watched = watched.borrow_mut();
        if watched.len() == watched.capacity() {
            watched.retain(|cell| cell.strong_count() > 0);
        }
        watched.push(Rc::downgrade(cell));
    });
}

/// Empties every map of this thread that may be part of a cycle. Called when a session ends: nobody looks any more.
pub(crate) fn break_cycles() {
    let watched = WATCHED.with(|watched| std::mem::take(&mut *watched.borrow_mut()));
    for cell in watched.iter().filter_map(Weak::upgrade) {
        let entries = std::mem::take(&mut *cell.entries.borrow_mut());
        drop_flat(entries.into_values());
    }
}

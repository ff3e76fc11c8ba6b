//! What goes wrong, as data.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

/// One thing that goes wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request never arrives; nobody answers.
    LostBefore,
    /// The request is carried out; nobody answers.
    LostAfter,
    /// The request is turned down with this code, and nothing is done.
    Refuse(&'static str),
    /// Only the first so many items are carried out; the others are turned down with this code.
    Partial(usize, &'static str),
    /// What the request makes can't be seen or named for this long.
    Hide(Duration),
    /// What the request made goes away at once, behind our back.
    Vanish,
    /// The answer lacks its last item.
    Garbage,
}

/// Which fault meets which request: addressed by the request's name and its occurrence, counted from 1.
#[derive(Clone, Debug, Default)]
pub struct Script {
    faults: Vec<(&'static str, RangeInclusive<usize>, Fault)>,
    seen: BTreeMap<&'static str, usize>,
}

impl Script {
    /// Lets `fault` meet these occurrences of the request called `name`. Several faults may meet one.
    pub fn add(&mut self, name: &'static str, occurrences: RangeInclusive<usize>, fault: Fault) {
        self.faults.push((name, occurrences, fault));
    }

    /// Counts a request and gives the faults that meet it.
    pub fn meet(&mut self, name: &'static str) -> Vec<Fault> {
        let seen = self.seen.entry(name).or_default();
        *seen += 1;
        let meets =
            |entry: &&(&'static str, RangeInclusive<usize>, Fault)| entry.0 == name && entry.1.contains(seen);
        self.faults.iter().filter(meets).map(|(_, _, fault)| fault.clone()).collect()
    }

    /// How many requests of each name there were.
    pub fn seen(&self) -> &BTreeMap<&'static str, usize> {
        &self.seen
    }
}

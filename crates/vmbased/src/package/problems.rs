//! Everything that is wrong at once, instead of one thing after another.

use provider_core::{Error, Result};

/// What is wrong with an input, in the order in which it was found; after the first [`MAX`] only their number.
#[derive(Default)]
pub(super) struct Problems {
    shown: Vec<String>,
    more: usize,
}

const MAX: usize = 20;

impl Problems {
    pub(super) fn add(&mut self, problem: String) {
        if self.shown.len() < MAX {
            self.shown.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// An error with all of them, unless there are none.
    pub(super) fn into_result(self) -> Result<()> {
        match self.shown.as_slice() {
            [] => Ok(()),
            [one] => Err(Error::invalid(one)),
            many => {
                let mut text = format!("{} things are wrong", many.len() + self.more);
                for problem in many {
                    text.push_str("\n  ");
                    text.push_str(problem);
                }
                if self.more > 0 {
                    text.push_str(&format!("\n  and {} more", self.more));
                }
                Err(Error::invalid(text))
            }
        }
    }
}

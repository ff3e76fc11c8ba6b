//! What the templates of a chart may be before Tera reads them, which it does without limits of its own.

use super::rewrite::Metered;
use provider_core::{Error, Result};
use std::collections::BTreeMap;

/// Bytes of all templates of a chart. Those that charts share count for each.
const MAX_BYTES: usize = 16 << 20;
/// Tags, names, literals and operators of all templates of a chart.
pub(super) const MAX_TOKENS: usize = 200_000;
const MAX_TEMPLATES: usize = 1000;
const MAX_INCLUDES: usize = 2000;
/// How deep templates may include one another. Each takes some 50 kB of stack in a development build, and as much
/// again for each component around it, of which Tera allows 20.
const MAX_DEPTH: usize = 50;
/// Tera reads each `elif` inside the one before it.
const MAX_BRANCHES: usize = 100;
/// Tokens of a template times its bytes: Tera goes through all of it for each name that it doesn't know.
const MAX_PRODUCT: usize = 1_000_000_000;

/// What the templates that were checked have together.
#[derive(Default)]
pub(super) struct Total {
    bytes: usize,
    tokens: usize,
    templates: usize,
    includes: usize,
}

impl Total {
    /// Checks the size of one more template, before anything is made of it.
    ///
    /// # Errors
    /// `Invalid` when there is too much of them.
    pub(super) fn read(&mut self, name: &str, text: &str) -> Result<()> {
        self.bytes += text.len();
        within(name, self.bytes, MAX_BYTES, "bytes")
    }

    /// Checks the templates of one more chart.
    ///
    /// # Errors
    /// `Invalid` with what is too much or not allowed, and where.
    pub(super) fn add(&mut self, templates: &BTreeMap<String, Metered>) -> Result<()> {
        for (name, template) in templates {
            let bytes = template.source.len();
            self.tokens += template.tokens;
            self.templates += 1;
            self.includes += template.includes.len();
            if template.nests_blocks {
                return Err(Error::invalid(format!(
                    "the template `{name}` has a block in a block, and such blocks can write each other without an end: put them side by side"
                )));
            }
            within(name, self.tokens, MAX_TOKENS, "names, literals and operators")?;
            within(name, self.templates, MAX_TEMPLATES, "templates")?;
            within(name, self.includes, MAX_INCLUDES, "includes")?;
            if template.branches > MAX_BRANCHES {
                return Err(Error::invalid(format!(
                    "the template `{name}` has more than {MAX_BRANCHES} `elif` in one `if`: use a map"
                )));
            }
            if bytes.saturating_mul(template.tokens) > MAX_PRODUCT {
                return Err(Error::invalid(format!(
                    "the template `{name}` has too much in its {bytes} bytes: split it"
                )));
            }
        }
        if let Some(name) = too_deep(templates) {
            return Err(Error::invalid(format!(
                "the template `{name}` includes or extends templates more than {MAX_DEPTH} deep, or itself"
            )));
        }
        // Each template has the blocks of all that it extends.
        for (name, template) in templates {
            let mut parent = template.parent.as_ref();
            while let Some(ancestor) = parent.and_then(|parent| templates.get(parent)) {
                self.read(name, &ancestor.source)?;
                parent = ancestor.parent.as_ref();
            }
        }
        Ok(())
    }
}

fn within(name: &str, has: usize, limit: usize, what: &str) -> Result<()> {
    if has > limit {
        return Err(Error::invalid(format!(
            "the templates of a chart have more than {limit} {what}, at `{name}`"
        )));
    }
    Ok(())
}

/// A template whose includes go too deep.
fn too_deep(templates: &BTreeMap<String, Metered>) -> Option<&str> {
    let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
    let depth_in = |depths: &BTreeMap<&str, usize>, template: &Metered| {
        let depths =
            template.includes.iter().chain(&template.parent).filter_map(|name| depths.get(name.as_str()));
        depths.max().map_or(0, |depth| depth + 1)
    };
    let mut grown = None;
    for _ in 0..=MAX_DEPTH {
        grown = None;
        for (name, template) in templates {
            let depth = depth_in(&depths, template);
            if depths.insert(name, depth) != Some(depth) {
                grown = Some(name.as_str());
            }
        }
        grown?;
    }
    grown
}

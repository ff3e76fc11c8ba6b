//! Tera ends no loop and bounds no value by itself, and has no hooks. So templates are rewritten before it reads them:
//! each operand goes through the filter [`METER`], and what is repeated is charged for its length. Reports are
//! brought back to the text as its author wrote it.

use super::expression;
use super::limits::MAX_TOKENS;
use super::scan::{Kind, Part, Token, parts};
use std::ops::Range;

/// The filter that meters a value and gives it back, and the function that takes steps and gives nothing. No chart has
/// a name like this.
pub(super) const METER: &str = "_meter";
/// Bytes that one step stands for.
pub(super) const BYTES_PER_STEP: usize = 8;
/// Bytes that the start of a template or of a component counts as.
const START: usize = 256;

/// What Tera takes for values in place of names.
pub(super) const LITERALS: &[&str] = &["true", "True", "false", "False", "none", "None", "null"];

/// A template as Tera reads it.
#[derive(Default)]
pub(super) struct Metered {
    /// As its author wrote it.
    pub(super) source: String,
    /// With what meters it.
    pub(super) text: String,
    insertions: Vec<Insertion>,
    /// The templates that it includes.
    pub(super) includes: Vec<String>,
    /// The one that it extends.
    pub(super) parent: Option<String>,
    /// Tags, names, literals and operators, for limits.
    pub(super) tokens: usize,
    /// Whether it has a block in a block. With `super`, such blocks can write each other without an end.
    pub(super) nests_blocks: bool,
    /// The most `elif` that are open at once.
    pub(super) branches: usize,
}

struct Insertion {
    /// Where in the source.
    at: usize,
    text: String,
    /// What of the source is to blame when it fails.
    origin: Range<usize>,
}

impl Metered {
    /// Rewrites a template. What can't be read is left to Tera, which says so.
    pub(super) fn new(source: &str) -> Metered {
        let mut rewriter = Rewriter {
            metered: Metered { source: source.to_owned(), ..Metered::default() },
            ..Rewriter::default()
        };
        rewriter.open(0, 0..0, START, ["{% if _meter(steps=", ") %}{% endif %}"]);
        for part in parts(source) {
            rewriter.part(&part);
            // It is refused.
            if rewriter.metered.tokens > MAX_TOKENS {
                break;
            }
        }
        rewriter.count(source.len());
        while let Some(body) = rewriter.bodies.pop() {
            if body.insertion > 0 || rewriter.metered.parent.is_none() {
                rewriter.close(&body);
            }
        }
        let mut metered = rewriter.metered;
        metered.insertions.sort_by_key(|insertion| insertion.at);
        let mut from = 0;
        for insertion in &metered.insertions {
            metered.text += &source[from..insertion.at];
            metered.text += &insertion.text;
            from = insertion.at;
        }
        metered.text += &source[from..];
        metered
    }

    /// The place in the source of a place in the text. What is inserted stands for its origin.
    pub(super) fn origin(&self, place: Range<usize>) -> Range<usize> {
        let start = self.find(place.start, |at, text| (at..at + text).contains(&place.start));
        let end = self.find(place.end, |at, text| at < place.end && place.end <= at + text);
        let start = start.map_or_else(|offset| offset, |origin| origin.start);
        let end = end.map_or_else(|offset| offset, |origin| origin.end);
        start..end.max(start)
    }

    /// The origin of the insertion that `holds` a place, or where the place is in the source.
    fn find(&self, place: usize, holds: impl Fn(usize, usize) -> bool) -> Result<Range<usize>, usize> {
        let mut inserted = 0;
        for insertion in &self.insertions {
            let at = insertion.at + inserted;
            if holds(at, insertion.text.len()) {
                return Ok(insertion.origin.clone());
            }
            if place <= at {
                break;
            }
            inserted += insertion.text.len();
        }
        Err(place - inserted)
    }
}

/// A part of a template that may be run many times, or the template itself.
struct Body {
    /// The insertion that takes its steps, and the end of it.
    insertion: usize,
    after: &'static str,
    bytes: usize,
}

/// A walk over a template.
#[derive(Default)]
pub(super) struct Rewriter {
    metered: Metered,
    bodies: Vec<Body>,
    /// Up to here bytes were added to bodies.
    counted: usize,
    /// The number of `elif` of each open `if`.
    branches: Vec<usize>,
    is_in_block: bool,
}

impl Rewriter {
    pub(super) fn insert(&mut self, at: usize, text: impl Into<String>, origin: Range<usize>) {
        self.metered.insertions.push(Insertion { at, text: text.into(), origin });
    }

    /// Begins a body, whose steps are written between `before` and `after` when it is known how long it is.
    fn open(&mut self, at: usize, origin: Range<usize>, bytes: usize, [before, after]: [&'static str; 2]) {
        self.count(at);
        self.bodies.push(Body { insertion: self.metered.insertions.len(), after, bytes });
        self.insert(at, before, origin);
    }

    fn count(&mut self, until: usize) {
        if let Some(body) = self.bodies.last_mut() {
            body.bytes += until.saturating_sub(self.counted);
        }
        self.counted = until;
    }

    fn close(&mut self, body: &Body) {
        if let Some(insertion) = self.metered.insertions.get_mut(body.insertion) {
            insertion.text += &format!("{}{}", 1 + body.bytes / BYTES_PER_STEP, body.after);
        }
    }

    fn end_body(&mut self, at: usize) {
        self.count(at);
        // What stays is the template itself.
        if self.bodies.len() > 1
            && let Some(body) = self.bodies.pop()
        {
            self.close(&body);
        }
    }

    fn part(&mut self, part: &Part) {
        self.metered.tokens += 1 + part.tokens.len();
        let tokens = part.tokens.as_slice();
        let Some(first) = tokens.first() else { return };
        if part.writes {
            self.write(tokens);
            return;
        }
        match first.text {
            "set" | "set_global" if tokens.get(2).is_some_and(|sign| sign.text == "=") => {
                expression::rewrite(self, &tokens[3..]);
            }
            // What a `set` with a body names is filtered like an operand.
            "set" | "set_global" | "if" | "elif" => expression::rewrite(self, &tokens[1..]),
            "filter" => {
                if let Some(name) = tokens.get(1) {
                    self.insert(name.at.start, format!("{METER} | "), name.at.clone());
                }
                expression::rewrite(self, &tokens[1..]);
            }
            "for" => self.for_loop(&tokens[1..], part.end),
            "component" | "block" => self.open(
                tokens[tokens.len() - 1].at.end,
                first.at.clone(),
                START,
                [" %}{% if _meter(steps=", ") %}{% endif"],
            ),
            "endfor" | "endcomponent" | "endblock" => self.end_body(part.start),
            "<" => expression::rewrite(self, tokens),
            "include" => {
                self.metered.includes.extend(tokens.get(1).map(|name| unquoted(name.text)));
            }
            "extends" => {
                self.metered.parent = tokens.get(1).map(|name| unquoted(name.text));
                // Nothing may be before it, and only blocks and components are run.
                if let Some(start) = self.metered.insertions.first_mut() {
                    start.text.clear();
                }
            }
            _ => {}
        }
        match first.text {
            "block" => {
                self.metered.nests_blocks |= self.is_in_block;
                self.is_in_block = true;
            }
            "endblock" => self.is_in_block = false,
            "if" => self.branches.push(0),
            "elif" => {
                if let Some(branches) = self.branches.last_mut() {
                    *branches += 1;
                }
                self.metered.branches = self.metered.branches.max(self.branches.iter().sum());
            }
            "endif" => drop(self.branches.pop()),
            _ => {}
        }
    }

    /// What `{{ }}` writes. A plain path is metered after it: in an expression, Tera knows less about why there is none.
    fn write(&mut self, tokens: &[Token<'_>]) {
        let names = tokens.iter().step_by(2);
        let is_path = tokens.len() % 2 == 1
            && names.clone().all(|token| token.kind == Kind::Name)
            && tokens.iter().skip(1).step_by(2).all(|token| token.text == ".")
            && names.clone().take(1).all(|name| {
                // `__tera_context` is all that there is.
                !LITERALS.contains(&name.text) && name.text != "not" && !name.text.starts_with("__tera")
            });
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return };
        if is_path {
            let path: String = tokens.iter().map(|token| token.text).collect();
            let origin = first.at.start..last.at.end;
            self.insert(last.at.end, format!(" }}}}{{{{ {METER}(of={path})"), origin);
        } else {
            expression::rewrite(self, tokens);
        }
    }

    /// The body of a loop is charged with its list, once for each turn.
    fn for_loop(&mut self, tokens: &[Token<'_>], end: usize) {
        let names = if tokens.get(1).is_some_and(|token| token.text == ",") { 3 } else { 1 };
        let target = tokens.get(names + 1..).unwrap_or_default();
        if let (Some(first), Some(last)) = (target.first(), target.last()) {
            let origin = first.at.start..last.at.end;
            self.insert(first.at.start, "(", origin.clone());
            expression::rewrite(self, target);
            self.open(last.at.end, origin, 0, [") | _meter(turn=", ")"]);
            self.count(end);
        }
    }
}

/// What a text in quotes says.
fn unquoted(literal: &str) -> String {
    let mut characters = literal.chars().skip(1);
    let mut text = String::new();
    while let Some(character) = characters.next() {
        text.extend(match character {
            '\\' => characters.next().map(|escaped| match escaped {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            }),
            other => Some(other),
        });
    }
    text.pop();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Tera reads, beside the steps of the whole template.
    fn text(source: &str) -> String {
        let text = Metered::new(source).text.replace(METER, "M");
        let (start, rest) = text.split_once("{% endif %}").expect("the template takes its steps");
        assert!(start.starts_with("{% if M(steps="), "{start}");
        rest.to_owned()
    }

    #[test]
    fn what_is_written_and_what_is_repeated_is_metered() {
        for (source, want) in [
            ("a: {{ x.y -}} b", "a: {{ x.y }}{{ M(of=x.y) -}} b"),
            ("{{ x\n. y }}", "{{ x\n. y }}{{ M(of=x.y) }}"),
            ("{{ __tera_context }}", "{{ __tera_context | M }}"),
            ("{{ true }}{{ 1.5 }}{{ 'a' }}", "{{ true }}{{ 1.5 }}{{ 'a' }}"),
            ("{%- if x %}b{% elif y %}{% endif -%}", "{%- if x | M %}b{% elif y | M %}{% endif -%}"),
            ("{% set x = y %}", "{% set x = y | M %}"),
            ("{% set x %}b{% endset %}", "{% set x | M %}b{% endset %}"),
            ("{% set_global x | upper %}b{% endset %}", "{% set_global x | M | upper | M %}b{% endset %}"),
            (
                "{% filter a | b(c=1) %}d{% endfilter %}",
                "{% filter M | a | M | b(c=1) | M %}d{% endfilter %}",
            ),
            ("{% for x in y -%} b {% endfor %}", "{% for x in (y | M) | M(turn=1) -%} b {% endfor %}"),
            (
                "{% for k, v in a or b %}12345678{% for x in y %}{% endfor %}{% endfor %}",
                "{% for k, v in (a | M or b | M) | M(turn=5) %}12345678{% for x in (y | M) | M(turn=1) %}{% endfor %}{% endfor %}",
            ),
            (
                "{% component c(x: string = 'a', ...y) {'a': 1} -%} b {% endcomponent c %}",
                "{% component c(x: string = 'a', ...y) {'a': 1} %}{% if M(steps=33) %}{% endif -%} b {% endcomponent c %}",
            ),
            (
                "{% block a -%} b {%- endblock a %}",
                "{% block a %}{% if M(steps=33) %}{% endif -%} b {%- endblock a %}",
            ),
            ("{% include 'a' %}{% break %}", "{% include 'a' %}{% break %}"),
            ("{# {{ x }} #}{#- %} -#}{{ x }}", "{# {{ x }} #}{#- %} -#}{{ x }}{{ M(of=x) }}"),
            ("{% raw -%}{{ x }}{% if y %}{%- endraw %}", "{% raw -%}{{ x }}{% if y %}{%- endraw %}"),
            ("{{ '}}' | a }}{% set x = \"%}\" | a %}", "{{ '}}' | a | M }}{% set x = \"%}\" | a | M %}"),
            ("{{ a | b }}{{ never ends", "{{ a | M | b | M }}{{ never ends"),
            ("{{ 'never ends }}", "{{ 'never ends }}"),
            ("{{ not }}", "{{ not }}"),
        ] {
            assert_eq!(text(source), want, "{source}");
        }
    }

    #[test]
    fn a_place_in_what_tera_reads_is_one_in_the_source() {
        let source = "é {{ x ~ y }}\n{{ a.b }} {% for c in d %}{{ c }}{% endfor %} z";
        let metered = Metered::new(source);
        let check = |place: &str, want: &str| {
            let start = metered.text.find(place).expect(place);
            assert_eq!(&source[metered.origin(start..start + place.len())], want, "{place}");
        };
        check("é {{", "é {{");
        check("x", "x");
        check("x | _meter ~ y | _meter", "x ~ y");
        check("_meter ~", "x ~");
        check(" ~ y", " ~ y");
        check("_meter(of=a.b)", "a.b");
        check("a.b }}{{ _meter(of=a.b) }} {%", "a.b }} {%");
        check("d | _meter)", "d");
        check("_meter(turn=", "d");
        check("endfor", "endfor");
        check(" z", " z");
        assert_eq!(metered.origin(metered.text.len()..metered.text.len()), source.len()..source.len());
    }

    #[test]
    fn the_name_of_an_include_is_what_tera_takes_it_for() {
        let template = Metered::new(r#"{% include "a\/b\"'" %}{%- include `c` -%}"#);
        assert_eq!(template.includes, ["a/b\"'", "c"]);
        let template = Metered::new("{% extends 'a' %}{% block b %}c{% endblock %}");
        assert_eq!(template.parent.as_deref(), Some("a"));
        assert_eq!(
            template.text,
            "{% extends 'a' %}{% block b %}{% if _meter(steps=33) %}{% endif %}c{% endblock %}"
        );
    }
}

//! Expressions: where their operands end, for a filter that meters them.

use super::rewrite::{BYTES_PER_STEP, LITERALS, METER, Rewriter};
use super::scan::{Kind, Token};
use std::ops::Range;

/// Meters the operands of an expression, as far as they are not written in it.
pub(super) fn rewrite(rewriter: &mut Rewriter, tokens: &[Token<'_>]) {
    // Each `~` may copy what those before it have made.
    let times = tokens.iter().filter(|token| token.text == "~").count();
    let meter = if times > 1 { format!(" | {METER}(times={times})") } else { format!(" | {METER}") };
    let brackets = Vec::new();
    Expression { rewriter, tokens, meter, brackets, start: 0, ended: false, is_test: false }.rewrite();
}

#[derive(Clone, Copy, PartialEq)]
enum Bracket {
    Group,
    /// Of arguments.
    Call {
        is_test: bool,
    },
    Subscript,
    List,
    Map,
    /// From `<` to `>`.
    Component,
    /// In braces, of a component.
    Attribute,
}

struct Open {
    bracket: Bracket,
    /// Where the operand starts to which it belongs.
    start: usize,
    /// Where the argument `attribute` starts.
    attribute: Option<usize>,
    /// Where the list starts over which a comprehension goes.
    target: Option<usize>,
    /// The token that opens it.
    index: usize,
    is_slice: bool,
}

/// A walk over an expression, which finds where its operands end.
struct Expression<'r, 't> {
    rewriter: &'r mut Rewriter,
    tokens: &'t [Token<'t>],
    meter: String,
    brackets: Vec<Open>,
    /// Of the operand.
    start: usize,
    /// Whether the token before ends an operand.
    ended: bool,
    /// Whether the next name is that of a test.
    is_test: bool,
}

impl Expression<'_, '_> {
    fn text(&self, index: usize) -> &str {
        self.tokens.get(index).map_or("", |token| token.text)
    }

    fn bracket(&self) -> Option<Bracket> {
        self.brackets.last().map(|open| open.bracket)
    }

    fn enter(&mut self, bracket: Bracket, start: usize, index: usize) {
        let open = Open { bracket, start, attribute: None, target: None, index, is_slice: false };
        self.brackets.push(open);
        self.ended = false;
    }

    fn rewrite(&mut self) {
        let mut index = 0;
        while let Some(token) = self.tokens.get(index) {
            let at = token.at.clone();
            index = match token.kind {
                Kind::Name => self.name(index),
                Kind::Literal => {
                    if !self.ended {
                        self.start = at.start;
                    }
                    self.ended = self.bracket() != Some(Bracket::Component);
                    index + 1
                }
                Kind::Sign => {
                    self.sign(index);
                    index + 1
                }
            };
        }
    }

    /// Gives the token to go on with.
    fn name(&mut self, index: usize) -> usize {
        let token = &self.tokens[index];
        let before = index.checked_sub(1).map_or("", |before| self.text(before)).to_owned();
        let in_call = matches!(self.bracket(), Some(Bracket::Call { .. }));
        if self.bracket() == Some(Bracket::Component) {
            self.ended = false;
        } else if before == "." || before == "?." {
            self.operand_ends(index);
        } else if self.is_test {
            // It may be `not`, of `is not`.
            self.is_test = token.text == "not";
            self.ended = !self.is_test;
            if self.text(index + 1) == "(" && !self.is_test {
                self.enter(Bracket::Call { is_test: true }, token.at.start, index);
                return index + 2;
            }
        } else if self.ended {
            self.ended = false;
            match token.text {
                "is" => self.is_test = true,
                // Of `not in`.
                "not" => self.ended = true,
                "if" => self.target_ends(index),
                "for" if self.brackets.last().is_some_and(|open| open.target.is_some()) => {
                    self.target_ends(index);
                }
                "for" if self.bracket() == Some(Bracket::List) => return self.comprehension(index),
                _ => {}
            }
        } else if in_call && self.text(index + 1) == "=" {
            if token.text == "attribute" {
                self.attribute(index + 2);
            }
            return index + 2;
        } else if LITERALS.contains(&token.text) && before != "|" {
            self.start = token.at.start;
            self.ended = true;
        } else if token.text != "not" || before == "|" {
            self.start = token.at.start;
            self.operand_ends(index);
        }
        index + 1
    }

    fn sign(&mut self, index: usize) {
        let token = &self.tokens[index];
        let start = token.at.start;
        let (operand, ended) = (self.start, std::mem::take(&mut self.ended));
        match token.text {
            "(" if ended => self.enter(Bracket::Call { is_test: false }, operand, index),
            "(" => self.enter(Bracket::Group, start, index),
            "[" | "?[" if ended => self.enter(Bracket::Subscript, operand, index),
            "[" => self.enter(Bracket::List, start, index),
            "{" if self.bracket() == Some(Bracket::Component) => self.enter(Bracket::Attribute, start, index),
            "{" => self.enter(Bracket::Map, start, index),
            "<" if !ended && self.tokens.get(index + 1).is_some_and(|next| next.kind == Kind::Name) => {
                self.enter(Bracket::Component, start, index);
            }
            ">" if self.bracket() == Some(Bracket::Component) => self.leave(index),
            ")" | "]" | "}" => self.leave(index),
            "," => self.attribute_ends(index),
            ":" => {
                if let Some(open) = self.brackets.last_mut() {
                    open.is_slice = open.bracket == Bracket::Subscript;
                }
            }
            _ => {}
        }
    }

    fn leave(&mut self, index: usize) {
        self.attribute_ends(index);
        self.target_ends(index);
        let Some(open) = self.brackets.pop() else { return };
        self.start = open.start;
        match open.bracket {
            Bracket::Attribute => {}
            Bracket::Call { is_test: true } => self.ended = true,
            // What it wrote was metered when it did, and it may go on with its body.
            Bracket::Component if self.brackets.is_empty() && index + 1 == self.tokens.len() => {}
            Bracket::Subscript if open.is_slice => self.slice_ends(&open, index),
            _ => self.operand_ends(index),
        }
    }

    /// Tera goes through the whole text for a slice. What is sliced is metered where it can be put in parentheses.
    fn slice_ends(&mut self, open: &Open, index: usize) {
        // The name of a filter, as in `x | first[1:]`, is no value.
        let first = self.tokens.iter().position(|token| token.at.start == open.start);
        let is_filter =
            first.and_then(|first| first.checked_sub(1)).is_some_and(|before| self.text(before) == "|");
        if !is_filter && self.text(open.index) == "[" && !matches!(self.text(index + 1), "." | "?." | "?[") {
            let end = self.tokens[open.index - 1].at.end;
            self.rewriter.insert(open.start, "(", open.start..end);
            self.rewriter.insert(end, format!("{})", self.meter), open.start..end);
        }
        self.operand_ends(index);
    }

    /// Meters the operand, unless it goes on.
    fn operand_ends(&mut self, index: usize) {
        self.ended = true;
        if !matches!(self.text(index + 1), "." | "?." | "[" | "?[" | "(") {
            let Range { start, end } = self.tokens[index].at;
            // Where Tera says that there is no such value.
            let is_optional = index > 0 && self.text(index - 1) == "?.";
            let origin = if is_optional { start } else { self.start };
            let meter = self.meter.clone();
            self.rewriter.insert(end, meter, origin..end);
        }
    }

    /// After `for`: the list is charged for what is done for each of its elements.
    fn comprehension(&mut self, index: usize) -> usize {
        let names = if self.text(index + 2) == "," { 3 } else { 1 };
        let first = index + names + 2;
        if let (Some(token), Some(open)) = (self.tokens.get(first), self.brackets.last_mut()) {
            let start = token.at.start;
            open.target = Some(start);
            self.rewriter.insert(start, "(", start..start);
        }
        first
    }

    fn target_ends(&mut self, index: usize) {
        let Some(open) = self.brackets.last_mut() else { return };
        let Some(start) = open.target.take() else { return };
        let end = self.tokens[index - 1].at.end;
        // The turn begins with the list, and ends somewhere in this tag.
        let last = self.tokens.last().map_or(end, |last| last.at.end);
        let steps = 1 + (last - open.start) / BYTES_PER_STEP;
        self.rewriter.insert(end, format!(") | {METER}(turn={steps})"), start..end);
    }

    /// Tera goes through an `attribute` once for each element.
    fn attribute(&mut self, first: usize) {
        if let (Some(token), Some(open)) = (self.tokens.get(first), self.brackets.last_mut()) {
            let start = token.at.start;
            open.attribute = Some(start);
            self.rewriter.insert(start, "(", start..start);
        }
    }

    fn attribute_ends(&mut self, index: usize) {
        let Some(open) = self.brackets.last_mut() else { return };
        let Some(start) = open.attribute.take() else { return };
        let end = self.tokens[index - 1].at.end;
        self.rewriter.insert(end, format!(") | {METER}(path=true)"), start..end);
    }
}

#[cfg(test)]
mod tests {
    use super::super::rewrite::Metered;
    use super::*;

    #[test]
    fn each_operand_is_metered() {
        for (source, want) in [
            // More than one `~` counts the steps for each.
            ("a ~ b", "a | M ~ b | M"),
            ("a ~ 'b' ~ c.d", "a | M(times=2) ~ 'b' ~ c.d | M(times=2)"),
            ("-a + b ** 2 - 1", "-a | M + b | M ** 2 - 1"),
            ("not a and b == 1 or c != 'x'", "not a | M and b | M == 1 or c | M != 'x'"),
            ("a in b", "a | M in b | M"),
            ("a not in b", "a | M not in b | M"),
            ("a is defined", "a | M is defined"),
            ("a is not b(c=d) or e", "a | M is not b(c=d | M) or e | M"),
            ("a if b else c", "a | M if b | M else c | M"),
            ("(a ~ b)", "(a | M ~ b | M) | M"),
            ("a | b | c(d=e, f=1)", "a | M | b | M | c(d=e | M, f=1) | M"),
            ("a?.b?[c].d", "a?.b?[c | M].d | M"),
            ("a[b][1]", "a[b | M][1] | M"),
            ("a.b[1:c]", "(a.b | M)[1:c | M] | M"),
            ("a[1:2][::-1]", "((a | M)[1:2] | M)[::-1] | M"),
            ("a | b[1:]", "a | M | b[1:] | M"),
            ("a?[1:]", "a?[1:] | M"),
            ("f(a=b)", "f(a=b | M) | M"),
            ("f()[0]", "f()[0] | M"),
            ("[a, ...b, 1]", "[a | M, ...b | M, 1] | M"),
            ("{'a': b, ...c}", "{'a': b | M, ...c | M} | M"),
            ("[a for b in c]", "[a | M for b in (c | M) | M(turn=2)] | M"),
            (
                "[a for k, v in c ~ d if k == 1]",
                "[a | M for k, v in (c | M ~ d | M) | M(turn=4) if k | M == 1] | M",
            ),
            ("a | sort(attribute='b')", "a | M | sort(attribute=('b') | M(path=true)) | M"),
            (
                "a | sort(attribute=b ~ 'c', d=e)",
                "a | M | sort(attribute=(b | M ~ 'c') | M(path=true), d=e | M) | M",
            ),
            ("[a for b in c for d in e]", "[a | M for b in (c | M) | M(turn=4) for d | M in e | M] | M"),
            ("<a.b c d='e' f={g} {...h} />", "<a.b c d='e' f={g | M} {...h | M} />"),
            ("<a /> | b", "<a /> | M | b | M"),
            ("a < b or a <b", "a | M < b | M or a | M <b | M"),
            // Names that are operators only after an operand.
            ("if | upper", "if | M | upper | M"),
            ("x | default(value='|~}')", "x | M | default(value='|~}') | M"),
        ] {
            let source = format!("{{% if {source} %}}");
            let text = Metered::new(&source).text.replace(METER, "M");
            assert!(text.ends_with(&format!("%}}{{% if {want} %}}")), "{source}: {text}");
        }
    }
}

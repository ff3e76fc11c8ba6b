//! `.helmignore`: which files of a directory don't belong to its chart.

use provider_core::{Error, Result};
use std::str::Chars;

/// The rules of a `.helmignore`, and Helm's own. They are no gitignore: `**` is refused, the first rule that matches
/// decides, and a `!` rule leaves out everything that it does *not* match.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    /// None for what is well formed only with the `/` that ended it, and matches nothing, as in Helm.
    pattern: Option<Pattern>,
    /// Compared with the whole path, not only with its last part.
    is_path: bool,
    negated: bool,
    only_directories: bool,
}

impl Rules {
    /// The rules in `text`, and one more: files in `templates/` that begin with a dot.
    ///
    /// # Errors
    /// `Invalid` for `**` and for a pattern that is not well formed.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut rules = Self::default();
        for line in text.trim_start_matches('\u{feff}').lines() {
            rules.add(line.trim())?;
        }
        rules.add("templates/.?*")?;
        Ok(rules)
    }

    fn add(&mut self, line: &str) -> Result<()> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let refuse = |why: &str| Err(Error::invalid(format!("the rule `{line}` in `.helmignore` {why}")));
        if line.contains("**") {
            return refuse("has `**`, which Helm does not know");
        }
        if Pattern::parse(line).is_none() {
            return refuse("is not a well-formed pattern");
        }
        let (pattern, negated) = line.strip_prefix('!').map_or((line, false), |rest| (rest, true));
        let (pattern, only_directories) =
            pattern.strip_suffix('/').map_or((pattern, false), |rest| (rest, true));
        let (pattern, is_path) =
            pattern.strip_prefix('/').map_or((pattern, pattern.contains('/')), |rest| (rest, true));
        self.0.push(Rule { pattern: Pattern::parse(pattern), is_path, negated, only_directories });
        Ok(())
    }

    /// Whether the file or directory at `path`, relative to the chart, is left out.
    pub(super) fn ignores(&self, path: &str, is_directory: bool) -> bool {
        for rule in &self.0 {
            let name = path.rsplit('/').next().unwrap_or(path);
            let subject = if rule.is_path { path } else { name };
            let is_match = rule.pattern.as_ref().is_some_and(|pattern| pattern.matches(subject));
            let wrong_kind = rule.only_directories && !is_directory;
            if rule.negated {
                if wrong_kind || !is_match {
                    return true;
                }
            } else if !wrong_kind && is_match {
                return true;
            }
        }
        false
    }
}

/// A pattern of Go's `filepath.Match`: `*` and `?` don't cross a `/`, `[a-z]` and `[^a-z]` are classes, `\` takes the
/// next character as it is.
#[derive(Debug)]
struct Pattern(Vec<Token>);

#[derive(Debug)]
enum Token {
    Star,
    Any,
    One(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Pattern {
    /// None when it is not well formed.
    fn parse(pattern: &str) -> Option<Self> {
        let mut tokens = Vec::with_capacity(pattern.len());
        let mut rest = pattern.chars();
        while let Some(c) = rest.next() {
            tokens.push(match c {
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' => Token::One(rest.next()?),
                '[' => class(&mut rest)?,
                c => Token::One(c),
            });
        }
        Some(Self(tokens))
    }

    /// Whether it matches the whole of `name`. Without recursion: only the last star can need another try.
    fn matches(&self, name: &str) -> bool {
        let (mut tokens, mut name) = (self.0.as_slice(), name.chars());
        let mut star = None;
        loop {
            let mut after = name.clone();
            let fits = match tokens {
                [] => name.as_str().is_empty(),
                [Token::Star, rest @ ..] => {
                    star = Some((rest, name.clone()));
                    tokens = rest;
                    continue;
                }
                [token, ..] => after.next().is_some_and(|c| token.takes(c)),
            };
            match (fits, tokens, &mut star) {
                (true, [], _) => return true,
                (true, [_, rest @ ..], _) => (tokens, name) = (rest, after),
                (false, _, Some((rest, from))) => {
                    if from.next().is_none_or(|c| c == '/') {
                        return false;
                    }
                    (tokens, name) = (rest, from.clone());
                }
                (false, _, None) => return false,
            }
        }
    }
}

/// The rest of a class, after its bracket.
fn class(rest: &mut Chars<'_>) -> Option<Token> {
    let negated = rest.as_str().starts_with('^');
    if negated {
        rest.next();
    }
    let mut ranges = Vec::new();
    loop {
        if rest.as_str().starts_with(']') && !ranges.is_empty() {
            rest.next();
            return Some(Token::Class { negated, ranges });
        }
        let low = bound(rest)?;
        let mut high = low;
        if rest.as_str().starts_with('-') {
            rest.next();
            high = bound(rest)?;
        }
        ranges.push((low, high));
    }
}

fn bound(rest: &mut Chars<'_>) -> Option<char> {
    let mut c = rest.next()?;
    if matches!(c, '-' | ']') {
        return None;
    }
    if c == '\\' {
        c = rest.next()?;
    }
    // A class needs its end.
    (!rest.as_str().is_empty()).then_some(c)
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => c != '/',
            Self::One(one) => c == *one,
            // Go lets a negated class take a `/`, and so do we.
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        let check = |pattern: &str, name: &str, want: Option<bool>| {
            let matched = Pattern::parse(pattern).map(|pattern| pattern.matches(name));
            assert_eq!(matched, want, "{pattern} on {name}");
        };
        check("abc", "abc", Some(true));
        check("*", "abc", Some(true));
        check("*c", "abc", Some(true));
        check("a*", "a", Some(true));
        check("a*", "ab/c", Some(false));
        check("a*/b", "abc/b", Some(true));
        check("a*/b", "a/c/b", Some(false));
        check("a*b*c*d*e*/f", "axbxcxdxe/f", Some(true));
        check("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", Some(false));
        check("a*b?c*x", "abxbbxdbxebxczzx", Some(true));
        check("a*b?c*x", "abxbbxdbxebxczzy", Some(false));
        check("ab[c]", "abc", Some(true));
        check("ab[b-d]", "abc", Some(true));
        check("ab[^e-g]", "abc", Some(true));
        check("a\\*b", "a*b", Some(true));
        check("a\\*b", "ab", Some(false));
        check("[\\]a]", "]", Some(true));
        check("[\\-x]", "-", Some(true));
        check("[]a]", "]", None);
        check("[-]", "-", None);
        check("[x-]", "x", None);
        check("[", "a", None);
        check("[^", "a", None);
        check("a[", "ab", None);
        check("\\", "a", None);
        check("*x", "xxx", Some(true));
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let check = |rules: &str, path: &str, is_directory: bool, want: bool| {
            let rules = Rules::parse(rules).unwrap();
            assert_eq!(rules.ignores(path, is_directory), want, "{rules:?} on {path}");
        };
        check("helm.txt", "helm.txt", false, true);
        check("helm.*", "a/helm.txt", false, true);
        check("*/cargo/*.txt", "a/cargo/x.txt", false, true);
        check("cargo/*.txt", "a/cargo/x.txt", false, false);
        check("/a.txt", "a.txt", false, true);
        check("/a.txt", "cargo/a.txt", false, false);
        check("/cargo/*.txt", "cargo/a.txt", false, true);
        check("cargo/", "cargo", true, true);
        check("cargo/", "cargo", false, false);
        check("*/", "cargo", true, true);
        check("templates/x", "templates/.dotfile", false, true);
        check("", "templates/.dotfile", false, true);
        check("", ".dotfile", false, false);
        check("# helm.txt\n  \n", "helm.txt", false, false);
        check("\u{feff}helm.txt", "helm.txt", false, true);
        // Helm's negation: whatever the rule does not match goes.
        check("!helm.txt", "helm.txt", false, false);
        check("!helm.txt", "tiller.txt", false, true);
        check("!cargo/", "helm.txt", false, true);
        check("a.txt\n!*.txt", "b.txt", false, false);
    }

    #[test]
    fn rules_that_helm_does_not_know_are_refused() {
        let check = |rules: &str, want: &str| {
            assert_eq!(Rules::parse(rules).unwrap_err().to_string(), want);
        };
        check("foo/**", "the rule `foo/**` in `.helmignore` has `**`, which Helm does not know");
        check("x\n[a", "the rule `[a` in `.helmignore` is not a well-formed pattern");
    }
}

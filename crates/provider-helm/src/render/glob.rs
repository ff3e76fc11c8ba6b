//! The patterns of `.Files.Glob`: `*` and `?` stop at a `/`, `**` does not, `[a-z]`, `[!a]` and `{a,b*}` are known, and
//! `\` takes the next character as it is. A pattern that is none matches everything, as in Helm.

/// A pattern.
pub(super) struct Glob(Vec<Vec<Token>>);

/// Alternatives are written out; a pattern with more is taken for none.
const MAX_ALTERNATIVES: usize = 256;

#[derive(Clone, PartialEq)]
enum Token {
    /// Anything; across a `/` or not.
    Any {
        deep: bool,
    },
    /// One character that is no `/`.
    One,
    Literal(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Glob {
    pub(super) fn parse(pattern: &str) -> Glob {
        let chars: Vec<char> = pattern.chars().collect();
        let mut at = 0;
        match alternatives(&chars, &mut at, false) {
            Some(parsed) if at == chars.len() => Glob(parsed),
            _ => Glob(vec![vec![Token::Any { deep: true }]]),
        }
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        let path: Vec<char> = path.chars().collect();
        self.0.iter().any(|tokens| matches(tokens, &path))
    }
}

/// All that the pattern from `at` on may be, up to the end or, inside of braces, up to a comma or brace.
fn alternatives(pattern: &[char], at: &mut usize, inside: bool) -> Option<Vec<Vec<Token>>> {
    let mut all = vec![Vec::new()];
    while let Some(&c) = pattern.get(*at) {
        if inside && matches!(c, ',' | '}') {
            break;
        }
        *at += 1;
        let token = match c {
            '*' => {
                let mut deep = false;
                while pattern.get(*at) == Some(&'*') {
                    *at += 1;
                    deep = true;
                }
                Token::Any { deep }
            }
            '?' => Token::One,
            '[' => class(pattern, at)?,
            '\\' => {
                *at += 1;
                Token::Literal(*pattern.get(*at - 1)?)
            }
            '{' => {
                let mut chosen = Vec::new();
                loop {
                    chosen.extend(alternatives(pattern, at, true)?);
                    *at += 1;
                    match pattern.get(*at - 1)? {
                        ',' => {}
                        _ => break,
                    }
                }
                if all.len() * chosen.len() > MAX_ALTERNATIVES {
                    return None;
                }
                all = all
                    .iter()
                    .flat_map(|start| chosen.iter().map(|end| [start.as_slice(), end].concat()))
                    .collect();
                continue;
            }
            c => Token::Literal(c),
        };
        all.iter_mut().for_each(|tokens| tokens.push(token.clone()));
    }
    Some(all)
}

fn class(pattern: &[char], at: &mut usize) -> Option<Token> {
    let negated = pattern.get(*at) == Some(&'!');
    *at += usize::from(negated);
    let mut ranges = Vec::new();
    loop {
        let mut low = *pattern.get(*at)?;
        *at += 1;
        match low {
            ']' => break,
            '\\' => {
                low = *pattern.get(*at)?;
                *at += 1;
            }
            _ => {}
        }
        let mut high = low;
        if pattern.get(*at) == Some(&'-') && pattern.get(*at + 1).is_some_and(|c| *c != ']') {
            high = pattern[*at + 1];
            *at += 2;
        }
        ranges.push((low, high));
    }
    (!ranges.is_empty()).then_some(Token::Class { negated, ranges })
}

/// Without recursion: for each token, the places in the path that it may end at.
fn matches(tokens: &[Token], path: &[char]) -> bool {
    let mut places = vec![false; path.len() + 1];
    places[0] = true;
    for token in tokens {
        let mut next = vec![false; path.len() + 1];
        for at in 0..=path.len() {
            let came_here = at > 0 && next[at - 1];
            next[at] = match token {
                Token::Any { deep } => places[at] || came_here && (*deep || path[at - 1] != '/'),
                Token::One => at > 0 && places[at - 1] && path[at - 1] != '/',
                Token::Literal(c) => at > 0 && places[at - 1] && path[at - 1] == *c,
                Token::Class { negated, ranges } => {
                    at > 0
                        && places[at - 1]
                        && ranges.iter().any(|(low, high)| (*low..=*high).contains(&path[at - 1])) != *negated
                }
            };
        }
        places = next;
    }
    places[path.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_paths() {
        let check = |pattern: &str, path: &str, want: bool| {
            assert_eq!(Glob::parse(pattern).matches(path), want, "{pattern} on {path}");
        };
        check("a/*", "a/b", true);
        check("a/*", "a/b/c", false);
        check("a/**", "a/b/c", true);
        check("**.yaml", "a/b.yaml", true);
        check("*.yaml", "a/b.yaml", false);
        check("**/x", "x", false);
        check("a?c", "abc", true);
        check("a?c", "a/c", false);
        check("[ab]/[!c]", "a/d", true);
        check("[ab]/[!c]", "a/c", false);
        check("[a-c]x", "bx", true);
        check("{a,b*}/x", "bb/x", true);
        check("{a,b*}/x", "c/x", false);
        check("{a{b,c},d}.x", "ac.x", true);
        check("{,a}b", "b", true);
        check("a\\*", "a*", true);
        check("a\\*", "ab", false);
        check("", "", true);
        check("", "a", false);
        check("[a", "anything/at all", true);
        check("{a", "anything/at all", true);
    }
}

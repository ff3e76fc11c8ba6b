//! Upper and lower case, and names in the styles of programming languages.

use std::rc::Rc;

use super::args::Answer;
use crate::call::{Call, Entry, FunctionError};
use crate::unicode;
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::exact("camelcase", 1, camelcase),
    Entry::exact("kebabcase", 1, kebabcase),
    Entry::exact("lower", 1, lower),
    Entry::exact("snakecase", 1, snakecase),
    Entry::exact("swapcase", 1, swapcase),
    Entry::exact("title", 1, title),
    Entry::exact("untitle", 1, untitle),
    Entry::exact("upper", 1, upper),
];

/// The text of a call, paid for: each of its characters is looked up in tables.
fn input(call: &Call<'_>) -> Result<Rc<str>, FunctionError> {
    let text = call.string(0)?;
    call.allocate(text.len())?;
    call.spend(text.len() / 8)?;
    Ok(text)
}

/// Maps the characters, of which each knows its predecessor (a blank before the first).
fn mapped(call: &Call<'_>, map: impl Fn(char, char) -> char) -> Answer {
    let text = input(call)?;
    let mut previous = ' ';
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        out.push(map(previous, character));
        previous = character;
    }
    Ok(out.into())
}

fn upper(call: &mut Call<'_>) -> Answer {
    mapped(call, |_, character| unicode::to_upper(character))
}

fn lower(call: &mut Call<'_>) -> Answer {
    mapped(call, |_, character| unicode::to_lower(character))
}

/// Whether a word ends with this character, for `title`.
fn separates(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_alphanumeric() && character != '_';
    }
    !unicode::is_letter(character) && !unicode::is_digit(character) && character.is_whitespace()
}

fn title(call: &mut Call<'_>) -> Answer {
    mapped(
        call,
        |previous, character| {
            if separates(previous) { unicode::to_title(character) } else { character }
        },
    )
}

fn untitle(call: &mut Call<'_>) -> Answer {
    mapped(
        call,
        |previous, character| {
            if previous.is_whitespace() { unicode::to_lower(character) } else { character }
        },
    )
}

fn swapcase(call: &mut Call<'_>) -> Answer {
    let text = input(call)?;
    let mut at_start = true;
    let swap = |character: char| {
        if unicode::is_upper(character) || unicode::is_title(character) {
            at_start = false;
            unicode::to_lower(character)
        } else if unicode::is_lower(character) {
            let swapped = if at_start { unicode::to_title(character) } else { unicode::to_upper(character) };
            at_start = false;
            swapped
        } else {
            at_start = character.is_whitespace();
            character
        }
    };
    Ok(text.chars().map(swap).collect::<String>().into())
}

fn is_connector(character: char) -> bool {
    matches!(character, '-' | '_') || character.is_whitespace()
}

fn camelcase(call: &mut Call<'_>) -> Answer {
    Ok(pascal(&input(call)?).into())
}

/// `some_words` as `SomeWords`; connectors at the start, at the end, and all but the last of several stay.
fn pascal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    let mut current = None;
    // Whether so far all letters of the word were upper case: then all but the first become lower case.
    let mut shouting = false;
    for character in characters.by_ref() {
        if !is_connector(character) {
            shouting = unicode::is_upper(character);
            current = Some(unicode::to_upper(character));
            break;
        }
        out.push(character);
        current = Some(character);
    }
    let Some(mut current) = current else {
        return out;
    };
    let rest = characters.as_str();
    if rest.is_empty() {
        // The last connector comes twice, as in the original.
        out.push(current);
        return out;
    }
    for next in rest.chars() {
        let previous = current;
        current = next;
        if is_connector(next) && is_connector(previous) {
            out.push(previous);
        } else if is_connector(previous) {
            shouting = unicode::is_upper(next);
            current = unicode::to_upper(next);
        } else {
            if shouting {
                if unicode::is_upper(next) {
                    current = unicode::to_lower(next);
                } else {
                    shouting = false;
                }
            }
            out.push(previous);
        }
    }
    out.push(current);
    out
}

fn snakecase(call: &mut Call<'_>) -> Answer {
    separated(call, '_')
}

fn kebabcase(call: &mut Call<'_>) -> Answer {
    separated(call, '-')
}

fn separated(call: &Call<'_>, connector: char) -> Result<Value, FunctionError> {
    let text = input(call)?;
    call.spend(text.len() / 4)?;
    Ok(Words { rest: &text, out: String::with_capacity(text.len() * 2), connector }.separate().into())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    End,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punctuation,
    Other,
}

type Word<'t> = (Kind, &'t str);

/// A letter of a script in which words consist of letters.
fn is_alphabetic(character: char) -> bool {
    unicode::is_letter(character)
        && !matches!(character, '\u{3400}'..='\u{4D85}' | '\u{4E00}'..='\u{9FCC}' | '\u{20000}'..='\u{2B81D}')
}

/// The words of a text.
struct Words<'t> {
    rest: &'t str,
    out: String,
    connector: char,
}

impl<'t> Words<'t> {
    fn take(&mut self, more: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.char_indices().skip(1).find(|(_, character)| !more(*character));
        let (word, rest) = self.rest.split_at(end.map_or(self.rest.len(), |(index, _)| index));
        self.rest = rest;
        word
    }

    fn next(&mut self) -> Word<'t> {
        let lower = |character| is_alphabetic(character) && !unicode::is_upper(character);
        let Some(first) = self.rest.chars().next() else {
            return (Kind::End, "");
        };
        if is_connector(first) {
            return (Kind::Connector, self.take(is_connector));
        }
        if unicode::is_punctuation(first) {
            return (Kind::Punctuation, self.take(unicode::is_punctuation));
        }
        if unicode::is_upper(first) {
            return (Kind::Upper, self.upper());
        }
        if is_alphabetic(first) {
            return (Kind::Alphabet, self.take(lower));
        }
        if unicode::is_number(first) {
            return (Kind::Number, self.take(unicode::is_number));
        }
        let other = |character| {
            !is_connector(character)
                && !is_alphabetic(character)
                && !unicode::is_number(character)
                && !unicode::is_punctuation(character)
        };
        (Kind::Other, self.take(other))
    }

    /// `HTTP` of `HTTPStatus`, or a word like `Status`.
    fn upper(&mut self) -> &'t str {
        let lower = |character| is_alphabetic(character) && !unicode::is_upper(character);
        match self.rest.chars().nth(1) {
            Some(second) if unicode::is_upper(second) => {
                let start = self.rest;
                let word = self.take(unicode::is_upper);
                if !self.rest.starts_with(is_alphabetic) {
                    return word;
                }
                // The last capital begins the next word.
                let last = word.chars().next_back().map_or(0, char::len_utf8);
                let (word, rest) = start.split_at(word.len() - last);
                self.rest = rest;
                word
            }
            Some(second) if is_alphabetic(second) => self.take(lower),
            _ => self.take(|_| false),
        }
    }

    fn write(&mut self, (kind, word): Word<'t>) {
        if !matches!(kind, Kind::Upper | Kind::Connector) {
            self.out.push_str(word);
            return;
        }
        for character in word.chars() {
            self.out.push(if is_connector(character) { self.connector } else { lower_of_upper(character) });
        }
    }

    /// Writes the words while they are of letters or digits.
    fn write_run(&mut self, mut word: Word<'t>) -> Word<'t> {
        while matches!(word.0, Kind::Alphabet | Kind::Number) {
            self.write(word);
            word = self.next();
        }
        word
    }

    /// Writes the connector, if a word follows that is to be set apart.
    fn connect(&mut self, next: Kind) {
        if !matches!(next, Kind::Connector | Kind::Punctuation) {
            self.out.push(self.connector);
        }
    }

    fn separate(mut self) -> String {
        let mut word = self.next();
        while !self.rest.is_empty() {
            if word.0 != Kind::Connector {
                self.write(word);
            }
            let previous = word;
            word = self.next();
            match previous.0 {
                Kind::Number => {
                    word = self.write_run(word);
                    if word.0 != Kind::End {
                        self.connect(word.0);
                    }
                }
                Kind::Connector => self.write(previous),
                Kind::Punctuation => {}
                _ if word.0 != Kind::Number => self.connect(word.0),
                _ if self.rest.is_empty() => {}
                _ => {
                    let number = word;
                    word = self.next();
                    if word.0 == Kind::Alphabet {
                        // A number belongs to what follows it: `http_2xx`.
                        self.out.push(self.connector);
                        self.write(number);
                        word = self.write_run(word);
                        if word.0 != Kind::End {
                            self.connect(word.0);
                        }
                    } else {
                        self.write(number);
                        self.connect(word.0);
                    }
                }
            }
        }
        self.write(word);
        self.out
    }
}

fn lower_of_upper(character: char) -> char {
    if unicode::is_upper(character) { unicode::to_lower(character) } else { character }
}

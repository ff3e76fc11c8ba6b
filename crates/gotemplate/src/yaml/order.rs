//! The order in which keys are written.

use std::cmp::Ordering;

use super::resolve::Dialect;
use super::write::Node;

/// The entries in the order of the library: numbers inside keys by their value, letters after everything else.
pub(super) fn sorted(entries: &[(String, Node)], dialect: Dialect) -> Vec<(&str, &Node)> {
    let mut sorted: Vec<(&str, &Node)> = Vec::with_capacity(entries.len());
    let mut keys: Vec<(Vec<char>, &str, &Node)> =
        entries.iter().map(|(key, value)| (key.chars().collect(), key.as_str(), value)).collect();
    sort(&mut keys, &|one, two| less(&one.0, &two.0, dialect));
    sorted.extend(keys.into_iter().map(|(_, key, value)| (key, value)));
    sorted
}

/// A sort that, unlike the standard one, bears an order that contradicts itself. Few items are sorted by insertion, as
/// Go does, so that even then the result is the same.
fn sort<T: Clone>(items: &mut [T], less: &dyn Fn(&T, &T) -> bool) {
    const FEW: usize = 12;
    if items.len() <= FEW {
        for end in 1..items.len() {
            let mut index = end;
            while index > 0 && less(&items[index], &items[index - 1]) {
                items.swap(index, index - 1);
                index -= 1;
            }
        }
        return;
    }
    let middle = items.len() / 2;
    let (left, right) = items.split_at_mut(middle);
    sort(left, less);
    sort(right, less);
    let merged: Vec<T> = {
        let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
        let next = || match (left.peek(), right.peek()) {
            (Some(one), Some(two)) if less(two, one) => right.next(),
            (Some(_), _) => left.next(),
            (None, _) => right.next(),
        };
        std::iter::from_fn(next).cloned().collect()
    };
    items.clone_from_slice(&merged);
}

/// Whether one key comes before another.
fn less(one: &[char], two: &[char], dialect: Dialect) -> bool {
    let mut after_digit = false;
    for index in 0..one.len().min(two.len()) {
        let (a, b) = (one[index], two[index]);
        if a == b {
            after_digit = is_digit(a);
            continue;
        }
        let (a_letter, b_letter) = (a.is_alphabetic(), b.is_alphabetic());
        if a_letter && b_letter {
            return a < b;
        }
        if a_letter || b_letter {
            return if dialect == Dialect::V3 && after_digit { a_letter } else { b_letter };
        }
        let (mut a_number, mut b_number) = (0i64, 0i64);
        if a == '0' || b == '0' {
            // Zeros inside a number are no leading zeros.
            let inside =
                one[..index].iter().rev().take_while(|&&digit| is_digit(digit)).any(|&digit| digit != '0');
            if inside {
                (a_number, b_number) = (1, 1);
            }
        }
        let a_end = read_number(one, index, &mut a_number);
        let b_end = read_number(two, index, &mut b_number);
        return match a_number.cmp(&b_number).then(a_end.cmp(&b_end)) {
            Ordering::Equal => a < b,
            order => order == Ordering::Less,
        };
    }
    one.len() < two.len()
}

fn is_digit(character: char) -> bool {
    character.is_ascii_digit()
        || (!character.is_ascii() && character.is_numeric() && crate::unicode::is_digit(character))
}

/// Reads digits from `index` on, wrapping around as Go does; returns where they end.
fn read_number(text: &[char], index: usize, number: &mut i64) -> usize {
    let mut end = index;
    while let Some(&digit) = text.get(end).filter(|digit| is_digit(**digit)) {
        *number = number.wrapping_mul(10).wrapping_add(i64::from(u32::from(digit)) - i64::from(b'0'));
        end += 1;
    }
    end
}

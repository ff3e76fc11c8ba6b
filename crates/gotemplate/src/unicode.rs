//! Classes and cases of characters, as Go's `unicode` has them.

use std::borrow::Cow;

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// A letter of any script.
pub(crate) fn is_letter(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphabetic();
    }
    character.general_category_group() == GeneralCategoryGroup::Letter
}

/// A decimal digit of any script.
pub(crate) fn is_digit(character: char) -> bool {
    character.is_ascii_digit()
        || (!character.is_ascii() && character.general_category() == GeneralCategory::DecimalNumber)
}

/// A number of any kind.
pub(crate) fn is_number(character: char) -> bool {
    character.is_ascii_digit()
        || (!character.is_ascii() && character.general_category_group() == GeneralCategoryGroup::Number)
}

/// Punctuation, which symbols such as `+` are not.
pub(crate) fn is_punctuation(character: char) -> bool {
    character.general_category_group() == GeneralCategoryGroup::Punctuation
}

/// An upper case letter.
pub(crate) fn is_upper(character: char) -> bool {
    character.is_ascii_uppercase()
        || (!character.is_ascii() && character.general_category() == GeneralCategory::UppercaseLetter)
}

/// A lower case letter.
pub(crate) fn is_lower(character: char) -> bool {
    character.is_ascii_lowercase()
        || (!character.is_ascii() && character.general_category() == GeneralCategory::LowercaseLetter)
}

/// A letter such as `ǅ`, of which only the first half is upper case.
pub(crate) fn is_title(character: char) -> bool {
    !character.is_ascii() && character.general_category() == GeneralCategory::TitlecaseLetter
}

/// Visible, or the ASCII space.
pub(crate) fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return matches!(character, ' '..='~');
    }
    matches!(
        character.general_category_group(),
        GeneralCategoryGroup::Letter
            | GeneralCategoryGroup::Mark
            | GeneralCategoryGroup::Number
            | GeneralCategoryGroup::Punctuation
            | GeneralCategoryGroup::Symbol
    )
}

/// Upper case, always a single character: `ß` stays.
pub(crate) fn to_upper(character: char) -> char {
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => upper,
        _ => character,
    }
}

/// Lower case, always a single character.
pub(crate) fn to_lower(character: char) -> char {
    if character == 'İ' {
        return 'i';
    }
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => character,
    }
}

/// Title case: upper case but for the few letters that are two, and for Georgian.
pub(crate) fn to_title(character: char) -> char {
    match character {
        '\u{1C4}'..='\u{1C6}' => '\u{1C5}',
        '\u{1C7}'..='\u{1C9}' => '\u{1C8}',
        '\u{1CA}'..='\u{1CC}' => '\u{1CB}',
        '\u{1F1}'..='\u{1F3}' => '\u{1F2}',
        '\u{10D0}'..='\u{10FA}' | '\u{10FD}'..='\u{10FF}' => character,
        _ => to_upper(character),
    }
}

/// Bytes as text; each byte that is not UTF-8 is replaced by a character, as in Go.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let mut out = String::with_capacity(bytes.len() * 2);
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    out.into()
}

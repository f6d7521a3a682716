//! Passwords that are tried first (NIST SP 800-63B-4, 3.1.1.2; OWASP ASVS 6.2.4 wants the 3,000 most common).
//!
//! `common.txt` is ours, and copied from no list. Most of it are words that people choose, written down by kind: what
//! systems ask for and installers set, first names and surnames, animals, sports and their clubs, figures of films, games
//! and music, countries and towns, seasons, months and days in several languages, cars, food, brands, what one loves and
//! swears. The rest follows from rules: walks along the rows and columns of keyboards, letters and digits by turns, years
//! twice, digits that mean something, words twice, "I love …". What [`judge`](super::judge) finds by itself, because it
//! repeats or counts, is left out.
//!
//! An entry stands for itself, in any case, with digits and signs around it or between its letters, and with the digits
//! and signs in it that look like letters.

use std::collections::HashSet;
use std::sync::LazyLock;

/// One a line, in lower case, sorted.
const TEXT: &str = include_str!("common.txt");

static COMMON: LazyLock<HashSet<&'static str>> = LazyLock::new(|| TEXT.lines().collect());

/// Whether a password, in lower case, is one of them.
pub(super) fn is_common(lower: &str) -> bool {
    let letters = |text: &str| text.trim_matches(|it: char| !it.is_alphabetic()).to_owned();
    let alone: String = lower.chars().filter(|it| it.is_alphanumeric()).collect();
    let bare = letters(lower);
    [
        lower,
        &alone,
        &letters(&alone),
        &bare,
        &looks_like(&bare),
        &letters(&looks_like(lower.trim_end_matches(|it: char| !it.is_alphabetic()))),
    ]
    .into_iter()
    .any(|text| COMMON.contains(text))
}

/// With letters in the place of what looks like them.
fn looks_like(text: &str) -> String {
    let letter = |it| match it {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        it => it,
    };
    text.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_enough_sorted_and_in_lower_case() {
        let lines: Vec<&str> = TEXT.lines().collect();
        assert!(lines.len() >= 3_000, "{}", lines.len());
        assert!(lines.is_sorted_by(|one, other| one < other), "sorted, and none twice");
        for line in lines {
            assert!(line.len() >= 3 && line.bytes().all(|it| it.is_ascii_graphic()), "{line:?}");
            assert_eq!(line, line.to_lowercase());
        }
    }

    #[test]
    fn an_entry_stands_for_itself_however_it_is_dressed_up() {
        for password in [
            "password",
            "password123!",
            "!!dragon!!",
            "p@ssw0rd99",
            "@dm1n1strator",
            "$unsh1ne2026",
            "pass-word",
            "i love you",
            "1qaz2wsx",
            "1qaz2wsx!",
            "147258369",
            "correct horse battery staple",
        ] {
            assert!(is_common(password), "{password}");
        }
    }

    #[test]
    fn several_words_together_are_none_of_them() {
        for password in ["dragon tulip cement", "monkeys write plays", "", "7", "--", "zürich im regen"] {
            assert!(!is_common(password), "{password}");
        }
    }
}

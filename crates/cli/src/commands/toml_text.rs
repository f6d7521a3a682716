//! Texts as TOML has them, for commands that write configuration.

use std::fmt::Write as _;

/// A basic string (TOML 1.0), quotes included: whatever the text is, a reader gets it back.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            letter if letter.is_control() => _ = write!(quoted, "\\u{:04X}", u32::from(letter)),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// What may stand after a `#`: one line without control characters, of bounded length.
pub(crate) fn comment(text: &str) -> String {
    // What we say ourselves fits in whole, a path within it too.
    const LETTERS_MAX: usize = 500;
    let mut shown: String =
        text.chars().map(|it| if it.is_control() { ' ' } else { it }).take(LETTERS_MAX).collect();
    if text.chars().nth(LETTERS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use toml::Table;

    use super::*;

    proptest! {
        #[test]
        fn a_reader_gets_back_what_was_written(text in any::<String>(), beside in any::<String>()) {
            let document = format!("key = {} # {}\n", quoted(&text), comment(&beside));
            let table: Table = document.parse().map_err(|error| TestCaseError::fail(format!("{error}: {document}")))?;
            prop_assert_eq!(table["key"].as_str(), Some(text.as_str()));
            prop_assert_eq!(table.len(), 1);
        }
    }
}

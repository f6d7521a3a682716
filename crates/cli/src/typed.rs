//! The words of a command line, before clap reads them.

use std::ffi::OsString;

/// Words in which a negative value stands in one word with its option: `--for=-1h` for `--for -1h`.
///
/// Clap takes what begins with a hyphen for an option, and would say that there is no `-1`. As the value of its option it is read by
/// what reads that, which says what is wrong with it and what to write.
pub(crate) fn negative_values_joined(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    let mut is_over = false;
    for word in words {
        is_over |= word == "--";
        match joined.last_mut() {
            Some(option) if !is_over && is_negative(&word) && is_bare_option(option) => {
                option.push("=");
                option.push(word);
            }
            _ => joined.push(word),
        }
    }
    joined
}

/// A minus and a digit. An en dash and the sign of mathematics begin no option.
fn is_negative(word: &OsString) -> bool {
    let bytes = word.as_encoded_bytes();
    bytes.first() == Some(&b'-') && bytes.get(1).is_some_and(u8::is_ascii_digit)
}

/// `--option`, without a value.
fn is_bare_option(word: &OsString) -> bool {
    let name = word.as_encoded_bytes().strip_prefix(b"--").unwrap_or_default();
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_value_stays_with_its_option_and_nothing_else_is_moved() {
        for (words, joined) in [
            (&["media", "link", "--for", "-1h"][..], &["media", "link", "--for=-1h"][..]),
            (&["reset", "--allow", "-5", "--json"], &["reset", "--allow=-5", "--json"]),
            (&["x", "--for=1h", "-1"], &["x", "--for=1h", "-1"]),
            (&["x", "--for", "1h", "-1"], &["x", "--for", "1h", "-1"]),
            (&["x", "--for", "--json"], &["x", "--for", "--json"]),
            (&["x", "--for", "-h"], &["x", "--for", "-h"]),
            (&["x", "--for", "--", "-1h"], &["x", "--for", "--", "-1h"]),
            (&["x", "--", "--for", "-1h"], &["x", "--", "--for", "-1h"]),
            (&["-1"], &["-1"]),
        ] {
            let words = words.iter().map(OsString::from);
            assert_eq!(negative_values_joined(words), *joined);
        }
    }
}

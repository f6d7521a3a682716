//! What a password must be (NIST SP 800-63B-4, 3.1.1.2): long enough, and not one that is tried first. Nothing about
//! which characters are in it, and no age at which it must be changed.

mod common;

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// The fewest characters where a second factor is asked for as well.
pub const SHORTEST: usize = 8;

/// The fewest characters where the password alone opens an account.
pub const SHORTEST_ALONE: usize = 15;

/// The most bytes: far beyond any passphrase, and little enough that hashing many costs nothing.
pub const LONGEST_BYTES: usize = 1_024;

/// What is wrong with a password, in words for whoever chose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weak {
    /// It has too few characters.
    #[error(
        "a password has at least {0} characters: three or four words that do not belong together are easy to remember"
    )]
    Short(usize),
    /// It has too many bytes.
    #[error("a password has at most {LONGEST_BYTES} bytes")]
    Long,
    /// It is one that is tried first.
    #[error(
        "this is one of the passwords that are tried first; choose words that nobody would guess together"
    )]
    Common,
    /// It is made of the person's own name, or of the product's.
    #[error(
        "a password that has your address or the name of this product in it is tried first; choose other words"
    )]
    Personal,
    /// It says the same again and again, or counts.
    #[error(
        "a password that repeats or counts is tried first; choose words that nobody would guess together"
    )]
    Pattern,
}

/// A password as it is judged, hashed and compared: in Unicode's Normalization Form C, since keyboards and systems compose
/// the same letter in several ways (NIST SP 800-63B-4, 3.1.1.2).
pub fn normal(password: &str) -> Zeroizing<String> {
    Zeroizing::new(password.nfc().collect())
}

/// Whether a password is long enough to open an account alone.
pub fn is_long_enough_alone(password: &str) -> bool {
    normal(password).chars().count() >= SHORTEST_ALONE
}

/// Whether a password may be taken by somebody of this login; `alone` where no second factor is asked for.
pub fn judge(password: &str, login: &str, alone: bool) -> Result<(), Weak> {
    let password = &*normal(password);
    let shortest = if alone { SHORTEST_ALONE } else { SHORTEST };
    let length = password.chars().count();
    if length < shortest {
        return Err(Weak::Short(shortest));
    }
    if password.len() > LONGEST_BYTES {
        return Err(Weak::Long);
    }
    let lower = password.to_lowercase();
    if repeats(&lower) || counts(&lower) {
        return Err(Weak::Pattern);
    }
    if common::is_common(&lower) {
        return Err(Weak::Common);
    }
    let login = login.to_lowercase();
    let own = login.split(|it: char| !it.is_alphanumeric()).filter(|word| word.chars().count() >= 4);
    // What is left once the known words are out of it must still be long enough to be worth trying.
    let mut rest = lower.clone();
    for word in own.chain(["ringfence", "twilio", "password"]) {
        rest = rest.replace(word, "");
    }
    if rest != lower && rest.chars().filter(|it| it.is_alphanumeric()).count() < SHORTEST {
        return Err(Weak::Personal);
    }
    Ok(())
}

/// Whether a short piece, again and again, is all of it.
fn repeats(text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    (1..=letters.len() / 2)
        .any(|piece| letters.iter().zip(&letters[piece..]).all(|(one, other)| one == other))
}

/// Whether each character is the one after (or before) the last.
fn counts(text: &str) -> bool {
    let steps: Vec<i64> = text
        .chars()
        .zip(text.chars().skip(1))
        .map(|(one, other)| i64::from(u32::from(other)) - i64::from(u32::from(one)))
        .collect();
    // 9 to 0 and back are the turn of a counter, not a break of it.
    let all = |step: i64| steps.iter().all(|it| *it == step || *it == step * -9);
    all(1) || all(-1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judged(password: &str) -> Result<(), Weak> {
        judge(password, "maria.lopez@example.com", false)
    }

    #[test]
    fn what_is_tried_first_is_refused() {
        for (password, why) in [
            ("", Weak::Short(8)),
            ("k7#Qz!p", Weak::Short(8)),
            ("Password123!", Weak::Common),
            ("1qaz2wsx", Weak::Common),
            ("welcome2026", Weak::Common),
            ("12345678", Weak::Pattern),
            ("01234567890", Weak::Pattern),
            ("87654321", Weak::Pattern),
            ("abcdefghij", Weak::Pattern),
            ("aaaaaaaaaa", Weak::Pattern),
            ("abcabcabcabc", Weak::Pattern),
            ("tulipcementtulipcement", Weak::Pattern),
            ("Gandalf2026", Weak::Common),
            ("FC Barcelona", Weak::Common),
            ("P@$$w0rd!!", Weak::Common),
            ("maria-lopez-1", Weak::Personal),
            ("my-ringfence-42", Weak::Personal),
        ] {
            assert_eq!(judged(password), Err(why), "{password}");
        }
        assert_eq!(judged(&"ö".repeat(600)), Err(Weak::Long));
        let numbers: String = (0..1_000).map(|number| number.to_string()).collect();
        assert_eq!(judged(&numbers[..LONGEST_BYTES]), Ok(()));
        assert_eq!(judged(&numbers[..=LONGEST_BYTES]), Err(Weak::Long));
    }

    #[test]
    fn words_that_nobody_guesses_together_are_taken() {
        for password in [
            "tulip cement orbit",
            "Blau7?hafen",
            "ринг забор шесть",
            "lopez buys nine green kites",
            "maria-kx7qzw2p",
        ] {
            assert_eq!(judged(password), Ok(()), "{password}");
        }
    }

    #[test]
    fn a_letter_that_is_composed_is_one_character() {
        assert_eq!(
            judged("a\u{308}o\u{308}u\u{308}kqx7"),
            Err(Weak::Short(8)),
            "ten characters as they come"
        );
        assert_eq!(*normal("Zu\u{308}rich"), *normal("Z\u{fc}rich"));
    }

    #[test]
    fn where_the_password_is_all_there_is_it_is_longer() {
        let login = "maria@example.com";
        assert_eq!(judge("tulip cement", login, true), Err(Weak::Short(15)));
        assert_eq!(judge("tulip cement orbit", login, true), Ok(()));
        assert!(is_long_enough_alone("fifteen letters"));
        assert!(!is_long_enough_alone("fourteen signs"));
        assert!(!is_long_enough_alone("u\u{308}mlaut are one"), "fifteen as they come");
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(password in ".{0,80}", login in ".{0,40}", alone: bool) {
            let judged = judge(&password, &login, alone);
            if password.chars().count() < SHORTEST {
                prop_assert!(judged.is_err());
            }
        }
    }
}

//! How many parts a text message is sent in, which is what it is billed by.

/// The alphabet that a message is sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Seven bits a character: 160 in one segment, 153 in each of several.
    Gsm7,
    /// Sixteen bits a code unit, as soon as one character is not in GSM-7: 70 in one segment, 67 in each of several.
    Ucs2,
}

/// A text cut into segments: 3GPP TS 23.038 (alphabets) and TS 23.040, 9.2.3.24.1 (concatenation, whose header
/// takes seven characters of GSM-7 or three of UCS-2 from each segment).
///
/// ```
/// use ringfence_model::{Encoding, Segments};
///
/// assert_eq!(Segments::of("hello").count, 1);
/// let text = "It’s not an apostrophe, it is a typographic one; 71 characters of UCS-2";
/// assert_eq!(Segments::of(text), Segments { encoding: Encoding::Ucs2, units: 71, count: 2 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    /// The alphabet.
    pub encoding: Encoding,
    /// Septets of GSM-7 (characters of its extension take two), or UTF-16 code units.
    pub units: u32,
    /// How many segments; an empty text is one.
    pub count: u32,
}

impl Segments {
    /// Cuts a text as Twilio does without smart encoding. A character of two units never straddles two segments,
    /// so the count may exceed `units` divided by the length of a segment.
    pub fn of(text: &str) -> Self {
        let septets = text.chars().map(gsm7_septets);
        if let Some(units) = septets.clone().try_fold(0_u32, |sum, it| Some(sum.saturating_add(it?))) {
            let sizes = septets.map(|it| it.unwrap_or(1));
            return Self { encoding: Encoding::Gsm7, units, count: count(units, sizes, 160, 153) };
        }
        let sizes = text.chars().map(|it| u32::from(it > '\u{ffff}') + 1);
        let units = sizes.clone().fold(0_u32, u32::saturating_add);
        Self { encoding: Encoding::Ucs2, units, count: count(units, sizes, 70, 67) }
    }
}

fn count(units: u32, sizes: impl Iterator<Item = u32>, alone: u32, each: u32) -> u32 {
    if units <= alone {
        return 1;
    }
    let (mut segments, mut used) = (1_u32, 0);
    for size in sizes {
        if used + size > each {
            segments = segments.saturating_add(1);
            used = 0;
        }
        used += size;
    }
    segments
}

/// Septets of a character in GSM-7, if it has that character.
fn gsm7_septets(char: char) -> Option<u32> {
    const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
        ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
    const EXTENSION: &str = "\u{c}^{}\\[~]|€";
    if char.is_ascii_alphanumeric() || char == ' ' || BASIC.contains(char) {
        Some(1)
    } else if EXTENSION.contains(char) {
        Some(2)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, encoding: Encoding, units: u32, count: u32) {
        assert_eq!(
            Segments::of(text),
            Segments { encoding, units, count },
            "{} characters",
            text.chars().count()
        );
    }

    #[test]
    fn the_borders_of_gsm7_are_160_and_multiples_of_153() {
        check("", Encoding::Gsm7, 0, 1);
        check(&"a".repeat(160), Encoding::Gsm7, 160, 1);
        check(&"a".repeat(161), Encoding::Gsm7, 161, 2);
        check(&"a".repeat(306), Encoding::Gsm7, 306, 2);
        check(&"a".repeat(307), Encoding::Gsm7, 307, 3);
    }

    #[test]
    fn the_borders_of_ucs2_are_70_and_multiples_of_67() {
        check(&"я".repeat(70), Encoding::Ucs2, 70, 1);
        check(&"я".repeat(71), Encoding::Ucs2, 71, 2);
        check(&"я".repeat(134), Encoding::Ucs2, 134, 2);
        check(&"я".repeat(135), Encoding::Ucs2, 135, 3);
    }

    #[test]
    fn one_foreign_character_makes_the_whole_text_ucs2() {
        check(&format!("{}’", "a".repeat(69)), Encoding::Ucs2, 70, 1);
        check(&format!("{}’", "a".repeat(70)), Encoding::Ucs2, 71, 2);
        check("ç", Encoding::Ucs2, 1, 1);
        check("Ç", Encoding::Gsm7, 1, 1);
        check("`", Encoding::Ucs2, 1, 1);
        check("\t", Encoding::Ucs2, 1, 1);
    }

    #[test]
    fn characters_of_the_extension_take_two_septets() {
        check("€", Encoding::Gsm7, 2, 1);
        check(&"€".repeat(80), Encoding::Gsm7, 160, 1);
        check(&format!("{}a", "€".repeat(80)), Encoding::Gsm7, 161, 2);
    }

    #[test]
    fn an_escape_is_not_torn_from_its_character() {
        // 153 septets hold 76 pairs and one septet stays empty: 2 × 76 = 152 pairs in two segments, 153 need a third.
        check(&"€".repeat(152), Encoding::Gsm7, 304, 2);
        check(&"€".repeat(153), Encoding::Gsm7, 306, 3);
    }

    #[test]
    fn an_emoji_is_two_units_and_is_not_torn_either() {
        check("🚀", Encoding::Ucs2, 2, 1);
        check(&"🚀".repeat(35), Encoding::Ucs2, 70, 1);
        check(&"🚀".repeat(66), Encoding::Ucs2, 132, 2);
        check(&"🚀".repeat(67), Encoding::Ucs2, 134, 3);
    }
}

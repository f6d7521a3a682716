//! Prices: decimal text on the wire, integers inside.

use std::fmt;
use std::str::FromStr;

use ringfence_model::Amount;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount in millionths of its currency, which stands beside it as `price_unit`.
///
/// Twilio writes what a message or call cost as a negative text (`"-0.00750"`), and usage records and price lists
/// as a positive one (`"2192.84855"`), sometimes as a number. Both are read. What is finer than a millionth is
/// rounded away from zero, so that no sum of prices is too small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Price {
    /// Millionths.
    pub micros: i64,
}

/// The text is no decimal number, or too large to count in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidPrice;

impl Price {
    /// From millionths.
    pub const fn micros(micros: i64) -> Self {
        Self { micros }
    }

    /// Without digits that say nothing, as usage records and price lists have it: `0`, `0.38`, `498.84515`.
    pub fn to_plain_string(self) -> String {
        Amount::from_micros(self.micros).to_string()
    }
}

/// Writes a price as [`Price::to_plain_string`] has it.
#[expect(clippy::ref_option, reason = "serde hands over the field as it is")]
pub(super) fn plain<S: Serializer>(price: &Option<Price>, serializer: S) -> Result<S::Ok, S::Error> {
    price.map(Price::to_plain_string).serialize(serializer)
}

impl FromStr for Price {
    type Err = InvalidPrice;

    /// Reads what [`Amount`] reads.
    fn from_str(text: &str) -> Result<Self, InvalidPrice> {
        text.parse().map(|amount: Amount| Self::micros(amount.micros())).map_err(|_| InvalidPrice)
    }
}

impl fmt::Display for Price {
    /// At least five digits behind the point, as Twilio writes them; a sixth where it is needed.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.micros < 0 { "-" } else { "" };
        let (whole, fraction) =
            (self.micros.unsigned_abs() / 1_000_000, self.micros.unsigned_abs() % 1_000_000);
        if fraction % 10 == 0 {
            write!(formatter, "{sign}{whole}.{:05}", fraction / 10)
        } else {
            write!(formatter, "{sign}{whole}.{fraction:06}")
        }
    }
}

impl fmt::Display for InvalidPrice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not a decimal number that can be counted in millionths")
    }
}

impl std::error::Error for InvalidPrice {}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl de::Visitor<'_> for Reader {
            type Value = Price;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a price as text or as a number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Price, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Price, E> {
                number.checked_mul(1_000_000).map(Price::micros).ok_or_else(|| E::custom(InvalidPrice))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Price, E> {
                i64::try_from(number).map_err(E::custom).and_then(|number| self.visit_i64(number))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Price, E> {
                // The shortest text that gives this number back is what the sender meant by it.
                number.to_string().parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> Result<i64, InvalidPrice> {
        text.parse::<Price>().map(|price| price.micros)
    }

    #[test]
    fn twilios_own_examples_are_read() {
        assert_eq!(micros("-0.00750"), Ok(-7_500));
        assert_eq!(micros("2192.84855"), Ok(2_192_848_550));
        assert_eq!(serde_json::from_str::<Price>("2192.84855").unwrap(), Price::micros(2_192_848_550));
        assert_eq!(serde_json::from_str::<Price>("7").unwrap(), Price::micros(7_000_000));
    }

    #[test]
    fn usage_records_and_price_lists_have_no_idle_digits() {
        for (micros, text) in
            [(0, "0"), (380_000, "0.38"), (498_845_150, "498.84515"), (-1, "-0.000001"), (70_000_000, "70")]
        {
            assert_eq!(Price::micros(micros).to_plain_string(), text);
        }
    }

    #[test]
    fn what_is_finer_than_a_millionth_never_makes_a_sum_too_small() {
        assert_eq!(micros("0.0000001"), Ok(1));
        assert_eq!(micros("-0.0000001"), Ok(-1));
        assert_eq!(micros("0.0000010000"), Ok(1));
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for text in ["", "-", ".", "1e3", " 1", "1 ", "0x1", "1.2.3", "--1", "NaN", "9223372036854775807"] {
            assert_eq!(micros(text), Err(InvalidPrice), "{text}");
        }
    }

    #[test]
    fn prices_are_written_as_twilio_writes_them() {
        for (micros, text) in
            [(-7_500, "-0.00750"), (0, "0.00000"), (2_192_848_550, "2192.84855"), (1, "0.000001")]
        {
            assert_eq!(Price::micros(micros).to_string(), text);
        }
    }
}

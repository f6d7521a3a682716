//! Amounts of money or usage, counted in integers.

use std::fmt;
use std::str::FromStr;

/// A decimal number, counted in millionths: an amount of money, or of what Twilio counts.
///
/// What is finer than a millionth is rounded away from zero, so that no sum is too small. Its currency, or its unit,
/// stands beside it.
///
/// ```
/// use ringfence_model::Amount;
///
/// let fifty: Amount = "50".parse().unwrap();
/// assert_eq!(fifty, Amount::from_micros(50_000_000));
/// assert_eq!("0.0079".parse::<Amount>().unwrap().to_string(), "0.0079");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Amount {
    micros: i64,
}

/// The text is no decimal number, or too large to count in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidAmount;

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self::from_micros(0);

    /// The largest that can be counted.
    pub const MAX: Self = Self::from_micros(i64::MAX);

    /// From millionths.
    pub const fn from_micros(micros: i64) -> Self {
        Self { micros }
    }

    /// From whole units; beyond what can be counted, the largest.
    pub const fn from_units(units: i64) -> Self {
        Self::from_micros(units.saturating_mul(1_000_000))
    }

    /// In millionths.
    pub const fn micros(self) -> i64 {
        self.micros
    }

    /// The sum; beyond what can be counted, the largest or smallest. A limit that compares it errs on the side of
    /// tripping.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self::from_micros(self.micros.saturating_add(other.micros))
    }

    /// So many times; beyond what can be counted, the largest or smallest.
    #[must_use]
    pub const fn saturating_mul(self, times: u64) -> Self {
        #[expect(clippy::cast_possible_wrap, reason = "it is not above the largest i64")]
        let times = if times > i64::MAX as u64 { i64::MAX } else { times as i64 };
        Self::from_micros(self.micros.saturating_mul(times))
    }

    /// So many hundredths of it, rounded towards zero.
    #[must_use]
    pub fn percent(self, percent: u32) -> Self {
        let micros = i128::from(self.micros) * i128::from(percent) / 100;
        let bounded = micros.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Self::from_micros(i64::try_from(bounded).unwrap_or(i64::MAX))
    }
}

impl FromStr for Amount {
    type Err = InvalidAmount;

    /// Reads `-12.3456789`: an optional sign, digits, and perhaps a point and digits. No exponent, no spaces.
    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
            return Err(InvalidAmount);
        }
        let (kept, rest) = fraction.split_at(fraction.len().min(6));
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| InvalidAmount)? };
        let kept: i64 = format!("{kept:0<6}").parse().map_err(|_| InvalidAmount)?;
        let up = i64::from(rest.bytes().any(|digit| digit != b'0'));
        let micros =
            whole.checked_mul(1_000_000).and_then(|it| it.checked_add(kept + up)).ok_or(InvalidAmount)?;
        Ok(Self { micros: if negative { -micros } else { micros } })
    }
}

impl fmt::Display for Amount {
    /// Without digits that say nothing: `0`, `0.38`, `498.84515`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.micros < 0 { "-" } else { "" };
        let (whole, fraction) =
            (self.micros.unsigned_abs() / 1_000_000, self.micros.unsigned_abs() % 1_000_000);
        let text = format!("{sign}{whole}.{fraction:06}");
        formatter.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl fmt::Display for InvalidAmount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not a decimal number that can be counted in millionths")
    }
}

impl std::error::Error for InvalidAmount {}

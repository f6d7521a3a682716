//! An account's SID as a value that cannot be wrong.
//!
//! Not for other SIDs: only accounts decide here whose key may sign.

use std::{fmt, str::FromStr};

/// The SID of a Twilio account: `AC` and 32 hexadecimal digits, compared byte for byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountSid([u8; AccountSid::LEN]);

impl AccountSid {
    /// Length of every account SID in bytes.
    pub const LEN: usize = 34;

    /// Reads a SID; `None` unless it is exactly `AC` and 32 hexadecimal digits.
    ///
    /// ```
    /// # use ringfence_signature::AccountSid;
    /// assert!(AccountSid::parse(b"AC0123456789abcdef0123456789abcdef").is_some());
    /// assert!(AccountSid::parse(b"SK0123456789abcdef0123456789abcdef").is_none());
    /// ```
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let sid: [u8; Self::LEN] = bytes.try_into().ok()?;
        // Without a branch a byte, so that the compiler may look at sixteen at once.
        let is_hex = sid[2..].iter().fold(true, |all, byte| all & byte.is_ascii_hexdigit());
        (sid.starts_with(b"AC") && is_hex).then_some(Self(sid))
    }

    /// The SID as text.
    pub fn as_str(&self) -> &str {
        // `parse` let only ASCII in; the fallback keeps this total without a panic.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The SID as the bytes that are on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for AccountSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for AccountSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AccountSid {
    type Err = InvalidAccountSid;

    fn from_str(text: &str) -> Result<Self, InvalidAccountSid> {
        Self::parse(text.as_bytes()).ok_or(InvalidAccountSid)
    }
}

/// The text is not an account SID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an account SID is AC and 32 hexadecimal digits")]
pub struct InvalidAccountSid;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ac_and_32_hexadecimal_digits_are_an_account_sid() {
        for wrong in ["", "AC", "AC0123456789abcdef0123456789abcde", "ac0123456789abcdef0123456789abcdef"] {
            assert_eq!(wrong.parse::<AccountSid>(), Err(InvalidAccountSid), "{wrong}");
        }
        assert!(AccountSid::parse(b"AC0123456789abcdef0123456789abcdeg").is_none());
        assert!(
            AccountSid::parse(b"AC0123456789abcdef0123456789abcdgg").is_none(),
            "two wrong make no right"
        );
        assert!(AccountSid::parse(b"AC0123456789abcdef0123456789abcdef0").is_none());
    }

    #[test]
    fn a_sid_prints_as_it_was_read() {
        let sid: AccountSid = "AC0123456789abcdef0123456789abcdef".parse().unwrap();
        assert_eq!(sid.to_string(), "AC0123456789abcdef0123456789abcdef");
        assert_eq!(format!("{sid:?}"), "AC0123456789abcdef0123456789abcdef");
        assert_eq!(sid.as_bytes(), b"AC0123456789abcdef0123456789abcdef");
    }
}

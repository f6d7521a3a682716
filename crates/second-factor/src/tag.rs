//! What a phone number, an address or a name is counted under: the same each time, and nobody can turn it back.
//!
//! A plain hash of a phone number is no secret, since there are only so many numbers to try. So tags are made with a key of
//! the installation's own that is not in the database in clear.

use std::fmt::{self, Write as _};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

const DOMAIN: &[u8] = b"ringfence second-factor tag 1";

/// The key that tags are made with, one for an installation.
#[derive(Clone)]
pub struct TagKey(Zeroizing<[u8; 32]>);

impl TagKey {
    /// From 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The tag of a text of a kind, such as `number`: 32 hexadecimal digits. The same text of another kind has another.
    pub fn tag(&self, kind: &str, text: &str) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.0.as_slice()).expect("HMAC takes a key of any length");
        mac.update(DOMAIN);
        for part in [kind, text] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let tag = mac.finalize().into_bytes();
        tag.iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TagKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_of_its_key_its_kind_and_its_text() {
        let key = TagKey::new([1; 32]);
        let tag = key.tag("number", "+14155550100");
        assert_eq!(tag.len(), 32);
        assert_eq!(tag, key.tag("number", "+14155550100"));
        let others = [
            TagKey::new([2; 32]).tag("number", "+14155550100"),
            key.tag("address", "+14155550100"),
            key.tag("number", "+14155550101"),
            key.tag("number+", "14155550100"),
        ];
        assert!(!others.contains(&tag), "{others:?}");
        assert_eq!(format!("{key:?}"), "TagKey(…)");
    }
}

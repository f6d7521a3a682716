//! Links that open one file for a time: the path, the second at which the link ends, and an HMAC over both.
//!
//! ```text
//! https://media.example.com/2010-04-01/Accounts/AC…/Recordings/RE….mp3?expires=1800003600&signature=<64 hex digits>
//!
//! signature = HMAC-SHA256(key, "ringfence media link 1" \n <path> \n <expires>)
//! ```
//!
//! The key is the installation's own and of this purpose alone. The path is in Twilio's one spelling of it, and so is the
//! query in ours: whatever else is there, is missing, or stands in another order makes it no link. The method is not signed:
//! `GET` and `HEAD` show the same file.

use std::fmt;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use ringfence_model::stamp::hex;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::path::MediaPath;

/// How long a link is good where nobody says anything else.
pub const LINK_USUALLY_FOR: Duration = Duration::from_hours(1);
/// A link is good for a week at most: whoever sees it can use it.
pub const LINK_AT_MOST_FOR: Duration = Duration::from_hours(7 * 24);

/// What the text begins with that is signed, so that nothing else signed by any key of ours is a link.
const PURPOSE: &[u8] = b"ringfence media link 1";

/// What links are signed with; the HMAC has absorbed it already.
#[derive(Clone)]
pub struct LinkKey(Hmac<Sha256>);

/// A link without its host: path and query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    path: MediaPath,
    expires: u64,
    signature: [u8; 64],
}

/// Why a query makes no link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkError {
    /// Not `expires=<digits>&signature=<64 lower-case hex digits>`.
    Malformed,
    /// Another key, another path, or another end than was signed.
    Forged,
    /// It was good once.
    Expired,
}

impl LinkKey {
    /// Takes 32 random bytes as the key.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(bytes).expect("an HMAC takes a key of any length"))
    }

    /// A link to a file, good up to and without this second since 1970.
    pub fn link(&self, path: MediaPath, expires: u64) -> Link {
        Link { path, expires, signature: self.sign(&path, &expires.to_string()) }
    }

    /// Whether the query of a request for this path makes it a link that is good now.
    pub fn check(&self, path: &MediaPath, query: &str, now_unix: u64) -> Result<(), LinkError> {
        let (expires, presented) = parse(query).ok_or(LinkError::Malformed)?;
        if !bool::from(self.sign(path, expires).ct_eq(presented)) {
            return Err(LinkError::Forged);
        }
        // Only now it is our own word.
        match expires.parse::<u64>() {
            Ok(expires) if now_unix < expires => Ok(()),
            Ok(_) => Err(LinkError::Expired),
            Err(_) => Err(LinkError::Malformed),
        }
    }

    fn sign(&self, path: &MediaPath, expires: &str) -> [u8; 64] {
        let mut mac = self.0.clone();
        mac.update(PURPOSE);
        for line in [path.to_string().as_str(), expires] {
            mac.update(b"\n");
            mac.update(line.as_bytes());
        }
        hex(&mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LinkKey(…)")
    }
}

impl fmt::Display for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = std::str::from_utf8(&self.signature).map_err(|_| fmt::Error)?;
        write!(formatter, "{}?expires={}&signature={signature}", self.path, self.expires)
    }
}

/// The end as it was written, and the signature.
fn parse(query: &str) -> Option<(&str, &[u8])> {
    let (expires, signature) = query.strip_prefix("expires=")?.split_once("&signature=")?;
    let is_number = (1..=12).contains(&expires.len())
        && expires.bytes().all(|byte| byte.is_ascii_digit())
        && !expires.starts_with('0');
    let is_signature =
        signature.len() == 64 && signature.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_number && is_signature).then_some((expires, signature.as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ringfence_model::Sid;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn path(number: u128) -> MediaPath {
        let (account, recording) = (Sid::new(*b"AC", 1), Sid::new(*b"RE", number));
        MediaPath::parse(&format!("/2010-04-01/Accounts/{account}/Recordings/{recording}.mp3")).unwrap()
    }

    fn key(byte: u8) -> LinkKey {
        LinkKey::new(&[byte; 32])
    }

    fn query(link: &Link) -> String {
        link.to_string().split_once('?').unwrap().1.to_owned()
    }

    #[test]
    fn a_link_of_another_key_or_file_is_forged_and_one_that_ended_has_ended() {
        let made = query(&key(1).link(path(7), NOW + 60));
        assert_eq!(key(2).check(&path(7), &made, NOW), Err(LinkError::Forged));
        assert_eq!(key(1).check(&path(8), &made, NOW), Err(LinkError::Forged));
        assert_eq!(key(1).check(&path(7), &made, NOW + 60), Err(LinkError::Expired));
        assert_eq!(key(1).check(&path(7), &made, NOW + 59), Ok(()));
        // Another end, of somebody who would have liked more time.
        let longer = made.replace(&(NOW + 60).to_string(), &(NOW + 61).to_string());
        assert_eq!(key(1).check(&path(7), &longer, NOW), Err(LinkError::Forged));
    }

    #[test]
    fn a_query_in_any_other_form_is_no_link() {
        let made = query(&key(1).link(path(7), NOW + 60));
        let (expires, signature) = made.split_once('&').unwrap();
        for other in [
            String::new(),
            expires.to_owned(),
            signature.to_owned(),
            format!("{signature}&{expires}"),
            format!("{made}&"),
            format!("{made}&utm_source=mail"),
            format!("{made}&{signature}"),
            format!("&{made}"),
            made.replace("expires=", "expires=0"),
            made.replace("expires=", "expires=+"),
            made.replace("expires=", "Expires="),
            made.replace(&NOW.to_string()[..1], "%31"),
            format!("{expires}&{}", signature.to_uppercase()),
            "expires=9999999999999&signature=".to_owned() + &"0".repeat(64),
        ] {
            assert_eq!(key(1).check(&path(7), &other, NOW), Err(LinkError::Malformed), "{other}");
        }
    }

    #[test]
    fn the_signature_is_what_the_documentation_says() {
        // printf 'ringfence media link 1\n/2010-04-01/…/RE00000000000000000000000000000007.mp3\n1800000060' |
        //   openssl dgst -sha256 -mac HMAC -macopt hexkey:0101…01
        let made = key(1).link(path(7), NOW + 60).to_string();
        assert!(
            made.starts_with("/2010-04-01/Accounts/AC00000000000000000000000000000001/Recordings/RE"),
            "{made}"
        );
        assert!(made.ends_with(EXPECTED), "{made}");
    }

    const EXPECTED: &str =
        "?expires=1800000060&signature=e1779e00df80018c86a36c89767e0a75f8c6ee787721c327af76775595cb7907";

    proptest! {
        #[test]
        fn any_byte_of_the_query_that_differs_refuses(place in any::<prop::sample::Index>(), byte in 0x21..0x7f_u8) {
            let made = query(&key(1).link(path(7), NOW + 60));
            let mut other = made.clone().into_bytes();
            let place = place.index(other.len());
            prop_assume!(other[place] != byte);
            other[place] = byte;
            prop_assert!(key(1).check(&path(7), &String::from_utf8(other).unwrap(), NOW).is_err());
        }

        #[test]
        fn any_byte_of_the_path_that_differs_refuses(place in any::<prop::sample::Index>(), byte in 0x21..0x7f_u8) {
            let made = key(1).link(path(7), NOW + 60);
            let mut other = path(7).to_string().into_bytes();
            let place = place.index(other.len());
            prop_assume!(other[place] != byte);
            other[place] = byte;
            let is_open = MediaPath::parse(&String::from_utf8(other).unwrap())
                .is_ok_and(|other| key(1).check(&other, &query(&made), NOW).is_ok());
            prop_assert!(!is_open);
        }

        #[test]
        fn any_text_is_no_link(text in "\\PC{0,120}|expires=[0-9]{1,12}&signature=[0-9a-f]{64}") {
            prop_assert!(key(1).check(&path(7), &text, NOW).is_err());
        }

        #[test]
        fn a_link_opens_its_own_file_until_its_end(number in any::<u128>(), now in 1..NOW, left in 1..604_800_u64) {
            let made = query(&key(1).link(path(number), now + left));
            prop_assert_eq!(key(1).check(&path(number), &made, now), Ok(()));
            prop_assert_eq!(key(1).check(&path(number), &made, now + left), Err(LinkError::Expired));
        }
    }
}

//! Sealing: what makes a stolen database worthless.
//!
//! A sealed value is a version (1 byte), the id of its key (8), a random nonce (12), and AES-256-GCM of the text with its
//! tag (16). Table, column and the row's key are authenticated with it, so a value that is moved to another row does
//! not open. Random nonces allow 2³² values a key (NIST SP 800-38D, 8.3): at a thousand a second that is 50 days of
//! nothing else, and the store seals a few a second at most; a yearly rotation stays far below.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use crate::error::SealedError;
use crate::hex;
use crate::keys::MasterKey;

const VERSION: u8 = 1;
/// The version and the key's id: by these a row that is sealed with an old key is found.
pub(crate) const PREFIX_LENGTH: usize = 9;
const NONCE_LENGTH: usize = 12;

/// The place that a sealed value belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'a str,
    pub(crate) column: &'a str,
    /// What the row is known by.
    pub(crate) row: &'a str,
}

/// One key that seals.
pub(crate) struct SealingKey {
    id: [u8; 8],
    key: RandomizedNonceKey,
}

/// The keys of a store: one that seals, all that open.
pub(crate) struct Keyring {
    current: SealingKey,
    previous: Vec<SealingKey>,
}

impl Keyring {
    pub(crate) fn new(current: &MasterKey, previous: &[MasterKey]) -> Self {
        let key = |master: &MasterKey| SealingKey::new(master.id_bytes(), master.bytes());
        Self { current: key(current), previous: previous.iter().map(key).collect() }
    }

    pub(crate) fn seal(&self, place: Place<'_>, text: &[u8]) -> Vec<u8> {
        self.current.seal(place, text)
    }

    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealedError> {
        let id = key_id(sealed).ok_or_else(|| forged(place))?;
        match self.keys().find(|key| key.id == id) {
            Some(key) => key.open(place, sealed),
            None => Err(SealedError::UnknownKey { place: place.to_string(), key_id: hex::write(&id) }),
        }
    }

    /// Opens a text.
    pub(crate) fn open_text(
        &self,
        place: Place<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<String>, SealedError> {
        text(place, &self.open(place, sealed)?)
    }

    /// What every value begins with that is sealed with the current key.
    pub(crate) fn current_prefix(&self) -> Vec<u8> {
        let mut prefix = vec![VERSION];
        prefix.extend_from_slice(&self.current.id);
        prefix
    }

    /// The ids of all keys, the current one first.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.keys().map(|key| hex::write(&key.id)).collect()
    }

    fn keys(&self) -> impl Iterator<Item = &SealingKey> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

impl SealingKey {
    pub(crate) fn new(id: [u8; 8], bytes: &[u8; 32]) -> Self {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes).expect("32 bytes are a key of AES-256");
        Self { id, key }
    }

    pub(crate) fn id(&self) -> [u8; 8] {
        self.id
    }

    pub(crate) fn seal(&self, place: Place<'_>, text: &[u8]) -> Vec<u8> {
        let mut body = text.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(place.identity(self.id)), &mut body)
            .expect("a text in memory is far below the 64 GiB that AES-GCM can seal");
        let mut sealed = Vec::with_capacity(PREFIX_LENGTH + NONCE_LENGTH + body.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.id);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut body);
        sealed
    }

    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealedError> {
        let (head, body) =
            sealed.split_at_checked(PREFIX_LENGTH + NONCE_LENGTH).ok_or_else(|| forged(place))?;
        if key_id(head) != Some(self.id) {
            return Err(forged(place));
        }
        let nonce = Nonce::try_assume_unique_for_key(&head[PREFIX_LENGTH..]).map_err(|_| forged(place))?;
        let mut body = Zeroizing::new(body.to_vec());
        let aad = Aad::from(place.identity(self.id));
        let length = self.key.open_in_place(nonce, aad, &mut body).map_err(|_| forged(place))?.len();
        body.truncate(length);
        Ok(body)
    }
}

impl Place<'_> {
    /// The place in bytes, each part with its length before it so that no two places are written the same.
    fn identity(&self, key_id: [u8; 8]) -> Vec<u8> {
        let mut identity = b"ringfence sealed 1\0".to_vec();
        identity.extend_from_slice(&key_id);
        for part in [self.table, self.column, self.row] {
            identity.extend_from_slice(&(part.len() as u64).to_be_bytes());
            identity.extend_from_slice(part.as_bytes());
        }
        identity
    }
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{} of {}", self.table, self.column, self.row)
    }
}

/// The id of the key that sealed this, if it is a sealed value at all.
pub(crate) fn key_id(sealed: &[u8]) -> Option<[u8; 8]> {
    match sealed {
        [VERSION, rest @ ..] => rest.first_chunk().copied(),
        _ => None,
    }
}

/// The opened bytes as the text that was sealed.
pub(crate) fn text(place: Place<'_>, opened: &[u8]) -> Result<Zeroizing<String>, SealedError> {
    let text = std::str::from_utf8(opened).map_err(|_| forged(place))?;
    Ok(Zeroizing::new(text.to_owned()))
}

pub(crate) fn forged(place: Place<'_>) -> SealedError {
    SealedError::Forged { place: place.to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place<'_> = Place { table: "accounts", column: "auth_token", row: "AC1" };

    fn keyring(current: u8, previous: &[u8]) -> Keyring {
        let key = |byte: &u8| MasterKey::from_bytes([*byte; 32]);
        Keyring::new(&key(&current), &previous.iter().map(key).collect::<Vec<_>>())
    }

    #[test]
    fn a_value_that_was_moved_does_not_open() {
        let keys = keyring(1, &[]);
        let sealed = keys.seal(PLACE, b"token");
        for place in [
            Place { table: "tokens", ..PLACE },
            Place { column: "friendly_name", ..PLACE },
            Place { row: "AC2", ..PLACE },
            // The same letters, cut elsewhere.
            Place { table: "account", column: "sauth_token", row: "AC1" },
        ] {
            assert_eq!(keys.open(place, &sealed), Err(forged(place)));
        }
        assert_eq!(keys.open(PLACE, &sealed).unwrap().as_slice(), b"token");
    }

    #[test]
    fn a_key_that_is_missing_is_named() {
        let sealed = keyring(1, &[]).seal(PLACE, b"token");
        let missing = MasterKey::from_bytes([1; 32]).id();
        let refused = keyring(2, &[3]).open(PLACE, &sealed).unwrap_err();
        assert!(matches!(refused, SealedError::UnknownKey { key_id, .. } if key_id == missing));
        assert!(keyring(2, &[3, 1]).open(PLACE, &sealed).is_ok());
    }

    #[test]
    fn what_is_too_short_is_refused() {
        let keys = keyring(1, &[]);
        let sealed = keys.seal(PLACE, b"");
        for length in 0..sealed.len() {
            assert!(keys.open(PLACE, &sealed[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_shows_nothing(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let keys = keyring(1, &[]);
            let sealed = keys.seal(PLACE, &text);
            let opened = keys.open(PLACE, &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), text.as_slice());
            prop_assert_ne!(&sealed, &keys.seal(PLACE, &text));
            if text.len() > 8 {
                prop_assert!(!sealed.windows(text.len()).any(|window| window == text));
            }
        }

        #[test]
        fn any_change_of_a_bit_is_found(text in ".{0,40}", place in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let keys = keyring(1, &[]);
            let mut sealed = keys.seal(PLACE, text.as_bytes());
            let place = place.index(sealed.len());
            sealed[place] ^= 1 << bit;
            prop_assert!(keys.open(PLACE, &sealed).is_err());
        }

        #[test]
        fn bytes_from_anywhere_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(keyring(1, &[]).open(PLACE, &bytes).is_err());
        }
    }
}

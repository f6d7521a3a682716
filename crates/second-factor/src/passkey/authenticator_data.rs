//! What an authenticator says of itself and of what it saw (`WebAuthn`, 6.1).

use super::Refusal;
use super::cbor::{self, Item};
use super::cose::PublicKey;

/// The longest id of a credential (`WebAuthn`, 7.1: 1023 bytes).
const MAX_CREDENTIAL_ID: usize = 1023;

/// The data, whose layout is right.
#[derive(Debug)]
pub(super) struct AuthenticatorData<'a> {
    /// SHA-256 of the relying party's id.
    pub(super) rp_id_hash: [u8; 32],
    /// Somebody was there.
    pub(super) user_present: bool,
    /// It was the owner, by a PIN or a body part.
    pub(super) user_verified: bool,
    /// The key may be copied to the owner's other devices.
    pub(super) backup_eligible: bool,
    /// It was.
    pub(super) backed_up: bool,
    /// How often it has signed; some always say zero.
    pub(super) counter: u32,
    /// The credential, where it was just made.
    pub(super) attested: Option<Attested<'a>>,
}

/// A credential that was just made.
#[derive(Debug)]
pub(super) struct Attested<'a> {
    /// Its id.
    pub(super) credential: &'a [u8],
    /// Its public key, as it came.
    pub(super) key: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    /// Reads all of these bytes, or refuses them.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>().ok_or(Refusal::Malformed)?;
        let (&[flags], rest) = rest.split_first_chunk().ok_or(Refusal::Malformed)?;
        let (counter, mut rest) = rest.split_first_chunk().ok_or(Refusal::Malformed)?;
        let flag = |bit: u8| flags & (1 << bit) != 0;
        let mut attested = None;
        if flag(6) {
            let (found, after) = Attested::read(rest)?;
            (attested, rest) = (Some(found), after);
        }
        if flag(7) {
            // Extensions that were not asked for are read over, as the procedure allows.
            let (extensions, after) = cbor::read_first(rest).map_err(|_| Refusal::Malformed)?;
            if !matches!(extensions, Item::Map(_)) {
                return Err(Refusal::Malformed);
            }
            rest = after;
        }
        if !rest.is_empty() {
            return Err(Refusal::Malformed);
        }
        Ok(Self {
            rp_id_hash: *rp_id_hash,
            user_present: flag(0),
            user_verified: flag(2),
            backup_eligible: flag(3),
            backed_up: flag(4),
            counter: u32::from_be_bytes(*counter),
            attested,
        })
    }
}

impl<'a> Attested<'a> {
    fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Refusal> {
        // The model of the authenticator comes first; it proves nothing without an attestation.
        let (_aaguid, rest) = bytes.split_first_chunk::<16>().ok_or(Refusal::Malformed)?;
        let (length, rest) = rest.split_first_chunk().ok_or(Refusal::Malformed)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 || length > MAX_CREDENTIAL_ID {
            return Err(Refusal::Malformed);
        }
        let (credential, rest) = rest.split_at_checked(length).ok_or(Refusal::Malformed)?;
        let (key, after) = cbor::read_first(rest).map_err(|_| Refusal::Malformed)?;
        PublicKey::of(&key)?;
        let key = &rest[..rest.len() - after.len()];
        Ok((Self { credential, key }, after))
    }
}

//! Public keys as authenticators give them (COSE, RFC 9052 and 9053; RS256 by RFC 8812), and what they signed.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

use super::Refusal;
use super::cbor::{self, Item};

/// What a key signs with: its number in the registry of COSE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// `EdDSA`, on Ed25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256, which the authenticators of Windows use.
    Rs256,
}

impl Algorithm {
    /// All that are taken, the preferred first.
    pub const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Rs256];

    /// The number in the registry.
    pub const fn number(self) -> i64 {
        match self {
            Self::Es256 => -7,
            Self::EdDsa => -8,
            Self::Rs256 => -257,
        }
    }
}

/// A public key that a signature can be checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// An uncompressed point of P-256.
    Es256([u8; 65]),
    /// A point of Ed25519.
    EdDsa([u8; 32]),
    /// Modulus and exponent.
    Rs256 { n: Vec<u8>, e: Vec<u8> },
}

impl PublicKey {
    /// The key in these bytes, if it is of a kind that was asked for and a point of its curve.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        Self::of(&cbor::read(bytes).map_err(|_| Refusal::Key)?)
    }

    /// The key that this item is.
    pub(super) fn of(item: &Item<'_>) -> Result<Self, Refusal> {
        let number = |label| item.at(label).and_then(Item::integer);
        let bytes = |label| item.at(label).and_then(Item::bytes).ok_or(Refusal::Key);
        let algorithm = number(3).ok_or(Refusal::Key)?;
        let algorithm = Algorithm::ALL.into_iter().find(|known| known.number() == algorithm);
        // Labels and values: RFC 9053, 7.1 and 7.2; RFC 8230, 4. What is -1 of a curve is the modulus of RSA.
        match (algorithm.ok_or(Refusal::Algorithm)?, number(1)) {
            (Algorithm::Es256, Some(2)) if number(-1) == Some(1) => {
                let mut point = [4; 65];
                point[1..33].copy_from_slice(&coordinate(bytes(-2)?)?);
                point[33..].copy_from_slice(&coordinate(bytes(-3)?)?);
                ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).map_err(|_| Refusal::Key)?;
                Ok(Self::Es256(point))
            }
            (Algorithm::EdDsa, Some(1)) if number(-1) == Some(6) => {
                let point = coordinate(bytes(-2)?)?;
                ParsedPublicKey::new(&ED25519, point).map_err(|_| Refusal::Key)?;
                Ok(Self::EdDsa(point))
            }
            (Algorithm::Rs256, Some(3)) => {
                let (n, e) = (bytes(-1)?, bytes(-2)?);
                // 2048 to 4096 bits without leading zeros, and the exponent that everybody uses.
                let is_modulus = (256..=512).contains(&n.len()) && n[0] >= 0x80;
                if !is_modulus || e != [1, 0, 1] {
                    return Err(Refusal::Key);
                }
                Ok(Self::Rs256 { n: n.to_vec(), e: e.to_vec() })
            }
            _ => Err(Refusal::Key),
        }
    }

    /// Whether the owner of the key signed this.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let checked = match self {
            Self::Es256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
            }
            Self::EdDsa(point) => UnparsedPublicKey::new(&ED25519, point).verify(message, signature),
            Self::Rs256 { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
        };
        checked.is_ok()
    }
}

fn coordinate(bytes: &[u8]) -> Result<[u8; 32], Refusal> {
    bytes.try_into().map_err(|_| Refusal::Key)
}

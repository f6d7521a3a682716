//! Passkeys (W3C Web Authentication, Level 3): the factor that resists phishing, since the browser signs the origin.
//!
//! What a browser is asked, and whether what it answers is what was asked for: the procedures of sections 7.1 and 7.2,
//! whose steps are named where they are taken. No attestation is asked for, and a statement that comes all the same is
//! neither checked nor believed: which make of authenticator it is decides nothing here. The owner is always verified by
//! the authenticator, so a passkey that lies about is no factor.

mod authenticator_data;
mod cbor;
mod cose;
mod party;
#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use subtle::ConstantTimeEq;

use authenticator_data::AuthenticatorData;
use cbor::Item;
pub use cose::Algorithm;
use cose::PublicKey;
pub use party::{Descriptor, NotAParty, RelyingParty, User};

/// The longest `clientDataJSON` that is read.
const MAX_CLIENT_DATA: usize = 4096;

/// What a browser must sign: 32 random bytes, good once (`WebAuthn`, 13.4.3 demands at least 16).
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge([u8; 32]);

impl Challenge {
    /// From random bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// To be stored.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Challenge(…)")
    }
}

/// A passkey, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// The credential's id.
    pub credential: Vec<u8>,
    /// The public key, in COSE.
    pub key: Vec<u8>,
    /// The last counter that was seen.
    pub counter: u32,
    /// Whether it may be copied to the owner's other devices, which never changes.
    pub backup_eligible: bool,
    /// Whether it was.
    pub backed_up: bool,
}

/// What a browser answers when a passkey is made.
#[derive(Debug, Clone, Copy)]
pub struct Registration<'a> {
    /// `response.clientDataJSON`.
    pub client_data: &'a [u8],
    /// `response.attestationObject`.
    pub attestation: &'a [u8],
}

/// What a browser answers when a passkey is used.
#[derive(Debug, Clone, Copy)]
pub struct Assertion<'a> {
    /// `rawId`.
    pub credential: &'a [u8],
    /// `response.clientDataJSON`.
    pub client_data: &'a [u8],
    /// `response.authenticatorData`.
    pub authenticator_data: &'a [u8],
    /// `response.signature`.
    pub signature: &'a [u8],
    /// `response.userHandle`, where the authenticator keeps one.
    pub user_handle: Option<&'a [u8]>,
}

/// Why an answer is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read.
    #[error("the browser's answer cannot be read")]
    Malformed,
    /// It answers another question: one to make a passkey, or one to use it.
    #[error("the browser answered another question")]
    Type,
    /// It answers another challenge.
    #[error("the browser answered another challenge")]
    Challenge,
    /// It was made on another site, or at another address of this one.
    #[error("the passkey was used at another address than the console's")]
    Origin,
    /// It was made in a frame of another site.
    #[error("the passkey was used inside another site")]
    CrossOrigin,
    /// It is for another relying party.
    #[error("the passkey is of another site")]
    RelyingParty,
    /// Nobody was there.
    #[error("the authenticator saw nobody")]
    UserNotPresent,
    /// The authenticator did not ask for its PIN, or for what it knows its owner by.
    #[error("the authenticator did not verify its owner")]
    UserNotVerified,
    /// It says that it was copied and cannot be, or something else than when it was made.
    #[error("what the authenticator says of its backup cannot be")]
    Backup,
    /// The key signs with something that was not asked for.
    #[error("the passkey's algorithm was not asked for")]
    Algorithm,
    /// The key is none.
    #[error("the passkey's public key is not one")]
    Key,
    /// It is another credential.
    #[error("this passkey is not known here")]
    Credential,
    /// The authenticator made it for somebody else.
    #[error("the passkey is somebody else's")]
    User,
    /// Somebody has bound it already.
    #[error("this passkey is bound already")]
    Registered,
    /// The signature is not the key's.
    #[error("the passkey's signature is wrong")]
    Signature,
    /// The counter did not move on: two authenticators have the same key (`WebAuthn`, 6.1.1).
    #[error("the passkey's counter went backwards: there may be a copy of it")]
    Cloned,
}

/// The passkey that was made, if this answers the challenge (`WebAuthn` Level 3, 7.1). That nobody has the credential yet
/// is for whoever stores it.
pub fn register(
    party: &RelyingParty,
    challenge: &Challenge,
    answer: &Registration<'_>,
) -> Result<Passkey, Refusal> {
    // Steps 5 to 11.
    check_client_data(party, challenge, "webauthn.create", answer.client_data)?;
    // Decoding the attestation object. Of its three members only `authData` counts: none was asked to attest, so the
    // statement is not believed, whatever its format.
    let object = cbor::read(answer.attestation).map_err(|_| Refusal::Malformed)?;
    let is_formed = matches!(object.named("fmt"), Some(Item::Text(_)))
        && matches!(object.named("attStmt"), Some(Item::Map(_)));
    let data = object.named("authData").and_then(Item::bytes).filter(|_| is_formed);
    let data = AuthenticatorData::read(data.ok_or(Refusal::Malformed)?)?;
    // The relying party, UP, UV, BE and BS; the algorithm is checked as the key is read.
    check_authenticator_data(party, &data)?;
    let attested = data.attested.ok_or(Refusal::Malformed)?;
    Ok(Passkey {
        credential: attested.credential.to_vec(),
        key: attested.key.to_vec(),
        counter: data.counter,
        backup_eligible: data.backup_eligible,
        backed_up: data.backed_up,
    })
}

/// The passkey as it is to be kept from now on, if this answers the challenge and is its own (`WebAuthn` Level 3, 7.2).
/// `user` is our id of whose it is, as whoever found it says: the one that was given when it was made.
pub fn authenticate(
    party: &RelyingParty,
    challenge: &Challenge,
    user: &[u8],
    passkey: &Passkey,
    answer: &Assertion<'_>,
) -> Result<Passkey, Refusal> {
    // Step 5: one of those that were asked for.
    if answer.credential != passkey.credential {
        return Err(Refusal::Credential);
    }
    // Step 6: who signs in is known before, and the authenticator may say nothing, but nobody else.
    if answer.user_handle.is_some_and(|handle| handle != user) {
        return Err(Refusal::User);
    }
    // Steps 8 to 14.
    check_client_data(party, challenge, "webauthn.get", answer.client_data)?;
    let data = AuthenticatorData::read(answer.authenticator_data)?;
    // Steps 15 to 18.
    check_authenticator_data(party, &data)?;
    // Step 19: what can be copied at all never changes.
    if data.backup_eligible != passkey.backup_eligible {
        return Err(Refusal::Backup);
    }
    // The signature, over the data and the hash of what the browser saw (steps 21 and 22).
    let mut signed = answer.authenticator_data.to_vec();
    signed.extend_from_slice(digest(&SHA256, answer.client_data).as_ref());
    if !PublicKey::read(&passkey.key)?.signed(&signed, answer.signature) {
        return Err(Refusal::Signature);
    }
    // The counter (step 23): zero on both sides is an authenticator that has none.
    if (data.counter != 0 || passkey.counter != 0) && data.counter <= passkey.counter {
        return Err(Refusal::Cloned);
    }
    Ok(Passkey { counter: data.counter, backed_up: data.backed_up, ..passkey.clone() })
}

/// What the browser saw (5.8.1). Members that are not known are read over: there may be more in future.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: Option<bool>,
    #[serde(default)]
    top_origin: Option<String>,
}

fn check_client_data(
    party: &RelyingParty,
    challenge: &Challenge,
    kind: &str,
    bytes: &[u8],
) -> Result<(), Refusal> {
    if bytes.len() > MAX_CLIENT_DATA {
        return Err(Refusal::Malformed);
    }
    let data: ClientData = serde_json::from_slice(bytes).map_err(|_| Refusal::Malformed)?;
    if data.r#type != kind {
        return Err(Refusal::Type);
    }
    let is_it: bool = URL_SAFE_NO_PAD.encode(challenge.0).as_bytes().ct_eq(data.challenge.as_bytes()).into();
    if !is_it {
        return Err(Refusal::Challenge);
    }
    if data.origin != party.origin() {
        return Err(Refusal::Origin);
    }
    if data.cross_origin == Some(true) || data.top_origin.is_some() {
        return Err(Refusal::CrossOrigin);
    }
    Ok(())
}

fn check_authenticator_data(party: &RelyingParty, data: &AuthenticatorData<'_>) -> Result<(), Refusal> {
    if data.rp_id_hash.as_slice() != digest(&SHA256, party.id().as_bytes()).as_ref() {
        return Err(Refusal::RelyingParty);
    }
    if !data.user_present {
        return Err(Refusal::UserNotPresent);
    }
    if !data.user_verified {
        return Err(Refusal::UserNotVerified);
    }
    if data.backed_up && !data.backup_eligible {
        return Err(Refusal::Backup);
    }
    Ok(())
}

//! An authenticator of passkeys with one key, which signs whatever it is asked.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// An authenticator (Web Authentication, 6) with a key of Ed25519, and the browser before it.
#[derive(Debug)]
pub struct Authenticator {
    pair: Ed25519KeyPair,
    credential: [u8; 4],
    origin: String,
    rp_id: String,
    flags: u8,
}

/// Somebody was there, and was verified (6.1).
const PRESENT: u8 = 1;
const VERIFIED: u8 = 1 << 2;
const ATTESTED: u8 = 1 << 6;

/// What the browser answers when a passkey is made.
#[derive(Debug, Clone)]
pub struct Made {
    /// `response.clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `response.attestationObject`.
    pub attestation: Vec<u8>,
}

/// What the browser answers when it is used.
#[derive(Debug, Clone)]
pub struct Shown {
    /// `rawId`.
    pub credential: Vec<u8>,
    /// `response.clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `response.authenticatorData`.
    pub authenticator_data: Vec<u8>,
    /// `response.signature`.
    pub signature: Vec<u8>,
}

impl Authenticator {
    /// With this credential, for `https://` and this host.
    pub fn new(credential: &[u8; 4], host: &str) -> Self {
        Self::at(credential, &format!("https://{host}"), host)
    }

    /// With this credential, in a browser at this origin, for this relying party.
    pub fn at(credential: &[u8; 4], origin: &str, rp_id: &str) -> Self {
        let pair = Ed25519KeyPair::generate().expect("a key of a test can be made");
        let flags = PRESENT | VERIFIED;
        Self { pair, credential: *credential, origin: origin.to_owned(), rp_id: rp_id.to_owned(), flags }
    }

    /// The same key, in a browser that was led to another origin.
    #[must_use]
    pub fn led_to(self, origin: &str) -> Self {
        Self { origin: origin.to_owned(), ..self }
    }

    /// The same key, used for another relying party.
    #[must_use]
    pub fn for_party(self, rp_id: &str) -> Self {
        Self { rp_id: rp_id.to_owned(), ..self }
    }

    /// The same key, of an authenticator that asks for no PIN and looks at nobody.
    #[must_use]
    pub fn without_verification(self) -> Self {
        Self { flags: PRESENT, ..self }
    }

    /// Makes the passkey. The challenge is written as options write it.
    pub fn makes(&self, challenge: &str) -> Made {
        let key = [b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20", self.pair.public_key().as_ref()].concat();
        let attested = [&[0; 16], &b"\x00\x04"[..], &self.credential, &key].concat();
        let data = self.data(self.flags | ATTESTED, 1, &attested);
        let head = [0x58, u8::try_from(data.len()).expect("it is short")];
        Made {
            client_data: self.client_data("webauthn.create", challenge),
            attestation: [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData", &head[..], &data].concat(),
        }
    }

    /// Uses it, with this counter.
    pub fn shows(&self, challenge: &str, counter: u32) -> Shown {
        let client_data = self.client_data("webauthn.get", challenge);
        let authenticator_data = self.data(self.flags, counter, &[]);
        let message = [authenticator_data.as_slice(), digest(&SHA256, &client_data).as_ref()].concat();
        let signature = self.pair.sign(&message).as_ref().to_vec();
        Shown { credential: self.credential.to_vec(), client_data, authenticator_data, signature }
    }

    fn data(&self, flags: u8, counter: u32, rest: &[u8]) -> Vec<u8> {
        let hash = digest(&SHA256, self.rp_id.as_bytes());
        [hash.as_ref(), &[flags], &counter.to_be_bytes(), rest].concat()
    }

    fn client_data(&self, kind: &str, challenge: &str) -> Vec<u8> {
        let origin = &self.origin;
        format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}"}}"#).into_bytes()
    }
}

/// A challenge as options write it.
pub fn written(challenge: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(challenge)
}

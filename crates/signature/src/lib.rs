//! Checks `X-Twilio-Signature` on raw bytes and says why a request is refused. No I/O.

mod account;
mod body_hash;
mod canonical;
mod explain;
mod form;
mod key;
#[cfg(feature = "tower")]
pub mod layer;
mod request;
mod sign;
mod strict;
mod url;
mod verify;

pub use account::{AccountSid, InvalidAccountSid};
pub use explain::*;
pub use form::fields;
pub use key::{AccountKeys, Algorithm, KeyKind, Keyring, KeyringError, MAX_KEYS};
pub use request::Request;
pub use sign::{Signed, Signer};
pub use strict::*;
pub use url::{Candidate, Port, PublicUrl, PublicUrlError, ReceivedUrl, Userinfo};
pub use verify::{
    Accounts, Allowed, Policy, Refusal, Scratch, Strict, Subject, Verdict, check_header, verify,
};

/// The header that carries the signature, in lower case.
pub const SIGNATURE_HEADER: &str = "x-twilio-signature";

/// The header that names a SharedKey and its algorithm, in lower case. It is not signed.
pub const SETTINGS_HEADER: &str = "x-twilio-webhooks-signature-settings";

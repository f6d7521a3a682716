//! Checks and explains `X-Twilio-Signature`: raw bytes in, a verdict out.
//!
//! **This crate does no I/O.** It opens no socket, reads no clock and no environment, and keeps nothing between
//! requests but buffers. Whoever has received a request hands over what was on the wire, as bytes, and gets
//! [`Verdict::Allow`] or [`Verdict::Refuse`] with one named reason. No input makes it panic.
//!
//! ```text
//!   configured once                 each request, as it was on the wire
//!   ┌──────────────┐   ┌───────────────────────────────────────────────────────────┐
//!   │ AccountKeys… │   │ PublicUrl + target   body   content type   two headers    │
//!   └──────┬───────┘   └─────────────────────────┬─────────────────────────────────┘
//!       Keyring                               Request
//!          └──────────────┬──────────────────────┘
//!                      verify ── Policy (which accounts, strict or not)
//!                         │
//!       1 header well-formed?   2 what does it claim?   3 which key signed which form of the URL?
//!       4 is the key's account the one that is named?   5 is the body covered?   6 strict: odd shapes?
//!                         │
//!           Allow(account, key, candidate, …)  or  Refuse(reason) ──▶ explain: what to change
//! ```
//!
//! # Example
//!
//! ```
//! use ringfence_signature::{
//!     AccountKeys, AccountSid, Keyring, Policy, PublicUrl, Refusal, Request, Scratch, Verdict, verify,
//! };
//!
//! // Once: the public URL as Twilio knows it, and the keys of every account.
//! let account: AccountSid = "AC11111111111111111111111111111111".parse()?;
//! let keyring = Keyring::new([AccountKeys::new(account).primary("12345678901234567890123456789012")])?;
//! let base = PublicUrl::parse("https://hooks.example.com")?;
//! let mut scratch = Scratch::default();
//!
//! // For each request: what was received, untouched.
//! let request = Request {
//!     method: "POST",
//!     url: base.receive(b"/sms?tenant=7"),
//!     websocket: false,
//!     content_type: Some(b"application/x-www-form-urlencoded"),
//!     body: b"AccountSid=AC11111111111111111111111111111111&Body=Hello+there%21",
//!     signature: Some(b"twTpeyZJt++drWFIlrK8wYEJyrw="),
//!     settings: None,
//! };
//! match verify(&request, &keyring, &Policy::default(), &mut scratch) {
//!     Verdict::Allow(allowed) => assert_eq!(allowed.account, Some(account)),
//!     Verdict::Refuse(refusal) => panic!("{refusal}"),
//! }
//!
//! let forged = Request { body: b"AccountSid=AC11111111111111111111111111111111&Body=Evil", ..request };
//! let verdict = verify(&forged, &keyring, &Policy::default(), &mut scratch);
//! assert_eq!(verdict, Verdict::Refuse(Refusal::SignatureMismatch));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it holds to
//!
//! - **Bytes.** The URL is never parsed and rebuilt, the form never turned into strings. Fields are sorted as
//!   bytes; of one name each distinct value counts once, in order.
//! - **A signature of the URL alone blesses no body.** A body that is no form needs exactly one `bodySHA256`.
//! - **The key that matched decides the account.** An `AccountSid` that names another is refused, or any tenant
//!   could sign for his neighbour.
//! - **The unsigned settings header never picks an algorithm**; each SharedKey's is pinned.
//! - **Bounded work.** At most [`MAX_KEYS`] keys and eight forms of the URL ([`Candidate`]), compared in constant
//!   time; at most 10,000 parameters; no step that is slower than sorting them.
//!
//! What Twilio's scheme cannot give, no verifier can: it has no time and no nonce, so a captured request stays
//! good for ever, and no borders between names and values, so signed text can be cut otherwise. [`Strict`] finds
//! the second where it matters; the first is for whoever stores what has been seen.

mod account;
mod body_hash;
mod canonical;
mod claims;
mod explain;
mod form;
mod header;
mod key;
#[cfg(feature = "tower")]
pub mod layer;
mod names;
mod request;
mod sign;
mod strict;
mod trial;
mod url;
mod verify;

pub use account::{AccountSid, InvalidAccountSid};
pub use explain::*;
pub use form::fields;
pub use key::{AccountKeys, Algorithm, KeyKind, Keyring, KeyringError, MAX_KEYS};
pub use request::Request;
pub use sign::{Signed, Signer};
pub use strict::*;
pub use trial::Unnamed;
pub use url::{Candidate, Port, PublicUrl, PublicUrlError, ReceivedUrl, Userinfo};
pub use verify::{
    Accounts, Allowed, Policy, Refusal, Scratch, Strict, Subject, Verdict, check_header, verify,
};

/// The header that carries the signature, in lower case.
pub const SIGNATURE_HEADER: &str = "x-twilio-signature";

/// The header that names a SharedKey and its algorithm, in lower case. It is not signed.
pub const SETTINGS_HEADER: &str = "x-twilio-webhooks-signature-settings";

/// The example of the README runs too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! Who asks for a passkey, and what the browser is asked.

use std::net::Ipv4Addr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Algorithm, Challenge};

/// How long the browser waits for its user, in milliseconds.
const TIMEOUT: u32 = 300_000;

/// The site that a passkey is for: the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    id: String,
    origin: String,
    name: String,
}

/// Whom a passkey is made for.
#[derive(Debug, Clone, Copy)]
pub struct User<'a> {
    /// Our id, which the authenticator keeps: it must say nothing about the person (`WebAuthn`, 14.6.1).
    pub id: &'a [u8],
    /// What they sign in with.
    pub login: &'a str,
    /// What they are called.
    pub name: &'a str,
}

/// A passkey that somebody has, as browsers are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The credential's id.
    pub credential: Vec<u8>,
    /// How it is reached, as the browser said that made it: where this is known, the browser asks at the right place.
    pub transports: Vec<String>,
}

/// No browser makes a passkey for such an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("passkeys want the console at https:// and a name, or at http://localhost")]
pub struct NotAParty;

impl RelyingParty {
    /// The party of the console at this address. Browsers want a secure context and a name for it (`WebAuthn`, 5.1.3
    /// and 5.1.2.1: the id is a domain, never an address of the network).
    pub fn new(console_url: &str, name: &str) -> Result<Self, NotAParty> {
        let (scheme, rest) = console_url.split_once("://").ok_or(NotAParty)?;
        let scheme = scheme.to_ascii_lowercase();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| NotAParty)?)),
            None => (authority.as_str(), None),
        };
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
        let is_name = !host.is_empty() && host.chars().all(is_letter) && host.parse::<Ipv4Addr>().is_err();
        let is_local = host == "localhost" || host.ends_with(".localhost");
        let usual = match scheme.as_str() {
            "https" => 443,
            "http" if is_local => 80,
            _ => return Err(NotAParty),
        };
        if !is_name {
            return Err(NotAParty);
        }
        // An origin leaves out the usual port (RFC 6454, 6.2).
        let port = port.filter(|port| *port != usual).map_or_else(String::new, |port| format!(":{port}"));
        Ok(Self { id: host.to_owned(), origin: format!("{scheme}://{host}{port}"), name: name.to_owned() })
    }

    /// The domain.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The origin that browsers sign.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What the browser is asked to make a passkey (`PublicKeyCredentialCreationOptionsJSON`); of the authenticators that
    /// have one of `known` none makes another. It may stay discoverable, since that is what the authenticators of phones
    /// and computers copy to the owner's other devices; nobody is found by it here.
    pub fn creation_options(&self, challenge: &Challenge, user: &User<'_>, known: &[Descriptor]) -> Value {
        let algorithms: Vec<Value> = Algorithm::ALL
            .into_iter()
            .map(|algorithm| json!({ "type": "public-key", "alg": algorithm.number() }))
            .collect();
        json!({
            "rp": { "id": self.id, "name": self.name },
            "user": { "id": URL_SAFE_NO_PAD.encode(user.id), "name": user.login, "displayName": user.name },
            "challenge": URL_SAFE_NO_PAD.encode(challenge.bytes()),
            "pubKeyCredParams": algorithms,
            "timeout": TIMEOUT,
            "excludeCredentials": descriptors(known),
            "authenticatorSelection": { "residentKey": "preferred", "userVerification": "required" },
            "attestation": "none",
        })
    }

    /// What the browser is asked to use one of these passkeys (`PublicKeyCredentialRequestOptionsJSON`).
    pub fn request_options(&self, challenge: &Challenge, allowed: &[Descriptor]) -> Value {
        json!({
            "rpId": self.id,
            "challenge": URL_SAFE_NO_PAD.encode(challenge.bytes()),
            "timeout": TIMEOUT,
            "allowCredentials": descriptors(allowed),
            "userVerification": "required",
        })
    }
}

fn descriptors(known: &[Descriptor]) -> Vec<Value> {
    let descriptor = |known: &Descriptor| {
        let id = URL_SAFE_NO_PAD.encode(&known.credential);
        json!({ "type": "public-key", "id": id, "transports": known.transports })
    };
    known.iter().map(descriptor).collect()
}

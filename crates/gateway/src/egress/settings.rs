//! What the egress needs to know, already meant.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ringfence_model::{Secret, Sid};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use super::authority::EgressAuthority;
use super::client;
use super::host::TwilioBase;

/// The egress: where Twilio is, with which credentials it is asked, and what is passed on.
#[derive(Debug, Clone)]
pub struct Egress {
    /// Where Twilio is.
    pub twilio: TwilioBase,
    /// How its certificates are checked.
    pub tls: TwilioTls,
    /// The accounts of the configuration that have an auth token. Those that are learnt come beside them.
    pub accounts: Vec<EgressAccount>,
    /// Whether operations that nothing is known of are passed on. What returns or makes a credential never is.
    pub passes_unknown_operations: bool,
    /// Whether a URL that runs TwiML may lead elsewhere than to a route of the gate.
    pub passes_foreign_twiml: bool,
    /// Whether elements and attributes of TwiML that are not known are passed on.
    pub passes_unknown_twiml: bool,
    /// For the head of Twilio's answer, the connection included.
    pub timeout: Duration,
    /// What speaks for Twilio's hosts where applications use the egress as their HTTPS proxy; `None`: it is none.
    pub authority: Option<Arc<EgressAuthority>>,
}

/// An account of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressAccount {
    /// Its SID.
    pub sid: Sid,
    /// The account that it is a subaccount of.
    pub parent: Option<Sid>,
    /// What Twilio is asked with.
    pub auth_token: Secret,
}

/// How Twilio's certificates are checked: against the authorities that browsers trust, and perhaps others.
#[derive(Clone)]
pub struct TwilioTls {
    config: ClientConfig,
    /// The others, by which two of these are told apart.
    extra_roots: Arc<[CertificateDer<'static>]>,
}

/// An authority cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRoot(rustls::Error);

impl TwilioTls {
    /// Trusts these authorities beside the public ones.
    pub fn new(extra_roots: &[CertificateDer<'static>]) -> Result<Self, InvalidRoot> {
        let config = client::tls(extra_roots).map_err(InvalidRoot)?;
        Ok(Self { config, extra_roots: extra_roots.into() })
    }

    pub(crate) fn config(&self) -> ClientConfig {
        self.config.clone()
    }

    /// Whether both trust the same authorities.
    pub(crate) fn trusts_as(&self, other: &Self) -> bool {
        self.extra_roots == other.extra_roots
    }
}

impl fmt::Debug for TwilioTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TwilioTls(…)")
    }
}

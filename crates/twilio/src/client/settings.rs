//! How a client reaches Twilio.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::base::BaseUrl;
use super::retry::{Backoff, Jitter, SystemJitter};

/// How a client reaches Twilio. The default is Twilio itself, with limits that suit a server.
#[derive(Clone)]
pub struct Settings {
    /// Where requests go.
    pub base: BaseUrl,
    /// The longest that a connection may take, name and TLS included.
    pub connect_timeout: Duration,
    /// The longest that one try may take, from the first byte to the end of the answer. It should be longer than
    /// `connect_timeout`, since after it nobody knows whether the request was carried out.
    pub timeout: Duration,
    /// The longest that all tries and the pauses between may take together.
    pub deadline: Duration,
    /// How often to try, and how long to wait between.
    pub backoff: Backoff,
    /// The longest answer, in bytes.
    pub answer_max: usize,
    /// The most connections that are kept without a request, for each host.
    pub idle_connections_max: usize,
    /// The `User-Agent`.
    pub user_agent: String,
    /// Certification authorities that are trusted beside the public ones: that of a sandbox.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// The randomness of pauses.
    pub jitter: Arc<dyn Jitter>,
}

/// Why there is no client with these settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// The `User-Agent` has characters that may not stand in a header.
    #[error("the user agent has characters that may not stand in a header")]
    UserAgent,
    /// A certificate cannot be an authority's.
    #[error("a certification authority cannot be read: {0}")]
    Root(String),
    /// The cryptography did not start.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base: BaseUrl::default(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(15),
            deadline: Duration::from_secs(40),
            backoff: Backoff::default(),
            // A page of 1,000 usage records is about 2 MiB.
            answer_max: 16 * 1024 * 1024,
            idle_connections_max: 16,
            user_agent: concat!("ringfence/", env!("CARGO_PKG_VERSION")).to_owned(),
            extra_roots: Vec::new(),
            jitter: Arc::new(SystemJitter),
        }
    }
}

impl Settings {
    /// The default, with another base URL.
    pub fn at(base: BaseUrl) -> Self {
        Self { base, ..Self::default() }
    }

    /// Trusts the certification authorities of a PEM file too; returns how many it holds.
    pub fn trust_pem(&mut self, pem: &[u8]) -> Result<usize, InvalidSettings> {
        let roots: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| InvalidSettings::Root(error.to_string()))?;
        let count = roots.len();
        self.extra_roots.extend(roots);
        Ok(count)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Settings")
            .field("base", &self.base)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .field("backoff", &self.backoff)
            .field("extra_roots", &self.extra_roots.len())
            .finish_non_exhaustive()
    }
}

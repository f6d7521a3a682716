//! TLS to an upstream: whom it must prove to be, and why it could not.
//!
//! The certificate is always verified: it chains to an authority that is trusted for this upstream, is valid now, and is for the
//! upstream's name. Nothing turns that off. The one idea: each connection is verified anew. Sessions are not resumed, since a
//! resumed one shows no certificate, and kept connections make handshakes rare.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, InvalidMessage, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::error::{Stage, UpstreamError};
use super::stream::{Counted, OverTls};
use crate::tls::client::{authorities_of, client_config, identity_of, public_authorities};
use crate::tls::{CertificatePaths, TlsError, Validity};

/// Which authorities may vouch for an upstream, and what we show if it asks who we are.
///
/// Cloning is cheap, and only clones of one are equal: what was read anew is another one, so a connection that was made under
/// the old one is not used again.
#[derive(Clone)]
pub struct UpstreamTls(Arc<Understanding>);

struct Understanding {
    config: Arc<ClientConfig>,
    /// Where it was read from, to be shown.
    authorities: Option<PathBuf>,
    identity: Option<PathBuf>,
    identity_validity: Option<Validity>,
}

/// Why files cannot be used with an upstream.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamTlsError {
    /// The file of the authorities.
    #[error(transparent)]
    Authorities(TlsError),
    /// The certificate or the key that we show.
    #[error(transparent)]
    Identity(TlsError),
}

impl UpstreamTls {
    /// The authorities that browsers trust, and nothing to show.
    pub fn public() -> Self {
        static PUBLIC: LazyLock<UpstreamTls> = LazyLock::new(|| {
            let config = client_config(public_authorities(), None).expect("aws-lc-rs speaks TLS 1.2 and 1.3");
            UpstreamTls::of(config, None, None)
        });
        PUBLIC.clone()
    }

    /// Reads the files: the authorities that are trusted (these alone; without a file the public ones), and the certificate
    /// and key to show. Whether they are valid today is not asked.
    pub fn load(
        authorities: Option<&Path>,
        identity: Option<&CertificatePaths>,
    ) -> Result<Self, UpstreamTlsError> {
        let roots = authorities.map_or_else(|| Ok(public_authorities()), authorities_of);
        let roots: RootCertStore = roots.map_err(UpstreamTlsError::Authorities)?;
        let shown = identity.map(identity_of).transpose().map_err(UpstreamTlsError::Identity)?;
        let validity = shown.as_ref().and_then(|shown| Validity::of(shown.cert.first()?));
        let config = client_config(roots, shown).map_err(TlsError::Provider);
        let config = config.map_err(UpstreamTlsError::Authorities)?;
        let shown = identity.map(|paths| (paths.chain.clone(), validity));
        Ok(Self::of(config, authorities.map(Path::to_owned), shown))
    }

    fn of(
        mut config: ClientConfig,
        authorities: Option<PathBuf>,
        identity: Option<(PathBuf, Option<Validity>)>,
    ) -> Self {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::disabled();
        let (identity, validity) = identity.unzip();
        let identity_validity = validity.flatten();
        Self(Arc::new(Understanding { config: Arc::new(config), authorities, identity, identity_validity }))
    }

    /// The file of the authorities; `None` where the public ones are trusted.
    pub fn authorities(&self) -> Option<&Path> {
        self.0.authorities.as_deref()
    }

    /// The file of the certificate that is shown.
    pub fn identity(&self) -> Option<&Path> {
        self.0.identity.as_deref()
    }

    /// When that certificate is valid; `None` if there is none, or it does not say so in a form that is understood.
    pub fn identity_validity(&self) -> Option<Validity> {
        self.0.identity_validity
    }
}

impl PartialEq for UpstreamTls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for UpstreamTls {}

impl fmt::Debug for UpstreamTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("UpstreamTls")
            .field("authorities", &self.0.authorities)
            .field("identity", &self.0.identity)
            .finish_non_exhaustive()
    }
}

/// The name that an upstream's certificate must be for: a DNS name, which the handshake also asks for (SNI), or an IP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamName(ServerName<'static>);

/// The text is neither a DNS name nor an IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is neither a DNS name nor an IP address")]
pub struct InvalidUpstreamName;

impl FromStr for UpstreamName {
    type Err = InvalidUpstreamName;

    fn from_str(text: &str) -> Result<Self, InvalidUpstreamName> {
        ServerName::try_from(text.to_ascii_lowercase()).map(Self).map_err(|_| InvalidUpstreamName)
    }
}

impl fmt::Display for UpstreamName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.to_str())
    }
}

/// What a connection to one address needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TlsTo {
    pub(super) tls: UpstreamTls,
    pub(super) name: UpstreamName,
}

impl TlsTo {
    /// The handshake. When it is done, the other side has proved to be the upstream.
    pub(super) async fn handshake(
        &self,
        tcp: TcpStream,
        deadline: Instant,
    ) -> Result<OverTls, UpstreamError> {
        let connector = TlsConnector::from(Arc::clone(&self.tls.0.config));
        let shaking = connector.connect(self.name.0.clone(), Counted::new(tcp));
        match timeout_at(deadline, shaking).await {
            Ok(Ok(stream)) => Ok(OverTls::new(stream)),
            Ok(Err(source)) => Err(UpstreamError::Tls { fault: TlsFault::of(&source), sent: false, source }),
            Err(_) => Err(UpstreamError::TimedOut(Stage::Handshake)),
        }
    }
}

/// Why no TLS came about with an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// Its certificate has expired, or one of those above it.
    #[error("its certificate has expired")]
    Expired,
    /// Its certificate is not valid yet, by this machine's clock.
    #[error("its certificate is not valid yet")]
    NotYetValid,
    /// Its certificate is for another name.
    #[error("its certificate is for another name")]
    WrongName,
    /// No authority that is trusted for it has signed its certificate.
    #[error("no authority that is trusted for it has signed its certificate")]
    UnknownAuthority,
    /// Its certificate cannot be used for another reason.
    #[error("its certificate cannot be used")]
    BadCertificate,
    /// It answered with something else than TLS, such as plain HTTP.
    #[error("it does not speak TLS there")]
    NotTls,
    /// It refused us: no version or cipher in common, or it wants another certificate of ours.
    #[error("it refused the handshake")]
    Alert,
    /// It closed the connection before the handshake was done.
    #[error("it closed the connection within the handshake")]
    Closed,
    /// Whatever else was wrong with what it sent.
    #[error("the handshake failed")]
    Failed,
}

impl TlsFault {
    /// What a failed handshake, or an alert after it, says.
    pub(super) fn of(error: &io::Error) -> Self {
        let Some(error) = within(error) else { return Self::Closed };
        match error {
            rustls::Error::InvalidCertificate(error) => match error {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::NotYetValid
                }
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Self::WrongName
                }
                // An authority that was made anew under the same name has another key.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownAuthority,
                _ => Self::BadCertificate,
            },
            rustls::Error::AlertReceived(_) => Self::Alert,
            rustls::Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => Self::NotTls,
            _ => Self::Failed,
        }
    }
}

/// Whether a broken connection was broken by an alert: with TLS 1.3 an upstream refuses our certificate, or that there is none,
/// only after the handshake.
pub(super) fn is_alert(error: &io::Error) -> bool {
    matches!(within(error), Some(rustls::Error::AlertReceived(_)))
}

/// What rustls said, where it was rustls.
fn within(error: &io::Error) -> Option<&rustls::Error> {
    let error: &(dyn StdError + 'static) = error.get_ref()?;
    error.downcast_ref()
}

//! The other side of TLS: what the gate asks of Twilio's hosts and of upstreams before it says anything to them.
//!
//! For: one understanding of TLS for all of them. Not for: which authorities are trusted where, the caller's. A certificate is
//! always verified, and there is nothing here that would turn it off.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};

use super::{CertificatePaths, TlsError, read, read_chain};

/// The authorities that browsers trust.
pub(crate) fn public_authorities() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// The authorities of a PEM file, and no others.
pub(crate) fn authorities_of(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for (number, certificate) in read_chain(path)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| TlsError::BadAuthority {
            path: path.to_owned(),
            number: number + 1,
            reason: error.to_string(),
        })?;
    }
    Ok(roots)
}

/// What we show where the other side asks who we are.
pub(crate) fn identity_of(paths: &CertificatePaths) -> Result<CertifiedKey, TlsError> {
    read(paths)
}

/// TLS 1.2 and 1.3 with whoever these authorities vouch for.
pub(crate) fn client_config(
    authorities: RootCertStore,
    identity: Option<CertifiedKey>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_root_certificates(authorities);
    Ok(match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
    })
}

//! Certificates by ACME (RFC 8555), proven over the port that they are for (TLS-ALPN-01, RFC 8737), so that port 80 stays
//! closed.
//!
//! For: one certificate for all the domains of the gate, ordered and renewed in the background. Not for: certificates
//! from files (`tls.rs`), or wildcards, which only DNS can prove.
//!
//! The one idea: the authority connects to the gate's own port with the protocol `acme-tls/1` and wants to see a
//! certificate with a secret inside. [`Resolver`] answers such a handshake with that, and every other with the
//! certificate that was issued. `rustls-acme` speaks with the authority; its helper threads start when [`Acme::drive`]
//! first runs, so a gate without ACME pays nothing.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_core::Stream as _;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, DnsName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig, ServerConnection};
use rustls_acme::acme::{ACME_TLS_ALPN_NAME, LETS_ENCRYPT_PRODUCTION_DIRECTORY};
use rustls_acme::caches::DirCache;
use rustls_acme::{AcmeConfig, EventError, EventOk, ResolvesServerCertAcme, is_tls_alpn_challenge};
use tokio_rustls::TlsAcceptor;

use crate::tls::client::client_config;
use crate::tls::{self, TlsError};

/// Where certificates are ordered unless the configuration says otherwise.
pub const LETS_ENCRYPT: &str = LETS_ENCRYPT_PRODUCTION_DIRECTORY;

/// How long one order may take without a word from `rustls-acme`, which sets no time limit on its requests.
const ORDER_PATIENCE: Duration = Duration::from_hours(1);

/// How long to sleep on a certificate before looking at the clock again. Its own timer may be months long, and does not
/// advance while the machine is suspended.
const CERTIFICATE_PATIENCE: Duration = Duration::from_hours(24);

/// What the operator says about certificates by ACME.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeSettings {
    /// The names that the certificate is for; at least one, and no wildcard.
    pub domains: Vec<String>,
    /// Whom the authority may write to: `mailto:` URLs or bare e-mail addresses. May be empty.
    pub contact: Vec<String>,
    /// The authority's directory, an `https://` URL; [`LETS_ENCRYPT`] for most.
    pub directory_url: String,
    /// Where the account's key, the certificate and its key are kept between starts. Made if it is missing; nobody but
    /// the gate's own user may enter it.
    pub cache_dir: PathBuf,
    /// PEM: the roots to trust when speaking with the authority, *instead of* the public ones. For a private authority.
    pub authority_roots: Option<PathBuf>,
}

/// Why ACME cannot be started. Faults that come later are logged and tried again.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// There is nothing to order a certificate for.
    #[error("no domain is named: list at least one")]
    NoDomain,
    /// A wildcard needs a proof by DNS.
    #[error("{domain}: a wildcard cannot be proven by TLS-ALPN-01: list each name")]
    Wildcard {
        /// As configured.
        domain: String,
    },
    /// It is no DNS name.
    #[error("{domain}: is not a DNS name (an IP address is none, and a port does not belong here)")]
    BadDomain {
        /// As configured.
        domain: String,
    },
    /// The authority would be spoken to in the clear.
    #[error("{url}: the directory's URL must begin with https://")]
    BadDirectoryUrl {
        /// As configured.
        url: String,
    },
    /// The directory for keys cannot be made or written. Without it every start would order anew, until the authority
    /// refuses.
    #[error("{}: cannot be written ({source}): check the path, and that the gate's user may write there", path.display())]
    CacheNotWritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may look into the directory, and the private key will be in it.
    #[error("{}: others may enter it (mode {mode:03o}) and private keys are kept there: run `chmod 700 {}`", path.display(), path.display())]
    CacheOpenToOthers {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The authority's roots cannot be used.
    #[error("{}: no root certificate can be read from it ({reason})", path.display())]
    BadRoots {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// TLS itself did not start.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The ACME side of one gate. Take the [`Acme::acceptor`] (or [`Acme::server_config`]) for the listener, then spawn
/// [`Acme::drive`].
#[derive(Debug)]
pub struct Acme {
    settings: AcmeSettings,
    authority: Option<Arc<ClientConfig>>,
    certificates: Arc<Resolver>,
    server_config: Arc<ServerConfig>,
}

impl Acme {
    /// Checks the settings and the directory; speaks with nobody yet.
    pub fn new(mut settings: AcmeSettings) -> Result<Self, AcmeError> {
        check_names(&settings)?;
        // The proof is found by the name exactly as the authority sends it, which is in lower case.
        settings.domains.iter_mut().for_each(|domain| domain.make_ascii_lowercase());
        for contact in settings.contact.iter_mut().filter(|contact| !contact.contains(':')) {
            contact.insert_str(0, "mailto:");
        }
        let authority = settings.authority_roots.as_deref().map(trusting_only).transpose()?;
        prepare_cache(&settings.cache_dir)?;

        let certificates = Arc::new(Resolver::default());
        let mut server_config = tls::server_config(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>)?;
        server_config.alpn_protocols.push(ACME_TLS_ALPN_NAME.to_vec());
        Ok(Self { settings, authority, certificates, server_config: Arc::new(server_config) })
    }

    /// The server side of TLS, ordinary handshakes and the authority's on the same port. Until the first certificate is
    /// there, ordinary handshakes fail.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server_config)
    }

    /// Accepts connections with [`Acme::server_config`]. A connection for which [`is_challenge`] holds is to be closed
    /// once it has shaken hands; the handshake was all that the authority wanted.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.server_config())
    }

    /// Whether there is a certificate to serve, of this run or an earlier one. For readiness.
    pub fn readiness(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let certificates = Arc::clone(&self.certificates);
        move || certificates.issued.load().is_some()
    }

    /// Orders the certificate, or takes the one in the cache, and renews it when two thirds of its time are over. Never
    /// ends; failures are logged and tried again, at first after a second, then ever more slowly.
    pub async fn drive(self) {
        loop {
            // Starting afresh costs nothing, as the certificate is in the cache by then, and ends whatever got stuck.
            self.drive_until_stuck().await;
        }
    }

    async fn drive_until_stuck(&self) {
        let domains = self.settings.domains.join(", ");
        let mut state = pin!(self.config().state());
        let resolver = state.resolver();
        self.certificates.in_proof.store(Some(Arc::clone(&resolver)));
        let mut patience = ORDER_PATIENCE;
        let mut failures = 0;
        loop {
            let event = tokio::time::timeout(
                patience,
                std::future::poll_fn(|context| state.as_mut().poll_next(context)),
            );
            let Ok(Some(event)) = event.await else {
                return;
            };
            match event {
                Ok(EventOk::DeployedCachedCert | EventOk::DeployedNewCert) => {
                    let is_first = self.certificates.issued.swap(Some(Arc::clone(&resolver))).is_none();
                    (patience, failures) = (CERTIFICATE_PATIENCE, 0);
                    if matches!(event, Ok(EventOk::DeployedNewCert)) {
                        tracing::info!(domains, "ACME: a new certificate is being served");
                    } else if is_first {
                        tracing::info!(domains, "ACME: the certificate from the cache is being served");
                    }
                }
                Ok(EventOk::CertCacheStore | EventOk::AccountCacheStore) => {}
                Err(EventError::Order(error)) => {
                    tracing::error!(
                        domains,
                        %error,
                        "ACME: no certificate was issued: can the authority reach this gate on port 443 of each name?"
                    );
                    // The next attempt comes after 2^failures seconds, and may then take its time.
                    patience = ORDER_PATIENCE + Duration::from_secs(1 << failures);
                    failures = (failures + 1).min(16);
                }
                Err(error) => {
                    let cache = self.settings.cache_dir.display();
                    tracing::error!(domains, %cache, %error, "ACME: the cache could not be used");
                }
            }
        }
    }

    fn config(&self) -> AcmeConfig<io::Error> {
        let domains = &self.settings.domains;
        let config = match &self.authority {
            Some(client) => AcmeConfig::new_with_client_config(domains, Arc::clone(client)),
            None => AcmeConfig::new_with_provider(domains, Arc::new(aws_lc_rs::default_provider())),
        };
        config
            .contact(&self.settings.contact)
            .directory(&self.settings.directory_url)
            .cache(DirCache::new(self.settings.cache_dir.clone()))
    }
}

/// Whether this connection was an authority looking for its proof, and is to be closed.
pub fn is_challenge(connection: &ServerConnection) -> bool {
    connection.alpn_protocol() == Some(ACME_TLS_ALPN_NAME)
}

/// Which certificate a handshake gets.
#[derive(Debug, Default)]
struct Resolver {
    /// Holds the certificate that was issued last; `None` until there is one. It may belong to an earlier run of
    /// `rustls-acme` than `in_proof`, so that starting afresh leaves no gap.
    issued: ArcSwapOption<ResolvesServerCertAcme>,
    /// Holds the proof of the order under way.
    in_proof: ArcSwapOption<ResolvesServerCertAcme>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let resolver = if is_tls_alpn_challenge(&hello) { &self.in_proof } else { &self.issued };
        resolver.load().as_ref()?.resolve(hello)
    }
}

fn check_names(settings: &AcmeSettings) -> Result<(), AcmeError> {
    if settings.domains.is_empty() {
        return Err(AcmeError::NoDomain);
    }
    for domain in &settings.domains {
        if domain.starts_with("*.") {
            return Err(AcmeError::Wildcard { domain: domain.clone() });
        }
        if DnsName::try_from(domain.as_str()).is_err() {
            return Err(AcmeError::BadDomain { domain: domain.clone() });
        }
    }
    if !settings.directory_url.starts_with("https://") {
        return Err(AcmeError::BadDirectoryUrl { url: settings.directory_url.clone() });
    }
    Ok(())
}

fn trusting_only(path: &Path) -> Result<Arc<ClientConfig>, AcmeError> {
    let bad = |reason: String| AcmeError::BadRoots { path: path.to_owned(), reason };
    let certificates: Result<Vec<_>, pem::Error> =
        CertificateDer::pem_file_iter(path).and_then(|certificates| certificates.collect());
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates.map_err(|error| bad(error.to_string()))? {
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("it holds none".to_owned()));
    }
    Ok(Arc::new(client_config(roots, None).map_err(TlsError::Provider)?))
}

fn prepare_cache(path: &Path) -> Result<(), AcmeError> {
    let not_writable = |source| AcmeError::CacheNotWritable { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(not_writable)?;
    let mode = fs::metadata(path).map_err(not_writable)?.permissions().mode() & 0o777;
    // The cache writes its files with the permissions of the process's umask, so the directory has to be the wall.
    if mode & 0o077 != 0 {
        return Err(AcmeError::CacheOpenToOthers { path: path.to_owned(), mode });
    }
    let probe = path.join(".writable");
    fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(not_writable)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn settings(directory: &TempDir) -> AcmeSettings {
        AcmeSettings {
            domains: vec!["Gate.Example.com".to_owned()],
            contact: vec!["ops@example.com".to_owned(), "mailto:other@example.com".to_owned()],
            directory_url: LETS_ENCRYPT.to_owned(),
            cache_dir: directory.path().join("acme"),
            authority_roots: None,
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused_before_anybody_is_asked() {
        let directory = tempfile::tempdir().unwrap();
        let refuse = |change: &dyn Fn(&mut AcmeSettings)| {
            let mut settings = settings(&directory);
            change(&mut settings);
            Acme::new(settings).unwrap_err()
        };
        assert!(matches!(refuse(&|s| s.domains.clear()), AcmeError::NoDomain));
        assert!(matches!(refuse(&|s| s.domains.push("*.example.com".into())), AcmeError::Wildcard { .. }));
        for domain in ["", "203.0.113.7", "example.com:443", "https://example.com", "a b"] {
            let error = refuse(&|s| s.domains = vec![domain.to_owned()]);
            assert!(matches!(error, AcmeError::BadDomain { .. }), "{domain:?} gave {error}");
        }
        assert!(matches!(
            refuse(&|s| s.directory_url = "http://x.example/".into()),
            AcmeError::BadDirectoryUrl { .. }
        ));
        assert!(matches!(
            refuse(&|s| s.authority_roots = Some("/nowhere".into())),
            AcmeError::BadRoots { .. }
        ));
        assert!(matches!(
            refuse(&|s| s.authority_roots = Some("/dev/null".into())),
            AcmeError::BadRoots { .. }
        ));
        assert!(matches!(
            refuse(&|s| s.cache_dir = "/dev/null/acme".into()),
            AcmeError::CacheNotWritable { .. }
        ));
    }

    #[test]
    fn a_cache_that_others_may_enter_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let cache = settings(&directory).cache_dir;
        fs::create_dir(&cache).unwrap();
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o750)).unwrap();
        let error = Acme::new(settings(&directory)).unwrap_err();
        assert!(matches!(error, AcmeError::CacheOpenToOthers { mode: 0o750, .. }));
        assert!(error.to_string().contains("chmod 700"));
    }

    #[test]
    fn the_settings_are_brought_into_the_form_the_authority_expects() {
        let directory = tempfile::tempdir().unwrap();
        let acme = Acme::new(settings(&directory)).unwrap();
        assert_eq!(acme.settings.domains, ["gate.example.com"]);
        assert_eq!(acme.settings.contact, ["mailto:ops@example.com", "mailto:other@example.com"]);
        let mode = fs::metadata(&acme.settings.cache_dir).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(!acme.readiness()());
    }

    #[test]
    fn no_thread_is_started_before_the_first_order() {
        fn is_spawnable(_: impl Future<Output = ()> + Send + 'static) {}
        let threads = || {
            let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
            let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            tasks
                .map(name)
                .filter(|name| name.starts_with("async-io") || name.starts_with("blocking"))
                .count()
        };
        let directory = tempfile::tempdir().unwrap();
        let acme = Acme::new(settings(&directory)).unwrap();
        let _ = acme.acceptor();
        is_spawnable(acme.drive());
        assert_eq!(threads(), 0);
    }
}

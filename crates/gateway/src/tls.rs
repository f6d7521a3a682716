//! TLS at the gate's door: version 1.2 and 1.3 only, with a certificate from files that can be replaced while
//! connections are open.
//!
//! For: turning two PEM files into a `TlsAcceptor`. Not for: time limits of a handshake (the caller's), or certificates
//! ordered by ACME (`acme.rs`, which shares [`server_config`]). What the gate asks of others is [`client`].
//!
//! The one idea: a handshake asks the [`CertificateStore`] for the certificate of that moment. A reload puts another one
//! there, so open connections are not touched, and a pair of files that does not work is never put there at all.

pub(crate) mod client;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// The application protocols that the gate speaks, the preferred one first.
pub const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where the certificate and its key are. Both may be the same file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificatePaths {
    /// PEM: the server's own certificate first, then the intermediate ones.
    pub chain: PathBuf,
    /// PEM: the private key, not encrypted (PKCS #8, PKCS #1 or SEC 1).
    pub key: PathBuf,
}

/// Why a certificate cannot be used. Each message names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there or may not be read.
    #[error("{}: cannot be read ({source}): check the path, and that the user of the gate may read it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text between BEGIN and END is not what PEM allows.
    #[error("{}: is not valid PEM ({reason}): copy the file again, it may be cut off", path.display())]
    MalformedPem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The chain's file holds no certificate.
    #[error("{}: holds no certificate: it needs at least one -----BEGIN CERTIFICATE-----, in a chain one's own first", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The key's file holds no key.
    #[error("{}: holds no private key: it needs one -----BEGIN PRIVATE KEY----- (RSA and EC keys do as well)", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is protected by a pass phrase, which nobody is there to type.
    #[error("{}: the private key is encrypted: decrypt it with `openssl pkey -in {} -out NEW` and protect the file by its permissions", path.display(), path.display())]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is of a kind, or a size, that is not supported.
    #[error("{}: the private key cannot be used ({reason}): use ECDSA P-256 or RSA of 2048 bits or more", path.display())]
    UnsupportedKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The first certificate is not one.
    #[error("{}: the first certificate cannot be read ({reason})", path.display())]
    MalformedCertificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Key and certificate belong to different pairs.
    #[error("{}: does not belong to the first certificate in {}: are both files of the same renewal, and is the server's own certificate the first?", key.display(), chain.display())]
    KeyMismatch {
        /// The key's file.
        key: PathBuf,
        /// The chain's file.
        chain: PathBuf,
    },
    /// A certificate is none that an authority could have.
    #[error("{}: certificate {number} cannot be that of an authority ({reason})", path.display())]
    BadAuthority {
        /// The file.
        path: PathBuf,
        /// Which of the file's certificates, counted from 1.
        number: usize,
        /// What is wrong.
        reason: String,
    },
    /// The cryptography did not start.
    #[error("TLS cannot be set up: {0}")]
    Provider(rustls::Error),
}

impl TlsError {
    /// Whether it is the file of the key that has to be another one, and not that of the chain.
    pub fn is_about_key(&self, paths: &CertificatePaths) -> bool {
        match self {
            Self::NoKey { .. }
            | Self::EncryptedKey { .. }
            | Self::UnsupportedKey { .. }
            | Self::KeyMismatch { .. } => true,
            Self::Unreadable { path, .. } | Self::MalformedPem { path, .. } => *path == paths.key,
            _ => false,
        }
    }
}

/// What a reload did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The files hold another certificate; handshakes from now on get it.
    Replaced,
    /// The files hold what was served already.
    Unchanged,
}

/// The one certificate that is served, whatever name a client asks for: Twilio's requests are known by their signature
/// and a wrong name is told to the client by its own check, so refusing it here would only make faults harder to find.
pub struct CertificateStore {
    current: ArcSwap<CertifiedKey>,
}

impl CertificateStore {
    /// Reads both files. Whether the certificate is valid today is not asked, see [`CertificateStore::validity`].
    pub fn load(paths: &CertificatePaths) -> Result<Self, TlsError> {
        Ok(Self { current: ArcSwap::from_pointee(read(paths)?) })
    }

    /// Reads both files again, which may be others. On an error the certificate that was served goes on being served.
    pub fn reload(&self, paths: &CertificatePaths) -> Result<Reload, TlsError> {
        let new = read(paths)?;
        // The same certificate may come with its intermediates mended, so the whole chain is compared. The key need not
        // be: it matches the certificate.
        if new.cert == self.current.load().cert {
            return Ok(Reload::Unchanged);
        }
        self.current.store(Arc::new(new));
        Ok(Reload::Replaced)
    }

    /// When the certificate being served is valid; `None` if it does not say so in a form that is understood.
    pub fn validity(&self) -> Option<Validity> {
        Validity::of(self.current.load().cert.first()?)
    }
}

impl ResolvesServerCert for CertificateStore {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl fmt::Debug for CertificateStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CertificateStore(…)")
    }
}

/// Accepts TLS with the certificates of this store. Clones are cheap. The caller limits the time of a handshake.
pub fn acceptor(certificates: Arc<CertificateStore>) -> Result<TlsAcceptor, TlsError> {
    server_config(certificates).map(|config| TlsAcceptor::from(Arc::new(config)))
}

/// The server side of every TLS connection of the gate.
pub fn server_config(certificates: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::Provider)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    // Tickets let a client come back without the costly part of a handshake, and keep nothing here. Their keys are made
    // anew by rustls every few hours and die with the process.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Provider)?;
    // Whoever recorded early data (0-RTT) can send it again, to this node or another, and TLS would take it for new. The
    // scheme that signs webhooks has no nonce that would notice, so no early data is ever accepted. This is what rustls
    // does by default; it is written out because it must stay so.
    config.max_early_data_size = 0;
    Ok(config)
}

/// From when to when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: SystemTime,
    /// The last second.
    pub not_after: SystemTime,
}

impl Validity {
    /// What the certificate says (RFC 5280, section 4.1.2.5), or `None` if it cannot be understood.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        // Certificate ::= { TBSCertificate ::= { [0] version OPTIONAL, serial, algorithm, issuer, Validity, … }, … }
        let (_, certificate, _) = der_element(certificate)?;
        let (_, mut fields, _) = der_element(certificate)?;
        if fields.first() == Some(&0xa0) {
            fields = der_element(fields)?.2;
        }
        for _ in ["serial", "algorithm", "issuer"] {
            fields = der_element(fields)?.2;
        }
        let (_, validity, _) = der_element(fields)?;
        let (not_before_tag, not_before, rest) = der_element(validity)?;
        let (not_after_tag, not_after, _) = der_element(rest)?;
        Some(Self {
            not_before: der_time(not_before_tag, not_before)?,
            not_after: der_time(not_after_tag, not_after)?,
        })
    }
}

/// Splits the first element off: its tag, its contents, and what follows it.
fn der_element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, bytes) = bytes.split_first()?;
    let (&first, mut bytes) = bytes.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        // The long form: so many bytes of length follow. Four are more than any certificate needs.
        let count = usize::from(first & 0x7f);
        let (digits, rest) = bytes.split_at_checked(count).filter(|_| (1..=4).contains(&count))?;
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
        bytes = rest;
    }
    let (contents, rest) = bytes.split_at_checked(length)?;
    Some((tag, contents, rest))
}

/// `UTCTime` (YYMMDDHHMMSSZ) or `GeneralizedTime` (YYYYMMDDHHMMSSZ), the only forms that RFC 5280 allows.
fn der_time(tag: u8, text: &[u8]) -> Option<SystemTime> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let digits = text.strip_suffix(b"Z").filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let number =
        |digits: &[u8]| digits.iter().fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    let (year, rest) = match (tag, digits.len()) {
        // Two digits mean 1950 to 2049.
        (UTC_TIME, 12) => (
            Some(number(&digits[..2])).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?,
            &digits[2..],
        ),
        (GENERALIZED_TIME, 14) => (number(&digits[..4]), &digits[4..]),
        _ => return None,
    };
    let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|at| number(&rest[at..at + 2]));
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days since 1970 in the Gregorian calendar, counting years from March so that the leap day comes last.
    let (shifted_year, shifted_month) =
        if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = shifted_year * 365 + shifted_year / 4 - shifted_year / 100
        + shifted_year / 400
        + (shifted_month * 153 + 2) / 5
        + day
        - 1;
    // 719,468 days lie between 1 March of the year 0 and 1970.
    let days = days.checked_sub(719_468)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(days * 86_400 + hour * 3_600 + minute * 60 + second))
}

fn read(paths: &CertificatePaths) -> Result<CertifiedKey, TlsError> {
    let CertificatePaths { chain: chain_path, key: key_path } = paths;
    let chain = read_chain(chain_path)?;
    let key = read_key(key_path)?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::KeyMismatch { key: key_path.clone(), chain: chain_path.clone() }
        }
        rustls::Error::InvalidCertificate(error) => {
            TlsError::MalformedCertificate { path: chain_path.clone(), reason: error.to_string() }
        }
        error => TlsError::UnsupportedKey { path: key_path.clone(), reason: error.to_string() },
    })
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read_file(path)?;
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| malformed(path, &error))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read_file(path)?;
    // PKCS #8 says so in its label, the older forms in a `Proc-Type` header that would not decode.
    let is_encrypted = |line: &[u8]| {
        line.starts_with(b"-----BEGIN ENCRYPTED") || line.starts_with(b"Proc-Type: 4,ENCRYPTED")
    };
    if text.split(|byte| *byte == b'\n').any(is_encrypted) {
        return Err(TlsError::EncryptedKey { path: path.to_owned() });
    }
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(TlsError::NoKey { path: path.to_owned() }),
        Err(error) => Err(malformed(path, &error)),
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })
}

fn malformed(path: &Path, error: &pem::Error) -> TlsError {
    TlsError::MalformedPem { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::SocketAddr;

    use ringfence_testkit::{Certificates, RawClient, certificates};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn paths(files: &Certificates) -> CertificatePaths {
        CertificatePaths { chain: files.chain_path(), key: files.key_path() }
    }

    fn store(files: &Certificates) -> Arc<CertificateStore> {
        Arc::new(CertificateStore::load(&paths(files)).unwrap())
    }

    /// Serves an echo behind TLS until the test ends.
    async fn echo(config: ServerConfig) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut buffer = [0; 64];
                    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                        stream.write_all(&buffer[..count]).await.unwrap();
                    }
                });
            }
        });
        address
    }

    async fn is_alive(client: &mut RawClient) -> bool {
        client.send("ping").await.is_ok() && client.read_exactly(4).await.is_ok_and(|pong| pong == b"ping")
    }

    #[test]
    fn each_fault_of_a_file_is_named_with_the_file() {
        let files = certificates();
        let good = paths(&files);
        let write = |name: &str, text: &str| {
            let path = files.directory().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let chain = |path: PathBuf| {
            CertificateStore::load(&CertificatePaths { chain: path, ..good.clone() }).unwrap_err()
        };
        let key = |path: PathBuf| {
            CertificateStore::load(&CertificatePaths { key: path, ..good.clone() }).unwrap_err()
        };
        let chain_text = fs::read_to_string(&good.chain).unwrap();
        let key_text = fs::read_to_string(&good.key).unwrap();

        assert!(matches!(chain("/nowhere.pem".into()), TlsError::Unreadable { .. }));
        assert!(matches!(key("/nowhere.key".into()), TlsError::Unreadable { .. }));
        assert!(matches!(chain(write("empty.pem", "")), TlsError::NoCertificate { .. }));
        assert!(matches!(chain(good.key.clone()), TlsError::NoCertificate { .. }));
        assert!(matches!(key(write("empty.key", "")), TlsError::NoKey { .. }));
        assert!(matches!(key(good.chain.clone()), TlsError::NoKey { .. }));
        assert!(matches!(chain(write("cut.pem", &chain_text[..200])), TlsError::MalformedPem { .. }));
        assert!(matches!(key(write("cut.key", &key_text[..60])), TlsError::MalformedPem { .. }));
        assert!(matches!(
            chain(write("junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
            TlsError::MalformedCertificate { .. }
        ));
        assert!(matches!(
            key(write("junk.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")),
            TlsError::UnsupportedKey { .. }
        ));
        let pkcs8 = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert!(matches!(key(write("pass.key", pkcs8)), TlsError::EncryptedKey { .. }));
        let pkcs1 = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        assert!(matches!(key(write("pass1.key", pkcs1)), TlsError::EncryptedKey { .. }));

        let mismatch = key(certificates().key_path_kept(&files));
        assert!(matches!(mismatch, TlsError::KeyMismatch { .. }));
        let text = mismatch.to_string();
        assert!(text.contains("other.key") && text.contains("server.pem"), "{text}");
    }

    trait Keep {
        fn key_path_kept(&self, beside: &Certificates) -> PathBuf;
    }

    impl Keep for Certificates {
        /// The key of these, copied to the directory of the others, which outlives them.
        fn key_path_kept(&self, beside: &Certificates) -> PathBuf {
            let path = beside.directory().join("other.key");
            fs::copy(self.key_path(), &path).unwrap();
            path
        }
    }

    #[tokio::test]
    async fn tls_1_0_and_1_1_are_refused() {
        let files = certificates();
        let address = echo(server_config(store(&files)).unwrap()).await;
        for version in [1, 2] {
            // A ClientHello by hand, since no library at hand still speaks them: two usual suites, and one extension
            // (signature_algorithms, which is asked for first).
            let suites = [0, 4, 0xc0, 0x13, 0, 0x2f];
            let extensions = [0, 8, 0, 13, 0, 4, 0, 2, 4, 1];
            let body = [&[3, version][..], &[7; 32], &[0], &suites, &[1, 0], &extensions].concat();
            let hello = [&[1, 0, 0, u8::try_from(body.len()).unwrap()][..], &body].concat();
            let record = [&[22, 3, 1, 0, u8::try_from(hello.len()).unwrap()][..], &hello].concat();
            let mut client = RawClient::connect(address).await.unwrap();
            client.send(record).await.unwrap();
            let answer = client.read_to_end().await.unwrap();
            // An alert (21), fatal (2), protocol_version (70).
            assert_eq!((answer[0], &answer[5..]), (21, &[2, 70][..]), "TLS 1.{}", version - 1);
        }
    }

    #[tokio::test]
    async fn a_client_that_speaks_no_protocol_of_ours_is_refused() {
        let files = certificates();
        let address = echo(server_config(store(&files)).unwrap()).await;
        assert!(
            RawClient::connect_tls(address, "localhost", files.client_config(&[b"spdy/3"])).await.is_err()
        );
    }

    #[tokio::test]
    async fn both_versions_and_both_protocols_are_spoken_and_h2_is_preferred() {
        let files = certificates();
        let address = echo(server_config(store(&files)).unwrap()).await;
        for version in [&TLS12, &TLS13] {
            for (offered, chosen) in [
                (&[&b"http/1.1"[..], b"h2"][..], Some(b"h2".to_vec())),
                (&[b"http/1.1"], Some(b"http/1.1".to_vec())),
                (&[], None),
            ] {
                let config = files.client_config_for(&[version], offered);
                let mut client = RawClient::connect_tls(address, "localhost", config).await.unwrap();
                assert_eq!(client.handshake().version, Some(version.version));
                assert_eq!(client.handshake().protocol, chosen);
                assert!(is_alive(&mut client).await);
            }
        }
    }

    #[tokio::test]
    async fn an_unknown_name_gets_the_one_certificate() {
        let files = ringfence_testkit::certificates_for(&["known.example", "other.example"]);
        let address = echo(server_config(store(&files)).unwrap()).await;
        let config = files.client_config(&[]);
        assert!(RawClient::connect_tls(address, "other.example", Arc::clone(&config)).await.is_ok());
        // The client hears the certificate's names and refuses by itself; the server has sent it.
        let error = RawClient::connect_tls(address, "stranger.example", config).await.unwrap_err();
        assert!(error.to_string().contains("not valid for name"), "{error}");
    }

    #[tokio::test]
    async fn a_session_is_resumed_and_without_early_data() {
        let files = certificates();
        let address = echo(server_config(store(&files)).unwrap()).await;
        for version in [&TLS12, &TLS13] {
            let mut config = Arc::unwrap_or_clone(files.client_config_for(&[version], &[]));
            config.enable_early_data = true;
            let config = Arc::new(config);
            for resumed in [false, true] {
                let mut client =
                    RawClient::connect_tls(address, "localhost", Arc::clone(&config)).await.unwrap();
                assert_eq!(client.handshake().resumed, resumed, "{:?}", version.version);
                // Tickets of TLS 1.3 come after the handshake, before the first answer.
                assert!(is_alive(&mut client).await);
            }
            let mut again = rustls::ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
            assert!(again.early_data().is_none(), "a ticket allowed early data");
        }
    }

    #[tokio::test]
    async fn a_reload_serves_the_new_certificate_and_drops_no_connection() {
        let files = certificates();
        let store = store(&files);
        let address = echo(server_config(Arc::clone(&store) as _).unwrap()).await;
        let mut before =
            RawClient::connect_tls(address, "localhost", files.client_config(&[])).await.unwrap();
        assert_eq!(store.reload(&paths(&files)).unwrap(), Reload::Unchanged);

        let renewed = files.renew();
        assert_eq!(store.reload(&paths(&files)).unwrap(), Reload::Replaced);
        let after = RawClient::connect_tls(address, "localhost", files.client_config(&[])).await.unwrap();
        assert_eq!(after.handshake().certificates[0], renewed);
        assert_ne!(before.handshake().certificates[0], renewed);
        assert!(is_alive(&mut before).await);
    }

    #[tokio::test]
    async fn a_wrong_new_file_keeps_the_old_certificate() {
        let files = certificates();
        let store = store(&files);
        let address = echo(server_config(Arc::clone(&store) as _).unwrap()).await;
        let old_chain = fs::read(files.chain_path()).unwrap();
        // As seen when a renewal is caught half way: the new key beside the old certificate.
        files.renew();
        fs::write(files.chain_path(), old_chain).unwrap();
        assert!(matches!(store.reload(&paths(&files)).unwrap_err(), TlsError::KeyMismatch { .. }));
        fs::remove_file(files.chain_path()).unwrap();
        assert!(matches!(store.reload(&paths(&files)).unwrap_err(), TlsError::Unreadable { .. }));

        let mut client =
            RawClient::connect_tls(address, "localhost", files.client_config(&[])).await.unwrap();
        assert!(is_alive(&mut client).await);
    }

    #[test]
    fn the_validity_is_read_from_the_certificate() {
        let files = certificates();
        let validity = store(&files).validity().unwrap();
        // rcgen's own defaults: 1975 to 4096, the first as UTCTime, the second as GeneralizedTime.
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(seconds(validity.not_before), 157_766_400);
        assert_eq!(seconds(validity.not_after), 67_090_118_400);
    }

    #[test]
    fn times_are_read_as_the_calendar_has_them() {
        let seconds = |tag, text: &str| {
            der_time(tag, text.as_bytes()).map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs())
        };
        assert_eq!(seconds(0x17, "700101000000Z"), Some(0));
        assert_eq!(seconds(0x17, "240229235959Z"), Some(1_709_251_199));
        assert_eq!(seconds(0x18, "20000301000000Z"), Some(951_868_800));
        assert_eq!(seconds(0x18, "21000301000000Z"), Some(4_107_542_400));
        for (tag, text) in [
            (0x17, "690101000000Z"),
            (0x17, "241301000000Z"),
            (0x17, "240229235959"),
            (0x17, "2402292359Z"),
            (0x18, "240229235959Z"),
            (0x18, "00000101000000Z"),
            (0x17, "24022x235959Z"),
            (0x30, "240229235959Z"),
        ] {
            assert_eq!(seconds(tag, text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_of_validity_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64), cut in 0..400_usize) {
            let _ = Validity::of(&CertificateDer::from(bytes.clone()));
            let files = certificates();
            let mut real = CertificateDer::pem_slice_iter(&fs::read(files.chain_path()).unwrap()).next().unwrap().unwrap().to_vec();
            let at = cut % real.len();
            real.truncate(at);
            real.extend(bytes);
            let _ = Validity::of(&CertificateDer::from(real));
        }
    }
}

//! Throw-away certificates: a certification authority of the test's own, and a server certificate signed by it, as the
//! PEM files that an operator would have.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::TempDir;

/// A certification authority and the files of one server certificate, in a directory that goes when this is dropped.
#[derive(Debug)]
pub struct Certificates {
    directory: TempDir,
    authority: Issuer<'static, KeyPair>,
    authority_der: CertificateDer<'static>,
    names: Vec<String>,
}

/// A new authority, and a certificate for `localhost`, `127.0.0.1` and `::1`.
pub fn certificates() -> Certificates {
    certificates_for(&["localhost", "127.0.0.1", "::1"])
}

/// A new authority, and a certificate for these DNS names or IP addresses.
pub fn certificates_for(names: &[&str]) -> Certificates {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, "Ringfence test authority");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().expect("a key pair can be generated");
    let certificate = parameters.self_signed(&key).expect("an authority can sign itself");

    let certificates = Certificates {
        directory: tempfile::tempdir().expect("a temporary directory can be made"),
        authority: Issuer::new(parameters, key),
        authority_der: certificate.der().clone(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    fs::write(certificates.authority_path(), certificate.pem()).expect("the authority's file can be written");
    certificates.renew();
    certificates
}

impl Certificates {
    /// The directory of all the files; a test may put its own beside them.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The authority's certificate, PEM.
    pub fn authority_path(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// The server's chain, its own certificate first, PEM.
    pub fn chain_path(&self) -> PathBuf {
        self.directory.path().join("server.pem")
    }

    /// The server's private key, PEM (PKCS #8).
    pub fn key_path(&self) -> PathBuf {
        self.directory.path().join("server.key")
    }

    /// Writes another certificate with another key over the server's files, as a renewal would, and returns the new
    /// certificate. [`Certificates::client_config`] trusts it like the one before.
    pub fn renew(&self) -> CertificateDer<'static> {
        self.write(&self.parameters(), "server")
    }

    /// The same, valid from the first day of one year to the first day of another.
    pub fn renew_for_years(&self, from: i32, to: i32) -> CertificateDer<'static> {
        let mut parameters = self.parameters();
        parameters.not_before = date_time_ymd(from, 1, 1);
        parameters.not_after = date_time_ymd(to, 1, 1);
        self.write(&parameters, "server")
    }

    /// The chain and the key of somebody who shows a certificate of this authority to a server, PEM.
    pub fn client_paths(&self) -> (PathBuf, PathBuf) {
        self.write(&self.parameters(), "client");
        (self.directory.path().join("client.pem"), self.directory.path().join("client.key"))
    }

    fn parameters(&self) -> CertificateParams {
        CertificateParams::new(self.names.clone()).expect("the names of a test are valid")
    }

    fn write(&self, parameters: &CertificateParams, file: &str) -> CertificateDer<'static> {
        let key = KeyPair::generate().expect("a key pair can be generated");
        let certificate = parameters.signed_by(&key, &self.authority).expect("the authority can sign");
        let path = |ending: &str| self.directory.path().join(format!("{file}.{ending}"));
        fs::write(path("key"), key.serialize_pem()).expect("the key's file can be written");
        fs::write(path("pem"), certificate.pem()).expect("the chain's file can be written");
        certificate.der().clone()
    }

    /// A server with the certificate that the files hold now, which chooses among these application protocols.
    pub fn server_config(&self, protocols: &[&[u8]]) -> Arc<ServerConfig> {
        self.server(protocols, false)
    }

    /// The same, which lets nobody in without a certificate of this authority.
    pub fn server_config_for_known(&self, protocols: &[&[u8]]) -> Arc<ServerConfig> {
        self.server(protocols, true)
    }

    fn server(&self, protocols: &[&[u8]], asks: bool) -> Arc<ServerConfig> {
        let chain = CertificateDer::pem_file_iter(self.chain_path()).expect("the chain's file is there");
        let chain = chain.collect::<Result<_, _>>().expect("the chain's file is PEM");
        let key = PrivateKeyDer::from_pem_file(self.key_path()).expect("the key's file is there");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider speaks TLS 1.2 and 1.3");
        let builder = if asks {
            let roots = Arc::new(self.roots());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            builder.with_client_cert_verifier(verifier.expect("an authority can vouch for clients"))
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(chain, key).expect("key and certificate fit");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority_der.clone()).expect("the authority's certificate is valid");
        roots
    }

    /// A client that trusts this authority alone and offers these application protocols (`b"h2"`, `b"http/1.1"`; none
    /// to offer none). Keep one for several connections where they should resume a session.
    pub fn client_config(&self, protocols: &[&[u8]]) -> Arc<ClientConfig> {
        self.client_config_for(rustls::DEFAULT_VERSIONS, protocols)
    }

    /// As [`Certificates::client_config`], but speaking these versions of TLS only.
    pub fn client_config_for(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        protocols: &[&[u8]],
    ) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("the provider speaks these versions")
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }
}

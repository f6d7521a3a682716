//! Certificates by ACME against `pebble`, the authority that Let's Encrypt gives to those who test their clients (Debian
//! package `pebble`).
//!
//! Without it on the path the test says so and passes; where `RINGFENCE_REQUIRE_PEERS` names `pebble` it fails, so that
//! a machine that should have it cannot lose it unnoticed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use ringfence_gateway::acme::{Acme, AcmeSettings, is_challenge};
use ringfence_testkit::{Certificates, RawClient, certificates, free_port, peer_is_required};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An order takes 5 to 15 seconds, most of them spent waiting between questions.
const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_issued_served_and_kept_for_the_next_start() {
    let files = certificates();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let Some(pebble) = Pebble::start(&files, address.port()) else {
        return;
    };
    let settings = AcmeSettings {
        domains: vec!["localhost".to_owned()],
        contact: vec!["ops@example.com".to_owned()],
        directory_url: format!("https://localhost:{}/dir", pebble.port),
        cache_dir: files.directory().join("cache"),
        authority_roots: Some(files.authority_path()),
    };
    let root = pebble.root(&files).await;

    // 1. Nothing is served before the first order.
    let acme = Acme::new(settings.clone()).unwrap();
    let is_ready = acme.readiness();
    let accepting = tokio::spawn(greet(listener, acme.acceptor()));
    assert!(!is_ready());
    assert!(connect(address, &root, &[b"http/1.1"]).await.is_err());

    // 2. An order brings a certificate that whoever trusts the authority accepts, on the port that proved it.
    let driving = tokio::spawn(acme.drive());
    until("a certificate is issued", &pebble, is_ready).await;
    let mut client = connect(address, &root, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(client.handshake().protocol.as_deref(), Some(&b"h2"[..]));
    assert_eq!(client.read_to_end().await.unwrap(), b"hello");
    let issued = client.handshake().certificates[0].clone();

    // 3. A handshake for a proof gets no ordinary certificate when no order is under way.
    assert!(connect(address, &root, &[b"acme-tls/1"]).await.is_err());

    // 4. The next start has it from the cache, with nobody there to ask. It is stored just after it is deployed.
    let is_stored = || fs::read_dir(&settings.cache_dir).unwrap().count() == 2;
    until("the certificate is stored", &pebble, is_stored).await;
    driving.abort();
    accepting.abort();
    drop(pebble);
    let acme = Acme::new(settings).unwrap();
    let is_ready = acme.readiness();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = tokio::spawn(greet(listener, acme.acceptor()));
    let driving = tokio::spawn(acme.drive());
    tokio::time::timeout(PATIENCE, poll_until(is_ready)).await.expect("the cache is read");
    let client = connect(address, &root, &[b"h2"]).await.unwrap();
    assert_eq!(client.handshake().certificates[0], issued);
    driving.abort();
    accepting.abort();
}

/// Says hello to ordinary clients and closes on the authority, as the gate does.
async fn greet(listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            if !is_challenge(stream.get_ref().1) {
                stream.write_all(b"hello").await.unwrap();
            }
            let _ = stream.shutdown().await;
        });
    }
}

async fn connect(
    address: SocketAddr,
    root: &CertificateDer<'static>,
    protocols: &[&[u8]],
) -> std::io::Result<RawClient> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    RawClient::connect_tls(address, "localhost", Arc::new(config)).await
}

async fn until(what: &str, pebble: &Pebble, is_so: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, poll_until(is_so)).await;
    assert!(waited.is_ok(), "{what}: not within {PATIENCE:?}; pebble said:\n{}", pebble.log());
}

async fn poll_until(is_so: impl Fn() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    while !is_so() {
        tick.tick().await;
    }
}

/// A running `pebble`; ends when dropped.
struct Pebble {
    child: Child,
    port: u16,
    management_port: u16,
    log: PathBuf,
}

impl Pebble {
    /// Starts it with a configuration beside `files`, whose certificate it serves. It looks for proofs on `tls_port`.
    fn start(files: &Certificates, tls_port: u16) -> Option<Self> {
        let (port, management_port) = (free_port(), free_port());
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management_port}"),
            "certificate": files.chain_path(),
            "privateKey": files.key_path(),
            "httpPort": free_port(),
            "tlsPort": tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        let config_path = files.directory().join("pebble.json");
        fs::write(&config_path, config.to_string()).unwrap();
        let log = files.directory().join("pebble.log");
        let output = File::create(&log).unwrap();
        let child = Command::new("pebble")
            .args([Path::new("-config"), &config_path])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", "0")
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn();
        match child {
            Ok(child) => Some(Self { child, port, management_port, log }),
            Err(error) if error.kind() == ErrorKind::NotFound && !peer_is_required("pebble") => {
                println!("SKIPPED: `pebble` is not on the path (Debian package `pebble`)");
                None
            }
            Err(error) => panic!("`pebble` does not start: {error}"),
        }
    }

    /// The root that issues, from the management port; it is another at each start. Waits until there is an answer.
    async fn root(&self, files: &Certificates) -> CertificateDer<'static> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.management_port));
        let asking = async {
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            loop {
                tick.tick().await;
                if let Ok(mut client) =
                    RawClient::connect_tls(address, "localhost", files.client_config(&[])).await
                {
                    let request = "GET /roots/0 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
                    return client.exchange(request).await.unwrap();
                }
            }
        };
        let answer = tokio::time::timeout(PATIENCE, asking).await;
        let answer = answer.unwrap_or_else(|_| panic!("pebble does not answer:\n{}", self.log()));
        assert_eq!(answer.status, 200);
        CertificateDer::from_pem_slice(&answer.body).unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        // It may have ended by itself; what counts is that it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

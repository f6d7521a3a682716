//! The HTTPS proxy: clients that know nothing of the sandbox reach it under Twilio's names.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::kit::{Served, start};

/// Trusts what `/_sandbox/ca.pem` serves, and nothing else.
async fn trusting(sandbox: &Served) -> Arc<ClientConfig> {
    let response = sandbox.ask("GET", "/_sandbox/ca.pem", "", "").await;
    assert_eq!(response.text(), sandbox.sandbox.ca_pem());
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&response.body).expect("a certificate"))
        .expect("it can be trusted");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider speaks them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// Asks for a tunnel; the stream, and the head of the answer.
async fn connect(sandbox: &Served, target: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(sandbox.address()).await.expect("the sandbox listens");
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("it answers"));
    }
    (stream, String::from_utf8(head).expect("text"))
}

async fn through_tunnel(sandbox: &Served, host: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let (stream, head) = connect(sandbox, &format!("{host}:443")).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let name = ServerName::try_from(host.to_owned()).expect("a host name");
    TlsConnector::from(trusting(sandbox).await).connect(name, stream).await
}

async fn ask(stream: &mut TlsStream<TcpStream>, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = Vec::new();
    // Without close_notify the end of the stream is an error, and the answer is whole all the same.
    let _end = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("text")
}

/// Twilio's PHP library looks for exactly this, and takes any other answer for Twilio's own.
#[tokio::test]
async fn a_tunnel_is_opened_with_the_words_that_phps_library_looks_for_and_no_header() {
    let sandbox = start();
    let (_, head) = connect(&sandbox, "api.twilio.com:443").await;
    assert_eq!(head, "HTTP/1.1 200 Connection established\r\n\r\n");
    let (_, head) = connect(&sandbox, "example.com:443").await;
    assert!(head.contains("\r\ndate: "), "what opens no tunnel is dated: {head}");
    assert!(sandbox.ask("GET", "/_sandbox/phones", "", "").await.header("date").is_some());
}

#[tokio::test]
async fn tunnels_to_other_hosts_are_refused_with_a_reason() {
    let sandbox = start();
    for (target, says) in [
        ("example.com:443", "no proxy for example.com"),
        ("127.0.0.1:443", "no proxy for"),
        ("studio.twilio.com:443", "has no studio.twilio.com"),
        ("api.twilio.com:22", "no tunnel to"),
    ] {
        let (mut stream, head) = connect(&sandbox, target).await;
        assert!(head.starts_with("HTTP/1.1 403"), "{target}: {head}");
        let mut body = vec![0; 4096];
        let count = stream.read(&mut body).await.expect("a body");
        let body = String::from_utf8_lossy(&body[..count]);
        assert!(body.contains(says) && body.contains("hint"), "{target}: {body}");
    }
}

#[tokio::test]
async fn whole_urls_of_other_hosts_are_refused() {
    let sandbox = start();
    let response = sandbox.ask("GET", "http://example.com/", "Host: example.com\r\n", "").await;
    assert_eq!(response.status, 403, "{}", response.text());
}

#[tokio::test]
async fn a_tunnel_leads_to_the_product_of_its_host() {
    let sandbox = start();
    for host in ["api.twilio.com", "api.dublin.ie1.twilio.com"] {
        let mut stream = through_tunnel(&sandbox, host).await.expect("the certificate is trusted");
        let request = format!(
            "GET /2010-04-01/Accounts.json HTTP/1.1\r\nHost: {host}\r\n{}Connection: close\r\n\r\n",
            sandbox.authorization()
        );
        let answer = ask(&mut stream, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains(&sandbox.sandbox.account_sid().to_string()), "{answer}");
    }
    let mut stream = through_tunnel(&sandbox, "verify.twilio.com").await.expect("trusted");
    let request = format!(
        "GET /2010-04-01/Accounts.json HTTP/1.1\r\nHost: verify.twilio.com\r\n{}Connection: close\r\n\r\n",
        sandbox.authorization()
    );
    let answer = ask(&mut stream, &request).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "verify has no accounts: {answer}");
}

#[tokio::test]
async fn a_tunnel_does_not_lead_to_the_control_api() {
    let sandbox = start();
    let mut stream = through_tunnel(&sandbox, "api.twilio.com").await.expect("trusted");
    let answer = ask(
        &mut stream,
        "GET /_sandbox/snapshot HTTP/1.1\r\nHost: api.twilio.com\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(!answer.contains("auth_token"), "{answer}");
    assert!(answer.starts_with("HTTP/1.1 401"), "Twilio's API demands credentials: {answer}");
}

#[tokio::test]
async fn tls_at_once_is_for_names_that_a_hosts_file_leads_here() {
    let sandbox = start();
    let connect = async |name: &'static str| {
        let stream = TcpStream::connect(sandbox.address()).await.expect("the sandbox listens");
        let name = ServerName::try_from(name).expect("a host name");
        TlsConnector::from(trusting(&sandbox).await).connect(name, stream).await
    };
    assert!(connect("localhost").await.is_err(), "it can speak for twilio.com only");
    let mut stream = connect("accounts.twilio.com").await.expect("the certificate is trusted");
    let answer =
        ask(&mut stream, "GET /v1/x HTTP/1.1\r\nHost: accounts.twilio.com\r\nConnection: close\r\n\r\n")
            .await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn a_whole_url_of_twilio_is_answered_by_the_product_that_it_names() {
    let sandbox = start();
    // The name in the URL counts, whatever `Host` says.
    let headers = format!("Host: example.com\r\n{}", sandbox.authorization());
    let response = sandbox.ask("GET", "http://api.twilio.com/2010-04-01/Accounts.json", &headers, "").await;
    assert_eq!(response.status, 200, "{}", response.text());
    let response =
        sandbox.ask("GET", "http://pricing.twilio.com/2010-04-01/Accounts.json", &headers, "").await;
    assert_eq!(response.status, 404, "{}", response.text());
}

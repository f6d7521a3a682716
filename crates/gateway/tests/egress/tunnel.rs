//! The egress as an HTTPS proxy: an application that changes nothing but its environment.

use std::sync::Arc;
use std::time::Duration;

use ringfence_gateway::EgressAuthority;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::world::{ACCOUNT, Key, MESSAGE, Setup, World, form, json_answer, raw, request};
use ringfence_testkit::Upstream;

/// The time at which every test begins.
#[derive(Debug)]
struct AtStart;

impl TimeProvider for AtStart {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_hours(500_000)))
    }
}

struct Proxy {
    world: World,
    authority: Arc<EgressAuthority>,
}

impl Proxy {
    async fn new() -> Self {
        let upstream = Upstream::start(|request| async move {
            let links =
                json!({ "sid": MESSAGE, "url": "https://api.twilio.com/x", "target": request.target });
            json_answer(201, &links)
        });
        let authority = Arc::new(EgressAuthority::new(1_800_000_000).unwrap());
        let given = Arc::clone(&authority);
        let change = Box::new(move |settings: &mut ringfence_gateway::settings::Settings| {
            settings.egress.as_mut().unwrap().authority = Some(given);
        });
        let world = World::before(upstream.await, Setup { change, ..Setup::default() }).await;
        Self { world, authority }
    }

    /// What is answered to a `CONNECT`, and the connection.
    async fn connect(&self, to: &str) -> (String, TcpStream) {
        self.ask_for_tunnel(&format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n\r\n")).await
    }

    async fn ask_for_tunnel(&self, connect: &str) -> (String, TcpStream) {
        let mut stream = TcpStream::connect(self.world.address()).await.unwrap();
        stream.write_all(connect.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        (String::from_utf8(head).unwrap(), stream)
    }

    /// TLS through a tunnel, as a client that trusts the authority.
    async fn tunnel(&self, to: &str, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let (head, stream) = self.connect(to).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        self.begin_tls(stream, name).await
    }

    async fn begin_tls(&self, stream: TcpStream, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.authority.certificate_pem().as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_details(provider, Arc::new(AtStart))
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    async fn ask(&self, stream: &mut TlsStream<TcpStream>, request: &str) -> (u16, Value) {
        let request = request.replacen("\r\n", "\r\nconnection: close\r\n", 1);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A peer that closes without TLS's own farewell has still answered.
        let _end = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
    }
}

fn as_twilio(key: &Key, host: &str, target: &str) -> String {
    request(key, "POST", target, &form()).replace("egress.example:8500", host)
}

const TARGET: &str = "/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json";

#[tokio::test]
async fn a_tunnel_leads_to_no_host_but_twilio_s() {
    let proxy = Proxy::new().await;
    for to in [
        "evil.example:443",
        "127.0.0.1:443",
        "api.twilio.com:22",
        "api.twilio.com.evil.example:443",
        "twilio.com:443",
    ] {
        let (head, _) = proxy.connect(to).await;
        assert!(head.starts_with("HTTP/1.1 404 "), "{to}: {head}");
    }
    let other = "CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n";
    let refused = proxy.world.send(other).await;
    proxy.world.assert_refused(&refused, 404, 84002);
    assert!(refused.text().contains("NO_PROXY"), "it says what to do: {}", refused.text());
    let without = World::new().await;
    let refused =
        without.send("CONNECT api.twilio.com:443 HTTP/1.1\r\nhost: api.twilio.com:443\r\n\r\n").await;
    without.assert_refused(&refused, 404, 84002);
}

/// Twilio's PHP library looks for exactly this, and takes any other answer for Twilio's own.
#[tokio::test]
async fn a_tunnel_is_opened_with_the_words_that_phps_library_looks_for_and_no_header() {
    let proxy = Proxy::new().await;
    let (head, _) = proxy.connect("api.twilio.com:443").await;
    assert_eq!(head, "HTTP/1.1 200 Connection established\r\n\r\n");
    let (head, _) = proxy.connect("evil.example:443").await;
    assert!(head.contains("\r\ndate: "), "what opens no tunnel is dated: {head}");
    let key = proxy.world.key().await;
    let sent = proxy.world.send(&request(&key, "POST", &format!("/api.twilio.com{TARGET}"), &form())).await;
    assert!(sent.header("date").is_some(), "{}", sent.text());
}

#[tokio::test]
async fn a_tunnel_is_opened_in_http_1_0_too_as_pythons_library_asks_for_it() {
    let proxy = Proxy::new().await;
    let (head, stream) = proxy.ask_for_tunnel("CONNECT api.twilio.com:443 HTTP/1.0\r\n\r\n").await;
    assert!(head.contains(" 200 ") && !head.to_lowercase().contains("content-length"), "{head}");
    let key = proxy.world.key().await;
    let mut stream = proxy.begin_tls(stream, "api.twilio.com").await.unwrap();
    let (status, body) = proxy.ask(&mut stream, &as_twilio(&key, "api.twilio.com", TARGET)).await;
    assert_eq!(status, 201, "{body}");
}

#[tokio::test]
async fn what_comes_through_a_tunnel_is_held_to_the_same_rules() {
    let proxy = Proxy::new().await;
    let key = proxy.world.key().await;
    let host = "api.twilio.com";
    for (request, status, code) in [
        (raw("POST", TARGET, &[], &form()).replace("egress.example:8500", host), 401, 20003),
        (as_twilio(&key, host, &TARGET.replace("Messages.json", "Keys.json")), 403, 84016),
        (as_twilio(&key, host, &TARGET.replace("Messages", "messages")), 400, 84003),
        (as_twilio(&key, "verify.twilio.com", TARGET), 400, 84000),
        (as_twilio(&key, host, &format!("/api.twilio.com{TARGET}")), 400, 84003),
    ] {
        let mut stream = proxy.tunnel("api.twilio.com:443", host).await.unwrap();
        let (got, body) = proxy.ask(&mut stream, &request).await;
        assert_eq!((got, body["code"].as_u64()), (status, Some(code)), "{body}");
    }
    assert!(
        proxy.tunnel("api.twilio.com:443", "verify.twilio.com").await.is_err(),
        "its certificate is one host's"
    );
    assert_eq!(proxy.world.requests(), []);
}

#[tokio::test]
async fn an_unmodified_application_sends_a_message_under_the_limits() {
    let proxy = Proxy::new().await;
    let key = proxy.world.key().await;
    let mut stream = proxy.tunnel("api.twilio.com:443", "api.twilio.com").await.unwrap();
    let (status, body) = proxy.ask(&mut stream, &as_twilio(&key, "api.twilio.com", TARGET)).await;
    assert_eq!((status, body["sid"].as_str()), (201, Some(MESSAGE)), "{body}");
    assert_eq!(body["url"], "https://api.twilio.com/x", "Twilio's own names are right for it");
    assert_eq!(proxy.world.requests()[0].target, format!("/api.twilio.com{TARGET}"));
    assert_eq!(proxy.world.reserved("daily").await.to_string(), "1");
    assert!(TARGET.contains(ACCOUNT));
}

//! The client over real connections on loopback: what is reused, what times out, whom it trusts.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail like tests")]

use std::sync::Arc;
use std::time::Duration;

use ringfence_model::{Secret, Sid};
use ringfence_testkit::{
    Answer, Certificates, RawUpstream, Upstream, certificates_for, free_port, read_request,
};
use ringfence_twilio::client::*;
use ringfence_twilio::wire::Balance;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsAcceptor;

const ACCOUNT: Sid = Sid::new(*b"AC", 1);
const BALANCE: &str = r#"{"account_sid":"AC1","balance":"0.05","currency":"USD"}"#;
const SHORT: Duration = Duration::from_millis(50);

fn settings(base: &str) -> Settings {
    let pause = Duration::from_millis(1);
    Settings {
        base: base.parse().unwrap(),
        backoff: Backoff { tries: 3, pause_first: pause, pause_max: pause },
        ..Settings::default()
    }
}

fn client(settings: Settings) -> Client {
    Client::new(settings, Credentials::auth_token(ACCOUNT, Secret::new("0123456789abcdef"))).unwrap()
}

fn at(upstream: &Upstream) -> Client {
    client(settings(&format!("http://{}", upstream.address())))
}

async fn fetch(client: &Client) -> Result<Balance, Error> {
    client.balance(ACCOUNT).fetch().await
}

async fn send(client: &Client) -> Error {
    let message = NewMessage { to: "+14155550100".to_owned(), ..NewMessage::default() };
    client.messages(ACCOUNT).create(&message).await.unwrap_err()
}

#[tokio::test]
async fn a_request_carries_the_credentials_and_reuses_the_connection() {
    let twilio = Upstream::saying(BALANCE).await;
    let client = at(&twilio);
    for _ in 0..5 {
        assert_eq!(fetch(&client).await.unwrap().balance, "0.05");
    }
    let other = client.with_credentials(Credentials::api_key(Sid::new(*b"SK", 2), Secret::new("s")));
    fetch(&other).await.unwrap();
    assert_eq!(twilio.connections(), 1);
    let authorizations: Vec<_> =
        twilio.requests().iter().map(|request| request.header("authorization").unwrap().to_owned()).collect();
    // AC00000000000000000000000000000001:0123456789abcdef and SK…2:s
    let account = "Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMTowMTIzNDU2Nzg5YWJjZGVm";
    let key = "Basic U0swMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMjpz";
    assert_eq!(authorizations, [account, account, account, account, account, key]);
    assert_eq!(
        twilio.requests()[0].target,
        format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Balance.json")
    );
}

#[tokio::test]
async fn a_read_is_repeated_after_a_broken_connection_and_a_create_is_not() {
    let twilio = RawUpstream::start(|number, mut stream| async move {
        read_request(&mut stream).await;
        if number == 2 {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BALANCE.len());
            stream.write_all(format!("{head}{BALANCE}").as_bytes()).await.unwrap();
        }
    })
    .await;
    let client = client(settings(&format!("http://{}", twilio.address())));
    assert_eq!(fetch(&client).await.unwrap().currency, "USD");
    assert_eq!(twilio.connections(), 2);
    let error = send(&client).await;
    assert_eq!((error.carried_out(), error.fault(), error.tries), (CarriedOut::InDoubt, Fault::Network, 1));
    assert_eq!(twilio.connections(), 3, "the message went out once");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BALANCE.len() + 1);
    let twilio = RawUpstream::replying(format!("{head}{BALANCE}")).await;
    let error = fetch(&client(settings(&format!("http://{}", twilio.address())))).await.unwrap_err();
    assert!(matches!(error.problem, Problem::NoAnswer { .. }), "{error}");
    assert_eq!((error.tries, twilio.connections()), (3, 3), "reading it again is harmless");
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_unreachable_and_nothing_was_sent() {
    let error = send(&client(settings(&format!("http://127.0.0.1:{}", free_port())))).await;
    assert!(matches!(error.problem, Problem::Unreachable { .. }), "{error}");
    assert_eq!((error.carried_out(), error.tries), (CarriedOut::No, 3), "so a create may be tried again");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_leaves_the_request_in_doubt() {
    let twilio = RawUpstream::silent().await;
    let settings = Settings { timeout: SHORT, ..settings(&format!("http://{}", twilio.address())) };
    let error = send(&client(settings)).await;
    assert!(matches!(error.problem, Problem::NoAnswer { .. }), "{error}");
    assert_eq!((error.carried_out(), error.tries, twilio.connections()), (CarriedOut::InDoubt, 1, 1));
}

#[tokio::test]
async fn a_tls_handshake_that_never_ends_is_a_connection_that_was_not_made() {
    let twilio = RawUpstream::silent().await;
    let settings = Settings { connect_timeout: SHORT, ..settings(&format!("https://{}", twilio.address())) };
    let error = send(&client(settings)).await;
    assert!(matches!(error.problem, Problem::Unreachable { .. }), "{error}");
    assert_eq!((error.carried_out(), error.tries), (CarriedOut::No, 3));
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read_stated_or_not() {
    for stated in [true, false] {
        let long = "x".repeat(2000);
        let framing = if stated { "Content-Length: 2000" } else { "Connection: close" };
        let twilio = RawUpstream::replying(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{long}")).await;
        let settings = Settings { answer_max: 1999, ..settings(&format!("http://{}", twilio.address())) };
        let error = fetch(&client(settings)).await.unwrap_err();
        let problem = Problem::Unreadable { status: 200, why: Unreadable::TooLarge(1999) };
        assert_eq!((error.problem, error.tries), (problem, 1), "stated: {stated}");
    }
}

#[tokio::test]
async fn a_page_of_a_machine_between_is_no_answer_of_twilios() {
    let twilio = Upstream::saying("<html>Welcome to our network!</html>").await;
    let error = fetch(&at(&twilio)).await.unwrap_err();
    assert_eq!(error.problem, Problem::Unreadable { status: 200, why: Unreadable::NotJson });
    let twilio = Upstream::start(|_| async { Answer::new(502, "<html>Bad Gateway</html>") }).await;
    let error = fetch(&at(&twilio)).await.unwrap_err();
    assert_eq!((error.status(), error.code(), error.tries), (Some(502), None, 3));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Upstream::saying(BALANCE).await;
    let location = format!("http://{}/", other.address());
    let twilio = Upstream::start(move |_| {
        let location = location.clone();
        async move { Answer::new(307, "").header("location", &location) }
    })
    .await;
    assert_eq!(fetch(&at(&twilio)).await.unwrap_err().status(), Some(307));
    assert_eq!((twilio.requests().len(), other.requests().len()), (1, 0));
}

#[tokio::test]
async fn twilios_words_come_through_whole_and_are_shown_without_numbers() {
    let body = r#"{"code":21211,"message":"'To' +14155550100 is not valid","more_info":"","status":400}"#;
    let twilio = Upstream::start(move |_| async move { Answer::new(400, body) }).await;
    let error = send(&at(&twilio)).await;
    assert_eq!(error.refusal().unwrap().message, "'To' +14155550100 is not valid");
    assert_eq!(
        error.to_string(),
        "messages.create: refused with HTTP 400, error 21211: 'To' +… is not valid"
    );
    assert_eq!((error.fault(), error.carried_out()), (Fault::Request, CarriedOut::No));
}

#[tokio::test]
async fn retry_after_of_a_real_answer_is_kept() {
    let twilio = Upstream::start(|_| async { Answer::new(429, "{}").header("retry-after", "3600") }).await;
    let error = fetch(&at(&twilio)).await.unwrap_err();
    assert_eq!((error.retry_after(), error.tries), (Some(Duration::from_hours(1)), 1));
}

/// A server with TLS that answers each connection once.
async fn tls_server(certificates: &Certificates) -> RawUpstream {
    let chain = CertificateDer::pem_file_iter(certificates.chain_path()).unwrap();
    let chain: Vec<_> = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(certificates.key_path()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    RawUpstream::start(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            // A client that does not trust us goes away here.
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut head = [0; 4096];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await;
            let length = BALANCE.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{BALANCE}");
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_or_for_another_name_is_refused() {
    let own = certificates_for(&["127.0.0.1"]);
    let twilio = tls_server(&own).await;
    let error = send(&client(settings(&format!("https://{}", twilio.address())))).await;
    assert!(matches!(error.problem, Problem::Untrusted { .. }), "{error:?}");
    assert_eq!((error.carried_out(), error.tries, error.fault()), (CarriedOut::No, 1, Fault::Network));

    let other = certificates_for(&["api.twilio.com"]);
    let twilio = tls_server(&other).await;
    let mut trusting = settings(&format!("https://{}", twilio.address()));
    trusting.trust_pem(&std::fs::read(other.authority_path()).unwrap()).unwrap();
    let error = fetch(&client(trusting)).await.unwrap_err();
    assert!(matches!(error.problem, Problem::Untrusted { .. }), "{error:?}");
}

#[tokio::test]
async fn a_certificate_of_an_authority_of_the_settings_is_accepted() {
    let own = certificates_for(&["127.0.0.1"]);
    let twilio = tls_server(&own).await;
    let mut trusting = settings(&format!("https://{}", twilio.address()));
    assert_eq!(trusting.trust_pem(&std::fs::read(own.authority_path()).unwrap()), Ok(1));
    assert_eq!(fetch(&client(trusting)).await.unwrap().balance, "0.05");
}

#[tokio::test]
async fn a_server_without_tls_is_not_talked_to_where_tls_is_wanted() {
    let twilio = RawUpstream::replying("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    // It waits for a request that it can read, which never comes; the handshake counts as connecting.
    let settings = Settings { connect_timeout: SHORT, ..settings(&format!("https://{}", twilio.address())) };
    let error = fetch(&client(settings)).await.unwrap_err();
    assert_eq!((error.carried_out(), error.fault()), (CarriedOut::No, Fault::Network), "{error}");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let credentials = || Credentials::auth_token(ACCOUNT, Secret::new("t"));
    let wrong = Settings { user_agent: "a\nb".to_owned(), ..Settings::default() };
    assert_eq!(Client::new(wrong, credentials()).unwrap_err(), InvalidSettings::UserAgent);
    let wrong = Settings { extra_roots: vec![CertificateDer::from(vec![1, 2, 3])], ..Settings::default() };
    assert!(matches!(Client::new(wrong, credentials()).unwrap_err(), InvalidSettings::Root(_)));
    let garbage = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    assert!(matches!(Settings::default().trust_pem(garbage), Err(InvalidSettings::Root(_))));
    assert_eq!(Settings::default().trust_pem(b"nothing"), Ok(0));
}

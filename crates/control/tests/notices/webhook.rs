//! The operator's webhook: what a receiver can check, and receivers that fail in every way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ringfence_control::notices::{Desk, Notifier, Outcome, Settings, WebhookSettings, render};
use ringfence_model::Secret;
use ringfence_testkit::{Answer, RawUpstream, Recorded, Upstream, certificates, free_port};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::kit::{TIMEOUT, acceptor, deliver, later, notice, notifier, refused};

const SECRET: &str = "7f3c0d5e9a1b4c6d8e2f7f3c0d5e9a1b";

fn to(url: &str) -> Notifier {
    hook(url, Some(SECRET), false, Vec::new())
}

fn hook(url: &str, secret: Option<&str>, slack: bool, extra_roots: Vec<CertificateDer<'static>>) -> Notifier {
    let webhook = WebhookSettings::new(url, secret.map(Secret::new), slack).unwrap();
    notifier(Settings { webhook: Some(webhook), timeout: TIMEOUT, extra_roots, ..Settings::default() })
}

/// What a receiver does, as `docs/notices.md` says.
fn is_genuine(key: &[u8], request: &Recorded) -> bool {
    let header = |name: &str| request.header(name).unwrap_or_default();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes());
    mac.update(&request.body);
    let expected = format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()));
    header("webhook-signature").split(' ').any(|it| it == expected)
}

#[tokio::test]
async fn a_notice_is_posted_with_a_signature_that_the_receiver_can_check() {
    let receiver = Upstream::saying("").await;
    let notice = notice("customer-17");
    let url = format!("http://{}/alerts?team=ops", receiver.address());
    assert_eq!(deliver(&to(&url), &notice).await, Outcome::Delivered);
    let request = receiver.only_request();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/alerts?team=ops"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("webhook-id"), Some(notice.id().as_str()));
    assert_eq!(request.header("webhook-timestamp"), Some("1795657845"), "when it was sent");
    assert!(is_genuine(SECRET.as_bytes(), &request));
    assert!(!is_genuine(b"another secret of some length", &request));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body, render::webhook_json(&notice, &Desk::default()));
    let mut forged = request.clone();
    forged.body = String::from_utf8(request.body.to_vec()).unwrap().replace("54.2", "5.42").into();
    assert!(!is_genuine(SECRET.as_bytes(), &forged));
}

#[tokio::test]
async fn the_signature_is_that_of_the_example_of_standard_webhooks() {
    // An independent vector: python3 -c 'import hmac,base64; print(base64.b64encode(hmac.digest(b"0123456789abcdef",
    // b"id.1795657845.body", "sha256")))' says what `is_genuine` must make of these three.
    let mut mac = Hmac::<Sha256>::new_from_slice(b"0123456789abcdef").unwrap();
    mac.update(b"id.1795657845.body");
    assert_eq!(BASE64.encode(mac.finalize().into_bytes()), "w1XDtxNUdKwyFR6icbNuIScI3NsMIKNE/Nz8eIgUYng=");
    let receiver = Upstream::saying("").await;
    let encoded = hook(
        &format!("http://{}/", receiver.address()),
        Some("whsec_MDEyMzQ1Njc4OWFiY2RlZg=="),
        false,
        Vec::new(),
    );
    assert_eq!(deliver(&encoded, &notice("customer-17")).await, Outcome::Delivered);
    assert!(is_genuine(b"0123456789abcdef", &receiver.only_request()), "the key is what the secret encodes");
}

/// What stands between ``` and ``` in the documentation, after a word that names the language.
fn example(language: &str) -> String {
    let page = include_str!("../../../../docs/notices.md");
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

#[tokio::test]
async fn the_receiver_of_the_documentation_takes_it_and_nothing_else() {
    let receiver = Upstream::saying("").await;
    let url = format!("http://{}/", receiver.address());
    assert_eq!(deliver(&to(&url), &notice("customer-17")).await, Outcome::Delivered);
    let request = receiver.only_request();
    let headers: serde_json::Map<_, _> = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        .into_iter()
        .map(|name| (name.to_owned(), Value::from(request.header(name).unwrap())))
        .collect();
    let checks = r#"
import json, sys
secret, headers, body = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3].encode()
sent = int(headers["webhook-timestamp"])
assert is_genuine(secret, headers, body, sent + 299) and is_genuine(secret, headers, body, sent - 299)
assert not is_genuine(secret, headers, body, sent + 301) and not is_genuine(secret, headers, body, sent - 301)
assert not is_genuine(secret, headers, body + b" ", sent) and not is_genuine(secret + "x", headers, body, sent)
for name in headers:
    assert not is_genuine(secret, {**headers, name: headers[name] + "0"}, body, sent), name
    assert not is_genuine(secret, {other: headers[other] for other in headers if other != name}, body, sent), name
"#;
    let python = std::process::Command::new("python3")
        .args(["-c", &(example("python") + checks), SECRET, &Value::from(headers).to_string()])
        .arg(std::str::from_utf8(&request.body).unwrap())
        .output();
    match python {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => assert!(!ringfence_testkit::peer_is_required("aiosmtpd"), "python3: {error}"),
    }
}

#[test]
fn the_body_of_the_documentation_has_the_fields_of_a_body() {
    fn fields(value: &Value, path: &str, found: &mut Vec<String>) {
        for (name, value) in value.as_object().into_iter().flatten() {
            found.push(format!("{path}/{name}"));
            fields(value, &format!("{path}/{name}"), found);
        }
    }
    let (mut documented, mut sent) = (Vec::new(), Vec::new());
    fields(&serde_json::from_str(&example("json")).unwrap(), "", &mut documented);
    fields(&render::webhook_json(&notice("customer-17"), &Desk::default()), "", &mut sent);
    documented.sort();
    sent.sort();
    assert_eq!(documented, sent);
}

#[tokio::test]
async fn slack_gets_its_own_body_and_no_signature_where_there_is_no_secret() {
    let receiver = Upstream::saying("ok").await;
    let notice = notice("A & B");
    let slack = hook(&format!("http://{}/services/T0/B0/xyz", receiver.address()), None, true, Vec::new());
    assert_eq!(deliver(&slack, &notice).await, Outcome::Delivered);
    let request = receiver.only_request();
    assert_eq!(request.header("webhook-signature"), None);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body, render::slack_json(&notice, &Desk::default()));
}

#[tokio::test]
async fn every_2xx_is_delivered_and_what_may_change_is_tried_later() {
    for (status, expected) in [
        (200, "delivered"),
        (202, "delivered"),
        (204, "delivered"),
        (400, "refused"),
        (410, "refused"),
        (413, "refused"),
        (422, "refused"),
        (401, "later"),
        (403, "later"),
        (404, "later"),
        (408, "later"),
        (409, "later"),
        (429, "later"),
        (500, "later"),
        (502, "later"),
        (503, "later"),
    ] {
        let receiver = Upstream::start(move |_| async move { Answer::new(status, "") }).await;
        let outcome = deliver(&to(&format!("http://{}/", receiver.address())), &notice("customer-17")).await;
        match (expected, &outcome) {
            ("delivered", Outcome::Delivered) => {}
            ("refused", Outcome::Refused(why)) | ("later", Outcome::TryLater(why)) => {
                assert!(why.contains(&format!("HTTP {status}")), "{why}");
            }
            _ => panic!("{status}: {outcome:?}"),
        }
        assert_eq!(receiver.requests().len(), 1, "{status}: it is asked once");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Upstream::saying("").await;
    let address = elsewhere.address();
    for status in [301, 302, 307, 308] {
        let receiver = Upstream::start(move |_| async move {
            Answer::new(status, "").header("location", &format!("http://{address}/"))
        })
        .await;
        let outcome = deliver(&to(&format!("http://{}/", receiver.address())), &notice("customer-17")).await;
        let why = if [301, 308].contains(&status) { refused(outcome) } else { later(outcome) };
        assert!(why.contains(&status.to_string()), "{why}");
    }
    assert_eq!(elsewhere.requests(), []);
}

#[tokio::test]
async fn a_receiver_that_hangs_speaks_something_else_or_hangs_up_is_tried_later() {
    let why = later(
        deliver(&to(&format!("http://{}/", RawUpstream::silent().await.address())), &notice("a")).await,
    );
    assert!(!why.is_empty());
    let silent = RawUpstream::silent().await;
    let why = later(deliver(&to(&format!("http://{}/secret", silent.address())), &notice("a")).await);
    assert!(why.contains("no answer within") && !why.contains("secret"), "{why}");
    for garbage in ["", "\u{0}\u{1}", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200", "HTTP/1.1 abc\r\n\r\n"] {
        let receiver = RawUpstream::replying(garbage).await;
        later(deliver(&to(&format!("http://{}/", receiver.address())), &notice("a")).await);
    }
    let nobody = to(&format!("http://127.0.0.1:{}/", free_port()));
    later(deliver(&nobody, &notice("a")).await);
}

#[tokio::test]
async fn a_success_is_known_from_its_head_whatever_becomes_of_its_body() {
    let receiver = RawUpstream::replying("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf").await;
    let outcome = deliver(&to(&format!("http://{}/", receiver.address())), &notice("a")).await;
    assert_eq!(outcome, Outcome::Delivered);
}

#[tokio::test]
async fn an_answer_is_shown_only_where_it_is_the_name_of_an_error() {
    let answer = |body: &'static str| async move {
        let receiver = Upstream::start(move |_| async move { Answer::new(403, body) }).await;
        later(deliver(&to(&format!("http://{}/", receiver.address())), &notice("a")).await)
    };
    assert!(answer("invalid_token").await.ends_with("HTTP 403 (invalid_token)"));
    for body in ["you sent v1,abc", "+14155550100", "7f3c0d5e9a1b4c6d8e2f7f3c0d5e9a1b", ""] {
        assert!(answer(body).await.ends_with("HTTP 403"), "{body}");
    }
}

#[tokio::test]
async fn over_https_only_a_trusted_receiver_gets_the_notice() {
    let files = certificates();
    let acceptor = acceptor(&files);
    let receiver = RawUpstream::start(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut bytes = [0; 4096];
            if stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
                let _ = stream.shutdown().await;
            }
        }
    })
    .await;
    let url = format!("https://localhost:{}/", receiver.address().port());
    let root = CertificateDer::from_pem_file(files.authority_path()).unwrap();
    let trusting = hook(&url, Some(SECRET), false, vec![root]);
    assert_eq!(deliver(&trusting, &notice("a")).await, Outcome::Delivered);
    let why = later(deliver(&to(&url), &notice("a")).await);
    assert!(why.contains("UnknownIssuer"), "{why}");
}

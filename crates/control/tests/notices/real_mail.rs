//! Mail by a real server, Python's `aiosmtpd`, whose library for mail reads what came.
//!
//! Where `python3` on the path lacks it, the test says so and passes; where `RINGFENCE_REQUIRE_PEERS` names `aiosmtpd`
//! it fails, so that a machine that should have it cannot lose it unnoticed.

#![expect(clippy::print_stdout, reason = "whoever runs the tests should know what was not tried")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ringfence_control::notices::{Desk, MailSettings, Notifier, Outcome, Settings, SmtpProblem, render};
use ringfence_model::Secret;
use ringfence_testkit::{Certificates, certificates, certificates_for, peer_is_required};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use super::kit::{deliver, later, notice, notifier};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/notices/smtp_server.py");

#[tokio::test]
async fn a_mail_arrives_by_starttls_with_user_and_password_and_is_read_as_it_was_meant() {
    let files = certificates();
    let Some(mut server) = Aiosmtpd::start("starttls", &files) else { return };
    let notifier = by(&server, "smtp+starttls", Some("correct horse"), &[&files]);
    assert_eq!(notifier.probe_mail().await, Ok(()));
    let notice = notice("Ana’s “Café” 東京 <x@example.com>\r\nBcc: victim@example.com");
    assert_eq!(deliver(&notifier, &notice).await, Outcome::Delivered);

    let mail = server.next_mail();
    assert_eq!(mail["encrypted"], true);
    assert_eq!(mail["user"], "ringfence");
    assert_eq!(mail["hello"], "hooks.example.com");
    assert_eq!(mail["mail_from"], "ringfence@hooks.example.com");
    assert_eq!(mail["rcpt_tos"], serde_json::json!(["ops@example.com"]));
    assert_eq!(mail["defects"], serde_json::json!([]));
    let header = |name: &str| {
        let headers = mail["headers"].as_array().unwrap();
        let found: Vec<_> = headers.iter().filter(|it| it[0] == name).collect();
        assert_eq!(found.len(), 1, "{name}: {headers:#?}");
        found[0][1].as_str().unwrap().to_owned()
    };
    assert_eq!(header("Subject"), render::subject(&notice, &Desk::default()));
    assert!(header("Subject").contains("Ana’s “Café” 東京 <x@example.com> Bcc: victim@example.com"));
    assert_eq!(header("From"), "Ringfence <ringfence@hooks.example.com>");
    assert_eq!(header("To"), "Operations <ops@example.com>");
    assert_eq!(header("Date"), "Thu, 26 Nov 2026 01:50:45 +0000");
    assert_eq!(header("Auto-Submitted"), "auto-generated");
    assert_eq!(header("X-Ringfence-Notice"), "tripped");
    assert_eq!(header("X-Ringfence-Severity"), "critical");
    assert!(header("Message-ID").starts_with(&format!("<{}.", notice.id())));
    assert_eq!(mail["headers"].as_array().unwrap().len(), 11, "{:#?}", mail["headers"]);
    let text = mail["text"].as_str().unwrap().replace("\r\n", "\n");
    assert_eq!(text.trim_end(), render::mail_text(&notice, &Desk::default()).trim_end());
}

#[tokio::test]
async fn a_mail_arrives_by_tls_from_the_start() {
    let files = certificates();
    let Some(mut server) = Aiosmtpd::start("tls", &files) else { return };
    let notifier = by(&server, "smtps", Some("correct horse"), &[&files]);
    assert_eq!(deliver(&notifier, &notice("customer-17")).await, Outcome::Delivered);
    let mail = server.next_mail();
    assert_eq!((&mail["encrypted"], &mail["user"]), (&Value::from(true), &Value::from("ringfence")));
}

#[tokio::test]
async fn a_mail_arrives_in_clear_on_this_machine() {
    let files = certificates();
    let Some(mut server) = Aiosmtpd::start("plain", &files) else { return };
    let notifier = by(&server, "smtp", Some("correct horse"), &[]);
    assert_eq!(deliver(&notifier, &notice("customer-17")).await, Outcome::Delivered);
    assert_eq!(server.next_mail()["encrypted"], false);
}

#[tokio::test]
async fn wrong_credentials_are_told_apart_and_may_be_put_right() {
    let files = certificates();
    let Some(server) = Aiosmtpd::start("starttls", &files) else { return };
    let notifier = by(&server, "smtp+starttls", Some("wrong horse"), &[&files]);
    let name = format!("localhost:{}", server.port);
    assert_eq!(notifier.probe_mail().await, Err(SmtpProblem::Credentials { server: name, code: 535 }));
    later(deliver(&notifier, &notice("customer-17")).await);
}

#[tokio::test]
async fn without_credentials_a_server_that_wants_them_is_asked_again_later() {
    let files = certificates();
    let Some(server) = Aiosmtpd::start("starttls", &files) else { return };
    let notifier = by(&server, "smtp+starttls", None, &[&files]);
    let why = later(deliver(&notifier, &notice("customer-17")).await);
    assert!(why.contains("the sender: 530"), "{why}");
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_or_of_another_name_is_a_failure_of_tls() {
    let (trusted, elsewhere) = (certificates(), certificates_for(&["mail.example.com"]));
    for (how, scheme) in [("starttls", "smtp+starttls"), ("tls", "smtps")] {
        let Some(server) = Aiosmtpd::start(how, &trusted) else { return };
        let stranger = by(&server, scheme, Some("correct horse"), &[]);
        let problem = stranger.probe_mail().await;
        assert!(matches!(problem, Err(SmtpProblem::Tls { .. })), "{how}: {problem:?}");
        let why = later(deliver(&stranger, &notice("customer-17")).await);
        assert!(why.contains("UnknownIssuer"), "{how}: {why}");

        let Some(server) = Aiosmtpd::start(how, &elsewhere) else { return };
        let problem = by(&server, scheme, Some("correct horse"), &[&elsewhere]).probe_mail().await;
        assert!(matches!(problem, Err(SmtpProblem::Tls { .. })), "{how}: {problem:?}");
    }
}

fn by(server: &Aiosmtpd, scheme: &str, password: Option<&str>, trusted: &[&Certificates]) -> Notifier {
    let smtp = format!("{scheme}://localhost:{}", server.port);
    let to = ["Operations <ops@example.com>".to_owned()];
    let credentials = password.map(|password| ("ringfence".to_owned(), Secret::new(password)));
    let mail = MailSettings::new(&smtp, "Ringfence <ringfence@hooks.example.com>", &to, credentials);
    let roots = trusted.iter().map(|files| CertificateDer::from_pem_file(files.authority_path()).unwrap());
    notifier(Settings { mail: Some(mail.unwrap()), extra_roots: roots.collect(), ..Settings::default() })
}

/// A running server; it ends when its standard input does, and is ended when dropped.
struct Aiosmtpd {
    child: Child,
    output: BufReader<ChildStdout>,
    port: u16,
    _input: ChildStdin,
}

impl Aiosmtpd {
    fn start(how: &str, files: &Certificates) -> Option<Self> {
        let known = Command::new("python3").args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
        if !known.is_ok_and(|status| status.success()) {
            assert!(!peer_is_required("aiosmtpd"), "python3 on the path has no aiosmtpd");
            println!("SKIPPED: `python3` on the path has no aiosmtpd (PyPI)");
            return None;
        }
        let mut child = Command::new("python3")
            .arg(SCRIPT)
            .arg(how)
            .args([files.chain_path(), files.key_path()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, output, port: 0, _input: input };
        server.port = u16::try_from(server.line()["port"].as_u64().unwrap()).unwrap();
        Some(server)
    }

    fn next_mail(&mut self) -> Value {
        self.line()
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("the server said {line:?}: {error}"))
    }
}

impl Drop for Aiosmtpd {
    fn drop(&mut self) {
        // It may have ended by itself; what counts is that it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

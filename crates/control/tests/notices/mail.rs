//! Mail against servers that refuse, hang, lie and speak something else.

use std::time::Instant;

use ringfence_control::notices::{Attempt, MailSettings, Notifier, Outcome, Settings, SmtpProblem, SmtpStep};
use ringfence_model::Secret;
use ringfence_testkit::{Certificates, RawUpstream, certificates, free_port};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::kit::{TIMEOUT, acceptor, at, deliver, first_attempt, later, notice, notifier, refused};
use super::scripted::{Reply, Scripted};

fn by(server: &Scripted) -> Notifier {
    to(&format!("smtp://{}", server.address), &["ops@example.com"], None)
}

fn to(smtp: &str, recipients: &[&str], password: Option<&str>) -> Notifier {
    let recipients: Vec<_> = recipients.iter().map(|it| (*it).to_owned()).collect();
    let credentials = password.map(|password| ("ringfence".to_owned(), Secret::new(password)));
    let mail = MailSettings::new(smtp, "Ringfence <ringfence@hooks.example.com>", &recipients, credentials);
    notifier(Settings { mail: Some(mail.unwrap()), timeout: TIMEOUT, ..Settings::default() })
}

/// A server that answers `reply` to lines that begin with `step`; to everything else it is kind.
async fn answering(step: &'static str, reply: Reply) -> Scripted {
    Scripted::start(move |line| {
        let is_it = if step.is_empty() { line.is_empty() } else { line.starts_with(step) };
        is_it.then(|| reply.clone())
    })
    .await
}

/// A server that says `reply` at a step, and what becomes of the mail.
async fn outcome_at(step: &'static str, reply: &str) -> Outcome {
    let server = answering(step, Reply::Say(reply.to_owned())).await;
    deliver(&by(&server), &notice("customer-17")).await
}

#[tokio::test]
async fn a_temporary_no_is_tried_later_at_every_step() {
    for (step, reply) in [
        ("", "421 4.3.2 too busy"),
        ("EHLO", "421 4.3.2 too busy"),
        ("MAIL", "451 4.3.0 later"),
        ("RCPT", "450 4.2.1 mailbox busy"),
        ("DATA", "451 4.3.0 later"),
        (".", "452 4.3.1 no space"),
    ] {
        let why = later(outcome_at(step, reply).await);
        assert!(why.contains(&reply[..3]), "{step}: {why}");
    }
}

#[tokio::test]
async fn a_permanent_no_to_the_mail_is_final() {
    for (step, reply) in [
        ("MAIL", "550 5.7.1 not from you"),
        ("RCPT", "550 5.1.1 no such user"),
        ("DATA", "554 5.6.0 no"),
        (".", "554 5.7.1 looks like spam"),
    ] {
        let why = refused(outcome_at(step, reply).await);
        assert!(why.contains(reply), "{step}: {why}");
    }
}

#[tokio::test]
async fn a_permanent_no_to_the_connection_may_change_and_is_tried_later() {
    for (step, reply) in
        [("", "554 5.7.1 not on our list"), ("EHLO", "550 no"), ("MAIL", "530 5.7.0 sign in first")]
    {
        let why = later(outcome_at(step, reply).await);
        assert!(why.contains(&reply[..3]), "{step}: {why}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_at_any_step_is_left_after_the_timeout() {
    for (step, named) in [
        ("", "the connection"),
        ("EHLO", "the connection"),
        ("MAIL", "the sender"),
        ("RCPT", "the recipient"),
        ("DATA", "the text"),
        (".", "the text"),
    ] {
        let server = answering(step, Reply::Hang).await;
        let begin = Instant::now();
        let why = later(deliver(&by(&server), &notice("customer-17")).await);
        assert!(why.contains(named) && why.ends_with("in time"), "{step}: {why}");
        assert!(begin.elapsed() < TIMEOUT * 5, "{step}: {:?}", begin.elapsed());
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_at_any_step_is_tried_later() {
    for step in ["", "EHLO", "MAIL", "RCPT", "DATA", "."] {
        let server = answering(step, Reply::Close).await;
        later(deliver(&by(&server), &notice("customer-17")).await);
    }
}

#[tokio::test]
async fn a_server_that_took_the_mail_and_does_not_say_goodbye_has_it() {
    for reply in [Reply::Close, Reply::Say("500 what".to_owned()), Reply::Say("garbage".to_owned())] {
        let server = answering("QUIT", reply).await;
        assert_eq!(deliver(&by(&server), &notice("customer-17")).await, Outcome::Delivered);
    }
}

#[tokio::test]
async fn what_speaks_no_smtp_is_known_as_such() {
    for greeting in ["HTTP/1.1 400 Bad Request", "SSH-2.0-OpenSSH_9.2", "\u{0}\u{1}\u{2}", "99", "600 what"] {
        let server = answering("", Reply::Say(greeting.to_owned())).await;
        let problem = by(&server).probe_mail().await;
        assert!(matches!(problem, Err(SmtpProblem::NotSmtp { .. })), "{greeting:?}: {problem:?}");
    }
    let closing = answering("", Reply::Close).await;
    let (server, why) = (closing.address.to_string(), "it ends the connection without an answer".to_owned());
    assert_eq!(by(&closing).probe_mail().await, Err(SmtpProblem::NotSmtp { server, why }));
}

#[tokio::test]
async fn a_line_without_an_end_does_not_fill_the_memory_for_longer_than_the_timeout() {
    let server = answering("", Reply::Say("220-".repeat(200_000))).await;
    later(deliver(&by(&server), &notice("customer-17")).await);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let nobody = to(&format!("smtp://127.0.0.1:{}", free_port()), &["ops@example.com"], None);
    assert!(matches!(nobody.probe_mail().await, Err(SmtpProblem::Unreachable { .. })));
    let why = later(deliver(&nobody, &notice("customer-17")).await);
    assert!(why.contains("cannot be reached"), "{why}");
    let unknown = to("smtp+insecure://nowhere.invalid", &["ops@example.com"], None);
    assert!(matches!(
        unknown.probe_mail().await,
        Err(SmtpProblem::Unreachable { .. } | SmtpProblem::TooSlow { .. })
    ));
}

#[tokio::test]
async fn a_recipient_that_is_refused_keeps_nobody_else_from_their_mail() {
    let server = Scripted::start(|line| {
        line.contains("<gone@example.com>").then(|| Reply::Say("550 5.1.1 no such user".to_owned()))
    })
    .await;
    let notifier = to(&format!("smtp://{}", server.address), &["gone@example.com", "ops@example.com"], None);
    let notice = notice("customer-17");
    let destinations = notifier.destinations(&notice);
    assert_eq!(destinations.len(), 2);
    refused(notifier.deliver(&notice, &destinations[0], first_attempt()).await);
    assert_eq!(notifier.deliver(&notice, &destinations[1], first_attempt()).await, Outcome::Delivered);
    let to_them: Vec<_> = server.heard().into_iter().filter(|line| line.starts_with("To: ")).collect();
    assert_eq!(to_them, ["To: gone@example.com, ops@example.com"], "everybody sees who else is told");
}

#[tokio::test]
async fn the_same_mail_again_has_the_same_name() {
    let server = Scripted::start(|_| None).await;
    let notifier = by(&server);
    let notice = notice("customer-17");
    let destination = notifier.destinations(&notice).remove(0);
    let again = Attempt { now: at("2026-11-26T03:00:00Z"), first: Some(first_attempt().now) };
    for attempt in [first_attempt(), again] {
        assert_eq!(notifier.deliver(&notice, &destination, attempt).await, Outcome::Delivered);
    }
    let named =
        |name: &str| server.heard().into_iter().filter(|line| line.starts_with(name)).collect::<Vec<_>>();
    let ids = named("Message-ID: ");
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
    assert!(ids[0].ends_with("@hooks.example.com>"), "{}", ids[0]);
    assert_eq!(
        named("Date: "),
        ["Date: Thu, 26 Nov 2026 01:50:45 +0000", "Date: Thu, 26 Nov 2026 03:00:00 +0000"]
    );
    assert_eq!(named("EHLO"), ["EHLO hooks.example.com", "EHLO hooks.example.com"]);
}

#[tokio::test]
async fn a_friendly_name_adds_no_header_no_recipient_and_no_command() {
    let server = Scripted::start(|_| None).await;
    let evil = "x\r\nBcc: victim@example.com\r\n\r\n.\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.com>\r\n";
    assert_eq!(deliver(&by(&server), &notice(evil)).await, Outcome::Delivered);
    let heard = server.heard();
    let data = heard.iter().position(|line| line == "DATA").unwrap();
    let end_of_headers = heard.iter().position(String::is_empty).unwrap();
    let commands =
        ["EHLO hooks.example.com", "MAIL FROM:<ringfence@hooks.example.com>", "RCPT TO:<ops@example.com>"];
    assert_eq!(heard[..data], commands);
    for line in &heard[data + 1..end_of_headers] {
        let name = line.split_once(':').map_or("", |(name, _)| name);
        let ours = [
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "Auto-Submitted",
            "X-Ringfence-Notice",
            "X-Ringfence-Severity",
            "MIME-Version",
            "Content-Type",
            "Content-Transfer-Encoding",
        ];
        assert!(line.starts_with(' ') || ours.contains(&name), "{heard:#?}");
    }
    assert_eq!(heard.iter().filter(|line| *line == ".").count(), 1);
    assert!(heard.iter().all(|line| line.is_ascii() && line.len() <= 998), "RFC 5322, 2.1.1");
}

#[tokio::test]
async fn without_starttls_nothing_is_said_to_a_server_that_should_have_it() {
    let server = Scripted::start(|_| None).await;
    let url = format!("smtp+starttls://{}", server.address);
    let notifier = to(&url, &["ops@example.com"], Some("correct horse"));
    assert_eq!(
        notifier.probe_mail().await,
        Err(SmtpProblem::NoStartTls { server: server.address.to_string() })
    );
    later(deliver(&notifier, &notice("customer-17")).await);
    let said = server.heard();
    assert!(said.iter().all(|line| line.starts_with("EHLO") || line == "QUIT"), "{said:?}");
}

/// A server whose answer to `STARTTLS` comes with `appended` behind it, in clear, as somebody in the network would put it
/// there; the handshake after it is a genuine one.
async fn with_appended(appended: &'static [u8], files: &Certificates) -> RawUpstream {
    let acceptor = acceptor(files);
    RawUpstream::start(move |_, stream| {
        let acceptor = acceptor.clone();
        // What the client makes of it is the test's business, whether it stays or not.
        async move { drop(start_tls(stream, &acceptor, appended).await) }
    })
    .await
}

async fn start_tls(mut stream: TcpStream, acceptor: &TlsAcceptor, appended: &[u8]) -> std::io::Result<()> {
    let mut line = [0; 512];
    stream.write_all(b"220 test ESMTP\r\n").await?;
    let greeted = stream.read(&mut line).await?;
    stream.write_all(b"250-test\r\n250 STARTTLS\r\n").await?;
    let asked = stream.read(&mut line).await?;
    assert!(greeted > 0 && asked > 0, "the client leaves too early");
    stream.write_all(&[b"220 go on\r\n", appended].concat()).await?;
    let mut stream = acceptor.accept(stream).await?;
    while stream.read(&mut line).await? > 0 {
        stream.write_all(b"250 encrypted\r\n").await?;
    }
    Ok(())
}

#[tokio::test]
async fn answers_that_are_appended_to_that_of_starttls_are_not_taken_for_encrypted_ones() {
    let files = certificates();
    let root = CertificateDer::from_pem_file(files.authority_path()).unwrap();
    for (appended, is_fine) in [(&b""[..], true), (b"250 in clear\r\n", false), (b"250", false)] {
        let server = with_appended(appended, &files).await;
        let smtp = format!("smtp+starttls://localhost:{}", server.address().port());
        let mail = MailSettings::new(&smtp, "a@example.com", &["ops@example.com".to_owned()], None).unwrap();
        let extra_roots = vec![root.clone()];
        let notifier =
            notifier(Settings { mail: Some(mail), extra_roots, timeout: TIMEOUT, ..Settings::default() });
        match notifier.probe_mail().await {
            Ok(()) => assert!(is_fine, "{appended:?}"),
            Err(SmtpProblem::Tls { .. }) => assert!(!is_fine, "{appended:?}"),
            Err(problem) => panic!("{appended:?}: {problem:?}"),
        }
    }
}

#[tokio::test]
async fn tls_where_there_is_none_is_a_failure_of_tls() {
    let plain = Scripted::start(|_| None).await;
    let problem = to(&format!("smtps://{}", plain.address), &["ops@example.com"], None).probe_mail().await;
    assert!(matches!(problem, Err(SmtpProblem::Tls { .. })), "{problem:?}");
}

/// A server on this machine that wants user and password, and answers `reply` to them.
async fn wanting(reply: &'static str) -> (Scripted, Notifier) {
    let server = Scripted::start(move |line| match line {
        _ if line.starts_with("EHLO") => Some(Reply::Say("250-test\r\n250 AUTH PLAIN LOGIN".to_owned())),
        _ if line.starts_with("AUTH") => Some(Reply::Say(reply.to_owned())),
        _ => None,
    })
    .await;
    let notifier = to(&format!("smtp://{}", server.address), &["ops@example.com"], Some("correct horse"));
    (server, notifier)
}

#[tokio::test]
async fn refused_credentials_are_told_apart_and_not_repeated_to_anybody() {
    let (server, notifier) = wanting("535 5.7.8 wrong password 'correct horse' for ringfence").await;
    let problem = notifier.probe_mail().await.unwrap_err();
    assert_eq!(problem, SmtpProblem::Credentials { server: server.address.to_string(), code: 535 });
    let why = later(deliver(&notifier, &notice("customer-17")).await);
    assert!(why.contains("535") && !why.contains("correct horse"), "{why}");

    let (server, notifier) = wanting("454 4.7.0 'correct horse'? ask me later").await;
    let problem = notifier.probe_mail().await.unwrap_err();
    let (server, step, said) = (server.address.to_string(), SmtpStep::Credentials, String::new());
    assert_eq!(problem, SmtpProblem::Refused { server, step, code: 454, said });
}

#[tokio::test]
async fn a_server_that_takes_no_password_is_told_apart() {
    let server = Scripted::start(|_| None).await;
    let notifier = to(&format!("smtp://{}", server.address), &["ops@example.com"], Some("correct horse"));
    assert_eq!(notifier.probe_mail().await, Err(SmtpProblem::NoAuth { server: server.address.to_string() }));
}

#[tokio::test]
async fn credentials_that_are_taken_are_sent_before_the_mail() {
    let (server, notifier) = wanting("235 2.7.0 welcome").await;
    assert_eq!(notifier.probe_mail().await, Ok(()));
    assert_eq!(server.heard().len(), 3, "EHLO, AUTH, QUIT, and no mail: {:?}", server.heard());
    assert_eq!(deliver(&notifier, &notice("customer-17")).await, Outcome::Delivered);
}

#[tokio::test]
async fn what_a_server_says_is_shown_without_numbers_and_line_ends() {
    let reply = "550-5.1.1 no +14155550100 here,\r\n550 5.1.1 token 0123456789abcdef0123456789abcdef";
    let why = refused(outcome_at("RCPT", reply).await);
    assert!(why.contains("no … here,") && !why.contains("0100") && !why.contains("89abcdef"), "{why}");
    assert!(!why.contains(['\r', '\n']), "{why:?}");
}

#[tokio::test]
async fn nothing_is_probed_where_there_is_no_mail() {
    assert_eq!(notifier(Settings::default()).probe_mail().await, Ok(()));
}

//! What `[notify]` may say.

use std::sync::Arc;

use ringfence_model::{Secret, Sid};

use super::super::*;
use super::fixtures::*;

fn to(text: &str) -> Vec<String> {
    text.split(' ').filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

fn mail(smtp: &str) -> Result<MailSettings, SettingsProblem> {
    MailSettings::new(smtp, "ringfence@example.com", &to("ops@example.com"), None)
}

fn signed(smtp: &str, user: &str, password: &str) -> Result<MailSettings, SettingsProblem> {
    let credentials = Some((user.to_owned(), Secret::new(password)));
    MailSettings::new(smtp, "ringfence@example.com", &to("ops@example.com"), credentials)
}

fn webhook(url: &str, secret: Option<&str>, slack: bool) -> Result<WebhookSettings, SettingsProblem> {
    WebhookSettings::new(url, secret.map(Secret::new), slack)
}

#[test]
fn a_mail_server_that_cannot_be_one_is_refused() {
    for url in [
        "",
        "localhost",
        "localhost:25",
        "smtp:",
        "smtp://",
        "http://mail.example.com",
        "smtp://mail example.com",
        "smtp://mail.example.com:0",
        "smtp://mail.example.com:66000",
        "smtp://mail.example.com:+25",
        "smtp://mail.example.com:",
        "smtp://mail.example.com/path",
        "smtp://mail.example.com?tls=none",
        "smtp://::1",
        "smtp://[::1",
        "smtp://[mail]:25",
        "smtp://mail\r\nEHLO:25",
        "smtp://user@mail.example.com",
    ] {
        assert_eq!(mail(url).map_err(|problem| problem.key).unwrap_err(), "mail.smtp", "{url:?}");
    }
    let problem = mail("smtp://ana:hunter2@mail.example.com").unwrap_err();
    assert!(!problem.to_string().contains("hunter2"), "{problem}");
    assert!(problem.to_string().contains("user and password beside it"), "{problem}");
}

#[test]
fn mail_is_encrypted_unless_it_stays_on_this_machine_or_somebody_says_otherwise() {
    let server = |url: &str| {
        let server = mail(url).unwrap().server;
        (server.encryption, server.host, server.port)
    };
    let expect = |url: &str, encryption, host: &str, port| {
        assert_eq!(server(url), (encryption, host.to_owned(), port), "{url}");
    };
    expect("smtp://mail.example.com", Encryption::StartTls, "mail.example.com", 587);
    expect("smtp://mail.example.com:25/", Encryption::StartTls, "mail.example.com", 25);
    expect("smtps://mail.example.com", Encryption::Implicit, "mail.example.com", 465);
    expect("SMTPS://192.0.2.1:2465", Encryption::Implicit, "192.0.2.1", 2465);
    expect("smtp://localhost", Encryption::None, "localhost", 25);
    expect("smtp://127.0.0.1:1025", Encryption::None, "127.0.0.1", 1025);
    expect("smtp://[::1]:1025", Encryption::None, "::1", 1025);
    expect("smtp+starttls://localhost", Encryption::StartTls, "localhost", 587);
    expect("smtp+insecure://mailhog:1025", Encryption::None, "mailhog", 1025);
}

#[test]
fn a_password_never_crosses_a_network_in_clear() {
    let problem = signed("smtp+insecure://mail.example.com", "ana", "hunter2").unwrap_err();
    assert_eq!(problem.key, "mail.password");
    assert!(!problem.to_string().contains("hunter2"));
    for url in ["smtp://mail.example.com", "smtps://mail.example.com", "smtp://localhost"] {
        assert!(signed(url, "ana", "hunter2").is_ok(), "{url}");
    }
    for (user, password) in [("", "hunter2"), ("ana", "")] {
        assert_eq!(signed("smtps://mail.example.com", user, password).unwrap_err().key, "mail.user");
    }
}

#[test]
fn addresses_that_are_none_are_refused() {
    let from = |from: &str| MailSettings::new("smtp://localhost", from, &to("ops@example.com"), None);
    for address in [
        "",
        "ops",
        "ops@",
        "@example.com",
        "a@b@c",
        "ops@example.com\r\nBcc: x@example.com",
        "ops@exämple.com",
        "ä@example.com",
    ] {
        assert_eq!(from(address).unwrap_err().key, "mail.from", "{address:?}");
    }
    assert_eq!(from("Ringfence (production) <ringfence@example.com>").unwrap_err().key, "mail.from");
    let from = from("Ringfence <ringfence@hooks.example.com>").unwrap();
    assert_eq!(from.server.hello, "hooks.example.com");
    for (list, key) in [("", "mail.to"), ("ops@example.com OPS@example.com", "mail.to"), ("ops", "mail.to")] {
        let problem = MailSettings::new("smtp://localhost", "a@example.com", &to(list), None).unwrap_err();
        assert_eq!(problem.key, key, "{list}");
    }
}

#[test]
fn a_webhook_without_a_host_or_a_secret_is_refused() {
    let good = Some("0123456789abcdef");
    for url in [
        "",
        "ops.example.com",
        "/alerts",
        "ftp://ops.example.com",
        "https://",
        "https://a b/",
        "https://u:p@ops.example.com/",
        "https://:443/",
    ] {
        assert_eq!(webhook(url, good, false).unwrap_err().key, "webhook.url", "{url}");
    }
    for secret in [
        None,
        Some(""),
        Some("short"),
        Some("whsec_"),
        Some("whsec_not base64 at all, but long"),
        Some("whsec_c2hvcnQ="),
    ] {
        assert_eq!(webhook("https://ops.example.com/a", secret, false).unwrap_err().key, "webhook.secret");
    }
    assert!(webhook("https://ops.example.com/a", good, false).is_ok());
    assert!(webhook("https://ops.example.com/a", Some("whsec_MDEyMzQ1Njc4OWFiY2RlZg=="), false).is_ok());
    assert!(
        webhook("https://hooks.slack.com/services/T0/B0/xyz", None, true).is_ok(),
        "there the URL is the secret"
    );
}

#[test]
fn a_webhook_in_clear_is_known_as_such_and_its_path_is_not_shown() {
    let clear = |url: &str| webhook(url, Some("0123456789abcdef"), false).unwrap().is_in_clear();
    assert!(clear("http://ops.example.com/a"));
    assert!(
        !clear("https://ops.example.com/a")
            && !clear("http://localhost:9000/a")
            && !clear("http://127.0.0.1/")
    );
    let shown = format!("{:?}", webhook("https://hooks.slack.com/services/T0/B0/xyz", None, true).unwrap());
    assert!(shown.contains("hooks.slack.com") && !shown.contains("xyz"), "{shown}");
}

#[test]
fn phones_that_are_none_are_refused() {
    let good = || to("+15550100123");
    for (account, from, list, key) in [
        ("AC1", "+15550006789", good(), "sms.account"),
        ("SK0123456789abcdef0123456789abcdef", "+15550006789", good(), "sms.account"),
        (SID, "", good(), "sms.from"),
        (SID, "a name too long", good(), "sms.from"),
        (SID, "Ops!", good(), "sms.from"),
        (SID, "+15550006789", Vec::new(), "sms.to"),
        (SID, "+15550006789", to("5550100123"), "sms.to"),
        (SID, "+15550006789", to("+15550100123 +15550100123"), "sms.to"),
        (SID, "+15550100123", good(), "sms.to"),
    ] {
        assert_eq!(SmsSettings::new(account, from, &list).unwrap_err().key, key, "{account} {from} {list:?}");
    }
    for from in ["+15550006789", "MG0123456789abcdef0123456789abcdef", "22300", "Ringfence"] {
        assert!(SmsSettings::new(SID, from, &good()).is_ok(), "{from}");
    }
    assert_eq!(
        CallSettings::new(SID, "Ringfence", &good()).unwrap_err().key,
        "call.from",
        "a name cannot call"
    );
    assert_eq!(CallSettings::new(SID, "+15550100123", &good()).unwrap_err().key, "call.to");
    assert_eq!(CallSettings::new(SID, "+15550006789", &[]).unwrap_err().key, "call.to");
    assert!(CallSettings::new(SID, "+15550006789", &good()).is_ok());
}

fn notifier(settings: Settings) -> Notifier {
    Notifier::new(settings, Arc::new(|_: Sid| None)).unwrap()
}

fn everything() -> Settings {
    Settings {
        mail: Some(
            MailSettings::new(
                "smtp://localhost",
                "a@example.com",
                &to("ops@example.com ana@example.com"),
                None,
            )
            .unwrap(),
        ),
        webhook: Some(webhook("https://hooks.slack.com/services/T0/B0/xyz", None, true).unwrap()),
        sms: Some(SmsSettings::new(SID, "+15550006789", &to("+15550100123")).unwrap()),
        call: Some(CallSettings::new(SID, "+15550006789", &to("+15550100123")).unwrap()),
        ..Settings::default()
    }
}

#[test]
fn a_channel_takes_what_matters_enough_for_it_and_every_test() {
    let notifier = notifier(everything());
    let kinds = |notice: &Notice| {
        let destinations = notifier.destinations(notice);
        destinations.iter().map(|it| it.to_string().split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = all("a", "x");
    assert_eq!(kinds(&all[0]), ["mail", "mail", "webhook", "sms"], "a warning wakes nobody up");
    assert_eq!(kinds(&all[1]), ["mail", "mail", "webhook", "sms", "call"]);
    let reset = all.iter().find(|it| matches!(it.event, Event::Reset { .. })).unwrap();
    assert_eq!(kinds(reset), ["mail", "mail", "webhook"], "a reset is good to know");
    assert_eq!(kinds(all.last().unwrap()), ["mail", "mail", "webhook", "sms", "call"], "a test goes to all");
    assert!(notifier.destinations(&all[0]).iter().all(|it| notifier.describe(it).is_some()));
}

#[test]
fn a_destination_names_nobody_in_clear_and_is_described_without_secrets() {
    let notifier = notifier(everything());
    let destinations = notifier.destinations(&notice(Event::Test { by: "ana".to_owned() }));
    let kept = serde_json::to_string(&destinations).unwrap();
    assert!(!kept.contains("example.com") && !kept.contains("555"), "{kept}");
    assert_eq!(serde_json::from_str::<Vec<Destination>>(&kept).unwrap(), destinations);
    let described: Vec<_> = destinations.iter().filter_map(|it| notifier.describe(it)).collect();
    assert_eq!(
        described,
        [
            "mail to ops@example.com",
            "mail to ana@example.com",
            "webhook to hooks.slack.com",
            "SMS to +155…23",
            "call to +155…23"
        ]
    );
}

#[tokio::test]
async fn a_recipient_who_is_no_longer_named_is_refused_and_not_retried() {
    let before = notifier(everything());
    let notice = tripped("a", "x");
    let gone = &before.destinations(&notice)[0];
    let mut settings = everything();
    settings.mail =
        Some(MailSettings::new("smtp://localhost", "a@example.com", &to("ana@example.com"), None).unwrap());
    let after = notifier(settings);
    let attempt = Attempt { now: notice.at, first: None };
    assert!(matches!(after.deliver(&notice, gone, attempt).await, Outcome::Refused(_)));
    assert!(
        after.destinations(&notice).contains(&before.destinations(&notice)[1]),
        "the others keep their name"
    );
}

#[tokio::test]
async fn without_credentials_of_the_account_a_text_message_waits() {
    let notifier = notifier(everything());
    let notice = tripped("a", "x");
    let attempt = Attempt { now: notice.at, first: None };
    for destination in &notifier.destinations(&notice)[3..] {
        let outcome = notifier.deliver(&notice, destination, attempt).await;
        assert!(matches!(&outcome, Outcome::TryLater(why) if why.contains(SID)), "{outcome:?}");
    }
}

#[test]
fn nobody_is_told_by_default() {
    let notifier = notifier(Settings::default());
    assert_eq!(notifier.destinations(&notice(Event::Test { by: String::new() })), []);
}

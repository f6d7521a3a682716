//! `[notify]`: who is told, and how.

use super::*;
use crate::config::notify::{Notify, SmtpTls};

const MAIL: &str =
    "mail = { smtp = \"smtp://localhost:25\", from = \"ringfence@example.com\", to = [\"ops@example.com\"] }";

fn notify(lines: &str) -> Notify {
    let loaded = read(&armed(MAIL, lines)).unwrap_or_else(|error| panic!("{error}"));
    loaded.control.notify.expect("somebody is told")
}

#[test]
fn somebody_must_be_told() {
    armed_refused(MAIL, "", "r.toml:31: [notify] tells nobody; add mail = {");
    armed_refused(
        MAIL,
        "mial = 1\nwebhook = { url = \"https://a.example\", slack = true }",
        "did you mean \"mail\"?",
    );
    armed_refused(MAIL, "mail = \"ops@example.com\"", "this is a text, not a table");
}

#[test]
fn a_mail_server_is_named_by_scheme_host_and_port() {
    let smtp = |url: &str, expected: &str| armed_refused("smtp://localhost:25", url, expected);
    for (url, expected) in [
        (
            "localhost:25",
            "r.toml:32: `smtp` in mail of [notify]: this has no scheme; write \"smtp://host:25\"",
        ),
        ("http://localhost", "is no address of a mail server"),
        ("smtp://", "has no host"),
        ("smtp://:25", "has no host"),
        ("smtp://localhost:0", "has no port that could be reached"),
        ("smtp://localhost:99999", "has no"),
        ("smtp://localhost:", "has no port that could be reached"),
        ("smtp://localhost/path", "has a path"),
        ("smtp://localhost?tls", "has something else than starttls after the ?"),
        ("smtps://localhost?starttls", "begins with TLS already"),
    ] {
        smtp(url, expected);
    }
    let error = read(&armed("smtp://localhost:25", "smtp://user:geheim@localhost"))
        .expect_err("a password")
        .to_string();
    assert!(error.contains("belongs in `user`") && !error.contains("geheim"), "{error}");
    for (url, host, port, tls) in [
        ("smtp://localhost", "localhost", 25, SmtpTls::None),
        ("smtp://[::1]:2525", "::1", 2_525, SmtpTls::None),
        ("smtp://mail.example.com?starttls", "mail.example.com", 587, SmtpTls::StartTls),
        ("smtp://mail.example.com:25?starttls", "mail.example.com", 25, SmtpTls::StartTls),
        ("smtps://mail.example.com", "mail.example.com", 465, SmtpTls::Implicit),
    ] {
        let mail = notify(&MAIL.replace("smtp://localhost:25", url)).mail.expect("mail");
        assert_eq!((mail.host.as_str(), mail.port, mail.tls), (host, port, tls), "{url}");
    }
}

#[test]
fn a_password_does_not_go_to_a_mail_server_in_clear() {
    let login = "user = \"u\", password = { env = \"PASSWORD\" }, smtp = \"smtp://mail.example.com\"";
    armed_refused("smtp = \"smtp://localhost:25\"", login, "the password would go over the network in clear");
    armed_warned("smtp://localhost:25", "smtp://mail.example.com", "mail goes over the network in clear");
    let mail =
        notify(&MAIL.replace("smtp = \"smtp://localhost:25\"", &login.replace("smtp:", "smtps:"))).mail;
    let (user, password) = mail.and_then(|mail| mail.login).expect("a login");
    assert_eq!((user.as_str(), password.expose()), ("u", "correct horse"));
    armed_refused("smtp = ", "user = \"u\", smtp = ", "it does nothing without `password`; add it");
    armed_refused(
        "smtp = ",
        "password = { env = \"PASSWORD\" }, smtp = ",
        "it does nothing without `user`; add it",
    );
}

#[test]
fn mail_goes_from_an_address_to_addresses() {
    for wrong in [
        "ops",
        "@example.com",
        "ops@",
        "a b@example.com",
        "Ops <ops@example.com>",
        "a@b.c,d@e.f",
        "a@b.c\\nBcc: d@e.f",
    ] {
        armed_refused(
            "[\"ops@example.com\"]",
            &format!("[\"{wrong}\"]"),
            "is not a mail address; write a mail address",
        );
        armed_refused("\"ringfence@example.com\"", &format!("\"{wrong}\""), "is not a mail address");
    }
    armed_refused("[\"ops@example.com\"]", "[]", "the list is empty");
    armed_refused("[\"ops@example.com\"]", "\"ops@example.com\"", "this is a text, not a list");
    armed_refused(", to = [\"ops@example.com\"]", "", "has no `to`");
    let many = ["\"ops@example.com\""; 21].join(", ");
    armed_refused("[\"ops@example.com\"]", &format!("[{many}]"), "the list has more than 20");
}

#[test]
fn a_webhook_is_a_url_that_is_not_printed() {
    let webhook =
        |inside: &str, expected: &str| armed_refused(MAIL, &format!("webhook = {{ {inside} }}"), expected);
    webhook("slack = true", "has no `url`");
    webhook("url = \"ops.example.com\", slack = true", "this is no URL with https://");
    webhook(
        "url = \"ftp://ops.example.com/geheim\", slack = true",
        "this is no URL with https://; write a URL such as",
    );
    webhook("url = \"https://u:p@ops.example.com\", slack = true", "has a user name in it");
    webhook("url = 1, slack = true", "this is a whole number, not a URL");
    webhook("url = \"https://a.example\", secret = { env = \"NOWHERE\" }", "is not set");
    webhook("url = \"https://a.example\", slack = \"yes\"", "not true or false");
    armed_warned(
        MAIL,
        "webhook = { url = \"https://a.example\" }",
        "the receiver cannot tell our notices from anybody's",
    );
    armed_warned(
        MAIL,
        "webhook = { url = \"http://a.example\", slack = true }",
        "notices go over the network in clear",
    );
    let webhook =
        notify("webhook = { url = \"https://hooks.example/T0/geheim\", secret = { env = \"KEY\" } }").webhook;
    let webhook = webhook.expect("a webhook");
    assert_eq!((webhook.host.as_str(), webhook.slack), ("hooks.example", false));
    assert_eq!(webhook.url.expose(), "https://hooks.example/T0/geheim");
    assert!(!format!("{webhook:?}").contains("geheim") && webhook.secret.is_some());
}

#[test]
fn people_on_call_have_numbers_and_a_sender_that_stays() {
    let sms = |account: &str, from: &str, to: &str| {
        format!("sms = {{ account = \"{account}\", from = \"{from}\", to = [{to}] }}")
    };
    let (from, to) = ("+15550006789", "\"+15550001234\"");
    armed_refused(MAIL, &sms("AC1", from, to), "is not an account's SID");
    armed_refused(
        MAIL,
        &sms("AC33333333333333333333333333333333", from, to),
        "has no auth token here to send with",
    );
    armed_refused(MAIL, &sms(PARENT, "5550006789", to), "this is no sender; write a number such as");
    armed_refused(MAIL, &sms(PARENT, from, "\"555\""), "this is no phone number with + and its country");
    armed_refused(MAIL, &sms(PARENT, from, ""), "the list is empty");
    let service = "MG00000000000000000000000000000000";
    armed_refused(
        MAIL,
        &sms(PARENT, service, to).replace("sms", "call"),
        "`from` in call of [notify]: this is no sender",
    );
    let told =
        notify(&format!("{}\n{}", sms(PARENT, service, to), sms(PARENT, from, to).replace("sms", "call")));
    assert_eq!(told.sms.map(|sms| (sms.from, sms.to.len())), Some((service.to_owned(), 1)));
    assert!(told.call.is_some());

    let child = "AC11111111111111111111111111111111";
    let listed = format!(
        "\n[[account]]\nsid = \"{child}\"\nauth_token = {{ env = \"TOKEN\" }}\nparent = \"{PARENT}\"\n"
    );
    let text = armed("subaccounts = true\n", &format!("subaccounts = true\n{listed}"))
        .replace(MAIL, &sms(child, from, to));
    warned(&text, "`sms` in [notify]: the limit \"fifty\" can suspend the account that sends these");
}

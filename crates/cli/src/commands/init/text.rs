//! The configuration as it is written: what was answered, each part with what it is for, and nothing that is a default.

use std::fmt::Write as _;
use std::path::Path;

use super::answers::{Answers, Kept, Limit, Mail, Of, Tls};
use super::files::DATABASE;
use crate::commands::toml_text::{comment, quoted};

/// Comments begin here, so that the eye finds them.
const COLUMN: usize = 46;

/// The text of the file.
pub(super) fn of(answers: &Answers) -> String {
    let mut text = "\
# Ringfence, written by `ringfence init`. `ringfence check --print-example` shows every key.
# After a change, check it, and have `serve` read it again with a SIGHUP.
# A secret is { env = \"NAME\" } or { file = \"PATH\" }; paths begin in the folder of this file.
"
    .to_owned();
    listen(answers, &mut text);
    account(answers, &mut text);
    route(answers, &mut text);
    if answers.limit.is_some() || answers.subaccounts {
        store(answers, &mut text);
    }
    if let Some(limit) = &answers.limit {
        limits(answers, limit, &mut text);
    }
    if let Some(mail) = answers.mail.as_ref().filter(|_| answers.limit.is_some()) {
        notify(mail, &mut text);
    }
    if let Some(base) = &answers.twilio {
        text.push_str("\n[twilio]\n");
        line(&mut text, &format!("base_url = {}", quoted(base)), "in the place of Twilio");
    }
    text
}

fn listen(answers: &Answers, text: &mut String) {
    let Answers { called, gate, admin, .. } = answers;
    text.push_str("\n[listen]\n");
    let who = match answers.is_behind_a_proxy() {
        true if called.is_encrypted() => "your proxy ends TLS and leads Twilio's requests here".to_owned(),
        true => "your proxy leads Twilio's requests here".to_owned(),
        false => format!("Twilio reaches this as {}", called.public_url),
    };
    line(text, &format!("gate = {}", quoted(&gate.to_string())), &who);
    let host = called.host_and_port().map(|(host, _)| host).unwrap_or_default();
    for (port, who) in answers.ports_apart() {
        line(text, "", &format!("{who} comes to port {port} of {host}: lead that here"));
    }
    line(
        text,
        &format!("admin = {}", quoted(&admin.to_string())),
        "/livez, /readyz, /metrics: for you, never public",
    );
    match &answers.tls {
        // Off loopback nobody knows where the proxy is, and `check` says that somebody must.
        Tls::Elsewhere if answers.is_behind_a_proxy() => {
            let off = if gate.ip().is_loopback() { "" } else { "# " };
            let key = format!("{off}trusted_proxies = [\"127.0.0.1\"]");
            line(text, &key, "your proxy's address: it says who the caller is");
        }
        Tls::Elsewhere => {}
        Tls::Files { certificate, key } => {
            text.push_str("\n[tls]\n");
            line(text, &format!("certificate = {}", path(certificate)), "PEM; a SIGHUP reads it again");
            line(text, &format!("key = {}", path(key)), "");
        }
        Tls::Acme { contact } => {
            text.push_str("\n[tls.acme]\n");
            line(text, &format!("domains = [{}]", quoted(&host)), "Let's Encrypt must reach it on port 443");
            line(text, &format!("contact = {}", quoted(contact)), "");
            if answers.writes_in.is_some() {
                line(text, &format!("cache = {}", quoted(&written(answers, "acme-cache"))), "");
            }
        }
    }
}

/// The path of what is written while it runs.
fn written(answers: &Answers, name: &str) -> String {
    match answers.writes_in {
        Some(folder) => format!("{folder}/{name}"),
        None => name.to_owned(),
    }
}

fn account(answers: &Answers, text: &mut String) {
    text.push_str("\n[[account]]\n");
    line(text, &format!("sid = {}", quoted(&answers.account.to_string())), "");
    let token = secret(&answers.auth_token);
    line(text, &format!("auth_token = {token}"), "what Twilio signs with");
    if answers.subaccounts {
        line(text, "subaccounts = true", "found at Twilio, with their tokens");
    }
}

fn route(answers: &Answers, text: &mut String) {
    let called = &answers.called;
    let reach = if called.path.ends_with('/') { "and all that begins so" } else { "exactly this" };
    text.push_str("\n[[route]]\n");
    line(text, &format!("path = {}", quoted(&called.path)), reach);
    line(text, &format!("public_url = {}", quoted(&called.public_url)), "what Twilio calls, before the path");
    line(
        text,
        &format!("upstream = {}", quoted(&answers.upstream)),
        "your application: gets what Twilio signed, no more",
    );
    line(text, "check = \"signature\"", "");
}

fn store(answers: &Answers, text: &mut String) {
    text.push_str("\n[store]\n");
    line(
        text,
        &format!("url = {}", quoted(&format!("sqlite:{}", written(answers, DATABASE)))),
        "what is known and was done; made at the first start,",
    );
    line(text, "", "with its key in ringfence.key: keep a copy of that");
}

fn limits(answers: &Answers, limit: &Limit, text: &mut String) {
    let called = &answers.called;
    text.push_str("\n[[route]]\n");
    line(text, &format!("path = {}", quoted(&called.triggers())), "usage triggers at Twilio call this");
    if answers.triggers_apart().is_some() {
        line(text, "", "your proxy has to lead it here, too");
    }
    line(text, &format!("public_url = {}", quoted(&called.public_url)), "");
    line(text, "upstream = \"breaker\"", "it ends here");
    line(text, "check = \"signature\"", "");

    let notify = if answers.mail.is_some() { ", \"notify\"" } else { "" };
    let currency = match &limit.currency {
        Some(currency) => format!("{currency}, by Twilio's prices"),
        None => "in the account's currency".to_owned(),
    };
    let of_parent = format!("then = [\"end-calls\", \"cancel-queued\", \"close-geo\"{notify}]");
    match &limit.of {
        Of::Subaccounts { together } => {
            let then = format!("then = [\"suspend\"{notify}]");
            text.push_str("\n[[limit]]\n");
            line(text, "name = \"each a day\"", "");
            line(text, "scope = \"subaccounts\"", "each of them, new ones too");
            line(text, "window = \"daily\"", "from midnight to midnight in GMT, as Twilio counts");
            line(text, &format!("at = {}", quoted(&limit.at)), &currency);
            line(text, &then, "until you lift it: ringfence reset");
            text.push_str("\n[[limit]]\n");
            line(text, "name = \"all a day\"", "a limit on each of many is none on the bill: this one is");
            line(text, "scope = \"subaccounts\"", "");
            line(text, "per = \"together\"", "");
            line(text, "window = \"daily\"", "");
            line(text, &format!("at = {}", quoted(together)), "");
            line(text, &then, "");
            text.push_str("\n[[limit]]\n");
            line(text, "name = \"the parent a day\"", "what the parent itself uses, without its subaccounts");
            line(text, "scope = \"parent\"", "");
            line(text, "window = \"daily\"", "");
            line(text, &format!("at = {}", quoted(&limit.at)), "");
            line(text, &of_parent, "Twilio suspends no parent account");
        }
        Of::Account => {
            text.push_str("\n[[limit]]\n");
            line(text, "name = \"a day\"", "");
            line(text, "scope = \"parent\"", "the account itself");
            line(text, "window = \"daily\"", "from midnight to midnight in GMT, as Twilio counts");
            line(text, &format!("at = {}", quoted(&limit.at)), &currency);
            line(text, &of_parent, "Twilio suspends no parent account");
        }
    }
}

fn notify(mail: &Mail, text: &mut String) {
    let Mail { smtp, from, to, login } = mail;
    text.push_str("\n[notify.mail]\n");
    line(text, &format!("smtp = {}", quoted(smtp)), "");
    if let Some((user, password)) = login {
        line(text, &format!("user = {}", quoted(user)), "");
        line(text, &format!("password = {}", secret(password)), "");
    }
    line(text, &format!("from = {}", quoted(from)), "");
    let to: Vec<_> = to.iter().map(|address| quoted(address)).collect();
    line(text, &format!("to = [{}]", to.join(", ")), "told of warnings, trips and what fails");
}

fn secret(kept: &Kept) -> String {
    match kept {
        Kept::Env(name) => format!("{{ env = {} }}", quoted(name)),
        Kept::File(file) => format!("{{ file = {} }}", path(file)),
        Kept::Beside(name) => format!("{{ file = {} }}", quoted(name)),
    }
}

fn path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// A line with what it is for.
fn line(text: &mut String, typed: &str, what: &str) {
    if what.is_empty() {
        _ = writeln!(text, "{typed}");
    } else {
        _ = writeln!(text, "{typed:<width$} # {}", comment(what), width = COLUMN - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::SystemTime;

    use proptest::prelude::*;
    use ringfence_model::Sid;

    use super::super::answers::Called;
    use super::*;
    use crate::config::{Loaded, Surroundings, resolve};

    /// As it is loaded, from a folder with the files that it names.
    fn loaded(text: &str, folder: &Path) -> Result<Loaded, String> {
        let env = |name: &str| (name != "ABSENT").then(|| "0123456789abcdef0123456789abcdef".to_owned());
        let around = Surroundings { folder, env: &env, now: SystemTime::UNIX_EPOCH };
        resolve(text, Path::new("ringfence.toml"), &around).map_err(|error| format!("{error}\n{text}"))
    }

    fn folder() -> tempfile::TempDir {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        for name in ["ringfence.token", "ringfence.smtp-password"] {
            let path = folder.path().join(name);
            std::fs::write(&path, "0123456789abcdef0123456789abcdef").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        folder
    }

    fn plain() -> Answers {
        Answers {
            account: Sid::new(*b"AC", 7),
            auth_token: Kept::Env("TWILIO_AUTH_TOKEN".to_owned()),
            subaccounts: false,
            twilio: None,
            called: Called {
                public_url: "https://hooks.example.com".to_owned(),
                path: "/twilio/".to_owned(),
            },
            tls: Tls::Elsewhere,
            gate: "127.0.0.1:8080".parse().unwrap(),
            admin: "127.0.0.1:9400".parse().unwrap(),
            upstream: "http://127.0.0.1:3000".to_owned(),
            writes_in: None,
            limit: None,
            mail: None,
        }
    }

    /// Each combination of what can be answered.
    fn all(certificates: &ringfence_testkit::Certificates) -> Vec<Answers> {
        let directory = certificates.directory();
        let tokens = [
            Kept::Env("TWILIO_AUTH_TOKEN".to_owned()),
            Kept::Beside("ringfence.token".to_owned()),
            Kept::File(directory.join("token")),
        ];
        let calls = [
            ("https://hooks.example.com", "/twilio/"),
            ("https://hooks.example.com:8443", "/"),
            ("https://hooks.example.com", "/sms"),
            ("http://127.0.0.1:8080", "/twilio/"),
        ];
        let ends = [
            Tls::Elsewhere,
            Tls::Files { certificate: directory.join("server.pem"), key: directory.join("server.key") },
            Tls::Acme { contact: "ops@example.com".to_owned() },
        ];
        let limit = |of| Some(Limit { of, at: "50".to_owned(), currency: Some("USD".to_owned()) });
        let limits = [
            None,
            limit(Of::Account),
            limit(Of::Subaccounts { together: "500".to_owned() }),
            Some(Limit { of: Of::Account, at: "0.5".to_owned(), currency: None }),
        ];
        let mail = |login| {
            Some(Mail {
                smtp: "smtps://mail.example.com:465".to_owned(),
                from: "ringfence@example.com".to_owned(),
                to: vec!["ops@example.com".to_owned(), "boss@example.com".to_owned()],
                login,
            })
        };
        let user = || "ringfence".to_owned();
        let mails = [
            None,
            mail(None),
            mail(Some((user(), Kept::Env("SMTP_PASSWORD".to_owned())))),
            mail(Some((user(), Kept::Beside("ringfence.smtp-password".to_owned())))),
        ];
        let finds = |limit: &Option<Limit>| match limit {
            None => &[false, true][..],
            Some(Limit { of: Of::Account, .. }) => &[false],
            Some(Limit { of: Of::Subaccounts { .. }, .. }) => &[true],
        };
        let bases = [None, Some("http://127.0.0.1:4010".to_owned())];
        let mut all = Vec::new();
        for auth_token in &tokens {
            for (public_url, path) in calls {
                for tls in &ends {
                    for limit in &limits {
                        for mail in &mails {
                            for (twilio, subaccounts) in bases
                                .iter()
                                .flat_map(|base| finds(limit).iter().map(move |finds| (base, finds)))
                            {
                                all.push(Answers {
                                    subaccounts: *subaccounts,
                                    auth_token: auth_token.clone(),
                                    called: Called {
                                        public_url: public_url.to_owned(),
                                        path: path.to_owned(),
                                    },
                                    tls: tls.clone(),
                                    limit: limit.clone(),
                                    mail: mail.clone(),
                                    twilio: twilio.clone(),
                                    ..plain()
                                });
                            }
                        }
                    }
                }
            }
        }
        all
    }

    #[test]
    fn whatever_was_answered_the_configuration_is_right_and_says_what_was_answered() {
        let folder = folder();
        let certificates = ringfence_testkit::certificates();
        std::fs::write(certificates.directory().join("token"), "0123456789abcdef0123456789abcdef").unwrap();
        let all = all(&certificates);
        assert_eq!(all.len(), 3 * 4 * 3 * 5 * 4 * 2);
        for answers in all {
            let text = of(&answers);
            let loaded = loaded(&text, folder.path()).unwrap();
            assert_eq!(loaded.settings.listen.gate, Some(answers.gate), "{text}");
            assert_eq!(loaded.settings.routes.len(), if answers.limit.is_some() { 2 } else { 1 }, "{text}");
            assert_eq!(loaded.settings.routes[0].public_url.to_string(), answers.called.public_url);
            assert_eq!(loaded.settings.routes[0].upstream.to_string(), answers.upstream);
            assert_eq!(loaded.settings.tls.is_some(), answers.tls != Tls::Elsewhere, "{text}");
            let limits = match &answers.limit {
                None => 0,
                Some(Limit { of: Of::Account, .. }) => 1,
                Some(Limit { of: Of::Subaccounts { .. }, .. }) => 3,
            };
            assert_eq!(loaded.control.limits.len(), limits, "{text}");
            let is_of_parent =
                |limit: &ringfence_breaker::Limit| limit.scope == ringfence_breaker::Scope::Parent;
            assert_eq!(loaded.control.limits.iter().any(is_of_parent), limits > 0, "{text}");
            let finds = loaded.control.credentials.iter().any(|it| it.finds_subaccounts);
            assert_eq!(finds, answers.subaccounts, "{text}");
            let has_store = answers.subaccounts || answers.limit.is_some();
            assert_eq!(loaded.control.store.is_some(), has_store, "{text}");
            let at: Option<ringfence_model::Amount> =
                answers.limit.as_ref().map(|limit| limit.at.parse().unwrap());
            assert_eq!(loaded.control.limits.first().map(|limit| limit.amount()), at);
            let is_told = answers.mail.is_some() && answers.limit.is_some();
            assert_eq!(loaded.control.notify.is_some(), is_told, "{text}");
            let base = answers.twilio.as_deref().unwrap_or("https://api.twilio.com");
            assert_eq!(loaded.control.twilio.client.base.to_string().trim_end_matches('/'), base);
        }
    }

    #[test]
    fn nothing_of_what_is_usual_deserves_a_second_look() {
        let folder = folder();
        let limit = Limit {
            of: Of::Subaccounts { together: "500".to_owned() },
            at: "50".to_owned(),
            currency: Some("USD".to_owned()),
        };
        let mail = Mail {
            smtp: "smtp://localhost:25".to_owned(),
            from: "ringfence@example.com".to_owned(),
            to: vec!["ops@example.com".to_owned()],
            login: None,
        };
        let auth_token = Kept::Beside("ringfence.token".to_owned());
        let full = Answers { subaccounts: true, limit: Some(limit), mail: Some(mail), auth_token, ..plain() };
        let many = Answers { subaccounts: true, ..plain() };
        for answers in [plain(), many, full] {
            let text = of(&answers);
            let warnings = loaded(&text, folder.path()).unwrap().warnings;
            assert!(warnings.is_empty(), "{warnings:?}\n{text}");
            assert!(text.lines().all(|line| line.len() <= 120), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_text_that_was_taken_breaks_out_of_its_place(
            path in "/[!-~&&[^?#]]{0,20}",
            user in "[^\\x00]{1,20}",
            file in "[^\\x00/]{1,20}",
        ) {
            let called = Called { public_url: "https://hooks.example.com".to_owned(), path: path.clone() };
            let limit = Limit { of: Of::Account, at: "5".to_owned(), currency: Some(user.clone()) };
            let mail = Mail {
                smtp: "smtp://localhost:25".to_owned(),
                from: "ringfence@example.com".to_owned(),
                to: vec!["ops@example.com".to_owned()],
                login: Some((user, Kept::File(PathBuf::from(&file)))),
            };
            let text = of(&Answers { called, limit: Some(limit), mail: Some(mail), ..plain() });
            let table: toml::Table = text.parse().map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            prop_assert_eq!(table["route"][0]["path"].as_str(), Some(path.as_str()));
            prop_assert_eq!(table["notify"]["mail"]["password"]["file"].as_str(), Some(file.as_str()));
            prop_assert_eq!(table.len(), 6);
        }
    }
}

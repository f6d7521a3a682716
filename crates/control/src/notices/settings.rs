//! Whom to tell, and how: the section `[notify]` as what it means.
//!
//! What cannot work is refused here, by the constructors; whoever reads the file only names the line.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Uri;
use lettre::message::Mailbox;
use ringfence_model::{PhoneNumber, Secret, Sid};
use rustls::pki_types::{CertificateDer, ServerName};

use super::notice::Severity;
use super::text::Desk;

/// Whom to tell, and how. The default tells nobody.
#[derive(Debug, Clone)]
pub struct Settings {
    /// By mail.
    pub mail: Option<MailSettings>,
    /// By a request to a program.
    pub webhook: Option<WebhookSettings>,
    /// By text message.
    pub sms: Option<SmsSettings>,
    /// By telephone.
    pub call: Option<CallSettings>,
    /// What the texts need to know.
    pub desk: Desk,
    /// Certification authorities of mail servers and webhooks, beside those that browsers trust.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// The longest that one delivery by mail or webhook may take.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mail: None,
            webhook: None,
            sms: None,
            call: None,
            desk: Desk::default(),
            extra_roots: Vec::new(),
            timeout: Duration::from_secs(20),
        }
    }
}

/// A value of `[notify]` that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct SettingsProblem {
    /// The key within `[notify]`: `mail.smtp`.
    pub key: &'static str,
    /// What is wrong, and what to write instead. It shows no secret.
    pub what: String,
}

/// Mail.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// Who takes the mail.
    pub server: SmtpServer,
    /// Whom it comes from.
    pub from: Mailbox,
    /// Whom it goes to; each of them gets the mail for themselves, with all of them in its `To`.
    pub to: Vec<Mailbox>,
    /// What is told.
    pub at_least: Severity,
}

/// A mail server.
#[derive(Debug, Clone)]
pub struct SmtpServer {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub encryption: Encryption,
    /// User and password.
    pub credentials: Option<(String, Secret)>,
    /// The name that is said after `EHLO`; the domain of the sender's address if not set otherwise.
    pub hello: String,
}

/// Whether a connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// From the beginning (`smtps://`, port 465).
    Implicit,
    /// After `STARTTLS`, which the server must offer (`smtp://`, port 587).
    StartTls,
    /// Not at all (`smtp://localhost`, `smtp+insecure://`, port 25).
    None,
}

/// A request to a program of the operator's.
#[derive(Clone)]
pub struct WebhookSettings {
    /// Where it goes. The path may be a secret.
    pub url: Uri,
    /// What it is signed with.
    pub key: Option<Secret>,
    /// Whether the body is one that Slack takes.
    pub slack: bool,
    /// What is told.
    pub at_least: Severity,
}

/// Text messages.
#[derive(Debug, Clone)]
pub struct SmsSettings {
    /// The account that sends and pays them. It should be one that no limit suspends.
    pub account: Sid,
    /// The sender.
    pub from: Sender,
    /// Whom they go to.
    pub to: Vec<PhoneNumber>,
    /// What is told.
    pub at_least: Severity,
}

/// Calls.
#[derive(Debug, Clone)]
pub struct CallSettings {
    /// The account that makes and pays them. It should be one that no limit suspends.
    pub account: Sid,
    /// The caller: a number of the account's.
    pub from: PhoneNumber,
    /// Who is called.
    pub to: Vec<PhoneNumber>,
    /// What is told.
    pub at_least: Severity,
}

/// Who sends a text message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// A number, a short code or an alphanumeric sender ID.
    Name(String),
    /// A Messaging Service: `MG…`.
    Service(Sid),
}

impl MailSettings {
    /// Mail by the server at `smtp`: `smtps://HOST`, `smtp://HOST` (with STARTTLS; without on this machine itself),
    /// `smtp+starttls://HOST` or `smtp+insecure://HOST`, each with `:PORT` where it is not the usual one.
    pub fn new(
        smtp: &str,
        from: &str,
        to: &[String],
        credentials: Option<(String, Secret)>,
    ) -> Result<Self, SettingsProblem> {
        let from = mailbox("mail.from", from)?;
        let to = to.iter().map(|address| mailbox("mail.to", address)).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err(wrong("mail.to", "nobody is named: write to = [\"ops@example.com\"]"));
        }
        if let Some(twice) = first_twice(to.iter().map(|it| it.email.to_string().to_lowercase())) {
            return Err(wrong("mail.to", format!("{twice} is there twice")));
        }
        let server = SmtpServer::new(smtp, from.email.domain(), credentials)?;
        Ok(Self { server, from, to, at_least: Severity::Info })
    }
}

impl SmtpServer {
    fn new(url: &str, hello: &str, credentials: Option<(String, Secret)>) -> Result<Self, SettingsProblem> {
        const KEY: &str = "mail.smtp";
        let accepted = "write smtps://HOST, smtp://HOST or smtp://HOST:PORT";
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| wrong(KEY, format!("this is no URL of a mail server: {accepted}")))?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains('@') {
            return Err(wrong(
                KEY,
                "credentials do not belong into the URL: use user and password beside it",
            ));
        }
        let (host, port) = host_and_port(authority).ok_or_else(|| {
            wrong(
                KEY,
                format!("{} is no name or address of a host: {accepted}", super::text::said(authority)),
            )
        })?;
        let is_local = is_loopback(&host);
        let encryption = match scheme.to_ascii_lowercase().as_str() {
            "smtps" => Encryption::Implicit,
            "smtp" if is_local => Encryption::None,
            "smtp" | "smtp+starttls" => Encryption::StartTls,
            "smtp+insecure" => Encryption::None,
            _ => {
                return Err(wrong(
                    KEY,
                    format!("{}:// is not how mail is sent: {accepted}", super::text::said(scheme)),
                ));
            }
        };
        if let Some((user, password)) = &credentials {
            if user.is_empty() || password.is_empty() {
                return Err(wrong("mail.user", "user and password go together: give both or none"));
            }
            if encryption == Encryption::None && !is_local {
                return Err(wrong(
                    "mail.password",
                    "the password would cross the network in clear: use smtps:// or smtp:// (STARTTLS), or leave user and password out",
                ));
            }
        }
        let usual = match encryption {
            Encryption::Implicit => 465,
            Encryption::StartTls => 587,
            Encryption::None => 25,
        };
        Ok(Self { host, port: port.unwrap_or(usual), encryption, credentials, hello: hello.to_owned() })
    }
}

/// A host, and a port if there is one: `mail.example.com:587`, `[::1]:25`.
fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    // What is no name of a server for TLS is none for the resolver either.
    ServerName::try_from(host.to_owned()).ok()?;
    let port = match port {
        None => None,
        Some(port) => {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            Some(port.parse::<u16>().ok().filter(|port| digits && *port != 0)?)
        }
    };
    Some((host.to_owned(), port))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn mailbox(key: &'static str, text: &str) -> Result<Mailbox, SettingsProblem> {
    let accepted = "write ops@example.com or \"Operations <ops@example.com>\"";
    let shown = super::text::one_line(text, 80);
    if text.chars().any(char::is_control) {
        return Err(wrong(key, format!("{shown} has characters that no mail address has: {accepted}")));
    }
    let mailbox: Mailbox =
        text.trim().parse().map_err(|_| wrong(key, format!("{shown} is no mail address: {accepted}")))?;
    if !AsRef::<str>::as_ref(&mailbox.email).is_ascii() {
        return Err(wrong(
            key,
            format!(
                "{shown} has letters that not every mail server takes: write its domain in ASCII (xn--…)"
            ),
        ));
    }
    Ok(mailbox)
}

impl WebhookSettings {
    /// Requests to a URL. Their signature is made with the text of `secret`, or with what it encodes where it begins with
    /// `whsec_`. Slack needs no secret: there the URL is one.
    pub fn new(url: &str, secret: Option<Secret>, slack: bool) -> Result<Self, SettingsProblem> {
        const KEY: &str = "webhook.url";
        let accepted = "write https://HOST/PATH";
        let url: Uri = url.parse().map_err(|_| wrong(KEY, format!("this is no URL: {accepted}")))?;
        if !matches!(url.scheme_str(), Some("https" | "http")) {
            return Err(wrong(KEY, format!("a webhook goes to https:// or http://: {accepted}")));
        }
        let authority = url.authority().map_or("", |it| it.as_str());
        if authority.contains('@') {
            return Err(wrong(
                KEY,
                "credentials do not belong into the URL: the request is signed with secret",
            ));
        }
        if host_and_port(authority).is_none() {
            return Err(wrong(KEY, format!("the URL names no host that can be reached: {accepted}")));
        }
        match &secret {
            None if !slack => {
                return Err(wrong(
                    "webhook.secret",
                    "without a secret nobody can tell these requests from forged ones: make one (openssl rand -hex 32) and write secret = { env = \"NAME\" }",
                ));
            }
            Some(secret) if signing_key(secret).is_none_or(|key| key.len() < 16) => {
                return Err(wrong(
                    "webhook.secret",
                    "the secret must be at least 16 bytes, and valid base64 after whsec_: take openssl rand -hex 32",
                ));
            }
            _ => {}
        }
        Ok(Self { url, key: secret, slack, at_least: Severity::Info })
    }

    /// Whether it crosses a network in clear.
    pub fn is_in_clear(&self) -> bool {
        self.url.scheme_str() == Some("http") && !is_loopback(self.url.host().unwrap_or_default())
    }

    /// Where it goes, without what may be a secret.
    pub(crate) fn host(&self) -> &str {
        self.url.authority().map_or("", |authority| authority.as_str())
    }
}

/// The bytes of a secret: its text, or what stands encoded after `whsec_`, as libraries for Standard Webhooks have it.
pub(super) fn signing_key(secret: &Secret) -> Option<Vec<u8>> {
    match secret.expose().strip_prefix("whsec_") {
        Some(encoded) => BASE64.decode(encoded).ok(),
        None => Some(secret.expose().as_bytes().to_vec()),
    }
}

impl fmt::Debug for WebhookSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("WebhookSettings");
        shown.field("host", &self.host()).field("slack", &self.slack).field("at_least", &self.at_least);
        shown.finish_non_exhaustive()
    }
}

impl SmsSettings {
    /// Text messages of an account, from a number, a Messaging Service, a short code or a sender ID.
    pub fn new(account: &str, from: &str, to: &[String]) -> Result<Self, SettingsProblem> {
        let account = account_sid("sms.account", account)?;
        let from = Sender::parse(from).ok_or_else(|| {
            wrong("sms.from", "the sender is a number (+15550006789), a Messaging Service (MG…), a short code, or a name of at most 11 letters and digits")
        })?;
        let to = phone_numbers("sms.to", to)?;
        if to.iter().any(|to| from == Sender::Name(to.to_string())) {
            return Err(wrong("sms.to", "a number cannot text itself: sender and recipient are the same"));
        }
        Ok(Self { account, from, to, at_least: Severity::Warning })
    }
}

impl CallSettings {
    /// Calls of an account, from one of its numbers.
    pub fn new(account: &str, from: &str, to: &[String]) -> Result<Self, SettingsProblem> {
        let account = account_sid("call.account", account)?;
        let from = PhoneNumber::parse(from).map_err(|problem| wrong("call.from", problem.to_string()))?;
        let to = phone_numbers("call.to", to)?;
        if to.contains(&from) {
            return Err(wrong("call.to", "a number cannot call itself: caller and called are the same"));
        }
        Ok(Self { account, from, to, at_least: Severity::Critical })
    }
}

impl Sender {
    /// Reads a number, a short code, an alphanumeric sender ID or the SID of a Messaging Service.
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with("MG") && text.len() == 34 {
            return Sid::parse(text).ok().map(Self::Service);
        }
        let is_number = PhoneNumber::parse(text).is_ok();
        let is_short_code = (3..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        // <https://www.twilio.com/docs/glossary/what-alphanumeric-sender-id>
        let is_name = (1..=11).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" +-_&".contains(&byte))
            && text.bytes().any(|byte| byte.is_ascii_alphabetic());
        (is_number || is_short_code || is_name).then(|| Self::Name(text.to_owned()))
    }
}

fn account_sid(key: &'static str, text: &str) -> Result<Sid, SettingsProblem> {
    let sid = Sid::parse(text).ok().filter(|sid| sid.is("AC"));
    sid.ok_or_else(|| wrong(key, "an account is AC and 32 hexadecimal digits"))
}

fn phone_numbers(key: &'static str, texts: &[String]) -> Result<Vec<PhoneNumber>, SettingsProblem> {
    let parsed = texts.iter().map(|text| PhoneNumber::parse(text));
    let numbers: Vec<_> =
        parsed.collect::<Result<_, _>>().map_err(|problem| wrong(key, problem.to_string()))?;
    if numbers.is_empty() {
        return Err(wrong(key, "nobody is named: write to = [\"+15550100123\"]"));
    }
    if first_twice(numbers.iter()).is_some() {
        return Err(wrong(key, "a number is there twice"));
    }
    Ok(numbers)
}

fn first_twice<T: Ord>(items: impl Iterator<Item = T>) -> Option<T> {
    let mut items: Vec<_> = items.collect();
    items.sort();
    let at = items.windows(2).position(|pair| pair[0] == pair[1])?;
    Some(items.swap_remove(at))
}

fn wrong(key: &'static str, what: impl Into<String>) -> SettingsProblem {
    SettingsProblem { key, what: what.into() }
}

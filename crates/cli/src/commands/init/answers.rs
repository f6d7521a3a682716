//! What was answered, and how each answer has to look. Pure: nobody is asked here, neither people nor Twilio.

use std::net::SocketAddr;
use std::path::PathBuf;

use ringfence_control::notices::one_line;
use ringfence_gateway::settings::Upstream;
use ringfence_model::Sid;
use ringfence_signature::PublicUrl;

use crate::config::{limit, notify};
use crate::exit::Failure;

/// The port of `https://`.
pub(super) const HTTPS: u16 = 443;

/// The name of what usage triggers call.
const TRIGGERS: &str = "ringfence-triggers";

/// All that a configuration is written from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) account: Sid,
    pub(super) auth_token: Kept,
    /// Whether its subaccounts are found at Twilio: their webhooks are let in, and a limit holds each of them.
    pub(super) subaccounts: bool,
    /// Where Twilio is, if it is not Twilio itself.
    pub(super) twilio: Option<String>,
    pub(super) called: Called,
    pub(super) tls: Tls,
    pub(super) gate: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) upstream: String,
    /// The only folder that it may write in, if that is not the one of the configuration.
    pub(super) writes_in: Option<&'static str>,
    pub(super) limit: Option<Limit>,
    pub(super) mail: Option<Mail>,
}

/// Where a secret is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// In this environment variable.
    Env(String),
    /// In this file, which is there.
    File(PathBuf),
    /// In a file that is written beside the configuration, under this name.
    Beside(String),
}

/// What Twilio calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Called {
    /// `https://hooks.example.com`.
    pub(super) public_url: String,
    /// `/twilio/`, or `/sms` for exactly that.
    pub(super) path: String,
}

/// Who ends TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tls {
    /// A proxy in front, or nobody.
    Elsewhere,
    /// The gate, with a certificate of these files.
    Files { certificate: PathBuf, key: PathBuf },
    /// The gate, with a certificate of Let's Encrypt; the mail address is for whoever renews.
    Acme { contact: String },
}

/// What may be spent in a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) of: Of,
    /// As it was typed.
    pub(super) at: String,
    /// The account's, if Twilio said it.
    pub(super) currency: Option<String>,
}

/// Whose spending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Of {
    /// Each subaccount's, and the sum of them.
    Subaccounts { together: String },
    /// The account's own.
    Account,
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mail {
    pub(super) smtp: String,
    pub(super) from: String,
    pub(super) to: Vec<String>,
    /// User and password, where the server asks for them.
    pub(super) login: Option<(String, Kept)>,
}

impl Answers {
    /// Whether something in front leads to the gate what Twilio calls: who ends TLS there, or has the port that Twilio comes to.
    pub(super) fn is_behind_a_proxy(&self) -> bool {
        let comes_to_the_gate = self.called.host_and_port().is_some_and(|(_, port)| port == self.gate.port());
        self.tls == Tls::Elsewhere && (self.called.is_encrypted() || !comes_to_the_gate)
    }

    /// Ports of the public host that have to be led to the gate, which listens on another, and who comes there.
    pub(super) fn ports_apart(&self) -> Vec<(u16, &'static str)> {
        ports_apart(&self.called, &self.tls, self.gate)
    }

    /// What a proxy has to lead to the gate besides what Twilio is told to call: a rule for exactly that does not lead usage
    /// triggers.
    pub(super) fn triggers_apart(&self) -> Option<String> {
        let is_apart = self.limit.is_some() && self.is_behind_a_proxy() && !self.called.path.ends_with('/');
        is_apart.then(|| format!("{}{}", self.called.public_url, self.called.triggers()))
    }
}

impl Kept {
    /// The variable that it is in, if it is in one.
    pub(super) fn variable(&self) -> Option<&str> {
        match self {
            Self::Env(name) => Some(name),
            Self::File(_) | Self::Beside(_) => None,
        }
    }
}

impl Called {
    pub(super) fn whole(&self) -> String {
        format!("{}{}", self.public_url, self.path)
    }

    /// Whether Twilio comes over TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        self.public_url.starts_with("https://")
    }

    /// The host and the port that Twilio connects to.
    pub(super) fn host_and_port(&self) -> Option<(String, u16)> {
        let uri: http::Uri = self.public_url.parse().ok()?;
        let port = uri.port_u16().unwrap_or(if self.is_encrypted() { HTTPS } else { 80 });
        Some((uri.host()?.trim_matches(['[', ']']).to_owned(), port))
    }

    /// What usage triggers call: in the same folder. Whatever leads a prefix here leads them too; a rule for one path alone does
    /// not, so [`Answers::triggers_apart`] is told.
    pub(super) fn triggers(&self) -> String {
        let prefix = self.path.rfind('/').map_or("/", |at| &self.path[..=at]);
        format!("{prefix}{TRIGGERS}")
    }
}

/// Where the gate ends TLS: the ports of the public host that others come to and the gate does not listen on, and who comes.
pub(super) fn ports_apart(called: &Called, tls: &Tls, gate: SocketAddr) -> Vec<(u16, &'static str)> {
    // An authority proves a name there and nowhere else (RFC 8737).
    let authority = matches!(tls, Tls::Acme { .. }).then_some((HTTPS, "Let's Encrypt"));
    let twilio = called.host_and_port().filter(|_| *tls != Tls::Elsewhere).map(|(_, port)| (port, "Twilio"));
    twilio.into_iter().chain(authority).filter(|(port, _)| *port != gate.port()).collect()
}

/// An account's SID.
pub(super) fn account(text: &str) -> Result<Sid, Failure> {
    let what = match Sid::parse(text) {
        Ok(sid) if sid.is("AC") => return Ok(sid),
        Ok(sid) if sid.is("SK") => format!(
            "{sid} is the SID of an API key, and webhooks are signed with the auth token of the account"
        ),
        Ok(sid) => format!("{sid} is the SID of something else than an account"),
        Err(_) if text.trim().is_empty() => "without the account nothing can be checked".to_owned(),
        // Whoever typed the token in its place has it not said again.
        Err(_) if text.starts_with("AC") || text.len() < 20 => {
            format!("{} is not the SID of an account", one_line(text, 50))
        }
        Err(_) => "this is not the SID of an account".to_owned(),
    };
    Err(Failure::usage(what).hint(
        "type AC and the 32 hexadecimal digits after it, as Twilio's console shows it under Account Info",
    ))
}

/// What is noticed about the look of a token; Twilio itself says whether it is right.
pub(super) fn odd_token(text: &str) -> Option<&'static str> {
    let is_usual = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (!is_usual).then_some("it does not look like an auth token, which is 32 hexadecimal digits")
}

/// `https://hooks.example.com/twilio/`, cut into what stands before the path and the path.
pub(super) fn called(text: &str) -> Result<Called, Failure> {
    const HINT: &str = "type what Twilio calls, such as https://hooks.example.com/twilio/ (with / at its end: all that \
                        begins with it; without: exactly this)";
    let text = text.trim();
    let wrong = |what: String| Failure::usage(what).hint(HINT);
    if text.is_empty() {
        return Err(wrong("without the public URL no signature can be checked: Twilio signs it".to_owned()));
    }
    if text.contains(['?', '#']) {
        return Err(wrong("a route goes by the path alone: leave ? and # and what follows away".to_owned()));
    }
    let (scheme, rest) =
        text.split_once("://").ok_or_else(|| wrong("this URL has no https://".to_owned()))?;
    let scheme = scheme.to_ascii_lowercase();
    if !["http", "https"].contains(&scheme.as_str()) {
        return Err(wrong("Twilio calls https:// (WebSockets come to the same route)".to_owned()));
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        // Not echoed: it holds a password.
        return Err(wrong(
            "leave user and password out of it; `check = \"signature+basic\"` of a route asks for them"
                .to_owned(),
        ));
    }
    let public_url = format!("{scheme}://{}", authority.to_ascii_lowercase());
    PublicUrl::parse(&public_url).map_err(|error| wrong(format!("this URL does not do: {error}")))?;
    if public_url.parse::<http::Uri>().is_err() {
        return Err(wrong("this is no URL".to_owned()));
    }
    let path = if path.is_empty() { "/" } else { path };
    if path.strip_suffix(TRIGGERS).is_some_and(|folder| folder.ends_with('/')) {
        return Err(wrong(format!("{path} is Ringfence's own: usage triggers at Twilio call it")));
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong("the path has letters that must be percent-encoded".to_owned()));
    }
    Ok(Called { public_url, path: path.to_owned() })
}

/// Where the application listens.
pub(super) fn upstream(text: &str, gate: SocketAddr, admin: SocketAddr) -> Result<String, Failure> {
    const HINT: &str = "type scheme, host and port, such as http://127.0.0.1:3000";
    let text = text.trim().trim_end_matches('/');
    match text.parse::<Upstream>() {
        Ok(Upstream::Application(address)) => {
            let is_at = |port: u16| {
                ["127.0.0.1", "localhost", "[::1]", "0.0.0.0"]
                    .into_iter()
                    .any(|host| address.authority() == format!("{host}:{port}"))
            };
            for (listener, at) in [("--listen", gate), ("--admin", admin)] {
                if is_at(at.port()) {
                    return Err(Failure::usage(format!("the gate itself listens there ({at})")).hint(format!(
                        "type the address of your application, or give the gate another one with {listener}"
                    )));
                }
            }
            Ok(address.to_string())
        }
        Ok(_) => Err(Failure::usage("this is the address of no application").hint(HINT)),
        Err(error) => Err(Failure::usage(format!("this address does not do: {error}")).hint(HINT)),
    }
}

/// An amount that may be spent; nothing for an empty one.
pub(super) fn amount(text: &str) -> Result<Option<String>, Failure> {
    const HINT: &str = "type a number, such as 50 or 0.5, or nothing for no limit";
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    match limit::amount(text) {
        Ok(amount) if amount.micros() > 0 => Ok(Some(text.to_owned())),
        Ok(_) => Err(Failure::usage(format!("{text} is not more than 0, so nobody could work")).hint(HINT)),
        Err(what) => Err(Failure::usage(format!("\"{}\" {what}", text.escape_debug())).hint(HINT)),
    }
}

/// An amount that a flag says. An empty one, as a script has it whose variable is not set, is no way to say that there is none.
pub(super) fn said_amount(text: &str) -> Result<Option<String>, Failure> {
    if text.trim().is_empty() {
        return Err(Failure::usage("there is no amount in it")
            .hint("say one, such as --limit 50; for no limit at all say --no-limit"));
    }
    amount(text)
}

/// What all subaccounts may spend together: no less than one of them alone.
pub(super) fn together(text: &str, each: &str) -> Result<String, Failure> {
    let sum = amount(text)?
        .ok_or_else(|| Failure::usage("a limit on each of many is none on the bill").hint("type a number"))?;
    match (limit::amount(&sum), limit::amount(each)) {
        (Ok(all), Ok(one)) if all < one => {
            Err(Failure::usage(format!("{sum} for all of them is less than {each} for each"))
                .hint(format!("type {each} or more")))
        }
        _ => Ok(sum),
    }
}

/// Ten times as much, as an answer to begin with.
pub(super) fn ten_times(each: &str) -> String {
    let micros = limit::amount(each).map_or(0, |amount| amount.micros());
    ringfence_model::Amount::from_micros(micros.saturating_mul(10)).to_string()
}

/// A mail address.
pub(super) fn mail_address(text: &str) -> Result<String, Failure> {
    notify::mail_address(text.trim()).map_err(|what| {
        Failure::usage(format!("\"{}\" {what}", text.escape_debug()))
            .hint("type an address such as ops@example.com")
    })
}

/// A certificate of Let's Encrypt: who is told, for a name that can have one.
pub(super) fn acme(called: &Called, contact: &str) -> Result<Tls, Failure> {
    let contact = mail_address(contact)?;
    let (host, _) = called.host_and_port().unwrap_or_default();
    if !host.contains('.') || host.parse::<std::net::IpAddr>().is_ok() {
        return Err(Failure::usage(format!(
            "nobody can prove {host} to Let's Encrypt: it is no domain name"
        ))
        .hint("take a public URL with a name, or end TLS with a proxy or with files"));
    }
    Ok(Tls::Acme { contact })
}

/// The URL of a mail server.
pub(super) fn smtp(text: &str) -> Result<String, Failure> {
    let text = text.trim();
    // Not echoed: it may hold a password.
    notify::smtp_server(text).map(|_| text.to_owned()).map_err(|what| {
        Failure::usage(format!("this {what}")).hint(
            "type smtp://localhost:25, smtps://mail.example.com:465, or smtp://mail.example.com:587?starttls",
        )
    })
}

/// The name of an environment variable.
pub(super) fn variable(text: &str) -> Result<String, Failure> {
    let text = text.trim();
    let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && text.starts_with(|first: char| !first.is_ascii_digit());
    if is_name {
        return Ok(text.to_owned());
    }
    Err(Failure::usage("this is not the name of an environment variable")
        .hint("type letters, digits and _, such as TWILIO_AUTH_TOKEN"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_is_cut_into_what_stands_before_the_path_and_the_path() {
        let cut = |text: &str| called(text).map(|it| (it.public_url, it.path));
        let pair = |url: &str, path: &str| Ok((url.to_owned(), path.to_owned()));
        assert_eq!(cut("https://Hooks.Example.com/twilio/"), pair("https://hooks.example.com", "/twilio/"));
        assert_eq!(
            cut(" HTTPS://hooks.example.com:8443/sms "),
            pair("https://hooks.example.com:8443", "/sms")
        );
        assert_eq!(cut("https://hooks.example.com"), pair("https://hooks.example.com", "/"));
        assert_eq!(cut("http://[::1]:80/a"), pair("http://[::1]:80", "/a"));
        for wrong in [
            "",
            "hooks.example.com",
            "ftp://hooks.example.com/",
            "wss://hooks.example.com/",
            "https:///sms",
            "https://hooks.example.com/sms?tenant=7",
            "https://hooks.example.com/#top",
            "https://hooks.example.com/ sms",
            "https://hooks.example.com/größe",
            "https://hooks.example.com:port/",
            "https://hooks.example.com/ringfence-triggers",
        ] {
            assert!(cut(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_said_again() {
        for failure in [
            called("https://me:hush@hooks.example.com/").unwrap_err(),
            smtp("smtp://me:hush@mail").unwrap_err(),
        ] {
            assert!(!failure.to_string().contains("hush"), "{failure}");
        }
    }

    #[test]
    fn triggers_come_under_the_prefix_that_leads_here() {
        let at = |url: &str| called(url).unwrap().triggers();
        assert_eq!(at("https://hooks.example.com/twilio/"), "/twilio/ringfence-triggers");
        assert_eq!(at("https://hooks.example.com"), "/ringfence-triggers");
        assert_eq!(at("https://hooks.example.com/sms"), "/ringfence-triggers");
        assert_eq!(at("https://hooks.example.com/twilio/sms"), "/twilio/ringfence-triggers");
        assert!(called("https://hooks.example.com/twilio/ringfence-triggers").is_err());
    }

    #[test]
    fn an_address_gets_no_certificate_of_lets_encrypt() {
        let acme = |url: &str| acme(&called(url).unwrap(), "ops@example.com");
        assert!(acme("https://192.0.2.7/").is_err() && acme("https://localhost/").is_err());
        assert_eq!(
            acme("https://hooks.example.com/").unwrap(),
            Tls::Acme { contact: "ops@example.com".to_owned() }
        );
        assert!(super::acme(&called("https://hooks.example.com/").unwrap(), "ops").is_err());
    }

    #[test]
    fn whoever_comes_to_another_port_than_the_gate_has_is_known() {
        let acme = Tls::Acme { contact: "ops@example.com".to_owned() };
        let files = Tls::Files { certificate: PathBuf::new(), key: PathBuf::new() };
        let at = |url: &str, tls: &Tls, gate: u16| {
            ports_apart(&called(url).unwrap(), tls, SocketAddr::from(([0, 0, 0, 0], gate)))
        };
        let (usual, other) = ("https://hooks.example.com/", "https://hooks.example.com:8443/");
        assert_eq!(at(usual, &acme, 443), []);
        assert_eq!(at(other, &acme, 443), [(8443, "Twilio")]);
        assert_eq!(at(other, &acme, 8443), [(443, "Let's Encrypt")]);
        assert_eq!(at(usual, &acme, 8443), [(443, "Twilio"), (443, "Let's Encrypt")]);
        assert_eq!((at(other, &files, 8443), at(usual, &files, 8443)), (vec![], vec![(443, "Twilio")]));
        assert_eq!(at(usual, &Tls::Elsewhere, 8080), [], "a proxy has the port");
    }

    #[test]
    fn what_is_no_account_is_told_by_what_it_is() {
        let said = |text: &str| account(text).unwrap_err().message().to_owned();
        assert!(said("SK00000000000000000000000000000000").contains("API key"));
        assert!(said("PN00000000000000000000000000000000").contains("something else"));
        assert_eq!(said("AC123"), "AC123 is not the SID of an account");
        assert_eq!(said("0123456789abcdef0123456789abcdef"), "this is not the SID of an account");
        assert!(said(" ").contains("without the account"));
        assert!(account("AC00000000000000000000000000000000").is_ok());
    }

    #[test]
    fn the_gate_is_not_its_own_application() {
        let (gate, admin) = ("127.0.0.1:8080".parse().unwrap(), "127.0.0.1:9400".parse().unwrap());
        let upstream = |text, gate| upstream(text, gate, admin);
        assert!(upstream("http://127.0.0.1:9400", gate).unwrap_err().to_string().contains("--admin"));
        assert!(upstream("http://localhost:8080", gate).is_err());
        assert!(upstream("https://localhost:8080", gate).is_err());
        assert!(upstream("breaker", gate).is_err());
        assert_eq!(upstream(" http://127.0.0.1:3000/ ", gate).unwrap(), "http://127.0.0.1:3000");
        assert_eq!(upstream("https://App.internal:443", gate).unwrap(), "https://app.internal");
    }

    #[test]
    fn amounts_are_plain_numbers_above_zero_and_the_sum_is_no_less_than_one() {
        for wrong in ["0", "-5", "1,000", "$50", "fifty", "50 USD", "1e3"] {
            assert!(amount(wrong).is_err(), "{wrong}");
        }
        assert_eq!(amount("").unwrap(), None);
        assert!(said_amount("").is_err() && said_amount(" ").is_err());
        assert_eq!(amount(" 12.5 ").unwrap().as_deref(), Some("12.5"));
        assert!(together("49", "50").is_err() && together("", "50").is_err());
        assert_eq!(together("50", "50").unwrap(), "50");
        assert_eq!(ten_times("12.5"), "125");
    }

    proptest! {
        #[test]
        fn no_answer_of_whatever_kind_is_a_panic(text in any::<String>()) {
            let gate = SocketAddr::from(([127, 0, 0, 1], 8080));
            _ = (account(&text), called(&text), upstream(&text, gate, gate), amount(&text), together(&text, "5"));
            _ = (mail_address(&text), smtp(&text), variable(&text), odd_token(&text), ten_times(&text));
        }
    }
}

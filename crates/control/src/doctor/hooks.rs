//! `webhook-https`, `webhook-gate`: every URL that Twilio was told is over TLS, and leads to a route of the gate.
//!
//! A URL that leads past the gate makes everything that the gate does a matter of the attacker's choice. Twilio's lists are
//! the truth about it: what the configuration says is only what was meant once.

use std::fmt::Write as _;
use std::sync::Arc;

use http::Uri;
use http::uri::Authority;
use ringfence_model::Sid;
use ringfence_twilio::wire::{Application, IncomingPhoneNumber, MessagingService, SipDomain};

use super::PublicRoute;
use super::curl::Curl;
use super::finding::{Check, Finding, Mend};
use crate::notices::{Severity, one_line};

/// A URL that Twilio was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hook {
    /// Whose it is.
    pub(super) account: Sid,
    /// What it stands at.
    pub(super) at: At,
    /// The SID of that: `PN…`.
    pub(super) thing: String,
    /// The property, as Twilio's JSON names it: `voice_url`.
    pub(super) property: &'static str,
    /// As Twilio has it.
    pub(super) url: String,
    /// `GET` or `POST`.
    pub(super) method: String,
}

/// What a URL stands at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    Number,
    Application,
    MessagingService,
    SipDomain,
}

/// Where the gate would lead a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leads {
    /// To this route.
    Route(String),
    /// To this route, which does not take the method.
    OtherMethods(String),
    /// Its host is the gate's, and no route takes the path.
    NoRoute,
    /// Its host is not the gate's.
    Elsewhere,
}

/// Says where the gate would lead a URL (without its fragment) and a method.
pub type LeadsTo = Arc<dyn Fn(&Uri, &str) -> Leads + Send + Sync>;

impl Hook {
    pub(super) fn place(&self) -> String {
        format!("{}/{}", self.thing, self.property)
    }

    /// Without the fragment, which never leaves Twilio. `None`: it is no URL.
    pub(super) fn uri(&self) -> Option<Uri> {
        let uri: Uri = percent_encoded(self.url.split('#').next()?).parse().ok()?;
        (uri.scheme().is_some() && uri.authority().is_some()).then_some(uri)
    }
}

/// Twilio takes URLs with spaces, quotes and letters of all scripts in path and query, and sends them percent-encoded (RFC
/// 3986, section 2.1).
fn percent_encoded(url: &str) -> String {
    let mut text = String::with_capacity(url.len());
    for byte in url.trim().bytes() {
        match byte {
            b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0..0x20 | 0x7f.. => {
                _ = write!(text, "%{byte:02X}");
            }
            _ => text.push(char::from(byte)),
        }
    }
    text
}

/// All URLs of an account's numbers.
pub(super) fn of_number(account: Sid, number: &IncomingPhoneNumber) -> Vec<Hook> {
    let hook = |property, url: &Option<String>, method: &Option<String>| {
        hook(account, At::Number, &number.sid, property, url, method)
    };
    // An application or a trunk takes their place; Twilio keeps the URLs and does not ask them.
    let is_set = |sid: &Option<String>| sid.as_ref().is_some_and(|sid| !sid.is_empty());
    let texts = !is_set(&number.sms_application_sid);
    let calls = !is_set(&number.voice_application_sid) && !is_set(&number.trunk_sid);
    let when = |used: bool, hook: Option<Hook>| hook.filter(|_| used);
    [
        when(texts, hook("sms_url", &number.sms_url, &number.sms_method)),
        when(texts, hook("sms_fallback_url", &number.sms_fallback_url, &number.sms_fallback_method)),
        when(calls, hook("voice_url", &number.voice_url, &number.voice_method)),
        when(calls, hook("voice_fallback_url", &number.voice_fallback_url, &number.voice_fallback_method)),
        hook("status_callback", &number.status_callback, &number.status_callback_method),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(super) fn of_application(account: Sid, application: &Application) -> Vec<Hook> {
    let hook = |property, url: &Option<String>, method: &Option<String>| {
        hook(account, At::Application, &application.sid, property, url, method)
    };
    // An older name of the same URL is not told twice.
    let older = application
        .sms_status_callback
        .clone()
        .filter(|url| application.message_status_callback.as_ref() != Some(url));
    [
        hook("sms_url", &application.sms_url, &application.sms_method),
        hook("sms_fallback_url", &application.sms_fallback_url, &application.sms_fallback_method),
        hook("sms_status_callback", &older, &None),
        hook("message_status_callback", &application.message_status_callback, &None),
        hook("voice_url", &application.voice_url, &application.voice_method),
        hook("voice_fallback_url", &application.voice_fallback_url, &application.voice_fallback_method),
        hook("status_callback", &application.status_callback, &application.status_callback_method),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(super) fn of_service(account: Sid, service: &MessagingService) -> Vec<Hook> {
    let hook = |property, url: &Option<String>, method: &Option<String>| {
        hook(account, At::MessagingService, &service.sid, property, url, method)
    };
    [
        hook("inbound_request_url", &service.inbound_request_url, &service.inbound_method)
            .filter(|_| service.use_inbound_webhook_on_number != Some(true)),
        hook("fallback_url", &service.fallback_url, &service.fallback_method),
        hook("status_callback", &service.status_callback, &None),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(super) fn of_domain(account: Sid, domain: &SipDomain) -> Vec<Hook> {
    let hook = |property, url: &Option<String>, method: &Option<String>| {
        hook(account, At::SipDomain, &domain.sid, property, url, method)
    };
    [
        hook("voice_url", &domain.voice_url, &domain.voice_method),
        hook("voice_fallback_url", &domain.voice_fallback_url, &domain.voice_fallback_method),
        hook(
            "voice_status_callback_url",
            &domain.voice_status_callback_url,
            &domain.voice_status_callback_method,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[expect(clippy::ref_option, reason = "the fields of Twilio's shapes as they are")]
fn hook(
    account: Sid,
    at: At,
    thing: &str,
    property: &'static str,
    url: &Option<String>,
    method: &Option<String>,
) -> Option<Hook> {
    let url = url.clone().filter(|url| !url.is_empty())?;
    let method = method.clone().filter(|it| !it.is_empty()).unwrap_or_else(|| "POST".to_owned());
    Some(Hook { account, at, thing: thing.to_owned(), property, url, method })
}

/// Whether Twilio serves it itself: TwiML bins (`handler.twilio.com`), flows, demonstrations. Functions
/// (`*.twil.io`) are not among them: what runs there is the operator's, and open to everybody unless it says otherwise.
pub(super) fn is_twilios_own(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    uri.scheme_str() == Some("https") && host.ends_with(".twilio.com")
}

/// What travels in clear.
pub(super) fn https(hooks: &[Hook], curl: &Curl) -> Vec<Finding> {
    let is_plain = |hook: &&Hook| {
        let scheme = hook.url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        !matches!(scheme.as_deref(), Some("https" | "wss"))
    };
    let finding = |hook: &Hook| {
        let over_tls =
            hook.url.split_once("://").map_or_else(String::new, |(_, rest)| format!("https://{rest}"));
        Finding {
            check: Check::WebhookHttps,
            severity: Severity::Critical,
            account: Some(hook.account),
            place: hook.place(),
            what: format!("{} leads to {}, without TLS", named(hook), shown(&hook.url)),
            why: "Whoever is on the way reads what your users write, and can answer in your application's name: the answer \
                  is TwiML, which sends and calls at your cost."
                .to_owned(),
            mend: change(hook, curl, &over_tls),
        }
    };
    hooks.iter().filter(is_plain).map(finding).collect()
}

/// Routes whose own public URL is in clear, which usage triggers and applications then tell Twilio.
pub(super) fn routes_in_clear(routes: &[PublicRoute]) -> Vec<Finding> {
    let finding = |route: &PublicRoute| Finding {
        check: Check::WebhookHttps,
        severity: Severity::Critical,
        account: None,
        place: format!("{}/public_url", route.label),
        what: format!(
            "The public URL of the route {} is without TLS ({})",
            route.label,
            shown(&route.public_url)
        ),
        why: "Whoever is on the way reads what Twilio says, and can answer in the gate's name.".to_owned(),
        mend: Mend::by(
            "Let the gate, or a proxy before it, end TLS, and write so into the [[route]]",
            format!("public_url = \"{}\"", masked(&route.public_url.replacen("http://", "https://", 1))),
        ),
    };
    routes.iter().filter(|route| !route.public_url.starts_with("https://")).map(finding).collect()
}

/// What leads past the gate, or to nothing behind it. `example` is the public URL of a route.
pub(super) fn to_the_gate(hooks: &[Hook], leads_to: &LeadsTo, example: &str, curl: &Curl) -> Vec<Finding> {
    let finding = |hook: &Hook| {
        let uri = hook.uri();
        let leads = match &uri {
            Some(uri) if is_twilios_own(uri) => return None,
            Some(uri) => leads_to(uri, &hook.method),
            None => Leads::Elsewhere,
        };
        let (severity, what, why) = match &leads {
            Leads::Route(_) => return None,
            Leads::Elsewhere => (
                Severity::Critical,
                format!("{} leads to {}, past the gate", named(hook), shown(&hook.url)),
                "Nothing checks there that Twilio asks, unless the application does: whoever finds the URL speaks in \
                 Twilio's name.",
            ),
            Leads::NoRoute => (
                Severity::Warning,
                format!("{} leads to {}, for which the gate has no route", named(hook), shown(&hook.url)),
                "The gate answers 404, so messages and calls that come in there are lost.",
            ),
            Leads::OtherMethods(route) => (
                Severity::Warning,
                format!(
                    "{} leads to {} with {}, and the route {route} does not take that method",
                    named(hook),
                    shown(&hook.url),
                    hook.method
                ),
                "The gate answers 405, so messages and calls that come in there are lost.",
            ),
        };
        let path = uri.as_ref().and_then(|uri| uri.path_and_query()).map_or("/", |it| it.as_str());
        let led = format!("{}{path}", example.trim_end_matches('/'));
        Some(Finding {
            check: Check::WebhookGate,
            severity,
            account: Some(hook.account),
            place: hook.place(),
            what,
            why: why.to_owned(),
            mend: match leads {
                Leads::OtherMethods(_) => tell(hook, curl, &method_of(hook.property), "POST"),
                Leads::NoRoute => Mend::by_hand(
                    "Write a [[route]] for its path (`ringfence check` says whether it is right), or take the URL away at Twilio",
                ),
                Leads::Route(_) | Leads::Elsewhere => change(hook, curl, &led),
            },
        })
    };
    hooks.iter().filter_map(finding).collect()
}

/// How a URL is changed at Twilio. Its query may be a secret, so the operator puts that in.
fn change(hook: &Hook, curl: &Curl, url: &str) -> Mend {
    let url = without_userinfo(url);
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let query = if url[end..].starts_with('?') { "?QUERY" } else { "" };
    tell(hook, curl, hook.property, &format!("{}{query}", masked(&url[..end])))
}

/// The property that says how a URL is asked: `voice_url` has `voice_method`, `status_callback` has
/// `status_callback_method`, and a Messaging Service's `inbound_request_url` has `inbound_method`.
fn method_of(property: &str) -> String {
    let stem = property.strip_suffix("_request_url").or_else(|| property.strip_suffix("_url"));
    format!("{}_method", stem.unwrap_or(property))
}

/// How a property is changed at Twilio. Names of parameters are those of properties in Pascal case.
fn tell(hook: &Hook, curl: &Curl, property: &str, value: &str) -> Mend {
    let parameter: String =
        property.split('_').map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect();
    let how = "Have the gate take it (a [[route]] for its path, `ringfence check` says whether it is right), then tell \
               Twilio";
    let account = hook.account;
    if value.contains('…') {
        // It was cut: to type it would break what works.
        return Mend::by_hand(how);
    }
    let more = format!(" \\\n  --data-urlencode '{parameter}={value}'");
    match hook.at {
        At::MessagingService => {
            curl.of_messaging(how, account, &format!("/v1/Services/{}", hook.thing), &more)
        }
        At::Number => {
            curl.of_account(how, account, "", &format!("IncomingPhoneNumbers/{}", hook.thing), &more)
        }
        At::Application => curl.of_account(how, account, "", &format!("Applications/{}", hook.thing), &more),
        At::SipDomain => curl.of_account(how, account, "", &format!("SIP/Domains/{}", hook.thing), &more),
    }
}

fn named(hook: &Hook) -> String {
    let thing = match hook.at {
        At::Number => "the number",
        At::Application => "the application",
        At::MessagingService => "the Messaging Service",
        At::SipDomain => "the SIP domain",
    };
    format!("{} of {thing} {}", hook.property, hook.thing)
}

/// A URL as it may be shown and kept: without user, password and query, which may be secrets.
pub(super) fn shown(url: &str) -> String {
    let url = without_userinfo(url);
    let url = url.split('#').next().unwrap_or_default();
    let (path, query) = url.split_once('?').map_or((url, ""), |(path, _)| (path, "?…"));
    one_line(&format!("{}{query}", masked(path)), 200)
}

/// A password may hold `?` and `#`, so it goes before anything is cut there.
fn without_userinfo(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// A URL without user and password, fit to stand in single quotes of a shell.
fn masked(url: &str) -> String {
    one_line(&without_userinfo(url), 300).replace('\'', "%27")
}

/// Host and port of a URL, the port that of its scheme where it names none.
pub(super) fn host_and_port(uri: &Uri) -> Option<(String, u16)> {
    let is_tls = matches!(uri.scheme_str(), Some("https" | "wss"));
    let port = uri.authority().and_then(Authority::port_u16).unwrap_or(if is_tls { 443 } else { 80 });
    let host = uri.host()?.trim_matches(['[', ']']).to_ascii_lowercase();
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(url: &str, property: &'static str) -> Hook {
        let (account, thing) = (Sid::new(*b"AC", 1), Sid::new(*b"PN", 2).to_string());
        Hook { account, at: At::Number, thing, property, url: url.to_owned(), method: "POST".to_owned() }
    }

    fn gate() -> LeadsTo {
        Arc::new(|uri, method| match (uri.host(), uri.path(), method) {
            (Some("hooks.example.com"), "/sms", "POST") => Leads::Route("/sms".to_owned()),
            (Some("hooks.example.com"), "/sms", _) => Leads::OtherMethods("/sms".to_owned()),
            (Some("hooks.example.com"), _, _) => Leads::NoRoute,
            _ => Leads::Elsewhere,
        })
    }

    fn severities(hooks: &[Hook]) -> Vec<Severity> {
        let found = to_the_gate(hooks, &gate(), "https://hooks.example.com", &Curl::of_a_test());
        found.into_iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn a_url_in_clear_is_found_whatever_it_leads_to() {
        for url in ["http://hooks.example.com/sms", "HTTP://a.example/", "ftp://a.example/", "nonsense"] {
            let found = https(&[hook(url, "sms_url")], &Curl::of_a_test());
            assert_eq!(found.len(), 1, "{url}");
            assert_eq!(found[0].severity, Severity::Critical);
        }
        assert!(https(&[hook("https://hooks.example.com/sms", "sms_url")], &Curl::of_a_test()).is_empty());
    }

    #[test]
    fn a_route_whose_public_url_is_in_clear_is_found() {
        let route = |public_url: &str| PublicRoute {
            label: "/sms".to_owned(),
            public_url: public_url.to_owned(),
            url: format!("{public_url}/sms"),
            method: "POST".to_owned(),
            watches_only: false,
            refusal_status: 403,
            upstream: None,
        };
        let found = routes_in_clear(&[route("http://hooks.example.com"), route("https://hooks.example.com")]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].mend.command.as_deref(), Some("public_url = \"https://hooks.example.com\""));
    }

    #[test]
    fn a_url_that_leads_past_the_gate_is_worse_than_one_that_it_has_no_route_for() {
        assert_eq!(severities(&[hook("https://app.example.com/sms", "sms_url")]), [Severity::Critical]);
        assert_eq!(severities(&[hook("https://my-1234.twil.io/sms", "sms_url")]), [Severity::Critical]);
        assert_eq!(severities(&[hook("https://hooks.example.com/old", "sms_url")]), [Severity::Warning]);
        let get = Hook { method: "GET".to_owned(), ..hook("https://hooks.example.com/sms", "sms_url") };
        assert_eq!(severities(&[get]), [Severity::Warning]);
        let odd = hook("https://hooks.example.com/old path/{x}?q=é", "sms_url");
        assert_eq!(severities(&[odd]), [Severity::Warning], "it is the gate's host, however it is written");
        for sound in [
            "https://hooks.example.com/sms#rc=2",
            "https://hooks.example.com/sms?to={To} |",
            "https://handler.twilio.com/twiml/EH1",
        ] {
            assert!(severities(&[hook(sound, "sms_url")]).is_empty(), "{sound}");
        }
        let look_alike = hook("https://handler.twilio.com.evil.example/twiml/EH1", "sms_url");
        assert_eq!(severities(&[look_alike]), [Severity::Critical]);
    }

    #[test]
    fn what_is_typed_mends_what_was_found() {
        let found = |hook: Hook| {
            let found = to_the_gate(&[hook], &gate(), "https://hooks.example.com", &Curl::of_a_test());
            found[0].mend.command.clone()
        };
        let get = Hook { method: "GET".to_owned(), ..hook("https://hooks.example.com/sms", "voice_url") };
        assert!(found(get).is_some_and(|command| command.contains("'VoiceMethod=POST'")));
        assert_eq!(found(hook("https://hooks.example.com/old", "sms_url")), None, "it needs a route");
        let long = format!("https://a.example/{}", "x".repeat(400));
        assert_eq!(found(hook(&long, "sms_url")), None, "half a URL is not typed");
        assert_eq!(method_of("inbound_request_url"), "inbound_method");
        assert_eq!(method_of("status_callback"), "status_callback_method");
    }

    #[test]
    fn what_mends_a_url_is_ready_to_be_typed_and_shows_no_password() {
        let hook = hook("http://user:secret@app.example.com/sms?key=abc#rc=2", "sms_fallback_url");
        let found = to_the_gate(&[hook], &gate(), "https://hooks.example.com", &Curl::of_a_test());
        let command = found[0].mend.command.clone().unwrap_or_default();
        assert!(command.contains("IncomingPhoneNumbers/PN"), "{command}");
        assert!(command.contains("'SmsFallbackUrl=https://hooks.example.com/sms?QUERY'"), "{command}");
        assert_eq!(shown("https://user:se?c#ret@a.example/x?key=abc"), "https://a.example/x?…");
        assert!(!found[0].what.contains("secret") && !found[0].what.contains("abc"), "{}", found[0].what);
    }
}

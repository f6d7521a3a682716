//! Cookies of applications, kept for as long as a conversation goes on: a call, or the messages between two numbers.
//!
//! Twilio is a browser to an application, one for each conversation, so what one sets another never sees. Cookies of
//! messages last four hours, or shorter if they say so:
//! <https://help.twilio.com/articles/223136287-How-do-Twilio-cookies-work->. They are not part of the signature.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{PhoneNumber, Sid};

use super::{Delivery, Then};
use crate::world::World;
use crate::world::messages::Address;

/// The longest name with its value, and how many of them in a conversation: what browsers take (RFC 6265, 6.1).
const BYTES_MAX: usize = 4096;
const COOKIES_MAX: usize = 50;
/// Conversations with cookies; when there are more, those without a live cookie are forgotten, else all.
const SESSIONS_MAX: usize = 10_000;
/// Of messages. A call may last a day, and its cookies with it.
const MESSAGES_H: i64 = 4;
const CALL_H: i64 = 24;

/// All cookies.
#[derive(Debug, Default)]
pub(super) struct Cookies(HashMap<Session, Vec<Cookie>>);

/// What keeps cookies of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Session {
    Call(Sid),
    Messages { account: Sid, from: Option<Address>, to: PhoneNumber },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Cookie {
    name: String,
    value: String,
    host: String,
    /// It named its domain, so it goes to hosts under it too.
    with_subdomains: bool,
    path: String,
    secure: bool,
    expires: Timestamp,
}

/// Keeps what an answer of this delivery has set.
pub(super) fn keep(world: &mut World, delivery: Sid, set: &[String]) {
    let Some(delivery) = world.webhooks.log.find(delivery).filter(|_| !set.is_empty()) else { return };
    let Some(session) = session(world, delivery) else { return };
    let hours = if matches!(session, Session::Call(_)) { CALL_H } else { MESSAGES_H };
    let (now, url) = (world.now, delivery.target().url.clone());
    let Ok(latest) = now.checked_add(SignedDuration::from_hours(hours)) else { return };
    let sessions = &mut world.webhooks.cookies.0;
    if sessions.len() >= SESSIONS_MAX && !sessions.contains_key(&session) {
        sessions.retain(|_, cookies| cookies.iter().any(|cookie| cookie.expires > now));
        if sessions.len() >= SESSIONS_MAX {
            sessions.clear();
        }
    }
    let cookies = sessions.entry(session).or_default();
    for cookie in set.iter().filter_map(|text| parse(text, &url, now, latest)) {
        cookies.retain(|old| !old.is_replaced_by(&cookie) && old.expires > now);
        if cookie.expires > now && cookies.len() < COOKIES_MAX {
            cookies.push(cookie);
        }
    }
}

/// The `Cookie` header of a request for this delivery at this URL.
pub(super) fn header(world: &World, delivery: &Delivery, url: &str) -> Option<String> {
    let cookies = world.webhooks.cookies.0.get(&session(world, delivery)?)?;
    let place = Place::of(url)?;
    let mut sent: Vec<&Cookie> =
        cookies.iter().filter(|cookie| cookie.expires > world.now && cookie.is_for(&place)).collect();
    // The longest path first (RFC 6265, 5.4); of equal ones the oldest, as they stand.
    sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
    let pairs: Vec<String> = sent.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
    (!pairs.is_empty()).then(|| pairs.join("; "))
}

/// The conversation that a delivery belongs to. Callbacks belong to none.
fn session(world: &World, delivery: &Delivery) -> Option<Session> {
    match delivery.webhook.then {
        Then::Call(call, _) => Some(Session::Call(call)),
        Then::Message(sid) => {
            let message = world.messages.find_of(delivery.webhook.account, sid)?;
            Some(Session::Messages { account: message.account, from: message.from.clone(), to: message.to })
        }
        Then::Nothing | Then::Trigger(_) => None,
    }
}

/// What counts of a URL.
struct Place<'a> {
    secure: bool,
    host: String,
    path: &'a str,
}

impl<'a> Place<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = match host.rfind(':') {
            Some(colon) if !host[colon..].contains(']') => &host[..colon],
            _ => host,
        };
        let path = path.split(['?', '#']).next().filter(|path| !path.is_empty()).unwrap_or("/");
        Some(Self { secure: scheme.eq_ignore_ascii_case("https"), host: host.to_ascii_lowercase(), path })
    }

    /// The folder, which is where a cookie without a path belongs (RFC 6265, 5.1.4).
    fn folder(&self) -> &'a str {
        self.path.rsplit_once('/').map(|(folder, _)| folder).filter(|it| !it.is_empty()).unwrap_or("/")
    }
}

impl Cookie {
    fn is_replaced_by(&self, other: &Self) -> bool {
        (&self.name, &self.host, &self.path) == (&other.name, &other.host, &other.path)
    }

    fn is_for(&self, place: &Place<'_>) -> bool {
        let same_host = self.host == place.host || self.with_subdomains && is_under(&place.host, &self.host);
        let under_path = place
            .path
            .strip_prefix(self.path.as_str())
            .is_some_and(|rest| rest.is_empty() || self.path.ends_with('/') || rest.starts_with('/'));
        same_host && under_path && (place.secure || !self.secure)
    }
}

fn is_under(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// Reads a `Set-Cookie` header (RFC 6265, 5.2). `None`: it is none, or of a domain that is not the application's.
fn parse(text: &str, url: &str, now: Timestamp, latest: Timestamp) -> Option<Cookie> {
    let place = Place::of(url)?;
    let mut parts = text.split(';').map(|part| part.split_once('=').unwrap_or((part, "")));
    let (name, value) = parts.next().map(|(name, value)| (name.trim(), value.trim()))?;
    let is_clean = !text.chars().any(char::is_control);
    if name.is_empty() || name.len() + value.len() > BYTES_MAX || !is_clean {
        return None;
    }
    let folder = place.folder().to_owned();
    let mut cookie = Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        host: place.host,
        with_subdomains: false,
        path: folder,
        secure: false,
        expires: latest,
    };
    let (mut age, mut date) = (None, None);
    for (attribute, value) in parts {
        let value = value.trim();
        match attribute.trim().to_ascii_lowercase().as_str() {
            "domain" => {
                let domain = value.trim_start_matches('.').to_ascii_lowercase();
                if domain != cookie.host {
                    if !domain.contains('.') || !is_under(&cookie.host, &domain) {
                        return None;
                    }
                    cookie.host = domain;
                }
                cookie.with_subdomains = true;
            }
            "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
            "secure" => cookie.secure = true,
            "max-age" => age = value.parse::<i64>().ok().or(age),
            "expires" => date = parse_date(value).or(date),
            _ => {}
        }
    }
    let aged =
        age.map(|seconds| now.checked_add(SignedDuration::from_secs(seconds.max(0))).unwrap_or(latest));
    if let Some(expires) = aged.or(date) {
        cookie.expires = expires.min(latest);
    }
    Some(cookie)
}

/// `Wed, 21 Oct 2026 07:28:00 GMT`, or with hyphens as in old times.
fn parse_date(text: &str) -> Option<Timestamp> {
    let text = text.replace('-', " ");
    jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://app.example:8443/twilio/sms?x=/y";

    fn read(text: &str) -> Option<Cookie> {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        parse(text, URL, now, now.checked_add(SignedDuration::from_hours(4)).unwrap())
    }

    fn is_sent(text: &str, url: &str) -> bool {
        read(text).unwrap().is_for(&Place::of(url).unwrap())
    }

    #[test]
    fn what_is_no_cookie_or_belongs_to_others_is_not_kept() {
        for text in [
            "",
            "=x",
            "  ; Path=/",
            "a=b\tc",
            "a=b; Domain=other.example",
            "a=b; Domain=example",
            "a=b; Domain=pp.example",
            &format!("a={}", "x".repeat(4096)),
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_cookie_goes_back_to_its_host_and_folder() {
        for (text, url, expected) in [
            ("a=b", URL, true),
            ("a=b", "http://app.example/twilio/voice", true),
            ("a=b", "https://app.example/twilio", true),
            ("a=b", "https://app.example/twiliox", false),
            ("a=b", "https://app.example/", false),
            ("a=b", "https://sub.app.example/twilio/", false),
            ("a=b; path=/", "https://APP.example", true),
            ("a=b; Path=nonsense", "https://app.example", false),
            ("a=b; Secure", "http://app.example/twilio/sms", false),
            ("a=b; Domain=.app.example", "https://sub.app.example/twilio/sms", true),
            ("a=b; Domain=app.example", "https://evilapp.example/twilio/sms", false),
        ] {
            assert_eq!(is_sent(text, url), expected, "{text} at {url}");
        }
    }

    #[test]
    fn a_cookie_lasts_as_long_as_it_says_and_no_longer_than_its_conversation() {
        for (text, expected) in [
            ("a=b", "2026-01-01T04:00:00Z"),
            ("a=b; Max-Age=60", "2026-01-01T00:01:00Z"),
            ("a=b; Max-Age=999999999", "2026-01-01T04:00:00Z"),
            ("a=b; Max-Age=9223372036854775807", "2026-01-01T04:00:00Z"),
            ("a=b; Max-Age=-9223372036854775808", "2026-01-01T00:00:00Z"),
            ("a=b; Expires=Thu, 01 Jan 2026 01:00:00 GMT", "2026-01-01T01:00:00Z"),
            ("a=b; Expires=Thu, 01-Jan-1970 00:00:01 GMT", "1970-01-01T00:00:01Z"),
            ("a=b; Expires=tomorrow", "2026-01-01T04:00:00Z"),
            ("a=b; Max-Age=60; Expires=Thu, 01 Jan 2026 01:00:00 GMT", "2026-01-01T00:01:00Z"),
        ] {
            assert_eq!(read(text).unwrap().expires.to_string(), expected, "{text}");
        }
    }
}

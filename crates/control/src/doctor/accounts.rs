//! `sender`, `media`, `keys`, `geo-permissions`, `sip-domains`, `changes`: what Twilio has of each account.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Sid;
use ringfence_store::{Credential, Token};
use ringfence_twilio::wire::{Event, Key, SipDomain};

use super::Words;
use super::curl::Curl;
use super::facts::{EVENTS_DAYS, Geo, TRAFFIC_DAYS};
use super::finding::{Check, Finding, Mend};
use super::hooks::shown;
use crate::notices::{Severity, one_line};

/// Twilio says of no key when it was last used, so all that is known of one is its age.
const OLD: SignedDuration = SignedDuration::from_hours(365 * 24);
/// A credential of ours that asked for nothing for so long is one that nobody would miss, but a thief.
const UNUSED: SignedDuration = SignedDuration::from_hours(90 * 24);

/// API keys of an account that are old.
pub(super) fn keys(account: Sid, keys: &[Key], curl: &Curl, now: Timestamp) -> Vec<Finding> {
    let age = |key: &Key| key.date_created.map(|made| now.duration_since(made.0));
    let finding = |key: &Key| {
        Finding {
        check: Check::Keys,
        severity: Severity::Warning,
        account: Some(account),
        place: key.sid.clone(),
        what: format!(
            "The API key {} ({}) is {} days old",
            key.sid,
            one_line(key.friendly_name.as_deref().unwrap_or("without a name"), 64),
            age(key).unwrap_or_default().as_hours() / 24
        ),
        why: "Twilio does not say whether a key is used. One that is forgotten in an old machine or a repository opens the \
              account to whoever finds it."
            .to_owned(),
        mend: curl.of_account(
            "Make a new one for whoever needs it, or none; then delete this",
            account,
            "-X DELETE ",
            &format!("Keys/{}", key.sid),
            "",
        ),
    }
    };
    keys.iter().filter(|key| age(key).is_some_and(|age| age > OLD)).map(finding).collect()
}

/// Credentials of ours for the egress that nobody uses.
pub(super) fn credentials(credentials: &[Credential], now: Timestamp, words: &Words) -> Vec<Finding> {
    let since = |credential: &Credential| {
        now.duration_since(credential.used_at.unwrap_or(credential.created_at).max(credential.created_at))
    };
    let finding = |credential: &Credential| {
        Finding {
        check: Check::Keys,
        severity: Severity::Warning,
        account: None,
        place: credential.sid.to_string(),
        what: format!(
            "The virtual credential {} ({}) has asked for nothing in {} days",
            credential.sid,
            one_line(&credential.name, 64),
            since(credential).as_hours() / 24
        ),
        why: "Whoever finds it may send and call as far as its scopes and the limits go, and nobody would miss it."
            .to_owned(),
        mend: Mend::by("Revoke it", words.command(&format!("key revoke {}", credential.sid))),
    }
    };
    credentials.iter().filter(|it| it.is_good(now) && since(it) > UNUSED).map(finding).collect()
}

/// Tokens of Ringfence's API that are old: it does not keep when one was used.
pub(super) fn tokens(tokens: &[Token], now: Timestamp, words: &Words) -> Vec<Finding> {
    let age = |token: &Token| now.duration_since(token.created_at);
    let is_good = |token: &&Token| token.revoked_at.is_none() && token.expires_at.is_none_or(|at| now < at);
    let finding = |token: &Token| Finding {
        check: Check::Keys,
        severity: Severity::Warning,
        account: None,
        place: format!("token {}", token.id),
        what: format!(
            "The API token {} ({}) is {} days old",
            token.id,
            one_line(&token.name, 64),
            age(token).as_hours() / 24
        ),
        why:
            "Whoever finds an old copy of it (a script, a backup) may do with Ringfence what its scopes let."
                .to_owned(),
        mend: Mend::by(
            "Make a new one with a time at which it ends, then revoke this",
            words.command(&format!("api-token revoke {}", token.id)),
        ),
    };
    tokens.iter().filter(is_good).filter(|token| age(token) > OLD).map(finding).collect()
}

/// A few countries too many are worth knowing; more are how toll fraud earns.
const MANY_COUNTRIES: usize = 10;

/// Countries that may be reached and were not.
pub(super) fn geo(account: Sid, geo: &Geo) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !geo.risky.is_empty() {
        findings.push(of_geo(
            account,
            Severity::Warning,
            "voice/high-risk",
            format!(
                "Calls to numbers that are known from fraud are permitted ({})",
                listed(&geo.risky.iter().collect::<Vec<_>>())
            ),
            "Voice",
        ));
    }
    for (word, may, product, open, used) in [
        ("calls", "Calls", "Voice", &geo.called, &geo.calls_to),
        ("texts", "Texts", "Messaging", &geo.texted, &geo.texts_to),
    ] {
        // A new account at Twilio has these open, and most of the traffic is there.
        let is_needed = |country: &String| used.contains(country) || matches!(country.as_str(), "US" | "CA");
        let unneeded: Vec<&String> = open.iter().filter(|country| !is_needed(country)).collect();
        if unneeded.is_empty() {
            continue;
        }
        let severity = if unneeded.len() > MANY_COUNTRIES { Severity::Warning } else { Severity::Info };
        let what = format!(
            "{may} may go to {} countries to which none went in {TRAFFIC_DAYS} days ({})",
            unneeded.len(),
            listed(&unneeded)
        );
        findings.push(of_geo(account, severity, word, what, product));
    }
    findings
}

fn of_geo(account: Sid, severity: Severity, place: &str, what: String, product: &str) -> Finding {
    Finding {
        check: Check::GeoPermissions,
        severity,
        account: Some(account),
        place: place.to_owned(),
        what,
        why: "Toll fraud and SMS pumping go where they earn, which is seldom where your users are."
            .to_owned(),
        mend: Mend::by_hand(format!(
            "Close what nobody needs in the Console of Twilio ({product}, Settings, Geo permissions) of {account}"
        )),
    }
}

/// The first few.
fn listed(countries: &[&String]) -> String {
    let first: Vec<&str> = countries.iter().take(8).map(|it| it.as_str()).collect();
    let more = if countries.len() > first.len() { ", …" } else { "" };
    format!("{}{more}", first.join(", "))
}

/// Domains that take calls from any address.
pub(super) fn sip(account: Sid, domains: &[SipDomain], curl: &Curl) -> Vec<Finding> {
    let is_open = |domain: &&SipDomain| !domain.auth_type.as_deref().unwrap_or_default().contains("IP_ACL");
    let finding = |domain: &SipDomain| {
        let name = one_line(domain.domain_name.as_deref().unwrap_or(&domain.sid), 100);
        let takes_none = domain.auth_type.as_deref().unwrap_or_default().is_empty();
        Finding {
            check: Check::SipDomains,
            severity: Severity::Warning,
            account: Some(account),
            place: domain.sid.clone(),
            what: format!("The SIP domain {name} has no list of addresses that may call"),
            why: if takes_none {
                "Without any list it takes no calls; the first list of credentials opens it to the whole internet."
            } else {
                "Anybody on the internet may try passwords there, and whoever has one calls at your cost."
            }
            .to_owned(),
            mend: curl.of_account(
                "Make an IP access control list in the Console of Twilio (Voice, Manage, IP access control lists), then \
                 map it to the domain",
                account,
                "",
                &format!("SIP/Domains/{}/Auth/Calls/IpAccessControlListMappings", domain.sid),
                " \\\n  --data-urlencode IpAccessControlListSid=AL…",
            ),
        }
    };
    domains.iter().filter(is_open).map(finding).collect()
}

/// What is told of each account; more are summed up.
const EVENTS_TOLD: usize = 20;

/// What was made, or led elsewhere, lately.
pub(super) fn changes(account: Sid, events: &[Event]) -> Vec<Finding> {
    let interesting: Vec<&Event> = events.iter().filter(|event| is_interesting(event)).collect();
    let finding = |event: &&Event| {
        let by = event.actor_sid.as_deref().unwrap_or("Twilio");
        let from = event.source_ip_address.as_ref().map(|it| format!(" from {it}")).unwrap_or_default();
        let at = event.event_date.map(|at| format!(" at {}", at.0)).unwrap_or_default();
        of_change(
            account,
            &event.sid,
            format!(
                "{} {}{at}, by {by}{from}{}",
                one_line(event.event_type.as_deref().unwrap_or("something"), 64),
                one_line(event.resource_sid.as_deref().unwrap_or_default(), 64),
                led(event)
            ),
        )
    };
    let mut findings: Vec<Finding> = interesting.iter().take(EVENTS_TOLD).map(finding).collect();
    if interesting.len() > EVENTS_TOLD {
        let more = interesting.len() - EVENTS_TOLD;
        findings.push(of_change(account, "more", format!("{more} more such changes in {EVENTS_DAYS} days")));
    }
    findings
}

fn of_change(account: Sid, place: &str, what: String) -> Finding {
    Finding {
        check: Check::Changes,
        severity: Severity::Info,
        account: Some(account),
        place: place.to_owned(),
        what,
        why: "A thief makes keys and subaccounts, opens trunks and leads URLs elsewhere. If it was none of you, change the \
              credentials."
            .to_owned(),
        mend: Mend::by_hand("Ask who did it; Twilio's Console has the whole log (Monitor, Audit events)"),
    }
}

/// The URLs that were changed, each with where it leads now.
pub(crate) fn led(event: &Event) -> String {
    let changed = event.event_data.as_object().into_iter().flatten().filter(|(name, _)| is_url(name));
    let told = changed.map(|(name, change)| match change["updated"].as_str() {
        Some(url) if !url.is_empty() => format!("; {name} leads to {}", shown(url)),
        _ => format!("; {name} leads nowhere"),
    });
    told.take(5).collect()
}

fn is_url(property: &str) -> bool {
    !property.ends_with("method") && (property.contains("url") || property.contains("callback"))
}

/// What was made that opens the account, and what was changed that leads it elsewhere.
pub(crate) fn is_interesting(event: &Event) -> bool {
    let Some((resource, act)) = event.event_type.as_deref().and_then(|it| it.rsplit_once('.')) else {
        return false;
    };
    let opens = ["api-key", "signing-key", "account", "subaccount", "sip-domain", "auth-token"];
    match act {
        "created" => opens.contains(&resource) || resource.ends_with("trunk"),
        "updated" => {
            let data = event.event_data.as_object();
            resource == "auth-token" || data.is_some_and(|data| data.keys().any(|name| is_url(name)))
        }
        "promoted" => true,
        _ => false,
    }
}

/// A sender that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredSender {
    /// Where the configuration names it: `sms of [notify]`.
    pub at: String,
    /// From which account it sends.
    pub account: Sid,
    /// What it sends by.
    pub by: SendsBy,
}

/// What a sender sends by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendsBy {
    /// A number in E.164, for texts.
    Number(String),
    /// A number in E.164, for calls: one that was verified as a caller ID does too.
    Caller(String),
    /// A Messaging Service: `MG…`.
    Service(Sid),
}

/// What is wrong with a sender that the account was found not to have.
pub(super) fn not_owned(sender: &ConfiguredSender, curl: &Curl) -> Finding {
    let by = match &sender.by {
        // A whole number does not stand in a report that is kept and mailed.
        SendsBy::Number(number) | SendsBy::Caller(number) => {
            format!("the number …{}", number.get(number.len().saturating_sub(4)..).unwrap_or_default())
        }
        SendsBy::Service(service) => format!("the Messaging Service {service}"),
    };
    Finding {
        check: Check::Sender,
        severity: Severity::Critical,
        account: Some(sender.account),
        place: sender.at.clone(),
        what: format!("{} sends by {by}, which {} does not have", sender.at, sender.account),
        why: "Twilio refuses each message and call (21606, 21210): no code and no notice arrives, and nobody is told."
            .to_owned(),
        mend: curl.of_account(
            "Write a sender of the account's into the configuration; these are its numbers",
            sender.account,
            "",
            "IncomingPhoneNumbers",
            "",
        ),
    }
}

/// Recordings that anybody may fetch.
pub(super) fn media_open(account: Sid) -> Finding {
    Finding {
        check: Check::Media,
        severity: Severity::Warning,
        account: Some(account),
        place: "media".to_owned(),
        what: format!("Recordings and media of {account} are given to everybody who has their URL"),
        why: "URLs are in logs, mails and browsers' histories, and what was said in a call is behind them."
            .to_owned(),
        mend: Mend::by_hand(
            "Demand credentials in the Console of Twilio (Voice, Settings, General: HTTP Basic authentication for media \
             access; and the same for Messaging). docs/media.md says how your people and applications see files then",
        ),
    }
}

/// Whether an account has a sender, by what was read of it.
pub(super) fn has(sender: &SendsBy, numbers: &BTreeSet<&str>, services: &BTreeSet<&str>) -> bool {
    match sender {
        SendsBy::Number(number) | SendsBy::Caller(number) => numbers.contains(number.as_str()),
        SendsBy::Service(service) => services.contains(service.to_string().as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: Sid = Sid::new(*b"AC", 1);

    fn now() -> Timestamp {
        "2026-11-27T00:00:00Z".parse().unwrap()
    }

    fn days_ago(days: i64) -> Timestamp {
        now() - SignedDuration::from_hours(24 * days)
    }

    fn words() -> Words {
        Words { config: "ringfence.toml".to_owned() }
    }

    fn credential(made: i64, used: Option<i64>, revoked: bool) -> Credential {
        Credential {
            sid: Sid::new(*b"SK", 1),
            kind: "egress".to_owned(),
            application: None,
            name: "shop".to_owned(),
            scopes: Vec::new(),
            created_at: days_ago(made),
            created_by: None,
            used_at: used.map(days_ago),
            expires_at: None,
            revoked_at: revoked.then(now),
        }
    }

    fn token(made: i64, ended: bool) -> Token {
        Token {
            id: "1".to_owned(),
            name: "monitor".to_owned(),
            scopes: Vec::new(),
            networks: Vec::new(),
            created_at: days_ago(made),
            expires_at: ended.then(|| days_ago(1)),
            revoked_at: None,
        }
    }

    #[test]
    fn a_credential_that_nobody_uses_is_found_and_one_that_is_new_or_revoked_is_not() {
        let found = |it: Credential| credentials(&[it], now(), &words()).len();
        assert_eq!(found(credential(200, None, false)), 1);
        assert_eq!(found(credential(200, Some(91), false)), 1);
        assert_eq!(found(credential(200, Some(3), false)), 0);
        assert_eq!(found(credential(10, None, false)), 0);
        assert_eq!(found(credential(200, None, true)), 0);
    }

    #[test]
    fn an_old_token_of_the_api_is_found_as_long_as_it_opens_something() {
        let found = |it: Token| tokens(&[it], now(), &words()).len();
        assert_eq!(found(token(400, false)), 1);
        assert_eq!(found(token(300, false)), 0);
        assert_eq!(found(token(400, true)), 0);
    }

    #[test]
    fn countries_are_weighed_by_traffic_and_numbers_known_from_fraud_are_always_found() {
        let set = |countries: &[&str]| countries.iter().map(|it| (*it).to_owned()).collect();
        let all = ["US", "CA", "DE", "GB", "LV", "LT", "SO", "TD", "GM", "SL", "GN", "CD", "RS", "CU"];
        let wide = Geo { called: set(&all), calls_to: set(&["DE"]), ..Geo::default() };
        let found = geo(ACCOUNT, &wide);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Warning));
        let some = Geo { texted: set(&["US", "DE", "GB"]), texts_to: set(&["DE"]), ..Geo::default() };
        assert_eq!(geo(ACCOUNT, &some)[0].severity, Severity::Info, "one country too many");
        let fit = Geo { texted: set(&["US", "DE"]), texts_to: set(&["DE"]), ..Geo::default() };
        assert!(geo(ACCOUNT, &fit).is_empty());
        let risky =
            Geo { risky: set(&["LV"]), calls_to: set(&["LV"]), called: set(&["LV"]), ..Geo::default() };
        assert_eq!(geo(ACCOUNT, &risky)[0].place, "voice/high-risk");
    }
}

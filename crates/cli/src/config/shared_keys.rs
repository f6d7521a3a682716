//! `[shared_keys]`: whose webhooks are signed by a key of their own, which Ringfence makes at Twilio and replaces. Experimental:
//! Twilio's API for it is a beta. Where the section is not there, everything at Twilio is left as it is.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use ringfence_control::shared_keys::{Accounts, RULES_MAX, Settings};
use ringfence_gateway::settings::{Check, Mode, PathRule, Route, SignedBy, Upstream};
use ringfence_model::Sid;
use ringfence_signature::MAX_KEYS;
use ringfence_twilio::wire::RuleMatch;

use super::account::{Account, account_sid};
use super::problems::Problems;
use super::raw::{Field, Section, Table};
use super::units;

pub(super) const SECTION: Section =
    Section { name: "[shared_keys]", keys: &["accounts", "settle"], later: &[] };

const ACCOUNTS_FORM: &str = "\"all\" or a list such as [\"AC…\"]";
const SETTLE_FORM: &str = "a time from \"2m\" to \"24h\", such as \"5m\"";

/// Twilio's changes get everywhere in 30 to 60 seconds, and a webhook is tried again for a while.
const SETTLE: Duration = Duration::from_mins(5);
/// Twice what Twilio's pages say.
const SETTLE_LEAST: Duration = Duration::from_mins(2);
const SETTLE_MOST: Duration = Duration::from_hours(24);

/// While one key takes the place of another, there are the one that signs, the one that will, and perhaps one that did.
const OF_OURS: usize = 3;

/// What the rest of the file has.
pub(super) struct Rest<'a> {
    /// Nothing where not all of them could be read.
    pub(super) accounts: Option<&'a [Account]>,
    pub(super) routes: &'a [Route],
    pub(super) has_store: bool,
}

/// Reads the section; nothing where it is not there.
pub(super) fn resolve(
    table: Option<Table<'_>>,
    rest: &Rest<'_>,
    problems: &mut Problems,
) -> Option<Settings> {
    let table = table?;
    let accounts = table.required("accounts", ACCOUNTS_FORM, problems);
    let accounts = accounts.and_then(|field| accounts_of(field, rest, problems));
    let settle = match table.find("settle") {
        Some(field) => settle(field, problems),
        None => Some(SETTLE),
    };
    if !rest.has_store {
        table.wrong(
            "accounts",
            "keys are kept in the store, and there is none; add [store] with url = \"sqlite:ringfence.db\"",
            problems,
        );
    }
    let urls = urls(rest.routes);
    // What was made must be taken back whatever the routes are.
    let takes_back =
        accounts.as_ref().is_some_and(|it| matches!(it, Accounts::These(these) if these.is_empty()));
    if urls.is_empty() && !rest.routes.is_empty() && !takes_back {
        table.wrong(
            "accounts",
            "no [[route]] takes what a SharedKey may sign: an application's, with check = \"signature\", mode = \"enforce\" and \
             an http or https `public_url` without a password; add one, or remove this section",
            problems,
        );
    }
    if urls.len() > RULES_MAX {
        table.wrong(
            "accounts",
            format_args!(
                "the routes need {} rules at Twilio, and an account may have {RULES_MAX}; give routes a common prefix, or \
                 write signed_by = \"auth-token\" for some",
                urls.len()
            ),
            problems,
        );
    }
    covers_no_other(&table, rest.routes, &urls, problems);
    let settings = Settings { accounts: accounts?, urls, settle: SignedDuration::try_from(settle?).ok()? };
    if let Some(accounts) = rest.accounts {
        keys_fit(&table, &settings, accounts, problems);
    }
    Some(settings)
}

/// Whether the keys that are made find a place beside those of the file, and somebody makes them.
fn keys_fit(table: &Table<'_>, settings: &Settings, accounts: &[Account], problems: &mut Problems) {
    let wanted = |account: &&Account| Sid::parse(account.sid.as_str()).is_ok_and(|sid| settings.wants(sid));
    for account in accounts.iter().filter(wanted).filter(|it| it.keys_len + OF_OURS > MAX_KEYS) {
        table.wrong(
            "accounts",
            format_args!(
                "{} has {} keys in its [[account]], and with {OF_OURS} SharedKeys while one is replaced more than {MAX_KEYS}; remove \
                 what is retired",
                account.sid, account.keys_len
            ),
            problems,
        );
    }
    if accounts.iter().all(|account| account.auth_token.is_none()) {
        table.doubtful(
            "accounts",
            "no [[account]] has an auth_token, so another node has to make the keys; this one only verifies with them",
            problems,
        );
    }
}

/// The rule of a prefix holds for all that is below it, so also for routes that cannot do with it.
fn covers_no_other(table: &Table<'_>, routes: &[Route], urls: &[RuleMatch], problems: &mut Problems) {
    for route in routes {
        let why = if route.mode == Mode::Shadow {
            "mode = \"shadow\": the application that answers there does not know the key"
        } else if !matches!(route.check, Check::Signature) || route.public_url.has_userinfo() {
            "a password, which the rule's setting does not send"
        } else {
            continue;
        };
        let (RuleMatch::Exact(url) | RuleMatch::Prefix(url)) = url(route) else { continue };
        let covering = urls.iter().find_map(|it| match it {
            RuleMatch::Prefix(prefix) if url.starts_with(prefix.as_str()) => Some(prefix),
            _ => None,
        });
        if let Some(prefix) = covering {
            table.wrong(
                "accounts",
                format_args!(
                    "the rule for {prefix} holds for {url} too, whose [[route]] has {why}; write signed_by = \"auth-token\" in \
                     the [[route]] of the prefix, or give this one a URL that is not below it"
                ),
                problems,
            );
        }
    }
}

fn accounts_of(field: Field<'_>, rest: &Rest<'_>, problems: &mut Problems) -> Option<Accounts> {
    if field.as_text().is_some() {
        return field.choice(&[("all", ())], problems).map(|()| Accounts::All);
    }
    let mut these = Vec::new();
    for item in field.list(ACCOUNTS_FORM, problems)? {
        let Some(sid) = account_sid(item, problems) else { continue };
        let Ok(sid) = Sid::parse(sid.as_str()) else { continue };
        let is_known = rest.accounts.is_none_or(|accounts| {
            accounts.iter().any(|account| account.is(sid) || account.finds_subaccounts)
        });
        if !is_known {
            item.wrong(
                format_args!(
                    "{sid} is no account of this file, and no [[account]] has subaccounts = true to find it by; add one of \
                     the two"
                ),
                problems,
            );
        }
        these.push(sid);
    }
    Some(Accounts::These(these))
}

fn settle(field: Field<'_>, problems: &mut Problems) -> Option<Duration> {
    field.parse(SETTLE_FORM, problems, |text| match units::duration(text)? {
        time if time < SETTLE_LEAST => {
            Err("is less than twice what a change of Twilio's may take (60s)".to_owned())
        }
        time if time > SETTLE_MOST => Err("keeps a key that was replaced for too long".to_owned()),
        time => Ok(time),
    })
}

/// The URLs that rules at Twilio are wanted for; what a shorter prefix covers needs none.
fn urls(routes: &[Route]) -> Vec<RuleMatch> {
    let wanted: BTreeSet<RuleMatch> = routes.iter().filter(|route| is_wanted(route)).map(url).collect();
    let is_covered = |one: &RuleMatch| {
        wanted.iter().any(|other| match (one, other) {
            (RuleMatch::Exact(url) | RuleMatch::Prefix(url), RuleMatch::Prefix(prefix)) => {
                one != other && url.starts_with(prefix.as_str())
            }
            _ => false,
        })
    };
    wanted.iter().filter(|one| !is_covered(one)).cloned().collect()
}

fn is_wanted(route: &Route) -> bool {
    // A route that is only watched is answered by somebody who knows nothing of our keys.
    route.signed_by != SignedBy::AuthToken && route.mode == Mode::Enforce
}

fn url(route: &Route) -> RuleMatch {
    match &route.path {
        PathRule::Exact(path) => RuleMatch::Exact(format!("{}{path}", route.public_url)),
        PathRule::Prefix(path) => RuleMatch::Prefix(format!("{}{path}", route.public_url)),
    }
}

/// What must have signed, where a route does not say: usage triggers and pressed keys may come with the auth token's signature,
/// as no page of Twilio's says otherwise, and a setting of ours carries no password.
pub(super) fn signed_by_default(route: &Route) -> SignedBy {
    let is_application = matches!(route.upstream, Upstream::Application(_));
    if is_application && can_be_shared(route).is_ok() { SignedBy::Any } else { SignedBy::AuthToken }
}

/// Whether a SharedKey may be demanded of a route; if not, why.
pub(super) fn can_be_shared(route: &Route) -> Result<(), &'static str> {
    match route.check {
        Check::Basic(_) => return Err("check = \"basic\" verifies no signature; remove it"),
        Check::SignatureAndBasic(_) => {
            return Err(
                "Ringfence's rules at Twilio send no password, and this route asks for one; remove it",
            );
        }
        Check::Signature => {}
    }
    if route.public_url.has_userinfo() {
        return Err("Ringfence's rules at Twilio send no password, and `public_url` has one; remove it");
    }
    if route.public_url.scheme().starts_with("ws") {
        return Err("Twilio's rules are for http and https, and this is a route for WebSockets; remove it");
    }
    Ok(())
}

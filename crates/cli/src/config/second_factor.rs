//! `[second_factor]`: the account that codes go out from, where they may go, and how many.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use jiff::SignedDuration;
use ringfence_breaker::Scope;
use ringfence_control::notices::Sender;
use ringfence_control::people::{Hosts, Rules};
use ringfence_control::second_factor::{Delivery, Lines, Settings};
use ringfence_model::{PhoneNumber, Sid};
use ringfence_second_factor::challenge::LIFETIME_MAX;
use ringfence_second_factor::country::Country;
use ringfence_second_factor::passkey::RelyingParty;
use ringfence_second_factor::policy::{Demands, Policy, Strength};
use ringfence_second_factor::pumping::standing::KEPT_PERCENT_MAX;
use ringfence_second_factor::pumping::{Cap, Limits};
use ringfence_twilio::wire::LineType;

use super::account::{Account, account_sid};
use super::console::Console;
use super::control::can_suspend;
use super::limit::Typed;
use super::problems::Problems;
use super::raw::{Field, Section, Table};
use super::units;

pub(super) const SECTION: Section = Section {
    name: "[second_factor]",
    keys: &[
        "account",
        "sender",
        "caller",
        "verify_service",
        "countries",
        "refuse_lines",
        "lookup_away",
        "lifetime",
        "public_url",
        "per_number",
        "per_address",
        "per_user",
        "per_prefix",
        "per_country",
        "in_total",
        "kept_percent",
        "minimum",
        "minimum_factors",
        "administrators",
        "trust_days",
    ],
    later: &[],
};

/// What only whoever sends codes needs.
const OF_SENDING: [&str; 5] = ["account", "sender", "caller", "verify_service", "countries"];

const POLICY_FORM: &str = "\"disabled\", \"once-per-computer\" or \"every-sign-in\"";

const STRENGTH_FORM: &str = "\"any\", \"no-phone\" or \"phishing-resistant\"";

const ACCOUNT_FORM: &str = "the SID of an [[account]]";
const SENDER_FORM: &str = "a number such as \"+15550006789\", a messaging service's SID, or a sender's name";
const NUMBER_FORM: &str = "a number such as \"+15550006789\"";
const SERVICE_FORM: &str = "the SID of a Verify service, VA and 32 hexadecimal digits";
const COUNTRIES_FORM: &str = "a list of countries such as [\"US\", \"GB\"]";
const COUNTRY_FORM: &str = "two capital letters of ISO 3166, such as \"US\"";
const LINES_FORM: &str = "a list such as [\"landline\", \"nonFixedVoip\", \"premium\"]";
const LINE_FORM: &str = "a type of Lookup's Line Type Intelligence, such as \"landline\"";
const LIFETIME_FORM: &str = "a time from \"1m\" to \"10m\"";
const URL_FORM: &str = "a URL such as \"https://2fa.example.com\"";
const CAPS_FORM: &str = "a list such as [\"5 in 10m\", \"20 in 1d\"]";
const CAP_FORM: &str = "a number of codes and a time, such as \"20 in 1d\"";

/// Windows are shorter and longer nowhere.
const WINDOW_MIN: Duration = Duration::from_mins(1);
const WINDOW_MAX: Duration = Duration::from_hours(24 * 31);

/// What the rest of the file has.
pub(super) struct Rest<'a> {
    /// Nothing where not all of them could be read.
    pub(super) accounts: Option<&'a [Account]>,
    pub(super) has_store: bool,
    pub(super) has_egress: bool,
    pub(super) limits: &'a [Typed<'a>],
    /// Whether applications ask for codes.
    pub(super) is_a_service: bool,
    /// Where pressed keys are told.
    pub(super) key_url: Option<String>,
}

/// What is demanded of the people of the console.
pub(super) fn rules(table: Option<Table<'_>>, console: Console, problems: &mut Problems) -> Rules {
    let hosts = Hosts::new(console.hosts);
    let mut rules = Rules { console_url: console.url, hosts, ..Rules::default() };
    let Some(table) = table else { return rules };
    let mut policy = |key: &'static str| {
        let field = table.find(key)?;
        let policy = field.as_text().and_then(Policy::from_word);
        if policy.is_none() {
            table.wrong(key, format_args!("it is no policy; write {POLICY_FORM}"), problems);
        }
        policy
    };
    let minimum = policy("minimum");
    let is_disabled = minimum == Some(Policy::Disabled);
    if let Some(minimum) = minimum {
        rules.minimum.policy = minimum;
    }
    if let Some(administrators) = policy("administrators") {
        rules.administrators = administrators;
    }
    if let Some(field) = table.find("minimum_factors") {
        match field.as_text().and_then(Strength::from_word) {
            None => {
                let wrong = format_args!("it is no strength; write {STRENGTH_FORM}");
                table.wrong("minimum_factors", wrong, problems);
            }
            // Nobody could ever get in.
            Some(Strength::PhishingResistant) if !may_have_passkeys(&rules) => {
                let wrong = format_args!(
                    "only passkeys would do, and browsers make none for this [console] url; give it https:// and a name"
                );
                table.wrong("minimum_factors", wrong, problems);
            }
            // A short password is asked for a factor all the same, and for which one nobody could say.
            Some(strength) if strength != Strength::Any && is_disabled => {
                let wrong = format_args!(
                    "minimum = \"disabled\" asks for no factor, so it cannot say which do; leave `minimum` out, or write \
                     \"once-per-computer\""
                );
                table.wrong("minimum_factors", wrong, problems);
            }
            Some(strength) => {
                let said = rules.minimum;
                rules.minimum = said.at_least(Demands { strength, ..said });
            }
        }
    }
    if let Some(field) = table.find("trust_days")
        && let Some(days) = field.integer(1, 90, problems)
    {
        rules.trust_for = SignedDuration::from_hours(24 * i64::try_from(days).unwrap_or(1));
    }
    rules
}

fn may_have_passkeys(rules: &Rules) -> bool {
    rules.console_url.as_deref().is_some_and(|url| RelyingParty::new(url, &rules.issuer).is_ok())
}

pub(super) fn resolve(
    table: Option<Table<'_>>,
    rest: &Rest<'_>,
    problems: &mut Problems,
) -> Option<Settings> {
    let table = table?;
    if !rest.has_store {
        problems.error(
            table.offset(),
            "[second_factor] needs a [store] that remembers what was tried; add one with url = \
             \"sqlite:ringfence.db\"",
        );
    }
    // The console alone needs no account that sends: its rules stand here too.
    if !rest.is_a_service && !OF_SENDING.iter().any(|key| table.find(key).is_some()) {
        return None;
    }
    let account = table.required("account", ACCOUNT_FORM, problems);
    let account = account.and_then(|field| sender_account(field, rest, problems));
    let delivery = delivery(&table, problems);
    let countries = table.required("countries", COUNTRIES_FORM, problems);
    let countries = countries.and_then(|field| read_countries(field, problems));
    let lines = lines(&table, problems);
    let lifetime = lifetime(&table, problems);
    let public_url = table.find("public_url").and_then(|field| field.parse(URL_FORM, problems, url));
    let mut limits = Limits::shipped(countries.unwrap_or_default());
    for (key, caps) in [
        ("per_number", &mut limits.number),
        ("per_address", &mut limits.address),
        ("per_user", &mut limits.user),
        ("per_prefix", &mut limits.prefix),
        ("per_country", &mut limits.country),
        ("in_total", &mut limits.total),
    ] {
        if let Some(read) = table.find(key).and_then(|field| read_caps(field, problems)) {
            *caps = read;
        }
    }
    if let Some(field) = table.find("kept_percent")
        && let Some(kept) = field.integer(0, KEPT_PERCENT_MAX as usize, problems)
    {
        limits.kept_percent = u32::try_from(kept).unwrap_or(KEPT_PERCENT_MAX);
    }
    let account = account?;
    if let Some(accounts) = rest.accounts
        && let Some(typed) = rest.limits.iter().find(|typed| can_suspend(typed, account, accounts))
    {
        table.doubtful(
            "account",
            format_args!(
                "the limit \"{}\" can suspend the account that sends the codes, and then nobody gets one; send them \
                 from an account of their own",
                typed.limit.name
            ),
            problems,
        );
    }
    if let (false, Some(accounts)) = (rest.has_egress, rest.accounts)
        && let Some(typed) = rest.limits.iter().find(|typed| holds_codes(typed, account, accounts))
    {
        table.doubtful(
            "account",
            format_args!(
                "codes go out past the limit \"{}\", since this node has no egress; add `egress` to [listen] here and on \
                 every node that sends codes, or send them from an account that no limit holds",
                typed.limit.name
            ),
            problems,
        );
    }
    Some(Settings {
        account,
        delivery: delivery?,
        limits: Arc::new(limits),
        lines,
        lifetime: lifetime?,
        key_url: rest.key_url.clone(),
        public_url,
    })
}

/// Whether codes from this account would be held to a limit, where a node has an egress.
fn holds_codes(typed: &Typed<'_>, sid: Sid, accounts: &[Account]) -> bool {
    let is_child = accounts.iter().any(|account| account.is(sid) && account.parent.is_some());
    typed.limit.enforce
        && match &typed.limit.scope {
            Scope::Account(other) => *other == sid,
            Scope::Parent => !is_child,
            Scope::Subaccounts | Scope::NewSubaccounts | Scope::Name(_) => is_child,
            Scope::All | Scope::Destination(_) => true,
            Scope::Tenant(_) | Scope::Credential(_) => false,
        }
}

/// The account that sends, which must have its token here.
fn sender_account(field: Field<'_>, rest: &Rest<'_>, problems: &mut Problems) -> Option<Sid> {
    let sid = account_sid(field, problems)?;
    let sid = Sid::parse(sid.as_str()).ok()?;
    let has_token = |account: &Account| account.is(sid) && account.auth_token.is_some();
    if rest.accounts.is_some_and(|accounts| !accounts.iter().any(has_token)) {
        field.wrong(
            format_args!(
                "{sid} has no auth token here to send with; add an [[account]] for it with auth_token"
            ),
            problems,
        );
        return None;
    }
    Some(sid)
}

fn delivery(table: &Table<'_>, problems: &mut Problems) -> Option<Delivery> {
    if let Some(field) = table.find("verify_service") {
        for key in ["sender", "caller"] {
            if table.has(key) {
                table.wrong(
                    key,
                    "Verify sends by itself with `verify_service`; take one of them out",
                    problems,
                );
            }
        }
        let service = field.parse(SERVICE_FORM, problems, |text| {
            Sid::parse(text).ok().filter(|sid| sid.is("VA")).ok_or("is no SID of a Verify service")
        });
        return service.map(|service| Delivery::Verify { service });
    }
    let sender = table.required("sender", SENDER_FORM, problems)?;
    let sender = sender
        .parse_unshown(SENDER_FORM, problems, |text| Sender::parse(text).ok_or("is no sender of messages"));
    let caller = table.find("caller").map(|field| {
        field.parse_unshown(NUMBER_FORM, problems, |text| {
            PhoneNumber::parse(text).map_err(|_| "is no phone number with + and its country")
        })
    });
    let caller = match caller {
        Some(None) => return None,
        Some(number) => number,
        None => None,
    };
    Some(Delivery::Programmable { sender: sender?, caller })
}

fn read_countries(field: Field<'_>, problems: &mut Problems) -> Option<BTreeSet<Country>> {
    let list = field.list(COUNTRIES_FORM, problems)?;
    if list.is_empty() {
        field.wrong(
            "no country is allowed, so no code is ever sent; list those that your users are in",
            problems,
        );
        return None;
    }
    let read = |item: &Field<'_>| {
        item.parse(COUNTRY_FORM, problems, |text| Country::parse(text).map_err(|_| "is no country"))
    };
    Some(list.iter().filter_map(read).collect())
}

/// Which lines get no codes. Each question of Lookup's costs something, so it is asked only where there is one.
fn lines(table: &Table<'_>, problems: &mut Problems) -> Option<Lines> {
    let away = [("send", true), ("refuse", false)];
    let send_while_away = match table.find("lookup_away") {
        Some(field) => field.choice(&away, problems)?,
        // What is sent is still held to every budget and limit, and a sign-in does not depend on one service more.
        None => true,
    };
    let Some(field) = table.find("refuse_lines") else {
        if table.find("lookup_away").is_some() {
            table.wrong("lookup_away", "Lookup is not asked without `refuse_lines`; add them", problems);
        }
        return None;
    };
    let list = field.list(LINES_FORM, problems)?;
    let read = |item: &Field<'_>| {
        item.parse(LINE_FORM, problems, |text| match LineType::from(text) {
            LineType::Other(_) => Err("is no kind of line that Lookup knows"),
            line => Ok(line),
        })
    };
    let refused: Vec<_> = list.iter().map(read).collect();
    let refused: Vec<LineType> = refused.into_iter().collect::<Option<_>>()?;
    if refused.contains(&LineType::Mobile) {
        field.wrong("mobile phones are what codes go to; leave `mobile` out", problems);
        return None;
    }
    if refused.is_empty() {
        field.wrong(format_args!("is empty; leave it out, or write {LINES_FORM}"), problems);
    }
    (!refused.is_empty()).then_some(Lines { refused, send_while_away })
}

fn lifetime(table: &Table<'_>, problems: &mut Problems) -> Option<SignedDuration> {
    let Some(field) = table.find("lifetime") else { return Some(LIFETIME_MAX) };
    field.parse(LIFETIME_FORM, problems, |text| {
        let time = units::duration(text)?;
        let time = SignedDuration::try_from(time).map_err(|_| "is too long".to_owned())?;
        match time {
            time if time < SignedDuration::from_mins(1) => Err("is too short to type a code in".to_owned()),
            time if time > LIFETIME_MAX => {
                Err("is longer than a code may be good (NIST SP 800-63B-4, 3.1.3.2)".to_owned())
            }
            time => Ok(time),
        }
    })
}

fn url(text: &str) -> Result<String, &'static str> {
    let url: Uri = text.parse().map_err(|_| "is no URL")?;
    let is_web = matches!(url.scheme_str(), Some("http" | "https"));
    if !is_web || url.host().is_none() || url.query().is_some() {
        return Err("is no URL with http or https, a host, and no query");
    }
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("has a user name in it");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn read_caps(field: Field<'_>, problems: &mut Problems) -> Option<Vec<Cap>> {
    let list = field.list(CAPS_FORM, problems)?;
    if list.is_empty() {
        field.wrong("without a cap there is no end to what is sent; write one", problems);
        return None;
    }
    let caps: Vec<_> = list.iter().map(|item| item.parse(CAP_FORM, problems, cap)).collect();
    caps.into_iter().collect()
}

/// `5 in 10m`.
fn cap(text: &str) -> Result<Cap, String> {
    let (most, window) = text.split_once(" in ").ok_or("is not a number of codes in a time")?;
    let most: u32 = most.trim().parse().map_err(|_| "does not begin with a whole number")?;
    if most == 0 {
        return Err("allows none at all".to_owned());
    }
    let window = units::duration(window.trim())?;
    if window < WINDOW_MIN || window > WINDOW_MAX || window.subsec_millis() > 0 {
        return Err("has a time that is not from 1m to 31d".to_owned());
    }
    let seconds = u32::try_from(window.as_secs()).map_err(|_| "is too long")?;
    Ok(Cap { most, seconds })
}

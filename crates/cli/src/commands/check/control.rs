//! What `ringfence check` says of the control plane: limits in words, and what holds them.

use std::time::Duration;

use ringfence_breaker::{
    Action, DialPrefix, Limit, Measure, Per, Probe, Reset, Scope, Sign, Threshold, Window,
};
use ringfence_control::node::Keep;
use ringfence_control::people::ProtectedHost;
use ringfence_control::second_factor::{self, Delivery};
use ringfence_gateway::settings::{Detail, Inspect};
use ringfence_store::Where;
use serde_json::{Map, Value, json};

use crate::config::control::Control;
use crate::config::inspector::Inspector;
use crate::config::notify::{Mail, Notify, Phone, SmtpTls, Webhook};
use crate::config::store::{MasterKey, Store};
use crate::config::units::show_duration;

const DAY: Duration = Duration::from_hours(24);

/// For people: names and values, an empty row before a new part. Nothing where there is nothing to hold.
pub(super) fn rows(control: &Control) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(store) = &control.store {
        rows.push(("store", shown_store(store)));
        rows.push(("  kept", kept(&store.keep)));
        rows.extend(store.audit_heads.iter().map(|place| ("  heads to", place.to_string())));
    }
    rows.extend(inspected(&control.inspector).map(|kept| ("requests", kept)));
    if control.is_needed_for().is_some() {
        let client = &control.twilio.client;
        rows.push((
            "Twilio",
            format!(
                "{}, usage read every {}, timeout {}",
                client.base,
                show_duration(control.twilio.poll_interval),
                show_duration(client.timeout)
            ),
        ));
        rows.push(("credentials", credentials(control)));
    }
    if !control.limits.is_empty() {
        let triggers = control.trigger_url.as_deref().unwrap_or("none: only the poll finds what was spent");
        rows.push(("triggers call", triggers.to_owned()));
    }
    if let Some(notify) = &control.notify {
        rows.extend(ways(notify).into_iter().map(|way| ("notices", way)));
    }
    if let Some(second_factor) = &control.second_factor {
        rows.push(("second factor", codes(second_factor)));
    }
    rows.extend(control.rules.hosts.iter().map(|host| ("protects", protected(host))));
    if !rows.is_empty() {
        rows.insert(0, ("", String::new()));
    }
    for (number, limit) in control.limits.iter().enumerate() {
        if number == 0 {
            rows.push(("", String::new()));
        }
        rows.push(("limit", in_words(limit)));
    }
    rows
}

/// For scripts.
pub(super) fn as_json(control: &Control) -> Value {
    let accounts: Vec<_> = control
        .credentials
        .iter()
        .map(|account| {
            json!({
                "sid": account.account.to_string(),
                "parent": account.parent.map(|parent| parent.to_string()),
                "finds_subaccounts": account.finds_subaccounts,
            })
        })
        .collect();
    json!({
        "store": control.store.as_ref().map(Store::shown),
        "audit_heads": control.store.as_ref().map(|store| {
            store.audit_heads.iter().map(ToString::to_string).collect::<Vec<_>>()
        }),
        "keep_days": control.store.as_ref().map(|store| {
            let days = |(name, time): (&str, Option<Duration>)| {
                (name.to_owned(), json!(time.map(|time| time.as_secs() / DAY.as_secs())))
            };
            store.keep.all().map(days).into_iter().collect::<Map<_, _>>()
        }),
        "inspector": {
            "keep": match control.inspector.inspect {
                Inspect::InStore { detail, .. } => detail_word(detail),
                Inspect::Nothing | Inspect::InMemory(_) => "nothing",
            },
            "in_memory": match control.inspector.inspect {
                Inspect::InMemory(detail) => detail_word(detail),
                Inspect::Nothing | Inspect::InStore { .. } => "nothing",
            },
            "for_seconds": control.inspector.keep_for.as_secs(),
            "at_most": control.inspector.at_most,
        },
        "base_url": control.twilio.client.base.to_string(),
        "poll_interval_seconds": control.twilio.poll_interval.as_secs_f64(),
        "trigger_url": control.trigger_url,
        "credentials": accounts,
        "limits": control.limits.iter().map(limit_as_json).collect::<Vec<_>>(),
        "second_factor": control.second_factor.as_ref().map(codes),
        "protects": control.rules.hosts.iter().map(|host| json!({
            "host": host.host,
            "account": host.place.text(),
            "role": host.role.word(),
            "stamped": host.key.is_some(),
        })).collect::<Vec<_>>(),
        "notify": control.notify.as_ref().map(ways).unwrap_or_default(),
    })
}

/// Who enters a host: `wiki.example.com: from auditor on, of all accounts; the name is stamped`.
fn protected(host: &ProtectedHost) -> String {
    let place = match host.place {
        Where::Everywhere => "all accounts".to_owned(),
        Where::Account(sid) => sid.to_string(),
    };
    let stamped = if host.key.is_some() { "stamped" } else { "not stamped" };
    format!("{}: from {} of {place} on; the name is {stamped}", host.host, host.role.word())
}

/// From where codes go out, and to where.
fn codes(settings: &second_factor::Settings) -> String {
    let by = match &settings.delivery {
        Delivery::Programmable { caller: None, .. } => "by SMS",
        Delivery::Programmable { caller: Some(_), .. } => "by SMS and voice",
        Delivery::Verify { .. } => "by Twilio's Verify",
    };
    let countries: Vec<_> = settings.limits.countries.iter().map(ToString::to_string).collect();
    let minutes = show_duration(settings.lifetime.unsigned_abs());
    format!("codes from {} {by} to {}, good for {minutes}", settings.account, countries.join(", "))
}

/// A limit in one line: `fifty a day: each subaccount, price of totalprice, daily, at 50: suspend, notify; warns at
/// 80 %; lifted by hand`.
fn in_words(limit: &Limit) -> String {
    let at = match limit.at {
        Threshold::At(amount) => match limit.rate() {
            Some(rate) => format!("at {amount}, {} of it at once", rate.burst),
            None => format!("at {amount}"),
        },
        Threshold::More(amount) => format!("at {amount} more than at the first look"),
        Threshold::Share(sign) => return share_in_words(limit, sign),
    };
    let actions = if limit.then.is_empty() {
        "nothing".to_owned()
    } else {
        limit.then.iter().map(|action| action.name()).collect::<Vec<_>>().join(", ")
    };
    let does = if limit.enforce { actions } else { format!("only watches, and would do: {actions}") };
    let warns = match limit.warn.as_slice() {
        [] => "no warning before".to_owned(),
        levels => format!("warns at {} %", list(levels)),
    };
    let lifted = match limit.reset {
        Reset::Manual => "lifted by hand",
        Reset::NextWindow => "lifted by the next window",
    };
    let at = match limit.unseen {
        Some(unseen) => format!(
            "{at} where nothing was settled in {}, until some of it is {} old",
            seconds(unseen.within),
            seconds(unseen.known_after)
        ),
        None => at,
    };
    format!(
        "{}: {}, {} of {}, {}, {at}: {does}; {warns}; {lifted}",
        limit.name,
        whom(limit),
        measure_word(limit.measure),
        limit.category,
        window_word(limit.window)
    )
}

/// A limit of a share in one line: `codes that come back: each beginning of a number of all accounts, trips where less than 20 %
/// of 20 codes or more of any 1h are entered, 10m after they were sent: closes it, notify; lifted by hand`.
fn share_in_words(limit: &Limit, sign: Sign) -> String {
    let (things, done) = match limit.measure {
        Measure::Delivery => ("messages", "delivered"),
        _ => ("codes", "entered"),
    };
    let does = if limit.enforce { "closes it and tells" } else { "only watches, and tells" };
    let lifted = match (limit.reset, limit.window) {
        (Reset::NextWindow, Window::Rolling { seconds: within }) => {
            format!("open again after {}", seconds(within))
        }
        _ => "opened by hand".to_owned(),
    };
    let within = match limit.window {
        Window::Rolling { seconds: within } => seconds(within),
        window => window_word(window),
    };
    format!(
        "{}: {}, where less than {} % of {} {things} or more within {within} are {done} {} after they were sent: {does}; {lifted}",
        limit.name,
        whom(limit),
        sign.percent,
        sign.least,
        seconds(sign.settle),
    )
}

fn seconds(seconds: u32) -> String {
    show_duration(Duration::from_secs(seconds.into()))
}

fn list(levels: &[u8]) -> String {
    let words: Vec<_> = levels.iter().map(ToString::to_string).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

fn whom(limit: &Limit) -> String {
    match (&limit.scope, limit.per) {
        (Scope::Account(sid), _) => sid.to_string(),
        (Scope::Parent, Per::Account) => "each parent account".to_owned(),
        (Scope::Parent, Per::Together) => "all parent accounts together".to_owned(),
        (Scope::Subaccounts, Per::Account) => "each subaccount".to_owned(),
        (Scope::Subaccounts, Per::Together) => "all subaccounts together".to_owned(),
        (Scope::NewSubaccounts, Per::Account) => "each subaccount created from now on".to_owned(),
        (Scope::NewSubaccounts, Per::Together) => {
            "all subaccounts together that are created from now on".to_owned()
        }
        (Scope::Name(name), Per::Account) => format!("each subaccount named {name}"),
        (Scope::Name(name), Per::Together) => format!("all subaccounts together that are named {name}"),
        (Scope::All, Per::Account) => "each account".to_owned(),
        (Scope::All, Per::Together) => "all accounts together".to_owned(),
        (Scope::Tenant(tenant), Per::Account) => format!("each account, for the tenant {tenant}"),
        (Scope::Tenant(tenant), Per::Together) => format!("the tenant {tenant}"),
        (Scope::Credential(sid), Per::Account) => format!("each account, with the credential {sid}"),
        (Scope::Credential(sid), Per::Together) => format!("the credential {sid}"),
        (Scope::Destination(prefixes), Per::Account) => format!("each account, to {}", list_of(prefixes)),
        (Scope::Destination(prefixes), Per::Together) => format!("what goes to {}", list_of(prefixes)),
        (_, Per::Prefix) => "each beginning of a number".to_owned(),
    }
}

fn list_of(prefixes: &[DialPrefix]) -> String {
    prefixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

const fn measure_word(measure: Measure) -> &'static str {
    match measure {
        Measure::Price => "price",
        Measure::Usage => "usage",
        Measure::Count => "count",
        Measure::Delivery => "delivery",
        Measure::Conversion => "conversion",
    }
}

fn window_word(window: Window) -> String {
    match window {
        Window::Minute => "by the minute".to_owned(),
        Window::Hour => "by the hour".to_owned(),
        Window::Rolling { seconds: within } => format!("within {}", seconds(within)),
        Window::Gcra { seconds: within } => format!("in any {}, evenly", seconds(within)),
        Window::Daily => "daily".to_owned(),
        Window::Monthly => "monthly".to_owned(),
        Window::Yearly => "yearly".to_owned(),
        Window::Alltime => "alltime".to_owned(),
    }
}

fn limit_as_json(limit: &Limit) -> Value {
    let scope = match &limit.scope {
        Scope::Account(sid) => json!(sid.to_string()),
        Scope::Parent => json!("parent"),
        Scope::Subaccounts => json!("subaccounts"),
        Scope::NewSubaccounts => json!("new-subaccounts"),
        Scope::Name(name) => json!({ "name": name.to_string() }),
        Scope::All => json!("all"),
        Scope::Tenant(tenant) => json!({ "tenant": tenant }),
        Scope::Credential(sid) => json!({ "credential": sid.to_string() }),
        Scope::Destination(prefixes) => json!({ "destination": prefixes }),
    };
    json!({
        "name": limit.name,
        "scope": scope,
        "per": limit.per,
        "measure": measure_word(limit.measure),
        "category": limit.category,
        "window": window_word(limit.window),
        "at": match limit.at {
            Threshold::At(amount) => amount.to_string(),
            Threshold::More(amount) => format!("+{amount}"),
            Threshold::Share(sign) => format!("{}%", sign.percent),
        },
        "least": limit.sign().map(|sign| sign.least),
        "settle": limit.sign().map(|sign| seconds(sign.settle)),
        "burst": limit.rate().map(|rate| rate.burst.to_string()),
        "unseen": limit.unseen.map(|unseen| seconds(unseen.within)),
        "known_after": limit.unseen.map(|unseen| seconds(unseen.known_after)),
        "warn": limit.warn,
        "then": limit.then.iter().copied().map(Action::name).collect::<Vec<_>>(),
        "probe": match limit.probe {
            Probe::Percent(percent) => format!("{percent}%"),
            Probe::Amount(amount) => amount.to_string(),
        },
        "reset": if limit.reset == Reset::Manual { "manual" } else { "next window" },
        "enforce": limit.enforce,
        "words": in_words(limit),
    })
}

fn shown_store(store: &Store) -> String {
    let key = match &store.master_key {
        MasterKey::Given(_) => "sealed with the given key".to_owned(),
        MasterKey::MadeAt(path) => format!("sealed with a key that will be made at {}", path.display()),
    };
    let previous = match store.previous_master_keys.len() {
        0 => String::new(),
        keys => format!(", {keys} before it"),
    };
    format!("{} ({key}{previous})", store.shown())
}

/// `audit 365d, observations 90d, …`.
fn kept(keep: &Keep) -> String {
    let shown = |(name, time): (&str, Option<Duration>)| {
        format!("{name} {}", time.map_or_else(|| "forever".to_owned(), show_duration))
    };
    keep.all().map(shown).join(", ")
}

/// `kept as metadata for 7d, at most 100000`; nothing where nothing is.
fn inspected(inspector: &Inspector) -> Option<String> {
    match inspector.inspect {
        Inspect::Nothing => None,
        Inspect::InMemory(detail) => Some(format!("the newest in memory alone, {}", detail_word(detail))),
        Inspect::InStore { detail, at_most } => Some(format!(
            "in the store, {}, for {}, at most {at_most}",
            detail_word(detail),
            show_duration(inspector.keep_for)
        )),
    }
}

fn detail_word(detail: Detail) -> &'static str {
    match detail {
        Detail::Metadata => "metadata",
        Detail::Redacted => "redacted",
    }
}

fn credentials(control: &Control) -> String {
    let parents = control.credentials.iter().filter(|account| account.parent.is_none()).count();
    let subaccounts = control.credentials.len() - parents;
    let found = control.credentials.iter().filter(|account| account.finds_subaccounts).count();
    let count = |number: usize, noun: &str| {
        if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
    };
    format!(
        "{} ({found} with subaccounts to be found), {}",
        count(parents, "parent"),
        count(subaccounts, "subaccount")
    )
}

/// Each way in which people are told, without a secret or a phone number.
fn ways(notify: &Notify) -> Vec<String> {
    let Notify { mail, webhook, sms, call } = notify;
    let phone = |kind: &str, phone: &Phone| {
        format!("{kind} to {} numbers, sent by {}", phone.to.len(), phone.account)
    };
    [
        mail.as_ref().map(shown_mail),
        webhook.as_ref().map(shown_webhook),
        sms.as_ref().map(|it| phone("SMS", it)),
        call.as_ref().map(|it| phone("call", it)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn shown_mail(mail: &Mail) -> String {
    let tls = match mail.tls {
        SmtpTls::None => "without TLS",
        SmtpTls::StartTls => "STARTTLS",
        SmtpTls::Implicit => "TLS",
    };
    let login = if mail.login.is_some() { ", with a password" } else { "" };
    format!(
        "mail from {} to {} over {}:{} ({tls}{login})",
        mail.from,
        mail.to.join(", "),
        mail.host,
        mail.port
    )
}

fn shown_webhook(webhook: &Webhook) -> String {
    let signed = if webhook.secret.is_some() { "signed" } else { "not signed" };
    let body = if webhook.slack { ", as Slack reads it" } else { "" };
    format!("webhook to {} ({signed}{body})", webhook.host)
}

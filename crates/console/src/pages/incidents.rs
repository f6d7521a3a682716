//! Incidents: each time that something fired, as one row; and one of them with what followed.

use askama::Template;
use bytes::Bytes;
use http::Response;
use jiff::{SignedDuration, Timestamp};
use ringfence_control::views::{ActorView, IncidentFilter, IncidentKind, IncidentView, Page};
use ringfence_model::Sid;
use ringfence_store::Person;

use super::{audit, shown};
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::routes::Call;
use crate::words;

/// Rows of a page.
const SIZE: usize = 25;

/// How far back, as the form says it.
const BACK: [(&str, i64, &str); 4] =
    [("7", 7, "7 days"), ("", 30, "30 days"), ("90", 90, "90 days"), ("365", 365, "a year")];

#[derive(Template)]
#[template(path = "incidents.html")]
struct View {
    frame: Frame,
    rows: Vec<Row>,
    account: String,
    /// Why the account that was typed is none.
    problem: Option<&'static str>,
    kind: String,
    days: String,
    is_open: bool,
    is_filtered: bool,
    is_everywhere: bool,
    left_out: bool,
    older: Option<String>,
    newest: Option<String>,
}

/// One incident.
#[derive(Debug)]
struct Row {
    link: String,
    at: String,
    exactly: String,
    class: &'static str,
    what: String,
    limit: Option<String>,
    /// Whose: the SID for a link, and the name.
    account: Option<(String, String)>,
    /// Whose else, in words.
    others: String,
    money: Option<String>,
    refused: Option<String>,
    ended: String,
}

pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let only = call.signed_in.only_account();
    let typed = call.query.get("account").trim().to_owned();
    let (account, problem) = match only {
        Some(only) => (Some(only), None),
        None if typed.is_empty() => (None, None),
        None => named(&call, &typed).await?,
    };
    let days = BACK.iter().find(|(value, ..)| *value == call.query.get("days")).unwrap_or(&BACK[1]);
    let since = call.now.saturating_sub(SignedDuration::from_hours(24 * days.1)).unwrap_or(Timestamp::MIN);
    let kind = IncidentKind::read(call.query.get("kind"));
    let is_open = call.query.filled("open").is_some();
    let filter = IncidentFilter {
        account,
        alone: only.is_some(),
        kind,
        open: is_open,
        since: Some(since),
        ..IncidentFilter::default()
    };
    let cursor = call.query.filled("before").map(str::to_owned);
    let page = Page { cursor: cursor.clone(), size: SIZE };
    let found = match problem {
        Some(_) => None,
        None => Some(call.engine.views().incidents(&filter, &page).await?),
    };
    let kind = kind.map_or("", IncidentKind::word);
    let open = if is_open { "&open=1" } else { "" };
    let search =
        format!("/incidents?account={}&kind={kind}&days={}{open}", words::query_value(&typed), days.0);
    let next = found.as_ref().and_then(|found| found.next.as_deref());
    let view = View {
        older: next.map(|next| format!("{search}&before={}", words::query_value(next))),
        newest: cursor.map(|_| search),
        left_out: found.as_ref().is_some_and(|found| found.left_out),
        rows: found.iter().flat_map(|found| &found.incidents).map(|it| Row::of(it, call.now)).collect(),
        is_filtered: !typed.is_empty() || !kind.is_empty() || is_open,
        is_everywhere: only.is_none(),
        account: typed,
        problem,
        kind: kind.to_owned(),
        days: days.0.to_owned(),
        is_open,
        frame: Frame::new(&call, Section::Incidents),
    };
    shown(&view)
}

/// The account that somebody means by its SID or by a part of its name.
async fn named(call: &Call<'_>, typed: &str) -> Result<(Option<Sid>, Option<&'static str>), Failed> {
    let typed = typed.to_lowercase();
    let accounts = call.engine.store().accounts().await?;
    let is_it = |sid: Sid, name: &str| {
        sid.to_string().to_lowercase() == typed || name.to_lowercase().contains(&typed)
    };
    let mut found = accounts.iter().filter(|account| is_it(account.sid, &account.friendly_name));
    Ok(match (found.next(), found.next()) {
        (Some(one), None) => (Some(one.sid), None),
        (None, _) => (None, Some("No account has this SID, nor this in its name.")),
        (Some(_), Some(_)) => {
            (None, Some("Several accounts have this in their names: write more of it, or the SID."))
        }
    })
}

impl Row {
    fn of(it: &IncidentView, now: Timestamp) -> Self {
        let currency = it.currency.as_deref();
        let amount = |text: &str| words::amount(text, currency);
        let share = it.share.as_ref().map(|it| format!("{} of {}", it.shown(), it.of_what()));
        let money = share.or_else(|| {
            it.used.as_deref().map(|used| match it.trips_at.as_deref() {
                // The currency stands once.
                Some(at) => {
                    let used = amount(used);
                    let unit = currency.map(|unit| format!(" {}", unit.to_uppercase())).unwrap_or_default();
                    format!("{} of {}", used.strip_suffix(&unit).unwrap_or(&used), amount(at))
                }
                None => amount(used),
            })
        });
        let refused = if it.refused > 0 {
            Some(format!("{} worth {}", words::count(it.refused), amount(&it.refused_worth)))
        } else if it.would_refuse > 0 {
            let worth = amount(&it.would_refuse_worth);
            Some(format!("{} worth {worth}, had it acted", words::count(it.would_refuse)))
        } else {
            None
        };
        let level = it.level.filter(|_| it.kind == IncidentKind::Warned);
        // Refusals are counted by the day.
        let is_day = it.audit_from.is_none();
        Self {
            link: format!("/incident?id={}", words::query_value(&it.id)),
            at: if is_day { day(&it.began_at) } else { words::when(&it.began_at) },
            exactly: words::exactly(&it.began_at),
            class: class(it),
            what: level.map_or_else(|| it.kind.words().to_owned(), |level| format!("{level} % reached")),
            limit: it.limit.clone(),
            account: it.account.as_ref().map(|it| (it.sid.to_string(), it.friendly_name.clone())),
            others: match &it.prefix {
                Some(prefix) => format!("numbers that begin with {prefix}"),
                None => "all accounts together".to_owned(),
            },
            money,
            refused,
            ended: match it.ended_at {
                Some(_) if is_day => "that day".to_owned(),
                None if is_day => "today".to_owned(),
                Some(ended) => format!("after {}", lasted(it.began_at, ended)),
                None if it.open => format!("goes on, for {}", lasted(it.began_at, now)),
                None => "told".to_owned(),
            },
        }
    }
}

/// What stands out: what goes on and stops somebody.
fn class(it: &IncidentView) -> &'static str {
    match it.kind {
        IncidentKind::WouldHaveTripped | IncidentKind::Warned | IncidentKind::WouldHaveRefused => "near",
        _ if it.open => "bad",
        _ => "",
    }
}

/// The date of a day.
fn day(at: &Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// How long something went on.
fn lasted(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs().max(0);
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[derive(Template)]
#[template(path = "incident.html")]
struct OneView {
    frame: Frame,
    row: Row,
    /// Names and values.
    facts: Vec<(&'static str, String)>,
    reason: Option<(String, String)>,
    ended_reason: Option<(String, String)>,
    ordered: Vec<String>,
    /// An operation, requests, their worth.
    operations: Vec<(String, String, String)>,
    log: Vec<audit::Line>,
    breaker: Option<String>,
    is_refusal: bool,
}

pub(crate) async fn one(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let views = call.engine.views();
    let it = views.incident(call.query.get("id")).await?.ok_or(Failed::NotFound)?;
    // For whom it is not, it is not there.
    if let Some(only) = call.signed_in.only_account()
        && it.account.as_ref().is_none_or(|account| account.sid != only)
    {
        return Err(Failed::NotFound);
    }
    let people = audit::people(&call).await?;
    let log = views.timeline(&it).await?.into_iter().map(|row| audit::Line::of(row, &people)).collect();
    let of = |reason: &Option<String>, by: &Option<ActorView>| {
        let by = by.as_ref().map(|by| actor(by, &people)).unwrap_or_default();
        reason.clone().map(|reason| (by, reason))
    };
    let amount = |text: &String| words::amount(text, it.currency.as_deref());
    let view = OneView {
        facts: facts(&it, &people),
        reason: of(&it.reason, &it.by),
        ended_reason: of(&it.ended_reason, &it.ended_by),
        ordered: it.ordered.iter().map(ToString::to_string).collect(),
        operations: it
            .operations
            .iter()
            .map(|of| (of.operation.clone(), words::count(of.requests), amount(&of.worth)))
            .collect(),
        log,
        breaker: it.limit.clone(),
        is_refusal: it.audit_from.is_none(),
        row: Row::of(&it, call.now),
        frame: Frame::new(&call, Section::Incidents),
    };
    shown(&view)
}

fn facts(it: &IncidentView, people: &[Person]) -> Vec<(&'static str, String)> {
    let amount = |text: &String| words::amount(text, it.currency.as_deref());
    let mut facts = match it.audit_from {
        Some(_) => vec![("Began", format!("{} UTC", words::exactly(&it.began_at)))],
        None => vec![("Day", format!("{}, in GMT", day(&it.began_at)))],
    };
    let mut add = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    add(
        "Ended",
        it.ended_at.filter(|_| it.audit_from.is_some()).map(|at| format!("{} UTC", words::exactly(&at))),
    );
    add("Ended by", it.ended_by.as_ref().map(|by| actor(by, people)));
    add("Allowed", it.allowed_more.as_ref().map(|more| format!("{} more in that window", amount(more))));
    add("What fired", (it.audit_from.is_some()).then(|| it.fired.words().to_owned()));
    add("Warned before", it.warned_at.map(|at| format!("{} UTC", words::exactly(&at))));
    add("What was seen", it.share.as_ref().map(|share| share.words.clone()));
    add("Spent then", it.used.as_ref().map(amount));
    add("Set aside then", it.reserved.as_ref().map(amount));
    add("Asked for", it.wanted.as_ref().map(|wanted| format!("{} at worst", amount(wanted))));
    add("The limit", it.trips_at.as_ref().map(amount));
    let requests = |count: u64, worth: &String| {
        let requests = words::many(usize::try_from(count).unwrap_or(usize::MAX), "request", "requests");
        (count > 0).then(|| format!("{requests} worth {} at worst", amount(worth)))
    };
    add("Refused", requests(it.refused, &it.refused_worth));
    add("Would have refused", requests(it.would_refuse, &it.would_refuse_worth));
    facts
}

/// Who did something, by the name that people know.
fn actor(it: &ActorView, people: &[Person]) -> String {
    let person = people.iter().find(|person| it.kind == "person" && person.id == it.name);
    format!("{} {}", it.kind, person.map_or(it.name.as_str(), |person| &person.login))
}

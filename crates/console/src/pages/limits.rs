//! The limits: what is configured, how it stands, what it did or would have done, and what is at Twilio.

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_breaker::{Measure, Per, Reset};
use ringfence_control::engine::Triggers;
use ringfence_control::plan::Mark;
use ringfence_control::views::{
    BreakerFilter, ChangeView, LedgerView, LimitView, Page, PlannedChange, ScopeView, Verdict,
};
use ringfence_store::Where;

use super::shown;
use super::spending::Standing as Stands;
use super::standing::Standing;
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::routes::Call;
use crate::words;

/// So many of those on which a limit counts are shown beside it, the nearest to it.
const NEAREST: usize = 3;

#[derive(Template)]
#[template(path = "limits.html")]
struct View {
    frame: Frame,
    limits: Vec<Row>,
    is_everywhere: bool,
    /// Where all of it stands.
    ledger: String,
}

#[derive(Debug)]
struct Row {
    name: String,
    holds_for: String,
    counts: String,
    at: String,
    warns: String,
    then: String,
    reset: &'static str,
    enforce: bool,
    since: String,
    tripped: usize,
    would_trip: usize,
    probing: usize,
    passing: usize,
    verdict_class: &'static str,
    verdict: String,
    /// How it stands on those that are nearest to it.
    nearest: Vec<Standing>,
    /// On how many more something is taken or judged.
    more: usize,
}

pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let views = call.engine.views();
    let only = call.signed_in.only_account();
    let filter = BreakerFilter { account: only, ..BreakerFilter::default() };
    let breakers = views.breakers(&filter, &Page::all()).await?.breakers;
    let is_everywhere = call.signed_in.place() == Where::Everywhere;
    let report = if is_everywhere { views.report(None, true, None).await?.limits } else { Vec::new() };
    let LedgerView { sums, shares, .. } = views.ledger(only, is_everywhere).await?;
    // Accounts pay in their own currencies: a limit has one where all that it watches have the same.
    let currency_of = |name: &str| {
        let mut all = breakers.iter().filter(|it| it.limit == name).filter_map(|it| it.currency.as_deref());
        all.next().filter(|first| all.all(|it| it == *first))
    };
    let limits = views.limits().limits.into_iter();
    // Whoever looks at one account sees the limits that hold for it.
    let limits = limits.filter(|limit| {
        is_everywhere || breakers.iter().any(|it| it.limit == limit.name && it.account.is_some())
    });
    let rows = limits.map(|limit| {
        let count = |standing: Stands| {
            let own = breakers.iter().filter(|breaker| breaker.limit == limit.name);
            own.filter(|breaker| Stands::of(breaker) == standing).count()
        };
        let reported = report.iter().find(|reported| reported.limit == limit.name);
        // Nothing is taken of a share.
        let of_sums = sums.iter().filter(|line| line.limit == limit.name && limit.least.is_none());
        let of_shares = shares.iter().filter(|share| share.limit == limit.name);
        let mut nearest: Vec<_> = of_sums
            .map(|line| Standing::of_sum(line, Some(&limit), call.now))
            .chain(of_shares.map(Standing::of_share))
            .collect();
        let more = nearest.len().saturating_sub(NEAREST);
        nearest.truncate(NEAREST);
        let currency = currency_of(&limit.name).filter(|_| limit.measure == Measure::Price);
        Row {
            holds_for: holds_for(&limit),
            counts: counts(&limit),
            at: match limit.least {
                Some(least) => format!("less than {} % of {least} or more", limit.at),
                None => words::amount(&limit.at, currency),
            },
            warns: limit.warn_percent.iter().map(|it| format!("{it} %")).collect::<Vec<_>>().join(", "),
            then: limit.actions.iter().map(|action| action.name()).collect::<Vec<_>>().join(", "),
            reset: match limit.reset {
                Reset::Manual => "by an operator",
                Reset::NextWindow => "by the next window, or an operator",
            },
            enforce: limit.enforce,
            since: words::when(&limit.since),
            tripped: count(Stands::Stops),
            would_trip: count(Stands::WouldStop),
            probing: count(Stands::OnTrial),
            passing: count(Stands::Passes),
            verdict_class: match reported.map(|reported| reported.verdict) {
                Some(Verdict::SafeToEnforce | Verdict::StoppedNothing) => "good",
                Some(Verdict::WouldHaveStopped) => "near",
                Some(Verdict::Stopped) => "bad",
                Some(Verdict::TooEarly) | None => "quiet",
            },
            verdict: reported.map(|reported| reported.summary.clone()).unwrap_or_default(),
            nearest,
            more,
            name: limit.name,
        }
    });
    let ledger = only.map_or_else(|| "/ledger".to_owned(), |sid| format!("/accounts/{sid}/ledger"));
    let view =
        View { limits: rows.collect(), is_everywhere, ledger, frame: Frame::new(&call, Section::Limits) };
    shown(&view)
}

fn holds_for(limit: &LimitView) -> String {
    let whom = match &limit.scope {
        ScopeView::Account { account } => account.to_string(),
        ScopeView::Parent => "parent accounts".to_owned(),
        ScopeView::Subaccounts => "every subaccount".to_owned(),
        ScopeView::NewSubaccounts => "subaccounts made since the limit".to_owned(),
        ScopeView::Name { pattern } => format!("subaccounts named {pattern}"),
        ScopeView::All => "all accounts".to_owned(),
        ScopeView::Tenant { tenant } => format!("the tenant {tenant}"),
        ScopeView::Credential { credential } => format!("the credential {credential}"),
        ScopeView::Destination { prefixes } => format!("numbers that begin with {}", prefixes.join(", ")),
    };
    match limit.per {
        Per::Account => whom,
        Per::Together => format!("{whom}, together"),
        Per::Prefix => format!("{whom}, for each beginning of a number"),
    }
}

fn counts(limit: &LimitView) -> String {
    let what = match limit.measure {
        Measure::Price => "money",
        Measure::Usage => "usage",
        Measure::Count => "how often",
        Measure::Delivery => return format!("messages that are delivered, {}", limit.window),
        Measure::Conversion => return format!("codes that are entered, {}", limit.window),
    };
    let since = if limit.counts_from_first_look { ", from the first look on" } else { "" };
    format!("{what}, {}, {}{since}", limit.category, limit.window)
}

#[derive(Template)]
#[template(path = "plan.html")]
struct PlanPage {
    frame: Frame,
    /// Why there is no plan.
    missing: Option<&'static str>,
    changes: Vec<Change>,
    kept: usize,
    foreign: usize,
    unread: Vec<(String, String)>,
}

#[derive(Debug)]
struct Change {
    class: &'static str,
    word: &'static str,
    sid: String,
    account: String,
    what: String,
}

pub(crate) async fn plan(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let frame = Frame::new(&call, Section::Limits);
    let Some(callback_url) = (call.console.callback_url)() else {
        let missing = "There is no route with upstream = \"breaker\", so no usage trigger is made at Twilio: limits \
                       are held by reading usage again and again. Add such a route and they are noticed sooner.";
        let (changes, unread) = (Vec::new(), Vec::new());
        return shown(&PlanPage { frame, missing: Some(missing), changes, kept: 0, foreign: 0, unread });
    };
    let store = call.engine.store();
    let mark = Mark::new(&store.instance().await?);
    let accounts = store.accounts().await?;
    let planned = call.engine.plan_triggers(&Triggers { callback_url, mark }, &accounts).await?;
    let plan = call.engine.views().plan(&planned).await?;
    let page = PlanPage {
        frame,
        missing: None,
        changes: plan
            .changes
            .iter()
            .map(|change| Change {
                class: match change.change {
                    PlannedChange::Create => "good",
                    PlannedChange::Replace | PlannedChange::Redirect => "near",
                    PlannedChange::Delete => "bad",
                },
                word: match change.change {
                    PlannedChange::Create => "create",
                    PlannedChange::Replace => "replace",
                    PlannedChange::Redirect => "redirect",
                    PlannedChange::Delete => "delete",
                },
                sid: change.account.sid.to_string(),
                account: change.account.shown(),
                what: what_changes(change),
            })
            .collect(),
        kept: plan.kept,
        foreign: plan.foreign,
        unread: plan.unread.iter().map(|it| (it.account.shown(), it.why.clone())).collect(),
    };
    shown(&page)
}

fn what_changes(change: &ChangeView) -> String {
    let mut parts = Vec::new();
    if let Some(limit) = &change.limit {
        parts.push(format!("“{limit}”"));
    }
    if let Some(name) = &change.trigger_name {
        parts.push(name.clone());
    }
    let pieces = [&change.trigger_by, &change.category, &change.recurring];
    parts.extend(pieces.into_iter().flatten().cloned());
    if let Some(value) = &change.value {
        parts.push(format!("at {}", words::amount(value, None)));
    }
    parts.join(", ")
}

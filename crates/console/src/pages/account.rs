//! One account: how it stands and why, its limits as pictures, what happened to it.

use askama::Template;
use bytes::Bytes;
use http::Response;
use jiff::SignedDuration;
use ringfence_control::views::{AccountView, BreakerFilter, Page, WantedStatus};
use ringfence_model::Sid;
use ringfence_store::{AuditFilter, Role, Where};

use super::accounts::Standing;
use super::act::{Act, Wrong, ask, ask_again, reason};
use super::audit::{Line as AuditLine, people};
use super::breaker::refused_beside;
use super::shared_key::Shown as SharedKeyShown;
use super::spending::{Line, urgency};
use super::token::Shown as TokenShown;
use super::{account_named, shown};
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::picture::{self, Moment, Picture};
use crate::routes::Call;
use crate::words;

/// So much of the audit log is shown.
const AUDIT_SHOWN: usize = 10;
/// So far back the picture of limits that were reached goes.
const SINCE: SignedDuration = SignedDuration::from_hours(30 * 24);

#[derive(Template)]
#[template(path = "account.html")]
struct View {
    frame: Frame,
    sid: String,
    name: String,
    parent: Option<String>,
    status: Standing,
    why: Option<String>,
    /// Since when, and why, limits may not see what it spends.
    unread: Option<String>,
    seen: String,
    lines: Vec<Line>,
    may_stop: bool,
    moments: Option<Picture>,
    moments_count: String,
    audit: Vec<AuditLine>,
    may_suspend: bool,
    may_resume: bool,
    is_parent: bool,
    token: TokenShown,
    shared_key: Option<SharedKeyShown>,
}

pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let sid = account_named(&call, call.piece)?;
    let views = call.engine.views();
    let account = views.account(sid).await?;
    let limits = views.limits().limits;
    let filter = BreakerFilter { account: Some(sid), ..BreakerFilter::default() };
    let is_everywhere = call.signed_in.place() == Where::Everywhere;
    let mut breakers = views.breakers(&filter, &Page::all()).await?.breakers;
    breakers.retain(|breaker| is_everywhere || breaker.account.is_some());
    breakers.sort_by_key(urgency);
    let rows = AuditFilter { account: Some(sid), ..AuditFilter::default() };
    let rows = views.search_audit(&rows, &Page { cursor: None, size: AUDIT_SHOWN }).await?.rows;
    let people = people(&call).await?;
    let unread = views.usage_unread().await?.into_iter().find(|it| it.account.sid == sid);
    let moments = moments(&call, sid).await?;
    let may_act = call.signed_in.may(Role::Operator) && account.parent.is_some() && account.gone_at.is_none();
    let is_held = account.why.as_ref().is_some_and(|why| why.by_operator)
        && account.wanted == Some(WantedStatus::Suspended);
    let mut lines = Vec::new();
    for breaker in &breakers {
        lines.push(Line::of(&call, breaker, &limits).own().with_history(&call, breaker).await?);
    }
    let view = View {
        sid: sid.to_string(),
        parent: account.parent.map(|parent| parent.to_string()),
        status: Standing::of(&account),
        why: why(&call, &account),
        unread: unread.map(|it| format!("Since {}: {}", words::exactly(&it.since), it.why)),
        seen: words::ago(&account.seen_at, &call.now),
        may_stop: lines.iter().any(|line| line.may_trip),
        lines,
        moments_count: words::many(moments.len(), "time", "times"),
        moments: (!moments.is_empty()).then(|| {
            picture::moments(&moments, "When limits and their warnings were reached in the last 30 days")
        }),
        audit: rows.into_iter().map(|row| AuditLine::of(row, &people)).collect(),
        may_suspend: may_act && !is_held,
        may_resume: may_act && is_suspended(&account) && holders(&account).is_empty(),
        is_parent: account.parent.is_none(),
        token: TokenShown::of(&call, &account).await?,
        shared_key: SharedKeyShown::of(&call, &account).await?,
        name: account.friendly_name,
        frame: Frame::new(&call, Section::Accounts),
    };
    shown(&view)
}

/// Whether it is suspended, or to be.
fn is_suspended(account: &AccountView) -> bool {
    account.status == "suspended" || account.wanted == Some(WantedStatus::Suspended)
}

/// The limits that hold it, each of which is reset for itself.
fn holders(account: &AccountView) -> &[String] {
    account.why.as_ref().map(|why| why.limits.as_slice()).unwrap_or_default()
}

/// Why it is to be as it is to be.
fn why(call: &Call<'_>, account: &AccountView) -> Option<String> {
    let why = account.why.as_ref()?;
    let mut parts = Vec::new();
    if !why.limits.is_empty() {
        let limits: Vec<_> = why.limits.iter().map(|limit| format!("“{limit}”")).collect();
        let is_are = if limits.len() == 1 { "is" } else { "are" };
        parts.push(format!("{} {is_are} tripped", limits.join(", ")));
    }
    if why.by_operator {
        let since = why.since.map(|at| format!(" {}", words::ago(&at, &call.now))).unwrap_or_default();
        let reason = why.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let did = if account.wanted == Some(WantedStatus::Suspended) { "suspended it" } else { "resumed it" };
        parts.push(format!("an operator {did}{since}{reason}"));
    }
    Some(parts.join("; ")).filter(|text| !text.is_empty())
}

/// When its limits, and their warnings, were reached.
async fn moments(call: &Call<'_>, sid: Sid) -> Result<Vec<Moment>, Failed> {
    let begin = call.now.saturating_sub(SINCE).unwrap_or(call.now);
    let report = call.engine.views().report(None, true, Some(begin)).await?;
    let at = |at: &jiff::Timestamp| {
        let passed = at.duration_since(begin).as_secs().max(0);
        u64::try_from(passed * 100 / SINCE.as_secs()).unwrap_or(0)
    };
    let is_its = |account: &Option<ringfence_control::views::NamedAccount>| {
        account.as_ref().is_some_and(|account| account.sid == sid)
    };
    let mut moments = Vec::new();
    for limit in &report.limits {
        for trip in limit.trips.iter().filter(|trip| is_its(&trip.account)) {
            let used = words::amount(&trip.used, trip.currency.as_deref());
            moments.push(Moment {
                at: at(&trip.at),
                percent: trip.percent.unwrap_or(100),
                is_trip: true,
                title: format!("{}: “{}” reached with {used}", words::when(&trip.at), limit.limit),
            });
        }
        for warning in limit.warnings.iter().filter(|warning| is_its(&warning.account)) {
            let used = words::amount(&warning.used, warning.currency.as_deref());
            moments.push(Moment {
                at: at(&warning.at),
                percent: u64::from(warning.level),
                is_trip: false,
                title: format!("{}: “{}” warned at {used}", words::when(&warning.at), limit.limit),
            });
        }
    }
    moments.sort_by_key(|moment| moment.at);
    Ok(moments)
}

fn form(account: &AccountView, what: &'static str) -> Act {
    let name = if account.friendly_name.is_empty() { "this account" } else { account.friendly_name.as_str() };
    let sid = account.sid;
    let is_suspension = what == "suspend";
    Act {
        section: Section::Accounts,
        title: format!("{} {name}", if is_suspension { "Suspend" } else { "Resume" }),
        effects: if is_suspension {
            vec![
                format!("{sid} is suspended at Twilio, and held so until somebody resumes it here."),
                "It can send and receive nothing meanwhile. Calls in progress go on to their end.".to_owned(),
            ]
        } else {
            vec![format!(
                "{sid} becomes active at Twilio again. While a limit is tripped for it, reset that instead."
            )]
        },
        path: format!("/accounts/{sid}/{what}"),
        button: if is_suspension { "Suspend" } else { "Resume" },
        is_dangerous: is_suspension,
        hidden: Vec::new(),
        allow: None,
        wants_reason: true,
        back: format!("/accounts/{sid}"),
    }
}

pub(super) async fn named(call: &Call<'_>) -> Result<AccountView, Failed> {
    Ok(call.engine.views().account(account_named(call, call.piece)?).await?)
}

pub(crate) async fn ask_suspend(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let account = named(&call).await?;
    ask(&call, form(&account, "suspend"))
}

pub(crate) async fn suspend(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let account = named(&call).await?;
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(wrong) => return ask_again(&call, form(&account, "suspend"), wrong),
    };
    match call.engine.suspend_account(account.sid, &call.signed_in.actor(), reason).await {
        Ok(()) => Ok(words::redirect(&format!("/accounts/{}?done=suspend", account.sid))),
        Err(refused) => refused_beside(&call, form(&account, "suspend"), refused),
    }
}

pub(crate) async fn ask_resume(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let account = named(&call).await?;
    if let Some(limit) = holders(&account).first() {
        return Err(Failed::NotNow(format!("the limit “{limit}” holds the account: reset that first")));
    }
    if !is_suspended(&account) {
        return Err(Failed::NotNow("the account is not suspended".to_owned()));
    }
    ask(&call, form(&account, "resume"))
}

pub(crate) async fn resume(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let account = named(&call).await?;
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(wrong) => return ask_again(&call, form(&account, "resume"), wrong),
    };
    if !is_suspended(&account) {
        let whole = Some("It is not suspended: there is nothing to resume.".to_owned());
        return ask_again(&call, form(&account, "resume"), Wrong { whole, ..Wrong::default() });
    }
    match call.engine.resume_account(account.sid, &call.signed_in.actor(), reason).await {
        Ok(()) => Ok(words::redirect(&format!("/accounts/{}?done=resume", account.sid))),
        Err(refused) => refused_beside(&call, form(&account, "resume"), refused),
    }
}

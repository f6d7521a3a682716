//! The accounts: who they are, how they stand at Twilio, how near each is to its limits.

use std::collections::{HashMap, HashSet};

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_control::views::{AccountView, BreakerFilter, BreakerView, Page, WantedStatus};
use ringfence_model::Sid;

use super::shown;
use super::spending::{Line, urgency};
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::routes::Call;
use crate::words;

/// Accounts of a page.
const SIZE: usize = 50;

#[derive(Template)]
#[template(path = "accounts.html")]
struct View {
    frame: Frame,
    q: String,
    show: String,
    rows: Vec<Row>,
    found: String,
    known: usize,
    older: Option<String>,
    newer: Option<String>,
}

#[derive(Debug)]
struct Row {
    sid: String,
    name: String,
    is_parent: bool,
    status: Standing,
    /// Whether limits may not see what it spends.
    is_unread: bool,
    /// Its breaker that is nearest to its limit.
    nearest: Option<Line>,
    more: usize,
}

/// How an account stands at Twilio, and how it should.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) class: &'static str,
    pub(super) word: String,
    /// What is wanted, where that is something else.
    pub(super) to_be: Option<&'static str>,
}

impl Standing {
    pub(super) fn of(account: &AccountView) -> Self {
        let to_be = match account.wanted {
            _ if account.is_as_wanted => None,
            Some(WantedStatus::Suspended) => Some("to be suspended"),
            Some(WantedStatus::Active) => Some("to be active"),
            None => None,
        };
        if account.gone_at.is_some() {
            return Self { class: "gone", word: "gone from Twilio".to_owned(), to_be: None };
        }
        let class = match account.status.as_str() {
            "active" => "good",
            "suspended" => "bad",
            _ => "gone",
        };
        Self { class, word: account.status.clone(), to_be }
    }
}

/// Which accounts are shown, as the form says it.
pub(super) const SHOWN: [(&str, &str); 5] = [
    ("", "All"),
    ("active", "Active"),
    ("suspended", "Suspended"),
    ("not-as-wanted", "Not as wanted"),
    ("not-counted", "Not counted"),
];

pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    if let Some(only) = call.signed_in.only_account() {
        return Ok(words::redirect(&format!("/accounts/{only}")));
    }
    let views = call.engine.views();
    let all = views.accounts(&Page::all()).await?.accounts;
    let known = all.len();
    let unread: HashSet<Sid> = views.usage_unread().await?.iter().map(|it| it.account.sid).collect();
    let (q, show) = (call.query.get("q").to_owned(), call.query.get("show").to_owned());
    let needle = q.to_lowercase();
    let mut found: Vec<_> = all
        .into_iter()
        .filter(|account| {
            let is_named = account.friendly_name.to_lowercase().contains(&needle)
                || account.sid.to_string().to_lowercase().contains(&needle);
            let is_shown = match show.as_str() {
                "active" | "suspended" => account.gone_at.is_none() && account.status == show,
                "not-as-wanted" => !account.is_as_wanted,
                "not-counted" => unread.contains(&account.sid),
                _ => true,
            };
            is_named && is_shown
        })
        .collect();
    let limits = views.limits().limits;
    let mut breakers: HashMap<Sid, Vec<BreakerView>> = HashMap::new();
    for breaker in views.breakers(&BreakerFilter::default(), &Page::all()).await?.breakers {
        if let Some(account) = &breaker.account {
            breakers.entry(account.sid).or_default().push(breaker);
        }
    }
    for of_account in breakers.values_mut() {
        of_account.sort_by_key(urgency);
    }
    // What deserves a look comes first; of the rest, whoever has used most.
    found.sort_by_cached_key(|account| {
        let nearest = breakers.get(&account.sid).and_then(|of_account| of_account.first());
        let urgency = nearest.map(urgency);
        let is_counted = !unread.contains(&account.sid);
        (account.gone_at.is_some(), account.is_as_wanted, is_counted, urgency.is_none(), urgency, account.sid)
    });
    let total = found.len();
    let page: usize = call.query.get("page").parse().unwrap_or(1).clamp(1, total.div_ceil(SIZE).max(1));
    let begin = (page - 1) * SIZE;
    let rows = found.into_iter().skip(begin).take(SIZE).map(|account| {
        let of_account = breakers.get(&account.sid).map(Vec::as_slice).unwrap_or_default();
        Row {
            sid: account.sid.to_string(),
            is_parent: account.parent.is_none(),
            status: Standing::of(&account),
            is_unread: unread.contains(&account.sid),
            nearest: of_account.first().map(|breaker| Line::of(&call, breaker, &limits)),
            more: of_account.len().saturating_sub(1),
            name: account.friendly_name,
        }
    });
    let link = |page: usize| {
        format!("/accounts?q={}&show={}&page={page}", words::query_value(&q), words::query_value(&show))
    };
    let view = View {
        rows: rows.collect(),
        found: words::many(total, "account", "accounts"),
        known,
        older: (begin + SIZE < total).then(|| link(page + 1)),
        newer: (page > 1).then(|| link(page - 1)),
        frame: Frame::new(&call, Section::Accounts),
        q,
        show,
    };
    shown(&view)
}

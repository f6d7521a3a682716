//! Where a breaker stands, as one line of a list: what was used, of how much, as a picture.

use ringfence_control::views::{BreakerView, LimitView, PhaseName};
use ringfence_store::Role;

use crate::picture::{self, Picture};
use crate::routes::Call;
use crate::words;

/// One breaker.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) limit: String,
    /// The account's name, or its SID where it has none; none where the limit holds for all together.
    pub(crate) account: Option<(String, String)>,
    pub(crate) phase: &'static str,
    pub(crate) phase_word: &'static str,
    /// How it came to stand so, where it does not pass.
    pub(crate) why: Option<String>,
    pub(crate) used: String,
    /// None before the first look of a limit that counts from there on.
    pub(crate) trips_at: Option<String>,
    pub(crate) percent: Option<u64>,
    pub(crate) picture: Option<Picture>,
    /// The query that names it to the pages that act on it.
    pub(crate) query: String,
    pub(crate) may_reset: bool,
    pub(crate) may_trip: bool,
}

impl Line {
    pub(crate) fn of(call: &Call<'_>, breaker: &BreakerView, limits: &[LimitView]) -> Self {
        let currency = breaker.currency.as_deref();
        let limit = limits.iter().find(|limit| limit.name == breaker.limit);
        let warnings = limit.map(|limit| limit.warn_percent.as_slice()).unwrap_or_default();
        let account = breaker.account.as_ref().map(|account| {
            let name = if account.friendly_name.is_empty() {
                account.sid.to_string()
            } else {
                account.friendly_name.clone()
            };
            (account.sid.to_string(), name)
        });
        let mut query = format!("limit={}", words::query_value(&breaker.limit));
        if let Some((sid, _)) = &account {
            query.push_str("&account=");
            query.push_str(sid);
        }
        let may_act = call.signed_in.may(Role::Operator);
        let is_tripped = breaker.phase == PhaseName::Tripped;
        Self {
            limit: breaker.limit.clone(),
            account,
            phase: class(breaker, warnings),
            phase_word: match breaker.phase {
                PhaseName::Tripped if breaker.tripped.as_ref().is_some_and(|it| !it.enforced) => "would trip",
                PhaseName::Tripped => "tripped",
                PhaseName::Probing => "probing",
                PhaseName::Passing => "passing",
            },
            why: why(call, breaker),
            used: words::amount(&breaker.used, currency),
            trips_at: breaker.trips_at.as_deref().map(|at| words::amount(at, currency)),
            percent: breaker.percent,
            picture: breaker.percent.map(|percent| picture::bar(percent, class(breaker, warnings), warnings)),
            query,
            may_reset: may_act && is_tripped,
            may_trip: may_act && !is_tripped,
        }
    }
}

/// The colour: by where it stands, or by how near it is.
fn class(breaker: &BreakerView, warnings: &[u8]) -> &'static str {
    let nearest = warnings.iter().min().copied().unwrap_or(80);
    match breaker.phase {
        PhaseName::Tripped => "tripped",
        PhaseName::Probing => "probing",
        PhaseName::Passing if breaker.percent.is_some_and(|percent| percent >= u64::from(nearest)) => "near",
        PhaseName::Passing => "passing",
    }
}

fn why(call: &Call<'_>, breaker: &BreakerView) -> Option<String> {
    let currency = breaker.currency.as_deref();
    let since = |at: &Option<jiff::Timestamp>| at.map(|at| words::ago(&at, &call.now));
    if let Some(tripped) = &breaker.tripped {
        let by = match (&tripped.over_by_use_of, tripped.by_operator) {
            (Some(used), false) => format!("reached with {}", words::amount(used, currency)),
            (Some(used), true) => {
                format!("reached with {}, and stopped by an operator", words::amount(used, currency))
            }
            (None, _) => "stopped by an operator".to_owned(),
        };
        let watches = if tripped.enforced { "" } else { "; the limit only watches" };
        return Some(match since(&tripped.since) {
            Some(since) => format!("{by}, {since}{watches}"),
            None => format!("{by}{watches}"),
        });
    }
    let probing = breaker.probing.as_ref()?;
    let more = words::amount(&probing.allowed_more, currency);
    Some(match since(&probing.since) {
        Some(since) => format!("reset {since}: {more} more may be used in this window"),
        None => format!("reset: {more} more may be used in this window"),
    })
}

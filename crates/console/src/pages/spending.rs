//! Where a breaker stands, as one line of a list: what was used, of how much, as a picture.

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::Subject;
use ringfence_control::views::{BreakerView, LimitView, PhaseName};
use ringfence_model::Amount;
use ringfence_store::Role;

use crate::failed::Failed;
use crate::picture::{self, Picture};
use crate::routes::Call;
use crate::words;

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// So many days are in a picture.
const DAYS: i32 = 30;

/// How much a breaker deserves a look: what stops somebody, what is on trial, and then what stops nobody, [the nearest first](nearness).
pub(crate) fn urgency(breaker: &BreakerView) -> (Standing, std::cmp::Reverse<Option<i128>>, bool) {
    let (share, would_stop) = nearness(breaker);
    (Standing::of(breaker).min(Standing::WouldStop), share, would_stop)
}

/// How much a breaker deserves a look among those that stop nobody: by how much of the limit is used, and of two that are as near,
/// the one that would stop somebody. A limit that only watches hides none that stops.
fn nearness(breaker: &BreakerView) -> (std::cmp::Reverse<Option<i128>>, bool) {
    (std::cmp::Reverse(share(breaker)), Standing::of(breaker) == Standing::WouldStop)
}

/// How much of the limit is used, in millionths: rows are in the order of what stands in them, not of whole per cents.
fn share(breaker: &BreakerView) -> Option<i128> {
    let micros = |text: &str| text.parse::<Amount>().ok().map(|amount| i128::from(amount.micros()));
    let (used, at) = (micros(&breaker.used)?, micros(breaker.trips_at.as_deref()?)?);
    (used * 1_000_000).checked_div(at)
}

/// What a breaker means for whoever it watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// It stops them.
    Stops,
    /// It lets them go on trial.
    OnTrial,
    /// It would stop them, but its limit only watches.
    WouldStop,
    /// It lets them pass.
    Passes,
}

impl Standing {
    pub(crate) fn of(breaker: &BreakerView) -> Self {
        match breaker.phase {
            PhaseName::Tripped if breaker.tripped.as_ref().is_some_and(|it| !it.enforced) => Self::WouldStop,
            PhaseName::Tripped => Self::Stops,
            PhaseName::Probing => Self::OnTrial,
            PhaseName::Passing => Self::Passes,
        }
    }
}

/// One breaker.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) limit: String,
    /// The account's name, or its SID where it has none; none where the limit holds for all together, or for numbers.
    pub(crate) account: Option<(String, String)>,
    /// Whom it is about where that is no account.
    pub(crate) others: String,
    /// Whether the page is about that account, and need not name it.
    pub(crate) is_own: bool,
    pub(crate) phase: &'static str,
    pub(crate) phase_word: &'static str,
    /// How it came to stand so, where it does not pass.
    pub(crate) why: Option<String>,
    pub(crate) used: String,
    /// None before the first look of a limit that counts from there on.
    pub(crate) trips_at: Option<String>,
    pub(crate) percent: Option<u64>,
    pub(crate) picture: Option<Picture>,
    /// What was used on each of the last days; none where nothing is known of them.
    pub(crate) history: Option<Picture>,
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
        let account = breaker.account.as_ref().map(|account| (account.sid.to_string(), account.shown()));
        let mut query = format!("limit={}", words::query_value(&breaker.limit));
        if let Some((sid, _)) = &account {
            query.push_str("&account=");
            query.push_str(sid);
        }
        if let Some(prefix) = &breaker.prefix {
            query.push_str("&prefix=");
            query.push_str(&words::query_value(prefix));
        }
        let share = breaker.tripped.as_ref().and_then(|tripped| tripped.share.as_ref());
        let may_act = call.signed_in.may(Role::Operator);
        let is_tripped = breaker.phase == PhaseName::Tripped;
        Self {
            limit: breaker.limit.clone(),
            account,
            others: match &breaker.prefix {
                Some(prefix) => format!("Numbers that begin with {prefix}"),
                None => "All accounts together".to_owned(),
            },
            is_own: false,
            phase: class(breaker, warnings),
            phase_word: match Standing::of(breaker) {
                Standing::Stops => "tripped",
                Standing::OnTrial => "probing",
                Standing::WouldStop => "would trip",
                Standing::Passes => "passing",
            },
            why: why(call, breaker),
            used: match share {
                Some(share) => share.shown(),
                // Nothing is used of a share.
                None if breaker.prefix.is_some() && breaker.trips_at.is_none() => String::new(),
                None => words::amount(&breaker.used, currency),
            },
            trips_at: match share {
                Some(share) => Some(share.of_what()),
                None => breaker.trips_at.as_deref().map(|at| words::amount(at, currency)),
            },
            percent: breaker.percent,
            picture: breaker.percent.map(|percent| picture::bar(percent, class(breaker, warnings), warnings)),
            history: None,
            query,
            may_reset: may_act && is_tripped,
            may_trip: may_act && !is_tripped,
        }
    }

    /// With a picture of the last days.
    pub(crate) async fn with_history(self, call: &Call<'_>, breaker: &BreakerView) -> Result<Self, Failed> {
        Ok(Self { history: history(call, breaker).await?, ..self })
    }

    /// On the page of the account that it is about.
    pub(crate) fn own(self) -> Self {
        Self { is_own: self.account.is_some(), ..self }
    }
}

/// The colour: by where it stands, or by how near it is.
fn class(breaker: &BreakerView, warnings: &[u8]) -> &'static str {
    let nearest = warnings.iter().min().copied().unwrap_or(80);
    match Standing::of(breaker) {
        Standing::Stops => "tripped",
        Standing::OnTrial => "probing",
        Standing::WouldStop => "would",
        Standing::Passes if breaker.percent.is_some_and(|percent| percent >= u64::from(nearest)) => "near",
        Standing::Passes => "passing",
    }
}

/// What was used on each of the last days, against what the limit is now.
async fn history(call: &Call<'_>, breaker: &BreakerView) -> Result<Option<Picture>, Failed> {
    let of = breaker.trips_at.as_deref().and_then(|at| at.parse::<Amount>().ok());
    let Some(of) = of.filter(|of| *of > Amount::ZERO) else { return Ok(None) };
    let first = call.now.saturating_sub(DAY * (DAYS - 1)).unwrap_or(call.now);
    let subject = match (&breaker.account, &breaker.prefix) {
        (Some(account), _) => account.sid.to_string(),
        (None, Some(prefix)) => prefix.clone(),
        (None, None) => Subject::Together.to_string(),
    };
    let readings = call.engine.store().readings(&breaker.limit, &subject, first).await?;
    if readings.is_empty() {
        return Ok(None);
    }
    let mut known = readings.iter().peekable();
    let mut days = Vec::new();
    for number in 0..DAYS {
        let day = first.saturating_add(DAY * number).unwrap_or(call.now);
        let date = date_of(&day);
        let reading = known.next_if(|reading| date_of(&reading.day) == date);
        let percent = reading.map(|reading| {
            let hundredths = i128::from(reading.most.micros()) * 100 / i128::from(of.micros());
            u64::try_from(hundredths.max(0)).unwrap_or(u64::MAX)
        });
        let used =
            reading.map(|reading| words::amount(&reading.most.to_string(), breaker.currency.as_deref()));
        let title = match (used, percent) {
            (Some(used), Some(percent)) => format!("{date}: {used}, {percent} %"),
            _ => format!("{date}: nothing new"),
        };
        days.push(picture::Day { percent, title });
    }
    let label =
        format!("What “{}” saw on each of the last {DAYS} days; the line is the limit", breaker.limit);
    Ok(Some(picture::days(&days, &label)))
}

fn date_of(at: &Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

fn why(call: &Call<'_>, breaker: &BreakerView) -> Option<String> {
    let currency = breaker.currency.as_deref();
    let since = |at: &Option<Timestamp>| at.map(|at| words::ago(&at, &call.now));
    if let Some(tripped) = &breaker.tripped {
        let by = match (&tripped.over_by_use_of, tripped.by_operator) {
            _ if tripped.share.is_some() => {
                let share = tripped.share.as_ref().map(|share| share.words.clone()).unwrap_or_default();
                if tripped.by_operator { format!("{share}; stopped by an operator too") } else { share }
            }
            (Some(used), by_operator) => {
                let used = words::amount(used, currency);
                let by = match &tripped.over_by_request_of {
                    Some(wanted) => {
                        format!("{used} used, and no room for {} more", words::amount(wanted, currency))
                    }
                    None => format!("reached with {used}"),
                };
                if by_operator { format!("{by}; stopped by an operator too") } else { by }
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

//! What the egress counted under a limit: what it would have refused, and how far the price book was off.

use std::collections::HashMap;
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{Measure, Window};
use ringfence_model::{Amount, Sid};
use ringfence_store::{Currencies, TalliedOperation, Tally};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NotSeen, Verdict, Views, schema};
use crate::wanted::AppliedLimit;

/// What came of the requests of the egress under a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedEgress {
    /// Requests that were admitted, those that it would have refused among them.
    pub admitted: u64,
    /// Requests that it refused.
    pub refused: u64,
    /// Their worst amounts in all; null where they are of several currencies.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub refused_worth: Option<String>,
    /// Requests that it would have refused, had it not only watched.
    pub would_refuse: u64,
    /// Their worst amounts in all; null where they are of several currencies.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub would_refuse_worth: Option<String>,
    /// Of these, how many only because others were still open.
    pub would_wait: u64,
    /// Requests that came before Twilio's figures were read, when a limit that acts admits nothing yet. They say nothing of
    /// the limit, and are not among those above.
    pub before_figures: u64,
    /// The currency of the amounts; null where they are not money, where they are of several currencies, or where it is not
    /// known yet.
    pub currency: Option<String>,
    /// How far the price book was off, by operation.
    pub operations: Vec<ReportedOperation>,
    /// What that comes to, in words; null where nothing was priced yet, or in several currencies.
    pub price_book: Option<String>,
}

/// What came of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedOperation {
    /// The operation, such as `messages.create`.
    pub operation: String,
    /// Requests that were admitted.
    pub admitted: u64,
    /// Requests whose true price became known, as Twilio's lists tell it: without carrier fees, which usage records tell.
    pub priced: u64,
    /// What had been set aside for that at worst; null where that is in several currencies.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub worst: Option<String>,
    /// What it came to; null where that is in several currencies.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub spent: Option<String>,
    /// How many of them came to more than was set aside.
    pub under: u64,
    /// By how much in all; null where that is in several currencies.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub under_by: Option<String>,
    /// Requests whose price nobody told, so that the worst was taken for it.
    pub unpriced: u64,
}

/// What a limit that only watches comes to for one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedLimit {
    /// Its name.
    pub limit: String,
    /// What it comes to.
    pub verdict: Verdict,
    /// The same in words.
    pub summary: String,
    /// What was counted.
    pub egress: Option<ReportedEgress>,
}

/// What was counted under a limit, and when.
pub(super) struct Tallied {
    pub(super) egress: ReportedEgress,
    /// The first day on which something came that the limit could be judged by.
    first_day: Option<Timestamp>,
    /// The last day on which something came before Twilio's figure was read.
    unread_day: Option<Timestamp>,
}

impl Views<'_> {
    /// What limits that only watch come to for one account, by its own requests through the egress.
    pub async fn watched(&self, account: Sid) -> Result<Vec<WatchedLimit>, NotSeen> {
        let mut watched = Vec::new();
        let currencies = self.store.currencies().await?;
        let changed = self.changed().await?;
        for applied in self.limits.iter().filter(|applied| !applied.limit.enforce) {
            let since = begin(applied, &changed, None);
            let tallied = self.tallied(&currencies, applied, Some(account), since).await?;
            let Some(tallied) = tallied else { continue };
            let (verdict, summary) = self.judged(applied, &tallied, since);
            let limit = applied.limit.name.clone();
            watched.push(WatchedLimit { limit, verdict, summary, egress: Some(tallied.egress) });
        }
        Ok(watched)
    }

    /// Since when each limit says what it says, by name.
    pub(super) async fn changed(&self) -> Result<HashMap<String, Timestamp>, NotSeen> {
        let applied = self.store.applied_limits().await?;
        Ok(applied.into_iter().map(|limit| (limit.name, limit.changed_at)).collect())
    }

    /// What a limit that only watches comes to by what was counted, and that in words. What came before Twilio's figure was
    /// read would have been refused by a limit that acts, and says nothing of this one: while such requests come, nobody
    /// can say that it is safe.
    pub(super) fn judged(
        &self,
        applied: &AppliedLimit,
        tallied: &Tallied,
        since: Timestamp,
    ) -> (Verdict, String) {
        let Tallied { egress, first_day, unread_day } = tallied;
        let early = |why: String| (Verdict::TooEarly, format!("too early to say: {why}; leave it watching"));
        if egress.would_refuse > 0 {
            return (Verdict::WouldHaveStopped, egress.would_have_refused());
        }
        let yesterday = self.now.saturating_sub(DAY + DAY).unwrap_or(Timestamp::MIN);
        if let Some(day) = unread_day.filter(|day| *day > yesterday) {
            return early(format!(
                "{} came before Twilio’s figures were read, the last on {}, and would have been refused by a limit that acts",
                requests(egress.before_figures),
                super::report::day(day)
            ));
        }
        let Some(first) = first_day else {
            return early(format!(
                "nothing came since {} that it can be judged by",
                super::report::day(since)
            ));
        };
        let first = since.max(*first);
        let none = format!("none of {} since {}", requests(egress.admitted), super::report::day(first));
        if egress.admitted < REQUESTS_LEAST {
            return early(format!("it would have refused {none}, and {REQUESTS_LEAST} are wanted"));
        }
        let wanted = if applied.limit.window == Window::Alltime { ALLTIME_LEAST } else { DAY };
        // Its first day may have been an hour long.
        let is_long = first.saturating_add(DAY + wanted).is_ok_and(|end| end <= self.now);
        if !is_long || !self.has_seen_a_window(applied, first) {
            let window = match applied.limit.window {
                Window::Alltime => "30 days have not".to_owned(),
                window if window.is_twilios() => {
                    format!("no whole window ({}) has", super::limits::window(window))
                }
                _ => "no whole day has".to_owned(),
            };
            return early(format!("it would have refused {none}, but {window} passed"));
        }
        (Verdict::SafeToEnforce, format!("safe to enforce: it would have refused {none}"))
    }

    /// What was counted under a limit from the day of `since` on; of one account, if one is given. Nothing where no request
    /// came.
    pub(super) async fn tallied(
        &self,
        currencies: &Currencies,
        applied: &AppliedLimit,
        account: Option<Sid>,
        since: Timestamp,
    ) -> Result<Option<Tallied>, NotSeen> {
        let operations = self.store.tallies(&applied.limit.name, account, since).await?;
        if operations.is_empty() {
            return Ok(None);
        }
        let all = operations.iter().fold(Tally::default(), |sum, of| sum.and(of.tally));
        // What a limit of a share refuses is worth money too.
        let is_money = applied.limit.measure == Measure::Price || applied.limit.sign().is_some();
        let money = match account {
            Some(account) if is_money => Money::Of(currencies.get(&account).cloned()),
            None if is_money => self.money_of_all(currencies, applied, since).await?,
            Some(_) | None => Money::Of(None),
        };
        let amount = |amount: Amount| (money != Money::Mixed).then(|| amount.to_string());
        let currency = if let Money::Of(currency) = &money { currency.clone() } else { None };
        let admitted =
            if applied.limit.enforce { all.admitted } else { all.admitted.saturating_sub(all.unread) };
        let egress = ReportedEgress {
            admitted,
            refused: all.refused,
            refused_worth: amount(all.refused_worth),
            would_refuse: all.would_refuse,
            would_refuse_worth: amount(all.would_refuse_worth),
            would_wait: all.would_wait,
            before_figures: all.unread,
            price_book: price_book(&all, currency.as_deref()).filter(|_| money != Money::Mixed),
            operations: operations.iter().map(|of| ReportedOperation::of(of, amount)).collect(),
            currency,
        };
        let first_day = operations.iter().filter_map(|of| of.first_day).min();
        let unread_day = operations.iter().filter_map(|of| of.unread_day).max();
        Ok(Some(Tallied { egress, first_day, unread_day }))
    }

    /// In what the requests of all accounts under a limit are paid. One whose currency nobody has seen yet may have any.
    async fn money_of_all(
        &self,
        currencies: &Currencies,
        applied: &AppliedLimit,
        since: Timestamp,
    ) -> Result<Money, NotSeen> {
        let mut all: Vec<Option<&String>> = currencies.values().map(Some).collect();
        all.sort_unstable();
        all.dedup();
        if all.len() > 1 {
            let accounts = self.store.tallied_accounts(&applied.limit.name, since).await?;
            all = accounts.iter().map(|account| currencies.get(account)).collect();
            all.sort_unstable();
            all.dedup();
        }
        Ok(match all.as_slice() {
            [one] => Money::Of(one.cloned()),
            [] => Money::Of(None),
            _ => Money::Mixed,
        })
    }
}

/// In what something is paid.
#[derive(PartialEq, Eq)]
enum Money {
    /// In one currency, where it is known.
    Of(Option<String>),
    /// In several, so that there is no sum.
    Mixed,
}

/// From when on a limit is judged: since it says what it says, and not by what another rule of this name did.
pub(super) fn begin(
    applied: &AppliedLimit,
    changed: &HashMap<String, Timestamp>,
    since: Option<Timestamp>,
) -> Timestamp {
    let changed = changed.get(&applied.limit.name).copied();
    [changed, since].into_iter().flatten().fold(applied.since, Timestamp::max)
}

impl ReportedEgress {
    /// `it would have refused 12 of 480 requests, worth 3.20 USD`, and why some of them.
    pub(super) fn would_have_refused(&self) -> String {
        let mut text = format!("it would have refused {} of {}", self.would_refuse, requests(self.admitted));
        self.worth(&mut text, self.would_refuse_worth.as_ref());
        if self.would_wait > 0 {
            // Writing to a text cannot fail.
            _ = write!(text, " ({} only because others were still open)", self.would_wait);
        }
        text
    }

    /// The same of what it did refuse.
    pub(super) fn has_refused(&self) -> String {
        let mut text = format!("it has refused {}", requests(self.refused));
        self.worth(&mut text, self.refused_worth.as_ref());
        text
    }

    fn worth(&self, text: &mut String, worth: Option<&String>) {
        if let Some(worth) = worth {
            // Writing to a text cannot fail.
            _ = write!(text, ", worth {worth}{} at worst", unit(self.currency.as_deref()));
        }
    }
}

impl ReportedOperation {
    fn of(of: &TalliedOperation, amount: impl Fn(Amount) -> Option<String>) -> Self {
        let TalliedOperation { operation, tally, .. } = of;
        Self {
            operation: operation.clone(),
            admitted: tally.admitted,
            priced: tally.priced,
            worst: amount(tally.worst),
            spent: amount(tally.spent),
            under: tally.under,
            under_by: amount(tally.under_by),
            unpriced: tally.unpriced,
        }
    }
}

fn unit(currency: Option<&str>) -> String {
    currency.map(|currency| format!(" {}", currency.to_uppercase())).unwrap_or_default()
}

fn requests(count: u64) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{count} requests") }
}

/// How far the price book was off. A price that is too high is given back; one that is too low passes a limit.
fn price_book(all: &Tally, currency: Option<&str>) -> Option<String> {
    if all.priced == 0 {
        return None;
    }
    let unit = unit(currency);
    let set_aside = format!("the price book set {}{unit} aside for what cost {}{unit}", all.worst, all.spent);
    Some(if all.under == 0 {
        format!("{set_aside}, and was never too low")
    } else {
        let times = if all.under == 1 { "once".to_owned() } else { format!("{} times", all.under) };
        let by = all.under_by;
        format!(
            "{set_aside}; it was too low {times} of {}, by {by}{unit} in all: by so much a limit may be passed",
            all.priced
        )
    })
}

impl Views<'_> {
    /// Whether a window has begun and ended since: less says little of what a whole one brings. Of windows that only the
    /// egress knows, which may be a minute, a day is wanted, and of one that never ends 30 days.
    pub(super) fn has_seen_a_window(&self, applied: &AppliedLimit, since: Timestamp) -> bool {
        let window = applied.limit.window;
        let is_past = |end: Timestamp| end <= self.now;
        let wanted = match window {
            Window::Alltime => ALLTIME_LEAST,
            window if window.is_twilios() => SignedDuration::ZERO,
            _ => DAY,
        };
        if !since.saturating_add(wanted).is_ok_and(is_past) {
            return false;
        }
        let Some(begun) = window.period(since).end else { return true };
        // A report that begins with a window has all of it.
        let first = if window.period(since).start == since { since } else { begun };
        window.period(first).end.is_none_or(is_past)
    }
}

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Of a window that never ends, so much must have been seen.
const ALLTIME_LEAST: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Of fewer requests nobody can say whether a limit is right.
const REQUESTS_LEAST: u64 = 20;

#[cfg(test)]
mod tests;

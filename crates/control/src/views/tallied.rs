//! What the egress counted under a limit: what it would have refused, and how far the price book was off.

use std::fmt::Write as _;

use jiff::Timestamp;
use ringfence_breaker::Measure;
use ringfence_model::Sid;
use ringfence_store::{TalliedOperation, Tally};
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
    /// Their worst amounts in all.
    #[schemars(schema_with = "schema::decimal")]
    pub refused_worth: String,
    /// Requests that it would have refused, had it not only watched.
    pub would_refuse: u64,
    /// Their worst amounts in all.
    #[schemars(schema_with = "schema::decimal")]
    pub would_refuse_worth: String,
    /// Of these, how many only because others were still open.
    pub would_wait: u64,
    /// Requests that came before Twilio's figures were read, when a limit that acts admits nothing yet. They say nothing of
    /// the limit, and are not among those above.
    pub before_figures: u64,
    /// The currency of the amounts; null where they are not money, or where it is not known yet.
    pub currency: Option<String>,
    /// How far the price book was off, by operation.
    pub operations: Vec<ReportedOperation>,
    /// What that comes to, in words; null where nothing was priced yet.
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
    /// What had been set aside for that at worst.
    #[schemars(schema_with = "schema::decimal")]
    pub worst: String,
    /// What it came to.
    #[schemars(schema_with = "schema::decimal")]
    pub spent: String,
    /// How many of them came to more than was set aside.
    pub under: u64,
    /// By how much in all.
    #[schemars(schema_with = "schema::decimal")]
    pub under_by: String,
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

impl Views<'_> {
    /// What limits that only watch come to for one account, by its own requests through the egress.
    pub async fn watched(&self, account: Sid) -> Result<Vec<WatchedLimit>, NotSeen> {
        let mut watched = Vec::new();
        for applied in self.limits.iter().filter(|applied| !applied.limit.enforce) {
            let Some(egress) = self.tallied(applied, Some(account), applied.since).await? else { continue };
            let is_long = self.has_seen_a_window(applied, applied.since);
            let (verdict, summary) = match &egress {
                it if it.would_refuse > 0 => (Verdict::WouldHaveStopped, it.would_have_refused()),
                it if it.admitted > 0 && is_long => {
                    let safe = "safe to enforce: it would have refused none of its requests";
                    (Verdict::SafeToEnforce, safe.to_owned())
                }
                _ => (Verdict::TooEarly, "too little seen yet; leave it watching".to_owned()),
            };
            let limit = applied.limit.name.clone();
            watched.push(WatchedLimit { limit, verdict, summary, egress: Some(egress) });
        }
        Ok(watched)
    }

    /// What was counted under a limit from the day of `since` on; of one account, if one is given. Nothing where no request
    /// came.
    pub(super) async fn tallied(
        &self,
        applied: &AppliedLimit,
        account: Option<Sid>,
        since: Timestamp,
    ) -> Result<Option<ReportedEgress>, NotSeen> {
        let operations = self.store.tallies(&applied.limit.name, account, since).await?;
        if operations.is_empty() {
            return Ok(None);
        }
        let all = operations.iter().fold(Tally::default(), |sum, of| sum.and(of.tally));
        let currency = if applied.limit.measure != Measure::Price {
            None
        } else if let Some(account) = account {
            self.currencies.get(&account).cloned()
        } else {
            // A sum over accounts of several currencies is refused, so any of them tells.
            self.currencies.values().next().cloned()
        };
        Ok(Some(ReportedEgress {
            admitted: all.admitted,
            refused: all.refused,
            refused_worth: all.refused_worth.to_string(),
            would_refuse: all.would_refuse,
            would_refuse_worth: all.would_refuse_worth.to_string(),
            would_wait: all.would_wait,
            before_figures: all.unread,
            price_book: price_book(&all, currency.as_deref()),
            operations: operations.into_iter().map(ReportedOperation::of).collect(),
            currency,
        }))
    }
}

impl ReportedEgress {
    /// `it would have refused 12 of 480 requests, worth 3.20 USD`, and why some of them.
    pub(super) fn would_have_refused(&self) -> String {
        let unit = unit(self.currency.as_deref());
        let mut text = format!(
            "it would have refused {} of {}, worth {}{unit} at worst",
            self.would_refuse,
            requests(self.admitted),
            self.would_refuse_worth
        );
        if self.would_wait > 0 {
            // Writing to a text cannot fail.
            _ = write!(text, " ({} only because others were still open)", self.would_wait);
        }
        text
    }

    /// The same of what it did refuse.
    pub(super) fn has_refused(&self) -> String {
        let unit = unit(self.currency.as_deref());
        format!("it has refused {}, worth {}{unit} at worst", requests(self.refused), self.refused_worth)
    }
}

impl ReportedOperation {
    fn of(of: TalliedOperation) -> Self {
        let TalliedOperation { operation, tally } = of;
        Self {
            operation,
            admitted: tally.admitted,
            priced: tally.priced,
            worst: tally.worst.to_string(),
            spent: tally.spent.to_string(),
            under: tally.under,
            under_by: tally.under_by.to_string(),
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
    /// egress knows, which may be a minute, a day is wanted.
    pub(super) fn has_seen_a_window(&self, applied: &AppliedLimit, since: Timestamp) -> bool {
        let window = applied.limit.window;
        let is_past = |end: Timestamp| end <= self.now;
        if !window.is_twilios() && !since.saturating_add(DAY).is_ok_and(is_past) {
            return false;
        }
        let Some(begun) = window.period(since).end else { return true };
        // A report that begins with a window has all of it.
        let first = if window.period(since).start == since { since } else { begun };
        window.period(first).end.is_none_or(is_past)
    }
}

const DAY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

#[cfg(test)]
mod tests {
    use ringfence_model::Amount;

    use super::*;

    #[test]
    fn a_price_that_was_too_low_is_said_even_where_others_were_too_high() {
        assert_eq!(price_book(&Tally::default(), None), None);
        let tally = Tally {
            priced: 3,
            worst: Amount::from_units(9),
            spent: Amount::from_units(5),
            under: 1,
            under_by: Amount::from_units(1),
            ..Tally::default()
        };
        let said = price_book(&tally, Some("usd")).expect("words");
        assert!(said.contains("set 9 USD aside for what cost 5 USD"), "{said}");
        assert!(said.contains("too low once of 3, by 1 USD in all"), "{said}");
        let said = price_book(&Tally { under: 0, ..tally }, None).expect("words");
        assert!(said.ends_with("was never too low"), "{said}");
    }
}

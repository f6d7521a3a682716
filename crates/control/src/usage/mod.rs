//! What is read of Twilio's usage records, and what a breaker observes in them. Pure.
//!
//! One reading serves every limit of an account with the same window. It asks for the window that runs and, while
//! usage of the one before may still arrive, for that one too: Twilio's records lag behind, and what was spent at
//! 23:59 is told after midnight.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{Limit, Measure, Observation, Window};
use ringfence_model::{Amount, Sid};
use ringfence_twilio::client::{UsageFilter, UsageSpan};
use ringfence_twilio::wire::{Price, UsageRecord};

/// So long after the end of a window usage of it is still looked for. Twilio states no bound; its delays of hours are
/// on record, and a day costs one record more in an answer.
const LATE_AT_MOST: SignedDuration = SignedDuration::from_hours(24);

/// One request for usage records of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The window of the limits that it serves; one of Twilio's.
    pub window: Window,
    /// The category, where all limits want the same.
    pub category: Option<String>,
}

/// What must be read of an account to hold these limits: one request for each window.
pub fn readings<'l>(limits: impl IntoIterator<Item = &'l Limit>) -> Vec<Reading> {
    let mut wanted: BTreeMap<String, (Window, BTreeSet<&str>)> = BTreeMap::new();
    for limit in limits.into_iter().filter(|limit| limit.window.is_twilios()) {
        let of_window =
            wanted.entry(format!("{:?}", limit.window)).or_insert((limit.window, BTreeSet::new()));
        of_window.1.insert(&limit.category);
    }
    wanted
        .into_values()
        .map(|(window, categories)| {
            let only = (categories.len() == 1).then(|| categories.first().map(|it| (*it).to_owned()));
            Reading { window, category: only.flatten() }
        })
        .collect()
}

impl Reading {
    /// As Twilio is asked at `now`. A parent's own records have what its subaccounts used too, unless it is left out.
    pub fn request(&self, now: Timestamp, include_subaccounts: bool) -> (UsageSpan, UsageFilter) {
        let today = day_of(now);
        // The window of a day ago is this one, or the one before.
        let first = day_of(self.window.period(now.saturating_sub(LATE_AT_MOST).unwrap_or(now)).start);
        let (span, start) = match self.window {
            Window::Daily => (UsageSpan::Daily, Some(first)),
            Window::Monthly => (UsageSpan::Monthly, Some(first)),
            Window::Yearly => (UsageSpan::Yearly, Some(first)),
            _ => (UsageSpan::AllTime, None),
        };
        let filter = UsageFilter {
            category: self.category.clone(),
            start,
            end: start.map(|_| today),
            include_subaccounts: Some(include_subaccounts),
        };
        (span, filter)
    }
}

/// What an account used in one window, as a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// A moment of the window.
    pub at: Timestamp,
    /// How much.
    pub amount: Amount,
    /// For prices, in capital letters.
    pub currency: Option<String>,
}

impl Used {
    /// What a breaker observes.
    pub const fn observation(&self) -> Observation {
        Observation::Usage { at: self.at, amount: self.amount }
    }
}

/// A record that says nothing that could be counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the usage record of {category} has no readable {what}")]
pub struct Unreadable {
    /// Its category.
    pub category: String,
    /// `price`, `usage`, `count` or `start_date`.
    pub what: &'static str,
}

/// What an account used of which no record tells: nothing, since the beginning.
pub fn nothing_ever() -> Used {
    Used { at: Timestamp::UNIX_EPOCH, amount: Amount::ZERO, currency: None }
}

/// What a record says of a limit; none where it is about another category.
///
/// A field that is null counts as nothing used: Twilio leaves out what did not occur.
pub fn used(limit: &Limit, record: &UsageRecord) -> Result<Option<Used>, Unreadable> {
    if record.category != limit.category {
        return Ok(None);
    }
    let unreadable = |what| Unreadable { category: record.category.clone(), what };
    let number = |text: &Option<String>, what| match text.as_deref().filter(|text| !text.is_empty()) {
        None => Ok(Amount::ZERO),
        Some(text) => text.parse().map_err(|_| unreadable(what)),
    };
    let (amount, currency) = match limit.measure {
        Measure::Price => {
            let Price { micros } = record.price.unwrap_or_default();
            (Amount::from_micros(micros), record.price_unit.as_ref().map(|unit| unit.to_uppercase()))
        }
        Measure::Usage => (number(&record.usage, "usage")?, None),
        Measure::Count => (number(&record.count, "count")?, None),
        // Twilio counts no such thing.
        Measure::Delivery | Measure::Conversion => return Ok(None),
    };
    let at = match limit.window {
        Window::Alltime => Timestamp::UNIX_EPOCH,
        _ => record
            .start_date
            .as_deref()
            .and_then(|text| text.parse::<Date>().ok())
            .and_then(|day| TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok())
            .ok_or_else(|| unreadable("start_date"))?,
    };
    Ok(Some(Used { at, amount, currency }))
}

/// What several accounts used together. The last that was heard of each account counts, so that one which cannot be
/// read for a while is not taken for one that spends nothing.
#[derive(Debug, Clone, Default)]
pub struct Sum {
    of_window: BTreeMap<Timestamp, BTreeMap<Sid, Amount>>,
    currency: Option<String>,
}

/// Accounts that pay in different currencies have no sum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "some of its accounts pay in {one} and others in {other}, so they have no sum: give each currency a limit of its own"
)]
pub struct MixedCurrencies {
    /// One of them.
    pub one: String,
    /// Another.
    pub other: String,
}

impl Sum {
    /// Adds what one account used, and says what all used in that window.
    pub fn add(&mut self, window: Window, account: Sid, used: &Used) -> Result<Used, MixedCurrencies> {
        match (&self.currency, &used.currency) {
            (Some(one), Some(other)) if one != other => {
                return Err(MixedCurrencies { one: one.clone(), other: other.clone() });
            }
            (None, Some(_)) => self.currency.clone_from(&used.currency),
            _ => {}
        }
        let start = window.period(used.at).start;
        let of_window = self.of_window.entry(start).or_default();
        let known = of_window.entry(account).or_insert(Amount::ZERO);
        *known = (*known).max(used.amount);
        let amount = of_window.values().fold(Amount::ZERO, |sum, amount| sum.saturating_add(*amount));
        // Two windows are ever looked at: the one that runs, and the one before.
        while self.of_window.len() > 2 {
            self.of_window.pop_first();
        }
        Ok(Used { at: used.at, amount, currency: self.currency.clone() })
    }

    /// Whether each of these was heard of in the window of `at`.
    pub fn has(&self, window: Window, at: Timestamp, mut accounts: impl Iterator<Item = Sid>) -> bool {
        let of_window = self.of_window.get(&window.period(at).start);
        accounts.all(|account| of_window.is_some_and(|heard| heard.contains_key(&account)))
    }
}

fn day_of(at: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(at).date()
}

#[cfg(test)]
mod tests;

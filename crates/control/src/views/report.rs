//! What limits did, and what those that only watch would have done: is it safe to let them act?
//!
//! It is read off the audit log, which has every trip and warning, off the breakers as they stand, and off what the egress
//! counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;
use ringfence_breaker::{Over, Phase, State, Subject, Window};
use ringfence_model::Amount;
use ringfence_store::AuditRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::breakers::percent_of;
use super::limits::window;
use super::tallied::{Tallied, begin};
use super::{Known, NamedAccount, NotSeen, ReportedEgress, ShareView, Views, prefix_of, schema};
use crate::wanted::AppliedLimit;

/// Rows of the log that are read at once.
const AT_ONCE: usize = 1000;

/// So many trips and warnings of a limit are told one by one: those that went furthest.
const SHOWN: usize = 100;

/// What limits did or would have done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The moment of it.
    #[schemars(schema_with = "schema::time")]
    pub at: Timestamp,
    /// One limit after the other, in the order of the configuration.
    pub limits: Vec<ReportedLimit>,
}

/// What one limit did or would have done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedLimit {
    /// Its name.
    pub limit: String,
    /// Whether it acts, or only watches.
    pub enforce: bool,
    /// Since when it is reported: since it holds, or since the report was told to begin.
    #[schemars(schema_with = "schema::time")]
    pub since: Timestamp,
    /// What it comes to.
    pub verdict: Verdict,
    /// The same in words.
    pub summary: String,
    /// For how many accounts it was reached.
    pub accounts: usize,
    /// Each time that it was reached, the furthest above first.
    pub trips: Vec<ReportedTrip>,
    /// How many more of those there are.
    pub trips_left_out: usize,
    /// Each time that it was nearly reached and was not, the nearest first.
    pub warnings: Vec<ReportedWarning>,
    /// How many more of those there are.
    pub warnings_left_out: usize,
    /// What came of the requests of the egress; null where none came.
    pub egress: Option<ReportedEgress>,
}

/// What a report comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It only watches, for a whole window at least, and would have stopped nothing.
    SafeToEnforce,
    /// It only watches, and would have stopped somebody.
    WouldHaveStopped,
    /// It only watches, and has seen too little to say.
    TooEarly,
    /// It acts, and has stopped somebody.
    Stopped,
    /// It acts, and has stopped nobody.
    StoppedNothing,
}

/// A window in which the limit was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedTrip {
    /// The account; null where the limit holds for all accounts together, or for a beginning of numbers.
    pub account: Option<NamedAccount>,
    /// The beginning of phone numbers that it holds for by itself; null where it does not count by it.
    pub prefix: Option<String>,
    /// When it was seen first.
    #[schemars(schema_with = "schema::time")]
    pub at: Timestamp,
    /// The window that it was reached in.
    #[schemars(schema_with = "schema::time")]
    pub window_start: Timestamp,
    /// Whether the limit acted.
    pub enforced: bool,
    /// The most that was seen to be used in that window.
    #[schemars(schema_with = "schema::decimal")]
    pub used: String,
    /// How much of it is above the amount of the limit, as it is now.
    #[schemars(schema_with = "schema::decimal")]
    pub above: String,
    /// What was used, in per cent of the limit.
    pub percent: Option<u64>,
    /// What share of what was sent was good; null of a limit of an amount.
    pub share: Option<ShareView>,
    /// The currency of the amounts; null where they are not money, or where it is not known yet.
    pub currency: Option<String>,
}

/// A window in which the limit was nearly reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedWarning {
    /// The account; null where the limit holds for all accounts together, or for a beginning of numbers.
    pub account: Option<NamedAccount>,
    /// The beginning of phone numbers that it holds for by itself; null where it does not count by it.
    pub prefix: Option<String>,
    /// When it was seen.
    #[schemars(schema_with = "schema::time")]
    pub at: Timestamp,
    /// The window that it was seen in.
    #[schemars(schema_with = "schema::time")]
    pub window_start: Timestamp,
    /// The highest warning level that was reached, in per cent of the limit.
    pub level: u8,
    /// What was used when it was reached.
    #[schemars(schema_with = "schema::decimal")]
    pub used: String,
    /// The currency of the amount; null where it is not money, or where it is not known yet.
    pub currency: Option<String>,
}

/// What was found in one window of one subject.
struct Run {
    at: Timestamp,
    used: Amount,
    enforced: bool,
    /// As it was at the time, of a limit that counts from there on.
    baseline: Option<Amount>,
    /// What was over the limit.
    over: Over,
}

/// Of one limit, by subject and the start of the window.
#[derive(Default)]
struct Found {
    trips: BTreeMap<(Subject, Timestamp), Run>,
    warnings: BTreeMap<(Subject, Timestamp), (Timestamp, u8, Amount)>,
}

impl Views<'_> {
    /// What limits would have done that only watch, since `since` (since they hold, if none is given): of the limit of this
    /// name, or of all that only watch; with `all`, of those that act too.
    pub async fn report(
        &self,
        limit: Option<&str>,
        all: bool,
        since: Option<Timestamp>,
    ) -> Result<Report, NotSeen> {
        let wanted: Vec<&AppliedLimit> = match limit {
            Some(name) => vec![self.limit(name)?],
            None => self.limits.iter().filter(|applied| all || !applied.limit.enforce).collect(),
        };
        let known = Known::read(self.store).await?;
        let mut found: BTreeMap<&str, Found> = BTreeMap::new();
        for applied in &wanted {
            found.insert(&applied.limit.name, Found::default());
        }
        let changed = self.changed().await?;
        let mut after = 0;
        loop {
            let rows = self.store.audit_of_breakers(after, AT_ONCE).await?;
            for row in &rows {
                let Some((name, subject)) = breaker_of(&row.target) else { continue };
                let (Some(found), Ok(applied)) = (found.get_mut(name), self.limit(name)) else { continue };
                if row.at >= begin(applied, &changed, since) {
                    found.take(subject, row);
                }
            }
            match rows.last() {
                Some(last) if rows.len() == AT_ONCE => after = last.id,
                _ => break,
            }
        }
        let mut limits = Vec::new();
        for applied in wanted {
            let found = found.remove(applied.limit.name.as_str()).unwrap_or_default();
            let since = begin(applied, &changed, since);
            let tallied = self.tallied(&known.currencies, applied, None, since).await?;
            limits.push(self.reported(&known, applied, found, tallied, since));
        }
        Ok(Report { at: self.now, limits })
    }

    fn reported(
        &self,
        known: &Known,
        applied: &AppliedLimit,
        found: Found,
        tallied: Option<Tallied>,
        since: Timestamp,
    ) -> ReportedLimit {
        let limit = &applied.limit;
        let accounts: BTreeSet<Subject> = found.trips.keys().map(|(subject, _)| *subject).collect();
        let warned = found.warnings.into_iter().filter(|(key, _)| !found.trips.contains_key(key));
        let mut warnings: Vec<_> = warned
            .map(|((subject, window_start), (at, level, used))| ReportedWarning {
                account: known.named(subject),
                prefix: prefix_of(subject),
                at,
                window_start,
                level,
                used: used.to_string(),
                currency: known.currency(applied, subject),
            })
            .collect();
        warnings.sort_by_key(|it| (std::cmp::Reverse(it.level), it.at));
        let mut trips: Vec<_> = found
            .trips
            .into_iter()
            .map(|((subject, window_start), run)| {
                let threshold = limit.threshold(run.baseline).unwrap_or(Amount::ZERO);
                let above = run.used.micros().saturating_sub(threshold.micros()).max(0);
                let trip = ReportedTrip {
                    account: known.named(subject),
                    prefix: prefix_of(subject),
                    at: run.at,
                    window_start,
                    enforced: run.enforced,
                    used: run.used.to_string(),
                    above: Amount::from_micros(above).to_string(),
                    percent: percent_of(run.used, threshold),
                    share: ShareView::of(limit.measure, limit.amount(), run.over),
                    currency: known.currency(applied, subject),
                };
                (above, trip)
            })
            .collect();
        trips.sort_by_key(|(above, trip)| (std::cmp::Reverse(*above), trip.at));
        let trips: Vec<_> = trips.into_iter().map(|(_, trip)| trip).collect();
        let is_seen = known.breakers.keys().any(|(name, _)| *name == limit.name);
        let judged = tallied.as_ref().map(|tallied| self.judged(applied, tallied, since));
        let egress = tallied.map(|tallied| tallied.egress);
        let refused =
            egress.as_ref().map_or(0, |it| if limit.enforce { it.refused } else { it.would_refuse });
        let verdict = match (limit.enforce, trips.is_empty() && refused == 0, &judged) {
            (true, false, _) => Verdict::Stopped,
            (true, true, _) => Verdict::StoppedNothing,
            (false, false, _) => Verdict::WouldHaveStopped,
            (false, true, Some((verdict, _))) => *verdict,
            (false, true, None) if is_seen && self.has_seen_a_window(applied, since) => {
                Verdict::SafeToEnforce
            }
            (false, true, None) => Verdict::TooEarly,
        };
        let summary = match (verdict, judged) {
            (Verdict::SafeToEnforce | Verdict::TooEarly, Some((_, summary))) => summary,
            _ => in_words(verdict, applied, &trips, accounts.len(), egress.as_ref(), is_seen, since),
        };
        let (trips_left_out, warnings_left_out) =
            (trips.len().saturating_sub(SHOWN), warnings.len().saturating_sub(SHOWN));
        ReportedLimit {
            limit: limit.name.clone(),
            enforce: limit.enforce,
            since,
            verdict,
            summary,
            accounts: accounts.len(),
            trips: trips.into_iter().take(SHOWN).collect(),
            trips_left_out,
            warnings: warnings.into_iter().take(SHOWN).collect(),
            warnings_left_out,
            egress,
        }
    }
}

impl Found {
    fn take(&mut self, subject: Subject, row: &AuditRow) {
        let Some(after) = row.detail.get("after") else { return };
        let Ok(state) = serde_json::from_value::<State>(after.clone()) else { return };
        match &state.phase {
            Phase::Tripped { by, enforced } => {
                // What an operator stopped says nothing about the limit.
                let Some(over) = by.over else { return };
                let run = self.trips.entry((subject, over.window)).or_insert(Run {
                    at: row.at,
                    used: over.used(),
                    enforced: *enforced,
                    baseline: state.baseline,
                    over,
                });
                run.used = run.used.max(over.used());
                run.enforced |= *enforced;
            }
            Phase::Passing | Phase::Probing { .. } if row.action == "breaker.warn" => {
                let warning = (row.at, state.warned, state.seen);
                let kept = self.warnings.entry((subject, state.window)).or_insert(warning);
                if state.warned > kept.1 {
                    *kept = warning;
                }
            }
            Phase::Passing | Phase::Probing { .. } => {}
        }
    }
}

/// The breaker that an audit row is about. A limit's name may hold anything; a subject holds no space.
pub(super) fn breaker_of(target: &str) -> Option<(&str, Subject)> {
    let (limit, subject) = target.strip_prefix("breaker ")?.rsplit_once(" of ")?;
    Some((limit, subject.parse().ok()?))
}

fn in_words(
    verdict: Verdict,
    applied: &AppliedLimit,
    trips: &[ReportedTrip],
    accounts: usize,
    egress: Option<&ReportedEgress>,
    is_seen: bool,
    since: Timestamp,
) -> String {
    let since = day(since);
    let advice = "; raise the limit, or enforce it if these should have been stopped";
    let refused = egress.and_then(|egress| match verdict {
        Verdict::WouldHaveStopped if egress.would_refuse > 0 => Some(egress.would_have_refused()),
        Verdict::Stopped if egress.refused > 0 => Some(egress.has_refused()),
        _ => None,
    });
    if let (Some(refused), true) = (&refused, trips.is_empty()) {
        let advice = if verdict == Verdict::WouldHaveStopped { advice } else { "" };
        return format!("{refused}, since {since}{advice}");
    }
    let mut text = match verdict {
        Verdict::SafeToEnforce => {
            return format!("safe to enforce: nothing would have been stopped since {since}");
        }
        Verdict::StoppedNothing => return format!("it has stopped nothing since {since}"),
        Verdict::TooEarly if !is_seen => {
            return format!("too early to say: nothing was seen since {since}; leave it watching");
        }
        Verdict::TooEarly => {
            return format!(
                "too early to say: nothing would have been stopped since {since}, but no whole window ({}) has passed; leave it watching",
                window(applied.limit.window)
            );
        }
        Verdict::WouldHaveStopped => "it would have tripped".to_owned(),
        Verdict::Stopped => "it has tripped".to_owned(),
    };
    let who = match (trips.first().map(|trip| (&trip.account, &trip.prefix)), accounts) {
        (Some((_, Some(prefix))), 1) => format!("numbers that begin with {prefix}"),
        (Some((_, Some(_))), many) => format!("{many} beginnings of numbers"),
        (Some((None, None)), _) => "the sum of all accounts".to_owned(),
        (_, 1) => "1 account".to_owned(),
        (_, many) => format!("{many} accounts"),
    };
    let times = if trips.len() == 1 { "once".to_owned() } else { format!("{} times", trips.len()) };
    // Writing to a text cannot fail.
    _ = write!(text, " {times} for {who} since {since}");
    if let Some((worst, share)) = trips.first().and_then(|worst| Some((worst, worst.share.as_ref()?))) {
        let prefix = worst.prefix.as_deref().unwrap_or_default();
        _ = write!(text, "; the first of them {prefix}, on {}: {}", day(worst.window_start), share.words);
    } else if let Some(worst) = trips.first() {
        let of = match &worst.account {
            None if worst.prefix.is_some() => {
                format!("{} with ", worst.prefix.as_deref().unwrap_or_default())
            }
            Some(account) if account.friendly_name.is_empty() => format!("{} with ", account.sid),
            Some(account) => format!("{} ({}) with ", account.sid, account.friendly_name),
            None => String::new(),
        };
        // What never begins anew has no day on which it began.
        let within = match applied.limit.window {
            Window::Alltime => String::new(),
            _ => format!(" in the window of {}", day(worst.window_start)),
        };
        _ = write!(
            text,
            "; furthest above: {of}{}{within}, at a limit of {}",
            money(&worst.used, worst.currency.as_deref()),
            money(&applied.limit.amount().to_string(), worst.currency.as_deref())
        );
    }
    if let Some(refused) = refused {
        _ = write!(text, "; {refused}");
    }
    if verdict == Verdict::WouldHaveStopped {
        text.push_str(advice);
    }
    text
}

/// An amount with its currency, and then with two places at least.
fn money(amount: &str, currency: Option<&str>) -> String {
    let Some(currency) = currency else { return amount.to_owned() };
    let places = amount.split_once('.').map_or(0, |(_, places)| places.len());
    let padding = match places {
        0 => ".00",
        1 => "0",
        _ => "",
    };
    format!("{amount}{padding} {currency}")
}

/// The date of a time in GMT, for people.
pub(super) fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

//! Incidents: each time that something fired, as one row, from when it began until it was over.
//!
//! They are read off the audit log, which has every trip, warning and act of an operator, off the breakers as they stand, and
//! off what the egress counted of refused requests. What a limit refused while it had tripped belongs to that trip; what it
//! refused on a day on which it did not trip is an incident of its own.

mod found;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{Action, Over, Phase, State, Subject};
use ringfence_model::{Amount, Sid};
use ringfence_store::{AuditRow, RefusedOnDay, Wanted, WishedBy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::found::{Found, begun_by_wish, day_of, ends, id_of_refusals, reason_of, with_warnings};
use super::breakers::holds_for;
use super::report::breaker_of;
use super::{
    ActorView, AuditRowView, Known, NamedAccount, NotSeen, Page, ShareView, Views, prefix_of, schema,
};
use crate::decide::kind;

/// So far back it is looked where nothing else is said.
const LOOKED_BACK: SignedDuration = SignedDuration::from_hours(30 * 24);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// So many rows of the log are read at most: the newest.
const ROWS_MAX: usize = 20_000;

/// So many rows are told of one incident.
const TIMELINE_MAX: usize = 200;

/// A page of incidents, those that began last first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Incidents {
    /// The moment of it.
    #[schemars(schema_with = "schema::time")]
    pub at: Timestamp,
    /// Since when incidents are told; what began before and is not over is told too.
    #[schemars(schema_with = "schema::time")]
    pub since: Timestamp,
    /// Those of the page.
    pub incidents: Vec<IncidentView>,
    /// Whether so much happened that the oldest were not looked at.
    pub left_out: bool,
    /// The cursor of the next page, which is older, if there is one.
    pub next: Option<String>,
}

/// One time that something fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Incident")]
pub struct IncidentView {
    /// What it is known by: the audit row that began it, or the day of refusals.
    pub id: String,
    /// What happened.
    pub kind: IncidentKind,
    /// The account; null where the limit holds for all of them together, or for a prefix.
    pub account: Option<NamedAccount>,
    /// The beginning of phone numbers that the limit holds for by itself; null where it does not count by prefix.
    pub prefix: Option<String>,
    /// The limit; null where there is none behind it.
    pub limit: Option<String>,
    /// When it began; of refusals the day.
    #[schemars(schema_with = "schema::time")]
    pub began_at: Timestamp,
    /// When it was over; null where it is not, and of a warning.
    #[schemars(schema_with = "schema::maybe_time")]
    pub ended_at: Option<Timestamp>,
    /// Whether it goes on.
    pub open: bool,
    /// What fired.
    pub fired: Fired,
    /// Who wrote it; null of refusals, which nobody does.
    pub by: Option<ActorView>,
    /// The reason that an operator gave.
    pub reason: Option<String>,
    /// When it was warned of before, in the same window.
    #[schemars(schema_with = "schema::maybe_time")]
    pub warned_at: Option<Timestamp>,
    /// The highest warning level that was reached, in per cent; null where none was.
    pub level: Option<u8>,
    /// What was used or spent at that moment.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub used: Option<String>,
    /// What was set aside at that moment; null where nothing is set aside.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub reserved: Option<String>,
    /// What the request could cost that did not fit; null where it was none.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub wanted: Option<String>,
    /// The amount of the limit at that moment.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub trips_at: Option<String>,
    /// What share of what was sent was good; null of a limit of an amount, which has the amounts above instead.
    pub share: Option<ShareView>,
    /// The currency of the amounts; null where they are not money, or where it is not known yet.
    pub currency: Option<String>,
    /// What was ordered; the audit log says how it went.
    #[schemars(schema_with = "schema::actions")]
    pub ordered: Vec<Action>,
    /// Who ended it.
    pub ended_by: Option<ActorView>,
    /// The reason that they gave.
    pub ended_reason: Option<String>,
    /// How much more a reset allowed in that window.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub allowed_more: Option<String>,
    /// Requests of the egress that were refused on its days.
    pub refused: u64,
    /// Their worst amounts.
    #[schemars(schema_with = "schema::decimal")]
    pub refused_worth: String,
    /// Requests that would have been, had the limit not only watched.
    pub would_refuse: u64,
    /// Their worst amounts.
    #[schemars(schema_with = "schema::decimal")]
    pub would_refuse_worth: String,
    /// The same by operation.
    pub operations: Vec<RefusedOperation>,
    /// The row of the audit log that began it.
    pub audit_from: Option<i64>,
    /// The row that ended it.
    pub audit_to: Option<i64>,
}

/// What was refused of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedOperation {
    /// The operation: `messages.create`.
    pub operation: String,
    /// Requests that were refused, or would have been.
    pub requests: u64,
    /// Their worst amounts.
    #[schemars(schema_with = "schema::decimal")]
    pub worth: String,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentKind {
    /// A limit was reached, and acts.
    Tripped,
    /// A limit was reached that only watches.
    WouldHaveTripped,
    /// A limit was nearly reached.
    Warned,
    /// An operator stopped spending under a limit.
    StoppedByHand,
    /// An operator suspended the account.
    SuspendedByHand,
    /// Requests were refused by a limit that did not trip.
    Refused,
    /// The same by one that only watches.
    WouldHaveRefused,
}

/// What fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fired {
    /// A usage trigger of Twilio's.
    Trigger,
    /// Twilio's usage records.
    UsageRecords,
    /// What the egress had settled.
    Ledger,
    /// A request that did not fit.
    Request,
    /// What came of what was sent.
    Share,
    /// An operator.
    Operator,
}

/// Which incidents are wanted; all of the last thirty days if it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IncidentFilter {
    /// Of this account.
    pub account: Option<Sid>,
    /// Whether those of all accounts together are left out, where an account is given.
    pub alone: bool,
    /// Of this limit.
    pub limit: Option<String>,
    /// Of this kind.
    pub kind: Option<IncidentKind>,
    /// Whether only those that go on are wanted.
    pub open: bool,
    /// That began at this time or later, or were not over by then.
    pub since: Option<Timestamp>,
    /// That began before this time.
    pub until: Option<Timestamp>,
}

impl IncidentKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Tripped,
        Self::WouldHaveTripped,
        Self::Warned,
        Self::StoppedByHand,
        Self::SuspendedByHand,
        Self::Refused,
        Self::WouldHaveRefused,
    ];

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tripped => "tripped",
            Self::WouldHaveTripped => "would-have-tripped",
            Self::Warned => "warned",
            Self::StoppedByHand => "stopped-by-hand",
            Self::SuspendedByHand => "suspended-by-hand",
            Self::Refused => "refused",
            Self::WouldHaveRefused => "would-have-refused",
        }
    }

    /// As it is read.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Tripped => "limit reached",
            Self::WouldHaveTripped => "limit reached, only watched",
            Self::Warned => "nearly reached",
            Self::StoppedByHand => "stopped by hand",
            Self::SuspendedByHand => "suspended by hand",
            Self::Refused => "requests refused",
            Self::WouldHaveRefused => "would have refused",
        }
    }

    const fn is_trip(self) -> bool {
        matches!(self, Self::Tripped | Self::WouldHaveTripped | Self::StoppedByHand)
    }
}

impl Fired {
    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Trigger => "a usage trigger of Twilio's",
            Self::UsageRecords => "Twilio's usage records",
            Self::Ledger => "what the egress had settled",
            Self::Request => "a request that did not fit",
            Self::Share => "what came of what was sent",
            Self::Operator => "an operator",
        }
    }
}

impl Views<'_> {
    /// A page of the incidents that the filter lets through.
    pub async fn incidents(&self, filter: &IncidentFilter, page: &Page) -> Result<Incidents, NotSeen> {
        let known = Known::read(self.store).await?;
        if let Some(sid) = filter.account {
            known.account(sid).ok_or(NotSeen::NoAccount(sid))?;
        }
        let since =
            filter.since.unwrap_or_else(|| self.now.saturating_sub(LOOKED_BACK).unwrap_or(Timestamp::MIN));
        let until = filter.until.unwrap_or(Timestamp::MAX);
        let (found, left_out) = self.found(&known, since, until).await?;
        let mut wanted: Vec<IncidentView> =
            found.into_iter().filter(|it| self.is_wanted(&known, filter, it)).map(|it| it.view).collect();
        wanted.sort_by_key(|it| place(it.began_at, &it.id));
        let (incidents, next) = page.of(
            wanted,
            |it| place(it.began_at, &it.id),
            |cursor| {
                let (at, id) = cursor.split_once('/')?;
                Some(place(Timestamp::from_microsecond(at.parse().ok()?).ok()?, id))
            },
            |it| format!("{}/{}", it.began_at.as_microsecond(), it.id),
        )?;
        Ok(Incidents { at: self.now, since, incidents, left_out, next })
    }

    /// One incident; none where there is none of this id.
    pub async fn incident(&self, id: &str) -> Result<Option<IncidentView>, NotSeen> {
        let known = Known::read(self.store).await?;
        let since = match (id.parse::<i64>(), day_of(id)) {
            (Ok(row), _) => self.store.find_audit_row(row).await?.map(|row| self.looked_from(&known, &row)),
            (Err(_), day) => day,
        };
        let Some(since) = since else { return Ok(None) };
        let (found, _) = self.found(&known, since, Timestamp::MAX).await?;
        // From its window on, warnings that were apart are one, and one that was alone may belong to a trip.
        let is_it = |it: &Found| it.view.id == id || it.merged.iter().any(|merged| merged == id);
        Ok(found.into_iter().find(is_it).map(|it| it.view))
    }

    /// From where on it is looked for what belongs to a row: its window has the warnings.
    fn looked_from(&self, known: &Known, row: &AuditRow) -> Timestamp {
        let window = self.begun(known, row).and_then(|it| it.window).unwrap_or(row.at);
        window.max(row.at.saturating_sub(LOOKED_BACK).unwrap_or(Timestamp::MIN)).min(row.at)
    }

    /// What the audit log has of an incident: its breaker, the accounts that it met, and what was ordered for them.
    pub async fn timeline(&self, incident: &IncidentView) -> Result<Vec<AuditRowView>, NotSeen> {
        let Some(from) = incident.audit_from else { return Ok(Vec::new()) };
        let Some(first) = self.store.find_audit_row(from).await? else { return Ok(Vec::new()) };
        let mut targets = vec![first.target.clone()];
        let met: Vec<Sid> = match (&incident.account, first.detail.get("accounts")) {
            (Some(account), _) => vec![account.sid],
            (None, Some(accounts)) => serde_json::from_value(accounts.clone()).unwrap_or_default(),
            (None, None) => Vec::new(),
        };
        let version = first.detail.get("version").and_then(serde_json::Value::as_i64);
        for sid in met.iter().take(TIMELINE_MAX) {
            targets.push(format!("account {sid}"));
            if let (Some(limit), Some(version)) = (&incident.limit, version) {
                let order = |kind: &str| format!("effect {kind}/{sid}/{limit}/{version}");
                targets.extend(kind::AT_TWILIO.iter().map(|kind| order(kind)));
            }
        }
        let to = incident.audit_to.unwrap_or(if incident.open { i64::MAX } else { from });
        let rows = self.store.audit_of_targets(&targets, from, to, TIMELINE_MAX).await?;
        Ok(rows.into_iter().map(AuditRowView::of).collect())
    }

    fn is_wanted(&self, known: &Known, filter: &IncidentFilter, found: &Found) -> bool {
        let it = &found.view;
        let is_of = |sid: Sid| match &it.account {
            Some(account) => account.sid == sid,
            None if filter.alone => false,
            None => it
                .limit
                .as_deref()
                .and_then(|limit| self.limit(limit).ok())
                .is_some_and(|applied| holds_for(known, applied, Subject::Together, sid)),
        };
        filter.account.is_none_or(is_of)
            && filter.limit.as_ref().is_none_or(|limit| it.limit.as_ref() == Some(limit))
            && filter.kind.is_none_or(|kind| it.kind == kind)
            && (!filter.open || it.open)
            && filter.until.is_none_or(|until| it.began_at < until)
    }

    /// All that began before `until`, and from `since` on or was not over by then; and whether there was more than is looked at.
    async fn found(
        &self,
        known: &Known,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<(Vec<Found>, bool), NotSeen> {
        let rows = self.store.audit_of_incidents(since, until, ROWS_MAX).await?;
        let refused = self.store.refused_between(since, until, ROWS_MAX).await?;
        let left_out = rows.len() == ROWS_MAX || refused.len() == ROWS_MAX;
        let mut found: Vec<Found> = Vec::new();
        // What goes on, by target.
        let mut open: HashMap<String, usize> = HashMap::new();
        for row in &rows {
            let begun = self.begun(known, row);
            let is_warning = begun.as_ref().is_some_and(|it| it.view.kind == IncidentKind::Warned);
            if (begun.is_some() && !is_warning) || ends(row) {
                let place = match open.remove(&row.target) {
                    Some(place) => Some(place),
                    // It began before what is looked at.
                    None if begun.is_none() => {
                        self.began_before(known, &row.target, row.id).await?.map(|it| {
                            found.push(it);
                            found.len() - 1
                        })
                    }
                    None => None,
                };
                if let Some(place) = place {
                    found[place].end(row);
                }
            }
            if let Some(begun) = begun {
                if !is_warning {
                    open.insert(row.target.clone(), found.len());
                }
                found.push(begun);
            }
        }
        if until < Timestamp::MAX {
            self.end_after(&open, &mut found).await?;
        }
        let mut stopped = stopped_now(known);
        stopped.retain(|target| !open.contains_key(target));
        let stops = self.store.last_stops(&stopped).await?;
        found.extend(stops.iter().filter_map(|row| self.begun(known, row)));
        // What ended once may be ended again by a later row, which finds it anew: its first end holds.
        let mut seen = HashSet::new();
        found.retain(|it| seen.insert(it.view.id.clone()));
        let mut found = with_warnings(found);
        self.with_refusals(known, &mut found, refused);
        for it in &mut found {
            it.finish();
        }
        Ok((found, left_out))
    }

    /// Ends what goes on at the end of the rows that were looked at, where a later row ended it.
    async fn end_after(&self, open: &HashMap<String, usize>, found: &mut [Found]) -> Result<(), NotSeen> {
        for (target, place) in open {
            let Some(began) = found[*place].view.audit_from else { continue };
            let later = std::slice::from_ref(target);
            let later = self.store.audit_of_targets(later, began + 1, i64::MAX, TIMELINE_MAX).await?;
            if let Some(row) = later
                .iter()
                .find(|row| ends(row) || row.action == "breaker.trip" || row.action == "breaker.would-trip")
            {
                found[*place].end(row);
            }
        }
        Ok(())
    }

    async fn began_before(&self, known: &Known, target: &str, before: i64) -> Result<Option<Found>, NotSeen> {
        let actions = if target.starts_with("breaker ") {
            ["breaker.trip", "breaker.would-trip"]
        } else {
            ["account.want", "account.want"]
        };
        let row = self.store.last_audit_of(target, actions, before).await?;
        Ok(row.and_then(|row| self.begun(known, &row)))
    }

    /// What a row of the log begins, if it begins something.
    fn begun(&self, known: &Known, row: &AuditRow) -> Option<Found> {
        if row.action == "account.want" {
            return begun_by_wish(known, row);
        }
        let (limit, subject) = breaker_of(&row.target)?;
        let state: State = serde_json::from_value(row.detail.get("after")?.clone()).ok()?;
        let amount = |value: Option<&serde_json::Value>| -> Option<Amount> {
            serde_json::from_value(value?.clone()).ok()
        };
        let observed = row.detail.get("observed");
        let wanted = amount(observed.and_then(|it| it.get("wanted")));
        let (kind, window) = match (row.action.as_str(), &state.phase) {
            ("breaker.warn", _) => (IncidentKind::Warned, state.window),
            ("breaker.trip" | "breaker.would-trip", Phase::Tripped { by, .. }) => match by.over {
                None => (IncidentKind::StoppedByHand, state.window),
                Some(over) if row.action == "breaker.trip" => (IncidentKind::Tripped, over.window),
                Some(over) => (IncidentKind::WouldHaveTripped, over.window),
            },
            _ => return None,
        };
        let fired = match (row.actor.kind(), row.actor.name()) {
            _ if kind == IncidentKind::StoppedByHand => Fired::Operator,
            _ if wanted.is_some() => Fired::Request,
            _ if state.counts.measure.is_a_sign() => Fired::Share,
            ("twilio", _) => Fired::Trigger,
            ("job", "egress") => Fired::Ledger,
            _ => Fired::UsageRecords,
        };
        let over = if let Phase::Tripped { by, .. } = &state.phase { by.over } else { None };
        let used = amount(observed.and_then(|it| it.get("used"))).or(over.map(Over::used));
        let applied = self.limit(limit).ok();
        let share = over
            .and_then(|over| ShareView::of(state.counts.measure, amount(row.detail.get("trips_at"))?, over));
        let settled = state.settled.filter(|settled| settled.window == window);
        let trips_at = settled
            .map(|settled| settled.trips_at)
            .or_else(|| amount(row.detail.get("trips_at")))
            .or_else(|| applied.and_then(|applied| applied.limit.threshold(state.baseline)));
        let ordered = row.detail.get("ordered").cloned().unwrap_or_default();
        let mut found = Found::new(row.id.to_string(), kind, row.at, fired);
        found.view.account = known.named(subject);
        found.view.prefix = prefix_of(subject);
        found.view.limit = Some(limit.to_owned());
        found.view.open = kind != IncidentKind::Warned;
        found.view.by = Some(ActorView::of(&row.actor));
        found.view.reason = reason_of(row);
        found.view.level = (state.warned > 0).then_some(state.warned);
        found.view.used = share.is_none().then(|| used.unwrap_or(state.seen).to_string());
        found.view.reserved = amount(row.detail.get("reserved")).map(|it| it.to_string());
        found.view.wanted = wanted.map(|it| it.to_string());
        found.view.trips_at = trips_at.filter(|_| share.is_none()).map(|it| it.to_string());
        found.view.share = share;
        found.view.currency = applied.and_then(|applied| known.currency(applied, subject));
        found.view.ordered = serde_json::from_value(ordered).unwrap_or_default();
        found.view.audit_from = Some(row.id);
        found.subject = Some(subject);
        found.window = Some(window);
        row.target.clone_into(&mut found.target);
        Some(found)
    }

    /// Puts what was refused beside the trip that refused it, or by itself.
    fn with_refusals(&self, known: &Known, found: &mut Vec<Found>, refused: Vec<RefusedOnDay>) {
        let mut by_itself: BTreeMap<(Timestamp, String, Sid), Found> = BTreeMap::new();
        for it in refused {
            let end = it.day.saturating_add(DAY).unwrap_or(Timestamp::MAX);
            let covers = |trip: &Found| {
                let is_of = match trip.subject {
                    Some(Subject::Account(sid)) => sid == it.account,
                    Some(Subject::Together) => true,
                    Some(Subject::Prefix(_)) | None => false,
                };
                trip.view.kind.is_trip()
                    && trip.view.limit.as_ref() == Some(&it.limit)
                    && is_of
                    && trip.view.began_at < end
                    && trip.view.ended_at.is_none_or(|ended| ended > it.day)
            };
            let trip = found.iter_mut().filter(|trip| covers(trip)).max_by_key(|trip| trip.view.began_at);
            if let Some(trip) = trip {
                trip.refuse(&it);
                continue;
            }
            let key = (it.day, it.limit.clone(), it.account);
            let alone = by_itself.entry(key).or_insert_with(|| {
                let mut alone =
                    Found::new(id_of_refusals(&it), IncidentKind::WouldHaveRefused, it.day, Fired::Request);
                alone.view.account = Some(known.name(it.account));
                alone.view.limit = Some(it.limit.clone());
                alone.view.open = end > self.now;
                alone.view.ended_at = Some(end).filter(|end| *end <= self.now);
                let applied = self.limit(&it.limit).ok();
                let subject = Subject::Account(it.account);
                alone.view.trips_at =
                    applied.and_then(|applied| applied.limit.threshold(None)).map(|it| it.to_string());
                alone.view.currency = applied.and_then(|applied| known.currency(applied, subject));
                alone
            });
            if it.refused > 0 {
                alone.view.kind = IncidentKind::Refused;
            }
            alone.refuse(&it);
        }
        found.extend(by_itself.into_values());
    }
}

/// The targets that something holds at this moment.
fn stopped_now(known: &Known) -> Vec<String> {
    let breakers =
        known.breakers.iter().filter(|(_, kept)| matches!(kept.state.phase, Phase::Tripped { .. }));
    let breakers = breakers.map(|((limit, subject), _)| format!("breaker {limit} of {subject}"));
    let held = known.accounts.iter().filter(
        |account| matches!(&account.wanted, Wanted::Suspended(wish) if wish.by == WishedBy::Operator),
    );
    breakers.chain(held.map(|account| format!("account {}", account.sid))).collect()
}

/// Where an incident stands in the list: what began last first, and of that what was written last.
fn place(began_at: Timestamp, id: &str) -> (Reverse<Timestamp>, Reverse<Option<i64>>, String) {
    (Reverse(began_at), Reverse(id.parse().ok()), id.to_owned())
}

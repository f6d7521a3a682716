//! Incidents while they are put together.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ringfence_breaker::{Action, Phase, State, Subject};
use ringfence_model::{Amount, Sid};
use ringfence_store::{AuditRow, RefusedOnDay};

use super::super::{ActorView, Known};
use super::{Fired, IncidentKind, IncidentView, RefusedOperation};

/// An incident while it is put together.
pub(super) struct Found {
    pub(super) view: IncidentView,
    /// On whom; none where no breaker is behind it.
    pub(super) subject: Option<Subject>,
    /// The window that it is about.
    pub(super) window: Option<Timestamp>,
    pub(super) target: String,
    /// The ids of warnings that it has taken in.
    pub(super) merged: Vec<String>,
    refused: [Amount; 2],
    operations: BTreeMap<String, (u64, Amount)>,
}

impl Found {
    pub(super) fn new(id: String, kind: IncidentKind, began_at: Timestamp, fired: Fired) -> Self {
        let view = IncidentView {
            id,
            kind,
            account: None,
            prefix: None,
            limit: None,
            began_at,
            ended_at: None,
            open: false,
            fired,
            by: None,
            reason: None,
            warned_at: None,
            level: None,
            used: None,
            reserved: None,
            wanted: None,
            trips_at: None,
            share: None,
            currency: None,
            ordered: Vec::new(),
            ended_by: None,
            ended_reason: None,
            allowed_more: None,
            refused: 0,
            refused_worth: String::new(),
            would_refuse: 0,
            would_refuse_worth: String::new(),
            operations: Vec::new(),
            audit_from: None,
            audit_to: None,
        };
        let refused = [Amount::ZERO; 2];
        Self {
            view,
            subject: None,
            window: None,
            target: String::new(),
            merged: Vec::new(),
            refused,
            operations: BTreeMap::new(),
        }
    }

    pub(super) fn end(&mut self, row: &AuditRow) {
        self.view.open = false;
        self.view.ended_at = Some(row.at);
        self.view.ended_by = Some(ActorView::of(&row.actor));
        self.view.ended_reason = reason_of(row);
        self.view.audit_to = Some(row.id);
        self.view.allowed_more = match after(row).map(|state| state.phase) {
            Some(Phase::Probing { allowance, .. }) => Some(allowance.to_string()),
            _ => None,
        };
    }

    pub(super) fn refuse(&mut self, it: &RefusedOnDay) {
        self.view.refused += it.refused;
        self.view.would_refuse += it.would_refuse;
        self.refused[0] = self.refused[0].saturating_add(it.refused_worth);
        self.refused[1] = self.refused[1].saturating_add(it.would_refuse_worth);
        let (requests, worth) = self.operations.entry(it.operation.clone()).or_default();
        *requests += it.refused + it.would_refuse;
        *worth = worth.saturating_add(it.refused_worth).saturating_add(it.would_refuse_worth);
    }

    pub(super) fn finish(&mut self) {
        self.view.refused_worth = self.refused[0].to_string();
        self.view.would_refuse_worth = self.refused[1].to_string();
        let operations = std::mem::take(&mut self.operations).into_iter();
        self.view.operations = operations
            .map(|(operation, (requests, worth))| RefusedOperation {
                operation,
                requests,
                worth: worth.to_string(),
            })
            .collect();
    }
}

/// What an operator wanted of an account.
pub(super) fn begun_by_wish(known: &Known, row: &AuditRow) -> Option<Found> {
    let says = |name: &str| row.detail.get(name).and_then(serde_json::Value::as_str);
    if says("wanted") != Some("suspended") || says("for") != Some("operator") {
        return None;
    }
    let sid = Sid::parse(row.target.strip_prefix("account ")?).ok()?;
    let mut found = Found::new(row.id.to_string(), IncidentKind::SuspendedByHand, row.at, Fired::Operator);
    found.view.account = Some(known.name(sid));
    found.view.open = true;
    found.view.by = Some(ActorView::of(&row.actor));
    found.view.reason = reason_of(row);
    found.view.ordered = vec![Action::Suspend];
    found.view.audit_from = Some(row.id);
    row.target.clone_into(&mut found.target);
    Some(found)
}

/// Whether a row ends what went on for its target.
pub(super) fn ends(row: &AuditRow) -> bool {
    match row.action.as_str() {
        "account.want" | "breaker.remove" => true,
        "breaker.reset" | "breaker.lift" | "breaker.change" => {
            after(row).is_some_and(|state| !matches!(state.phase, Phase::Tripped { .. }))
        }
        _ => false,
    }
}

/// Warnings of one window are one; those of a window in which the limit was reached belong to that.
pub(super) fn with_warnings(found: Vec<Found>) -> Vec<Found> {
    let (warnings, mut rest): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|it| it.view.kind == IncidentKind::Warned);
    let mut first: BTreeMap<(String, Timestamp), Found> = BTreeMap::new();
    for warning in warnings {
        let key = (warning.target.clone(), warning.window.unwrap_or(warning.view.began_at));
        match first.get_mut(&key) {
            Some(before) => {
                before.view.level = before.view.level.max(warning.view.level);
                before.view.used = warning.view.used;
                before.merged.push(warning.view.id);
            }
            None => _ = first.insert(key, warning),
        }
    }
    for ((target, window), warning) in first {
        let is_of = |it: &&mut Found| {
            it.target == target && it.window == Some(window) && it.view.began_at >= warning.view.began_at
        };
        match rest.iter_mut().find(is_of) {
            Some(trip) => {
                trip.view.warned_at = Some(warning.view.began_at);
                trip.view.level = trip.view.level.max(warning.view.level);
                trip.merged.extend(warning.merged);
                trip.merged.push(warning.view.id);
            }
            None => rest.push(warning),
        }
    }
    rest
}

pub(super) fn after(row: &AuditRow) -> Option<State> {
    serde_json::from_value(row.detail.get("after")?.clone()).ok()
}

pub(super) fn reason_of(row: &AuditRow) -> Option<String> {
    row.detail.get("reason").and_then(serde_json::Value::as_str).map(str::to_owned)
}

/// The day that the id of refusals begins with.
pub(super) fn day_of(id: &str) -> Option<Timestamp> {
    Timestamp::from_second(id.split_once('-')?.0.parse().ok()?).ok()
}

/// What refusals of one day are known by.
pub(super) fn id_of_refusals(it: &RefusedOnDay) -> String {
    format!("{}-{}-{:08x}", it.day.as_second(), it.account, named(&it.limit))
}

/// A limit's name in an id: FNV-1a, since a name may hold anything and two limits seldom refuse one account on one day.
fn named(limit: &str) -> u32 {
    limit.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

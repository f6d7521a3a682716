//! What limits leave behind that are taken out of the configuration while they hold something.
//!
//! Taking a limit out ends its trips, and takes back nothing: a wrong file, or a new name, must not let go what was stopped, and
//! nobody is stopped any more by a limit that nobody can see. So what is left is told to people, and let go by them: the views
//! have it ([`crate::views::AccountView::left_suspended`]), and `ringfence account resume` ends it. A trip that has ended so is
//! dealt with like one that was reset: a limit that is put back does not find it again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ringfence_breaker::{Action, State};
use ringfence_model::{Actor, Sid};
use ringfence_store::{self as store, Breaker, BreakerChange, NewEffect, Store, Wanted};

use crate::decide::{told, without_trip};
use crate::engine::{GEO, named};
use crate::notices::{self, Event, Notice};
use crate::wanted::{AppliedLimit, Breakers, in_force, scoped};

/// Why a trip has ended, as the audit log and the incident say it.
const TAKEN_OUT: &str = "the limit was taken out of the configuration; what it had stopped stays stopped until somebody lets it go";

/// An account that stays as a limit has made it, which is taken out of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Which.
    pub account: notices::Account,
    /// The limits that hold it now and are taken out.
    pub limits: Vec<String>,
    /// What stays: [`Action::Suspend`], [`Action::CloseGeo`].
    pub actions: Vec<Action>,
}

/// What stays of the `applied` limits that are not among the `new` ones.
pub(super) async fn left(
    store: &Store,
    applied: &[store::AppliedLimit],
    new: &[AppliedLimit],
) -> store::Result<Vec<Left>> {
    let old = removed(applied, new);
    if old.is_empty() {
        return Ok(Vec::new());
    }
    let kept = store.breakers::<State>().await?.into_iter();
    let breakers: Breakers =
        kept.filter_map(|it| Some(((it.limit, it.subject.parse().ok()?), it.state))).collect();
    let geo: Vec<Sid> = store.taken_from(GEO).await?.into_iter().map(|(sid, _)| sid).collect();
    let mut left = Vec::new();
    for account in store.accounts().await? {
        if account.gone_at.is_some() || account.status == "closed" {
            continue;
        }
        let of = scoped(&account);
        let is_held = matches!(account.wanted, Wanted::Suspended(_));
        let mut found = Left { account: named(&account), limits: Vec::new(), actions: Vec::new() };
        for (action, is_so) in [
            (Action::Suspend, account.parent.is_some() && account.status == "suspended" && !is_held),
            (Action::CloseGeo, geo.binary_search(&account.sid).is_ok()),
        ] {
            if !is_so || in_force(&of, new, &breakers, action).next().is_some() {
                continue;
            }
            let mut is_left = false;
            for limit in in_force(&of, &old, &breakers, action) {
                is_left = true;
                if !found.limits.contains(&limit.name) {
                    found.limits.push(limit.name.clone());
                }
            }
            if is_left {
                found.actions.push(action);
            }
        }
        if !found.actions.is_empty() {
            left.push(found);
        }
    }
    Ok(left)
}

/// The breakers of limits that are taken out, without their trips.
pub(super) async fn ended(
    store: &Store,
    applied: &[store::AppliedLimit],
    new: &[AppliedLimit],
    now: Timestamp,
) -> store::Result<Vec<BreakerChange>> {
    let old = removed(applied, new);
    if old.is_empty() {
        return Ok(Vec::new());
    }
    let of_limit = |name: &str| old.iter().map(|applied| &applied.limit).find(|limit| limit.name == name);
    let kept = store.breakers::<State>().await?;
    let end = |breaker: &Breaker<State>| without_trip(of_limit(&breaker.limit)?, breaker, TAKEN_OUT, now);
    Ok(kept.iter().filter_map(end).collect())
}

/// What people are told of what is left: one notice for each limit.
pub(super) fn notices(left: &[Left], by: &Actor, now: Timestamp) -> Vec<NewEffect> {
    let mut of_limits: BTreeMap<&str, Vec<notices::Account>> = BTreeMap::new();
    for it in left {
        for limit in &it.limits {
            of_limits.entry(limit).or_default().push(it.account.clone());
        }
    }
    let notice = |(limit, accounts): (&str, Vec<notices::Account>)| {
        let event = Event::LimitGone { limit: limit.to_owned(), accounts, by: by.to_string() };
        told(&Notice { at: now, event })
    };
    of_limits.into_iter().map(notice).collect()
}

fn removed(applied: &[store::AppliedLimit], new: &[AppliedLimit]) -> Vec<AppliedLimit> {
    let is_gone = |it: &&store::AppliedLimit| !new.iter().any(|new| new.limit.name == it.name);
    // What another version wrote and this one cannot read is forgotten by the job that looks at windows.
    let read = |it: &store::AppliedLimit| {
        let limit = serde_json::from_value(it.definition.clone()).ok()?;
        Some(AppliedLimit { since: it.applied_at, limit })
    };
    applied.iter().filter(is_gone).filter_map(read).collect()
}

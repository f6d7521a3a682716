//! What is written because a breaker moved: its new state, what the audit log says, what must happen, whom to tell. Pure.
//!
//! All of it is one transaction ([`Store::step`](ringfence_store::Store::step)), so nothing is ever decided and not
//! ordered, or ordered and not on record. What is ordered names the account and the limit and no more: whoever performs it
//! asks what must be so at that moment ([`crate::wanted`]).

use jiff::Timestamp;
use ringfence_breaker::{Action, Effect, Limit, Observation, Phase, State, Subject, Window, step};
use ringfence_model::{Actor, Amount, Sid};
use ringfence_store::{Breaker, BreakerChange, NewAudit, NewEffect, NewReading, Step};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::notices::{Account, Allowance, Cause, Event, Notice, Operator, Usage, Who};

/// A limit with the accounts of its scope that one breaker watches: one account, or all together.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'a> {
    /// The rule.
    pub limit: &'a Limit,
    /// What the breaker watches.
    pub subject: Subject,
    /// The accounts that its actions meet.
    pub accounts: &'a [Account],
    /// The currency of prices, or the unit of the category, for people.
    pub unit: &'a str,
}

/// Who moves a breaker, and why.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// The reason that an operator gave.
    pub reason: Option<&'a str>,
}

/// What is ordered at Twilio for one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Which account.
    pub account: Account,
    /// The limit that ordered it.
    pub limit: String,
    /// What is to be in force, or taken back.
    pub action: Action,
    /// When the breaker moved.
    pub at: Timestamp,
    /// Whether it takes the action back. Only such an order makes an account active again, and only where nothing else
    /// holds it.
    #[serde(default)]
    pub lifts: bool,
}

/// The kinds of effects, as the store keeps them.
pub mod kind {
    /// The account's status is to be what it must be.
    pub const STATUS: &str = "status";
    /// Calls are to be ended.
    pub const END_CALLS: &str = "end-calls";
    /// Messages that wait are to be called back.
    pub const CANCEL_QUEUED: &str = "cancel-queued";
    /// Countries are to be closed, or opened again.
    pub const GEO: &str = "geo";
    /// API keys are to be revoked.
    pub const REVOKE_KEYS: &str = "revoke-keys";
    /// People are to be told: one delivery is ordered for each of them.
    pub const NOTICE: &str = "notice";
    /// One of them is to be told.
    pub const DELIVERY: &str = "delivery";
    /// One mail to a person about their own sign-in.
    pub const LETTER: &str = "letter";
    /// A code is to be sent to a user of an application.
    pub const CODE: &str = "code";
    /// One is to be sent to a person of the console: whatever strangers ask for at a public form, it waits behind none of that.
    pub const CONSOLE_CODE: &str = "console-code";
    /// One text message to a phone that was bound to a sign-in.
    pub const TEXT: &str = "text";

    /// What is done at Twilio, what matters most first.
    pub const AT_TWILIO: [&str; 5] = [STATUS, END_CALLS, CANCEL_QUEUED, GEO, REVOKE_KEYS];
}

/// What an observation makes of a breaker, as it is to be written; none where nothing changes.
///
/// `known` is the breaker as it was read, if it was ever kept. `settles` is the key of the webhook that told of it: it
/// is settled even where it changes nothing.
pub fn decide(
    watched: &Watched<'_>,
    known: Option<&Breaker<State>>,
    observation: &Observation,
    by: &By<'_>,
    settles: Option<&str>,
    now: Timestamp,
) -> Option<Step> {
    // A request without room came before it was heard of.
    let since = match observation {
        Observation::DoesNotFit { at, .. } => (*at).min(now),
        _ => now,
    };
    let before = known.map_or_else(|| State::new(watched.limit, since), |breaker| breaker.state.clone());
    let version = known.map_or(0, |breaker| breaker.version);
    let (after, effects) = step(watched.limit, before.clone(), observation, now);
    let mut written = Step { observation: settles.map(str::to_owned), ..Step::default() };
    if after == before && effects.is_empty() {
        return settles.map(|_| written);
    }
    let news = news(watched, &before, &after, &effects, by, now);
    written.changes.push(BreakerChange {
        limit: watched.limit.name.clone(),
        subject: watched.subject.to_string(),
        version,
        state: json!(after),
        audit: audited(watched, (&before, &after), &effects, observation, version + 1, by),
        seen: reading(watched, &after, now),
    });
    written.effects = orders(watched, &effects, version + 1, now);
    written.effects.extend(news.into_iter().map(|event| told(&Notice { at: now, event })));
    Some(written)
}

/// A breaker whose trip has ended by itself, and takes nothing back: neither its limit nor its account is there any more. None
/// where it is not tripped.
///
/// What was used until now is dealt with, as after a reset: if both come back, it is no reason for another trip.
pub fn without_trip(
    limit: &Limit,
    breaker: &Breaker<State>,
    reason: &str,
    now: Timestamp,
) -> Option<BreakerChange> {
    let Breaker { limit: name, subject, state: before, version, .. } = breaker;
    if !matches!(before.phase, Phase::Tripped { .. }) {
        return None;
    }
    let (mut after, _) = step(limit, before.clone(), &Observation::Reset { allow: None }, now);
    after.phase = Phase::Passing;
    let audit = NewAudit::new("breaker.change", format!("breaker {name} of {subject}")).with(json!({
        "before": before,
        "after": after,
        "reason": reason,
        "version": version + 1,
    }));
    Some(BreakerChange {
        limit: name.clone(),
        subject: subject.clone(),
        version: *version,
        state: json!(after),
        audit: Some(audit),
        seen: None,
    })
}

/// What is remembered of what it has seen. A day that is over keeps what is still learnt of it.
fn reading(watched: &Watched<'_>, after: &State, now: Timestamp) -> Option<NewReading> {
    let at = if watched.limit.window == Window::Daily { after.window } else { now };
    (after.seen > Amount::ZERO).then_some(NewReading { at, amount: after.seen })
}

/// A notice, as it waits to be delivered.
pub fn told(notice: &Notice) -> NewEffect {
    NewEffect { kind: kind::NOTICE.to_owned(), key: notice.key(), payload: json!(notice), not_before: None }
}

/// The account's status is to be what it must be: beside what breakers order, after an act of an operator.
pub fn status_order(account: &Account, limit: &str, key: &str, lifts: bool, now: Timestamp) -> NewEffect {
    let order =
        Order { account: account.clone(), limit: limit.to_owned(), action: Action::Suspend, at: now, lifts };
    ordered(kind::STATUS, &order, key)
}

/// Its countries are to be open again, where nothing wants them closed.
pub fn geo_order(account: &Account, key: &str, now: Timestamp) -> NewEffect {
    let action = Action::CloseGeo;
    let order = Order { account: account.clone(), limit: String::new(), action, at: now, lifts: true };
    ordered(kind::GEO, &order, key)
}

fn ordered(kind: &str, order: &Order, key: &str) -> NewEffect {
    NewEffect {
        kind: kind.to_owned(),
        key: format!("{kind}/{}/{key}", order.account.sid),
        payload: json!(order),
        not_before: None,
    }
}

/// What must be done at Twilio, for each account.
fn orders(watched: &Watched<'_>, effects: &[Effect], version: i64, now: Timestamp) -> Vec<NewEffect> {
    let mut orders = Vec::new();
    for effect in effects {
        let (action, is_undone) = match effect {
            Effect::Do(action) => (*action, false),
            Effect::Undo(action) => (*action, true),
            Effect::Warn(_) | Effect::WouldTrip => continue,
        };
        let kind = match action {
            Action::Suspend => kind::STATUS,
            Action::CloseGeo => kind::GEO,
            // What was ended, called back or revoked is not there any more; nothing can be given back.
            Action::EndCalls | Action::CancelQueued | Action::RevokeKeys if is_undone => continue,
            Action::EndCalls => kind::END_CALLS,
            Action::CancelQueued => kind::CANCEL_QUEUED,
            Action::RevokeKeys => kind::REVOKE_KEYS,
            Action::Notify => continue,
        };
        for account in watched.accounts {
            let limit = watched.limit.name.clone();
            let key = format!("{limit}/{version}");
            let order = Order { account: account.clone(), limit, action, at: now, lifts: is_undone };
            orders.push(ordered(kind, &order, &key));
        }
    }
    orders
}

/// What people are to be told. A trip and its end only where the limit says `notify`; warnings always, since they were
/// asked for by their levels.
fn news(
    watched: &Watched<'_>,
    before: &State,
    after: &State,
    effects: &[Effect],
    by: &By<'_>,
    now: Timestamp,
) -> Vec<Event> {
    let Watched { limit, .. } = *watched;
    let who = match (watched.subject, watched.accounts) {
        (Subject::Account(_), [account]) => Who::Account(account.clone()),
        (Subject::Prefix(beginning), _) => Who::Numbers(beginning),
        _ => Who::Together,
    };
    let mut news = Vec::new();
    let mut tripped = false;
    let mut lifted = false;
    for effect in effects {
        match effect {
            Effect::Warn(level) => {
                let usage = usage(watched, after);
                news.push(Event::Warning {
                    who: who.clone(),
                    limit: limit.name.clone(),
                    usage,
                    level: *level,
                });
            }
            Effect::WouldTrip => news.push(Event::WouldTrip {
                who: who.clone(),
                limit: limit.name.clone(),
                usage: usage(watched, after),
                would: at_twilio(limit),
            }),
            Effect::Do(_) => tripped = true,
            Effect::Undo(_) => lifted = true,
        }
    }
    if !limit.then.contains(&Action::Notify) {
        return news;
    }
    // A window can lift a trip and its first usage can trip it again, in one step.
    if lifted {
        news.push(lifting(watched, before, after, who.clone(), by));
    }
    if tripped {
        let cause = match &after.phase {
            Phase::Tripped { by: why, .. } if why.over.is_none() => Cause::Operator(operator(by)),
            _ => Cause::Usage(usage(watched, after)),
        };
        let lifts = match limit.reset {
            ringfence_breaker::Reset::NextWindow => limit.window.period(now).end,
            ringfence_breaker::Reset::Manual => None,
        };
        let lifts = lifts.filter(|_| matches!(cause, Cause::Usage(_)));
        let ordered = at_twilio(limit);
        news.push(Event::Tripped { who, limit: limit.name.clone(), cause, ordered, lifts });
    }
    news
}

fn lifting(watched: &Watched<'_>, before: &State, after: &State, who: Who, by: &By<'_>) -> Event {
    let limit = watched.limit.name.clone();
    if after.window > before.window && by.reason.is_none() {
        return Event::Lifted { who, limit, window: watched.limit.window, since: after.window };
    }
    let allowed = match &after.phase {
        Phase::Probing { allowance, .. } => Some(Allowance {
            amount: *allowance,
            measure: watched.limit.measure,
            unit: watched.unit.to_owned(),
        }),
        Phase::Passing | Phase::Tripped { .. } => None,
    };
    Event::Reset { who, limit, operator: operator(by), allowed }
}

fn operator(by: &By<'_>) -> Operator {
    Operator { by: by.actor.to_string(), reason: by.reason.unwrap_or_default().to_owned() }
}

fn usage(watched: &Watched<'_>, state: &State) -> Usage {
    let Watched { limit, unit, .. } = *watched;
    let over = match &state.phase {
        Phase::Tripped { by, .. } => by.over,
        Phase::Passing | Phase::Probing { .. } => None,
    };
    let (since, used) = over.map_or((state.window, state.seen), |over| (over.window, over.used()));
    let settled = state.settled.filter(|settled| settled.window == since);
    let trips_at = match limit.sign() {
        Some(_) => limit.amount(),
        None => settled
            .map(|settled| settled.trips_at)
            .or_else(|| limit.threshold(state.baseline))
            .unwrap_or(Amount::ZERO),
    };
    Usage {
        measure: limit.measure,
        category: limit.category.clone(),
        unit: unit.to_owned(),
        window: limit.window,
        since,
        used,
        trips_at,
        judged: over.and_then(|over| over.judged),
        wanted: over.and_then(|over| over.wanted),
    }
}

fn at_twilio(limit: &Limit) -> Vec<Action> {
    Action::ALL.into_iter().filter(|it| *it != Action::Notify && limit.then.contains(it)).collect()
}

/// What the audit log says; nothing where the breaker took note of a number and stays what it was.
fn audited(
    watched: &Watched<'_>,
    (before, after): (&State, &State),
    effects: &[Effect],
    observation: &Observation,
    version: i64,
    by: &By<'_>,
) -> Option<NewAudit> {
    let has = |wanted: fn(&Effect) -> bool| effects.iter().any(wanted);
    // What closes a beginning of numbers need not do anything beside.
    let (begins, ends) = (after.stops() && !before.stops(), before.stops() && !after.stops());
    let action = if begins || has(|it| matches!(it, Effect::Do(_))) {
        "breaker.trip"
    } else if has(|it| matches!(it, Effect::WouldTrip)) {
        "breaker.would-trip"
    } else if ends || has(|it| matches!(it, Effect::Undo(_))) {
        if by.reason.is_some() { "breaker.reset" } else { "breaker.lift" }
    } else if has(|it| matches!(it, Effect::Warn(_))) {
        "breaker.warn"
    } else if before.phase == after.phase {
        return None;
    } else {
        "breaker.change"
    };
    let target = format!("breaker {} of {}", watched.limit.name, watched.subject);
    let accounts: Vec<Sid> = watched.accounts.iter().map(|account| account.sid).collect();
    let ordered: Vec<Action> = effects
        .iter()
        .filter_map(|it| if let Effect::Do(action) = it { Some(*action) } else { None })
        .collect();
    Some(NewAudit::new(action, target).with(json!({
        "before": before,
        "after": after,
        "reason": by.reason,
        "accounts": accounts,
        "ordered": ordered,
        "observed": observed(observation),
        "trips_at": watched.limit.sign().map(|_| watched.limit.amount()).or(watched.limit.threshold(after.baseline)),
        "version": version,
    })))
}

/// What moved it, for whoever asks later; nothing where that was time or an operator.
fn observed(observation: &Observation) -> serde_json::Value {
    match observation {
        Observation::Usage { amount, .. } | Observation::Baseline { amount } => json!({ "used": amount }),
        Observation::DoesNotFit { spent, wanted, .. } => json!({ "used": spent, "wanted": wanted }),
        Observation::Share { from, share, .. } => json!({
            "used": share.percent(),
            "since": from.to_string(),
            "good": share.good,
            "bad": share.bad,
            "silent": share.silent,
        }),
        Observation::Trip | Observation::Reset { .. } | Observation::Tick => serde_json::Value::Null,
    }
}

#[cfg(test)]
mod tests;

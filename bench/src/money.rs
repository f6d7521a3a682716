//! An account with limits and a credential that may ask for money: what the measurements of the ledger begin with.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{Action, AppliedLimit, Limit, Scope, Threshold, Window};
use ringfence_model::{Actor, Amount, Sid};
use ringfence_store::{NewCredential, NewLimit, NewReservation, Store};
use serde_json::json;

use crate::{Outcome, installation};

/// The account that pays.
pub(crate) fn account() -> Sid {
    Sid::new(*b"AC", 1)
}

/// So many micro-dollars in a window, of all accounts each.
pub(crate) fn limit(name: &str, window: Window, micros: i64, now: Timestamp) -> Arc<AppliedLimit> {
    let limit = Limit {
        name: name.to_owned(),
        scope: Scope::All,
        at: Threshold::At(Amount::from_micros(micros)),
        burst: None,
        unseen: None,
        warn: Vec::new(),
        then: vec![Action::Notify],
        ..installation::fifty(window)
    };
    Arc::new(AppliedLimit { limit, since: now })
}

/// Makes the limits hold, and a credential; gives a request without its price and what it holds.
pub(crate) async fn prepare(
    store: &Store,
    limits: &[Arc<AppliedLimit>],
    patience: SignedDuration,
    now: Timestamp,
) -> Outcome<NewReservation> {
    let by = Actor::job("bench");
    let new = limits.iter().map(|applied| NewLimit {
        name: applied.limit.name.clone(),
        definition: json!(applied.limit),
        hash: json!(applied.limit).to_string(),
        since: now,
    });
    store.apply_limits(&by, new.collect(), now).await?;
    let credential = NewCredential {
        kind: "egress".to_owned(),
        application: None,
        name: "bench".to_owned(),
        scopes: Vec::new(),
        expires_at: None,
    };
    let (credential, _) = store.create_credential(&by, credential, now).await?;
    Ok(NewReservation {
        credential: Some(credential.sid),
        account: account(),
        operation: "messages.create".to_owned(),
        worst: Amount::ZERO,
        holds: Vec::new(),
        limits: store.limits_fingerprint().await?.into(),
        party: Some("tag".to_owned()),
        beginning: None,
        patience,
        goes_on: SignedDuration::ZERO,
    })
}

/// What Twilio calls what was made for a reservation.
pub(crate) fn resource(id: &str) -> Outcome<Sid> {
    Ok(Sid::parse(&format!("SM{id}"))?)
}

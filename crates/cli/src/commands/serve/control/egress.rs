//! What the egress is told of limits and prices: those that hold, as soon as they hold, and nothing while this node holds
//! none.

use std::sync::Arc;
use std::time::Duration;

use ringfence_breaker::AppliedLimit;
use ringfence_breaker::price_book::{self, PriceBook, Prices};
use ringfence_control::node::Limits;
use ringfence_gateway::{EgressRules, EgressRulesHandle};
use tokio::sync::watch;

use super::{Shared, Wanted};

/// How soon limits that were applied, or a node that rests, are noticed. Until then the store refuses by itself what has
/// other limits.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What accounts of Twilio are billed in, where their prices were not read.
const CURRENCY: &str = "USD";

/// What was told last.
#[derive(PartialEq)]
struct Told {
    limits: Vec<AppliedLimit>,
    fingerprint: String,
    prices: price_book::Rules,
}

/// Tells the egress, until nothing is wanted any more.
pub(super) async fn keep_rules(
    shared: Arc<Shared>,
    mut wanted: watch::Receiver<Option<Wanted>>,
    egress: EgressRulesHandle,
) {
    let mut told: Option<Told> = None;
    loop {
        let prices = match &*wanted.borrow_and_update() {
            Some(wanted) => wanted.prices.clone(),
            None => return egress.clear(),
        };
        let now = prices.and_then(|prices| now_in_force(&shared, prices));
        if now != told {
            match &now {
                Some(now) => put(&egress, now),
                None => egress.clear(),
            }
            told = now;
        }
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return egress.clear() },
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// The limits that this node holds, with their own fingerprint; nothing while it holds none.
fn now_in_force(shared: &Shared, prices: price_book::Rules) -> Option<Told> {
    let at_work = shared.node()?.at_work().ok()?;
    let limits = at_work.engine.limits().to_vec();
    let fingerprint =
        Limits::new(limits.iter().map(|applied| applied.limit.clone()).collect()).hash().to_owned();
    Some(Told { limits, fingerprint, prices })
}

fn put(egress: &EgressRulesHandle, told: &Told) {
    let book = match PriceBook::new(Prices::new(CURRENCY), told.prices.clone()) {
        Ok(book) => book,
        Err(error) => {
            tracing::error!(%error, "there are no prices, so nothing that costs something is let out");
            return egress.clear();
        }
    };
    egress.put(EgressRules {
        limits: told.limits.iter().cloned().map(Arc::new).collect(),
        fingerprint: told.fingerprint.as_str().into(),
        book_of_others: Some(Arc::new(book)),
        ..EgressRules::default()
    });
}

//! What the egress is told of limits and prices: those that hold, as soon as they hold, and nothing while this node holds
//! none.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringfence_breaker::AppliedLimit;
use ringfence_breaker::price_book::{self, PriceBook, Prices};
use ringfence_control::engine::PricesWanted;
use ringfence_control::node::{Limits, PriceBooks};
use ringfence_gateway::settings::Listen;
use ringfence_gateway::{EgressRules, EgressRulesHandle};
use ringfence_model::Sid;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Shared, Wanted};

/// How soon limits that were applied, or a node that rests, are noticed. Until then the store refuses by itself what has
/// other limits.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// At the start and after a reload limits are applied within a moment, and nothing that costs something is let out meanwhile: so
/// often they are looked for then, and for so long.
const LOOK_SOON: Duration = Duration::from_millis(50);
const SOON: Duration = Duration::from_secs(3);
/// What accounts of Twilio are billed in, where their prices were not read.
const CURRENCY: &str = "USD";

/// Where applications reach the egress, for people to paste. Off loopback it speaks TLS or has a proxy before it that does;
/// the name there is nobody's but the operator's.
pub(super) fn url(listen: &Listen, has_tls: bool) -> Option<String> {
    let at = listen.egress?;
    Some(match (at.ip(), has_tls) {
        (ip, _) if ip.is_loopback() => format!("http://{at}"),
        (ip, true) if !ip.is_unspecified() => format!("https://{at}"),
        (_, true) => format!("https://EGRESS_HOST:{}", at.port()),
        (_, false) => "https://EGRESS_HOST".to_owned(),
    })
}

/// What things cost each account, as the control plane last read it.
#[derive(Default)]
pub(super) struct KnownPrices(Mutex<Known>);

#[derive(Default, Clone)]
struct Known {
    of_accounts: BTreeMap<Sid, Arc<Prices>>,
    /// Grows with each change.
    version: u64,
}

impl KnownPrices {
    /// What a node is told about prices.
    pub(super) fn read_by(self: &Arc<Self>) -> PriceBooks {
        let known = Arc::clone(self);
        let on_prices = Arc::new(move |read: &BTreeMap<Sid, Arc<Prices>>| {
            let mut known = known.0.lock().unwrap_or_else(PoisonError::into_inner);
            *known = Known { of_accounts: read.clone(), version: known.version + 1 };
        });
        PriceBooks { wanted: PricesWanted::default(), on_prices }
    }

    fn now(&self) -> Known {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What was told last.
#[derive(PartialEq)]
struct Told {
    limits: Vec<AppliedLimit>,
    fingerprint: String,
    rules: price_book::Rules,
    /// The version of the prices.
    prices: u64,
}

/// Tells the egress, until nothing is wanted any more.
pub(super) async fn keep_rules(
    shared: Arc<Shared>,
    mut wanted: watch::Receiver<Option<Wanted>>,
    egress: EgressRulesHandle,
) {
    let mut told: Option<Told> = None;
    let mut changed = Instant::now();
    loop {
        let rules = match &*wanted.borrow_and_update() {
            Some(wanted) => wanted.prices.clone(),
            None => return egress.clear(),
        };
        let known = shared.prices.now();
        let now = rules.and_then(|rules| now_in_force(&shared, rules, known.version));
        if now != told {
            match &now {
                Some(now) => put(&egress, now, &known),
                None => egress.clear(),
            }
            told = now;
        }
        let pause = if changed.elapsed() < SOON { LOOK_SOON } else { LOOK_EVERY };
        tokio::select! {
            is_there = wanted.changed() => match is_there {
                Ok(()) => changed = Instant::now(),
                Err(_) => return egress.clear(),
            },
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The limits that this node holds, with their own fingerprint; nothing while it holds none.
fn now_in_force(shared: &Shared, rules: price_book::Rules, prices: u64) -> Option<Told> {
    let at_work = shared.node()?.at_work().ok()?;
    let limits = at_work.engine.limits().to_vec();
    let fingerprint =
        Limits::new(limits.iter().map(|applied| applied.limit.clone()).collect()).hash().to_owned();
    Some(Told { limits, fingerprint, rules, prices })
}

fn put(egress: &EgressRulesHandle, told: &Told, known: &Known) {
    let book = |prices: Prices| match PriceBook::new(prices, told.rules.clone()) {
        Ok(book) => Some(Arc::new(book)),
        Err(error) => {
            tracing::error!(%error, "prices cannot be used, so nothing that costs something is let out by them");
            None
        }
    };
    // Most accounts have their parent's, which is indexed once.
    let mut made = HashMap::<*const Prices, Option<Arc<PriceBook>>>::new();
    let mut book_of = |prices: &Arc<Prices>| {
        made.entry(Arc::as_ptr(prices)).or_insert_with(|| book(prices.as_ref().clone())).clone()
    };
    let books = known.of_accounts.iter().filter_map(|(sid, prices)| Some((*sid, book_of(prices)?))).collect();
    egress.put(EgressRules {
        limits: told.limits.iter().cloned().map(Arc::new).collect(),
        fingerprint: told.fingerprint.as_str().into(),
        books,
        book_of_others: book(Prices::new(CURRENCY)),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_to_paste_is_in_clear_on_this_machine_alone() {
        let at = |address: Option<&str>, has_tls| {
            let egress = address.map(|text| text.parse().expect("an address"));
            url(&Listen { egress, ..Listen::default() }, has_tls)
        };
        assert_eq!(at(None, true), None);
        for (address, has_tls, told) in [
            ("127.0.0.1:8500", false, "http://127.0.0.1:8500"),
            ("127.0.0.1:8500", true, "http://127.0.0.1:8500"),
            ("[::1]:8500", false, "http://[::1]:8500"),
            ("10.0.0.5:8500", true, "https://10.0.0.5:8500"),
            ("0.0.0.0:8500", true, "https://EGRESS_HOST:8500"),
            ("10.0.0.5:8500", false, "https://EGRESS_HOST"),
        ] {
            assert_eq!(at(Some(address), has_tls).as_deref(), Some(told));
        }
    }
}

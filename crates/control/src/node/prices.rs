//! What things cost, on the way from Twilio to the data plane.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError};

use ringfence_breaker::price_book::Prices;
use ringfence_model::Sid;
use ringfence_store::{self as store, Account};

use super::Node;
use super::jobs::{Done, Job, JobFailed, is_there};
use crate::engine::{Engine, PricesRead, PricesWanted};

/// Takes over what things cost each account, its own prices or its parent's; it returns at once.
pub type OnPrices = Arc<dyn Fn(&BTreeMap<Sid, Arc<Prices>>) + Send + Sync>;

/// What a node does about prices.
#[derive(Clone)]
pub struct PriceBooks {
    /// Which are read.
    pub wanted: PricesWanted,
    /// Told of all prices, after any of them has changed: the egress sets money aside by them.
    pub on_prices: OnPrices,
}

impl Node {
    /// Hands the prices on if any have changed since this was done last, on whatever node.
    pub async fn tell_prices(&self) -> store::Result<()> {
        let Some(PriceBooks { on_prices, .. }) = &self.setup.prices else { return Ok(()) };
        let versions = self.setup.store.price_versions().await?;
        let accounts: Vec<_> = self.setup.store.accounts().await?.into_iter().filter(is_there).collect();
        let mut hasher = DefaultHasher::new();
        versions.hash(&mut hasher);
        for account in &accounts {
            (account.sid, account.parent).hash(&mut hasher);
        }
        let seen = Some(hasher.finish());
        if *self.told_prices.lock().unwrap_or_else(PoisonError::into_inner) == seen {
            return Ok(());
        }
        let mut known = BTreeMap::new();
        for (sid, _) in versions {
            match self.setup.store.prices(sid).await {
                Ok(stored) => known.extend(stored.map(|stored| (sid, Arc::new(stored.prices)))),
                // Another version has written it; it is read anew.
                Err(store::Error::Corrupt { .. }) => self.ask_for(Job::Prices),
                Err(error) => return Err(error),
            }
        }
        let of = |account: &Account| known.get(&account.sid).or_else(|| known.get(&account.parent?)).cloned();
        let told = accounts.iter().filter_map(|account| Some((account.sid, of(account)?))).collect();
        on_prices(&told);
        *self.told_prices.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(())
    }

    /// Reads the prices of all parents, one after the other; of a subaccount only where nobody can ask for its parent.
    pub(super) async fn read_prices(&self, engine: &Engine) -> Result<Done, JobFailed> {
        let Some(PriceBooks { wanted, .. }) = &self.setup.prices else { return Ok(Done::default()) };
        let mut done = Done::default();
        let accounts = self.setup.store.accounts().await?;
        let there = || accounts.iter().filter(|account| is_there(account));
        let can_be_asked = there().filter(|account| engine.clients().own(account).is_some());
        let can_be_asked: BTreeSet<Sid> = can_be_asked.map(|account| account.sid).collect();
        for account in there().filter(|it| it.parent.is_none_or(|parent| !can_be_asked.contains(&parent))) {
            let PricesRead { countries, unread } = engine.read_prices(account, wanted).await?;
            done.count += countries;
            if let Some(first) = unread.first() {
                let more = unread.len() - 1;
                let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
                done.troubles.push((account.sid, format!("{first}{more}")));
            }
        }
        self.tell_prices().await?;
        Ok(done)
    }
}

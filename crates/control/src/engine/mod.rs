//! The control plane at work: what is observed moves breakers, what was ordered is done, until it is so.
//!
//! An [`Engine`] keeps nothing that matters: whatever it decides is in the store before anything follows from it, so it
//! may be dropped at any await and another one goes on. What it does remember (sums over accounts, what it has written) only
//! saves questions.

mod accounts;
mod acts;
mod bring;
mod clients;
mod ledger;
mod observe;
mod orders;
mod outbox;
mod prices;
mod reading;
mod set_aside;
mod triggered;
mod triggers;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use ringfence_breaker::price_book::PriceBook;
use ringfence_model::{Amount, Clock, Sid};
use ringfence_store::{Account, Currencies, Store};
use tokio::sync::watch;

pub use accounts::{ListedAccounts, NotListed, SynchronisedAccounts};
pub use acts::ActRefused;
pub use bring::Brought;
pub use clients::{Clients, KnownAccount};
pub use ledger::{Egress, Reconciled};
pub(crate) use orders::{ACTIVE, GEO};
pub use outbox::Worked;
pub use prices::{PriceUnread, PricesRead, PricesWanted};
pub use reading::ReadingFailed;
pub use set_aside::NotSetAside;
pub(crate) use set_aside::{OwnRequest, SetAside};
pub use triggered::Triggered;
pub use triggers::{Applied, Planned, Triggers, Trouble};

use crate::notices::{self, Notifier};
use crate::second_factor;
use crate::shared_keys;
use crate::usage::Sum;
use crate::wanted::AppliedLimit;

/// Everything that the control plane of one node needs.
#[derive(Debug)]
pub struct Setup {
    /// Where everything is kept.
    pub store: Arc<Store>,
    /// How Twilio is asked.
    pub clients: Clients,
    /// The limits, in the order of the configuration.
    pub limits: Vec<AppliedLimit>,
    /// How people are told; none where nobody is.
    pub notifier: Option<Arc<Notifier>>,
    /// How codes are sent; none where none are.
    pub second_factor: Option<second_factor::Settings>,
    /// What is settled of the egress; none where there is none.
    pub egress: Option<Egress>,
    /// What is wanted of accounts' SharedKeys; none where the configuration does not say.
    pub shared_keys: Option<shared_keys::Settings>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The control plane of one node.
#[derive(Debug)]
pub struct Engine {
    store: Arc<Store>,
    clients: Clients,
    limits: Vec<AppliedLimit>,
    notifier: Option<Arc<Notifier>>,
    pub(crate) second_factor: Option<second_factor::Settings>,
    egress: Option<Egress>,
    pub(crate) shared_keys: Option<shared_keys::Settings>,
    clock: Arc<dyn Clock>,
    /// What the accounts of a limit used together, by the limit's name.
    sums: Mutex<HashMap<String, Sum>>,
    /// The currencies that the store has for certain.
    currencies: Mutex<Currencies>,
    /// What breakers were last told of the ledger, by limit and subject: of which window, and how much.
    fed: Mutex<HashMap<(String, String), (Timestamp, Amount)>>,
    /// What things cost the accounts that Ringfence itself sends from, with the version of the prices.
    books: Mutex<HashMap<Sid, (u64, Arc<PriceBook>)>>,
    /// The numbers that Lookup is asked of at the moment.
    pub(crate) questions: second_factor::Questions,
    /// The epoch that the sums are of.
    sums_of_epoch: Mutex<String>,
    /// How the look at what is open stands, by account.
    looks: Mutex<HashMap<Sid, ledger::looks::Looks>>,
    /// When the sums of the ledger were last recomputed.
    checked_sums: Mutex<Option<Timestamp>>,
    /// The account of which was read last where it sent before.
    learnt_last: Mutex<Option<Sid>>,
    /// When shares of what was sent were last judged,
    judged_at: Mutex<Option<Timestamp>>,
    /// and when it was last looked whether messages have arrived.
    heard_at: Mutex<Option<Timestamp>>,
    ordered: watch::Sender<()>,
}

impl Engine {
    /// An engine at rest: its methods are called by whoever knows when.
    pub fn new(setup: Setup) -> Self {
        let Setup { store, clients, limits, notifier, second_factor, egress, shared_keys, clock } = setup;
        Self {
            store,
            clients,
            limits,
            notifier,
            second_factor,
            egress,
            shared_keys,
            clock,
            fed: Mutex::default(),
            books: Mutex::default(),
            questions: second_factor::Questions::default(),
            sums_of_epoch: Mutex::default(),
            looks: Mutex::default(),
            checked_sums: Mutex::default(),
            learnt_last: Mutex::default(),
            judged_at: Mutex::default(),
            heard_at: Mutex::default(),
            sums: Mutex::default(),
            currencies: Mutex::default(),
            ordered: watch::Sender::new(()),
        }
    }

    /// Where everything is kept.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The limits, in the order of the configuration.
    pub fn limits(&self) -> &[AppliedLimit] {
        &self.limits
    }

    /// Changes whenever this node has ordered something, so that whoever performs orders need not look again and again.
    pub fn orders(&self) -> watch::Receiver<()> {
        self.ordered.subscribe()
    }

    /// The ways to Twilio.
    pub(crate) fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Whether there is an egress, so that what is sent is counted.
    pub(crate) fn has_egress(&self) -> bool {
        self.egress.is_some()
    }

    pub(crate) fn announce(&self) {
        self.ordered.send_replace(());
    }

    pub(crate) fn now(&self) -> Timestamp {
        let micros = i64::try_from(self.clock.unix_micros()).unwrap_or(i64::MAX);
        Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
    }
}

/// An account, as people are told of it.
pub(crate) fn named(account: &Account) -> notices::Account {
    notices::Account { sid: account.sid, name: account.friendly_name.clone() }
}

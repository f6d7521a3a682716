//! What Ringfence itself sends that costs something, set aside as a request of an application is at the egress.
//!
//! The same prices, the same limits and the same admission of the store decide; what differs is that nobody's credential asks.
//! So limits of a credential or of a tenant do not hold for it, and all others do. Without an egress, or without limits, nothing
//! is set aside: then there is no ledger that somebody counts by.

use std::sync::{Arc, PoisonError};

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::charge::Unpriced;
use ringfence_breaker::price_book::{PriceBook, Prices};
use ringfence_breaker::{Asked, Charge, DialPrefix, Scope, ScopedAccount, Why, holds};
use ringfence_model::{PhoneNumber, Sid};
use ringfence_store::{self as store, Admission, NewReservation, NotAdmitted, Now, Reservation, Sent};

use super::Engine;
use super::ledger::Egress;
use crate::node::Limits;
use crate::wanted;

/// What accounts of Twilio are billed in, where their prices were not read.
const CURRENCY: &str = "USD";

/// What is open is answered for within so long, as a rule: the ledger looks into Twilio's lists as often.
const OPEN_FOR: SignedDuration = SignedDuration::from_secs(10);

/// Something of Ringfence's own that costs something.
pub(crate) struct OwnRequest<'a> {
    /// The account that pays.
    pub(crate) account: Sid,
    /// What is done, as the egress calls it.
    pub(crate) operation: &'static str,
    /// What it can cost at most.
    pub(crate) charge: &'a (dyn Fn(&PriceBook) -> Result<Charge, Unpriced> + Sync),
    /// The phone that it goes to.
    pub(crate) to: PhoneNumber,
    /// As whom, as Twilio's lists have it.
    pub(crate) from: &'a str,
    /// How long it may take until its end can be known.
    pub(crate) patience: SignedDuration,
    /// Whether it is counted what becomes of it: of a code, whether it is entered.
    pub(crate) is_counted: bool,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum SetAside {
    /// No limits stand before it.
    NotNeeded,
    /// It may be sent.
    Reserved(Reservation),
    /// It may not.
    Not(NotSetAside),
}

/// Why nothing is set aside, so that nothing is sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSetAside {
    /// A limit has no room.
    #[error("{}", in_words(.limit, *.why))]
    Limit {
        /// Its name.
        limit: String,
        /// Why.
        why: Why,
        /// When there may be room again; none where nobody knows.
        until: Option<Timestamp>,
    },
    /// Nobody knows what it costs.
    #[error(transparent)]
    Unpriced(#[from] Unpriced),
    /// Limits do not hold here yet, or their figures are not read.
    #[error("{0}")]
    NotReady(&'static str),
}

/// The longest that an application is told to wait. Limits are raised and lifted meanwhile.
const WAITS_AT_MOST: SignedDuration = SignedDuration::from_hours(1);

fn in_words(limit: &str, why: Why) -> String {
    match why {
        Why::Tripped => format!("the limit \"{limit}\" has tripped"),
        Why::DoesNotFit => format!("the limit \"{limit}\" has no room for what this could cost"),
        Why::OpenOnly => format!("the limit \"{limit}\" is full of requests that are still open"),
        Why::NotReadBack => "Twilio's records are being read back".to_owned(),
    }
}

impl NotSetAside {
    /// Whether the next moment may bring it.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::NotReady(_) | Self::Limit { why: Why::OpenOnly | Why::NotReadBack, .. })
    }

    /// When it may be tried again; none where an operator must do something first.
    pub fn again(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Limit { why: Why::OpenOnly | Why::NotReadBack, .. } | Self::NotReady(_) => {
                Some(now.saturating_add(OPEN_FOR).unwrap_or(Timestamp::MAX))
            }
            Self::Limit { until, .. } => *until,
            Self::Unpriced(_) => None,
        }
    }

    /// The same for an application, which waits an hour at most.
    pub(crate) fn again_outside(&self, now: Timestamp) -> Option<Timestamp> {
        let latest = now.saturating_add(WAITS_AT_MOST).unwrap_or(Timestamp::MAX);
        self.again(now).map(|again| again.min(latest))
    }

    /// What an application is told: which limit it is, is for those who look after the installation.
    pub(crate) fn told_outside(&self) -> String {
        match self {
            Self::Limit { why: Why::Tripped, .. } => "a limit on spending has tripped".to_owned(),
            Self::Limit { why: Why::DoesNotFit, .. } => {
                "a limit on spending has no room for what this could cost".to_owned()
            }
            Self::Limit { why: Why::OpenOnly, .. } => {
                "a limit on spending is full of requests that are still open".to_owned()
            }
            Self::Limit { why: Why::NotReadBack, .. } | Self::Unpriced(_) | Self::NotReady(_) => {
                self.to_string()
            }
        }
    }

    /// Its name in the log: the same as the egress has for it.
    fn as_str(&self) -> &'static str {
        match self {
            Self::Limit { why: Why::Tripped, .. } => "tripped",
            Self::Limit { why: Why::DoesNotFit, .. } => "does_not_fit",
            Self::Limit { why: Why::OpenOnly, .. } => "open_only",
            Self::Limit { why: Why::NotReadBack, .. } => "not_read_back",
            Self::Unpriced(_) => "unknown_price",
            Self::NotReady(_) => "not_ready",
        }
    }
}

impl Engine {
    /// How what costs something is set aside; none where nothing is.
    pub(crate) fn sets_aside(&self) -> Option<&Egress> {
        self.egress.as_ref().filter(|_| !self.limits.is_empty())
    }

    /// Sets aside what a request of Ringfence's own can cost, under every limit that applies or under none.
    pub(crate) async fn set_aside(&self, request: &OwnRequest<'_>) -> store::Result<SetAside> {
        let Some(egress) = self.sets_aside() else { return Ok(SetAside::NotNeeded) };
        let outcome = self.admit(egress, request).await?;
        if let SetAside::Not(why) = &outcome {
            let limit = if let NotSetAside::Limit { limit, .. } = why { Some(limit) } else { None };
            tracing::info!(
                operation = request.operation,
                account = %request.account,
                reason = why.as_str(),
                limit,
                "Ringfence sends nothing: its price cannot be set aside"
            );
        }
        Ok(outcome)
    }

    async fn admit(&self, egress: &Egress, request: &OwnRequest<'_>) -> store::Result<SetAside> {
        let account = self.store.find_account(request.account).await?;
        let configured = self.clients.configured().find(|(known, _)| known.sid == request.account);
        let parent = match &account {
            Some(account) => account.parent,
            None => configured.and_then(|(known, _)| known.parent),
        };
        let (book, was_read) = match self.price_book(egress, request.account, parent).await? {
            Ok(found) => found,
            Err(not) => return Ok(SetAside::Not(not)),
        };
        let charge = match (request.charge)(&book) {
            Ok(charge) => charge,
            // What is not known now may be in a moment.
            Err(_) if !was_read => {
                let why = "the prices of the account were not read from Twilio yet";
                return Ok(SetAside::Not(NotSetAside::NotReady(why)));
            }
            Err(unpriced) => return Ok(SetAside::Not(unpriced.into())),
        };
        let scoped = match &account {
            Some(account) => wanted::scoped(account),
            None if self.looks_at_what_is_seen() => {
                let why = "the account was not read from Twilio yet, and limits look at its name or age";
                return Ok(SetAside::Not(NotSetAside::NotReady(why)));
            }
            None => ScopedAccount {
                sid: request.account,
                parent,
                friendly_name: "",
                created: Timestamp::UNIX_EPOCH,
            },
        };
        let asked = Asked {
            account: scoped,
            credential: None,
            tenant: None,
            destination: Some(request.to),
            charge: &charge,
        };
        let limits: Vec<_> = self.limits.iter().cloned().map(Arc::new).collect();
        let own = Limits::new(self.limits.iter().map(|applied| applied.limit.clone()).collect());
        let new = NewReservation {
            credential: None,
            account: request.account,
            operation: request.operation.to_owned(),
            worst: charge.price(),
            holds: holds(&limits, &asked),
            limits: own.hash().into(),
            party: Some(self.store.party_tag(&request.to.to_string(), request.from).await?),
            beginning: request.is_counted.then(|| DialPrefix::of(request.to)),
            patience: request.patience,
            goes_on: SignedDuration::ZERO,
        };
        Ok(match self.store.admit(new, self.ledger_now()).await? {
            Admission::Admitted(reservation) => {
                for watched in reservation.watched() {
                    tracing::info!(
                        operation = request.operation,
                        limit = watched.limit,
                        "a limit would have refused what Ringfence sends, had it been enforced"
                    );
                }
                SetAside::Reserved(reservation)
            }
            Admission::Refused(NotAdmitted::Limit { limit, why, until, .. }) => {
                SetAside::Not(NotSetAside::Limit { limit, why, until })
            }
            Admission::Refused(NotAdmitted::OtherLimits | NotAdmitted::CredentialGone) => {
                SetAside::Not(NotSetAside::NotReady("this node has other limits than were applied"))
            }
        })
    }

    /// Whether a limit cannot be asked about an account that was not read.
    fn looks_at_what_is_seen(&self) -> bool {
        let looks = |scope: &Scope| matches!(scope, Scope::Name(_) | Scope::NewSubaccounts);
        self.limits.iter().any(|applied| looks(&applied.limit.scope))
    }

    /// What things cost an account: its own prices, or its parent's, or what is configured alone; and whether any were read
    /// from Twilio.
    async fn price_book(
        &self,
        egress: &Egress,
        account: Sid,
        parent: Option<Sid>,
    ) -> store::Result<Result<(Arc<PriceBook>, bool), NotSetAside>> {
        let versions = self.store.price_versions().await?;
        let of = |sid: Sid| versions.iter().find(|(known, _)| *known == sid).copied();
        let (priced, version) = of(account).or_else(|| of(parent?)).unwrap_or((account, 0));
        let was_read = version > 0;
        let kept = self.books.lock().unwrap_or_else(PoisonError::into_inner).get(&priced).cloned();
        if let Some((of_version, book)) = kept
            && of_version == version
        {
            return Ok(Ok((book, was_read)));
        }
        let prices = match self.store.prices(priced).await {
            Ok(stored) => stored.map_or_else(|| Prices::new(CURRENCY), |stored| stored.prices),
            // Another version has written it; the job that reads prices reads it anew.
            Err(store::Error::Corrupt { .. }) => Prices::new(CURRENCY),
            Err(error) => return Err(error),
        };
        let Ok(book) = PriceBook::new(prices, egress.prices.clone()) else {
            return Ok(Err(NotSetAside::NotReady("the prices of the account cannot be used")));
        };
        let book = Arc::new(book);
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.insert(priced, (version, Arc::clone(&book)));
        Ok(Ok((book, was_read)))
    }

    /// Says what became of what was set aside.
    pub(crate) async fn answer_for(&self, reservation: Reservation, sent: Sent) -> store::Result<()> {
        self.store.sent(reservation, sent, self.ledger_now()).await
    }

    /// What the clock says by which windows are counted.
    pub(crate) fn ledger_now(&self) -> Now {
        match &self.egress {
            Some(Egress { by_database_clock: true, .. }) => Now::Database,
            _ => Now::At(self.now()),
        }
    }
}

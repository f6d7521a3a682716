//! What is spent and set aside: the only way by which a request gets the right to be sent.
//!
//! [`Store::admit`] looks at every limit that applies, in one transaction in which all of them are locked: the sums, the
//! breaker, the credential, the epoch, and whether this node has the limits that hold. Either all limits get their
//! share of the request's worst price and there is a [`Reservation`], or none does. So a trip, a revoked credential and a
//! new epoch bind every node at its next admission, and a crash forgets nothing.
//!
//! A reservation is a row that ends once: **void** where certainly nothing was made, **settled** with the true price.
//! Until then it counts in full. One that nobody answers for is **in doubt**, which is spent until found.
//!
//! The sums stand beside the rows, and [`Store::check_ledger`] recomputes them. What is queued on one node goes in one
//! transaction (`queue`, `batch`), so that a limit which all nodes share is locked a few times a second, not once for each
//! request.

mod batch;
mod deleted;
mod listed;
mod look;
mod queue;
mod rows;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{AppliedLimit, DialPrefix, Hold, Ledger, Subject, Why};
use ringfence_model::{Amount, Sid};

use crate::sql::{Pool, values};
use crate::{Result, Store};

pub use listed::{ListedBefore, ListedReservation, Listing};
pub use look::{Look, Reached};
pub use rows::limits_fingerprint;

use batch::Did;
pub(crate) use batch::Op;

/// Whose clock says what time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    /// The database's, so that nodes whose clocks are apart are in the same window. On SQLite it is the machine's.
    Database,
    /// This one, for tests and simulations.
    At(Timestamp),
}

/// A request that wants to be sent.
#[derive(Debug, Clone)]
pub struct NewReservation {
    /// The virtual credential that asks; none where Ringfence itself does, for a code of the second factor.
    pub credential: Option<Sid>,
    /// The account that pays.
    pub account: Sid,
    /// What is done: `messages.create`.
    pub operation: String,
    /// What it can cost at most.
    pub worst: Amount,
    /// The limits that apply, in the order in which [`ringfence_breaker::holds`] gives them.
    pub holds: Vec<Hold>,
    /// The fingerprint of all limits that this node has ([`Store::limits_fingerprint`]).
    pub limits: Arc<str>,
    /// Whom it goes to and comes from, as a [tag](Store::party_tag): how one that is in doubt is found again.
    pub party: Option<String>,
    /// The beginning of the number that it goes to, if it goes to one.
    pub beginning: Option<DialPrefix>,
    /// How long an answer is waited for; after that it is in doubt.
    pub patience: SignedDuration,
    /// How long from now on what is billed beside it may go on, whenever it is over itself: the recording of a conference does
    /// when who was called has hung up.
    pub goes_on: SignedDuration,
}

/// An answer of an application that leads to something at Twilio.
#[derive(Debug, Clone)]
pub struct NewAnswer {
    /// What it is known by: the same for a repeat of the same webhook that is answered in the same way.
    pub key: String,
    /// The call or message that is answered.
    pub parent: Sid,
    /// The account that pays.
    pub account: Sid,
    /// What it leads to. All of it is set aside, or nothing.
    pub parts: Vec<AnswerPart>,
    /// The fingerprint of all limits that this node has.
    pub limits: Arc<str>,
}

/// One thing that an answer leads to.
#[derive(Debug, Clone)]
pub struct AnswerPart {
    /// What is done: `twiml.call`.
    pub operation: String,
    /// What it can cost at most.
    pub worst: Amount,
    /// The limits that apply, as [`ringfence_breaker::holds`] gives them.
    pub holds: Vec<Hold>,
    /// Whom it goes to, as a [tag](Store::party_tag).
    pub party: Option<String>,
    /// The beginning of the number that it goes to, if it goes to one.
    pub beginning: Option<DialPrefix>,
    /// How long it may take until Twilio has begun it.
    pub patience: SignedDuration,
}

/// What became of an answer that leads to something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerAdmission {
    /// It may be given. These limits would have refused it.
    Admitted(Vec<Watched>),
    /// It was admitted before, and nothing more was set aside.
    Before,
    /// It may not, and nothing was set aside.
    Refused(NotAdmitted),
}

/// What became of a request that wanted to be sent.
#[derive(Debug)]
pub enum Admission {
    /// It may be sent.
    Admitted(Reservation),
    /// It may not, and nothing was set aside.
    Refused(NotAdmitted),
}

/// The right to send one request. Only the store makes one, after the commit.
#[derive(Debug)]
#[must_use = "what was set aside must be answered for"]
pub struct Reservation {
    id: String,
    watched: Vec<Watched>,
}

/// A limit that would have refused a request, had it not only watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The limit.
    pub limit: String,
    /// Why.
    pub why: Why,
}

impl Reservation {
    /// One that was kept with what it is for, and is taken up once.
    pub(crate) fn kept(id: String) -> Self {
        Self { id, watched: Vec::new() }
    }

    /// Its name, random: it says nothing to anybody else.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The limits that would have refused it.
    pub fn watched(&self) -> &[Watched] {
        &self.watched
    }
}

/// Why a request may not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAdmitted {
    /// A limit has no room for it.
    Limit {
        /// Its name.
        limit: String,
        /// Of whom.
        subject: Subject,
        /// Why.
        why: Why,
        /// When its window ends, which is when there may be room again; none where nobody knows.
        until: Option<Timestamp>,
        /// Whether this trips the breaker, which somebody must be woken for.
        trips: bool,
    },
    /// The credential is revoked, has expired, or was never there.
    CredentialGone,
    /// This node has other limits than those that hold.
    OtherLimits,
}

/// What is known of a request that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Twilio made what was asked for; by this SID, where it has one.
    Made(Option<Sid>),
    /// Certainly nothing was made: no byte was sent, or Twilio refused it.
    Nothing,
    /// Nobody knows.
    InDoubt,
}

/// What a message or a call cost in the end, as Twilio's lists tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Its true price, without what is billed beside it.
    pub price: Amount,
    /// Its true usage, in the unit that its category has; what was set aside where nobody knows.
    pub usage: Option<Amount>,
    /// Whether it arrived.
    pub arrival: Arrival,
}

/// Whether a message arrived, as far as the list tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arrival {
    /// Nobody says.
    #[default]
    Unknown,
    /// It was delivered.
    Delivered,
    /// It was not.
    Failed,
}

impl Arrival {
    /// As it is written.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// How long what is billed beside a message is set aside after its price is known, or after it is over where it goes on:
/// usage records have it by then.
const BESIDE: SignedDuration = SignedDuration::from_hours(2);

/// What Twilio counts, to be booked.
#[derive(Debug, Clone)]
pub struct Booking {
    /// Of which limit.
    pub limit: Arc<AppliedLimit>,
    /// On whom.
    pub subject: Subject,
    /// A moment of the window.
    pub at: Timestamp,
    /// How much.
    pub seen: Amount,
    /// Added where this is the first figure of an epoch that is not the first: what may have been on its way when the memory
    /// was lost.
    pub allowance: Amount,
    /// The epoch that held before Twilio was asked.
    pub epoch: String,
}

/// A reservation that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReservation {
    /// Its name.
    pub id: String,
    /// The account that pays.
    pub account: Sid,
    /// What is done.
    pub operation: String,
    /// What it can cost at most.
    pub worst: Amount,
    /// The tag of whom it goes to.
    pub party: Option<String>,
    /// Where it stands.
    pub state: ReservationState,
    /// What Twilio made, where it said so.
    pub resource: Option<Sid>,
    /// The call or message whose answer led to it; nothing for what was asked for.
    pub parent: Option<Sid>,
    /// When it was admitted.
    pub admitted_at: Timestamp,
    /// Until when an answer is waited for.
    pub deadline: Timestamp,
    /// Whether it is known whether it arrived.
    pub has_arrival: bool,
}

/// Where a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservationState {
    /// It was admitted, and nobody has said more.
    Open,
    /// Twilio has made it; its price is not known.
    Sent,
    /// Nobody knows whether Twilio made it.
    InDoubt,
    /// Nothing was made.
    Void,
    /// The price of the message or call is settled; what is billed beside it is set aside until usage records tell it.
    Priced,
    /// Its price is known.
    Settled,
}

impl ReservationState {
    const ALL: [Self; 6] = [Self::Open, Self::Sent, Self::InDoubt, Self::Void, Self::Priced, Self::Settled];

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Sent => "sent",
            Self::InDoubt => "in-doubt",
            Self::Void => "void",
            Self::Priced => "priced",
            Self::Settled => "settled",
        }
    }

    fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether nothing more can become of it.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Void | Self::Settled)
    }
}

/// The sums of one limit on one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The limit.
    pub limit: String,
    /// On whom.
    pub subject: String,
    /// The sums.
    pub ledger: Ledger,
    /// When they last changed.
    pub changed_at: Timestamp,
}

/// A sum that is not what the reservations say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerError {
    /// The limit.
    pub limit: String,
    /// On whom.
    pub subject: String,
    /// What the sum says.
    pub reserved: Amount,
    /// What the open reservations add up to.
    pub open: Amount,
}

/// A [`NewAnswer::key`] that no other answer has, for one that nothing can tell a repeat of.
pub fn fresh_answer_key() -> String {
    crate::hex::write(&crate::random::<16>())
}

impl Store {
    /// Sets aside what a request can cost under every limit that applies, or under none. Answers after the commit. An error
    /// says that nothing may be sent; one that is in doubt leaves a reservation perhaps, which is found by its deadline.
    pub async fn admit(&self, new: NewReservation, now: Now) -> Result<Admission> {
        let id = crate::hex::write(&crate::random::<16>());
        match self.ledger.carry_out((Op::Admit { id: id.clone(), new: Arc::new(new) }, now)).await? {
            Did::Admitted(watched) => Ok(Admission::Admitted(Reservation { id, watched })),
            Did::Refused(why) => Ok(Admission::Refused(why)),
            Did::Before | Did::Noted(_) => {
                Err(crate::Error::corrupt("ledger", "an admission came to no decision"))
            }
        }
    }

    /// Sets aside what an answer can lead to under every limit that applies, or under none, and once: a repeat finds what
    /// was set aside before. Whether Twilio does any of it nobody says, so from the beginning it is in doubt.
    pub async fn admit_answer(&self, new: NewAnswer, now: Now) -> Result<AnswerAdmission> {
        match self.ledger.carry_out((Op::Answer(Arc::new(new)), now)).await? {
            Did::Admitted(watched) => Ok(AnswerAdmission::Admitted(watched)),
            Did::Before => Ok(AnswerAdmission::Before),
            Did::Refused(why) => Ok(AnswerAdmission::Refused(why)),
            Did::Noted(_) => Err(crate::Error::corrupt("ledger", "an admission came to no decision")),
        }
    }

    /// Says what is known of a request that was sent.
    pub async fn sent(&self, reservation: Reservation, sent: Sent, now: Now) -> Result<()> {
        self.ledger.carry_out((Op::Sent { id: reservation.id, sent }, now)).await.map(|_| ())
    }

    /// Puts the true price in the place of what was set aside for the message or call itself. What is billed beside it stays
    /// set aside under limits of what usage records tell, until two hours after it is over, when they have it; and is spent at
    /// its worst under others. Whether it was still open: settling it again changes nothing.
    pub async fn settle(&self, id: &str, spent: Spent, resource: Option<Sid>, now: Now) -> Result<bool> {
        let op = Op::Settle { id: id.to_owned(), spent, resource };
        Ok(matches!(self.ledger.carry_out((op, now)).await?, Did::Noted(true)))
    }

    /// Settles many, which share commits. How many were still open; the first that failed is the error, and keeps no other
    /// from being settled.
    pub async fn settle_each(&self, settled: Vec<(String, Spent, Option<Sid>)>, now: Now) -> Result<usize> {
        let ops = settled.into_iter().map(|(id, spent, resource)| Op::Settle { id, spent, resource });
        self.change_each(ops.collect(), now).await
    }

    pub(crate) async fn change_each(&self, ops: Vec<Op>, now: Now) -> Result<usize> {
        let mut changed = 0;
        let mut failed = None;
        for outcome in self.ledger.carry_out_each(ops.into_iter().map(|op| (op, now)).collect()).await {
            match outcome {
                Ok(did) => changed += usize::from(matches!(did, Did::Noted(true))),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(changed), Err)
    }

    /// Takes the worst for the truth: of what Twilio tells no price. How many were still open.
    pub async fn settle_at_worst(&self, ids: Vec<String>, now: Now) -> Result<usize> {
        self.change_each(ids.into_iter().map(|id| Op::Worst { id }).collect(), now).await
    }

    /// Gives back what was set aside beside settled prices, whose time is over. How many there were.
    pub async fn release_beside(&self, ids: Vec<String>, now: Now) -> Result<usize> {
        self.change_each(ids.into_iter().map(|id| Op::Release { id }).collect(), now).await
    }

    /// Ends a reservation of which it is certain that nothing was made. Whether it was still open.
    pub async fn void(&self, id: &str, now: Now) -> Result<bool> {
        let op = Op::Sent { id: id.to_owned(), sent: Sent::Nothing };
        Ok(matches!(self.ledger.carry_out((op, now)).await?, Did::Noted(true)))
    }

    /// Says that what was in doubt, or was never answered for, was made. Whether it was.
    pub async fn found(&self, id: &str, resource: Sid, now: Now) -> Result<bool> {
        let op = Op::Sent { id: id.to_owned(), sent: Sent::Made(Some(resource)) };
        Ok(matches!(self.ledger.carry_out((op, now)).await?, Did::Noted(true)))
    }

    /// Says that nobody has answered for a reservation. Whether it was waited for.
    pub async fn doubt(&self, id: &str, now: Now) -> Result<bool> {
        let op = Op::Sent { id: id.to_owned(), sent: Sent::InDoubt };
        Ok(matches!(self.ledger.carry_out((op, now)).await?, Did::Noted(true)))
    }

    /// Takes note of what Twilio counts. Whether it was taken: a figure of another epoch than the store's is not.
    pub async fn book_usage(&self, booked: Booking, now: Now) -> Result<bool> {
        Ok(matches!(self.ledger.carry_out((Op::Book(booked), now)).await?, Did::Noted(true)))
    }

    /// The id of the epoch that holds now, as it was last noticed. Ask it before a figure is read from Twilio that is then
    /// [booked](Self::book_usage).
    pub async fn epoch_id(&self) -> Result<String> {
        let row = self.find("SELECT value FROM meta WHERE name = 'epoch-id'", values![]).await?;
        row.ok_or_else(|| crate::Error::corrupt("meta, row epoch-id", "it is missing"))?.text("value")
    }

    /// Reservations that have not ended, the oldest first; of one account, if one is given.
    pub async fn open_reservations(
        &self,
        account: Option<Sid>,
        limit: usize,
    ) -> Result<Vec<OpenReservation>> {
        let select = "SELECT * FROM reservations WHERE ended_at IS NULL AND ($1 = '' OR account = $1) \
                      ORDER BY admitted_at, id LIMIT $2";
        let account = account.map(|sid| sid.to_string()).unwrap_or_default();
        self.fetch(select, values![account, limit]).await?.iter().map(rows::open_reservation).collect()
    }

    /// Accounts that have reservations which have not ended.
    pub async fn accounts_with_open_reservations(&self) -> Result<Vec<Sid>> {
        let select = "SELECT DISTINCT account FROM reservations WHERE ended_at IS NULL ORDER BY account";
        self.fetch(select, values![]).await?.iter().map(|row| row.sid("account")).collect()
    }

    /// Of these SIDs those that a reservation was made for.
    pub async fn reserved_resources(&self, resources: &[Sid]) -> Result<Vec<Sid>> {
        let select = match &self.pool {
            Pool::Sqlite(_) => {
                "SELECT DISTINCT resource FROM reservations WHERE resource IN (SELECT value FROM json_each($1))"
            }
            Pool::Postgres(_) => {
                "SELECT DISTINCT resource FROM reservations \
                 WHERE resource IN (SELECT jsonb_array_elements_text($1::jsonb))"
            }
        };
        let asked: Vec<String> = resources.iter().map(Sid::to_string).collect();
        let rows = self.fetch(select, values![serde_json::json!(asked).to_string()]).await?;
        rows.iter().map(|row| row.sid("resource")).collect()
    }

    /// The sums of one limit, by subject.
    pub async fn ledger_of(&self, limit: &str) -> Result<Vec<LedgerRow>> {
        let select = "SELECT * FROM ledger WHERE limit_name = $1 ORDER BY subject";
        self.fetch(select, values![limit]).await?.iter().map(rows::ledger).collect()
    }

    /// The sums of one limit on one subject, where it has any.
    pub async fn find_ledger(&self, limit: &str, subject: &str) -> Result<Option<LedgerRow>> {
        let select = "SELECT * FROM ledger WHERE limit_name = $1 AND subject = $2";
        self.find(select, values![limit, subject]).await?.map(|row| rows::ledger(&row)).transpose()
    }

    /// All sums, by limit and subject.
    pub async fn ledger(&self) -> Result<Vec<LedgerRow>> {
        let select = "SELECT * FROM ledger ORDER BY limit_name, subject";
        self.fetch(select, values![]).await?.iter().map(rows::ledger).collect()
    }

    /// The fingerprint of the limits that hold: what a node that asks must have.
    pub async fn limits_fingerprint(&self) -> Result<String> {
        let rows = self.fetch("SELECT name, hash FROM limits", values![]).await?;
        rows::fingerprint(&rows)
    }

    /// What a reservation's numbers are known by: a keyed hash of both.
    pub async fn party_tag(&self, to: &str, from: &str) -> Result<String> {
        let keys = self.factor_keys().await?;
        Ok(keys.tags.tag("party", &format!("{}/{to}/{from}", to.len())))
    }

    /// What a call is known by that another call dials.
    pub async fn dialled_tag(&self, to: &str, parent: Sid) -> Result<String> {
        self.party_tag(to, &format!("dialled by {parent}")).await
    }

    /// What a message is known by that answers another, or is sent in a call.
    pub async fn reply_tag(&self, to: &str, from: &str) -> Result<String> {
        self.party_tag(to, &format!("reply of {from}")).await
    }

    /// Recomputes from the open reservations what is set aside, and says where the sums differ. They are read in one
    /// transaction, so a difference is one.
    pub async fn check_ledger(&self) -> Result<Vec<LedgerError>> {
        self.write((), |(), transaction| Box::pin(rows::check(transaction))).await
    }
}

//! One transaction for everything that is queued: what is needed is locked in one order and read once, each act is decided
//! in memory in its turn, and what changed is written once.
//!
//! So a batch of five hundred admissions under three limits costs three locks and a dozen statements.

mod answer;
mod booked;
mod head;
mod refused;
mod signs;
mod traffic;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{DialPrefix, Hold, Ledger, Limit, Measure, State, Subject, Taken, Verdict, Why};
use ringfence_model::{Amount, Sid};
use serde_json::json;

pub(super) use self::answer::part_id;
use self::head::Head;
use self::refused::weight;
use self::signs::Signs;
use self::traffic::{Came, Places};
use super::rows::{self, HeldRow, InsertRow, Key, ReservationRow, UpdateRow, insert_row};
use super::{
    Arrival, BESIDE, Booking, NewAnswer, NewReservation, NotAdmitted, Now, ReservationState, Sent, Spent,
    Watched,
};
use crate::error::Error;
use crate::sql::{Row, Transaction, values};
use crate::tallies::Counted;
use crate::write::Outcome;
use crate::{Result, epoch};

/// So often it is noted that a credential is used.
const USED_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// What is to be done.
pub(crate) enum Op {
    Admit {
        id: String,
        new: Arc<NewReservation>,
    },
    Answer(Arc<NewAnswer>),
    Sent {
        id: String,
        sent: Sent,
    },
    Settle {
        id: String,
        spent: Spent,
        resource: Option<Sid>,
    },
    /// The worst is the truth.
    Worst {
        id: String,
    },
    /// What is set aside beside a settled price comes back.
    Release {
        id: String,
    },
    Book(Booking),
    /// The code of a verification was entered.
    Verified {
        account: Sid,
        beginning: DialPrefix,
        verification: Option<Sid>,
    },
    /// Whether a message arrived is known.
    Arrived {
        id: String,
        arrival: Arrival,
    },
}

/// What was done.
pub(crate) enum Did {
    Admitted(Vec<Watched>),
    Refused(NotAdmitted),
    /// It was admitted before.
    Before,
    /// Whether it changed anything.
    Noted(bool),
}

pub(super) fn run<'a>(ops: &'a [(Op, Now)], transaction: &'a mut Transaction) -> Outcome<'a, Vec<Did>> {
    Box::pin(async move {
        let mut batch = Batch::read(ops, transaction).await?;
        let did = ops.iter().map(|(op, now)| batch.carry_out(op, *now)).collect::<Result<_>>()?;
        batch.write(transaction).await?;
        Ok(did)
    })
}

/// Whose request something is counted under.
struct Of<'b> {
    account: String,
    operation: &'b str,
    /// What it can cost at most.
    worst: Amount,
}

impl Of<'_> {
    /// What it is worth that a limit refuses it; one of a share takes nothing of it.
    fn worth(&self, hold: &Hold) -> Amount {
        if hold.limit.limit.sign().is_some() { self.worst } else { hold.amount }
    }
}

/// All that the acts of one batch look at and change.
struct Batch<'a> {
    database_now: Timestamp,
    epoch: String,
    is_first_epoch: bool,
    limits: String,
    /// Of the limits that hold, by name.
    hashes: HashMap<String, String>,
    good_credentials: HashMap<Sid, Good>,
    ledgers: BTreeMap<Key, Ledger>,
    breakers: HashMap<Key, Moved>,
    reservations: BTreeMap<String, ReservationRow>,
    places: Places,
    signs: Signs,
    /// What is to be written.
    changed: BTreeSet<Key>,
    inserts: Vec<InsertRow<'a>>,
    updates: BTreeMap<String, UpdateRow>,
    trips: BTreeMap<String, Trip>,
    counted: Counted,
    used: BTreeMap<Sid, Timestamp>,
}

/// A credential that is not revoked.
struct Good {
    expires_at: Option<Timestamp>,
    used_at: Option<Timestamp>,
}

/// A breaker, and how often it has moved.
struct Moved {
    state: State,
    version: i64,
}

/// A limit that a request did not fit under although nothing else was open.
struct Trip {
    limit: String,
    subject: Subject,
    at: Timestamp,
    spent: Amount,
    wanted: Amount,
}

impl<'a> Batch<'a> {
    async fn read(ops: &'a [(Op, Now)], transaction: &mut Transaction) -> Result<Self> {
        // Whose sums are needed: of new requests, and of those that something is said of.
        let ids: Vec<String> = ops.iter().flat_map(|(op, _)| op.reservations()).collect();
        let of_ids: Vec<String> = if transaction.is_sqlite() {
            ops.iter().filter(|(op, _)| op.moves_money()).flat_map(|(op, _)| op.reservations()).collect()
        } else {
            // The locks of its limits keep a reservation from being ended by another node meanwhile.
            ids.clone()
        };
        let keys: BTreeSet<Key> =
            ops.iter().flat_map(|(op, _)| op.limits().map(|(limit, subject)| key(limit, subject))).collect();
        let mut ask = Vec::new();
        let asks_for_ledgers = !keys.is_empty() || !of_ids.is_empty();
        if asks_for_ledgers {
            ask.push(rows::ledgers(transaction, &keys, &of_ids)?);
        }
        // On PostgreSQL these come after the locks: another node may have ended one of them before.
        if !ids.is_empty() {
            ask.push(rows::reservations(transaction, &ids)?);
        }
        let admitted: BTreeSet<Key> = ops
            .iter()
            .filter(|(op, _)| matches!(op, Op::Admit { .. } | Op::Answer(_)))
            .flat_map(|(op, _)| op.limits().map(|(limit, subject)| key(limit, subject)))
            .collect();
        if !admitted.is_empty() {
            ask.push(rows::breakers(transaction, &admitted)?);
        }
        let asking: BTreeSet<Sid> = ops.iter().filter_map(|(op, _)| op.credential()).collect();
        if !asking.is_empty() {
            ask.push(rows::credentials(transaction, &asking));
        }
        let mut first = vec![Head::ask(transaction)];
        if transaction.is_sqlite() {
            first.append(&mut ask);
        }
        let mut answers: VecDeque<Vec<Row>> = transaction.fetch_each(first).await?.into();
        let Head { database_now, known, hashes, limits } =
            Head::read(&answers.pop_front().unwrap_or_default())?;
        let latest = ops.iter().map(|(_, now)| moment(*now, database_now)).max().unwrap_or(database_now);
        let epoch = epoch::follow(transaction, &known, latest).await?;
        answers.extend(transaction.fetch_each(ask).await?);
        let mut next = |is_asked: bool| {
            if is_asked { answers.pop_front().unwrap_or_default() } else { Vec::new() }
        };
        let there = next(asks_for_ledgers);
        let reservations = rows::read_reservations(&next(!ids.is_empty()))?;
        let (breakers, good) = (next(!admitted.is_empty()), next(!asking.is_empty()));

        let mut fresh = BTreeMap::<Key, Ledger>::new();
        for (op, now) in ops {
            for (limit, subject) in op.limits() {
                fresh.insert(key(limit, subject), Ledger::new(limit, moment(*now, database_now)));
            }
        }
        let ledgers = rows::lock(transaction, &there, fresh, database_now).await?;

        let places = Places::read(ops.iter().map(|(op, _)| op), latest, transaction).await?;
        let signs = Signs::read(ops.iter().map(|(op, _)| op), transaction).await?;

        Ok(Self {
            database_now,
            epoch: epoch.id,
            is_first_epoch: epoch.number == 1,
            limits,
            hashes,
            good_credentials: read_credentials(&good)?,
            ledgers,
            breakers: read_breakers(&breakers)?,
            reservations,
            places,
            signs,
            changed: BTreeSet::new(),
            inserts: Vec::new(),
            updates: BTreeMap::new(),
            trips: BTreeMap::new(),
            counted: Counted::default(),
            used: BTreeMap::new(),
        })
    }

    fn carry_out(&mut self, op: &'a Op, now: Now) -> Result<Did> {
        let now = moment(now, self.database_now);
        match op {
            Op::Admit { id, new } => self.admit(id, new, now),
            Op::Answer(new) => self.answer(new, now),
            Op::Sent { id, sent } => Ok(Did::Noted(self.sent(id, *sent, now))),
            Op::Settle { id, spent, resource } => Ok(Did::Noted(self.settle(id, *spent, *resource, now))),
            Op::Worst { id } => Ok(Did::Noted(self.worst(id, now))),
            Op::Release { id } => Ok(Did::Noted(self.release(id, now))),
            Op::Book(booking) => Ok(Did::Noted(self.book(booking, now))),
            Op::Verified { account, beginning, verification } => {
                self.verified(*account, *beginning, *verification, now);
                Ok(Did::Noted(true))
            }
            Op::Arrived { id, arrival } => Ok(Did::Noted(self.arrived(id, *arrival))),
        }
    }

    fn admit(&mut self, id: &'a str, new: &'a NewReservation, now: Timestamp) -> Result<Did> {
        if *new.limits != *self.limits {
            return Ok(Did::Refused(NotAdmitted::OtherLimits));
        }
        if let Some(sid) = new.credential {
            let is_over = |good: &Good| good.expires_at.is_some_and(|expires_at| expires_at <= now);
            let Some(credential) = self.good_credentials.get(&sid).filter(|good| !is_over(good)) else {
                return Ok(Did::Refused(NotAdmitted::CredentialGone));
            };
            if credential.used_at.is_none_or(|at| at.saturating_add(USED_EVERY).is_ok_and(|due| due <= now)) {
                self.used.insert(sid, now);
            }
        }
        let of = Of { account: new.account.to_string(), operation: &new.operation, worst: new.worst };
        let holds = self.places.holding(&of.account, &new.holds);
        let watched = match self.decide(&holds, &of, now)? {
            Ok(watched) => watched,
            Err(why) => return Ok(Did::Refused(why)),
        };
        let taken = self.take(&holds, &of, &watched, now)?;
        self.inserts.push(insert_row(id, new, &holds, &taken, now));
        Ok(Did::Admitted(watched))
    }

    /// Whether all of it fits; which limits that only watch would have refused it.
    fn decide(
        &mut self,
        holds: &[Hold],
        of: &Of<'_>,
        now: Timestamp,
    ) -> Result<std::result::Result<Vec<Watched>, NotAdmitted>> {
        let (mut refused, mut watched) = (None::<(&Hold, Why)>, Vec::new());
        for hold in holds {
            let limit = &hold.limit.limit;
            let key = key(limit, hold.subject);
            let state = self.breakers.get(&key).map(|moved| &moved.state);
            let ledger = self.ledgers.get_mut(&key).ok_or_else(|| not_locked(&key))?;
            ledger.follow(limit, now);
            match ledger.decide(limit, state, hold.amount, &self.epoch, now) {
                Verdict::Fits => {}
                Verdict::WouldRefuse(why) => watched.push(Watched { limit: limit.name.clone(), why }),
                Verdict::Refuse(why) if self.places.only_watches(&of.account, hold) => {
                    watched.push(Watched { limit: limit.name.clone(), why });
                }
                Verdict::Refuse(why) => {
                    if refused.is_none_or(|(_, before)| weight(why) > weight(before)) {
                        refused = Some((hold, why));
                    }
                }
            }
        }
        if let Some((hold, why)) = refused {
            let tally = self.counted.of(&hold.limit.limit.name, &of.account, of.operation, now);
            tally.refuse(why, of.worth(hold), true);
            return self.refuse(hold, why, now).map(Err);
        }
        Ok(Ok(watched))
    }

    fn take(
        &mut self,
        holds: &[Hold],
        of: &Of<'_>,
        watched: &[Watched],
        now: Timestamp,
    ) -> Result<Vec<Taken>> {
        let mut all = Vec::with_capacity(holds.len());
        for hold in holds {
            let key = key(&hold.limit.limit, hold.subject);
            let ledger = self.ledgers.get_mut(&key).ok_or_else(|| not_locked(&key))?;
            all.push(ledger.reserve(hold.amount));
            let tally = self.counted.of(&key.0, &of.account, of.operation, now);
            tally.admitted += 1;
            if let Some(watched) = watched.iter().find(|it| it.limit == key.0) {
                tally.refuse(watched.why, of.worth(hold), false);
            }
            self.changed.insert(key);
        }
        Ok(all)
    }

    fn sent(&mut self, id: &str, sent: Sent, now: Timestamp) -> bool {
        use ReservationState::{InDoubt, Open, Void};
        let Some(row) = self.reservations.get_mut(id) else { return false };
        let (state, resource) = match (row.state, sent) {
            (Open | InDoubt, Sent::Made(resource)) => (ReservationState::Sent, resource),
            (Open | InDoubt, Sent::Nothing) => (Void, None),
            (Open, Sent::InDoubt) => (InDoubt, None),
            _ => return false,
        };
        row.state = state;
        let row = row.clone();
        if state == ReservationState::Sent {
            self.made(&row, now);
        }
        if state == Void {
            self.each_held(&row, |ledger, held| {
                ledger.roll(now);
                ledger.release(held.taken());
            });
        }
        self.update(id, state, resource, None, now);
        true
    }

    fn settle(&mut self, id: &str, spent: Spent, resource: Option<Sid>, now: Timestamp) -> bool {
        let Some(row) = self.not_settled(id) else { return false };
        let mut beside = Vec::new();
        for held in row.holds.iter().filter(|held| held.told > 0) {
            let truth = match held.measure {
                Measure::Price => Some(spent.price.max(Amount::ZERO)),
                Measure::Usage => spent.usage,
                // How often it was is known beforehand.
                Measure::Count | Measure::Delivery | Measure::Conversion => None,
            };
            if let Some(truth) = truth {
                let tally = self.counted.of(&held.limit, &row.account, &row.operation, now);
                tally.price(Amount::from_micros(held.told), truth);
            }
        }
        self.each_held(&row, |ledger, held| {
            let told = Amount::from_micros(held.told);
            let rest = Amount::from_micros(held.amount.saturating_sub(held.told));
            // What the list tells is settled by it; a limit that counts none of that has only what is beside.
            let true_part = match held.measure {
                _ if told == Amount::ZERO => Amount::ZERO,
                Measure::Price => spent.price.max(Amount::ZERO),
                Measure::Usage => spent.usage.unwrap_or(told),
                Measure::Count | Measure::Delivery | Measure::Conversion => told,
            };
            if held.in_usage_records && rest > Amount::ZERO {
                ledger.settle(told, true_part, now);
                beside.push(HeldRow { amount: rest.micros(), told: 0, ..held.clone() });
            } else {
                ledger.settle(held.taken(), true_part.saturating_add(rest), now);
            }
        });
        if row.state != ReservationState::Sent {
            self.made(&row, now);
        }
        self.arrived(id, spent.arrival);
        self.came(&row, Came::of(spent), now);
        let state = if beside.is_empty() { ReservationState::Settled } else { ReservationState::Priced };
        self.update(id, state, resource, Some(spent.price), now);
        if let (Some(update), ReservationState::Priced) = (self.updates.get_mut(id), state) {
            update.holds = Some(json!(beside).to_string());
            let goes_on = beside.iter().filter_map(|held| held.goes_on).max();
            let over =
                goes_on.and_then(|at| Timestamp::from_microsecond(at).ok()).map_or(now, |at| at.max(now));
            update.deadline = Some(over.saturating_add(BESIDE).unwrap_or(Timestamp::MAX).as_microsecond());
        }
        if let Some(row) = self.reservations.get_mut(id) {
            (row.state, row.holds) = (state, beside);
        }
        true
    }

    fn worst(&mut self, id: &str, now: Timestamp) -> bool {
        let Some(row) = self.not_settled(id) else { return false };
        for held in row.holds.iter().filter(|held| held.told > 0 && held.measure != Measure::Count) {
            self.counted.of(&held.limit, &row.account, &row.operation, now).unpriced += 1;
        }
        self.each_held(&row, |ledger, held| {
            ledger.settle(held.taken(), Amount::from_micros(held.amount), now);
        });
        self.end(id, now);
        true
    }

    fn release(&mut self, id: &str, now: Timestamp) -> bool {
        let priced = self.reservations.get(id).filter(|row| row.state == ReservationState::Priced);
        let Some(row) = priced.cloned() else { return false };
        self.each_held(&row, |ledger, held| ledger.release_beside(held.taken(), now));
        self.end(id, now);
        true
    }

    fn not_settled(&self, id: &str) -> Option<ReservationRow> {
        let row = self.reservations.get(id)?;
        (!row.state.is_end() && row.state != ReservationState::Priced).then(|| row.clone())
    }

    fn end(&mut self, id: &str, now: Timestamp) {
        if let Some(row) = self.reservations.get_mut(id) {
            row.state = ReservationState::Settled;
        }
        self.update(id, ReservationState::Settled, None, None, now);
    }

    fn each_held(&mut self, row: &ReservationRow, mut act: impl FnMut(&mut Ledger, &HeldRow)) {
        for held in &row.holds {
            let key = (held.limit.clone(), held.subject.clone());
            // What was idle for a year has no sums any more.
            if let Some(ledger) = self.ledgers.get_mut(&key) {
                act(ledger, held);
                self.changed.insert(key);
            }
        }
    }

    fn update(
        &mut self,
        id: &str,
        state: ReservationState,
        resource: Option<Sid>,
        price: Option<Amount>,
        now: Timestamp,
    ) {
        let before = self.updates.remove(id).and_then(|row| row.resource);
        let row = UpdateRow {
            id: id.to_owned(),
            state: state.word(),
            resource: resource.map(|sid| sid.to_string()).or(before),
            price: price.map(Amount::micros),
            ended_at: state.is_end().then(|| now.as_microsecond()),
            holds: None,
            admitted_at: None,
            deadline: None,
        };
        self.updates.insert(id.to_owned(), row);
    }

    async fn write(self, transaction: &mut Transaction) -> Result<()> {
        rows::insert(transaction, &self.inserts).await?;
        let updates: Vec<UpdateRow> = self.updates.into_values().collect();
        rows::update(transaction, &updates).await?;
        let changed = self.changed.iter().filter_map(|key| Some((key, self.ledgers.get(key)?)));
        rows::write(transaction, changed, self.database_now).await?;
        self.counted.write(&self.hashes, transaction).await?;
        self.places.write(transaction).await?;
        self.signs.write(transaction).await?;
        for (credential, at) in &self.used {
            let update = "UPDATE credentials SET used_at = $2 WHERE sid = $1";
            transaction.later(update, values![*credential, *at]).await?;
        }
        for (known_as, trip) in &self.trips {
            let insert = "INSERT INTO observations (key, source, account, payload, received_at) \
                          VALUES ($1, 'ledger', $2, $3, $4) ON CONFLICT (key) DO NOTHING";
            let said = json!({
                "limit": trip.limit,
                "subject": trip.subject.to_string(),
                "at": trip.at.to_string(),
                "spent": trip.spent,
                "wanted": trip.wanted,
            });
            let bound = values![known_as, trip.subject.to_string(), said.to_string(), trip.at];
            transaction.later(insert, bound).await?;
        }
        Ok(())
    }
}

impl Op {
    /// The reservations that it is about, which may be there already.
    fn reservations(&self) -> Vec<String> {
        match self {
            Self::Sent { id, .. }
            | Self::Settle { id, .. }
            | Self::Worst { id }
            | Self::Release { id }
            | Self::Arrived { id, .. } => vec![id.clone()],
            Self::Answer(new) => (0..new.parts.len()).map(|number| part_id(new, number)).collect(),
            Self::Admit { .. } | Self::Book(_) | Self::Verified { .. } => Vec::new(),
        }
    }

    /// Whether it may change sums by what a reservation holds. That Twilio has made something, or that nobody knows, does not.
    fn moves_money(&self) -> bool {
        !matches!(
            self,
            Self::Sent { sent: Sent::Made(_) | Sent::InDoubt, .. }
                | Self::Arrived { .. }
                | Self::Verified { .. }
        )
    }

    /// Who asks, where that is not Ringfence itself.
    fn credential(&self) -> Option<Sid> {
        match self {
            Self::Admit { new, .. } => new.credential,
            _ => None,
        }
    }

    /// What it would take.
    fn holds(&self) -> impl Iterator<Item = &Hold> {
        let held = match self {
            Self::Admit { new, .. } => new.holds.as_slice(),
            _ => &[],
        };
        let parts = match self {
            Self::Answer(new) => new.parts.as_slice(),
            _ => &[],
        };
        held.iter().chain(parts.iter().flat_map(|part| &part.holds))
    }

    /// The limits that it names itself, and on whom.
    fn limits(&self) -> impl Iterator<Item = (&Limit, Subject)> {
        let booked = match self {
            Self::Book(booking) => Some((&booking.limit.limit, booking.subject)),
            _ => None,
        };
        self.holds().map(|hold| (&hold.limit.limit, hold.subject)).chain(booked)
    }
}

fn read_credentials(rows: &[Row]) -> Result<HashMap<Sid, Good>> {
    let each = rows.iter().map(|row| {
        let (expires_at, used_at) = (row.maybe_time("expires_at")?, row.maybe_time("used_at")?);
        Ok((row.sid("sid")?, Good { expires_at, used_at }))
    });
    each.collect()
}

fn read_breakers(rows: &[Row]) -> Result<HashMap<Key, Moved>> {
    let each = rows.iter().map(|row| {
        let moved = Moved { state: row.json("state")?, version: row.int("version")? };
        Ok(((row.text("limit_name")?, row.text("subject")?), moved))
    });
    each.collect()
}

fn key(limit: &Limit, subject: Subject) -> Key {
    (limit.name.clone(), subject.to_string())
}

fn moment(now: Now, database: Timestamp) -> Timestamp {
    match now {
        Now::Database => database,
        Now::At(at) => at,
    }
}

fn not_locked(key: &Key) -> Error {
    Error::corrupt("ledger", format!("limit {} on {} was not locked", key.0, key.1))
}

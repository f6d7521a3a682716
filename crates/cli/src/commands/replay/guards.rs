//! Three guards before the same attack.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::charge::{Call, Message, Recipient, Sender, TimeLimit};
use ringfence_breaker::{AppliedLimit, Asked, DialPrefix, PriceBook, ScopedAccount, Subject, holds};
use ringfence_control::engine::{Clients, Engine, Setup};
use ringfence_model::{Actor, Amount, Clock, Sid};
use ringfence_store::{
    Admission, Arrival, Booking, Keys, Location, MasterKey, NewCredential, NewLimit, NewReservation, Now,
    SeenAccount, Sent as SentOff, Spent, Store,
};
use ringfence_twilio::client;
use serde_json::json;
use tokio::task::JoinSet;

use super::attack::{Attack, HONEST_TO, Sent};
use super::incident::{Channel, Incident};
use super::rules::{book, limits};
use crate::exit::Failure;

/// A guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guarded {
    /// Twilio's usage trigger, over usage that lags so many seconds.
    Trigger { lag_s: u64 },
    /// A program that looks at what was recorded before it sends.
    CheckThenRecord,
    /// The egress.
    Ringfence(Ours),
}

/// What the egress goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ours {
    /// The limit of the day.
    Limit,
    /// The limit of the day, and rules for bursts.
    Bursts,
    /// A limit of the share of codes that are entered alone, where nobody enters those of the attack.
    Conversion,
    /// A limit of the share of messages that are delivered alone, were none of the attack's.
    Delivery,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) spent: Amount,
    pub(super) past_the_limit: Amount,
    /// Requests of the attack that were sent.
    pub(super) sent: usize,
    pub(super) honest: usize,
    pub(super) honest_refused: usize,
    /// When the first request of the attack was refused; none where none was.
    pub(super) stopped_at_ms: Option<u64>,
}

impl Guarded {
    pub(super) const ALL: [Self; 7] = [
        Self::Trigger { lag_s: 60 },
        Self::Trigger { lag_s: 900 },
        Self::CheckThenRecord,
        Self::Ringfence(Ours::Limit),
        Self::Ringfence(Ours::Conversion),
        Self::Ringfence(Ours::Delivery),
        Self::Ringfence(Ours::Bursts),
    ];

    /// Whether it has something to go by: of calls nobody says that they were delivered.
    pub(super) fn sees(self, incident: &Incident) -> bool {
        self != Self::Ringfence(Ours::Delivery) || incident.replay.channel == Channel::Sms
    }

    /// Whether it promises that no money is spent past the limit: signs alone do not.
    pub(super) const fn promises(self) -> bool {
        matches!(self, Self::Ringfence(Ours::Limit | Ours::Bursts))
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Trigger { lag_s: 60 } => "usage trigger, usage 1 min late",
            Self::Trigger { .. } => "usage trigger, usage 15 min late",
            Self::CheckThenRecord => "check, send, record",
            Self::Ringfence(Ours::Limit) => "Ringfence, this limit alone",
            Self::Ringfence(Ours::Bursts) => "Ringfence, with burst rules",
            Self::Ringfence(Ours::Conversion) => "a sign alone: no code entered",
            Self::Ringfence(Ours::Delivery) => "a sign alone: were none delivered",
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Trigger { lag_s: 60 } => "usage-trigger-1-min",
            Self::Trigger { .. } => "usage-trigger-15-min",
            Self::CheckThenRecord => "check-then-record",
            Self::Ringfence(Ours::Limit) => "ringfence",
            Self::Ringfence(Ours::Bursts) => "ringfence-with-burst-rules",
            Self::Ringfence(Ours::Conversion) => "ringfence-conversion-alone",
            Self::Ringfence(Ours::Delivery) => "ringfence-delivery-alone",
        }
    }
}

/// Twilio evaluates usage triggers about once a minute.
const EVALUATED_EVERY_MS: u64 = 60_000;

/// Sends an attack past a guard.
pub(super) async fn run(guard: Guarded, incident: &Incident, attack: &Attack) -> Result<Outcome, Failure> {
    let mut outcome = match guard {
        Guarded::Trigger { lag_s } => trigger(incident, attack, lag_s * 1_000),
        Guarded::CheckThenRecord => check_then_record(incident, attack),
        Guarded::Ringfence(ours) => ringfence(incident, attack, ours).await?,
    };
    let past = outcome.spent.micros().saturating_sub(incident.limit_amount().micros());
    outcome.past_the_limit = Amount::from_micros(past.max(0));
    Ok(outcome)
}

impl Outcome {
    fn sends(&mut self, request: &Sent) {
        self.spent = self.spent.saturating_add(request.price);
        if request.is_honest {
            self.honest += 1;
        } else {
            self.sent += 1;
        }
    }

    fn refuses(&mut self, request: &Sent) {
        if request.is_honest {
            self.honest += 1;
            self.honest_refused += 1;
        } else {
            self.stopped_at_ms.get_or_insert(request.at_ms);
        }
    }
}

/// What becomes known later, in order.
type Later = BinaryHeap<Reverse<(u64, i64)>>;

/// The sum of what is known by this moment.
fn known(later: &mut Later, sum: &mut i64, by_ms: u64) -> i64 {
    while let Some(Reverse((at, micros))) = later.peek().copied()
        && at <= by_ms
    {
        later.pop();
        *sum = sum.saturating_add(micros);
    }
    *sum
}

fn trigger(incident: &Incident, attack: &Attack, lag_ms: u64) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut later, mut counted) = (Later::new(), 0);
    let (mut next, mut suspended) = (EVALUATED_EVERY_MS, false);
    for request in &attack.requests {
        while !suspended && next <= request.at_ms {
            suspended = known(&mut later, &mut counted, next) >= incident.limit_amount().micros();
            next += EVALUATED_EVERY_MS;
        }
        if suspended {
            outcome.refuses(request);
            continue;
        }
        outcome.sends(request);
        // A message is counted when it is sent, a call when it ends; both are seen after the lag.
        later.push(Reverse((request.at_ms + request.over_after_ms + lag_ms, request.price.micros())));
    }
    outcome
}

fn check_then_record(incident: &Incident, attack: &Attack) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut later, mut recorded) = (Later::new(), 0);
    for request in &attack.requests {
        if known(&mut later, &mut recorded, request.at_ms) >= incident.limit_amount().micros() {
            outcome.refuses(request);
            continue;
        }
        outcome.sends(request);
        let known_at = request.at_ms + request.over_after_ms + RECORDED_AFTER_MS;
        later.push(Reverse((known_at, request.price.micros())));
    }
    outcome
}

/// After so long a program knows the price of what it sent: that is quick.
const RECORDED_AFTER_MS: u64 = 5_000;
/// After so long the egress has settled it: Twilio's list has the price within minutes, and is looked at every ten seconds.
const SETTLED_AFTER_MS: u64 = 120_000;
/// Somebody enters a code after so long, but one of so many never does.
const ENTERED_AFTER_MS: u64 = 30_000;
const NOT_ENTERED: u64 = 10;
/// Shares are judged so often.
const JUDGED_EVERY_MS: u64 = 60_000;
/// What is asked for at once is asked for within so long.
const WAVE_MS: u64 = 1_000;

/// Requests that are asked for at once: they share a commit, as they do where an application sends many.
const AT_ONCE: usize = 64;

async fn ringfence(incident: &Incident, attack: &Attack, ours: Ours) -> Result<Outcome, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::unavailable(format!("the replay's own store: {error}"));
    let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
    play(incident, attack, ours, folder.path()).await.map_err(|error| failed(&error))
}

/// Why a replay says nothing.
#[derive(Debug, thiserror::Error)]
enum NotPlayed {
    /// Its store has failed.
    #[error(transparent)]
    Store(#[from] ringfence_store::Error),
    /// Its clients of Twilio, which ask nothing, could not be made.
    #[error("{0}")]
    Clients(String),
    /// Its sums are wrong.
    #[error("the sums of {limit} are wrong: {what}")]
    Ledger { limit: String, what: String },
}

async fn play(
    incident: &Incident,
    attack: &Attack,
    ours: Ours,
    folder: &std::path::Path,
) -> Result<Outcome, NotPlayed> {
    // Shortly before a full hour, so that short windows begin anew within the attack.
    let start = Timestamp::from_second(1_768_474_710).unwrap_or(Timestamp::UNIX_EPOCH);
    let keys = Keys::Given { current: MasterKey::from_bytes([7; 32]), previous: Vec::new() };
    let store = Store::open(&Location::Sqlite(folder.join("replay.db")), &keys, start).await?;
    let store = Arc::new(store);
    let mut desk = Desk::new(Arc::clone(&store), incident, ours, start).await?;
    let mut outcome = Outcome::default();
    let mut rest = attack.requests.as_slice();
    while let Some(first) = rest.first() {
        // Nothing becomes known later than the first of a wave is asked for.
        desk.catch_up(first.at_ms).await?;
        let is_in = |request: &&Sent| request.at_ms < first.at_ms + WAVE_MS;
        let (wave, later) = rest.split_at(rest.iter().take(AT_ONCE).take_while(is_in).count().max(1));
        rest = later;
        for (request, admission) in desk.ask(wave).await? {
            match admission {
                Admission::Admitted(reservation) => {
                    outcome.sends(request);
                    desk.sent(request, reservation).await?;
                }
                Admission::Refused(_) => outcome.refuses(request),
            }
        }
    }
    desk.settle_by(u64::MAX).await?;
    if let Some(wrong) = store.check_ledger().await?.first() {
        let what = format!("{} is set aside, and {} is open", wrong.reserved, wrong.open);
        return Err(NotPlayed::Ledger { limit: wrong.limit.clone(), what });
    }
    drop(desk);
    if let Ok(store) = Arc::try_unwrap(store) {
        store.close().await;
    }
    Ok(outcome)
}

/// The time of a replay.
#[derive(Debug)]
struct Virtual {
    micros: AtomicU64,
    begin: Instant,
}

impl Clock for Virtual {
    fn unix_seconds(&self) -> u64 {
        self.unix_micros() / 1_000_000
    }

    fn unix_micros(&self) -> u64 {
        self.micros.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Instant {
        self.begin + Duration::from_micros(self.unix_micros())
    }
}

/// What is open, by when its price is known: its name, what it cost, and whether it arrived.
type Open = BinaryHeap<Reverse<(u64, String, i64, bool)>>;

/// One account of one application, with its limits.
struct Desk {
    store: Arc<Store>,
    /// What judges shares, as the job of a node does, and its clock.
    engine: Engine,
    clock: Arc<Virtual>,
    ours: Ours,
    open: Open,
    /// Codes that will be entered: when, and of which verification.
    entered: BinaryHeap<Reverse<(u64, Sid, DialPrefix)>>,
    made: u128,
    honest: u64,
    judged_ms: u64,
    start: Timestamp,
    limits: Vec<Arc<AppliedLimit>>,
    fingerprint: Arc<str>,
    credential: Sid,
    book: PriceBook,
    channel: Channel,
}

const ACCOUNT: Sid = Sid::new(*b"AC", 1);

impl Desk {
    async fn new(
        store: Arc<Store>,
        incident: &Incident,
        ours: Ours,
        start: Timestamp,
    ) -> Result<Self, NotPlayed> {
        let by = Actor::CommandLine("replay".to_owned());
        let rules = limits(incident, ours);
        let new = rules.iter().map(|limit| NewLimit {
            name: limit.name.clone(),
            definition: json!(limit),
            hash: json!(limit).to_string(),
            since: start,
        });
        store.apply_limits(&by, new.collect(), start).await?;
        let new = NewCredential {
            kind: "egress".to_owned(),
            application: None,
            name: "replay".to_owned(),
            scopes: Vec::new(),
            expires_at: None,
        };
        let (credential, _) = store.create_credential(&by, new, start).await?;
        let fingerprint = store.limits_fingerprint().await?.into();
        let limits: Vec<_> =
            rules.into_iter().map(|limit| Arc::new(AppliedLimit { limit, since: start })).collect();
        let seen = SeenAccount {
            sid: ACCOUNT,
            parent: None,
            friendly_name: "replay".to_owned(),
            status: "active".to_owned(),
            auth_token: None,
            created: Some(start),
            changed: None,
        };
        store.synchronise_accounts(&by, vec![seen], true, start).await?;
        let micros = u64::try_from(start.as_microsecond()).unwrap_or(0);
        let clock = Arc::new(Virtual { micros: AtomicU64::new(micros), begin: Instant::now() });
        let clients = Clients::new(&client::Settings::default(), Vec::new())
            .map_err(|error| NotPlayed::Clients(error.to_string()))?;
        let engine = Engine::new(Setup {
            store: Arc::clone(&store),
            clients,
            limits: limits.iter().map(|applied| AppliedLimit::clone(applied)).collect(),
            notifier: None,
            second_factor: None,
            egress: None,
            shared_keys: None,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
        });
        let desk = Self {
            engine,
            clock,
            ours,
            open: Open::new(),
            entered: BinaryHeap::new(),
            made: 0,
            honest: 0,
            judged_ms: 0,
            store,
            start,
            limits,
            fingerprint,
            credential: credential.sid,
            book: book(incident),
            channel: incident.replay.channel,
        };
        // The account has sent to the United States before, and nowhere else.
        let back = |hours: i64| start.saturating_sub(SignedDuration::from_hours(hours)).unwrap_or(start);
        let known = HONEST_TO.parse::<DialPrefix>().ok().map(|prefix| (prefix, back(24 * 10)));
        desk.store.learn_traffic(ACCOUNT, known.into_iter().collect(), back(24 * 30)).await?;
        let epoch = desk.store.epoch_id().await?;
        for limit in desk.limits.iter().filter(|applied| !applied.limit.is_the_egress_alone()) {
            let booking = Booking {
                limit: Arc::clone(limit),
                subject: Subject::Account(ACCOUNT),
                at: start,
                seen: Amount::ZERO,
                allowance: Amount::ZERO,
                epoch: epoch.clone(),
            };
            desk.store.book_usage(booking, Now::At(start)).await?;
        }
        Ok(desk)
    }

    fn at(&self, ms: u64) -> Timestamp {
        let ms = i64::try_from(ms).unwrap_or(i64::MAX);
        self.start.saturating_add(SignedDuration::from_millis(ms)).unwrap_or(self.start)
    }

    /// Asks for all of them at once.
    async fn ask<'r>(&self, wave: &'r [Sent]) -> Result<Vec<(&'r Sent, Admission)>, ringfence_store::Error> {
        let mut asked = JoinSet::new();
        for (number, request) in wave.iter().enumerate() {
            let (store, new, now) =
                (Arc::clone(&self.store), self.reservation(request), self.at(request.at_ms));
            asked.spawn(async move { (number, store.admit(new, Now::At(now)).await) });
        }
        let mut answers = asked.join_all().await;
        answers.sort_by_key(|(number, _)| *number);
        answers.into_iter().map(|(number, answer)| Ok((&wave[number], answer?))).collect()
    }

    fn reservation(&self, request: &Sent) -> NewReservation {
        let charge = self.charge(request);
        let account = ScopedAccount { sid: ACCOUNT, parent: None, friendly_name: "", created: self.start };
        let asked = Asked {
            account,
            credential: Some(self.credential),
            tenant: None,
            destination: Some(request.to),
            charge: &charge,
        };
        NewReservation {
            credential: Some(self.credential),
            account: ACCOUNT,
            operation: self.operation().to_owned(),
            worst: charge.price(),
            holds: holds(&self.limits, &asked),
            limits: Arc::clone(&self.fingerprint),
            party: None,
            beginning: Some(DialPrefix::of(request.to)),
            patience: SignedDuration::from_secs(60),
            goes_on: SignedDuration::ZERO,
        }
    }

    /// As what it is sent: a code is told by Verify, and what is delivered by the list of messages.
    fn operation(&self) -> &'static str {
        if self.ours == Ours::Conversion { "verifications.create" } else { "messages.create" }
    }

    /// Takes note of what was sent, and of when what becomes of it is known.
    async fn sent(
        &mut self,
        request: &Sent,
        reservation: ringfence_store::Reservation,
    ) -> Result<(), ringfence_store::Error> {
        self.made += 1;
        let of = if self.ours == Ours::Conversion { *b"VE" } else { *b"SM" };
        let (id, resource) = (reservation.id().to_owned(), Sid::new(of, self.made));
        let now = Now::At(self.at(request.at_ms));
        self.store.sent(reservation, SentOff::Made(Some(resource)), now).await?;
        let settled_at = request.at_ms + request.over_after_ms + SETTLED_AFTER_MS;
        self.open.push(Reverse((settled_at, id, request.told.micros(), request.is_honest)));
        // Most people enter their codes, and nobody enters those of the attack.
        self.honest += u64::from(request.is_honest);
        let is_entered = request.is_honest && !self.honest.is_multiple_of(NOT_ENTERED);
        if is_entered && self.ours == Ours::Conversion {
            let at = request.at_ms + ENTERED_AFTER_MS;
            self.entered.push(Reverse((at, resource, DialPrefix::of(request.to))));
        }
        Ok(())
    }

    /// Lets everything happen that has happened by then, and judges shares each minute.
    async fn catch_up(&mut self, by_ms: u64) -> Result<(), ringfence_store::Error> {
        let judges = matches!(self.ours, Ours::Conversion | Ours::Delivery);
        while judges && self.judged_ms + JUDGED_EVERY_MS <= by_ms {
            self.judged_ms += JUDGED_EVERY_MS;
            self.settle_by(self.judged_ms).await?;
            let now = self.at(self.judged_ms);
            let micros = u64::try_from(now.as_microsecond()).unwrap_or(0);
            self.clock.micros.store(micros, Ordering::Relaxed);
            self.engine.judge_shares().await?;
        }
        self.settle_by(by_ms).await
    }

    async fn settle_by(&mut self, by_ms: u64) -> Result<(), ringfence_store::Error> {
        while let Some(Reverse((at, verification, beginning))) = self.entered.peek().copied()
            && at <= by_ms
        {
            self.entered.pop();
            let now = Now::At(self.at(at));
            self.store.verified(ACCOUNT, beginning, Some(verification), now).await?;
        }
        // Those of one moment share a commit, as they do in the egress's own job.
        let (mut due, mut last) = (Vec::new(), 0);
        while let Some(Reverse((at, ..))) = self.open.peek()
            && *at <= by_ms
        {
            let Some(Reverse((at, id, micros, is_honest))) = self.open.pop() else { break };
            let arrival = match (self.ours, is_honest) {
                (Ours::Delivery, true) => Arrival::Delivered,
                (Ours::Delivery, false) => Arrival::Failed,
                _ => Arrival::Unknown,
            };
            let spent = Spent { price: Amount::from_micros(micros), arrival, ..Spent::default() };
            due.push((id, spent, None));
            last = at;
        }
        if due.is_empty() {
            return Ok(());
        }
        self.store.settle_each(due, Now::At(self.at(last))).await?;
        Ok(())
    }

    fn charge(&self, request: &Sent) -> ringfence_breaker::Charge {
        let to = Recipient::Phone(request.to);
        let charged = if self.channel == Channel::Sms || request.is_honest {
            Message::text(to, Sender::LongCode, "Your code is 123456").charge(&self.book)
        } else {
            let call = Call {
                to,
                from: None,
                time_limit: None,
                record: false,
                conference_record: false,
                machine_detection: false,
                conference: false,
            };
            call.charge(&self.book).map(|timed| {
                debug_assert!(matches!(timed.time_limit, TimeLimit::Set(_)));
                timed.charge
            })
        };
        charged.unwrap_or_else(|error| unreachable!("every price of a replay is set: {error}"))
    }
}

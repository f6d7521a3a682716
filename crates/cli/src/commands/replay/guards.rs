//! Three guards before the same attack.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::charge::{Call, Message, Recipient, Sender, TimeLimit};
use ringfence_breaker::price_book::{Fee, Kind, Override, Overrides, Place, Prices, Rules};
use ringfence_breaker::{
    AppliedLimit, Asked, DialPrefix, Limit, Measure, Per, PriceBook, Probe, Reset, Scope, ScopedAccount,
    Subject, Threshold, Unseen, Window, holds,
};
use ringfence_model::{Actor, Amount, Sid};
use ringfence_store::{
    Admission, Booking, Keys, Location, MasterKey, NewCredential, NewLimit, NewReservation, Now,
    Sent as SentOff, Spent, Store,
};
use serde_json::json;
use tokio::task::JoinSet;

use super::attack::{Attack, HONEST_FEE, HONEST_TO, HONEST_TOLD, Sent};
use super::incident::{Channel, Incident};
use crate::exit::Failure;

/// A guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guarded {
    /// Twilio's usage trigger, over usage that lags so many seconds.
    Trigger { lag_s: u64 },
    /// A program that looks at what was recorded before it sends.
    CheckThenRecord,
    /// The egress, with or without rules for bursts.
    Ringfence { bursts: bool },
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
}

impl Guarded {
    pub(super) const ALL: [Self; 5] = [
        Self::Trigger { lag_s: 60 },
        Self::Trigger { lag_s: 900 },
        Self::CheckThenRecord,
        Self::Ringfence { bursts: false },
        Self::Ringfence { bursts: true },
    ];

    pub(super) const fn is_ours(self) -> bool {
        matches!(self, Self::Ringfence { .. })
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Trigger { lag_s: 60 } => "usage trigger, usage 1 min late",
            Self::Trigger { .. } => "usage trigger, usage 15 min late",
            Self::CheckThenRecord => "check, send, record",
            Self::Ringfence { bursts: false } => "Ringfence, this limit alone",
            Self::Ringfence { bursts: true } => "Ringfence, with burst rules",
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Trigger { lag_s: 60 } => "usage-trigger-1-min",
            Self::Trigger { .. } => "usage-trigger-15-min",
            Self::CheckThenRecord => "check-then-record",
            Self::Ringfence { bursts: false } => "ringfence",
            Self::Ringfence { bursts: true } => "ringfence-with-burst-rules",
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
        Guarded::Ringfence { bursts } => ringfence(incident, attack, bursts).await?,
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
/// What is asked for at once is asked for within so long.
const WAVE_MS: u64 = 1_000;

/// Requests that are asked for at once: they share a commit, as they do where an application sends many.
const AT_ONCE: usize = 64;

async fn ringfence(incident: &Incident, attack: &Attack, bursts: bool) -> Result<Outcome, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::unavailable(format!("the replay's own store: {error}"));
    let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
    play(incident, attack, bursts, folder.path()).await.map_err(|error| failed(&error))
}

/// Why a replay says nothing.
#[derive(Debug, thiserror::Error)]
enum NotPlayed {
    /// Its store has failed.
    #[error(transparent)]
    Store(#[from] ringfence_store::Error),
    /// Its sums are wrong.
    #[error("the sums of {limit} are wrong: {what}")]
    Ledger { limit: String, what: String },
}

async fn play(
    incident: &Incident,
    attack: &Attack,
    bursts: bool,
    folder: &std::path::Path,
) -> Result<Outcome, NotPlayed> {
    // Shortly before a full hour, so that short windows begin anew within the attack.
    let start = Timestamp::from_second(1_768_474_710).unwrap_or(Timestamp::UNIX_EPOCH);
    let keys = Keys::Given { current: MasterKey::from_bytes([7; 32]), previous: Vec::new() };
    let store = Store::open(&Location::Sqlite(folder.join("replay.db")), &keys, start).await?;
    let store = Arc::new(store);
    let desk = Desk::new(Arc::clone(&store), incident, bursts, start).await?;
    let mut outcome = Outcome::default();
    // What is open, by when its price is known.
    let mut open: BinaryHeap<Reverse<(u64, String, i64)>> = BinaryHeap::new();
    let mut rest = attack.requests.as_slice();
    while let Some(first) = rest.first() {
        // What is known by now is settled, and nothing that becomes known later than the first of a wave.
        let mut due = Vec::new();
        while let Some(Reverse((at, ..))) = open.peek()
            && *at <= first.at_ms
        {
            due.extend(open.pop());
        }
        desk.settle(due).await?;
        let is_in = |request: &&Sent| request.at_ms < first.at_ms + WAVE_MS;
        let (wave, later) = rest.split_at(rest.iter().take(AT_ONCE).take_while(is_in).count().max(1));
        rest = later;
        for (request, admission) in desk.ask(wave).await? {
            match admission {
                Admission::Admitted(reservation) => {
                    outcome.sends(request);
                    let id = reservation.id().to_owned();
                    store.sent(reservation, SentOff::Made(None), Now::At(desk.at(request.at_ms))).await?;
                    let settled_at = request.at_ms + request.over_after_ms + SETTLED_AFTER_MS;
                    open.push(Reverse((settled_at, id, request.told.micros())));
                }
                Admission::Refused(_) => outcome.refuses(request),
            }
        }
    }
    desk.settle(open.into_vec()).await?;
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

/// One account of one application, with its limits.
struct Desk {
    store: Arc<Store>,
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
        bursts: bool,
        start: Timestamp,
    ) -> Result<Self, ringfence_store::Error> {
        let by = Actor::CommandLine("replay".to_owned());
        let rules: Vec<Limit> = limits(incident, bursts);
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
        let desk = Self {
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
            operation: "messages.create".to_owned(),
            worst: charge.price(),
            holds: holds(&self.limits, &asked),
            limits: Arc::clone(&self.fingerprint),
            party: None,
            beginning: Some(DialPrefix::of(request.to)),
            patience: SignedDuration::from_secs(60),
        }
    }

    async fn settle(&self, due: Vec<Reverse<(u64, String, i64)>>) -> Result<(), ringfence_store::Error> {
        // Those of one moment share a commit, as they do in the egress's own job.
        let Some(last) = due.iter().map(|Reverse((at, ..))| *at).max() else { return Ok(()) };
        let spent = |micros| Spent { price: Amount::from_micros(micros), ..Spent::default() };
        let each = due.into_iter().map(|Reverse((_, id, micros))| (id, spent(micros), None));
        self.store.settle_each(each.collect(), Now::At(self.at(last))).await?;
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

/// The incident's limit for a day, and where wanted the rules for bursts that `docs/egress.md` advises.
fn limits(incident: &Incident, bursts: bool) -> Vec<Limit> {
    let daily = Limit {
        name: "a day".to_owned(),
        scope: Scope::All,
        per: Per::Account,
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        window: Window::Daily,
        at: Threshold::At(incident.limit_amount()),
        burst: None,
        unseen: None,
        warn: Vec::new(),
        then: Vec::new(),
        probe: Probe::Percent(10),
        reset: Reset::Manual,
        enforce: true,
    };
    if !bursts {
        return vec![daily];
    }
    // Each beginning of a number gets a fifteenth of the day's money in any hour, of which less than a sixth passes at once: what
    // flows in is a quarter more than what the honest texts take. Where the account has sent nothing before, a fiftieth in a day.
    let part = |of: i64| Amount::from_micros(incident.limit_amount().micros() / of);
    let flow = |name: &str, seconds, at, burst| Limit {
        name: name.to_owned(),
        per: Per::Prefix,
        window: Window::Gcra { seconds },
        at: Threshold::At(at),
        burst: Some(burst),
        reset: Reset::NextWindow,
        ..daily.clone()
    };
    let unseen = Some(Unseen { within: 30 * DAY_S, known_after: 3 * DAY_S });
    vec![
        flow("an hour to one place", 3_600, part(15), part(100)),
        Limit { unseen, ..flow("a place that is new", DAY_S, part(50), part(100)) },
        daily,
    ]
}

const DAY_S: u32 = 86_400;

/// The incident's own prices.
fn book(incident: &Incident) -> PriceBook {
    let replay = &incident.replay;
    let price = |kind, place, price| Override { kind, place, price };
    let mut destinations = Vec::new();
    for prefix in &replay.to_prefixes {
        let place = Place::Prefix(*prefix);
        destinations.extend(replay.price_each.map(|each| price(Kind::Segment, place, each)));
        destinations.extend(replay.price_per_minute.map(|each| price(Kind::Minute, place, each)));
    }
    destinations.push(price(Kind::Segment, Place::Everywhere, HONEST_TOLD));
    destinations.push(price(Kind::Minute, Place::Everywhere, Amount::from_micros(14_000)));
    // What carriers take of this account, which has no check for pumping.
    let fees = [(Fee::CarrierSmsUs, HONEST_FEE), (Fee::PumpingCheckUsCa, Amount::ZERO)].into();
    let rules = Rules { overrides: Overrides { destinations, fees }, ..Rules::default() };
    PriceBook::new(Prices::new("USD"), rules)
        .unwrap_or_else(|error| unreachable!("no price is negative: {error}"))
}

//! Starting a challenge, or sending its code again.
//!
//! The code goes out as an effect of the outbox, written in the transaction that allowed it: nothing is sent that was not
//! counted, and nothing is counted that is not going to be sent. The effect names the send; no code is in it.
//!
//! Many are carried out in one transaction: what they need is locked (challenges, then prefixes, then budgets), each is decided
//! in its turn and sees the ones before it, and what changed is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Actor, PhoneNumber, Secret, Sid};
use ringfence_second_factor::challenge::{self, Channel, Refused};
use ringfence_second_factor::code::CodeLength;
use ringfence_second_factor::country::Country;
use ringfence_second_factor::failures::{Barred, Failures};
use ringfence_second_factor::pumping::standing::Standing;
use ringfence_second_factor::pumping::{self, Asker, Budget, Limits, Of, Scope};
use serde_json::json;

use super::locked::Locked;
use super::others::Others;
use super::sends::NewSend;
use super::{CONSOLE, Challenge, Counter, Expected, Which, sends};
use crate::audit::{self, NewAudit};
use crate::conversions::{Destination, Way};
use crate::error::Error;
use crate::factor_keys::FactorKeys;
use crate::ledger::Reservation;
use crate::outbox::{self, NewEffect};
use crate::queue::Batched;
use crate::rates::Rates;
use crate::sql::Transaction;
use crate::write::Outcome;
use crate::{Result, StoppedPrefix, Store, conversions, failures};

/// How often a start is tried again that another node was quicker with.
const RACES_MAX: u32 = 3;

/// A challenge to start.
#[derive(Debug, Clone)]
pub struct NewChallenge {
    /// What it is for. Where one of the same number waits already, its code is sent again.
    pub expected: Expected,
    /// Where the code goes.
    pub number: PhoneNumber,
    /// How the code goes, this time.
    pub channel: Channel,
    /// How many digits a derived code has.
    pub length: CodeLength,
    /// How long the code is good, up to ten minutes.
    pub lifetime: SignedDuration,
    /// A code of the caller's own in place of a derived one.
    pub custom_code: Option<Secret>,
    /// What the sender of the code needs to know.
    pub details: serde_json::Value,
    /// What failures with it count under.
    pub counter: Counter,
    /// What is allowed to be sent.
    pub limits: Arc<Limits>,
    /// Who wants it.
    pub asker: Asker,
    /// Budgets that it counts in beside those of the limits.
    pub own_budgets: Vec<Budget>,
}

/// What sends the code of a challenge again.
#[derive(Debug, Clone)]
pub struct Resend {
    /// What the challenge is for.
    pub expected: Expected,
    /// Which one.
    pub which: Which,
    /// How the code goes, this time.
    pub channel: Channel,
    /// What is allowed to be sent.
    pub limits: Arc<Limits>,
    /// Who wants it.
    pub asker: Asker,
}

/// What became of a start.
#[derive(Debug, Clone)]
pub enum Begun {
    /// The code is on its way.
    Sent {
        /// The challenge.
        challenge: Box<Challenge>,
        /// `VL…`, this send.
        send: Sid,
        /// The prefix that is stopped with it.
        stops: Option<StoppedPrefix>,
    },
    /// Nothing was sent, and nothing counted.
    Not(NotSent),
}

/// Why no code is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSent {
    /// There is no such challenge any more.
    Over,
    /// Codes do not go to the number's country, or the number is nobody's.
    Country,
    /// The number is a landline, which gets no texts.
    Landline,
    /// The number's line is of a kind that gets no codes.
    Line,
    /// What kind of line the number is cannot be asked now.
    LineUnknown,
    /// A budget is used up, until this time.
    Budget(Of, Timestamp),
    /// Nobody enters the codes that go there.
    Stopped(Timestamp),
    /// The code was sent a moment ago; not again before this time.
    TooSoon(Timestamp),
    /// The code was sent too often. It ends at this time.
    MaxSends(Timestamp),
    /// Too many codes were tried. It ends at this time.
    MaxChecks(Timestamp),
    /// No code could be entered: too many failures in a row.
    Barred(Barred),
}

/// A start in the line of those that are carried out together.
#[derive(Clone)]
pub(crate) struct Start {
    by: Actor,
    new: NewChallenge,
    keys: Arc<FactorKeys>,
    /// What was set aside for it.
    reservation: Option<String>,
    /// Whether it is only asked what would come of it.
    only_asks: bool,
    now: Timestamp,
}

impl Batched for Start {
    type Did = Begun;

    fn carry_out<'a>(acts: &'a [Self], transaction: &'a mut Transaction) -> Outcome<'a, Vec<Begun>> {
        Box::pin(async move {
            let Some(first) = acts.first() else { return Ok(Vec::new()) };
            let all: Vec<_> = acts.iter().map(Wanted::start).collect();
            send_all(transaction, &first.keys, &all).await
        })
    }
}

impl Store {
    /// Starts a challenge and sends its code; where one of the same number waits already, its code is sent again.
    pub async fn begin_challenge(&self, by: &Actor, new: NewChallenge, now: Timestamp) -> Result<Begun> {
        self.begin_one(by, new, None, now).await
    }

    /// The same, with what was set aside for the code: whoever sends it takes that up
    /// ([`take_up_code_send`](Self::take_up_code_send)). Where nothing is sent it is the caller's to give back.
    pub async fn begin_paid_challenge(
        &self,
        by: &Actor,
        new: NewChallenge,
        reservation: &Reservation,
        now: Timestamp,
    ) -> Result<Begun> {
        self.begin_one(by, new, Some(reservation.id().to_owned()), now).await
    }

    /// Why a code would not be sent now, if it would not. Nothing is sent, and nothing counted.
    pub async fn would_not_begin(
        &self,
        by: &Actor,
        new: NewChallenge,
        now: Timestamp,
    ) -> Result<Option<NotSent>> {
        let keys = self.factor_keys().await?;
        let start = Start { by: by.clone(), new, keys, reservation: None, only_asks: true, now };
        match self.starts.carry_out(start).await? {
            Begun::Sent { .. } => Ok(None),
            Begun::Not(not) => Ok(Some(not)),
        }
    }

    async fn begin_one(
        &self,
        by: &Actor,
        new: NewChallenge,
        reservation: Option<String>,
        now: Timestamp,
    ) -> Result<Begun> {
        let keys = self.factor_keys().await?;
        let start = Start { by: by.clone(), new, keys, reservation, only_asks: false, now };
        for _ in 0..RACES_MAX {
            match self.starts.carry_out(start.clone()).await {
                // Another node began one of the same number at the same time. Next time it is found.
                Err(error) if error.is_conflict() => {}
                begun => return begun,
            }
        }
        self.starts.carry_out(start).await
    }

    /// Sends the code of a challenge again: the same code, and its end stays where it was.
    pub async fn resend_challenge(&self, by: &Actor, again: Resend, now: Timestamp) -> Result<Begun> {
        let data = (by.clone(), again, self.factor_keys().await?, now);
        self.write(data, |(by, again, keys, now), transaction| {
            Box::pin(async move {
                let mut all = send_all(transaction, keys, &[Wanted::again(by, again, *now)]).await?;
                all.pop().ok_or_else(|| Error::corrupt("challenges", "a resend came to nothing")) // one has one end
            })
        })
        .await
    }
}

/// A code that somebody wants sent, and what he may.
struct Wanted<'a> {
    by: &'a Actor,
    expected: &'a Expected,
    which: Which,
    /// How it goes.
    channel: Channel,
    /// The challenge that is begun where none waits.
    new: Option<&'a NewChallenge>,
    reservation: Option<&'a str>,
    limits: &'a Limits,
    asker: &'a Asker,
    own: &'a [Budget],
    only_asks: bool,
    now: Timestamp,
}

impl<'a> Wanted<'a> {
    fn start(start: &'a Start) -> Self {
        let Start { by, new, reservation, only_asks, now, .. } = start;
        Self {
            by,
            expected: &new.expected,
            which: Which::Number(new.number),
            channel: new.channel,
            new: Some(new),
            reservation: reservation.as_deref(),
            limits: &new.limits,
            asker: &new.asker,
            own: &new.own_budgets,
            only_asks: *only_asks,
            now: *now,
        }
    }

    fn again(by: &'a Actor, again: &'a Resend, now: Timestamp) -> Self {
        Self {
            by,
            expected: &again.expected,
            which: again.which,
            channel: again.channel,
            new: None,
            reservation: None,
            limits: &again.limits,
            asker: &again.asker,
            own: &[],
            only_asks: false,
            now,
        }
    }
}

/// Sends the codes that are wanted, each in its turn, and says what became of each.
async fn send_all(
    transaction: &mut Transaction,
    keys: &FactorKeys,
    all: &[Wanted<'_>],
) -> Result<Vec<Begun>> {
    let mut batch = Batch::read(transaction, keys, all).await?;
    let begun = all.iter().map(|wanted| batch.carry_out(wanted)).collect::<Result<_>>()?;
    batch.write(transaction).await?;
    Ok(begun)
}

/// What is to be sent, if it is allowed.
struct Plan {
    /// The challenge as it is then.
    challenge: Challenge,
    is_new: bool,
    /// Where it goes to.
    country: Country,
    /// What is watched of where it goes. People of the console are asked for a code only after their password, so nobody
    /// pumps through them.
    watched: Option<Destination>,
    /// What it counts in.
    budgets: Vec<Budget>,
}

/// All that the acts of one transaction look at and change.
struct Batch<'a> {
    keys: &'a FactorKeys,
    challenges: Locked,
    failures: BTreeMap<String, Failures>,
    prefixes: conversions::Locked,
    others: Others,
    rates: Rates,
    sends: Vec<NewSend>,
    audits: Vec<(&'a Actor, NewAudit, Timestamp)>,
}

impl<'a> Batch<'a> {
    /// What all of them need, in the order in which everybody locks it. What will not be sent anyway leaves no trace in what
    /// is only needed to send.
    async fn read(transaction: &mut Transaction, keys: &'a FactorKeys, all: &[Wanted<'_>]) -> Result<Self> {
        let wanted = all.iter().map(|wanted| (wanted.expected, wanted.which));
        let challenges = Locked::lock(transaction, keys, wanted).await?;
        let subjects = all.iter().filter_map(|wanted| {
            let new = wanted.new?;
            Some(new.counter.subject(&new.expected.application, &keys.number(new.number)))
        });
        let failures = failures::look_at(transaction, &subjects.collect()).await?;
        let mut batch = Self {
            keys,
            challenges,
            failures,
            prefixes: conversions::Locked::default(),
            others: Others::default(),
            rates: Rates::default(),
            sends: Vec::new(),
            audits: Vec::new(),
        };
        let Some(latest) = all.iter().map(|wanted| wanted.now).max() else { return Ok(batch) };
        let plans: Vec<(Plan, Timestamp)> =
            all.iter().filter_map(|wanted| Some((batch.plan(wanted).ok()?, wanted.now))).collect();
        let prefixes = plans.iter().filter_map(|(plan, _)| plan.watched.clone()).collect();
        batch.prefixes = conversions::Locked::lock(transaction, &prefixes, latest).await?;
        let watched = plans.iter().filter(|(plan, _)| plan.watched.is_some());
        batch.others = Others::read(transaction, watched.map(|(plan, _)| &plan.challenge)).await?;
        let mut allowed = Vec::with_capacity(plans.len());
        for (plan, now) in plans {
            if let Ok(for_itself) = batch.may_go(&plan, now)? {
                allowed.extend(plan.budgets);
                allowed.extend(for_itself);
            }
        }
        batch.rates = Rates::lock(transaction, &allowed).await?;
        Ok(batch)
    }

    /// What would be sent, as the challenges now stand.
    fn plan(&self, wanted: &Wanted<'_>) -> std::result::Result<Plan, NotSent> {
        let now = wanted.now;
        let found = self.challenges.find(self.keys, wanted.expected, wanted.which);
        let found = found.filter(|found| wanted.new.is_none() || found.course.is_live(now));
        let mut challenge = match (found, wanted.new) {
            (Some(found), _) => {
                let course =
                    found.course.resend(now).map_err(|refused| not_sent(refused, found.course.expires_at))?;
                let mut challenge = found.clone();
                challenge.now_at(course, now);
                // Whoever begins it again says how it is worded, and may bring a code of its own.
                if let Some(new) = wanted.new {
                    challenge.details.clone_from(&new.details);
                    challenge.custom_code = new.custom_code.clone().or(challenge.custom_code);
                }
                challenge
            }
            (None, Some(new)) => self.begun(new, now)?,
            (None, None) => return Err(NotSent::Over),
        };
        challenge.channel = wanted.channel;
        let country = pumping::allowed_country(wanted.limits, challenge.number).ok_or(NotSent::Country)?;
        let application = &challenge.expected.application;
        let scope = if application == CONSOLE { Scope::Console } else { Scope::Application(application) };
        let watched = challenge.watched();
        let (asker, tags) = (wanted.asker, &self.keys.tags);
        let mut budgets = pumping::budgets(wanted.limits, scope, challenge.number, country, asker, tags, now);
        budgets.extend(wanted.own.iter().cloned());
        budgets.sort();
        Ok(Plan { is_new: found.is_none(), challenge, country, watched, budgets })
    }

    /// A new challenge, whose code could be entered.
    fn begun(&self, new: &NewChallenge, now: Timestamp) -> std::result::Result<Challenge, NotSent> {
        let mut challenge = Challenge {
            sid: Sid::new(*b"VE", u128::from_be_bytes(crate::random())),
            expected: new.expected.clone(),
            number: new.number,
            channel: new.channel,
            length: new.length,
            details: new.details.clone(),
            course: challenge::Challenge::start(new.lifetime, now),
            updated_at: now,
            custom_code: new.custom_code.clone(),
            number_tag: self.keys.number(new.number),
            checks: 0,
            sends: 1,
            last_send: now,
        };
        challenge.now_at(challenge.course, now);
        let subject = new.counter.subject(&new.expected.application, &challenge.number_tag);
        let so_far = self.failures.get(&subject).copied().unwrap_or_default();
        match so_far.admit(new.counter.rule(), now) {
            // A code that could be entered by nobody before it is worthless is not sent.
            Err(Barred::Until(until)) if until < challenge.course.expires_at => Ok(challenge),
            Err(barred) => Err(NotSent::Barred(barred)),
            Ok(()) => Ok(challenge),
        }
    }

    /// Whether its prefix and the pauses allow it, and what it takes besides where its prefix is stopped and the number is known.
    fn may_go(&self, plan: &Plan, now: Timestamp) -> Result<std::result::Result<Option<Budget>, NotSent>> {
        let Some(to) = &plan.watched else { return Ok(Ok(None)) };
        let for_itself = match self.prefixes.may_send(to, now)? {
            Ok(Way::Open) => None,
            Ok(Way::ForItself) => Some(Budget::where_stopped(&to.key.0, &to.number_tag, now)),
            Err(stopped) => return Ok(Err(NotSent::Stopped(stopped.until))),
        };
        Ok(self.others.may_send(&plan.challenge, now).map(|()| for_itself))
    }

    /// What of each budget is open to it: of those that others share not all is, but for who has entered codes.
    fn open(&self, plan: &Plan, limits: &Limits, now: Timestamp) -> Result<Vec<Budget>> {
        let standing = match &plan.watched {
            Some(to) => self.prefixes.standing(to, now)?,
            None => Standing::Converts,
        };
        Ok(plan.budgets.iter().map(|budget| budget.open_to(standing, limits.kept_percent)).collect())
    }

    /// Whether the code goes out: it is then counted in every budget. Otherwise nothing is counted.
    fn carry_out(&mut self, wanted: &Wanted<'a>) -> Result<Begun> {
        let now = wanted.now;
        if let (Some(_), Some(found)) =
            (wanted.new, self.challenges.find(self.keys, wanted.expected, wanted.which))
            && !found.course.is_live(now)
        {
            // Its time is over: it makes room.
            let mut over = found.clone();
            over.now_at(over.course.at(now), now);
            self.challenges.put(over, now);
        }
        let plan = match self.plan(wanted) {
            Ok(plan) => plan,
            Err(not) => return Ok(Begun::Not(not)),
        };
        let for_itself = match self.may_go(&plan, now)? {
            Ok(for_itself) => for_itself,
            Err(not) => return Ok(Begun::Not(not)),
        };
        if let Some(budget) = &for_itself {
            // Where a neighbour has stopped the prefix in this transaction, whoever asks again finds it locked.
            let is_locked = self.rates.is_locked(budget);
            if !is_locked || self.rates.used_up(std::slice::from_ref(budget))?.is_some() {
                return Ok(Begun::Not(NotSent::Stopped(if is_locked { budget.ends_at } else { now })));
            }
        }
        if let Some(used_up) = self.rates.used_up(&self.open(&plan, wanted.limits, now)?)? {
            return Ok(Begun::Not(NotSent::Budget(used_up.of, used_up.ends_at)));
        }
        let send = Sid::new(*b"VL", u128::from_be_bytes(crate::random()));
        if wanted.only_asks {
            return Ok(Begun::Sent { challenge: Box::new(plan.challenge), send, stops: None });
        }
        self.rates.take(&plan.budgets)?;
        self.rates.take(for_itself.as_slice())?;
        let mut stops = None;
        if let Some(to) = &plan.watched {
            match self.prefixes.sent(to, now)? {
                Ok(stop) => stops = stop,
                Err(stopped) => return Ok(Begun::Not(NotSent::Stopped(stopped.until))),
            }
            self.others.sent(&plan.challenge);
        }
        if let Some(stop) = &stops {
            self.audits.push((wanted.by, stop.audit(), now));
        }
        self.note(wanted, &plan, send);
        let Plan { challenge, is_new, .. } = plan;
        if is_new {
            self.challenges.add(challenge.clone(), now);
        } else {
            self.challenges.put(challenge.clone(), now);
        }
        Ok(Begun::Sent { challenge: Box::new(challenge), send, stops: stops.map(|stop| stop.prefix) })
    }

    fn note(&mut self, wanted: &Wanted<'a>, plan: &Plan, send: Sid) {
        let Plan { challenge, is_new, country, .. } = plan;
        self.sends.push(NewSend {
            sid: send,
            challenge: challenge.sid,
            application: challenge.expected.application.clone(),
            channel: challenge.channel,
            country: *country,
            reservation: wanted.reservation.map(str::to_owned),
            at: wanted.now,
        });
        let action = if *is_new { "challenge.start" } else { "challenge.resend" };
        let audit = NewAudit::new(action, format!("challenge {}", challenge.sid)).with(json!({
            "application": challenge.expected.application,
            "purpose": challenge.expected.purpose,
            "channel": challenge.channel.as_str(),
            "country": country.as_str(),
            "send": send.to_string(),
        }));
        self.audits.push((wanted.by, audit, wanted.now));
    }

    /// Writes what has changed.
    async fn write(self, transaction: &mut Transaction) -> Result<()> {
        self.challenges.write(transaction).await?;
        self.prefixes.write(transaction).await?;
        self.rates.write(transaction).await?;
        sends::insert(transaction, &self.sends).await?;
        let effects = self.sends.iter().map(|send| {
            let effect = NewEffect {
                kind: if send.application == CONSOLE { "console-code" } else { "code" }.to_owned(),
                key: format!("code/{}", send.sid),
                payload: json!({ "send": send.sid.to_string() }),
                not_before: None,
            };
            (effect, send.at)
        });
        outbox::add_all_unnoted(transaction, effects).await?;
        audit::append_all(transaction, &self.audits).await
    }
}

/// Why no code is sent again.
pub(super) fn not_sent(refused: Refused, ends_at: Timestamp) -> NotSent {
    match refused {
        Refused::Over => NotSent::Over,
        Refused::MaxChecks => NotSent::MaxChecks(ends_at),
        Refused::MaxSends => NotSent::MaxSends(ends_at),
        Refused::TooSoon(until) => NotSent::TooSoon(until),
    }
}

//! Starting a challenge, or sending its code again.
//!
//! The code goes out as an effect of the outbox, written in the transaction that allowed it: nothing is sent that was not
//! counted, and nothing is counted that is not going to be sent. The effect names the send; no code is in it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Actor, PhoneNumber, Secret, Sid};
use ringfence_second_factor::challenge::{self, Channel, Refused};
use ringfence_second_factor::code::CodeLength;
use ringfence_second_factor::country::Country;
use ringfence_second_factor::failures::Barred;
use ringfence_second_factor::pumping::{self, Asker, Budget, Limits, Of, Scope};
use serde_json::json;

use super::{CONSOLE, Challenge, Counter, Expected, Which, lock, sealed, sends, write_course};
use crate::audit::{self, NewAudit};
use crate::factor_keys::FactorKeys;
use crate::ledger::Reservation;
use crate::outbox::{self, NewEffect};
use crate::sql::{Transaction, values};
use crate::{Result, StoppedPrefix, Store, conversions, failures, rates};

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
    /// The code was sent too often.
    MaxSends,
    /// Too many codes were tried. It ends at this time.
    MaxChecks(Timestamp),
    /// No code could be entered: too many failures in a row.
    Barred(Barred),
}

/// A start, as it is carried out; again, where another node was quicker.
#[derive(Clone)]
struct Start {
    by: Actor,
    new: NewChallenge,
    keys: Arc<FactorKeys>,
    /// What was set aside for it.
    reservation: Option<String>,
    now: Timestamp,
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
        let start = Start { by: by.clone(), new, keys, reservation: None, now };
        let looked = self.write(start, |start, transaction| {
            Box::pin(async move {
                transaction.run("SAVEPOINT looked".to_owned()).await?;
                let begun = start.carry_out(transaction).await?;
                transaction.run("ROLLBACK TO SAVEPOINT looked; RELEASE SAVEPOINT looked".to_owned()).await?;
                Ok(begun)
            })
        });
        match looked.await {
            Ok(Begun::Sent { .. }) => Ok(None),
            Ok(Begun::Not(not)) => Ok(Some(not)),
            // Another node begins one of the same number at this moment: who really begins finds it.
            Err(error) if error.is_conflict() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn begin_one(
        &self,
        by: &Actor,
        new: NewChallenge,
        reservation: Option<String>,
        now: Timestamp,
    ) -> Result<Begun> {
        let start = Start { by: by.clone(), new, keys: self.factor_keys().await?, reservation, now };
        for _ in 0..RACES_MAX {
            match self.begin_once(start.clone()).await {
                // Another node began one of the same number at the same time. Next time it is found.
                Err(error) if error.is_conflict() => {}
                begun => return begun,
            }
        }
        self.begin_once(start).await
    }

    async fn begin_once(&self, start: Start) -> Result<Begun> {
        self.write(start, |start, transaction| Box::pin(start.carry_out(transaction))).await
    }

    /// Sends the code of a challenge again: the same code, and its end stays where it was.
    pub async fn resend_challenge(&self, by: &Actor, again: Resend, now: Timestamp) -> Result<Begun> {
        let data = (by.clone(), again, self.factor_keys().await?, now);
        self.write(data, |(by, again, keys, now), transaction| {
            Box::pin(async move {
                let (limits, asker) = (&again.limits, &again.asker);
                let asked = Asked { by, reservation: None, limits, asker, own: &[] };
                match lock(transaction, keys, &again.expected, again.which).await? {
                    Some(found) => resend(transaction, keys, &asked, found, again.channel, *now).await,
                    None => Ok(Begun::Not(NotSent::Over)),
                }
            })
        })
        .await
    }
}

impl Start {
    async fn carry_out(&self, transaction: &mut Transaction) -> Result<Begun> {
        let Self { by, new, keys, reservation, now } = self;
        let asked = Asked {
            by,
            limits: &new.limits,
            asker: &new.asker,
            own: &new.own_budgets,
            reservation: reservation.as_deref(),
        };
        let which = Which::Number(new.number);
        if let Some(found) = lock(transaction, keys, &new.expected, which).await? {
            if found.course.is_live(*now) {
                return resend(transaction, keys, &asked, found, new.channel, *now).await;
            }
            // Its time is over: it makes room.
            let ended = found.course.at(*now);
            let mut found = found;
            found.now_at(ended, *now);
            write_course(transaction, &found, *now).await?;
        }
        begin(transaction, keys, &asked, new, *now).await
    }
}

/// Who wants a code, and what he may.
struct Asked<'a> {
    by: &'a Actor,
    reservation: Option<&'a str>,
    limits: &'a Limits,
    asker: &'a Asker,
    own: &'a [Budget],
}

async fn begin(
    transaction: &mut Transaction,
    keys: &FactorKeys,
    asked: &Asked<'_>,
    new: &NewChallenge,
    now: Timestamp,
) -> Result<Begun> {
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
        number_tag: keys.number(new.number),
        checks: 0,
        sends: 1,
        last_send: now,
    };
    challenge.now_at(challenge.course, now);
    let subject = new.counter.subject(&new.expected.application, &challenge.number_tag);
    let so_far = failures::look(transaction, &subject).await?;
    match so_far.admit(new.counter.rule(), now) {
        // A code that could be entered by nobody before it is worthless is not sent.
        Err(Barred::Until(until)) if until < challenge.course.expires_at => {}
        Err(barred) => return Ok(Begun::Not(NotSent::Barred(barred))),
        Ok(()) => {}
    }
    let allowed = match allow(transaction, keys, asked, &challenge, now).await? {
        Ok(allowed) => allowed,
        Err(not) => return Ok(Begun::Not(not)),
    };
    let insert = "INSERT INTO challenges (sid, application, purpose, binding, number_tag, sealed, channel, digits, \
                  state, state_at, live, checks, sends, last_send, created_at, updated_at, expires_at) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', $9, 1, 0, 1, $9, $9, $9, $10)";
    let Expected { application, purpose, binding } = &challenge.expected;
    let bound = values![
        challenge.sid,
        application,
        purpose,
        binding,
        &challenge.number_tag,
        sealed(&transaction.keys, &challenge),
        challenge.channel.as_str(),
        i64::from(challenge.length.digits()),
        now,
        challenge.course.expires_at,
    ];
    // Where another node was quicker with the same number, the index refuses this one, and it is asked again.
    transaction.execute(insert, bound).await?;
    enqueue(transaction, asked, "challenge.start", &challenge, &allowed, now).await?;
    Ok(Begun::Sent { challenge: Box::new(challenge), send: allowed.send, stops: allowed.stops })
}

async fn resend(
    transaction: &mut Transaction,
    keys: &FactorKeys,
    asked: &Asked<'_>,
    mut challenge: Challenge,
    channel: Channel,
    now: Timestamp,
) -> Result<Begun> {
    let course = match challenge.course.resend(now) {
        Ok(course) => course,
        Err(refused) => return Ok(Begun::Not(not_sent(refused, challenge.course.expires_at))),
    };
    challenge.channel = channel;
    let allowed = match allow(transaction, keys, asked, &challenge, now).await? {
        Ok(allowed) => allowed,
        Err(not) => return Ok(Begun::Not(not)),
    };
    challenge.now_at(course, now);
    write_course(transaction, &challenge, now).await?;
    enqueue(transaction, asked, "challenge.resend", &challenge, &allowed, now).await?;
    Ok(Begun::Sent { challenge: Box::new(challenge), send: allowed.send, stops: allowed.stops })
}

fn not_sent(refused: Refused, expires_at: Timestamp) -> NotSent {
    match refused {
        Refused::Over => NotSent::Over,
        Refused::MaxChecks => NotSent::MaxChecks(expires_at),
        Refused::MaxSends => NotSent::MaxSends,
        Refused::TooSoon(until) => NotSent::TooSoon(until),
    }
}

/// Whether the pauses allow one more send. Sign-ins of an application have a code each, and wait for each other: whoever
/// begins many sends the number no more texts than whoever asks for one code again.
async fn wait_for_others(
    transaction: &mut Transaction,
    challenge: &Challenge,
    now: Timestamp,
) -> Result<Result<(), NotSent>> {
    let Expected { application, purpose, .. } = &challenge.expected;
    let select = "SELECT CAST(coalesce(sum(sends), 0) AS BIGINT) AS sends, max(last_send) AS last, max(expires_at) AS ends \
                  FROM challenges WHERE application = $1 AND purpose = $2 AND number_tag = $3 AND live = 1 \
                  AND state IN ('pending', 'max_attempts_reached') AND expires_at > $4";
    let bound = values![application, purpose, &challenge.number_tag, now];
    let Some(row) = transaction.find(select, bound).await? else { return Ok(Ok(())) };
    let (Some(last), Some(ends)) = (row.maybe_time("last")?, row.maybe_time("ends")?) else {
        return Ok(Ok(()));
    };
    let sends = u32::try_from(row.count("sends")?).unwrap_or(u32::MAX);
    Ok(challenge::may_send(sends, last, now).map_err(|refused| not_sent(refused, ends)))
}

/// A send that was allowed.
struct Allowed {
    send: Sid,
    /// Where it goes to.
    country: Country,
    /// The prefix that is stopped with it.
    stops: Option<StoppedPrefix>,
}

/// Whether the code may go out: it is then counted in every budget. Otherwise nothing is counted.
async fn allow(
    transaction: &mut Transaction,
    keys: &FactorKeys,
    asked: &Asked<'_>,
    challenge: &Challenge,
    now: Timestamp,
) -> Result<Result<Allowed, NotSent>> {
    let application = challenge.expected.application.as_str();
    let Some(country) = pumping::allowed_country(asked.limits, challenge.number) else {
        return Ok(Err(NotSent::Country));
    };
    let scope = if application == CONSOLE { Scope::Console } else { Scope::Application(application) };
    // People of the console are asked for a code only after their password, so nobody pumps through them.
    let watched = (scope != Scope::Console).then(|| pumping::prefix(challenge.number));
    let mut conversion = None;
    if let Some(prefix) = &watched {
        let before = conversions::lock(transaction, application, prefix, now).await?;
        if let Err(stopped) = before.sent(now) {
            return Ok(Err(NotSent::Stopped(stopped.until)));
        }
        // Whoever sends there at the same time waits for this row, and sees this send.
        if let Err(not) = wait_for_others(transaction, challenge, now).await? {
            return Ok(Err(not));
        }
        conversion = Some((prefix, before));
    }
    let mut budgets =
        pumping::budgets(asked.limits, scope, challenge.number, country, asked.asker, &keys.tags, now);
    budgets.extend(asked.own.iter().cloned());
    budgets.sort();
    if let Some(used_up) = rates::take(transaction, &budgets).await? {
        return Ok(Err(NotSent::Budget(used_up.of, used_up.ends_at)));
    }
    let mut stops = None;
    if let Some((prefix, before)) = conversion {
        match conversions::sent(transaction, asked.by, (application, prefix), before, now).await? {
            Ok(stopped) => stops = stopped,
            Err(stopped) => return Ok(Err(NotSent::Stopped(stopped.until))),
        }
    }
    Ok(Ok(Allowed { send: Sid::new(*b"VL", u128::from_be_bytes(crate::random())), country, stops }))
}

async fn enqueue(
    transaction: &mut Transaction,
    asked: &Asked<'_>,
    action: &str,
    challenge: &Challenge,
    &Allowed { send, country, .. }: &Allowed,
    now: Timestamp,
) -> Result<()> {
    sends::insert(transaction, challenge, send, country, asked.reservation, now).await?;
    let effect = NewEffect {
        kind: "code".to_owned(),
        key: format!("code/{send}"),
        payload: json!({ "send": send.to_string() }),
        not_before: None,
    };
    outbox::add_unnoted(transaction, &effect, now).await?;
    let audit = NewAudit::new(action, format!("challenge {}", challenge.sid)).with(json!({
        "application": challenge.expected.application,
        "purpose": challenge.expected.purpose,
        "channel": challenge.channel.as_str(),
        "country": country.as_str(),
        "send": send.to_string(),
    }));
    audit::append(transaction, asked.by, &audit, now).await?;
    Ok(())
}

//! Each time that a code was sent: what is still to be sent, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ringfence_model::{Actor, PhoneNumber, Sid};
use ringfence_second_factor::challenge::{Channel, State};
use ringfence_second_factor::code::Code;
use ringfence_second_factor::country::Country;
use serde_json::json;

use super::Challenge;
use super::locked::read;
use crate::conversions::Destination;
use crate::error::Error;
use crate::factor_keys::FactorKeys;
use crate::ledger::Reservation;
use crate::many::{PerDialect, insert};
use crate::signs::Entered;
use crate::sql::{Row, Transaction, Value, values};
use crate::{Result, Store, audit, conversions, signs};

/// What became of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendOutcome {
    /// Nobody has sent it yet.
    Waiting,
    /// Twilio took it: the SID of the message or the call, where it gave one.
    Sent(Option<Sid>),
    /// It was not sent, or nobody can tell, and it never will be.
    Failed,
}

/// A code that was sent, or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeSend {
    /// `VL…`.
    pub sid: Sid,
    /// Of which challenge.
    pub challenge: Sid,
    /// Whose users.
    pub application: String,
    /// How.
    pub channel: Channel,
    /// Where to.
    pub country: Country,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// What became of it.
    pub outcome: SendOutcome,
    /// What its price was set aside under, where limits stand before it.
    pub reservation: Option<String>,
    /// When it was begun to be sent with what was set aside: after that nobody else sends it.
    pub taken_up_at: Option<Timestamp>,
    /// When its code was entered.
    pub converted_at: Option<Timestamp>,
    /// When something last happened to it.
    pub updated_at: Timestamp,
}

/// A code to be sent now.
#[derive(Debug)]
pub struct ToSend {
    /// The send.
    pub send: CodeSend,
    /// Its challenge, which waits for the code.
    pub challenge: Challenge,
    /// The code.
    pub code: Code,
}

/// Which sends: of an application, all that nothing else is said of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SendFilter {
    /// Of this application. There is no way to ask for those of all, which are too many to look through.
    pub application: String,
    /// Of this challenge.
    pub challenge: Option<Sid>,
    /// To this number.
    pub number: Option<PhoneNumber>,
    /// In this way.
    pub channel: Option<Channel>,
    /// To this country.
    pub country: Option<Country>,
    /// Whose codes were entered, or were not.
    pub converted: Option<bool>,
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

/// How many codes were sent and entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Sent.
    pub total: u64,
    /// Of them, entered.
    pub converted: u64,
}

/// The condition of a [`SendFilter`] over `code_sends`, from its first value on.
macro_rules! filtered {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " WHERE application = $1 AND ($2 = '' OR challenge = $2) AND ($3 = '' OR channel = $3) \
             AND ($4 = '' OR country = $4) AND ($5 < 0 OR (converted_at IS NOT NULL AND $5 = 1) \
             OR (converted_at IS NULL AND $5 = 0)) AND asked_at >= $6 AND asked_at < $7 \
             AND ($8 = '' OR EXISTS (SELECT 1 FROM challenges WHERE sid = code_sends.challenge AND number_tag = $8))",
            $after
        )
    };
}

impl SendFilter {
    fn bound(&self, keys: &FactorKeys) -> Vec<Value> {
        values![
            self.application.clone(),
            self.challenge.map(|sid| sid.to_string()).unwrap_or_default(),
            self.channel.map_or("", Channel::as_str),
            self.country.map(|country| country.to_string()).unwrap_or_default(),
            self.converted.map_or(-1, i64::from),
            self.since.unwrap_or(Timestamp::MIN),
            self.until.unwrap_or(Timestamp::MAX),
            self.number.map(|number| keys.number(number)).unwrap_or_default(),
        ]
    }
}

impl Store {
    /// What is to be sent, if it still makes sense: the send has not happened, and its challenge waits for the code.
    pub async fn code_to_send(&self, send: Sid, now: Timestamp) -> Result<Option<ToSend>> {
        let keys = self.factor_keys().await?;
        let Some(send) = self.find_code_send(send).await? else { return Ok(None) };
        if send.outcome != SendOutcome::Waiting {
            return Ok(None);
        }
        self.waiting(send, &keys, now).await
    }

    /// The code that is spoken in this call: it was made for this send, whose challenge waits for the code. A call of
    /// which nobody knows yet that it was made counts as well.
    pub async fn code_of_call(&self, send: Sid, call: Sid, now: Timestamp) -> Result<Option<ToSend>> {
        let keys = self.factor_keys().await?;
        let Some(send) = self.find_code_send(send).await? else { return Ok(None) };
        let is_made_for_it = match send.outcome {
            SendOutcome::Waiting | SendOutcome::Sent(None) => true,
            SendOutcome::Sent(Some(made)) => made == call,
            SendOutcome::Failed => false,
        };
        if send.channel != Channel::Call || !is_made_for_it {
            return Ok(None);
        }
        self.waiting(send, &keys, now).await
    }

    /// A send with its code, where the challenge waits for that.
    async fn waiting(&self, send: CodeSend, keys: &FactorKeys, now: Timestamp) -> Result<Option<ToSend>> {
        let row = self.find("SELECT * FROM challenges WHERE sid = $1", values![send.challenge]).await?;
        let Some(challenge) = row.map(|row| read(&self.keys, &row)).transpose()? else { return Ok(None) };
        if !matches!(challenge.course.at(now).state, State::Pending(_)) {
            return Ok(None);
        }
        let code = challenge.code(keys);
        Ok(Some(ToSend { send, challenge, code }))
    }

    /// Writes down what became of a send.
    pub async fn end_code_send(&self, send: Sid, outcome: SendOutcome, now: Timestamp) -> Result<()> {
        self.write((send, outcome, now), |(send, outcome, now), transaction| {
            Box::pin(async move {
                let (word, message) = match outcome {
                    SendOutcome::Waiting => ("waiting", None),
                    SendOutcome::Sent(message) => ("sent", *message),
                    SendOutcome::Failed => ("failed", None),
                };
                let update =
                    "UPDATE code_sends SET outcome = $2, message = $3, updated_at = $4 WHERE sid = $1";
                if transaction.execute(update, values![*send, word, message, *now]).await? == 0 {
                    return Err(Error::missing(format!("send {send}")));
                }
                Ok(())
            })
        })
        .await
    }

    /// The right to send a code, with what was set aside for it: once, whoever asks, and not after a crash in between. None
    /// where nothing was set aside, where it was taken up before, where the send has ended, or where what was set aside has
    /// ended or is in doubt by now.
    pub async fn take_up_code_send(&self, send: Sid, now: Timestamp) -> Result<Option<Reservation>> {
        self.write((send, now), |(send, now), transaction| {
            Box::pin(async move {
                // Not `IN (SELECT …)`: SQLite would read all reservations, with the write lock in its hand.
                let update = "UPDATE code_sends SET taken_up_at = $2, updated_at = $2 WHERE sid = $1 \
                              AND outcome = 'waiting' AND taken_up_at IS NULL AND EXISTS (SELECT 1 FROM reservations \
                              WHERE id = code_sends.reservation AND state = 'open') RETURNING reservation";
                let row = transaction.find(update, values![*send, *now]).await?;
                row.map(|row| row.text("reservation").map(Reservation::kept)).transpose()
            })
        })
        .await
    }

    /// Notes what is set aside for a code in the place of what was before, with which nothing was sent: that is the caller's
    /// to give back then. False where that is not so any more, or where it was taken up: then somebody else is at it.
    pub async fn set_aside_for_code_send(
        &self,
        send: Sid,
        before: Option<&str>,
        reservation: Option<&str>,
        now: Timestamp,
    ) -> Result<bool> {
        let (before, after) = (before.unwrap_or_default().to_owned(), reservation.map(str::to_owned));
        self.write((send, before, after, now), |(send, before, after, now), transaction| {
            Box::pin(async move {
                let update = "UPDATE code_sends SET reservation = $3, updated_at = $4 WHERE sid = $1 \
                              AND outcome = 'waiting' AND taken_up_at IS NULL AND coalesce(reservation, '') = $2";
                let bound = values![*send, before, after.clone(), *now];
                Ok(transaction.execute(update, bound).await? > 0)
            })
        })
        .await
    }

    /// Forgets what a code was begun to be sent with, where it came back since certainly nothing was made: then something
    /// may be set aside anew. False where it is not so.
    pub async fn let_go_of_code_send(&self, send: Sid, reservation: &str, now: Timestamp) -> Result<bool> {
        self.write((send, reservation.to_owned(), now), |(send, reservation, now), transaction| {
            Box::pin(async move {
                let update = "UPDATE code_sends SET reservation = NULL, taken_up_at = NULL, updated_at = $3 \
                              WHERE sid = $1 AND reservation = $2 AND taken_up_at IS NOT NULL \
                              AND EXISTS (SELECT 1 FROM reservations WHERE id = $2 AND state = 'void')";
                let bound = values![*send, reservation.as_str(), *now];
                Ok(transaction.execute(update, bound).await? > 0)
            })
        })
        .await
    }

    /// Ends a send that is not to happen, and is counted no more among the codes that nobody enters. What was set aside for
    /// it, where nobody has begun to send it with that: nobody will from now on, so it is the caller's to give back, whether
    /// it is open or in doubt.
    pub async fn give_up_code_send(&self, send: Sid, now: Timestamp) -> Result<Option<String>> {
        self.write((send, now), |(send, now), transaction| {
            Box::pin(async move {
                // Whoever counts a code locks the prefix before the send.
                let mut watched = watched(transaction, *send, *now).await?;
                let update = "UPDATE code_sends SET outcome = 'failed', updated_at = $2 WHERE sid = $1 \
                              AND outcome = 'waiting' RETURNING asked_at, converted_at, \
                              CASE WHEN taken_up_at IS NULL THEN reservation END AS unused";
                let Some(row) = transaction.find(update, values![*send, *now]).await? else {
                    return Ok(None);
                };
                if let Some((to, prefixes)) = &mut watched
                    && row.maybe_time("converted_at")?.is_none()
                {
                    let opened = prefixes.taken_back(to, row.time("asked_at")?, *now)?;
                    prefixes.write(transaction).await?;
                    if let Some(opened) = opened {
                        audit::append(transaction, &Actor::job("code"), &opened.audit(), *now).await?;
                    }
                }
                row.maybe_text("unused")
            })
        })
        .await
    }

    /// One send.
    pub async fn find_code_send(&self, send: Sid) -> Result<Option<CodeSend>> {
        let row = self.find("SELECT * FROM code_sends WHERE sid = $1", values![send]).await?;
        row.map(|row| read_send(&row)).transpose()
    }

    /// The sends of a challenge, the first one first.
    pub async fn sends_of_challenge(&self, challenge: Sid) -> Result<Vec<CodeSend>> {
        let select = "SELECT * FROM code_sends WHERE challenge = $1 ORDER BY asked_at, sid";
        self.fetch(select, values![challenge]).await?.iter().map(read_send).collect()
    }

    /// Sends, the newest first, after so many others.
    pub async fn code_sends(&self, filter: &SendFilter, after: usize, limit: usize) -> Result<Vec<CodeSend>> {
        let select =
            filtered!("SELECT * FROM code_sends", " ORDER BY asked_at DESC, sid LIMIT $9 OFFSET $10");
        let mut bound = filter.bound(&*self.factor_keys().await?);
        bound.extend(values![limit, after]);
        self.fetch(select, bound).await?.iter().map(read_send).collect()
    }

    /// How many codes were sent, and how many of them entered.
    pub async fn summarise_code_sends(&self, filter: &SendFilter) -> Result<Summary> {
        let select =
            filtered!("SELECT count(*) AS total, count(converted_at) AS converted FROM code_sends", "");
        let row = self.find(select, filter.bound(&*self.factor_keys().await?)).await?;
        row.map_or(Ok(Summary::default()), |row| {
            Ok(Summary { total: row.count("total")?, converted: row.count("converted")? })
        })
    }

    /// The challenge of a send, whatever it is for.
    pub async fn challenge_of_send(&self, send: &CodeSend) -> Result<Option<Challenge>> {
        let row = self.find("SELECT * FROM challenges WHERE sid = $1", values![send.challenge]).await?;
        row.map(|row| read(&self.keys, &row)).transpose()
    }
}

/// Where a send is counted, locked; None where nothing is counted, as of the console's.
async fn watched(
    transaction: &mut Transaction,
    send: Sid,
    now: Timestamp,
) -> Result<Option<(Destination, conversions::Locked)>> {
    let select = "SELECT c.* FROM code_sends s JOIN challenges c ON c.sid = s.challenge WHERE s.sid = $1";
    let Some(row) = transaction.find(select, values![send]).await? else { return Ok(None) };
    let Some(to) = read(&transaction.keys, &row)?.watched() else { return Ok(None) };
    let prefixes = conversions::Locked::lock(transaction, &BTreeSet::from([to.clone()]), now).await?;
    Ok(Some((to, prefixes)))
}

/// A code that is to go out.
pub(super) struct NewSend {
    pub(super) sid: Sid,
    pub(super) challenge: Sid,
    pub(super) application: String,
    pub(super) channel: Channel,
    pub(super) country: Country,
    pub(super) reservation: Option<String>,
    pub(super) at: Timestamp,
}

pub(super) async fn insert(transaction: &mut Transaction, sends: &[NewSend]) -> Result<()> {
    let rows = sends.iter().map(|send| {
        json!({
            "sid": send.sid.to_string(),
            "challenge": send.challenge.to_string(),
            "application": send.application,
            "channel": send.channel.as_str(),
            "country": send.country.as_str(),
            "asked_at": send.at.as_microsecond(),
            "outcome": "waiting",
            "updated_at": send.at.as_microsecond(),
            "reservation": send.reservation,
        })
    });
    INSERT.run_later(transaction, rows).await?;
    Ok(())
}

const INSERT: PerDialect = insert!(
    "code_sends", sid text, challenge text, application text, channel text, country text, asked_at int, outcome text,
    updated_at int, reservation text; ""
);

/// The codes that went out last for these challenges have led to an approval, at these times.
pub(super) async fn converted(
    transaction: &mut Transaction,
    approved: &BTreeMap<Sid, Timestamp>,
) -> Result<()> {
    let challenges = approved.keys().map(|challenge| json!({ "challenge": challenge.to_string() }));
    // The last one of each stays.
    let last: BTreeMap<Sid, Row> = SENT
        .run(transaction, challenges)
        .await?
        .into_iter()
        .map(|row| Ok((row.sid("challenge")?, row)))
        .collect::<Result<_>>()?;
    let (mut rows, mut entered) = (Vec::new(), Vec::new());
    for (challenge, row) in &last {
        let Some(at) = approved.get(challenge).copied() else { continue };
        rows.push(json!({ "sid": row.text("sid")?, "at": at.as_microsecond() }));
        if let (Some(account), Some(beginning)) = (row.maybe_text("account")?, row.maybe_text("beginning")?) {
            entered.push(Entered { account, beginning, sent_at: row.time("admitted_at")?, at });
        }
    }
    CONVERTED.run_later(transaction, rows).await?;
    signs::entered(transaction, &entered).await
}

/// Each send of these challenges, the first one first, and what was set aside for it.
const SENT: PerDialect = PerDialect {
    sqlite: "SELECT s.sid, s.challenge, r.account, r.beginning, r.admitted_at FROM code_sends s \
             LEFT JOIN reservations r ON r.id = s.reservation \
             WHERE s.challenge IN (SELECT value ->> 'challenge' FROM json_each($1)) ORDER BY s.asked_at, s.sid",
    postgres: "SELECT s.sid, s.challenge, r.account, r.beginning, r.admitted_at FROM code_sends s \
               LEFT JOIN reservations r ON r.id = s.reservation WHERE s.challenge = ANY (ARRAY(\
               SELECT j.challenge FROM jsonb_to_recordset($1::jsonb) AS j(challenge text))) ORDER BY s.asked_at, s.sid",
};

const CONVERTED: PerDialect = PerDialect {
    sqlite: "UPDATE code_sends SET converted_at = r.value ->> 'at', updated_at = r.value ->> 'at' \
             FROM json_each($1) AS r WHERE code_sends.sid = r.value ->> 'sid'",
    postgres: "UPDATE code_sends SET converted_at = r.at, updated_at = r.at \
               FROM jsonb_to_recordset($1::jsonb) AS r(sid text, at bigint) WHERE code_sends.sid = r.sid",
};

fn read_send(row: &Row) -> Result<CodeSend> {
    let sid = row.sid("sid")?;
    let corrupt =
        |what: &str| Error::corrupt(format!("code_sends of {sid}"), format!("`{what}` is none of ours"));
    let (channel, country, outcome) = (row.text("channel")?, row.text("country")?, row.text("outcome")?);
    Ok(CodeSend {
        sid,
        challenge: row.sid("challenge")?,
        application: row.text("application")?,
        channel: Channel::from_word(&channel).ok_or_else(|| corrupt(&channel))?,
        country: Country::parse(&country).map_err(|_| corrupt(&country))?,
        asked_at: row.time("asked_at")?,
        outcome: match outcome.as_str() {
            "waiting" => SendOutcome::Waiting,
            "sent" => SendOutcome::Sent(row.maybe_sid("message")?),
            "failed" => SendOutcome::Failed,
            other => return Err(corrupt(other)),
        },
        reservation: row.maybe_text("reservation")?,
        taken_up_at: row.maybe_time("taken_up_at")?,
        converted_at: row.maybe_time("converted_at")?,
        updated_at: row.time("updated_at")?,
    })
}

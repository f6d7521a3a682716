//! Rows of the ledger, read and written.

use std::borrow::Cow;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use ringfence_breaker::{Hold, Ledger, Measure, Place, Taken, needs_read_back};
use ringfence_model::{Amount, Sid};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{LedgerError, LedgerRow, NewReservation, OpenReservation, ReservationState};
use crate::error::Error;
use crate::many::{PerDialect, json, text};
use crate::sql::{Row, Transaction, Value, values};
use crate::transaction::Statement;
use crate::{Result, hex};

/// A limit's name and the subject, as both are written.
pub(super) type Key = (String, String);

/// What one reservation holds under one limit, as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HeldRow {
    #[serde(rename = "l")]
    pub(super) limit: String,
    #[serde(rename = "s")]
    pub(super) subject: String,
    #[serde(rename = "a")]
    pub(super) amount: i64,
    #[serde(rename = "m")]
    pub(super) measure: Measure,
    /// The part of the amount whose truth Twilio's lists tell.
    #[serde(rename = "t")]
    pub(super) told: i64,
    /// Whether Twilio counts what the limit counts, so that its usage records tell the rest.
    #[serde(rename = "u")]
    pub(super) in_usage_records: bool,
    /// The place that it took in an even flow.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub(super) place: Option<Place>,
    /// Until when what lists do not tell may go on, in microseconds.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub(super) goes_on: Option<i64>,
}

impl HeldRow {
    pub(super) fn taken(&self) -> Taken {
        Taken { amount: Amount::from_micros(self.amount), place: self.place }
    }
}

/// A reservation as a batch works on it.
#[derive(Debug, Clone)]
pub(super) struct ReservationRow {
    pub(super) account: String,
    pub(super) operation: String,
    pub(super) state: ReservationState,
    pub(super) holds: Vec<HeldRow>,
    /// The beginning of the number that it goes to.
    pub(super) beginning: Option<String>,
    /// Whether Ringfence itself sends it: nobody's credential asked.
    pub(super) is_ours: bool,
    /// Whether it is known whether it arrived.
    pub(super) has_arrival: bool,
    pub(super) admitted_at: Timestamp,
}

/// A reservation to insert.
#[derive(Debug, Serialize)]
pub(super) struct InsertRow<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) credential: String,
    pub(super) account: String,
    pub(super) operation: &'a str,
    pub(super) worst: i64,
    pub(super) holds: String,
    pub(super) party: Option<&'a str>,
    pub(super) parent: Option<String>,
    pub(super) beginning: Option<String>,
    pub(super) state: &'static str,
    pub(super) admitted_at: i64,
    pub(super) deadline: i64,
}

pub(super) fn ledger(row: &Row) -> Result<LedgerRow> {
    let mut ledger: Ledger = row.json("sums")?;
    // The column is what a program without this code can add up.
    ledger.reserved = Amount::from_micros(row.int("reserved")?);
    ledger.read_back = row.maybe_text("read_back")?;
    Ok(LedgerRow {
        limit: row.text("limit_name")?,
        subject: row.text("subject")?,
        ledger,
        changed_at: row.time("changed_at")?,
    })
}

pub(super) fn open_reservation(row: &Row) -> Result<OpenReservation> {
    Ok(OpenReservation {
        id: row.text("id")?,
        account: row.sid("account")?,
        operation: row.text("operation")?,
        worst: Amount::from_micros(row.int("worst")?),
        party: row.maybe_text("party")?,
        state: state(row)?,
        resource: row.maybe_sid("resource")?,
        parent: row.maybe_sid("parent")?,
        admitted_at: row.time("admitted_at")?,
        deadline: row.time("deadline")?,
        has_arrival: row.maybe_text("arrival")?.is_some(),
    })
}

fn state(row: &Row) -> Result<ReservationState> {
    let word = row.text("state")?;
    ReservationState::read(&word)
        .ok_or_else(|| Error::corrupt("reservations.state", format!("{word} is none")))
}

/// The breakers of these limits on these subjects, where they have moved.
pub(super) fn breakers(transaction: &Transaction, keys: &BTreeSet<Key>) -> Result<Statement> {
    const SELECT: PerDialect = PerDialect {
        sqlite: "SELECT limit_name, subject, state, version FROM json_each($1) AS r CROSS JOIN breakers \
                 ON limit_name = r.value ->> 'l' AND subject = r.value ->> 's'",
        postgres: "SELECT limit_name, subject, state, version FROM breakers \
                   JOIN jsonb_to_recordset($1::jsonb) AS r(l text, s text) ON limit_name = r.l AND subject = r.s",
    };
    Ok((SELECT.of(transaction), vec![names(keys)?]))
}

/// Those of these credentials that are not revoked.
pub(super) fn credentials(transaction: &Transaction, asking: &BTreeSet<Sid>) -> Statement {
    let select = if transaction.is_sqlite() {
        "SELECT sid, expires_at, used_at FROM credentials \
         WHERE sid IN (SELECT value FROM json_each($1)) AND revoked_at IS NULL"
    } else {
        "SELECT sid, expires_at, used_at FROM credentials \
         WHERE sid IN (SELECT jsonb_array_elements_text($1::jsonb)) AND revoked_at IS NULL"
    };
    let asking: Vec<String> = asking.iter().map(Sid::to_string).collect();
    (select, values![json!(asking).to_string()])
}

/// The locks and the sums of these limits on these subjects, and of those that these reservations hold something under.
/// Everybody locks in the same order, whatever the language of the database is, so that nobody waits in a circle.
pub(super) fn ledgers(transaction: &Transaction, keys: &BTreeSet<Key>, ids: &[String]) -> Result<Statement> {
    const OF_KEYS: PerDialect = PerDialect {
        sqlite: "SELECT ledger.* FROM json_each($1) AS r CROSS JOIN ledger \
                 ON limit_name = r.value ->> 'l' AND subject = r.value ->> 's'",
        postgres: "SELECT ledger.* FROM ledger \
                   JOIN jsonb_to_recordset($1::jsonb) AS r(l text, s text) ON limit_name = r.l AND subject = r.s \
                   ORDER BY limit_name COLLATE \"C\", subject COLLATE \"C\" FOR UPDATE OF ledger",
    };
    const OF_BOTH: PerDialect = PerDialect {
        sqlite: "SELECT ledger.* FROM (SELECT r.value ->> 'l' AS l, r.value ->> 's' AS s FROM json_each($1) AS r UNION \
                 SELECT h.value ->> 'l', h.value ->> 's' FROM json_each($2) AS i CROSS JOIN reservations \
                 ON reservations.id = i.value CROSS JOIN json_each(holds) AS h) AS r CROSS JOIN ledger \
                 ON limit_name = r.l AND subject = r.s",
        postgres: "SELECT ledger.* FROM ledger JOIN (SELECT r.l, r.s \
                   FROM jsonb_to_recordset($1::jsonb) AS r(l text, s text) UNION \
                   SELECT h ->> 'l', h ->> 's' FROM jsonb_array_elements_text($2::jsonb) AS i JOIN reservations \
                   ON reservations.id = i CROSS JOIN jsonb_array_elements(holds::jsonb) AS h) AS r \
                   ON limit_name = r.l AND subject = r.s \
                   ORDER BY limit_name COLLATE \"C\", subject COLLATE \"C\" FOR UPDATE OF ledger",
    };
    if ids.is_empty() {
        return Ok((OF_KEYS.of(transaction), vec![names(keys)?]));
    }
    Ok((OF_BOTH.of(transaction), vec![names(keys)?, json(ids)?]))
}

fn names(keys: &BTreeSet<Key>) -> Result<Value> {
    #[derive(Serialize)]
    struct Name<'k> {
        l: &'k str,
        s: &'k str,
    }
    let names: Vec<Name<'_>> = keys.iter().map(|(limit, subject)| Name { l: limit, s: subject }).collect();
    json(&names)
}

/// The sums of all rows that are there, and of new ones where they are not.
pub(super) async fn lock(
    transaction: &mut Transaction,
    there: &[Row],
    fresh: BTreeMap<Key, Ledger>,
    now: Timestamp,
) -> Result<BTreeMap<Key, Ledger>> {
    let mut locked = BTreeMap::new();
    for row in there {
        let LedgerRow { limit, subject, ledger, .. } = ledger(row)?;
        locked.insert((limit, subject), ledger);
    }
    let insert = "INSERT INTO ledger (limit_name, subject, sums, reserved, changed_at) VALUES ($1, $2, $3, 0, $4) \
                  ON CONFLICT (limit_name, subject) DO UPDATE SET changed_at = ledger.changed_at RETURNING *";
    for (key, fresh) in fresh {
        if let Entry::Vacant(place) = locked.entry(key) {
            let (limit, subject) = place.key();
            let bound = values![limit, subject, json!(fresh).to_string(), now];
            let row = transaction.find(insert, bound).await?;
            let row = row.ok_or_else(|| Error::corrupt("ledger", "an insert gave back no row"))?;
            place.insert(ledger(&row)?.ledger);
        }
    }
    Ok(locked)
}

/// Writes the sums of rows that are locked, by one statement.
pub(super) async fn write<'r>(
    transaction: &mut Transaction,
    rows: impl Iterator<Item = (&'r Key, &'r Ledger)>,
    now: Timestamp,
) -> Result<()> {
    #[derive(Serialize)]
    struct Written<'r> {
        l: &'r str,
        s: &'r str,
        sums: String,
        reserved: i64,
        read_back: Option<&'r str>,
    }
    let rows = rows.map(|((limit, subject), ledger)| {
        Ok(Written {
            l: limit,
            s: subject,
            sums: text(ledger)?,
            reserved: ledger.reserved.micros(),
            read_back: ledger.read_back.as_deref(),
        })
    });
    let rows = rows.collect::<Result<Vec<_>>>()?;
    if rows.is_empty() {
        return Ok(());
    }
    let update = if transaction.is_sqlite() {
        "UPDATE ledger SET sums = r.value ->> 'sums', reserved = r.value ->> 'reserved', \
         read_back = r.value ->> 'read_back', changed_at = $2 FROM json_each($1) AS r \
         WHERE limit_name = r.value ->> 'l' AND subject = r.value ->> 's'"
    } else {
        "UPDATE ledger SET sums = r.sums, reserved = r.reserved, read_back = r.read_back, changed_at = $2 \
         FROM jsonb_to_recordset($1::jsonb) AS r(l text, s text, sums text, reserved bigint, read_back text) \
         WHERE limit_name = r.l AND subject = r.s"
    };
    transaction.later(update, vec![json(&rows)?, now.into()]).await
}

/// The reservations of these ids that are there, in the order of nothing.
pub(super) fn reservations(transaction: &Transaction, ids: &[String]) -> Result<Statement> {
    let select = if transaction.is_sqlite() {
        "SELECT id, account, operation, state, holds, beginning, credential, arrival, admitted_at FROM reservations \
         WHERE id IN (SELECT value FROM json_each($1))"
    } else {
        "SELECT id, account, operation, state, holds, beginning, credential, arrival, admitted_at FROM reservations \
         WHERE id IN (SELECT jsonb_array_elements_text($1::jsonb))"
    };
    Ok((select, vec![json(ids)?]))
}

/// Out of what that gave back.
pub(super) fn read_reservations(rows: &[Row]) -> Result<BTreeMap<String, ReservationRow>> {
    rows.iter()
        .map(|row| {
            let (account, operation) = (row.text("account")?, row.text("operation")?);
            let (state, holds) = (state(row)?, row.json("holds")?);
            let it = ReservationRow {
                account,
                operation,
                state,
                holds,
                beginning: row.maybe_text("beginning")?,
                is_ours: row.text("credential")?.is_empty(),
                has_arrival: row.maybe_text("arrival")?.is_some(),
                admitted_at: row.time("admitted_at")?,
            };
            Ok((row.text("id")?, it))
        })
        .collect()
}

/// Inserts many rows by one statement.
pub(super) async fn insert(transaction: &mut Transaction, rows: &[InsertRow<'_>]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    // What is there already is an answer that another node admitted at the same time, under no limit at all.
    let insert = if transaction.is_sqlite() {
        "INSERT INTO reservations (id, credential, account, operation, worst, holds, party, parent, beginning, state, \
         admitted_at, deadline) SELECT value ->> 'id', value ->> 'credential', value ->> 'account', \
         value ->> 'operation', value ->> 'worst', value ->> 'holds', value ->> 'party', value ->> 'parent', \
         value ->> 'beginning', value ->> 'state', value ->> 'admitted_at', value ->> 'deadline' FROM json_each($1) WHERE true \
         ON CONFLICT (id) DO NOTHING"
    } else {
        "INSERT INTO reservations (id, credential, account, operation, worst, holds, party, parent, beginning, state, \
         admitted_at, deadline) SELECT id, credential, account, operation, worst, holds, party, parent, beginning, state, \
         admitted_at, deadline FROM jsonb_to_recordset($1::jsonb) AS r(id text, credential text, account text, \
         operation text, worst bigint, holds text, party text, parent text, beginning text, state text, admitted_at bigint, \
         deadline bigint) ON CONFLICT (id) DO NOTHING"
    };
    transaction.later(insert, vec![json(rows)?]).await
}

/// How a reservation changes.
#[derive(Debug, Serialize)]
pub(super) struct UpdateRow {
    pub(super) id: String,
    pub(super) state: &'static str,
    pub(super) resource: Option<String>,
    pub(super) price: Option<i64>,
    pub(super) ended_at: Option<i64>,
    /// Where it holds something else from now on.
    pub(super) holds: Option<String>,
    /// Where it is admitted once more.
    pub(super) admitted_at: Option<i64>,
    pub(super) deadline: Option<i64>,
}

/// Changes many rows by one statement.
pub(super) async fn update(transaction: &mut Transaction, rows: &[UpdateRow]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let update = if transaction.is_sqlite() {
        "UPDATE reservations SET state = r.value ->> 'state', \
         resource = coalesce(r.value ->> 'resource', resource), price = coalesce(r.value ->> 'price', price), \
         ended_at = r.value ->> 'ended_at', holds = coalesce(r.value ->> 'holds', holds), \
         admitted_at = coalesce(r.value ->> 'admitted_at', admitted_at), \
         deadline = coalesce(r.value ->> 'deadline', deadline) FROM json_each($1) AS r WHERE reservations.id = r.value ->> 'id'"
    } else {
        "UPDATE reservations SET state = r.state, resource = coalesce(r.resource, reservations.resource), \
         price = coalesce(r.price, reservations.price), ended_at = r.ended_at, \
         holds = coalesce(r.holds, reservations.holds), admitted_at = coalesce(r.admitted_at, reservations.admitted_at), \
         deadline = coalesce(r.deadline, reservations.deadline) \
         FROM jsonb_to_recordset($1::jsonb) AS r(id text, state text, resource text, price bigint, \
         ended_at bigint, holds text, admitted_at bigint, deadline bigint) WHERE reservations.id = r.id"
    };
    transaction.later(update, vec![json(rows)?]).await
}

/// A fingerprint of limits, from rows with `name` and `hash`.
pub(super) fn fingerprint(rows: &[Row]) -> Result<String> {
    let each = rows.iter().map(|row| Ok((row.text("name")?, row.text("hash")?)));
    Ok(limits_fingerprint(each.collect::<Result<Vec<_>>>()?))
}

/// A fingerprint of limits by their names and hashes: the same for the same limits, whatever their order.
pub fn limits_fingerprint(mut limits: Vec<(String, String)>) -> String {
    limits.sort_unstable();
    let mut all = Context::new(&SHA256);
    for (name, hash) in limits {
        // A name may hold anything, so its length says where it ends.
        all.update(&name.len().to_be_bytes());
        all.update(name.as_bytes());
        all.update(hash.as_bytes());
    }
    hex::write(all.finish().as_ref())
}

/// Where the sums are not what the open reservations add up to.
pub(super) async fn check(transaction: &mut Transaction) -> Result<Vec<LedgerError>> {
    // One statement, so that both are of one moment.
    let select = "SELECT limit_name, subject, reserved, CAST(NULL AS TEXT) AS holds FROM ledger UNION ALL \
                  SELECT '', '', 0, holds FROM reservations WHERE ended_at IS NULL";
    let rows = transaction.fetch(select, values![]).await?;
    let mut open = BTreeMap::<(String, String), i64>::new();
    for row in &rows {
        if row.maybe_text("holds")?.is_none() {
            continue;
        }
        for held in row.json::<Vec<HeldRow>>("holds")? {
            let sum = open.entry((held.limit, held.subject)).or_default();
            *sum = sum.saturating_add(held.amount);
        }
    }
    let mut errors = Vec::new();
    for row in rows.iter().filter(|row| row.maybe_text("holds").is_ok_and(|holds| holds.is_none())) {
        let (limit, subject) = (row.text("limit_name")?, row.text("subject")?);
        let (reserved, open) =
            (row.int("reserved")?, open.remove(&(limit.clone(), subject.clone())).unwrap_or_default());
        if reserved != open {
            let (reserved, open) = (Amount::from_micros(reserved), Amount::from_micros(open));
            errors.push(LedgerError { limit, subject, reserved, open });
        }
    }
    let open = open.into_iter().filter(|(_, open)| *open != 0);
    errors.extend(open.map(|((limit, subject), open)| LedgerError {
        limit,
        subject,
        reserved: Amount::ZERO,
        open: Amount::from_micros(open),
    }));
    Ok(errors)
}

/// What a request sets aside, as it is written first.
pub(super) fn insert_row<'a>(
    id: &'a str,
    new: &'a NewReservation,
    holds: &[Hold],
    taken: &[Taken],
    now: Timestamp,
) -> InsertRow<'a> {
    let deadline = now.saturating_add(new.patience).unwrap_or(Timestamp::MAX);
    let until = now.saturating_add(new.goes_on).unwrap_or(Timestamp::MAX);
    let goes_on = new.goes_on.is_positive().then_some(until.as_microsecond());
    InsertRow {
        id: id.into(),
        credential: new.credential.map(|sid| sid.to_string()).unwrap_or_default(),
        account: new.account.to_string(),
        operation: &new.operation,
        worst: new.worst.micros(),
        holds: json!(held_rows(holds, taken, goes_on)).to_string(),
        party: new.party.as_deref(),
        parent: None,
        beginning: new.beginning.map(|it| it.to_string()),
        state: ReservationState::Open.word(),
        admitted_at: now.as_microsecond(),
        deadline: deadline.as_microsecond(),
    }
}

/// What it holds under each limit, as it was taken there.
pub(super) fn held_rows(holds: &[Hold], taken: &[Taken], goes_on: Option<i64>) -> Vec<HeldRow> {
    let held = holds.iter().zip(taken).map(|(hold, taken)| HeldRow {
        limit: hold.limit.limit.name.clone(),
        subject: hold.subject.to_string(),
        amount: hold.amount.micros(),
        measure: hold.limit.limit.measure,
        told: hold.told.micros(),
        in_usage_records: needs_read_back(&hold.limit.limit),
        place: taken.place,
        goes_on: goes_on.filter(|_| hold.amount > hold.told),
    });
    held.collect()
}

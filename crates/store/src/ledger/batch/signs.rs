//! What came of what was sent, counted in the minute in which it was sent: the signs by which pumping is known.
//!
//! Each thing is counted once: a message when it was made and when it is known whether it arrived, a code when it was sent
//! and when it was entered. What a reservation knows of that stands in its row.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ringfence_breaker::DialPrefix;
use ringfence_model::Sid;
use serde_json::json;

use super::traffic::Came;
use super::{Batch, Op};
use crate::Result;
use crate::ledger::Arrival;
use crate::ledger::rows::ReservationRow;
use crate::signs::{self, Counts};
use crate::sql::{Transaction, values};

/// What starts a verification, whose end tells whether somebody was there.
const VERIFICATION: &str = "verifications.create";

/// What a batch must know of what was sent before, and what it adds.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// When a verification was last sent to somebody through here, and where that is.
    verifications: BTreeMap<String, (Timestamp, String)>,
    came: BTreeMap<(String, String, i64), Counts>,
    arrivals: BTreeMap<String, Arrival>,
}

impl Signs {
    /// Reads when the verifications were sent whose codes were entered.
    pub(super) async fn read<'o>(
        ops: impl Iterator<Item = &'o Op>,
        transaction: &mut Transaction,
    ) -> Result<Self> {
        let entered = ops.filter_map(|op| match op {
            Op::Verified { verification, .. } => Some((*verification)?.to_string()),
            _ => None,
        });
        let entered: BTreeSet<String> = entered.collect();
        let mut signs = Self::default();
        if entered.is_empty() {
            return Ok(signs);
        }
        let select = if transaction.is_sqlite() {
            "SELECT resource, beginning, admitted_at FROM reservations WHERE operation = $2 AND beginning IS NOT NULL \
             AND resource IN (SELECT value FROM json_each($1)) ORDER BY admitted_at"
        } else {
            "SELECT resource, beginning, admitted_at FROM reservations WHERE operation = $2 AND beginning IS NOT NULL \
             AND resource IN (SELECT jsonb_array_elements_text($1::jsonb)) ORDER BY admitted_at"
        };
        for row in transaction.fetch(select, values![json!(entered).to_string(), VERIFICATION]).await? {
            // The last one stays: it brought the code that was entered.
            let sent = (row.time("admitted_at")?, row.text("beginning")?);
            signs.verifications.insert(row.text("resource")?, sent);
        }
        Ok(signs)
    }

    fn add(&mut self, account: &str, beginning: &str, sent_at: Timestamp, counts: Counts) {
        let key = (account.to_owned(), beginning.to_owned(), signs::slot(sent_at));
        self.came.entry(key).or_default().add(counts);
    }

    /// Adds it to what is counted already, in the order of the keys.
    pub(super) async fn write(&self, transaction: &mut Transaction) -> Result<()> {
        signs::add(transaction, &self.came).await?;
        if self.arrivals.is_empty() {
            return Ok(());
        }
        let rows = self.arrivals.iter().map(|(id, arrival)| json!({ "id": id, "a": arrival.word() }));
        let rows = json!(rows.collect::<Vec<_>>()).to_string();
        let update = if transaction.is_sqlite() {
            "UPDATE reservations SET arrival = r.value ->> 'a' FROM json_each($1) AS r \
             WHERE reservations.id = r.value ->> 'id'"
        } else {
            "UPDATE reservations SET arrival = r.a FROM jsonb_to_recordset($1::jsonb) AS r(id text, a text) \
             WHERE reservations.id = r.id"
        };
        transaction.later(update, values![rows]).await
    }
}

impl Batch<'_> {
    /// Twilio has made what was asked for, which nobody knew before.
    pub(super) fn made(&mut self, row: &ReservationRow, now: Timestamp) {
        let Some(beginning) = &row.beginning else { return };
        let (is_text, is_code) = (is_text(row), is_code(row));
        let is_own = is_code && row.is_ours;
        let counts = Counts {
            sent: i64::from(is_text),
            started: i64::from(is_code && !is_own),
            own_started: i64::from(is_own),
            ..Counts::default()
        };
        self.signs.add(&row.account, beginning, row.admitted_at, counts);
        if is_code {
            self.came(row, Came { started: 1, ..Came::default() }, now);
        }
    }

    /// Whether it arrived is known. Whether that is news.
    pub(super) fn arrived(&mut self, id: &str, arrival: Arrival) -> bool {
        let Some(row) = self.reservations.get_mut(id) else { return false };
        if row.has_arrival || arrival == Arrival::Unknown || !is_text(row) {
            return false;
        }
        row.has_arrival = true;
        let Some(beginning) = &row.beginning else { return false };
        let counts = Counts {
            delivered: i64::from(arrival == Arrival::Delivered),
            undelivered: i64::from(arrival == Arrival::Failed),
            ..Counts::default()
        };
        self.signs.add(&row.account, beginning, row.admitted_at, counts);
        self.signs.arrivals.insert(id.to_owned(), arrival);
        true
    }

    /// The code of a verification was entered. Of one that was sent past the egress nobody knows when that was.
    pub(super) fn verified(
        &mut self,
        account: Sid,
        beginning: DialPrefix,
        verification: Option<Sid>,
        now: Timestamp,
    ) {
        let account = account.to_string();
        let came = Came { settled: 1, approved: 1, ..Came::default() };
        self.places.came(&account, &beginning.to_string(), now, came);
        let sent = verification.and_then(|sid| self.signs.verifications.get(&sid.to_string())).cloned();
        if let Some((sent_at, beginning)) = sent {
            self.signs.add(&account, &beginning, sent_at, Counts { approved: 1, ..Counts::default() });
        }
    }

    pub(super) fn came(&mut self, row: &ReservationRow, came: Came, now: Timestamp) {
        if let Some(beginning) = &row.beginning
            && came != Came::default()
        {
            self.places.came(&row.account, beginning, now, came);
        }
    }
}

/// Whether Twilio's list tells of it whether it arrived.
fn is_text(row: &ReservationRow) -> bool {
    matches!(row.operation.as_str(), "messages.create" | "twiml.message")
}

/// Whether it brings a code that is entered here or in a check of Verify: what an application sends by itself may be anything.
/// What Ringfence sends besides has no beginning, and is not asked about.
fn is_code(row: &ReservationRow) -> bool {
    row.operation == VERIFICATION
        || (row.is_ours && matches!(row.operation.as_str(), "messages.create" | "calls.create"))
}

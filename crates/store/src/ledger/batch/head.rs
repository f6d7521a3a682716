//! What every batch must know before anything else, read by one statement.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::Result;
use crate::epoch::{Known, known};
use crate::error::Error;
use crate::ledger::rows::limits_fingerprint;
use crate::sql::{Row, Transaction};
use crate::transaction::Statement;

/// The time by the database, what it says of its epoch, and the limits that hold.
pub(super) struct Head {
    pub(super) database_now: Timestamp,
    pub(super) known: Known,
    /// Of the limits that hold, by name.
    pub(super) hashes: HashMap<String, String>,
    /// Their fingerprint.
    pub(super) limits: String,
}

/// Rows by what they tell. `clock` is the microseconds since 1970, as a text.
macro_rules! head {
    ($known:expr, $clock:literal) => {
        concat!(
            "SELECT 'meta' AS tells, name, value FROM (",
            $known,
            ") AS known UNION ALL SELECT 'limit', name, hash FROM limits UNION ALL SELECT 'clock', '', ",
            $clock
        )
    };
}

impl Head {
    /// What asks for it.
    pub(super) fn ask(transaction: &Transaction) -> Statement {
        let select = if transaction.is_sqlite() {
            head!(known!(sqlite), "CAST(CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000 AS TEXT)")
        } else {
            head!(known!(postgres), "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text")
        };
        (select, Known::names())
    }

    /// Out of what that gave back.
    pub(super) fn read(rows: &[Row]) -> Result<Self> {
        let (mut clock, mut known, mut hashes) = (None, BTreeMap::new(), HashMap::new());
        for row in rows {
            let (name, value) = (row.text("name")?, row.text("value")?);
            match row.text("tells")?.as_str() {
                "limit" => drop(hashes.insert(name, value)),
                "clock" => clock = value.parse().ok().and_then(|it| Timestamp::from_microsecond(it).ok()),
                _ => drop(known.insert(name, value)),
            }
        }
        let limits = hashes.iter().map(|(name, hash)| (name.clone(), hash.clone())).collect();
        Ok(Self {
            database_now: clock.ok_or_else(|| Error::corrupt("the database's clock", "it gave no time"))?,
            known: Known::of(known),
            limits: limits_fingerprint(limits),
            hashes,
        })
    }
}

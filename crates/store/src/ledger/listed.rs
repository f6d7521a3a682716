//! Reservations and sums as people look at them. Nothing is decided by it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ringfence_model::{Amount, Sid};

use super::{OpenReservation, rows};
use crate::sql::{Pool, Row, values};
use crate::{Result, Store};

/// A reservation, ended or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedReservation {
    /// As it is worked on.
    pub it: OpenReservation,
    /// The credential that asked.
    pub credential: Sid,
    /// Its true price, without what is billed beside it; `None` while nobody knows.
    pub price: Option<Amount>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// Which reservations are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// What has not ended, what was admitted last first.
    Open,
    /// What nobody knows the end of, what was admitted last first.
    InDoubt,
    /// What ended since, what ended last first.
    Ended(Timestamp),
}

/// Where a page of a list ends: the time by which it is sorted, and the name, of its last row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedBefore {
    /// The time.
    pub at: Timestamp,
    /// The name.
    pub id: String,
}

impl ListedReservation {
    /// What the page after this row begins at.
    pub fn before(&self, listing: Listing) -> ListedBefore {
        let at = match listing {
            Listing::Open | Listing::InDoubt => self.it.admitted_at,
            Listing::Ended(_) => self.ended_at.unwrap_or(self.it.admitted_at),
        };
        ListedBefore { at, id: self.it.id.clone() }
    }
}

impl Store {
    /// A page of reservations, newest first; of one account, if one is given.
    pub async fn list_reservations(
        &self,
        listing: Listing,
        account: Option<Sid>,
        before: Option<&ListedBefore>,
        limit: usize,
    ) -> Result<Vec<ListedReservation>> {
        let select = match listing {
            Listing::Open => {
                "SELECT * FROM reservations WHERE ended_at IS NULL AND ($1 = '' OR account = $1) \
                 AND admitted_at >= $2 AND (admitted_at < $3 OR (admitted_at = $3 AND id < $4)) \
                 ORDER BY admitted_at DESC, id DESC LIMIT $5"
            }
            Listing::InDoubt => {
                "SELECT * FROM reservations WHERE ended_at IS NULL AND state = 'in-doubt' \
                 AND ($1 = '' OR account = $1) AND admitted_at >= $2 \
                 AND (admitted_at < $3 OR (admitted_at = $3 AND id < $4)) \
                 ORDER BY admitted_at DESC, id DESC LIMIT $5"
            }
            Listing::Ended(_) => {
                "SELECT * FROM reservations WHERE ended_at IS NOT NULL AND ($1 = '' OR account = $1) \
                 AND ended_at >= $2 AND (ended_at < $3 OR (ended_at = $3 AND id < $4)) \
                 ORDER BY ended_at DESC, id DESC LIMIT $5"
            }
        };
        let since = if let Listing::Ended(since) = listing { since } else { Timestamp::MIN };
        let account = account.map(|sid| sid.to_string()).unwrap_or_default();
        let (at, id) = before.map_or((Timestamp::MAX, ""), |before| (before.at, before.id.as_str()));
        self.fetch(select, values![account, since, at, id, limit]).await?.iter().map(listed).collect()
    }

    /// How many reservations are open under each limit and subject, by both names.
    pub async fn open_by_limit(&self) -> Result<BTreeMap<(String, String), u64>> {
        let select = match &self.pool {
            Pool::Sqlite(_) => {
                "SELECT h.value ->> 'l' AS limit_name, h.value ->> 's' AS subject, count(*) AS open \
                 FROM reservations, json_each(reservations.holds) AS h WHERE ended_at IS NULL GROUP BY 1, 2"
            }
            Pool::Postgres(_) => {
                "SELECT h ->> 'l' AS limit_name, h ->> 's' AS subject, count(*) AS open \
                 FROM reservations, jsonb_array_elements(holds::jsonb) AS h WHERE ended_at IS NULL GROUP BY 1, 2"
            }
        };
        let rows = self.fetch(select, values![]).await?;
        rows.iter()
            .map(|row| Ok(((row.text("limit_name")?, row.text("subject")?), row.count("open")?)))
            .collect()
    }
}

fn listed(row: &Row) -> Result<ListedReservation> {
    Ok(ListedReservation {
        it: rows::open_reservation(row)?,
        credential: row.sid("credential")?,
        price: row.maybe_int("price")?.map(Amount::from_micros),
        ended_at: row.maybe_time("ended_at")?,
    })
}

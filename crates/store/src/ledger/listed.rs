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
    /// The credential that asked; none where an answer led to it, or Ringfence itself asked.
    pub credential: Option<Sid>,
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

/// A page of rows that end before a row. Each case has a statement of its own, which an index answers in order: whatever
/// there is, no more rows are read than are shown.
macro_rules! page {
    ($sorted_by:literal, $which:literal) => {
        concat!(
            "SELECT * FROM reservations WHERE ",
            $which,
            " AND (",
            $sorted_by,
            ", id) < ($1, $2) ORDER BY ",
            $sorted_by,
            " DESC, id DESC LIMIT $3"
        )
    };
}

const OPEN: &str = page!("admitted_at", "ended_at IS NULL");
const OPEN_OF: &str = page!("admitted_at", "ended_at IS NULL AND account = $4");
const IN_DOUBT: &str = page!("admitted_at", "ended_at IS NULL AND state = 'in-doubt'");
const IN_DOUBT_OF: &str = page!("admitted_at", "ended_at IS NULL AND state = 'in-doubt' AND account = $4");
const ENDED: &str = page!("ended_at", "ended_at IS NOT NULL AND ended_at >= $4");
const ENDED_OF: &str = page!("ended_at", "ended_at IS NOT NULL AND ended_at >= $4 AND account = $5");

impl Store {
    /// A page of reservations, newest first; of one account, if one is given.
    pub async fn list_reservations(
        &self,
        listing: Listing,
        account: Option<Sid>,
        before: Option<&ListedBefore>,
        limit: usize,
    ) -> Result<Vec<ListedReservation>> {
        let (at, id) = before.map_or((Timestamp::MAX, ""), |before| (before.at, before.id.as_str()));
        let (select, bound) = match (listing, account) {
            (Listing::Open, None) => (OPEN, values![at, id, limit]),
            (Listing::Open, Some(account)) => (OPEN_OF, values![at, id, limit, account]),
            (Listing::InDoubt, None) => (IN_DOUBT, values![at, id, limit]),
            (Listing::InDoubt, Some(account)) => (IN_DOUBT_OF, values![at, id, limit, account]),
            (Listing::Ended(since), None) => (ENDED, values![at, id, limit, since]),
            (Listing::Ended(since), Some(account)) => (ENDED_OF, values![at, id, limit, since, account]),
        };
        self.fetch(select, bound).await?.iter().map(listed).collect()
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
    let credential = if row.text("credential")?.is_empty() { None } else { Some(row.sid("credential")?) };
    Ok(ListedReservation {
        it: rows::open_reservation(row)?,
        credential,
        price: row.maybe_int("price")?.map(Amount::from_micros),
        ended_at: row.maybe_time("ended_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Keys, Location, MasterKey};

    #[tokio::test]
    async fn a_page_reads_the_rows_that_it_shows_and_sorts_none() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::Given { current: MasterKey::from_bytes([5; 32]), previous: Vec::new() };
        let location = Location::Sqlite(folder.path().join("ringfence.db"));
        let store = Store::open(&location, &keys, Timestamp::UNIX_EPOCH).await.unwrap();
        for (select, index) in [
            (OPEN, "reservations_admitted"),
            (OPEN_OF, "reservations_open"),
            (IN_DOUBT, "reservations_admitted"),
            (IN_DOUBT_OF, "reservations_open"),
            (ENDED, "reservations_ended"),
            (ENDED_OF, "reservations_ended_of"),
        ] {
            let rows = store.fetch(format!("EXPLAIN QUERY PLAN {select}").leak(), values![]).await.unwrap();
            let plan = rows.iter().map(|row| row.text("detail").unwrap()).collect::<Vec<_>>();
            assert_eq!(plan.len(), 1, "{select}: {plan:?}");
            assert!(plan[0].contains(&format!("USING INDEX {index} (")), "{select}: {plan:?}");
        }
    }
}

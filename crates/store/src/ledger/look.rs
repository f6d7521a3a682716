//! What is looked at again until it ends: the open reservations of an account, page by page.
//!
//! However many there are of which nothing can be known yet, such as messages that go out in a week, none of them keeps
//! another from being looked at: a look goes on behind the last row of the page before.

use jiff::Timestamp;
use ringfence_model::Sid;

use super::{OpenReservation, rows};
use crate::sql::values;
use crate::{Result, Store};

/// Which reservations of an account a look is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The account.
    pub account: Sid,
    /// What was due by then is due.
    pub now: Timestamp,
    /// What was admitted since then is looked at whatever it waits for. Before that nothing is but what is due: whose answer
    /// was waited for in vain, and whose settled price lies back long enough;
    pub since: Timestamp,
    /// and what was waited for no longer than until then.
    pub given_up: Timestamp,
}

/// How far a look has come: when the last reservation of a page was admitted, and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// When it was admitted.
    pub at: Timestamp,
    /// Its name.
    pub id: String,
}

impl Reached {
    /// Where the page that ends with this one has come to.
    pub fn by(it: &OpenReservation) -> Self {
        Self { at: it.admitted_at, id: it.id.clone() }
    }
}

const PAGE: &str = "SELECT * FROM reservations WHERE ended_at IS NULL AND account = $1 \
                    AND (admitted_at, id) > ($2, $3) AND (state <> 'priced' OR deadline <= $4) \
                    AND (admitted_at >= $5 OR deadline <= $6 OR (state IN ('open', 'priced') AND deadline <= $4)) \
                    ORDER BY admitted_at, id LIMIT $7";

impl Store {
    /// A page of the reservations of an account of which something is to be found out, the oldest first: not those whose
    /// price is settled and whose time is not over.
    pub async fn unsettled_reservations(
        &self,
        look: &Look,
        behind: Option<&Reached>,
        limit: usize,
    ) -> Result<Vec<OpenReservation>> {
        let Look { account, now, since, given_up } = *look;
        let (at, id) = behind.map_or((Timestamp::MIN, ""), |reached| (reached.at, reached.id.as_str()));
        let bound = values![account, at, id, now, since, given_up, limit];
        self.fetch(PAGE, bound).await?.iter().map(rows::open_reservation).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Keys, Location, MasterKey};

    #[tokio::test]
    async fn a_page_of_a_look_is_read_in_order_and_nothing_is_sorted() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::Given { current: MasterKey::from_bytes([5; 32]), previous: Vec::new() };
        let location = Location::Sqlite(folder.path().join("ringfence.db"));
        let store = Store::open(&location, &keys, Timestamp::UNIX_EPOCH).await.unwrap();
        let rows = store.fetch(format!("EXPLAIN QUERY PLAN {PAGE}").leak(), values![]).await.unwrap();
        let plan = rows.iter().map(|row| row.text("detail").unwrap()).collect::<Vec<_>>();
        assert_eq!(plan.len(), 1, "{plan:?}");
        assert!(plan[0].contains("USING INDEX reservations_open ("), "{plan:?}");
    }
}

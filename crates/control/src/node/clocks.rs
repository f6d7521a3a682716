//! How far this node's clock is from the database's, and so from those of the other nodes.
//!
//! Nothing is decided by it. Until when a code is good stands in the store as a time, and a node whose clock is behind takes
//! it that much longer: people are told, since no node can know whose clock is right.

use jiff::{SignedDuration, Timestamp};
use ringfence_store as store;

use super::Node;

/// Nothing is said of less.
const APART: SignedDuration = SignedDuration::from_secs(5);

impl Node {
    /// By how much this node's clock is ahead of the database's, or behind it (less than nothing), where it is worth a word.
    /// A store in a file has the clock of this machine.
    pub async fn clock_apart(&self) -> store::Result<Option<SignedDuration>> {
        let asked = self.now();
        let Some(database) = self.setup.store.database_clock().await? else { return Ok(None) };
        Ok(apart(asked, database, self.now()))
    }

    /// Says so in the log, when it begins and when it is over.
    pub(super) fn note_clock(&self, before: Option<SignedDuration>, now: Option<SignedDuration>) {
        match (before, now) {
            (None, Some(by)) if by.is_negative() => tracing::warn!(
                node = self.setup.name,
                seconds = by.abs().as_secs(),
                "this node's clock is behind the database's: codes are taken so much after their time here; set it by NTP"
            ),
            (None, Some(by)) => tracing::warn!(
                node = self.setup.name,
                seconds = by.as_secs(),
                "this node's clock is ahead of the database's: codes end so much before their time here; set it by NTP"
            ),
            (Some(_), None) => {
                tracing::info!(node = self.setup.name, "this node's clock and the database's agree again");
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
    }
}

/// The database said its time between two looks at this node's clock: what may have passed on the way counts for nothing.
fn apart(asked: Timestamp, database: Timestamp, answered: Timestamp) -> Option<SignedDuration> {
    let (ahead, behind) = (asked.duration_since(database), answered.duration_since(database));
    if ahead > APART {
        Some(ahead)
    } else if behind < -APART {
        Some(behind)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time of the test")
    }

    #[test]
    fn a_clock_is_apart_where_the_way_to_the_database_and_back_explains_it_not() {
        for (asked, answered, expected) in [
            (0, 0, None),
            (5, 5, None),
            (6, 7, Some(6)),
            (-5, -5, None),
            (-300, -299, Some(-299)),
            // The answer took long.
            (-30, 30, None),
            (-30, -4, None),
        ] {
            let found = apart(at(asked), at(0), at(answered));
            assert_eq!(found, expected.map(SignedDuration::from_secs), "{asked} {answered}");
        }
    }
}

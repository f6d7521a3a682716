//! Which of somebody's factors count: what was shown to work, and saved codes as long as one is left.

use std::collections::HashMap;

use ringfence_second_factor::policy::Kind;

use crate::error::Error;
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store};

/// Those that count of whomever it says, the oldest first.
macro_rules! counting {
    ($whose:literal) => {
        concat!(
            "SELECT f.person, f.kind FROM factors f WHERE ",
            $whose,
            " AND f.verified_at IS NOT NULL \
             AND (f.kind <> 'recovery-code' OR EXISTS (SELECT 1 FROM single_use_codes c WHERE c.person = f.person \
             AND c.purpose = 'recovery' AND c.used_at IS NULL)) ORDER BY f.created_at, f.id"
        )
    };
}

impl Store {
    /// The kinds of a person's factors that count.
    pub async fn kinds(&self, person: &str) -> Result<Vec<Kind>> {
        self.fetch(counting!("f.person = $1"), values![person]).await?.iter().map(read).collect()
    }

    /// The same of everybody who has one, by their id: one statement, however many people there are.
    pub async fn kinds_of_all(&self) -> Result<HashMap<String, Vec<Kind>>> {
        let mut all: HashMap<String, Vec<Kind>> = HashMap::new();
        for row in self.fetch(counting!("f.person <> ''"), values![]).await? {
            all.entry(row.text("person")?).or_default().push(read(&row)?);
        }
        Ok(all)
    }
}

/// The kinds of a person's factors that count, without this one.
pub(super) async fn kinds_without(
    transaction: &mut Transaction,
    person: &str,
    without: &str,
) -> Result<Vec<Kind>> {
    let select = counting!("f.person = $1 AND f.id <> $2");
    transaction.fetch(select, values![person, without]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Kind> {
    let kind = row.text("kind")?;
    Kind::from_word(&kind).ok_or_else(|| Error::corrupt("factors", format!("`{kind}` is no kind of factor")))
}

//! Which of somebody's factors count: what was shown to work and was not wrong too often since, and saved codes as long as one
//! is left.

use std::collections::HashMap;

use jiff::Timestamp;
use ringfence_model::Actor;
use ringfence_second_factor::failures::{BOUND_ANEW_AFTER, Rule, TOTP_BOUND_ANEW_AFTER};
use ringfence_second_factor::policy::Kind;
use serde_json::json;

use super::{Told, note};
use crate::error::Error;
use crate::failures;
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store};

/// Whether a factor `f` counts; nobody guesses a passkey, so what is counted for one is of before. `$1` is [how many failures](MOST)
/// make one worth nothing, `$2` how many [an application](MOST_TOTP).
macro_rules! counts {
    () => {
        "f.verified_at IS NOT NULL AND (f.kind = 'passkey' OR NOT EXISTS (SELECT 1 FROM failures x \
         WHERE x.subject = 'factor/' || f.id AND x.count >= CASE WHEN f.kind = 'totp' THEN $2 ELSE $1 END)) \
         AND (f.kind <> 'recovery-code' OR EXISTS (SELECT 1 FROM single_use_codes c WHERE c.person = f.person \
         AND c.purpose = 'recovery' AND c.used_at IS NULL))"
    };
}
pub(super) use counts;

/// Those that count of whomever it says, the oldest first.
macro_rules! counting {
    ($whose:literal) => {
        concat!(
            "SELECT f.person, f.kind FROM factors f WHERE ",
            $whose,
            " AND ",
            counts!(),
            " ORDER BY f.created_at, f.id"
        )
    };
}

/// Of so many failures in a row a factor is worth nothing, as databases count.
pub(super) const MOST: i64 = BOUND_ANEW_AFTER as i64;

/// The same of an authenticator application.
pub(super) const MOST_TOTP: i64 = TOTP_BOUND_ANEW_AFTER as i64;

/// The one of the two that holds for a kind.
pub(super) fn most(kind: Kind) -> i64 {
    match kind {
        Kind::Totp => MOST_TOTP,
        Kind::Phone | Kind::RecoveryCode => MOST,
        Kind::Passkey => i64::MAX,
    }
}

impl Store {
    /// The kinds of a person's factors that count.
    pub async fn kinds(&self, person: &str) -> Result<Vec<Kind>> {
        self.fetch(counting!("f.person = $3"), values![MOST, MOST_TOTP, person])
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// The same of everybody who has one, by their id: one statement, however many people there are.
    pub async fn kinds_of_all(&self) -> Result<HashMap<String, Vec<Kind>>> {
        let mut all: HashMap<String, Vec<Kind>> = HashMap::new();
        for row in self.fetch(counting!("f.person <> ''"), values![MOST, MOST_TOTP]).await? {
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
    let select = counting!("f.person = $3 AND f.id <> $4");
    transaction.fetch(select, values![MOST, MOST_TOTP, person, without]).await?.iter().map(read).collect()
}

/// What a wrong answer comes to that was counted already: with the last one that may be wrong the factor counts no more, which the
/// audit log says, and its owner hears.
pub(super) async fn wrong(
    transaction: &mut Transaction,
    by: &Actor,
    person: &str,
    (factor, kind): (&str, Kind),
    told: &Told,
    now: Timestamp,
) -> Result<()> {
    let failures = failures::look(transaction, &super::factors::subject(factor)).await?;
    if !failures.is_disabled(Rule::of_person(kind)) {
        return Ok(());
    }
    let detail = json!({ "factor": factor, "kind": kind.word(), "failures": failures.count });
    note(transaction, by, "factor.disable", person, detail, now).await?;
    told.write_worn_out(transaction, now).await
}

fn read(row: &Row) -> Result<Kind> {
    kind_of(&row.text("kind")?)
}

/// The kind of a factor as it is stored.
pub(super) fn kind_of(kind: &str) -> Result<Kind> {
    Kind::from_word(kind).ok_or_else(|| Error::corrupt("factors", format!("`{kind}` is no kind of factor")))
}

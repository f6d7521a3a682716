//! Which places the accounts of a batch know, and what comes of what they send.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ringfence_breaker::{DialPrefix, Hold, Unseen};
use serde_json::json;

use super::Op;
use crate::Result;
use crate::sql::{Transaction, values};
use crate::traffic::AllThatCame;
pub(super) use crate::traffic::Came;

/// What a batch must know of places, and what it adds.
#[derive(Debug, Default)]
pub(super) struct Places {
    known: BTreeSet<(Unseen, String, String)>,
    /// Accounts of which it is known what they sent before.
    learnt: BTreeSet<String>,
    came: AllThatCame,
}

impl Places {
    /// Reads what the limits of unknown places ask for; nothing where there is none.
    pub(super) async fn read<'o>(
        ops: impl Iterator<Item = &'o Op>,
        now: Timestamp,
        transaction: &mut Transaction,
    ) -> Result<Self> {
        let mut asked = BTreeMap::<Unseen, BTreeSet<(String, DialPrefix)>>::new();
        for op in ops {
            let account = match op {
                Op::Admit { new, .. } => new.account,
                Op::Answer(new) => new.account,
                _ => continue,
            };
            for hold in op.holds() {
                let Some(unseen) = hold.limit.limit.unseen else { continue };
                let places = hold.places.iter().map(|place| (account.to_string(), *place));
                asked.entry(unseen).or_default().extend(places);
            }
        }
        let mut places = Self::default();
        if asked.is_empty() {
            return Ok(places);
        }
        for (unseen, of) in &asked {
            let of: Vec<_> =
                of.iter().map(|(account, place)| json!({ "a": account, "p": place.to_string() })).collect();
            let (from, to) = unseen.hours(now);
            let select = if transaction.is_sqlite() {
                "SELECT r.value ->> 'a' AS account, r.value ->> 'p' AS prefix FROM json_each($1) AS r \
                 WHERE EXISTS (SELECT 1 FROM traffic t WHERE t.account = r.value ->> 'a' \
                 AND t.prefix = r.value ->> 'p' AND t.hour >= $2 AND t.hour <= $3 AND t.settled > 0)"
            } else {
                "SELECT r.a AS account, r.p AS prefix FROM jsonb_to_recordset($1::jsonb) AS r(a text, p text) \
                 WHERE EXISTS (SELECT 1 FROM traffic t WHERE t.account = r.a \
                 AND t.prefix = r.p AND t.hour >= $2 AND t.hour <= $3 AND t.settled > 0)"
            };
            for row in transaction.fetch(select, values![json!(of).to_string(), from, to]).await? {
                places.known.insert((*unseen, row.text("account")?, row.text("prefix")?));
            }
        }
        let accounts: BTreeSet<&String> = asked.values().flatten().map(|(account, _)| account).collect();
        let select = if transaction.is_sqlite() {
            "SELECT account FROM traffic_learnt WHERE account IN (SELECT value FROM json_each($1))"
        } else {
            "SELECT account FROM traffic_learnt WHERE account IN (SELECT jsonb_array_elements_text($1::jsonb))"
        };
        for row in transaction.fetch(select, values![json!(accounts).to_string()]).await? {
            places.learnt.insert(row.text("account")?);
        }
        Ok(places)
    }

    /// Those that hold for this account: where it knows all places, a limit of unknown ones holds nothing.
    pub(super) fn holding<'h>(&self, account: &str, holds: &'h [Hold]) -> Cow<'h, [Hold]> {
        let knows = |hold: &Hold| {
            hold.limit.limit.unseen.is_some_and(|unseen| {
                let is_known = |place: &DialPrefix| {
                    self.known.contains(&(unseen, account.to_owned(), place.to_string()))
                };
                hold.places.iter().all(is_known)
            })
        };
        if holds.iter().any(knows) {
            Cow::Owned(holds.iter().filter(|hold| !knows(hold)).cloned().collect())
        } else {
            Cow::Borrowed(holds)
        }
    }

    /// Whether a limit only watches here: of an account of which nobody has read yet what it sent before.
    pub(super) fn only_watches(&self, account: &str, hold: &Hold) -> bool {
        hold.limit.limit.unseen.is_some() && !self.learnt.contains(account)
    }

    /// Counts what came of something.
    pub(super) fn came(&mut self, account: &str, beginning: &str, now: Timestamp, what: Came) {
        self.came.add(account, beginning, now, what);
    }

    /// Adds it to what is counted already.
    pub(super) async fn write(&self, transaction: &mut Transaction) -> Result<()> {
        self.came.write(transaction).await
    }
}

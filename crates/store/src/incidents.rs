//! What the list of incidents is read off: what the audit log has of breakers and accounts, and what limits refused by day.
//! Nothing is decided by it.

use jiff::Timestamp;
use ringfence_model::{Amount, Sid};

use crate::audit::AuditRow;
use crate::readings::day;
use crate::sql::{Pool, values};
use crate::{Result, Store};

/// What a limit refused of one account's requests on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedOnDay {
    /// The limit's name.
    pub limit: String,
    /// The account that would have paid.
    pub account: Sid,
    /// The operation: `messages.create`.
    pub operation: String,
    /// The beginning of the day, in GMT.
    pub day: Timestamp,
    /// Requests that it refused.
    pub refused: u64,
    /// Their worst amounts.
    pub refused_worth: Amount,
    /// Requests that it would have refused, had it not only watched.
    pub would_refuse: u64,
    /// Their worst amounts.
    pub would_refuse_worth: Amount,
}

/// The actions of which an incident is made, as the index has them.
macro_rules! of_incidents {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " a.action IN ('breaker.trip', 'breaker.would-trip', 'breaker.warn', 'breaker.reset', 'breaker.lift', \
             'breaker.change', 'breaker.remove', 'account.want') ",
            $after
        )
    };
}

impl Store {
    /// What happened to breakers, and what operators wanted of accounts, from `since` on and before `until`: the newest rows,
    /// what was written first of them first. Nodes' clocks may be apart, so this is by the row and not by its time.
    pub async fn audit_of_incidents(
        &self,
        since: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<AuditRow>> {
        let sql = of_incidents!(
            "SELECT a.*, k.key FROM audit a LEFT JOIN person_keys k ON k.person = a.person WHERE",
            "AND a.at >= $1 AND a.at < $2 ORDER BY a.at DESC, a.id DESC LIMIT $3"
        );
        let rows = self.fetch(sql, values![since, until, limit]).await?;
        let mut rows: Vec<AuditRow> = rows.iter().map(|row| self.audit_row(row)).collect::<Result<_>>()?;
        rows.sort_by_key(|row| row.id);
        Ok(rows)
    }

    /// The last of these to one target before a row.
    pub async fn last_audit_of(
        &self,
        target: &str,
        actions: [&str; 2],
        before: i64,
    ) -> Result<Option<AuditRow>> {
        let sql = "SELECT a.*, k.key FROM audit a LEFT JOIN person_keys k ON k.person = a.person \
                   WHERE a.target = $1 AND a.action IN ($2, $3) AND a.id < $4 ORDER BY a.id DESC LIMIT 1";
        let bound = values![target, actions[0], actions[1], before];
        self.find(sql, bound).await?.map(|row| self.audit_row(&row)).transpose()
    }

    /// For each of these targets the last row that stopped it: a breaker that tripped, an operator's wish for an account.
    pub async fn last_stops(&self, targets: &[String]) -> Result<Vec<AuditRow>> {
        let sql = match &self.pool {
            Pool::Sqlite(_) => {
                "SELECT a.*, k.key FROM audit a LEFT JOIN person_keys k ON k.person = a.person WHERE a.id IN \
                 (SELECT max(id) FROM audit WHERE target IN (SELECT value FROM json_each($1)) \
                 AND action IN ('breaker.trip', 'breaker.would-trip', 'account.want') GROUP BY target) ORDER BY a.id"
            }
            Pool::Postgres(_) => {
                "SELECT a.*, k.key FROM audit a LEFT JOIN person_keys k ON k.person = a.person WHERE a.id IN \
                 (SELECT max(id) FROM audit WHERE target IN (SELECT jsonb_array_elements_text($1::jsonb)) \
                 AND action IN ('breaker.trip', 'breaker.would-trip', 'account.want') GROUP BY target) ORDER BY a.id"
            }
        };
        let rows = self.fetch(sql, values![serde_json::json!(targets).to_string()]).await?;
        rows.iter().map(|row| self.audit_row(row)).collect()
    }

    /// One row of the audit log.
    pub async fn find_audit_row(&self, id: i64) -> Result<Option<AuditRow>> {
        let sql =
            "SELECT a.*, k.key FROM audit a LEFT JOIN person_keys k ON k.person = a.person WHERE a.id = $1";
        self.find(sql, values![id]).await?.map(|row| self.audit_row(&row)).transpose()
    }

    /// What was done to any of these targets from one row to another, both included, the oldest first.
    pub async fn audit_of_targets(
        &self,
        targets: &[String],
        from: i64,
        to: i64,
        limit: usize,
    ) -> Result<Vec<AuditRow>> {
        let sql = match &self.pool {
            Pool::Sqlite(_) => {
                "SELECT a.*, k.key FROM audit a LEFT JOIN person_keys k ON k.person = a.person \
                 WHERE a.target IN (SELECT value FROM json_each($1)) AND a.id >= $2 AND a.id <= $3 \
                 ORDER BY a.id LIMIT $4"
            }
            Pool::Postgres(_) => {
                "SELECT a.*, k.key FROM audit a LEFT JOIN person_keys k ON k.person = a.person \
                 WHERE a.target IN (SELECT jsonb_array_elements_text($1::jsonb)) AND a.id >= $2 AND a.id <= $3 \
                 ORDER BY a.id LIMIT $4"
            }
        };
        let bound = values![serde_json::json!(targets).to_string(), from, to, limit];
        self.fetch(sql, bound).await?.iter().map(|row| self.audit_row(row)).collect()
    }

    /// What limits refused, or would have, from the day of `since` on and on days before `until`: by limit, account, operation
    /// and day, the newest.
    pub async fn refused_between(
        &self,
        since: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<RefusedOnDay>> {
        let sql = "SELECT limit_name, account, operation, day, CAST(sum(refused) AS BIGINT) AS refused, \
                   CAST(sum(refused_worth) AS BIGINT) AS refused_worth, \
                   CAST(sum(would_refuse) AS BIGINT) AS would_refuse, \
                   CAST(sum(would_refuse_worth) AS BIGINT) AS would_refuse_worth FROM tallies \
                   WHERE day >= $1 AND day < $2 AND (refused > 0 OR would_refuse > 0) \
                   GROUP BY limit_name, account, operation, day \
                   ORDER BY day DESC, limit_name, account, operation LIMIT $3";
        let rows = self.fetch(sql, values![day(since), until, limit]).await?;
        rows.iter()
            .map(|row| {
                Ok(RefusedOnDay {
                    limit: row.text("limit_name")?,
                    account: row.sid("account")?,
                    operation: row.text("operation")?,
                    day: row.time("day")?,
                    refused: row.count("refused")?,
                    refused_worth: Amount::from_micros(row.int("refused_worth")?),
                    would_refuse: row.count("would_refuse")?,
                    would_refuse_worth: Amount::from_micros(row.int("would_refuse_worth")?),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Keys, Location, MasterKey};

    #[tokio::test]
    async fn incidents_are_found_by_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::Given { current: MasterKey::from_bytes([5; 32]), previous: Vec::new() };
        let location = Location::Sqlite(folder.path().join("ringfence.db"));
        let store = Store::open(&location, &keys, Timestamp::UNIX_EPOCH).await.unwrap();
        let sql = of_incidents!(
            "EXPLAIN QUERY PLAN SELECT a.* FROM audit a WHERE",
            "AND a.at >= 0 ORDER BY a.at DESC, a.id DESC LIMIT 9"
        );
        let rows = store.fetch(sql, values![]).await.unwrap();
        let plan: Vec<_> = rows.iter().map(|row| row.text("detail").unwrap()).collect();
        assert_eq!(plan.len(), 1, "{plan:?}");
        assert!(plan[0].contains("USING INDEX audit_of_incidents"), "{plan:?}");
    }
}

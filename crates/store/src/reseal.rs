//! Rotation of the master key, while everything runs.
//!
//! Open the store with the new key as the current one and the old one among the previous ones. What is written from then
//! on is sealed with the new key; a job carries over the rest, a small batch at a time. What is left to do is seen from
//! the values themselves, which begin with the id of their key, so it goes on wherever it was interrupted. When nothing
//! is left, the old key can go.

use jiff::Timestamp;
use ringfence_model::Actor;

use crate::audit::{self, NewAudit};
use crate::seal::{PREFIX_LENGTH, Place};
use crate::sql::{Transaction, values};
use crate::{Result, Store};

/// A column that is sealed with the master key, with its statements: the rows whose value has another key's prefix, and
/// the change of one of them if nobody else has changed it.
struct Column {
    table: &'static str,
    name: &'static str,
    find: &'static str,
    update: &'static str,
}

macro_rules! column {
    ($table:literal, $column:literal, $key:literal) => {
        Column {
            table: $table,
            name: $column,
            find: concat!(
                "SELECT ",
                $key,
                " AS key, ",
                $column,
                " AS value FROM ",
                $table,
                " WHERE substr(",
                $column,
                ", 1, 9) <> $1 ORDER BY ",
                $key,
                " LIMIT $2"
            ),
            update: concat!(
                "UPDATE ",
                $table,
                " SET ",
                $column,
                " = $1 WHERE ",
                $key,
                " = $2 AND ",
                $column,
                " = $3"
            ),
        }
    };
}

/// Everything that is sealed with the master key. Texts about people are sealed with the keys of the people, which are
/// here.
const COLUMNS: &[Column] = &[
    column!("secrets", "value", "name"),
    column!("person_keys", "key", "person"),
    column!("outbox", "payload", "dedupe_key"),
    column!("outbox", "last_error", "dedupe_key"),
    column!("accounts", "friendly_name", "sid"),
    column!("accounts", "auth_token", "sid"),
    column!("token_rotations", "old_token", "account"),
    column!("token_rotations", "new_token", "account"),
    column!("rotated_tokens", "token", "account"),
    column!("shared_keys", "secret", "mark"),
    column!("persons", "login", "id"),
    column!("persons", "password", "id"),
    column!("factors", "secret", "id"),
    column!("sessions", "address", "id"),
    column!("sessions", "agent", "id"),
    column!("devices", "key", "id"),
    column!("devices", "address", "id"),
    column!("devices", "agent", "id"),
    column!("sign_ins", "address", "id"),
    column!("sign_ins", "agent", "id"),
    column!("challenges", "sealed", "sid"),
    column!("user_factors", "secret", "id"),
    column!("user_devices", "sealed", "id"),
    column!("user_sign_ins", "sealed", "id"),
];

/// The statements above say 9.
const _: () = assert!(PREFIX_LENGTH == 9);

impl Store {
    /// Whether it was opened with earlier keys, so that there may be something to [reseal](Self::reseal).
    pub fn has_previous_keys(&self) -> bool {
        self.keys.ids().len() > 1
    }

    /// Seals at most `batch` values anew with the current key; says how many. 0: nothing is left, and the previous keys
    /// are no longer needed, once no node runs any more that has one of them as its current key.
    pub async fn reseal(&self, by: &Actor, batch: usize, now: Timestamp) -> Result<usize> {
        self.write((by.clone(), batch, now), |(by, batch, now), transaction| {
            Box::pin(async move {
                let mut done = 0;
                for column in COLUMNS {
                    done += reseal_column(transaction, column, batch - done).await?;
                    if done >= *batch {
                        break;
                    }
                }
                if done > 0 {
                    let key = transaction.keys.ids().swap_remove(0);
                    let audit = NewAudit::new("store.reseal", format!("key {key}"))
                        .with(serde_json::json!({ "values": done }));
                    audit::append(transaction, by, &audit, *now).await?;
                }
                Ok(done)
            })
        })
        .await
    }
}

async fn reseal_column(transaction: &mut Transaction, column: &Column, limit: usize) -> Result<usize> {
    let keys = std::sync::Arc::clone(&transaction.keys);
    let rows = transaction.fetch(column.find, values![keys.current_prefix(), limit]).await?;
    for row in &rows {
        let (key, old) = (row.text("key")?, row.bytes("value")?);
        let place = Place { table: column.table, column: column.name, row: &key };
        let new = keys.seal(place, &keys.open(place, &old)?);
        transaction.execute(column.update, values![new, key, old]).await?;
    }
    Ok(rows.len())
}

//! The tables, and how they came to be.
//!
//! A migration that was released is never edited: the next one changes what it made. Each is one text for both
//! databases, with a few words that differ between them (`{int}`, `{bytes}`, `{id}`, `{strict}`), and where that is not
//! enough a part for each. All run in one transaction under a lock, so that nodes which start together upgrade once,
//! and a program that is stopped halfway leaves what was there.

use jiff::Timestamp;

use crate::error::{Error, OpenError};
use crate::sql::{Pool, Transaction, values};

/// The lock of PostgreSQL that only one migration holds: an arbitrary number, the same in every version.
const LOCK: i64 = 0x7269_6e67_6665_6e63;

struct Migration {
    both: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

/// In order; the first leads to version 1.
const MIGRATIONS: &[Migration] = &[
    Migration {
        both: include_str!("../migrations/1.sql"),
        sqlite: include_str!("../migrations/1.sqlite.sql"),
        postgres: include_str!("../migrations/1.postgres.sql"),
    },
    Migration { both: include_str!("../migrations/2.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/3.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/4.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/5.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/6.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/7.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/8.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/9.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/10.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/11.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/12.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/13.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/14.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/15.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/16.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/17.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/18.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/19.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/20.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/21.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/22.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/23.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/24.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/25.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/26.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/27.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/28.sql"), sqlite: "", postgres: "" },
    Migration { both: include_str!("../migrations/29.sql"), sqlite: "", postgres: "" },
];

/// The version that this program writes.
pub(crate) const NEWEST: i64 = 29;
const _: () = assert!(MIGRATIONS.len() == 29, "the version is the number of the last migration");

/// Brings the database to [`NEWEST`]. Says which version it was of; 0 is an empty one.
pub(crate) async fn migrate(transaction: &mut Transaction, now: Timestamp) -> Result<i64, Error> {
    migrate_to(transaction, NEWEST, now).await
}

/// Of which version a database is; 0 where it has no tables of ours. It changes nothing.
pub(crate) async fn version(pool: &Pool) -> Result<i64, Error> {
    let table = match pool {
        Pool::Sqlite(_) => {
            "SELECT count(*) AS tables FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version'"
        }
        Pool::Postgres(_) => {
            "SELECT count(*) AS tables FROM pg_tables WHERE tablename = 'schema_version' \
             AND schemaname = ANY (current_schemas(false))"
        }
    };
    if pool.find(table, values![]).await?.map_or(Ok(0), |row| row.int("tables"))? == 0 {
        return Ok(0);
    }
    let version = "SELECT coalesce(max(version), 0) AS version FROM schema_version";
    pool.find(version, values![]).await?.map_or(Ok(0), |row| row.int("version"))
}

async fn migrate_to(transaction: &mut Transaction, version: i64, now: Timestamp) -> Result<i64, Error> {
    if !transaction.is_sqlite() {
        // Another node may be at it, and a change of a large table takes longer than any other statement. One that hangs in
        // its transaction is ended by `idle_in_transaction_session_timeout`.
        transaction
            .run("SET LOCAL lock_timeout = '10min'; SET LOCAL statement_timeout = 0".to_owned())
            .await?;
        // SQLite's transaction already has the only write lock.
        transaction.fetch("SELECT pg_advisory_xact_lock($1)::text AS locked", values![LOCK]).await?;
    }
    let table = "CREATE TABLE IF NOT EXISTS schema_version \
                 (version {int} PRIMARY KEY, applied_at {int} NOT NULL) {strict};";
    let table = dialect(table, transaction.is_sqlite());
    transaction.run(table).await?;
    let found = transaction
        .find("SELECT coalesce(max(version), 0) AS version FROM schema_version", values![])
        .await?
        .map_or(Ok(0), |row| row.int("version"))?;
    if found > NEWEST {
        return Err(OpenError::Newer { found, known: NEWEST }.into());
    }
    for (migration, number) in MIGRATIONS.iter().zip(1..=version).filter(|(_, number)| *number > found) {
        let own = if transaction.is_sqlite() { migration.sqlite } else { migration.postgres };
        let text = dialect(&format!("{}\n{own}", migration.both), transaction.is_sqlite());
        transaction.run(text).await?;
        let insert = "INSERT INTO schema_version (version, applied_at) VALUES ($1, $2)";
        transaction.execute(insert, values![number, now]).await?;
    }
    Ok(found)
}

/// The words that differ.
fn dialect(text: &str, is_sqlite: bool) -> String {
    let words: [(&str, &str, &str); 4] = [
        ("{int}", "INTEGER", "BIGINT"),
        ("{bytes}", "BLOB", "BYTEA"),
        // Ids are never given twice, not even that of a row that was deleted.
        ("{id}", "INTEGER PRIMARY KEY AUTOINCREMENT", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"),
        // SQLite then checks types as PostgreSQL does.
        ("{strict}", "STRICT", ""),
    ];
    words.iter().fold(text.to_owned(), |text, (word, sqlite, postgres)| {
        text.replace(word, if is_sqlite { sqlite } else { postgres })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ringfence_model::Secret;
    use ringfence_testkit::PostgresDatabase;
    use sqlx::{PgPool, SqlitePool};

    use super::*;
    use crate::keys::{Keys, MasterKey};
    use crate::seal::Keyring;
    use crate::{Location, Store};

    const KEY: [u8; 32] = [5; 32];

    fn now() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    /// A database as the program of version 1 left it.
    async fn version_1(pool: Pool) {
        let keys = Arc::new(Keyring::new(&MasterKey::from_bytes(KEY), &[]));
        let mut transaction = pool.begin(&keys).await.unwrap();
        assert_eq!(migrate_to(&mut transaction, 1, now()).await.unwrap(), 0);
        let insert = "INSERT INTO breakers (limit_name, subject, state, version, changed_at) VALUES ($1, $2, $3, $4, $5)";
        transaction.execute(insert, values!["daily", "AC1", "{\"Tripped\":{}}", 7_i64, now()]).await.unwrap();
        transaction.commit().await.unwrap();
        pool.close().await;
    }

    async fn is_upgraded_with_its_rows(location: &Location) {
        let keys = Keys::Given { current: MasterKey::from_bytes(KEY), previous: Vec::new() };
        for _ in 0..2 {
            let store = Store::open(location, &keys, now()).await.unwrap();
            let kept = store.find_breaker::<serde_json::Value>("daily", "AC1").await.unwrap().unwrap();
            assert_eq!((kept.version, kept.state), (7, serde_json::json!({ "Tripped": {} })));
            assert_eq!(store.accounts().await.unwrap(), [], "the tables of the newest version are there");
            let versions = "SELECT count(*) AS versions FROM schema_version";
            let versions = store.find(versions, values![]).await.unwrap().unwrap().int("versions").unwrap();
            assert_eq!(versions, NEWEST);
            store.close().await;
        }
    }

    #[tokio::test]
    async fn a_sqlite_database_of_version_1_is_upgraded_with_its_rows() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("old.db");
        version_1(Pool::Sqlite(
            SqlitePool::connect_with(crate::open::sqlite(&path).create_if_missing(true)).await.unwrap(),
        ))
        .await;
        is_upgraded_with_its_rows(&Location::Sqlite(path)).await;
    }

    #[tokio::test]
    async fn a_postgresql_database_of_version_1_is_upgraded_with_its_rows() {
        let Some(database) = PostgresDatabase::create() else { return };
        version_1(Pool::Postgres(PgPool::connect(&database.url()).await.unwrap())).await;
        is_upgraded_with_its_rows(&Location::Postgres(Secret::new(database.url()))).await;
    }
}

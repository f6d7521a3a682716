//! Whether what the store answers is on disk by then: `ringfence doctor` asks.
//!
//! A reservation that was answered and is gone after a power failure is money that may be spent twice. Ringfence asks for
//! durable commits in each of its own connections; here is what the database made of it, and what holds for connections that
//! do not ask: behind a pooler that drops a client's settings, ours are among them.

use ringfence_model::Secret;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::time::timeout;

use crate::error::{Error, OpenError};
use crate::open::ACQUIRE;
use crate::sql::values;
use crate::{Location, Store};

/// How the database treats a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Durability {
    /// A file of SQLite's.
    Sqlite {
        /// `synchronous` of the connection that writes: 0 off, 1 normal, 2 full, 3 extra
        /// (<https://www.sqlite.org/pragma.html#pragma_synchronous>).
        synchronous: i64,
        /// `journal_mode`: `wal`.
        journal_mode: String,
    },
    /// A server.
    Postgres(PostgresDurability),
}

/// What PostgreSQL says of itself (<https://www.postgresql.org/docs/current/runtime-config-wal.html>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresDurability {
    /// `synchronous_commit` of the connections that Ringfence writes with.
    pub synchronous_commit: String,
    /// What holds for connections that ask for nothing, or why they could not be asked: a role may have no more of them.
    pub by_default: Result<ByDefault, String>,
    /// Whether the server waits for the disk at all.
    pub fsync: bool,
    /// Whether a page that was half written when the power failed can be mended.
    pub full_page_writes: bool,
    /// The role, for the command that mends it.
    pub role: String,
    /// The database, for the command that mends it.
    pub database: String,
}

/// `synchronous_commit` of a connection of the same role to the same database that asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByDefault {
    /// Its value.
    pub value: String,
    /// Where that comes from, in PostgreSQL's words: `default`, `configuration file`, `database`, `user`, `database user`,
    /// `client`…
    pub from: String,
}

impl Store {
    /// How the database treats a commit. It opens one connection of its own to a server, and changes nothing.
    pub async fn durability(&self) -> crate::Result<Durability> {
        match self.location() {
            Location::Sqlite(_) => self.sqlite_durability().await,
            Location::Postgres(url) => self.postgres_durability(url).await.map(Durability::Postgres),
        }
    }

    /// Asked of the connection that writes: a reader's says nothing of commits.
    async fn sqlite_durability(&self) -> crate::Result<Durability> {
        self.write((), |(), transaction| {
            Box::pin(async move {
                let row = transaction.find("PRAGMA synchronous", values![]).await?;
                let synchronous = row.map_or(Ok(0), |row| row.int("synchronous"))?;
                let row = transaction.find("PRAGMA journal_mode", values![]).await?;
                let journal_mode = row.map_or(Ok(String::new()), |row| row.text("journal_mode"))?;
                Ok(Durability::Sqlite { synchronous, journal_mode })
            })
        })
        .await
    }

    async fn postgres_durability(&self, url: &Secret) -> crate::Result<PostgresDurability> {
        let ours = "SELECT current_setting('synchronous_commit') AS synchronous_commit, \
                    current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes, \
                    current_user::text AS role, current_database()::text AS name";
        let row = self.find(ours, values![]).await?;
        let row =
            row.ok_or_else(|| Error::corrupt("PostgreSQL's settings".to_owned(), "no row".to_owned()))?;
        let by_default = default_of(url).await.map_err(|error| error.to_string());
        Ok(PostgresDurability {
            synchronous_commit: row.text("synchronous_commit")?,
            by_default,
            fsync: row.text("fsync")? == "on",
            full_page_writes: row.text("full_page_writes")? == "on",
            role: row.text("role")?,
            database: row.text("name")?,
        })
    }
}

/// `synchronous_commit` of a connection with the operator's URL and nothing of ours, and where it comes from.
async fn default_of(url: &Secret) -> crate::Result<ByDefault> {
    let options: PgConnectOptions = url.expose().parse().map_err(OpenError::Url)?;
    let ask = async {
        let mut connection = PgConnection::connect_with(&options).await?;
        let row = sqlx::query("SELECT setting, source FROM pg_settings WHERE name = 'synchronous_commit'")
            .fetch_one(&mut connection)
            .await?;
        let found = ByDefault { value: row.try_get("setting")?, from: row.try_get("source")? };
        connection.close().await?;
        Ok::<_, sqlx::Error>(found)
    };
    match timeout(ACQUIRE, ask).await {
        Ok(found) => Ok(found?),
        Err(_) => Err(Error::from(sqlx::Error::PoolTimedOut)),
    }
}

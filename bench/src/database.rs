//! The databases that a store can be on, each new and empty, and a connection without the store as a yardstick.
//!
//! Both wait for the disk at each commit, as an operator's do, and their files are in the temporary folder: on one disk. Those
//! of a simulation, which never takes the power away, wait for nothing, and a file is in memory where there is such a folder.

use std::path::PathBuf;

use jiff::Timestamp;
use ringfence_model::Secret;
use ringfence_store::{Keys, Location, MasterKey, Store};
use ringfence_testkit::PostgresDatabase;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use tempfile::TempDir;

use crate::Outcome;

/// A folder whose files are in memory, on Linux.
const MEMORY: &str = "/dev/shm";

/// A new database, gone with this value.
pub(crate) enum Database {
    Sqlite(TempDir),
    Postgres(PostgresDatabase),
}

impl Database {
    /// One of each kind that this machine has.
    pub(crate) fn all() -> Outcome<Vec<Self>> {
        let postgres = PostgresDatabase::create_durable().map(Self::Postgres);
        Ok([Self::sqlite()?].into_iter().chain(postgres).collect())
    }

    /// The same, of which nothing is measured: no commit waits for a disk.
    pub(crate) fn all_quick() -> Outcome<Vec<Self>> {
        let postgres = PostgresDatabase::create().map(Self::Postgres);
        Ok([Self::sqlite_quick()?].into_iter().chain(postgres).collect())
    }

    fn sqlite_quick() -> Outcome<Self> {
        let in_memory = tempfile::Builder::new().prefix("ringfence-simulate").tempdir_in(MEMORY);
        Ok(in_memory.map(Self::Sqlite).or_else(|_| tempfile::tempdir().map(Self::Sqlite))?)
    }

    /// A new one of the same kind, whose commits wait for the disk.
    pub(crate) fn another(&self) -> Outcome<Self> {
        match self {
            Self::Sqlite(_) => Self::sqlite(),
            Self::Postgres(_) => {
                let database =
                    PostgresDatabase::create_durable().ok_or("PostgreSQL is not there any more")?;
                Ok(Self::Postgres(database))
            }
        }
    }

    /// The same, of which nothing is measured.
    pub(crate) fn another_quick(&self) -> Outcome<Self> {
        match self {
            Self::Sqlite(_) => Self::sqlite_quick(),
            Self::Postgres(_) => {
                let database = PostgresDatabase::create().ok_or("PostgreSQL is not there any more")?;
                Ok(Self::Postgres(database))
            }
        }
    }

    pub(crate) fn sqlite() -> Outcome<Self> {
        Ok(Self::Sqlite(tempfile::tempdir()?))
    }

    /// Of a database that is a file, the file and its folder, which is its own.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(folder) => Some(folder.path().join("ringfence.db")),
            Self::Postgres(_) => None,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// Whether several nodes, on several machines, can be on it.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    fn location(&self) -> Location {
        match self {
            Self::Sqlite(folder) => Location::Sqlite(folder.path().join("ringfence.db")),
            Self::Postgres(database) => Location::Postgres(Secret::new(database.url())),
        }
    }

    pub(crate) async fn open(&self, now: Timestamp) -> Outcome<Store> {
        Ok(Store::open(&self.location(), &Self::keys(), now).await?)
    }

    pub(crate) fn keys() -> Keys {
        Keys::Given { current: MasterKey::from_bytes([7; 32]), previous: Vec::new() }
    }

    /// After the store has been opened: it makes the file.
    pub(crate) async fn bare(&self) -> Outcome<Bare> {
        Ok(match self.location() {
            Location::Sqlite(path) => {
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full);
                let mut connection = options.connect().await?;
                connection
                    .execute("CREATE TABLE yardstick (id INTEGER PRIMARY KEY, line TEXT NOT NULL)")
                    .await?;
                Bare::Sqlite(connection)
            }
            Location::Postgres(url) => {
                let mut connection = PgConnection::connect(url.expose()).await?;
                let table = "CREATE TABLE yardstick (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, line TEXT NOT NULL)";
                connection.execute(table).await?;
                Bare::Postgres(connection)
            }
        })
    }
}

/// A connection to the same file or server that knows nothing of the store.
pub(crate) enum Bare {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Bare {
    /// `INSERT` and `COMMIT` of a row of 200 bytes: the least that a lasting write costs here.
    pub(crate) async fn insert(&mut self) -> Outcome {
        let insert = "INSERT INTO yardstick (line) VALUES ($1)";
        let line = "x".repeat(200);
        let rows = match self {
            Self::Sqlite(connection) => {
                sqlx::query(insert).bind(line).execute(connection).await?.rows_affected()
            }
            Self::Postgres(connection) => {
                sqlx::query(insert).bind(line).execute(connection).await?.rows_affected()
            }
        };
        if rows == 1 { Ok(()) } else { Err(format!("WRONG: {rows} rows were written, not 1").into()) }
    }
}

//! Opening: the file or the server, the keys, the tables, the epoch.

use std::fmt;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use ringfence_model::Secret;
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::time::{Instant, timeout};

use crate::error::{Error, OpenError};
use crate::keys::{Keys, MasterKey, sync_directory};
use crate::opened::OpenedFile;
use crate::queue::Queue;
use crate::seal::{self, Keyring, Place};
use crate::sql::{Pool, Transaction, values};
use crate::write::Writer;
use crate::{Result, Store, audit, epoch, hex, migrate};

/// How long a statement waits for SQLite's lock: another program's transaction, such as a command that trips a breaker.
const BUSY: Duration = Duration::from_secs(5);
/// After how long a start tries again what SQLite does not wait for.
const BUSY_AGAIN: Duration = Duration::from_millis(20);
/// How long a request waits for a connection.
pub(crate) const ACQUIRE: Duration = Duration::from_secs(5);
/// Rows that SQLite's thread hands over without waiting until somebody looks at them.
const ROWS: usize = 1024;
/// Connections that read a SQLite file; one more writes.
const SQLITE_READERS: u32 = 4;
/// Connections to PostgreSQL that one node opens at most. Writes need one.
const POSTGRES_CONNECTIONS: u32 = 10;

/// The text that is sealed to know at the next start whether the key is the right one.
const KEY_CHECK: &[u8] = b"ringfence";
const KEY_CHECK_PLACE: Place<'_> = Place { table: "secrets", column: "value", row: "key-check" };

/// Where a store is.
#[derive(Clone)]
pub enum Location {
    /// A file, which is made on the first start, of mode 0600. Its folder must be there, on a local disk.
    Sqlite(PathBuf),
    /// A URL: `postgres://user:password@host/database?sslmode=verify-full`.
    Postgres(Secret),
}

/// Of which version the tables are: each migration adds one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Of which version they were when the store was opened; 0 where there were none.
    pub found: i64,
    /// Of which version they are now.
    pub current: i64,
}

impl Version {
    /// The version that this program reads and writes.
    pub const NEWEST: i64 = migrate::NEWEST;
}

/// A password in a URL is not printed.
impl fmt::Debug for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(formatter, "Sqlite({})", path.display()),
            Self::Postgres(_) => formatter.write_str("Postgres(…)"),
        }
    }
}

impl Store {
    /// Of which version the store is, without opening it: nothing is made, upgraded or written. 0 where there is none.
    pub async fn find_version(location: &Location) -> Result<i64> {
        Self::find_version_unnamed(location).await.map_err(|error| about(location, error))
    }

    async fn find_version_unnamed(location: &Location) -> Result<i64> {
        let pool = match location {
            Location::Sqlite(path) => {
                let failed = |source| OpenError::File { path: path.clone(), source };
                // An empty file is what a first start leaves that was interrupted.
                if !path.try_exists().map_err(failed)? || path.metadata().map_err(failed)?.len() == 0 {
                    return Ok(0);
                }
                // A reader of a file in WAL mode needs the right to write beside it, so this is no `read_only`.
                let options = SqlitePoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE);
                let connect = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY);
                Pool::Sqlite(options.connect_with(connect).await?)
            }
            Location::Postgres(url) => {
                let options = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE);
                Pool::Postgres(options.connect_with(postgres(url)?).await?)
            }
        };
        let version = migrate::version(&pool).await;
        pool.close().await;
        version
    }

    /// Opens the store, makes or upgrades its tables, and begins a new [epoch](crate::Epoch) where the database turns out to
    /// have been restored or promoted. It needs tokio's runtime for as long as it lives.
    pub async fn open(location: &Location, keys: &Keys, now: Timestamp) -> Result<Self> {
        Self::open_unnamed(location, keys, now).await.map_err(|error| about(location, error))
    }

    async fn open_unnamed(location: &Location, keys: &Keys, now: Timestamp) -> Result<Self> {
        // 1. The keys, before anything is made.
        let keys = Arc::new(keyring(location, keys)?);

        // 2. The connections. On SQLite the one that writes also makes the file.
        let (writing, pool) = match location {
            Location::Sqlite(path) => {
                make_file(path)?;
                let writing = SqlitePoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE);
                let writing = writing.idle_timeout(None).max_lifetime(None);
                // A file does not go away as a server does: nobody has to ask whether it is there.
                let writing = writing.test_before_acquire(false);
                let writing = Pool::Sqlite(connect_sqlite(writing, path).await?);
                let reading = SqlitePoolOptions::new().max_connections(SQLITE_READERS);
                let reading = reading.acquire_timeout(ACQUIRE).idle_timeout(None).max_lifetime(None);
                let reading = reading.test_before_acquire(false);
                (writing, Pool::Sqlite(reading.connect_lazy_with(sqlite(path).read_only(true))))
            }
            Location::Postgres(url) => {
                let options = postgres(url)?;
                // A pool would only say that it waited in vain; one connection says why.
                match timeout(ACQUIRE, PgConnection::connect_with(&options)).await {
                    Ok(first) => first?.close().await?,
                    Err(_) => return Err(Error::from(sqlx::Error::PoolTimedOut)),
                }
                let pool = PgPoolOptions::new()
                    .max_connections(POSTGRES_CONNECTIONS)
                    .acquire_timeout(ACQUIRE)
                    .connect_with(options)
                    .await?;
                (Pool::Postgres(pool.clone()), Pool::Postgres(pool))
            }
        };

        // 3. Tables, keys, epoch, in one transaction: a start that is refused leaves nothing changed.
        let mut transaction = writing.begin(&keys).await?;
        let prepared = prepare(&mut transaction, now).await;
        let found = match prepared {
            Ok(found) => {
                drop(transaction.commit().await?);
                found
            }
            Err(error) => {
                transaction.rollback().await;
                return Err(error);
            }
        };

        let file = match location {
            Location::Sqlite(path) => Some(Arc::new(OpenedFile::at(path)?)),
            Location::Postgres(_) => None,
        };
        let writer = Writer::start(writing, file.clone(), Arc::clone(&keys));
        Ok(Self {
            pool,
            file,
            ledger: Queue::start(&writer),
            starts: Queue::start(&writer),
            checks: Queue::start(&writer),
            writer,
            keys,
            location: location.clone(),
            version: Version { found, current: migrate::NEWEST },
            factor_keys: tokio::sync::OnceCell::new(),
            horizon: Mutex::default(),
            silence: Mutex::default(),
        })
    }
}

/// Whether a file could be opened with these keys: what an opening writes first is written and taken back.
pub(crate) async fn try_out(path: &Path, keys: &Keys, now: Timestamp) -> Result<()> {
    let keys = Arc::new(keyring(&Location::Sqlite(path.to_owned()), keys)?);
    let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE);
    // Nothing is left beside the file.
    let options = sqlite(path).journal_mode(SqliteJournalMode::Delete);
    let pool = Pool::Sqlite(pool.connect_with(options).await?);
    let mut transaction = pool.begin(&keys).await?;
    let prepared = prepare(&mut transaction, now).await;
    transaction.rollback().await;
    pool.close().await;
    prepared.map(drop)
}

/// The same failure with the file in it, where there is one. By then no connection is left open.
fn about(location: &Location, error: Error) -> Error {
    match location {
        Location::Sqlite(path) => error.while_opening(path),
        Location::Postgres(_) => error,
    }
}

/// Gives back the version that was found.
async fn prepare(transaction: &mut Transaction, now: Timestamp) -> Result<i64> {
    let found = migrate::migrate(transaction, now).await?;
    check_key(transaction).await?;
    audit::make_signing_key(transaction).await?;
    epoch::begin_if_moved(transaction, now).await?;
    Ok(found)
}

/// The first connection, which also turns a new file to WAL. For that SQLite needs the file alone, and does not wait: of two
/// that start at once one is told at once that it is locked (<https://www.sqlite.org/wal.html>, section 2.2).
async fn connect_sqlite(pool: SqlitePoolOptions, path: &Path) -> Result<SqlitePool> {
    let give_up = Instant::now() + BUSY;
    loop {
        match pool.clone().connect_with(sqlite(path)).await.map_err(Error::from) {
            Err(error) if error.is_locked() && Instant::now() < give_up => {
                tokio::time::sleep(BUSY_AGAIN).await;
            }
            other => return other,
        }
    }
}

/// The options of every connection to SQLite.
pub(crate) fn sqlite(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // With WAL, NORMAL would lose the last commits in a power failure.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .row_buffer_size(ROWS)
        // What was deleted is overwritten: an erased key is not found in a free page.
        .pragma("secure_delete", "ON")
        .pragma("trusted_schema", "OFF")
}

fn postgres(url: &Secret) -> Result<PgConnectOptions> {
    let options: PgConnectOptions = url.expose().parse().map_err(OpenError::Url)?;
    Ok(options.application_name("ringfence").options([
        // A peer that hangs in a transaction must not stop this node for ever.
        ("lock_timeout", "10s"),
        ("statement_timeout", "60s"),
        // A machine that lost its power or its network in a transaction holds the locks of the ledger, and says nothing. Whoever
        // waits for them, a request of the egress among them, waits longer than this. Between two statements nothing is waited for.
        ("idle_in_transaction_session_timeout", "4s"),
        // What is locked is to be read as it is then, not as it was when the transaction began, whatever the server's default is.
        ("default_transaction_isolation", "read committed"),
        // An answer means that it is on disk, whatever the database's default is.
        ("synchronous_commit", "on"),
        // That a table is there already is no news.
        ("client_min_messages", "warning"),
    ]))
}

/// SQLite would make the file with the permissions of the umask.
fn make_file(path: &Path) -> Result<()> {
    let failed = |source| OpenError::NotMade { path: path.to_owned(), source };
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(sync_directory(path).map_err(failed)?),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(error).into()),
    }
}

fn keyring(location: &Location, keys: &Keys) -> Result<Keyring> {
    match (keys, location) {
        (Keys::Given { current, previous }, _) => Ok(Keyring::new(current, previous)),
        (Keys::InFile { current, previous }, Location::Postgres(_)) => match current.try_exists() {
            Ok(false) => Err(OpenError::MasterKeyDemanded.into()),
            _ => Ok(Keyring::new(&MasterKey::read(current)?, previous)),
        },
        (Keys::InFile { current: path, previous }, Location::Sqlite(database)) => {
            let is_there = |path: &Path| path.try_exists().unwrap_or(true);
            let has_content = database.metadata().is_ok_and(|metadata| metadata.len() > 0);
            let key = if is_there(path) {
                MasterKey::read(path)?
            } else if has_content {
                return Err(OpenError::MasterKeyMissing { path: path.clone() }.into());
            } else {
                MasterKey::make(path)?
            };
            Ok(Keyring::new(&key, previous))
        }
    }
}

/// Refuses a key that the database was not sealed with.
async fn check_key(transaction: &mut Transaction) -> Result<()> {
    let keys = Arc::clone(&transaction.keys);
    let stored = read_secret(transaction, KEY_CHECK_PLACE.row).await?;
    let Some(sealed) = stored else {
        let sealed = keys.seal(KEY_CHECK_PLACE, KEY_CHECK);
        return insert_secret(transaction, KEY_CHECK_PLACE.row, sealed).await;
    };
    let wanted = seal::key_id(&sealed).map(|id| hex::write(&id)).unwrap_or_default();
    if !keys.ids().contains(&wanted) {
        return Err(OpenError::MasterKeyWrong { wanted, given: keys.ids().join(", ") }.into());
    }
    if keys.open(KEY_CHECK_PLACE, &sealed)?.as_slice() != KEY_CHECK {
        return Err(seal::forged(KEY_CHECK_PLACE).into());
    }
    Ok(())
}

/// A sealed secret of the store's own.
pub(crate) async fn read_secret(
    transaction: &mut Transaction,
    name: &'static str,
) -> Result<Option<Vec<u8>>> {
    let row = transaction.find("SELECT value FROM secrets WHERE name = $1", values![name]).await?;
    row.map(|row| row.bytes("value")).transpose()
}

pub(crate) async fn insert_secret(
    transaction: &mut Transaction,
    name: &'static str,
    sealed: Vec<u8>,
) -> Result<(), Error> {
    let insert = "INSERT INTO secrets (name, value) VALUES ($1, $2)";
    transaction.execute(insert, values![name, sealed]).await?;
    Ok(())
}

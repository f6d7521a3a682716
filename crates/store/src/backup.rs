//! Backup of a SQLite store while it runs, and restore.
//!
//! A backup is one file, complete as of one moment, sealed as the store is: the master key is not in it and has to be
//! kept apart. It carries a mark, and the first program that opens it as a store begins a new [epoch](crate::Epoch), so even
//! a backup that somebody just copied into place is known for what it is. PostgreSQL has tools of its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use ringfence_model::Actor;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteLockingMode};
use sqlx::{Connection as _, Row as _};

use crate::audit::NewAudit;
use crate::epoch::BACKUP;
use crate::error::{BackupError, Error};
use crate::keys::{Keys, sync_directory};
use crate::sql::Pool;
use crate::{Location, Result, Store, hex, open};

/// What a restore may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Over {
    /// Nothing: there must be no file.
    Nothing,
    /// A store that knows nothing that the backup does not know.
    Older,
    /// Whatever is there. What happened since the backup is forgotten; the file is kept beside the restored one.
    Anything,
}

impl Store {
    /// Writes a backup to a new file of mode 0600, whole or not at all, while the store goes on working.
    pub async fn backup(&self, by: &Actor, to: &Path, now: Timestamp) -> Result<()> {
        let (Pool::Sqlite(pool), Location::Sqlite(_)) = (&self.pool, &self.location) else {
            return Err(BackupError::NotSqlite.into());
        };
        self.is_there_still()?;
        if to.try_exists().map_err(at(to))? {
            return Err(BackupError::Exists(to.to_owned()).into());
        }
        let partial = Partial::make(to)?;
        let name = partial.0.to_str().ok_or_else(|| {
            at(to)(io::Error::new(ErrorKind::InvalidInput, "SQLite takes only names in UTF-8"))
        })?;
        sqlx::query("VACUUM INTO $1").bind(name).execute(pool).await?;
        mark(&partial.0, now).await?;
        partial.publish(to)?;
        self.audit(by, NewAudit::new("store.backup", to.display().to_string()), now).await?;
        Ok(())
    }
}

/// Makes a store of a backup, at `to`. Ringfence must not run on it. The next opening begins a new epoch.
///
/// Gives back where the store was put that it replaced, if there was one. `keys` are those that it will be opened with: a
/// backup that they do not open replaces nothing.
pub async fn restore(
    backup: &Path,
    to: &Path,
    over: Over,
    keys: &Keys,
    now: Timestamp,
) -> Result<Option<PathBuf>> {
    // 1. Is it a backup, and whole?
    let contents = read_backup(backup).await?;

    // 2. What would be replaced?
    let there = to.metadata().is_ok_and(|metadata| metadata.len() > 0);
    let mut epoch = contents.epoch;
    if there {
        if over == Over::Nothing {
            return Err(BackupError::Exists(to.to_owned()).into());
        }
        let known = read_idle(to).await?;
        if let Some(known) = known {
            let is_another = known.instance != contents.instance;
            if is_another && over < Over::Anything {
                return Err(BackupError::Another(to.to_owned()).into());
            }
            let is_newer = (known.epoch, known.last_row) > (contents.epoch, contents.last_row);
            if is_newer && over < Over::Anything {
                return Err(BackupError::Newer {
                    path: to.to_owned(),
                    store_epoch: known.epoch,
                    store_row: known.last_row,
                    backup_epoch: contents.epoch,
                    backup_row: contents.last_row,
                }
                .into());
            }
            epoch = epoch.max(known.epoch);
        } else if over < Over::Anything {
            return Err(BackupError::Unreadable(to.to_owned()).into());
        }
    }

    // 3. A copy, complete before it has its name.
    let partial = Partial::make(to)?;
    // Not `fs::copy`, which would take over the permissions too.
    let copied = File::open(backup)
        .and_then(|mut from| io::copy(&mut from, &mut OpenOptions::new().write(true).open(&partial.0)?));
    copied.map_err(at(backup))?;
    set_epoch(&partial.0, epoch).await?;

    // 4. Does it open? Afterwards it would be too late to say no.
    open::try_out(&partial.0, keys, now).await?;

    // 5. The old one goes aside, the new one takes its place.
    let aside = there.then(|| suffixed(to, &format!(".replaced-{}", hex::write(&crate::random::<4>()))));
    match &aside {
        Some(aside) => {
            // The log first: beside another database SQLite would take it for that one's.
            for with in ["-wal", "-shm"] {
                let (from, log) = (suffixed(to, with), suffixed(aside, with));
                if from.try_exists().map_err(at(&from))? {
                    fs::rename(&from, &log).map_err(at(&from))?;
                }
            }
            fs::rename(to, aside).map_err(at(to))?;
        }
        // An empty file is what an interrupted first start leaves.
        None if to.try_exists().map_err(at(to))? => fs::remove_file(to).map_err(at(to))?,
        None => {}
    }
    partial.publish(to)?;
    Ok(aside)
}

/// What tells one state of a store from another.
struct Contents {
    instance: String,
    epoch: i64,
    last_row: i64,
}

async fn read_backup(path: &Path) -> Result<Contents> {
    let no_backup = |why: String| BackupError::NoBackup { path: path.to_owned(), why };
    File::open(path).map_err(at(path))?;
    let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(true);
    let read = async {
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let sound: String =
            sqlx::query("PRAGMA integrity_check").fetch_one(&mut connection).await?.try_get(0)?;
        let marks = sqlx::query("SELECT value FROM meta WHERE name = $1").bind(BACKUP);
        let is_marked = marks.fetch_optional(&mut connection).await?.is_some();
        Ok::<_, sqlx::Error>((sound, is_marked, contents(&mut connection).await?))
    };
    match read.await {
        Ok((sound, ..)) if sound != "ok" => Err(no_backup(sound).into()),
        Ok((_, false, _)) => Err(no_backup("it is a store, and was not made by a backup".to_owned()).into()),
        Ok((_, true, contents)) => Ok(contents),
        Err(error) => Err(no_backup(error.to_string()).into()),
    }
}

/// The contents of the store that would be replaced, which nobody else may have open; `None` if it is none or broken.
async fn read_idle(path: &Path) -> Result<Option<Contents>> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::ZERO)
        // With WAL this takes the file for itself alone, which fails as long as anybody has it open.
        .locking_mode(SqliteLockingMode::Exclusive);
    let read = async {
        let mut connection = SqliteConnection::connect_with(&options).await?;
        sqlx::raw_sql("BEGIN IMMEDIATE; COMMIT").execute(&mut connection).await?;
        let contents = contents(&mut connection).await?;
        connection.close().await?; // which takes what is in the log into the file
        Ok::<_, sqlx::Error>(contents)
    };
    let contents = match read.await.map_err(Error::from) {
        Ok(contents) => Some(contents),
        Err(error) if error.is_away() => return Err(BackupError::Live(path.to_owned()).into()),
        Err(_) => None,
    };
    let log = suffixed(path, "-wal");
    let is_live = match &contents {
        // It was closed just now, which leaves a log where somebody else has it open.
        Some(_) => log.metadata().is_ok_and(|metadata| metadata.len() > 0),
        // A log is what was left behind.
        None => is_locked(path)?,
    };
    if is_live {
        return Err(BackupError::Live(path.to_owned()).into());
    }
    Ok(contents)
}

/// Whether another process has the database open: with a log, each connection keeps a lock on it. SQLite itself says
/// nothing of it where the file is damaged.
fn is_locked(path: &Path) -> Result<bool> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(at(path))?;
    match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(false),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(true),
        Err(error) => Err(at(path)(error.into()).into()),
    }
}

async fn contents(connection: &mut SqliteConnection) -> Result<Contents, sqlx::Error> {
    let row = sqlx::query(
        "SELECT (SELECT value FROM meta WHERE name = 'instance') AS instance, \
         (SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'epoch') AS epoch, \
         coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0) AS last_row",
    )
    .fetch_one(connection)
    .await?;
    Ok(Contents {
        instance: row.try_get("instance")?,
        epoch: row.try_get("epoch")?,
        last_row: row.try_get("last_row")?,
    })
}

async fn mark(path: &Path, now: Timestamp) -> Result<()> {
    let mut connection = single_file(path).await?;
    let insert = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    sqlx::query(insert).bind(BACKUP).bind(now.to_string()).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// The epoch that the next opening counts on from.
async fn set_epoch(path: &Path, epoch: i64) -> Result<()> {
    let mut connection = single_file(path).await?;
    let update = "UPDATE meta SET value = $1 WHERE name = 'epoch'";
    sqlx::query(update).bind(epoch.to_string()).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// A connection that leaves nothing beside the file.
async fn single_file(path: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(path).journal_mode(SqliteJournalMode::Delete);
    Ok(SqliteConnection::connect_with(&options).await?)
}

/// A file of mode 0600 beside the one that it will be, which goes away if it never is.
struct Partial(PathBuf);

impl Partial {
    fn make(target: &Path) -> Result<Self> {
        let path = suffixed(target, &format!(".partial-{}", hex::write(&crate::random::<4>())));
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(at(target))?;
        Ok(Self(path))
    }

    /// Gives it its name, durably, unless somebody else was quicker.
    fn publish(self, target: &Path) -> Result<()> {
        File::open(&self.0).and_then(|file| file.sync_all()).map_err(at(&self.0))?;
        match fs::hard_link(&self.0, target) {
            Ok(()) => Ok(sync_directory(target).map_err(at(target))?),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(BackupError::Exists(target.to_owned()).into())
            }
            Err(error) => Err(at(target)(error).into()),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0); // if it has its name, this was only its other one
    }
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError + use<> {
    let path = path.to_owned();
    |source| BackupError::File { path, source }
}

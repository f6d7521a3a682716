//! What can go wrong, and what to do about it.
//!
//! Four questions decide what a caller does: is the database away (try later), did somebody else change the row (read
//! it again), does a row make no sense (call a person), or was the store opened or used in a way that cannot work
//! (change that)? Each is a variant of its own.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::error::ErrorKind;

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database cannot be used now. The same request may succeed later.
    #[error("the database is away: {reason}")]
    Away {
        /// What keeps it away.
        reason: Away,
        /// Whether the write may have been made all the same, because the answer to the commit was lost. Repeating it
        /// must then be harmless, which the keys of the tables see to.
        in_doubt: bool,
        /// What the database or its driver said.
        #[source]
        source: Option<Arc<sqlx::Error>>,
    },
    /// Somebody else changed the row since it was read: read it again and decide again.
    #[error("{what} was changed by somebody else meanwhile: read it again and decide again")]
    Conflict {
        /// The row.
        what: String,
    },
    /// Somebody else settled the observation meanwhile, and wrote what follows from it: there is nothing left to do.
    #[error("observation {observation} was settled by somebody else meanwhile: nothing is left to do for it")]
    Settled {
        /// The key of the observation.
        observation: String,
    },
    /// More of them wait than are kept.
    #[error("more {what} wait than are kept: they come again, or are found in another way")]
    Crowd {
        /// Of what there are too many.
        what: String,
    },
    /// There is no such row.
    #[error("there is no {what}")]
    Missing {
        /// The row that was asked for.
        what: String,
    },
    /// A row makes no sense. Nothing repairs it by itself: restore a backup, or ask for help with the place at hand.
    #[error("the database holds what Ringfence did not write there: {place}: {why}")]
    Corrupt {
        /// Table, column and row, as far as they are known.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// A sealed value cannot be opened.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// The store cannot be opened so.
    #[error(transparent)]
    Open(Arc<OpenError>),
    /// A backup or a restore was refused.
    #[error(transparent)]
    Backup(Arc<BackupError>),
    /// This node was silent for so long that another one has taken over its work. It has to join again.
    #[error("node {node} was given up by the others after a silence: it has to join again, under a new life")]
    Buried {
        /// The node that must join again.
        node: String,
    },
    /// The database refused a statement of ours. This is a fault of Ringfence.
    #[error("the database refused a statement of Ringfence; please report this: {0}")]
    Refused(Arc<sqlx::Error>),
}

/// What keeps the database away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Away {
    /// No connection, or it broke.
    #[error("no connection to it; is it running, and does the network let this machine through?")]
    Unreachable,
    /// It was asked, and did not answer.
    #[error("it did not answer within a minute; is it running, or is something large at work in it?")]
    Silent,
    /// It does not let us in.
    #[error("it refuses the user or the password, or has no database of this name")]
    Denied,
    /// All connections of this node are in use.
    #[error("no connection to it was to be had in time: it does not answer, or all are in use")]
    Crowded,
    /// The disk is full.
    #[error("its disk is full; make room")]
    DiskFull,
    /// Another transaction holds what this one needs.
    #[error(
        "another program holds its lock for too long; for SQLite: is a second Ringfence or a tool at work on the file?"
    )]
    Locked,
    /// It answers, but only reads: a replica, a disk that is mounted read-only, or a file of another user.
    #[error("it can only be read; is it a replica, or is the file not this user's?")]
    ReadOnly,
    /// It fails to read or write its files.
    #[error("it cannot read or write its files; look at the disk")]
    Disk,
    /// SQLite cannot open its file, or those that it makes beside it.
    #[error(
        "its file cannot be opened; may this user write to it and to its folder, and are files left to open (ulimit -n)?"
    )]
    Unopened,
    /// SQLite's file is not where it was opened any more.
    #[error(
        "its file was moved, deleted or replaced while this program had it open, so nobody else sees what is written; put \
         that file back, or start this program again with the one that is to count"
    )]
    Moved,
    /// The store was closed by this program.
    #[error("the store is closed")]
    Closed,
}

/// Why a sealed value cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealedError {
    /// It was sealed with a key that was not given.
    #[error(
        "{place} is sealed with the master key {key_id}, which was not given: give it as a previous key until \
         everything is sealed with the current one"
    )]
    UnknownKey {
        /// Table, column and row.
        place: String,
        /// The id of the missing key.
        key_id: String,
    },
    /// It was changed, or moved from another row.
    #[error("{place} was changed, or moved there from another row: it does not open with its key")]
    Forged {
        /// Table, column and row.
        place: String,
    },
    /// The person's key was erased, and with it everything sealed under it.
    #[error("{place} belongs to a person whose key was erased")]
    Erased {
        /// Table, column and row.
        place: String,
    },
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database was written by a newer program.
    #[error(
        "the database is of version {found}, this program knows versions up to {known}: run the newer program, or \
         restore a backup from before the upgrade"
    )]
    Newer {
        /// The version of the database.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The URL of PostgreSQL cannot be read.
    #[error("the URL of the database cannot be read: {0}; a good one is postgres://user@host/ringfence")]
    Url(#[source] sqlx::Error),
    /// PostgreSQL is shared by several nodes, so one of them cannot make the key by itself.
    #[error(
        "PostgreSQL needs a master key that all nodes share: 64 hexadecimal digits, for example from \
         `openssl rand -hex 32`, in a file or the environment of each node"
    )]
    MasterKeyDemanded,
    /// The text is not 64 hexadecimal digits.
    #[error("a master key is 64 hexadecimal digits, for example from `openssl rand -hex 32`")]
    MasterKeyMalformed,
    /// The database was sealed with another key.
    #[error(
        "the database is sealed with the master key {wanted}, and {} given: give the key that belongs to it",
        if given.is_empty() { "none was".to_owned() } else { format!("{given} was") }
    )]
    MasterKeyWrong {
        /// The id of the key that the database is sealed with.
        wanted: String,
        /// The ids that were given.
        given: String,
    },
    /// There is a database and no key beside it. A new one would open nothing.
    #[error("there is a database, but its master key {} is missing: put it back, from where it was kept apart from the backup", path.display())]
    MasterKeyMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Others than its owner and group may read the key, or others than its owner may change it.
    #[error("{} may be read or changed by others (mode {mode:03o}): chmod 600 it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file cannot be read or made.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file of the store is there and cannot be opened.
    #[error("{} cannot be opened: {source}; it has to be a file that this user may read and write", path.display())]
    NotOpened {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no database of SQLite's, or a damaged one.
    #[error(
        "{} is no database, or a damaged one ({why}): name another file in `url` of [store], or put a backup in its \
         place with `ringfence store restore`",
        path.display()
    )]
    NoDatabase {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        why: String,
    },
    /// A file of a new store cannot be made.
    #[error(
        "a new store needs {}, which cannot be made: {source}; its folder must be there, and one that this user may write to",
        path.display()
    )]
    NotMade {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Why a backup or a restore was refused.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// PostgreSQL has tools of its own for this.
    #[error(
        "this is for SQLite; PostgreSQL is backed up with pg_dump, pg_basebackup or an archive of its log"
    )]
    NotSqlite,
    /// There is a file already.
    #[error("{} is there already: choose another name, or take it away", .0.display())]
    Exists(PathBuf),
    /// The file is no backup of a Ringfence store.
    #[error("{} is not a backup of a Ringfence store: {why}", path.display())]
    NoBackup {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The store that would be replaced is in use.
    #[error("{} is in use: stop Ringfence first", .0.display())]
    Live(PathBuf),
    /// What would be replaced cannot be read, so nobody knows whether the backup lacks something of it.
    #[error("{} cannot be read as a store, so whether the backup lacks something of it cannot be told", .0.display())]
    Unreadable(PathBuf),
    /// The store that would be replaced is not the one that the backup was made of.
    #[error(
        "{} is of another installation than the backup: restoring forgets all that is in it. If that is meant, say so",
        .0.display()
    )]
    Another(PathBuf),
    /// The store that would be replaced knows more than the backup.
    #[error(
        "{} is newer than the backup (epoch {store_epoch}, audit row {store_row}; the backup has {backup_epoch}, \
         {backup_row}): restoring forgets what happened since. If that is meant, say so", path.display()
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// The number of its epoch.
        store_epoch: i64,
        /// Its last audit row.
        store_row: i64,
        /// The number of the backup's epoch.
        backup_epoch: i64,
        /// The last audit row of the backup.
        backup_row: i64,
    },
    /// A file cannot be read or made.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The place of what is wrong with SQLite's file as a whole.
const FILE: &str = "the file";

impl Error {
    /// Says which file a store could not be opened in, and what to do about it. It may only be asked when no connection of
    /// this program to the file is open: closing the file, as trying it does, would take their locks from them.
    pub(crate) fn while_opening(self, path: &Path) -> Self {
        match self {
            Self::Corrupt { place, why } if place == FILE => {
                OpenError::NoDatabase { path: path.to_owned(), why }.into()
            }
            Self::Away { reason: Away::Unopened, .. } => {
                match OpenOptions::new().read(true).write(true).open(path) {
                    Err(source) => OpenError::NotOpened { path: path.to_owned(), source }.into(),
                    Ok(_) => self,
                }
            }
            other => other,
        }
    }

    /// Whether the same request may succeed later without anybody doing anything to the request.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }

    /// Whether it is away and may be there again without anybody doing anything.
    pub fn may_come_back(&self) -> bool {
        matches!(self, Self::Away { reason, .. } if !matches!(reason, Away::Denied | Away::Closed))
    }

    /// Whether somebody else was quicker: the caller reads again and decides again.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::Settled { .. })
    }

    /// Whether somebody else was quicker and did the whole of it: the observation that was to be settled is settled.
    pub fn is_settled_conflict(&self) -> bool {
        matches!(self, Self::Settled { .. })
    }

    pub(crate) fn missing(what: impl Into<String>) -> Self {
        Self::Missing { what: what.into() }
    }

    pub(crate) fn conflict(what: impl Into<String>) -> Self {
        Self::Conflict { what: what.into() }
    }

    pub(crate) fn corrupt(place: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Corrupt { place: place.into(), why: why.into() }
    }

    pub(crate) fn closed() -> Self {
        Self::Away { reason: Away::Closed, in_doubt: false, source: None }
    }

    /// The same failure, met while committing: nobody knows whether the write was made.
    pub(crate) fn while_committing(self) -> Self {
        match self {
            Self::Away {
                reason: reason @ (Away::Unreachable | Away::Unopened | Away::Disk), source, ..
            } => Self::Away { reason, in_doubt: true, source },
            other => other,
        }
    }

    /// Two transactions stood in each other's way and the database gave this one up: alone it may get through.
    pub(crate) fn is_contention(&self) -> bool {
        let Self::Away { source: Some(source), .. } = self else { return false };
        matches!(code(source).as_deref(), Some("40P01" | "40001"))
    }

    /// Somebody else holds the lock.
    pub(crate) fn is_locked(&self) -> bool {
        matches!(self, Self::Away { reason: Away::Locked, .. })
    }

    /// The connection broke before the commit, so nothing of the transaction remains.
    pub(crate) fn is_broken_connection(&self) -> bool {
        matches!(self, Self::Away { reason: Away::Unreachable | Away::Unopened, in_doubt: false, .. })
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        Self::Open(Arc::new(error))
    }
}

impl From<BackupError> for Error {
    fn from(error: BackupError) -> Self {
        Self::Backup(Arc::new(error))
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let away = |reason, error| Self::Away { reason, in_doubt: false, source: Some(Arc::new(error)) };
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed => away(Away::Unreachable, error),
            sqlx::Error::PoolTimedOut => away(Away::Crowded, error),
            sqlx::Error::PoolClosed => away(Away::Closed, error),
            sqlx::Error::ColumnDecode { index, source } => {
                Self::corrupt(format!("column {index}"), source.to_string())
            }
            sqlx::Error::Database(database) => match reason(database.code().as_deref().unwrap_or_default()) {
                Some(reason) => away(reason, error),
                None if database.code().as_deref() == Some("11")
                    || database.code().as_deref() == Some("26") =>
                {
                    Self::corrupt(FILE, database.message().to_owned())
                }
                None if database.kind() == ErrorKind::UniqueViolation => {
                    Self::conflict(database.table().unwrap_or("a row").to_owned())
                }
                None => Self::Refused(Arc::new(error)),
            },
            _ => Self::Refused(Arc::new(error)),
        }
    }
}

/// Why the database is away, by its code: SQLSTATE (five characters) or SQLite's extended result code.
///
/// Sources: PostgreSQL 18, appendix A; <https://www.sqlite.org/rescode.html>, where the low byte is the primary code.
fn reason(code: &str) -> Option<Away> {
    // SQLite's codes have at most four digits.
    if code.len() == 5 {
        return match code {
            "53100" => Some(Away::DiskFull),
            "53300" => Some(Away::Crowded),
            "25006" => Some(Away::ReadOnly),
            "55P03" | "40P01" | "40001" | "57014" => Some(Away::Locked),
            "58030" => Some(Away::Disk),
            // It ended the connection, since its transaction lay idle: this node hung, or was cut off.
            "25P03" => Some(Away::Unreachable),
            "28000" | "28P01" | "3D000" => Some(Away::Denied),
            _ if code.starts_with("08") || code.starts_with("57P") || code.starts_with("53") => {
                Some(Away::Unreachable)
            }
            _ => None,
        };
    }
    match code.parse::<u32>().ok()? & 0xff {
        5 | 6 => Some(Away::Locked), // SQLITE_BUSY, SQLITE_LOCKED
        8 => Some(Away::ReadOnly),   // SQLITE_READONLY
        10 => Some(Away::Disk),      // SQLITE_IOERR
        13 => Some(Away::DiskFull),  // SQLITE_FULL
        14 => Some(Away::Unopened),  // SQLITE_CANTOPEN
        _ => None,
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_tell_why_it_is_away() {
        for (code, expected) in [
            ("53100", Some(Away::DiskFull)),
            ("53300", Some(Away::Crowded)),
            ("25006", Some(Away::ReadOnly)),
            ("55P03", Some(Away::Locked)),
            ("40P01", Some(Away::Locked)),
            ("57P01", Some(Away::Unreachable)),
            ("25P03", Some(Away::Unreachable)),
            ("28P01", Some(Away::Denied)),
            ("08006", Some(Away::Unreachable)),
            ("58030", Some(Away::Disk)),
            ("23505", None),
            ("42601", None),
            ("5", Some(Away::Locked)),
            ("261", Some(Away::Locked)),
            ("13", Some(Away::DiskFull)),
            ("8", Some(Away::ReadOnly)),
            ("1032", Some(Away::ReadOnly)),
            ("778", Some(Away::Disk)),
            ("6410", Some(Away::Disk)),
            ("14", Some(Away::Unopened)),
            ("1038", Some(Away::Unopened)),
            ("2067", None),
            ("", None),
        ] {
            assert_eq!(reason(code), expected, "{code}");
        }
    }
}

//! The two databases behind a store.

use std::sync::Arc;

use jiff::Timestamp;
use ringfence_model::Secret;
use ringfence_store::{Keys, Location, MasterKey, Store};
use ringfence_testkit::PostgresDatabase;
use tempfile::TempDir;

/// A database of a test's own, gone with it.
pub(crate) enum Database {
    Sqlite(TempDir),
    Postgres(PostgresDatabase),
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a folder"))
    }

    /// None where PostgreSQL is not installed and nothing demands it.
    pub(crate) fn postgres() -> Option<Self> {
        PostgresDatabase::create().map(Self::Postgres)
    }

    /// Opens it once more, as another process does.
    pub(crate) async fn open(&self, now: Timestamp) -> Arc<Store> {
        let location = match self {
            Self::Sqlite(folder) => Location::Sqlite(folder.path().join("ringfence.db")),
            Self::Postgres(database) => Location::Postgres(Secret::new(database.url())),
        };
        let keys = Keys::Given { current: MasterKey::from_bytes([7; 32]), previous: Vec::new() };
        Arc::new(Store::open(&location, &keys, now).await.expect("a store"))
    }

    /// A server that is started anew breaks all connections; a file has none, and is closed and opened by its programs.
    pub(crate) fn break_connections(&self) {
        if let Self::Postgres(database) = self {
            database.break_connections();
        }
    }

    pub(crate) const fn is_file(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }
}

/// The same test on both databases.
macro_rules! on_both {
    ($($name:ident => $test:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$test($crate::database::Database::sqlite).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                use $crate::database::Database;
                if Database::postgres().is_some() {
                    super::$test(|| Database::postgres().expect("it was there a moment ago")).await;
                }
            })*
        }
    };
}
pub(crate) use on_both;

//! A store for a test, and what most tests need beside it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Actor, Secret};
use ringfence_store::{Head, Keys, Location, MasterKey, Store};
use ringfence_testkit::PostgresDatabase;
use sqlx::{AssertSqlSafe, Connection as _};

/// A database of the test's own with a store on it.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) location: Location,
    pub(crate) database: Database,
}

/// Where the store is, kept as long as the test runs.
pub(crate) enum Database {
    Sqlite(tempfile::TempDir),
    Postgres(PostgresDatabase),
}

/// The key of every store here, unless a test is about keys.
pub(crate) fn keys() -> Keys {
    Keys::Given { current: MasterKey::from_bytes([7; 32]), previous: Vec::new() }
}

/// When the tests begin.
pub(crate) fn start() -> Timestamp {
    "2026-11-26T00:00:00Z".parse().unwrap()
}

/// A time after the beginning.
pub(crate) fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Whoever does it, where that does not matter.
pub(crate) fn operator() -> Actor {
    Actor::CommandLine("alice".to_owned())
}

impl World {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(directory.path().join("ringfence.db"));
        Self::at(location, Database::Sqlite(directory)).await
    }

    /// `None` where there is no PostgreSQL and none is demanded.
    pub(crate) async fn postgres() -> Option<Self> {
        let database = PostgresDatabase::create()?;
        let location = Location::Postgres(Secret::new(database.url()));
        Some(Self::at(location, Database::Postgres(database)).await)
    }

    async fn at(location: Location, database: Database) -> Self {
        let store = Store::open(&location, &keys(), start()).await.unwrap();
        Self { store, location, database }
    }

    /// The same database as another node sees it.
    pub(crate) async fn another(&self) -> Store {
        Store::open(&self.location, &keys(), start()).await.unwrap()
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.database, Database::Sqlite(_))
    }

    /// Statements of an intruder, or of a tool, past the store.
    pub(crate) async fn run(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.location {
            Location::Sqlite(path) => {
                let url = format!("sqlite://{}", path.display());
                let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Location::Postgres(url) => {
                let mut connection = sqlx::PgConnection::connect(url.expose()).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// Takes away what keeps audit rows from being changed, as an intruder with the right to do so would.
    pub(crate) async fn unlock_audit(&self) {
        let drop = if self.is_sqlite() {
            "DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_deleted"
        } else {
            "DROP TRIGGER audit_is_not_changed ON audit"
        };
        self.run(drop).await;
    }

    /// Everything that the database holds, as bytes: the files of SQLite, a dump of PostgreSQL.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match &self.database {
            Database::Postgres(database) => database.dump(),
            Database::Sqlite(directory) => std::fs::read_dir(directory.path())
                .unwrap()
                .flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
                .collect(),
        }
    }
}

/// Seals whatever was written so far. Transactions of other tests in the same cluster may hold it up for a moment, as
/// those of other programs may.
pub(crate) async fn seal(store: &Store) -> Option<Head> {
    let mut head = None;
    for _ in 0..10_000 {
        head = store.seal_audit(after(100)).await.unwrap().head.or(head);
        if store.verify_audit(&[]).await.unwrap().unsealed == 0 {
            return head;
        }
    }
    panic!("the sealer waits for ever");
}

/// Waits for all of them at once.
pub(crate) async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut results: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *result = Some(ready);
            }
        }
        if results.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    results.into_iter().flatten().collect()
}

/// Makes each function a test on SQLite and a test on PostgreSQL.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::world::World::sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(world) = crate::world::World::postgres().await {
                    super::$name(world).await;
                }
            })*
        }
    };
}
pub(crate) use on_both;

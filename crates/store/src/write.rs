//! Group commit: many small writes, one transaction.
//!
//! A commit waits for a disk, some milliseconds; a statement takes microseconds. So one task per node takes whatever is
//! queued, runs each write inside a savepoint of one transaction, commits, and answers after the commit. While a commit
//! runs, the next batch gathers by itself. A write that fails is rolled back to its savepoint and fails alone.
//!
//! A write can run more than once before it is answered: when the connection turns out to be dead, or when two nodes
//! stood in each other's way. So it is a function of its data and a transaction, and does nothing else. Once it is
//! queued it is carried out, even if whoever asked no longer waits for the answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::{Away, Error};
use crate::opened::OpenedFile;
use crate::seal::Keyring;
use crate::sql::Pool;
use crate::transaction::{Connection, Transaction};

/// Writes that may wait in line. Whoever comes later waits for a place.
const QUEUE: usize = 4096;
/// PostgreSQL keeps 64 subtransactions of a transaction where other backends see them cheaply
/// (`PGPROC_MAX_CACHED_SUBXIDS`); with more every snapshot becomes slower.
const BATCH: usize = 60;
/// How often a write is tried that others stood in the way of.
const TRIES_MAX: u32 = 5;
/// How long a transaction may take, commit included.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a connection is kept: as a pool does it, so that one to a server which is not the right one any more ends.
const KEPT: Duration = Duration::from_mins(10);

pub(crate) type Outcome<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;
/// A write: it has all it needs in `D`, and may be run again.
pub(crate) type Act<D, T> = for<'a> fn(&'a D, &'a mut Transaction) -> Outcome<'a, T>;

/// The line before the task that writes.
pub(crate) struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
    task: JoinHandle<()>,
}

impl Writer {
    pub(crate) fn start(pool: Pool, file: Option<Arc<OpenedFile>>, keys: Arc<Keyring>) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let writing = Writing { pool, file, keys, kept: None };
        Self { queue, task: tokio::spawn(work(writing, jobs)) }
    }

    /// Carries out a write and answers after its commit.
    pub(crate) async fn write<D, T>(&self, data: D, act: Act<D, T>) -> Result<T, Error>
    where
        D: Send + Sync + 'static,
        T: Send + 'static,
    {
        queue(&self.queue, data, act).await
    }

    /// A way to queue that does not keep the writer alive.
    pub(crate) fn line(&self) -> WriterLine {
        WriterLine(self.queue.downgrade())
    }

    /// Carries out what is queued, then ends.
    pub(crate) async fn finish(self) {
        drop(self.queue);
        // A task that was cancelled because the runtime ends has nobody left to tell.
        let _ = self.task.await;
    }
}

/// A way to queue writes, for a task that the store owns.
pub(crate) struct WriterLine(mpsc::WeakSender<Box<dyn Job>>);

impl WriterLine {
    /// As [`Writer::write`], as long as the writer is there.
    pub(crate) async fn write<D, T>(&self, data: D, act: Act<D, T>) -> Result<T, Error>
    where
        D: Send + Sync + 'static,
        T: Send + 'static,
    {
        queue(&self.0.upgrade().ok_or_else(Error::closed)?, data, act).await
    }
}

async fn queue<D, T>(queue: &mpsc::Sender<Box<dyn Job>>, data: D, act: Act<D, T>) -> Result<T, Error>
where
    D: Send + Sync + 'static,
    T: Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let job = Write { data, act, result: None, reply };
    queue.send(Box::new(job)).await.map_err(|_| Error::closed())?;
    answer.await.map_err(|_| Error::closed())?
}

/// A write of any type.
trait Job: Send {
    /// Runs it; the result is kept until the answer.
    fn run<'a>(&'a mut self, transaction: &'a mut Transaction) -> Outcome<'a, ()>;
    /// Tells whoever asked: its own result after a commit, or why there is none.
    fn answer(self: Box<Self>, outcome: Result<(), Error>);
}

struct Write<D, T> {
    data: D,
    act: Act<D, T>,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<D: Send + Sync, T: Send> Job for Write<D, T> {
    fn run<'a>(&'a mut self, transaction: &'a mut Transaction) -> Outcome<'a, ()> {
        Box::pin(async move {
            self.result = Some((self.act)(&self.data, transaction).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, outcome: Result<(), Error>) {
        let Self { result, reply, .. } = *self;
        // Where nobody waits any more, the write was made all the same.
        let _ = reply.send(outcome.and_then(|()| result.ok_or_else(Error::closed)));
    }
}

type Batch = Vec<Box<dyn Job>>;

/// What transactions are made of.
struct Writing {
    pool: Pool,
    /// SQLite's file, which has to be where it was.
    file: Option<Arc<OpenedFile>>,
    keys: Arc<Keyring>,
    /// The connection of the last commit, and since when it is kept. A pool would ask it before and after each transaction
    /// whether it is there, which costs more than a small statement.
    kept: Option<(Connection, Instant)>,
}

impl Writing {
    async fn begin(&mut self) -> Result<(Transaction, Instant), Error> {
        self.file.as_ref().map_or(Ok(()), |file| file.is_there_still())?;
        match self.kept.take().filter(|(_, since)| since.elapsed() < KEPT) {
            Some((connection, since)) => Ok((Transaction::begin(connection, &self.keys).await?, since)),
            None => Ok((self.pool.begin(&self.keys).await?, Instant::now())),
        }
    }
}

/// The task: batch after batch, until nobody can queue any more.
async fn work(mut writing: Writing, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let mut batch = Batch::with_capacity(BATCH);
    while jobs.recv_many(&mut batch, BATCH).await > 0 {
        let alone = commit(&mut writing, std::mem::take(&mut batch)).await;
        for job in alone {
            commit_alone(&mut writing, job).await;
        }
    }
    let Writing { pool, kept, .. } = writing;
    drop(kept);
    pool.close().await;
}

/// Carries out a batch and answers it, except where another node stood in its way: then nothing of it was done, and it is
/// given back, to be tried one by one.
async fn commit(writing: &mut Writing, mut batch: Batch) -> Batch {
    let mut outcomes = run(writing, &mut batch).await;
    if outcomes.as_ref().is_err_and(Error::is_broken_connection) {
        // A connection of the pool may have died while it was idle, as all do when the database is started anew.
        outcomes = run(writing, &mut batch).await;
    }
    match outcomes {
        Ok(outcomes) => batch.into_iter().zip(outcomes).for_each(|(job, outcome)| job.answer(outcome)),
        Err(error) if error.is_contention() => return batch,
        Err(error) => batch.into_iter().for_each(|job| job.answer(Err(error.clone()))),
    }
    Batch::new()
}

async fn commit_alone(writing: &mut Writing, job: Box<dyn Job>) {
    let mut batch = vec![job];
    for tried in 1..=TRIES_MAX {
        let outcome = run(writing, &mut batch).await.and_then(|mut outcomes| {
            outcomes.pop().unwrap_or_else(|| Err(Error::closed())) // one job has one outcome
        });
        if tried < TRIES_MAX && outcome.as_ref().is_err_and(Error::is_contention) {
            continue;
        }
        return batch.into_iter().for_each(|job| job.answer(outcome.clone()));
    }
}

/// One transaction: the outcome of each write after the commit, or why nothing of it is there.
async fn run(writing: &mut Writing, batch: &mut Batch) -> Result<Vec<Result<(), Error>>, Error> {
    // A server that vanished without a word would hold up every write until TCP gives up, a quarter of an hour.
    match tokio::time::timeout(PATIENCE, transact(writing, batch)).await {
        Ok(outcomes) => outcomes,
        Err(_) => Err(Error::Away { reason: Away::Silent, in_doubt: true, source: None }),
    }
}

async fn transact(writing: &mut Writing, batch: &mut Batch) -> Result<Vec<Result<(), Error>>, Error> {
    let (mut transaction, since) = writing.begin().await?;
    let outcomes = match batch.as_mut_slice() {
        [job] => match job.run(&mut transaction).await {
            Ok(()) => vec![Ok(())],
            Err(error) => {
                transaction.rollback().await;
                return if error.is_away() { Err(error) } else { Ok(vec![Err(error)]) };
            }
        },
        jobs => match run_each(&mut transaction, jobs).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                transaction.rollback().await;
                return Err(error);
            }
        },
    };
    writing.kept = Some((transaction.commit().await?, since));
    Ok(outcomes)
}

/// Each write in a savepoint of its own. Only what concerns all of them is an error.
async fn run_each(
    transaction: &mut Transaction,
    jobs: &mut [Box<dyn Job>],
) -> Result<Vec<Result<(), Error>>, Error> {
    let mut outcomes = Vec::with_capacity(jobs.len());
    transaction.save().await?;
    for job in jobs {
        let mut outcome = job.run(transaction).await;
        if outcome.is_ok() {
            // What the write left waiting is its own.
            outcome = transaction.save_again().await;
        }
        match &outcome {
            Ok(()) => {}
            // After a deadlock too: whoever went on would keep the other node waiting, and find the next one.
            Err(error) if error.is_away() => return Err(error.clone()),
            Err(_) => transaction.back().await?,
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use ringfence_model::Secret;
    use ringfence_testkit::PostgresDatabase;

    use crate::error::Away;
    use crate::sql::values;
    use crate::{Error, Keys, Location, MasterKey, Store};

    async fn put(store: &Store, name: &'static str, bytes: usize) -> Result<(), Error> {
        let act = store.write((name, bytes), |(name, bytes), transaction| {
            Box::pin(async move {
                let insert = "INSERT INTO meta (name, value) VALUES ($1, $2)";
                transaction.execute(insert, values![*name, "x".repeat(*bytes)]).await.map(drop)
            })
        });
        act.await
    }

    /// The same, without waiting for the statement.
    async fn put_later(store: &Store, name: &'static str) -> Result<(), Error> {
        let act = store.write(name, |name, transaction| {
            Box::pin(async move {
                let insert = "INSERT INTO meta (name, value) VALUES ($1, $2)";
                transaction.later(insert, values![*name, "later"]).await
            })
        });
        act.await
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_statement_that_waited_is_told_to_whose_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let location = Location::Sqlite(folder.path().join("store.db"));
        let keys = Keys::Given { current: MasterKey::random(), previous: Vec::new() };
        let store = Store::open(&location, &keys, jiff::Timestamp::UNIX_EPOCH).await.expect("a store");
        put(&store, "there", 1).await.expect("a row");
        // All of them are in one transaction, in their order.
        let at_once = store.write((), |(), _| Box::pin(async { Err::<(), _>(Error::conflict("nothing")) }));
        let (nothing, first, again, last) = tokio::join!(
            at_once,
            put_later(&store, "first"),
            put_later(&store, "there"),
            put_later(&store, "last")
        );
        assert!(nothing.is_err_and(|error| error.is_conflict()));
        assert!(first.is_ok() && last.is_ok(), "{first:?} {last:?}");
        assert!(again.as_ref().is_err_and(Error::is_conflict), "{again:?}");
        // Alone, the commit takes it along.
        let alone = put_later(&store, "there").await;
        assert!(alone.as_ref().is_err_and(Error::is_conflict), "{alone:?}");
        let sql = "SELECT count(*) AS count FROM meta WHERE value = 'later'";
        let row = store.find(sql, values![]).await.expect("rows").expect("a row");
        assert_eq!(row.int("count").expect("a number"), 2);
    }

    /// As one is seen that has lost its power or its network: it says nothing, and its connection does not end.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_node_that_hangs_in_a_transaction_keeps_others_waiting_for_no_longer_than_they_wait() {
        let Some(database) = PostgresDatabase::create() else { return };
        let location = Location::Postgres(Secret::new(database.url()));
        let keys = Keys::Given { current: MasterKey::random(), previous: Vec::new() };
        let open =
            async || Store::open(&location, &keys, jiff::Timestamp::UNIX_EPOCH).await.expect("a store");
        let (hung, other) = (open().await, open().await);
        put(&hung, "shared", 1).await.expect("a row");
        let hangs = tokio::spawn(async move {
            let act = hung.write((), |(), transaction| {
                Box::pin(async move {
                    let update = "UPDATE meta SET value = 'hung' WHERE name = 'shared'";
                    transaction.execute(update, values![]).await?;
                    std::future::pending::<Result<(), Error>>().await
                })
            });
            act.await
        });
        let idle = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND backend_xid IS NOT NULL";
        while database.psql(idle).trim() != "1" {}
        let act = other.write((), |(), transaction| {
            Box::pin(async move {
                let update = "UPDATE meta SET value = 'changed' WHERE name = 'shared'";
                transaction.execute(update, values![]).await
            })
        });
        // So long a request of the egress waits.
        let changed = tokio::time::timeout(std::time::Duration::from_secs(10), act).await;
        assert_eq!(changed.expect("in time").expect("the lock"), 1);
        hangs.abort();
    }

    #[tokio::test]
    async fn a_disk_that_was_full_is_written_to_again_once_there_is_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = jiff::Timestamp::UNIX_EPOCH;
        let location = Location::Sqlite(folder.path().join("store.db"));
        let keys = Keys::Given { current: MasterKey::random(), previous: Vec::new() };
        let store = Store::open(&location, &keys, now).await.expect("a store");
        let full = store.write((), |(), transaction| {
            // As many pages as there are: what is added finds none.
            Box::pin(async move { transaction.run("PRAGMA max_page_count = 1".to_owned()).await })
        });
        full.await.expect("a limit");
        let refused = put(&store, "large", 1_000_000).await;
        assert!(matches!(refused, Err(Error::Away { reason: Away::DiskFull, .. })), "{refused:?}");
        put(&store, "small", 10).await.expect("room");
    }
}

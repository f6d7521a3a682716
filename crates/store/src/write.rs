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

use crate::error::{Away, Error};
use crate::seal::Keyring;
use crate::sql::{Pool, Transaction};

/// Writes that may wait in line. Whoever comes later waits for a place.
const QUEUE: usize = 4096;
/// PostgreSQL keeps 64 subtransactions of a transaction where other backends see them cheaply
/// (`PGPROC_MAX_CACHED_SUBXIDS`); with more every snapshot becomes slower.
const BATCH: usize = 60;
/// How often a write is tried that others stood in the way of.
const TRIES_MAX: u32 = 5;
/// How long a transaction may take, commit included.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) type Outcome<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;
/// A write: it has all it needs in `D`, and may be run again.
pub(crate) type Act<D, T> = for<'a> fn(&'a D, &'a mut Transaction) -> Outcome<'a, T>;

/// The line before the task that writes.
pub(crate) struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
    task: JoinHandle<()>,
}

impl Writer {
    pub(crate) fn start(pool: Pool, keys: Arc<Keyring>) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        Self { queue, task: tokio::spawn(work(pool, keys, jobs)) }
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

/// The task: batch after batch, until nobody can queue any more.
async fn work(pool: Pool, keys: Arc<Keyring>, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let mut batch = Batch::with_capacity(BATCH);
    while jobs.recv_many(&mut batch, BATCH).await > 0 {
        let alone = commit(&pool, &keys, std::mem::take(&mut batch)).await;
        for job in alone {
            commit_alone(&pool, &keys, job).await;
        }
    }
    pool.close().await;
}

/// Carries out a batch and answers it, except where another node stood in its way: then nothing of it was done, and it is
/// given back, to be tried one by one.
async fn commit(pool: &Pool, keys: &Arc<Keyring>, mut batch: Batch) -> Batch {
    let mut outcomes = run(pool, keys, &mut batch).await;
    if outcomes.as_ref().is_err_and(Error::is_broken_connection) {
        // A connection of the pool may have died while it was idle, as all do when the database is started anew.
        outcomes = run(pool, keys, &mut batch).await;
    }
    match outcomes {
        Ok(outcomes) => batch.into_iter().zip(outcomes).for_each(|(job, outcome)| job.answer(outcome)),
        Err(error) if error.is_contention() => return batch,
        Err(error) => batch.into_iter().for_each(|job| job.answer(Err(error.clone()))),
    }
    Batch::new()
}

async fn commit_alone(pool: &Pool, keys: &Arc<Keyring>, job: Box<dyn Job>) {
    let mut batch = vec![job];
    for tried in 1..=TRIES_MAX {
        let outcome = run(pool, keys, &mut batch).await.and_then(|mut outcomes| {
            outcomes.pop().unwrap_or_else(|| Err(Error::closed())) // one job has one outcome
        });
        if tried < TRIES_MAX && outcome.as_ref().is_err_and(Error::is_contention) {
            continue;
        }
        return batch.into_iter().for_each(|job| job.answer(outcome.clone()));
    }
}

/// One transaction: the outcome of each write after the commit, or why nothing of it is there.
async fn run(pool: &Pool, keys: &Arc<Keyring>, batch: &mut Batch) -> Result<Vec<Result<(), Error>>, Error> {
    // A server that vanished without a word would hold up every write until TCP gives up, a quarter of an hour.
    match tokio::time::timeout(PATIENCE, transact(pool, keys, batch)).await {
        Ok(outcomes) => outcomes,
        Err(_) => Err(Error::Away { reason: Away::Unreachable, in_doubt: true, source: None }),
    }
}

async fn transact(
    pool: &Pool,
    keys: &Arc<Keyring>,
    batch: &mut Batch,
) -> Result<Vec<Result<(), Error>>, Error> {
    let mut transaction = pool.begin(keys).await?;
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
    transaction.commit().await?;
    Ok(outcomes)
}

/// Each write in a savepoint of its own. Only what concerns all of them is an error.
async fn run_each(
    transaction: &mut Transaction,
    jobs: &mut [Box<dyn Job>],
) -> Result<Vec<Result<(), Error>>, Error> {
    let mut outcomes = Vec::with_capacity(jobs.len());
    transaction.run("SAVEPOINT one".to_owned()).await?;
    for job in jobs {
        let outcome = job.run(transaction).await;
        // Going to the next savepoint is one message, not two: it is half of the way of a small write.
        match &outcome {
            Ok(()) => transaction.run("RELEASE SAVEPOINT one; SAVEPOINT one".to_owned()).await?,
            // After a deadlock too: whoever went on would keep the other node waiting, and find the next one.
            Err(error) if error.is_away() => return Err(error.clone()),
            Err(_) => transaction.run("ROLLBACK TO SAVEPOINT one".to_owned()).await?,
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
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

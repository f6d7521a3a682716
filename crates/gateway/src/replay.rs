//! What a route remembers of the requests it forwarded, so that a captured one gains nothing by coming again.
//!
//! Twilio's scheme has neither nonce nor time: a request with a good signature stays good until the auth token
//! changes. This module remembers each request that was forwarded and finished well, and tells a repeat from a
//! first. It is not an HTTP cache: no freshness, no `Vary`, and no opinion on what to do with a repeat; the
//! route's mode (answer again, refuse) decides that.
//!
//! The one idea: for each key there is at most one [`Ticket`] at a time, and whoever holds it forwards. Others
//! with the same key wait for it. A ticket that ends well leaves an entry behind; one that fails, or is dropped
//! because its connection died, leaves nothing, and one of those who wait gets the next ticket.
//!
//! Every entry lives equally long, so the order in which entries were made is the order in which they expire, and
//! also the order in which they are pushed out when memory is full: a queue is all the bookkeeping there is.

mod kept;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ringfence_signature::AccountSid;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

pub(crate) use kept::{Keep, KeptAnswer, Recorder, Recording};

/// The requests that were forwarded, by key. Clones share one memory.
#[derive(Clone)]
pub(crate) struct ReplayCache {
    inner: Arc<Inner>,
}

impl ReplayCache {
    /// A cache that keeps entries for `time_to_live` and takes at most about `budget_bytes` of memory for them,
    /// its own bookkeeping included.
    ///
    /// Requests that are still running count too but are never pushed out: the gate's limit on requests in
    /// flight bounds them. A budget of zero keeps nothing; repeats then still wait for a running first.
    pub(crate) fn new(budget_bytes: usize, time_to_live: Duration) -> Self {
        let shards = shard_count(budget_bytes);
        Self {
            inner: Arc::new(Inner {
                shards: (0..shards).map(|_| Mutex::default()).collect(),
                shard_budget: budget_bytes / shards,
                time_to_live,
                answered: AtomicU64::new(0),
                refused: AtomicU64::new(0),
            }),
        }
    }

    /// Whether this request is a first, a repeat of one that runs, or a repeat of one that is done.
    ///
    /// Call it only with the key of a request that was verified: an entry is memory, and a stranger must not be
    /// able to fill it.
    pub(crate) fn begin(&self, key: ReplayKey, now: Instant) -> Begin {
        begin(&self.inner, key, now)
    }

    /// Drops what has expired. [`begin`](Self::begin) does the same for the part it touches; a timer that calls
    /// this now and then gives memory back on a gate without traffic.
    pub(crate) fn sweep(&self, now: Instant) {
        for shard in &self.inner.shards {
            lock(shard).expire(now, self.inner.time_to_live);
        }
    }

    /// Counts a repeat that was given the kept answer.
    pub(crate) fn count_answered(&self) {
        self.inner.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a repeat that was refused.
    pub(crate) fn count_refused(&self) {
        self.inner.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The figures for the metrics page, read shard by shard.
    pub(crate) fn figures(&self) -> ReplayFigures {
        let mut figures = ReplayFigures {
            answered: self.inner.answered.load(Ordering::Relaxed),
            refused: self.inner.refused.load(Ordering::Relaxed),
            ..ReplayFigures::default()
        };
        for shard in &self.inner.shards {
            let shard = lock(shard);
            figures.kept_bytes += shard.bytes as u64;
            figures.entries += shard.finished.len() as u64;
            figures.running += (shard.entries.len() - shard.finished.len()) as u64;
            figures.pushed_out += shard.pushed_out;
            figures.expired += shard.expired;
        }
        figures
    }
}

impl fmt::Debug for ReplayCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ReplayCache").field(&self.figures()).finish()
    }
}

/// The figures of a [`ReplayCache`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ReplayFigures {
    /// Bytes charged against the budget now, bookkeeping included.
    pub(crate) kept_bytes: u64,
    /// Finished requests remembered now.
    pub(crate) entries: u64,
    /// Requests that hold a ticket now.
    pub(crate) running: u64,
    /// Repeats that were given a kept answer, since the start.
    pub(crate) answered: u64,
    /// Repeats that were refused, since the start.
    pub(crate) refused: u64,
    /// Entries dropped before their time because memory was full, since the start. While this grows, a capture
    /// can be replayed sooner than the time to live says.
    pub(crate) pushed_out: u64,
    /// Entries dropped at the end of their time, since the start.
    pub(crate) expired: u64,
}

/// What makes two requests the same request: 32 bytes of SHA-256 over parts whose lengths are hashed too, so that
/// no byte can move from one part to the next and give the same key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplayKey([u8; 32]);

/// A key is a hash already: eight of its bytes, others than those that choose the shard, serve the table as they are.
impl Hash for ReplayKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let last = self.0.last_chunk().expect("32 bytes have a last eight");
        state.write_u64(u64::from_be_bytes(*last));
    }
}

/// Takes the one number that a [`ReplayKey`] gives.
#[derive(Default)]
struct TakeNumber(u64);

impl Hasher for TakeNumber {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl ReplayKey {
    /// The key of a request whose signature was verified: the signature, under its route and account.
    ///
    /// The signature stands for the hash of the body as well, and better than one over its bytes would: it covers
    /// URL and body, and it is the same however the body is spelled. `a+b` and `a%20b`, another order of fields,
    /// a field said twice, a stray `&` all verify alike; were the raw bytes in the key, a captured request could
    /// be spelled anew and pass as a first. Two bodies that differ in more than spelling have two signatures.
    /// Pass the header's value; strict base64 has one spelling.
    pub(crate) fn new(route: u32, account: Option<&AccountSid>, signature: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(route.to_be_bytes());
        let account = account_bytes(account);
        hash.update((account.len() as u64).to_be_bytes());
        hash.update(account);
        // The last part ends where everything ends: without its length a request takes one block of SHA-256 less.
        hash.update(signature);
        Self(hash.finalize().into())
    }
}

impl fmt::Debug for ReplayKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ReplayKey(…)")
    }
}

/// What [`ReplayCache::begin`] says of a request.
#[derive(Debug)]
pub(crate) enum Begin {
    /// Nobody has this key: forward the request, and tell the ticket how it went.
    First(Ticket),
    /// Somebody forwards the same request right now: wait, then look again.
    Running(Waiter),
    /// The same request was forwarded before and ended well.
    Known(Known),
}

/// What is remembered of a request that ended well.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    /// Its answer, to be given again.
    Answer(KeptAnswer),
    /// Only that it happened: its answer was too large, or the route does not answer again.
    WithoutAnswer,
}

/// The right to forward a request, held by one at a time for each key. Dropping it is [`Ticket::fail`].
#[must_use = "dropping a ticket says that the request failed"]
pub(crate) struct Ticket {
    inner: Arc<Inner>,
    key: ReplayKey,
    began: Instant,
    settled: bool,
}

impl Ticket {
    /// The request ended well: from now on it is known, with this answer or without one.
    pub(crate) fn complete(mut self, answer: Option<KeptAnswer>) {
        self.settled = true;
        let waiting =
            self.inner.shard(&self.key).finish(self.key, answer, self.began, self.inner.shard_budget);
        wake(waiting);
    }

    /// The request did not end well: nothing is remembered, and one of those who wait becomes the first.
    pub(crate) fn fail(self) {
        drop(self);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.settled {
            let waiting = self.inner.shard(&self.key).forget(&self.key);
            wake(waiting);
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Ticket(…)")
    }
}

/// A repeat that waits for the request that runs. It may be dropped at any time.
pub(crate) struct Waiter {
    inner: Arc<Inner>,
    key: ReplayKey,
    began: Instant,
    done: Arc<Semaphore>,
}

impl Waiter {
    /// Waits until the running request has ended, then looks again: known if it ended well; else one of those who
    /// wait is the first now, and the others get a new waiter.
    pub(crate) async fn wait(self) -> Begin {
        // The semaphore has no permits and never gets any: it is closed when the ticket has ended, and that
        // cannot be missed, however late this is polled.
        let _closed = self.done.acquire().await;
        begin(&self.inner, self.key, self.began)
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Waiter(…)")
    }
}

struct Inner {
    /// A power of two of them, chosen by the first byte of the key.
    shards: Box<[Mutex<Shard>]>,
    shard_budget: usize,
    time_to_live: Duration,
    answered: AtomicU64,
    refused: AtomicU64,
}

impl Inner {
    fn shard(&self, key: &ReplayKey) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::from(key.0[0]) & (self.shards.len() - 1)])
    }
}

fn begin(inner: &Arc<Inner>, key: ReplayKey, now: Instant) -> Begin {
    let mut shard = inner.shard(&key);
    shard.expire(now, inner.time_to_live);
    match shard.entries.get_mut(&key) {
        Some(Entry::Finished(Some(answer))) => Begin::Known(Known::Answer(answer.clone())),
        Some(Entry::Finished(None)) => Begin::Known(Known::WithoutAnswer),
        Some(Entry::Running(waiting)) => {
            let done = waiting.get_or_insert_with(|| Arc::new(Semaphore::new(0)));
            let done = Arc::clone(done);
            Begin::Running(Waiter { inner: Arc::clone(inner), key, began: now, done })
        }
        None => {
            shard.run(key, inner.shard_budget);
            Begin::First(Ticket { inner: Arc::clone(inner), key, began: now, settled: false })
        }
    }
}

/// One part of the memory. `finished` names exactly the entries that are `Finished`, oldest first.
#[derive(Default)]
struct Shard {
    entries: HashMap<ReplayKey, Entry, BuildHasherDefault<TakeNumber>>,
    finished: VecDeque<(Instant, ReplayKey)>,
    bytes: usize,
    pushed_out: u64,
    expired: u64,
}

enum Entry {
    /// A ticket is out. Only that ticket ends this state, so a key never has two. The semaphore is made by the
    /// first who waits, so that a request without a repeat pays nothing for it.
    Running(Option<Arc<Semaphore>>),
    Finished(Option<KeptAnswer>),
}

impl Shard {
    fn run(&mut self, key: ReplayKey, budget: usize) {
        self.entries.insert(key, Entry::Running(None));
        self.bytes += ENTRY_BYTES;
        self.push_out(budget);
    }

    /// Returns whom to wake, for the caller to do after the lock is gone.
    fn finish(
        &mut self,
        key: ReplayKey,
        answer: Option<KeptAnswer>,
        began: Instant,
        budget: usize,
    ) -> Option<Arc<Semaphore>> {
        let entry = self.entries.get_mut(&key)?;
        self.bytes += answer.as_ref().map_or(0, |answer| answer.bytes());
        let Entry::Running(waiting) = mem::replace(entry, Entry::Finished(answer)) else { return None };
        // Requests end in another order than they began. An entry may live some seconds longer so that the queue
        // stays sorted, and what is expired is always at its front.
        let since = self.finished.back().map_or(began, |(newest, _)| began.max(*newest));
        self.finished.push_back((since, key));
        self.push_out(budget);
        waiting
    }

    fn forget(&mut self, key: &ReplayKey) -> Option<Arc<Semaphore>> {
        let Some(Entry::Running(waiting)) = self.entries.remove(key) else { return None };
        self.bytes -= ENTRY_BYTES;
        waiting
    }

    fn expire(&mut self, now: Instant, time_to_live: Duration) {
        while let Some((since, _)) = self.finished.front()
            && now.saturating_duration_since(*since) >= time_to_live
        {
            self.drop_oldest();
            self.expired += 1;
        }
    }

    fn push_out(&mut self, budget: usize) {
        while self.bytes > budget && !self.finished.is_empty() {
            self.drop_oldest();
            self.pushed_out += 1;
        }
    }

    fn drop_oldest(&mut self) {
        let Some((_, key)) = self.finished.pop_front() else { return };
        if let Some(Entry::Finished(answer)) = self.entries.remove(&key) {
            self.bytes -= ENTRY_BYTES + answer.map_or(0, |answer| answer.bytes());
        }
    }
}

/// What one entry costs besides its answer. A hash table that has just doubled holds 7 entries in 16 places, each
/// with a byte of control; a queue that has just doubled is half empty.
const ENTRY_BYTES: usize =
    (size_of::<(ReplayKey, Entry)>() + 1) * 16 / 7 + size_of::<(Instant, ReplayKey)>() * 2;

/// A shard must hold several answers of full size, or the budget could not be used; more than 16 gain nothing.
fn shard_count(budget_bytes: usize) -> usize {
    const SMALLEST_SHARD: usize = 1 << 20;
    match budget_bytes / SMALLEST_SHARD {
        16.. => 16,
        8.. => 8,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// A panic elsewhere must not close the gate: each change under the lock is complete in itself.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(waiting: Option<Arc<Semaphore>>) {
    if let Some(done) = waiting {
        done.close();
    }
}

/// No account is the empty text, which no SID is.
fn account_bytes(account: Option<&AccountSid>) -> &[u8] {
    account.map_or(b"", |account| account.as_str().as_bytes())
}

#[cfg(test)]
mod tests;

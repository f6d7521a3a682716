//! The line before the store, and the one who writes what stands in it: many in one transaction, after they were answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringfence_store::{SeenRequest, Store};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::Answered;
use crate::metrics::Metrics;
use crate::server::Shared;
use crate::settings::Inspect;

/// So many may stand in line: at 1,000 requests a second, four seconds.
const LINE: usize = 4_096;
/// So many are written at once.
const BATCH: usize = 500;
/// For so long others are waited for.
const GATHER: Duration = Duration::from_millis(250);
/// For so long an explanation is waited for.
const EXPLAINED_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long to wait before a store that is away is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// A stop waits so long for what stands in line.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Why a request that was to be kept was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    LineFull,
    NotWritten,
    Stopped,
}

impl Dropped {
    pub(crate) const ALL: [Self; 3] = [Self::LineFull, Self::NotWritten, Self::Stopped];

    /// As the metric has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::LineFull => "line_full",
            Self::NotWritten => "not_written",
            Self::Stopped => "stopped",
        }
    }
}

/// The line.
#[derive(Debug)]
pub(super) struct Line {
    queue: mpsc::Sender<Answered>,
    /// Its other end, until somebody takes it.
    waiting: Mutex<Option<mpsc::Receiver<Answered>>>,
}

impl Default for Line {
    fn default() -> Self {
        let (queue, waiting) = mpsc::channel(LINE);
        Self { queue, waiting: Mutex::new(Some(waiting)) }
    }
}

impl Line {
    /// Puts one into the line, where there is a place.
    pub(super) fn queue(&self, answered: Answered, metrics: &Metrics) {
        if self.queue.try_send(answered).is_err() {
            metrics.inspector_dropped(Dropped::LineFull, 1);
        }
    }

    pub(super) fn keeper(&self, shared: &Arc<Shared>) -> Option<Keeper> {
        let line = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Keeper { line, shared: Arc::clone(shared), batch: Vec::new() })
    }
}

/// Writes what stands in line into the store. There is one for a gateway.
#[derive(Debug)]
pub struct Keeper {
    line: mpsc::Receiver<Answered>,
    shared: Arc<Shared>,
    /// Taken out of the line and not written yet.
    batch: Vec<Answered>,
}

impl Keeper {
    /// Writes in the name of this node until it is stopped; then it writes what stands in line, for some seconds at most.
    /// The store may be away, or not open yet: meanwhile the line fills, and what finds it full is dropped.
    pub async fn run(
        mut self,
        store: impl Fn() -> Option<Arc<Store>> + Send + Sync,
        node: String,
        stop: watch::Receiver<bool>,
    ) {
        let mut asked = stop.clone();
        let patience = async {
            // Whoever asks went away: that is a stop too.
            _ = asked.wait_for(|stop| *stop).await;
            sleep(STOP_WITHIN).await;
        };
        tokio::select! {
            () = self.work(&store, &node, stop) => {}
            () = patience => {
                let left = self.batch.len() + self.line.len();
                self.shared.metrics.inspector_dropped(Dropped::Stopped, left);
                tracing::warn!(requests = left, "the stop did not wait for what was to be kept of requests");
            }
        }
    }

    async fn work(
        &mut self,
        store: &(impl Fn() -> Option<Arc<Store>> + Send + Sync),
        node: &str,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                () = self.gather() => {}
            }
            if !self.write(store, node).await {
                tokio::select! {
                    biased;
                    _ = stop.wait_for(|stop| *stop) => break,
                    () = sleep(AGAIN) => {}
                }
            }
        }
        loop {
            while self.batch.len() < BATCH
                && let Ok(answered) = self.line.try_recv()
            {
                self.batch.push(answered);
            }
            if self.batch.is_empty() {
                return;
            }
            self.explained().await;
            if !self.write(store, node).await {
                sleep(AGAIN).await;
            }
        }
    }

    /// Waits for one, and a moment for others, and for explanations that are in the making. It may be dropped at any time.
    async fn gather(&mut self) {
        if self.batch.is_empty() {
            match self.line.recv().await {
                Some(first) => self.batch.push(first),
                // The other end lives as long as the gateway, which this holds.
                None => return,
            }
        }
        let until = Instant::now() + GATHER;
        while self.batch.len() < BATCH {
            match timeout_at(until, self.line.recv()).await {
                Ok(Some(next)) => self.batch.push(next),
                Ok(None) | Err(_) => break,
            }
        }
        self.explained().await;
    }

    /// Waits for explanations that are in the making, if they come soon.
    async fn explained(&self) {
        let until = Instant::now() + EXPLAINED_WITHIN;
        while self.batch.iter().any(Answered::is_explained_soon) && Instant::now() < until {
            sleep(LOOK_EVERY).await;
        }
    }

    /// Writes what was gathered; false where the store is away and it is to be tried again. What the store refuses is dropped.
    async fn write(&mut self, store: &(impl Fn() -> Option<Arc<Store>> + Send + Sync), node: &str) -> bool {
        let at_most = match self.shared.snapshot.load().inspect {
            Inspect::InStore { at_most, .. } => at_most,
            // Nothing is to be kept any more, by a configuration that came after these were put into the line.
            Inspect::Nothing | Inspect::InMemory(_) => {
                self.batch.clear();
                return true;
            }
        };
        let Some(store) = store() else { return false };
        let seen: Vec<SeenRequest> = self.batch.iter().map(Answered::as_of_now).collect();
        match store.keep_requests(node, &seen, at_most).await {
            Ok(()) => self.shared.metrics.inspector_kept(seen.len()),
            Err(error) if error.is_away() => {
                tracing::debug!(%error, "requests wait for the store");
                return false;
            }
            Err(error) => {
                tracing::error!(%error, requests = seen.len(), "what was to be kept of requests is lost");
                self.shared.metrics.inspector_dropped(Dropped::NotWritten, seen.len());
            }
        }
        self.batch.clear();
        true
    }
}

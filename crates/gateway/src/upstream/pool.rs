//! Idle connections, kept for the next exchange with the same upstream.
//!
//! Last in, first out: the warmest is used again, and what a quiet hour does not need grows old and is closed. One
//! pool a worker thread, so the lock is never contended; it is there because a streamed body gives its connection
//! back from wherever it is read.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use super::Settings;
use super::address::UpstreamAddress;
use super::connection::{Connection, READ_SIZE};

#[derive(Debug)]
pub(super) struct Pool {
    settings: Settings,
    shelves: Mutex<Shelves>,
}

#[derive(Debug, Default)]
struct Shelves {
    /// One for each upstream that has idle connections: few, so a list is found through faster than a map.
    list: Vec<Shelf>,
    total: usize,
}

#[derive(Debug)]
struct Shelf {
    address: UpstreamAddress,
    /// The oldest in front.
    idle: VecDeque<Idle>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    usable_until: Instant,
}

impl Pool {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, shelves: Mutex::default() }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The connection that was used last and is still good; those found dead on the way are closed.
    pub(super) fn take(&self, address: &UpstreamAddress, now: Instant) -> Option<Connection> {
        let mut shelves = self.lock();
        let Shelves { list, total } = &mut *shelves;
        let shelf = list.iter_mut().find(|shelf| shelf.address == *address)?;
        while let Some(Idle { mut connection, usable_until }) = shelf.idle.pop_back() {
            *total -= 1;
            if usable_until > now && connection.is_quiet() {
                return Some(connection);
            }
            debug!(upstream = %address, "an idle connection to the upstream had ended");
        }
        None
    }

    /// Keeps a connection whose exchange has ended cleanly, if there is room for it.
    ///
    /// `kept_for` is what the upstream said of its own patience. We stay a second below it, as below the five seconds
    /// of Node: a request that crosses the upstream's close on the wire fails, and a POST must not be sent again.
    pub(super) fn put(
        &self,
        address: &UpstreamAddress,
        mut connection: Connection,
        kept_for: Option<Duration>,
        now: Instant,
    ) {
        let own = self.settings.idle_age_max;
        let age_max = kept_for.map_or(own, |theirs| own.min(theirs.saturating_sub(MARGIN)));
        if age_max.is_zero() {
            return;
        }
        if connection.buffer.capacity() > 2 * READ_SIZE {
            // Grown by a large body; a thousand idle ones should not hold what one answer needed.
            connection.buffer = bytes::BytesMut::new();
        }
        connection.reused = true;
        let idle = Idle { connection, usable_until: now + age_max };
        let mut shelves = self.lock();
        let Shelves { list, total } = &mut *shelves;
        let Some(shelf) = list.iter_mut().find(|shelf| shelf.address == *address) else {
            if *total < self.settings.idle_total_max && self.settings.idle_per_upstream_max > 0 {
                list.push(Shelf { address: address.clone(), idle: VecDeque::from([idle]) });
                *total += 1;
            }
            return;
        };
        while shelf.idle.front().is_some_and(|oldest| oldest.usable_until <= now) {
            shelf.idle.pop_front();
            *total -= 1;
        }
        if shelf.idle.len() < self.settings.idle_per_upstream_max && *total < self.settings.idle_total_max {
            shelf.idle.push_back(idle);
            *total += 1;
        }
    }

    /// Closes what is too old, or was closed by the upstream, for all upstreams.
    pub(super) fn close_idle(&self, now: Instant) {
        let mut shelves = self.lock();
        let Shelves { list, total } = &mut *shelves;
        *total = 0;
        list.retain_mut(|shelf| {
            shelf.idle.retain_mut(|idle| idle.usable_until > now && idle.connection.is_quiet());
            *total += shelf.idle.len();
            !shelf.idle.is_empty()
        });
    }

    pub(super) fn idle(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        // Nothing in here panics half-way, so a poisoned lock still guards a sound list.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much earlier than the upstream we let go of a connection.
const MARGIN: Duration = Duration::from_secs(1);

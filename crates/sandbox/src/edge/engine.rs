//! The world behind a lock, moved by time: the only place where the two meet.
//!
//! With the real clock a task of its own wakes when something is due. With a virtual clock time stands still until
//! [`Engine::advance`] moves it, and moving it ends only when every webhook that fell due on the way has been
//! answered, so a test reads a finished picture.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Clock;
use tokio::sync::{Notify, watch};

use super::sender::Sender;
use crate::world::{World, webhooks};

/// The world and what moves it.
#[derive(Debug)]
pub(crate) struct Engine {
    world: Mutex<World>,
    time: Time,
    sender: Sender,
    /// Something was planned that may be due sooner than what the real clock's task waits for.
    planned: Notify,
    /// A webhook was answered.
    answered: Notify,
    /// One move of the virtual clock at a time.
    moving: tokio::sync::Mutex<()>,
    /// The world's revision, for pages that follow it.
    revision: watch::Sender<u64>,
}

/// Where the time comes from.
#[derive(Debug)]
enum Time {
    Real { clock: Arc<dyn Clock>, start: Timestamp, started: Instant },
    Virtual,
}

/// The clock is real, and nobody moves that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockIsReal;

impl Engine {
    pub(crate) fn new(world: World, clock: Arc<dyn Clock>, is_virtual: bool, sender: Sender) -> Arc<Self> {
        let time = if is_virtual {
            Time::Virtual
        } else {
            let started = clock.monotonic();
            Time::Real { start: world.now, started, clock }
        };
        Arc::new(Self {
            revision: watch::Sender::new(world.revision()),
            world: Mutex::new(world),
            time,
            sender,
            planned: Notify::new(),
            answered: Notify::new(),
            moving: tokio::sync::Mutex::new(()),
        })
    }

    /// Reads or changes the world at the present time. What becomes due meanwhile happens first.
    pub(crate) fn with<T>(self: &Arc<Self>, act: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.lock();
        self.catch_up(&mut world);
        let result = act(&mut world);
        self.catch_up(&mut world);
        self.release(world);
        result
    }

    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self.time, Time::Virtual)
    }

    /// Follows the world's revision.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Moves the virtual clock on, step by step: whenever webhooks leave, time stands still until they are answered.
    /// Returns the new time.
    pub(crate) async fn advance(self: &Arc<Self>, by: Duration) -> Result<Timestamp, ClockIsReal> {
        if !self.is_virtual() {
            return Err(ClockIsReal);
        }
        let _one_at_a_time = self.moving.lock().await;
        self.settle().await;
        let until = {
            let world = self.lock();
            let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
            world.now.checked_add(by).unwrap_or(Timestamp::MAX)
        };
        loop {
            let mut world = self.lock();
            world.pass_time(until, true);
            let (now, waits) = (world.now, !world.outgoing.is_empty());
            self.release(world);
            if !waits && now >= until {
                return Ok(now);
            }
            self.settle().await;
        }
    }

    /// Returns when no webhook is under way.
    pub(crate) async fn settle(self: &Arc<Self>) {
        loop {
            let answered = self.answered.notified();
            tokio::pin!(answered);
            answered.as_mut().enable();
            if self.lock().webhooks.in_flight == 0 {
                return;
            }
            answered.await;
        }
    }

    /// With a real clock: wakes whenever something is due. Never ends by itself.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        while let Time::Real { .. } = self.time {
            let next = self.with(|world| world.next_at());
            let wait = next.map_or(Duration::from_secs(3600), |at| {
                Duration::try_from(at.duration_since(self.now())).unwrap_or(Duration::ZERO)
            });
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.planned.notified() => {}
            }
        }
    }

    fn now(&self) -> Timestamp {
        match &self.time {
            Time::Real { clock, start, started } => {
                let passed = clock.monotonic().saturating_duration_since(*started);
                start.checked_add(SignedDuration::try_from(passed).unwrap_or_default()).unwrap_or(*start)
            }
            Time::Virtual => self.lock().now,
        }
    }

    fn catch_up(&self, world: &mut World) {
        let now = match &self.time {
            Time::Real { .. } => self.now(),
            Time::Virtual => world.now,
        };
        world.pass_time(now, false);
    }

    /// Lets go of the world, then sends what it left to be sent.
    fn release(self: &Arc<Self>, mut world: MutexGuard<'_, World>) {
        let outgoing = std::mem::take(&mut world.outgoing);
        let revision = world.revision();
        let verify_certificates = world.settings.verify_certificates;
        drop(world);
        self.revision.send_if_modified(|seen| std::mem::replace(seen, revision) != revision);
        for outgoing in outgoing {
            let engine = Arc::clone(self);
            tokio::spawn(async move {
                let at = engine.with(|world| world.now);
                let started = Instant::now();
                let (result, sent_credentials) = engine.sender.send(&outgoing, verify_certificates).await;
                let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                let url = outgoing.request.url;
                let tried = webhooks::Try { at, url, result, took_ms, sent_credentials };
                engine.with(|world| webhooks::answered(world, outgoing.delivery, tried));
                engine.answered.notify_waiters();
            });
        }
        self.planned.notify_one();
    }

    /// A panic while the world was held would be a defect of ours; the rest of the world is still worth serving.
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

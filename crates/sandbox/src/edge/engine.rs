//! The world behind a lock, moved by time: the only place where the two meet.
//!
//! With the real clock a task of its own wakes when something is due. With a virtual clock time stands still until
//! [`Engine::advance`] moves it, and moving it ends only when every webhook that fell due on the way has been
//! answered, so a test reads a finished picture.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Clock;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use super::sender::Sender;
use crate::world::{World, webhooks};

/// The world and what moves it.
#[derive(Debug)]
pub(crate) struct Engine {
    held: Mutex<Held>,
    time: Time,
    sender: Sender,
    /// What has to leave, to the task that lets it leave.
    leaving: mpsc::UnboundedSender<Leaving>,
    /// The other end, until that task takes it.
    to_send: Mutex<Option<mpsc::UnboundedReceiver<Leaving>>>,
    /// When the next thing is due, for the task that waits for it.
    next: watch::Sender<Option<Timestamp>>,
    /// A webhook was answered, or the world began anew.
    answered: Notify,
    /// One move of the virtual clock at a time.
    moving: tokio::sync::Mutex<()>,
    /// Changes that a person could see, counted through all worlds, for pages that follow them.
    revision: watch::Sender<u64>,
}

/// The world, and how many there were before it.
#[derive(Debug)]
struct Held {
    world: World,
    /// A reset makes a new world whose names are those of the old one, so an answer that was on its way must not be
    /// taken for one of its own.
    generation: u64,
    /// The revision at which this world began.
    revision_before: u64,
}

/// A webhook on its way out.
#[derive(Debug)]
struct Leaving {
    generation: u64,
    outgoing: webhooks::Outgoing,
    verify_certificates: bool,
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
        let (leaving, to_send) = mpsc::unbounded_channel();
        Arc::new(Self {
            revision: watch::Sender::new(world.revision()),
            next: watch::Sender::new(world.next_at()),
            held: Mutex::new(Held { world, generation: 0, revision_before: 0 }),
            time,
            sender,
            leaving,
            to_send: Mutex::new(Some(to_send)),
            answered: Notify::new(),
            moving: tokio::sync::Mutex::new(()),
        })
    }

    /// Reads or changes the world at the present time. What becomes due meanwhile happens first.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut held = self.lock();
        self.catch_up(&mut held.world);
        let result = act(&mut held.world);
        self.catch_up(&mut held.world);
        self.release(held);
        result
    }

    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self.time, Time::Virtual)
    }

    /// Follows the revision.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Moves the virtual clock on, step by step: whenever webhooks leave, time stands still until they are answered.
    /// Returns the new time.
    pub(crate) async fn advance(&self, by: Duration) -> Result<Timestamp, ClockIsReal> {
        /// What happens in between is done in portions, so that others get at the world.
        const PORTION: SignedDuration = SignedDuration::from_hours(1);
        if !self.is_virtual() {
            return Err(ClockIsReal);
        }
        let _one_at_a_time = self.moving.lock().await;
        self.settle().await;
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        let until = self.with(|world| world.now.checked_add(by).unwrap_or(Timestamp::MAX));
        loop {
            let (now, waits) = self.with(|world| {
                let portion = world.now.checked_add(PORTION).unwrap_or(until).min(until);
                world.pass_time(portion, true);
                (world.now, world.webhooks.in_flight > 0)
            });
            if !waits && now >= until {
                return Ok(now);
            }
            self.settle().await;
            tokio::task::yield_now().await;
        }
    }

    /// Returns when no webhook is under way.
    pub(crate) async fn settle(&self) {
        self.wait_until(|world| world.webhooks.in_flight == 0).await;
    }

    /// Returns when this is so. It is looked at whenever a webhook was answered.
    pub(crate) async fn wait_until(&self, is_so: impl Fn(&World) -> bool) {
        loop {
            let answered = self.answered.notified();
            tokio::pin!(answered);
            answered.as_mut().enable();
            if is_so(&self.lock().world) {
                return;
            }
            answered.await;
        }
    }

    /// Puts another world in the place of this one. What is under way comes to nothing.
    pub(crate) fn begin_anew(&self, make: impl FnOnce(Timestamp, &World) -> World) {
        let mut held = self.lock();
        self.catch_up(&mut held.world);
        let world = make(self.present(&held.world), &held.world);
        // Whoever follows sees one more change, whatever the new world's own count is.
        held.revision_before += held.world.revision() + 1;
        held.generation += 1;
        held.world = world;
        self.release(held);
        self.answered.notify_waiters();
    }

    /// With a real clock: wakes whenever something is due. Never ends by itself.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        let mut next = self.next.subscribe();
        loop {
            let at = *next.borrow_and_update();
            let wait = match (&self.time, at) {
                (Time::Real { .. }, Some(at)) => {
                    Duration::try_from(at.duration_since(self.with(|world| world.now)))
                        .unwrap_or(Duration::ZERO)
                }
                // A virtual clock is moved by others, and an empty agenda has to change first.
                _ => Duration::MAX,
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => self.with(|_| {}),
                changed = next.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Sends what has to leave. Never ends by itself; what is under way ends with it.
    pub(crate) async fn send_webhooks(self: Arc<Self>) {
        let taken = self.to_send.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut to_send) = taken else { return std::future::pending().await };
        let mut sending = JoinSet::new();
        loop {
            tokio::select! {
                Some(leaving) = to_send.recv() => {
                    sending.spawn(send_one(Arc::clone(&self), leaving));
                }
                Some(_sent) = sending.join_next() => {}
            }
        }
    }

    /// What time it is outside; with a virtual clock, in the world.
    fn present(&self, world: &World) -> Timestamp {
        match &self.time {
            Time::Real { clock, start, started } => {
                let passed = clock.monotonic().saturating_duration_since(*started);
                start.checked_add(SignedDuration::try_from(passed).unwrap_or_default()).unwrap_or(*start)
            }
            Time::Virtual => world.now,
        }
    }

    fn catch_up(&self, world: &mut World) {
        let now = self.present(world);
        world.pass_time(now, false);
    }

    /// Lets go of the world, then tells others what it left for them.
    fn release(&self, mut held: MutexGuard<'_, Held>) {
        let outgoing = std::mem::take(&mut held.world.outgoing);
        let revision = held.revision_before + held.world.revision();
        let next = held.world.next_at();
        let (generation, verify_certificates) = (held.generation, held.world.settings.verify_certificates);
        drop(held);
        self.revision.send_if_modified(|seen| std::mem::replace(seen, revision) != revision);
        self.next.send_if_modified(|seen| std::mem::replace(seen, next) != next);
        for outgoing in outgoing {
            // The receiver lives as long as the engine, in its place or in the task that took it; a task that was
            // stopped sends nothing more, and that is what stopping means.
            let _stopped = self.leaving.send(Leaving { generation, outgoing, verify_certificates });
        }
    }

    /// A panic while the world was held would be a defect of ours; the rest of the world is still worth serving.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes one try and brings the answer back.
async fn send_one(engine: Arc<Engine>, leaving: Leaving) {
    let Leaving { generation, outgoing, verify_certificates } = leaving;
    let at = engine.with(|world| world.now);
    let started = Instant::now();
    let (result, sent_credentials) = engine.sender.send(&outgoing, verify_certificates).await;
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let tried = webhooks::Try { at, url: outgoing.request.url, result, took_ms, sent_credentials };
    let mut held = engine.lock();
    if held.generation == generation {
        engine.catch_up(&mut held.world);
        webhooks::answered(&mut held.world, outgoing.delivery, tried);
        engine.catch_up(&mut held.world);
    }
    engine.release(held);
    engine.answered.notify_waiters();
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::settings::Settings;
    use crate::world::Due;
    use crate::world::testing::world_of;

    /// Stands where it was put, and counts how often it was asked.
    #[derive(Debug)]
    struct Standing {
        at: Instant,
        passed_ms: AtomicU64,
        asked: AtomicU64,
    }

    impl Standing {
        fn new() -> Arc<Self> {
            Arc::new(Self { at: Instant::now(), passed_ms: AtomicU64::new(0), asked: AtomicU64::new(0) })
        }
    }

    impl Clock for Standing {
        fn unix_seconds(&self) -> u64 {
            1_700_000_000
        }
        fn monotonic(&self) -> Instant {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.at + Duration::from_millis(self.passed_ms.load(Ordering::SeqCst))
        }
    }

    fn engine(clock: Arc<Standing>, is_virtual: bool) -> Arc<Engine> {
        let settings = Settings { trigger_interval_s: 3600, ..Settings::default() };
        let world = world_of(1, Timestamp::from_second(1_700_000_000).unwrap(), settings);
        Engine::new(world, clock, is_virtual, Sender::new(&[]).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_real_clock_that_waits_is_not_asked_for_ever() {
        let clock = Standing::new();
        let engine = engine(Arc::clone(&clock), false);
        engine.with(|world| world.plan_in_ms(60_000, Due::Triggers));
        let keeper = tokio::spawn(Arc::clone(&engine).keep_time());
        // Tokio's time passes by itself while everybody waits; a task that spins would keep it from passing.
        tokio::time::sleep(Duration::from_secs(30)).await;
        let asked = clock.asked.load(Ordering::SeqCst);
        assert!(asked < 50, "the clock was asked {asked} times in half a minute of waiting");
        keeper.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_happens_by_itself_under_a_real_clock() {
        let clock = Standing::new();
        let engine = engine(Arc::clone(&clock), false);
        let keeper = tokio::spawn(Arc::clone(&engine).keep_time());
        let before = engine.with(|world| {
            world.plan_in_ms(5_000, Due::Webhook(ringfence_model::Sid::new(*b"WH", 1)));
            world.planned()
        });
        clock.passed_ms.store(6_000, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(6)).await;
        let left = engine.lock().world.planned();
        assert_eq!(left, before - 1, "the keeper of time woke and let it happen");
        keeper.abort();
    }

    #[tokio::test]
    async fn a_real_clock_is_moved_by_nobody() {
        let engine = engine(Standing::new(), false);
        assert_eq!(engine.advance(Duration::from_secs(1)).await, Err(ClockIsReal));
    }

    #[tokio::test]
    async fn a_new_world_is_a_change_that_followers_see() {
        let engine = engine(Standing::new(), true);
        engine.advance(Duration::from_secs(90)).await.unwrap();
        let mut follower = engine.follow();
        let seen = *follower.borrow_and_update();
        engine.begin_anew(|now, old| world_of(1, now, old.settings.clone()));
        assert!(*follower.borrow_and_update() > seen);
    }
}

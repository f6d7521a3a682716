//! A clock that a test moves.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ringfence_model::Clock;

/// It stands at one moment, 2027-01-15 08:00:00 UTC, until a test moves it on.
#[derive(Debug)]
pub struct ManualClock {
    start: Instant,
    passed: Mutex<Duration>,
}

impl ManualClock {
    /// One that was not moved yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), passed: Mutex::default() })
    }

    /// Lets time pass, on both of its scales.
    pub fn advance(&self, by: Duration) {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    /// The moment at which it stands.
    pub fn now(&self) -> Timestamp {
        let seconds = i64::try_from(self.unix_seconds()).expect("tests are of this age");
        Timestamp::from_second(seconds).expect("tests are of this age")
    }

    fn passed(&self) -> Duration {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn unix_seconds(&self) -> u64 {
        1_800_000_000 + self.passed().as_secs()
    }

    fn monotonic(&self) -> Instant {
        self.start + self.passed()
    }
}

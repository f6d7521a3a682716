//! A clock that a test moves.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ringfence_model::Clock;

/// It stands at one moment until a test moves it on.
#[derive(Debug)]
pub struct ManualClock {
    began: u64,
    start: Instant,
    passed: Mutex<Duration>,
}

impl ManualClock {
    /// One that was not moved yet, at 2027-01-15 08:00:00 UTC.
    pub fn new() -> Arc<Self> {
        Self::at(1_800_000_000)
    }

    /// One that was not moved yet, so many seconds after the beginning of 1970.
    pub fn at(unix_seconds: u64) -> Arc<Self> {
        Arc::new(Self { began: unix_seconds, start: Instant::now(), passed: Mutex::default() })
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
        self.began + self.passed().as_secs()
    }

    fn monotonic(&self) -> Instant {
        self.start + self.passed()
    }
}

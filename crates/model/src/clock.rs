//! Time as an argument.

use std::fmt;
use std::time::Instant;

/// Tells the time. Only the edges make one: `cli` reads the machine's clock, tests move theirs by hand.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Seconds since 1970-01-01 00:00 UTC, for what other machines must understand.
    fn unix_seconds(&self) -> u64;

    /// Microseconds since 1970-01-01 00:00 UTC, for what is written down. A clock that knows no finer than seconds has
    /// whole seconds here too.
    fn unix_micros(&self) -> u64 {
        self.unix_seconds().saturating_mul(1_000_000)
    }

    /// A point on a line that never goes back, for durations.
    fn monotonic(&self) -> Instant;
}

//! A machine's clock in the sandbox's time, right or wrong.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use ringfence_model::Clock;
use ringfence_sandbox::Sandbox;

/// It shows the sandbox's time, so that nobody has to move two clocks, and is wrong by as much as a test wants.
#[derive(Debug)]
pub(crate) struct SandboxClock {
    sandbox: Sandbox,
    wrong_by: SignedDuration,
    begin: Instant,
}

impl SandboxClock {
    pub(crate) fn new(sandbox: &Sandbox, wrong_by: SignedDuration) -> Self {
        Self { sandbox: sandbox.clone(), wrong_by, begin: Instant::now() }
    }
}

impl Clock for SandboxClock {
    fn unix_seconds(&self) -> u64 {
        self.unix_micros() / 1_000_000
    }

    fn unix_micros(&self) -> u64 {
        let now = self.sandbox.now().saturating_add(self.wrong_by).expect("a time");
        u64::try_from(now.as_microsecond()).expect("after 1970")
    }

    fn monotonic(&self) -> Instant {
        self.begin + Duration::from_micros(self.unix_micros())
    }
}

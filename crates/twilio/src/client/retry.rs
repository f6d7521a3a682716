//! When a request is made again, and how long to wait before: a decision without I/O.
//!
//! Three rules. What only reads, removes, or sets something to a stated value is harmless to repeat: it is made again
//! after any fault that may pass. Everything else, above all what creates, is made again only when the first request
//! certainly did nothing: no connection could be made, or Twilio answered 429 and put it off. The pauses are random
//! between zero and a bound that doubles (full jitter), so that many clients do not come back in step; a stated
//! `Retry-After` comes on top. What would not end before the deadline is not begun.

use std::fmt;
use std::time::Duration;

use super::error::{CarriedOut, Problem};

/// Whether a second request could do what the first one did already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It makes no difference: it reads, removes, or sets.
    Harmless,
    /// It could: a second message, a second key.
    Harmful,
}

/// How often to try, and how long to wait between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The most tries of one request, the first included; 1 is no repetition.
    pub tries: u32,
    /// The bound of the first pause; it doubles with each try.
    pub pause_first: Duration,
    /// What the bound does not grow beyond.
    pub pause_max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { tries: 4, pause_first: Duration::from_millis(250), pause_max: Duration::from_secs(8) }
    }
}

/// Where the randomness of pauses comes from.
pub trait Jitter: Send + Sync {
    /// A number that is equally likely to be any from 0 to [`u32::MAX`].
    fn draw(&self) -> u32;
}

/// Randomness of the operating system, through the cryptography that TLS uses.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemJitter;

impl Jitter for SystemJitter {
    fn draw(&self) -> u32 {
        let mut bytes = [0; 4];
        // Without randomness, half of each bound is as good a pause as any.
        match rustls::crypto::aws_lc_rs::default_provider().secure_random.fill(&mut bytes) {
            Ok(()) => u32::from_ne_bytes(bytes),
            Err(_) => u32::MAX / 2,
        }
    }
}

impl fmt::Debug for dyn Jitter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Jitter")
    }
}

impl Backoff {
    /// How long to wait before the next try; `None` to let it be. `tries` were made so far, `left` is until the
    /// deadline.
    pub(super) fn pause(
        &self,
        repeat: Repeat,
        problem: &Problem,
        tries: u32,
        left: Duration,
        jitter: &dyn Jitter,
    ) -> Option<Duration> {
        let safe = repeat == Repeat::Harmless || problem.carried_out() == CarriedOut::No;
        if tries >= self.tries || !problem.is_transient() || !safe {
            return None;
        }
        let doubled = 2_u32.saturating_pow(tries.saturating_sub(1));
        let bound = self.pause_first.saturating_mul(doubled).min(self.pause_max);
        let stated = problem.refusal().and_then(|refusal| refusal.retry_after).unwrap_or_default();
        let pause = stated.saturating_add(bound.mul_f64(f64::from(jitter.draw()) / f64::from(u32::MAX)));
        (pause < left).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::Refusal;
    use super::*;

    struct Always(u32);

    impl Jitter for Always {
        fn draw(&self) -> u32 {
            self.0
        }
    }

    const BACKOFF: Backoff =
        Backoff { tries: 4, pause_first: Duration::from_secs(1), pause_max: Duration::from_secs(3) };
    const LONG: Duration = Duration::from_secs(1000);

    fn refused(status: u16, retry_after_s: Option<u64>) -> Problem {
        let retry_after = retry_after_s.map(Duration::from_secs);
        Problem::Refused(Box::new(Refusal { status, code: 0, message: String::new(), retry_after }))
    }

    fn unreachable() -> Problem {
        Problem::Unreachable { host: String::new(), why: String::new() }
    }

    fn no_answer() -> Problem {
        Problem::NoAnswer { host: String::new(), why: String::new() }
    }

    fn seconds(repeat: Repeat, problem: &Problem, tries: u32, left: Duration, draw: u32) -> Option<u64> {
        BACKOFF.pause(repeat, problem, tries, left, &Always(draw)).map(|pause| pause.as_secs())
    }

    #[test]
    fn what_creates_is_made_again_only_if_it_certainly_did_nothing() {
        let again = |problem: &Problem| seconds(Repeat::Harmful, problem, 1, LONG, u32::MAX).is_some();
        for problem in [refused(500, None), refused(503, Some(1)), refused(408, None), no_answer()] {
            assert!(!again(&problem), "{problem}");
        }
        assert!(again(&unreachable()) && again(&refused(429, None)));
    }

    #[test]
    fn what_is_harmless_is_made_again_after_what_may_pass() {
        let again = |problem: &Problem| seconds(Repeat::Harmless, problem, 1, LONG, u32::MAX).is_some();
        for problem in
            [refused(500, None), refused(408, None), refused(429, None), no_answer(), unreachable()]
        {
            assert!(again(&problem), "{problem}");
        }
        for problem in
            [refused(400, None), refused(401, None), refused(404, None), refused(302, None), Problem::TooLong]
        {
            assert!(!again(&problem), "{problem}");
        }
    }

    #[test]
    fn pauses_are_random_below_a_bound_that_doubles_up_to_a_most() {
        let most = |tries| seconds(Repeat::Harmless, &no_answer(), tries, LONG, u32::MAX);
        assert_eq!([1, 2, 3, 4].map(most), [Some(1), Some(2), Some(3), None]);
        assert_eq!(seconds(Repeat::Harmless, &no_answer(), 3, LONG, 0), Some(0));
        let without_end = Backoff { tries: u32::MAX, ..BACKOFF };
        let pause = without_end.pause(Repeat::Harmless, &no_answer(), u32::MAX - 1, LONG, &Always(u32::MAX));
        assert_eq!(pause, Some(BACKOFF.pause_max));
    }

    #[test]
    fn a_stated_pause_is_kept_and_one_beyond_the_deadline_is_not_begun() {
        let stated = refused(429, Some(10));
        assert_eq!(seconds(Repeat::Harmful, &stated, 1, LONG, u32::MAX), Some(11));
        assert_eq!(seconds(Repeat::Harmful, &stated, 1, LONG, 0), Some(10));
        assert_eq!(seconds(Repeat::Harmful, &stated, 1, Duration::from_secs(10), 0), None);
        assert_eq!(seconds(Repeat::Harmful, &refused(429, Some(u64::MAX)), 1, LONG, 0), None);
    }

    #[test]
    fn the_systems_randomness_is_random() {
        let draws: std::collections::BTreeSet<_> = (0..64).map(|_| SystemJitter.draw()).collect();
        assert!(draws.len() > 32);
    }
}

//! Answers that say no, in Twilio's shape and with its codes: <https://www.twilio.com/docs/api/errors>.
//!
//! What was wrong is repeated to whoever sent it, shortened, and with it goes what to write instead: the libraries show
//! their users the message and nothing else, not even `Retry-After`. Codes are not repeated.

use std::fmt::Write as _;

use jiff::Timestamp;
use ringfence_breaker::Why;
use ringfence_second_factor::failures::Barred;
use ringfence_second_factor::pumping::Of;
use ringfence_store::{Error, NotChecked, NotSent};
use ringfence_twilio::wire::ApiError;

use crate::engine::NotSetAside;

/// An error that the caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) error: ApiError,
    /// Seconds for a `Retry-After` header.
    pub(super) retry_after_s: Option<u64>,
    /// The methods for an `Allow` header.
    pub(super) allow: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self { error: ApiError::new(status, code, message), retry_after_s: None, allow: None }
    }

    pub(super) fn bad_request(code: u32, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// No credentials, or wrong ones. Which of them it is nobody learns.
    pub(super) fn unauthenticated() -> Self {
        Self::new(401, 20003, "Authenticate")
    }

    /// Right credentials, and still not allowed.
    pub(super) fn forbidden(why: &str) -> Self {
        Self::new(403, 20403, why)
    }

    /// Nothing is at this path. Twilio names the path without its version.
    pub(super) fn not_found(path: &str) -> Self {
        let at = path.strip_prefix("/v2").unwrap_or(path);
        Self::new(404, 20404, format!("The requested resource {} was not found", shortened(at, PATH_SHOWN)))
    }

    pub(super) fn method_not_allowed(method: &str, path: &str, allow: &str) -> Self {
        let at = shortened(path, PATH_SHOWN);
        let is_of_services = path.starts_with("/v2/Services") && path.split('/').count() <= 4;
        let instead = if is_of_services {
            "services are made and changed with `ringfence application`".to_owned()
        } else {
            format!("it takes {allow}")
        };
        let message = format!("Method not allowed: {method} {at}: {instead}");
        Self { allow: Some(allow.to_owned()), ..Self::new(405, 20004, message) }
    }

    /// A parameter that must be there.
    pub(super) fn missing(name: &str) -> Self {
        Self::bad_request(20001, format!("Missing required parameter {name} in the post body"))
    }

    /// Verify's own code for a parameter that cannot be used, with what could be.
    pub(super) fn invalid(name: &str, value: &str, wanted: &str) -> Self {
        let value = shortened(value, VALUE_SHOWN);
        Self::bad_request(60200, format!("Invalid parameter `{name}`: {value} ({wanted})"))
    }

    /// Ringfence cannot answer now: the store is away, or the control plane has not begun.
    pub(super) fn unavailable(why: &str) -> Self {
        Self { retry_after_s: Some(1), ..Self::new(503, 20503, format!("Service is unavailable: {why}")) }
    }

    pub(super) fn too_many_requests(until: Timestamp, now: Timestamp) -> Self {
        Self::new(429, 20429, "Too many requests").after(until, now)
    }

    fn max_checks() -> Self {
        Self::new(429, 60202, "Max check attempts reached")
    }

    /// With the seconds until a time, in the header and in words.
    pub(super) fn after(mut self, until: Timestamp, now: Timestamp) -> Self {
        let wait = until.duration_since(now);
        // The second in which it ends is waited for too.
        let whole = wait.as_secs() + i64::from(wait.subsec_nanos() > 0);
        let seconds = u64::try_from(whole).unwrap_or_default().max(1);
        // Writing to a text cannot fail.
        _ = match seconds {
            1 => write!(self.error.message, "; try again in a second"),
            _ => write!(self.error.message, "; try again in {seconds} seconds"),
        };
        self.retry_after_s = Some(seconds);
        self
    }

    /// Why no code was sent.
    pub(super) fn not_sent(not: NotSent, path: &str, now: Timestamp) -> Self {
        match not {
            NotSent::Over => Self::not_found(path),
            NotSent::Country => Self::new(
                403,
                60605,
                "The destination phone number has been blocked: its country is not allowed, or it is nobody's (premium, personal, freephone)",
            ),
            NotSent::Landline => {
                Self::new(403, 60205, "SMS is not supported by landline phone number")
            }
            NotSent::Line => Self::new(
                403,
                60410,
                "The destination phone number has been blocked: its line is of a kind that gets no codes",
            ),
            NotSent::LineUnknown => Self::unavailable("the number cannot be looked up"),
            NotSent::Stopped(until) => Self::new(
                403,
                60410,
                "The destination phone number has been temporarily blocked: codes sent to its prefix are not entered",
            )
            .after(until, now),
            NotSent::Budget(Of::Number, until) => {
                Self::new(429, 60203, "Max send attempts reached").after(until, now)
            }
            NotSent::TooSoon(until) => {
                Self::new(429, 20429, "Too many requests: a code was sent to this number a moment ago")
                    .after(until, now)
            }
            NotSent::Budget(_, until) => Self::too_many_requests(until, now),
            NotSent::MaxSends(until) => {
                Self::new(429, 60203, "Max send attempts reached").after(until, now)
            }
            NotSent::MaxChecks(until) => Self::max_checks().after(until, now),
            NotSent::Barred(barred) => Self::barred(barred, now),
        }
    }

    /// Why the price of a code was not set aside. What passes by itself is to be tried again; what an operator must lift is not.
    pub(super) fn not_set_aside(why: &NotSetAside, now: Timestamp) -> Self {
        let told = why.told_outside();
        let refusal = match why {
            NotSetAside::NotReady(_) | NotSetAside::Limit { why: Why::NotReadBack, .. } => {
                Self::new(503, 20503, format!("Service is unavailable: {told}"))
            }
            NotSetAside::Limit { .. } if why.again(now).is_some() => {
                Self::new(429, 20429, format!("Too many requests: {told}"))
            }
            NotSetAside::Limit { .. } => {
                Self::new(403, 60410, format!("Verification delivery attempt blocked: {told}"))
            }
            NotSetAside::Unpriced(_) => {
                Self::new(403, 60605, format!("The destination phone number has been blocked: {told}"))
            }
        };
        match why.again_outside(now) {
            Some(again) => refusal.after(again, now),
            None => refusal,
        }
    }

    /// Why a code was not compared.
    pub(super) fn not_checked(not: NotChecked, path: &str, now: Timestamp) -> Self {
        match not {
            NotChecked::Missing => Self::not_found(path),
            NotChecked::MaxChecks(until) => Self::max_checks().after(until, now),
            NotChecked::Barred(barred) => Self::barred(barred, now),
        }
    }

    fn barred(barred: Barred, now: Timestamp) -> Self {
        match barred {
            Barred::Until(until) => Self::max_checks().after(until, now),
            Barred::BoundAnew => Self::max_checks(),
        }
    }
}

/// What the store could not do is nothing that the caller did.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        tracing::warn!(%error, "the second factor could not answer");
        Self::unavailable("the store did not answer as it should")
    }
}

/// The longest path of an operation fits, with both its SIDs.
const PATH_SHOWN: usize = 200;
/// Enough of a value to know it again.
const VALUE_SHOWN: usize = 64;

/// What a sender wrote, short enough to be repeated to it.
fn shortened(text: &str, enough: usize) -> String {
    match text.char_indices().nth(enough) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_repeated_whole_and_what_is_longer_than_any_is_not() {
        let service = format!("/v2/Services/VA{}", "0".repeat(32));
        let longest = format!("{service}/RateLimits/RK{}/Buckets/BL{}", "0".repeat(32), "1".repeat(32));
        let message = Refusal::not_found(&longest).error.message;
        assert!(message.contains(&longest[3..]), "{message}");
        let endless = Refusal::not_found(&format!("/v2/{}", "a".repeat(5_000))).error.message;
        assert!(endless.len() < 300, "{endless}");
    }

    #[test]
    fn another_method_is_told_what_to_do_instead() {
        let message =
            |method: &str, path: &str| Refusal::method_not_allowed(method, path, "GET, HEAD").error.message;
        let service = format!("/v2/Services/VA{}", "0".repeat(32));
        for path in ["/v2/Services", service.as_str()] {
            let message = message("POST", path);
            assert!(
                message.ends_with("services are made and changed with `ringfence application`"),
                "{message}"
            );
        }
        for path in [format!("{service}/Verifications"), "/v2/Attempts".to_owned()] {
            let message = message("PUT", &path);
            assert!(message.ends_with(": it takes GET, HEAD"), "{message}");
        }
    }

    #[test]
    fn how_long_to_wait_is_in_the_words_too() {
        let now = Timestamp::from_second(1_772_366_400).expect("a time");
        let later = |millis: i64| now + jiff::SignedDuration::from_millis(millis);
        for (millis, seconds, words) in
            [(1, 1, "in a second"), (29_001, 30, "in 30 seconds"), (-5_000, 1, "in a second")]
        {
            let refusal = Refusal::too_many_requests(later(millis), now);
            assert_eq!(refusal.retry_after_s, Some(seconds));
            assert_eq!(refusal.error.message, format!("Too many requests; try again {words}"));
        }
    }
}

//! Where usage triggers are taken: a verified delivery is written to the store, and answered once it is there.
//!
//! Twilio may tell of a trigger only once in its period, so nothing that was answered with 200 may be lost, and nothing
//! that can be lost may be answered with 200. The write runs in a task of its own: a caller that hangs up does not
//! take it along. What is done about it is the control plane's affair, which is woken and not waited for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use ringfence_model::Actor;
use ringfence_store::{Seen, Store};
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::respond::{self, GateBody};
use crate::trigger::{Fired, Malformed};

/// Takes usage triggers.
#[derive(Clone)]
pub struct Intake {
    /// Where they are kept; nothing while that is not there yet.
    pub store: Arc<dyn Fn() -> Option<Arc<Store>> + Send + Sync>,
    /// Told after one was kept, so that whoever deals with them need not look again and again. It returns at once.
    pub woken: Arc<dyn Fn() + Send + Sync>,
}

/// Deliveries that are written at once. They are small, and the store commits many of them together.
const PLACES: usize = 1_024;
/// For the commit, within the 15 s that Twilio waits.
const COMMIT_MAX: Duration = Duration::from_secs(10);
/// When a delivery that could not be kept may come again.
const RETRY_AFTER_SECONDS: &str = "5";

/// The intake with its places, which are not those of requests to applications: neither fills up the other's.
pub(crate) struct Taker {
    intake: Intake,
    places: Arc<Semaphore>,
}

/// What became of a delivery: the values of `outcome` in the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    New,
    Repeat,
    Malformed,
    Overloaded,
    StoreAway,
}

impl Outcome {
    pub(crate) const ALL: [Self; 5] =
        [Self::New, Self::Repeat, Self::Malformed, Self::Overloaded, Self::StoreAway];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Repeat => "repeat",
            Self::Malformed => "malformed",
            Self::Overloaded => "overloaded",
            Self::StoreAway => "store_away",
        }
    }
}

/// Why a delivery was not kept, or may not have been.
#[derive(Debug, Error)]
pub(crate) enum NotKept {
    #[error("no place is free for it")]
    Overloaded,
    #[error("the store is not there yet")]
    NoStore,
    #[error(transparent)]
    Store(#[from] ringfence_store::Error),
    #[error("the store did not answer in time")]
    TooSlow,
    #[error("writing it broke off")]
    BrokeOff,
}

impl Taker {
    pub(crate) fn new(intake: Intake) -> Self {
        Self { intake, places: Arc::new(Semaphore::new(PLACES)) }
    }

    /// Keeps what fired, and answers after the commit. `held` is let go when the write has ended, however long after
    /// the answer that is.
    pub(crate) async fn keep(
        &self,
        fired: Fired,
        now_micros: u64,
        deadline: Instant,
        held: impl Send + 'static,
    ) -> Result<Seen, NotKept> {
        let Some(store) = (self.intake.store)() else { return Err(NotKept::NoStore) };
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return Err(NotKept::Overloaded) };
        let woken = Arc::clone(&self.intake.woken);
        let write = tokio::spawn(async move {
            let by = Actor::Twilio(fired.account.to_string());
            let seen = store.observe(&by, fired.into_observation(), timestamp(now_micros)).await;
            // For a repeat too: what came before may not have been dealt with yet.
            if seen.is_ok() {
                woken();
            }
            drop((held, place));
            seen
        });
        match timeout_at(deadline.min(Instant::now() + COMMIT_MAX), write).await {
            Err(_) => Err(NotKept::TooSlow),
            Ok(Err(_)) => Err(NotKept::BrokeOff),
            Ok(Ok(seen)) => Ok(seen?),
        }
    }
}

impl fmt::Debug for Taker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Taker")
            .field("places", &self.places.available_permits())
            .finish_non_exhaustive()
    }
}

fn timestamp(micros: u64) -> Timestamp {
    let micros = i64::try_from(micros).unwrap_or(i64::MAX);
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

/// The outcome and the answer: 200 for what is kept, however often it came; 503 with `Retry-After` for what is not.
/// Neither the log nor the answer holds anything of what was delivered.
pub(crate) fn answer(route: &str, kept: Result<Seen, NotKept>) -> (Outcome, Response<GateBody>) {
    let outcome = match &kept {
        Ok(Seen::New) => Outcome::New,
        Ok(Seen::Before) => Outcome::Repeat,
        Err(NotKept::Overloaded | NotKept::Store(ringfence_store::Error::Crowd { .. })) => {
            Outcome::Overloaded
        }
        Err(_) => Outcome::StoreAway,
    };
    let Err(error) = kept else { return (outcome, respond::empty(StatusCode::OK)) };
    let status = StatusCode::SERVICE_UNAVAILABLE;
    tracing::error!(route, %error, status = status.as_u16(), "a usage trigger was verified and could not be kept");
    let mut response = respond::empty(status);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
    (outcome, response)
}

/// 400, with the reason: whoever signed this is the account itself, and its log at Twilio shows the answer.
pub(crate) fn malformed(route: &str, why: Malformed) -> (Outcome, Response<GateBody>) {
    let status = StatusCode::BAD_REQUEST;
    tracing::warn!(route, %why, status = status.as_u16(), "a verified request is no usage trigger");
    let mut response = Response::new(GateBody::full(format!("{why}\n").into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    (Outcome::Malformed, response)
}

#[cfg(test)]
mod tests;

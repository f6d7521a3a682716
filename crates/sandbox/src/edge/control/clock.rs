//! `/_sandbox/clock`: what time it is, and moving a virtual clock.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Json, Problem};
use crate::api::shortened;
use crate::edge;

/// A decade of minutes is five million evaluations of triggers: enough, and still an answer.
const FURTHEST: Duration = Duration::from_hours(10 * 366 * 24);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Move {
    advance: Option<String>,
    to: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Shown {
    now: Timestamp,
    #[serde(rename = "virtual")]
    is_virtual: bool,
    /// How much will happen by itself, and when the next of it does.
    planned: usize,
    next: Option<Timestamp>,
    /// Webhooks that have left and not been answered.
    webhooks_under_way: usize,
}

pub(super) async fn show(State(state): State<Arc<edge::State>>) -> Json<Shown> {
    Json(shown(&state))
}

pub(super) async fn advance(
    State(state): State<Arc<edge::State>>,
    Json(wanted): Json<Move>,
) -> Result<Json<Shown>, Problem> {
    check_virtual(&state)?;
    match (wanted.advance, wanted.to) {
        (Some(text), None) => advance_by(&state, &text).await?,
        (None, Some(text)) => {
            let now = state.engine.with(|world| world.now);
            move_on(&state, until(now, &text)?).await?;
        }
        _ => {
            return Err(Problem::bad_request("either `advance` or `to` must be there")
                .hint("like {\"advance\": \"60s\"} or {\"to\": \"2026-12-01T00:00:00Z\"}"));
        }
    }
    Ok(Json(shown(&state)))
}

/// The same for the form of the phones.
pub(in crate::edge) async fn advance_by(state: &edge::State, text: &str) -> Result<(), Problem> {
    let by = duration(text).map_err(|error| {
        Problem::bad_request(format!("`advance` is {:?}: {error}", shortened(text)))
            .hint("like 500ms, 60s, 5m, 24h, 7d or 1h30m")
    })?;
    move_on(state, by).await
}

async fn move_on(state: &edge::State, by: Duration) -> Result<(), Problem> {
    check_virtual(state)?;
    if by > FURTHEST {
        return Err(Problem::bad_request("the clock is moved by at most ten years at a time"));
    }
    // A test that gave up asking must not leave the clock somewhere on the way.
    let engine = Arc::clone(&state.engine);
    match tokio::spawn(async move { engine.advance(by).await }).await {
        Ok(Ok(_now)) => Ok(()),
        _ => Err(Problem::conflict("the clock could not be moved to the end")),
    }
}

fn check_virtual(state: &edge::State) -> Result<(), Problem> {
    if state.engine.is_virtual() {
        return Ok(());
    }
    Err(Problem::conflict("the clock is real, and nobody moves that")
        .hint("start the sandbox with --virtual-clock"))
}

fn until(now: Timestamp, text: &str) -> Result<Duration, Problem> {
    let to: Timestamp = text.parse().map_err(|_| {
        Problem::bad_request(format!("`to` is {:?}, which is no time", shortened(text)))
            .hint("like 2026-12-01T00:00:00Z")
    })?;
    Duration::try_from(to.duration_since(now)).map_err(|_| {
        Problem::conflict(format!("it is {now} already, and time does not go back"))
            .hint("POST /_sandbox/reset begins again")
    })
}

fn shown(state: &edge::State) -> Shown {
    state.engine.with(|world| Shown {
        now: world.now,
        is_virtual: state.engine.is_virtual(),
        planned: world.planned(),
        next: world.next_at(),
        webhooks_under_way: world.webhooks.in_flight,
    })
}

/// Whole numbers with units, one after another: `1h30m`. A number without a unit is refused: nobody should have to
/// guess what it counts.
fn duration(text: &str) -> Result<Duration, &'static str> {
    const NO_TIME: &str = "that is no time";
    let mut sum = SignedDuration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(NO_TIME);
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).ok_or("it has no unit")?;
        let number: i64 = rest[..digits].parse().map_err(|_| NO_TIME)?;
        let after = &rest[digits..];
        let unit_end = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let unit_ms = match after[..unit_end].trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err("its unit is not known"),
        };
        let milliseconds = number.checked_mul(unit_ms).ok_or("that is too long")?;
        sum = sum.checked_add(SignedDuration::from_millis(milliseconds)).ok_or("that is too long")?;
        rest = &after[unit_end..];
    }
    Duration::try_from(sum).map_err(|_| NO_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for text in ["", "60", "s", "-1s", "1.5h", "60 parsecs", "9223372036854775807d", "1h30", "ämin"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(duration("60s"), Ok(Duration::from_mins(1)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration(" 7d "), Ok(Duration::from_hours(7 * 24)));
    }
}

//! The control API: everything that a test wants to do to the world, or to know of it, and Twilio's API does not
//! offer.
//!
//! JSON in, JSON out, one file for each endpoint. A refusal is `{"error": …, "hint": …}` with a status that says
//! whose turn it is. [`ENDPOINTS`] is what there is, as the index shows it.

mod accounts;
pub(super) mod body;
mod ca;
pub(super) mod calls;
pub(super) mod clock;
mod deliveries;
pub(super) mod explain;
mod faults;
mod forge;
mod index;
pub(super) mod messages;
mod phones;
mod reset;
mod settings;
pub(super) mod snapshot;
mod usage;
mod verifications;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, patch, post, put};
use http::StatusCode;
use ringfence_model::{PhoneNumber, Sid};
use serde::Serialize;

use self::body::Json;
use super::problem::Problem;
use super::{State, pages};
use crate::world::World;
use crate::world::webhooks::KINDS;

/// An endpoint of the control API.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// What it does.
    pub(super) does: &'static str,
    /// A body to begin with.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) example: &'static str,
}

const fn endpoint(
    method: &'static str,
    path: &'static str,
    example: &'static str,
    does: &'static str,
) -> Endpoint {
    Endpoint { method, path, does, example }
}

/// All endpoints, in the order in which a newcomer wants them.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    endpoint("GET", "/_sandbox/", "", "this list, and the accounts and numbers that there are"),
    endpoint("GET", "/_sandbox/phones", "", "the phones: a page in a browser, JSON elsewhere"),
    endpoint(
        "PUT",
        "/_sandbox/phones/{number}",
        r#"{"behaviour": "busy", "delivery": "unreachable"}"#,
        "what a phone does when it rings (answer, voicemail, busy, no-answer, fail, by-hand) and what becomes of texts to it (delivered, no-receipt, unreachable, blocked, unknown, landline, filtered, lost); null: as at first",
    ),
    endpoint("DELETE", "/_sandbox/phones/{number}", "", "takes a phone that was added off the page"),
    endpoint(
        "POST",
        "/_sandbox/messages",
        r#"{"from": "+12025550143", "to": "+14155550100", "body": "Hi"}"#,
        "texts a number from a phone; `media` is a list of URLs",
    ),
    endpoint(
        "POST",
        "/_sandbox/calls",
        r#"{"from": "+12025550143", "to": "+14155550100"}"#,
        "calls a number from a phone",
    ),
    endpoint(
        "GET",
        "/_sandbox/calls/{sid}",
        "",
        "a call as the phone has it: what was said and pressed, and what it waits for",
    ),
    endpoint("POST", "/_sandbox/calls/{sid}/keys", r#"{"digits": "12#"}"#, "presses keys on the phone"),
    endpoint(
        "POST",
        "/_sandbox/calls/{sid}/words",
        r#"{"words": "Sales, please"}"#,
        "says something to a call that listens for speech",
    ),
    endpoint("POST", "/_sandbox/calls/{sid}/answer", "", "picks a ringing phone up"),
    endpoint("POST", "/_sandbox/calls/{sid}/hang-up", "", "hangs the phone up, or declines the call"),
    endpoint(
        "PATCH",
        "/_sandbox/accounts/{sid}",
        r#"{"suspended_by_twilio": true}"#,
        "suspends an account as Twilio itself does, main accounts too: no parent can undo it; false: it goes on",
    ),
    endpoint("GET", "/_sandbox/verifications", "", "verifications, newest first, with their codes; ?to="),
    endpoint(
        "GET",
        "/_sandbox/usage",
        "",
        "what accounts have used, as far as usage records and triggers see it",
    ),
    endpoint(
        "POST",
        "/_sandbox/usage",
        r#"{"category": "sms-outbound", "count": 100, "price": "0.79"}"#,
        "books usage without sending anything; `account`, `usage` and `at` if wanted",
    ),
    endpoint("GET", "/_sandbox/clock", "", "the time, and what is planned"),
    endpoint(
        "POST",
        "/_sandbox/clock",
        r#"{"advance": "60s"}"#,
        "moves a virtual clock by a time, or on to one: {\"to\": \"2026-12-01T00:00:00Z\"}; ends when all webhooks of that time have been answered",
    ),
    endpoint("GET", "/_sandbox/settings", "", "delays, lags and rules"),
    endpoint(
        "PATCH",
        "/_sandbox/settings",
        r#"{"usage_lag_s": 0, "messages": {"delivery_ms": 50}}"#,
        "changes those that it names; null: back to the default",
    ),
    endpoint("GET", "/_sandbox/faults", "", "what is still to go wrong"),
    endpoint(
        "POST",
        "/_sandbox/faults",
        r#"{"api": [{"path": "/Messages", "status": 503, "times": 2}]}"#,
        "lets requests fail (latency_ms, status, drop) or webhooks (lose, double, delay_ms, forge), or usage data be late: {\"usage\": {\"extra_lag_s\": 3600}}, or stand still until `frozen_until`",
    ),
    endpoint("DELETE", "/_sandbox/faults", "", "nothing goes wrong any more"),
    endpoint(
        "GET",
        "/_sandbox/deliveries",
        "",
        "webhooks, newest first; ?url= &kind= &state= &account= &limit=",
    ),
    endpoint(
        "GET",
        "/_sandbox/deliveries/{sid}",
        "",
        "one webhook: headers, signature, what was signed, answers",
    ),
    endpoint(
        "POST",
        "/_sandbox/webhooks",
        r#"{"url": "http://localhost:3000/sms", "params": {"Body": "Hi"}}"#,
        "sends a webhook of your own, rightly signed, and tells the answer",
    ),
    endpoint(
        "POST",
        "/_sandbox/forge",
        r#"{"url": "http://localhost:3000/sms", "how": "wrong-token"}"#,
        "sends a forged one: no-signature, wrong-token, changed-body, other-account, replay",
    ),
    endpoint("GET", "/_sandbox/snapshot", "", "everything, tokens included, in an order that stays"),
    endpoint(
        "POST",
        "/_sandbox/reset",
        r#"{"seed": 7}"#,
        "begins again; all is forgotten. `seed` and `keep_settings` if wanted",
    ),
    endpoint("GET", "/_sandbox/ca.pem", "", "the authority to trust when the sandbox is the HTTPS proxy"),
    endpoint("GET", "/_sandbox/events", "", "a stream of server-sent events, one for each change"),
];

/// Longer than any answer takes, advances of the clock and their webhooks aside.
const WEBHOOK_TIME: Duration = Duration::from_mins(1);

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/_sandbox", get(index::redirect))
        .route("/_sandbox/", get(index::show))
        .route("/_sandbox/ca.pem", get(ca::show))
        .route("/_sandbox/clock", get(clock::show).post(clock::advance))
        .route("/_sandbox/settings", get(settings::show).patch(settings::change))
        .route("/_sandbox/faults", get(faults::show).post(faults::add).delete(faults::remove))
        .route("/_sandbox/messages", post(messages::receive))
        .route("/_sandbox/calls", post(calls::receive))
        .route("/_sandbox/calls/{sid}", get(calls::show))
        .route("/_sandbox/calls/{sid}/words", post(calls::speak))
        .route("/_sandbox/calls/{sid}/keys", post(calls::press))
        .route("/_sandbox/calls/{sid}/answer", post(calls::answer))
        .route("/_sandbox/calls/{sid}/hang-up", post(calls::hang_up))
        .route("/_sandbox/phones/{number}", put(phones::change).delete(phones::remove))
        .route("/_sandbox/accounts/{sid}", patch(accounts::change))
        .route("/_sandbox/verifications", get(verifications::list))
        .route("/_sandbox/usage", get(usage::show).post(usage::book))
        .route("/_sandbox/deliveries", get(deliveries::list))
        .route("/_sandbox/deliveries/{sid}", get(deliveries::show))
        .route("/_sandbox/webhooks", post(webhooks::send))
        .route("/_sandbox/forge", post(forge::send))
        .route("/_sandbox/reset", post(reset::reset))
        .route("/_sandbox/snapshot", get(snapshot::show))
        .merge(pages::router())
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .with_state(state)
}

async fn unknown(uri: http::Uri) -> Problem {
    let mut paths: Vec<&str> = ENDPOINTS.iter().map(|endpoint| endpoint.path).collect();
    paths.dedup();
    let meant = explain::nearest(uri.path().trim_end_matches('/'), &paths);
    let meant = meant.map_or_else(String::new, |path| format!("did you mean {path}? "));
    Problem::not_found(format!("there is no {}", crate::api::shortened(uri.path())))
        .hint(format!("{meant}GET /_sandbox/ lists what there is"))
}

async fn wrong_method(method: http::Method, uri: http::Uri) -> Problem {
    let error = format!("{method} is not what {} takes", crate::api::shortened(uri.path()));
    let methods: Vec<&str> = endpoints_at(uri.path()).map(|endpoint| endpoint.method).collect();
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, error).hint(match methods.as_slice() {
        [] => "GET /_sandbox/ lists what there is".to_owned(),
        methods => format!("it takes {}", methods.join(", ")),
    })
}

/// The endpoints at a path, one for each method.
fn endpoints_at(path: &str) -> impl Iterator<Item = &'static Endpoint> {
    ENDPOINTS.iter().filter(move |endpoint| {
        let mut there = path.split('/');
        let fits = endpoint.path.split('/').all(|wanted| {
            there
                .next()
                .is_some_and(|given| wanted == given || (wanted.starts_with('{') && !given.is_empty()))
        });
        fits && there.next().is_none()
    })
}

/// Reads a phone number; a `+` that a URL lost is put back.
pub(super) fn phone_number(name: &str, text: &str) -> Result<PhoneNumber, Problem> {
    let trimmed = text.trim();
    let with_plus = if trimmed.starts_with('+') { trimmed.to_owned() } else { format!("+{trimmed}") };
    PhoneNumber::parse(&with_plus).map_err(|error| {
        Problem::bad_request(format!("`{name}` is {:?}: {error}", crate::api::shortened(text)))
            .hint("like +12025550143")
    })
}

/// A kind of webhook that there is; a misspelt one would silently fit none.
fn webhook_kind(name: &str, text: &str) -> Result<(), Problem> {
    if KINDS.contains(&text) {
        return Ok(());
    }
    let meant = explain::nearest(text, &KINDS);
    let meant = meant.map_or_else(String::new, |kind| format!("; did you mean {kind:?}?"));
    Err(Problem::bad_request(format!("`{name}` is {:?}{meant}", crate::api::shortened(text)))
        .hint(format!("it may be {}", KINDS.join(", "))))
}

/// Reads the SID of something that there should be.
fn sid(what: &str, text: &str) -> Result<Sid, Problem> {
    Sid::parse(text)
        .map_err(|_| Problem::not_found(format!("there is no {what} {:?}", crate::api::shortened(text))))
}

/// The account that a request names; the main one if it names none.
fn account(world: &World, text: Option<&str>) -> Result<Sid, Problem> {
    let Some(text) = text else { return Ok(world.accounts.main()) };
    let sid = sid("account", text)?;
    match world.accounts.find(sid) {
        Some(account) => Ok(account.sid),
        None => {
            Err(Problem::not_found(format!("there is no account {sid}")).hint("GET /_sandbox/ lists them"))
        }
    }
}

//! `POST /v1/links`: an application has a link made, with its virtual credential.
//!
//! The one idea: whoever may fetch a file through the egress may have a link to it made, and nobody else. So a credential
//! needs the account, and messages or calls among its operations.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use hyper::body::Incoming;
use jiff::Timestamp;
use ringfence_store::EgressArea;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::link::{LINK_AT_MOST_FOR, LINK_USUALLY_FOR};
use super::path::MediaPath;
use super::{BODY_MEMORY_MAX, BODY_TIMEOUT};
use crate::body::{BodyBound, discard_if, read_body};
use crate::connection::Connection;
use crate::egress::Refusal as NotAdmitted;
use crate::egress::credential::{Holder, Presented};
use crate::http_rules;
use crate::reason::Reason;

/// Where links are made.
pub(crate) const PATH: &str = "/v1/links";

/// A request is two members.
const BODY_BYTES_MAX: usize = 4 * 1024;

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The file: as a webhook or a resource has it, or its path.
    url: String,
    /// In seconds.
    expires_in: Option<u64>,
}

/// Why no link is made.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NotMade {
    status: StatusCode,
    /// Its name in the metrics and for programs, which never changes.
    code: &'static str,
    detail: String,
}

impl NotMade {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    fn not_ready() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store_away",
            "the store does not answer; try again in a moment",
        )
    }
}

/// Answers one request for a link. Never fails.
pub(crate) async fn answer(
    connection: &Connection,
    client: IpAddr,
    parts: &Parts,
    body: Incoming,
) -> Response<Bytes> {
    let end = &connection.worker.shared.media;
    match make(connection, parts, body).await {
        Ok(made) => {
            end.metrics.link("made");
            written(StatusCode::CREATED, "application/json", &made)
        }
        Err(not_made) => {
            let NotMade { status, code, detail } = not_made;
            end.metrics.link(code);
            tracing::info!(%client, reason = code, "no link to a file is made");
            let title = status.canonical_reason().unwrap_or_default();
            let problem =
                json!({ "title": title, "status": status.as_u16(), "code": code, "detail": detail });
            let mut response = written(status, "application/problem+json", &problem);
            let headers = response.headers_mut();
            match status {
                StatusCode::UNAUTHORIZED => {
                    let scheme = HeaderValue::from_static("Basic realm=\"Ringfence media\"");
                    headers.insert(WWW_AUTHENTICATE, scheme);
                }
                StatusCode::METHOD_NOT_ALLOWED => {
                    headers.insert(ALLOW, HeaderValue::from_static("POST"));
                }
                StatusCode::SERVICE_UNAVAILABLE => {
                    headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
                }
                _ => {}
            }
            response
        }
    }
}

async fn make(connection: &Connection, parts: &Parts, body: Incoming) -> Result<Value, NotMade> {
    let shared = &connection.worker.shared;
    let end = &shared.media;
    let deadline = Instant::now() + BODY_TIMEOUT;
    let may_discard = !parts.headers.contains_key(EXPECT);
    // Who it is comes first: strangers learn nothing of what there is.
    let holder = match admitted(connection, parts).await {
        Ok(holder) => holder,
        Err(not_made) => {
            discard_if(may_discard, body, deadline).await;
            return Err(not_made);
        }
    };
    let bound = BodyBound {
        cap: BODY_BYTES_MAX,
        deadline,
        may_discard,
        memory: &end.body_memory,
        memory_max: BODY_MEMORY_MAX,
    };
    let body = read_body(body, &bound).await.map_err(|reason| match reason {
        Reason::BodyTooLarge => NotMade::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "bad_request",
            format!("at most {BODY_BYTES_MAX} bytes"),
        ),
        Reason::Overloaded => {
            NotMade::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "try again in a moment")
        }
        _ => NotMade::new(StatusCode::BAD_REQUEST, "bad_request", "the body did not come whole"),
    })?;
    let snapshot = shared.snapshot.load_full();
    let media = snapshot.media.as_ref().ok_or_else(NotMade::not_ready)?;
    let now = shared.clock.unix_seconds();
    let (path, expires) = read(&body, &media.settings.twilio.to_string(), now)?;
    let area = if path.is_recording() { EgressArea::Calls } else { EgressArea::Messages };
    let may = holder.scopes.accounts.contains(path.account()) && holder.scopes.operations.contains(&area);
    if !may {
        let detail = format!("this credential is not for {} of {}", area.name(), path.account());
        return Err(NotMade::new(StatusCode::FORBIDDEN, "out_of_scope", detail));
    }
    if !media.accounts.contains_key(&path.account()) {
        let detail = format!("there is no auth token of {} here", path.account());
        return Err(NotMade::new(StatusCode::FORBIDDEN, "unknown_account", detail));
    }
    let key = end.key(shared.clock.monotonic()).await.map_err(|_| NotMade::not_ready())?;
    let link = key.link(path, expires);
    tracing::info!(
        credential = %holder.credential,
        account = %path.account(),
        file = %path.sid(),
        expires,
        "a link to a file is made"
    );
    let expires_at = i64::try_from(expires).ok().and_then(|it| Timestamp::from_second(it).ok());
    Ok(json!({
        "url": format!("{}{link}", media.settings.public_url),
        "expires_at": expires_at.map(|at| at.to_string()),
    }))
}

/// Whose request this is.
async fn admitted(connection: &Connection, parts: &Parts) -> Result<Holder, NotMade> {
    let shared = &connection.worker.shared;
    let bad = |detail: &str| NotMade::new(StatusCode::BAD_REQUEST, "bad_request", detail);
    let head = http_rules::check(parts).map_err(|_| bad("this request can be read in two ways"))?;
    if head.target != PATH {
        return Err(bad("what is asked for stands in the body, not in a query"));
    }
    if parts.method != Method::POST {
        let detail = "links are made with POST";
        return Err(NotMade::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail));
    }
    let unauthorized = || {
        let detail = "send `Authorization: Basic …` with a virtual credential (its SK… or the account's SID, and its \
                      secret) that is neither expired nor revoked; `ringfence key create --account AC…` makes one";
        NotMade::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    };
    let presented = Presented::read(&parts.headers).map_err(|_| unauthorized())?;
    let store = shared.media.store().ok_or_else(NotMade::not_ready)?;
    let seconds = i64::try_from(shared.clock.unix_seconds()).unwrap_or(i64::MAX);
    let now = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    presented.look_up(&store, now).await.map_err(|refusal| match refusal {
        NotAdmitted::StoreAway => NotMade::not_ready(),
        _ => unauthorized(),
    })
}

/// The file and the second at which the link ends.
fn read(body: &[u8], base: &str, now_unix: u64) -> Result<(MediaPath, u64), NotMade> {
    let bad = |detail: String| NotMade::new(StatusCode::BAD_REQUEST, "bad_request", detail);
    let wanted: Wanted = serde_json::from_slice(body).map_err(|error| {
        // The error may quote what came; it goes to whoever sent it, and into no log.
        bad(format!("the body is {{\"url\": \"…\", \"expires_in\": 3600}} as JSON: {error}"))
    })?;
    let path = MediaPath::of_url(&wanted.url, base).map_err(|error| bad(format!("`url`: {error}")))?;
    let longest = LINK_AT_MOST_FOR.as_secs();
    let seconds = wanted.expires_in.unwrap_or(LINK_USUALLY_FOR.as_secs());
    if !(1..=longest).contains(&seconds) {
        return Err(bad(format!("`expires_in` is in seconds, from 1 to {longest}")));
    }
    Ok((path, now_unix.saturating_add(seconds)))
}

fn written(status: StatusCode, media_type: &'static str, json: &Value) -> Response<Bytes> {
    let body = Bytes::from(json.to_string());
    let mut response = Response::new(body.clone());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}

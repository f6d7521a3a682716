//! Twilio's API over HTTP: a request is read, its faults on demand happen, the world answers.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, DATE, HOST, LOCATION, RANGE, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use jiff::tz::TimeZone;
use ringfence_twilio::wire::Form;

use super::{Body, Dropped, State, files};
use crate::api::{self, Base, Incoming, Product, Refusal, Reply};
use crate::world::faults;

/// Larger than anything that Twilio's API takes.
const BODY_MAX: usize = 1024 * 1024;
/// Longer than any client takes to send it.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Answers one request, or lets the connection break where a fault wants that.
pub(super) async fn answer<B>(
    state: &State,
    request: Request<B>,
    https: bool,
    from: IpAddr,
) -> Result<Response<Body>, Dropped>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let fault =
        state.engine.with(|world| world.faults.take_api(head.method.as_str(), path)).unwrap_or_default();
    if fault.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(fault.latency_ms)).await;
    }
    if fault.drop == faults::Dropped::Before {
        return Err(Dropped);
    }
    if fault.status == 0 && files::are_at(path) {
        return Ok(state.engine.with(|world| files::answer(world, &head)));
    }
    let result = if fault.status > 0 {
        Err(on_demand(&fault))
    } else {
        match read_body(body).await.and_then(|body| read(&head, &body, https)) {
            Ok(incoming) => state.engine.with(|world| {
                world.acting.source_ip = from;
                api::handle(&state.router, world, incoming)
            }),
            Err(refusal) => Err(refusal),
        }
    };
    if fault.drop == faults::Dropped::After {
        return Err(Dropped);
    }
    Ok(match result {
        Ok(reply) if reply.status == 200 && !reply.content_type.contains("json") => {
            let whole = reply.body.clone();
            part(accept(reply), &whole, &head.headers)
        }
        Ok(reply) => accept(reply),
        Err(refusal) => refuse(&refusal),
    })
}

/// Writes the time as HTTP does (RFC 9110, 5.6.7). The clock of this Twilio is the world's, which need not be the machine's.
pub(super) fn date(state: &State, headers: &mut HeaderMap) {
    let now = TimeZone::UTC.to_datetime(state.engine.with(|world| world.now));
    if let Ok(date) = HeaderValue::try_from(now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()) {
        headers.insert(DATE, date);
    }
}

async fn read_body<B>(body: B) -> Result<Bytes, Refusal>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match tokio::time::timeout(BODY_TIME, Limited::new(body, BODY_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) => Err(unreadable(&*error)),
        Err(_) => Err(Refusal::new(408, 20408, "The body did not arrive in time")),
    }
}

/// Takes a request apart. The body is a form or nothing.
fn read(head: &http::request::Parts, body: &[u8], https: bool) -> Result<Incoming, Refusal> {
    // A client of the proxy writes whole URLs, and the name there counts (RFC 9112, section 3.2.2).
    let host = head
        .uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| head.headers.get(HOST).and_then(|host| host.to_str().ok()))
        .unwrap_or("localhost");
    let path = head.uri.path();
    let scheme = if https { "https" } else { "http" };
    let (product, base, path) = match (Product::of_host(host), prefixed(path)) {
        (Some(None), _) => return Err(unknown_product(host)),
        (Some(product), _) => (product, Base::Twilio, path),
        (None, Some((label, product, rest))) => {
            let product = product.ok_or_else(|| unknown_product(label))?;
            (Some(product), Base::Own(format!("{scheme}://{host}/{label}")), rest)
        }
        (None, None) => (None, Base::Own(format!("{scheme}://{host}")), path),
    };
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or("");
    let content_type = content_type.trim().to_ascii_lowercase();
    let form = match content_type.as_str() {
        _ if body.is_empty() => Form::new(),
        kind if kind.is_empty() || kind.starts_with("application/x-www-form-urlencoded") => Form::parse(body),
        kind if kind.starts_with("application/json") && path.starts_with("/v1/Webhooks/") => json_form(body)?,
        _ => {
            return Err(Refusal::new(
                415,
                20415,
                "The body must have the content type application/x-www-form-urlencoded",
            ));
        }
    };
    Ok(Incoming {
        method: method(head),
        product,
        path: path.to_owned(),
        query: Form::parse(head.uri.query().unwrap_or_default().as_bytes()),
        form,
        credentials: credentials(&head.headers),
        base,
    })
}

/// A file's head is asked for as its file is; hyper leaves the body out.
fn method(head: &http::request::Parts) -> http::Method {
    let path = head.uri.path();
    let is_file = ["/Media/ME", "/Recordings/RE"].iter().any(|it| path.contains(it))
        && path.strip_suffix(".json").is_none();
    if is_file && head.method == http::Method::HEAD { http::Method::GET } else { head.method.clone() }
}

/// The newest products take JSON. Its members are read as fields; what is no text stays JSON.
fn json_form(body: &[u8]) -> Result<Form, Refusal> {
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(20001, format!("The body is no JSON object: {error}")))?;
    let text = |value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(members.into_iter().map(|(name, value)| (name, text(value))).collect())
}

/// `/verify.twilio.com/v2/Services`: the product as the first segment, for clients that keep it.
fn prefixed(path: &str) -> Option<(&str, Option<Product>, &str)> {
    let first = path.strip_prefix('/')?.split('/').next()?;
    let product = Product::of_host(first)?;
    Some((first, product, &path[first.len() + 1..]))
}

fn unknown_product(host: &str) -> Refusal {
    let labels: Vec<_> = Product::ALL.into_iter().map(Product::label).collect();
    let host = api::shortened(host);
    Refusal::new(404, 20404, format!("The sandbox has no {host}; it has {} of twilio.com", labels.join(", ")))
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    let decoded = BASE64.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn unreadable(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Refusal {
    if error.is::<http_body_util::LengthLimitError>() {
        Refusal::new(413, 20413, format!("The body is larger than {BODY_MAX} bytes"))
    } else {
        Refusal::bad_request(20001, "The body could not be read")
    }
}

fn on_demand(fault: &faults::ApiFault) -> Refusal {
    let (code, message) = match (fault.status, fault.code) {
        (429, 0) => (20429, "Too Many Requests"),
        (_, 0) => (20500, "Internal Server Error"),
        (_, code) => (code, "A fault on demand"),
    };
    let status = if (200..=599).contains(&fault.status) { fault.status } else { 503 };
    let retry_after_s = (fault.retry_after_s > 0).then_some(fault.retry_after_s);
    Refusal { retry_after_s, ..Refusal::new(status, code, message) }
}

/// The part of a file that is asked for, if it is one part of its bytes (RFC 9110, section 14.2).
pub(super) fn part(mut response: Response<Body>, whole: &Bytes, asked: &HeaderMap) -> Response<Body> {
    response.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let range =
        asked.get(RANGE).and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-'));
    let Some((first, last)) = range else { return response };
    let size = whole.len();
    let (first, last) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) => (first, last.min(size.saturating_sub(1))),
        (Ok(first), Err(_)) if last.is_empty() => (first, size.saturating_sub(1)),
        (Err(_), Ok(last)) if first.is_empty() => (size.saturating_sub(last), size.saturating_sub(1)),
        _ => return response,
    };
    let (status, told, body) = if first > last || first >= size {
        (StatusCode::RANGE_NOT_SATISFIABLE, format!("bytes */{size}"), Bytes::new())
    } else {
        (StatusCode::PARTIAL_CONTENT, format!("bytes {first}-{last}/{size}"), whole.slice(first..=last))
    };
    *response.status_mut() = status;
    *response.body_mut() = Body::from(body);
    if let Ok(told) = HeaderValue::try_from(told) {
        response.headers_mut().insert(CONTENT_RANGE, told);
    }
    response
}

pub(super) fn accept(reply: Reply) -> Response<Body> {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    if !reply.content_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    }
    if let Some(location) = reply.location.and_then(|it| HeaderValue::try_from(it).ok()) {
        headers.insert(LOCATION, location);
    }
    if let Some(operation) = reply.operation.and_then(|it| HeaderValue::try_from(it).ok()) {
        headers.insert("operation-id", operation);
        headers.insert(RETRY_AFTER, HeaderValue::from_static("30"));
    }
    response
}

fn refuse(refusal: &Refusal) -> Response<Body> {
    let body = serde_json::to_vec(&refusal.error).expect("an error is text and numbers");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(refusal.error.status).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if refusal.error.status == 401 {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Twilio API\""));
    }
    if let Some(seconds) = refusal.retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

//! Twilio's answer on its way back: JSON is read whole, loses its secrets and has its links led back; a file streams.
//!
//! Whatever is neither is not passed on: nobody could say what is in it. A redirect is handed on where it leads to
//! Twilio or to the storage that Twilio's files are in, and is never followed here, since that would take the
//! credentials along.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALT_SVC, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, LOCATION,
    SET_COOKIE, STRICT_TRANSPORT_SECURITY, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::response::Parts;
use http::{HeaderValue, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::json::{self, LedBack, Links as _};
use super::refusal::{self, Refusal};
use crate::passed::Passed;
use crate::respond::GateBody;

/// A page of a thousand records is well below.
const JSON_MAX: usize = 16 * 1024 * 1024;
/// From the head of an answer to the end of its JSON.
const JSON_WITHIN: Duration = Duration::from_secs(30);

/// What an answer's body is.
#[derive(Debug)]
pub(crate) enum Content {
    Nothing,
    Json(Bytes),
    File(Incoming),
}

/// Reads an answer as far as it must be known: JSON to its end, a file not at all. `may_be_file` says that the operation
/// answers with one.
pub(crate) async fn read(parts: &Parts, body: Incoming, may_be_file: bool) -> Result<Content, Refusal> {
    if body.is_end_stream() {
        return Ok(Content::Nothing);
    }
    if !is_json(&parts.headers) {
        if may_be_file || parts.status.is_redirection() {
            return Ok(Content::File(body));
        }
        let whole = whole(body).await?;
        return if whole.is_empty() { Ok(Content::Nothing) } else { Err(NOT_JSON) };
    }
    let is_plain = parts.headers.get(CONTENT_ENCODING).is_none_or(|coding| coding == "identity");
    if !is_plain {
        return Err(Refusal::UnusableAnswer("it is compressed, which was not asked for"));
    }
    Ok(Content::Json(whole(body).await?))
}

const NOT_JSON: Refusal = Refusal::UnusableAnswer("it is not JSON, so nobody can say what is in it");

async fn whole(body: Incoming) -> Result<Bytes, Refusal> {
    match timeout(JSON_WITHIN, Limited::new(body, JSON_MAX).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Refusal::UnusableAnswer("it is too large"))
        }
        Ok(Err(_)) => Err(Refusal::UnusableAnswer("it broke off")),
        Err(_) => Err(Refusal::UnusableAnswer("it did not come in time")),
    }
}

/// Whether a status is Twilio's word that nothing was made: a 4xx, but for 408, a time-out somewhere before it.
pub(crate) fn refuses(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT
}

/// The answer for the caller. Where it must not be passed on and says all the same that Twilio refused, it says that, in Twilio's
/// shape: nobody has to fear that something was made.
pub(crate) fn pass_on(
    parts: &Parts,
    content: Result<Content, Refusal>,
    links: &LedBack<'_>,
) -> Result<Response<GateBody>, Refusal> {
    match content.and_then(|content| passed_on(parts, content, links)) {
        Err(Refusal::UnusableAnswer(_)) if refuses(parts.status) => {
            let mut headers = headers(&parts.headers);
            for name in [CONTENT_ENCODING, LOCATION] {
                headers.remove(name);
            }
            let body = refusal::refused_by_twilio(parts.status);
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            let mut response = Response::new(GateBody::full(body));
            *response.status_mut() = parts.status;
            *response.headers_mut() = headers;
            Ok(response)
        }
        passed => passed,
    }
}

fn passed_on(parts: &Parts, content: Content, links: &LedBack<'_>) -> Result<Response<GateBody>, Refusal> {
    let (headers, is_redirect) = (headers(&parts.headers), parts.status.is_redirection());
    let mut headers = headers;
    if let Some(location) = headers.get(LOCATION) {
        let led = location.to_str().ok().and_then(|location| led_back(location, links));
        let led = led.and_then(|location| HeaderValue::from_str(&location).ok());
        let led = led.ok_or(Refusal::UnusableAnswer("it leads elsewhere"))?;
        headers.insert(LOCATION, led);
    }
    let body = match content {
        Content::Nothing => GateBody::empty(),
        Content::Json(bytes) => {
            let cleaned = json::clean(&bytes, links).map_err(|_| NOT_JSON)?;
            headers.insert(CONTENT_LENGTH, HeaderValue::from(cleaned.len()));
            GateBody::full(cleaned)
        }
        // What a redirect says of itself nobody needs to read.
        Content::File(_) if is_redirect => {
            headers.remove(CONTENT_TYPE);
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            GateBody::empty()
        }
        Content::File(body) => GateBody::passed(Passed::new(body)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = parts.status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// Where a redirect leads, as the caller can follow it: to Twilio through here, or to where Twilio keeps files, without
/// any credentials.
fn led_back(location: &str, links: &LedBack<'_>) -> Option<String> {
    if let Some(led) = links.lead_back(location) {
        return Some(led);
    }
    let uri: http::Uri = location.parse().ok()?;
    let authority = uri.authority()?.as_str();
    let is_storage =
        STORAGE.iter().any(|domain| authority.ends_with(domain)) && !authority.contains(['@', ':']);
    let is_ours = links.base.split(location).is_some();
    (uri.scheme_str() == Some("https") && (is_storage || is_ours)).then(|| location.to_owned())
}

/// Where Twilio keeps media and recordings.
const STORAGE: [&str; 3] = [".twiliocdn.com", ".amazonaws.com", ".twilio.com"];

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return false };
    let media = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let media = media.to_ascii_lowercase();
    media == b"application/json" || (media.starts_with(b"application/") && media.ends_with(b"+json"))
}

/// The fields that may be passed on: none that belongs to the connection, none that sets something for Twilio's host.
fn headers(from: &HeaderMap) -> HeaderMap {
    let named_by_connection = |name: &HeaderName| {
        from.get_all(CONNECTION)
            .iter()
            .any(|value| crate::http_rules::has_token(value.as_bytes(), name.as_str().as_bytes()))
    };
    let kept = from.iter().filter(|(name, _)| !NOT_PASSED.contains(name) && !named_by_connection(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

const NOT_PASSED: [HeaderName; 12] = [
    ALT_SVC,
    CONNECTION,
    SET_COOKIE,
    STRICT_TRANSPORT_SECURITY,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-authenticate"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("authorization"),
    HeaderName::from_static("te"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::host::TwilioBase;

    #[test]
    fn a_redirect_leads_to_twilio_s_files_and_nowhere_else() {
        let links = LedBack { base: &TwilioBase::Twilio, own: Some("http://egress") };
        for (location, led) in [
            ("https://api.twilio.com/2010-04-01/x", Some("http://egress/api.twilio.com/2010-04-01/x")),
            ("https://media.twiliocdn.com/a?b", Some("https://media.twiliocdn.com/a?b")),
            (
                "https://s3-external-1.amazonaws.com/media/a",
                Some("https://s3-external-1.amazonaws.com/media/a"),
            ),
            ("http://media.twiliocdn.com/a", None),
            ("https://evil.com/.amazonaws.com", None),
            ("https://u:p@media.twiliocdn.com/a", None),
            ("https://eviltwiliocdn.com/a", None),
            ("//media.twiliocdn.com/a", None),
            ("/relative", None),
            ("javascript:alert(1)", None),
        ] {
            assert_eq!(led_back(location, &links).as_deref(), led, "{location}");
        }
    }

    #[test]
    fn what_belongs_to_the_connection_or_the_host_is_not_passed_on() {
        let mut from = HeaderMap::new();
        for (name, value) in [
            ("connection", "x-hop, close"),
            ("x-hop", "1"),
            ("keep-alive", "1"),
            ("set-cookie", "a=b"),
            ("transfer-encoding", "chunked"),
            ("strict-transport-security", "max-age=1"),
            ("authorization", "Basic x"),
            ("twilio-request-id", "RQ1"),
            ("content-type", "application/json"),
        ] {
            from.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut kept: Vec<_> = headers(&from).keys().map(|name| name.as_str().to_owned()).collect();
        kept.sort();
        assert_eq!(kept, ["content-type", "twilio-request-id"]);
    }
}

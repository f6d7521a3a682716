//! The operator's webhook: a signed `POST`, after Standard Webhooks (<https://www.standardwebhooks.com>), for which
//! there are libraries in most languages. `docs/notices.md` describes it for those who receive it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Request;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http_body_util::Full;
use jiff::Timestamp;
use sha2::Sha256;

use super::channel::Outcome;
use super::http::{Answer, Poster};
use super::notice::Notice;
use super::render;
use super::settings::{WebhookSettings, signing_key};
use super::text::Desk;

/// Sends notices to one URL.
pub(super) struct Webhook {
    settings: WebhookSettings,
    poster: Poster,
}

impl Webhook {
    pub(super) fn new(settings: WebhookSettings, poster: Poster) -> Self {
        Self { settings, poster }
    }

    pub(super) fn host(&self) -> &str {
        self.settings.host()
    }

    pub(super) async fn deliver(&self, notice: &Notice, desk: &Desk, now: Timestamp) -> Outcome {
        let Some(request) = self.request(notice, desk, now) else {
            return Outcome::Refused("the request cannot be written".to_owned());
        };
        match self.poster.post(request).await {
            Ok(answer) => outcome(&answer, self.host()),
            Err(why) => Outcome::TryLater(format!("{}: {why}", self.host())),
        }
    }

    fn request(&self, notice: &Notice, desk: &Desk, now: Timestamp) -> Option<Request<Full<Bytes>>> {
        let slack = self.settings.slack;
        let body = if slack { render::slack_json(notice, desk) } else { render::webhook_json(notice, desk) };
        signed_post(&self.settings, &notice.id(), body.to_string(), now)
    }
}

/// A request with this body, signed where there is a key. The id stays the same for the same thing.
pub(crate) fn signed_post(
    settings: &WebhookSettings,
    id: &str,
    body: String,
    now: Timestamp,
) -> Option<Request<Full<Bytes>>> {
    let time = now.as_second().to_string();
    let mut request = Request::post(settings.url.clone())
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("ringfence/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", id)
        .header("webhook-timestamp", &time);
    if let Some(key) = settings.key.as_ref().and_then(signing_key) {
        request = request.header("webhook-signature", signature(&key, id, &time, &body)?);
    }
    request.body(Full::from(body)).ok()
}

/// `v1,` and the HMAC-SHA256 of id, time and body, joined by full stops, in base64.
fn signature(key: &[u8], id: &str, time: &str, body: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in [id, ".", time, ".", body] {
        mac.update(part.as_bytes());
    }
    Some(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
}

/// What is wrong with the request itself stays wrong, and so does an address that has moved for good. All else may be
/// put right on the other side while the notice waits.
fn outcome(answer: &Answer, host: &str) -> Outcome {
    let status = answer.status;
    let words = error_words(&answer.text);
    match status {
        200..=299 => Outcome::Delivered,
        301 | 308 => Outcome::Refused(format!(
            "{host} answered HTTP {status}: it has moved for good. Redirects are not followed: write the new address into webhook.url"
        )),
        300..=399 => Outcome::TryLater(format!("{host} answered HTTP {status}: redirects are not followed")),
        400 | 405 | 410 | 413..=415 | 422 => {
            Outcome::Refused(format!("{host} answered HTTP {status}{words}"))
        }
        _ => Outcome::TryLater(format!("{host} answered HTTP {status}{words}")),
    }
}

/// A program's name for an error, such as Slack's `invalid_token`. Any other text could repeat what was sent.
fn error_words(text: &str) -> String {
    let text = text.trim();
    let is_name =
        !text.is_empty() && text.len() <= 40 && text.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    if is_name { format!(" ({text})") } else { String::new() }
}

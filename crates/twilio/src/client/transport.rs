//! One request over HTTP/1.1 and TLS, and its whole answer. No repetition (`retry.rs`), no JSON.
//!
//! The one idea: what happened to the request decides whether it may be made again, so every failure is told apart by
//! that. A connection has a time limit of its own, TLS included; whatever fails there fails before anything was sent.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, DATE, RETRY_AFTER};
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as HyperError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

use super::error::{Problem, Unreadable};
use super::settings::{InvalidSettings, Settings};

/// How long a connection without a request is kept. Short, since a request on a connection that the other side just
/// closed is in doubt.
const IDLE: Duration = Duration::from_secs(20);

/// A request is sent and its answer comes back: over the network, or by a script in tests.
pub(super) trait Exchange: Send + Sync {
    /// Sends a request once. It takes at most `within`.
    fn exchange(&self, request: Request<Full<Bytes>>, within: Duration) -> Exchanging<'_>;
}

/// An answer to come.
pub(super) type Exchanging<'a> = Pin<Box<dyn Future<Output = Result<Answer, Problem>> + Send + 'a>>;

/// A whole answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// What `Retry-After` says.
    pub(super) retry_after: Option<Duration>,
    /// What `Date` says.
    pub(super) date: Option<Timestamp>,
    pub(super) body: Bytes,
}

/// Connections to Twilio, kept for the next request.
#[derive(Debug)]
pub(super) struct Transport {
    client: Client<Within<HttpsConnector<HttpConnector>>, Full<Bytes>>,
    answer_max: usize,
}

impl Transport {
    pub(super) fn new(settings: &Settings) -> Result<Self, InvalidSettings> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls(settings)?);
        // The base URL decides about TLS: Twilio's own is never without it.
        let https = https.https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(settings.idle_connections_max)
            .build(Within { inner: https, limit: settings.connect_timeout });
        Ok(Self { client, answer_max: settings.answer_max })
    }

    async fn once(&self, request: Request<Full<Bytes>>) -> Result<Answer, Problem> {
        let host = host(request.uri());
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) => return Err(not_sent_or_no_answer(host, &error)),
        };
        self.read(host, response).await
    }

    async fn read(&self, host: String, response: Response<Incoming>) -> Result<Answer, Problem> {
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        let too_large = Problem::Unreadable { status, why: Unreadable::TooLarge(self.answer_max) };
        let stated = head.headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
        if stated.is_some_and(|length| length > self.answer_max as u64) {
            return Err(too_large);
        }
        match Limited::new(body, self.answer_max).collect().await {
            Ok(body) => Ok(Answer {
                status,
                retry_after: retry_after(&head.headers),
                date: date(&head.headers),
                body: body.to_bytes(),
            }),
            Err(error) if error.is::<LengthLimitError>() => Err(too_large),
            Err(error) => Err(Problem::NoAnswer { host, why: chain(&*error) }),
        }
    }
}

impl Exchange for Transport {
    fn exchange(&self, request: Request<Full<Bytes>>, within: Duration) -> Exchanging<'_> {
        Box::pin(async move {
            let host = host(request.uri());
            let answer = tokio::time::timeout(within, self.once(request)).await;
            answer.unwrap_or_else(|_| Err(Problem::NoAnswer { host, why: format!("none within {within:?}") }))
        })
    }
}

/// TLS 1.2 and 1.3; the authorities that browsers trust, and those of the settings.
fn tls(settings: &Settings) -> Result<ClientConfig, InvalidSettings> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in &settings.extra_roots {
        roots.add(root.clone()).map_err(|error| InvalidSettings::Root(error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| InvalidSettings::Tls(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// What fails while a connection is made fails before anything was sent. hyper-util itself sends a request again
/// that it never began to write; every other failure leaves in doubt what the other side read.
fn not_sent_or_no_answer(host: String, error: &HyperError) -> Problem {
    let why = error.source().map_or_else(|| error.to_string(), chain);
    if !error.is_connect() {
        return Problem::NoAnswer { host, why };
    }
    if is_about_tls(error) { Problem::Untrusted { host, why } } else { Problem::Unreachable { host, why } }
}

/// Whether TLS refused, rather than the network: a certificate, or a protocol that the other side does not speak.
fn is_about_tls(error: &(dyn StdError + 'static)) -> bool {
    // An I/O error hides what it wraps from `source`.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>()
        || wrapped.is_some_and(|error| is_about_tls(error))
        || error.source().is_some_and(is_about_tls)
}

/// An error and its causes, in one line.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
        next = error.source();
    }
    text
}

fn host(uri: &Uri) -> String {
    uri.authority().map(ToString::to_string).unwrap_or_default()
}

/// How long `Retry-After` asks to wait: seconds, or the time from the answer's own `Date` until a date (RFC 9110,
/// 10.2.3). So no clock of ours is compared with one of theirs.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (then, now) = (instant(text)?, date(headers)?);
    Some(Duration::try_from(then.duration_since(now)).unwrap_or_default())
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    instant(headers.get(DATE)?.to_str().ok()?)
}

fn instant(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

/// A connector with a time limit on the whole of it: name, TCP and TLS.
#[derive(Debug, Clone)]
struct Within<C> {
    inner: C,
    limit: Duration,
}

type BoxError = Box<dyn StdError + Send + Sync>;

impl<C> Service<Uri> for Within<C>
where
    C: Service<Uri>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, limit) = (self.inner.call(uri), self.limit);
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, TooSlow(limit)).into()),
            }
        })
    }
}

/// The connection took too long.
#[derive(Debug)]
struct TooSlow(Duration);

impl fmt::Display for TooSlow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "no connection within {:?}", self.0)
    }
}

impl StdError for TooSlow {}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(headers: &[(http::HeaderName, &str)]) -> Option<u64> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        retry_after(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        assert_eq!(waits(&[(RETRY_AFTER, "7")]), Some(7));
        let now = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(waits(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:50:07 GMT"), now.clone()]), Some(30));
        assert_eq!(waits(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:00:00 GMT"), now]), Some(0), "it is past");
    }

    #[test]
    fn a_retry_after_that_says_nothing_is_passed_over() {
        for text in ["", "soon", "-1", "1.5", "99999999999999999999999", "Sun, 06 Nov 1994 08:50:07 GMT"] {
            assert_eq!(waits(&[(RETRY_AFTER, text)]), None, "{text}");
        }
        assert_eq!(waits(&[]), None);
    }
}

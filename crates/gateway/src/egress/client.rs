//! Requests to Twilio over HTTP/1.1 and TLS, with connections that are kept.
//!
//! The gate's own client speaks to applications, which is another task; both understand TLS alike (`tls::client`). The one
//! idea: what is known of a failure is whether anything was sent, since a message or a call is never made twice.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;
use tower_service::Service;

use super::settings::TwilioTls;
use crate::tls::client::{client_config, public_authorities};

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection could be made: certainly nothing was sent.
    NotSent,
    /// Something may have been sent, and Twilio may have acted.
    InDoubt,
}

/// The connections of one worker.
#[derive(Debug, Clone)]
pub(crate) struct Client<R = GaiResolver> {
    pool: Pool<Within<HttpsConnector<HttpConnector<R>>>, Full<Bytes>>,
    /// For a connection, in milliseconds. The pool asks for one long after it was told how patient the request is.
    connect_within: Arc<AtomicU64>,
}

/// A client that is made anew once a reload has changed whom it trusts: a connection that proved itself to an authority of before
/// is not used again.
#[derive(Debug)]
pub(crate) struct ByTls<C>(Mutex<Option<(TwilioTls, Arc<C>)>>);

impl<C> ByTls<C> {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The client that trusts these.
    pub(crate) fn get(&self, tls: &TwilioTls, make: impl FnOnce(&TwilioTls) -> C) -> Arc<C> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((of, client)) if of.trusts_as(tls) => Arc::clone(client),
            _ => Arc::clone(&kept.insert((tls.clone(), Arc::new(make(tls)))).1),
        }
    }
}

/// For name, TCP and TLS together; half of what a request has, where that is less, so that a connection which is never made
/// is known to be none before the request's own time is over.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long a connection without a request is kept: short, since a request on one that the other side just closed is
/// in doubt.
const IDLE: Duration = Duration::from_secs(20);
const IDLE_CONNECTIONS_MAX: usize = 64;

impl Client {
    /// A client with this understanding of TLS.
    pub(crate) fn new(tls: ClientConfig) -> Self {
        Self::with_resolver(tls, GaiResolver::new())
    }
}

impl<R> Client<R>
where
    R: Service<Name> + Clone + Send + Sync + 'static,
    R::Response: Iterator<Item = SocketAddr> + Send,
    R::Error: Into<BoxError>,
    R::Future: Send,
{
    /// The same, with names looked up by somebody else.
    pub(crate) fn with_resolver(tls: ClientConfig, resolver: R) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        // The base decides about TLS: Twilio's own hosts are never asked without it.
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        // hyper-util sends a request again only where it has not begun to write it.
        let connect_within = Arc::new(AtomicU64::new(millis(CONNECT_MAX)));
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(Within { inner: https.wrap_connector(tcp), limit: Arc::clone(&connect_within) });
        Self { pool, connect_within }
    }

    /// Sends a request once, and waits for the head of its answer.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        within: Duration,
    ) -> Result<Response<Incoming>, Failure> {
        // The same for all requests but around a change of the configuration.
        self.connect_within.store(millis(CONNECT_MAX.min(within / 2)), Ordering::Relaxed);
        match timeout(within, self.pool.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                let failure = if error.is_connect() { Failure::NotSent } else { Failure::InDoubt };
                tracing::warn!(
                    error = chain(&error),
                    sent = failure == Failure::InDoubt,
                    "Twilio did not answer"
                );
                Err(failure)
            }
            Err(_) => {
                tracing::warn!(seconds = within.as_secs(), "Twilio did not answer in time");
                Err(Failure::InDoubt)
            }
        }
    }
}

/// TLS 1.2 and 1.3; the authorities that browsers trust, and these.
pub(crate) fn tls(extra_roots: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    let mut roots = public_authorities();
    for root in extra_roots {
        roots.add(root.clone())?;
    }
    client_config(roots, None)
}

/// An error and its causes, in one line.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// A connector with a time limit on the whole of it.
#[derive(Debug, Clone)]
struct Within<C> {
    inner: C,
    /// In milliseconds.
    limit: Arc<AtomicU64>,
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
        let limit = Duration::from_millis(self.limit.load(Ordering::Relaxed));
        let connecting = self.inner.call(uri);
        Box::pin(async move {
            match timeout(limit, connecting).await {
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

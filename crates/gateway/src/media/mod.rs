//! The media guard: files of messages and recordings, for whoever may see them.
//!
//! Twilio gives such a file to whoever has the account's credentials, or, where its console does not say otherwise, to
//! everybody who has its URL. Neither is for a browser. The one idea: a file is fetched for a `MaySee` alone, which is made
//! by a link that was signed for this very file or by the console's word for who is signed in; and what the browser gets is
//! bytes to be kept, whatever their sender says that they are.
//!
//! ```text
//! http_rules ─▶ path ─▶ link | sign_in ─▶ account ─▶ fetch ─────────────────▶ answer ─▶ passed
//! one reading   one      signed, not       known      Twilio with its token,   a new     streamed,
//! of the head   spelling over; or stamped  here       redirects with none      head      bounded
//! ```
//!
//! What is absent: no credentials in a redirect (`redirect`), no address inside our network (`public`), no header of
//! Twilio's but lengths and ranges (`answer`), no store that must be there once the key of links is known, and nothing
//! about a file for who may not see it (`refusal`).

mod answer;
mod fetch;
mod link;
mod links;
mod may_see;
mod metrics;
mod path;
mod public;
pub(crate) mod redirect;
mod refusal;
pub(crate) mod settings;
mod sign_in;

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use ringfence_model::Sid;
use ringfence_store::Store;
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub use self::link::{LINK_AT_MOST_FOR, LINK_USUALLY_FOR, Link, LinkError, LinkKey};
pub use self::path::{InvalidMediaPath, MediaPath};
pub use self::redirect::{FileHost, HOSTS, InvalidFileHost};

pub(crate) use self::fetch::Clients;
pub(crate) use self::metrics::MediaMetrics;

use self::may_see::MaySee;
use self::refusal::Refusal;
use crate::connection::Connection;
use crate::egress::Wire;
use crate::forwarded::client_address;
use crate::http_rules;
use crate::passed::{Bounds, Passed};
use crate::respond::GateBody;
use crate::snapshot::Snapshot;

/// Files on their way at once.
const IN_WORK_MAX: usize = 256;
/// From the end of the head of a request for a link to the last byte of its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of such bodies that are still arriving.
const BODY_MEMORY_MAX: usize = 1024 * 1024;
/// For the store to give the key of links.
const KEY_WITHIN: Duration = Duration::from_secs(5);
/// After this time the store is asked for the key again: all links may have been ended meanwhile.
const KEY_FRESH_FOR: Duration = Duration::from_secs(10);

/// Where the key of links and the credentials of applications are.
#[derive(Clone)]
pub struct MediaStore(Arc<dyn Fn() -> Option<Arc<Store>> + Send + Sync>);

impl MediaStore {
    /// Kept in this store; nothing while it is not there yet.
    pub fn new(store: impl Fn() -> Option<Arc<Store>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for MediaStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MediaStore(…)")
    }
}

/// The listener of the media guard.
#[derive(Debug)]
pub(crate) struct MediaEnd {
    pub(crate) wire: Wire,
    /// Places for connections; no listener takes another's.
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) metrics: MediaMetrics,
    store: Option<MediaStore>,
    /// The key of links, and when the store gave it.
    key: Mutex<Option<(LinkKey, Instant)>>,
    places: Arc<Semaphore>,
    body_memory: AtomicUsize,
}

impl MediaEnd {
    pub(crate) fn new(
        store: Option<MediaStore>,
        metrics: MediaMetrics,
        wire: Wire,
        connections_max: usize,
    ) -> Self {
        Self {
            wire,
            connections: Arc::new(Semaphore::new(connections_max)),
            metrics,
            store,
            key: Mutex::default(),
            places: Arc::new(Semaphore::new(IN_WORK_MAX)),
            body_memory: AtomicUsize::new(0),
        }
    }

    fn store(&self) -> Option<Arc<Store>> {
        self.store.as_ref().and_then(|MediaStore(store)| store())
    }

    /// The key of links. While the store is away the one that was known last goes on to count.
    async fn key(&self, now: Instant) -> Result<LinkKey, Refusal> {
        let known = self.key.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((key, at)) = &known
            && now.saturating_duration_since(*at) < KEY_FRESH_FOR
        {
            return Ok(key.clone());
        }
        let found = match self.store() {
            Some(store) => match timeout(KEY_WITHIN, store.media_link_key()).await {
                Ok(Ok(bytes)) => Some(LinkKey::new(&bytes)),
                Ok(Err(error)) => {
                    tracing::error!(%error, "the store does not give the key of links to files");
                    None
                }
                Err(_) => None,
            },
            None => None,
        };
        let key = found.or(known.map(|(key, _)| key)).ok_or(Refusal::StoreAway)?;
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some((key.clone(), now));
        Ok(key)
    }
}

/// What is known of a request when it is answered, for the log.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// Whom a listed proxy speaks for, or the peer.
    client: IpAddr,
    account: Option<Sid>,
    file: Option<Sid>,
}

/// Answers one request. Never fails: every way out is an answer.
pub(crate) async fn handle(connection: &Connection, request: Request<Incoming>) -> Response<GateBody> {
    let (parts, body) = request.into_parts();
    let end = &connection.worker.shared.media;
    let snapshot = connection.worker.shared.snapshot.load_full();
    let client = client_address(connection.peer, &parts.headers, &snapshot.trusted_proxies);
    let client = client.unwrap_or(connection.peer);
    let mut known = Known { client, account: None, file: None };
    let is_in_the_clear =
        end.wire == Wire::BehindProxies && !snapshot.trusted_proxies.contains(connection.peer);
    let path = http_rules::target(&parts).split('?').next().unwrap_or_default();
    if !is_in_the_clear && path == links::PATH {
        return links::answer(connection, client, &parts, body).await.map(GateBody::full);
    }
    let served = if is_in_the_clear {
        Err(Refusal::InTheClear)
    } else {
        serve(connection, &snapshot, &parts, &mut known).await
    };
    served.unwrap_or_else(|refusal| {
        end.metrics.request(refusal.as_str());
        log_refusal(refusal, known);
        let answer = refusal.answer();
        if parts.method == Method::HEAD {
            answer.map(|_| GateBody::empty())
        } else {
            answer.map(GateBody::full)
        }
    })
}

async fn serve(
    connection: &Connection,
    snapshot: &Snapshot,
    parts: &Parts,
    known: &mut Known,
) -> Result<Response<GateBody>, Refusal> {
    let worker = &connection.worker;
    let end = &worker.shared.media;
    let head = http_rules::check(parts)?;
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return Err(Refusal::MethodNotAllowed);
    }
    let media = snapshot.media.as_ref().ok_or(Refusal::NotReady)?;
    let path = head.target.split('?').next().and_then(|path| MediaPath::parse(path).ok());
    (known.account, known.file) = (path.map(|path| path.account()), path.map(|path| path.sid()));
    let may = MaySee::find_out(connection, media, head.target, parts).await?;
    let place = Arc::clone(&end.places).try_acquire_owned().map_err(|_| Refusal::Overloaded)?;
    let clients = worker.media.get(&media.settings.tls, Clients::new);
    let range = answer::range(&parts.headers);
    let fetched = fetch::fetch(&clients, &media.settings, &may, &parts.method, range).await?;
    let (from, body) = fetched.into_parts();
    let bytes_max = media.settings.bytes_max;
    let (status, headers) = answer::head(&from, &may, range.is_some(), bytes_max)?;
    end.metrics.request("served");
    tracing::info!(
        client = %known.client,
        account = %may.path().account(),
        file = %may.path().sid(),
        by = may.shown().as_str(),
        "a file is served"
    );
    let body = if status == StatusCode::RANGE_NOT_SATISFIABLE || parts.method == Method::HEAD {
        GateBody::empty()
    } else {
        let bounds = Bounds { bytes: bytes_max, within: media.settings.file_within };
        GateBody::passed(Passed::bounded(body, bounds)).holding(place)
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// One line, without anything of what a file holds and without the link.
fn log_refusal(refusal: Refusal, known: Known) {
    let (reason, detail) = (refusal.as_str(), refusal.detail());
    let account = known.account.map(tracing::field::display);
    let file = known.file.map(tracing::field::display);
    if refusal.is_trouble() {
        tracing::warn!(client = %known.client, account, file, reason, detail, "a file is not served");
    } else {
        tracing::info!(client = %known.client, account, file, reason, detail, "a file is not served");
    }
}

//! A `tower` layer (feature `tower`) that lets only what Twilio signed through to any service: axum, hyper, tonic.
//!
//! Not a gate: no TLS, no replay protection, no timeout, and no body larger than memory should hold. It gives an
//! application the same verdicts of a signature as the gate, in process. What a signature does not cover and would have the
//! application read something else than was verified is answered with 400: an encoded body, a form in another charset than
//! UTF-8, half a WebSocket handshake.
//!
//! The one idea: what is verified is what is handed on. The body is read whole, judged, and put back as the very
//! bytes that were judged, together with an [`Allowed`] in the request's extensions, so that a
//! handler which asks for that extension cannot run without the check.

use std::{
    cell::RefCell,
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    AccountSid, Accounts, Allowed, Keyring, Policy, PublicUrl, Refusal, Request, SETTINGS_HEADER,
    SIGNATURE_HEADER, Scratch, Strict, Verdict, check_header, verify,
};

/// The largest body that is read where nothing else is set: 1 MiB.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Keys that several services share and that can be replaced while they run, when a token is rotated.
///
/// ```
/// use ringfence_signature::{AccountKeys, Keyring, layer::KeyringHandle};
///
/// let handle = KeyringHandle::new(Keyring::new([AccountKeys::anonymous().primary("old")])?);
/// handle.replace(Keyring::new([AccountKeys::anonymous().primary("new").previous("old")])?);
/// # Ok::<(), ringfence_signature::KeyringError>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyringHandle(Arc<RwLock<Arc<Keyring>>>);

impl KeyringHandle {
    /// Shares these keys.
    pub fn new(keyring: Keyring) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(keyring))))
    }

    /// Puts other keys in their place, for all services and from the next request on.
    pub fn replace(&self, keyring: Keyring) {
        // The lock is held for one assignment, so a panic elsewhere cannot have left it half done.
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keyring);
    }

    fn current(&self) -> Arc<Keyring> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl From<Keyring> for KeyringHandle {
    fn from(keyring: Keyring) -> Self {
        Self::new(keyring)
    }
}

/// Verifies every request before the service it is put on.
///
/// ```
/// use ringfence_signature::{AccountKeys, Keyring, PublicUrl, Strict, layer::VerifyLayer};
///
/// let account = "AC0123456789abcdef0123456789abcdef".parse()?;
/// let keyring = Keyring::new([AccountKeys::new(account).primary("0123456789abcdef0123456789abcdef")])?;
/// let layer = VerifyLayer::new(PublicUrl::parse("https://hooks.example.com")?, keyring).strict(Strict::Refuse);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct VerifyLayer {
    settings: Arc<Settings>,
}

type OnRefusal = Arc<dyn Fn(&Refusal, &Parts) + Send + Sync>;

#[derive(Clone)]
struct Settings {
    public_url: PublicUrl,
    keyring: KeyringHandle,
    accounts: Option<Vec<AccountSid>>,
    strict: Strict,
    try_userinfo: bool,
    needs_shared_key: bool,
    body_bytes_max: usize,
    refusal_status: StatusCode,
    on_refusal: Option<OnRefusal>,
}

impl VerifyLayer {
    /// Verifies against `public_url`, the base that is entered at Twilio; headers such as `Host` and
    /// `X-Forwarded-Proto` are never asked. Put the layer outside of anything that rewrites paths (axum's `nest`),
    /// or put the prefix that is cut off into `public_url`.
    pub fn new(public_url: PublicUrl, keyring: impl Into<KeyringHandle>) -> Self {
        let settings = Settings {
            public_url,
            keyring: keyring.into(),
            accounts: None,
            strict: Strict::Off,
            try_userinfo: false,
            needs_shared_key: false,
            body_bytes_max: BODY_BYTES_MAX,
            refusal_status: StatusCode::FORBIDDEN,
            on_refusal: None,
        };
        Self { settings: Arc::new(settings) }
    }

    /// Admits these accounts alone. Without it, every account of the keyring is admitted.
    #[must_use]
    pub fn accounts(self, accounts: impl IntoIterator<Item = AccountSid>) -> Self {
        let accounts = accounts.into_iter().collect();
        self.with(|settings| settings.accounts = Some(accounts))
    }

    /// What is done about parameters of an odd shape. [`Strict::Off`] where nothing is set.
    #[must_use]
    pub fn strict(self, strict: Strict) -> Self {
        self.with(|settings| settings.strict = strict)
    }

    /// Tries the URL also without the user name and password that `public_url` has.
    #[must_use]
    pub fn try_userinfo(self) -> Self {
        self.with(|settings| settings.try_userinfo = true)
    }

    /// Admits only what a SharedKey signed, and nothing that an auth token did.
    #[must_use]
    pub fn needs_shared_key(self) -> Self {
        self.with(|settings| settings.needs_shared_key = true)
    }

    /// The largest body that is read, in bytes; a larger one is answered with 413. [`BODY_BYTES_MAX`] where nothing
    /// is set.
    #[must_use]
    pub fn body_bytes_max(self, body_bytes_max: usize) -> Self {
        self.with(|settings| settings.body_bytes_max = body_bytes_max)
    }

    /// The status of a refusal; 403 where nothing is set. A refusal has no body and never says why.
    #[must_use]
    pub fn refusal_status(self, refusal_status: StatusCode) -> Self {
        self.with(|settings| settings.refusal_status = refusal_status)
    }

    /// Is told of every refusal with its reason, for the log and for metrics.
    #[must_use]
    pub fn on_refusal(self, tell: impl Fn(&Refusal, &Parts) + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.on_refusal = Some(Arc::new(tell)))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl fmt::Debug for VerifyLayer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VerifyLayer")
            .field("public_url", &self.settings.public_url)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for VerifyLayer {
    type Service = VerifyService<S>;

    fn layer(&self, inner: S) -> VerifyService<S> {
        VerifyService { inner, settings: Arc::clone(&self.settings) }
    }
}

/// A service behind a [`VerifyLayer`].
#[derive(Clone)]
pub struct VerifyService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S: fmt::Debug> fmt::Debug for VerifyService<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("VerifyService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, B, R> Service<http::Request<B>> for VerifyService<S>
where
    S: Service<http::Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        // The service that was polled ready is the one to call; the fresh clone is for the next request.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let settings = Arc::clone(&self.settings);
        Box::pin(async move {
            match settings.admit(request).await {
                Ok(request) => inner.call(request).await,
                Err(status) => {
                    let mut response = Response::new(R::default());
                    *response.status_mut() = status;
                    Ok(response)
                }
            }
        })
    }
}

impl Settings {
    /// The request with its verified body, or the status of its refusal.
    async fn admit<B>(&self, request: http::Request<B>) -> Result<http::Request<Full<Bytes>>, StatusCode>
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (mut parts, body) = request.into_parts();
        let refuse = |refusal: Refusal, parts: &Parts| {
            if let Some(tell) = &self.on_refusal {
                tell(&refusal, parts);
            }
            self.refusal_status
        };

        // 1. Whatever has no signature is not worth reading.
        check_header(only(&parts.headers, SIGNATURE_HEADER).unwrap_or_default())
            .map_err(|refusal| refuse(refusal, &parts))?;

        // 2. What no signature says, and somebody else could read in another way.
        if !is_read_in_one_way(&parts.headers) || is_half_a_handshake(&parts) {
            return Err(StatusCode::BAD_REQUEST);
        }

        // 3. The whole body, but not more than was agreed on.
        if body.size_hint().lower() > u64::try_from(self.body_bytes_max).unwrap_or(u64::MAX) {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let collected = Limited::new(body, self.body_bytes_max).collect().await;
        let body = collected.map_err(|error| status_of(&*error))?.to_bytes();

        // 4. The verdict.
        let allowed = self.judge(&parts, &body).map_err(|refusal| refuse(refusal, &parts))?;

        // 5. What was verified, and nothing else. The body is not chunked any more.
        parts.headers.remove(header::TRANSFER_ENCODING);
        parts.extensions.insert(allowed);
        Ok(http::Request::from_parts(parts, Full::new(body)))
    }

    fn judge(&self, parts: &Parts, body: &[u8]) -> Result<Allowed, Refusal> {
        thread_local! {
            static SCRATCH: RefCell<Scratch> = RefCell::default();
        }
        let settings = only(&parts.headers, SETTINGS_HEADER).map_err(|Several| Refusal::UnknownSharedKey)?;
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let request = Request {
            method: parts.method.as_str(),
            url: self.public_url.receive(target.as_bytes()),
            websocket: is_websocket(parts),
            // With two of them, who knows which one the application will read. Neither makes a form.
            content_type: only(&parts.headers, header::CONTENT_TYPE.as_str()).unwrap_or_default(),
            body,
            signature: only(&parts.headers, SIGNATURE_HEADER).unwrap_or_default(),
            settings,
        };
        let policy = Policy {
            accounts: self.accounts.as_deref().map_or(Accounts::Any, Accounts::Listed),
            strict: self.strict,
            try_userinfo: self.try_userinfo,
            parent_may_stand_in: false,
            needs_shared_key: self.needs_shared_key,
        };
        let keyring = self.keyring.current();
        let verdict = SCRATCH.with_borrow_mut(|scratch| verify(&request, &keyring, &policy, scratch));
        match verdict {
            Verdict::Allow(allowed) => Ok(allowed),
            Verdict::Refuse(refusal) => Err(refusal),
        }
    }
}

struct Several;

/// The one value of a header, if there is one.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a [u8]>, Several> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Several),
        (value, None) => Ok(value.map(|value| value.as_bytes())),
    }
}

/// Whether the body means to everybody what the signature says of it: it is not encoded, and a form is UTF-8.
fn is_read_in_one_way(headers: &HeaderMap) -> bool {
    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    let is_plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    let is_utf8 = |piece: &[u8]| {
        [&b"charset=utf-8"[..], b"charset=\"utf-8\""].iter().any(|utf8| piece.eq_ignore_ascii_case(utf8))
    };
    let is_one = |content_type: &HeaderValue| {
        let mut pieces = content_type.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let is_form = pieces.next().is_some_and(|media| media.eq_ignore_ascii_case(FORM));
        !is_form || pieces.all(|piece| piece.is_empty() || is_utf8(piece))
    };
    headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain)
        && headers.get_all(header::CONTENT_TYPE).iter().all(is_one)
}

/// Whether a handshake is asked for by HTTP/1.1. HTTP/2 has another way, which Twilio does not use.
fn is_websocket(parts: &Parts) -> bool {
    let is_asked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"websocket");
    parts.version == Version::HTTP_11 && parts.headers.get(header::UPGRADE).is_some_and(is_asked)
}

/// One that is not whole (RFC 6455, section 4.1) has its URL signed with `wss` and is another request to whoever is behind this.
fn is_half_a_handshake(parts: &Parts) -> bool {
    let headers = &parts.headers;
    let mut named =
        headers.get_all(header::CONNECTION).iter().flat_map(|value| value.as_bytes().split(|it| *it == b','));
    let is_whole = parts.method == Method::GET
        && named.any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
        && headers.contains_key(header::SEC_WEBSOCKET_KEY)
        && headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
    is_websocket(parts) && !is_whole
}

fn status_of(error: &(dyn Error + 'static)) -> StatusCode {
    if error.is::<LengthLimitError>() { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST }
}

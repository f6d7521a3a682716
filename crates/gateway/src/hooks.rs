//! What the rest of Ringfence hangs into the data plane. The two planes never import each other: `cli`, which knows
//! both, hands over what the gate may call, and the gate works the same where nothing is handed over.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use ringfence_model::Sid;
use ringfence_signature::Refusal;

use crate::Intake;
use crate::admission::{Received, parameters, signed_request};
use crate::egress::rules::EgressStore;
use crate::key_press::KeyPress;
use crate::media::MediaStore;
use crate::settings::Route;

/// Told of an account whose keys may be out of date.
pub type OnStale = Arc<dyn Fn(Sid) + Send + Sync>;
/// Whether requests should be sent here; if not, why, in one line.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// An answer that is being made.
pub type Answer = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;
/// What is spoken to whoever pressed a key: TwiML, or, in one line, why nothing can be said.
pub type Spoken = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;
/// Asked what is spoken after a key was pressed in a call that carries a code.
pub type OnKey = Arc<dyn Fn(KeyPress) -> Spoken + Send + Sync>;
/// Answers requests to the admin listener, from the peer of the connection.
pub type AdminApi = Arc<dyn Fn(SocketAddr, Request<Bytes>) -> Answer + Send + Sync>;
/// Answers requests to a listener of its own. Each has one `Host`, a path for its target and at most one `Cookie`, and
/// none has a header in which a proxy speaks for somebody else: what a listed one says is in the [`Caller`].
pub type Hosted = Arc<dyn Fn(Caller, Request<Bytes>) -> Answer + Send + Sync>;

/// Who sent a request to a [`Hosted`] listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The client: the peer of the connection, or, where that is a listed proxy, whom the proxy speaks for.
    pub address: IpAddr,
    /// Whether the client used TLS: with us, or with a listed proxy that says so in `X-Forwarded-Proto`.
    pub is_https: bool,
    /// Which request a listed proxy speaks of, where the peer is one.
    pub told: Option<Told>,
}

/// The request that a listed proxy holds or sends on, as far as its headers tell of another than its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// `X-Forwarded-Method` or `X-Original-Method`.
    pub method: Option<String>,
    /// `X-Forwarded-Host`.
    pub host: Option<String>,
    /// `X-Forwarded-Uri` or `X-Original-URI`.
    pub target: Option<String>,
}

/// What the data plane calls beside its own work. Each may be called from any worker at any time, so it returns at
/// once and leaves what takes time to a task of its own.
#[derive(Default, Clone)]
pub struct Hooks {
    /// Takes usage triggers; without it they are answered with 503.
    pub intake: Option<Intake>,
    /// Asked after a key was pressed in a call that carries a code; without it that is answered with 503.
    pub on_key: Option<OnKey>,
    /// Told of the account that a request names whose signature no known key made: the account may be new, or have a
    /// new token. Strangers can have it called as often as they like, with any account.
    pub on_stale: Option<OnStale>,
    /// Asked by `/readyz`, once the data plane itself is ready.
    pub readiness: Option<Readiness>,
    /// Asked for everything under `/v1/` and for `/openapi.json` on the admin listener, whatever the method, with a body
    /// of up to 64 KiB. It decides by itself who may ask: the listener knows nobody and has no TLS. Up to 64 requests
    /// are in its work at once; one that panics is answered with 500 and goes into the log.
    pub admin: Option<AdminApi>,
    /// Asked for everything on the console's listener, with a body of up to 64 KiB. Up to 256 requests are in its work
    /// at once, 24 of them from one client address; one that panics is answered with 500 and goes into the log.
    pub console: Option<Hosted>,
    /// With what the paths begin at which the console answers what listed proxies ask, before each request to a host that it
    /// protects. Without a body these have 1,024 places of their own, and no address a share of them.
    pub questions: Option<&'static str>,
    /// The same as `console` for the second factor's listener, with up to 1,024 requests.
    pub second_factor: Option<Hosted>,
    /// Virtual credentials and reservations; without it the egress answers everything with 503.
    pub egress: Option<EgressStore>,
    /// The key of links to files, and virtual credentials; without it the media guard takes no link.
    pub media: Option<MediaStore>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Hooks")
            .field("intake", &self.intake.is_some())
            .field("on_key", &self.on_key.is_some())
            .field("on_stale", &self.on_stale.is_some())
            .field("readiness", &self.readiness.is_some())
            .field("admin", &self.admin.is_some())
            .field("console", &self.console.is_some())
            .field("questions", &self.questions)
            .field("second_factor", &self.second_factor.is_some())
            .field("egress", &self.egress.is_some())
            .field("media", &self.media.is_some())
            .finish()
    }
}

impl Hooks {
    /// Passes on whose keys may be out of date, after a refusal that newer keys might not have made.
    pub(crate) fn tell_stale(&self, route: &Route, received: &Received<'_>, refusal: Refusal) {
        let Some(on_stale) = &self.on_stale else { return };
        if !matches!(refusal, Refusal::UnknownAccount | Refusal::SignatureMismatch) {
            return;
        }
        let request = signed_request(route, received, None);
        let named = parameters(&request).find(|(name, _)| **name == *b"AccountSid");
        let account = named.as_ref().and_then(|(_, value)| Sid::parse(str::from_utf8(value).ok()?).ok());
        if let Some(account) = account.filter(|account| account.is("AC")) {
            on_stale(account);
        }
    }
}

//! What the data plane needs to know, already meant: no text is left to parse and no pair of values can
//! contradict each other. `cli` makes it from the configuration file; nothing here reads files or the
//! environment.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use ringfence_signature::{AccountSid, Keyring, PublicUrl, Strict};

use crate::acme::AcmeSettings;
use crate::basic::BasicUsers;
pub use crate::egress::settings::{Egress, EgressAccount, InvalidRoot, TwilioTls};
use crate::forwarded::TrustedPeers;
pub use crate::media::settings::{Media, MediaSignIn};
use crate::proof::ProofKey;
use crate::tls::CertificatePaths;
use crate::upstream::{AddressError, UpstreamAddress};

/// The whole data plane: where it listens, whom it trusts, and where each path leads.
#[derive(Debug)]
pub struct Settings {
    /// The addresses. They are read once, at start: a reload does not move a listener.
    pub listen: Listen,
    /// TLS on the gate, and on those listeners of the console, the second factor, the egress and the media guard that are not on
    /// loopback; `None` is plain HTTP, behind another end of TLS.
    pub tls: Option<Tls>,
    /// Caps and timeouts of every connection.
    pub limits: Limits,
    /// The keys of all accounts.
    pub keyring: Keyring,
    /// The routes, in the order of the file; the most specific that matches wins, whatever the order.
    pub routes: Vec<Route>,
    /// What is kept of requests, and where.
    pub inspect: Inspect,
    /// The egress; `None` where there is none.
    pub egress: Option<Egress>,
    /// The media guard; `None` where there is none.
    pub media: Option<Media>,
}

/// What is kept of requests, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inspect {
    /// Nothing: nobody looks.
    #[default]
    Nothing,
    /// Of the newest, in memory, until the process ends.
    InMemory(Detail),
    /// Of all, in the store, by whoever runs the [`Keeper`](crate::Keeper).
    InStore {
        /// How much of each.
        detail: Detail,
        /// Of how many; the oldest go.
        at_most: u32,
    },
}

/// How much is kept of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// When, which path, from whom, for which account, what was said of it, and how it was answered.
    Metadata,
    /// The names of its parameters too, with redacted values, and the verbs of its answer.
    Redacted,
}

impl Inspect {
    /// How much is kept of each; none where nothing is.
    pub fn detail(self) -> Option<Detail> {
        match self {
            Self::Nothing => None,
            Self::InMemory(detail) | Self::InStore { detail, .. } => Some(detail),
        }
    }
}

/// Where the data plane listens. A part without an address is off.
#[derive(Debug, Clone, Default)]
pub struct Listen {
    /// Twilio reaches this.
    pub gate: Option<SocketAddr>,
    /// Proxies that ask "may this request pass?" reach this.
    pub forward_auth: Option<SocketAddr>,
    /// `/livez`, `/readyz`, `/metrics`, and the API of [`Hooks::admin`](crate::Hooks::admin). It speaks no TLS.
    pub admin: Option<SocketAddr>,
    /// People reach the console here, through [`Hooks::console`](crate::Hooks::console).
    pub console: Option<SocketAddr>,
    /// Applications reach the second factor here, through [`Hooks::second_factor`](crate::Hooks::second_factor).
    pub second_factor: Option<SocketAddr>,
    /// Applications reach Twilio's API here.
    pub egress: Option<SocketAddr>,
    /// Whoever may see files of messages and recordings reaches them here.
    pub media: Option<SocketAddr>,
    /// Whether listed peers begin each connection to the gate with a PROXY protocol header (v1 or v2).
    pub proxy_protocol: bool,
    /// The peers whose forwarded headers and PROXY protocol count.
    pub trusted_proxies: TrustedPeers,
}

/// Where the gate's certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// PEM files, read again at every reload.
    Files(CertificatePaths),
    /// A certificate authority that speaks ACME, over TLS-ALPN-01.
    Acme(AcmeSettings),
}

/// Caps and timeouts of every connection, so that a slow or greedy peer costs little.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections open at once on the gate; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// Verified requests in work at once, to the end of their answers; further ones get a 503 with `Retry-After`.
    pub in_flight_max: usize,
    /// Bytes of all bodies that are still arriving; what would exceed it gets a 503 with `Retry-After`.
    pub body_memory_bytes: usize,
    /// Bytes of a request head, at least 8,192.
    pub head_bytes_max: usize,
    /// For a request head to be complete, counted from the accept or the answer before it; so it is also how
    /// long an idle connection stays open.
    pub head_timeout: Duration,
    /// From the end of the head to the last byte of the body.
    pub body_timeout: Duration,
    /// For a TLS handshake or a PROXY protocol header.
    pub handshake_timeout: Duration,
    /// How long a stop waits for requests in work; at least Twilio's 15 s.
    pub drain: Duration,
    /// Bytes that the replay cache may hold.
    pub replay_memory_bytes: usize,
    /// How long an answer is kept for a repeat of its request.
    pub replay_ttl: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            in_flight_max: 1_024,
            body_memory_bytes: 256 * 1024 * 1024,
            head_bytes_max: 32 * 1024,
            head_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(20),
            replay_memory_bytes: 64 * 1024 * 1024,
            replay_ttl: Duration::from_hours(24),
        }
    }
}

/// A public path of the gate, the check it demands, and the upstream it leads to.
#[derive(Debug)]
pub struct Route {
    /// Names the route in logs and metrics: its path as configured (with its host, where it has one).
    pub label: Arc<str>,
    /// The `Host` this route is for; `None` takes any.
    pub host: Option<String>,
    /// The path, compared byte for byte with the raw target; nothing is decoded or normalised.
    pub path: PathRule,
    /// The methods let through; others get a 405. At least one.
    pub methods: Vec<Method>,
    /// Scheme, authority and any path before the target, as Twilio was given them.
    pub public_url: PublicUrl,
    /// Where a verified request goes.
    pub upstream: Upstream,
    /// What a request must prove.
    pub check: Check,
    /// Whether a verdict has consequences.
    pub mode: Mode,
    /// What must have signed it, where the check asks for a signature.
    pub signed_by: SignedBy,
    /// What happens when well-known parameters do not have their shape.
    pub strict: Strict,
    /// The accounts let through; `None` is every account that has a key here.
    pub accounts: Option<Vec<AccountSid>>,
    /// What happens when the same signed request comes again.
    pub replay: Replay,
    /// What a refused signature is answered with: 403, or 401 as some want it.
    pub refusal_status: StatusCode,
    /// Bytes of a request body; more is a 413.
    pub body_cap: usize,
    /// For the upstream's answer head, within Twilio's 15 s.
    pub timeout: Duration,
    /// Makes the short-lived proof for the upstream; `None` adds none.
    pub proof: Option<ProofKey>,
    /// The URL under which the upstream itself verifies: the request is signed anew for it.
    pub resign: Option<PublicUrl>,
    /// Whether what the application answers is held to the limits.
    pub twiml: Twiml,
}

impl Route {
    /// Whether it takes requests that name this authority.
    pub(crate) fn is_for(&self, authority: &str) -> bool {
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        self.host.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(host))
    }

    /// Whether whoever may come in here may come in there, and is held to the same. Of users and passwords that is not asked.
    pub(crate) fn asks_as(&self, other: &Self) -> bool {
        matches!((&self.check, &other.check), (Check::Signature, Check::Signature))
            && self.signed_by == other.signed_by
            && self.accounts == other.accounts
            && self.strict == other.strict
            && self.replay == other.replay
            && self.twiml == other.twiml
    }
}

impl AsRef<Route> for Route {
    fn as_ref(&self) -> &Route {
        self
    }
}

/// What must have signed a request. It also says whether a rule at Twilio is wanted for the URL of the route, where SharedKeys
/// are kept in step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SignedBy {
    /// Any key of the account.
    #[default]
    Any,
    /// A SharedKey: what an auth token signed is refused.
    SharedKey,
    /// Any key of the account; no rule at Twilio is made for the URL.
    AuthToken,
}

/// Where a verified request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// To the operator's application.
    Application(UpstreamAddress),
    /// To the circuit breaker: usage triggers, which are taken here and reach no application.
    Breaker,
    /// To the second factor: a key that somebody pressed in a call that carries a code.
    SecondFactor,
}

impl Upstream {
    /// The application's address, where there is one.
    pub fn address(&self) -> Option<&UpstreamAddress> {
        match self {
            Self::Application(address) => Some(address),
            Self::Breaker | Self::SecondFactor => None,
        }
    }
}

impl FromStr for Upstream {
    type Err = AddressError;

    /// Reads `breaker`, `second-factor` or an address.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text {
            "breaker" => Ok(Self::Breaker),
            "second-factor" => Ok(Self::SecondFactor),
            address => address.parse().map(Self::Application),
        }
    }
}

impl fmt::Display for Upstream {
    /// As it is typed.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(address) => address.fmt(formatter),
            Self::Breaker => formatter.write_str("breaker"),
            Self::SecondFactor => formatter.write_str("second-factor"),
        }
    }
}

/// Which raw paths a route takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathRule {
    /// This path and no other.
    Exact(String),
    /// Every path that begins with this; it ends with `/`.
    Prefix(String),
}

/// What a request must prove. There is no variant for "nothing".
#[derive(Debug)]
pub enum Check {
    /// `X-Twilio-Signature`.
    Signature,
    /// HTTP Basic credentials.
    Basic(BasicUsers),
    /// Both.
    SignatureAndBasic(BasicUsers),
}

/// Whether a verdict has consequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Refused requests are refused, others are forwarded.
    Enforce,
    /// Verdicts are recorded, 204 is answered, nothing is forwarded: for mirrored traffic.
    Shadow,
}

/// Whether what the application answers is held to the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Twiml {
    /// It is passed on as it is.
    #[default]
    Pass,
    /// What it leads to is set aside first; what does not fit is not passed on. It needs the egress, which knows limits and
    /// prices.
    Limits,
}

/// What happens when the same signed request comes again within the time to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// As `AnswerAgain` for requests about a message or a usage trigger; as `Off` for all others, since a
    /// `<Gather>` loop repeats itself honestly.
    Auto,
    /// Every repeat is forwarded.
    Off,
    /// A repeat gets the first one's answer.
    AnswerAgain,
    /// A repeat is refused.
    Refuse,
}

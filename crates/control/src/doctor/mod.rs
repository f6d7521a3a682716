//! Is the whole deployment sound? What `ringfence doctor` and the daily job look at.
//!
//! The one idea: a check is a pure function of what was read and gives findings; whoever reads is in [`examine`] and the
//! modules that ask Twilio, the store and the network. What could not be read is a check that was not made, and never one
//! that passed. Nothing is changed anywhere.
//!
//! # The modules
//!
//! | modules | for |
//! | --- | --- |
//! | `finding` | what is said: checks, findings, what mends them, what was not made |
//! | `facts`, `web`, `hello` | what is read: at Twilio, and of the deployment as it looks from outside |
//! | `durability`, `hooks`, `outside`, `held`, `accounts`, `own` | the checks, pure |
//! | `examine` | one thing after the other, within a deadline |
//! | `webhooks` | all URLs that Twilio was told, for whoever makes routes of them |
//! | `told` | what was not said before, for the daily job |

mod accounts;
mod curl;
mod durability;
mod examine;
mod facts;
mod finding;
mod held;
mod hello;
mod hooks;
mod outside;
mod own;
mod told;
mod web;
mod webhooks;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ringfence_model::Clock;
use ringfence_store::Store;
use rustls::pki_types::CertificateDer;
use tokio::time::Instant;

use crate::engine::{Clients, Engine, Triggers};
use crate::notices::Notifier;

pub use accounts::{ConfiguredSender, SendsBy};
pub(crate) use accounts::{is_interesting, led};
pub use examine::examine;
pub use finding::{Check, Finding, Mend, NotMade, Outcome, Report};
pub use hooks::{Leads, LeadsTo};
pub(crate) use told::{changes, key};
pub use web::{name_problem, tls_problem};
pub use webhooks::{Webhook, Webhooks, webhooks};

/// What is examined, and how.
#[derive(Clone)]
pub struct Setup {
    /// How Twilio is asked.
    pub clients: Clients,
    /// The store, or why there is none.
    pub store: StoreAt,
    /// What decides, with the limits that hold; none where the store is not open.
    pub engine: Option<Arc<Engine>>,
    /// How the limits of the configuration differ from those that hold.
    pub not_applied: Vec<String>,
    /// What usage triggers call; none where no route takes them.
    pub triggers: Option<Triggers>,
    /// Whose webhooks are signed by keys of their own; nothing where the configuration does not say.
    pub shared_keys: Option<crate::shared_keys::Settings>,
    /// The gate; none where webhooks come in elsewhere.
    pub gate: Option<Gate>,
    /// Who sends codes and notices.
    pub senders: Vec<ConfiguredSender>,
    /// How people are told; none where nobody is.
    pub notifier: Option<Arc<Notifier>>,
    /// Authorities that are trusted beside those that Twilio trusts: of a test.
    pub roots: Vec<CertificateDer<'static>>,
    /// This machine's clock.
    pub clock: Arc<dyn Clock>,
    /// How commands are typed.
    pub words: Words,
    /// How long all of it may take.
    pub deadline: Duration,
    /// Told what is being looked at; it returns at once.
    pub progress: Progress,
}

/// The gate, as it is configured.
#[derive(Clone)]
pub struct Gate {
    /// Where it would lead a URL.
    pub leads_to: LeadsTo,
    /// Its routes.
    pub routes: Vec<PublicRoute>,
    /// The applications that it asks over TLS.
    pub upstreams: Vec<TlsUpstream>,
}

/// An application that the gate asks over TLS.
#[derive(Clone)]
pub struct TlsUpstream {
    /// Where it is: `https://10.0.0.7:8443`.
    pub address: String,
    /// The name that its certificate is to be for.
    pub name: String,
    /// The routes that lead there.
    pub routes: Vec<String>,
    /// Has it show its certificate, as the gate does before each request.
    pub look: LookAtUpstream,
}

/// Connects to an upstream until then, demands of it what the gate demands, and sends nothing.
pub type LookAtUpstream = Arc<
    dyn Fn(Instant) -> Pin<Box<dyn Future<Output = Result<Option<Validity>, UpstreamTrouble>> + Send>>
        + Send
        + Sync,
>;

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: Timestamp,
    /// The last second.
    pub not_after: Timestamp,
}

/// Why nothing is known of an upstream's certificate, or nothing good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamTrouble {
    /// There is no TLS with it: so says the gate too, at each webhook.
    NoTls(String),
    /// It did not answer.
    Away(String),
}

/// A route, as others reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicRoute {
    /// Its name in logs.
    pub label: String,
    /// What its URLs begin with: `https://hooks.example.com`.
    pub public_url: String,
    /// A URL that it takes.
    pub url: String,
    /// A method that it takes.
    pub method: String,
    /// Whether it only watches.
    pub watches_only: bool,
    /// What it refuses with: 401 or 403.
    pub refusal_status: u16,
    /// Where its application listens, with the path: `http://10.0.0.7:3000/sms`; none where it ends with us.
    pub upstream: Option<String>,
}

/// Told what is being looked at.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// Where things are kept.
#[derive(Debug, Clone)]
pub enum StoreAt {
    /// The configuration has none.
    Nowhere,
    /// It cannot be opened, and why.
    NotOpen(String),
    /// It is open.
    Open(Arc<Store>),
}

/// How commands are typed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// What follows `--config`, ready for a shell.
    pub config: String,
}

impl Words {
    /// A command to type.
    pub fn command(&self, command: &str) -> String {
        format!("ringfence {command} --config {}", self.config)
    }
}

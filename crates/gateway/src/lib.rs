//! The data plane: TLS, the gate, forward-auth, the egress.
//!
//! A webhook takes this path, and no other leads to an upstream:
//!
//! ```text
//! server ──▶ http_rules ──▶ route_table ──▶ admission ──▶ replay ──▶ forward ──▶ upstream
//! accept,     one Host,      which route     Basic and     a repeat    a new       HTTP/1.1
//! TLS         plain names    takes it        signature:    gets its    request     keep-alive
//!                                            Verified-     first       head of
//!                                            Webhook       answer      our own
//! ```
//!
//! Two kinds of webhooks end here: a usage trigger, on the route of the circuit breaker, goes from admission to `intake`,
//! which keeps it in the store and answers; a key pressed in a call with a code goes to `key_press`, which says the code.
//!
//! The other way, of an application's requests to Twilio, is the `egress`; its head tells its stations. On routes with
//! `twiml = "limits"` an application's answer passes `twiml` on its way back, which sets aside what it leads to.
//!
//! What is absent: no database on any other way of a webhook, no sessions, no HTML; no decision reads a clock or the environment; nothing
//! is sent upstream before the body is complete and verified; no path is decoded or normalised.
//!
//! # The modules
//!
//! `gate` leads a webhook from its head to its answer; the stations it passes (below) are modules of their own. Around them:
//!
//! | modules | for |
//! | --- | --- |
//! | `server`, `worker`, `connection` | listeners, reload and stop; the threads; what was accepted, and the limits that end it |
//! | `preface`, `proxy_protocol`, `tls`, `acme` | what comes before a request: HTTP/2 or not, whose connection it is, TLS, certificates |
//! | `forwarded` | what a proxy says of somebody else, and whether it counts |
//! | `basic`, `proof`, `websocket` | Basic users, the upstream's proof, tunnels |
//! | `forward_auth` | the same decision as an answer to another proxy |
//! | `hosted`, `whole` | the listeners of the console and the second factor: a request in one form, whole, to a hook |
//! | `key_press` | a key pressed in a call that carries a code, and what is spoken then |
//! | `trigger`, `intake` | what a usage trigger says; kept before it is answered, 503 where it cannot be |
//! | `hooks` | what the rest of Ringfence hangs in at the start, so that neither plane knows the other |
//! | `egress` | requests to Twilio: virtual credentials, limits before anything is sent, Twilio's own credentials on our side alone |
//! | `media` | files of messages and recordings: links that are signed for a time, redirects without credentials, attachments |
//! | `twiml` | answers of applications, and TwiML in requests, held to the limits: read, priced, set aside |
//! | `upstream` | an HTTP/1.1 client of our own, in clear and over TLS: certificates always checked, the answer's head parsed, its body streamed, connections kept |
//! | `settings`, `snapshot` | what the configuration means; what one request needs of it |
//! | `keys`, `rotated` | keys that are learnt while it runs; auth tokens that a rotation replaces |
//! | `told`, `inspector`, `verdicts` | a line in the log; what is kept of requests, redacted; how many there were |
//! | `reason`, `respond`, `explain`, `metrics`, `admin` | why not, what is answered, what the operator learns |
//!
//! # A webhook, followed through it
//!
//! 1. A `worker` of the `server` accepts, reads a PROXY protocol header where configured (from listed peers), ends TLS. A
//!    request never leaves its worker thread.
//! 2. `http_rules`: one Host, an absolute target equal to it, no field twice that is read once, no underscore or doubled
//!    forwarding headers. What hyper lets pass and two readers could read in two ways ends here with a 400.
//! 3. `route_table` finds the route by the raw path: exact before prefix, longer before shorter.
//! 4. `gate` refuses a method that the route lacks, and a request that has no signature or credentials to check; then it
//!    reads the body whole, up to the route's cap, within its time, and within the memory that all such bodies share.
//! 5. `admission` checks Basic and the signature as the route demands. `signature::verify` picks the keys by the `AccountSid`
//!    in the request, builds the text for each candidate, compares, then lets strict mode look. Only here a
//!    `VerifiedWebhook` comes into being.
//! 6. `replay`: a repeat gets the first one's answer, waits for it while it runs, or is refused, as the route says; voice is
//!    forwarded again by default. A repeat has the route, the account and the signature of the first. The body's bytes are
//!    not part of that key: the signature stands for them, and stays the same when they are spelled anew (`%20` for `+`,
//!    another order of fields), which would otherwise turn a captured request into a first.
//! 7. `forward` writes a new head: the fields that may pass, the account, the candidate, the proof, perhaps a new signature
//!    for the upstream's own URL. The same target, the same body.
//! 8. `upstream` sends it on a kept connection and streams the answer back. Over TLS the application has proved before who it
//!    is. Down is 502, slow is 504, inside Twilio's 15 s.
//!    A WebSocket handshake that the upstream accepts becomes a tunnel (`websocket`).
//!
//! Refused anywhere: one log line with the reason, a counter, an empty answer; what hyper itself refuses over HTTP/1.1 too. For
//! a signature an explanation is offered: one at a time, at most one a second for each route, on a thread of its own.
//!
//! A request takes a place of `in_flight` once it is verified and holds it to the end of its answer. If it is remembered, it
//! runs to its end although its caller hangs up (`RunToEnd`, `ReadToEnd`). A panic, which should not be, unwinds and ends one
//! connection.

pub mod acme;
mod admin;
mod admission;
pub mod basic;
mod before_signature;
mod body;
mod connection;
mod egress;
mod explain;
mod forward;
mod forward_auth;
pub mod forwarded;
mod gate;
mod hooks;
mod hosted;
mod http_rules;
mod inspector;
mod intake;
mod key_press;
mod keys;
#[cfg(any(test, fuzzing))]
pub mod laws;
pub mod media;
mod metrics;
mod passed;
mod path_readings;
mod preface;
pub mod proof;
mod proxy_protocol;
mod reason;
mod replay;
mod respond;
mod rotated;
pub mod route_table;
mod server;
pub mod settings;
mod shared_keys;
mod shares;
mod snapshot;
mod streams;
pub mod tls;
mod told;
mod trigger;
mod twiml;
pub mod upstream;
mod verdicts;
mod websocket;
mod whole;
mod worker;

pub use before_signature::refused_beside_signature;
pub use egress::authority::{EgressAuthority, EgressAuthorityError};
pub use egress::host::{InvalidTwilioBase, TwilioBase};
pub use egress::rules::{EgressRules, EgressRulesHandle, EgressStore};
pub use hooks::{AdminApi, Answer, Caller, Hooks, Hosted, OnKey, OnStale, Readiness, Spoken};
pub use inspector::Keeper;
pub use intake::Intake;
pub use key_press::KeyPress;
pub use keys::{Keys, KnownKeys, LearntAccount, keys_with};
pub use media::MediaStore;
pub use metrics::{LabelDescription, METRICS, MetricDescription, MetricKind};
pub use reason::Reason;
pub use rotated::{RotatedTokens, SignedWith};
pub use server::{Gateway, Listeners, ReloadError, Reloaded, StartError};
pub use shared_keys::LearntSharedKey;
pub use verdicts::{VerdictCount, Verdicts};
